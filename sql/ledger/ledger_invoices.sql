/*
about: >-
  The invoice of each provider, account, billing month and currency: the sum of its lines, rounded once, half away from zero, to
  the minor unit, and in USD. An account with calls and no bill has no row.
grain: [month_start_date, provider, billing_account_id, billing_currency]
partition: month
partition_column: month_start_date
columns:
  month_start_date: DATE; first day of the billing month, UTC
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
  billing_currency: VARCHAR; ISO 4217, upper case
  bill_lines: BIGINT; lines, period charges included
  billed_amount: DECIMAL(38,10); sum of the lines in the billing currency
  invoiced_cost_billing_currency: DECIMAL(38,2); the invoice in the billing currency
  billed_usd: DECIMAL(38,10); sum of the lines in USD; null where a rate is missing
  invoiced_cost_usd: DECIMAL(38,2); the invoice in USD; null where a rate is missing
  bill_snapshot_id: VARCHAR; hash of the lines and amounts of the bill: another one when a line changes
  state: VARCHAR; final once the books' now is past the last line's end and the restatement lag, else provisional
checks:
  - one_of: [state, provisional, final]
question: What is each invoice, to the cent?
answer: >-
  select month_start_date, provider, billing_account_id, billing_currency, invoiced_cost_billing_currency, invoiced_cost_usd, state
  from ledger_invoices order by all
*/
with summed as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        count(distinct cost_key) as bill_lines,
        cast(sum(billed_amount) as decimal(38, 10)) as billed_amount,
        case when count(*) = count(billed_usd) then cast(sum(billed_usd) as decimal(38, 10)) end as billed_usd,
        max(charge_end_date) as last_end_date,
        substr(sha256(string_agg(concat_ws(' ', cost_key, cast(usage_date as varchar), cast(billed_amount as varchar)), ',' order by cost_key, usage_date)), 1, 12)
            as bill_snapshot_id,
    from ledger_bill_days
    group by month_start_date, provider, billing_account_id, billing_currency
)

select
    s.month_start_date,
    s.provider,
    s.billing_account_id,
    s.billing_currency,
    s.bill_lines,
    s.billed_amount,
    cast(round(s.billed_amount, 2) as decimal(38, 2)) as invoiced_cost_billing_currency,
    s.billed_usd,
    cast(round(s.billed_usd, 2) as decimal(38, 2)) as invoiced_cost_usd,
    s.bill_snapshot_id,
    case when s.last_end_date + cast(coalesce(l.threshold_number, 0) as integer) <= cast(c.now_at as date) then 'final' else 'provisional' end as state,
from summed as s
cross join ledger_clock as c
left join ref_limits as l
    on l.limit_name = 'restatement_lag_days'
    and l.scope_kind = ''
    and s.last_end_date >= l.valid_from_date
    and s.last_end_date < l.valid_to_date
