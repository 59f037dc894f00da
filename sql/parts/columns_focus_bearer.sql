{# Columns of a header of FOCUS: who bears it. #}
  x_AllocationBasis: VARCHAR; invoice, effective_cost for what no bill covers yet, rounding for the cents that rounding moves, correction for what became known of a closed month
  x_CostCentre: VARCHAR; cost centre that bears the cost, 'unattributed' where none is known
  x_CustomerTier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  x_Environment: VARCHAR; deployment environment, 'unattributed' where none is known
  x_Feature: VARCHAR; product feature, 'unattributed' where none is known
  x_IsQuantityKnown: BOOLEAN; false where nobody counted tokens: the amount stands for the quantity
  x_IsUnitPriceDerived: BOOLEAN; true: unit prices are amounts by quantities, as bills state none; null without a unit price
  x_ModelId: VARCHAR; model of the showback row that bears the cost
  x_ModelTier: VARCHAR; capability tier of that model, 'unknown_tier' where none is known
  x_OriginChargeId: VARCHAR; origin charge in focus_origin_charges; null where nothing was split
  x_Provider: VARCHAR; the seller, as in the other tables
  x_RowId: VARCHAR; md5 of origin charge and who bears it
  x_State: VARCHAR; provisional or final, as in the showback
