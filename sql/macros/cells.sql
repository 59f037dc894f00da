{% from "macros/days.sql" import local_date %}
{# What a call is summed by in statistics: macros take the alias of ledger_requests, and that of ref_reporting. #}

{# Its request type within the feature, as `workflow_step` and `prompt_name`. #}
{% macro type_of(alias) %}
case
            when {{ alias }}.workflow is null and {{ alias }}.step is null then '(unnamed)'
            else concat_ws('/', {{ alias }}.workflow, {{ alias }}.step)
        end as workflow_step,
        coalesce({{ alias }}.prompt_name, '(unnamed)') as prompt_name
{%- endmacro %}

{# A request type as people read it: nothing twice, and nothing that nobody named. #}
{% macro short_name_of(feature, workflow_step, prompt_name) %}
concat(
        {{ feature }},
        case when {{ workflow_step }} in ('(unnamed)', {{ feature }}) then '' else concat(' / ', {{ _within(feature, workflow_step) }}) end,
        case
            when {{ prompt_name }} in ('(unnamed)', {{ feature }}, {{ workflow_step }}) then ''
            else concat(' / ', {{ _within(feature, prompt_name) }})
        end
    )
{%- endmacro %}

{# A name without the feature that it begins with. #}
{% macro _within(feature, name) -%}
case
            when substr({{ name }}, 1, length({{ feature }}) + 1) = concat({{ feature }}, '/') then substr({{ name }}, length({{ feature }}) + 2)
            else {{ name }}
        end
{%- endmacro %}

{# Whose it is, as `cluster_unit` and `cluster_id`. #}
{% macro cluster_of(alias, reporting) %}
-- A session ends within its week, so it can hardly be compared with itself, and a customer's sessions resemble each
        -- other: the customer goes before the session.
        case
            when {{ alias }}.user_id is not null then 'user'
            when {{ alias }}.customer_id is not null then 'customer'
            when {{ alias }}.session_id is not null then 'session'
            else 'day_and_type'
        end as cluster_unit,
        coalesce(
            {{ alias }}.user_id,
            {{ alias }}.customer_id,
            {{ alias }}.session_id,
            concat_ws(
                ' | ', cast({{ local_date(alias ~ ".started_at", reporting) }} as varchar), {{ alias }}.feature,
                {{ alias }}.workflow, {{ alias }}.step, {{ alias }}.prompt_name
            )
        ) as cluster_id
{%- endmacro %}
