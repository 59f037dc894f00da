-- Each score of a request is a record of its own; Helicone keeps them as numbers, and marks those that are true or false.
with listed as (
    select
        file_no,
        source_row,
        said(request_id) as request_id,
        said(request_created_at) as started_text,
        coalesce(said(updated_at), said(response_created_at), said(request_created_at)) as scored_text,
        unnest(map_entries(cast(json_merge_patch(
            coalesce(object_in(scores), cast('{}' as json)),
            case when said(feedback_rating) is not null then json_object('feedback_rating', feedback_rating) else cast('{}' as json) end
        ) as map(varchar, varchar)))) as entry,
        generate_subscripts(map_keys(cast(json_merge_patch(
            coalesce(object_in(scores), cast('{}' as json)),
            case when said(feedback_rating) is not null then json_object('feedback_rating', feedback_rating) else cast('{}' as json) end
        ) as map(varchar, varchar))), 1) as place,
    from records
    where problem is null
),

named as (
    select
        *,
        regexp_replace(entry.key, '-hcone-bool$', '') as name,
        ends_with(entry.key, '-hcone-bool') or lower(entry.value) in ('true', 'false') as is_boolean,
        case lower(entry.value) when 'true' then 1 when 'false' then 0 else try_cast(entry.value as double) end as amount,
    from listed
    where said(entry.value) is not null
)

select
    file_no,
    row_in_line(source_row, place) as source_row,
    case
        when request_id is null then 'missing request_id'
        when wrong_instant('updated_at', scored_text) is not null then wrong_instant('updated_at', scored_text)
        when amount is null then 'score ' || left(name, 40) || ' is ' || left(entry.value, 40) || ', expected a number'
    end as refusal,
    request_id || '|' || name as key_text,
    'request' as target_kind,
    request_id as target_id,
    left(name, 200) as name,
    case when is_boolean then 'BOOLEAN' else 'NUMERIC' end as data_type,
    amount as value_num,
    case when is_boolean then case when amount <> 0 then 'True' else 'False' end end as value_text,
    'API' as score_source,
    iso_instant(try_cast(scored_text as timestamptz)) as source_row_version,
    try_cast(scored_text as timestamptz) as scored_at,
from named
