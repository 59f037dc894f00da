/*
about: >-
  OpenAI Chat Completions, and all who answer in its form. prompt_tokens includes cached, cache-
  write and audio tokens, completion_tokens includes reasoning, audio and rejected predictions
  (billed): the parts are subtracted, never added. The cached part goes by other names elsewhere:
  top level cached_tokens (Together), num_cached_tokens (Mistral), prompt_cache_hit_tokens
  (DeepSeek), prompt_token_details (OpenAI Assistants, Writer). OpenRouter's web searches are billed
  apiece, Mistral's audio input by the second. The lifetime of a cache write is not said.
apis: [openai.chat, openai.completions, azure.chat, groq.chat, mistral.chat, deepseek.chat, together.chat,
  cerebras.chat, fireworks.chat, openrouter.chat]
aside: [prompt_cache_miss_tokens, server_tool_use_details.tool_calls_executed, server_tool_use_details.tool_calls_requested]
recognised_by:
  all: [prompt_tokens, completion_tokens]
  none: [num_sources_used, cache_creation_input_tokens, cache_read_input_tokens, search_context_size]
basis: inclusive
fields:
  prompt_tokens: count
  completion_tokens: count
  total_tokens: count
  prompt_tokens_details: {cached_tokens: count, cache_write_tokens: count, audio_tokens: count}
  completion_tokens_details: {reasoning_tokens: count, audio_tokens: count, image_tokens: count}
  prompt_token_details: {cached_tokens: count}
  cached_tokens: count
  num_cached_tokens: count
  prompt_cache_hit_tokens: count
  server_tool_use_details: {web_search_requests: count}
  prompt_audio_seconds: count
  service_tier: text
*/
{
    'input_uncached_tokens': usage.prompt_tokens
        - coalesce(
            usage.prompt_tokens_details.cached_tokens, usage.prompt_token_details.cached_tokens,
            usage.prompt_cache_hit_tokens, usage.num_cached_tokens, usage.cached_tokens, 0
        )
        - coalesce(usage.prompt_tokens_details.cache_write_tokens, 0)
        - coalesce(usage.prompt_tokens_details.audio_tokens, 0),
    'input_audio_tokens': usage.prompt_tokens_details.audio_tokens,
    'cache_read_tokens': coalesce(
        usage.prompt_tokens_details.cached_tokens, usage.prompt_token_details.cached_tokens,
        usage.prompt_cache_hit_tokens, usage.num_cached_tokens, usage.cached_tokens
    ),
    'cache_write_tokens': usage.prompt_tokens_details.cache_write_tokens,
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
        when usage.server_tool_use_details.web_search_requests > 0
        then map {'web_search': cast(usage.server_tool_use_details.web_search_requests as decimal(38, 9))}
        when usage.prompt_audio_seconds > 0
        then map {'audio_seconds': cast(usage.prompt_audio_seconds as decimal(38, 9))}
    end,
    'service_tier': usage.service_tier,
    'is_partial': usage.prompt_tokens is null or usage.completion_tokens is null,
}
