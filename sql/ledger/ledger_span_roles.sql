/*
about: >-
  Which spans of a trace are calls and which only sum up or wrap the calls below them (the billable leaf rule). A span is no
  leaf where one holds: it is no call by its type and a span below it has usage; its tokens are the sum of those of the spans
  next below it or of the innermost; it is an embedding above an embedding; its name and that of a span below it are a pair of span_pairs.csv. Looks only
  at traces whose spans have parents, within seven days. One row per span with another role than its record says, and per call
  directly above another one.
grain: [request_key]
order_by: [started_at, request_key]
partition: day
partition_column: started_at
reads_around: 7 days
meets: >-
  select cast(s.started_at as date) as day, hash(s.source, s.source_account, coalesce(s.trace_id, '')) as link, hash(s, d) as content
  from staged_requests as s
  left join ledger_superseded_requests as d
    on s.source_file_sha256 = d.source_file_sha256 and s.source_row = d.source_row and s.source_account = d.source_account and s.source = d.source
  where s.span_id is not null or s.parent_span_id is not null
columns:
  request_key: VARCHAR; the span in staged_requests
  started_at: TIMESTAMP WITH TIME ZONE; start of the span
  row_kind: VARCHAR; what the span is within its trace, as in ledger_requests
  is_billable_leaf: BOOLEAN; true where the row enters money
  leaf_rule: VARCHAR; what decided: no_call, sum_of_calls, embedding_pair or known_pair; calls_below for a call that is billed though one stands directly below it
checks:
  - one_of: [leaf_rule, no_call, sum_of_calls, embedding_pair, known_pair, calls_below]
  - rule: is_billable_leaf = (leaf_rule = 'calls_below')
notes:
  - Where no span below has usage, a span that is no call keeps its own and is billed as aggregate_only.
question: Which spans were left out of the money, and why?
answer: >-
  select leaf_rule, row_kind, count(*) as spans from ledger_span_roles group by leaf_rule, row_kind order by spans desc
*/
{% from "macros/traces.sql" import place_in_trace, windows_of_traces with context %}
{% from "macros/versions.sql" import but_superseded with context %}
{% from "macros/tokens.sql" import sum_of with context %}
{% set joined_with_span_above %}
inner join named_spans as p
        on c.source = p.source
        and c.source_account = p.source_account
        and c.trace_id = p.trace_id
        and c.seen_date = p.seen_date
        and c.above_span_id = p.span_id
{%- endset %}
with recursive families as (
    select distinct
        source,
        source_account,
        coalesce(trace_id, '') as trace_id,
    from staged_requests
    where parent_span_id is not null
),

-- Picked out first: of calls without a trace there may be millions, all of one key, and no join of them fits into memory.
members as materialized (
    select
        s.source_file_sha256,
        s.source_row,
        s.request_key,
        s.started_at,
        cast(s.started_at as date) as usage_date,
        s.source,
        s.source_account,
        f.trace_id,
        s.span_id,
        s.parent_span_id,
        s.row_kind,
        s.is_billable_leaf,
        s.step,
        {{ sum_of(token_classes, "s", "_tokens") }} as tokens_stated,
        coalesce(cardinality(s.extra_units) > 0, false) or coalesce(s.cost_reported_usd > 0, false) as has_more,
    from staged_requests as s
    inner join families as f
        on s.source = f.source and s.source_account = f.source_account and coalesce(s.trace_id, '') = f.trace_id
),

family_days as (
    select distinct source, source_account, trace_id, usage_date
    from members
),

{{ windows_of_traces("family_days") }},

spans as (
    select
        {{ place_in_trace() }},
        s.is_billable_leaf,
        s.step,
        s.tokens_stated,
        s.has_more,
    from members as s
    inner join traces as t
        on s.source = t.source
        and s.source_account = t.source_account
        and s.trace_id = t.trace_id
        and s.usage_date >= t.first_date
        and s.usage_date <= t.last_date
    {{ but_superseded() }}
),

