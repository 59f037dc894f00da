{#
Use that no bill covers yet, for focus_cost_and_usage: `accruals` has a row for each day, key of the showback and token type, as the
calls cost.
#}
-- What no bill covers: calls of accounts without one, by day and class, as they cost.
days as (
    select
        d.*,
        cast(date_trunc('month', d.usage_date) as date) as month_start_date,
        cast(date_trunc('week', d.usage_date) as date) as week_start_date,
    from ledger_showback_days as d
    anti join ledger_invoices as i
        on cast(date_trunc('month', d.usage_date) as date) = i.month_start_date
        and d.provider = i.provider
        and (d.billing_account_id = i.billing_account_id or d.billing_account_id = 'unattributed')
    where d.requests > d.unpriced_requests
),

classes as (
{% for type in token_types %}
    select
        *, '{{ type }}' as token_type, {{ tokens_of_type(type) }} as class_tokens, {{ type }}_cost_usd as class_cost_usd,
        {{ type }}_list_cost_usd as class_list_cost_usd,
    from days
    union all
{% endfor %}
    select *, 'other' as token_type, 0 as class_tokens,
        effective_cost_usd - {{ token_types | join("_cost_usd - ") }}_cost_usd as class_cost_usd,
        list_cost_usd - {{ token_types | join("_list_cost_usd - ") }}_list_cost_usd as class_list_cost_usd
    from days
),

accrued as (
    select
        *,
        cast(class_cost_usd * 10000000000::hugeint as hugeint) as billed_units,
        cast(class_list_cost_usd * 10000000000::hugeint as hugeint) as list_units,
        class_tokens > 0 as is_quantity_known,
    from classes
    where class_tokens <> 0 or class_cost_usd <> 0 or class_list_cost_usd <> 0
),

accruals as (
    select
        *,
        case
            when is_quantity_known then cast(class_tokens as hugeint) * 1000000000
            when list_units <> 0 then list_units * 100000
            else billed_units * 100000
        end as quantity_units,
    from accrued
),
