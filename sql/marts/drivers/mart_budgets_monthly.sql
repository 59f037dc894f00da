{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/words.sql" import dollars %}
{% set limits = {
    "budget_state_amber": "amber_share",
    "budget_state_orange": "orange_share",
    "budget_state_red": "red_share",
    "forecast_min_day": "min_day",
    "forecast_origins": "min_origins",
    "forecast_accuracy_day": "accuracy_day",
} %}
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
  usage_date: DATE; last day of the calls that are counted: the newest that is over
  is_month_over: BOOLEAN; true once all days of the month are over by the books' own now
  budget_usd: DECIMAL(38,15); budget for the month
  spent_usd: DECIMAL(38,15); cost to the end of the day; of a month that is over what was invoiced, where that is known
  spent_basis: VARCHAR; effective, or invoiced where the invoice of a month that is over is known
  spent_ratio: DOUBLE; spent over budget; null where the budget is 0
  budget_state: VARCHAR; below, or the highest limit that was reached: amber (budget_state_amber), orange, red; null where the budget is 0
  projection_usd: DECIMAL(38,6); cost of the month if the level of the last days with its weekdays goes on; null where forecast_reason says why
  projection_low_usd: DECIMAL(38,6); lower end of the 90 % interval of the projection, never below what was spent; null without past errors
  projection_high_usd: DECIMAL(38,6); upper end of that interval
  interval_basis: VARCHAR; own (errors of the scope's own months at this day), portfolio (fewer than forecast_origins of them: the middle of all features); null without either
  past_forecasts: BIGINT; earlier months of which the forecast of this day can be compared with what came
  rms_log_error: DOUBLE; size of those errors as logarithms that the interval rests on; null without any
  forecast_state: VARCHAR; none, possible (the upper end is above the budget), likely (the projection is), near_certain (the lower end is); null without a projection or budget
  forecast_reason: VARCHAR; why there is no projection: month_over, too_early (before forecast_min_day), learning (too few days are known); else null
  breach_date: DATE; first day on which what was spent, then the projected path, is above the budget; null where none is
  early_projection_usd: DECIMAL(38,6); the projection made at the end of day forecast_accuracy_day; null before it, or while learning
  month_cost_usd: DECIMAL(38,15); effective cost of the whole month; null while it is not over
  forecast_accuracy: DOUBLE; 1 less the distance of the early projection from the month's cost, over the projection; null while the month is not over
  forecast_drift: DOUBLE; early projection less the month's cost, over the projection; above 0 where less came than was forecast
  sentence: VARCHAR; where the month is heading, for those who read the table; null without a budget
  method_version: VARCHAR; raised when the same rows would be judged otherwise
checks:
  - one_of: [scope_kind, team, feature]
  - one_of: [budget_state, below, amber, orange, red]
  - one_of: [forecast_state, none, possible, likely, near_certain]
  - one_of: [forecast_reason, month_over, too_early, learning]
  - one_of: [spent_basis, effective, invoiced]
  - one_of: [interval_basis, own, portfolio]
  - rule: (projection_usd is null) = (forecast_reason is not null)
    text: there is a projection, or why there is none
  - rule: projection_low_usd <= projection_usd + 0.000001 and projection_usd <= projection_high_usd + 0.000001
    null_passes: true
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

{{ limits_of_weeks(limits, "month_start_date", "newest") }},

-- Errors of the forecasts that were made on the same day of the twelve months before.
errors as (
    select
        n.month_start_date,
        p.scope_kind,
        p.scope_value,
        extract(day from n.usage_date) as day_of_month,
        count(*) as past_forecasts,
        sqrt(cast(sum(cast(p.log_error * p.log_error as decimal(38, 12))) as double) / count(*)) as rms,
    from (select distinct month_start_date, usage_date from newest) as n
    inner join stat_budget_forecasts_monthly as p
        on p.month_start_date < n.month_start_date
        and p.month_start_date >= n.month_start_date - interval 12 months
        and extract(day from p.usage_date) = extract(day from n.usage_date)
        and p.log_error is not null
    group by n.month_start_date, p.scope_kind, p.scope_value, extract(day from n.usage_date)
),

portfolio as (
    select month_start_date, day_of_month, median(rms) as rms
    from errors
    where scope_kind = 'feature'
    group by month_start_date, day_of_month
),

invoiced as (
    select
        s.month_start_date,
        k.scope_kind,
        case when k.scope_kind = 'team' then s.team else s.feature end as scope_value,
        case when count(*) = count(s.invoiced_cost_usd) then sum(s.invoiced_cost_usd) end as usd,
    from mart_showback_weekly as s
    cross join (select unnest(['team', 'feature']) as scope_kind) as k
    group by s.month_start_date, k.scope_kind, case when k.scope_kind = 'team' then s.team else s.feature end
),

early as (
    select
        f.month_start_date,
        f.scope_kind,
        f.scope_value,
        f.projection_usd,
        f.month_cost_usd,
    from forecasts as f
    inner join limits as l on f.month_start_date = l.month_start_date
    where extract(day from f.usage_date) = l.accuracy_day
),

joined as (
    select
        n.*,
        n.days_left = 0 as is_month_over,
        case when n.days_left = 0 and i.usd is not null then i.usd else n.spent_usd end as spent,
        case when n.days_left = 0 and i.usd is not null then 'invoiced' else 'effective' end as spent_basis,
        case
            when n.days_left = 0 then 'month_over'
            when extract(day from n.usage_date) < l.min_day then 'too_early'
            when not n.is_learned then 'learning'
        end as forecast_reason,
        coalesce(e.past_forecasts, 0) as past_forecasts,
        case when e.past_forecasts >= l.min_origins then e.rms else p.rms end as rms,
        case when e.past_forecasts >= l.min_origins then 'own' when p.rms is not null then 'portfolio' end as interval_from,
        a.projection_usd as early_usd,
        l.amber_share,
        l.orange_share,
        l.red_share,
    from newest as n
    inner join limits as l on n.month_start_date = l.month_start_date
    left join invoiced as i
        on n.month_start_date = i.month_start_date and n.scope_kind = i.scope_kind and n.scope_value = i.scope_value
    left join errors as e
        on n.month_start_date = e.month_start_date
        and n.scope_kind = e.scope_kind
        and n.scope_value = e.scope_value
        and extract(day from n.usage_date) = e.day_of_month
    left join portfolio as p on n.month_start_date = p.month_start_date and extract(day from n.usage_date) = p.day_of_month
    left join early as a
        on n.month_start_date = a.month_start_date and n.scope_kind = a.scope_kind and n.scope_value = a.scope_value
),

-- 90 % of forecasts lie within 1.64 times their usual error; a quarter more, as few errors are known.
ranged as (
    select
        *,
        case when forecast_reason is null then projection_usd end as middle,
        case
            when forecast_reason is null and rms is not null
                then cast(greatest(cast(projection_usd as double) * exp(-1.64 * 1.25 * rms), cast(spent as double)) as decimal(38, 6))
        end as low,
        case when forecast_reason is null then cast(cast(projection_usd as double) * exp(1.64 * 1.25 * rms) as decimal(38, 6)) end as high,
    from joined
),

stated as (
    select
        *,
        case
            when budget_usd = 0 then null
            when spent >= red_share * budget_usd then 'red'
            when spent >= orange_share * budget_usd then 'orange'
            when spent >= amber_share * budget_usd then 'amber'
            else 'below'
        end as budget_state,
        case
            when budget_usd = 0 or middle is null then null
            when coalesce(low, spent) > budget_usd then 'near_certain'
            when middle > budget_usd then 'likely'
            when high > budget_usd then 'possible'
            else 'none'
        end as forecast_state,
        concat(cast(extract(day from breach_date) as varchar), case
            when extract(day from breach_date) in (1, 21, 31) then 'st'
            when extract(day from breach_date) in (2, 22) then 'nd'
            when extract(day from breach_date) in (3, 23) then 'rd'
            else 'th'
        end) as breach_day,
    from ranged
)

select
    month_start_date,
    scope_kind,
    scope_value,
    usage_date,
    is_month_over,
    budget_usd,
    cast(spent as decimal(38, 15)) as spent_usd,
    spent_basis,
    cast(spent as double) / nullif(cast(budget_usd as double), 0) as spent_ratio,
    budget_state,
    middle as projection_usd,
    low as projection_low_usd,
    high as projection_high_usd,
    case when middle is not null then interval_from end as interval_basis,
    past_forecasts,
    case when middle is not null then rms end as rms_log_error,
    forecast_state,
    forecast_reason,
    breach_date,
    early_usd as early_projection_usd,
    month_cost_usd,
    1 - abs(cast(early_usd - month_cost_usd as double)) / nullif(cast(early_usd as double), 0) as forecast_accuracy,
    cast(early_usd - month_cost_usd as double) / nullif(cast(early_usd as double), 0) as forecast_drift,
    case
        when budget_usd = 0 then null
        when is_month_over
            then concat('Spent ', {{ dollars("spent") }}, ' of ', {{ dollars("budget_usd") }}, case when spent > budget_usd then ', over the budget.' else '.' end)
        when spent > budget_usd then concat('Spent ', {{ dollars("spent") }} , ' of ', {{ dollars("budget_usd") }}, ', over the budget since the ', breach_day, '.')
        when middle is null then concat('Spent ', {{ dollars("spent") }}, ' of ', {{ dollars("budget_usd") }}, '; too little is known for a forecast.')
        else concat(
            'Heading for ', {{ dollars("middle") }}, ' of ', {{ dollars("budget_usd") }},
            case forecast_state
                when 'near_certain' then concat('; almost certainly over on the ', breach_day, '.')
                when 'likely' then concat('; likely over on the ', breach_day, '.')
                when 'possible' then '; it may go over.'
                else '.'
            end
        )
    end as sentence,
    '1' as method_version,
from stated