-- Of spans that share an id in their trace, one stands for it.
named_spans as (
    select *, tokens_stated > 0 or has_more as has_usage
    from spans
    where span_id is not null
    qualify row_number() over (partition by source, source_account, trace_id, seen_date, span_id order by started_at, request_key) = 1
),

-- Each span with usage is held against all that stand above it; is_first while none of those in between has usage.
climbed as (
    select
        request_key,
        source,
        source_account,
        trace_id,
        seen_date,
        step as inner_step,
        row_kind as inner_kind,
        tokens_stated as inner_tokens,
        parent_span_id as above_span_id,
        1 as steps,
        true as is_first,
    from spans
    where (tokens_stated > 0 or has_more) and parent_span_id is not null
    union all
    select
        c.request_key,
        c.source,
        c.source_account,
        c.trace_id,
        c.seen_date,
        c.inner_step,
        c.inner_kind,
        c.inner_tokens,
        p.parent_span_id as above_span_id,
        c.steps + 1 as steps,
        c.is_first and not p.has_usage as is_first,
    from climbed as c
    {{ joined_with_span_above }}
    -- Parents that go round in a circle end here.
    where p.parent_span_id is not null and c.steps < 1000
),

met as (
    select
        p.request_key,
        p.started_at,
        p.seen_date,
        p.is_long,
        p.row_kind,
        p.step,
        p.has_usage,
        p.tokens_stated,
        c.request_key as inner_key,
        c.is_first,
        c.inner_step,
        c.inner_kind,
        c.inner_tokens,
        c.steps,
    from climbed as c
    {{ joined_with_span_above }}
    where p.is_billable_leaf and p.request_key <> c.request_key
),

-- Spans with usage below which no other has any.
innermost as (
    select i.inner_key, i.seen_date
    from (select distinct inner_key, seen_date from met) as i
    anti join (select distinct request_key, seen_date from met where has_usage) as o
        on i.inner_key = o.request_key and i.seen_date = o.seen_date
),

pairs as (
    select distinct m.step, m.inner_step
    from (select distinct step, inner_step from met where step is not null and inner_step is not null) as m
    inner join ref_span_pairs as r
        on regexp_matches(m.step, r.outer_step) and regexp_matches(m.inner_step, r.inner_step)
),

judged as (
    select
        m.request_key,
        min(m.started_at) as started_at,
        min(m.row_kind) as row_kind,
        bool_or(m.has_usage) as has_usage,
        min(m.tokens_stated) as tokens_stated,
        sum(case when m.is_first then m.inner_tokens end) as inner_tokens,
        sum(case when i.inner_key is not null then m.inner_tokens end) as innermost_tokens,
        bool_or(m.inner_kind = 'embedding') as has_embedding,
        bool_or(m.is_first and k.step is not null) as is_known_pair,
        bool_or(m.steps = 1 and m.inner_kind = 'llm_call') as has_call,
    from met as m
    left join pairs as k on m.step = k.step and m.inner_step = k.inner_step
    left join innermost as i on m.inner_key = i.inner_key and m.seen_date = i.seen_date
    where not m.is_long or cast(m.started_at as date) = m.seen_date
    group by m.request_key, m.seen_date
),

ruled as (
    select
        request_key,
        started_at,
        row_kind,
        case
            when has_usage and row_kind = 'aggregate_only' then 'no_call'
            when has_usage and tokens_stated > 0 and tokens_stated in (inner_tokens, innermost_tokens) then 'sum_of_calls'
            when row_kind = 'embedding' and has_embedding then 'embedding_pair'
            when is_known_pair then 'known_pair'
            when has_usage and row_kind = 'llm_call' and has_call then 'calls_below'
        end as leaf_rule,
    from judged
)

select
    request_key,
    started_at,
    case when leaf_rule = 'calls_below' then row_kind else 'aggregate_span' end as row_kind,
    leaf_rule = 'calls_below' as is_billable_leaf,
    leaf_rule,
from ruled
where leaf_rule is not null
