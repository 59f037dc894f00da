/*
about: >-
  OpenAI Embeddings: prompt_tokens is all there is, nothing is cached and nothing comes out. Output
  stays null.
apis: [openai.embeddings, azure.embeddings, mistral.embeddings, together.embeddings]
recognised_by:
  all: [prompt_tokens, total_tokens]
  none: [completion_tokens, prompt_tokens_details, prompt_token_details]
basis: inclusive
fields:
  prompt_tokens: count
  total_tokens: count
*/
{
    'input_uncached_tokens': usage.prompt_tokens,
    'context_test_tokens': usage.prompt_tokens,
    'provider_total_tokens': usage.total_tokens,
    'is_partial': usage.prompt_tokens is null,
}
