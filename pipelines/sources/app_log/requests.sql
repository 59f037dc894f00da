-- One record of an application's log -> one request. A record without usage keeps its place: its cost is unknown, not 0.
with objects as (
    select
        * replace (
            nullif(id, '') as id,
            nullif(timestamp, '') as timestamp,
            nullif(provider, '') as provider,
            nullif(model, '') as model
        ),
        -- Some loggers write objects as text.
        case when json_type(usage) = 'VARCHAR' then coalesce(try_cast(usage ->> '$' as json), usage) else usage end as usage_said_so,
        case when json_type(metadata) = 'VARCHAR' then try_cast(metadata ->> '$' as json) else metadata end as metadata_object,
        try_cast(timestamp as timestamptz) as started,
        try_cast(coalesce(logged_at, timestamp) as timestamptz) as logged,
    from records
),

-- In steps: an expression that another of its own step names is written out there again, and what a batch costs is its plan.
with_tools as (
    select
        *,
        -- OpenAI's object has no count of tool calls, so that a logger writes them beside it. What the object says wins.
        case
            when json_type(usage_said_so) = 'OBJECT' and coalesce(
                web_search_calls, num_web_search_calls, web_search_requests, web_searches, num_web_searches, x_search_calls,
                file_search_calls, num_file_search_calls, code_interpreter_calls
            ) is not null
                then json_merge_patch(json_object(
                    'web_search_calls', web_search_calls, 'num_web_search_calls', num_web_search_calls,
                    'web_search_requests', web_search_requests, 'web_searches', web_searches, 'num_web_searches', num_web_searches,
                    'x_search_calls', x_search_calls, 'file_search_calls', file_search_calls,
                    'num_file_search_calls', num_file_search_calls, 'code_interpreter_calls', code_interpreter_calls
                ), usage_said_so)
            else usage_said_so
        end as usage_with_tools,
        counted_beside(metadata_object) as counted_in_metadata,
        counted_beside(further) as counted_further,
        coalesce(dollars_beside(further), dollars_beside(metadata_object)) as usd_beside,
    from objects
),

besides as (
    select
        * exclude (counted_in_metadata, counted_further),
        -- Counts beside the object, at the top of the record or in its metadata; what the object says wins.
        coalesce(json_merge_patch(counted_in_metadata, counted_further), counted_further, counted_in_metadata) as beside,
        -- A form that is told by its keys is that of the object alone.
        coalesce(api, nullif(usage_shape(cast(null as varchar), usage_with_tools), 'ambiguous')) as usage_api,
    from with_tools
),

whole_objects as (
    select
        *,
        case
            when beside is null or cast(beside as varchar) = '{}' then usage_with_tools
            when json_type(usage_with_tools) = 'OBJECT' then json_merge_patch(beside, usage_with_tools)
            when usage_with_tools is null or json_type(usage_with_tools) = 'NULL' then beside
            else usage_with_tools
        end as usage_object,
    from besides
),

timed as (select *, models_apart(usage_object, model) as apart from whole_objects),

calls as (
    select * exclude (apart) replace (usage_without(usage_object, apart) as usage_object) from timed
    union all by name
    -- Another model that worked within an answer is a call of its own.
    select * exclude (apart, within, nth) replace (
        row_in_line(source_row, nth + 1) as source_row,
        id || ':' || nth as id,
        response_id || ':' || nth as response_id,
        cast(null as varchar) as span_id,
        coalesce(api, 'anthropic.messages') as usage_api,
        within ->> '$.model' as model,
        within ->> '$.type' as step,
        within as usage,
        within as usage_object,
        cast(null as varchar) as cost_usd,
        cast(null as decimal(18, 12)) as usd_beside
    )
    from (select *, unnest(apart) as within, generate_subscripts(apart, 1) as nth from timed where len(apart) > 0)
),

