-- Usage objects that stand in attributes: those of providers that the AI SDK passes on, and the counts that coding agents write.

-- The largest of the counts that go by these names; null where none is there.
create or replace temp macro largest_count(counts, names) as list_max(list_transform(
    list_filter(counts, lambda attribute: list_contains(names, attribute.key)), lambda attribute: whole(attribute_text(attribute))
));
create or replace temp macro stated_output(gen_ai_counts, ai_sdk_counts) as list_max([
    largest_count(gen_ai_counts, ['gen_ai.usage.output_tokens', 'gen_ai.usage.completion_tokens']),
    largest_count(ai_sdk_counts, ['ai.usage.outputTokens', 'ai.usage.completionTokens'])
]);
create or replace temp macro stated_input(gen_ai_counts, ai_sdk_counts) as coalesce(
    largest_count(ai_sdk_counts, ['ai.usage.inputTokens', 'ai.usage.promptTokens']),
    largest_count(gen_ai_counts, ['gen_ai.usage.input_tokens', 'gen_ai.usage.prompt_tokens'])
);
-- Versions from 6 on say of the input what of it is cached; the ones before hand on what the provider counts.
create or replace temp macro says_what_is_cached(ai_sdk_counts) as
    largest_count(ai_sdk_counts, ['ai.usage.inputTokenDetails.noCacheTokens']) is not null;

-- {shape, usage} of the provider's own object; null where there is none. Of a streamed answer it may be what the provider said first: its
-- input and cache are final then, its output is not. Of two outputs the larger one is.
create or replace temp macro provider_usage(metadata, gen_ai_counts, ai_sdk_counts) as case
    when metadata is null then null
    when json_exists(metadata, '$.anthropic.usage.input_tokens') then {
        'shape': 'anthropic.messages',
        'usage': json_merge_patch(json_extract(metadata, '$.anthropic.usage'), json_object('output_tokens', list_max([
            whole(metadata ->> '$.anthropic.usage.output_tokens'), stated_output(gen_ai_counts, ai_sdk_counts)
        ])))
    }
    when json_extract(metadata, '$.*.usageMetadata.promptTokenCount')[1] is not null then {
        'shape': 'gemini.generateContent',
        'usage': json_merge_patch(json_extract(metadata, '$.*.usageMetadata')[1], json_object('candidatesTokenCount', list_max([
            whole(json_extract_string(metadata, '$.*.usageMetadata.candidatesTokenCount')[1]),
            -- Newer versions state the output with its thoughts.
            case when stated_output(gen_ai_counts, ai_sdk_counts) > coalesce(whole(json_extract_string(metadata, '$.*.usageMetadata.candidatesTokenCount')[1]), 0)
                    + coalesce(whole(json_extract_string(metadata, '$.*.usageMetadata.thoughtsTokenCount')[1]), 0)
                then stated_output(gen_ai_counts, ai_sdk_counts) - coalesce(whole(json_extract_string(metadata, '$.*.usageMetadata.thoughtsTokenCount')[1]), 0)
            end
        ])))
    }
    when says_what_is_cached(ai_sdk_counts) then null
    when json_exists(metadata, '$.anthropic.cacheCreationInputTokens') or json_exists(metadata, '$.anthropic.cacheReadInputTokens') then {
        'shape': 'anthropic.messages',
        'usage': json_object(
            'input_tokens', stated_input(gen_ai_counts, ai_sdk_counts),
            'output_tokens', stated_output(gen_ai_counts, ai_sdk_counts),
            'cache_creation_input_tokens', whole(metadata ->> '$.anthropic.cacheCreationInputTokens'),
            'cache_read_input_tokens', coalesce(
                whole(metadata ->> '$.anthropic.cacheReadInputTokens'), largest_count(ai_sdk_counts, ['ai.usage.cachedInputTokens'])
            )
        )
    }
    when json_exists(metadata, '$.bedrock.usage.cacheReadInputTokens') or json_exists(metadata, '$.bedrock.usage.cacheWriteInputTokens') then {
        'shape': 'bedrock.converse',
        'usage': json_merge_patch(json_extract(metadata, '$.bedrock.usage'), json_object(
            'inputTokens', stated_input(gen_ai_counts, ai_sdk_counts),
            'outputTokens', stated_output(gen_ai_counts, ai_sdk_counts),
            'cacheReadInputTokens', coalesce(
                whole(metadata ->> '$.bedrock.usage.cacheReadInputTokens'), largest_count(ai_sdk_counts, ['ai.usage.cachedInputTokens'])
            )
        ))
    }
