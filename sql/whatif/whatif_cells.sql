{#
The same rows out of stat_rate_cells_weekly, for levers that look at no single call: many calls a row.
Of instants and lengths they know the box of rates.
#}
{% from "macros/rate_keys.sql" import scopes with context %}
{% from "macros/replay.sql" import cases, key_columns, scope_columns with context %}
select
    cast(null as varchar) as request_key,
    k.rate_from_at as started_at,
    k.usage_date,
    k.feature,
    '(unnamed)' as workflow_step,
    '(unnamed)' as prompt_name,
    '' as prompt_version,
    k.customer_tier,
    '' as customer_id,
    cast(null as varchar) as user_id,
    cast(null as varchar) as session_id,
    cast(null as varchar) as prompt_hash,
    cast(null as varchar) as prompt_prefix_hash,
    cast(null as bigint) as static_prompt_tokens,
    k.cost_basis = 'rates' as is_open,
    false as is_covered,
    false as is_changed,
    false as is_moved,
    k.requests,
    k.effective_cost_usd,
    k.units_cost_usd,
    k.ctx_min_tokens as context_tokens,
    cast(0 as ubigint) as draw_group,
{% for name in key_columns + scope_columns %}
    k.{{ name }},
{% endfor %}
{% for case in cases %}
    cast(1 as decimal(18, 9)) as weight_{{ case }},
    cast(1 as decimal(18, 9)) as input_factor_{{ case }},
    cast(1 as decimal(18, 9)) as output_factor_{{ case }},
    cast(0 as decimal(18, 9)) as cold_share_{{ case }},
    cast(0 as decimal(38, 15)) as added_{{ case }}_usd,
{% endfor %}
{% for class in token_classes %}
    k.{{ class.tokens }},
{% endfor %}
from stat_rate_cells_weekly as k
cross join whatif_window as w
where k.usage_date >= cast(w.first_at as date) and k.usage_date < cast(w.end_at as date)
