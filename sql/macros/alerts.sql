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

{% set periods = {
    "day": ("t.usage_date", "t.usage_date + 1"),
    "week": ("t.week_start_date", "t.week_start_date + 7"),
    "month": ("t.month_start_date", "cast(t.month_start_date + interval 1 month as date)"),
} %}

{# A branch of mart_alert_states: the periods that a rule judged, from a table and its joins. What is not named is the usual. #}
{% macro judged(
    rule, limit, table, state, impact, sentence, evidence, period="week",
    entity_type="feature", entity_id="t.feature", dimension="''", feature="t.feature",
    owner="cast(null as varchar)", severity="cast(null as varchar)", possible="false",
    remedy="cast(null as varchar)"
) %}
select
        '{{ rule }}' as rule,
        {{ limit }} as limit_name,
        {{ severity }} as severity_here,
        '{{ entity_type }}' as entity_type,
        {{ entity_id }} as entity_id,
        {{ dimension }} as dimension,
        {{ periods[period][0] }} as period_start_date,
        {{ periods[period][1] }} as period_end_date,
        {{ state }} as state,
        {{ possible }} as is_possible,
        cast({{ impact }} as decimal(38, 10)) as cost_impact_usd,
        {{ feature }} as feature,
        {{ owner }} as owner_here,
        {{ sentence }} as sentence,
        {{ remedy }} as remedy_here,
        {{ evidence }} as evidence_query,
    from {{ table }} as t
{%- endmacro %}

{# The limit of a name on a day, as a join. #}
{% macro limit_of(name, alias, day) %}
inner join ref_limits as {{ alias }}
        on {{ alias }}.limit_name = '{{ name }}' and {{ alias }}.scope_kind = ''
        and {{ day }} >= {{ alias }}.valid_from_date and {{ day }} < {{ alias }}.valid_to_date
{%- endmacro %}
