-- A row of the billing export -> a charge line, and a line for each of its credits. The description of the SKU is the only word on
-- the model; its unit may be called requests or count where tokens are counted.
with used as (
    select
        *,
        try_cast(try_cast(usage as json) ->> '$.amount_in_pricing_units' as decimal(38, 9)) as quantity,
        try_cast(usage as json) ->> '$.pricing_unit' as pricing_unit,
        case when credit is null then cost else credit ->> '$.amount' end as amount_text,
        case
            when meter.token_type = 'other' then null
            when meter.token_type is not null and lower(try_cast(usage as json) ->> '$.pricing_unit') in ('count', 'request', 'requests') then 1
            when meter.token_type is not null then tokens_in_unit(try_cast(usage as json) ->> '$.pricing_unit')
        end as tokens_per_unit,
    from bill_records
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when billing_account_id is null or usage_start_time is null or usage_end_time is null or cost is null or currency is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when billing_account_id is null then 'billing_account_id' end,
                    case when usage_start_time is null then 'usage_start_time' end,
                    case when usage_end_time is null then 'usage_end_time' end,
                    case when cost is null then 'cost' end,
                    case when currency is null then 'currency' end
                )
        end,
        wrong_amount('cost', cost),
        wrong_amount('cost_at_list', cost_at_list),
        case when credit is not null and credit ->> '$.amount' is null then 'missing credits.amount' end,
        wrong_amount('credits.amount', credit ->> '$.amount'),
        wrong_bill_instant('usage_start_time', usage_start_time),
        wrong_bill_instant('usage_end_time', usage_end_time),
        case
            when charge_end_at <= charge_start_at
                then 'usage_end_time is ' || left(usage_end_time, 40) || ', expected an instant after usage_start_time ' || left(usage_start_time, 40)
            when not regexp_matches(currency, '^[A-Za-z]{3}$')
                then 'currency is ' || left(currency, 40) || ', expected three letters such as USD'
        end
    ) as refusal,
    case when not is_own and is_of_mixed_invoice then 'other_service (of an invoice of several services)' when not is_own then 'other_service' end as context,
    concat_ws(
        '|',
        endpoint,
        iso_instant(charge_start_at),
        iso_instant(charge_end_at),
        json_array(
            service, sku, project, labels, tags, location, resource, cost_type, currency, credit ->> '$.name', credit ->> '$.id', credit_no
        )
    ) as key_text,
    endpoint,
    'default' as dims_null_means,
    billing_account_id,
    case when is_gemini_api then 'google' else 'vertex' end as provider,
    nullif(maker_of(meter.model), case when is_gemini_api then 'google' end) as model_maker,
    'google' as host_provider,
    seller_name as invoice_issuer,
    try_cast(project as json) ->> '$.id' as sub_account_id,
    try_cast(project as json) ->> '$.name' as sub_account_name,
    -- The month of the invoice is not that of the use, and begins in Pacific time.
    case when regexp_matches(invoice_month, '^\d{6}$') then left(invoice_month, 4) || '-' || right(invoice_month, 2) else invoice_month end as invoice_month,
    charge_start_at,
    charge_end_at,
    case
        when credit is not null then 'Credit'
        when cost_type = 'tax' then 'Tax'
        when cost_type in ('adjustment', 'rounding_error') then 'Adjustment'
        else 'Usage'
    end as charge_category,
    coalesce(cost_type = 'adjustment', false) as is_correction,
    try_cast(amount_text as decimal(38, 12)) as billed_amount,
    case when credit is null then try_cast(cost_at_list as decimal(38, 12)) end as list_amount,
    upper(currency) as currency,
    'major_units_number' as amount_scale_source,
    case when credit is null then sku_text else coalesce(credit ->> '$.full_name', credit ->> '$.name') end as line_item_raw,
    sku_id,
    sku_text as sku_description,
    service_id as product_code,
    service_name as product_name,
    case when credit is null then meter.model end as model_raw,
    case when credit is null then meter.token_type end as token_type,
    meter.service_tier as service_tier,
    meter.is_batch as is_batch,
    meter.context_tier as context_tier,
    coalesce(meter.region_scope, try_cast(location as json) ->> '$.region', try_cast(location as json) ->> '$.location') as region_scope,
    meter.cache_ttl as cache_ttl,
    meter.modality as modality,
    case when meter.token_type is not null then 'grammar' else 'unmapped' end as parser_confidence,
    case when credit is null then quantity end as quantity,
    case when credit is null then coalesce(meter.unit, pricing_unit) end as quantity_unit,
    case when credit is null then tokens_per_unit end as pricing_unit_multiplier,
    case when credit is null then tokens_of(quantity, tokens_per_unit) end as metered_tokens,
    coalesce(try_cast(resource as json) ->> '$.global_name', try_cast(resource as json) ->> '$.name') as resource_id,
    map_concat(kept_attributes(tags_of(tags), further), kept_attributes(tags_of(labels), null)) as tags,
    json_merge_patch('{}', json_object(
        'billing_account_id', billing_account_id, 'service', try_cast(service as json), 'sku', try_cast(sku as json),
        'usage_start_time', usage_start_time, 'usage_end_time', usage_end_time, 'cost', cost, 'cost_at_list', cost_at_list, 'currency', currency,
        'usage', try_cast(usage as json), 'invoice', try_cast(invoice as json), 'cost_type', cost_type, 'credit', credit, 'location', try_cast(location as json),
        'project_id', try_cast(project as json) ->> '$.id'
    )) as raw,
from used
order by file_no, source_row, credit_no
