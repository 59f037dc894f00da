/*
about: >-
  Cost and usage as FOCUS 1.2 has it, for tools that know no split cost allocation: the rows of focus_cost_and_usage with provider and
  publisher, and who bears the cost among the tags. One row per origin charge and key of the showback.
grain: [x_RowId]
order_by: [BillingAccountId, ChargePeriodStart, ChargeCategory, SkuId, x_RowId]
partition: month
partition_column: BillingPeriodStart
columns:
{% include "parts/columns_focus_charge.sql" %}
{% include "parts/columns_focus_price.sql" %}
  ProviderName: VARCHAR; the seller, by its usual name
  PublisherName: VARCHAR; the seller, again
  RegionId: VARCHAR; region as the bill names it; null where it names none
  RegionName: VARCHAR; the same
  ServiceCategory: VARCHAR; AI and Machine Learning
  ServiceName: VARCHAR; service as the bill spells it, else the usual name of the seller's
{% include "parts/columns_focus_sku.sql" %}
  Tags: VARCHAR; JSON of cost centre, team, feature, customer tier and environment, as far as known, else of the labels of the bill
{% include "parts/columns_focus_bearer.sql" %}
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
