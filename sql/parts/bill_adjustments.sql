{#
What a bearer bears beside its share of charges, for focus_cost_and_usage: `adjustments` has the cents of the showback less
`rows_of_charges`, and what became known of closed months. Also `states` of the showback.
#}
billed_sums as (
    select {{ (account + bearer) | join(", ") }}, sum(billed_units) as billed_units
    from rows_of_charges
    group by {{ (account + bearer) | join(", ") }}
),

-- The cents of the showback less what was split: rounding, and discounts and lines of other pools as the showback shares them.
nets as (
    select
        month_start_date,
        week_start_date,
        provider,
        billing_account_id,
        coalesce(billing_currency, 'USD') as billing_currency,
        {{ key_as_bearer | join(", ") }},
        state,
        cast(coalesce(invoiced_cost_billing_currency, invoiced_cost_usd, 0) * 10000000000::hugeint as hugeint) as net_units,
    from mart_showback_weekly
),

states as (
    select month_start_date, provider, billing_account_id, min(state) as least_state, max(state) as most_state
    from nets
    group by month_start_date, provider, billing_account_id
),

-- An invoice in a second currency is no part of the showback: it is rounded as a whole.
unsplit as (
    select
        i.month_start_date,
        i.provider,
        i.billing_account_id,
        i.billing_currency,
        cast(i.invoiced_cost_billing_currency * 10000000000::hugeint as hugeint) - cast(i.billed_amount * 10000000000::hugeint as hugeint) as billed_units,
    from ledger_invoices as i
    anti join nets as n
        on i.month_start_date = n.month_start_date
        and i.provider = n.provider
        and i.billing_account_id = n.billing_account_id
        and i.billing_currency = n.billing_currency
),

roundings as (
    select
        n.month_start_date, n.week_start_date, n.provider, n.billing_account_id,
        n.billing_currency,
        n.{{ bearer | join(", n.") }},
        greatest(n.week_start_date, n.month_start_date) as first_date,
        least(cast(n.week_start_date + 7 as date), cast(n.month_start_date + interval 1 month as date)) as end_date,
        n.net_units - coalesce(b.billed_units, 0) as billed_units,
    from nets as n
    left join billed_sums as b
        on n.month_start_date = b.month_start_date
{% for name in account[1:] + bearer %}
        and n.{{ name }} = b.{{ name }}
{% endfor %}
    union all
    select
        month_start_date,
        cast(date_trunc('week', month_start_date) as date) as week_start_date,
        provider,
        billing_account_id,
        billing_currency,
{% for name in bearer %}
        'unattributed' as {{ name }},
{% endfor %}
        month_start_date as first_date,
        cast(month_start_date + interval 1 month as date) as end_date,
        billed_units,
    from unsplit
),

-- What became known of closed months stands in the month that is open, in the period that it is about.
corrections as (
    select
        cast(booked_month || '-01' as date) as month_start_date,
        week_start_date,
        greatest(week_start_date, month_start_date) as first_date,
        least(cast(week_start_date + 7 as date), cast(month_start_date + interval 1 month as date)) as end_date,
        provider,
        billing_account_id,
        coalesce(billing_currency, 'USD') as billing_currency,
        {{ key_as_bearer | join(", ") }},
        billing_month,
        reason,
        cast(coalesce(delta_billing_currency, delta_usd) * 10000000000::hugeint as hugeint) as billed_units,
    from mart_corrections_weekly
    where coalesce(delta_billing_currency, delta_usd) <> 0
),

adjustments as (
    select
        r.month_start_date,
        r.week_start_date,
        r.first_date,
        r.end_date,
        r.provider,
        r.billing_account_id,
        r.billing_currency,
        r.{{ bearer | join(", r.") }},
        'rounding' as allocation_basis,
        case when i.invoice_id is not null
            then md5(concat_ws(chr(31), 'rounding', r.provider, r.billing_account_id, cast(r.month_start_date as varchar), r.billing_currency))
        end as invoice_detail_id,
        i.invoice_id,
        i.invoice_issuer,
        false as is_correction,
        'Rounding to whole cents' as charge_text,
        r.billed_units,
    from roundings as r
    left join invoice_ids as i
        on r.month_start_date = i.month_start_date
        and r.provider = i.provider
        and r.billing_account_id = i.billing_account_id
        and r.billing_currency = i.billing_currency
    where r.billed_units <> 0
    union all
    select
        {{ (period + bearer) | join(", ") }},
        'correction' as allocation_basis,
        cast(null as varchar) as invoice_detail_id,
        cast(null as varchar) as invoice_id,
        cast(null as varchar) as invoice_issuer,
        true as is_correction,
        concat_ws(' ', 'Correction of', billing_month, '(' || replace(reason, '_', ' ') || ')') as charge_text,
        billed_units,
    from corrections
),
