-- A FOCUS charge -> a charge line. What a line says of a model stands in SkuPriceDetails (1.5 drafts, and x_ keys before), else it
-- is read off the words of its cloud's own export, else off SkuId, SkuMeter and the description.
with detailed as (
    select
        *,
        case when json_type(try_cast(SkuPriceDetails as json)) = 'OBJECT' then cast(SkuPriceDetails as json) end as details,
        regexp_extract(
            lower(SkuId),
            '^(?:[a-z_]+/)?([^/]+)/(input|output|out|read|write|cache_read|cache_write|cached_input)(?:/.*)?$',
            ['model', 'word']
        ) as sku,
        lower(concat_ws(' ', SkuMeter, ChargeDescription)) as words,
        case provider
            when 'bedrock' then bedrock_meter(coalesce(x_UsageType, SkuMeter))
            when 'azure' then azure_meter(coalesce(x_SkuMeterName, SkuMeter), coalesce(x_SkuMeterSubcategory, ''))
            when 'vertex' then google_meter(coalesce(x_SkuDescription, ChargeDescription))
            when 'google' then google_meter(coalesce(x_SkuDescription, ChargeDescription))
            else no_meter()
        end as meter,
        tags_of(Tags) as tags_document,
    from records
),

named as (
    select
        *,
        coalesce(details ->> '$.ModelId', details ->> '$.x_ModelId', details ->> '$.ModelName', details ->> '$.x_ModelName') as detail_model,
        lower(coalesce(details ->> '$.TokenDirection', details ->> '$.x_TokenDirection')) as direction,
        lower(coalesce(details ->> '$.TokenCacheAction', details ->> '$.x_TokenCacheAction')) as cache_action,
        case
            when regexp_matches(words, 'cached?[ _-]?(read|hit)|cached[ _-](input|prompt)') then 'cache_read'
            when regexp_matches(words, 'cached?[ _-]?(write|creation)') then 'cache_write'
            when regexp_matches(words, '\b(input|prompt)[ _-]tokens?') then 'input'
            when regexp_matches(words, '\b(output|completion)[ _-]tokens?') then 'output'
        end as word_type,
    from detailed
),

-- Materialised: inlined where it is read, a batch of two files took a second to plan.
typed as materialized (
    select
        *,
        case
            when cache_action = 'read' then 'cache_read'
            when cache_action = 'write' then 'cache_write'
            when direction in ('input', 'output') then direction
        end as detail_type,
        case sku.word
            when 'input' then 'input' when 'output' then 'output' when 'out' then 'output' when 'read' then 'cache_read'
            when 'cache_read' then 'cache_read' when 'cached_input' then 'cache_read' when 'write' then 'cache_write'
            when 'cache_write' then 'cache_write'
        end as sku_type,
        coalesce(detail_type, meter.token_type, sku_type, word_type) as token_type,
        coalesce(
            detail_model,
            case when provider = 'bedrock' then bedrock_resource(ResourceId) end,
            meter.model,
            case when provider = 'bedrock' then coalesce(bedrock_product(ServiceName), bedrock_product(ChargeDescription)) end,
            nullif(sku.model, ''),
            described_model(words)
        ) as model_raw,
        -- Which of the two quantities counts tokens.
        case
            when tokens_in_unit(ConsumedUnit) is not null then 'consumed'
            when tokens_in_unit(PricingUnit) is not null then 'pricing'
            when meter.tokens_per_unit is not null and PricingQuantity is not null then 'pricing'
            when ConsumedQuantity is not null then 'consumed'
            else 'pricing'
        end as which,
        try_cast(case when which = 'consumed' then ConsumedQuantity else PricingQuantity end as decimal(38, 9)) as quantity,
        case when which = 'consumed' then ConsumedUnit else PricingUnit end as quantity_unit,
        coalesce(tokens_in_unit(quantity_unit), meter.tokens_per_unit) as tokens_per_unit,
    from named
),

