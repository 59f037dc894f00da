{# How budgets stand at the end of some days: `newest` has a row per budget and day, `forecasts` those of all days; the result is `stated`. #}
{{ limits_of_weeks(budget_limits, "month_start_date", "newest") }},

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
        f.usage_date,
        f.projection_usd,
        f.month_cost_usd,
    from forecasts as f
    inner join limits as l on f.month_start_date = l.month_start_date
    where extract(day from f.usage_date) = l.accuracy_day
),

joined as (
    select
        n.* replace (case when n.days_left = 0 then n.month_cost_usd end as month_cost_usd),
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
        on n.month_start_date = a.month_start_date
        and n.scope_kind = a.scope_kind
        and n.scope_value = a.scope_value
        and n.usage_date >= a.usage_date
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
