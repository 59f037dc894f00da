/*
about: >-
  Cost and usage as FOCUS 1.4 has it, with split cost allocation: each charge of each invoice by day and token class, split over who bears
  it as the showback splits it. Per invoice the billed cost sums to the invoice, per key of the showback to what that bears, to the
  cent. What no bill covers yet stands there as the calls cost. One row per origin charge and key of the showback.
grain: [x_RowId]
order_by: [BillingAccountId, ChargePeriodStart, ChargeCategory, SkuId, x_RowId]
partition: month
partition_column: BillingPeriodStart
columns:
  AllocatedMethodDetails: VARCHAR; JSON of the ratio that the row has of its origin charge, and of what gave the ratio; null where nothing was split
  AllocatedMethodId: VARCHAR; showback-v1, the method of mart_showback_weekly; null where nothing was split
  AllocatedResourceId: VARCHAR; feature that the charge is allocated to, else team, else cost centre; null on the unallocated part and where nothing was split
  AllocatedResourceName: VARCHAR; the same
  AllocatedTags: VARCHAR; JSON of cost centre, team, feature, customer tier and environment, as far as known; null where nothing was split
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
  HostProviderName: VARCHAR; who runs the service: the seller
  InvoiceDetailId: VARCHAR; line of focus_invoice_detail; null without a bill
  InvoiceId: VARCHAR; invoice that the bill names, else seller, account, month and currency; null without a bill
  InvoiceIssuerName: VARCHAR; who issues the invoice, the seller where the bill does not say
  ListCost: DECIMAL(38,22); list unit price times pricing quantity; the billed cost for what has no unit price
  ListUnitPrice: DECIMAL(38,12); list amount by pricing quantity of the origin charge; null for what is neither use nor purchase
  PricingCategory: VARCHAR; Standard, Dynamic (flex) or Committed (provisioned, scale tier); null for what is neither use nor purchase
  PricingQuantity: DECIMAL(38,27); millions of tokens, or the list amount where nobody counted; null for what is neither use nor purchase
  PricingUnit: VARCHAR; 1000000 Tokens, or the currency where nobody counted; null where the quantity is
  RegionId: VARCHAR; region as the bill names it; null where it names none
  RegionName: VARCHAR; the same
  ServiceCategory: VARCHAR; AI and Machine Learning
  ServiceName: VARCHAR; service as the bill spells it, else the usual name of the seller's
  ServiceProviderName: VARCHAR; the seller, by its usual name
  ServiceSubcategory: VARCHAR; Generative AI
  SkuId: VARCHAR; seller, model and token type; null for what is neither use nor purchase
  SkuMeter: VARCHAR; Input Tokens, Cache Read Tokens ...; null for what is neither use nor purchase
  SkuPriceDetails: VARCHAR; JSON of model, token direction, cache action, tier and context; null for what is neither use nor purchase
  SkuPriceId: VARCHAR; SkuId with tier, lifetime, modality, context and region; null for what is neither use nor purchase
  SubAccountId: VARCHAR; project or workspace; null where the bill names none, or several for charges that are alike
  SubAccountName: VARCHAR; what its owner calls it, else its id
  Tags: VARCHAR; JSON of the labels that the bill puts on the charge; of a row that was not split, the same as AllocatedTags elsewhere
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
checks:
  - not_null: [BilledCost, BillingAccountId, BillingCurrency, ChargeCategory, ContractedCost, EffectiveCost, ListCost, InvoiceIssuerName, ServiceName]
  - one_of: [ChargeCategory, Usage, Purchase, Tax, Credit, Adjustment]
  - one_of: [ChargeClass, Correction]
  - rule: >-
      ChargeCategory not in ('Usage', 'Purchase') or ChargeClass is not distinct from 'Correction'
      or (PricingQuantity is not null and ListUnitPrice is not null and ContractedUnitPrice is not null and SkuId is not null
          and SkuPriceId is not null and PricingCategory is not null)
    text: use and purchases have a quantity, unit prices and a SKU
  - no_rows: >-
      select strftime(o.month_start_date, '%Y-%m-%d') as partition, o.origin_id
      from focus_origin_charges as o
      inner join (
          select x_OriginChargeId as origin_id, sum(BilledCost) as billed, sum(ListCost) as list, sum(PricingQuantity) as quantity
          from focus_cost_and_usage
          where x_OriginChargeId is not null
          group by x_OriginChargeId
      ) as f
          on o.origin_id = f.origin_id
      where o.billed_amount <> f.billed
          or (o.pricing_quantity is not null and (o.list_amount <> f.list or o.pricing_quantity <> f.quantity))
    text: allocated rows sum to their origin charge, exactly
  - no_rows: >-
      select strftime(s.month_start_date, '%Y-%m-%d') as partition, s.week_start_date, s.provider, s.billing_account_id, s.team, s.feature
      from mart_showback_weekly as s
      left join (
          select BillingPeriodStart, x_WeekStartDate, x_Provider, BillingAccountId, BillingCurrency, x_CostCentre, x_Team, x_Feature, x_CustomerTier,
              x_Environment, x_ModelId, x_ModelTier, sum(BilledCost) as billed
          from focus_cost_and_usage
          group by BillingPeriodStart, x_WeekStartDate, x_Provider, BillingAccountId, BillingCurrency, x_CostCentre, x_Team, x_Feature, x_CustomerTier,
              x_Environment, x_ModelId, x_ModelTier
      ) as f
          on s.month_start_date = cast(f.BillingPeriodStart as date)
          and s.week_start_date = f.x_WeekStartDate
          and s.provider = f.x_Provider
          and s.billing_account_id = f.BillingAccountId
          and coalesce(s.billing_currency, 'USD') = f.BillingCurrency
          and s.cost_centre = f.x_CostCentre
          and s.team = f.x_Team
          and s.feature = f.x_Feature
          and s.customer_tier = f.x_CustomerTier
          and s.environment = f.x_Environment
          and s.model_canonical = f.x_ModelId
          and s.model_tier = f.x_ModelTier
      where s.month_start_date in (select cast(BillingPeriodStart as date) from focus_cost_and_usage)
          and coalesce(f.billed, 0) <> coalesce(s.invoiced_cost_billing_currency, s.invoiced_cost_usd, 0)
    text: every key of the showback bears here what it bears there, to the cent
  - no_rows: >-
      select strftime(i.month_start_date, '%Y-%m-%d') as partition, i.provider, i.billing_account_id
      from ledger_invoices as i
      left join (
          select BillingPeriodStart, x_Provider, BillingAccountId, BillingCurrency, sum(BilledCost) as billed
          from focus_cost_and_usage
          where InvoiceId is not null
          group by BillingPeriodStart, x_Provider, BillingAccountId, BillingCurrency
      ) as f
          on i.month_start_date = cast(f.BillingPeriodStart as date)
          and i.provider = f.x_Provider
          and i.billing_account_id = f.BillingAccountId
          and i.billing_currency = f.BillingCurrency
      where i.month_start_date in (select cast(BillingPeriodStart as date) from focus_cost_and_usage)
          and coalesce(f.billed, 0) <> i.invoiced_cost_billing_currency
    text: the billed cost of an invoice is the invoice, to the cent
question: What does each feature cost by token class, in the columns that FinOps tools know?
answer: >-
  select BillingPeriodStart, x_Feature, SkuMeter, BillingCurrency, sum(BilledCost) as BilledCost, sum(ConsumedQuantity) as ConsumedQuantity
  from focus_cost_and_usage where ChargeCategory = 'Usage' group by all order by all
notes:
  - >-
    Method showback-v1. What traced calls explain goes to them by tokens of the model and class, the rest by effective cost; credits and
    discounts by list cost; tax and fees by what is borne before them; rules of allocation_rules.csv come first.
  - AllocatedRatio has twelve decimals and sums to 1 over an origin charge; list and contracted cost and quantities are multiples of it. The
    billed cost follows it but for discounts, which are shared by list cost of the model; it sums to the origin charge exactly.
  - Calls without a price and without a bill have no row, as FOCUS knows no unknown cost; unpriced_requests of the showback counts them.
  - Corrections of closed months are not in here yet; a bill's own corrections are.
*/
with pours as (
    select
        month_start_date,
        week_start_date,
        cost_centre,
        team,
        feature,
        customer_tier,
        environment,
        provider,
        billing_account_id,
        model_canonical as row_model,
        model_tier as row_model_tier,
        pool_id,
        cast(sum(allocated_amount) * 10000000000::hugeint as hugeint) as units,
    from ledger_allocations
    where component <> 'key' and pool_id <> 'accrual'
    group by
        month_start_date, week_start_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id,
        model_canonical, model_tier, pool_id
),

