{# Expressions over token classes. A column is the class with an ending, such as _tokens, of the table with the alias. #}
{% set input_classes = token_classes | rejectattr("type", "eq", "output") | list %}
{% set output_classes = token_classes | selectattr("type", "eq", "output") | list %}
{% set cached_classes = token_classes | selectattr("type", "in", ("cache_read", "cache_write")) | list %}

{# The class that a cached one would be of if there were no cache: uncached input of its kind, such as audio, else text. #}
{% macro uncached(class) %}
{% set kind = "input_" ~ class.name | replace(class.type ~ "_", "") %}
{{- kind if kind in input_classes | map(attribute="name") else "input_uncached" -}}
{% endmacro %}

{% macro each(classes, before, after, between=", ") %}
{% for class in classes %}{{ before }}{{ class.name }}{{ after }}{{ between if not loop.last }}{% endfor %}
{% endmacro %}

{% macro sum_of(classes, alias, ending) %}
{{ each(classes, "coalesce(" ~ alias ~ ".", ending ~ ", 0)", " + ") }}
{%- endmacro %}

{# The sum of the classes; null where none of them is known. #}
{% macro total_of(classes, alias, ending="_tokens") %}
{% set classes = classes | list %}
case
        when coalesce({{ each(classes, alias ~ ".", ending) }}) is not null
            then {{ sum_of(classes, alias, ending) }}
    end
{%- endmacro %}

{# Tokens of the classes that a unit of the price book prices, also where it stands in for another unit. #}
{% macro tokens_priced_by(unit, alias) %}
{% for class in token_classes if unit in class.units %}coalesce({{ alias }}.{{ class.tokens }}, 0){{ " + " if not loop.last }}{% endfor %}
{% endmacro %}

{# The tier of a call, a bucket or a line as bills tell tiers apart. #}
{% macro rate_tier(alias) %}
case
            when {{ alias }}.is_batch or lower({{ alias }}.service_tier) = 'batch' then 'batch'
            when lower({{ alias }}.service_tier) like '%flex%' then 'flex'
            when lower({{ alias }}.service_tier) like '%priority%' then 'priority'
            else 'standard'
        end
{%- endmacro %}

{# Tokens of a type by the totals that tables have: the total of input holds what was read from and written to the cache. #}
{% macro tokens_of_type(type) %}
{% if type == "input" %}
input_total_tokens - cache_read_total_tokens - cache_write_total_tokens
{%- else %}
{{ type }}_total_tokens
{%- endif %}
{% endmacro %}

{#
Tokens that the usage of a call states and no class has: what its total has on top of the classes, or what stands under keys that
no rule reads, whichever is more. Null where there are none.
#}
{% macro unread_tokens(alias) %}
nullif(greatest(
            {{ alias }}.provider_total_tokens - coalesce({{ alias }}.total_tokens, 0),
            {{ alias }}.unread_tokens,
            0
        ), 0)
{%- endmacro %}
