{# Windows of traces, as `traces`, from the days on which traces have rows; `lengths` has those traces that have what `having` asks. #}
{% macro windows_of_traces(days, having="") %}
lengths as (
    select
        source,
        source_account,
        trace_id,
        min(usage_date) as first_date,
        max(usage_date) as last_date,
        max(usage_date) > min(usage_date) + 7 as is_long,
    from {{ days }}
    group by source, source_account, trace_id
{% if having %}
    having {{ having }}
{% endif %}
),

-- What a row sees of its trace. A trace of more than seven days is another one from each of its days; a shorter one looks the same
-- from all of them.
traces as (
    select source, source_account, trace_id, is_long, first_date as seen_date, first_date, last_date
    from lengths
    where not is_long
    union all
    select d.source, d.source_account, d.trace_id, l.is_long, d.usage_date as seen_date, d.usage_date - 7 as first_date, d.usage_date + 7 as last_date
    from {{ days }} as d
    inner join lengths as l on d.source = l.source and d.source_account = l.source_account and d.trace_id = l.trace_id
    where l.is_long
)
{%- endmacro %}

{# What tells where a row, as `s`, stands in the window of its trace, as `t`. #}
{% macro place_in_trace() %}
s.request_key,
        s.started_at,
        s.source,
        s.source_account,
        s.trace_id,
        t.seen_date,
        t.is_long,
        s.span_id,
        s.parent_span_id,
        s.row_kind
{%- endmacro %}
