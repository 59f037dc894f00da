/*
about: >-
  Perplexity. Reasoning and citation tokens are outside of completion_tokens, the total is prompt and completion alone: it is tested
  against these only. Citations are read by the model, so they are input. Searches are billed apiece, and so is each call by the
  size of its search.
apis: [perplexity.chat]
recognised_by:
  all: [prompt_tokens, completion_tokens, search_context_size]
basis: inclusive
fields:
  prompt_tokens: count
  completion_tokens: count
  total_tokens: count
  reasoning_tokens: count
  citation_tokens: count
  num_search_queries: count
  search_context_size: text
*/
{
    'input_uncached_tokens': usage.prompt_tokens,
    'input_other_tokens': usage.citation_tokens,
    'output_text_tokens': usage.completion_tokens,
    'output_reasoning_tokens': usage.reasoning_tokens,
    'context_test_tokens': usage.prompt_tokens,
    'provider_total_tokens': usage.total_tokens + if(
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens,
        coalesce(usage.reasoning_tokens, 0) + coalesce(usage.citation_tokens, 0), 0
    ),
    'extra_units': case
        when coalesce(usage.num_search_queries, 0) > 0 or usage.search_context_size is not null
        then map_from_entries(list_filter(
            [
                {'unit': 'search_queries', 'quantity': cast(usage.num_search_queries as decimal(38, 9))},
                {
                    'unit': 'request_search_' || lower(usage.search_context_size),
                    'quantity': cast(1 as decimal(38, 9))
                }
            ],
            lambda usage_entry: usage_entry.quantity > 0 and usage_entry.unit is not null
        ))
    end,
    'is_partial': usage.prompt_tokens is null or usage.completion_tokens is null,
}
