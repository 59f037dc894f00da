-- Observations and trace headers -> requests. Spans that are no call say whose the calls below them are. Token counts are
-- what someone sent: whether input holds the cached part is tested row by row here (canonical: basis test), and by group in the
-- ledger where one row does not tell.
-- What a look-up in the names gives stands in a step of its own: inside of a macro it would be looked up at each use.
with asked as (
    select
        *,
        coalesce(
            value_named(named, 'gen_ai.provider.name'), value_named(named, 'gen_ai.system'), value_named(named, 'ls_provider'),
            value_named(named, 'custom_llm_provider'), value_named(named, 'ai.model.provider'), value_named(named, 'llm.provider')
        ) as named_provider,
        coalesce(value_named(named, 'server.address'), value_named(named, 'api_base'), value_named(named, 'gen_ai.openai.api_base'))
            as address,
    from records
    where record_kind <> 'score' or problem is not null
),

sold as (
    select
        * exclude (named_provider, address),
        'langfuse.usage_details' as usage_kind,
        case when cardinality(cast(usage_details as map(varchar, json))) > 0 then cast(
            regexp_replace(cast(usage_details as varchar), '"(\w+)\.(\w+)(\.(\w+))?"\s*:', '"\1_\2\3":', 'g') as json
        ) end as usage_object,
        try_cast(start_time as timestamptz) as started,
        try_cast(timestamp as timestamptz) as stamped,
        lower(value_named(named, 'gen_ai.operation.name')) as operation,
        seller_of(named_provider, model, address) as seller,
        try_cast(total_cost as decimal(18, 12)) as stated_cost,
        cast(list_sum(list_transform(
            list_filter(map_entries(cast(cost_details as map(varchar, varchar))), lambda part: part.key <> 'total'),
            lambda part: try_cast(part.value as decimal(18, 12))
        )) as decimal(18, 12)) as summed_cost,
    from asked
),

-- What a router or xAI said of a call's dollars is kept in its metadata; few sellers say any.
paid as (select *, case when seller in ('openrouter', 'xai') then usage_stated_in(cast(metadata as varchar)) end as said from sold),

told as (
    select *, owed_to(seller, struct_extract(said, 'basis'), value_named(named, 'provider_name'), model) as provider
    from paid
),

/* usage_steps: told, usage_kind, usage_object, langfuse.usage_details */,

counted as (
    select
        * exclude (classed),
        struct_update(classed, usage_flags := list_filter(classed.usage_flags, lambda flag: flag <> 'split_mismatch')) as classed,
        list_contains(classed.usage_flags, 'split_mismatch') as is_mismatch,
        coalesce(classed.input_uncached_tokens, 0) as input_count,
        coalesce(classed.output_text_tokens, 0) as output_count,
        coalesce(classed.output_reasoning_tokens, 0) as reasoning_count,
        coalesce(classed.written_total, 0) as written_count,
        coalesce(classed.cached_total, 0) as cached_count,
        coalesce(classed.class_total, 0) as whole_count,
        whole_count - classed.provider_total_tokens as surplus,
        -- A fee that stands among the costs without a count among the usage.
        cast(list_sum(list_transform(
            list_filter(map_entries(cast(cost_details as map(varchar, varchar))), lambda part: regexp_matches(part.key, '(?i)tool|search|grounding')),
            lambda part: try_cast(part.value as decimal(18, 9))
        )) as decimal(38, 9)) as tool_fee,
        struct_extract(said, 'basis') = 'own_key' as is_own_key,
        case
            when struct_extract(said, 'basis') = 'own_key' then coalesce(struct_extract(said, 'usd'), nullif(stated_cost, 0), nullif(summed_cost, 0))
            else coalesce(nullif(stated_cost, 0), nullif(summed_cost, 0), struct_extract(said, 'usd'), nullif(classed.cost_reported_usd, 0))
        end as cost,
        -- What the answer says of its tier before what was asked for.
        coalesce(
            value_named(named, 'gen_ai.openai.response.service_tier'),
            value_named(named, 'openai.response.service_tier'),
            left(parameters ->> '$.service_tier', 200),
            value_named(named, 'codex.service_tier'),
            value_named(named, 'service_tier')
        ) as tier_stated,
    from usage_classed
),

