-- A row of activity -> its tokens; a generation is one call. Lines of Together are no counts of tokens.
select
    file_no,
    source_row,
    refusal,
    context,
    concat_ws(
        '|',
        seller,
        endpoint,
        iso_instant(bucket_start_at),
        generation_id,
        json_array(org_id, project_id, api_key_id, api_key_name, user_id, workload_ref, host_provider, model_raw, service_tier),
        row_number() over (
            partition by
                file_no, seller, bucket_start_at, generation_id, org_id, project_id, api_key_id, api_key_name, user_id, workload_ref, host_provider, model_raw,
                service_tier
            order by cast(raw as varchar), source_row
        )
    ) as key_text,
    org_id as billing_account_id,
    endpoint,
    pull_grain,
    'default' as dims_null_means,
    seller as provider,
    host_provider,
    bucket_start_at,
    bucket_end_at,
    org_id,
    project_id,
    api_key_id,
    api_key_name,
    user_id,
    workload_ref,
    model_raw,
    case when try_cast(seconds as decimal(38, 9)) > 0 then 'stt' else 'completion' end as operation,
    service_tier,
    case when generation_id is not null then 1 else whole(request_count) end as requests,
    variant,
    input_uncached as input_uncached_tokens,
    cache_read as cache_read_tokens,
    output_text as output_text_tokens,
    whole(reasoning) as output_reasoning_tokens,
    case when try_cast(seconds as decimal(38, 9)) > 0 then try_cast(seconds as decimal(38, 9)) end as quantity,
    case when try_cast(seconds as decimal(38, 9)) > 0 then 'seconds' end as quantity_unit,
    raw,
from records
where seller <> 'together'
-- A generation that is there twice is one.
qualify generation_id is null or refusal is not null or row_number() over (partition by file_no, generation_id order by source_row) = 1
