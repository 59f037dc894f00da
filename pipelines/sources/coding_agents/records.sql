-- Lines of sessions, each with what the lines before it said: the session, the model, the counts so far.
with parsed as (
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
        case when json_type(message) = 'OBJECT' then from_json(message, '{"id":"VARCHAR","role":"VARCHAR","model":"VARCHAR","usage":"JSON"}') end
            as claude,
        case when json_type(payload) = 'OBJECT' then from_json(payload, '{
            "type":"VARCHAR","id":"VARCHAR","model":"VARCHAR","model_provider":"VARCHAR","cli_version":"VARCHAR",
            "info":{"model":"VARCHAR",
                "total_token_usage":{"input_tokens":"VARCHAR","cached_input_tokens":"VARCHAR","output_tokens":"VARCHAR","reasoning_output_tokens":"VARCHAR","total_tokens":"VARCHAR"},
                "last_token_usage":{"input_tokens":"VARCHAR","cached_input_tokens":"VARCHAR","output_tokens":"VARCHAR","reasoning_output_tokens":"VARCHAR","total_tokens":"VARCHAR"}}
        }') end as codex,
    from agent_lines
    union all by name
    -- What the piece before this one said last.
    select
        0 as file_no,
        carried_row - 10 as source_row,
        kind_of as type,
        record ->> '$.timestamp' as timestamp,
        from_json(json_extract(record, '$.codex'), '{
            "type":"VARCHAR","id":"VARCHAR","model":"VARCHAR","model_provider":"VARCHAR","cli_version":"VARCHAR",
            "info":{"model":"VARCHAR",
                "total_token_usage":{"input_tokens":"VARCHAR","cached_input_tokens":"VARCHAR","output_tokens":"VARCHAR","reasoning_output_tokens":"VARCHAR","total_tokens":"VARCHAR"},
                "last_token_usage":{"input_tokens":"VARCHAR","cached_input_tokens":"VARCHAR","output_tokens":"VARCHAR","reasoning_output_tokens":"VARCHAR","total_tokens":"VARCHAR"}}
        }') as codex,
    from (select *, record ->> '$.type' as kind_of from agent_carried)
    where until = agent_begins_at() and until > 0
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
            -- What the tool writes itself, of a call that failed, goes by this name.
            when json_type(claude.usage) = 'OBJECT' and coalesce(claude.role, 'assistant') = 'assistant'
                and coalesce(claude.model, '') <> '<synthetic>' then 'message'
            else 'other'
        end as kind,
    from opened
),

placed as (
    select
        *,
        first_value(case when kind = 'meta' then codex end ignore nulls) over earlier as meta,
        last_value(case when kind = 'turn' then codex.model end ignore nulls) over earlier as turn_model,
        last_value(case when kind = 'count' and coalesce(total.input_tokens, total.output_tokens) is not null then total end ignore nulls) over (
            partition by file_no order by source_row rows between unbounded preceding and 1 preceding
        ) as before,
    from kinds
    window earlier as (partition by file_no order by source_row rows between unbounded preceding and current row)
)

select
    *,
    -- A count that is lower than the one before begins anew.
    before is not null and coalesce(total.input_tokens, total.output_tokens) is not null
        and coalesce(whole(total.input_tokens) >= whole(before.input_tokens), true)
        and coalesce(whole(total.cached_input_tokens) >= whole(before.cached_input_tokens), true)
        and coalesce(whole(total.output_tokens) >= whole(before.output_tokens), true)
        and coalesce(whole(total.reasoning_output_tokens) >= whole(before.reasoning_output_tokens), true)
        as goes_on,
from placed
