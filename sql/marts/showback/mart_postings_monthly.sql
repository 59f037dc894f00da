/*
about: >-
  The statements as lines for a general ledger: the cost of each cost centre against the clearing account that the provider's invoice
  was booked to. An entry for each billing month, seller, account and currency; its debits equal its credits. One row per line.
grain: [month_start_date, provider, billing_account_id, billing_currency, line_kind, cost_centre]
partition: month
columns:
  month_start_date: DATE; first day of the billing month, UTC
  posting_date: DATE; last day of the billing month
  entry_id: VARCHAR; month, seller, account and currency of the entry in one text
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where it cannot be told
  billing_currency: VARCHAR; currency of the entry; USD without a bill
  line_kind: VARCHAR; expense for a cost centre, clearing for the other side
  cost_centre: VARCHAR; cost centre that bears the cost, 'unattributed' where none is known, 'clearing' on the other side
  ledger_account: VARCHAR; account of your general ledger, from ledger_accounts.csv; null where that names none
  debit_amount: DECIMAL(38,2); debit in the currency of the entry, 0 on a credit line
  credit_amount: DECIMAL(38,2); credit in the currency of the entry, 0 on a debit line
  debited_usd: DECIMAL(38,2); debit in USD; null where a rate is missing
  credited_usd: DECIMAL(38,2); credit in USD; null where a rate is missing
  posting_text: VARCHAR; what the line is for, in words
  state: VARCHAR; final where all statements of the entry are, else provisional
  allocation_basis: VARCHAR; invoice, or effective_cost where there is no bill yet (an accrual)
checks:
  - one_of: [line_kind, expense, clearing]
  - rule: debit_amount >= 0 and credit_amount >= 0 and (debit_amount = 0 or credit_amount = 0)
    text: a line is a debit or a credit
  - no_rows: >-
      select strftime(month_start_date, '%Y-%m-%d') as partition, entry_id
      from mart_postings_monthly
      group by month_start_date, entry_id
      having sum(debit_amount) <> sum(credit_amount)
          or coalesce(sum(debited_usd), 0) <> coalesce(sum(credited_usd), 0)
    text: the debits of an entry equal its credits, in its currency and in USD
question: What is to be posted for a month?
answer: >-
  select entry_id, line_kind, cost_centre, ledger_account, debit_amount, credit_amount, billing_currency
  from mart_postings_monthly where state = 'final' and allocation_basis = 'invoice' order by all
notes:
  - A cost centre that bears nothing has no line. Post what is final and stands on an invoice; what is provisional, or an accrual, may change.
*/
with statements as (
    select *
    from mart_statements_monthly
    where invoiced_cost_billing_currency <> 0 or coalesce(invoiced_cost_usd, 0) <> 0
),

entries as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        'expense' as line_kind,
        cost_centre,
        invoiced_cost_billing_currency as line_amount,
        invoiced_cost_usd as line_usd,
        state,
        allocation_basis,
    from statements
    union all
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        'clearing' as line_kind,
        'clearing' as cost_centre,
        -sum(invoiced_cost_billing_currency) as line_amount,
        case when count(*) = count(invoiced_cost_usd) then -sum(invoiced_cost_usd) end as line_usd,
        case when count(*) = count(case when state = 'final' then 1 end) then 'final' else 'provisional' end as state,
        max(allocation_basis) as allocation_basis,
    from statements
    group by month_start_date, provider, billing_account_id, billing_currency
),

-- An account of a seller goes before one for all.
accounts as (
    select line_kind, coalesce(provider, '') as provider, min(ledger_account) as ledger_account
    from ref_ledger_accounts
    group by line_kind, coalesce(provider, '')
),

judged as (
    select
        *,
        min(state) over (partition by month_start_date, provider, billing_account_id, billing_currency) as least_state,
        max(state) over (partition by month_start_date, provider, billing_account_id, billing_currency) as most_state,
        count(*) over (partition by month_start_date, provider, billing_account_id, billing_currency)
        = count(line_usd) over (partition by month_start_date, provider, billing_account_id, billing_currency) as is_in_usd,
    from entries
)

select
    e.month_start_date,
    cast(e.month_start_date + interval 1 month - interval 1 day as date) as posting_date,
    concat_ws('|', strftime(e.month_start_date, '%Y-%m'), e.provider, e.billing_account_id, e.billing_currency) as entry_id,
    e.provider,
    e.billing_account_id,
    e.billing_currency,
    e.line_kind,
    e.cost_centre,
    coalesce(o.ledger_account, a.ledger_account) as ledger_account,
    cast(case when e.line_amount > 0 then e.line_amount else 0 end as decimal(38, 2)) as debit_amount,
    cast(case when e.line_amount < 0 then -e.line_amount else 0 end as decimal(38, 2)) as credit_amount,
    cast(case when e.is_in_usd then case when e.line_usd > 0 then e.line_usd else 0 end end as decimal(38, 2)) as debited_usd,
    cast(case when e.is_in_usd then case when e.line_usd < 0 then -e.line_usd else 0 end end as decimal(38, 2)) as credited_usd,
    concat_ws(
        ' ', 'LLM cost', strftime(e.month_start_date, '%Y-%m'), e.provider, e.billing_account_id,
        case when e.allocation_basis = 'invoice' then 'invoice' else 'accrual' end
    ) as posting_text,
    case when e.least_state = 'final' and e.most_state = 'final' then 'final' else 'provisional' end as state,
    e.allocation_basis,
from judged as e
left join accounts as o on e.line_kind = o.line_kind and e.provider = o.provider
left join accounts as a on e.line_kind = a.line_kind and a.provider = ''
