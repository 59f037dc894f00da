/*
about: >-
  Every version of every landing file, and the fate of each of its records. The only table that knows a clock. One row per
  path and content.
grain: [path, sha256]
order_by: [path, first_seen_at, sha256]
columns:
  path: VARCHAR; path below the data root
  source: VARCHAR; folder of landing/ that the file lies in
  source_account: VARCHAR; first folder below the source, else 'default'
  sha256: VARCHAR; hash of the file's bytes
  file_bytes: BIGINT; size of the file
  schema_version: VARCHAR; version of the file's format that was recognised
  state: VARCHAR; current, copy (same bytes as another path), replaced (by newer bytes), refused (nothing could be read) or withheld (its source does not name it among its deliveries)
  first_seen_at: TIMESTAMP WITH TIME ZONE; when a run first found these bytes under this path
  pulled_at: TIMESTAMP WITH TIME ZONE; stamp in the file's name, else its modification time
  first_record_at: TIMESTAMP WITH TIME ZONE; earliest instant among its records; null without any
  last_record_at: TIMESTAMP WITH TIME ZONE; latest instant among its records; null without any
  records: BIGINT; records in the file
  booked: BIGINT; records that are in the books
  duplicate: BIGINT; records of which another version, copy or pull counts
  not_billable: BIGINT; records that carry no cost of their own
  quarantined: BIGINT; records that were refused
  reasons: VARCHAR; why records are not booked; empty where all are
checks:
  - rule: records = booked + duplicate + not_billable + quarantined
    text: every record has one fate
  - one_of: [state, current, copy, replaced, refused, withheld]
question: Which files had records that were refused, and why?
answer: >-
  select path, quarantined, reasons from ledger_files where quarantined > 0 order by quarantined desc
*/
with fates as (
    select
        source,
        source_account,
        source_file_sha256,
        cast(sum(case when fate = 'booked' then records else 0 end) as bigint) as booked,
        cast(sum(case when fate = 'duplicate' then records else 0 end) as bigint) as duplicate,
        cast(sum(case when fate = 'not_billable' then records else 0 end) as bigint) as not_billable,
        cast(sum(case when fate = 'quarantined' then records else 0 end) as bigint) as quarantined,
    from ledger_record_fates
    group by source, source_account, source_file_sha256
),

-- Requests and refusals are named by line, pulls by day.
sentences as (
    select
        source,
        source_account,
        source_file_sha256,
        usage_date,
        first_source_row,
        case
            when reason = 'superseded pull' or fate = 'not_billable'
                then case when records > 1 then cast(records as varchar) || ' x ' else '' end || cast(usage_date as varchar) || ': ' || reason
            -- Of a line that holds several records, further ones are counted in steps of 2^32.
            else 'line ' || cast(first_source_row % 4294967296 as varchar) || ': ' || reason
                || case when records > 1 then ' (' || cast(records as varchar) || ' records)' else '' end
        end as sentence,
        row_number() over (
            partition by source, source_account, source_file_sha256 order by first_source_row, usage_date, shape, fate, reason
        ) as place,
        count(*) over (partition by source, source_account, source_file_sha256) as sentences,
    from ledger_record_fates
    where fate <> 'booked'
),

reasons as (
    select
        source,
        source_account,
        source_file_sha256,
        string_agg(sentence, '; ' order by place) || case when max(sentences) > 50 then '; ...' else '' end as reasons,
    from sentences
    where place <= 50
    group by source, source_account, source_file_sha256
)

select
    v.path,
    v.source,
    v.source_account,
    v.sha256,
    v.file_bytes,
    v.schema_version,
    v.state,
    v.first_seen_at,
    v.pulled_at,
    v.first_record_at,
    v.last_record_at,
    v.records,
    case when v.state = 'current' then coalesce(f.booked, 0) else 0 end as booked,
    case
        when v.state = 'current' then coalesce(f.duplicate, 0)
        when v.state in ('copy', 'replaced') then v.records - v.quarantined
        else 0
    end as duplicate,
    case when v.state = 'current' then coalesce(f.not_billable, 0) when v.state = 'withheld' then v.records else 0 end as not_billable,
    case when v.state = 'current' then coalesce(f.quarantined, 0) else v.quarantined end as quarantined,
    case
        when v.state = 'current' then coalesce(r.reasons, '')
        when v.state = 'copy' then 'same bytes as ' || v.reason
        when v.state = 'replaced' then 'replaced by newer bytes of the same path'
        else v.reason
    end as reasons,
from staged_files as v
left join fates as f
    on v.source = f.source and v.source_account = f.source_account and v.sha256 = f.source_file_sha256
left join reasons as r
    on v.source = r.source and v.source_account = r.source_account and v.sha256 = r.source_file_sha256
