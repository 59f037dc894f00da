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
        service_id = 'AEFD-7695-64FA' or regexp_matches(lower(service_name), 'gemini api|generative language') as is_gemini_api,
        coalesce(
            (service_id in ('C7E2-9256-1C43', 'AEFD-7695-64FA') or regexp_matches(lower(service_name), 'vertex|gemini|claude|generative language|llama|mistral'))
                and not is_machine(lower(sku_text))
            or (meter.token_type is not null and meter.model is not null),
            false
        ) as is_model,
        case when json_type(try_cast(credits as json)) = 'ARRAY' then from_json(cast(credits as json), '["JSON"]') else [] end as credit_list,
        strftime(charge_start_at, '%Y%m') as usage_month,
    from opened
)

select
    * exclude (credit_list, usage_month),
    unnest(case when is_model then list_concat(cast([null] as json[]), credit_list) else cast([null] as json[]) end) as credit,
    generate_subscripts(case when is_model then list_concat(cast([null] as json[]), credit_list) else cast([null] as json[]) end, 1) - 1 as credit_no,
    charge_start_at as period_start_at,
    charge_end_at as period_end_at,
    'charges/' || coalesce(billing_account_id, '') || '/' || coalesce(invoice_month, usage_month) as endpoint,
    cast(null as varchar[]) as pull_grain,
from judged
