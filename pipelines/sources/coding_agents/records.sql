-- Lines of sessions, each with what the lines before it said: the session, the model, the tier, the counts so far.
with lines as (
    select
        file_no,
        source_row,
        problem,
        type,
        timestamp,
        sessionId,
        uuid,
        requestId,
        isSidechain,
        costUSD,
        cwd,
        gitBranch,
        version,
        entrypoint,
        agentId,
        message,
        payload,
        usage,
        case when json_type(toolUseResult, '$.usage') = 'OBJECT'
            then from_json(toolUseResult, '{"agentId":"VARCHAR","model":"VARCHAR","totalTokens":"VARCHAR","usage":"JSON"}') end as result,
    from agent_lines
    union all by name
    -- What the piece before this one said last.
    select
        0 as file_no,
        carried_row - 10 as source_row,
        record ->> '$.type' as type,
        record ->> '$.timestamp' as timestamp,
        json_extract(record, '$.codex') as payload,
    from agent_carried
    where until = agent_begins_at() and until > 0
),

parsed as (
    select
        file_no,
        source_row,
        problem,
        type,
        nullif(timestamp, '') as timestamp,
        sessionId as session_id,
        uuid,
        requestId as request_id,
        coalesce(try_cast(isSidechain as boolean), false) as is_sidechain,
        costUSD as cost_usd,
        cwd,
        gitBranch as git_branch,
        version,
        entrypoint,
        agentId as agent_id,
        usage as line_usage,
        result,
        case when json_type(message) = 'OBJECT' then from_json(message, '{"id":"VARCHAR","role":"VARCHAR","model":"VARCHAR","usage":"JSON"}') end
            as claude,
        case when json_type(payload) = 'OBJECT' then from_json(payload, '{
            "type":"VARCHAR","id":"VARCHAR","model":"VARCHAR","model_provider":"VARCHAR","cli_version":"VARCHAR",
            "forked_from_id":"VARCHAR","source":"JSON","response_id":"VARCHAR","compaction_response_id":"VARCHAR",
            "thread_settings":{"service_tier":"VARCHAR"},
            "usage":{"input_tokens":"VARCHAR","cached_input_tokens":"VARCHAR","cache_write_input_tokens":"VARCHAR","output_tokens":"VARCHAR","reasoning_output_tokens":"VARCHAR","total_tokens":"VARCHAR"},
            "info":{"model":"VARCHAR",
                "total_token_usage":{"input_tokens":"VARCHAR","cached_input_tokens":"VARCHAR","cache_write_input_tokens":"VARCHAR","output_tokens":"VARCHAR","reasoning_output_tokens":"VARCHAR","total_tokens":"VARCHAR"},
                "last_token_usage":{"input_tokens":"VARCHAR","cached_input_tokens":"VARCHAR","cache_write_input_tokens":"VARCHAR","output_tokens":"VARCHAR","reasoning_output_tokens":"VARCHAR","total_tokens":"VARCHAR"}}
        }') end as codex,
        -- What a count says of one call, with keys that no column names.
        case when type = 'event_msg' then json_extract(payload, '$.info.last_token_usage') end as last_stated,
    from lines
),

opened as (
    select *, codex.info.total_token_usage as total, codex.info.last_token_usage as last from parsed
),

