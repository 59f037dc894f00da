/*
about: >-
  Counts of a Codex session: those of one call, or the difference of two cumulative ones. input_tokens includes what was read from
  the cache and what was written to it (cache_write_input_tokens, since version 0.148; the lifetime is not said). The total tells whether reasoning is a part of the output (input + output) or comes on top (input + output + reasoning); without it,
  it is a part, as in the API below.
apis: [codex.token_count]
basis: inclusive
fields:
  input_tokens: count
  cached_input_tokens: count
  cache_write_input_tokens: count
  output_tokens: count
  reasoning_output_tokens: count
  total_tokens: count
define:
  thought_apart: >-
    thought_left_out(usage.input_tokens, usage.output_tokens, cast(0 as double), usage.reasoning_output_tokens, usage.total_tokens)
*/
{
    'input_uncached_tokens': usage.input_tokens
        - coalesce(usage.cached_input_tokens, 0)
        - coalesce(usage.cache_write_input_tokens, 0),
    'cache_read_tokens': usage.cached_input_tokens,
    'cache_write_tokens': usage.cache_write_input_tokens,
    'output_text_tokens': usage.output_tokens - if(defined.thought_apart, 0, coalesce(usage.reasoning_output_tokens, 0)),
    'output_reasoning_tokens': usage.reasoning_output_tokens,
    'context_test_tokens': usage.input_tokens,
    'provider_total_tokens': usage.total_tokens,
    'flags': if(defined.thought_apart, ['reasoning_on_top'], null),
    'is_partial': usage.input_tokens is null or usage.output_tokens is null,
}
