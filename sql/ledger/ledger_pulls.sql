/*
about: >-
  Which pull of usage or bills counts where. For a source, account and report the newest pull counts as a whole for what it
  covers, so that a bucket that has vanished from it is gone; the files of one delivery are one pull. Of pulls of several
  grains one counts: bills by line item, usage with the most dimensions. One row per file and stretch of time that is covered
  by the same pulls.
grain: [source, source_account, endpoint, source_file_sha256, window_start_at]
partition: day
partition_column: window_start_at
leads: [staged_windows]
columns:
  source: VARCHAR; folder of landing/ that the record came from
  source_account: VARCHAR; first folder below the source, else 'default'
  endpoint: VARCHAR; which report of the source the pull asked for
  source_file_sha256: VARCHAR; hash of the file's bytes
  window_start_at: TIMESTAMP WITH TIME ZONE; start of the stretch
  window_end_at: TIMESTAMP WITH TIME ZONE; its end, exclusive
  pulled_at: TIMESTAMP WITH TIME ZONE; when the file was pulled from the provider
  pull_grain: VARCHAR[]; dimensions that the pull was grouped by; null where it shows none
  counts: BOOLEAN; true where the rows of this pull are booked
  is_stated: BOOLEAN; true where the pull names the days that it covers, false where they are told by its rows
  next_page: VARCHAR; page that the pull says follows, on its last day, or the files that a manifest names, a line each; else null
  source_file: VARCHAR; path of the file below the data root
checks:
  - rule: window_end_at > window_start_at
*/
with listed as (
    select distinct f.source, f.source_account, f.source_file, m.endpoint as manifest, m.month_start_date, m.delivered_at
    from (select distinct source, source_account, source_file from staged_windows where not starts_with(endpoint, 'manifest/')) as f
    inner join ledger_manifest_files as m
        on f.source = m.source and f.source_account = m.source_account and regexp_matches(f.source_file, m.file_pattern)
),

windows as (
    select distinct
        w.source,
        w.source_account,
        w.endpoint,
        w.source_file_sha256,
        w.pulled_at,
        w.pull_grain,
        w.window_start_at,
        w.window_end_at,
        w.is_stated,
        w.next_page,
        w.source_file,
        cast(w.window_start_at as date) as usage_date,
        -- A bill may come in several files: they are one pull, as new as the newest of them.
        coalesce(l.manifest, w.delivery, w.source_file_sha256) as pull,
        coalesce(l.delivered_at, max(w.pulled_at) over (
            partition by w.source, w.source_account, w.endpoint, cast(w.window_start_at as date), coalesce(w.delivery, w.source_file_sha256)
        )) as delivered_at,
    from staged_windows as w
    left join listed as l
        on w.source = l.source
        and w.source_account = l.source_account
        and w.source_file = l.source_file
        and date_trunc('month', cast(w.window_start_at as date)) = l.month_start_date
),

edges as (
    select source, source_account, endpoint, usage_date, window_start_at as edge_at from windows
    union
    select source, source_account, endpoint, usage_date, window_end_at as edge_at from windows
),

stretches as (
    select
        source,
        source_account,
        endpoint,
        usage_date,
        edge_at as stretch_start_at,
        lead(edge_at) over (partition by source, source_account, endpoint, usage_date order by edge_at) as stretch_end_at,
    from edges
),

ranked as (
    select
        w.source,
        w.source_account,
        w.endpoint,
        w.source_file_sha256,
        s.stretch_start_at as window_start_at,
        s.stretch_end_at as window_end_at,
        w.pulled_at,
        w.pull_grain,
        w.is_stated,
        w.next_page,
        w.source_file,
        dense_rank() over (
            partition by w.source, w.source_account, w.endpoint, s.stretch_start_at
            order by
                -- A pull of which no grain is known (all its buckets are empty) stands back for none: the newest counts.
                case when w.endpoint like '%cost%' and coalesce(list_contains(w.pull_grain, 'line_item'), true) then 0 else 1 end,
                case when w.endpoint like '%cost%' then 0 else -coalesce(array_length(w.pull_grain), 1000) end,
                w.delivered_at desc,
                w.pull desc
        ) as place,
    from windows as w
    inner join stretches as s
        on w.source = s.source
        and w.source_account = s.source_account
        and w.endpoint = s.endpoint
        and w.usage_date = s.usage_date
        and s.stretch_start_at >= w.window_start_at
        and s.stretch_end_at <= w.window_end_at
)

select
    source,
    source_account,
    endpoint,
    source_file_sha256,
    window_start_at,
    window_end_at,
    pulled_at,
    pull_grain,
    place = 1 as counts,
    is_stated,
    next_page,
    source_file,
from ranked
