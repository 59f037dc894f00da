/*
about: >-
  OpenAI Images. input_tokens includes image tokens; what comes out is a picture, but for the text that newer models split off.
apis: [openai.images, azure.images]
basis: inclusive
fields:
  input_tokens: count
  output_tokens: count
  total_tokens: count
  input_tokens_details: {text_tokens: count, image_tokens: count, cached_tokens: count}
  output_tokens_details: {text_tokens: count, image_tokens: count}
*/
{
    'input_uncached_tokens': usage.input_tokens
        - coalesce(usage.input_tokens_details.image_tokens, 0)
        - coalesce(usage.input_tokens_details.cached_tokens, 0),
    'input_image_tokens': usage.input_tokens_details.image_tokens,
    'cache_read_tokens': usage.input_tokens_details.cached_tokens,
    'output_text_tokens': usage.output_tokens_details.text_tokens,
    'output_image_tokens': usage.output_tokens - coalesce(usage.output_tokens_details.text_tokens, 0),
    'context_test_tokens': usage.input_tokens,
    'provider_total_tokens': usage.total_tokens,
    'is_partial': usage.input_tokens is null or usage.output_tokens is null,
}
