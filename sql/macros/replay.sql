{#
What a replay hands from lever to lever. A row is one call, or several that differ in nothing that a lever looks at; a lever changes what a
row is asked of, its tokens, or what of its cost is left, and keeps all else. `whatif_before` has the rows before a lever, as `b`;
`whatif_settings` its one row of settings, as `s`.
#}
{% from "macros/rate_keys.sql" import call_keys, scopes with context %}
{% set cases = ["low", "mid", "high"] %}
{% set key_columns = ["provider"] + call_keys | list %}
{% set scope_columns = [] %}
{% for name, _ in scopes %}{% set _ = scope_columns.append(name ~ "_scope") %}{% endfor %}
{% set told_columns = [
    "request_key", "started_at", "usage_date", "feature", "workflow_step", "prompt_name", "prompt_version", "customer_tier", "customer_id",
    "user_id", "session_id", "prompt_hash", "prompt_prefix_hash", "static_prompt_tokens", "is_open", "is_covered", "is_changed", "is_moved", "requests",
    "effective_cost_usd", "units_cost_usd", "context_tokens", "draw_group",
] %}
{% set case_columns = [] %}
{% for case in cases %}{% for name in ("weight_", "input_factor_", "output_factor_", "cold_share_") %}{% set _ = case_columns.append(name ~ case) %}{% endfor %}{% set _ = case_columns.append("added_" ~ case ~ "_usd") %}{% endfor %}
{% set replay_columns = told_columns + key_columns + scope_columns + case_columns + token_classes | map(attribute="tokens") | list %}

{# Every column of a row, those in `changes` by another expression. #}
{% macro step(changes) %}
{% for name in replay_columns %}
    {{ changes[name] ~ " as " ~ name if name in changes else "b." ~ name }},
{% endfor %}
{% endmacro %}

{# A factor of a row by another: most rows have none yet, and products of decimals are slow. #}
{% macro times(one, other) -%}
case when {{ one }} = 1 then cast({{ other }} as decimal(18, 9)) else cast({{ one }} * {{ other }} as decimal(18, 9)) end
{%- endmacro %}

{# Whether a row is among those that a lever is for: any of the words of a setting. `meant_by` has the settings that are not blank. #}
{% set of_row = {
    "feature": "b.feature", "step": "b.workflow_step", "customer_id": "b.customer_id", "customer_tier": "b.customer_tier",
    "provider": "b.provider", "from_model": "concat(b.provider, '/', b.model_canonical)",
} %}
{% macro chosen() %}
b.is_open
        and b.requests > 0
{% for name in meant_by %}
        and list_contains(string_split(s.{{ name }}, ' '), {{ of_row[name] }})
{% endfor %}
{%- endmacro %}

{% macro total(type, alias="b") %}
({% for class in token_classes if (class.type == "output") == (type == "output") %}{{ alias }}.{{ class.tokens }}{{ " + " if not loop.last }}{% endfor %})
{%- endmacro %}
