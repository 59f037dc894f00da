-- Spans and logs of calls -> requests. Spans that are no call say whose the calls below them are. Of the dialects of a span the one that
-- counts the most is read, never their sum.
with opened as (
    select
        *,
        lower(value_named(named, 'gen_ai.operation.name')) as operation,
        coalesce(value_named(named, 'ai.operationid'), case when starts_with(name, 'ai.') then split_part(name, ' ', 1) end) as ai_operation,
        -- What the provider answered, where the AI SDK passes it on. A span above several calls has that of the last alone.
        text_named(named, 'ai.response.providermetadata') as provider_said,
        case when not coalesce(regexp_matches(ai_operation, '^ai\.\w+$'), false) then try_cast(provider_said as json) end as provider_metadata,
        provider_usage(provider_metadata, gen_ai_counts, ai_sdk_counts) as provider_object,
        provider_details(provider_metadata, ai_sdk_counts) as ai_sdk_details,
        agent_usage(name, record_kind, named) as agent_object,
        try_cast(text_named(named, 'mlflow.chat.tokenusage') as json) as mlflow_usage,
        coalesce(instant_of(ended_nano), try_cast(value_named(named, 'event.timestamp') as timestamptz)) as ended,
        coalesce(
            value_named(named, 'gen_ai.response.id'), value_named(named, 'ai.response.id'), value_named(named, 'llm.response.id'),
            value_named(named, 'response.id')
        ) as response_id,
    from records
    where record_kind <> 'evaluation'
),

shaped as (
    select
        *,
        len(gen_ai_counts) as gen_ai_size,
        len(ai_sdk_counts) as ai_sdk_size,
        len(openinference_counts) as openinference_size,
        case
            when provider_object is not null then provider_object.shape
            when agent_object is not null then agent_object.shape
            when ai_sdk_details is not null and ai_sdk_size > 0 then 'otel.ai_sdk'
            when gen_ai_size > 0 and gen_ai_size >= ai_sdk_size and gen_ai_size >= openinference_size then 'otel.gen_ai'
            when ai_sdk_size > 0 and ai_sdk_size >= openinference_size then 'otel.ai_sdk'
            when openinference_size > 0 then 'otel.openinference'
            when json_type(mlflow_usage) = 'OBJECT' then 'otel.mlflow'
        end as usage_kind,
        coalesce(
            value_named(named, 'llm.cost.total'), value_named(named, 'gen_ai.usage.cost'), value_named(named, 'gen_ai.usage.total_cost'),
            value_named(named, 'gen_ai.cost.total_cost'), value_named(named, 'gen_ai.usage.cost_usd'), value_named(named, 'gen_ai.cost'),
            value_named(named, 'gen_ai.cost.usd'), value_named(named, 'llm.usage.cost'), value_named(named, 'llm.cost'),
            value_named(named, 'cost_usd'), provider_metadata ->> '$.gateway.cost',
            case when not regexp_matches(provider_said, 'pstream|is_byok') then provider_metadata ->> '$.openrouter.usage.cost' end,
            try_cast(text_named(named, 'langfuse.observation.cost_details') as json) ->> '$.total',
            try_cast(text_named(named, 'mlflow.llm.cost') as json) ->> '$.total_cost'
        ) as stated_cost,
        usage_stated_in(provider_said) as said,
    from opened
),

