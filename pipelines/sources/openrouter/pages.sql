-- Documents -> one row a row of the export: pages with data, or rows one after the other. A window of Together holds lines of its own.
with items as (
    select
        file_no,
        place,
        element ->> '$.organization_id' as page_org_id,
        element ->> '$.currency' as page_currency,
        case
            when json_type(element, '$.data') = 'ARRAY' then from_json(json_extract(element, '$.data'), '["JSON"]')
            when json_exists(element, '$.n_context_tokens_total') or json_exists(element, '$.model_permaslug') then [element]
        end as found,
        unnest(case when found is null then [null] else found end) as item,
        generate_subscripts(case when found is null then [null] else found end, 1) as item_no,
        case when found is null then 'page ' || place || ' has no list of data; pull it again' end as fault,
    from documents
),

opened as (
    select
        * exclude (found, item),
        item,
        coalesce(json_type(item, '$.line_items') = 'ARRAY', false) as is_window,
        case when is_window then from_json(json_extract(item, '$.line_items'), '["JSON"]') else [item] end as lines_found,
        unnest(case when len(lines_found) = 0 then [null] else lines_found end) as line,
        generate_subscripts(case when len(lines_found) = 0 then [null] else lines_found end, 1) as line_no,
    from items
),

parsed as (
    select
        *,
        row_number() over (partition by file_no order by place, item_no, line_no) as source_row,
        from_json(line, '{
            "date":"VARCHAR", "model":"VARCHAR", "model_permaslug":"VARCHAR", "endpoint_id":"VARCHAR", "provider_name":"VARCHAR",
            "usage":"VARCHAR", "byok_usage_inference":"VARCHAR", "requests":"VARCHAR", "prompt_tokens":"VARCHAR", "completion_tokens":"VARCHAR",
            "reasoning_tokens":"VARCHAR", "cached_tokens":"VARCHAR", "workspace_id":"VARCHAR",
            "product_name":"VARCHAR", "quantity":"VARCHAR", "unit_price":"VARCHAR", "cost":"VARCHAR",
            "pricing_dimensions":"JSON", "attributes":"JSON", "applied_credit":{"type":"VARCHAR"},
            "organization_id":"VARCHAR", "n_context_tokens_total":"VARCHAR", "n_non_cached_context_tokens_total":"VARCHAR",
            "n_generated_tokens_total":"VARCHAR", "project_id":"VARCHAR", "api_key_id":"VARCHAR", "api_key_name":"VARCHAR", "timestamp":"VARCHAR",
            "user_id":"VARCHAR", "num_requests":"VARCHAR", "num_seconds_billed":"VARCHAR", "service_tier":"VARCHAR"
        }') as r,
        case
            when is_window then 'together'
            when json_exists(line, '$.n_context_tokens_total') then 'groq'
            else 'openrouter'
        end as seller,
    from opened
)

select
    file_no,
    source_row,
    case
        when fault is not null then fault
        when line is not null and json_type(line) <> 'OBJECT' then 'a JSON ' || lower(json_type(line)) || ', expected an object'
    end as problem,
    seller,
    case when seller = 'openrouter' then 'activity' else seller || '_billing' end as endpoint,
    case when line is null and fault is null then 'context (empty bucket)' end as context,
    case when is_window then item ->> '$.start_time' when seller = 'groq' then r.timestamp else r.date end as starts,
    case when is_window then item ->> '$.end_time' end as ends,
    not is_window as is_day,
    json_merge_patch(line, '{"user_id": null, "user": null}') as raw,
    cast(null as varchar) as generation_id,
    coalesce(r.model_permaslug, r.model, r.attributes ->> '$.model', r.pricing_dimensions ->> '$.model') as model_raw,
    r.provider_name as host_provider,
    r.endpoint_id as workload_ref,
    coalesce(r.workspace_id, r.project_id) as project_id,
    coalesce(r.organization_id, page_org_id) as org_id,
    r.api_key_id as api_key_id,
    r.api_key_name as api_key_name,
    r.user_id as user_id,
    cast(null as varchar) as app_name,
    coalesce(r.prompt_tokens, r.n_context_tokens_total) as prompt,
    coalesce(r.completion_tokens, r.n_generated_tokens_total) as completion,
    r.reasoning_tokens as reasoning,
    r.cached_tokens as cached,
    r.n_non_cached_context_tokens_total as uncached,
    coalesce(r.requests, r.num_requests) as request_count,
    r.num_seconds_billed as seconds,
    coalesce(r.usage, r.cost) as charge,
    r.byok_usage_inference as byok,
    upper(coalesce(page_currency, 'USD')) as currency,
    case json_type(line, case seller when 'openrouter' then '$.usage' else '$.cost' end) when 'VARCHAR' then 'dollars_text' else 'dollars_float' end
        as amount_scale_source,
    coalesce(r.product_name, r.model) as line_item,
    r.quantity as quantity_text,
    map_concat(
        coalesce(try_cast(case when json_type(r.attributes) = 'OBJECT' then r.attributes end as map(varchar, varchar)), map {}),
        case when r.applied_credit.type is not null then map {'applied_credit': r.applied_credit.type} else map {} end
    ) as tags,
    cast(null as varchar) as variant,
    r.service_tier as service_tier,
    cast(null as varchar) as cancelled,
    cast(null as varchar) as finish_reason,
    cast(null as varchar) as generation_ms,
    cast(null as varchar) as first_token_ms,
from parsed
