{% from "macros/budgets.sql" import budget_limits %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/words.sql" import dollars %}
/*
about: >-
  How much of its budget a team or a feature has spent by the books' own now, where the month is heading with what certainty, on
  which day it passes the budget, and how good the forecasts of earlier days were. One row per month and budget.
grain: [month_start_date, scope_kind, scope_value]
partition: month
partition_column: month_start_date
reads_back: 53 weeks
leads: [stat_budget_forecasts_monthly]
columns:
  month_start_date: DATE; first day of the month, in the reporting time zone
  scope_kind: VARCHAR; dimension that the budget is for: team or feature
  scope_value: VARCHAR; which value of that dimension
{% include "parts/columns_budget.sql" %}
question: Which budgets will not last, and until when?
answer: >-
  select month_start_date, scope_kind, scope_value, budget_usd, spent_usd, budget_state, projection_usd, forecast_state, breach_date
  from mart_budgets_monthly order by month_start_date desc, scope_kind, scope_value
notes:
  - A projection is of effective cost; what was invoiced takes its place when the month is over.
*/
with forecasts as (
    select
        *,
        row_number() over (partition by month_start_date, scope_kind, scope_value order by usage_date desc) as days_ago,
    from stat_budget_forecasts_monthly
),

newest as (
    select f.*
    from forecasts as f
    where f.days_ago = 1 and f.budget_usd is not null
),

{% include "parts/budget_standing.sql" %}

select
    month_start_date,
    scope_kind,
    scope_value,
{% include "parts/budget_figures.sql" %}
from stated
