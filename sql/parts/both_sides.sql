{#
Bills and calls at the level at which they can be matched, for mart_reconciliation_daily: `bill_cells` has the amounts of the bill,
`token_cells` the tokens of both sides by what is priced alike. Also `bill`, `accounts` (whose calls stand beside which invoice),
`account_levels` (how fine a bill is) and `both_sides`.
#}
bill as (
    select
        month_start_date,
        usage_date,
        provider,
        billing_account_id,
        billing_currency,
        charge_category,
        source,
        model_canonical,
        case when token_type in ('{{ token_types | join("', '") }}') then token_type end as token_type,
        billed_usd,
        list_usd,
        billed_amount,
    from ledger_bill_days
),

-- Calls and tokens stand beside the larger invoice of an account.
accounts as (
    select month_start_date, provider, billing_account_id, billing_currency
    from bill
    group by month_start_date, provider, billing_account_id, billing_currency
    qualify row_number() over (
        partition by month_start_date, provider, billing_account_id order by abs(sum(billed_amount)) desc, billing_currency
    ) = 1
),

sellers as (
    select distinct month_start_date, provider
    from accounts
),

-- How fine the bill of an account is: no line names a model, or it is told model by model.
account_levels as (
    select
        month_start_date,
        provider,
        billing_account_id,
        count(case when charge_category = 'Usage' then 1 end) > 0
        and count(case when charge_category = 'Usage' and model_canonical is not null then 1 end) = 0
        and count(case when charge_category = 'Usage' and token_type is not null then 1 end) = 0 as is_by_account,
    from bill
    group by month_start_date, provider, billing_account_id
),

model_levels as (
    select
        month_start_date,
        provider,
        billing_account_id,
        model_canonical,
        count(token_type) = 0 as is_by_model,
        count(case when token_type is null then 1 end) > 0 as has_other_lines,
    from bill
    where charge_category = 'Usage' and model_canonical is not null
    group by month_start_date, provider, billing_account_id, model_canonical
),

-- Amounts of the bill at the level at which it can be matched.
bill_cells as (
    select
        b.month_start_date,
        b.usage_date,
        b.provider,
        b.billing_account_id,
        b.billing_currency,
        case when not a.is_by_account then b.model_canonical end as model_canonical,
        case when not a.is_by_account then b.token_type end as token_type,
        count(*) as bill_lines,
        count(case when b.billed_usd is null then 1 end) as lines_without_rate,
        cast(coalesce(sum(b.billed_usd), 0) * 10000000000::hugeint as hugeint) as billed_units,
        cast(coalesce(sum(case when b.is_mapped then b.list_usd end), 0) * 10000000000::hugeint as hugeint) as list_units,
        cast(coalesce(sum(
            case when b.is_mapped then b.billed_usd - b.list_usd when b.charge_category = 'Adjustment' then b.billed_usd end
        ), 0) * 10000000000::hugeint as hugeint) as discount_units,
        cast(coalesce(sum(case when b.charge_category = 'Credit' then b.billed_usd end), 0) * 10000000000::hugeint as hugeint)
            as credit_units,
        cast(coalesce(sum(case when b.charge_category in ('Tax', 'Purchase') then b.billed_usd end), 0) * 10000000000::hugeint as hugeint)
            as tax_fee_units,
    from (
        select
            b.*,
            b.charge_category = 'Usage'
            and (a.is_by_account or b.model_canonical is not null and (b.token_type is not null or m.is_by_model)) as is_mapped,
        from bill as b
        inner join account_levels as a
            on b.month_start_date = a.month_start_date and b.provider = a.provider and b.billing_account_id = a.billing_account_id
        left join model_levels as m
            on b.month_start_date = m.month_start_date
            and b.provider = m.provider
            and b.billing_account_id = m.billing_account_id
            and b.model_canonical = m.model_canonical
    ) as b
    inner join account_levels as a
        on b.month_start_date = a.month_start_date and b.provider = a.provider and b.billing_account_id = a.billing_account_id
    group by
        b.month_start_date, b.usage_date, b.provider, b.billing_account_id, b.billing_currency,
        case when not a.is_by_account then b.model_canonical end, case when not a.is_by_account then b.token_type end
),

-- Both sides of the tokens. A null account is one that cannot be told.
both_sides as (
    select
        cast(date_trunc('month', t.usage_date) as date) as month_start_date,
        t.usage_date,
        t.provider,
        t.billing_account_id,
        t.model_canonical,
        t.token_type,
        t.token_class,
        t.rate_tier,
        t.traced_tokens,
        t.priced_tokens,
        cast(0 as bigint) as billed_tokens,
        cast(round(coalesce(t.list_cost_usd, 0), 10) * 10000000000::hugeint as hugeint) as traced_units,
        cast(round(coalesce(t.effective_cost_usd, 0), 10) * 10000000000::hugeint as hugeint) as effective_units,
    from ledger_traced_days as t
    left join accounts as a
        on cast(date_trunc('month', t.usage_date) as date) = a.month_start_date
        and t.provider = a.provider
        and t.billing_account_id = a.billing_account_id
    left join sellers as s
        on cast(date_trunc('month', t.usage_date) as date) = s.month_start_date and t.provider = s.provider
    where a.provider is not null or (t.billing_account_id is null and s.provider is not null)
    union all
    select
        u.month_start_date,
        u.usage_date,
        u.provider,
        u.billing_account_id,
        u.model_canonical,
        case when u.token_type <> 'other' then u.token_type end as token_type,
        u.token_class,
        u.rate_tier,
        0 as traced_tokens,
        0 as priced_tokens,
        u.billed_tokens,
        cast(0 as hugeint) as traced_units,
        cast(0 as hugeint) as effective_units,
    from ledger_billed_tokens as u
    inner join accounts as a
        on u.month_start_date = a.month_start_date and u.provider = a.provider and u.billing_account_id = a.billing_account_id
),

-- Where the bill does not tell several rates of a token type apart they are one.
told_apart as (
    select month_start_date, provider, billing_account_id, model_canonical, token_type
    from both_sides
    where billed_tokens > 0
    group by month_start_date, provider, billing_account_id, model_canonical, token_type
    having count(distinct token_class || rate_tier) > 1
),

levelled as (
    select
        s.month_start_date,
        s.usage_date,
        s.provider,
        s.billing_account_id,
        s.model_canonical,
        s.token_type,
        case when k.provider is null or s.token_type is null then '' else s.token_class end as token_class,
        case when k.provider is null or s.token_type is null then '' else s.rate_tier end as rate_tier,
        case
            when a.is_by_account or (s.token_type is null and not coalesce(m.has_other_lines, false) and s.billing_account_id is not null)
                then null
            else s.model_canonical
        end as row_model,
        case when not coalesce(a.is_by_account, false) and not coalesce(m.is_by_model, false) then s.token_type end as row_type,
        s.traced_tokens,
        s.priced_tokens,
        s.billed_tokens,
        s.traced_units,
        s.effective_units,
    from both_sides as s
    left join told_apart as k
        on s.month_start_date = k.month_start_date
        and s.provider = k.provider
        and s.billing_account_id = k.billing_account_id
        and s.model_canonical is not distinct from k.model_canonical
        and s.token_type = k.token_type
    left join account_levels as a
        on s.month_start_date = a.month_start_date and s.provider = a.provider and s.billing_account_id = a.billing_account_id
    left join model_levels as m
        on s.month_start_date = m.month_start_date
        and s.provider = m.provider
        and s.billing_account_id = m.billing_account_id
        and s.model_canonical = m.model_canonical
),

token_cells as (
    select
        month_start_date,
        usage_date,
        provider,
        billing_account_id,
        model_canonical,
        token_type,
        token_class,
        rate_tier,
        row_model,
        row_type,
{% for name in ("traced_tokens", "priced_tokens", "billed_tokens", "traced_units", "effective_units") %}
        cast(sum({{ name }}) as hugeint) as {{ name }},
{% endfor %}
    from levelled
    group by
        month_start_date, usage_date, provider, billing_account_id, model_canonical, token_type, token_class, rate_tier, row_model, row_type
),
