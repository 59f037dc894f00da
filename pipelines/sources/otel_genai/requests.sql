-- Spans -> requests. Spans that are no call say whose the calls below them are. Of the dialects of a span the one that counts the
-- most is read, never their sum.
with told as (
    select
        *,
        lower(value_named(named, 'gen_ai.operation.name')) as operation,
        coalesce(value_named(named, 'ai.operationid'), case when starts_with(name, 'ai.') then split_part(name, ' ', 1) end) as ai_operation,
        -- The provider's own object, where the AI SDK passes it on.
        try_cast(text_named(named, 'ai.response.providermetadata') as json) as provider_metadata,
        try_cast(text_named(named, 'mlflow.chat.tokenusage') as json) as mlflow_usage,
        len(gen_ai_counts) as gen_ai_size,
        len(ai_sdk_counts) as ai_sdk_size,
        len(openinference_counts) as openinference_size,
        case
            when json_exists(provider_metadata, '$.anthropic.usage.output_tokens') then 'anthropic.messages'
            when gen_ai_size > 0 and gen_ai_size >= ai_sdk_size and gen_ai_size >= openinference_size then 'otel.gen_ai'
            when ai_sdk_size > 0 and ai_sdk_size >= openinference_size then 'otel.ai_sdk'
            when openinference_size > 0 then 'otel.openinference'
            when json_type(mlflow_usage) = 'OBJECT' then 'otel.mlflow'
        end as usage_kind,
        cast(case usage_kind
            when 'anthropic.messages' then cast(json_extract(provider_metadata, '$.anthropic.usage') as varchar)
            when 'otel.gen_ai' then counts_text(gen_ai_counts, '^(gen_ai|llm)\.usage\.')
            when 'otel.ai_sdk' then counts_text(ai_sdk_counts, '^ai\.usage\.')
            when 'otel.openinference' then counts_text(openinference_counts, '^llm\.token_count\.')
            when 'otel.mlflow' then cast(mlflow_usage as varchar)
        end as json) as usage_object,
        cast(case usage_kind
            when 'otel.gen_ai' then raw_text(gen_ai_counts)
            when 'otel.ai_sdk' then raw_text(ai_sdk_counts)
            when 'otel.openinference' then raw_text(openinference_counts)
            else cast(usage_object as varchar)
        end as json) as usage_raw,
        coalesce(value_named(named, 'gen_ai.request.model'), value_named(named, 'ai.model.id')) as model_requested,
        coalesce(
            value_named(named, 'gen_ai.response.model'), value_named(named, 'ai.response.model'), value_named(named, 'llm.model_name'),
            value_named(named, 'embedding.model_name'), value_named(named, 'mlflow.llm.model'), model_requested
        ) as model_served,
        coalesce(
            value_named(named, 'llm.cost.total'), value_named(named, 'gen_ai.usage.cost'), value_named(named, 'gen_ai.usage.total_cost'),
            value_named(named, 'gen_ai.cost.total_cost'), value_named(named, 'gen_ai.usage.cost_usd'), value_named(named, 'gen_ai.cost'),
            value_named(named, 'gen_ai.cost.usd'), value_named(named, 'llm.usage.cost'), value_named(named, 'llm.cost'),
            value_named(named, 'cost_usd'),
            try_cast(text_named(named, 'langfuse.observation.cost_details') as json) ->> '$.total',
            try_cast(text_named(named, 'mlflow.llm.cost') as json) ->> '$.total_cost'
        ) as stated_cost,
        usage_stated_in(text_named(named, 'ai.response.providermetadata')) as said,
        case
            when struct_extract(said, 'basis') = 'own_key' then coalesce(struct_extract(said, 'usd'), nullif(try_cast(stated_cost as decimal(18, 12)), 0))
            else coalesce(nullif(try_cast(stated_cost as decimal(18, 12)), 0), struct_extract(said, 'usd'))
        end as cost,
        instant_of(started_nano) as started,
        -- Looked up here once: inside of a macro they would be at each use.
        coalesce(
            value_named(named, 'gen_ai.provider.name'), value_named(named, 'gen_ai.system'), value_named(named, 'llm.provider'),
            value_named(named, 'llm.system'), value_named(named, 'ai.model.provider'), value_named(named, 'mlflow.llm.provider')
        ) as named_provider,
        coalesce(value_named(named, 'server.address'), value_named(named, 'gen_ai.openai.api_base'), value_named(named, 'url.full')) as address,
    from records
    where record_kind <> 'evaluation'
),

