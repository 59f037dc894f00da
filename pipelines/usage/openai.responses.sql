/*
about: >-
  OpenAI Responses. input_tokens includes cached, cache-write and audio tokens, output_tokens
  includes reasoning: the parts are subtracted, never added. The lifetime of a cache write is not
  said.
apis: [openai.responses, azure.responses, deepseek.responses, xai.responses, openrouter.responses,
  bedrock.responses]
recognised_by:
  all: [input_tokens, output_tokens, input_tokens_details]
basis: inclusive
fields:
  input_tokens: count
  output_tokens: count
  total_tokens: count
  input_tokens_details: {cached_tokens: count, cache_write_tokens: count, audio_tokens: count}
  output_tokens_details: {reasoning_tokens: count, audio_tokens: count}
  service_tier: text
*/
{
    'input_uncached_tokens': usage.input_tokens
        - coalesce(usage.input_tokens_details.cached_tokens, 0)
        - coalesce(usage.input_tokens_details.cache_write_tokens, 0)
        - coalesce(usage.input_tokens_details.audio_tokens, 0),
    'input_audio_tokens': usage.input_tokens_details.audio_tokens,
    'cache_read_tokens': usage.input_tokens_details.cached_tokens,
    'cache_write_tokens': usage.input_tokens_details.cache_write_tokens,
    'output_text_tokens': usage.output_tokens
        - coalesce(usage.output_tokens_details.reasoning_tokens, 0)
        - coalesce(usage.output_tokens_details.audio_tokens, 0),
    'output_reasoning_tokens': usage.output_tokens_details.reasoning_tokens,
    'output_audio_tokens': usage.output_tokens_details.audio_tokens,
    'context_test_tokens': usage.input_tokens,
    'provider_total_tokens': usage.total_tokens,
    'service_tier': usage.service_tier,
    'is_partial': usage.input_tokens is null or usage.output_tokens is null,
}
