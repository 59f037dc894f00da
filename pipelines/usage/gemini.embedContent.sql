/*
about: >-
  Gemini and Vertex embeddings: promptTokenCount is all there is, and nothing comes out. Output
  stays null.
apis: [gemini.embedContent, gemini.batchEmbedContents, vertex.embedContent]
basis: inclusive
fields:
  promptTokenCount: count
  totalTokenCount: count
*/
{
    'input_uncached_tokens': usage.promptTokenCount,
    'context_test_tokens': usage.promptTokenCount,
    'provider_total_tokens': usage.totalTokenCount,
    'is_partial': usage.promptTokenCount is null,
}
