{# Figures as words of a sentence. #}

{# Dollars as people read them, $1,234.56; null where they are not known. #}
{% macro dollars(value) %}
'$' || format('{:,.2f}', cast({{ value }} as double))
{%- endmacro %}

{# A share in percent, with one decimal. #}
{% macro percent(value) %}
format('{:.1f} %', 100 * cast({{ value }} as double))
{%- endmacro %}

{# Dollars a week of a column: `$1,234.56 a week`, or `a week less` below 0; null, and so left out of a sentence, where it is not known. #}
{% macro dollars_a_week(column) %}
{{ dollars("round(abs(" ~ column ~ "), 2)") }} || case when {{ column }} < 0 then ' a week less' else ' a week' end
{%- endmacro %}
