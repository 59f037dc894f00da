/*
about: >-
  Accounts that a provider billed in a month, to tell the account of a call whose provider has only one. One row per month,
  provider and account.
grain: [month_start_date, provider, billing_account_id]
partition: month
columns:
  month_start_date: DATE; first day of the billing month, UTC
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
*/
select distinct
    month_start_date,
    provider,
    billing_account_id,
from ledger_bills
where is_the_bill
