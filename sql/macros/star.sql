{# Keys of the dimensions of the star (sql/star/), readable and the same in every run. #}

{% macro model_key() %}
provider || ' | ' || model_canonical || ' | ' || model_tier
{%- endmacro %}

{% macro account_key() %}
provider || ' | ' || coalesce(billing_account_id, 'unattributed')
{%- endmacro %}
