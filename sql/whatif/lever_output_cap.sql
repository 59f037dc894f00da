{#
A cap on the output, given or proposed for each request type from its own calls. Text is cut before reasoning, which came first. A second row is
the call asked again without the cap, with the share of cut answers that are.
#}
{% from "macros/caps.sql" import reasoning_left, text_left with context %}
{% from "macros/replay.sql" import cases, chosen, step, times, total with context %}
{% set output = total("output") %}
with caps as (
    select
        b.feature,
        b.workflow_step,
        b.prompt_name,
        case
            when max(s.cap_tokens_mid) > 0 then cast(max(s.cap_tokens_mid) as bigint)
            when count(*) >= max(s.min_calls_mid) then cast(
                ceil(quantile_disc({{ output }}, {{ quantile }}) / cast(max(s.round_tokens_mid) as double))
                * cast(max(s.round_tokens_mid) as double) as bigint
            )
        end as cap_tokens,
    from whatif_before as b
    cross join whatif_settings as s
    where {{ chosen() }} and {{ output }} > 0
    group by b.feature, b.workflow_step, b.prompt_name
),

judged as (
    select
        b.*,
        coalesce(c.cap_tokens is not null and {{ chosen() }}, false) as is_capped,
        case when c.cap_tokens is not null and {{ chosen() }} then greatest({{ output }} - c.cap_tokens, 0) else 0 end as excess_tokens,
{% for case in cases %}
        s.retry_share_{{ case }},
{% endfor %}
    from whatif_before as b
    cross join whatif_settings as s
    left join caps as c on b.feature = c.feature and b.workflow_step = c.workflow_step and b.prompt_name = c.prompt_name
)

{% set cut = "not u.is_second and b.excess_tokens > 0" %}
{% set changes = {
    "is_covered": "b.is_covered or b.is_capped",
    "is_changed": "b.is_changed or b.excess_tokens > 0",
    "requests": "case when u.is_second then 0 else b.requests end",
    "effective_cost_usd": "case when u.is_second then 0 else b.effective_cost_usd end",
    "output_text_tokens": "case when " ~ cut ~ " then " ~ text_left("b", "b.excess_tokens") ~ " else b.output_text_tokens end",
    "output_reasoning_tokens": "case when " ~ cut ~ " then " ~ reasoning_left("b", "b.excess_tokens") ~ " else b.output_reasoning_tokens end",
} %}
{% for case in cases %}
{% set _ = changes.update({
    "weight_" ~ case: "case when u.is_second then " ~ times("b.weight_" ~ case, "b.retry_share_" ~ case) ~ " else b.weight_" ~ case ~ " end",
    "added_" ~ case ~ "_usd": "case when u.is_second then 0 else b.added_" ~ case ~ "_usd end",
}) %}
{% endfor %}
select
{{ step(changes) }}
from judged as b
{% if has_second %}
cross join (select unnest([false, true]) as is_second) as u
where not u.is_second or b.excess_tokens > 0
{% else %}
cross join (select false as is_second) as u
{% endif %}
