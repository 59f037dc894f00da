-- Canonical rows -> requests: casts, and the tests that a stated total allows. Token classes are taken as disjoint.
with counted as (
    select
        * replace (
            nullif(source_row_id, '') as source_row_id,
            nullif(started_at, '') as started_at,
            nullif(provider, '') as provider,
            nullif(model_served, '') as model_served
        ),
        coalesce(whole(input_uncached_tokens), 0)
            + coalesce(whole(input_audio_tokens), 0)
            + coalesce(whole(input_image_tokens), 0)
            + coalesce(whole(input_other_tokens), 0)
            + coalesce(whole(cache_read_tokens), 0)
            + coalesce(whole(cache_read_audio_tokens), 0)
            + coalesce(whole(cache_read_image_tokens), 0)
            + coalesce(whole(cache_write_5m_tokens), 0)
            + coalesce(whole(cache_write_30m_tokens), 0)
            + coalesce(whole(cache_write_1h_tokens), 0)
            + coalesce(whole(cache_write_12h_tokens), 0)
            + coalesce(whole(cache_write_tokens), 0) as input_sum,
        coalesce(whole(output_text_tokens), 0)
            + coalesce(whole(output_reasoning_tokens), 0)
            + coalesce(whole(output_audio_tokens), 0)
            + coalesce(whole(output_image_tokens), 0) as output_sum,
        coalesce(input_uncached_tokens,
            input_audio_tokens,
            input_image_tokens,
            input_other_tokens,
            cache_read_tokens,
            cache_read_audio_tokens,
            cache_read_image_tokens,
            cache_write_5m_tokens,
            cache_write_30m_tokens,
            cache_write_1h_tokens,
            cache_write_12h_tokens,
            cache_write_tokens,
            output_text_tokens,
            output_reasoning_tokens,
            output_audio_tokens,
            output_image_tokens) is not null as stated,
    from records
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when source_row_id is null or started_at is null or provider is null or model_served is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when source_row_id is null then 'source_row_id' end,
                    case when started_at is null then 'started_at' end,
                    case when provider is null then 'provider' end,
                    case when model_served is null then 'model_served' end
                )
        end,
        wrong_instant('started_at', started_at),
        wrong_instant('ended_at', ended_at),
        wrong_instant('first_token_at', first_token_at),
        wrong_count('input_uncached_tokens', input_uncached_tokens),
        wrong_count('input_audio_tokens', input_audio_tokens),
        wrong_count('input_image_tokens', input_image_tokens),
        wrong_count('input_other_tokens', input_other_tokens),
        wrong_count('cache_read_tokens', cache_read_tokens),
        wrong_count('cache_read_audio_tokens', cache_read_audio_tokens),
        wrong_count('cache_read_image_tokens', cache_read_image_tokens),
        wrong_count('cache_write_5m_tokens', cache_write_5m_tokens),
        wrong_count('cache_write_30m_tokens', cache_write_30m_tokens),
        wrong_count('cache_write_1h_tokens', cache_write_1h_tokens),
        wrong_count('cache_write_12h_tokens', cache_write_12h_tokens),
        wrong_count('cache_write_tokens', cache_write_tokens),
        wrong_count('output_text_tokens', output_text_tokens),
        wrong_count('output_reasoning_tokens', output_reasoning_tokens),
        wrong_count('output_audio_tokens', output_audio_tokens),
        wrong_count('output_image_tokens', output_image_tokens),
        wrong_boolean('is_billable_leaf', is_billable_leaf),
        wrong_json('usage_flags', usage_flags, 'ARRAY'),
        wrong_json('request_tags', request_tags, 'ARRAY'),
        wrong_json('attributes', attributes, 'OBJECT'),
        wrong_json('extra_units', extra_units, 'OBJECT'),
        case
            when list_contains(
                list_transform(
                    map_values(try_cast(try_cast(extra_units as json) as map(varchar, decimal(38, 9)))),
                    lambda units: units is null
                ),
                true
            )
                then 'extra_units is ' || left(extra_units, 40) || ', expected decimal numbers by unit'
        end,
        wrong_boolean('is_batch', is_batch),
        wrong_count('context_test_tokens', context_test_tokens),
        wrong_count('provider_total_tokens', provider_total_tokens),
        wrong_usd('cost_reported_usd', cost_reported_usd),
        wrong_small_count('http_status', http_status),
        wrong_small_count('attempt', attempt),
        wrong_boolean('is_retry', is_retry),
        wrong_boolean('gateway_cache_hit', gateway_cache_hit),
        wrong_usd('saved_cost_usd', saved_cost_usd),
        wrong_count('step_index', step_index),
        wrong_count('max_output_tokens', max_output_tokens),
        wrong_count('static_prompt_tokens', static_prompt_tokens),
        wrong_count('input_total_tokens', input_total_tokens),
        wrong_count('output_total_tokens', output_total_tokens)
    ) as refusal,
    source_row_id,
    coalesce(try_cast(is_billable_leaf as boolean), row_kind is null or row_kind in ('llm_call', 'embedding', 'aggregate_only', 'batch_line'))
        as is_billable_leaf,
    list_concat(
        coalesce(try_cast(try_cast(usage_flags as json) as varchar[]), cast([] as varchar[])),
        case
            when whole(input_total_tokens) <> input_sum or whole(output_total_tokens) <> output_sum then ['split_mismatch']
            else cast([] as varchar[])
        end
    ) as usage_flags,
    -- What a stated total has on top of its classes is in none of them; nor is a count of a column that is not canonical.
    nullif(map_from_entries(list_filter(
        list_concat(
            [
                {'key': 'input_total_tokens', 'value': whole(input_total_tokens) - input_sum},
                {'key': 'output_total_tokens', 'value': whole(output_total_tokens) - output_sum}
            ],
            map_entries(coalesce(try_cast(counted_beside(further) as map(varchar, bigint)), map {}))
        ),
        lambda unread: unread.value > 0
    )), map {}) as unread_usage,
    coalesce(whole(context_test_tokens), input_sum) as context_test_tokens,
    kept_attributes(try_cast(attributes as json), further) as attributes,
    coalesce(iso_instant(try_cast(source_row_version as timestamptz)), source_row_version) as source_row_version,
    provider_response_id,
    gateway_call_id,
    trace_id,
    span_id,
    parent_span_id,
    root_span_id,
    session_id,
    task_id,
    row_kind,
    try_cast(started_at as timestamptz) as started_at,
    try_cast(ended_at as timestamptz) as ended_at,
    try_cast(first_token_at as timestamptz) as first_token_at,
    seller_named(provider) as provider,
    billing_account_id,
    model_maker,
    model_requested,
    model_served,
    region,
    service_tier,
    api_base,
    whole(input_uncached_tokens) as input_uncached_tokens,
    whole(input_audio_tokens) as input_audio_tokens,
    whole(input_image_tokens) as input_image_tokens,
    whole(input_other_tokens) as input_other_tokens,
    whole(cache_read_tokens) as cache_read_tokens,
    whole(cache_read_audio_tokens) as cache_read_audio_tokens,
    whole(cache_read_image_tokens) as cache_read_image_tokens,
    whole(cache_write_5m_tokens) as cache_write_5m_tokens,
    whole(cache_write_30m_tokens) as cache_write_30m_tokens,
    whole(cache_write_1h_tokens) as cache_write_1h_tokens,
    whole(cache_write_12h_tokens) as cache_write_12h_tokens,
    whole(cache_write_tokens) as cache_write_tokens,
    whole(output_text_tokens) as output_text_tokens,
    whole(output_reasoning_tokens) as output_reasoning_tokens,
    whole(output_audio_tokens) as output_audio_tokens,
    whole(output_image_tokens) as output_image_tokens,
    try_cast(try_cast(extra_units as json) as map(varchar, decimal(38, 9))) as extra_units,
    try_cast(is_batch as boolean) as is_batch,
    speed,
    whole(provider_total_tokens) as provider_total_tokens,
    usage_shape,
    coalesce(usage_basis, 'disjoint') as usage_basis,
    coalesce(usage_quality, case when stated then 'reported' else 'missing' end) as usage_quality,
    usage_raw,
    cost_raw,
    try_cast(cost_reported_usd as decimal(18, 12)) as cost_reported_usd,
    cost_reported_basis,
    lower(status) as status,
    try_cast(whole(http_status) as integer) as http_status,
    error_class,
    fallback_of,
    try_cast(whole(attempt) as integer) as attempt,
    try_cast(is_retry as boolean) as is_retry,
    try_cast(gateway_cache_hit as boolean) as gateway_cache_hit,
    try_cast(saved_cost_usd as decimal(18, 12)) as saved_cost_usd,
    whole(step_index) as step_index,
    whole(max_output_tokens) as max_output_tokens,
    prompt_hash,
    prompt_prefix_hash,
    whole(static_prompt_tokens) as static_prompt_tokens,
    lower(outcome) as outcome,
    environment,
    release,
    feature,
    team,
    cost_centre,
    customer_id,
    customer_tier,
    user_id,
    workflow,
    step,
    prompt_name,
    prompt_version,
    api_key_name,
    try_cast(try_cast(request_tags as json) as varchar[]) as request_tags,
from counted
