-- Portkey's logs -> requests. Cost is in cents; whether the units hold what was cached and thought is not known.
with read as (
    select
        file_no,
        source_row,
        problem,
        said(id) as id,
        said(response.id) as provider_id,
        said(trace_id) as trace_id,
        said(span_id) as span_id,
        said(parent_span_id) as parent_span_id,
        dated(said(created_at)) as started_text,
        lower(said(is_success)) as success,
        coalesce(said(ai_org), said(ai_provider)) as named_provider,
        said(ai_model) as model,
        said(coalesce(req_units, request_tokens)) as units_in,
        said(coalesce(res_units, response_tokens)) as units_out,
        said(coalesce(total_units, total_tokens)) as units_total,
        said(cost) as stated_cost,
        upper(said(cost_currency)) as currency,
        said(request_url) as request_url,
        said(response_status_code) as status_code,
        said(response_time) as response_ms,
        coalesce(upper(trim(cache_status)) like '%HIT', false) as is_hit,
        said(retry_success_count) as retries,
        said(virtual_key) as virtual_key,
        said(prompt_slug) as prompt_slug,
        said(prompt_version_id) as prompt_version_id,
        said(span_name) as span_name,
        said(_environment) as environment_set,
        said(_user) as user_set,
        -- The sample of a metric record and the page on exports disagree on what its cost is counted in.
        f.source_schema_version = 'metric_record' as is_metric,
        object_in(metadata) as meta,
        further,
    from records as r
    inner join landing_files as f using (file_no)
),

told as (
    select
        * exclude (meta),
        -- Keys and values may come as two lists.
        case when json_type(meta, '$.key') = 'ARRAY' and json_type(meta, '$.value') = 'ARRAY'
            then {
                'names': list_transform(from_json(json_extract(meta, '$.key'), '["VARCHAR"]'), lambda name: lower(ltrim(name, '_'))),
                'texts': from_json(json_extract(meta, '$.value'), '["VARCHAR"]')
            }
            else {'names': list_transform(names_in(meta), lambda name: ltrim(name, '_')), 'texts': texts_in(meta)}
        end as named,
        'portkey.log' as usage_kind,
        case when coalesce(units_in, units_out, units_total) is not null
            then with_counts(json_object('req_units', units_in, 'res_units', units_out, 'total_units', units_total), further)
        end as usage_object,
        try_cast(started_text as timestamptz) as started,
        case when not is_metric and coalesce(currency, 'USD') = 'USD'
            then nullif(cast(cast(try_cast(stated_cost as decimal(38, 14)) * cast(0.01 as decimal(3, 2)) as decimal(38, 16)) as decimal(18, 12)), 0)
        end as cost,
        try_cast(whole(status_code) as integer) as http_status,
    from read
),

/* usage_steps: told, usage_kind, usage_object */

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when id is null or started_text is null
                then 'missing ' || concat_ws(', ', case when id is null then 'id' end, case when started_text is null then 'created_at' end)
        end,
        wrong_instant('created_at', started_text),
        wrong_small_count('response_status_code', status_code),
        wrong_count('response_time', response_ms),
        classed.problem,
        wrong_amount('cost', stated_cost)
    ) as refusal,
    id as source_row_id,
    iso_instant(started) as source_row_version,
    case when not is_hit then provider_id end as provider_response_id,
    id as gateway_call_id,
    hex_id(trace_id) as trace_id,
    hex_id(span_id) as span_id,
    hex_id(parent_span_id) as parent_span_id,
    dimension_of(named, 'session_id') as session_id,
    dimension_of(named, 'task_id') as task_id,
    case
        when is_hit then 'gateway_cache_hit'
        when regexp_matches(request_url, '/embeddings|mbedContent') then 'embedding'
        else 'llm_call'
    end as row_kind,
    not is_hit as is_billable_leaf,
    started as started_at,
    started + to_milliseconds(whole(response_ms)) as ended_at,
    seller_of(named_provider, model, request_url) as provider,
    model as model_served,
    request_url as api_base,
    /* token_classes: classed */,
    classed.unread_usage as unread_usage,
    classed.extra_units as extra_units,
    classed.context_test_tokens as context_test_tokens,
    classed.provider_total_tokens as provider_total_tokens,
    usage_shape,
    classed.usage_flags as usage_flags,
    case when usage_shape is not null then 'ambiguous' end as usage_basis,
    case when is_hit and usage_shape is not null then 'replayed' else classed.usage_quality end as usage_quality,
    usage_object as usage_raw,
    to_json({'cost': stated_cost, 'cost_currency': currency}) as cost_raw,
    case when is_hit then cast(0 as decimal(18, 12)) else cost end as cost_reported_usd,
    case when is_hit or cost is not null then 'gateway_list' else 'none' end as cost_reported_basis,
    case
        when success in ('0', '0.0', 'false') or http_status >= 400 then 'error'
        else 'ok'
    end as status,
    http_status,
    case when try_cast(retries as decimal(18, 3)) >= 0 then try_cast(whole(retries) + 1 as integer) end as attempt,
    case when try_cast(retries as decimal(18, 3)) >= 0 then whole(retries) > 0 end as is_retry,
    is_hit as gateway_cache_hit,
    case when is_hit and not is_metric then cost end as saved_cost_usd,
    coalesce(environment_set, dimension_of(named, 'environment')) as environment,
    dimension_of(named, 'release') as release,
    dimension_of(named, 'feature') as feature,
    dimension_of(named, 'team') as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    coalesce(user_set, value_named(named, 'user'), dimension_of(named, 'user_id')) as user_id,
    dimension_of(named, 'workflow') as workflow,
    coalesce(dimension_of(named, 'step'), span_name) as step,
    coalesce(prompt_slug, dimension_of(named, 'prompt_name')) as prompt_name,
    coalesce(prompt_version_id, dimension_of(named, 'prompt_version')) as prompt_version,
    coalesce(virtual_key, dimension_of(named, 'api_key_name')) as api_key_name,
    left(prompt_slug, 200) as fallback_feature,
    kept_of(named) as attributes,
from usage_classed