-- Where a rule takes what no call explains, that part of each pool of usage follows the rule.
ruled as (
    select *, sum(units) over (partition by month_start_date, week_start_date, provider, billing_account_id) as ruled_units
    from pours
    where pool_id = 'untraced'
),

pool_sums as (
    select month_start_date, week_start_date, provider, billing_account_id, pool_id, cast(sum(list_amount) * 10000000000::hugeint as hugeint) as list_units
    from focus_origin_charges
    where pool_id like 'usage%'
    group by month_start_date, week_start_date, provider, billing_account_id, pool_id
),

explained_sums as (
    select month_start_date, week_start_date, provider, billing_account_id, pool_id, sum(units) as units
    from pours
    group by month_start_date, week_start_date, provider, billing_account_id, pool_id
),

all_pours as (
    select month_start_date, week_start_date, provider, billing_account_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier, pool_id, units
    from pours
    where pool_id <> 'untraced'
    union all
    select r.month_start_date, r.week_start_date, r.provider, r.billing_account_id, r.cost_centre, r.team, r.feature, r.customer_tier, r.environment, r.row_model, r.row_model_tier, s.pool_id, (s.list_units - coalesce(e.units, 0)) * r.units // r.ruled_units as units
    from ruled as r
    inner join pool_sums as s
        on r.month_start_date = s.month_start_date
        and r.week_start_date = s.week_start_date
        and r.provider = s.provider
        and r.billing_account_id = s.billing_account_id
    left join explained_sums as e
        on s.month_start_date = e.month_start_date
        and s.week_start_date = e.week_start_date
        and s.provider = e.provider
        and s.billing_account_id = e.billing_account_id
        and s.pool_id = e.pool_id
    where r.ruled_units <> 0
),

