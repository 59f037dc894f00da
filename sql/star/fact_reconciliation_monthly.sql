/*
about: >-
  Each invoice against the calls of its month, as amounts that sum. As the books have it now, also of closed months. One row per month,
  account and currency.
grain: [month_start_date, account_key, billing_currency]
columns:
  month_start_date: DATE; first day of the billing month, UTC; to dim_month
  account_key: VARCHAR; seller and billed account in one text; to dim_account
  billing_currency: VARCHAR; currency of the invoice, 'none' without a bill
  verdict: VARCHAR; ok, warn, fail, no_bill, no_trace, or no_rate where dollars are unknown
  state: VARCHAR; provisional until the bill is complete and while the verdict is fail, then final
  invoiced_cost_usd: DECIMAL(38,2); the invoice; null without a bill and where a rate is missing
  billed_usd: DECIMAL(38,10); amount of all lines before rounding; null without a bill and where a rate is missing
  traced_list_cost_usd: DECIMAL(38,10); what the calls cost at list prices
  traced_effective_cost_usd: DECIMAL(38,10); what the calls cost under contracts
  untraced_usd: DECIMAL(38,10); tokens billed that no call explains; null without a bill
  day_cut_usd: DECIMAL(38,10); tokens billed on the day before or after their call; null without a bill
  price_mismatch_usd: DECIMAL(38,10); list amount of the bill less its tokens at our list price; null without a bill
  discount_usd: DECIMAL(38,10); discounts and adjustments, negative; null without a bill
  credit_usd: DECIMAL(38,10); credits, negative; null without a bill
  tax_fee_usd: DECIMAL(38,10); tax, fees, commitments; null without a bill
  rounding_usd: DECIMAL(38,10); up to half a cent a line; null without a bill
  unexplained_usd: DECIMAL(38,10); what is left beyond that; null without a bill
  traced_tokens: BIGINT; tokens of the calls; over billed_tokens, the coverage
  billed_tokens: BIGINT; tokens that the provider counts; null where it tells none
checks:
  - not_null: [account_key, verdict, state]
*/
{% from "macros/star.sql" import account_key %}
select
    month_start_date,
    {{ account_key() }} as account_key,
    coalesce(billing_currency, 'none') as billing_currency,
    verdict,
    state,
    invoiced_cost_usd,
    billed_usd,
    traced_list_cost_usd,
    traced_effective_cost_usd,
    untraced_usd,
    day_cut_usd,
    price_mismatch_usd,
    discount_usd,
    credit_usd,
    tax_fee_usd,
    rounding_usd,
    unexplained_usd,
    traced_tokens,
    billed_tokens,
from mart_reconciliation_monthly
