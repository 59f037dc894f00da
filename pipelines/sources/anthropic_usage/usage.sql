-- A row of a usage report -> its tokens, and its web searches as a row of their own. Cached tokens are not in the uncached ones
-- here, and nothing tells reasoning from other output.
with parts as (
    select
        *,
        unnest(
            case when refusal is null and context is null and whole(web_searches) > 0 then ['completion', 'web_search'] else ['completion'] end
        ) as operation,
    from records
    where endpoint <> 'costs'
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
        operation,
        json_array(
            org_id, workspace_id, workspace_name, api_key_id, api_key_name, user_id, principal, workload_ref, cast(tags as varchar), model_raw,
            service_tier, context_window, inference_geo, speed
        ),
        row_number() over (
            partition by
                file_no, endpoint, bucket_start_at, bucket_end_at, operation, org_id, workspace_id, workspace_name, api_key_id, api_key_name,
                user_id, principal, workload_ref, tags, model_raw, service_tier, context_window, inference_geo, speed
            order by cast(raw as varchar), source_row
        )
    ) as key_text,
    billing_account_id,
    pulled_at,
    endpoint,
    pull_grain,
    dims_null_means,
    'anthropic' as provider,
    bucket_start_at,
    bucket_end_at,
    org_id,
    workspace_id as project_id,
    workspace_name as project_name,
    api_key_id,
    api_key_name,
    user_id,
    principal,
    workload_ref,
    tags,
    model_raw,
    operation,
    service_tier,
    service_tier = 'batch' as is_batch,
    context_window as context_tier,
    inference_geo as region,
    speed,
    case when operation = 'completion' then whole(request_count) end as requests,
    case when operation = 'completion' then whole(uncached_tokens) end as input_uncached_tokens,
    case when operation = 'completion' then whole(cache_read) end as cache_read_tokens,
    case when operation = 'completion' then whole(cache_write_5m) end as cache_write_5m_tokens,
    case when operation = 'completion' then whole(cache_write_1h) end as cache_write_1h_tokens,
    case when operation = 'completion' then whole(cache_write) end as cache_write_tokens,
    case when operation = 'completion' then whole(output_tokens) end as output_text_tokens,
    case when operation = 'web_search' then try_cast(web_searches as decimal(38, 9)) end as quantity,
    case when operation = 'web_search' then 'calls' end as quantity_unit,
    raw,
from parts
