-- A row of a cost report -> a charge line. The API writes cents with fractions, the Console dollars.
with amounts as (
    select
        *,
        case units_in_major
            when 100 then cast(try_cast(amount_text as decimal(36, 14)) * cast('0.01' as decimal(2, 2)) as decimal(38, 12))
            else try_cast(amount_text as decimal(38, 12))
        end as billed,
        case units_in_major
            when 100 then cast(try_cast(list_text as decimal(36, 14)) * cast('0.01' as decimal(2, 2)) as decimal(38, 12))
            else try_cast(list_text as decimal(38, 12))
        end as listed,
    from records
    where endpoint = 'costs'
)

select
    file_no,
    source_row,
    refusal,
    context,
    concat_ws(
        '|',
        endpoint,
        iso_instant(bucket_start_at),
        iso_instant(bucket_end_at),
        json_array(
            org_id, workspace_id, workspace_name, api_key_id, api_key_name, user_id, principal, workload_ref, cast(tags as varchar), model_raw,
            line_item, cost_type, token_type, service_tier, context_window, inference_geo, speed, currency
        ),
        row_number() over (
            partition by
                file_no, bucket_start_at, bucket_end_at, org_id, workspace_id, workspace_name, api_key_id, api_key_name, user_id, principal,
                workload_ref, tags, model_raw, line_item, cost_type, token_type, service_tier, context_window, inference_geo, speed, currency
            order by cast(raw as varchar), source_row
        )
    ) as key_text,
    pulled_at,
    endpoint,
    pull_grain,
    dims_null_means,
    'anthropic' as provider,
    workspace_id as sub_account_id,
    workspace_name as sub_account_name,
    bucket_start_at as charge_start_at,
    bucket_end_at as charge_end_at,
    -- A negative line that names no model gives money back: it is a credit, not use.
    case when billed < 0 and model_raw is null then 'Credit' else 'Usage' end as charge_category,
    billed as billed_amount,
    listed as list_amount,
    upper(currency) as currency,
    amount_scale_source,
    line_item as line_item_raw,
    model_raw,
    case
        when regexp_matches(token_type, 'cache_read') then 'cache_read'
        when regexp_matches(token_type, 'cache_(creation|write)') then 'cache_write'
        when regexp_matches(token_type, '^output') then 'output'
        when token_type in ('uncached_input_tokens', 'input_no_cache') then 'input'
    end as token_type,
    case when service_tier <> 'batch' then service_tier end as service_tier,
    service_tier = 'batch' as is_batch,
    context_window as context_tier,
    inference_geo as region_scope,
    coalesce(nullif(regexp_extract(token_type, 'ephemeral_(5m|1h)', 1), ''), nullif(regexp_extract(token_type, 'write_(5m|1h)', 1), '')) as cache_ttl,
    case
        when model_raw is null and cost_type is null then 'unmapped'
        when billed_is_rounded then 'grammar'
        else 'exact'
    end as parser_confidence,
    api_key_id,
    api_key_name,
    user_id,
    principal,
    tags,
    billed_is_rounded,
    raw,
from amounts