weights as (
    select month_start_date, week_start_date, provider, billing_account_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier, pool_id, cast(abs(sum(units)) as hugeint) as weight
    from all_pours
    group by month_start_date, week_start_date, provider, billing_account_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier, pool_id
    having sum(units) <> 0
),

-- Ratios of twelve decimals that sum to 1: what truncation leaves over goes to the largest.
floors as (
    select
        *,
        weight * 1000000000000 // sum(weight) over (partition by month_start_date, week_start_date, provider, billing_account_id, pool_id) as floor_ratio,
        row_number() over (
            partition by month_start_date, week_start_date, provider, billing_account_id, pool_id
            order by weight desc, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier
        ) as place,
    from weights
),

shares as (
    select
        *,
        floor_ratio + case when place = 1 then 1000000000000 - sum(floor_ratio) over (partition by month_start_date, week_start_date, provider, billing_account_id, pool_id) else 0 end as ratio,
    from floors
),

charges as (
    select
        *,
        cast(billed_amount * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_amount * 10000000000::hugeint as hugeint) as list_units,
    from focus_origin_charges
),

-- Each charge by its pool, and what it was discounted by, by the pool of that. A charge without a pool stays unattributed.
halves as (
    select
        c.origin_id,
        coalesce(s.cost_centre, 'unattributed') as cost_centre,
        coalesce(s.team, 'unattributed') as team,
        coalesce(s.feature, 'unattributed') as feature,
        coalesce(s.customer_tier, 'unattributed') as customer_tier,
        coalesce(s.environment, 'unattributed') as environment,
        coalesce(s.row_model, 'unattributed') as row_model,
        coalesce(s.row_model_tier, 'unattributed') as row_model_tier,
        coalesce(s.weight, 0) as weight,
        coalesce(s.ratio, 1000000000000) as ratio,
        cast(0 as hugeint) as discount_ratio,
        coalesce(s.place, 1) as place,
    from charges as c
    left join shares as s
        on c.month_start_date = s.month_start_date
        and c.week_start_date = s.week_start_date
        and c.provider = s.provider
        and c.billing_account_id = s.billing_account_id
        and c.pool_id = s.pool_id
    union all
    select
        c.origin_id,
        coalesce(s.cost_centre, 'unattributed') as cost_centre,
        coalesce(s.team, 'unattributed') as team,
        coalesce(s.feature, 'unattributed') as feature,
        coalesce(s.customer_tier, 'unattributed') as customer_tier,
        coalesce(s.environment, 'unattributed') as environment,
        coalesce(s.row_model, 'unattributed') as row_model,
        coalesce(s.row_model_tier, 'unattributed') as row_model_tier,
        cast(0 as hugeint) as weight,
        cast(0 as hugeint) as ratio,
        coalesce(s.ratio, 1000000000000) as discount_ratio,
        0 as place,
    from charges as c
    left join shares as s
        on c.month_start_date = s.month_start_date
        and c.week_start_date = s.week_start_date
        and c.provider = s.provider
        and c.billing_account_id = s.billing_account_id
        and c.discount_pool_id = s.pool_id
    where c.billed_units <> c.list_units
),

