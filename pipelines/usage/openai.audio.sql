/*
about: >-
  OpenAI transcription, speech and realtime. input_tokens includes cached, audio and image tokens, output_tokens includes audio; the
  cached ones are split again. Models that are billed by time give seconds instead (type duration). Never told by its
  keys alone: a framework's own object has them too; but a realtime answer is one whatever API a logger names.
apis: [openai.audio, openai.realtime, azure.audio, azure.realtime]
takes_over: {key: input_token_details, of: [openai.responses, openai.chat]}
basis: inclusive
fields:
  type: text
  seconds: text
  input_tokens: count
  output_tokens: count
  total_tokens: count
  input_token_details:
    text_tokens: count
    audio_tokens: count
    image_tokens: count
    cached_tokens: count
    cached_tokens_details: {text_tokens: count, audio_tokens: count, image_tokens: count}
  output_token_details: {text_tokens: count, audio_tokens: count}
define:
  audio_in: >-
    usage.input_token_details.audio_tokens - coalesce(usage.input_token_details.cached_tokens_details.audio_tokens, 0)
  image_in: >-
    usage.input_token_details.image_tokens - coalesce(usage.input_token_details.cached_tokens_details.image_tokens, 0)
*/
{
    'input_uncached_tokens': usage.input_tokens
        - coalesce(usage.input_token_details.cached_tokens, 0)
        - coalesce(defined.audio_in, 0)
        - coalesce(defined.image_in, 0),
    'input_audio_tokens': defined.audio_in,
    'input_image_tokens': defined.image_in,
    'cache_read_tokens': usage.input_token_details.cached_tokens
        - coalesce(usage.input_token_details.cached_tokens_details.audio_tokens, 0)
        - coalesce(usage.input_token_details.cached_tokens_details.image_tokens, 0),
    'cache_read_audio_tokens': usage.input_token_details.cached_tokens_details.audio_tokens,
    'cache_read_image_tokens': usage.input_token_details.cached_tokens_details.image_tokens,
    'output_text_tokens': usage.output_tokens - coalesce(usage.output_token_details.audio_tokens, 0),
    'output_audio_tokens': usage.output_token_details.audio_tokens,
    'context_test_tokens': usage.input_tokens,
    'provider_total_tokens': usage.total_tokens,
    'extra_units': case
        when try_cast(usage.seconds as decimal(38, 9)) > 0 then map {'seconds': try_cast(usage.seconds as decimal(38, 9))}
    end,
    'is_partial': coalesce(usage.type, '') <> 'duration' and (usage.input_tokens is null or usage.output_tokens is null),
}
