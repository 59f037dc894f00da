/*
about: >-
  How each line of an invoice is shared out: the pool that its money goes to, day by day. Lines that name a model, or model and
  class of tokens, are explained by calls; other charges go by the allocation rule that is closest to them, else by list cost in
  their scope. One row per line and day of the currency in which the account and month is split.
grain: [cost_key, usage_date]
partition: month
partition_column: month_start_date
leads: [ledger_bill_days]
columns:
  cost_key: VARCHAR; key of the bill line, or 'period_charge|' and the charge's id
  month_start_date: DATE; first day of the billing month, UTC
  usage_date: DATE; UTC day of this part of the line
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
  line_level: VARCHAR; class, model or account: how finely calls explain the line; unmapped where none can; charge for what is not usage
  component: VARCHAR; untraced, discount, credit or tax_fee: where a charge, or a line that maps to nothing, stands in the showback
  rule_field: VARCHAR; charge_match_field of the allocation rule that takes the line; null where none does
  rule_value: VARCHAR; charge_match_value of that rule
  pool_id: VARCHAR; pool of the list amount (of the billed amount, where the line is not explained by calls), within account, month and week
  discount_pool_id: VARCHAR; pool of billed less list amount; null where the line is not explained by calls
checks:
  - one_of: [line_level, class, model, account, unmapped, charge]
  - not_null: [line_level, pool_id]
*/
with
{% include "parts/larger_invoices.sql" %}

lines as (
    select
        b.*,
        concat_ws(chr(31), cast(b.month_start_date as varchar), b.provider, b.billing_account_id) as account_month,
    from ledger_bill_days as b
    inner join invoices as i
        on b.month_start_date = i.month_start_date
        and b.provider = i.provider
        and b.billing_account_id = i.billing_account_id
        and b.billing_currency = i.billing_currency
),

-- How fine a bill is: an account none of whose lines names a model or token type is matched as a whole, a model none of whose
-- lines names a token type as one.
unnamed as (
    select account_month
    from lines
    where charge_category = 'Usage'
    group by account_month
    having count(model_canonical) = 0 and count(token_type) = 0
),

untyped as (
    select account_month, model_canonical
    from lines
    where charge_category = 'Usage' and model_canonical is not null
    group by account_month, model_canonical
    having count(token_type) = 0
),

read_lines as (
    select
        l.*,
        case
            when l.charge_category <> 'Usage' then 'charge'
            when a.account_month is not null then 'account'
            when m.account_month is not null then 'model'
            when l.model_canonical is not null and l.token_type is not null then 'class'
            else 'unmapped'
        end as line_level,
    from lines as l
    left join unnamed as a on l.account_month = a.account_month
    left join untyped as m on l.account_month = m.account_month and l.model_canonical = m.model_canonical
),

-- What allocation rules may take: charges without tokens, lines that map to nothing, and what no call explains.
charges as (
    select
        *,
        case charge_category
            when 'Credit' then 'credit'
            when 'Adjustment' then 'discount'
            when 'Usage' then 'untraced'
            else 'tax_fee'
        end as component,
        cast(case when line_level = 'unmapped' then 'unexplained' end as varchar) as part_of_bill,
    from read_lines
    where line_level in ('charge', 'unmapped')
),

rule_matches as (
    select field, field_value, place
    from (
        select distinct charge_match_field as field, charge_match_value as field_value
        from ref_allocation_rules
    ) as r
    inner join (
        select 'charge_id' as known_field, 1 as place
        union all select 'line_item_raw', 2
        union all select 'model_canonical', 3
        union all select 'charge_category', 4
        union all select 'billing_account_id', 5
        union all select 'source', 6
        union all select 'provider', 7
        union all select 'component', 8
    ) as f
        on r.field = f.known_field
),

{% include "parts/allocation_rules.sql" %}

-- The closest match of a kind of charge decides; its rules are those valid on the first day of the charge.
charge_kinds as (
    select distinct
        charge_id, line_item_raw, model_canonical, charge_category, billing_account_id, source, provider, part_of_bill, charge_start_date,
    from charges
),

ruled_kinds as (
    select k.*, m.field, m.field_value
    from charge_kinds as k
    inner join rule_matches as m
        on m.field_value = case m.field
            when 'charge_id' then k.charge_id
            when 'line_item_raw' then k.line_item_raw
            when 'model_canonical' then k.model_canonical
            when 'charge_category' then k.charge_category
            when 'billing_account_id' then k.billing_account_id
            when 'source' then k.source
            when 'provider' then k.provider
            when 'component' then k.part_of_bill
        end
    where exists (
        select 1
        from rules as r
        where r.field = m.field
            and r.field_value = m.field_value
            and k.charge_start_date >= r.valid_from_date
            and k.charge_start_date < r.valid_to_date
    )
    qualify row_number() over (
        partition by
            k.charge_id, k.line_item_raw, k.model_canonical, k.charge_category, k.billing_account_id, k.source, k.provider, k.part_of_bill,
            k.charge_start_date
        order by m.place
    ) = 1
),

judged_charges as (
    select
        c.*,
        r.field,
        r.field_value,
    from charges as c
    left join ruled_kinds as r
        on c.charge_id is not distinct from r.charge_id
        and c.line_item_raw is not distinct from r.line_item_raw
        and c.model_canonical is not distinct from r.model_canonical
        and c.charge_category = r.charge_category
        and c.billing_account_id = r.billing_account_id
        and c.source = r.source
        and c.provider = r.provider
        and c.part_of_bill is not distinct from r.part_of_bill
        and c.charge_start_date = r.charge_start_date
)

select
    l.cost_key,
    l.month_start_date,
    l.usage_date,
    l.provider,
    l.billing_account_id,
    l.line_level,
    c.component,
    c.field as rule_field,
    c.field_value as rule_value,
    case
        when l.line_level in ('class', 'model')
            then concat_ws('|', 'usage', l.model_canonical, case when l.line_level = 'class' then l.token_type end)
        when l.line_level = 'account' then 'usage'
        when c.field is not null
            then concat_ws('|', 'rule', c.component, c.field, c.field_value, l.charge_id, cast(l.charge_start_date as varchar))
        when l.line_level = 'unmapped' then 'unmapped'
        when c.component in ('credit', 'discount')
            or (l.charge_id is not null and (l.charge_category = 'Purchase' or l.scope is not null or l.charge_basis is not null))
            then concat_ws(
                '|', 'charge', c.component,
                case when l.charge_id is not null then coalesce(l.scope, '=') || '|' || coalesce(l.charge_basis, 'list_cost_usd') else l.model_canonical end,
                l.charge_id, cast(l.charge_start_date as varchar)
            )
        else concat_ws('|', 'fee', l.charge_category, l.charge_id, cast(l.charge_start_date as varchar))
    end as pool_id,
    case
        when l.line_level in ('class', 'model') then concat_ws('|', 'discount', l.model_canonical)
        when l.line_level = 'account' then 'discount'
    end as discount_pool_id,
from read_lines as l
left join judged_charges as c on l.cost_key = c.cost_key and l.usage_date = c.usage_date
