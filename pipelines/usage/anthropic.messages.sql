/*
about: >-
  Anthropic Messages. input_tokens excludes both cache classes; output_tokens includes thinking,
  which newer answers also give as a detail. Cache writes are split by lifetime in cache_creation;
  writes that the split does not hold (no split, a zeroed or a partial one) are cache_write_tokens,
  priced at the 5-minute rate. Web searches are billed apiece, web fetches not. iterations may hold
  work that the top level leaves out (compaction, advisor models): such rows are flagged.
apis: [anthropic.messages, bedrock.anthropic, vertex.anthropic, azure.anthropic]
aside: [server_tool_use.web_fetch_requests]
recognised_by:
  all: [input_tokens, output_tokens]
  any: [cache_creation_input_tokens, cache_read_input_tokens, cache_creation]
  none: [total_tokens, input_tokens_details, input_token_details, prompt_tokens]
basis: disjoint
fields:
  input_tokens: count
  cache_creation_input_tokens: count
  cache_read_input_tokens: count
  cache_creation: {ephemeral_5m_input_tokens: count, ephemeral_1h_input_tokens: count}
  output_tokens: count
  output_tokens_details: {thinking_tokens: count}
  server_tool_use: {web_search_requests: count}
  iterations:
    - {type: text, input_tokens: count, output_tokens: count}
  service_tier: text
  speed: text
  inference_geo: text
*/
{
    'input_uncached_tokens': usage.input_tokens,
    'cache_read_tokens': usage.cache_read_input_tokens,
    'cache_write_5m_tokens': usage.cache_creation.ephemeral_5m_input_tokens,
    'cache_write_1h_tokens': usage.cache_creation.ephemeral_1h_input_tokens,
    'cache_write_tokens': nullif(
        usage.cache_creation_input_tokens
        - coalesce(usage.cache_creation.ephemeral_5m_input_tokens, 0)
        - coalesce(usage.cache_creation.ephemeral_1h_input_tokens, 0),
        -- A split that holds all writes leaves none unstated; without any split the total says it, a 0 included.
        if(
            usage.cache_creation.ephemeral_5m_input_tokens is null
            and usage.cache_creation.ephemeral_1h_input_tokens is null,
            null, 0
        )
    ),
    'output_text_tokens': usage.output_tokens - coalesce(usage.output_tokens_details.thinking_tokens, 0),
    'output_reasoning_tokens': usage.output_tokens_details.thinking_tokens,
    'context_test_tokens': usage.input_tokens
        + coalesce(usage.cache_read_input_tokens, 0)
        + coalesce(
            usage.cache_creation_input_tokens,
            coalesce(usage.cache_creation.ephemeral_5m_input_tokens, 0)
            + coalesce(usage.cache_creation.ephemeral_1h_input_tokens, 0)
        ),
    'service_tier': usage.service_tier,
    'speed': usage.speed,
    'inference_geo': usage.inference_geo,
    'extra_units': case
        when usage.server_tool_use.web_search_requests > 0
        then map {'web_search': cast(usage.server_tool_use.web_search_requests as decimal(38, 9))}
    end,
    'flags': case
        when usage.cache_creation_input_tokens
            <> usage.cache_creation.ephemeral_5m_input_tokens + usage.cache_creation.ephemeral_1h_input_tokens
        then ['split_mismatch']
        when len(list_filter(usage.iterations, lambda usage_step: usage_step.type <> 'message')) > 0
        then ['iterations_outside_total']
    end,
    'is_partial': usage.input_tokens is null or usage.output_tokens is null,
}
