-- feedback_stats of a run -> one value a key: the mean of what was given so far. A record of its own behind the run's.
select
    file_no,
    row_in_line(source_row, place + 1) as source_row,
    case
        when try_cast(given ->> '$.avg' as double) is null and given ->> '$.avg' is not null
            then 'feedback_stats is ' || left(given ->> '$.avg', 40) || ', expected a number'
    end as refusal,
    id || ':' || feedback_key as key_text,
    -- What is said of the top run is said of the trace.
    case when id = trace_id then 'trace' else 'request' end as target_kind,
    case when id = trace_id then hex_id(id) else id end as target_id,
    left(feedback_key, 200) as name,
    'NUMERIC' as data_type,
    try_cast(given ->> '$.avg' as double) as value_num,
    'FEEDBACK' as score_source,
    iso_instant((select any_value(f.pulled_at) from landing_files as f where f.file_no = keyed.file_no)) as source_row_version,
    coalesce(try_cast(end_time as timestamptz), try_cast(start_time as timestamptz)) as scored_at,
from (
    select
        file_no,
        source_row,
        id,
        trace_id,
        start_time,
        end_time,
        unnest(json_keys(object_in(feedback_stats))) as feedback_key,
        unnest(json_extract(object_in(feedback_stats), '$.*')) as given,
        generate_subscripts(json_keys(object_in(feedback_stats)), 1) as place,
    from records
    where problem is null and nullif(id, '') is not null and json_type(object_in(feedback_stats)) = 'OBJECT'
        and not coalesce(try_cast(start_time as timestamptz) is null, true)
) as keyed
where given ->> '$.avg' is not null
