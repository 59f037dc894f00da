{#
What the rows of a replay would have cost, by feature and customer tier: with calls by groups of users as well, with cells by model. Tokens are
summed to equal rates first: at one list of rates a cost is linear in them. A row that no lever changed costs what the ledger says; one whose
new rates are missing stays as it was, and is counted.

Written only as far as the window and the levers want it: `factors` that a lever may change, token classes that any call has
(`live_classes`) or that some list of rates lacks (`lacking_classes`), and of the keys of rates those that differ (`keys`).
#}
{% from "macros/levers.sql" import cold_cost_of, cost_of, rate_of with context %}
{% from "macros/replay.sql" import cases with context %}
{% set live = token_classes | selectattr("name", "in", live_classes) | list %}
{% macro factor(name, case, else) %}{{ name ~ "_" ~ case if name in factors else else }}{% endmacro %}
{% set reads = live | selectattr("type", "eq", "cache_read") | list %}
{% set varied = [] %}
{% for name in factors if name != "added" %}{% for case in cases %}{% set _ = varied.append(name ~ "_" ~ case) %}{% endfor %}{% endfor %}
{% set groups = ["feature", "customer_tier"] + (["draw_group"] if is_by_call else ["provider", "model_canonical"]) %}
with placed as (
    select
        b.*,
        r.rate_set,
        {% for class in token_classes if class.name in lacking_classes %}(b.{{ class.tokens }} > 0 and {{ rate_of(class, "r") }} is null) or {% endfor %}false as lacks_rate,
    from whatif_after as b
    left join ledger_rates as r
        on b.usage_date = r.usage_date
{% for name in keys %}
        and b.{{ name }} = r.{{ name }}
{% endfor %}
{% if has_instants %}
        and b.started_at >= r.rate_from_at and b.started_at < r.rate_to_at
{% endif %}
{% if has_lengths %}
        and b.context_tokens >= r.ctx_min_tokens and b.context_tokens < r.ctx_max_tokens
{% endif %}
        and r.rate_status = 'ok'
),

boxed as (
    select
        {% for name in groups %}b.{{ name }}, {% endfor %}

        b.is_open,
        b.is_covered,
        b.is_changed,
        b.lacks_rate,
        {% for name in varied %}b.{{ name }}, {% endfor %}

        b.rate_set,
        cast(sum(b.requests) as bigint) as requests,
        cast(sum(case when b.requests > 0 and b.effective_cost_usd is null then b.requests else 0 end) as bigint) as unpriced_requests,
        cast(sum(b.effective_cost_usd) as decimal(38, 15)) as actual_usd,
        cast(sum(b.units_cost_usd) as decimal(38, 15)) as units_cost_usd,
{% for case in cases if "added" in factors %}
        cast(sum(b.added_{{ case }}_usd) as decimal(38, 15)) as added_{{ case }}_usd,
{% endfor %}
{% for class in live %}
        cast(sum(b.{{ class.tokens }}) as bigint) as {{ class.tokens }},
{% endfor %}
    from placed as b
    group by
        {% for name in groups %}b.{{ name }}, {% endfor %}
        b.is_open, b.is_covered, b.is_changed, b.lacks_rate, {% for name in varied %}b.{{ name }}, {% endfor %}
        b.rate_set
),

split as (
    select
        g.*,
        {{ cost_of(live | rejectattr("type", "in", ("cache_read", "output")), "g", "r") }} as input_usd,
        {{ cost_of(reads, "g", "r") }} as read_usd,
        {{ cold_cost_of(reads, "g", "r") }} as cold_usd,
        {{ cost_of(live | selectattr("type", "eq", "output"), "g", "r") }} as output_usd,
    from boxed as g
    left join whatif_rate_sets as r on g.rate_set = r.rate_set
),

replayed as (
    select
        *,
        is_open and input_usd + read_usd + cold_usd + output_usd is null as lacks_rates,
{% for case in cases %}
        case
            when not is_open or input_usd + read_usd + cold_usd + output_usd is null then actual_usd
            else cast(
                {{ factor("weight", case, 1) }} * cast(
                    units_cost_usd
                    + cast({{ factor("input_factor", case, 1) }} * input_usd as decimal(38, 15))
                    + cast({{ factor("input_factor", case, 1) }} * cast((1 - {{ factor("cold_share", case, 0) }}) * read_usd as decimal(38, 15)) as decimal(38, 15))
                    + cast({{ factor("input_factor", case, 1) }} * cast({{ factor("cold_share", case, 0) }} * cold_usd as decimal(38, 15)) as decimal(38, 15))
                    + cast({{ factor("output_factor", case, 1) }} * output_usd as decimal(38, 15))
                    as decimal(38, 15)
                ) as decimal(38, 15)
            )
        end{{ " + added_" ~ case ~ "_usd" if "added" in factors }} as cost_{{ case }}_usd,
{% endfor %}
    from split
)

select
    {% for name in groups %}{{ name }}, {% endfor %}

    cast(sum(requests) as bigint) as requests,
    cast(sum(case when is_covered then requests else 0 end) as bigint) as covered_requests,
    cast(sum(case when is_changed then requests else 0 end) as bigint) as changed_requests,
    cast(sum(unpriced_requests) as bigint) as unpriced_requests,
    cast(sum(case when lacks_rates then requests else 0 end) as bigint) as unreplayed_requests,
    cast(sum(actual_usd) as decimal(38, 15)) as actual_usd,
    cast(coalesce(sum(case when is_covered then actual_usd end), 0) as decimal(38, 15)) as covered_usd,
{% for case in cases %}
    cast(sum(cost_{{ case }}_usd) as decimal(38, 15)) as cost_{{ case }}_usd,
{% endfor %}
from replayed
group by {{ groups | join(", ") }}
