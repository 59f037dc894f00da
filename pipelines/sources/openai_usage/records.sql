-- Pages and lines of the dashboard -> one row a result, or a bucket that has none. What a pull was grouped by is not in a page: it is read off the
-- dimensions that have a value anywhere in the file.
with buckets as (
    select
        file_no,
        page_no,
        unnest(from_json(data, '[{"start_time":"BIGINT","end_time":"BIGINT","results":"JSON","result":"JSON"}]')) as bucket,
        generate_subscripts(from_json(data, '["JSON"]'), 1) as bucket_no,
    from pages
    where json_type(data) = 'ARRAY'
),

opened as (
    select
        file_no,
        page_no,
        bucket_no,
        -- Seconds of the years 1970 to 9999.
        case when bucket.start_time between 0 and 253402300799 then to_timestamp(bucket.start_time) end as bucket_start_at,
        case when bucket.end_time between 0 and 253402300799 then to_timestamp(bucket.end_time) end as bucket_end_at,
        coalesce(bucket.results, bucket.result, '[]') as results_text,
        case when json_type(results_text) = 'ARRAY' then from_json(results_text, '["JSON"]') else [] end as results,
        case when json_type(results_text) <> 'ARRAY' then 'a bucket whose results are no list' end as fault,
    from buckets
),

results as (
    select
        file_no,
        page_no,
        bucket_no,
        bucket_start_at,
        bucket_end_at,
        unnest(case when len(results) = 0 then [null] else results end) as raw,
        generate_subscripts(case when len(results) = 0 then [null] else results end, 1) as result_no,
        fault,
    from opened
    union all
    -- An error answer among the pages: what should have been there is missing.
    select
        file_no,
        page_no,
        0 as bucket_no,
        null as bucket_start_at,
        null as bucket_end_at,
        null as raw,
        0 as result_no,
        'page ' || page_no || ' has no list of data; pull it again' as fault,
    from pages
    where json_type(data) is distinct from 'ARRAY'
),

numbered as (
    select
        file_no,
        row_number() over (partition by file_no order by page_no, bucket_no, result_no) as source_row,
        fault,
        bucket_start_at,
        bucket_end_at,
        raw,
        false as covers_range,
    from results
    union all
    select file_no, source_row, problem as fault, bucket_start_at, bucket_end_at, raw, true as covers_range
    from dashboard_results
),

parsed as (
    select
        *,
        from_json(raw, '{
            "object":"VARCHAR", "project_id":"VARCHAR", "user_id":"VARCHAR", "api_key_id":"VARCHAR", "model":"VARCHAR", "batch":"VARCHAR",
            "service_tier":"VARCHAR", "api_source":"VARCHAR", "size":"VARCHAR", "source":"VARCHAR", "context_level":"VARCHAR",
            "vector_store_id":"VARCHAR", "line_item":"VARCHAR", "organization_id":"VARCHAR", "organization_name":"VARCHAR",
            "project_name":"VARCHAR", "api_key_name":"VARCHAR",
            "input_tokens":"VARCHAR", "input_cached_tokens":"VARCHAR", "input_cache_write_tokens":"VARCHAR",
            "input_cache_write_30m_tokens":"VARCHAR", "input_cache_write_12h_tokens":"VARCHAR", "input_uncached_tokens":"VARCHAR",
            "input_text_tokens":"VARCHAR", "input_audio_tokens":"VARCHAR", "input_image_tokens":"VARCHAR",
            "input_cached_text_tokens":"VARCHAR", "input_cached_audio_tokens":"VARCHAR", "input_cached_image_tokens":"VARCHAR",
            "output_tokens":"VARCHAR", "output_text_tokens":"VARCHAR", "output_audio_tokens":"VARCHAR", "output_image_tokens":"VARCHAR",
            "num_model_requests":"VARCHAR", "num_requests":"VARCHAR", "num_sessions":"VARCHAR", "images":"VARCHAR",
            "characters":"VARCHAR", "seconds":"VARCHAR", "usage_bytes":"VARCHAR",
            "amount":{"value":"VARCHAR", "currency":"VARCHAR"}, "quantity":"VARCHAR", "quantity_unit":"VARCHAR"
        }') as r,
    from numbered
),

named as (
    select
        *,
        regexp_extract(r.object, '^organization\.(usage\.[a-z_]+|costs)\.result$', 1) as endpoint_of_result,
    from parsed
),

-- The endpoint's own name where the result is called otherwise.
placed as (
    select
        *,
        case endpoint_of_result
            when 'usage.file_searches' then 'usage.file_search_calls'
            when 'usage.web_searches' then 'usage.web_search_calls'
            else nullif(endpoint_of_result, '')
        end as own_endpoint,
    from named
),

per_file as (
    select
        file_no,
        min(own_endpoint) as endpoint,
        -- A pull without any result does not show what it was grouped by.
        case when count(raw) > 0 then list_sort(list_filter([
            case when count(r.project_id) > 0 then 'project_id' end,
            case when count(r.user_id) > 0 then 'user_id' end,
            case when count(r.api_key_id) > 0 then 'api_key_id' end,
            case when count(r.model) > 0 then 'model' end,
            case when count(r.batch) > 0 then 'batch' end,
            case when count(r.service_tier) > 0 then 'service_tier' end,
            case when count(r.api_source) > 0 then 'api_source' end,
            case when count(r.size) > 0 then 'size' end,
            case when count(r.source) > 0 then 'source' end,
            case when count(r.context_level) > 0 then 'context_level' end,
            case when count(r.vector_store_id) > 0 then 'vector_store_id' end,
            case when count(r.line_item) > 0 then 'line_item' end
        ], lambda grain: grain is not null)) end as pull_grain,
    from placed
    group by file_no
)

select
    placed.* exclude (endpoint_of_result, own_endpoint, fault),
    cast(null as varchar) as problem,
    coalesce(own_endpoint, per_file.endpoint, nullif(page_files.endpoint_of_name, '')) as endpoint,
    per_file.pull_grain,
    case
        when fault is not null then fault
        when bucket_start_at is null or bucket_end_at is null
            then 'a bucket without start_time and end_time, expected unix seconds'
        when bucket_end_at <= bucket_start_at then 'a bucket that ends no later than it starts'
        when raw is not null and own_endpoint is null
            then 'a result named ' || coalesce(r.object, 'nothing') || ', expected organization.usage.*.result or organization.costs.result'
    end as wrong,
from placed
inner join per_file on placed.file_no = per_file.file_no
inner join page_files on placed.file_no = page_files.file_no
