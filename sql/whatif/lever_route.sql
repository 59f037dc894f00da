{#
Calls by another model, from the shortest on. The first row of a call is its try by the other model; where that may fail or be found wanting, a
second row is the call as it was, with the share of the cases in which it is made again. A cascade is the same with a share by length of the
prompt, in tenths of the feature's calls.
#}
{% from "macros/replay.sql" import cases, chosen, replay_columns, step, times, total with context %}
{% set input = total("input") %}
with
{% if is_cascade or is_partial %}
lengths as (
    select
        b.feature,
{% if is_cascade %}
        quantile_disc({{ input }}, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) as tenths,
{% endif %}
{% if is_partial %}
        quantile_disc({{ input }}, {{ share }}) as longest_tokens,
{% endif %}
    from whatif_before as b
    cross join whatif_settings as s
    inner join whatif_targets as t
        on b.usage_date = t.usage_date and b.provider = t.from_provider and b.model_canonical = t.from_model
    where {{ chosen() }}
    group by b.feature
),
{% endif %}

judged as (
    select
        b.*,
        t.to_provider,
        t.to_model,
        coalesce(t.to_model is not null and {{ chosen() }}, false) as is_meant,
        coalesce(
            t.to_model is not null and {{ chosen() }}{% if is_partial %} and {{ share }} > 0 and {{ input }} <= l.longest_tokens{% endif %},
            false
        ) as is_routed,
{% if is_cascade %}
        cast(
            list_extract(s.escalation_by_tenth, cast(1 + length(list_filter(l.tenths, lambda bound: bound < {{ input }})) as integer)) as decimal(18, 9)
        ) as escalation_rate,
{% endif %}
{% for case in cases %}
        s.input_ratio_{{ case }},
        s.output_ratio_{{ case }},
        s.cold_share_{{ case }} as newly_cold_share_{{ case }},
        s.failure_rate_{{ case }},
{% endfor %}
    from whatif_before as b
    cross join whatif_settings as s
    left join whatif_targets as t
        on b.usage_date = t.usage_date and b.provider = t.from_provider and b.model_canonical = t.from_model
{% if is_cascade or is_partial %}
    left join lengths as l on b.feature = l.feature
{% endif %}
)

{# What only the first row of a call has in place of its own. #}
{% macro first(new, old) %}case when b.is_routed and not u.is_second then {{ new }} else b.{{ old }} end{% endmacro %}
{% macro kept(name) %}case when b.is_routed and not u.is_second and b.to_provider <> b.provider then '' else b.{{ name }} end{% endmacro %}
{% set changes = {
    "is_covered": "b.is_covered or b.is_meant",
    "is_changed": "b.is_changed or b.is_routed",
    "is_moved": "b.is_moved or (b.is_routed and not u.is_second)",
    "requests": "case when u.is_second then 0 else b.requests end",
    "effective_cost_usd": "case when u.is_second then 0 else b.effective_cost_usd end",
    "provider": first("b.to_provider", "provider"),
    "model_canonical": first("b.to_model", "model_canonical"),
    "service_tier": kept("service_tier"),
    "speed": first("''", "speed"),
    "region": kept("region"),
    "region_class": kept("region_class"),
    "billing_account_scope": kept("billing_account_scope"),
    "project_scope": kept("project_scope"),
} %}
{% for case in cases %}
{% set again = "least(b.escalation_rate * b.failure_rate_" ~ case ~ ", 1)" if is_cascade else "b.failure_rate_" ~ case %}
{% set _ = changes.update({
    "weight_" ~ case: "case when u.is_second then " ~ times("b.weight_" ~ case, again) ~ " else b.weight_" ~ case ~ " end",
    "input_factor_" ~ case: first(times("b.input_factor_" ~ case, "b.input_ratio_" ~ case), "input_factor_" ~ case),
    "output_factor_" ~ case: first(times("b.output_factor_" ~ case, "b.output_ratio_" ~ case), "output_factor_" ~ case),
    "cold_share_" ~ case: first("greatest(b.cold_share_" ~ case ~ ", b.newly_cold_share_" ~ case ~ ")", "cold_share_" ~ case),
    "added_" ~ case ~ "_usd": "case when u.is_second then 0 else b.added_" ~ case ~ "_usd end",
}) %}
{% endfor %}
select
{{ step(changes) }}
from judged as b
{% if has_second %}
cross join (select unnest([false, true]) as is_second) as u
where not u.is_second or b.is_routed
{% else %}
cross join (select false as is_second) as u
{% endif %}
