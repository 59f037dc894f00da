-- OpenAI counts cached and cache-write tokens inside input_tokens; the *_text, *_audio and *_image columns are the uncached
-- part of each modality. There is no reasoning column: it stays null, output_text_tokens holds it. Input that no class has is of a kind
-- that is not known here; parts that are more than their total are refused.
with classed as (
    select
        *,
        coalesce(whole(r.input_audio_tokens), 0) + coalesce(whole(r.input_image_tokens), 0) as input_of_others,
        coalesce(whole(r.input_cached_audio_tokens), 0) + coalesce(whole(r.input_cached_image_tokens), 0) as cached_of_others,
        coalesce(whole(r.output_audio_tokens), 0) + coalesce(whole(r.output_image_tokens), 0) as output_of_others,
        coalesce(
            whole(r.input_text_tokens),
            whole(r.input_uncached_tokens) - input_of_others,
            whole(r.input_tokens) - coalesce(whole(r.input_cached_tokens), 0) - coalesce(whole(r.input_cache_write_tokens), 0) - input_of_others
        ) as input_uncached,
        coalesce(whole(r.input_cached_text_tokens), whole(r.input_cached_tokens) - cached_of_others) as cache_read,
        coalesce(whole(r.output_tokens) - output_of_others, whole(r.output_text_tokens)) as output_text,
        whole(r.input_tokens) - coalesce(input_uncached, 0) - input_of_others - coalesce(cache_read, 0) - cached_of_others
            - coalesce(whole(r.input_cache_write_tokens), 0) as input_of_no_class,
    from records
    where endpoint <> 'costs' or endpoint is null
)

select
    file_no,
    source_row,
    coalesce(
        wrong,
        wrong_count('input_tokens', r.input_tokens),
        wrong_count('input_cached_tokens', r.input_cached_tokens),
        wrong_count('input_cache_write_tokens', r.input_cache_write_tokens),
        wrong_count('input_uncached_tokens', r.input_uncached_tokens),
        wrong_count('input_text_tokens', r.input_text_tokens),
        wrong_count('input_audio_tokens', r.input_audio_tokens),
        wrong_count('input_image_tokens', r.input_image_tokens),
        wrong_count('input_cached_text_tokens', r.input_cached_text_tokens),
        wrong_count('input_cached_audio_tokens', r.input_cached_audio_tokens),
        wrong_count('input_cached_image_tokens', r.input_cached_image_tokens),
        wrong_count('input_cache_write_30m_tokens', r.input_cache_write_30m_tokens),
        wrong_count('input_cache_write_12h_tokens', r.input_cache_write_12h_tokens),
        wrong_count('output_tokens', r.output_tokens),
        wrong_count('output_text_tokens', r.output_text_tokens),
        wrong_count('output_audio_tokens', r.output_audio_tokens),
        wrong_count('output_image_tokens', r.output_image_tokens),
        wrong_count('num_model_requests', r.num_model_requests),
        wrong_boolean('batch', r.batch),
        wrong_amount('images', r.images),
        wrong_amount('characters', r.characters),
        wrong_amount('seconds', r.seconds),
        wrong_amount('usage_bytes', r.usage_bytes),
        wrong_amount('num_sessions', r.num_sessions),
        wrong_amount('num_requests', r.num_requests),
        case
            when whole(r.input_cached_tokens) + coalesce(whole(r.input_cache_write_tokens), 0) > whole(r.input_tokens)
                then 'input_cached_tokens ' || r.input_cached_tokens || ' is more than input_tokens ' || r.input_tokens
            when least(input_of_no_class, input_uncached, cache_read) < 0 then 'the parts of input_tokens are more than ' || r.input_tokens
            when output_text < 0 or whole(r.output_text_tokens) > output_text
                then 'the parts of output_tokens are more than ' || r.output_tokens
        end
    ) as refusal,
    case when raw is null then 'context (empty bucket)' end as context,
    concat_ws(
        '|',
        endpoint,
        iso_instant(bucket_start_at),
        iso_instant(bucket_end_at),
        json_array(
            r.project_id, r.user_id, r.api_key_id, r.model, r.batch, r.service_tier, r.api_source, r.size, r.source, r.context_level,
            r.vector_store_id
        ),
        row_number() over (
            partition by
                file_no, endpoint, bucket_start_at, bucket_end_at, r.project_id, r.user_id, r.api_key_id, r.model, r.batch,
                r.service_tier, r.api_source, r.size, r.source, r.context_level, r.vector_store_id
            order by cast(raw as varchar), source_row
        )
    ) as key_text,
    endpoint,
    pull_grain,
    'not_grouped' as dims_null_means,
    'openai' as provider,
    bucket_start_at,
    bucket_end_at,
    r.organization_id as org_id,
    r.project_id as project_id,
    r.project_name as project_name,
    r.api_key_id as api_key_id,
    r.api_key_name as api_key_name,
    r.user_id as user_id,
    r.vector_store_id as workload_ref,
    r.model as model_raw,
    case endpoint
        when 'usage.completions' then 'completion'
        when 'usage.embeddings' then 'embedding'
        when 'usage.moderations' then 'moderation'
        when 'usage.images' then 'image'
        when 'usage.audio_speeches' then 'tts'
        when 'usage.audio_transcriptions' then 'stt'
        when 'usage.vector_stores' then 'vector_store'
        when 'usage.code_interpreter_sessions' then 'code_interpreter'
        when 'usage.file_search_calls' then 'file_search'
        when 'usage.web_search_calls' then 'web_search'
        when 'usage.decisions' then 'decision'
        else 'other'
    end as operation,
    r.service_tier as service_tier,
    try_cast(r.batch as boolean) as is_batch,
    coalesce(r.size, r.source, r.context_level) as variant,
    whole(r.num_model_requests) as requests,
    input_uncached as input_uncached_tokens,
    whole(r.input_audio_tokens) as input_audio_tokens,
    whole(r.input_image_tokens) as input_image_tokens,
    case when input_of_no_class > 0 then input_of_no_class end as input_other_tokens,
    cache_read as cache_read_tokens,
    whole(r.input_cached_audio_tokens) as cache_read_audio_tokens,
    whole(r.input_cached_image_tokens) as cache_read_image_tokens,
    whole(r.input_cache_write_30m_tokens) as cache_write_30m_tokens,
    whole(r.input_cache_write_12h_tokens) as cache_write_12h_tokens,
    whole(r.input_cache_write_tokens)
        - coalesce(whole(r.input_cache_write_30m_tokens), 0) - coalesce(whole(r.input_cache_write_12h_tokens), 0) as cache_write_tokens,
    output_text as output_text_tokens,
    whole(r.output_audio_tokens) as output_audio_tokens,
    whole(r.output_image_tokens) as output_image_tokens,
    try_cast(coalesce(r.images, r.characters, r.seconds, r.usage_bytes, r.num_sessions, r.num_requests) as decimal(38, 9)) as quantity,
    case
        when r.images is not null then 'images'
        when r.characters is not null then 'characters'
        when r.seconds is not null then 'seconds'
        when r.usage_bytes is not null then 'bytes'
        when r.num_sessions is not null then 'sessions'
        when r.num_requests is not null then 'calls'
    end as quantity_unit,
    raw,
from classed
