/*
about: >-
  Gemini API and Vertex generateContent. promptTokenCount includes cachedContentTokenCount;
  toolUsePromptTokenCount comes on top, and so does thoughtsTokenCount on the output side, unless
  prompt, tool prompts and candidates alone make up the total: then thoughts are inside the
  candidates. Audio and images are taken out of prompt, cache and candidates, video and documents
  out of the uncached prompt. JSON leaves a count of 0 out: candidates are 0 where the total shows
  it; a cache read that is left out stays null, since implicit caching is not always reported.
apis: [gemini.generateContent, gemini.streamGenerateContent, vertex.generateContent]
recognised_by:
  all: [promptTokenCount]
basis: inclusive
fields:
  promptTokenCount: count
  cachedContentTokenCount: count
  candidatesTokenCount: count
  thoughtsTokenCount: count
  toolUsePromptTokenCount: count
  totalTokenCount: count
  promptTokensDetails:
    - {modality: text, tokenCount: count}
  cacheTokensDetails:
    - {modality: text, tokenCount: count}
  candidatesTokensDetails:
    - {modality: text, tokenCount: count}
  serviceTier: text
  trafficType: text
define:
  audio_prompt: modality_tokens(usage.promptTokensDetails, ['AUDIO', '4'])
  audio_cached: modality_tokens(usage.cacheTokensDetails, ['AUDIO', '4'])
  audio_output: modality_tokens(usage.candidatesTokensDetails, ['AUDIO', '4'])
  image_prompt: modality_tokens(usage.promptTokensDetails, ['IMAGE', '2'])
  image_cached: modality_tokens(usage.cacheTokensDetails, ['IMAGE', '2'])
  image_output: modality_tokens(usage.candidatesTokensDetails, ['IMAGE', '2'])
  other_prompt: modality_tokens(usage.promptTokensDetails, ['VIDEO', '3', 'DOCUMENT', '5'])
  other_cached: modality_tokens(usage.cacheTokensDetails, ['VIDEO', '3', 'DOCUMENT', '5'])
  known_tokens: >-
    usage.promptTokenCount + coalesce(usage.toolUsePromptTokenCount, 0) + coalesce(usage.thoughtsTokenCount, 0)
*/
{
    'input_uncached_tokens': usage.promptTokenCount
        - coalesce(usage.cachedContentTokenCount, 0)
        - coalesce(defined.audio_prompt - coalesce(defined.audio_cached, 0), 0)
        - coalesce(defined.image_prompt - coalesce(defined.image_cached, 0), 0)
        - coalesce(defined.other_prompt - coalesce(defined.other_cached, 0), 0),
    'input_audio_tokens': defined.audio_prompt - coalesce(defined.audio_cached, 0),
    'input_image_tokens': defined.image_prompt - coalesce(defined.image_cached, 0),
    'input_other_tokens': coalesce(
        defined.other_prompt - coalesce(defined.other_cached, 0) + coalesce(usage.toolUsePromptTokenCount, 0),
        usage.toolUsePromptTokenCount
    ),
    'cache_read_tokens': usage.cachedContentTokenCount
        - coalesce(defined.audio_cached, 0)
        - coalesce(defined.image_cached, 0),
    'cache_read_audio_tokens': defined.audio_cached,
    'cache_read_image_tokens': defined.image_cached,
    'output_text_tokens': coalesce(
        usage.candidatesTokenCount - if(
            usage.thoughtsTokenCount > 0
            and usage.candidatesTokenCount + defined.known_tokens - usage.thoughtsTokenCount = usage.totalTokenCount,
            usage.thoughtsTokenCount,
            0
        ),
        if(defined.known_tokens = usage.totalTokenCount, 0, null)
    )
        - coalesce(defined.audio_output, 0)
        - coalesce(defined.image_output, 0),
    'output_reasoning_tokens': usage.thoughtsTokenCount,
    'output_audio_tokens': defined.audio_output,
    'output_image_tokens': defined.image_output,
    'context_test_tokens': usage.promptTokenCount,
    'provider_total_tokens': usage.totalTokenCount,
    'service_tier': coalesce(usage.serviceTier, usage.trafficType),
    'is_partial': usage.promptTokenCount is null
        or (usage.candidatesTokenCount is null and coalesce(defined.known_tokens <> usage.totalTokenCount, true)),
}
