/*
about: >-
  Whose a call is, where its own record does not say: each dimension from the nearest span above that has it, else from the root
  of the trace (its header included), else from any span of it, the earliest first. A prompt comes from spans above only: that of another
  call is not this one's. Rows of a trace are joined within seven days. One row per call that takes something from its trace.
grain: [request_key]
order_by: [started_at, request_key]
partition: day
partition_column: started_at
reads_around: 7 days
leads: [staged_requests]
meets: >-
  select cast(s.started_at as date) as day, hash(s.source, s.source_account, s.trace_id) as link, hash(s, d) as content
  from staged_requests as s
  left join ledger_superseded_requests as d
    on s.source_file_sha256 = d.source_file_sha256 and s.source_row = d.source_row and s.source_account = d.source_account and s.source = d.source
  where s.trace_id is not null
joins: as_written
columns:
  request_key: VARCHAR; the call in staged_requests
  started_at: TIMESTAMP WITH TIME ZONE; start of the call
  environment: VARCHAR; deployment environment, from elsewhere in the trace; null where the row has its own or none is known
  release: VARCHAR; release of the application, from elsewhere in the trace; null where the row has its own or none is known
  feature: VARCHAR; product feature, from elsewhere in the trace; null where the row has its own or none is known
  fallback_feature: VARCHAR; feature where neither the row, its trace nor a rule names one, from elsewhere in the trace; null where the row has its own or none is known
  team: VARCHAR; owning team, from elsewhere in the trace; null where the row has its own or none is known
  cost_centre: VARCHAR; cost centre that bears the cost, from elsewhere in the trace; null where the row has its own or none is known
  customer_id: VARCHAR; customer of the company, from elsewhere in the trace; null where the row has its own or none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), from elsewhere in the trace; null where the row has its own or none is known
  user_id: VARCHAR; end user, from elsewhere in the trace; null where the row has its own or none is known
  session_id: VARCHAR; agent run or conversation, from elsewhere in the trace; null where the row has its own or none is known
  task_id: VARCHAR; unit of user value the call worked for, from elsewhere in the trace; null where the row has its own or none is known
  workflow: VARCHAR; workflow that the call is a step of, from elsewhere in the trace; null where the row has its own or none is known
  prompt_name: VARCHAR; name of the prompt template, from a span above; null where the row has its own or none is known
  prompt_version: VARCHAR; version of the prompt template, as text, from the same span as its name
  inherited: VARCHAR; where each came from, as dimension=ancestor, dimension=root or dimension=trace, set apart by commas
checks:
  - not_null: [request_key, started_at, inherited]
question: How many calls know their team only from their trace?
answer: >-
  select count(*) filter (where team is not null) as calls_with_inherited_team, count(*) as calls from ledger_span_owners
*/
{% from "macros/traces.sql" import place_in_trace, windows_of_traces with context %}
{% from "macros/versions.sql" import but_superseded with context %}
{# What a call takes from its trace, what from a span above alone, and of which of them it is told where they came from. #}
{% set inherited = [
    "environment", "release", "feature", "fallback_feature", "team", "cost_centre", "customer_id", "customer_tier", "user_id", "session_id",
    "task_id", "workflow",
] %}
{% set prompt = ["prompt_name", "prompt_version"] %}
{% set told = inherited + ["prompt_name"] %}
with recursive trace_days as (
    select
        source,
        source_account,
        trace_id,
        cast(started_at as date) as usage_date,
        count(*) as rows_of_day,
    from staged_requests
    where trace_id is not null
    group by source, source_account, trace_id, cast(started_at as date)
),

{{ windows_of_traces("trace_days", "sum(rows_of_day) > 1") }},

spans as (
    select
        {{ place_in_trace() }},
        s.row_kind = 'context' and s.span_id is null as is_header,
{% for name in inherited + prompt %}
        s.{{ name }},
{% endfor %}
    from staged_requests as s
    inner join traces as t
        on s.source = t.source
        and s.source_account = t.source_account
        and s.trace_id = t.trace_id
        and cast(s.started_at as date) >= t.first_date
        and cast(s.started_at as date) <= t.last_date
    {{ but_superseded() }}
),

-- Of spans that share an id in their trace, and of headers of one trace, one stands for them.
heads as (
    select
        request_key,
        source,
        source_account,
        trace_id,
        seen_date,
        span_id,
    from spans
    where span_id is not null or is_header
    qualify row_number() over (partition by source, source_account, trace_id, seen_date, span_id order by started_at, request_key) = 1
),

linked as (
    select
        s.*,
        coalesce(p.request_key, h.request_key) as above_key,
        s.is_header or (s.span_id is not null and s.parent_span_id is null) as is_root,
    from spans as s
    left join heads as p
        on s.source = p.source
        and s.source_account = p.source_account
        and s.trace_id = p.trace_id
        and s.seen_date = p.seen_date
        and s.parent_span_id = p.span_id
        and s.request_key <> p.request_key
    left join heads as h
        on s.source = h.source
        and s.source_account = h.source_account
        and s.trace_id = h.trace_id
        and s.seen_date = h.seen_date
        and h.span_id is null
        and s.parent_span_id is null
        and not s.is_header
),

-- From the top of each tree downwards, so that every span is met once.
resolved as (
    select
        request_key,
        seen_date,
        is_root,
        {{ (inherited + prompt) | join(", ") }},
{% for name in told %}
        case when {{ name }} is not null then 'own' end as {{ name }}_from,
{% endfor %}
    from linked
    where above_key is null
    union all
    select
        c.request_key,
        c.seen_date,
        c.is_root,
{% for name in told %}
        coalesce(c.{{ name }}, p.{{ name }}) as {{ name }},
{% endfor %}
        case when c.prompt_name is not null then c.prompt_version else coalesce(c.prompt_version, p.prompt_version) end as prompt_version,
{% for name in told %}
        case when c.{{ name }} is not null then 'own' when p.{{ name }}_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.{{ name }}_from end as {{ name }}_from,
{% endfor %}
    from resolved as p
    inner join linked as c on c.above_key = p.request_key and c.seen_date = p.seen_date
),

-- Compared field by field: headers first, then the earliest span, of equal ones the smaller key.
trace_values as (
    select
        source,
        source_account,
        trace_id,
        seen_date,
{% for name in inherited %}
        min(case when is_root and {{ name }} is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': {{ name }}} end) as root_{{ name }},
{% endfor %}
{% for name in inherited %}
        min(case when {{ name }} is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': {{ name }}} end) as any_{{ name }},
{% endfor %}
    from (select *, case when is_header then 0 else 1 end as place from linked)
    group by source, source_account, trace_id, seen_date
),

found as (
    select
        s.request_key,
        s.started_at,
{% for name in inherited %}
        case when s.{{ name }} is null then coalesce(r.{{ name }}, t.root_{{ name }}.found, t.any_{{ name }}.found) end as {{ name }},
{% endfor %}
        case when s.prompt_name is null then r.prompt_name end as prompt_name,
        case when s.prompt_version is null then r.prompt_version end as prompt_version,
{% for name in inherited %}
        case when s.{{ name }} is not null then null when r.{{ name }} is not null then r.{{ name }}_from when t.root_{{ name }} is not null then 'root' when t.any_{{ name }} is not null then 'trace' end as {{ name }}_from,
{% endfor %}
        case when s.prompt_name is null then r.prompt_name_from end as prompt_name_from,
    from linked as s
    inner join trace_values as t
        on s.source = t.source and s.source_account = t.source_account and s.trace_id = t.trace_id and s.seen_date = t.seen_date
    left join resolved as r on s.request_key = r.request_key and s.seen_date = r.seen_date
    where s.row_kind <> 'context' and (not s.is_long or cast(s.started_at as date) = s.seen_date)
)

select
    request_key,
    started_at,
    {{ (inherited + prompt) | join(", ") }},
    concat_ws(
        ',',
        'cost_centre=' || cost_centre_from,
        'customer_id=' || customer_id_from,
        'customer_tier=' || customer_tier_from,
        'environment=' || environment_from,
        'feature=' || feature_from,
        'prompt_name=' || prompt_name_from,
        'release=' || release_from,
        'session_id=' || session_id_from,
        'task_id=' || task_id_from,
        'team=' || team_from,
        'user_id=' || user_id_from,
        'workflow=' || workflow_from
    ) as inherited,
from found
where coalesce({{ told | join("_from, ") }}_from) is not null
