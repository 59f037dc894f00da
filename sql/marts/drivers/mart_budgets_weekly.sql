{% from "macros/budgets.sql" import budget_limits %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/words.sql" import dollars %}
/*
about: >-
  How a budget stood at the end of a week: what of the month was spent, where it was heading with what certainty, and on which day it
  was to pass. One row per week, month and budget; a week over two months has rows for each.
grain: [week_start_date, month_start_date, scope_kind, scope_value]
partition: month
partition_column: month_start_date
reads_back: 53 weeks
leads: [stat_budget_forecasts_monthly]
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  month_start_date: DATE; first day of the month that the budget is for, in the reporting time zone
  scope_kind: VARCHAR; dimension that the budget is for: team or feature
  scope_value: VARCHAR; which value of that dimension
{% include "parts/columns_budget.sql" %}
question: How did the budgets stand when the week ended?
answer: >-
  select week_start_date, scope_kind, scope_value, budget_usd, spent_usd, budget_state, projection_usd, forecast_state, breach_date
  from mart_budgets_weekly order by week_start_date desc, scope_kind, scope_value
notes:
  - mart_budgets_monthly has how budgets stand by the newest day.
*/
with forecasts as (
    select
        *,
        cast(date_trunc('week', usage_date) as date) as week_start_date,
        row_number() over (
            partition by month_start_date, date_trunc('week', usage_date), scope_kind, scope_value order by usage_date desc
        ) as days_ago,
    from stat_budget_forecasts_monthly
),

newest as (
    select f.*
    from forecasts as f
    where f.days_ago = 1 and f.budget_usd is not null
),

{% include "parts/budget_standing.sql" %}

select
    week_start_date,
    month_start_date,
    scope_kind,
    scope_value,
{% include "parts/budget_figures.sql" %}
from stated
