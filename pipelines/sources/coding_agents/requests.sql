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
                and (total.reasoning_output_tokens is null or whole(total.reasoning_output_tokens) >= 0)
                and (total.total_tokens is null or whole(total.total_tokens) >= 0),
                false
            ) then total
            when goes_on then {
                'input_tokens': cast(whole(total.input_tokens) - coalesce(whole(before.input_tokens), 0) as varchar),
                'cached_input_tokens': cast(whole(total.cached_input_tokens) - coalesce(whole(before.cached_input_tokens), 0) as varchar),
                'output_tokens': cast(whole(total.output_tokens) - coalesce(whole(before.output_tokens), 0) as varchar),
                'reasoning_output_tokens':
                    cast(whole(total.reasoning_output_tokens) - coalesce(whole(before.reasoning_output_tokens), 0) as varchar),
                'total_tokens': cast(whole(total.total_tokens) - coalesce(whole(before.total_tokens), 0) as varchar)
            }
            else coalesce(last, total)
        end as counted,
    from records
),

told as (
    select
        *,
        goes_on and coalesce(whole(counted.input_tokens), 0) = 0 and coalesce(whole(counted.output_tokens), 0) = 0 as is_repeated,
        case kind when 'message' then 'anthropic.messages' when 'count' then 'codex.token_count' end as usage_kind,
        case kind when 'message' then claude.usage when 'count' then cast(to_json(counted) as json) end as usage_object,
        case when kind = 'message' then claude.model when kind = 'count' then coalesce(codex.info.model, turn_model) end as model,
        coalesce(session_id, meta.id) as session,
    from differed
),

/* usage_steps: told, usage_kind, usage_object */

select
    file_no,
    source_row,
    case when kind in ('message', 'count', 'problem') then coalesce(
        problem,
        case when timestamp is null then 'missing timestamp' end,
        wrong_instant('timestamp', timestamp),
        classed.problem,
        wrong_usd('costUSD', cost_usd)
    ) end as refusal,
    case when kind in ('meta', 'turn', 'other') then 'context' when is_repeated then 'repeated_count' end as context,
    case kind
        when 'message' then coalesce(claude.id, request_id, uuid, md5(concat_ws('|', session, timestamp, cast(claude.usage as varchar))))
        -- A branch of a session begins with the lines of the other one.
        when 'count' then md5(concat_ws('|', timestamp, cast(to_json(total) as varchar), cast(to_json(last) as varchar)))
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
    case when kind = 'message' then claude.id end as provider_response_id,
    hex_id(session) as trace_id,
    case when kind = 'message' then hex_id(uuid) end as span_id,
    session as session_id,
    'llm_call' as row_kind,
    try_cast(timestamp as timestamptz) as started_at,
    seller_of(case when kind = 'count' then meta.model_provider end, model, cast(null as varchar)) as provider,
    model as model_served,
    nullif(classed.inference_geo, 'not_available') as region,
    classed.service_tier as service_tier,
    classed.speed as speed,
    classed.input_uncached_tokens as input_uncached_tokens,
    classed.cache_read_tokens as cache_read_tokens,
    classed.cache_write_5m_tokens as cache_write_5m_tokens,
    classed.cache_write_1h_tokens as cache_write_1h_tokens,
    classed.cache_write_tokens as cache_write_tokens,
    classed.output_text_tokens as output_text_tokens,
    classed.output_reasoning_tokens as output_reasoning_tokens,
    classed.extra_units as extra_units,
    classed.context_test_tokens as context_test_tokens,
    classed.provider_total_tokens as provider_total_tokens,
    usage_shape,
    classed.usage_flags as usage_flags,
    classed.usage_basis as usage_basis,
    classed.usage_quality as usage_quality,
    case kind when 'message' then usage_object when 'count' then cast(to_json({'total_token_usage': total, 'last_token_usage': last}) as json) end
        as usage_raw,
    try_cast(cost_usd as decimal(18, 12)) as cost_reported_usd,
    'ok' as status,
    coalesce(version, meta.cli_version) as release,
    case when is_sidechain then 'sidechain' end as step,
    case when kind = 'message' then 'claude_code' when kind = 'count' then 'codex' end as fallback_feature,
    session as fallback_task_id,
    kept_attributes(cast(null as json), json_object('cwd', cwd, 'gitBranch', git_branch, 'version', version, 'entrypoint', entrypoint))
        as attributes,
from usage_classed