told as (
    select
        *,
        case
            when provider_object is not null then provider_object.usage
            when agent_object is not null then agent_object.usage
            else cast(case usage_kind
                when 'otel.gen_ai' then counts_text(gen_ai_counts, '^(gen_ai|llm)\.usage\.')
                when 'otel.ai_sdk' then case
                    when ai_sdk_details is null then counts_text(ai_sdk_counts, '^ai\.usage\.')
                    else json_merge_patch(ai_sdk_details, counts_text(ai_sdk_counts, '^ai\.usage\.'))
                end
                when 'otel.openinference' then counts_text(openinference_counts, '^llm\.token_count\.')
                when 'otel.mlflow' then cast(mlflow_usage as varchar)
            end as json)
        end as usage_object,
        cast(case
            when provider_object is not null or agent_object is not null or ai_sdk_details is not null then null
            when usage_kind = 'otel.gen_ai' then raw_text(gen_ai_counts)
            when usage_kind = 'otel.ai_sdk' then raw_text(ai_sdk_counts)
            when usage_kind = 'otel.openinference' then raw_text(openinference_counts)
        end as json) as raw_counts,
        coalesce(value_named(named, 'gen_ai.request.model'), value_named(named, 'ai.model.id')) as model_requested,
        coalesce(
            case when record_kind = 'log' then value_named(named, 'model') end, value_named(named, 'gen_ai.response.model'), value_named(named, 'ai.response.model'), value_named(named, 'llm.model_name'),
            value_named(named, 'embedding.model_name'), value_named(named, 'mlflow.llm.model'), model_requested
        ) as model_served,
        case
            when struct_extract(said, 'basis') = 'own_key' then coalesce(struct_extract(said, 'usd'), nullif(try_cast(stated_cost as decimal(18, 12)), 0))
            else coalesce(nullif(try_cast(stated_cost as decimal(18, 12)), 0), struct_extract(said, 'usd'))
        end as cost,
        -- A log is written when the call is over.
        coalesce(
            instant_of(started_nano), later_by(ended, '-' || value_named(named, 'duration_ms'), 1000), case when record_kind = 'log' then ended end
        ) as started,
        value_named(named, 'request_id') as request_id,
        coalesce(
            dimension_of(named, 'session_id'), value_named(named, 'conversation.id'), value_named(named, 'langfuse.session.id'),
            value_named(named, 'mlflow.trace.session')
        ) as session,
        -- Looked up here once: inside of a macro they would be at each use.
        coalesce(
            value_named(named, 'gen_ai.provider.name'), value_named(named, 'gen_ai.system'), value_named(named, 'llm.provider'),
            value_named(named, 'llm.system'), value_named(named, 'ai.model.provider'), value_named(named, 'mlflow.llm.provider'),
            case when record_kind = 'log' and value_named(named, 'auth_type') = 'vertex-ai' then 'vertex' end
        ) as named_provider,
        -- Answers of Anthropic's clouds have the cloud in their id.
        case when response_id like 'msg\_bdrk\_%' escape '\' then 'bedrock' when response_id like 'msg\_vrtx\_%' escape '\' then 'vertex' end
            as cloud,
        coalesce(value_named(named, 'server.address'), value_named(named, 'gen_ai.openai.api_base'), value_named(named, 'url.full')) as address,
    from shaped
),

/* usage_steps: told, usage_kind, usage_object */,

