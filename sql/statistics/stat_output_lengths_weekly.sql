/*
about: >-
  How long answers are, as a histogram: calls by request type, cap and exact length of the output, with what a token of them costs. Quantiles
  and caps of any number of weeks are worked out of it exactly. One row per week, request type, cap and length.
grain: [week_start_date, feature, workflow_step, prompt_name, cap_source, cap_tokens, output_total_tokens]
partition: week
reads_around: 1 day
joins: as_written
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
{% include "parts/columns_request_type.sql" %}
  cap_source: VARCHAR; where the cap in force comes from: call (sent with it), feature (max_output_tokens of features.csv) or none
  cap_tokens: BIGINT; output cap in force; null where there is none
  output_total_tokens: BIGINT; all output of each of the calls, reasoning included
  answered_requests: BIGINT; calls that ended well and tell both input (more than none) and output
  priced_requests: BIGINT; of these, calls whose output has a cost of its own
  one_token_each_usd: DECIMAL(38,15); what one output token of each of these calls costs, all together; null where none is priced
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls, input included; null where none is priced
checks:
  - one_of: [cap_source, call, feature, none]
  - rule: (cap_source = 'none') = (cap_tokens is null)
    text: a cap has a source
  - rule: answered_requests >= priced_requests and (one_token_each_usd is null) = (priced_requests = 0)
*/
{% from "macros/cells.sql" import type_of %}
{% from "macros/days.sql" import local_week, utc_date %}
{% from "macros/tokens.sql" import output_classes, total_of with context %}
with calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.feature,
        {{ type_of("r") }},
        case when r.max_output_tokens is not null then 'call' when f.max_output_tokens is not null then 'feature' else 'none' end as cap_source,
        coalesce(r.max_output_tokens, f.max_output_tokens) as cap_tokens,
        r.output_total_tokens,
        case
            when r.output_total_tokens > 0
                then cast(
                    cast({{ total_of(output_classes, "c", "_cost_usd") }} as double) / r.output_total_tokens as decimal(38, 15)
                )
        end as one_token_usd,
        c.effective_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    left join ref_features as f
        on r.feature = f.feature
        and (f.valid_from_date is null or {{ utc_date("r.started_at") }} >= f.valid_from_date)
        and (f.valid_to_date is null or {{ utc_date("r.started_at") }} < f.valid_to_date)
    where r.is_billable_leaf and r.status = 'ok' and r.input_total_tokens > 0 and r.output_total_tokens is not null
)

select
    week_start_date,
    feature,
    workflow_step,
    prompt_name,
    cap_source,
    cap_tokens,
    output_total_tokens,
    count(*) as answered_requests,
    count(one_token_usd) as priced_requests,
    cast(sum(one_token_usd) as decimal(38, 15)) as one_token_each_usd,
    cast(sum(case when one_token_usd is not null then effective_cost_usd end) as decimal(38, 15)) as effective_cost_usd,
from calls
group by week_start_date, feature, workflow_step, prompt_name, cap_source, cap_tokens, output_total_tokens