/* usage_steps: told, usage_kind, usage_object */,

typed as (
    select
        *,
        coalesce(
            case
                when operation in ('chat', 'text_completion', 'generate_content', 'completion') then 'llm_call'
                when operation in ('embeddings', 'embedding') then 'embedding'
                when operation = 'execute_tool' then 'tool'
                when operation in ('invoke_agent', 'agent_step', 'create_agent', 'invoke_workflow') then 'above'
            end,
            case upper(value_named(named, 'openinference.span.kind'))
                when 'LLM' then 'llm_call' when 'EMBEDDING' then 'embedding' when 'TOOL' then 'tool' when 'UNKNOWN' then null
                else case when value_named(named, 'openinference.span.kind') is not null then 'above' end
            end,
            case upper(value_named(named, 'mlflow.spantype'))
                when 'LLM' then 'llm_call' when 'CHAT_MODEL' then 'llm_call' when 'EMBEDDING' then 'embedding' when 'TOOL' then 'tool'
                when 'UNKNOWN' then null
                else case when value_named(named, 'mlflow.spantype') is not null then 'above' end
            end,
            case
                when regexp_matches(ai_operation, '^ai\.\w+\.doEmbed$') then 'embedding'
                when regexp_matches(ai_operation, '^ai\.\w+\.do[A-Z]\w*$') then 'llm_call'
                when ai_operation = 'ai.toolCall' then 'tool'
                when regexp_matches(ai_operation, '^ai\.\w+$') then 'above'
            end,
            case lower(value_named(named, 'traceloop.span.kind')) when 'tool' then 'tool' when 'workflow' then 'above' when 'agent' then 'above'
                when 'task' then 'above' end,
            case when value_named(named, 'llm.request.type') = 'embedding' then 'embedding'
                when value_named(named, 'llm.request.type') is not null then 'llm_call' end,
            case when usage_kind is not null then 'llm_call' end,
            'other'
        ) as span_type,
        coalesce(provider_total, 0) > 0 or coalesce(cost > 0, false) or coalesce(cardinality(classed.extra_units) > 0, false) as has_usage,
        case
            when record_kind = 'none' then 'context'
            when span_type in ('llm_call', 'embedding') and lower(value_named(named, 'cache_hit')) = 'true' then 'gateway_cache_hit'
            when span_type in ('llm_call', 'embedding') then span_type
            when has_usage then 'aggregate_only'
            when span_type = 'tool' then 'tool'
            else 'context'
        end as kind,
    from (
        select
            *,
            coalesce(classed.context_test_tokens, 0) + coalesce(classed.output_text_tokens, 0) + coalesce(classed.output_reasoning_tokens, 0)
                as provider_total,
        from usage_classed
    )
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when record_kind = 'none' then null
            when trace_id is null or span_id is null or started_nano is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when trace_id is null then 'traceId' end,
                    case when span_id is null then 'spanId' end,
                    case when started_nano is null then 'startTimeUnixNano' end
                )
        end,
        wrong_hex('traceId', trace_id),
        wrong_hex('spanId', span_id),
        wrong_nanoseconds('startTimeUnixNano', started_nano),
        wrong_nanoseconds('endTimeUnixNano', ended_nano),
        classed.problem,
        wrong_usd('cost', stated_cost)
    ) as refusal,
    case when record_kind = 'none' then 'context' end as context,
    hex_id(trace_id) || ':' || hex_id(span_id) as source_row_id,
    -- A span that was exported while it ran is followed by the whole one.
    iso_instant(instant_of(ended_nano)) as source_row_version,
    coalesce(value_named(named, 'gen_ai.response.id'), value_named(named, 'ai.response.id'), value_named(named, 'llm.response.id'))
        as provider_response_id,
    coalesce(value_named(named, 'litellm_call_id'), value_named(named, 'litellm.call_id')) as gateway_call_id,
    hex_id(trace_id) as trace_id,
    hex_id(span_id) as span_id,
    nullif(hex_id(parent_span_id), '0000000000000000') as parent_span_id,
    coalesce(dimension_of(named, 'session_id'), value_named(named, 'langfuse.session.id'), value_named(named, 'mlflow.trace.session'))
        as session_id,
    dimension_of(named, 'task_id') as task_id,
    kind as row_kind,
    kind in ('llm_call', 'embedding', 'aggregate_only') as is_billable_leaf,
    started as started_at,
    instant_of(ended_nano) as ended_at,
    coalesce(
        later_by(started, value_named(named, 'gen_ai.response.time_to_first_chunk'), 1000000),
        later_by(started, value_named(named, 'gen_ai.server.time_to_first_token'), 1000000),
        later_by(started, value_named(named, 'ai.response.mstofirstchunk'), 1000)
    ) as first_token_at,
    owed_to(
        seller_of(named_provider, model_served, address), struct_extract(said, 'basis'), value_named(named, 'gen_ai.upstream.provider'), model_served
    ) as provider,
    model_requested,
    model_served,
    coalesce(
        value_named(named, 'gen_ai.openai.response.service_tier'), value_named(named, 'openai.response.service_tier'), classed.service_tier
    ) as service_tier,
    classed.speed as speed,
    coalesce(value_named(named, 'aws.bedrock.region'), classed.inference_geo) as region,
    value_named(named, 'gen_ai.openai.api_base') as api_base,
    /* token_classes: classed */,
    classed.extra_units as extra_units,
    classed.context_test_tokens as context_test_tokens,
    classed.provider_total_tokens as provider_total_tokens,
    usage_shape,
    case when kind in ('context', 'tool') then [] else classed.usage_flags end as usage_flags,
    case when kind not in ('context', 'tool') then classed.unread_usage end as unread_usage,
    classed.usage_basis as usage_basis,
    case
        when kind in ('context', 'tool') then null
        -- Nothing comes out of an embedding.
        when kind = 'embedding' and classed.usage_quality = 'partial' and classed.input_uncached_tokens is not null
            and not list_contains(classed.usage_flags, 'negative_remainder') then 'reported'
        else classed.usage_quality
    end as usage_quality,
    usage_raw,
    coalesce(cost, nullif(classed.cost_reported_usd, 0)) as cost_reported_usd,
    case
        when struct_extract(said, 'basis') = 'own_key' then struct_extract(said, 'basis')
        when cost is null and nullif(classed.cost_reported_usd, 0) is null then 'none'
        when nullif(try_cast(stated_cost as decimal(18, 12)), 0) is null then 'provider_charge'
        else 'user_supplied'
    end as cost_reported_basis,
    case
        when upper(status_code) in ('2', 'STATUS_CODE_ERROR') or value_named(named, 'error.type') is not null then 'error'
        else 'ok'
    end as status,
    try_cast(whole(coalesce(value_named(named, 'http.response.status_code'), value_named(named, 'http.status_code'))) as integer) as http_status,
    value_named(named, 'error.type') as error_class,
    kind = 'gateway_cache_hit' as gateway_cache_hit,
    whole(coalesce(
        value_named(named, 'gen_ai.request.max_tokens'), value_named(named, 'ai.settings.maxoutputtokens'),
        value_named(named, 'ai.settings.maxtokens'),
        try_cast(text_named(named, 'llm.invocation_parameters') as json) ->> '$.max_tokens',
        try_cast(text_named(named, 'llm.invocation_parameters') as json) ->> '$.max_completion_tokens'
    )) as max_output_tokens,
    dimension_of(named, 'environment') as environment,
    dimension_of(named, 'release') as release,
    dimension_of(named, 'feature') as feature,
    dimension_of(named, 'team') as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    coalesce(
        dimension_of(named, 'user_id'), value_named(named, 'enduser.id'), value_named(named, 'langfuse.user.id'),
        value_named(named, 'mlflow.trace.user')
    ) as user_id,
    coalesce(dimension_of(named, 'workflow'), value_named(named, 'gen_ai.agent.name')) as workflow,
    left(name, 200) as step,
    coalesce(dimension_of(named, 'prompt_name'), value_named(named, 'gen_ai.prompt.name'), value_named(named, 'traceloop.prompt.key')) as prompt_name,
    coalesce(
        dimension_of(named, 'prompt_version'), value_named(named, 'llm.prompt_template.version'), value_named(named, 'traceloop.prompt.version')
    ) as prompt_version,
    dimension_of(named, 'api_key_name') as api_key_name,
    case when not starts_with(value_named(named, 'service.name'), 'unknown_service') then value_named(named, 'service.name') end
        as fallback_feature,
    hex_id(trace_id) as fallback_task_id,
    kept_tags(coalesce(tags, [])) as request_tags,
    kept_of(named) as attributes,
from typed
