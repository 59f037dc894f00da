{#
Who may bear a bill, for ledger_allocations: `rows_keyed` has each key with what its calls used and cost, a key for what stays
unattributed (is_lost), and one for whoever only a rule names (is_named). Also `read_lines` (days of the bills, in USD and in the
billing currency), of these `judged_charges`, and `rules`.
#}
{% include "parts/showback_calls.sql" %}

traced as (
    select
        month_start_date,
        week_start_date,
        {{ key | join(", ") }},
{% for name in counts %}
        cast(sum({{ name }}) as bigint) as {{ name }},
{% endfor %}
{% for name in costs %}
        cast(sum({{ name }}_cost_usd) * 10000000000::hugeint as hugeint) as {{ name }}_units,
{% endfor %}
    from calls
    group by month_start_date, week_start_date, {{ key | join(", ") }}
),

bill_days as (
    select
        b.*,
        cast(date_trunc('week', b.usage_date) as date) as week_start_date,
        p.line_level,
        p.component,
        p.rule_field as field,
        p.rule_value as field_value,
        p.pool_id,
        p.discount_pool_id,
    from ledger_bill_days as b
    inner join ledger_bill_pools as p
        on b.month_start_date = p.month_start_date and b.cost_key = p.cost_key and b.usage_date = p.usage_date
),

-- Every amount twice: in USD and in the billing currency. The same weights split both.
bill_units as (
    select
        *,
        'usd' as kind,
        cast(billed_usd * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_usd * 10000000000::hugeint as hugeint) as list_units,
    from bill_days
    where billed_usd is not null
    union all
    select
        *,
        'native' as kind,
        cast(billed_amount * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_amount * 10000000000::hugeint as hugeint) as list_units,
    from bill_days
),

-- Own GPUs cost money on every day of their pool, also on those on which nobody called anything; up to the books' own now.
gpu_days as (
    select cast(m.month_start_date + cast(n.place as integer) as date) as usage_date
    from (select distinct month_start_date from traced union select distinct month_start_date from bill_days) as m
    cross join (select unnest(range(0, 31)) as place) as n
    cross join ledger_clock as t
    where cast(m.month_start_date + cast(n.place as integer) as date) <= cast(t.now_at as date)
        and date_trunc('month', cast(m.month_start_date + cast(n.place as integer) as date)) = m.month_start_date
),

{% include "parts/gpu_pool_hours.sql" %}

pool_weeks as (
    select
        cast(date_trunc('month', usage_date) as date) as month_start_date,
        cast(date_trunc('week', usage_date) as date) as week_start_date,
        provider,
        model_canonical,
        sum(hour_cost_usd) * 24 as pool_cost_usd,
    from pool_hours
    group by
        cast(date_trunc('month', usage_date) as date), cast(date_trunc('week', usage_date) as date), provider, model_canonical
),

served as (
    select month_start_date, week_start_date, provider, model_canonical, cast(sum(effective_units) as hugeint) as effective_units
    from traced
    group by month_start_date, week_start_date, provider, model_canonical
),

-- What the pools cost beyond what the calls bear, where no bill of theirs is in: hours in which nothing was asked of them, and those
-- of calls that have no price.
idle_hours as (
    select
        p.month_start_date,
        p.week_start_date,
        p.provider,
        p.model_canonical,
        cast(round(p.pool_cost_usd, 10) * 10000000000::hugeint as hugeint) - coalesce(s.effective_units, 0) as idle_units,
    from pool_weeks as p
    left join served as s
        on p.month_start_date = s.month_start_date
        and p.week_start_date = s.week_start_date
        and p.provider = s.provider
        and p.model_canonical = s.model_canonical
    anti join ledger_invoices as i on p.month_start_date = i.month_start_date and p.provider = i.provider
    where cast(round(p.pool_cost_usd, 10) * 10000000000::hugeint as hugeint) > coalesce(s.effective_units, 0)
),

-- They belong to the account of the calls that the GPUs serve, if those have one.
serving_accounts as (
    select month_start_date, provider, min(billing_account_id) as billing_account_id
    from traced
    group by month_start_date, provider
    having count(distinct billing_account_id) = 1
),

idle_charges as (
    select
        h.*,
        coalesce(a.billing_account_id, 'unattributed') as billing_account_id,
        concat_ws(
            chr(31), cast(h.month_start_date as varchar), cast(h.week_start_date as varchar), h.provider, coalesce(a.billing_account_id, 'unattributed')
        ) as part,
    from idle_hours as h
    left join serving_accounts as a on h.month_start_date = a.month_start_date and h.provider = a.provider
),

parts as (
    select distinct month_start_date, week_start_date, provider, billing_account_id from traced
    union
    select distinct month_start_date, week_start_date, provider, billing_account_id from bill_days
    union
    select distinct month_start_date, week_start_date, provider, billing_account_id from idle_charges
),

read_lines as (
    select
        *,
        concat_ws(chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
    from bill_units
),

{% include "parts/allocation_rules.sql" %}

-- Of idle hours a rule for the model decides, else one for the source gpu_pools, else one for the seller.
idle_rules as (
    select c.part, c.model_canonical, r.field, r.field_value
    from idle_charges as c
    inner join (select distinct field, field_value, valid_from_date, valid_to_date from rules) as r
        on r.field_value = case r.field when 'model_canonical' then c.model_canonical when 'source' then 'gpu_pools' when 'provider' then c.provider end
        and c.month_start_date >= r.valid_from_date
        and c.month_start_date < r.valid_to_date
    qualify row_number() over (
        partition by c.part, c.model_canonical order by case r.field when 'model_canonical' then 0 when 'source' then 1 else 2 end
    ) = 1
),

{% set charge = [
    "month_start_date", "week_start_date", "provider", "billing_account_id", "kind", "part", "component", "field", "field_value", "charge_id",
    "charge_start_date", "pool_id", "billed_units", "scope", "charge_basis", "model_canonical", "charge_category",
] %}
judged_charges as (
    select {{ charge | join(", ") }}
    from read_lines
    where line_level in ('charge', 'unmapped')
    union all
    select
        c.month_start_date,
        c.week_start_date,
        c.provider,
        c.billing_account_id,
        'usd' as kind,
        c.part,
        'untraced' as component,
        r.field,
        r.field_value,
        cast(null as varchar) as charge_id,
        c.month_start_date as charge_start_date,
        'gpu_idle|' || c.model_canonical as pool_id,
        c.idle_units as billed_units,
        cast(null as varchar) as scope,
        cast(null as varchar) as charge_basis,
        c.model_canonical,
        'Usage' as charge_category,
    from idle_charges as c
    left join idle_rules as r on c.part = r.part and c.model_canonical = r.model_canonical
),

-- Whoever a rule names bears its share, with or without a call in that part of the month.
named_targets as (
    select distinct c.month_start_date, c.week_start_date, c.provider, c.billing_account_id, r.target_kind, r.target_value
    from judged_charges as c
    inner join rules as r
        on c.field = r.field
        and c.field_value = r.field_value
        and c.charge_start_date >= r.valid_from_date
        and c.charge_start_date < r.valid_to_date
    where r.method in ('fixed', 'even') and r.target_kind <> '' and r.target_value <> ''
    union
    select distinct l.month_start_date, l.week_start_date, l.provider, l.billing_account_id, r.target_kind, r.target_value
    from read_lines as l
    inner join rules as r
        on r.field = 'component'
        and r.field_value = 'untraced'
        and l.month_start_date >= r.valid_from_date
        and l.month_start_date < r.valid_to_date
    where l.line_level in ('class', 'model', 'account') and r.method in ('fixed', 'even') and r.target_kind <> '' and r.target_value <> ''
),

keys as (
    select
        month_start_date, week_start_date, {{ key | join(", ") }}, {{ counts | join(", ") }}, {{ costs | join("_units, ") }}_units,
        false as is_lost, false as is_named,
    from traced
    union all
    select
        month_start_date, week_start_date,
{% for name in key %}
        {{ name if name in ("provider", "billing_account_id") else "'unattributed' as " ~ name }},
{% endfor %}
        0 as {{ counts | join(", 0 as ") }}, 0 as {{ costs | join("_units, 0 as ") }}_units,
        true as is_lost, false as is_named,
    from parts
    union all
    select
        n.month_start_date, n.week_start_date,
{% for name in key %}
    {% if name in ("provider", "billing_account_id") %}
        n.{{ name }},
    {% else %}
        case n.target_kind when '{{ name }}' then n.target_value else 'unattributed' end as {{ name }},
    {% endif %}
{% endfor %}
        0 as {{ counts | join(", 0 as ") }}, 0 as {{ costs | join("_units, 0 as ") }}_units,
        false as is_lost, true as is_named,
    from named_targets as n
    left join traced as t
        on n.month_start_date = t.month_start_date
        and n.week_start_date = t.week_start_date
        and n.provider = t.provider
        and n.billing_account_id = t.billing_account_id
        and n.target_value = case n.target_kind
{% for name in targets %}
            when '{{ name }}' then t.{{ name }}
{% endfor %}
        end
    where t.provider is null and n.target_value <> 'unattributed'
),

-- Text order of row_key is the order of the key's columns: it decides ties.
rows_keyed as (
    select
        *,
        concat_ws(
            chr(31), cast(week_start_date as varchar), cast(month_start_date as varchar), {{ key | join(", ") }}
        ) as row_key,
        concat_ws(
            chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id
        ) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
    from keys
),