-- Langfuse sums the parts where it was given no total: a total equal to their sum proves nothing, a smaller one does.
tested as (
    select
        *,
        case
            when surplus > 0 and surplus in (cached_count, written_count, cached_count + reasoning_count) and surplus > reasoning_count
                and input_count >= least(surplus, cached_count)
                and (surplus <> cached_count + reasoning_count or output_count >= reasoning_count)
                then 'inclusive'
            when surplus > 0 and surplus = reasoning_count and output_count >= reasoning_count then 'inclusive'
            -- LangChain takes what was read from the cache and what was thought out of the counts that it files under a tier.
            when classed.service_tier is not null and surplus = 0 then 'disjoint'
            when classed.provider_total_tokens = output_count and output_count > 0 and row_type <> 'embedding' then 'ambiguous'
            when cached_count > 0 and input_count >= cached_count then 'ambiguous'
            when cached_count > 0 or whole_count > 0 then 'disjoint'
        end as basis,
        case
            when basis <> 'inclusive' then 0
            when surplus = cached_count + reasoning_count then cached_count
            when surplus = cached_count then cached_count
            when surplus = written_count then written_count
            else 0
        end as input_counted_twice,
        case
            when basis = 'inclusive' and (surplus = reasoning_count or (surplus = cached_count + reasoning_count and surplus > cached_count))
                then reasoning_count
            else 0
        end as output_counted_twice,
        case
            when record_kind = 'trace' then 'context'
            when row_type <> 'other' and lower(value_named(named, 'cache_hit')) = 'true' then 'gateway_cache_hit'
            when row_type = 'embedding' or (row_type = 'llm_call' and operation = 'embeddings') then 'embedding'
            when row_type = 'llm_call' and not is_agent then 'llm_call'
            when whole_count > 0 or cost > 0 or cardinality(classed.extra_units) > 0 then 'aggregate_only'
            when type = 'TOOL' then 'tool'
            else 'context'
        end as kind,
    from (
        select
            *,
            case type when 'GENERATION' then 'llm_call' when 'EMBEDDING' then 'embedding' else 'other' end as row_type,
            coalesce(operation in ('invoke_agent', 'agent_step'), false) as is_agent,
        from counted
    )
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when record_kind = 'manifest' then null
            when id is null or (record_kind = 'observation' and (start_time is null or type is null))
                then 'missing ' || concat_ws(
                    ', ',
                    case when id is null then 'id' end,
                    case when start_time is null then 'start_time' end,
                    case when type is null then 'type' end
                )
        end,
        wrong_instant('start_time', start_time),
        wrong_instant('timestamp', timestamp),
        wrong_instant('end_time', end_time),
        wrong_instant('completion_start_time', completion_start_time),
        wrong_instant('updated_at', updated_at),
        classed.problem,
        wrong_usd('total_cost', total_cost)
    ) as refusal,
    case when record_kind = 'manifest' then 'context' end as context,
    case when record_kind = 'trace' then 'trace:' || id else id end as source_row_id,
    iso_instant(try_cast(updated_at as timestamptz)) as source_row_version,
    coalesce(
        value_named(named, 'gen_ai.response.id'),
        value_named(named, 'response_id'),
        -- Older callbacks of LiteLLM wrote it into the id.
        nullif(regexp_extract(id, '^time-\d\d-\d\d-\d\d-\d+_(.+)$', 1), '')
    ) as provider_response_id,
    value_named(named, 'litellm_call_id') as gateway_call_id,
    hex_id(case when record_kind = 'trace' then id else trace_id end) as trace_id,
    case when record_kind = 'observation' then hex_id(id) end as span_id,
    hex_id(parent_observation_id) as parent_span_id,
    coalesce(session_id, dimension_of(named, 'session_id')) as session_id,
    dimension_of(named, 'task_id') as task_id,
    kind as row_kind,
    kind in ('llm_call', 'embedding', 'aggregate_only') as is_billable_leaf,
    coalesce(started, stamped) as started_at,
    try_cast(end_time as timestamptz) as ended_at,
    try_cast(completion_start_time as timestamptz) as first_token_at,
    provider,
    value_named(named, 'gen_ai.request.model') as model_requested,
    model as model_served,
    coalesce(
        case when tier_stated is null or lower(tier_stated) = 'auto' then classed.service_tier end,
        tier_stated,
        case when pricing_tier = 'Flex' then 'flex' when pricing_tier = 'Fast mode' and provider <> 'anthropic' then 'priority' end
    ) as service_tier,
    case when pricing_tier = 'Fast mode' and provider = 'anthropic' then 'fast' end as speed,
    classed.input_uncached_tokens - input_counted_twice as input_uncached_tokens,
    /* token_classes: classed, not input_uncached, not output_text */,
    classed.output_text_tokens - output_counted_twice as output_text_tokens,
    case
        when coalesce(cardinality(classed.extra_units), 0) = 0 and tool_fee > 0 then map {'tool_fee_usd': tool_fee}
        else classed.extra_units
    end as extra_units,
    case when whole_count > 0 then coalesce(classed.input_total, 0) - input_counted_twice end as context_test_tokens,
    case when basis <> 'ambiguous' then classed.provider_total_tokens end as provider_total_tokens,
    usage_shape,
    list_sort(list_concat(
        case when kind in ('context', 'tool') then [] else classed.usage_flags end,
        case when basis = 'ambiguous' and classed.provider_total_tokens = output_count then ['output_is_total'] else [] end,
        case when is_mismatch and basis = 'disjoint' then ['split_mismatch'] else [] end,
        case when tiers_differ(tier_stated, classed.service_tier) then ['inferred_tier'] else [] end
    )) as usage_flags,
    case when kind not in ('context', 'tool') then classed.unread_usage end as unread_usage,
    basis as usage_basis,
    case when kind in ('context', 'tool') then null else classed.usage_quality end as usage_quality,
    case when cached_count > 0 then concat_ws('|', coalesce(scope_name, ''), coalesce(model, '')) end as usage_group,
    usage_details as usage_raw,
    cost_details as cost_raw,
    cost as cost_reported_usd,
    case
        when is_own_key then 'own_key'
        when cost is null then 'none'
        when struct_extract(said, 'usd') is not null and coalesce(nullif(stated_cost, 0), nullif(summed_cost, 0)) is null then struct_extract(said, 'basis')
        when cardinality(cast(provided_cost_details as map(varchar, json))) > 0 then 'user_supplied'
        else 'gateway_list'
    end as cost_reported_basis,
    case when upper(level) = 'ERROR' then 'error' else 'ok' end as status,
    value_named(named, 'error.type') as error_class,
    kind = 'gateway_cache_hit' as gateway_cache_hit,
    try_cast(whole(coalesce(
        parameters ->> '$.max_tokens', parameters ->> '$.max_completion_tokens', parameters ->> '$.max_output_tokens',
        parameters ->> '$.maxTokens', parameters ->> '$.maxOutputTokens'
    )) as bigint) as max_output_tokens,
    coalesce(environment, dimension_of(named, 'environment')) as environment,
    coalesce(release, dimension_of(named, 'release')) as release,
    dimension_of(named, 'feature') as feature,
    dimension_of(named, 'team') as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    coalesce(user_id, dimension_of(named, 'user_id')) as user_id,
    coalesce(dimension_of(named, 'workflow'), left(coalesce(trace_name, case when record_kind = 'trace' then name end), 200)) as workflow,
    left(name, 200) as step,
    coalesce(prompt_name, dimension_of(named, 'prompt_name')) as prompt_name,
    coalesce(prompt_version, dimension_of(named, 'prompt_version')) as prompt_version,
    dimension_of(named, 'api_key_name') as api_key_name,
    left(coalesce(trace_name, case when record_kind = 'trace' then name end, prompt_name), 200) as fallback_feature,
    hex_id(case when record_kind = 'trace' then id else trace_id end) as fallback_task_id,
    kept_tags(tags) as request_tags,
    kept_of(named) as attributes,
from tested
