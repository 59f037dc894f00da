/*
about: >-
  Token counts of a LangSmith run. prompt_tokens includes what prompt_token_details lists (cache_read, cache_creation or
  its parts by lifetime, audio), completion_tokens what completion_token_details lists; numbers that show that they do not are read that
  way (as otel.gen_ai).
apis: [langsmith.tokens]
basis: inclusive
fields:
  prompt_tokens: count
  completion_tokens: count
  total_tokens: count
  prompt_token_details:
    {cache_read: count, cache_creation: count, ephemeral_5m_input_tokens: count, ephemeral_1h_input_tokens: count, audio: count}
  completion_token_details: {reasoning: count, audio: count}
define:
  cached_apart: cached_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total_tokens)
  thought_apart: thought_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total_tokens)
  cached: coalesce(defined.read, 0) + coalesce(defined.written, 0)
  written: >-
    coalesce(nullif(usage.prompt_token_details.cache_creation, 0), defined.split_5m + defined.split_1h, defined.split_5m,
    defined.split_1h, usage.prompt_token_details.cache_creation)
  stated_in: usage.prompt_tokens
  stated_out: usage.completion_tokens
  read: usage.prompt_token_details.cache_read
  split_5m: usage.prompt_token_details.ephemeral_5m_input_tokens
  split_1h: usage.prompt_token_details.ephemeral_1h_input_tokens
  thought: usage.completion_token_details.reasoning
*/
{
    'input_uncached_tokens': defined.stated_in - if(defined.cached_apart, 0, defined.cached) - coalesce(usage.prompt_token_details.audio, 0),
    'input_audio_tokens': usage.prompt_token_details.audio,
    'cache_read_tokens': defined.read,
    'cache_write_5m_tokens': defined.split_5m,
    'cache_write_1h_tokens': defined.split_1h,
    'cache_write_tokens': nullif(
        defined.written - coalesce(defined.split_5m, 0) - coalesce(defined.split_1h, 0),
        -- A split that holds all writes leaves none unstated.
        if(defined.split_5m is null and defined.split_1h is null, null, 0)
    ),
    'output_text_tokens': defined.stated_out - if(defined.thought_apart, 0, coalesce(defined.thought, 0))
        - coalesce(usage.completion_token_details.audio, 0),
    'output_reasoning_tokens': defined.thought,
    'output_audio_tokens': usage.completion_token_details.audio,
    'context_test_tokens': defined.stated_in + if(defined.cached_apart, defined.cached, 0),
    'provider_total_tokens': usage.total_tokens,
    'is_disjoint': defined.cached_apart,
    'flags': if(defined.cached_apart, ['disjoint_input'], null),
    'is_partial': defined.stated_in is null or defined.stated_out is null,
}
