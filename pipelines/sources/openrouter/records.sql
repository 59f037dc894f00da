-- What all exports have in common: days, disjoint tokens, and what is wrong with a record, once for all rows that it fills.
with counted as (
    select
        *,
        instant_of(starts) as started_at,
        case when is_day then cast(date_trunc('day', started_at) as timestamptz) else started_at end as bucket_start_at,
        case when is_day then bucket_start_at + interval 1 day else instant_of(ends) end as bucket_end_at,
        coalesce(whole(cached), whole(prompt) - whole(uncached)) as cache_read,
        -- A hit in OpenRouter's response cache replays the tokens of the first answer: more are cached than were prompted.
        coalesce(whole(cached) > whole(prompt), false) as is_replayed,
        case when is_replayed then whole(prompt) else whole(prompt) - coalesce(cache_read, 0) end as input_uncached,
        case when whole(reasoning) <= whole(completion) then whole(completion) - whole(reasoning) else whole(completion) end as output_text,
    from activity_lines
),

per_file as (
    select
        file_no,
        list_sort(list_filter([
            case when count(model_raw) > 0 then 'model' end,
            case when count(host_provider) > 0 then 'provider_name' end,
            case when count(workload_ref) > 0 then 'endpoint_id' end,
            case when count(project_id) > 0 then 'project_id' end,
            case when count(api_key_id) > 0 then 'api_key_id' end,
            case when count(api_key_name) > 0 then 'api_key_name' end,
            case when count(user_id) > 0 then 'user' end,
            case when count(app_name) > 0 then 'app_name' end,
            -- Of two exports of a day the one by generation says most.
            case when count(generation_id) > 0 then 'generation_id' end,
            case when count(generation_id) > 0 then 'created_at' end
        ], lambda grain: grain is not null)) as pull_grain,
    from counted
    group by file_no
)

select
    c.* exclude (problem),
    p.pull_grain,
    coalesce(
        c.problem,
        case when c.starts is null then 'missing date' end,
        case when not c.is_day and c.ends is null then 'missing end_time' end,
        wrong_date('date', c.starts),
        wrong_date('end_time', c.ends),
        case
            when c.bucket_end_at <= c.bucket_start_at then 'a window that ends no later than it starts'
            when c.generation_id = '' then 'missing generation_id'
        end,
        case when c.context is null then coalesce(
            wrong_count('prompt tokens', c.prompt),
            wrong_count('completion tokens', c.completion),
            wrong_count('reasoning tokens', c.reasoning),
            wrong_count('cached tokens', c.cached),
            wrong_count('non-cached tokens', c.uncached),
            wrong_count('requests', c.request_count),
            wrong_amount('seconds', c.seconds),
            wrong_amount('usage', c.charge),
            wrong_amount('BYOK usage', c.byok),
            wrong_amount('quantity', c.quantity_text),
            wrong_boolean('cancelled', c.cancelled),
            wrong_amount('generation_time_ms', c.generation_ms),
            wrong_amount('time_to_first_token_ms', c.first_token_ms),
            case
                when whole(c.uncached) > whole(c.prompt) then 'n_non_cached_context_tokens_total ' || c.uncached || ' is more than the total ' || c.prompt
                when c.charge is null then 'missing usage or cost'
            end
        ) end
    ) as refusal,
from counted as c
inner join per_file as p on c.file_no = p.file_no
