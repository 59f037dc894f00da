{# The days of instants, by count: through its calendar the engine takes seven times as long, and these are asked of every call. #}
{% macro utc_date(instant) -%}
date '1970-01-01' + cast(floor(epoch({{ instant }}) / 86400) as integer)
{%- endmacro %}

{# In the reporting time zone: `reporting` is the alias of ref_reporting. #}
{% macro local_date(instant, reporting="z") -%}
case
            when {{ reporting }}.reporting_time_zone = 'UTC' then {{ utc_date(instant) }}
            else cast({{ instant }} at time zone {{ reporting }}.reporting_time_zone as date)
        end
{%- endmacro %}

{# The Monday of its week there. #}
{% macro local_week(instant, reporting="z") -%}
cast(date_trunc('week', {{ local_date(instant, reporting) }}) as date)
{%- endmacro %}