/* usage_steps: calls, usage_api, usage_object */

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when id is null or timestamp is null or provider is null or model is null or not has_usage
                then 'missing ' || concat_ws(
                    ', ',
                    case when id is null then 'id' end,
                    case when timestamp is null then 'timestamp' end,
                    case when provider is null then 'provider' end,
                    case when model is null then 'model' end,
                    case when not has_usage then 'usage' end
                )
            when usage_shape = 'unknown' then 'api is ' || left(api, 40) || ', expected an API shape that is known (pipelines/usage)'
        end,
        wrong_instant('timestamp', timestamp),
        wrong_instant('logged_at', logged_at),
        wrong_instant('ended_at', ended_at),
        wrong_instant('first_token_at', first_token_at),
        classed.problem,
        wrong_small_count('http_status', http_status),
        wrong_small_count('attempt', attempt),
        wrong_count('step_index', step_index),
        wrong_count('max_output_tokens', max_output_tokens),
        wrong_count('static_prompt_tokens', static_prompt_tokens),
        wrong_boolean('is_retry', is_retry),
        wrong_boolean('batch', batch),
        wrong_count('web_search_calls', web_search_calls),
        wrong_count('num_web_search_calls', num_web_search_calls),
        wrong_count('web_search_requests', web_search_requests),
        wrong_count('web_searches', web_searches),
        wrong_count('num_web_searches', num_web_searches),
        wrong_count('x_search_calls', x_search_calls),
        wrong_count('file_search_calls', file_search_calls),
        wrong_count('num_file_search_calls', num_file_search_calls),
        wrong_count('code_interpreter_calls', code_interpreter_calls),
        wrong_usd('cost_usd', cost_usd)
    ) as refusal,
    id as source_row_id,
    iso_instant(coalesce(logged, started)) as source_row_version,
    response_id as provider_response_id,
    hex_id(trace_id) as trace_id,
    hex_id(span_id) as span_id,
    hex_id(parent_span_id) as parent_span_id,
    session_id,
    task_id,
    case when usage_shape like '%mbed%' then 'embedding' else 'llm_call' end as row_kind,
    started as started_at,
    try_cast(ended_at as timestamptz) as ended_at,
    try_cast(first_token_at as timestamptz) as first_token_at,
    owed_to(seller_named(provider), classed.cost_reported_basis, host_provider, model) as provider,
    model_requested,
    model as model_served,
    coalesce(region, classed.inference_geo) as region,
    -- What was left to the provider is told by its answer, else by who wrote the record.
    coalesce(
        case when lower(service_tier) <> 'auto' then service_tier end,
        case when lower(classed.service_tier) <> 'auto' then classed.service_tier end,
        left(coalesce(metadata_object ->> '$.service_tier', metadata_object ->> '$.serviceTier'), 200),
        service_tier,
        classed.service_tier
    ) as service_tier,
    classed.* exclude (service_tier, inference_geo, cost_reported_usd, cost_reported_basis, problem),
    try_cast(batch as boolean) as is_batch,
    usage_shape,
    usage as usage_raw,
    coalesce(classed.cost_reported_usd, try_cast(cost_usd as decimal(18, 12)), usd_beside) as cost_reported_usd,
    case
        when classed.cost_reported_usd is not null or classed.cost_reported_basis = 'own_key' then classed.cost_reported_basis
        when coalesce(try_cast(cost_usd as decimal(18, 12)), usd_beside) is not null then 'user_supplied'
        else 'none'
    end as cost_reported_basis,
    coalesce(lower(status), 'ok') as status,
    try_cast(whole(http_status) as integer) as http_status,
    error_class,
    try_cast(whole(attempt) as integer) as attempt,
    try_cast(is_retry as boolean) as is_retry,
    whole(step_index) as step_index,
    whole(max_output_tokens) as max_output_tokens,
    prompt_hash,
    prompt_prefix_hash,
    whole(static_prompt_tokens) as static_prompt_tokens,
    lower(outcome) as outcome,
    environment,
    release,
    feature,
    team,
    customer_id,
    customer_tier,
    user_id,
    workflow,
    step,
    prompt_name,
    prompt_version,
    api_key_name,
    kept_attributes(metadata_object, further) as attributes,
from usage_classed
