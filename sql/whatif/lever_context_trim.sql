{#
Shorter prompts: calls longer than a limit lose a share of their input (passages found twice, stale turns), or all above a length. What is cut is
uncached input first, then what is read from the cache.
#}
{% from "macros/replay.sql" import cases, chosen, step, times, total with context %}
{% set input = total("input") %}
with judged as (
    select
        b.*,
        {{ chosen() }} and {{ input }} > s.over_tokens_mid as is_meant,
        case
            when s.max_input_tokens_mid > 0 and {{ chosen() }} then greatest({{ input }} - cast(s.max_input_tokens_mid as bigint), 0)
            else 0
        end as excess_tokens,
{% for case in cases %}
        s.trim_share_{{ case }},
{% endfor %}
    from whatif_before as b
    cross join whatif_settings as s
)

{% set fresh = "least(b.excess_tokens, b.input_uncached_tokens)" %}
{% set changes = {
    "is_covered": "b.is_covered or b.is_meant or b.excess_tokens > 0",
    "is_changed": "b.is_changed or b.excess_tokens > 0 or (b.is_meant and b.trim_share_low + b.trim_share_mid + b.trim_share_high > 0)",
    "context_tokens": "greatest(b.context_tokens - b.excess_tokens, 0)",
    "input_uncached_tokens": "b.input_uncached_tokens - " ~ fresh,
    "cache_read_tokens": "greatest(b.cache_read_tokens - (b.excess_tokens - " ~ fresh ~ "), 0)",
} %}
{% for case in cases %}
{% set _ = changes.update({
    "input_factor_" ~ case: "case when b.is_meant then " ~ times("b.input_factor_" ~ case, "(1 - b.trim_share_" ~ case ~ ")") ~ " else b.input_factor_" ~ case ~ " end",
}) %}
{% endfor %}
select
{{ step(changes) }}
from judged as b
