{# Limits of ref_limits as columns: each macro takes their names in thresholds.csv with the names of the columns. #}

{# The limits of each week of a table, as `limits`; or of other periods by the column with their first day. #}
{% macro limits_of_weeks(columns, start="week_start_date", table="weeks") %}
limits as (
    select
        w.{{ start }},
{% for limit, column in columns.items() %}
        max(case when l.limit_name = '{{ limit }}' then l.threshold_number end) as {{ column }},
{% endfor %}
    from {{ table }} as w
    inner join ref_limits as l
        on l.scope_kind = ''
        and w.{{ start }} >= l.valid_from_date
        and w.{{ start }} < l.valid_to_date
    group by w.{{ start }}
)
{%- endmacro %}

{# The limits of each week (or other period) and feature of a table, as `limit_rows`; the limit of a feature goes before that of everything. #}
{% macro limits_of_rows(columns, table, start="week_start_date") %}
limits as (
    select
        f.{{ start }},
        f.feature,
        l.limit_name,
        l.threshold_number,
    from (select distinct {{ start }}, feature from {{ table }}) as f
    inner join ref_limits as l
        on f.{{ start }} >= l.valid_from_date
        and f.{{ start }} < l.valid_to_date
        and (l.scope_kind = '' or (l.scope_kind = 'feature' and l.scope_value = f.feature))
        and l.limit_name in ({% for limit in columns %}'{{ limit }}'{{ ", " if not loop.last }}{% endfor %})
    qualify row_number() over (partition by f.{{ start }}, f.feature, l.limit_name order by l.scope_kind desc) = 1
),

limit_rows as (
    select
        {{ start }},
        feature,
{% for limit, column in columns.items() %}
        max(case when limit_name = '{{ limit }}' then threshold_number end) as {{ column }},
{% endfor %}
    from limits
    group by {{ start }}, feature
)
{%- endmacro %}
