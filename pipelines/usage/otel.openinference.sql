/*
about: >-
  Token counts of OpenInference: what stands behind llm.token_count., dots as underscores. The details are parts of prompt and
  completion; an emitter whose numbers show that they are not is read that way (as otel.gen_ai).
apis: [otel.openinference]
basis: inclusive
fields:
  prompt: count
  completion: count
  total: count
  prompt_details_cache_read: count
  prompt_details_cache_write: count
  prompt_details_cache_input: count
  prompt_details_audio: count
  completion_details_reasoning: count
  completion_details_audio: count
define:
  cached_apart: cached_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total)
  thought_apart: thought_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total)
  cached: coalesce(defined.read, 0) + coalesce(defined.written, 0)
  stated_in: usage.prompt
  stated_out: usage.completion
  read: coalesce(usage.prompt_details_cache_read, usage.prompt_details_cache_input)
  written: usage.prompt_details_cache_write
  thought: usage.completion_details_reasoning
*/
{
    'input_uncached_tokens': defined.stated_in - if(defined.cached_apart, 0, defined.cached) - coalesce(usage.prompt_details_audio, 0),
    'input_audio_tokens': usage.prompt_details_audio,
    'cache_read_tokens': defined.read,
    'cache_write_tokens': defined.written,
    'output_text_tokens': defined.stated_out - if(defined.thought_apart, 0, coalesce(defined.thought, 0))
        - coalesce(usage.completion_details_audio, 0),
    'output_reasoning_tokens': defined.thought,
    'output_audio_tokens': usage.completion_details_audio,
    'context_test_tokens': defined.stated_in + if(defined.cached_apart, defined.cached, 0),
    'provider_total_tokens': usage.total,
    'is_disjoint': defined.cached_apart,
    'flags': if(defined.cached_apart, ['disjoint_input'], null),
    'is_partial': defined.stated_in is null or defined.stated_out is null,
}
