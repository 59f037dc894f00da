/*
about: >-
  Bedrock InvokeModel where the model's own object is not that of another API: counts of Titan and Llama, of the invocation metrics
  that end a stream, and of the response's headers. Input leaves cached tokens out, as in Converse.
apis: [bedrock.invokeModel, bedrock.titan, bedrock.llama]
basis: disjoint
fields:
  inputTextTokenCount: count
  results:
    - {tokenCount: count}
  prompt_token_count: count
  generation_token_count: count
  inputTokenCount: count
  outputTokenCount: count
  cacheReadInputTokenCount: count
  cacheWriteInputTokenCount: count
define:
  stated_in: coalesce(usage.inputTokenCount, usage.inputTextTokenCount, usage.prompt_token_count)
  stated_out: >-
    coalesce(usage.outputTokenCount, usage.generation_token_count,
    list_sum(list_transform(usage.results, lambda usage_part: usage_part.tokenCount)))
*/
{
    'input_uncached_tokens': defined.stated_in,
    'cache_read_tokens': usage.cacheReadInputTokenCount,
    'cache_write_tokens': usage.cacheWriteInputTokenCount,
    'output_text_tokens': defined.stated_out,
    'context_test_tokens': defined.stated_in
        + coalesce(usage.cacheReadInputTokenCount, 0) + coalesce(usage.cacheWriteInputTokenCount, 0),
    'is_partial': defined.stated_in is null or (defined.stated_out is null and usage.inputTextTokenCount is null),
}
