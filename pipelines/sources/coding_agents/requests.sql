-- A response of Claude Code, or the growth of Codex' counts from one line to the next -> a call. A response stands on a line for each
-- of its parts, and again where a session is resumed: its id tells it, and of its copies one counts.
with differed as (
    select
        *,
        -- Counts that are none are handed on as they are, to be refused.
        case
            when total is not null and not coalesce(
                (total.input_tokens is null or whole(total.input_tokens) >= 0) and (total.output_tokens is null or whole(total.output_tokens) >= 0)
                and (total.cached_input_tokens is null or whole(total.cached_input_tokens) >= 0)
                and (total.cache_write_input_tokens is null or whole(total.cache_write_input_tokens) >= 0)
                and (total.reasoning_output_tokens is null or whole(total.reasoning_output_tokens) >= 0)
                and (total.total_tokens is null or whole(total.total_tokens) >= 0),
                false
            ) then total
            when goes_on then {
                'input_tokens': cast(whole(total.input_tokens) - coalesce(whole(before.input_tokens), 0) as varchar),
                'cached_input_tokens': cast(whole(total.cached_input_tokens) - coalesce(whole(before.cached_input_tokens), 0) as varchar),
                'cache_write_input_tokens': cast(whole(total.cache_write_input_tokens) - coalesce(whole(before.cache_write_input_tokens), 0) as varchar),
                'output_tokens': cast(whole(total.output_tokens) - coalesce(whole(before.output_tokens), 0) as varchar),
                'reasoning_output_tokens': cast(whole(total.reasoning_output_tokens) - coalesce(whole(before.reasoning_output_tokens), 0) as varchar),
                'total_tokens': cast(whole(total.total_tokens) - coalesce(whole(before.total_tokens), 0) as varchar)
            }
            else coalesce(last, total)
        end as counted,
        -- Answers of clouds bear the name of the model alone, and the cloud in their id.
        case when claude.id like 'msg\_bdrk\_%' escape '\' then 'bedrock' when claude.id like 'msg\_vrtx\_%' escape '\' then 'vertex' end
            as cloud,
        -- The id says nothing of the endpoint; a name with a profile's prefix does.
        cloud is not null and starts_with(lower(claude.model), 'claude') as is_endpoint_assumed,
        case when kind = 'message' then models_apart(claude.usage, claude.model) else [] end as apart,
    from records
),

told as (
    select
        * exclude (apart),
        source_row as place,
        cast(null as varchar) as part,
        goes_on and coalesce(whole(counted.input_tokens), 0) = 0 and coalesce(whole(counted.output_tokens), 0) = 0 as is_repeated,
        case when kind in ('message', 'sub_agent') then 'anthropic.messages' when kind in ('count', 'compaction') then 'codex.token_count' end as usage_kind,
        case kind
            when 'message' then usage_without(claude.usage, apart)
            when 'count' then json_merge_patch(coalesce(last_stated, cast('{}' as json)), cast(to_json(counted) as json))
            when 'compaction' then cast(to_json(used) as json)
            when 'sub_agent' then result.usage
        end as usage_object,
        case when kind = 'message' then claude.model when kind = 'sub_agent' then coalesce(result.model, model_so_far) when kind in ('count', 'compaction') then coalesce(codex.info.model, turn_model) end
            as model,
        coalesce(session_id, meta.id) as session,
    from differed
    union all by name
    -- Another model that worked within a response is a call of its own.
    select
        * exclude (apart, within, nth),
        row_in_line(source_row, nth + 1) as place,
        ':' || nth as part,
        false as is_repeated,
        'anthropic.messages' as usage_kind,
        within as usage_object,
        within ->> '$.model' as model,
        session_id as session,
    from (
        select * replace (cast(null as varchar) as cost_usd), unnest(apart) as within, generate_subscripts(apart, 1) as nth
        from differed
        where len(apart) > 0
    )
),

/* usage_steps: told, usage_kind, usage_object */

