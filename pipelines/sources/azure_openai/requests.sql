-- A log record -> a request. A call leaves two RequestResponse records, one nearly empty, and cached tokens stand in a record of
-- another category: what lies in one file is put together by correlation id; of what lies apart the record with the counts wins.
with opened as (
    select
        *,
        case when json_type(properties) = 'VARCHAR' then try_cast(properties ->> '$' as json) else properties end as p,
        lower(category) like '%requestusage' as is_usage,
    from log_records
),

counted as (
    select
        *,
        coalesce(json_extract(p, '$.promptTokens[0]'), json_extract(p, '$.promptTokens')) as prompt,
        coalesce(json_extract(p, '$.completionTokens[0]'), json_extract(p, '$.completionTokens')) as completion,
        coalesce(json_extract(p, '$.cachedTokens[0]'), json_extract(p, '$.cachedTokens')) as cached,
        coalesce(json_extract(p, '$.reasoningTokens[0]'), json_extract(p, '$.reasoningTokens')) as reasoning,
        -- Counts of a newer version, one or a list of one.
        list_filter(
            list_transform(
                list_filter(
                    coalesce(json_keys(p), []),
                    lambda field: regexp_full_match(field, '\w*[tT]okens?(Count)?')
                        and field not in ('promptTokens', 'completionTokens', 'cachedTokens', 'reasoningTokens')
                ),
                lambda field: {'name': field, 'count': whole(coalesce(p ->> ('$.' || field || '[0]'), p ->> ('$.' || field)))}
            ),
            lambda further_count: further_count.count is not null
        ) as further,
        nullif(coalesce(p ->> '$.callerObjectId', p ->> '$.objectId'), '') as caller,
        coalesce(p ->> '$.modelName', p ->> '$.model') as model_name,
        p ->> '$.modelVersion' as model_version,
        coalesce(p ->> '$.modelDeploymentName', p ->> '$.deploymentName') as deployment,
        -- .NET ticks: 100 ns from the year 1, 621355968000000000 of them before 1970.
        case when try_cast(p ->> '$.requestTime' as bigint) > 621355968000000000
            then make_timestamptz((try_cast(p ->> '$.requestTime' as bigint) - 621355968000000000) // 10) end as requested_at,
        case when try_cast(p ->> '$.responseTime' as bigint) > 621355968000000000
            then make_timestamptz((try_cast(p ->> '$.responseTime' as bigint) - 621355968000000000) // 10) end as answered_at,
        try_cast(time as timestamptz) as logged_at,
    from opened
),

joined as (
    select
        *,
        first_value(prompt ignore nulls) over usage_of_call as call_prompt,
        first_value(completion ignore nulls) over usage_of_call as call_completion,
        first_value(cached ignore nulls) over usage_of_call as call_cached,
        first_value(reasoning ignore nulls) over usage_of_call as call_reasoning,
        first_value(case when len(further) > 0 then further end ignore nulls) over usage_of_call as call_further,
        first_value(model_name ignore nulls) over usage_of_call as call_model,
        first_value(model_version ignore nulls) over usage_of_call as call_version,
        first_value(deployment ignore nulls) over usage_of_call as call_deployment,
        row_number() over (
            partition by file_no, coalesce(correlationId, cast(source_row as varchar))
            order by is_usage, caller is null, prompt is null, source_row
        ) as place,
    from counted
    window
        usage_of_call as (
            partition by file_no, coalesce(correlationId, cast(source_row as varchar)) order by is_usage desc, caller is null, source_row
            rows between unbounded preceding and unbounded following
        )
),

shaped as (
    select
        *,
        case when coalesce(call_prompt, call_completion) is not null then json_merge_patch(coalesce(
            cast(to_json(map_from_entries(list_transform(call_further, lambda further_count: {'key': further_count.name, 'value': further_count.count}))) as json),
            '{}'
        ), json_object(
            'prompt_tokens', call_prompt,
            'completion_tokens', call_completion,
            'prompt_tokens_details', case when call_cached is not null then json_object('cached_tokens', call_cached) end,
            'completion_tokens_details', case when call_reasoning is not null then json_object('reasoning_tokens', call_reasoning) end
        )) end as usage_object,
        'openai.chat' as api,
        {
            'names': ['deployment', 'subscription_id', 'operation'],
            'texts': [call_deployment, regexp_extract(lower(resourceId), '/subscriptions/([^/]+)', 1), operationName]
        } as named,
    from joined
),

/* usage_steps: shaped, api, usage_object */

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when time is null or category is null or correlationId is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when time is null then 'time' end,
                    case when category is null then 'category' end,
                    case when correlationId is null then 'correlationId' end
                )
        end,
        wrong_instant('time', time),
        case when properties is not null and json_type(p) is distinct from 'OBJECT' then 'properties is no JSON object' end,
        classed.problem,
        wrong_small_count('resultSignature', case when regexp_matches(resultSignature, '^\d+$') then resultSignature end)
    ) as refusal,
    case
        when lower(category) not in ('requestresponse', 'azureopenairequestusage') then 'context (category ' || left(category, 40) || ')'
        when place > 1 then 'context (another record of the call)'
        when usage_object is null
            and not regexp_matches(lower(coalesce(operationName, '')), 'completion|responses|embedding|image|audio|transcri|translat|speech|messages|chat')
            then 'context (no call of a model)'
    end as context,
    correlationId as source_row_id,
    -- A record with counts of its own goes before one that only says that there was a call.
    iso_instant(coalesce(answered_at, logged_at) + case when is_usage or call_cached is not null then interval 1 day else interval 0 day end) as source_row_version,
    correlationId as gateway_call_id,
    case when regexp_matches(lower(coalesce(operationName, '')), 'embedding') then 'embedding' else 'llm_call' end as row_kind,
    coalesce(requested_at, logged_at) as started_at,
    answered_at as ended_at,
    'azure' as provider,
    maker_of(call_model) as model_maker,
    call_deployment as model_requested,
    -- The version of a snapshot is its date.
    case when regexp_matches(call_version, '^\d{4}-\d{2}-\d{2}$') and not contains(call_model, call_version)
        then call_model || '-' || call_version else call_model end as model_served,
    lower(location) as region,
    classed.* exclude (usage_basis, speed, inference_geo, problem),
    usage_shape,
    -- Without the other category the prompt holds an unknown share of cached tokens.
    case when usage_object is not null and call_cached is null then 'ambiguous' else classed.usage_basis end as usage_basis,
    usage_object as usage_raw,
    case when whole(resultSignature) >= 400 then 'error' else 'ok' end as status,
    try_cast(whole(resultSignature) as integer) as http_status,
    caller as user_id,
    kept_of(named) as attributes,
from usage_classed
order by file_no, source_row
