{#
Charges of period_charges.csv as lines of an invoice, in USD at the rate of their first day: `charge_lines`.
#}
{% from "macros/rates.sql" import fx_rates with context %}
-- The newest belief about a charge counts.
charges as (
    select *
    from ref_period_charges
    qualify row_number() over (partition by charge_id order by known_at desc nulls last, reference_row desc) = 1
),

{{ fx_rates() }},

-- A charge of a period is in the month in which it starts, with or without calls and bills, from the day on which that is reached.
charge_lines as (
    select
        'period_charge|' || c.charge_id as cost_key,
        cast(date_trunc('month', c.period_start_date) as date) as month_start_date,
        c.period_start_date as charge_start_date,
        c.period_end_date as charge_end_date,
        c.charge_id,
        c.scope,
        c.allocation_basis as charge_basis,
        cast(null as varchar) as line_item_raw,
        'period_charges' as source,
        c.provider,
        c.billing_account_id,
        case c.kind when 'credit' then 'Credit' when 'tax' then 'Tax' else 'Purchase' end as charge_category,
        cast(null as varchar) as model_canonical,
        cast(null as varchar) as token_type,
        cast(null as varchar) as service_tier,
        cast(null as boolean) as is_batch,
        cast(null as varchar) as cache_ttl,
        cast(null as varchar) as modality,
        cast(null as decimal(38, 9)) as metered_tokens,
        coalesce(c.currency, 'USD') as billing_currency,
        case
            when coalesce(c.currency, 'USD') = 'USD' then cast(coalesce(c.amount_usd, c.amount) as decimal(38, 12))
            when c.amount_usd is not null then cast(c.amount_usd as decimal(38, 12))
            else cast(cast(c.amount as decimal(26, 12)) * cast(x.fx_rate_to_usd as decimal(12, 8)) as decimal(38, 12))
        end as billed_usd,
        cast(coalesce(c.amount, c.amount_usd) as decimal(38, 12)) as billed_amount,
    from charges as c
    left join rates as x
        on c.currency = x.currency and c.period_start_date >= x.rate_date and c.period_start_date < x.next_rate_date
    left join ledger_clock as t on true
    where not coalesce(date_trunc('month', c.period_start_date) > cast(t.now_at as date), false)
),
