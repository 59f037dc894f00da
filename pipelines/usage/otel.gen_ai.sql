/*
about: >-
  Usage attributes of OpenTelemetry's GenAI conventions, old and new, with those of OpenLLMetry, Sentry and Pydantic AI: what
  stands behind gen_ai.usage. or llm.usage., dots as underscores. By the convention input includes cached tokens and output
  includes reasoning. Emitters differ: input that is less than its cached part leaves it out, and so does one whose total has
  the cached part on top; likewise output and reasoning. Where nothing tells, the convention holds.
apis: [otel.gen_ai]
basis: inclusive
fields:
  input_tokens: count
  prompt_tokens: count
  output_tokens: count
  completion_tokens: count
  total_tokens: count
  cache_read_input_tokens: count
  cache_read_tokens: count
  cached_input_tokens: count
  cached_tokens: count
  input_tokens_cached: count
  input_cached_tokens: count
  details_cache_read_tokens: count
  details_cache_read_input_tokens: count
  details_cached_tokens: count
  cache_creation_input_tokens: count
  cache_write_tokens: count
  input_tokens_cache_write: count
  details_cache_write_tokens: count
  details_cache_creation_input_tokens: count
  reasoning_output_tokens: count
  reasoning_tokens: count
  output_tokens_reasoning: count
  details_reasoning_tokens: count
  details_input_audio_tokens: count
  details_output_audio_tokens: count
define:
  cached_apart: cached_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total_tokens)
  thought_apart: thought_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total_tokens)
  cached: coalesce(defined.read, 0) + coalesce(defined.written, 0)
  stated_in: coalesce(usage.input_tokens, usage.prompt_tokens)
  stated_out: coalesce(usage.output_tokens, usage.completion_tokens)
  read: >-
    coalesce(usage.cache_read_input_tokens, usage.cache_read_tokens, usage.cached_input_tokens, usage.cached_tokens,
    usage.input_tokens_cached, usage.input_cached_tokens, usage.details_cache_read_tokens,
    usage.details_cache_read_input_tokens, usage.details_cached_tokens)
  written: >-
    coalesce(usage.cache_creation_input_tokens, usage.cache_write_tokens, usage.input_tokens_cache_write,
    usage.details_cache_write_tokens, usage.details_cache_creation_input_tokens)
  thought: >-
    coalesce(usage.reasoning_output_tokens, usage.reasoning_tokens, usage.output_tokens_reasoning,
    usage.details_reasoning_tokens)
*/
{
    'input_uncached_tokens': defined.stated_in - if(defined.cached_apart, 0, defined.cached) - coalesce(usage.details_input_audio_tokens, 0),
    'input_audio_tokens': usage.details_input_audio_tokens,
    'cache_read_tokens': defined.read,
    'cache_write_tokens': defined.written,
    'output_text_tokens': defined.stated_out - if(defined.thought_apart, 0, coalesce(defined.thought, 0))
        - coalesce(usage.details_output_audio_tokens, 0),
    'output_reasoning_tokens': defined.thought,
    'output_audio_tokens': usage.details_output_audio_tokens,
    'context_test_tokens': defined.stated_in + if(defined.cached_apart, defined.cached, 0),
    'provider_total_tokens': usage.total_tokens,
    'is_disjoint': defined.cached_apart,
    'flags': if(defined.cached_apart, ['disjoint_input'], null),
    'is_partial': defined.stated_in is null or defined.stated_out is null,
}
