{#
What ref_revenue gives each of `weeks`, or each month of it where `revenue_start` is month_start_date, by customer, tier and feature:
`period_revenue`. Recognised revenue is spread evenly over the days of its row. `arpu_usd` is what each user pays a
month, `revenue_days` the days of the period for which it holds. Where a row names a customer and no tier, each day has the tier that
the customer had. Amounts are null where a rate to USD is missing.
#}
{% from "macros/rates.sql" import fx_rates with context %}
{% set revenue_start = revenue_start | default("week_start_date") %}
{% set revenue_end = "w.week_start_date + 7" if revenue_start == "week_start_date" else "cast(w.month_start_date + interval 1 month as date)" %}
-- A period in progress has the revenue of its days so far, as it has their calls.
revenue_periods as (
    select
        w.{{ revenue_start }} as period_start_date,
        least({{ revenue_end }}, coalesce(cast(k.now_at at time zone 'UTC' as date) + 1, {{ revenue_end }})) as period_end_date,
    from weeks as w
    cross join ledger_clock as k
),

{{ fx_rates() }},

revenue_rows as (
    select
        concat_ws(':', r.reference_file, cast(r.reference_row as varchar)) as revenue_row,
        r.period_start_date,
        r.period_end_date,
        r.customer_id,
        r.customer_tier,
        r.feature,
        r.revenue_kind,
        -- Converted once, at the newest rate on or before the first day, as a line of a bill is.
        case
            when r.currency = 'USD' then cast(r.revenue_amount as decimal(38, 12))
            else cast(cast(r.revenue_amount as decimal(26, 12)) * cast(x.fx_rate_to_usd as decimal(12, 8)) as decimal(38, 12))
        end as amount_usd,
    from ref_revenue as r
    left join rates as x
        on r.currency = x.currency and r.period_start_date >= x.rate_date and r.period_start_date < x.next_rate_date
    where r.period_end_date > r.period_start_date
),

revenue_overlaps as (
    select
        p.period_start_date as start_date,
        r.*,
        greatest(p.period_start_date, r.period_start_date) as from_date,
        least(p.period_end_date, r.period_end_date) as to_date,
    from revenue_rows as r
    inner join revenue_periods as p on r.period_start_date < p.period_end_date and r.period_end_date > p.period_start_date
),

tiered_days as (
    select
        o.start_date,
        o.revenue_row,
        t.customer_tier,
        cast(
            sum(
                least(o.to_date, coalesce(t.valid_to_date, o.to_date)) - greatest(o.from_date, coalesce(t.valid_from_date, o.from_date))
            ) as bigint
        ) as revenue_days,
    from revenue_overlaps as o
    inner join ref_customers as t
        on o.customer_id = t.customer_id
        and o.customer_tier is null
        and o.from_date < coalesce(t.valid_to_date, o.to_date)
        and o.to_date > coalesce(t.valid_from_date, o.from_date)
    where t.customer_tier is not null
    group by o.start_date, o.revenue_row, t.customer_tier
),

revenue_parts as (
    select start_date, revenue_row, customer_tier, revenue_days
    from tiered_days
    union all
    select
        o.start_date,
        o.revenue_row,
        coalesce(o.customer_tier, 'unattributed') as customer_tier,
        cast(o.to_date - o.from_date - coalesce(d.revenue_days, 0) as bigint) as revenue_days,
    from revenue_overlaps as o
    left join (select start_date, revenue_row, sum(revenue_days) as revenue_days from tiered_days group by start_date, revenue_row) as d
        on o.start_date = d.start_date and o.revenue_row = d.revenue_row
),

period_revenue as (
    select
        o.start_date,
        o.customer_id,
        p.customer_tier,
        o.feature,
        o.revenue_kind,
        p.revenue_days,
        -- Of the dollars of a row the days of a period have their share.
        case
            when o.revenue_kind = 'recognised'
                then cast(cast(o.amount_usd as double) * p.revenue_days / (o.period_end_date - o.period_start_date) as decimal(38, 12))
        end as revenue_usd,
        case when o.revenue_kind = 'arpu_month' then o.amount_usd end as arpu_usd,
    from revenue_overlaps as o
    inner join revenue_parts as p on o.start_date = p.start_date and o.revenue_row = p.revenue_row
    where p.revenue_days > 0
),
