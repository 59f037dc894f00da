/*
about: >-
  Voyage: total_tokens is all there is, and all of it is input. Output stays null.
apis: [voyage.embeddings, voyage.rerank]
basis: inclusive
fields:
  total_tokens: count
*/
{
    'input_uncached_tokens': usage.total_tokens,
    'context_test_tokens': usage.total_tokens,
    'provider_total_tokens': usage.total_tokens,
    'is_partial': usage.total_tokens is null,
}
