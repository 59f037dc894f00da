-- What an export covers: all days from its first to its last, or the windows that it names.
with covered as (
    select file_no, endpoint, pull_grain, true as is_stated, bucket_start_at, bucket_end_at
    from records
    where not is_day and bucket_end_at > bucket_start_at
    union all
    select
        file_no,
        endpoint,
        pull_grain,
        false as is_stated,
        unnest(generate_series(first_at, last_at, interval 1 day)) as bucket_start_at,
        bucket_start_at + interval 1 day as bucket_end_at,
    from (
        select file_no, endpoint, pull_grain, min(bucket_start_at) as first_at, max(bucket_start_at) as last_at
        from records
        where is_day and refusal is null
        group by file_no, endpoint, pull_grain
    ) as ranges
)

select
    file_no,
    0 as source_row,
    cast(null as varchar) as refusal,
    endpoint,
    pull_grain,
    min(bucket_start_at) as window_start_at,
    max(bucket_end_at) as window_end_at,
    is_stated,
from covered
group by file_no, endpoint, pull_grain, is_stated, cast(bucket_start_at as date)
