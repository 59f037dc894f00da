{#
A price for use: a base with an allowance and a price for each unit above it, on what each user has used and cost in the window. Whoever pays for
what is above the allowance uses less of it: by nothing, by demand_drop_mid and by demand_drop_high. Base and allowance are those of a month.
#}
{% from "macros/replay.sql" import cases, chosen with context %}
with users as (
    select
        b.customer_tier,
        coalesce(b.user_id, nullif(b.customer_id, '')) as who,
        count(*) as requests,
        count(case when b.effective_cost_usd is null then 1 end) as unpriced_requests,
        cast({% if unit == "task" %}count(distinct q.task_id){% else %}count(*){% endif %} as decimal(18, 9)) as units,
        cast(sum(b.effective_cost_usd) as decimal(38, 15)) as cost_usd,
    from whatif_before as b
{% if unit == "task" %}
    inner join ledger_requests as q on b.request_key = q.request_key and b.started_at = q.started_at
{% endif %}
    cross join whatif_settings as s
    where {{ chosen() }} and coalesce(b.user_id, nullif(b.customer_id, '')) is not null
    group by b.customer_tier, coalesce(b.user_id, nullif(b.customer_id, ''))
),

plans as (
    select
        u.*,
        cast(s.base_usd_mid * w.months as decimal(38, 15)) as flat_usd,
        greatest(u.units - cast(s.allowance_mid * w.months as decimal(18, 9)), 0) as over_units,
        s.overage_usd_mid as overage_usd,
{% for case in cases %}
        s.demand_drop_{{ case }},
{% endfor %}
    from users as u
    cross join whatif_settings as s
    cross join (select case when t.months_mid > 0 then t.months_mid else cast({{ months }} as decimal(18, 9)) end as months from whatif_settings as t) as w
    where u.units > 0
),

charged as (
    select
        *,
{% for case in cases %}
        flat_usd + cast(over_units * (1 - demand_drop_{{ case }}) as decimal(18, 9)) * overage_usd as revenue_{{ case }}_usd,
        case
            when over_units * demand_drop_{{ case }} = 0 then cost_usd
            else cast(
                cast(cost_usd as double) * cast(units - over_units * demand_drop_{{ case }} as double) / cast(units as double) as decimal(38, 15)
            )
        end as cost_{{ case }}_usd,
{% endfor %}
    from plans
)

select
    customer_tier,
    count(*) as users,
    count(case when over_units > 0 then 1 end) as users_over_allowance,
    cast(sum(requests) as bigint) as requests,
    cast(sum(unpriced_requests) as bigint) as unpriced_requests,
    cast(sum(units) as decimal(38, 9)) as units,
    cast(sum(flat_usd) as decimal(38, 15)) as flat_revenue_usd,
    cast(sum(cost_usd) as decimal(38, 15)) as cost_usd,
    cast(sum(greatest(cost_usd - flat_usd, 0)) as decimal(38, 15)) as flat_subsidy_usd,
    cast(sum(greatest(flat_usd - cost_usd, 0)) as decimal(38, 15)) as flat_surplus_usd,
{% for case in cases %}
    cast(sum(revenue_{{ case }}_usd) as decimal(38, 15)) as revenue_{{ case }}_usd,
    cast(sum(cost_{{ case }}_usd) as decimal(38, 15)) as cost_{{ case }}_usd,
    cast(sum(revenue_{{ case }}_usd - cost_{{ case }}_usd) as decimal(38, 15)) as margin_{{ case }}_usd,
    cast(sum(greatest(cost_{{ case }}_usd - revenue_{{ case }}_usd, 0)) as decimal(38, 15)) as subsidy_{{ case }}_usd,
{% endfor %}
from charged
group by customer_tier
