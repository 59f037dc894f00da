{# Figures as words of a sentence. #}

{# Dollars a week of a column as text, $1,234.56 a week, or `a week less` below 0; null, and so left out of a sentence, where it is not known. #}
{% macro money(column) %}
{% set cents %}cast(round(abs({{ column }}), 2) as decimal(38, 2)){% endset %}
{% set dollars %}cast(floor({{ cents }}) as bigint){% endset %}
'$' || case when {{ dollars }} >= 1000000 then cast({{ dollars }} // 1000000 as varchar) || ',' else '' end
            || case
                when {{ dollars }} >= 1000000 then lpad(cast({{ dollars }} // 1000 % 1000 as varchar), 3, '0') || ','
                when {{ dollars }} >= 1000 then cast({{ dollars }} // 1000 as varchar) || ','
                else ''
            end
            || case when {{ dollars }} >= 1000 then lpad(cast({{ dollars }} % 1000 as varchar), 3, '0') else cast({{ dollars }} as varchar) end
            || '.' || lpad(cast(cast(({{ cents }} - {{ dollars }}) * 100 as bigint) as varchar), 2, '0')
            || case when {{ column }} < 0 then ' a week less' else ' a week' end
{%- endmacro %}
