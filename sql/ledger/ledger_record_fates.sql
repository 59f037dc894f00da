/*
about: >-
  The fate of every record that was read, counted: booked, duplicate, not_billable or quarantined. One row per UTC day, file,
  staged shape, fate and reason.
grain: [usage_date, source, source_account, source_file_sha256, shape, fate, reason]
partition: day
columns:
  usage_date: DATE; UTC day of the records; for a refused one without an instant the day of its file's first record or pull
  source: VARCHAR; folder of landing/ that the record came from
  source_account: VARCHAR; first folder below the source, else 'default'
  source_file_sha256: VARCHAR; hash of the file's bytes
  shape: VARCHAR; staged shape of the records
  fate: VARCHAR; booked, duplicate, not_billable or quarantined
  reason: VARCHAR; why it is not booked, empty where it is
  records: BIGINT; records of this fate
  first_source_row: BIGINT; place of the first of them in the file
checks:
  - one_of: [fate, booked, duplicate, not_billable, quarantined]
  - rule: (fate = 'booked') = (reason = '')
  - rule: records > 0
*/
with requests as (
    select
        cast(s.started_at as date) as usage_date,
        s.source,
        s.source_account,
        s.source_file_sha256,
        'requests' as shape,
        case
            when d.source_row is not null or not coalesce(m.is_counted, true) then 'duplicate'
            when coalesce(l.is_billable_leaf, s.is_billable_leaf) then 'booked'
            else 'not_billable'
        end as fate,
        case
            when d.reason = 'copied count' then d.reason
            when d.source_row is not null then d.reason || ' of ' || d.source_row_id
            when not coalesce(m.is_counted, true) then 'same call in ' || m.counted_source
            -- A batch has the tokens of its lines.
            when s.row_kind = 'context' and s.provider_total_tokens is not null then 'batch_total'
            when not coalesce(l.is_billable_leaf, s.is_billable_leaf) then coalesce(l.row_kind, s.row_kind)
            else ''
        end as reason,
        s.source_row,
    from staged_requests as s
    left join ledger_superseded_requests as d
        on s.source_file_sha256 = d.source_file_sha256
        and s.source_row = d.source_row
        and s.source_account = d.source_account
        and s.source = d.source
    left join ledger_span_roles as l on s.request_key = l.request_key and s.started_at = l.started_at
    left join ledger_same_calls as m on s.request_key = m.request_key and s.started_at = m.started_at
),

-- A record may be several rows (tokens and searches, usage and its charge), and is one record.
pulled as (
    select usage_date, source, source_account, source_file_sha256, min(shape) as shape, endpoint, record_at, source_row
    from (
        select
            cast(u.bucket_start_at as date) as usage_date, u.source, u.source_account, u.source_file_sha256, 'usage' as shape, u.endpoint,
            u.bucket_start_at as record_at, u.source_row,
        from staged_usage as u
        union all
        select
            cast(b.charge_start_at as date) as usage_date, b.source, b.source_account, b.source_file_sha256, 'bills' as shape, b.endpoint,
            b.charge_start_at as record_at, b.source_row,
        from staged_bills as b
    ) as rows_of_pulls
    group by usage_date, source, source_account, source_file_sha256, endpoint, record_at, source_row
),

-- Calls that state their own charge: their fate is that of the call.
calls_with_charges as (
    select distinct cast(s.started_at as date) as usage_date, s.source, s.source_account, s.source_file_sha256, s.source_row
    from staged_requests as s
    where s.source_file_sha256 in (select b.source_file_sha256 from staged_bills as b)
),

scores as (
    select
        cast(s.scored_at as date) as usage_date,
        s.source,
        s.source_account,
        s.source_file_sha256,
        'scores' as shape,
        case when d.source_row is not null then 'duplicate' else 'booked' end as fate,
        coalesce(d.reason, '') as reason,
        s.source_row,
    from staged_scores as s
    left join ledger_superseded_scores as d
        on s.source_file_sha256 = d.source_file_sha256
        and s.source_row = d.source_row
        and s.source_account = d.source_account
        and s.source = d.source
),

refused as (
    select
        cast(r.refused_day_at as date) as usage_date,
        r.source,
        r.source_account,
        r.source_file_sha256,
        r.shape,
        -- An empty bucket of a pull that no longer counts is as superseded as its full ones would be.
        case when r.fate = 'not_billable' and p.counts is not null and not p.counts then 'duplicate' else r.fate end as fate,
        case when r.fate = 'not_billable' and p.counts is not null and not p.counts then 'superseded pull' else r.reason end as reason,
        r.source_row,
    from staged_refusals as r
    left join (
        select source, source_account, source_file_sha256, cast(window_start_at as date) as usage_date, bool_or(counts) as counts
        from ledger_pulls
        group by source, source_account, source_file_sha256, cast(window_start_at as date)
    ) as p
        on r.source = p.source
        and r.source_account = p.source_account
        and r.source_file_sha256 = p.source_file_sha256
        and cast(r.refused_day_at as date) = p.usage_date
),

records as (
    select usage_date, source, source_account, source_file_sha256, shape, fate, reason, source_row from requests
    union all
    select
        u.usage_date,
        u.source,
        u.source_account,
        u.source_file_sha256,
        u.shape,
        case when p.counts then 'booked' else 'duplicate' end as fate,
        case when p.counts then '' else 'superseded pull' end as reason,
        u.source_row,
    from pulled as u
    inner join ledger_pulls as p
        on u.source = p.source
        and u.source_account = p.source_account
        and u.source_file_sha256 = p.source_file_sha256
        and u.endpoint = p.endpoint
        and u.record_at >= p.window_start_at
        and u.record_at < p.window_end_at
    anti join calls_with_charges as c
        on u.usage_date = c.usage_date
        and u.source = c.source
        and u.source_account = c.source_account
        and u.source_file_sha256 = c.source_file_sha256
        and u.source_row = c.source_row
    union all
    select
        usage_date, source, source_account, source_file_sha256, shape, fate, reason, source_row,
    from scores
    union all
    select usage_date, source, source_account, source_file_sha256, shape, fate, reason, source_row from refused
)

select
    usage_date,
    source,
    source_account,
    source_file_sha256,
    shape,
    fate,
    reason,
    count(*) as records,
    min(source_row) as first_source_row,
from records
group by usage_date, source, source_account, source_file_sha256, shape, fate, reason
