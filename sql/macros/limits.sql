{# Limits of ref_limits as columns: each macro takes their names in thresholds.csv with the names of the columns. #}

{# The limits of each week of `weeks`, as `limits`; or of other periods of `weeks` by their first day. #}
{% macro limits_of_weeks(columns, start="week_start_date") %}
limits as (
    select
        w.{{ start }},
{% for limit, column in columns.items() %}
        max(case when l.limit_name = '{{ limit }}' then l.threshold_number end) as {{ column }},
{% endfor %}
    from weeks as w
    inner join ref_limits as l
        on l.scope_kind = ''
        and w.{{ start }} >= l.valid_from_date
        and w.{{ start }} < l.valid_to_date
    group by w.{{ start }}
)
{%- endmacro %}

{# The limits of each week and feature that stand in `limits` as rows, as `limit_rows`. #}
{% macro limits_of_features(columns) %}
limit_rows as (
    select
        week_start_date,
        feature,
{% for limit, column in columns.items() %}
        max(case when limit_name = '{{ limit }}' then threshold_number end) as {{ column }},
{% endfor %}
    from limits
    group by week_start_date, feature
)
{%- endmacro %}
