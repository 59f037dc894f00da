-- Names of sellers, as applications, SDKs and gateways write them; null for a name that is none. Capitals, blanks, dots and dashes mean
-- nothing: Azure OpenAI, azure-openai and azure_openai are one name.
create or replace temp macro seller_name(named) as trim(regexp_replace(lower(named), '[^a-z0-9]+', '_', 'g'), '_');
create or replace temp macro known_seller_of(name, named) as case
    when name in ('openai', 'anthropic', 'google', 'vertex', 'bedrock', 'azure', 'openrouter', 'together', 'groq', 'mistral', 'xai',
        'deepseek', 'cohere', 'perplexity', 'fireworks', 'cerebras', 'self') then name
    when regexp_matches(name, '(^|_)azure(_?open_?ai|_?ai)?(_.*)?$|^az_ai(_.*)?$|^microsoft(_(ai_)?foundry(_.*)?)?$') then 'azure'
    when regexp_matches(name, '^(aws|amazon)(_?bedrock.*)?$|(^|_)bedrock(_.*)?$') then 'bedrock'
    when regexp_matches(name, '(^|_|gcp|google)vertex(_?ai)?(_.*)?$') then 'vertex'
    when regexp_matches(name, '^((gcp|google)_)?(gemini|gen_?ai|generative_?(ai|language)|gla|ai_studio)(_.*)?$|^google_?ai(_studio)?$') then 'google'
    when name in ('open_ai', 'text_completion_openai') then 'openai'
    when name in ('claude', 'claude_api') then 'anthropic'
    when name in ('mistral_ai', 'mistralai', 'codestral', 'text_completion_codestral') then 'mistral'
    when name in ('x', 'x_ai', 'grok') then 'xai'
    when name in ('groq_cloud', 'groqcloud') then 'groq'
    when regexp_matches(name, '^vercel(_ai)?(_gateway)?$') then 'vercel'
    when name in ('open_router') then 'openrouter'
    when name in ('cohere_chat') then 'cohere'
    when name in ('togetherai', 'together_computer') then 'together'
    when name in ('together_ai', 'fireworks_ai', 'perplexity_ai', 'deepseek_ai') then replace(name, '_ai', '')
    when name in ('ollama', 'ollama_chat', 'vllm', 'hosted_vllm', 'llama_cpp', 'llamafile', 'huggingface_tgi', 'lm_studio', 'lmstudio', 'xinference', 'triton')
        then 'self'
    -- The AI SDK names an API with the seller: openai.responses, anthropic.messages.
    when lower(named) similar to '(openai|anthropic|groq|mistral|deepseek|cohere|xai|perplexity|openrouter|fireworks|cerebras)\..*' then split_part(lower(named), '.', 1)
end;
create or replace temp macro known_seller(named) as known_seller_of(seller_name(named), named);
-- For sources whose records name the seller: a name that is not known stays as it was written, in lower case.
create or replace temp macro seller_named(named) as coalesce(known_seller(named), lower(named));

