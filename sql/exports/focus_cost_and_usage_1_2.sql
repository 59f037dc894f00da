/*
about: >-
  Cost and usage as FOCUS 1.2 has it, for tools that know no split cost allocation: the rows of focus_cost_and_usage with provider and
  publisher, and who bears the cost among the tags. One row per origin charge and key of the showback.
grain: [x_RowId]
order_by: [BillingAccountId, ChargePeriodStart, ChargeCategory, SkuId, x_RowId]
partition: month
partition_column: BillingPeriodStart
columns:
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
  InvoiceId: VARCHAR; invoice that the bill names, else seller, account, month and currency; null without a bill
  InvoiceIssuerName: VARCHAR; who issues the invoice, the seller where the bill does not say
  ListCost: DECIMAL(38,22); list unit price times pricing quantity; the billed cost for what has no unit price
  ListUnitPrice: DECIMAL(38,12); list amount by pricing quantity of the origin charge; null for what is neither use nor purchase
  PricingCategory: VARCHAR; Standard, Dynamic (flex) or Committed (provisioned, scale tier); null for what is neither use nor purchase
  PricingQuantity: DECIMAL(38,27); millions of tokens, or the list amount where nobody counted; null for what is neither use nor purchase
  PricingUnit: VARCHAR; 1000000 Tokens, or the currency where nobody counted; null where the quantity is
  ProviderName: VARCHAR; the seller, by its usual name
  PublisherName: VARCHAR; the seller, again
  RegionId: VARCHAR; region as the bill names it; null where it names none
  RegionName: VARCHAR; the same
  ServiceCategory: VARCHAR; AI and Machine Learning
  ServiceName: VARCHAR; service as the bill spells it, else the usual name of the seller's
  ServiceSubcategory: VARCHAR; Generative AI
  SkuId: VARCHAR; seller, model and token type; null for what is neither use nor purchase
  SkuMeter: VARCHAR; Input Tokens, Cache Read Tokens ...; null for what is neither use nor purchase
  SkuPriceDetails: VARCHAR; JSON of model, token direction, cache action, tier and context; null for what is neither use nor purchase
  SkuPriceId: VARCHAR; SkuId with tier, lifetime, modality, context and region; null for what is neither use nor purchase
  SubAccountId: VARCHAR; project or workspace; null where the bill names none, or several for charges that are alike
  SubAccountName: VARCHAR; what its owner calls it, else its id
  Tags: VARCHAR; JSON of cost centre, team, feature, customer tier and environment, as far as known, else of the labels of the bill
  x_AllocationBasis: VARCHAR; invoice, effective_cost for what no bill covers yet, rounding for the cents that rounding moves
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
  x_StatedInvoiceId: VARCHAR; invoice that the bill names on the line itself; null where it names none
  x_Team: VARCHAR; owning team, 'unattributed' where none is known
  x_WeekStartDate: DATE; Monday of the ISO week of the showback row
question: What does each team cost, by month and currency?
answer: >-
  select BillingPeriodStart, x_Team, BillingCurrency, sum(BilledCost) as BilledCost from focus_cost_and_usage_1_2 group by all order by all
*/
select
    BilledCost,
    BillingAccountId,
    BillingAccountName,
    BillingCurrency,
    BillingPeriodEnd,
    BillingPeriodStart,
    ChargeCategory,
    ChargeClass,
    ChargeDescription,
    ChargeFrequency,
    ChargePeriodEnd,
    ChargePeriodStart,
    ConsumedQuantity,
    ConsumedUnit,
    ContractedCost,
    ContractedUnitPrice,
    EffectiveCost,
    InvoiceId,
    InvoiceIssuerName,
    ListCost,
    ListUnitPrice,
    PricingCategory,
    PricingQuantity,
    PricingUnit,
    ServiceProviderName as ProviderName,
    ServiceProviderName as PublisherName,
    RegionId,
    RegionName,
    ServiceCategory,
    ServiceName,
    ServiceSubcategory,
    SkuId,
    SkuMeter,
    SkuPriceDetails,
    SkuPriceId,
    SubAccountId,
    SubAccountName,
    coalesce(AllocatedTags, Tags) as Tags,
    x_AllocationBasis,
    x_CostCentre,
    x_CustomerTier,
    x_Environment,
    x_Feature,
    x_IsQuantityKnown,
    x_IsUnitPriceDerived,
    x_ModelId,
    x_ModelTier,
    x_OriginChargeId,
    x_Provider,
    x_RowId,
    x_State,
    x_StatedInvoiceId,
    x_Team,
    x_WeekStartDate,
from focus_cost_and_usage
