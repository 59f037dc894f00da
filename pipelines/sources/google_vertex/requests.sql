-- A logged call -> a request. The table is a sample, never a total. Of a stream the last usage counts.
with opened as (
    select
        *,
        case when json_type(full_response) = 'VARCHAR' then try_cast(full_response ->> '$' as json) else full_response end as answer,
        case when json_type(full_request) = 'VARCHAR' then try_cast(full_request ->> '$' as json) else full_request end as question,
        case when json_type(metadata) = 'VARCHAR' then try_cast(metadata ->> '$' as json) else metadata end as told,
        case when json_type(response_payload) = 'ARRAY' then from_json(response_payload, '["VARCHAR"]') else [] end as chunks,
        bill_instant(logging_time) as logged_at,
    from log_records
),

found as (
    select
        *,
        coalesce(
            json_extract(answer, '$.usageMetadata'),
            json_extract(answer, '$[*].usageMetadata')[-1],
            list_filter(
                list_transform(chunks, lambda answer_chunk: json_extract(try_cast(answer_chunk as json), '$.usageMetadata')),
                lambda answer_usage: answer_usage is not null
            )[-1]
        ) as gemini_usage,
        json_extract(answer, '$.usage') as partner_usage,
        -- Searches of grounding are counted nowhere: they are listed with the answer, in a stream more than once.
        list_max(list_transform(
            list_concat(
                json_extract(answer, '$.candidates[*].groundingMetadata.webSearchQueries'),
                json_extract(answer, '$[*].candidates[*].groundingMetadata.webSearchQueries'),
                flatten(list_transform(
                    chunks,
                    lambda answer_chunk: json_extract(try_cast(answer_chunk as json), '$.candidates[*].groundingMetadata.webSearchQueries')
                ))
            ),
            lambda answer_queries: json_array_length(answer_queries)
        )) as searches,
        json_merge_patch(
            case when json_type(told) = 'OBJECT' then told else cast('{}' as json) end,
            coalesce(json_extract(question, '$.labels'), cast('{}' as json))
        ) as labels,
    from opened
),

shaped as (
    select
        * exclude (labels),
        {
            'names': list_transform(coalesce(json_keys(labels), []), lambda label_key: lower(label_key)),
            'texts': list_transform(coalesce(json_extract(labels, '$.*'), []), lambda label_value: case when json_type(label_value) in ('OBJECT', 'ARRAY') then null else label_value ->> '$' end)
        } as named,
        coalesce(gemini_usage, partner_usage) as usage_object,
        case when gemini_usage is not null then 'vertex.generateContent' end as api,
    from found
),

/* usage_steps: shaped, api, usage_object */

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when request_id is null or logging_time is null or model is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when request_id is null then 'request_id' end,
                    case when logging_time is null then 'logging_time' end,
                    case when model is null then 'model' end
                )
        end,
        wrong_bill_instant('logging_time', logging_time),
        classed.problem
    ) as refusal,
    concat_ws('/', endpoint, request_id) as source_row_id,
    iso_instant(logged_at) as source_row_version,
    answer ->> '$.responseId' as provider_response_id,
    dimension_of(named, 'session_id') as session_id,
    dimension_of(named, 'task_id') as task_id,
    case when contains(lower(model), 'embed') then 'embedding' else 'llm_call' end as row_kind,
    logged_at as started_at,
    'vertex' as provider,
    maker_of(model) as model_maker,
    model as model_requested,
    -- The answer names the version that served.
    coalesce(answer ->> '$.modelVersion', answer ->> '$.model', model) as model_served,
    nullif(regexp_extract(endpoint, '/locations/([^/]+)', 1), '') as region,
    classed.* exclude (extra_units, speed, inference_geo, problem),
    case
        when searches > 0 and coalesce(cardinality(classed.extra_units), 0) = 0
            then map {'web_search': cast(searches as decimal(38, 9))}
        else classed.extra_units
    end as extra_units,
    usage_shape,
    usage_object as usage_raw,
    case when json_type(answer, '$.error') = 'OBJECT' then 'error' else 'ok' end as status,
    try_cast(answer ->> '$.error.code' as integer) as http_status,
    answer ->> '$.error.status' as error_class,
    whole(question ->> '$.generationConfig.maxOutputTokens') as max_output_tokens,
    dimension_of(named, 'environment') as environment,
    dimension_of(named, 'release') as release,
    dimension_of(named, 'feature') as feature,
    dimension_of(named, 'team') as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    dimension_of(named, 'user_id') as user_id,
    dimension_of(named, 'workflow') as workflow,
    dimension_of(named, 'step') as step,
    dimension_of(named, 'prompt_name') as prompt_name,
    dimension_of(named, 'prompt_version') as prompt_version,
    kept_of(named) as attributes,
from usage_classed
