-- Lines of the Console's two files -> the columns of pages.sql. Amounts are dollars, rounded to cents; names stand in place of ids.
with cleaned as (
    select
        file_no,
        source_row,
        problem,
        has_cost_usd as is_cost,
        has_api_key or has_workspace as has_owner,
        has_usage_input_tokens_cache_write as has_writes_without_ttl,
        plain(usage_date_utc) as usage_date,
        plain(coalesce(model, model_version)) as model_text,
        plain(workspace) as workspace,
        plain(api_key) as api_key,
        plain(api_key_id) as api_key_id,
        plain(usage_type) as usage_type,
        plain(context_window) as context_text,
        plain(token_type) as token_type,
        plain(cost_type) as cost_type,
        money(cost_usd) as cost,
        money(list_price_usd) as list_price,
        plain(inference_geo) as inference_geo,
        plain(speed) as speed,
        plain(usage_input_tokens_no_cache) as no_cache,
        plain(usage_input_tokens_cache_write) as cache_write,
        plain(usage_input_tokens_cache_write_5m) as cache_write_5m,
        plain(usage_input_tokens_cache_write_1h) as cache_write_1h,
        plain(usage_input_tokens_cache_read) as cache_read,
        plain(usage_output_tokens) as output_tokens,
        plain(web_search_count) as web_searches,
        json_object(
            'usage_date_utc', usage_date_utc, 'model', model, 'model_version', model_version, 'workspace', workspace, 'api_key', api_key,
            'api_key_id', api_key_id, 'api_key_status', api_key_status, 'usage_type', usage_type, 'context_window', context_window,
            'token_type', token_type, 'cost_type', cost_type, 'cost_usd', cost_usd, 'list_price_usd', list_price_usd,
            'inference_geo', inference_geo, 'speed', speed, 'usage_input_tokens_no_cache', usage_input_tokens_no_cache,
            'usage_input_tokens_cache_write', usage_input_tokens_cache_write,
            'usage_input_tokens_cache_write_5m', usage_input_tokens_cache_write_5m,
            'usage_input_tokens_cache_write_1h', usage_input_tokens_cache_write_1h,
            'usage_input_tokens_cache_read', usage_input_tokens_cache_read, 'usage_output_tokens', usage_output_tokens,
            'web_search_count', web_search_count
        ) as cells,
    from console_rows
)

select
    file_no,
    source_row,
    problem,
    case when is_cost then 'costs' else 'usage' end as endpoint,
    -- Rounded lines never stand before those of the API, which are grouped by line_item.
    case
        when is_cost then ['api_key', 'context_window', 'cost_type', 'inference_geo', 'model', 'speed', 'token_type', 'workspace']
        when has_owner then ['api_key', 'context_window', 'inference_geo', 'model', 'service_tier', 'speed', 'workspace']
        else ['context_window', 'inference_geo', 'model', 'service_tier', 'speed']
    end as pull_grain,
    cast(null as timestamptz) as pulled_at,
    true as covers_range,
    case when is_cost and cost is null and problem is null then 'context (no amount)' end as context,
    usage_date as starts,
    cast(null as varchar) as ends,
    true as is_day,
    -- The fields of the line that have a value.
    case when problem is null then json_merge_patch('{}', cells) end as raw,
    no_cache as uncached_tokens,
    cache_read,
    cache_write_5m,
    cache_write_1h,
    cache_write,
    output_tokens,
    cast(null as varchar) as total_tokens,
    web_searches,
    cast(null as varchar) as request_count,
    cost as amount_text,
    list_price as list_text,
    'dollars_text' as amount_scale_source,
    case when is_cost then 'USD' end as currency,
    -- The file has no text of a line: model and token type are what it says.
    case when is_cost then concat_ws(', ', model_text, coalesce(token_type, cost_type)) end as line_item,
    cost_type,
    token_type,
    -- The cost file has display names: Claude 3.5 Sonnet 2024-10-22 is claude-3-5-sonnet-20241022.
    regexp_replace(regexp_replace(lower(model_text), '(\d{4})-(\d{2})-(\d{2})$', '\1\2\3'), '[ .]+', '-', 'g') as model_raw,
    cast(null as varchar) as org_id,
    case when has_owner and lower(coalesce(workspace, 'default')) = 'default' then 'default' end as workspace_id,
    workspace as workspace_name,
    api_key_id,
    api_key as api_key_name,
    cast(null as varchar) as user_id,
    cast(null as varchar) as principal,
    cast(null as varchar) as workload_ref,
    map_from_entries(cast([] as struct(key varchar, value varchar)[])) as tags,
    case when not is_cost then usage_type end as service_tier,
    -- ≤ 200k and > 200k are what the API calls 0-200k and 200k-1M.
    case
        when regexp_matches(context_text, '^(≤|<=?)') then '0-200k'
        when regexp_matches(context_text, '^(>=?|≥)') then '200k-1M'
        else context_text
    end as context_window,
    inference_geo,
    speed,
    cast(null as varchar) as billing_account_id,
    is_cost as billed_is_rounded,
    1 as units_in_major,
from cleaned