-- Who sold a call, for tools that do not say it outright: from the name that an SDK gives the system, from the address that
-- was called, else from the name of the model. The address goes before the SDK's word: an OpenAI client may well call Azure.
create or replace temp macro seller_of(named, model, address) as coalesce(
    case
        when regexp_matches(lower(address), 'openai\.azure\.com|\.azure\.com|azure-api\.net') then 'azure'
        when regexp_matches(lower(address), 'bedrock|amazonaws\.com') then 'bedrock'
        when regexp_matches(lower(address), 'aiplatform\.googleapis\.com') then 'vertex'
        when regexp_matches(lower(address), 'generativelanguage\.googleapis\.com') then 'google'
        when regexp_matches(lower(address), '(^|[/.])openrouter\.ai') then 'openrouter'
        when regexp_matches(lower(address), '(^|[/.])api\.openai\.com') then 'openai'
        when regexp_matches(lower(address), '(^|[/.])api\.anthropic\.com') then 'anthropic'
        when regexp_matches(lower(address), '(^|[/.])api\.(groq|deepseek|mistral|together|cohere|x|perplexity)\.(com|ai|xyz)')
            then regexp_replace(regexp_extract(lower(address), 'api\.(\w+)\.', 1), '^x$', 'xai')
    end,
    known_seller(named),
    case
        when regexp_matches(lower(model), '^openrouter/') then 'openrouter'
        when regexp_matches(lower(model), '^(bedrock|amazon_bedrock)/|^arn:aws|^((us|eu|apac|au|jp|us-gov|global)\.)?(anthropic|amazon|meta|cohere|mistral|ai21|deepseek)\.')
            then 'bedrock'
        when regexp_matches(lower(model), '^(azure|azure_ai)/') then 'azure'
        when regexp_matches(lower(model), '^(vertex_ai|vertex)/|^publishers/|^claude-.*@') then 'vertex'
        when regexp_matches(lower(model), '^(openai/)?(gpt-|chatgpt|o[1-9]([-.]|$)|text-embedding-|ft:|codex|davinci|babbage|whisper|tts-|dall-e|omni-moderation|computer-use)')
            then 'openai'
        when regexp_matches(lower(model), '^(anthropic/)?claude') then 'anthropic'
        when regexp_matches(lower(model), '^(gemini/|google/|models/)?(gemini|gemma|text-embedding-00|embedding-00)') then 'google'
        when regexp_matches(lower(model), '^(mistral/|mistralai/)?(mistral|codestral|ministral|pixtral|magistral|devstral|open-mi)') then 'mistral'
        when regexp_matches(lower(model), '^(xai/|x-ai/)?grok') then 'xai'
        when regexp_matches(lower(model), '^(deepseek/)?deepseek-') then 'deepseek'
        when regexp_matches(lower(model), '^(cohere/)?(command|embed-|rerank-)') then 'cohere'
        when regexp_matches(lower(model), '^(groq|together_ai|together|fireworks_ai|perplexity|cerebras)/') then replace(split_part(lower(model), '/', 1), '_ai', '')
    end,
    'unknown'
);

-- Whom a call is owed to: the seller, or behind a router that used the account's own key (BYOK) the provider of that key, which is
-- the upstream that the router names, else who is known for the model.
create or replace temp macro owed_to(seller, basis, host, model) as case
    when basis is distinct from 'own_key' then seller
    else coalesce(
        seller_named(host),
        case when regexp_matches(lower(model), '^(openrouter/)?amazon/') then 'bedrock' end,
        seller_of(cast(null as varchar), regexp_replace(lower(model), '^openrouter/', ''), cast(null as varchar))
    )
end;

-- ---- Who sold a line of a bill. A company's form is no part of its name: OpenAI, LLC; Anthropic, PBC; X.AI Corp.
create or replace temp macro without_company_form(name) as
    regexp_replace(name, '(_(inc|incorporated|llc|l_l_c|ltd|limited|pbc|corp|corporation|co|company|gmbh|sas|plc|opco|ireland|us))+$', '');
create or replace temp macro cloud_named(names) as case
    when regexp_matches(names, '\b(aws|amazon)\b', 'i') then 'bedrock'
    when regexp_matches(names, '\b(microsoft|azure)\b', 'i') then 'azure'
    when regexp_matches(names, '\b(google|gcp)\b', 'i') then 'google'
end;
-- Makers whose models clouds sell: such a host wins over the maker. Of all others a host says only where the machines stand.
create or replace temp macro is_sold_by_clouds(name) as
    regexp_matches(name, '^(openai|anthropic|mistral|cohere|meta|ai21|deepseek|x_?ai|stability|nvidia|writer|twelvelabs|luma)(_|$)');
-- The services of Google that sell models without Vertex AI.
create or replace temp macro is_gemini_service(service) as
    regexp_matches(lower(service), 'gemini (developer )?api|generative ?language|google ai\b|ai studio|^google( gemini)? api$');
create or replace temp macro company_seller(service_provider) as coalesce(
    known_seller(without_company_form(seller_name(service_provider))),
    nullif(regexp_extract(seller_name(service_provider), '^(openai|anthropic|mistral|deepseek|groq|cohere|together|openrouter|perplexity|fireworks|cerebras)(_|$)', 1), ''),
    case when regexp_matches(seller_name(service_provider), '^x_?ai(_|$)') then 'xai' end,
    nullif(without_company_form(seller_name(service_provider)), ''),
    nullif(seller_name(service_provider), '')
);
-- names are those of the host and of the sellers that the line has; is_of_cloud says that the line is written by a cloud itself.
create or replace temp macro billed_seller(service_provider, names, service, is_of_cloud) as case
    when cloud_named(names) is null
        or not (cloud_named(service_provider) is not null or is_of_cloud or is_sold_by_clouds(seller_name(service_provider)))
        then company_seller(service_provider)
    when cloud_named(names) <> 'google' then cloud_named(names)
    when is_gemini_service(service) then 'google'
    else 'vertex'
end;
