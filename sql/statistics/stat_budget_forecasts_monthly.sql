/*
about: >-
  What a team's or a feature's month was headed for at the end of each of its days, by the level and the weekdays of the 56 days
  before. One row per month, team or feature, and day that is over.
grain: [month_start_date, scope_kind, scope_value, usage_date]
partition: month
partition_column: month_start_date
reads_back: 56 days
reads_around: 1 day
clock_stops: 1 day
leads: [stat_cost_cells_daily]
columns:
  month_start_date: DATE; first day of the month, in the reporting time zone
  scope_kind: VARCHAR; dimension that the budget is for: team or feature
  scope_value: VARCHAR; which value of that dimension
  usage_date: DATE; day of the calls that the forecast knows last
  days_left: BIGINT; days of the month that it does not know
  spent_usd: DECIMAL(38,15); effective cost from the first of the month to the end of the day; 0 where nothing was spent yet
  history_days: BIGINT; days with a cost in the 56 days to the end of the day
  is_learned: BOOLEAN; false before anomaly_learning_days are known, or with fewer days with a cost than anomaly_min_days
  projection_usd: DECIMAL(38,6); what was spent, and the level with its weekdays for each day left; null before anything is learned
  month_cost_usd: DECIMAL(38,15); effective cost of the whole month; null while it is not over
  log_error: DOUBLE; logarithm of the month's cost over the projection; null while the month is not over
  budget_usd: DECIMAL(38,15); budget for the month; null where budgets.csv has none
  breach_date: DATE; first day on which what was spent, then the projected path, is above the budget; null where none is
checks:
  - one_of: [scope_kind, team, feature]
  - rule: projection_usd >= cast(spent_usd as decimal(38, 6)) - 0.000001
    null_passes: true
    text: no projection is below what was spent
  - rule: is_learned = (projection_usd is not null)
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
with scopes as (
    select
        usage_date,
        usage_date - date '1970-01-05' as day_number,
        'feature' as scope_kind,
        feature as scope_value,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as usd,
    from stat_cost_cells_daily
    group by usage_date, feature
    union all
    select
        usage_date,
        usage_date - date '1970-01-05' as day_number,
        'team' as scope_kind,
        team as scope_value,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as usd,
    from stat_cost_cells_daily
    group by usage_date, team
),

months as (
    select
        m.month_start_date,
        cast(m.month_start_date + interval 1 month as date) as month_end_date,
        least(
            cast(m.month_start_date + interval 1 month as date) - 1,
            cast(k.now_at at time zone z.reporting_time_zone as date) - 1
        ) as last_date,
        k.now_at at time zone z.reporting_time_zone >= m.month_start_date + interval 1 month as is_over,
    from (select distinct cast(date_trunc('month', usage_date) as date) as month_start_date from stat_cost_cells_daily) as m
    cross join ref_reporting as z
    cross join ledger_clock as k
),

{{ limits_of_weeks({"anomaly_learning_days": "learning_days", "anomaly_min_days": "min_days"}, "month_start_date", "months") }},

-- A budget without a month holds for each; one of the month goes before it.
budgets as (
    select
        m.month_start_date,
        b.scope_kind,
        b.scope_value,
        b.budget_usd,
    from months as m
    inner join ref_budgets as b
        on b.scope_kind in ('team', 'feature') and (b.month is null or left(b.month, 7) = strftime(m.month_start_date, '%Y-%m'))
    qualify row_number() over (
        partition by m.month_start_date, b.scope_kind, b.scope_value order by b.month desc nulls last, b.reference_row desc
    ) = 1
),

-- Whoever spent anything in the month, or has a budget for it.
of_month as (
    select month_start_date, scope_kind, scope_value from budgets
    union
    select m.month_start_date, s.scope_kind, s.scope_value
    from months as m
    inner join scopes as s on s.usage_date >= m.month_start_date and s.usage_date <= m.last_date
),

month_days as (
    select
        s.month_start_date,
        s.scope_kind,
        s.scope_value,
        concat(s.scope_kind, ':', s.scope_value) as feature,
        cast(m.month_start_date + cast(o.days_later as integer) as date) as usage_date,
        -- The forecast made at the end of a day is that of the day after it.
        m.month_start_date + cast(o.days_later as integer) - date '1970-01-05' + 1 as day_number,
        m.month_end_date,
        m.is_over,
        coalesce(c.usd, 0) as usd,
        b.budget_usd,
        cast(l.learning_days as bigint) as learning_days,
        cast(l.min_days as bigint) as min_days,
    from of_month as s
    inner join months as m on s.month_start_date = m.month_start_date
    cross join (select unnest(range(0, 31)) as days_later) as o
    inner join limits as l on s.month_start_date = l.month_start_date
    left join budgets as b
        on s.month_start_date = b.month_start_date and s.scope_kind = b.scope_kind and s.scope_value = b.scope_value
    left join scopes as c
        on s.scope_kind = c.scope_kind
        and s.scope_value = c.scope_value
        and c.usage_date = m.month_start_date + cast(o.days_later as integer)
    where m.month_start_date + cast(o.days_later as integer) <= m.last_date
),

known_days as (
    select
        m.month_start_date,
        concat(s.scope_kind, ':', s.scope_value) as feature,
        s.day_number,
        cast(s.usd as double) as cost,
        false as is_left_out,
    from months as m
    inner join scopes as s on s.usage_date >= m.month_start_date - 56 and s.usage_date <= m.last_date
    where s.usd > 0
),

{% set look, judged_days, known_days = "", "month_days", "known_days" %}
{% include "parts/expected_spend.sql" %},

days_so_far as (
    select
        *,
        sum(usd) over (
            partition by month_start_date, scope_kind, scope_value order by usage_date
            rows between unbounded preceding and current row
        ) as spent_usd,
    from expectations
),

-- Each day left of each forecast, with what is spent by its end.
days_left as (
    select
        d.month_start_date,
        d.feature,
        d.day_number,
        cast(d.usage_date + cast(o.days_later as integer) as date) as later_date,
        d.spent_usd + sum(cast(exp(d.log_level + coalesce(w.weekday_index, 0)) as decimal(38, 12))) over (
            partition by d.month_start_date, d.feature, d.day_number order by o.days_later
            rows between unbounded preceding and current row
        ) as spent_by_then,
    from days_so_far as d
    inner join (select unnest(range(1, 31)) as days_later) as o on d.usage_date + cast(o.days_later as integer) < d.month_end_date
    left join weekdays as w
        on d.month_start_date = w.month_start_date
        and d.feature = w.feature
        and d.day_number = w.judged_day_number
        and (d.day_number - 1 + o.days_later) % 7 = w.weekday
    where d.is_learned
),

paths as (
    select
        d.month_start_date,
        d.feature,
        d.day_number,
        max(p.spent_by_then) as projected,
        min(case when p.spent_by_then > d.budget_usd then p.later_date end) as breach_date,
    from days_so_far as d
    inner join days_left as p
        on d.month_start_date = p.month_start_date and d.feature = p.feature and d.day_number = p.day_number
    group by d.month_start_date, d.feature, d.day_number
),

projected as (
    select
        d.*,
        case when d.is_learned then cast(coalesce(p.projected, d.spent_usd) as decimal(38, 6)) end as projection_usd,
        case when d.is_over then sum(d.usd) over (partition by d.month_start_date, d.feature) end as month_usd,
        coalesce(
            min(case when d.spent_usd > d.budget_usd then d.usage_date end) over (
                partition by d.month_start_date, d.feature order by d.usage_date
                rows between unbounded preceding and current row
            ),
            p.breach_date
        ) as breach_date,
    from days_so_far as d
    left join paths as p
        on d.month_start_date = p.month_start_date and d.feature = p.feature and d.day_number = p.day_number
)

select
    month_start_date,
    scope_kind,
    scope_value,
    usage_date,
    cast(month_end_date - usage_date - 1 as bigint) as days_left,
    cast(spent_usd as decimal(38, 15)) as spent_usd,
    history_days,
    is_learned,
    projection_usd,
    cast(month_usd as decimal(38, 15)) as month_cost_usd,
    case when month_usd > 0 and projection_usd > 0 then ln(cast(month_usd as double) / cast(projection_usd as double)) end as log_error,
    budget_usd,
    case when budget_usd > 0 then breach_date end as breach_date,
from projected
