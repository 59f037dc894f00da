{# What is left of an answer once so many tokens of it are cut: text goes before reasoning, which came first. #}
{% macro text_left(alias, excess) %}greatest({{ alias }}.output_text_tokens - {{ excess }}, 0){% endmacro %}
{% macro reasoning_left(alias, excess) %}greatest({{ alias }}.output_reasoning_tokens - greatest({{ excess }} - {{ alias }}.output_text_tokens, 0), 0){% endmacro %}
