-- A score -> a value on the request, trace, session or run that it stands on, the narrowest of them.
select
    file_no,
    source_row,
    case
        when id is null or name is null or timestamp is null or target_id is null
            then 'missing ' || concat_ws(
                ', ',
                case when id is null then 'id' end,
                case when name is null then 'name' end,
                case when timestamp is null then 'timestamp' end,
                case when target_id is null then 'trace_id, observation_id, session_id or dataset_run_id' end
            )
        when wrong_instant('timestamp', timestamp) is not null then wrong_instant('timestamp', timestamp)
        when value is not null and try_cast(value as double) is null and data_type <> 'CATEGORICAL'
            then 'value is ' || left(value, 40) || ', expected a number'
    end as refusal,
    id as key_text,
    target_kind,
    target_id,
    name,
    data_type,
    case data_type when 'BOOLEAN' then coalesce(try_cast(value as double), case lower(value) when 'true' then 1 when 'false' then 0 end)
        when 'NUMERIC' then try_cast(value as double) end as value_num,
    case data_type
        when 'BOOLEAN' then coalesce(string_value, case when lower(value) in ('1', '1.0', 'true') then 'True' when value is not null then 'False' end)
        when 'CATEGORICAL' then left(coalesce(string_value, case when try_cast(value as double) is null then value end), 200)
    end as value_text,
    upper(score_source) as score_source,
    iso_instant(coalesce(try_cast(updated_at as timestamptz), try_cast(timestamp as timestamptz))) as source_row_version,
    try_cast(timestamp as timestamptz) as scored_at,
from (
    select
        *,
        case
            when observation_id is not null then 'request'
            when trace_id is not null then 'trace'
            when session_id is not null then 'session'
            else 'dataset_run'
        end as target_kind,
        coalesce(observation_id, hex_id(trace_id), session_id, dataset_run_id) as target_id,
    from records
    where record_kind = 'score' and problem is null
)
