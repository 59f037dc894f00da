{#
What a lever does to a call, once for what-ifs (sql/whatif/) and for the levers of every week (mart_lever_savings_weekly). `alias` is the call,
`uncached` its fresh input; the other arguments are columns.
#}

{# What a call's prompt begins with, as a key: the constant part where its length is known, else the conversation so far. #}
{% macro prefix_of(alias, key="concat_ws('|', ") %}
case
            when {{ alias }}.static_prompt_tokens is not null
                then {{ key }}'prefix', {{ alias }}.provider, {{ alias }}.model_canonical, coalesce({{ alias }}.prompt_prefix_hash, concat_ws('|', {{ alias }}.feature, {{ alias }}.workflow_step, {{ alias }}.prompt_name, {{ alias }}.prompt_version)))
            when {{ alias }}.session_id is not null then {{ key }}'session', {{ alias }}.provider, {{ alias }}.model_canonical, {{ alias }}.session_id)
        end
{%- endmacro %}

{# So much of it may be cached, and so much the call before has left there. #}
{% macro cacheable_of(alias) %}
case when {{ alias }}.static_prompt_tokens is not null then least({{ alias }}.static_prompt_tokens, {{ alias }}.input_uncached_tokens) else {{ alias }}.input_uncached_tokens end
{%- endmacro %}
{% macro left_for(alias, input_before) %}
case
            when {{ alias }}.static_prompt_tokens is not null then least({{ alias }}.static_prompt_tokens, {{ alias }}.input_uncached_tokens)
            else least({{ input_before }}, {{ alias }}.input_uncached_tokens)
        end
{%- endmacro %}

{# Whether the call before is younger than a lifetime. #}
{% macro is_within(alias, started_before, ttl_us) %}
coalesce(date_diff('microsecond', {{ started_before }}, {{ alias }}.started_at) <= {{ ttl_us }}, false)
{%- endmacro %}

{# What the tokens of a row cost at the rates of `rates`; a model without a price of cached tokens bills them as fresh ones. #}
{% from "macros/tokens.sql" import uncached with context %}
{% macro rate_of(class, rates) %}
{%- if class.type in ("cache_read", "cache_write") -%}
coalesce({{ rates }}.{{ class.name }}_usd_per_mtok, {{ rates }}.{{ uncached(class) }}_usd_per_mtok, {{ rates }}.input_uncached_usd_per_mtok)
{%- else -%}
{{ rates }}.{{ class.name }}_usd_per_mtok
{%- endif -%}
{% endmacro %}
{% macro cost_of(classes, alias, rates) %}
cast(0{% for class in classes %} + case when {{ alias }}.{{ class.tokens }} = 0 then 0 else cast({{ alias }}.{{ class.tokens }} as bigint) * {{ rate_of(class, rates) }} * 0.000001 end{% endfor %} as decimal(38, 15))
{%- endmacro %}

{# What is read from a cache, where that is cold: it is written first where that has a price of its own. #}
{% macro cold_rate_of(class, rates) %}
{% if class.name == "cache_read" %}coalesce({{ rates }}.cache_write_5m_usd_per_mtok, {{ rates }}.input_uncached_usd_per_mtok){% else %}coalesce({{ rates }}.{{ uncached(class) }}_usd_per_mtok, {{ rates }}.input_uncached_usd_per_mtok){% endif %}
{%- endmacro %}
{% macro cold_cost_of(classes, alias, rates) %}
cast(0{% for class in classes %} + case when {{ alias }}.{{ class.tokens }} = 0 then 0 else cast({{ alias }}.{{ class.tokens }} as bigint) * {{ cold_rate_of(class, rates) }} * 0.000001 end{% endfor %} as decimal(38, 15))
{%- endmacro %}

{# What cached tokens would cost as fresh input. #}
{% macro uncached_cost_of(classes, alias, rates) %}
cast(0{% for class in classes %} + case when {{ alias }}.{{ class.tokens }} = 0 then 0 else cast({{ alias }}.{{ class.tokens }} as bigint) * coalesce({{ rates }}.{{ uncached(class) }}_usd_per_mtok, {{ rates }}.input_uncached_usd_per_mtok) * 0.000001 end{% endfor %} as decimal(38, 15))
{%- endmacro %}
