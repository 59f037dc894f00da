/*
about: >-
  Bedrock Converse, and the logs of InvokeModel, which spell the cache counts with Count.
  inputTokens excludes both cache classes, totalTokens includes them, outputTokens includes
  reasoning. cacheDetails splits the writes by lifetime; it is used only where it sums to the
  writes, else they are cache_write_tokens.
apis: [bedrock.converse]
recognised_by:
  all: [inputTokens, outputTokens]
basis: disjoint
fields:
  inputTokens: count
  outputTokens: count
  totalTokens: count
  cacheReadInputTokens: count
  cacheReadInputTokenCount: count
  cacheWriteInputTokens: count
  cacheWriteInputTokenCount: count
  cacheDetails:
    - {ttl: text, inputTokens: count}
define:
  cache_read: coalesce(usage.cacheReadInputTokens, usage.cacheReadInputTokenCount)
  cache_write: coalesce(usage.cacheWriteInputTokens, usage.cacheWriteInputTokenCount)
  split_5m: lifetime_tokens(usage.cacheDetails, '5m')
  split_1h: lifetime_tokens(usage.cacheDetails, '1h')
  is_split: >-
    coalesce(
        coalesce(lifetime_tokens(usage.cacheDetails, '5m'), lifetime_tokens(usage.cacheDetails, '1h')) is not null
        and coalesce(lifetime_tokens(usage.cacheDetails, '5m'), 0) + coalesce(lifetime_tokens(usage.cacheDetails, '1h'), 0)
        = coalesce(usage.cacheWriteInputTokens, usage.cacheWriteInputTokenCount),
        false
    )
*/
{
    'input_uncached_tokens': usage.inputTokens,
    'cache_read_tokens': defined.cache_read,
    'cache_write_5m_tokens': case when defined.is_split then defined.split_5m end,
    'cache_write_1h_tokens': case when defined.is_split then defined.split_1h end,
    'cache_write_tokens': case when not defined.is_split then defined.cache_write end,
    'output_text_tokens': usage.outputTokens,
    'context_test_tokens': usage.inputTokens + coalesce(defined.cache_read, 0) + coalesce(defined.cache_write, 0),
    'provider_total_tokens': usage.totalTokens,
    'flags': case
        when not defined.is_split and coalesce(defined.split_5m, 0) + coalesce(defined.split_1h, 0) > 0
        then ['split_mismatch']
    end,
    'is_partial': usage.inputTokens is null or usage.outputTokens is null,
}
