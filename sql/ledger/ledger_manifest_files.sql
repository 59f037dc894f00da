/*
about: >-
  The files that make up a bill by the newest manifest of its report (AWS: Data Exports, CUR), and whether each is there. They count as
  one pull, whenever each was copied. One row per report, billing month and named file; empty without manifests.
grain: [source, source_account, endpoint, month_start_date, file_key]
columns:
  source: VARCHAR; folder of landing/ that the manifest came from
  source_account: VARCHAR; first folder below the source, else 'default'
  endpoint: VARCHAR; manifest/ and the name of the report
  month_start_date: DATE; first day of the billing month
  manifest_file: VARCHAR; path of the manifest below the data root
  file_key: VARCHAR; key of the file in its bucket, as the manifest names it
  file_pattern: VARCHAR; regular expression that the path of the file meets
  delivered_at: TIMESTAMP WITH TIME ZONE; when the newest of the named files was pulled; null where none is there
  is_there: BOOLEAN; true where the file was read, or one of the same bytes was
notes:
  - Two parts of one report may be the same bytes, such as a header without a line; they are read once.
question: Which files of which bill are missing?
answer: >-
  select month_start_date, manifest_file, file_key from ledger_manifest_files where not is_there order by all
*/
with manifests as (
    select source, source_account, endpoint, cast(window_start_at as date) as month_start_date, pulled_at, source_file, next_page
    from staged_windows
    where starts_with(endpoint, 'manifest/')
    qualify row_number() over (
        partition by source, source_account, endpoint, cast(window_start_at as date) order by pulled_at desc, source_file desc
    ) = 1
),

named as (
    select
        source,
        source_account,
        endpoint,
        month_start_date,
        source_file as manifest_file,
        unnest(string_split(next_page, chr(10))) as said,
    from manifests
),

found as (
    select distinct
        n.source,
        n.source_account,
        n.endpoint,
        n.month_start_date,
        n.manifest_file,
        split_part(n.said, chr(9), 1) as file_key,
        split_part(n.said, chr(9), 2) as file_pattern,
        f.path,
        f.pulled_at,
    from named as n
    left join staged_files as f
        on n.source = f.source
        and n.source_account = f.source_account
        and f.state in ('current', 'copy')
        and regexp_matches(f.path, split_part(n.said, chr(9), 2))
)

select
    source,
    source_account,
    endpoint,
    month_start_date,
    manifest_file,
    file_key,
    min(file_pattern) as file_pattern,
    max(max(pulled_at)) over (partition by source, source_account, endpoint, month_start_date) as delivered_at,
    count(path) > 0 as is_there,
from found
group by source, source_account, endpoint, month_start_date, manifest_file, file_key
