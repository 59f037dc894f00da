/*
about: >-
  A week's calls by length of input and by cost, as a histogram fine enough to find the dearest hundredth of the calls of any
  number of weeks. One row per week, power of two of input tokens and cost step.
grain: [week_start_date, input_size_log2, cost_step]
partition: week
reads_around: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  input_size_log2: BIGINT; input tokens as a power of two, rounded down (13 is 8,192 to 16,383); null without input
  cost_step: BIGINT; costs within one percent of each other; null where the cost is not known or nothing
  requests: BIGINT; calls, failed ones included
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; of these, calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
checks:
  - between: [requests, 1, null]
*/
{% from "macros/days.sql" import local_week %}
with calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        case when r.input_total_tokens > 0 then cast(floor(log2(r.input_total_tokens)) as bigint) end as input_size_log2,
        case when c.effective_cost_usd > 0 then cast(floor(ln(cast(c.effective_cost_usd as double)) * 100) as bigint) end as cost_step,
        coalesce(r.total_tokens, 0) as total_tokens,
        c.effective_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    where r.is_billable_leaf
)

select
    week_start_date,
    input_size_log2,
    cost_step,
    count(*) as requests,
    cast(sum(total_tokens) as bigint) as total_tokens,
    count(case when effective_cost_usd is null then 1 end) as unpriced_requests,
    cast(sum(case when effective_cost_usd is null then total_tokens else 0 end) as bigint) as unpriced_tokens,
    cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
from calls
group by week_start_date, input_size_log2, cost_step
