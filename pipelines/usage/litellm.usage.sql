/*
about: >-
  LiteLLM's own usage object, the same for every provider: prompt_tokens includes what was read from and written to the cache,
  for Anthropic too, completion_tokens includes reasoning. Reads and writes stand at the top and again in the details: each is
  taken once. Writes that the split by lifetime does not hold are of no stated lifetime. Pictures are a class of their own only
  where the details add up to the prompt with them beside the cache; else they may be cached themselves and stay in the text.
apis: [litellm.usage]
basis: inclusive
fields:
  prompt_tokens: count
  completion_tokens: count
  total_tokens: count
  cache_read_input_tokens: count
  cache_creation_input_tokens: count
  prompt_tokens_details:
    text_tokens: count
    cached_tokens: count
    audio_tokens: count
    image_tokens: count
    video_tokens: count
    cache_creation_tokens: count
    cache_write_tokens: count
    cache_creation_token_details: {ephemeral_5m_input_tokens: count, ephemeral_1h_input_tokens: count}
    web_search_requests: count
  completion_tokens_details: {reasoning_tokens: count, audio_tokens: count, image_tokens: count}
  server_tool_use: {web_search_requests: count}
  service_tier: text
  speed: text
  inference_geo: text
define:
  cached: coalesce(usage.cache_read_input_tokens, usage.prompt_tokens_details.cached_tokens)
  written: coalesce(usage.cache_creation_input_tokens, usage.prompt_tokens_details.cache_creation_tokens,
    usage.prompt_tokens_details.cache_write_tokens)
  written_5m: usage.prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens
  written_1h: usage.prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens
  pictures: coalesce(usage.prompt_tokens_details.image_tokens, 0) + coalesce(usage.prompt_tokens_details.video_tokens, 0)
  beside: coalesce(usage.cache_read_input_tokens, usage.prompt_tokens_details.cached_tokens, 0)
    + coalesce(usage.cache_creation_input_tokens, usage.prompt_tokens_details.cache_creation_tokens,
    usage.prompt_tokens_details.cache_write_tokens, 0)
  pictures_apart: coalesce(usage.prompt_tokens_details.image_tokens, usage.prompt_tokens_details.video_tokens) is not null
    and (
      coalesce(usage.cache_read_input_tokens, usage.prompt_tokens_details.cached_tokens, 0) = 0
      or coalesce(
        usage.prompt_tokens_details.text_tokens + coalesce(usage.prompt_tokens_details.image_tokens, 0)
        + coalesce(usage.prompt_tokens_details.video_tokens, 0) + coalesce(usage.prompt_tokens_details.audio_tokens, 0)
        + coalesce(usage.cache_read_input_tokens, usage.prompt_tokens_details.cached_tokens, 0)
        + coalesce(usage.cache_creation_input_tokens, usage.prompt_tokens_details.cache_creation_tokens,
        usage.prompt_tokens_details.cache_write_tokens, 0) = usage.prompt_tokens,
        false
      )
    )
*/
{
    'input_uncached_tokens': usage.prompt_tokens - defined.beside
        - coalesce(usage.prompt_tokens_details.audio_tokens, 0)
        - if(defined.pictures_apart, defined.pictures, 0),
    'input_audio_tokens': usage.prompt_tokens_details.audio_tokens,
    'input_image_tokens': if(defined.pictures_apart, usage.prompt_tokens_details.image_tokens, null),
    'input_other_tokens': if(defined.pictures_apart, usage.prompt_tokens_details.video_tokens, null),
    'cache_read_tokens': defined.cached,
    'cache_write_5m_tokens': defined.written_5m,
    'cache_write_1h_tokens': defined.written_1h,
    'cache_write_tokens': nullif(
        defined.written - coalesce(defined.written_5m, 0) - coalesce(defined.written_1h, 0),
        -- A split that holds all writes leaves none unstated; without any split the total says it, a 0 included.
        if(defined.written_5m is null and defined.written_1h is null, null, 0)
    ),
    'output_text_tokens': usage.completion_tokens
        - coalesce(usage.completion_tokens_details.reasoning_tokens, 0)
        - coalesce(usage.completion_tokens_details.audio_tokens, 0)
        - coalesce(usage.completion_tokens_details.image_tokens, 0),
    'output_reasoning_tokens': usage.completion_tokens_details.reasoning_tokens,
    'output_audio_tokens': usage.completion_tokens_details.audio_tokens,
    'output_image_tokens': usage.completion_tokens_details.image_tokens,
    'context_test_tokens': usage.prompt_tokens,
    'provider_total_tokens': usage.total_tokens,
    'extra_units': case
        when coalesce(usage.server_tool_use.web_search_requests, usage.prompt_tokens_details.web_search_requests) > 0
        then map {
            'web_search': cast(
                coalesce(usage.server_tool_use.web_search_requests, usage.prompt_tokens_details.web_search_requests) as decimal(38, 9)
            )
        }
    end,
    'service_tier': usage.service_tier,
    'speed': usage.speed,
    'inference_geo': nullif(usage.inference_geo, 'not_available'),
    'flags': case
        when defined.written <> coalesce(defined.written_5m, 0) + coalesce(defined.written_1h, 0)
            and (defined.written_5m is not null or defined.written_1h is not null)
        then ['split_mismatch']
    end,
    'is_partial': usage.prompt_tokens is null or usage.completion_tokens is null,
}
