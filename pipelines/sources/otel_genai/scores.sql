-- An evaluation of the GenAI conventions -> a value on the span that it stands at, else on its trace.
with evaluated as (
    select
        * exclude (named),
        {
            'names': list_reverse(list_transform(attributes, lambda attribute: attribute.key)),
            'texts': list_reverse(list_transform(attributes, lambda attribute: attribute_text(attribute)))
        } as named,
    from (
        select
            *,
            from_json(event_attributes, '[{"key":"VARCHAR","value":{"stringValue":"VARCHAR","intValue":"VARCHAR","doubleValue":"VARCHAR","boolValue":"VARCHAR","arrayValue":"JSON"}}]')
                as attributes,
        from records
        where record_kind = 'evaluation'
    )
)

select
    file_no,
    source_row,
    coalesce(
        case
            when value_named(named, 'gen_ai.evaluation.name') is null or trace_id is null or started_nano is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when value_named(named, 'gen_ai.evaluation.name') is null then 'gen_ai.evaluation.name' end,
                    case when trace_id is null then 'traceId' end,
                    case when started_nano is null then 'timeUnixNano' end
                )
        end,
        wrong_nanoseconds('timeUnixNano', started_nano),
        case
            when value_named(named, 'gen_ai.evaluation.score.value') is not null
                and try_cast(value_named(named, 'gen_ai.evaluation.score.value') as double) is null
                then 'gen_ai.evaluation.score.value is ' || left(value_named(named, 'gen_ai.evaluation.score.value'), 40) || ', expected a number'
        end
    ) as refusal,
    concat_ws(':', hex_id(trace_id), hex_id(span_id), value_named(named, 'gen_ai.evaluation.name'), started_nano) as key_text,
    case when span_id is null then 'trace' else 'request' end as target_kind,
    case when span_id is null then hex_id(trace_id) else hex_id(trace_id) || ':' || hex_id(span_id) end as target_id,
    value_named(named, 'gen_ai.evaluation.name') as name,
    case when value_named(named, 'gen_ai.evaluation.score.value') is not null then 'NUMERIC' else 'CATEGORICAL' end as data_type,
    try_cast(value_named(named, 'gen_ai.evaluation.score.value') as double) as value_num,
    value_named(named, 'gen_ai.evaluation.score.label') as value_text,
    'EVAL' as score_source,
    iso_instant(instant_of(started_nano)) as source_row_version,
    instant_of(started_nano) as scored_at,
from evaluated
