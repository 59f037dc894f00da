-- A charge of a cost export -> a charge line. The name of the meter is the only word on the model; newer names leave out the
-- family, which then stands in the subcategory. The multiplier is that of UnitOfMeasure, whatever the name says.
with metered as (
    select
        *,
        azure_meter(MeterName, coalesce(MeterSubCategory, '')) as meter,
        azure_unit_in_name(MeterName) as unit_in_name,
        lower(concat_ws(' ', MeterCategory, MeterSubCategory, ProductName)) as words,
        try_cast(Quantity as decimal(38, 9)) as quantity_used,
        try_cast(CostInBillingCurrency as decimal(38, 12)) as cost,
    from bill_records
),

priced as (
    select
        *,
        case when meter.token_type <> 'other' then tokens_in_unit(UnitOfMeasure) end as tokens_per_unit,
        coalesce(
            regexp_matches(words, 'openai|foundry models')
            or (meter.token_type is not null and regexp_matches(
                lower(concat_ws(' ', words, ConsumedService, ResourceId)), 'cognitiveservices|cognitive services|foundry|machinelearning|saas|azure ai|openai'))
            or regexp_matches(lower(coalesce(PublisherName, '')), 'openai|anthropic|mistral|cohere|deepseek|\bxai\b|\bmeta\b'),
            false
        ) as is_model,
        coalesce(ChargeType in ('Tax', 'Refund', 'RoundingAdjustment', 'Adjustment', 'Credit'), false) as is_adjusting,
        coalesce(lower(coalesce(MeterCategory, ProductName)) = 'invoice', false) as is_of_invoice,
        is_model and not is_adjusting as is_used,
    from metered
),

-- Tax, refunds and adjustments name no model: they belong to the bill of the use of their service, or of an invoice of no other service.
owned as (
    select
        *,
        is_model
            or (is_adjusting and bool_or(is_used) over service)
            or (is_of_invoice and bool_or(is_used) over account and not bool_or(not is_model and not is_adjusting and not is_of_invoice) over account)
            as is_own,
    from priced
    window account as (partition by file_no, BillingAccountId), service as (partition by file_no, BillingAccountId, coalesce(MeterCategory, ConsumedService, ProductName))
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when Date is null or CostInBillingCurrency is null or BillingCurrencyCode is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when Date is null then 'Date' end,
                    case when CostInBillingCurrency is null then 'CostInBillingCurrency or Cost' end,
                    case when BillingCurrencyCode is null then 'BillingCurrencyCode or BillingCurrency' end
                )
        end,
        wrong_amount('CostInBillingCurrency', CostInBillingCurrency),
        wrong_amount('Quantity', Quantity),
        wrong_bill_instant('Date', Date),
        case
            when not regexp_matches(BillingCurrencyCode, '^[A-Za-z]{3}$')
                then 'BillingCurrencyCode is ' || left(BillingCurrencyCode, 40) || ', expected three letters such as USD'
        end
    ) as refusal,
    case when not is_own then 'other_service' end as context,
    concat_ws(
        '|',
        endpoint,
        iso_instant(charge_start_at),
        json_array(
            SubscriptionId, ResourceGroup, ResourceId, MeterId, MeterName, MeterSubCategory, ChargeType, PricingModel, ReservationId, ResourceLocation,
            InvoiceId, BillingCurrencyCode, UnitOfMeasure
        )
    ) as key_text,
    endpoint,
    pull_grain,
    'default' as dims_null_means,
    case when InvoiceId is not null then true end as is_final,
    BillingAccountId as billing_account_id,
    'azure' as provider,
    coalesce(maker_of(meter.model), case when PublisherType <> 'Azure' then lower(PublisherName) end) as model_maker,
    'microsoft' as invoice_issuer,
    SubscriptionId as sub_account_id,
    SubscriptionName as sub_account_name,
    InvoiceId as invoice_id,
    charge_start_at,
    charge_end_at,
    case when has_period then stated_start_at end as billing_period_start_at,
    case when has_period then stated_end_at end as billing_period_end_at,
    case
        when ChargeType = 'Purchase' then 'Purchase'
        when ChargeType = 'Tax' then 'Tax'
        when ChargeType = 'Credit' then 'Credit'
        when ChargeType in ('Refund', 'Adjustment', 'RoundingAdjustment') then 'Adjustment'
        else 'Usage'
    end as charge_category,
    coalesce(ChargeType = 'Refund', false) as is_correction,
    cost as billed_amount,
    case when is_amortised then cost end as effective_amount,
    upper(BillingCurrencyCode) as currency,
    'major_units_text' as amount_scale_source,
    MeterName as line_item_raw,
    concat_ws(' / ', MeterCategory, MeterSubCategory) as sku_description,
    MeterId as meter_id,
    ConsumedService as product_code,
    ProductName as product_name,
    meter.model as model_raw,
    meter.token_type as token_type,
    meter.service_tier as service_tier,
    meter.is_batch as is_batch,
    meter.context_tier as context_tier,
    coalesce(meter.region_scope, ResourceLocation) as region_scope,
    meter.modality as modality,
    -- Where the unit in the name and that of the column part, the tokens are in doubt; the money is not.
    case when meter.token_type is null or unit_in_name <> tokens_per_unit then 'unmapped' else 'grammar' end as parser_confidence,
    quantity_used as quantity,
    coalesce(meter.unit, UnitOfMeasure) as quantity_unit,
    tokens_per_unit as pricing_unit_multiplier,
    tokens_of(quantity_used, tokens_per_unit) as metered_tokens,
    ResourceId as resource_id,
    kept_attributes(tags_of(Tags), further) as tags,
    kept_attributes(json_object('cost_centre', CostCenter, 'CostCenter', CostCenter), null) as cost_categories,
    json_merge_patch('{}', json_object(
        'Date', Date, 'SubscriptionId', SubscriptionId, 'ResourceGroup', ResourceGroup, 'ResourceLocation', ResourceLocation,
        'ProductName', ProductName, 'MeterCategory', MeterCategory, 'MeterSubCategory', MeterSubCategory, 'MeterId', MeterId,
        'MeterName', MeterName, 'MeterRegion', MeterRegion, 'UnitOfMeasure', UnitOfMeasure, 'Quantity', Quantity, 'EffectivePrice', EffectivePrice,
        'CostInBillingCurrency', CostInBillingCurrency, 'CostInPricingCurrency', CostInPricingCurrency, 'PricingCurrencyCode', PricingCurrencyCode,
        'BillingCurrencyCode', BillingCurrencyCode, 'ResourceId', ResourceId, 'ReservationId', ReservationId, 'UnitPrice', UnitPrice,
        'PayGPrice', PayGPrice, 'PublisherType', PublisherType, 'PublisherName', PublisherName, 'ChargeType', ChargeType, 'PricingModel', PricingModel,
        'BillingAccountId', BillingAccountId, 'BillingPeriodStartDate', BillingPeriodStartDate, 'BillingPeriodEndDate', BillingPeriodEndDate,
        'InvoiceId', InvoiceId
    )) as raw,
from owned
order by file_no, source_row
