/*
about: >-
  Token usage of an MLflow span (mlflow.chat.tokenUsage). Cached tokens are parts of the input; numbers that show that they are
  not are read that way (as otel.gen_ai). Writes that are kept longer than an hour are a part of the writes.
apis: [otel.mlflow]
basis: inclusive
fields:
  input_tokens: count
  output_tokens: count
  total_tokens: count
  cache_read_input_tokens: count
  cache_creation_input_tokens: count
  cache_creation_input_tokens_above_1hr: count
  reasoning_tokens: count
define:
  cached_apart: cached_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total_tokens)
  thought_apart: thought_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.total_tokens)
  cached: coalesce(defined.read, 0) + coalesce(defined.written, 0)
  stated_in: usage.input_tokens
  stated_out: usage.output_tokens
  read: usage.cache_read_input_tokens
  written: usage.cache_creation_input_tokens
  thought: usage.reasoning_tokens
*/
{
    'input_uncached_tokens': defined.stated_in - if(defined.cached_apart, 0, defined.cached),
    'cache_read_tokens': defined.read,
    'cache_write_1h_tokens': usage.cache_creation_input_tokens_above_1hr,
    'cache_write_tokens': defined.written - coalesce(usage.cache_creation_input_tokens_above_1hr, 0),
    'output_text_tokens': defined.stated_out - if(defined.thought_apart, 0, coalesce(defined.thought, 0)),
    'output_reasoning_tokens': defined.thought,
    'context_test_tokens': defined.stated_in + if(defined.cached_apart, defined.cached, 0),
    'provider_total_tokens': usage.total_tokens,
    'is_disjoint': defined.cached_apart,
    'flags': if(defined.cached_apart, ['disjoint_input'], null),
    'is_partial': defined.stated_in is null or defined.stated_out is null,
}
