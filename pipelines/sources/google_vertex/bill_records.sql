-- Charges, and below each its credits, which are money of their own: a net cost is their sum. A dump replaces, for each invoice
-- month, the days of use that it holds.
with opened as (
    select
        *,
        try_cast(service as json) ->> '$.id' as service_id,
        try_cast(service as json) ->> '$.description' as service_name,
        try_cast(sku as json) ->> '$.id' as sku_id,
        try_cast(sku as json) ->> '$.description' as sku_text,
        nullif(try_cast(invoice as json) ->> '$.month', '') as invoice_month,
        bill_instant(usage_start_time) as charge_start_at,
        bill_instant(usage_end_time) as charge_end_at,
        google_meter(try_cast(sku as json) ->> '$.description') as meter,
    from bill_rows
),

judged as (
    select
        *,
        service_id = 'AEFD-7695-64FA' or is_gemini_service(service_name) as is_gemini_service,
        coalesce(
            (service_id in ('C7E2-9256-1C43', 'AEFD-7695-64FA') or regexp_matches(lower(service_name), 'vertex|gemini|claude|llama|mistral') or is_gemini_service(service_name))
                and not is_machine(lower(sku_text))
            or (meter.token_type is not null and meter.model is not null),
            false
        ) as is_model,
        coalesce(cost_type in ('tax', 'adjustment', 'rounding_error'), false) as is_adjusting,
        coalesce(lower(service_name) = 'invoice', false) as is_of_invoice,
        is_model and not is_adjusting and not is_of_invoice as is_used,
        case when json_type(try_cast(credits as json)) = 'ARRAY' then from_json(cast(credits as json), '["JSON"]') else [] end as credit_list,
        strftime(charge_start_at, '%Y%m') as usage_month,
    from opened
),

-- Tax and adjustments name no model. They belong to the bill of the use of their service; those of the invoice as a whole to the
-- seller on it, unless other services are on it too.
owned as (
    select
        *,
        is_model
            or (is_adjusting and bool_or(is_used) over of_service)
            or (is_of_invoice and bool_or(is_used) over account and not bool_or(not is_model and not is_adjusting and not is_of_invoice) over account)
            as is_own,
        is_of_invoice and bool_or(is_used) over account as is_of_mixed_invoice,
        case
            when is_of_invoice then coalesce(arg_max(is_gemini_service, abs(try_cast(cost as double))) filter (where is_used) over account, false)
            else coalesce(is_gemini_service, false)
        end as is_gemini_api,
    from judged
    window account as (partition by file_no, billing_account_id), of_service as (partition by file_no, billing_account_id, service_id, service_name)
)

select
    * exclude (credit_list, usage_month),
    unnest(case when is_own then list_concat(cast([null] as json[]), credit_list) else cast([null] as json[]) end) as credit,
    generate_subscripts(case when is_own then list_concat(cast([null] as json[]), credit_list) else cast([null] as json[]) end, 1) - 1 as credit_no,
    charge_start_at as period_start_at,
    charge_end_at as period_end_at,
    'charges/' || coalesce(billing_account_id, '') || '/' || coalesce(invoice_month, usage_month) as endpoint,
    cast(null as varchar[]) as pull_grain,
from owned
