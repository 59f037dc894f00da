/*
about: >-
  Cohere Chat. billed_units is what is billed; tokens counts the whole prompt with what Cohere adds
  to it, and is not read.
apis: [cohere.chat]
aside: [tokens, cached_tokens]
recognised_by:
  all: [billed_units]
basis: disjoint
fields:
  billed_units: {input_tokens: count, output_tokens: count, search_units: count}
*/
{
    'input_uncached_tokens': usage.billed_units.input_tokens,
    'output_text_tokens': usage.billed_units.output_tokens,
    'context_test_tokens': usage.billed_units.input_tokens,
    'extra_units': case
        when usage.billed_units.search_units > 0
        then map {'search_units': cast(usage.billed_units.search_units as decimal(38, 9))}
    end,
    'is_partial': usage.billed_units.input_tokens is null or usage.billed_units.output_tokens is null,
}
