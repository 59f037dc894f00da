{#
Prompts without the examples that a fine-tuned model has learned: a share of the constant part of the prompt, where its length is known, of the
calls that have moved to that model.
#}
{% from "macros/replay.sql" import chosen, step with context %}
with judged as (
    select
        b.*,
        b.is_moved and {{ chosen() }} as is_meant,
        case
            when b.is_moved and {{ chosen() }} and b.static_prompt_tokens > 0
                then least(cast(floor(b.static_prompt_tokens * s.example_share_mid) as bigint), b.input_uncached_tokens + b.cache_read_tokens)
            else 0
        end as spared_tokens,
    from whatif_before as b
    cross join whatif_settings as s
)

{% set read = "least(b.spared_tokens, b.cache_read_tokens)" %}
select
{{ step({
    "is_covered": "b.is_covered or b.is_meant",
    "is_changed": "b.is_changed or b.spared_tokens > 0",
    "context_tokens": "greatest(b.context_tokens - b.spared_tokens, 0)",
    "cache_read_tokens": "b.cache_read_tokens - " ~ read,
    "input_uncached_tokens": "b.input_uncached_tokens - (b.spared_tokens - " ~ read ~ ")",
}) }}
from judged as b
