-- What a pull covers: its buckets, a row for each UTC day, empty buckets included. So a bucket or a line that has vanished
-- from a later pull is known to be gone.
select
    file_no,
    0 as source_row,
    cast(null as varchar) as refusal,
    endpoint,
    pull_grain,
    min(bucket_start_at) as window_start_at,
    max(bucket_end_at) as window_end_at,
from records
where endpoint is not null and bucket_end_at > bucket_start_at
group by file_no, endpoint, pull_grain, cast(bucket_start_at as date)
