{# Cells of usage in their own week, and in later ones as a baseline: a select with `weeks_later`, of cells in which there is `counted`. #}
{% macro cells_and_baselines(columns, weeks, counted) %}
select
            cast(c.week_start_date + 7 * cast(o.weeks_later as integer) as date) as week_start_date,
            o.weeks_later,
            c.feature,
            c.workflow_step,
            c.prompt_name,
{% for name in columns %}
            c.{{ name }},
{% endfor %}
        from stat_usage_cells_weekly as c
        cross join (select unnest(range(0, {{ weeks }})) as weeks_later) as o
        where c.{{ counted }} > 0
{%- endmacro %}
