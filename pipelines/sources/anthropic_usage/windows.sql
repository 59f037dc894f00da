-- What a pull covers, a row for each UTC day: the buckets of pages, empty ones included, and all days from the first to the last of a
-- file of the Console. Pulls that do not add up to the whole stand in for nothing.
with covered as (
    select file_no, endpoint, pull_grain, pulled_at, true as is_stated, bucket_start_at, bucket_end_at
    from records
    where not covers_range and endpoint is not null and bucket_end_at > bucket_start_at
        and (context is null or context = 'context (empty bucket)' or endpoint = 'claude_code')
        and bucket_end_at <= bucket_start_at + interval 1 day
    union all
    select
        file_no,
        endpoint,
        pull_grain,
        pulled_at,
        false as is_stated,
        unnest(generate_series(first_at, last_at, interval 1 day)) as bucket_start_at,
        bucket_start_at + interval 1 day as bucket_end_at,
    from (
        select file_no, endpoint, pull_grain, pulled_at, min(bucket_start_at) as first_at, max(bucket_start_at) as last_at
        from records
        where covers_range and refusal is null
        group by file_no, endpoint, pull_grain, pulled_at
    ) as ranges
)

select
    c.file_no,
    0 as source_row,
    cast(null as varchar) as refusal,
    endpoint,
    pull_grain,
    pulled_at,
    min(bucket_start_at) as window_start_at,
    max(bucket_end_at) as window_end_at,
    is_stated,
    case when row_number() over (partition by c.file_no order by min(bucket_start_at) desc) = 1 then any_value(n.next_page) end as next_page,
from covered as c
left join continued as n on c.file_no = n.file_no
group by c.file_no, endpoint, pull_grain, pulled_at, is_stated, cast(bucket_start_at as date)
