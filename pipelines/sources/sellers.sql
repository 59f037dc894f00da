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
    case
        when lower(named) in ('openai', 'anthropic', 'google', 'vertex', 'bedrock', 'azure', 'openrouter', 'together', 'groq', 'mistral', 'xai',
            'deepseek', 'cohere', 'perplexity', 'fireworks', 'cerebras', 'self') then lower(named)
        when lower(named) in ('azure_openai', 'azure-openai', 'azure.ai.openai', 'az.ai.openai', 'azure.ai.inference', 'az.ai.inference', 'azure_ai')
            then 'azure'
        when lower(named) in ('aws', 'aws.bedrock', 'aws_bedrock', 'amazon_bedrock', 'amazon', 'amazon-bedrock', 'bedrock_converse') then 'bedrock'
        when lower(named) in ('gcp.vertex_ai', 'vertex_ai', 'vertexai', 'vertex-ai', 'google_vertexai', 'google-vertex', 'google.vertex')
            then 'vertex'
        when lower(named) in ('gcp.gemini', 'gemini', 'google-gla', 'google_genai', 'google-genai', 'gcp.gen_ai', 'google.generative-ai')
            then 'google'
        when lower(named) in ('mistral_ai', 'mistralai') then 'mistral'
        when lower(named) in ('x_ai', 'x-ai') then 'xai'
        when lower(named) in ('together_ai', 'togetherai') then 'together'
        when lower(named) in ('fireworks_ai') then 'fireworks'
        -- As gateways call them.
        when lower(named) in ('azure_text', 'azure-ai') then 'azure'
        when lower(named) like 'vertex\_ai%' escape '\' then 'vertex'
        when lower(named) in ('text-completion-openai') then 'openai'
        when lower(named) in ('cohere_chat') then 'cohere'
        when lower(named) in ('mistral-ai', 'codestral', 'text-completion-codestral') then 'mistral'
        when lower(named) in ('together-ai', 'fireworks-ai', 'perplexity-ai') then replace(lower(named), '-ai', '')
        when lower(named) = 'x' then 'xai'
        when lower(named) in ('ollama_chat', 'hosted_vllm', 'llamafile', 'lmstudio', 'xinference', 'triton') then 'self'
        when lower(named) in ('ollama', 'vllm', 'llama.cpp', 'huggingface_tgi', 'lm_studio') then 'self'
        -- The AI SDK names an API with the seller: openai.responses, anthropic.messages.
        when lower(named) similar to '(openai|anthropic|groq|mistral|deepseek|cohere|xai|perplexity)\..*' then split_part(lower(named), '.', 1)
    end,
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
)
