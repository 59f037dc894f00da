{#
The provider's prompt cache for work that has never used it: in order of time, what a call repeats is read where the last call with the same
prefix is younger than the lifetime, else written. The prefix is the constant part of the prompt where its length is known; in a conversation
it is all that the call before has read.
#}
{% from "macros/levers.sql" import cacheable_of, is_within, left_for, prefix_of with context %}
{% from "macros/replay.sql" import cases, chosen, step, total with context %}
{% set input = total("input") %}
with without_cache as (
    select k.feature, k.provider, k.model_canonical
    from stat_rate_cells_weekly as k
    cross join whatif_window as w
    where k.usage_date >= cast(w.first_at as date) and k.usage_date < cast(w.end_at as date)
    group by k.feature, k.provider, k.model_canonical
    having sum(0{% for class in token_classes if class.type in ("cache_read", "cache_write") %} + k.{{ class.tokens }}{% endfor %}) = 0
),

keyed as not materialized (
    select
        b.*,
        n.feature is not null and {{ chosen() }} as is_meant,
        case when n.feature is not null and {{ chosen() }} then {{ prefix_of("b", "hash(") }} end as prefix_key,
        cast(s.ttl_seconds_mid as bigint) as ttl_seconds,
        s.min_prefix_tokens_mid as min_prefix_tokens,
{% for case in cases %}
        s.hit_share_{{ case }},
{% endfor %}
    from whatif_before as b
    cross join whatif_settings as s
    left join without_cache as n on b.feature = n.feature and b.provider = n.provider and b.model_canonical = n.model_canonical
),

followed as (
    select
        b.*,
        {{ cacheable_of("b") }} as cacheable_tokens,
        {{ left_for("b", "lag(" ~ input ~ ") over same_prefix") }} as known_tokens,
        {{ is_within("b", "lag(b.started_at) over same_prefix", "b.ttl_seconds * 1000000") }} as is_warm,
    from keyed as b
    where b.prefix_key is not null
    window same_prefix as (partition by b.prefix_key order by b.started_at, b.request_key)
    -- The others are not put in order.
    union all
    select b.*, 0 as cacheable_tokens, cast(null as bigint) as known_tokens, false as is_warm
    from keyed as b
    where b.prefix_key is null
),

counted as (
    select
        *,
        case when prefix_key is not null and is_warm and known_tokens >= min_prefix_tokens then known_tokens else 0 end as newly_read_tokens,
    from followed
),

written as (
    select
        *,
        case when prefix_key is not null and cacheable_tokens >= min_prefix_tokens then greatest(cacheable_tokens - newly_read_tokens, 0) else 0 end
            as newly_written_tokens,
    from counted
)

{% set changes = {
    "is_covered": "b.is_covered or coalesce(b.is_meant and b.prefix_key is not null, false)",
    "is_changed": "b.is_changed or b.newly_read_tokens + b.newly_written_tokens > 0",
    "input_uncached_tokens": "b.input_uncached_tokens - b.newly_read_tokens - b.newly_written_tokens",
    "cache_read_tokens": "b.cache_read_tokens + b.newly_read_tokens",
    "cache_write_5m_tokens": "b.cache_write_5m_tokens + case when b.ttl_seconds <= 300 then b.newly_written_tokens else 0 end",
    "cache_write_1h_tokens": "b.cache_write_1h_tokens + case when b.ttl_seconds > 300 then b.newly_written_tokens else 0 end",
} %}
{% for case in cases %}
{% set _ = changes.update({
    "cold_share_" ~ case: "case when b.newly_read_tokens > 0 then 1 - b.hit_share_" ~ case ~ " else b.cold_share_" ~ case ~ " end",
}) %}
{% endfor %}
select
{{ step(changes) }}
from written as b
