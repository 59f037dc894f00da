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

{# The limits of each week and feature of a table, as `limit_rows`; the limit of a feature goes before that of everything. #}
{% macro limits_of_rows(columns, table) %}
limits as (
    select
        f.week_start_date,
        f.feature,
        l.limit_name,
        l.threshold_number,
    from (select distinct week_start_date, feature from {{ table }}) as f
    inner join ref_limits as l
        on f.week_start_date >= l.valid_from_date
        and f.week_start_date < l.valid_to_date
        and (l.scope_kind = '' or (l.scope_kind = 'feature' and l.scope_value = f.feature))
        and l.limit_name in ({% for limit in columns %}'{{ limit }}'{{ ", " if not loop.last }}{% endfor %})
    qualify row_number() over (partition by f.week_start_date, f.feature, l.limit_name order by l.scope_kind desc) = 1
),

{{ limits_of_features(columns) }}
{%- endmacro %}
