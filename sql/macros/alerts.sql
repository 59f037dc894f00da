{# What rules of alerts have in common. A branch of mart_alert_states gives one row per period and entity that was judged. #}

{#
The query that shows the rows behind an alert, as an expression: `equal` has columns with the values that they have, dates as dates;
`week` is a date column of the table whose days are those of the week of week_start_date.
#}
{% macro evidence(table, alias, equal, week=none) %}
'select * from {{ table }} where '
{% for column, type in equal.items() %}
{% if type == "date" %}
            || '{{ column }} = date ''' || cast({{ alias }}.{{ column }} as varchar) || ''''
{% else %}
            || '{{ column }} = ''' || replace({{ alias }}.{{ column }}, '''', '''''') || ''''
{% endif %}
            {{ "|| ' and '" if not loop.last }}
{% endfor %}
{% if week %}
            || ' and {{ week }} >= date ''' || cast({{ alias }}.week_start_date as varchar)
            || ''' and {{ week }} < date ''' || cast({{ alias }}.week_start_date + 7 as varchar) || ''''
{% endif %}
{%- endmacro %}

{# A dollar amount as people read it. #}
{% macro dollars(value) %}
'$' || format('{:,.2f}', cast({{ value }} as double))
{%- endmacro %}

{# A share in percent, with one decimal. #}
{% macro percent(value) %}
format('{:.1f} %', 100 * cast({{ value }} as double))
{%- endmacro %}
