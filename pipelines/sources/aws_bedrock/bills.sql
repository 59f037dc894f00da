-- A line item of a Cost and Usage Report -> a charge line. Models of Bedrock are sold under codes of three grammars, and many
-- under a random product code of AWS Marketplace: a line is known by its usage type, its product's name or its resource.
with metered as (
    select
        *,
        bedrock_meter(line_item_usage_type) as meter,
        coalesce(product_product_name, try_cast(product as json) ->> '$.product_name') as product_name,
        tags_of(resource_tags) as resource_document,
        tags_of(tags) as tags_document,
        try_cast(line_item_usage_amount as decimal(38, 9)) as quantity,
        coalesce(line_item_net_unblended_cost, line_item_unblended_cost) as billed_text,
    from bill_records
),

named as (
    select
        *,
        coalesce(meter.tokens_per_unit, tokens_in_unit(pricing_unit)) as tokens_per_unit,
        try_cast(billed_text as decimal(38, 12)) as billed_amount,
        plain_tags(coalesce(json_merge_patch(coalesce(column_tags, '{}'), coalesce(resource_document, '{}'), coalesce(tags_document, '{}')), '{}'))
            as plain_document,
        json_merge_patch(coalesce(resource_document, '{}'), coalesce(tags_document, '{}')) as full_document,
        coalesce(meter.token_type is not null, false)
            or contains(lower(coalesce(line_item_product_code, '')), 'bedrock')
            or contains(lower(coalesce(product_name, '')), 'bedrock')
            or contains(coalesce(line_item_resource_id, ''), ':bedrock:') as is_model,
        case
            when line_item_line_item_type = 'Tax' then 'Tax'
            when line_item_line_item_type = 'Credit' then 'Credit'
            when line_item_line_item_type in ('Fee', 'RIFee', 'SavingsPlanUpfrontFee', 'SavingsPlanRecurringFee') then 'Purchase'
            when line_item_line_item_type = 'Refund' or line_item_line_item_type like '%Discount' or line_item_line_item_type = 'SavingsPlanNegation'
                then 'Adjustment'
            else 'Usage'
        end as category,
        category in ('Tax', 'Credit', 'Adjustment') as is_adjusting,
        case when meter.token_type is not null or category = 'Usage' then coalesce(bedrock_resource(line_item_resource_id), meter.model, bedrock_product(product_name)) end
            as model_raw,
        is_model and not is_adjusting as is_used,
        is_adjusting and line_item_product_code is null as is_of_invoice,
    from metered
),

