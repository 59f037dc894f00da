/*
about: >-
  What the showback of exports/showback says, row by row, with keys of the dimensions. Summed over any of them it is the showback, to the
  cent. One row per week, billing month and key of the showback.
grain: [row_key]
order_by: [week_start_date, month_start_date, row_key]
columns:
  row_key: VARCHAR; md5 of the key of the row of the showback: the same in every run, and in exports/showback
  week_start_date: DATE; Monday of the ISO week, UTC; to dim_week
  month_start_date: DATE; first day of the billing month, UTC; to dim_month
  team: VARCHAR; owning team, 'unattributed' where none is known; to dim_team
  feature: VARCHAR; product feature, 'unattributed' where none is known; to dim_feature
  customer_tier: VARCHAR; pricing tier of the customer, 'unattributed' where none is known; to dim_customer_tier
  model_key: VARCHAR; seller, model and its capability tier in one text; to dim_model
  account_key: VARCHAR; seller and billed account in one text; to dim_account
  cost_centre: VARCHAR; cost centre that pays, 'unattributed' where none is known
  environment: VARCHAR; production, staging ... , 'unattributed' where none is known
  state: VARCHAR; provisional, final or closed
  allocation_basis: VARCHAR; invoice, or effective_cost where there is no bill yet (an accrual)
  billing_currency: VARCHAR; currency of the invoice; null without a bill
{% include "parts/columns_call_counts.sql" %}
  list_cost_usd: DECIMAL(38,10); cost at list prices of the priced calls; null where there are calls and none is priced
  effective_cost_usd: DECIMAL(38,10); cost of the priced calls under contracts; null where there are calls and none is priced
  direct_cost_usd: DECIMAL(38,10); invoiced list amount that traced calls explain
  allocated_untraced_usd: DECIMAL(38,10); share of the invoiced list amount that no call explains
  discount_usd: DECIMAL(38,10); share of discounts, negative
  credit_usd: DECIMAL(38,10); share of credits, negative
  tax_fee_usd: DECIMAL(38,10); share of tax, fees, commitments and other charges without tokens
  rounding_usd: DECIMAL(38,10); what rounding to the cent added or took; null where a rate to USD is missing
  invoiced_cost_usd: DECIMAL(38,2); what the row bears of the invoice; null where a rate to USD is missing
  invoiced_cost_billing_currency: DECIMAL(38,2); the same in the currency of the invoice: sum it within one billing_currency; null without a bill
checks:
  - not_null: [week_start_date, month_start_date, team, feature, customer_tier, model_key, account_key, cost_centre, environment, state]
  - not_null: [allocation_basis, requests, direct_cost_usd, allocated_untraced_usd, discount_usd, credit_usd, tax_fee_usd]
*/
{% from "macros/star.sql" import model_key, account_key %}
select
    row_key,
    week_start_date,
    month_start_date,
    team,
    feature,
    customer_tier,
    {{ model_key() }} as model_key,
    {{ account_key() }} as account_key,
    cost_centre,
    environment,
    state,
    allocation_basis,
    billing_currency,
    requests,
    tasks,
    successes,
    unpriced_requests,
    unpriced_tokens,
    input_total_tokens,
    output_total_tokens,
    cache_read_total_tokens,
    cache_write_total_tokens,
    output_reasoning_tokens,
    list_cost_usd,
    effective_cost_usd,
    direct_cost_usd,
    allocated_untraced_usd,
    discount_usd,
    credit_usd,
    tax_fee_usd,
    rounding_usd,
    invoiced_cost_usd,
    invoiced_cost_billing_currency,
from published_showback_weekly
