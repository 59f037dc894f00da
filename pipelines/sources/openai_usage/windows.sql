-- What a pull covers: its buckets, a row for each UTC day, empty buckets included. So a bucket or a line that has vanished
-- from a later pull is known to be gone. A file of the dashboard covers whole days, all from its first to its last.
with covered as (
    select file_no, endpoint, pull_grain, bucket_start_at, bucket_end_at
    from records
    where not covers_range and endpoint is not null and bucket_end_at > bucket_start_at
    union all
    select
        file_no,
        endpoint,
        pull_grain,
        unnest(generate_series(first_at, last_at, interval 1 day)) as bucket_start_at,
        bucket_start_at + interval 1 day as bucket_end_at,
    from (
        select
            file_no,
            endpoint,
            pull_grain,
            date_trunc('day', min(bucket_start_at)) as first_at,
            date_trunc('day', max(bucket_start_at)) as last_at,
        from records
        where covers_range and wrong is null and endpoint is not null
        group by file_no, endpoint, pull_grain
    ) as ranges
)

select
    c.file_no,
    0 as source_row,
    cast(null as varchar) as refusal,
    endpoint,
    pull_grain,
    min(bucket_start_at) as window_start_at,
    max(bucket_end_at) as window_end_at,
    true as is_stated,
    case when row_number() over (partition by c.file_no order by min(bucket_start_at) desc) = 1 then any_value(n.next_page) end as next_page,
from covered as c
left join continued as n on c.file_no = n.file_no
group by c.file_no, endpoint, pull_grain, cast(bucket_start_at as date)