typed as (
    select
        *,
        coalesce(
            case
                when record_kind = 'log' then 'llm_call'
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
            when record_kind in ('none', 'metric') then 'context'
            when span_type in ('llm_call', 'embedding') and lower(value_named(named, 'cache_hit')) = 'true' then 'gateway_cache_hit'
            when span_type in ('llm_call', 'embedding') then span_type
            when has_usage then 'aggregate_only'
            when span_type = 'tool' then 'tool'
            else 'context'
        end as kind,
        case when named_seller = 'anthropic' then coalesce(cloud, named_seller) else named_seller end as seller,
        -- Anthropic and Bedrock count input without what was cached, and some emitters hand that on. Where a span does not tell, those
        -- of its scope and version do (ledger_usage_votes).
        case
            when cached_count > 0 and scope_name is not null and usage_kind in ('otel.gen_ai', 'otel.ai_sdk', 'otel.openinference')
                and (seller = 'bedrock' or contains(lower(model_served), 'claude')) and not says_what_is_cached(ai_sdk_counts)
                then concat_ws(
                    '|',
                    -- This package hands on what Converse counts; of others the convention holds as long as none shows otherwise.
                    case when not contains(lower(scope_name), 'bedrock') then 'by convention inclusive' end,
                    scope_name,
                    scope_version
                )
        end as usage_group,
        usage_group is not null and classed.usage_basis = 'inclusive' as is_in_doubt,
    from (
        select
            *,
            coalesce(classed.context_test_tokens, 0) + coalesce(classed.output_text_tokens, 0) + coalesce(classed.output_reasoning_tokens, 0)
                as provider_total,
            seller_of(named_provider, model_served, address) as named_seller,
            coalesce(classed.cache_read_tokens, 0) + coalesce(classed.cache_write_tokens, 0) as cached_count,
        from usage_classed
    )
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when record_kind = 'metric' and file_no not in (select r.file_no from records as r where r.record_kind in ('span', 'log'))
                then 'the metric ' || left(name, 60) || ' sums tokens, and sums are no calls: export the logs or traces of this tool'
            when record_kind in ('none', 'metric') then null
            when record_kind = 'log' then case when started is null then 'missing timeUnixNano' end
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
        wrong_nanoseconds(case when record_kind = 'log' then 'timeUnixNano' else 'endTimeUnixNano' end, ended_nano),
        classed.problem,
        wrong_usd('cost', stated_cost)
    ) as refusal,
    case
        when record_kind = 'none' then 'context'
        when record_kind = 'metric' then 'token_metric'
        when log_kind = 'restated' then 'restated_usage'
    end as context,
    case
        -- Claude Code writes a log and a span of one request.
        when request_id is not null and agent_object.agent = 'claude_code' then 'claude_code:' || request_id
        -- So does Codex, of which only the trace and the counts are in both.
        when trace_id is not null and (agent_object.agent = 'codex' or (has_usage and starts_with(value_named(named, 'service.name'), 'codex')))
            then 'codex:' || md5(concat_ws('|', hex_id(trace_id), classed.context_test_tokens, provider_total))
        when record_kind = 'log' and (agent_object is not null or trace_id is null or parent_span_id is null or log_kind = 'error')
            then md5(concat_ws('|', name, session, value_named(named, 'event.sequence'), value_named(named, 'prompt_id'), ended, usage_object))
        else hex_id(trace_id) || ':' || hex_id(coalesce(span_id, parent_span_id))
    end as source_row_id,
    -- A span that was exported while it ran is followed by the whole one; a log of it has less, but for those of agents, which have more.
    case when (record_kind = 'span') = (agent_object is null) then iso_instant(ended) end as source_row_version,
    response_id as provider_response_id,
    coalesce(
        value_named(named, 'litellm_call_id'), value_named(named, 'litellm.call_id'),
        case when agent_object.agent = 'claude_code' then request_id end
    ) as gateway_call_id,
    coalesce(hex_id(trace_id), case when record_kind = 'log' then hex_id(session) end) as trace_id,
    hex_id(span_id) as span_id,
    nullif(hex_id(parent_span_id), '0000000000000000') as parent_span_id,
    session as session_id,
    dimension_of(named, 'task_id') as task_id,
    kind as row_kind,
    kind in ('llm_call', 'embedding', 'aggregate_only') as is_billable_leaf,
    started as started_at,
    ended as ended_at,
    coalesce(
        later_by(started, value_named(named, 'gen_ai.response.time_to_first_chunk'), 1000000),
        later_by(started, value_named(named, 'gen_ai.server.time_to_first_token'), 1000000),
        later_by(started, value_named(named, 'ai.response.mstofirstchunk'), 1000),
        case when agent_object is not null then later_by(started, value_named(named, 'ttft_ms'), 1000) end
    ) as first_token_at,
    owed_to(
        seller, struct_extract(said, 'basis'), value_named(named, 'gen_ai.upstream.provider'), model_served
    ) as provider,
    model_requested,
    model_served,
    coalesce(
        value_named(named, 'gen_ai.openai.response.service_tier'), value_named(named, 'openai.response.service_tier'), classed.service_tier,
        provider_metadata ->> '$.openai.serviceTier', provider_metadata ->> '$.azure.serviceTier',
        case when agent_object.agent = 'codex' then replace(lower(value_named(named, 'service_tier')), 'fast', 'priority') end
    ) as service_tier,
    classed.speed as speed,
    coalesce(value_named(named, 'aws.bedrock.region'), classed.inference_geo) as region,
    value_named(named, 'gen_ai.openai.api_base') as api_base,
    /* token_classes: classed, not input_uncached */,
    classed.input_uncached_tokens + if(is_in_doubt, cached_count, 0) as input_uncached_tokens,
    classed.extra_units as extra_units,
    classed.context_test_tokens + if(is_in_doubt, cached_count, 0) as context_test_tokens,
    case when not is_in_doubt then classed.provider_total_tokens end as provider_total_tokens,
    usage_shape,
    case when kind in ('context', 'tool') then [] else classed.usage_flags end as usage_flags,
    case when kind not in ('context', 'tool') then classed.unread_usage end as unread_usage,
    if(is_in_doubt, 'ambiguous', classed.usage_basis) as usage_basis,
    usage_group,
    case
        when kind in ('context', 'tool') then null
        -- Nothing comes out of an embedding.
        when kind = 'embedding' and classed.usage_quality = 'partial' and classed.input_uncached_tokens is not null
            and not list_contains(classed.usage_flags, 'negative_remainder') then 'reported'
        else classed.usage_quality
    end as usage_quality,
    coalesce(raw_counts, usage_object) as usage_raw,
    coalesce(cost, nullif(classed.cost_reported_usd, 0)) as cost_reported_usd,
    case
        when struct_extract(said, 'basis') = 'own_key' then struct_extract(said, 'basis')
        when cost is null and nullif(classed.cost_reported_usd, 0) is null then 'none'
        when nullif(try_cast(stated_cost as decimal(18, 12)), 0) is null then 'provider_charge'
        else 'user_supplied'
    end as cost_reported_basis,
    case
        when log_kind = 'error' or upper(status_code) in ('2', 'STATUS_CODE_ERROR') or value_named(named, 'error.type') is not null then 'error'
        else 'ok'
    end as status,
    try_cast(whole(coalesce(value_named(named, 'http.response.status_code'), value_named(named, 'http.status_code'),
        case when record_kind = 'log' then value_named(named, 'status_code') end)) as integer) as http_status,
    coalesce(value_named(named, 'error.type'), case when log_kind = 'error' then value_named(named, 'error_type') end) as error_class,
    case when record_kind = 'log' then try_cast(whole(value_named(named, 'attempt')) as integer) end as attempt,
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
    coalesce(
        agent_object.agent,
        case when not starts_with(value_named(named, 'service.name'), 'unknown_service') then value_named(named, 'service.name') end
    ) as fallback_feature,
    coalesce(case when agent_object is not null then session end, hex_id(trace_id)) as fallback_task_id,
    kept_tags(coalesce(tags, [])) as request_tags,
    kept_of(named) as attributes,
from typed
