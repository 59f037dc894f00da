/*
about: >-
  Usage details of Langfuse. Its keys are free; by convention they are disjoint and total is their sum, but what a user or an
  SDK sends is often not: the classes here are the keys as they stand, one by one, and the source and the ledger test which way
  they were meant. Two spellings of one quantity are taken once. A key that is not known is left out and flagged. Cache
  creation by lifetime may stand beside its own sum. Longer texts (units) are no counts.
apis: [langfuse.usage_details]
basis: disjoint
on_request: true
fields:
  input: count
  input_tokens: count
  prompt_tokens: count
  promptTokens: count
  promptTokenCount: count
  output: count
  output_tokens: count
  completion_tokens: count
  completionTokens: count
  candidatesTokenCount: count
  total: count
  input_cached_tokens: count
  input_cache_read: count
  input_cache_read_tokens: count
  input_cached: count
  cache_read_input_tokens: count
  cached_content_token_count: count
  cachedContentTokenCount: count
  cached_tokens: count
  input_cache_creation: count
  input_cache_creation_tokens: count
  input_cache_write: count
  cache_creation_input_tokens: count
  cache_write_tokens: count
  input_cache_creation_5m: count
  input_cache_creation_1h: count
  ephemeral_5m_input_tokens: count
  ephemeral_1h_input_tokens: count
  output_reasoning: count
  output_reasoning_tokens: count
  reasoning_tokens: count
  reasoning: count
  thoughtsTokenCount: count
  thoughts_token_count: count
  completion_details_reasoning: count
  completion_tokens_details_reasoning_tokens: count
  output_tokens_details_reasoning_tokens: count
  input_audio: count
  input_audio_tokens: count
  output_audio: count
  output_audio_tokens: count
  input_image: count
  input_image_tokens: count
  output_image: count
  output_image_tokens: count
  toolUsePromptTokenCount: count
  grounding_queries: count
  web_search_queries: count
  web_search_requests: count
define:
  written: coalesce(usage.input_cache_creation, usage.input_cache_creation_tokens, usage.input_cache_write, usage.cache_creation_input_tokens,
    usage.cache_write_tokens)
  written_5m: coalesce(usage.input_cache_creation_5m, usage.ephemeral_5m_input_tokens)
  written_1h: coalesce(usage.input_cache_creation_1h, usage.ephemeral_1h_input_tokens)
*/
{
    'input_uncached_tokens': coalesce(
        usage.input, usage.input_tokens, usage.prompt_tokens, usage.promptTokens, usage.promptTokenCount
    ),
    'input_audio_tokens': coalesce(usage.input_audio, usage.input_audio_tokens),
    'input_image_tokens': coalesce(usage.input_image, usage.input_image_tokens),
    'input_other_tokens': usage.toolUsePromptTokenCount,
    'cache_read_tokens': coalesce(
        usage.input_cached_tokens, usage.input_cache_read, usage.input_cache_read_tokens, usage.input_cached,
        usage.cache_read_input_tokens, usage.cached_content_token_count, usage.cachedContentTokenCount, usage.cached_tokens
    ),
    'cache_write_5m_tokens': defined.written_5m,
    'cache_write_1h_tokens': defined.written_1h,
    'cache_write_tokens': case
        when defined.written = coalesce(defined.written_5m, 0) + coalesce(defined.written_1h, 0)
            and (defined.written_5m is not null or defined.written_1h is not null)
        then null
        else defined.written
    end,
    'output_text_tokens': coalesce(
        usage.output, usage.output_tokens, usage.completion_tokens, usage.completionTokens, usage.candidatesTokenCount
    ),
    'output_reasoning_tokens': coalesce(
        usage.output_reasoning, usage.output_reasoning_tokens, usage.reasoning_tokens, usage.reasoning,
        usage.thoughtsTokenCount, usage.thoughts_token_count, usage.completion_details_reasoning,
        usage.completion_tokens_details_reasoning_tokens, usage.output_tokens_details_reasoning_tokens
    ),
    'output_audio_tokens': coalesce(usage.output_audio, usage.output_audio_tokens),
    'output_image_tokens': coalesce(usage.output_image, usage.output_image_tokens),
    'provider_total_tokens': usage.total,
    'extra_units': case
        when coalesce(usage.grounding_queries, 0) + coalesce(usage.web_search_queries, usage.web_search_requests, 0) > 0
        then map_from_entries(list_filter(
            [
                {'unit': 'grounding', 'quantity': cast(usage.grounding_queries as decimal(38, 9))},
                {
                    'unit': 'web_search',
                    'quantity': cast(coalesce(usage.web_search_queries, usage.web_search_requests) as decimal(38, 9))
                }
            ],
            lambda usage_entry: usage_entry.quantity > 0
        ))
    end,
}
