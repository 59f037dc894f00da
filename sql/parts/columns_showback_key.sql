{# Columns of a header: the key of the showback below week and month. #}
{% include "parts/columns_owner.sql" %}
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it, 'unattributed' on the unattributed line
  model_tier: VARCHAR; capability tier of the model (not the customer's tier), 'unknown_tier' where none is known
