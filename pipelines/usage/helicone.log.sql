/*
about: >-
  The token columns of Helicone's log. prompt_tokens leaves out what was read from and written to the cache; writes are one
  figure for all lifetimes. completion_tokens leaves out reasoning, which the export has not: source and README say so. The
  total is that of prompt and completion alone.
apis: [helicone.log]
basis: disjoint
fields:
  prompt_tokens: count
  completion_tokens: count
  total_tokens: count
  prompt_cache_read_tokens: count
  prompt_cache_write_tokens: count
  prompt_audio_tokens: count
  completion_audio_tokens: count
  reasoning_tokens: count
*/
{
    'input_uncached_tokens': usage.prompt_tokens - coalesce(usage.prompt_audio_tokens, 0),
    'input_audio_tokens': usage.prompt_audio_tokens,
    'cache_read_tokens': usage.prompt_cache_read_tokens,
    'cache_write_tokens': usage.prompt_cache_write_tokens,
    'output_text_tokens': usage.completion_tokens - coalesce(usage.completion_audio_tokens, 0),
    'output_reasoning_tokens': usage.reasoning_tokens,
    'output_audio_tokens': usage.completion_audio_tokens,
    'context_test_tokens': usage.prompt_tokens + coalesce(usage.prompt_cache_read_tokens, 0)
        + coalesce(usage.prompt_cache_write_tokens, 0),
    'provider_total_tokens': case
        when usage.total_tokens = usage.prompt_tokens + usage.completion_tokens
            then usage.total_tokens + coalesce(usage.prompt_cache_read_tokens, 0) + coalesce(usage.prompt_cache_write_tokens, 0)
                + coalesce(usage.reasoning_tokens, 0)
        else usage.total_tokens
    end,
    'is_partial': usage.prompt_tokens is null or usage.completion_tokens is null,
}