kinds as (
    select
        *,
        case
            when problem is not null then 'problem'
            when type = 'session_meta' and codex is not null then 'meta'
            when type = 'turn_context' and codex is not null then 'turn'
            when codex.type = 'token_count' and coalesce(total.input_tokens, total.output_tokens, last.input_tokens, last.output_tokens) is not null
                then 'count'
            when codex.type = 'thread_settings_applied' and nullif(codex.thread_settings.service_tier, '') is not null then 'tier'
            when 'token_usage_record' in (type, codex.type) and codex.response_id is not null then 'response'
            when 'compacted' in (type, codex.type) and codex.compaction_response_id is not null then 'compacted'
            -- What the tool writes itself, of a call that failed, goes by this name.
            when json_type(claude.usage) = 'OBJECT' and coalesce(claude.role, 'assistant') = 'assistant'
                and coalesce(claude.model, '') <> '<synthetic>' then 'message'
            -- What a sub-agent used, as the result of a tool: that of its last call. Its own lines have all calls, here or in its own file.
            when whole(result.usage ->> '$.output_tokens') > 0
                then case when bool_or(is_sidechain) over (partition by file_no) then 'repeated' else 'sub_agent' end
            when json_type(line_usage) = 'OBJECT' and json_type(claude.usage) is distinct from 'OBJECT'
                and greatest(whole(line_usage ->> '$.output_tokens'), whole(line_usage ->> '$.input_tokens')) > 0 then 'unknown'
            -- What is of no known kind and counts tokens is refused, not passed over.
            when 'token_usage_record' not in (coalesce(type, ''), coalesce(codex.type, ''))
                and greatest(whole(codex.usage.output_tokens), whole(total.output_tokens), whole(last.output_tokens)) > 0 then 'unknown'
            else 'other'
        end as kind,
    from opened
),

placed as (
    select
        *,
        first_value(case when kind = 'meta' then codex end ignore nulls) over earlier as meta,
        first_value(case when kind = 'meta' then timestamp end ignore nulls) over earlier as meta_timestamp,
        last_value(case when kind = 'turn' then codex.model end ignore nulls) over earlier as turn_model,
        last_value(case when kind = 'message' then claude.model end ignore nulls) over earlier as model_so_far,
        last_value(case when kind = 'tier' then codex.thread_settings.service_tier end ignore nulls) over earlier as turn_tier,
        last_value(case when kind = 'count' and coalesce(total.input_tokens, total.output_tokens) is not null then total end ignore nulls) over (
            partition by file_no order by source_row rows between unbounded preceding and 1 preceding
        ) as before,
    from kinds
    window earlier as (partition by file_no order by source_row rows between unbounded preceding and current row)
),

-- The totals leave a compaction out: what its response used is a call of its own. Other responses are in the totals. The later of
-- its two lines is the call.
responses as (
    select
        file_no,
        codex.response_id as response_id,
        min(source_row) as response_row,
        arg_min(codex.usage, source_row) as usage,
        arg_min(timestamp, source_row) as timestamp,
    from kinds
    where kind = 'response'
    group by file_no, codex.response_id
),

compactions as (
    select file_no, codex.compaction_response_id as response_id, min(source_row) as compacted_row
    from kinds
    where kind = 'compacted'
    group by file_no, codex.compaction_response_id
)

select
    p.* replace (
        case when r.response_row < p.source_row or c.compacted_row < p.source_row then 'compaction' else p.kind end as kind,
        coalesce(r.timestamp, p.timestamp) as timestamp
    ),
    coalesce(r.response_id, c.response_id) as response_id,
    coalesce(r.usage, p.codex.usage) as used,
    -- A count that is lower than the one before begins anew.
    p.before is not null and coalesce(p.total.input_tokens, p.total.output_tokens) is not null
        and coalesce(whole(p.total.input_tokens) >= whole(p.before.input_tokens), true)
        and coalesce(whole(p.total.cached_input_tokens) >= whole(p.before.cached_input_tokens), true)
        and coalesce(whole(p.total.cache_write_input_tokens) >= whole(p.before.cache_write_input_tokens), true)
        and coalesce(whole(p.total.output_tokens) >= whole(p.before.output_tokens), true)
        and coalesce(whole(p.total.reasoning_output_tokens) >= whole(p.before.reasoning_output_tokens), true)
        as goes_on,
from placed as p
left join responses as r
    on p.kind = 'compacted' and p.file_no = r.file_no and p.codex.compaction_response_id = r.response_id and r.response_row < p.source_row
left join compactions as c
    on p.kind = 'response' and p.file_no = c.file_no and p.codex.response_id = c.response_id and c.compacted_row < p.source_row
