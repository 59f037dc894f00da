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
{% include "parts/columns_focus_charge.sql" %}
  HostProviderName: VARCHAR; who runs the service: the seller
  InvoiceDetailId: VARCHAR; line of focus_invoice_detail; null without a bill
{% include "parts/columns_focus_price.sql" %}
  RegionId: VARCHAR; region as the bill names it; null where it names none
  RegionName: VARCHAR; the same
  ServiceCategory: VARCHAR; AI and Machine Learning
  ServiceName: VARCHAR; service as the bill spells it, else the usual name of the seller's
  ServiceProviderName: VARCHAR; the seller, by its usual name
{% include "parts/columns_focus_sku.sql" %}
  Tags: VARCHAR; JSON of the labels that the bill puts on the charge; of a row that was not split, the same as AllocatedTags elsewhere
{% include "parts/columns_focus_bearer.sql" %}
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
          where x_AllocationBasis <> 'correction'
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
  - Corrections of closed months (mart_corrections_weekly) stand in the billing period that is open, without an invoice.
*/
{% from "macros/invoices.sql" import invoice_named with context %}
{% from "macros/tokens.sql" import tokens_of_type with context %}
{# Whose part of the bills a row is, and who bears it. #}
{% set account = ["month_start_date", "week_start_date", "provider", "billing_account_id"] %}
{% set owners = ["cost_centre", "team", "feature", "customer_tier", "environment"] %}
{% set period = ["month_start_date", "week_start_date", "first_date", "end_date", "provider", "billing_account_id", "billing_currency"] %}
{% set key_as_bearer = owners + ["model_canonical as row_model", "model_tier as row_model_tier"] %}
{% set bearer = owners + ["row_model", "row_model_tier"] %}
with
{% include "parts/split_charges.sql" %}

invoice_ids as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        {{ invoice_named() }} as invoice_id,
        min(invoice_issuer) as invoice_issuer,
    from focus_origin_charges
    group by month_start_date, provider, billing_account_id, billing_currency
),

{% include "parts/accrued_use.sql" %}

idle_pours as (
    select
        *,
        substr(pool_id, length('gpu_idle|') + 1) as idle_model,
        cast(allocated_usd * 10000000000::hugeint as hugeint) as billed_units,
    from ledger_allocations
    where pool_id like 'gpu_idle|%' and allocated_usd <> 0
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
        s.{{ bearer | join(", s.") }},
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
        {{ key_as_bearer | join(", ") }},
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
    union all
    -- What own GPUs cost beyond their calls, week by week.
    select
        month_start_date,
        week_start_date,
        greatest(week_start_date, month_start_date) as first_date,
        least(cast(week_start_date + 7 as date), cast(month_start_date + interval 1 month as date)) as end_date,
        provider,
        billing_account_id,
        'USD' as billing_currency,
        {{ key_as_bearer | join(", ") }},
        'effective_cost' as allocation_basis,
{% for name in ("origin_id", "invoice_detail_id", "invoice_id", "stated_invoice_id", "invoice_issuer", "sub_account_id", "sub_account_name") %}
        cast(null as varchar) as {{ name }},
{% endfor %}
        'Usage' as charge_category,
        false as is_correction,
        false as is_recurring,
        idle_model || ' idle hours of own GPUs' as charge_text,
        cast(null as varchar) as product_name,
        idle_model as model_canonical,
        'idle' as token_type,
        cast(null as varchar) as service_tier,
        false as is_batch,
{% for name in ("context_tier", "cache_ttl", "modality", "region_scope", "tags_text") %}
        cast(null as varchar) as {{ name }},
{% endfor %}
        false as is_quantity_known,
        billed_units,
        cast(null as hugeint) as weight,
        cast(null as hugeint) as ratio,
        billed_units * 1000000000000 as list_product,
        billed_units * 1000000000000 as contracted_product,
        billed_units * 100000 * 1000000000000 as quantity_product,
        cast(1 as decimal(38, 12)) as list_unit_price,
        cast(1 as decimal(38, 12)) as contracted_unit_price,
    from idle_pours
),

{% include "parts/bill_adjustments.sql" %}

all_rows as (
    select * from rows_of_charges
    union all
    select
        {{ (period + bearer) | join(", ") }},
        allocation_basis,
        cast(null as varchar) as origin_id,
        invoice_detail_id,
        invoice_id,
        cast(null as varchar) as stated_invoice_id,
        invoice_issuer,
        cast(null as varchar) as sub_account_id,
        cast(null as varchar) as sub_account_name,
        'Adjustment' as charge_category,
        is_correction,
        false as is_recurring,
        charge_text,
{% for name in ("product_name", "model_canonical", "token_type", "service_tier") %}
        cast(null as varchar) as {{ name }},
{% endfor %}
        false as is_batch,
{% for name in ("context_tier", "cache_ttl", "modality", "region_scope", "tags_text") %}
        cast(null as varchar) as {{ name }},
{% endfor %}
        cast(null as boolean) as is_quantity_known,
        billed_units,
{% for name in ("weight", "ratio", "list_product", "contracted_product", "quantity_product") %}
        cast(null as hugeint) as {{ name }},
{% endfor %}
        cast(null as decimal(38, 12)) as list_unit_price,
        cast(null as decimal(38, 12)) as contracted_unit_price,
    from adjustments
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
{% for name in owners + ["model_canonical", "service_tier", "context_tier"] %}
        replace(replace(regexp_replace(r.{{ name }}, '[\x00-\x1f]', ' ', 'g'), '\', '\\'), '"', '\"') as {{ name }}_json,
{% endfor %}
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
{% for name in owners %}
                case when {{ name }} <> 'unattributed' then '"{{ name }}": "' || {{ name }}_json || '"' end{{ "," if not loop.last }}
{% endfor %}
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
            provider, billing_account_id, billing_currency, case when token_type = 'idle' then sku_id else coalesce(token_type, '') end, cost_centre, team, feature, customer_tier, environment, row_model,
            row_model_tier
        )
    ) as x_RowId,
    state as x_State,
    stated_invoice_id as x_StatedInvoiceId,
    team as x_Team,
    week_start_date as x_WeekStartDate,
from described
