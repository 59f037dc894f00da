/*
about: >-
  Staged scores that do not count because another version of the same score does: the newest, and of equal versions the one with
  the greatest content. Versions are looked for within seven days. One row per staged score that does not count.
grain: [source, source_account, source_file_sha256, source_row]
partition: day
partition_column: usage_date
reads_around: 7 days
meets: select cast(s.scored_at as date) as day, hash(s.score_key) as link, hash(s) as content from staged_scores as s
columns:
  usage_date: DATE; UTC day of the score that does not count
{% include "parts/columns_record.sql" %}
  reason: VARCHAR; why it is not booked, 'older version' or 'same score'
checks:
  - one_of: [reason, older version, same score]
*/
{% from "macros/versions.sql" import beaten_versions, from_beaten with context %}
with repeated as (
    select score_key
    from staged_scores
    group by score_key
    having count(*) > 1
),

ranked as (
    select
        cast(s.scored_at as date) as usage_date,
        s.score_key,
        s.source,
        s.source_account,
        s.source_file_sha256,
        s.source_row,
        coalesce(s.source_row_version, '') as version,
        row_number() over (
            partition by s.score_key
            order by
                coalesce(s.source_row_version, '') desc,
                s.scored_at desc,
                s.value_text desc nulls last,
                s.value_num desc nulls last,
                s.quantity desc nulls last,
                s.target_kind,
                s.target_id,
                s.name,
                s.source_file_sha256,
                s.source_row
        ) as place,
    from staged_scores as s
    inner join repeated as r on s.score_key = r.score_key
),

{{ beaten_versions("score_key") }}

select
    r.usage_date,
    r.source,
    r.source_account,
    r.source_file_sha256,
    r.source_row,
    case when b.best_version > r.version then 'older version' else 'same score' end as reason,
{{ from_beaten() }}
