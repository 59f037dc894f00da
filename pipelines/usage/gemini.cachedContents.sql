/*
about: >-
  Gemini and Vertex, a cache made by hand: totalTokenCount is what was written into it. Its storage by the hour is no part of it.
apis: [gemini.cachedContents, vertex.cachedContents]
basis: inclusive
fields:
  totalTokenCount: count
*/
{
    'cache_write_tokens': usage.totalTokenCount,
    'context_test_tokens': usage.totalTokenCount,
    'provider_total_tokens': usage.totalTokenCount,
    'is_partial': usage.totalTokenCount is null,
}
