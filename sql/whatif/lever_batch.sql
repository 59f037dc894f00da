{#
Work that nobody waits for, as a batch or in the flex tier. Part of it may not be able to wait after all: a second row is that part, as it was.
#}
{% from "macros/replay.sql" import cases, chosen, key_columns, scope_columns, step, times with context %}
{% set column = "is_batch" if mode == "batch" else "service_tier" %}
{% set value = "true" if mode == "batch" else "'flex'" %}
with offered as (
    select distinct usage_date{% for name in key_columns + scope_columns if name != column and name != "service_tier" %}, {{ name }}{% endfor %}
    from ledger_rates
    where rate_status = 'ok' and {{ column }} = {{ value }}
),

waiting as (
    select distinct d.usage_date, f.feature
    from (select distinct usage_date from ledger_rates) as d
    inner join ref_features as f
        on (f.valid_from_date is null or d.usage_date >= f.valid_from_date)
        and (f.valid_to_date is null or d.usage_date < f.valid_to_date)
    where f.workload = 'async'
),

judged as (
    select
        b.*,
        coalesce(
            o.usage_date is not null
            and {{ chosen() }}
            and not b.is_batch
            and lower(b.service_tier) in ('{{ service_tiers["standard"] | join("', '") }}')
            and lower(b.speed) <> 'fast'
            and (s.feature <> '' or f.feature is not null),
            false
        ) as is_patient,
{% for case in cases %}
        s.share_{{ case }},
{% endfor %}
    from whatif_before as b
    cross join whatif_settings as s
    left join waiting as f on b.usage_date = f.usage_date and b.feature = f.feature
    left join offered as o
        on b.usage_date = o.usage_date
{% for name in key_columns + scope_columns if name != column and name != "service_tier" %}
        and b.{{ name }} = o.{{ name }}
{% endfor %}
)

{% set changes = {
    "is_covered": "b.is_covered or b.is_patient",
    "is_changed": "b.is_changed or b.is_patient",
    "requests": "case when u.is_second then 0 else b.requests end",
    "effective_cost_usd": "case when u.is_second then 0 else b.effective_cost_usd end",
    column: "case when b.is_patient and not u.is_second then " ~ value ~ " else b." ~ column ~ " end",
} %}
{% for case in cases %}
{% set _ = changes.update({
    "weight_" ~ case: "case when u.is_second then " ~ times("b.weight_" ~ case, "(1 - b.share_" ~ case ~ ")") ~ " when b.is_patient then " ~ times("b.weight_" ~ case, "b.share_" ~ case) ~ " else b.weight_" ~ case ~ " end",
    "added_" ~ case ~ "_usd": "case when u.is_second then 0 else b.added_" ~ case ~ "_usd end",
}) %}
{% endfor %}
select
{{ step(changes) }}
from judged as b
{% if has_second %}
cross join (select unnest([false, true]) as is_second) as u
where not u.is_second or b.is_patient
{% else %}
cross join (select false as is_second) as u
{% endif %}
