{# The capability tier that a row's model had on a day, to join: ref_model_tiers as `m`. #}
{% macro tier_of(alias, day) %}
ref_model_tiers as m
        on {{ alias }}.provider = m.provider
        and {{ alias }}.model_canonical = m.model_id
        and (m.valid_from_date is null or {{ day }} >= m.valid_from_date)
        and (m.valid_to_date is null or {{ day }} < m.valid_to_date)
{%- endmacro %}
