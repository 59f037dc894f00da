{#
Answers given again in place of a call: where the hash of the prompt is known, if the same prompt came within the lifetime; elsewhere by a
stated share of repeats. Each call pays for a look-up, and a wrong answer for the call that has to be made after all.
#}
{% from "macros/levers.sql" import is_within with context %}
{% from "macros/replay.sql" import cases, chosen, step, times with context %}
with shares as (
    select
        *,
        cast(lookup_usd_mid as decimal(38, 15)) as lookup_usd,
{% for case in cases %}
        cast(1 - cast(repeat_share_{{ case }} * (1 - wrong_share_{{ case }}) as decimal(18, 9)) as decimal(18, 9)) as asked_share_{{ case }},
{% endfor %}
    from whatif_settings
),

meant as not materialized (
    select
        b.*,
        {{ chosen() }} as is_meant,
        b.prompt_hash is not null as is_known,
        cast(s.ttl_seconds_mid as bigint) * 1000000 as ttl_us,
        s.lookup_usd,
{% for case in cases %}
        s.wrong_share_{{ case }},
        s.asked_share_{{ case }},
{% endfor %}
    from whatif_before as b
    cross join shares as s
),

seen as (
    select
        b.*,
        {{ is_within("b", "lag(b.started_at) over (partition by b.feature, b.prompt_hash order by b.started_at, b.request_key)", "b.ttl_us") }} as is_repeated,
    from meant as b
    where b.is_meant and b.is_known
    union all
    select b.*, false as is_repeated
    from meant as b
    where not coalesce(b.is_meant and b.is_known, false)
)

{% set changes = {
    "is_covered": "b.is_covered or b.is_meant",
    "is_changed": "b.is_changed or (b.is_meant and (b.is_repeated or not b.is_known))",
} %}
{% for case in cases %}
{% set w = "b.weight_" ~ case %}
{% set _ = changes.update({
    "weight_" ~ case: "case when not b.is_meant then " ~ w ~ " when not b.is_known then " ~ times(w, "b.asked_share_" ~ case) ~ " when b.is_repeated then " ~ times(w, "b.wrong_share_" ~ case) ~ " else " ~ w ~ " end",
    "added_" ~ case ~ "_usd": "b.added_" ~ case ~ "_usd + case when not b.is_meant then 0 when b.requests = 1 then b.lookup_usd else cast(b.lookup_usd * b.requests as decimal(38, 15)) end",
}) %}
{% endfor %}
select
{{ step(changes) }}
from seen as b