select
    file_no,
    place as source_row,
    case
        when kind = 'unknown' then 'the record ' || left(concat_ws('/', type, nullif(codex.type, type)), 80) || ' counts tokens and is of no known kind'
        when kind in ('message', 'count', 'compaction', 'sub_agent', 'problem') then coalesce(
        problem,
        case when timestamp is null then 'missing timestamp' end,
        wrong_instant('timestamp', timestamp),
        classed.problem,
        wrong_usd('costUSD', cost_usd)
    )
    end as refusal,
    case
        when kind in ('meta', 'turn', 'tier', 'response', 'compacted', 'other') then 'context'
        when kind = 'repeated' then 'context (total of a sub-agent whose calls are here)'
        when is_repeated then 'repeated_count'
    end as context,
    case kind
        when 'message' then concat(
            coalesce(claude.id, request_id, uuid, md5(concat_ws('|', session, timestamp, cast(claude.usage as varchar)))), part
        )
        -- A branch of a session begins with the lines of the other one; where it stamps them anew, ledger_superseded_requests knows them.
        when 'count' then md5(concat_ws('|', timestamp, cast(to_json(total) as varchar), cast(to_json(last) as varchar)))
        when 'compaction' then response_id
        when 'sub_agent' then concat_ws('|', 'sub-agent', session, coalesce(result.agentId, uuid, timestamp))
    end as source_row_id,
    -- Of the copies of a response: the one outside of a side chain, then the one with the most tokens, then the one that knows its speed.
    case when kind = 'message' then concat(
        case when is_sidechain then '0' else '1' end,
        lpad(cast(
            coalesce(classed.context_test_tokens, 0) + coalesce(classed.output_text_tokens, 0) + coalesce(classed.output_reasoning_tokens, 0)
            as varchar
        ), 20, '0'),
        case when classed.speed is not null then '1' else '0' end
    ) end as source_row_version,
    case when kind = 'message' then claude.id || coalesce(part, '') when kind = 'compaction' then response_id end as provider_response_id,
    case when kind = 'message' and part is null then request_id end as gateway_call_id,
    hex_id(session) as trace_id,
    case when kind = 'message' then hex_id(uuid) || coalesce(part, '') when kind = 'sub_agent' then 'agent' || hex_id(result.agentId) end as span_id,
    case when kind = 'message' and is_sidechain then 'agent' || hex_id(agent_id) end as parent_span_id,
    session as session_id,
    -- Counts only where none of the sub-agent's own calls is there (ledger_span_roles).
    case when kind = 'sub_agent' then 'aggregate_only' else 'llm_call' end as row_kind,
    true as is_billable_leaf,
    try_cast(timestamp as timestamptz) as started_at,
    seller_of(case when kind = 'message' then cloud else meta.model_provider end, model, cast(null as varchar)) as provider,
    model as model_served,
    coalesce(nullif(classed.inference_geo, 'not_available'), case when is_endpoint_assumed then 'global' end) as region,
    -- No count bears a tier: what was set for the turn is the best word there is. Codex' fast tier is sold as priority.
    case when kind = 'message' then classed.service_tier else replace(lower(turn_tier), 'fast', 'priority') end as service_tier,
    classed.speed as speed,
    /* token_classes: classed */,
    case when kind = 'sub_agent' and whole(result.totalTokens) > coalesce(classed.context_test_tokens, 0) + coalesce(classed.output_text_tokens, 0)
        then map {'toolUseResult.totalTokens': whole(result.totalTokens) - coalesce(classed.context_test_tokens, 0) - coalesce(classed.output_text_tokens, 0)}
        else classed.unread_usage
    end as unread_usage,
    classed.extra_units as extra_units,
    classed.context_test_tokens as context_test_tokens,
    classed.provider_total_tokens as provider_total_tokens,
    usage_shape,
    case when is_endpoint_assumed then list_append(classed.usage_flags, 'assumed_endpoint') else classed.usage_flags end as usage_flags,
    classed.usage_basis as usage_basis,
    case when kind = 'sub_agent' then 'partial' else classed.usage_quality end as usage_quality,
    case kind
        when 'message' then case when part is null then claude.usage else usage_object end
        when 'count' then cast(to_json({'total_token_usage': total, 'last_token_usage': last}) as json)
        when 'compaction' then usage_object
        when 'sub_agent' then usage_object
    end as usage_raw,
    try_cast(cost_usd as decimal(18, 12)) as cost_reported_usd,
    'ok' as status,
    coalesce(version, meta.cli_version) as release,
    case
        when part is not null then usage_object ->> '$.type'
        when kind = 'compaction' then 'compaction'
        when kind = 'sub_agent' then 'sub_agent'
        when is_sidechain then 'sidechain'
    end as step,
    case when kind in ('message', 'sub_agent') then 'claude_code' when kind in ('count', 'compaction') then 'codex' end as fallback_feature,
    session as fallback_task_id,
    kept_attributes(cast(null as json), json_object('cwd', cwd, 'gitBranch', git_branch, 'version', version, 'entrypoint', entrypoint))
        as attributes,
    case
        when kind = 'count' then concat_ws(
            '|', coalesce(total, last).input_tokens, coalesce(total, last).cached_input_tokens, coalesce(total, last).output_tokens,
            coalesce(total, last).reasoning_output_tokens
        )
    end as counts_so_far,
    case when kind in ('count', 'compaction') then nullif(list_filter(
        list_distinct([meta.forked_from_id, meta.source ->> '$.subagent.thread_spawn.parent_thread_id']), lambda of_parent: of_parent <> meta.id
    ), []) end as forked_from,
    case when kind in ('count', 'compaction') and len(forked_from) > 0 then try_cast(meta_timestamp as timestamptz) end as forked_at,
from usage_classed