-- Tax, credits and refunds name no model: they belong to the bill of the use of their product, some of which have a random code. Those
-- of no product are of the invoice as a whole: they are Bedrock's where nothing else is on it.
owned as (
    select
        *,
        is_model
            or (is_adjusting and bool_or(is_used) over product)
            or (is_of_invoice and bool_or(is_used) over account and not bool_or(not is_model and not is_adjusting) over account) as is_own,
        is_of_invoice and bool_or(is_used) over account as is_of_mixed_invoice,
    from named
    window account as (partition by file_no, bill_payer_account_id), product as (partition by file_no, bill_payer_account_id, line_item_product_code)
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when coalesce(line_item_usage_start_date, identity_time_interval) is null or billed_text is null or line_item_currency_code is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when coalesce(line_item_usage_start_date, identity_time_interval) is null then 'line_item_usage_start_date' end,
                    case when billed_text is null then 'line_item_unblended_cost' end,
                    case when line_item_currency_code is null then 'line_item_currency_code' end
                )
        end,
        wrong_amount('line_item_net_unblended_cost', line_item_net_unblended_cost),
        wrong_amount('line_item_unblended_cost', line_item_unblended_cost),
        wrong_amount('pricing_public_on_demand_cost', pricing_public_on_demand_cost),
        wrong_amount('line_item_usage_amount', line_item_usage_amount),
        wrong_bill_instant('line_item_usage_start_date', line_item_usage_start_date),
        wrong_bill_instant('line_item_usage_end_date', line_item_usage_end_date),
        case when charge_start_at is null then 'identity_time_interval is ' || left(identity_time_interval, 60) || ', expected two instants' end
    ) as refusal,
    case
        when not is_own and is_of_mixed_invoice then 'other_service (of an invoice of several services)'
        when not is_own then 'other_service'
    end as context,
    concat_ws(
        '|',
        endpoint,
        iso_instant(charge_start_at),
        iso_instant(charge_end_at),
        json_array(
            line_item_usage_account_id, line_item_line_item_type, line_item_usage_type, line_item_operation, line_item_product_code, line_item_resource_id,
            line_item_iam_principal, line_item_line_item_description, bill_invoice_id, bill_billing_entity, line_item_currency_code
        )
    ) as key_text,
    endpoint,
    'default' as dims_null_means,
    -- The invoice has a number once it is final.
    bill_invoice_id is not null as is_final,
    bill_payer_account_id as billing_account_id,
    'bedrock' as provider,
    maker_of(model_raw) as model_maker,
    'aws' as host_provider,
    coalesce(bill_invoicing_entity, bill_billing_entity) as invoice_issuer,
    line_item_usage_account_id as sub_account_id,
    line_item_usage_account_name as sub_account_name,
    bill_invoice_id as invoice_id,
    charge_start_at,
    charge_end_at,
    case when has_period then stated_start_at end as billing_period_start_at,
    case when has_period then stated_end_at end as billing_period_end_at,
    category as charge_category,
    coalesce(line_item_line_item_type = 'Refund', false) as is_correction,
    billed_amount,
    -- A list price of 0 of what was paid for is not known.
    case when try_cast(pricing_public_on_demand_cost as decimal(38, 12)) <> 0 or billed_amount = 0
        then try_cast(pricing_public_on_demand_cost as decimal(38, 12)) end as list_amount,
    upper(line_item_currency_code) as currency,
    'major_units_text' as amount_scale_source,
    line_item_line_item_description as line_item_raw,
    line_item_usage_type as usage_type,
    line_item_product_code as product_code,
    product_name,
    model_raw,
    meter.token_type as token_type,
    meter.service_tier as service_tier,
    meter.is_batch as is_batch,
    meter.context_tier as context_tier,
    coalesce(meter.region_scope, product_region_code) as region_scope,
    meter.cache_ttl as cache_ttl,
    meter.modality as modality,
    case when meter.token_type is not null then 'grammar' else 'unmapped' end as parser_confidence,
    quantity,
    coalesce(meter.unit, pricing_unit) as quantity_unit,
    case when meter.token_type <> 'other' then tokens_per_unit end as pricing_unit_multiplier,
    case when meter.token_type <> 'other' then tokens_of(quantity, tokens_per_unit) end as metered_tokens,
    line_item_iam_principal as principal,
    line_item_resource_id as resource_id,
    map_concat(kept_attributes(plain_document, null), kept_attributes(full_document, null)) as tags,
    kept_attributes(tags_of(cost_category), null) as cost_categories,
    json_merge_patch('{}', json_object(
        'identity_line_item_id', identity_line_item_id, 'bill_invoice_id', bill_invoice_id, 'bill_billing_entity', bill_billing_entity,
        'bill_payer_account_id', bill_payer_account_id, 'bill_billing_period_start_date', bill_billing_period_start_date,
        'line_item_usage_account_id', line_item_usage_account_id, 'line_item_line_item_type', line_item_line_item_type,
        'line_item_usage_start_date', line_item_usage_start_date, 'line_item_usage_end_date', line_item_usage_end_date,
        'line_item_product_code', line_item_product_code, 'line_item_usage_type', line_item_usage_type, 'line_item_operation', line_item_operation,
        'line_item_usage_amount', line_item_usage_amount, 'line_item_currency_code', line_item_currency_code,
        'line_item_unblended_cost', line_item_unblended_cost, 'line_item_net_unblended_cost', line_item_net_unblended_cost,
        'line_item_line_item_description', line_item_line_item_description, 'line_item_resource_id', line_item_resource_id,
        'product_product_name', product_name, 'pricing_unit', pricing_unit, 'pricing_public_on_demand_cost', pricing_public_on_demand_cost
    )) as raw,
from owned
order by file_no, source_row
