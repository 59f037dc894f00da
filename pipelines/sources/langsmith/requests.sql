-- One run -> one request. Only runs of a model are calls: tokens of a chain are those of the runs below it.
with told as (
    select
        * exclude (extra, outputs, tags) replace (
            nullif(id, '') as id,
            lower(nullif(run_type, '')) as run_type,
            nullif(start_time, '') as start_time,
            nullif(end_time, '') as end_time,
            nullif(first_token_time, '') as first_token_time,
            nullif(total_cost, '') as total_cost
        ),
        object_in(json_extract(object_in(extra), '$.metadata')) as metadata,
        object_in(json_extract(object_in(extra), '$.invocation_params')) as parameters,
        list_in(tags) as tag_list,
        list_reverse(list_filter(list_in(tags), lambda tag: contains(tag, ':'))) as pairs,
        object_in(outputs) as outputs_object,
        coalesce(
            outputs_object ->> '$.id',
            outputs_object ->> '$.generations[0][0].message.kwargs.response_metadata.id',
            outputs_object ->> '$.generations[0][0].message.kwargs.id',
            outputs_object ->> '$.message.response_metadata.id'
        ) as response_id,
        case when coalesce(prompt_tokens, completion_tokens, total_tokens) is not null then 'langsmith.tokens' end as usage_kind,
        case when usage_kind is not null then json_merge_patch(with_counts(cast('{}' as json), further), json_object(
            'prompt_tokens', prompt_tokens,
            'completion_tokens', completion_tokens,
            'total_tokens', total_tokens,
            'prompt_token_details', object_in(prompt_token_details),
            'completion_token_details', object_in(completion_token_details)
        )) end as usage_object,
        -- Some exports give the two sides alone.
        nullif(coalesce(
            try_cast(total_cost as decimal(18, 12)), try_cast(prompt_cost as decimal(18, 12)) + try_cast(completion_cost as decimal(18, 12))
        ), 0) as own_cost,
        -- Costs by detail: of tokens we have the prices, what tools took is a fee.
        coalesce(tool_fees(object_in(prompt_cost_details)), 0) + coalesce(tool_fees(object_in(completion_cost_details)), 0) as fee_usd,
        (select any_value(f.pulled_at) from landing_files as f where f.file_no = records.file_no) as pulled_at,
    from records
),

-- In steps: an alias of the same select is written out wherever it stands.
modelled as (
    select
        *,
        {
            'names': list_concat(list_transform(pairs, lambda tag: lower(split_part(tag, ':', 1))), names_in(metadata)),
            'texts': list_concat(list_transform(pairs, lambda tag: substr(tag, strpos(tag, ':') + 1)), texts_in(metadata))
        } as named,
        coalesce(value_named(named, 'ls_model_name'), parameters ->> '$.model', parameters ->> '$.model_name') as model,
    from told
),

sold as (
    select
        *,
        seller_of(
            value_named(named, 'ls_provider'),
            model,
            coalesce(parameters ->> '$.base_url', parameters ->> '$.azure_endpoint', value_named(named, 'ls_base_url'))
        ) as seller,
    from modelled
),

stated as (
    select
        *,
        -- What a router or xAI said of a call's dollars stands in its answer; few sellers say any.
        case when seller in ('openrouter', 'xai') then usage_stated_in(cast(outputs_object as varchar)) end as said,
    from sold
),

priced as (
    select
        *,
        case
            when struct_extract(said, 'basis') = 'own_key' then coalesce(struct_extract(said, 'usd'), own_cost)
            else coalesce(own_cost, struct_extract(said, 'usd'))
        end as cost,
    from stated
),

/* usage_steps: priced, usage_kind, usage_object */,

