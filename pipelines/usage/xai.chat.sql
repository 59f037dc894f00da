/*
about: >-
  xAI chat completions. prompt_tokens includes cached tokens; reasoning is outside completion_tokens
  where the total is prompt + completion + reasoning, inside where it is prompt + completion. Image
  tokens overlap the cached ones and stay in the prompt. Live-search sources are billed apiece.
apis: [xai.chat]
recognised_by:
  all: [prompt_tokens, completion_tokens, num_sources_used]
basis: inclusive
fields:
  prompt_tokens: count
  completion_tokens: count
  total_tokens: count
  prompt_tokens_details: {cached_tokens: count, audio_tokens: count}
  completion_tokens_details: {reasoning_tokens: count, audio_tokens: count}
  num_sources_used: count
define:
  reasoning_inside: >-
    case
        when usage.total_tokens
            = usage.prompt_tokens + usage.completion_tokens + usage.completion_tokens_details.reasoning_tokens
        then 0
        else coalesce(usage.completion_tokens_details.reasoning_tokens, 0)
    end
*/
{
    'input_uncached_tokens': usage.prompt_tokens
        - coalesce(usage.prompt_tokens_details.cached_tokens, 0)
        - coalesce(usage.prompt_tokens_details.audio_tokens, 0),
    'input_audio_tokens': usage.prompt_tokens_details.audio_tokens,
    'cache_read_tokens': usage.prompt_tokens_details.cached_tokens,
    'output_text_tokens': usage.completion_tokens
        - defined.reasoning_inside
        - coalesce(usage.completion_tokens_details.audio_tokens, 0),
    'output_reasoning_tokens': usage.completion_tokens_details.reasoning_tokens,
    'output_audio_tokens': usage.completion_tokens_details.audio_tokens,
    'context_test_tokens': usage.prompt_tokens,
    'provider_total_tokens': usage.total_tokens,
    'extra_units': case
        when usage.num_sources_used > 0 then map {'search_sources': cast(usage.num_sources_used as decimal(38, 9))}
    end,
    'is_partial': usage.prompt_tokens is null or usage.completion_tokens is null,
}
