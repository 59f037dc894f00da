-- An invocation -> a request. The counts beside the bodies count; where they are missing (streams of older records), those in the
-- body of the answer. A cache count that is absent is unknown, not 0. Of the bodies nothing but usage and the output cap is read.
with opened as (
    select
        *,
        json_extract(output, '$.outputBodyJson.usage') as body_usage,
        coalesce(
            json_extract(output, '$.outputBodyJson[*].metadata.usage')[-1],
            json_extract(output, '$.outputBodyJson[*].message.usage')[-1]
        ) as stream_usage,
        coalesce(
            json_extract(output, '$.outputBodyJson."amazon-bedrock-invocationMetrics"'),
            json_extract(output, '$.outputBodyJson[*]."amazon-bedrock-invocationMetrics"')[-1]
        ) as metrics,
        json_extract(input, '$.inputTokenCount') as input_count,
        json_extract(output, '$.outputTokenCount') as output_count,
        -- Keys that nothing below reads: of Converse's own object, and beside the counts of the log.
        json_merge_patch(
            case when json_exists(output, '$.outputBodyJson.usage.inputTokens') then json_extract(output, '$.outputBodyJson.usage') else cast('{}' as json) end,
            numbers_in(input, '^\w+TokenCount$'),
            numbers_in(output, '^\w+TokenCount$')
        ) as further_counts,
        nullif(errorCode, '') as error_code,
        try_cast(timestamp as timestamptz) as started,
        json_merge_patch(
            json_object('account_id', accountId, 'identity_arn', identity ->> '$.arn', 'operation', operation),
            case when json_type(requestMetadata) = 'OBJECT' then requestMetadata else cast('{}' as json) end
        ) as metadata,
    from log_records
),

named as (
    select
        *,
        {
            'names': list_transform(coalesce(json_keys(metadata), []), lambda metadata_key: lower(metadata_key)),
            'texts': list_transform(coalesce(json_extract(metadata, '$.*'), []), lambda metadata_value: metadata_value ->> '$')
        } as named,
        case
            when coalesce(input_count, output_count) is not null then json_merge_patch(further_counts, json_object(
                'inputTokens', input_count,
                'outputTokens', output_count,
                'cacheReadInputTokenCount', coalesce(json_extract(input, '$.cacheReadInputTokenCount'), json_extract(body_usage, '$.cacheReadInputTokens'),
                    json_extract(metrics, '$.cacheReadInputTokenCount')),
                'cacheWriteInputTokenCount', coalesce(json_extract(input, '$.cacheWriteInputTokenCount'), json_extract(body_usage, '$.cacheWriteInputTokens'),
                    json_extract(metrics, '$.cacheWriteInputTokenCount')),
                'cacheDetails', json_extract(coalesce(body_usage, stream_usage), '$.cacheDetails'),
                'totalTokens', json_extract(body_usage, '$.totalTokens'),
                'inputTokenCount', null, 'outputTokenCount', null, 'cacheReadInputTokens', null, 'cacheWriteInputTokens', null
            ))
            when metrics is not null then json_object(
                'inputTokens', json_extract(metrics, '$.inputTokenCount'),
                'outputTokens', json_extract(metrics, '$.outputTokenCount'),
                'cacheReadInputTokenCount', json_extract(metrics, '$.cacheReadInputTokenCount'),
                'cacheWriteInputTokenCount', json_extract(metrics, '$.cacheWriteInputTokenCount')
            )
            else coalesce(body_usage, stream_usage)
        end as usage_object,
        case when coalesce(input_count, output_count, metrics) is not null then 'bedrock.converse' end as api,
    from opened
),

/* usage_steps: named, api, usage_object */

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when requestId is null or timestamp is null or modelId is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when requestId is null then 'requestId' end,
                    case when timestamp is null then 'timestamp' end,
                    case when modelId is null then 'modelId' end
                )
        end,
        wrong_instant('timestamp', timestamp),
        classed.problem
    ) as refusal,
    concat_ws('/', accountId, region, requestId) as source_row_id,
    iso_instant(started) as source_row_version,
    requestId as provider_response_id,
    dimension_of(named, 'session_id') as session_id,
    dimension_of(named, 'task_id') as task_id,
    case when contains(lower(modelId), 'embed') then 'embedding' else 'llm_call' end as row_kind,
    started as started_at,
    'bedrock' as provider,
    maker_of(coalesce(bedrock_resource(modelId), modelId)) as model_maker,
    modelId as model_requested,
    modelId as model_served,
    coalesce(inferenceRegion, region) as region,
    classed.* exclude (speed, inference_geo, problem),
    usage_shape,
    json_merge_patch('{}', usage_object) as usage_raw,
    case when error_code is null then 'ok' else 'error' end as status,
    error_code as error_class,
    coalesce(
        whole(input ->> '$.inputBodyJson.inferenceConfig.maxTokens'),
        whole(input ->> '$.inputBodyJson.max_tokens')
    ) as max_output_tokens,
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
    dimension_of(named, 'api_key_name') as api_key_name,
    kept_of(named) as attributes,
from usage_classed