typed as (
    select
        *,
        case
            when run_type = 'llm' and lower(value_named(named, 'cache_hit')) = 'true' then 'gateway_cache_hit'
            when run_type = 'llm' then 'llm_call'
            when run_type = 'embedding' then 'embedding'
            when coalesce(classed.context_test_tokens, 0) + coalesce(classed.output_text_tokens, 0) > 0 or coalesce(cost > 0, false)
                then 'aggregate_only'
            when run_type = 'tool' then 'tool'
            else 'context'
        end as kind,
        coalesce(
            left(parameters ->> '$.service_tier', 200), value_named(named, 'codex.service_tier'), value_named(named, 'service_tier')
        ) as tier_stated,
    from usage_classed
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when id is null or run_type is null or start_time is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when id is null then 'id' end,
                    case when run_type is null then 'run_type' end,
                    case when start_time is null then 'start_time' end
                )
        end,
        wrong_instant('start_time', start_time),
        wrong_instant('end_time', end_time),
        wrong_instant('first_token_time', first_token_time),
        classed.problem,
        wrong_usd('total_cost', total_cost)
    ) as refusal,
    id as source_row_id,
    -- Every export gives a run anew: that of the newest one counts.
    iso_instant(pulled_at) as source_row_version,
    -- LangChain's own ids are no provider's.
    case when not starts_with(response_id, 'run-') and not starts_with(response_id, 'lc_run-') then response_id end as provider_response_id,
    hex_id(trace_id) as trace_id,
    hex_id(id) as span_id,
    hex_id(nullif(parent_run_id, '')) as parent_span_id,
    coalesce(dimension_of(named, 'session_id'), value_named(named, 'thread_id'), value_named(named, 'conversation_id')) as session_id,
    dimension_of(named, 'task_id') as task_id,
    kind as row_kind,
    kind in ('llm_call', 'embedding', 'aggregate_only') as is_billable_leaf,
    try_cast(start_time as timestamptz) as started_at,
    try_cast(end_time as timestamptz) as ended_at,
    try_cast(first_token_time as timestamptz) as first_token_at,
    owed_to(seller, struct_extract(said, 'basis'), cast(null as varchar), model) as provider,
    left(coalesce(parameters ->> '$.model', parameters ->> '$.model_name'), 200) as model_requested,
    left(model, 200) as model_served,
    coalesce(case when tier_stated is null or lower(tier_stated) = 'auto' then classed.service_tier end, tier_stated) as service_tier,
    /* token_classes: classed */,
    classed.context_test_tokens as context_test_tokens,
    classed.provider_total_tokens as provider_total_tokens,
    usage_shape,
    list_concat(
        case when kind in ('context', 'tool') then [] else classed.usage_flags end,
        case when tiers_differ(tier_stated, classed.service_tier) then ['inferred_tier'] else [] end
    ) as usage_flags,
    case when kind not in ('context', 'tool') then classed.unread_usage end as unread_usage,
    case
        when kind in ('context', 'tool') then null
        when fee_usd > 0 and coalesce(cardinality(classed.extra_units), 0) = 0 then map {'tool_fee_usd': cast(fee_usd as decimal(38, 9))}
        else classed.extra_units
    end as extra_units,
    classed.usage_basis as usage_basis,
    case
        when kind in ('context', 'tool') then null
        -- Nothing comes out of an embedding.
        when kind = 'embedding' and classed.usage_quality = 'partial' and classed.input_uncached_tokens is not null then 'reported'
        else classed.usage_quality
    end as usage_quality,
    usage_object as usage_raw,
    cost as cost_reported_usd,
    case
        when struct_extract(said, 'basis') = 'own_key' then struct_extract(said, 'basis')
        when cost is null then 'none'
        when own_cost is null then struct_extract(said, 'basis')
        else 'gateway_list'
    end as cost_reported_basis,
    case
        when lower(status) in ('error', 'failed') or nullif(error, '') is not null then 'error'
        when lower(status) in ('interrupted', 'cancelled') then 'cancelled'
        else 'ok'
    end as status,
    -- The message of an error may repeat a prompt; the name in front of it does not.
    nullif(regexp_extract(error, '^([A-Za-z_][\w.]{0,80})[(:]', 1), '') as error_class,
    kind = 'gateway_cache_hit' as gateway_cache_hit,
    whole(coalesce(value_named(named, 'ls_max_tokens'), parameters ->> '$.max_tokens', parameters ->> '$.max_completion_tokens'))
        as max_output_tokens,
    dimension_of(named, 'environment') as environment,
    coalesce(dimension_of(named, 'release'), value_named(named, 'revision_id')) as release,
    dimension_of(named, 'feature') as feature,
    dimension_of(named, 'team') as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    dimension_of(named, 'user_id') as user_id,
    coalesce(dimension_of(named, 'workflow'), case when nullif(parent_run_id, '') is null then left(name, 200) end) as workflow,
    left(name, 200) as step,
    coalesce(dimension_of(named, 'prompt_name'), value_named(named, 'lc_hub_repo')) as prompt_name,
    coalesce(dimension_of(named, 'prompt_version'), value_named(named, 'lc_hub_commit_hash')) as prompt_version,
    dimension_of(named, 'api_key_name') as api_key_name,
    case when nullif(parent_run_id, '') is null then left(name, 200) end as fallback_feature,
    hex_id(trace_id) as fallback_task_id,
    kept_tags(tag_list) as request_tags,
    kept_of(named) as attributes,
from typed
