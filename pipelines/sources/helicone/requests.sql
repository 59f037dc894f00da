-- Helicone's rows -> requests. Input is without the cached part, output without reasoning. A cost of 0 is an unknown one, but
-- for an answer out of Helicone's own cache.
with read as (
    select
        file_no,
        source_row,
        problem,
        said(request_id) as request_id,
        said(response_id) as response_id,
        said(response_body.id) as provider_id,
        said(request_created_at) as started_text,
        said(response_created_at) as ended_text,
        said(updated_at) as updated_text,
        said(response_status) as response_status,
        said(request_user_id) as user_id,
        said(provider) as named_provider,
        coalesce(said(model_override), said(request_model), said(response_model), said(model)) as model,
        said(request_model) as request_model,
        said(target_url) as target_url,
        said(time_to_first_token) as first_token_ms,
        said(prompt_tokens) as prompt_tokens,
        said(completion_tokens) as completion_tokens,
        said(total_tokens) as total_tokens,
        said(prompt_cache_read_tokens) as cache_read,
        said(prompt_cache_write_tokens) as cache_write,
        said(prompt_audio_tokens) as prompt_audio,
        said(completion_audio_tokens) as completion_audio,
        said(reasoning_tokens) as reasoning,
        said(coalesce(cost, costUSD)) as stated_cost,
        said(cache_reference_id) as cache_reference,
        said(prompt_id) as prompt_id,
        said(prompt_version) as prompt_version,
        -- The CSV writer doubles the quotes of objects once more than a cell needs.
        coalesce(
            object_in(request_properties),
            object_in(properties),
            try_cast(replace(request_properties ->> '$', '""', '"') as json)
        ) as owners,
        -- The CSV has no id of its own for a row.
        md5(concat_ws('|', response_id, request_created_at, response_created_at, request_user_id, prompt_tokens, completion_tokens, cost))
            as row_hash,
        further,
    from records
),

told as (
    select
        * exclude (owners),
        -- Headers are sent in any case, and properties by any name.
        {'names': names_in(owners), 'texts': texts_in(owners)} as named,
        request_id is null and response_id is not null and named_provider is null and request_model is null as is_poor,
        coalesce(regexp_matches(cache_reference, '[1-9a-f]'), false) as is_hit,
        'helicone.log' as usage_kind,
        case when coalesce(prompt_tokens, completion_tokens) is not null then with_counts(json_object(
            'prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens, 'total_tokens', total_tokens,
            'prompt_cache_read_tokens', cache_read, 'prompt_cache_write_tokens', cache_write, 'prompt_audio_tokens', prompt_audio,
            'completion_audio_tokens', completion_audio, 'reasoning_tokens', reasoning
        ), further) end as usage_object,
        try_cast(started_text as timestamptz) as started,
        nullif(try_cast(stated_cost as decimal(18, 12)), 0) as cost,
        try_cast(whole(response_status) as integer) as status_code,
        -- Models that think, as far as their makers count the thinking apart: what is exported of their output is too low.
        reasoning is null and coalesce(regexp_matches(
            lower(model),
            '(^|/)(o[1-9]([.-]|$)|gpt-([5-9]|oss)|codex|deepseek-(r[1-9]|reasoner)|gemini-(2\.5|[3-9])|grok-(3-mini|[4-9])|magistral|qwq)'
        ) and not regexp_matches(lower(model), 'gpt-5[^/]*-chat|non-reasoning'), false) as lacks_reasoning,
    from read
),

/* usage_steps: told, usage_kind, usage_object */

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when (request_id is null and not is_poor) or started_text is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when request_id is null and not is_poor then 'request_id' end,
                    case when started_text is null then 'request_created_at' end
                )
        end,
        wrong_instant('request_created_at', started_text),
        wrong_instant('response_created_at', ended_text),
        wrong_instant('updated_at', updated_text),
        case when response_status is not null and status_code is null
            then 'response_status is ' || left(response_status, 40) || ', expected a whole number' end,
        classed.problem,
        wrong_usd('cost', stated_cost)
    ) as refusal,
    case when is_poor then 'csv|' || row_hash else request_id end as source_row_id,
    iso_instant(coalesce(try_cast(updated_text as timestamptz), try_cast(ended_text as timestamptz), started)) as source_row_version,
    case when not is_hit then provider_id end as provider_response_id,
    request_id as gateway_call_id,
    coalesce(value_named(named, 'helicone-session-id'), dimension_of(named, 'session_id')) as session_id,
    dimension_of(named, 'task_id') as task_id,
    case
        when is_hit then 'gateway_cache_hit'
        when is_poor then 'other'
        when regexp_matches(target_url, '/embeddings|mbedContent') then 'embedding'
        else 'llm_call'
    end as row_kind,
    not is_hit and not is_poor as is_billable_leaf,
    started as started_at,
    try_cast(ended_text as timestamptz) as ended_at,
    case when whole(first_token_ms) > 0 and not is_hit then started + to_milliseconds(whole(first_token_ms)) end as first_token_at,
    seller_of(named_provider, model, target_url) as provider,
    request_model as model_requested,
    model as model_served,
    target_url as api_base,
    /* token_classes: classed */,
    classed.unread_usage as unread_usage,
    classed.extra_units as extra_units,
    classed.context_test_tokens as context_test_tokens,
    classed.provider_total_tokens as provider_total_tokens,
    usage_shape,
    list_concat(
        classed.usage_flags,
        case when lacks_reasoning and not is_hit and usage_shape is not null then ['reasoning_not_exported'] else cast([] as varchar[]) end
    ) as usage_flags,
    classed.usage_basis as usage_basis,
    case when (lacks_reasoning and not is_hit or is_poor) and usage_shape is not null then 'partial' else classed.usage_quality end
        as usage_quality,
    usage_object as usage_raw,
    case when is_hit then cast(0 as decimal(18, 12)) when not is_poor then cost end as cost_reported_usd,
    case when is_hit or (cost is not null and not is_poor) then 'gateway_list' else 'none' end as cost_reported_basis,
    -- Numbers below those of HTTP are Helicone's own: pending, cancelled (-3) and so on.
    case
        when status_code is null or status_code between 200 and 299 then 'ok'
        when status_code = -3 then 'cancelled'
        when status_code <= 0 then 'partial'
        else 'error'
    end as status,
    case when status_code between 100 and 599 then status_code end as http_status,
    is_hit as gateway_cache_hit,
    dimension_of(named, 'environment') as environment,
    dimension_of(named, 'release') as release,
    dimension_of(named, 'feature') as feature,
    dimension_of(named, 'team') as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    coalesce(user_id, dimension_of(named, 'user_id')) as user_id,
    coalesce(value_named(named, 'helicone-session-name'), dimension_of(named, 'workflow')) as workflow,
    coalesce(value_named(named, 'helicone-session-path'), dimension_of(named, 'step')) as step,
    coalesce(prompt_id, dimension_of(named, 'prompt_name')) as prompt_name,
    coalesce(prompt_version, dimension_of(named, 'prompt_version')) as prompt_version,
    dimension_of(named, 'api_key_name') as api_key_name,
    coalesce(value_named(named, 'helicone-session-name'), left(prompt_id, 200)) as fallback_feature,
    kept_of(named) as attributes,
from usage_classed
