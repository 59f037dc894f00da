/*
about: >-
  A week's calls summed to who (the cluster), what (the request type) and which model: what every statistic of weeks reads in
  place of calls. One row per week, request type, model and cluster.
grain: [week_start_date, feature, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id]
partition: week
reads_around: 1 day
joins: as_written
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
{% include "parts/columns_request_type.sql" %}
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  cluster_unit: VARCHAR; what the calls of one cluster share: user, else customer, else session, else day_and_type
  cluster_id: VARCHAR; which one: calls of one cluster are not independent of each other
  requests: BIGINT; calls, failed ones included
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; of these, calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  failed_cost_usd: DECIMAL(38,15); of that cost, what the calls that did not end well cost; null where none of them is priced
  answered_requests: BIGINT; calls that ended well and tell both input (more than none) and output
  input_total_tokens: BIGINT; input of the answered calls, cached included
  output_total_tokens: BIGINT; output of the answered calls, reasoning included
  cache_known_input_tokens: BIGINT; input of those of the answered calls that tell what they read from the prompt cache, be it none
  cache_read_total_tokens: BIGINT; of that input, what was read from the prompt cache
  output_priced_tokens: BIGINT; of this output, what has a cost of its own
  output_cost_usd: DECIMAL(38,15); effective cost of that output; null where none has one
  logged_requests: BIGINT; answered calls with any output, so that both lengths have a logarithm
  log_input: DECIMAL(38,12); sum of the natural logarithms of their input tokens
  log_output: DECIMAL(38,12); sum of the natural logarithms of their output tokens
checks:
  - one_of: [cluster_unit, user, customer, session, day_and_type]
  - rule: requests >= answered_requests and answered_requests >= logged_requests and requests >= unpriced_requests
  - rule: (effective_cost_usd is null) = (requests = unpriced_requests)
    text: a cost is unknown exactly where no call has one
*/
{% from "macros/cells.sql" import cluster_of, type_of %}
{% from "macros/days.sql" import local_week %}
{% from "macros/tokens.sql" import output_classes, total_of with context %}
with calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.feature,
        {{ type_of("r") }},
        r.provider,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        {{ cluster_of("r", "z") }},
        coalesce(r.total_tokens, 0) as total_tokens,
        r.status <> 'ok' as is_failed,
        r.status = 'ok' and coalesce(r.input_total_tokens, 0) > 0 and r.output_total_tokens is not null as is_answered,
        r.input_total_tokens,
        r.output_total_tokens,
        r.cache_read_total_tokens,
        c.effective_cost_usd,
        {{ total_of(output_classes, "c", "_cost_usd") }} as output_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    where r.is_billable_leaf
)

select
    week_start_date,
    feature,
    workflow_step,
    prompt_name,
    provider,
    model_canonical,
    cluster_unit,
    cluster_id,
    count(*) as requests,
    cast(sum(total_tokens) as bigint) as total_tokens,
    count(case when effective_cost_usd is null then 1 end) as unpriced_requests,
    cast(sum(case when effective_cost_usd is null then total_tokens else 0 end) as bigint) as unpriced_tokens,
    cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
    cast(sum(case when is_failed then effective_cost_usd end) as decimal(38, 15)) as failed_cost_usd,
    count(case when is_answered then 1 end) as answered_requests,
    cast(sum(case when is_answered then input_total_tokens else 0 end) as bigint) as input_total_tokens,
    cast(sum(case when is_answered then output_total_tokens else 0 end) as bigint) as output_total_tokens,
    cast(
        sum(case when is_answered and cache_read_total_tokens is not null then input_total_tokens else 0 end) as bigint
    ) as cache_known_input_tokens,
    cast(sum(case when is_answered then coalesce(cache_read_total_tokens, 0) else 0 end) as bigint) as cache_read_total_tokens,
    cast(sum(case when is_answered and output_cost_usd is not null then output_total_tokens else 0 end) as bigint) as output_priced_tokens,
    cast(sum(case when is_answered then output_cost_usd end) as decimal(38, 15)) as output_cost_usd,
    count(case when is_answered and output_total_tokens > 0 then 1 end) as logged_requests,
    cast(
        sum(case when is_answered and output_total_tokens > 0 then cast(ln(input_total_tokens) as decimal(38, 12)) else 0 end)
        as decimal(38, 12)
    ) as log_input,
    cast(
        sum(case when is_answered and output_total_tokens > 0 then cast(ln(output_total_tokens) as decimal(38, 12)) else 0 end)
        as decimal(38, 12)
    ) as log_output,
from calls
group by week_start_date, feature, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id
