-- A generation of OpenRouter -> one request, with what it cost.
with told as (
    select *, {'names': ['app_name', 'app'], 'texts': [app_name, app_name]} as named
    from records
    where generation_id is not null
)

select
    file_no,
    source_row,
    refusal,
    generation_id as source_row_id,
    generation_id as provider_response_id,
    started_at,
    -- There is no instant of the end.
    cast(null as timestamptz) as ended_at,
    cast(null as timestamptz) as first_token_at,
    cast(round(try_cast(generation_ms as decimal(38, 9))) as bigint) as duration_ms,
    cast(round(try_cast(first_token_ms as decimal(38, 9))) as bigint) as ttft_ms,
    owed_to('openrouter', case when try_cast(byok as decimal(18, 12)) > 0 then 'own_key' end, host_provider, model_raw) as provider,
    -- A variant has prices of its own: free ones cost nothing.
    model_raw || case when lower(variant) <> 'standard' then ':' || lower(variant) else '' end as model_served,
    input_uncached as input_uncached_tokens,
    cache_read as cache_read_tokens,
    output_text as output_text_tokens,
    whole(reasoning) as output_reasoning_tokens,
    whole(prompt) as context_test_tokens,
    'inclusive' as usage_basis,
    case when coalesce(prompt, completion) is null then 'missing' when is_replayed then 'replayed' else 'reported' end as usage_quality,
    case when try_cast(byok as decimal(18, 12)) > 0 then try_cast(byok as decimal(18, 12)) else try_cast(charge as decimal(18, 12)) end
        as cost_reported_usd,
    case when try_cast(byok as decimal(18, 12)) > 0 then 'own_key' when charge is null then 'none' else 'provider_charge' end
        as cost_reported_basis,
    case when try_cast(cancelled as boolean) then 'cancelled' when finish_reason = 'error' then 'error' else 'ok' end as status,
    dimension_of(named, 'feature') as feature,
    user_id,
    api_key_name,
    kept_of(named) as attributes,
from told