end;
-- What version 4 says of input and output in the provider's words alone (OpenAI, Azure, DeepSeek, OpenRouter); null where nothing.
create or replace temp macro provider_details(metadata, ai_sdk_counts) as case
    when metadata is null or says_what_is_cached(ai_sdk_counts) then null
    else nullif(cast(json_merge_patch('{}', json_object(
        'cachedInputTokens', whole(coalesce(
            json_extract_string(metadata, '$.*.cachedPromptTokens')[1], json_extract_string(metadata, '$.*.promptCacheHitTokens')[1],
            json_extract_string(metadata, '$.*.usage.promptTokensDetails.cachedTokens')[1]
        )),
        'reasoningTokens', whole(coalesce(
            json_extract_string(metadata, '$.*.reasoningTokens')[1],
            json_extract_string(metadata, '$.*.usage.completionTokensDetails.reasoningTokens')[1]
        ))
    )) as varchar), '{}')
end;

-- Counts of tokens that a log or span of Claude Code names beside those that are read below.
create or replace temp macro further_tokens(named) as cast('{' || array_to_string(list_transform(
    list_filter(
        range(1, len(named.names) + 1),
        lambda place: ends_with(named.names[place], '_tokens') and try_cast(named.texts[place] as double) is not null
            and named.names[place] not in ('input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens')
    ),
    lambda place: cast(to_json(named.names[place]) as varchar) || ':' || named.texts[place]
), ',') || '}' as json);
-- {agent, shape, usage} of a log or span that a coding agent wrote of a call; null for others.
create or replace temp macro agent_usage(name, record_kind, named) as case
    when regexp_matches(name, '^(claude_code[.])?(api_request|llm_request)$') and value_named(named, 'input_tokens') is not null then {
        'agent': 'claude_code',
        'shape': 'anthropic.messages',
        'usage': json_merge_patch(further_tokens(named), json_object(
            'input_tokens', value_named(named, 'input_tokens'),
            'output_tokens', value_named(named, 'output_tokens'),
            'cache_read_input_tokens', value_named(named, 'cache_read_tokens'),
            'cache_creation_input_tokens', value_named(named, 'cache_creation_tokens'),
            'speed', value_named(named, 'speed')
        ))
    }
    when record_kind <> 'log' or value_named(named, 'input_token_count') is null then null
    when starts_with(name, 'codex.') then {
        'agent': 'codex',
        'shape': 'codex.token_count',
        'usage': json_merge_patch('{}', json_object(
            'input_tokens', value_named(named, 'input_token_count'),
            'cached_input_tokens', value_named(named, 'cached_token_count'),
            'cache_write_input_tokens', value_named(named, 'cache_write_token_count'),
            'output_tokens', value_named(named, 'output_token_count'),
            'reasoning_output_tokens', value_named(named, 'reasoning_token_count')
        ))
    }
    when ends_with(name, '.api_response') then {
        'agent': replace(split_part(name, '.', 1), '-', '_'),
        'shape': 'gemini.generateContent',
        'usage': json_merge_patch('{}', json_object(
            'promptTokenCount', value_named(named, 'input_token_count'),
            'cachedContentTokenCount', value_named(named, 'cached_content_token_count'),
            'candidatesTokenCount', value_named(named, 'output_token_count'),
            'thoughtsTokenCount', value_named(named, 'thoughts_token_count'),
            'toolUsePromptTokenCount', value_named(named, 'tool_token_count'),
            'totalTokenCount', value_named(named, 'total_token_count')
        ))
    }
end;