-- Whose line it is: a cloud's bill has lines of all of its services.
owned as (
    select
        *,
        -- A word of its own: use where something was measured.
        case
            when lower(ChargeCategory) in ('usage', 'purchase', 'tax', 'credit', 'adjustment') then upper(ChargeCategory[1]) || lower(ChargeCategory[2:])
            when coalesce(ConsumedQuantity, PricingQuantity) is not null then 'Usage'
            else 'Adjustment'
        end as category,
        category in ('Tax', 'Credit', 'Adjustment') as is_adjusting,
        coalesce(lower(ServiceName) = 'invoice', false) as is_of_invoice,
        -- A cloud's line is of a model where the maker of models sells it there, or where it counts tokens of an AI service.
        coalesce(lower(ServiceCategory) in ('ai and machine learning', 'generative ai'), false) as is_of_ai,
        coalesce(is_of_ai and (is_sold_by_clouds(seller_name(service_provider)) or tokens_in_unit(quantity_unit) is not null), false)
            or coalesce(case provider
            when 'bedrock' then token_type is not null or contains(lower(concat_ws(' ', ServiceName, x_ServiceCode, ChargeDescription)), 'bedrock')
                or contains(ResourceId, ':bedrock:')
            when 'azure' then meter.token_type is not null or detail_type is not null
                or regexp_matches(lower(concat_ws(' ', ServiceName, x_SkuMeterCategory, x_SkuMeterSubcategory, SkuMeter, ChargeDescription)), 'openai|foundry models')
            when 'vertex' then meter.token_type is not null or detail_type is not null
                or (regexp_matches(lower(ServiceName), 'vertex|gemini|claude|generative|llama|mistral') and not is_machine(lower(ChargeDescription)))
            when 'google' then true
            else provider in ('openai', 'anthropic', 'mistral', 'deepseek', 'groq', 'cohere', 'together', 'openrouter', 'perplexity', 'fireworks', 'cerebras', 'xai')
                or is_of_ai or ServiceSubcategory = 'Generative AI' or detail_type is not null
        end, false) as is_model,
        is_model and not is_adjusting as is_used,
    from typed
),

-- Tax, credits and adjustments name no model. They belong to the bill of the use of their service; those of the invoice as a whole
-- to the only seller on it, unless other services are on it too.
joined as (
    select
        * replace (
            case when is_of_invoice then coalesce(arg_max(provider, abs(try_cast(BilledCost as double))) filter (where is_used) over account, provider)
                else provider end as provider
        ),
        is_model
            or (is_adjusting and bool_or(is_used) over service)
            or (is_of_invoice and bool_or(is_used) over account and not bool_or(not is_model and not is_adjusting and not is_of_invoice) over account)
            as is_own,
        is_of_invoice and bool_or(is_used) over account as is_of_mixed_invoice,
        list_transform(
            case when json_type(try_cast(x_Credits as json)) = 'ARRAY' then from_json(cast(x_Credits as json), '["JSON"]') else [] end,
            lambda one: {
                'name': coalesce(one ->> '$.FullName', one ->> '$.full_name', one ->> '$.Name', one ->> '$.name', one ->> '$.Id', one ->> '$.id'),
                'amount': coalesce(one ->> '$.Amount', one ->> '$.amount')
            }
        ) as credits,
    from owned
    window account as (partition by file_no, BillingAccountId), service as (partition by file_no, BillingAccountId, ServiceName)
),

-- A file may hold a charge and, beside it, the same charge split over features: only one of the two is money.
split as (
    select
        *,
        sum(case when AllocatedMethodId is not null then try_cast(BilledCost as decimal(38, 12)) end) over charge as allocated_cost,
        bool_or(AllocatedMethodId is null and abs(try_cast(BilledCost as double)) > 0) over charge as has_whole,
        sum(case when AllocatedMethodId is null then try_cast(BilledCost as decimal(38, 12)) end) over charge as whole_cost,
        -- Credits that stand beside a charge take away from it, however their sign is written; a cost that is net of them holds them already.
        list_sum(list_transform(credits, lambda one: abs(try_cast(one.amount as decimal(38, 12))))) as credited,
        not is_own or coalesce(
            abs(try_cast(ContractedCost as decimal(38, 12)) - credited - try_cast(BilledCost as decimal(38, 12))) <= 0.000000001 and credited > 0, false
        ) as is_net,
    from joined
    window charge as (
        partition by file_no, BillingAccountId, SubAccountId, ChargeCategory, ChargeClass, ChargePeriodStart, ChargePeriodEnd, ChargeDescription,
        SkuId, SkuPriceId, ResourceId, RegionId, ServiceName, InvoiceId
    )
),

