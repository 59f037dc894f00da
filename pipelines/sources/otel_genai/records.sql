-- Lines -> one row a span, an evaluation (an event of a span or of a log) or a log that counts tokens, in the order of the line. A line
-- without any is one row by itself. Texts of prompts are in attributes and events that are not taken along.
with opened as (
    select
        file_no,
        source_row as line,
        coalesce(
            problem,
            case
                when resourceSpans is null and resourceLogs is null and resourceMetrics is null
                    then 'no resourceSpans, expected an export request of OTLP JSON'
                when json_type(resourceSpans) not in ('ARRAY', 'NULL')
                    then 'resourceSpans is a JSON ' || lower(json_type(resourceSpans)) || ', expected a list'
            end
        ) as problem,
        from_json(resourceSpans, '[{
            "resource":{"attributes":[{"key":"VARCHAR","value":{"stringValue":"VARCHAR","intValue":"VARCHAR","doubleValue":"VARCHAR","boolValue":"VARCHAR","arrayValue":"JSON"}}]},
            "scopeSpans":[{"scope":{"name":"VARCHAR","version":"VARCHAR"},"spans":[{
                "traceId":"VARCHAR","spanId":"VARCHAR","parentSpanId":"VARCHAR","name":"VARCHAR",
                "startTimeUnixNano":"VARCHAR","endTimeUnixNano":"VARCHAR",
                "attributes":[{"key":"VARCHAR","value":{"stringValue":"VARCHAR","intValue":"VARCHAR","doubleValue":"VARCHAR","boolValue":"VARCHAR","arrayValue":"JSON"}}],
                "events":[{"timeUnixNano":"VARCHAR","name":"VARCHAR","attributes":"JSON"}],
                "status":{"code":"VARCHAR"}}]}],
            "instrumentationLibrarySpans":[{"instrumentationLibrary":{"name":"VARCHAR","version":"VARCHAR"},"spans":[{
                "traceId":"VARCHAR","spanId":"VARCHAR","parentSpanId":"VARCHAR","name":"VARCHAR",
                "startTimeUnixNano":"VARCHAR","endTimeUnixNano":"VARCHAR",
                "attributes":[{"key":"VARCHAR","value":{"stringValue":"VARCHAR","intValue":"VARCHAR","doubleValue":"VARCHAR","boolValue":"VARCHAR","arrayValue":"JSON"}}],
                "events":[{"timeUnixNano":"VARCHAR","name":"VARCHAR","attributes":"JSON"}],
                "status":{"code":"VARCHAR"}}]}]
        }]') as resource_spans,
        case when resourceLogs is not null then from_json(resourceLogs, '[{
            "resource":{"attributes":"JSON"},
            "scopeLogs":[{"logRecords":[{"timeUnixNano":"VARCHAR","observedTimeUnixNano":"VARCHAR","traceId":"VARCHAR","spanId":"VARCHAR","eventName":"VARCHAR","body":{"stringValue":"VARCHAR"},"attributes":"JSON"}]}]
        }]') end as resource_logs,
        case when resourceMetrics is not null then regexp_extract(cast(resourceMetrics as varchar), '"name"\s*:\s*"([^"]*token[^"]*)"', 1) end
            as token_metric,
    from otlp_lines
),

listed as (
    select
        file_no,
        line,
        problem,
        flatten(list_transform(coalesce(resource_spans, []), lambda group_of: flatten(list_transform(
            list_concat(
                list_transform(coalesce(group_of.scopeSpans, []), lambda scoped: {'scope': scoped.scope, 'spans': scoped.spans}),
                list_transform(
                    coalesce(group_of.instrumentationLibrarySpans, []),
                    lambda scoped: {'scope': scoped.instrumentationLibrary, 'spans': scoped.spans}
                )
            ),
            lambda scoped: list_transform(coalesce(scoped.spans, []), lambda span: {
                'resource': group_of.resource.attributes, 'scope': scoped.scope, 'span': span
            })
        )))) as spans,
        flatten(list_transform(coalesce(resource_logs, []), lambda group_of: flatten(list_transform(
            coalesce(group_of.scopeLogs, []),
            lambda scoped: list_filter(coalesce(scoped.logRecords, []), lambda written: written.eventName = 'gen_ai.evaluation.result')
        )))) as evaluations,
        flatten(list_transform(coalesce(resource_logs, []), lambda group_of: flatten(list_transform(
            coalesce(group_of.scopeLogs, []),
            lambda scoped: list_transform(
                list_filter(coalesce(scoped.logRecords, []), lambda written: coalesce(written.eventName <> 'gen_ai.evaluation.result', true)),
                lambda written: {'resource': group_of.resource.attributes, 'written': written}
            )
        )))) as logs,
        nullif(token_metric, '') as token_metric,
    from opened
),

spans as (
    select file_no, line, problem, unnest(spans) as found, generate_subscripts(spans, 1) as nth, len(spans) as before
    from listed
    where len(spans) > 0
),

-- Evaluations come after the spans of their line.
evaluations as (
    select
        file_no,
        line,
        before + row_number() over (partition by file_no, line order by nth, event_no) as nth,
        found.span.traceId as trace_id,
        -- What is said of the top span is said of the trace.
        case when nullif(found.span.parentSpanId, '') is not null then found.span.spanId end as span_id,
        event.timeUnixNano as scored_at,
        event.attributes as event_attributes,
    from (
        select
            file_no, line, nth, before, found, unnest(found.span.events) as event, generate_subscripts(found.span.events, 1) as event_no
        from spans
    )
    where event.name = 'gen_ai.evaluation.result'
    union all
    select
        file_no,
        line,
        nth,
        written.traceId as trace_id,
        written.spanId as span_id,
        coalesce(nullif(written.timeUnixNano, '0'), written.observedTimeUnixNano) as scored_at,
        written.attributes as event_attributes,
    from (
        select file_no, line, unnest(evaluations) as written, len(spans) + generate_subscripts(evaluations, 1) as nth
        from listed
    )
),

