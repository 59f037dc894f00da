/*
about: Every billed account that a fact names. One row per seller and account.
grain: [account_key]
columns:
  account_key: VARCHAR; seller and account in one text
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where it cannot be told
checks:
  - not_null: [provider, billing_account_id]
*/
{% from "macros/star.sql" import account_key %}
select distinct
    {{ account_key() }} as account_key,
    provider,
    billing_account_id,
from published_showback_weekly
union
select distinct
    {{ account_key() }} as account_key,
    provider,
    coalesce(billing_account_id, 'unattributed') as billing_account_id,
from mart_reconciliation_monthly
