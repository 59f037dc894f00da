{# Calls of a user above a limit for each month: what is left of them is the share that is made all the same. #}
{% from "macros/replay.sql" import cases, chosen, step, times with context %}
with meant as not materialized (
    select
        b.*,
        {{ chosen() }} as is_meant,
        s.calls_per_month_mid as calls_per_month,
{% for case in cases %}
        s.kept_share_{{ case }},
{% endfor %}
    from whatif_before as b
    cross join whatif_settings as s
),

placed as (
    select
        b.*,
        row_number() over (
            partition by coalesce(b.user_id, b.customer_id), date_trunc('month', b.usage_date) order by b.started_at, b.request_key
        ) as place,
    from meant as b
    where b.is_meant
    union all
    select b.*, 1 as place
    from meant as b
    where not coalesce(b.is_meant, false)
)

{% set above = "b.is_meant and b.place > b.calls_per_month" %}
{% set changes = {"is_covered": "b.is_covered or b.is_meant", "is_changed": "b.is_changed or (" ~ above ~ ")"} %}
{% for case in cases %}
{% set _ = changes.update({
    "weight_" ~ case: "case when " ~ above ~ " then " ~ times("b.weight_" ~ case, "b.kept_share_" ~ case) ~ " else b.weight_" ~ case ~ " end",
}) %}
{% endfor %}
select
{{ step(changes) }}
from placed as b