parts as (
    select
        *,
        unnest(case when is_net then [null] else list_concat([null], credits) end) as credit,
        generate_subscripts(case when is_net then [null] else list_concat([null], credits) end, 1) - 1 as credit_no,
    from split
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when BilledCost is null or BillingCurrency is null or ChargePeriodStart is null or ChargePeriodEnd is null or service_provider is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when BilledCost is null then 'BilledCost' end,
                    case when BillingCurrency is null then 'BillingCurrency' end,
                    case when ChargePeriodStart is null then 'ChargePeriodStart' end,
                    case when ChargePeriodEnd is null then 'ChargePeriodEnd' end,
                    case when service_provider is null then 'ProviderName or ServiceProviderName' end
                )
        end,
        wrong_amount('BilledCost', BilledCost),
        wrong_amount('ListCost', ListCost),
        wrong_amount('ContractedCost', ContractedCost),
        wrong_amount('EffectiveCost', EffectiveCost),
        case when credit is not null and credit.amount is null then 'missing x_Credits.Amount' end,
        wrong_amount('x_Credits.Amount', credit.amount),
        wrong_bill_instant('ChargePeriodStart', ChargePeriodStart),
        wrong_bill_instant('ChargePeriodEnd', ChargePeriodEnd),
        case
            when charge_end_at <= charge_start_at
                then 'ChargePeriodEnd is ' || left(ChargePeriodEnd, 40) || ', expected an instant after ChargePeriodStart ' || left(ChargePeriodStart, 40)
            when not regexp_matches(BillingCurrency, '^[A-Za-z]{3}$')
                then 'BillingCurrency is ' || left(BillingCurrency, 40) || ', expected three letters such as USD'
        end
    ) as refusal,
    case
        when not is_own and is_of_mixed_invoice then 'other_service (of an invoice of several services)'
        when not is_own then 'other_service'
        when AllocatedMethodId is not null and has_whole and abs(allocated_cost - whole_cost) <= 0.000000001 * abs(whole_cost) then 'context (allocated part of a charge in this file)'
    end as context,
    concat_ws(
        '|',
        endpoint,
        iso_instant(charge_start_at),
        iso_instant(charge_end_at),
        json_array(
            ChargeCategory, ChargeClass, ChargeDescription, SkuId, SkuPriceId, SkuMeter, SubAccountId, ResourceId, RegionId, ServiceName, InvoiceId,
            BillingCurrency, AllocatedResourceId
        ),
        case when credit is not null then concat_ws(' ', 'credit', credit_no, credit.name) end
    ) as key_text,
    endpoint,
    'default' as dims_null_means,
    case when InvoiceId is not null then true end as is_final,
    BillingAccountId as billing_account_id,
    provider,
    nullif(coalesce(
        lower(coalesce(details ->> '$.ModelDeveloper', details ->> '$.x_ModelDeveloper')),
        maker_of(model_raw),
        case when not regexp_matches(PublisherName, '\b(aws|amazon|microsoft|azure|google)\b', 'i') then lower(PublisherName) end
    ), provider) as model_maker,
    coalesce(HostProviderName, ProviderName) as host_provider,
    InvoiceIssuerName as invoice_issuer,
    SubAccountId as sub_account_id,
    SubAccountName as sub_account_name,
    InvoiceId as invoice_id,
    charge_start_at,
    charge_end_at,
    case when has_period then stated_start_at end as billing_period_start_at,
    case when has_period then stated_end_at end as billing_period_end_at,
    case when credit is not null then 'Credit' else category end as charge_category,
    coalesce(lower(ChargeClass) = 'correction', false) as is_correction,
    case
        when credit is null then try_cast(BilledCost as decimal(38, 12))
        when try_cast(BilledCost as decimal(38, 12)) < 0 then abs(try_cast(credit.amount as decimal(38, 12)))
        else -abs(try_cast(credit.amount as decimal(38, 12)))
    end as billed_amount,
    case when credit is null then try_cast(ListCost as decimal(38, 12)) end as list_amount,
    case when credit is null then try_cast(ContractedCost as decimal(38, 12)) end as contracted_amount,
    case when credit is null then try_cast(EffectiveCost as decimal(38, 12)) end as effective_amount,
    upper(BillingCurrency) as currency,
    case when upper(PricingCurrency) <> upper(BillingCurrency) then try_cast(PricingCurrencyEffectiveCost as decimal(38, 9)) end as virtual_currency_amount,
    case when upper(PricingCurrency) <> upper(BillingCurrency) then PricingCurrency end as virtual_currency_unit,
    'major_units_text' as amount_scale_source,
    case when credit is null then ChargeDescription else coalesce(credit.name, ChargeDescription) end as line_item_raw,
    SkuId as sku_id,
    SkuMeter as sku_description,
    x_SkuMeterId as meter_id,
    x_UsageType as usage_type,
    x_ServiceCode as product_code,
    ServiceName as product_name,
    case when credit is null then model_raw end as model_raw,
    case when credit is null then token_type end as token_type,
    coalesce(details ->> '$.ServiceTier', details ->> '$.x_ServiceTier', meter.service_tier) as service_tier,
    meter.is_batch as is_batch,
    coalesce(details ->> '$.ContextWindow', details ->> '$.x_ContextWindow', meter.context_tier) as context_tier,
    coalesce(meter.region_scope, RegionId) as region_scope,
    meter.cache_ttl as cache_ttl,
    meter.modality as modality,
    case when detail_type is not null and detail_model is not null then 'exact' when token_type is not null then 'grammar' else 'unmapped' end as parser_confidence,
    case when credit is null then quantity end as quantity,
    case when credit is null then coalesce(meter.unit, quantity_unit) end as quantity_unit,
    case when credit is null and token_type <> 'other' then tokens_per_unit end as pricing_unit_multiplier,
    case when credit is null and token_type <> 'other' then tokens_of(quantity, tokens_per_unit) end as metered_tokens,
    ResourceId as resource_id,
    kept_attributes(tags_document, further) as tags,
    json_merge_patch('{}', json_object(
        'BilledCost', BilledCost, 'BillingAccountId', BillingAccountId, 'BillingAccountName', BillingAccountName, 'BillingCurrency', BillingCurrency,
        'BillingPeriodStart', BillingPeriodStart, 'BillingPeriodEnd', BillingPeriodEnd, 'ChargeCategory', ChargeCategory, 'ChargeClass', ChargeClass,
        'ChargeDescription', ChargeDescription, 'ChargeFrequency', ChargeFrequency, 'ChargePeriodStart', ChargePeriodStart,
        'ChargePeriodEnd', ChargePeriodEnd, 'ConsumedQuantity', ConsumedQuantity, 'ConsumedUnit', ConsumedUnit, 'ContractedCost', ContractedCost,
        'ContractedUnitPrice', ContractedUnitPrice, 'EffectiveCost', EffectiveCost, 'HostProviderName', HostProviderName, 'InvoiceDetailId', InvoiceDetailId,
        'InvoiceId', InvoiceId, 'InvoiceIssuerName', InvoiceIssuerName, 'ListCost', ListCost, 'ListUnitPrice', ListUnitPrice,
        'PricingCategory', PricingCategory, 'PricingCurrency', PricingCurrency, 'PricingCurrencyEffectiveCost', PricingCurrencyEffectiveCost,
        'PricingQuantity', PricingQuantity, 'PricingUnit', PricingUnit, 'ProviderName', ProviderName, 'PublisherName', PublisherName, 'RegionId', RegionId,
        'ResourceId', ResourceId, 'ServiceCategory', ServiceCategory, 'ServiceName', ServiceName, 'ServiceProviderName', ServiceProviderName,
        'SkuId', SkuId, 'SkuMeter', SkuMeter, 'SkuPriceDetails', SkuPriceDetails, 'SkuPriceId', SkuPriceId, 'SubAccountId', SubAccountId,
        'SubAccountName', SubAccountName, 'AllocatedMethodId', AllocatedMethodId, 'AllocatedResourceId', AllocatedResourceId,
        'x_UsageType', x_UsageType, 'x_ServiceCode', x_ServiceCode, 'x_SkuMeterName', x_SkuMeterName, 'x_SkuMeterSubcategory', x_SkuMeterSubcategory,
        'x_SkuMeterCategory', x_SkuMeterCategory, 'x_SkuDescription', x_SkuDescription, 'credit', to_json(credit)
    )) as raw,
from parts
order by file_no, source_row, credit_no