logs as (
    select
        file_no,
        line,
        problem,
        nth,
        written,
        named,
        attributes,
        event,
        log_kind(event, named, attributes) as log_kind,
    from (
        select
            *,
            attributes_of(attributes_in(written.attributes)) as attributes,
            attributes_of(attributes_in(resource)) as resource_attributes,
            {
                'names': list_concat(attribute_names(attributes), attribute_names(resource_attributes)),
                'texts': list_concat(attribute_texts(attributes), attribute_texts(resource_attributes))
            } as named,
            -- A name with its agent's before it goes before a bare one.
            lower(list_filter(
                [written.eventName, value_named(named, 'event.name'), left(written.body.stringValue, 200)],
                lambda name: regexp_full_match(name, '[\w-]+([.][\w-]+)+')
            )[1]) as full_event,
            coalesce(full_event, lower(value_named(named, 'event.name')), lower(nullif(written.eventName, ''))) as event,
        from (
            select
                file_no,
                line,
                problem,
                unnest(logs).written as written,
                unnest(logs).resource as resource,
                len(spans) + len(evaluations) + generate_subscripts(logs, 1) as nth,
            from listed
            where len(logs) > 0
        )
    )
),

counted_logs as (
    select * from logs where log_kind is not null
),

attributed as (
    select
        file_no,
        line,
        nth,
        problem,
        found.span as span,
        found.scope.name as scope_name,
        found.scope.version as scope_version,
        attributes_of(found.span.attributes) as attributes,
        attributes_of(found.resource) as resource,
        text_named({'names': attribute_names(attributes), 'texts': attribute_texts(attributes)}, 'metadata') as metadata_text_of,
        case when json_type(try_cast(metadata_text_of as json)) = 'OBJECT' then cast(metadata_text_of as json) end as metadata,
        coalesce(
            from_json(
                list_filter(attributes, lambda attribute: list_contains(['tag.tags', 'langfuse.trace.tags', 'tags'], attribute.key))[1].value.arrayValue,
                '{"values":[{"stringValue":"VARCHAR"}]}'
            ).values,
            []
        ) as tag_values,
    from spans
)

select
    file_no,
    row_in_line(line, nth) as source_row,
    problem,
    'span' as record_kind,
    nullif(span.traceId, '') as trace_id,
    nullif(span.spanId, '') as span_id,
    nullif(span.parentSpanId, '') as parent_span_id,
    nullif(span.name, '') as name,
    nullif(span.startTimeUnixNano, '') as started_nano,
    nullif(span.endTimeUnixNano, '') as ended_nano,
    span.status.code as status_code,
    scope_name,
    scope_version,
    list_transform(tag_values, lambda tag: tag.stringValue) as tags,
    list_reverse(list_filter(list_transform(tag_values, lambda tag: tag.stringValue), lambda tag: contains(tag, ':'))) as pairs,
    -- The span's own attributes first, then tags, metadata and what holds for the whole process.
    {
        'names': list_concat(
            attribute_names(attributes), list_transform(pairs, lambda tag: lower(split_part(tag, ':', 1))), names_in(metadata),
            attribute_names(resource)
        ),
        'texts': list_concat(
            attribute_texts(attributes), list_transform(pairs, lambda tag: substr(tag, strpos(tag, ':') + 1)), texts_in(metadata),
            attribute_texts(resource)
        )
    } as named,
    counts_of(attributes, '^(gen_ai|llm)\.usage\.') as gen_ai_counts,
    counts_of(attributes, '^llm\.token_count\.') as openinference_counts,
    counts_of(attributes, '^ai\.usage\.') as ai_sdk_counts,
    cast(null as json) as event_attributes,
from attributed
union all by name
select
    file_no,
    row_in_line(line, nth) as source_row,
    cast(null as varchar) as problem,
    'evaluation' as record_kind,
    nullif(trace_id, '') as trace_id,
    nullif(span_id, '') as span_id,
    scored_at as started_nano,
    event_attributes,
from evaluations
union all by name
select
    file_no,
    row_in_line(line, nth) as source_row,
    case
        when log_kind = 'unknown' then 'the log ' || coalesce(event, 'without a name') || ' counts tokens and is of no known tool: '
            || 'read are those of Claude Code, Codex and Gemini CLI, and spans; export the traces of this one'
    end as problem,
    'log' as record_kind,
    log_kind,
    event as name,
    nullif(written.traceId, '') as trace_id,
    nullif(written.spanId, '') as parent_span_id,
    coalesce(nullif(nullif(written.timeUnixNano, '0'), ''), nullif(nullif(written.observedTimeUnixNano, '0'), '')) as ended_nano,
    cast([] as varchar[]) as tags,
    cast([] as varchar[]) as pairs,
    named,
    counts_of(attributes, '^(gen_ai|llm)\.usage\.') as gen_ai_counts,
    counts_of(attributes, '^llm\.token_count\.') as openinference_counts,
    counts_of(attributes, '^ai\.usage\.') as ai_sdk_counts,
from counted_logs
union all by name
select
    file_no,
    line as source_row,
    problem,
    case when token_metric is null then 'none' else 'metric' end as record_kind,
    token_metric as name,
from listed
where len(spans) = 0 and len(evaluations) = 0 and not exists (
    select 1 from counted_logs as l where l.file_no = listed.file_no and l.line = listed.line
)
