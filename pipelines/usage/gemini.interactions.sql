/*
about: >-
  Gemini Interactions API. total_input_tokens includes total_cached_tokens; tool prompts and thoughts come on top, as the total shows.
  Audio and images are taken out of the input, video and documents too.
apis: [gemini.interactions, vertex.interactions]
recognised_by:
  all: [total_input_tokens, total_output_tokens]
basis: inclusive
fields:
  total_input_tokens: count
  total_cached_tokens: count
  total_output_tokens: count
  total_thought_tokens: count
  total_tool_use_tokens: count
  total_tokens: count
  input_tokens_by_modality:
    - {modality: text, tokens: count}
  cached_tokens_by_modality:
    - {modality: text, tokens: count}
  output_tokens_by_modality:
    - {modality: text, tokens: count}
define:
  audio_in: tokens_of_modality(usage.input_tokens_by_modality, ['AUDIO'])
  audio_cached: tokens_of_modality(usage.cached_tokens_by_modality, ['AUDIO'])
  audio_out: tokens_of_modality(usage.output_tokens_by_modality, ['AUDIO'])
  image_in: tokens_of_modality(usage.input_tokens_by_modality, ['IMAGE'])
  image_cached: tokens_of_modality(usage.cached_tokens_by_modality, ['IMAGE'])
  image_out: tokens_of_modality(usage.output_tokens_by_modality, ['IMAGE'])
  other_in: tokens_of_modality(usage.input_tokens_by_modality, ['VIDEO', 'DOCUMENT'])
  other_cached: tokens_of_modality(usage.cached_tokens_by_modality, ['VIDEO', 'DOCUMENT'])
*/
{
    'input_uncached_tokens': usage.total_input_tokens
        - coalesce(usage.total_cached_tokens, 0)
        - coalesce(defined.audio_in - coalesce(defined.audio_cached, 0), 0)
        - coalesce(defined.image_in - coalesce(defined.image_cached, 0), 0)
        - coalesce(defined.other_in - coalesce(defined.other_cached, 0), 0),
    'input_audio_tokens': defined.audio_in - coalesce(defined.audio_cached, 0),
    'input_image_tokens': defined.image_in - coalesce(defined.image_cached, 0),
    'input_other_tokens': coalesce(
        defined.other_in - coalesce(defined.other_cached, 0) + coalesce(usage.total_tool_use_tokens, 0), usage.total_tool_use_tokens
    ),
    'cache_read_tokens': usage.total_cached_tokens - coalesce(defined.audio_cached, 0) - coalesce(defined.image_cached, 0),
    'cache_read_audio_tokens': defined.audio_cached,
    'cache_read_image_tokens': defined.image_cached,
    'output_text_tokens': usage.total_output_tokens - coalesce(defined.audio_out, 0) - coalesce(defined.image_out, 0),
    'output_reasoning_tokens': usage.total_thought_tokens,
    'output_audio_tokens': defined.audio_out,
    'output_image_tokens': defined.image_out,
    'context_test_tokens': usage.total_input_tokens,
    'provider_total_tokens': usage.total_tokens,
    'is_partial': usage.total_input_tokens is null or usage.total_output_tokens is null,
}
