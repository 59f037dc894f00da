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

parts as (
    select distinct month_start_date, week_start_date, provider, billing_account_id from traced
    union
    select distinct month_start_date, week_start_date, provider, billing_account_id from bill_days
),

read_lines as (
    select
        *,
        concat_ws(chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
    from bill_units
),

judged_charges as (
    select * from read_lines where line_level in ('charge', 'unmapped')
),

{% include "parts/allocation_rules.sql" %}

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
