/*
about: >-
  Usage of Vercel's AI SDK: what stands behind ai.usage., dots as underscores, from version 3 (promptTokens) to 7
  (inputTokenDetails). Older versions pass on what the provider counts, so input may leave cached tokens out: numbers that show
  it are read that way (as otel.gen_ai). noCacheTokens is the input that is not cached, outright.
apis: [otel.ai_sdk]
basis: inclusive
fields:
  inputTokens: count
  promptTokens: count
  outputTokens: count
  completionTokens: count
  totalTokens: count
  cachedInputTokens: count
  reasoningTokens: count
  inputTokenDetails_noCacheTokens: count
  inputTokenDetails_cacheReadTokens: count
  inputTokenDetails_cacheWriteTokens: count
  outputTokenDetails_textTokens: count
  outputTokenDetails_reasoningTokens: count
  tokens: count
define:
  cached_apart: cached_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.totalTokens)
  thought_apart: thought_left_out(defined.stated_in, defined.stated_out, defined.cached, defined.thought, usage.totalTokens)
  cached: coalesce(defined.read, 0) + coalesce(defined.written, 0)
  stated_in: coalesce(usage.inputTokens, usage.promptTokens, usage.tokens)
  stated_out: coalesce(usage.outputTokens, usage.completionTokens)
  read: coalesce(usage.inputTokenDetails_cacheReadTokens, usage.cachedInputTokens)
  written: usage.inputTokenDetails_cacheWriteTokens
  thought: coalesce(usage.outputTokenDetails_reasoningTokens, usage.reasoningTokens)
*/
{
    'input_uncached_tokens': coalesce(usage.inputTokenDetails_noCacheTokens, defined.stated_in - if(defined.cached_apart, 0, defined.cached)),
    'cache_read_tokens': defined.read,
    'cache_write_tokens': defined.written,
    'output_text_tokens': defined.stated_out - if(defined.thought_apart, 0, coalesce(defined.thought, 0)),
    'output_reasoning_tokens': defined.thought,
    'context_test_tokens': defined.stated_in + if(defined.cached_apart, defined.cached, 0),
    'provider_total_tokens': usage.totalTokens,
    'is_disjoint': defined.cached_apart,
    'flags': if(defined.cached_apart, ['disjoint_input'], null),
    'is_partial': defined.stated_in is null or defined.stated_out is null,
}
