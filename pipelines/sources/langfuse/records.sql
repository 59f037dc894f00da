-- Rows of any exit -> one set of names. A UI export has a column for each score beside its own: only names in its own
-- spelling are taken of it, so that a score called user_id is not the user.
with spelled as (
    select
        file_no,
        source_row,
        problem,
        case
            when exportSource is not null then 'manifest'
            when startTime is not null or start_time is not null then 'observation'
            when coalesce(data_type, dataType) is not null then 'score'
            when type is null and timestamp is not null then 'trace'
            else 'observation'
        end as record_kind,
        startTime is not null as is_camel,
        nullif(id, '') as id,
        upper(nullif(type, '')) as type,
        nullif(name, '') as name,
        nullif(nullif(environment, ''), 'default') as environment,
        nullif(timestamp, '') as timestamp,
        nullif(level, '') as level,
        nullif(release, '') as release,
        value,
        source as score_source,
        nullif(case when is_camel then traceId else coalesce(trace_id, traceId) end, '') as trace_id,
        nullif(coalesce(startTime, start_time), '') as start_time,
        nullif(case when is_camel then endTime else end_time end, '') as end_time,
        nullif(case when is_camel then completionStartTime else completion_start_time end, '') as completion_start_time,
        nullif(case when is_camel then parentObservationId else parent_observation_id end, '') as parent_observation_id,
        nullif(case when is_camel then userId else coalesce(user_id, userId) end, '') as user_id,
        nullif(case when is_camel then sessionId else coalesce(session_id, sessionId) end, '') as session_id,
        nullif(case when is_camel then coalesce(updatedAt, createdAt) else coalesce(updated_at, updatedAt, created_at, createdAt) end, '')
            as updated_at,
        nullif(case when is_camel then coalesce(nullif(providedModelName, ''), model) else provided_model_name end, '') as model,
        nullif(case when is_camel then totalCost else total_cost end, '') as total_cost,
        nullif(case when is_camel then usagePricingTierName else usage_pricing_tier_name end, '') as pricing_tier,
        nullif(case when is_camel then promptName else prompt_name end, '') as prompt_name,
        nullif(case when is_camel then promptVersion else prompt_version end, '') as prompt_version,
        nullif(case when is_camel then traceName else trace_name end, '') as trace_name,
        nullif(coalesce(observation_id, observationId), '') as observation_id,
        nullif(coalesce(dataset_run_id, datasetRunId), '') as dataset_run_id,
        upper(coalesce(data_type, dataType)) as data_type,
        coalesce(string_value, stringValue) as string_value,
        object_in(case when is_camel then modelParameters else model_parameters end) as parameters,
        object_in(case when is_camel then usageDetails else usage_details end) as usage_details,
        object_in(case when is_camel then costDetails else cost_details end) as cost_details,
        object_in(providedCostDetails) as provided_cost_details,
        object_in(metadata) as metadata,
        list_in(tags) as tags,
    from rows_as_read
),

grouped as (
    select
        *,
        object_in(json_extract(metadata, '$.attributes')) as attributes,
        object_in(json_extract(metadata, '$.resourceAttributes')) as resource,
        coalesce(metadata ->> '$."scope.name"', object_in(json_extract(metadata, '$.scope')) ->> '$.name') as scope_name,
        list_reverse(list_filter(tags, lambda tag: contains(tag, ':'))) as pairs,
    from spelled
)

select
    * exclude (is_camel, attributes, resource, pairs),
    -- Tags first, then the record's own metadata, then what OpenTelemetry adds.
    {
        'names': list_concat(
            list_transform(pairs, lambda tag: lower(split_part(tag, ':', 1))), names_in(metadata), names_in(attributes), names_in(resource)
        ),
        'texts': list_concat(
            list_transform(pairs, lambda tag: substr(tag, strpos(tag, ':') + 1)), texts_in(metadata), texts_in(attributes), texts_in(resource)
        )
    } as named,
from grouped
