/*
about: >-
  Every model that a fact names, by seller. A model whose capability tier changed has a row for each, so past weeks keep theirs. One row
  per seller, model and tier.
grain: [model_key]
columns:
  model_key: VARCHAR; seller, model and tier in one text
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it, 'unattributed' on the unattributed line
  model_tier: VARCHAR; capability tier of the model (not the customer's tier), 'unknown_tier' where none is known
checks:
  - not_null: [provider, model_canonical, model_tier]
*/
{% from "macros/star.sql" import model_key %}
select distinct
    {{ model_key() }} as model_key,
    provider,
    model_canonical,
    model_tier,
from published_showback_weekly
