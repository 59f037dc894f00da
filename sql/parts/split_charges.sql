{#
Who bears how much of each charge of a bill, for focus_cost_and_usage: `split` has a row for each charge (`charges`) and bearer, with the
ratio of twelve decimals that the bearer has of it and its amount.
#}
{# The shares of a charge, by one of its pools. #}
{% macro joined_with_shares(pool) %}
left join shares as s
        on c.month_start_date = s.month_start_date
{% for name in account[1:] %}
        and c.{{ name }} = s.{{ name }}
{% endfor %}
        and c.{{ pool }} = s.pool_id
{%- endmacro %}

pours as (
    select
        {{ account | join(", ") }},
        {{ key_as_bearer | join(", ") }},
        pool_id,
        cast(sum(allocated_amount) * 10000000000::hugeint as hugeint) as units,
    from ledger_allocations
    where component <> 'key' and pool_id <> 'accrual'
    group by {{ (account + owners) | join(", ") }}, model_canonical, model_tier, pool_id
),

-- Where a rule takes what no call explains, that part of each pool of usage follows the rule.
ruled as (
    select *, sum(units) over (partition by {{ account | join(", ") }}) as ruled_units
    from pours
    where pool_id = 'untraced'
),

pool_sums as (
    select {{ account | join(", ") }}, pool_id, cast(sum(list_amount) * 10000000000::hugeint as hugeint) as list_units
    from focus_origin_charges
    where pool_id like 'usage%'
    group by {{ account | join(", ") }}, pool_id
),

explained_sums as (
    select {{ account | join(", ") }}, pool_id, sum(units) as units
    from pours
    group by {{ account | join(", ") }}, pool_id
),

all_pours as (
    select {{ (account + bearer) | join(", ") }}, pool_id, units
    from pours
    where pool_id <> 'untraced'
    union all
    select r.{{ (account + bearer) | join(", r.") }}, s.pool_id,
        (s.list_units - coalesce(e.units, 0)) * r.units // r.ruled_units as units
    from ruled as r
    inner join pool_sums as s
        on r.month_start_date = s.month_start_date
        and r.week_start_date = s.week_start_date
        and r.provider = s.provider
        and r.billing_account_id = s.billing_account_id
    left join explained_sums as e
        on s.month_start_date = e.month_start_date
        and s.week_start_date = e.week_start_date
        and s.provider = e.provider
        and s.billing_account_id = e.billing_account_id
        and s.pool_id = e.pool_id
    where r.ruled_units <> 0
),

weights as (
    select {{ (account + bearer) | join(", ") }}, pool_id, cast(abs(sum(units)) as hugeint) as weight
    from all_pours
    group by {{ (account + bearer) | join(", ") }}, pool_id
    having sum(units) <> 0
),

-- Ratios of twelve decimals that sum to 1: what truncation leaves over goes to the largest.
floors as (
    select
        *,
        weight * 1000000000000 // sum(weight) over (partition by {{ account | join(", ") }}, pool_id) as floor_ratio,
        row_number() over (
            partition by {{ account | join(", ") }}, pool_id
            order by weight desc, {{ bearer | join(", ") }}
        ) as place,
    from weights
),

shares as (
    select
        *,
        floor_ratio + case when place = 1 then 1000000000000 - sum(floor_ratio) over (partition by {{ account | join(", ") }}, pool_id) else 0 end as ratio,
    from floors
),

charges as (
    select
        *,
        cast(billed_amount * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_amount * 10000000000::hugeint as hugeint) as list_units,
    from focus_origin_charges
),

-- Each charge by its pool, and what it was discounted by, by the pool of that. A charge without a pool stays unattributed.
halves as (
    select
        c.origin_id,
{% for name in bearer %}
        coalesce(s.{{ name }}, 'unattributed') as {{ name }},
{% endfor %}
        coalesce(s.weight, 0) as weight,
        coalesce(s.ratio, 1000000000000) as ratio,
        cast(0 as hugeint) as discount_ratio,
        coalesce(s.place, 1) as place,
    from charges as c
    {{ joined_with_shares("pool_id") }}
    union all
    select
        c.origin_id,
{% for name in bearer %}
        coalesce(s.{{ name }}, 'unattributed') as {{ name }},
{% endfor %}
        cast(0 as hugeint) as weight,
        cast(0 as hugeint) as ratio,
        coalesce(s.ratio, 1000000000000) as discount_ratio,
        0 as place,
    from charges as c
    {{ joined_with_shares("discount_pool_id") }}
    where c.billed_units <> c.list_units
),

joined as (
    select
        origin_id, {{ bearer | join(", ") }}, max(weight) as weight, sum(ratio) as ratio, sum(discount_ratio) as discount_ratio, max(place) = 1 as is_first,
    from halves
    group by origin_id, {{ bearer | join(", ") }}
),

priced as (
    select
        j.*,
        c.billed_units as origin_units,
        case
            when c.discount_pool_id is null then c.billed_units * j.ratio
            else c.list_units * j.ratio + (c.billed_units - c.list_units) * j.discount_ratio
        end as product,
    from joined as j
    inner join charges as c on j.origin_id = c.origin_id
),

rounded as (
    select *, cast(sign(product) * ((abs(product) + 500000000000) // 1000000000000) as hugeint) as near_units
    from priced
),

split as (
    select
        origin_id, {{ bearer | join(", ") }}, weight, cast(ratio as hugeint) as ratio,
        near_units + case when is_first then origin_units - sum(near_units) over (partition by origin_id) else 0 end as billed_units,
    from rounded
),
