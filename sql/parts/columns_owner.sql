{# Columns of a header: who bears the cost, and to whom it is owed. #}
  cost_centre: VARCHAR; cost centre that bears the cost, 'unattributed' where none is known
  team: VARCHAR; owning team, 'unattributed' where none is known
  feature: VARCHAR; product feature, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  environment: VARCHAR; deployment environment, 'unattributed' where none is known
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where it cannot be told
