-- Output lines of a batch -> requests, priced as a batch. The batch itself is the header of its lines: it says whose they are.
with told as (
    select
        b.*,
        case b.object_name
            when 'chat.completion' then 'openai.chat'
            when 'text_completion' then 'openai.chat'
            when 'response' then 'openai.responses'
            when 'list' then 'openai.embeddings'
            when 'batch' then 'openai.responses'
        end as api,
        -- Embeddings and errors bear no instant: the file's own stands for it.
        coalesce(instant_of(b.created), f.pulled_at) as started,
        {
            'names': list_transform(coalesce(json_keys(b.metadata), []), lambda written: lower(written)),
            'texts': coalesce(json_extract_string(b.metadata, '$.*'), [])
        } as named,
    from batch_records as b
    inner join landing_files as f on b.file_no = f.file_no
),

/* usage_steps: told, api, usage_object */

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when is_batch_object and batch_id is null then 'missing id'
            when coalesce(line_id, custom_id, batch_id) is null then 'missing id and custom_id'
            when not has_answer then 'missing response and error'
        end,
        wrong_date('created', created),
        wrong_small_count('status_code', status_code),
        classed.problem
    ) as refusal,
    case when is_batch_object then batch_id else coalesce(line_id, concat_ws('|', batch_id, custom_id)) end as source_row_id,
    response_id as provider_response_id,
    batch_id as trace_id,
    case when not is_batch_object then line_id end as span_id,
    case when is_batch_object then 'context' else 'batch_line' end as row_kind,
    not is_batch_object as is_billable_leaf,
    started as started_at,
    'openai' as provider,
    model as model_served,
    coalesce(service_tier, classed.service_tier) as service_tier,
    classed.* exclude (service_tier, speed, inference_geo, problem),
    true as is_batch,
    usage_shape,
    usage_object as usage_raw,
    case when is_batch_object or (error_code is null and coalesce(whole(status_code), 200) < 400) then 'ok' else 'error' end as status,
    try_cast(whole(status_code) as integer) as http_status,
    error_code as error_class,
    dimension_of(named, 'environment') as environment,
    dimension_of(named, 'release') as release,
    dimension_of(named, 'feature') as feature,
    dimension_of(named, 'team') as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    dimension_of(named, 'user_id') as user_id,
    dimension_of(named, 'session_id') as session_id,
    dimension_of(named, 'task_id') as task_id,
    dimension_of(named, 'workflow') as workflow,
    dimension_of(named, 'prompt_name') as prompt_name,
    dimension_of(named, 'prompt_version') as prompt_version,
    kept_attributes(coalesce(metadata, json_object('custom_id', custom_id)), cast(null as json)) as attributes,
from usage_classed
