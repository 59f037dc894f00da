-- What pages and files have in common: instants, and what is wrong with a record, once for all rows that it fills.
with timed as (
    select
        *,
        instant_of(starts) as bucket_start_at,
        case when is_day then instant_of(starts) + interval 1 day else instant_of(ends) end as bucket_end_at,
        cast(coalesce(whole(uncached_tokens), 0) as hugeint) + coalesce(whole(cache_read), 0) + coalesce(whole(cache_write_5m), 0)
            + coalesce(whole(cache_write_1h), 0) + coalesce(whole(output_tokens), 0) as summed_tokens,
    from anthropic_lines
)

select
    * exclude (problem, summed_tokens),
    coalesce(
        problem,
        case when starts is null then 'missing starting_at' when not is_day and ends is null then 'missing ending_at' end,
        wrong_date(case when is_day then 'date' else 'starting_at' end, starts),
        wrong_date('ending_at', ends),
        case
            when bucket_end_at <= bucket_start_at then 'a bucket that ends no later than it starts'
            when bucket_end_at > bucket_start_at + interval 1 day then 'a row of more than a day; pull it with time_bucket_width=1d'
        end,
        case when context is null then coalesce(
            wrong_count('uncached_input_tokens', uncached_tokens),
            wrong_count('cache_read_input_tokens', cache_read),
            wrong_count('cache_creation of 5 minutes', cache_write_5m),
            wrong_count('cache_creation of 1 hour', cache_write_1h),
            wrong_count('cache_write', cache_write),
            wrong_count('output_tokens', output_tokens),
            wrong_count('web_search_requests', web_searches),
            wrong_count('requests', request_count),
            wrong_count('total_tokens', total_tokens),
            case when whole(total_tokens) <> summed_tokens then 'total_tokens is ' || total_tokens || ', its parts are ' || summed_tokens end,
            wrong_amount('amount', amount_text),
            wrong_amount('list_amount', list_text),
            case when endpoint = 'costs' and coalesce(trim(currency), '') = '' then 'missing currency' end,
            case
                when endpoint = 'costs' and amount_text is null then 'missing amount'
                when endpoint <> 'costs' and coalesce(uncached_tokens, cache_read, cache_write_5m, cache_write_1h, cache_write, output_tokens, web_searches) is null
                    then 'a row without any count of tokens'
            end
        ) end
    ) as refusal,
    case when list_contains(pull_grain, 'workspace_id') or list_contains(pull_grain, 'api_key_id') or covers_range then 'default' else 'not_grouped' end
        as dims_null_means,
from timed
