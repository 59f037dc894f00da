-- An outcome -> a score on the task, else the session, else the trace that it is about.
select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when outcome is null or recorded_at is null or target_id is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when target_id is null then 'task_id, session_id or trace_id' end,
                    case when outcome is null then 'outcome' end,
                    case when recorded_at is null then 'recorded_at' end
                )
        end,
        wrong_instant('recorded_at', recorded_at),
        wrong_amount('quantity', quantity)
    ) as refusal,
    concat_ws('|', target_kind, target_id, unit, iso_instant(scored_at)) as key_text,
    target_kind,
    target_id,
    'outcome' as name,
    'CATEGORICAL' as data_type,
    lower(trim(outcome)) as value_text,
    'API' as score_source,
    scored_at,
    coalesce(try_cast(quantity as decimal(38, 9)), case when unit is not null then 1 end) as quantity,
    unit as quantity_unit,
from (
    select
        * replace (nullif(outcome, '') as outcome, nullif(recorded_at, '') as recorded_at),
        case when task_id <> '' then 'task' when session_id <> '' then 'session' else 'trace' end as target_kind,
        coalesce(nullif(task_id, ''), nullif(session_id, ''), hex_id(nullif(trace_id, ''))) as target_id,
        try_cast(recorded_at as timestamptz) as scored_at,
    from records
)