joined as (
    select
        origin_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier, max(weight) as weight, sum(ratio) as ratio, sum(discount_ratio) as discount_ratio, max(place) = 1 as is_first,
    from halves
    group by origin_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier
),

priced as (
    select
        j.*,
        c.billed_units as origin_units,
        case
            when c.discount_pool_id is null then c.billed_units * j.ratio
            else c.list_units * j.ratio + (c.billed_units - c.list_units) * j.discount_ratio
        end as product,
    from joined as j
    inner join charges as c on j.origin_id = c.origin_id
),

rounded as (
    select *, cast(sign(product) * ((abs(product) + 500000000000) // 1000000000000) as hugeint) as near_units
    from priced
),

split as (
    select
        origin_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier, weight, cast(ratio as hugeint) as ratio,
        near_units + case when is_first then origin_units - sum(near_units) over (partition by origin_id) else 0 end as billed_units,
    from rounded
),

invoice_ids as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        case
            when count(distinct stated_invoice_id) = 1 then min(stated_invoice_id)
            else concat_ws('/', provider, billing_account_id, strftime(month_start_date, '%Y-%m'), billing_currency)
        end as invoice_id,
        min(invoice_issuer) as invoice_issuer,
    from focus_origin_charges
    group by month_start_date, provider, billing_account_id, billing_currency
),

-- What no bill covers: calls of accounts without one, by day and class, as they cost.
days as (
    select
        d.*,
        cast(date_trunc('month', d.usage_date) as date) as month_start_date,
        cast(date_trunc('week', d.usage_date) as date) as week_start_date,
    from ledger_showback_days as d
    anti join ledger_invoices as i
        on cast(date_trunc('month', d.usage_date) as date) = i.month_start_date
        and d.provider = i.provider
        and (d.billing_account_id = i.billing_account_id or d.billing_account_id = 'unattributed')
    where d.requests > d.unpriced_requests
),

classes as (
    select *, 'input' as token_type, input_total_tokens - cache_read_total_tokens - cache_write_total_tokens as class_tokens,
        input_cost_usd as class_cost_usd, input_list_cost_usd as class_list_cost_usd from days
    union all
    select *, 'cache_read' as token_type, cache_read_total_tokens as class_tokens, cache_read_cost_usd as class_cost_usd,
        cache_read_list_cost_usd as class_list_cost_usd from days
    union all
    select *, 'cache_write' as token_type, cache_write_total_tokens as class_tokens, cache_write_cost_usd as class_cost_usd,
        cache_write_list_cost_usd as class_list_cost_usd from days
    union all
    select *, 'output' as token_type, output_total_tokens as class_tokens, output_cost_usd as class_cost_usd,
        output_list_cost_usd as class_list_cost_usd from days
    union all
    select *, 'other' as token_type, 0 as class_tokens,
        effective_cost_usd - input_cost_usd - cache_read_cost_usd - cache_write_cost_usd - output_cost_usd as class_cost_usd,
        list_cost_usd - input_list_cost_usd - cache_read_list_cost_usd - cache_write_list_cost_usd - output_list_cost_usd as class_list_cost_usd
    from days
),

accrued as (
    select
        *,
        cast(class_cost_usd * 10000000000::hugeint as hugeint) as billed_units,
        cast(class_list_cost_usd * 10000000000::hugeint as hugeint) as list_units,
        class_tokens > 0 as is_quantity_known,
    from classes
    where class_tokens <> 0 or class_cost_usd <> 0 or class_list_cost_usd <> 0
),

accruals as (
    select
        *,
        case
            when is_quantity_known then cast(class_tokens as hugeint) * 1000000000
            when list_units <> 0 then list_units * 100000
            else billed_units * 100000
        end as quantity_units,
    from accrued
),

rows_of_charges as (
    select
        c.month_start_date,
        c.week_start_date,
        c.usage_date as first_date,
        cast(c.usage_date + 1 as date) as end_date,
        c.provider,
        c.billing_account_id,
        c.billing_currency,
        s.cost_centre, s.team, s.feature, s.customer_tier, s.environment, s.row_model, s.row_model_tier,
        'invoice' as allocation_basis,
        c.origin_id,
        c.invoice_detail_id,
        i.invoice_id,
        c.stated_invoice_id,
        coalesce(c.invoice_issuer, i.invoice_issuer) as invoice_issuer,
        c.sub_account_id,
        c.sub_account_name,
        c.charge_category,
        c.is_correction,
        c.is_recurring,
        c.charge_text,
        c.product_name,
        c.model_canonical,
        c.token_type,
        c.service_tier,
        c.is_batch,
        c.context_tier,
        c.cache_ttl,
        c.modality,
        c.region_scope,
        c.tags_text,
        c.is_quantity_known,
        s.billed_units,
        s.weight,
        s.ratio,
        c.list_units * s.ratio as list_product,
        c.billed_units * s.ratio as contracted_product,
        cast(c.pricing_quantity * 1000000000000000::hugeint as hugeint) * s.ratio as quantity_product,
        c.list_unit_price,
        c.contracted_unit_price,
    from split as s
    inner join charges as c on s.origin_id = c.origin_id
    inner join invoice_ids as i
        on c.month_start_date = i.month_start_date
        and c.provider = i.provider
        and c.billing_account_id = i.billing_account_id
        and c.billing_currency = i.billing_currency
    where s.ratio <> 0 or s.billed_units <> 0
    union all
    select
        month_start_date,
        week_start_date,
        usage_date as first_date,
        cast(usage_date + 1 as date) as end_date,
        provider,
        billing_account_id,
        'USD' as billing_currency,
        cost_centre,
        team,
        feature,
        customer_tier,
        environment,
        model_canonical as row_model,
        model_tier as row_model_tier,
        'effective_cost' as allocation_basis,
        cast(null as varchar) as origin_id,
        cast(null as varchar) as invoice_detail_id,
        cast(null as varchar) as invoice_id,
        cast(null as varchar) as stated_invoice_id,
        cast(null as varchar) as invoice_issuer,
        cast(null as varchar) as sub_account_id,
        cast(null as varchar) as sub_account_name,
        'Usage' as charge_category,
        false as is_correction,
        false as is_recurring,
        concat_ws(' ', model_canonical, replace(token_type, '_', ' '), 'of calls without a bill') as charge_text,
        cast(null as varchar) as product_name,
        model_canonical,
        token_type,
        cast(null as varchar) as service_tier,
        false as is_batch,
        cast(null as varchar) as context_tier,
        cast(null as varchar) as cache_ttl,
        cast(null as varchar) as modality,
        cast(null as varchar) as region_scope,
        cast(null as varchar) as tags_text,
        is_quantity_known,
        billed_units,
        cast(null as hugeint) as weight,
        cast(null as hugeint) as ratio,
        list_units * 1000000000000 as list_product,
        billed_units * 1000000000000 as contracted_product,
        quantity_units * 1000000000000 as quantity_product,
        case when quantity_units = 0 then cast(0 as decimal(38, 12)) else cast(
            (2 * abs(list_units) * 100000000000000000 + abs(quantity_units)) // (2 * abs(quantity_units)) * cast(0.000000000001 as decimal(13, 12))
            as decimal(38, 12)
        ) end as list_unit_price,
        case when quantity_units = 0 then cast(0 as decimal(38, 12)) else cast(
            (2 * abs(billed_units) * 100000000000000000 + abs(quantity_units)) // (2 * abs(quantity_units)) * cast(0.000000000001 as decimal(13, 12))
            as decimal(38, 12)
        ) end as contracted_unit_price,
    from accruals
),

billed_sums as (
    select month_start_date, week_start_date, provider, billing_account_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier, sum(billed_units) as billed_units
    from rows_of_charges
    group by month_start_date, week_start_date, provider, billing_account_id, cost_centre, team, feature, customer_tier, environment, row_model, row_model_tier
),

-- The cents of the showback less what was split: rounding, and discounts and lines of other pools as the showback shares them.
nets as (
    select
        month_start_date,
        week_start_date,
        provider,
        billing_account_id,
        coalesce(billing_currency, 'USD') as billing_currency,
        cost_centre,
        team,
        feature,
        customer_tier,
        environment,
        model_canonical as row_model,
        model_tier as row_model_tier,
        state,
        cast(coalesce(invoiced_cost_billing_currency, invoiced_cost_usd, 0) * 10000000000::hugeint as hugeint) as net_units,
    from mart_showback_weekly
),

states as (
    select month_start_date, provider, billing_account_id, min(state) as least_state, max(state) as most_state
    from nets
    group by month_start_date, provider, billing_account_id
),

-- An invoice in a second currency is no part of the showback: it is rounded as a whole.
unsplit as (
    select
        i.month_start_date,
        i.provider,
        i.billing_account_id,
        i.billing_currency,
        cast(i.invoiced_cost_billing_currency * 10000000000::hugeint as hugeint) - cast(i.billed_amount * 10000000000::hugeint as hugeint) as billed_units,
    from ledger_invoices as i
    anti join nets as n
        on i.month_start_date = n.month_start_date
        and i.provider = n.provider
        and i.billing_account_id = n.billing_account_id
        and i.billing_currency = n.billing_currency
),

roundings as (
    select
        n.month_start_date, n.week_start_date, n.provider, n.billing_account_id,
        n.billing_currency,
        n.cost_centre, n.team, n.feature, n.customer_tier, n.environment, n.row_model, n.row_model_tier,
        greatest(n.week_start_date, n.month_start_date) as first_date,
        least(cast(n.week_start_date + 7 as date), cast(n.month_start_date + interval 1 month as date)) as end_date,
        n.net_units - coalesce(b.billed_units, 0) as billed_units,
    from nets as n
    left join billed_sums as b
        on n.month_start_date = b.month_start_date
        and n.week_start_date = b.week_start_date
        and n.provider = b.provider
        and n.billing_account_id = b.billing_account_id
        and n.cost_centre = b.cost_centre
        and n.team = b.team
        and n.feature = b.feature
        and n.customer_tier = b.customer_tier
        and n.environment = b.environment
        and n.row_model = b.row_model
        and n.row_model_tier = b.row_model_tier
    union all
    select
        month_start_date,
        cast(date_trunc('week', month_start_date) as date) as week_start_date,
        provider,
        billing_account_id,
        billing_currency,
        'unattributed' as cost_centre,
        'unattributed' as team,
        'unattributed' as feature,
        'unattributed' as customer_tier,
        'unattributed' as environment,
        'unattributed' as row_model,
        'unattributed' as row_model_tier,
        month_start_date as first_date,
        cast(month_start_date + interval 1 month as date) as end_date,
        billed_units,
    from unsplit
),

all_rows as (
    select * from rows_of_charges
    union all
    select
        r.month_start_date, r.week_start_date,
        r.first_date,
        r.end_date,
        r.provider,
        r.billing_account_id,
        r.billing_currency,
        r.cost_centre, r.team, r.feature, r.customer_tier, r.environment, r.row_model, r.row_model_tier,
        'rounding' as allocation_basis,
        cast(null as varchar) as origin_id,
        case when i.invoice_id is not null
            then md5(concat_ws(chr(31), 'rounding', r.provider, r.billing_account_id, cast(r.month_start_date as varchar), r.billing_currency))
        end as invoice_detail_id,
        i.invoice_id,
        cast(null as varchar) as stated_invoice_id,
        i.invoice_issuer,
        cast(null as varchar) as sub_account_id,
        cast(null as varchar) as sub_account_name,
        'Adjustment' as charge_category,
        false as is_correction,
        false as is_recurring,
        'Rounding to whole cents' as charge_text,
        cast(null as varchar) as product_name,
        cast(null as varchar) as model_canonical,
        cast(null as varchar) as token_type,
        cast(null as varchar) as service_tier,
        false as is_batch,
        cast(null as varchar) as context_tier,
        cast(null as varchar) as cache_ttl,
        cast(null as varchar) as modality,
        cast(null as varchar) as region_scope,
        cast(null as varchar) as tags_text,
        cast(null as boolean) as is_quantity_known,
        r.billed_units,
        cast(null as hugeint) as weight,
        cast(null as hugeint) as ratio,
        cast(null as hugeint) as list_product,
        cast(null as hugeint) as contracted_product,
        cast(null as hugeint) as quantity_product,
        cast(null as decimal(38, 12)) as list_unit_price,
        cast(null as decimal(38, 12)) as contracted_unit_price,
    from roundings as r
    left join invoice_ids as i
        on r.month_start_date = i.month_start_date
        and r.provider = i.provider
        and r.billing_account_id = i.billing_account_id
        and r.billing_currency = i.billing_currency
    where r.billed_units <> 0
),

account_names as (
    select provider, account_id, min(account_name) as account_name
    from ref_accounts
    group by provider, account_id
),

-- Texts as they stand in JSON: quotes, backslashes and control characters would break it.
worded as (
    select
        r.*,
        coalesce(n.seller_name, r.provider) as seller_name,
        coalesce(r.product_name, n.service_name, concat_ws(' ', r.provider, 'API')) as service_name,
        a.account_name,
        coalesce(r.model_canonical, 'other') as sku_model,
        case when r.charge_category = 'Usage' then coalesce(r.token_type, 'other') else lower(r.charge_category) end as sku_word,
        r.charge_category in ('Usage', 'Purchase') as has_price,
        case when s.least_state = 'final' and s.most_state = 'final' then 'final' else 'provisional' end as state,
        replace(replace(regexp_replace(r.cost_centre, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as cost_centre_json,
        replace(replace(regexp_replace(r.team, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as team_json,
        replace(replace(regexp_replace(r.feature, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as feature_json,
        replace(replace(regexp_replace(r.customer_tier, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as customer_tier_json,
        replace(replace(regexp_replace(r.environment, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as environment_json,
        replace(replace(regexp_replace(r.model_canonical, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as model_canonical_json,
        replace(replace(regexp_replace(r.service_tier, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as service_tier_json,
        replace(replace(regexp_replace(r.context_tier, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as context_tier_json,
        nullif(coalesce(nullif(nullif(r.feature, 'unattributed'), ''), nullif(r.team, 'unattributed'), nullif(r.cost_centre, 'unattributed')), '') as bearer,
    from all_rows as r
    left join ref_sellers as n on r.provider = n.provider
    left join account_names as a on r.provider = a.provider and r.billing_account_id = a.account_id
    left join states as s
        on r.month_start_date = s.month_start_date and r.provider = s.provider and r.billing_account_id = s.billing_account_id
),

described as (
    select
        *,
        nullif(
            concat_ws(
                ', ',
                case when cost_centre <> 'unattributed' then '"cost_centre": "' || cost_centre_json || '"' end,
                case when team <> 'unattributed' then '"team": "' || team_json || '"' end,
                case when feature <> 'unattributed' then '"feature": "' || feature_json || '"' end,
                case when customer_tier <> 'unattributed' then '"customer_tier": "' || customer_tier_json || '"' end,
                case when environment <> 'unattributed' then '"environment": "' || environment_json || '"' end
            ),
            ''
        ) as owner_words,
        concat_ws(
            ', ',
            case when model_canonical is not null then '"x_ModelId": "' || model_canonical_json || '"' end,
            case when token_type in ('input', 'cache_read', 'cache_write') then '"x_TokenDirection": "Input"'
                when token_type = 'output' then '"x_TokenDirection": "Output"' end,
            case token_type
                when 'cache_read' then '"x_TokenCacheAction": "Read"'
                when 'cache_write' then '"x_TokenCacheAction": "Write"'
                when 'input' then '"x_TokenCacheAction": "Uncached"'
            end,
            case when is_batch then '"x_ServiceTier": "batch"' when service_tier is not null then '"x_ServiceTier": "' || service_tier_json || '"' end,
            case when context_tier is not null then '"x_ContextWindow": "' || context_tier_json || '"' end
        ) as price_words,
        concat_ws('/', provider, sku_model, sku_word) as sku_id,
    from worded
)

select
    case when ratio is not null then concat(
        '{"Elements": [{"AllocatedRatio": ', cast(cast(ratio * cast(0.000000000001 as decimal(13, 12)) as decimal(38, 12)) as varchar),
        ', "UsageUnit": "', billing_currency, '", "UsageQuantity": ',
        cast(cast(weight * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as varchar), '}]}'
    ) end as AllocatedMethodDetails,
    case when ratio is not null then 'showback-v1' end as AllocatedMethodId,
    case when ratio is not null then bearer end as AllocatedResourceId,
    case when ratio is not null then bearer end as AllocatedResourceName,
    case when ratio is not null then '{' || owner_words || '}' end as AllocatedTags,
    cast(billed_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as BilledCost,
    billing_account_id as BillingAccountId,
    account_name as BillingAccountName,
    billing_currency as BillingCurrency,
    cast(month_start_date + interval 1 month as timestamptz) as BillingPeriodEnd,
    cast(month_start_date as timestamptz) as BillingPeriodStart,
    charge_category as ChargeCategory,
    case when is_correction then 'Correction' end as ChargeClass,
    charge_text as ChargeDescription,
    case when charge_category = 'Usage' then 'Usage-Based' when is_recurring then 'Recurring' else 'One-Time' end as ChargeFrequency,
    cast(end_date as timestamptz) as ChargePeriodEnd,
    cast(first_date as timestamptz) as ChargePeriodStart,
    case
        when charge_category = 'Usage' and is_quantity_known
            then cast(quantity_product * cast(0.000000000000000000001 as decimal(22, 21)) as decimal(38, 21))
        when charge_category = 'Usage' then cast(quantity_product // 1000000 * cast(0.000000000000000000001 as decimal(22, 21)) as decimal(38, 21))
    end as ConsumedQuantity,
    case when charge_category = 'Usage' then case when is_quantity_known then 'Tokens' else billing_currency end end as ConsumedUnit,
    cast(
        case when has_price then contracted_product else billed_units * 1000000000000 end * cast(0.0000000000000000000001 as decimal(23, 22))
        as decimal(38, 22)
    ) as ContractedCost,
    contracted_unit_price as ContractedUnitPrice,
    cast(billed_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as EffectiveCost,
    seller_name as HostProviderName,
    invoice_detail_id as InvoiceDetailId,
    invoice_id as InvoiceId,
    coalesce(invoice_issuer, seller_name) as InvoiceIssuerName,
    cast(
        case when has_price then list_product else billed_units * 1000000000000 end * cast(0.0000000000000000000001 as decimal(23, 22))
        as decimal(38, 22)
    ) as ListCost,
    list_unit_price as ListUnitPrice,
    case
        when not has_price then null
        when lower(service_tier) like '%flex%' then 'Dynamic'
        when regexp_matches(lower(service_tier), 'provisioned|scale|reserved') then 'Committed'
        else 'Standard'
    end as PricingCategory,
    case when has_price then cast(quantity_product * cast(0.000000000000000000000000001 as decimal(28, 27)) as decimal(38, 27)) end as PricingQuantity,
    case when has_price then case when is_quantity_known then '1000000 Tokens' else billing_currency end end as PricingUnit,
    region_scope as RegionId,
    region_scope as RegionName,
    'AI and Machine Learning' as ServiceCategory,
    service_name as ServiceName,
    seller_name as ServiceProviderName,
    'Generative AI' as ServiceSubcategory,
    case when has_price then sku_id end as SkuId,
    case
        when not has_price then null
        when token_type = 'input' then 'Input Tokens'
        when token_type = 'cache_read' then 'Cache Read Tokens'
        when token_type = 'cache_write' then 'Cache Write Tokens'
        when token_type = 'output' then 'Output Tokens'
        else charge_text
    end as SkuMeter,
    case when has_price then '{' || price_words || '}' end as SkuPriceDetails,
    case when has_price then concat_ws(
        '/', sku_id, case when is_batch then 'batch' else coalesce(service_tier, 'standard') end, cache_ttl, modality, context_tier, region_scope
    ) end as SkuPriceId,
    sub_account_id as SubAccountId,
    case when sub_account_id is not null then coalesce(sub_account_name, sub_account_id) end as SubAccountName,
    case when ratio is not null then tags_text else '{' || owner_words || '}' end as Tags,
    allocation_basis as x_AllocationBasis,
    cost_centre as x_CostCentre,
    customer_tier as x_CustomerTier,
    environment as x_Environment,
    feature as x_Feature,
    is_quantity_known as x_IsQuantityKnown,
    case when has_price then true end as x_IsUnitPriceDerived,
    row_model as x_ModelId,
    row_model_tier as x_ModelTier,
    origin_id as x_OriginChargeId,
    provider as x_Provider,
    md5(
        concat_ws(
            chr(31), coalesce(origin_id, allocation_basis), cast(month_start_date as varchar), cast(week_start_date as varchar), cast(first_date as varchar),
            provider, billing_account_id, billing_currency, coalesce(token_type, ''), cost_centre, team, feature, customer_tier, environment, row_model,
            row_model_tier
        )
    ) as x_RowId,
    state as x_State,
    stated_invoice_id as x_StatedInvoiceId,
    team as x_Team,
    week_start_date as x_WeekStartDate,
from described
