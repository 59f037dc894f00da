/*
about: >-
  Answers that a gateway gave out of its own cache, by request type and model: they cost nothing and are no calls of a provider. One
  row per week, request type and model.
grain: [week_start_date, feature, workflow_step, prompt_name, provider, model_canonical]
partition: week
reads_around: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
{% include "parts/columns_request_type.sql" %}
  provider: VARCHAR; the seller of the model that was asked for
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  response_cache_hits: BIGINT; answers out of the gateway's own cache
checks:
  - rule: response_cache_hits > 0
*/
{% from "macros/cells.sql" import type_of %}
{% from "macros/days.sql" import local_week %}
with hits as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.feature,
        {{ type_of("r") }},
        r.provider,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
    from ledger_requests as r
    cross join ref_reporting as z
    where r.gateway_cache_hit
)

select
    week_start_date,
    feature,
    workflow_step,
    prompt_name,
    provider,
    model_canonical,
    count(*) as response_cache_hits,
from hits
group by week_start_date, feature, workflow_step, prompt_name, provider, model_canonical
