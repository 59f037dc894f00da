{# Columns of a header of FOCUS: what is charged, when and to whom. #}
  BilledCost: DECIMAL(38,10); billed share of the invoice, rounding to the cent on rows of its own; what the calls cost where no bill is in yet
  BillingAccountId: VARCHAR; account that is billed, 'unattributed' where it cannot be told
  BillingAccountName: VARCHAR; name of the account in accounts.csv; null where that has none
  BillingCurrency: VARCHAR; ISO 4217, upper case; USD without a bill
  BillingPeriodEnd: TIMESTAMP WITH TIME ZONE; end of the billing month, exclusive, UTC
  BillingPeriodStart: TIMESTAMP WITH TIME ZONE; first instant of the billing month, UTC
  ChargeCategory: VARCHAR; Usage, Purchase, Tax, Credit or Adjustment
  ChargeClass: VARCHAR; Correction for a charge that corrects an invoiced period, else null
  ChargeDescription: VARCHAR; text of the bill line, else what it is in our words
  ChargeFrequency: VARCHAR; Usage-Based, Recurring or One-Time
  ChargePeriodEnd: TIMESTAMP WITH TIME ZONE; end of the charge, exclusive, UTC
  ChargePeriodStart: TIMESTAMP WITH TIME ZONE; first instant of the charge, UTC
  ConsumedQuantity: DECIMAL(38,21); tokens, or the pricing quantity where nobody counted; null for what is no usage
  ConsumedUnit: VARCHAR; Tokens, or the currency where nobody counted; null for what is no usage
  ContractedCost: DECIMAL(38,22); contracted unit price times pricing quantity; the billed cost for what has no unit price
  ContractedUnitPrice: DECIMAL(38,12); billed amount by pricing quantity of the origin charge; null for what is neither use nor purchase
  EffectiveCost: DECIMAL(38,10); the billed cost: commitments are not amortised here
