/*
about: >-
  What a business outcome costs: a ticket, a lead, a document, a code change. The invoiced cost of the feature over what
  business_outcomes.csv counts in the same week. One row per UTC week, feature and unit.
grain: [week_start_date, feature, outcome_unit]
# By month, as the showback is: of a month that changes anywhere every week would be built.
partition: month
partition_column: week_start_date
reads_around: 7 days
clock_stops: 8 days
leads: [mart_showback_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week, UTC, as in the showback
  feature: VARCHAR; product feature
  outcome_unit: VARCHAR; what is counted (tickets_resolved, documents ...), as business_outcomes.csv names it
  is_week_over: BOOLEAN; false while the books' now is within the week: its figures still grow
  outcomes: DECIMAL(38,9); units of the business done in the week
  requests: BIGINT; calls of the feature in the week
  feature_cost_usd: DECIMAL(38,2); invoiced cost of the feature in the week, the same for each of its units: never sum it over units; null where a rate to USD is missing
  cost_per_outcome_usd: DECIMAL(38,12); invoiced cost of the feature over outcomes; null where cost_reason says why
  cost_reason: VARCHAR; no_outcomes (0 of them), no_calls (none of the feature was booked in the week), incomplete (tokens without a price) or no_rate (to USD); null where there is a figure
checks:
  - one_of: [cost_reason, no_outcomes, no_calls, incomplete, no_rate]
  - rule: (cost_per_outcome_usd is null) = (cost_reason is not null)
    text: a cost per outcome is given, or why there is none
question: What does a business outcome cost, week by week?
answer: >-
  select week_start_date, feature, outcome_unit, outcomes, feature_cost_usd, cost_per_outcome_usd
  from mart_outcome_costs_weekly where is_week_over order by week_start_date desc, feature, outcome_unit
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
with weeks as (
    select distinct week_start_date from mart_showback_weekly
),

{{ limits_of_weeks({"unpriced_warn_share": "unpriced_warn_share"}) }},

done as (
    select
        cast(date_trunc('week', outcome_date) as date) as week_start_date,
        feature,
        unit as outcome_unit,
        cast(sum(quantity) as decimal(38, 9)) as outcomes,
    from ref_business_outcomes
    group by cast(date_trunc('week', outcome_date) as date), feature, unit
),

spent as (
    select
        week_start_date,
        feature,
        sum(requests) as requests,
        sum(input_total_tokens + output_total_tokens) as total_tokens,
        sum(unpriced_tokens) as unpriced_tokens,
        case when count(*) = count(invoiced_cost_usd) then sum(invoiced_cost_usd) end as invoiced_cost_usd,
    from mart_showback_weekly
    group by week_start_date, feature
),

judged as (
    select
        d.week_start_date,
        d.feature,
        d.outcome_unit,
        d.outcomes,
        coalesce(s.requests, 0) as requests,
        s.invoiced_cost_usd,
        case
            when d.outcomes <= 0 then 'no_outcomes'
            when s.feature is null then 'no_calls'
            when s.invoiced_cost_usd is null then 'no_rate'
            when s.unpriced_tokens > s.total_tokens * l.unpriced_warn_share then 'incomplete'
        end as cost_reason,
    from done as d
    inner join limits as l on d.week_start_date = l.week_start_date
    left join spent as s on d.week_start_date = s.week_start_date and d.feature = s.feature
)

select
    j.week_start_date,
    j.feature,
    j.outcome_unit,
    coalesce(k.now_at at time zone 'UTC' >= j.week_start_date + 7, false) as is_week_over,
    j.outcomes,
    cast(j.requests as bigint) as requests,
    cast(j.invoiced_cost_usd as decimal(38, 2)) as feature_cost_usd,
    case when j.cost_reason is null then cast(cast(j.invoiced_cost_usd as double) / cast(j.outcomes as double) as decimal(38, 12)) end as cost_per_outcome_usd,
    j.cost_reason,
from judged as j
cross join ledger_clock as k
