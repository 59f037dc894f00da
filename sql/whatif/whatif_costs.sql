{#
What the rows of a replay would have cost, by feature and customer tier. Tokens are summed to boxes of rates first: within a box a cost is
linear in them. A row that no lever changed costs what the ledger says; one whose new rates are missing stays as it was, and is counted.
#}
{% from "macros/replay.sql" import case_columns, cases, key_columns, scope_columns with context %}
{% from "macros/tokens.sql" import uncached with context %}
{% set keys = key_columns + scope_columns %}
{% set factors = case_columns | reject("in", ["added_low_usd", "added_mid_usd", "added_high_usd"]) | list %}
{# The rate of a class where the row now is; a model without a price of cached tokens bills them as fresh ones. #}
{% macro rate(class) %}
{%- if class.type in ("cache_read", "cache_write") -%}
coalesce(r.{{ class.name }}_usd_per_mtok, r.{{ uncached(class) }}_usd_per_mtok, r.input_uncached_usd_per_mtok)
{%- else -%}
r.{{ class.name }}_usd_per_mtok
{%- endif -%}
{% endmacro %}
{% macro cost(classes) %}
cast(0{% for class in classes %} + case when g.{{ class.tokens }} = 0 then 0 else cast(g.{{ class.tokens }} as bigint) * {{ rate(class) }} * 0.000001 end{% endfor %} as decimal(38, 15))
{%- endmacro %}
{% set reads = token_classes | selectattr("type", "eq", "cache_read") | list %}
with
{% include "parts/rate_boxes.sql" %}

boxed as (
    select
        b.feature,
        b.customer_tier,
        b.usage_date,
        {% for name in keys %}b.{{ name }}, {% endfor %}

        b.is_open,
        b.is_covered,
        b.is_changed,
        {% for name in factors %}b.{{ name }}, {% endfor %}

        s.rate_from_at,
        l.ctx_min_tokens,
        cast(sum(b.requests) as bigint) as requests,
        cast(sum(case when b.requests > 0 and b.effective_cost_usd is null then b.requests else 0 end) as bigint) as unpriced_requests,
        cast(sum(b.effective_cost_usd) as decimal(38, 15)) as actual_usd,
        cast(sum(b.units_cost_usd) as decimal(38, 15)) as units_cost_usd,
{% for case in cases %}
        cast(sum(b.added_{{ case }}_usd) as decimal(38, 15)) as added_{{ case }}_usd,
{% endfor %}
{% for class in token_classes %}
        cast(sum(b.{{ class.tokens }}) as bigint) as {{ class.tokens }},
{% endfor %}
    from whatif_after as b
    left join spans as s
        on b.usage_date = s.usage_date and b.provider = s.provider and b.model_canonical = s.model_canonical
        and b.started_at >= s.rate_from_at and b.started_at < s.rate_to_at
    left join lengths as l
        on b.usage_date = l.usage_date and b.provider = l.provider and b.model_canonical = l.model_canonical
        and b.context_tokens >= l.ctx_min_tokens and b.context_tokens < l.ctx_max_tokens
    group by
        b.feature, b.customer_tier, b.usage_date, {% for name in keys %}b.{{ name }}, {% endfor %}
        b.is_open, b.is_covered, b.is_changed, {% for name in factors %}b.{{ name }}, {% endfor %}
        s.rate_from_at, l.ctx_min_tokens
),

split as (
    select
        g.*,
        {{ cost(token_classes | rejectattr("type", "in", ("cache_read", "output"))) }} as input_usd,
        {{ cost(reads) }} as read_usd,
        -- A cache that is cold is written first where that has a price of its own.
        cast(0{% for class in reads %} + case when g.{{ class.tokens }} = 0 then 0 else cast(g.{{ class.tokens }} as bigint) * {% if class.name == "cache_read" %}coalesce(r.cache_write_5m_usd_per_mtok, r.input_uncached_usd_per_mtok){% else %}coalesce(r.{{ uncached(class) }}_usd_per_mtok, r.input_uncached_usd_per_mtok){% endif %} * 0.000001 end{% endfor %} as decimal(38, 15)) as cold_usd,
        {{ cost(token_classes | selectattr("type", "eq", "output")) }} as output_usd,
    from boxed as g
    left join ledger_rates as r
        on g.usage_date = r.usage_date
{% for name in keys %}
        and g.{{ name }} = r.{{ name }}
{% endfor %}
        and g.rate_from_at >= r.rate_from_at and g.rate_from_at < r.rate_to_at
        and g.ctx_min_tokens >= r.ctx_min_tokens and g.ctx_min_tokens < r.ctx_max_tokens
        and r.rate_status = 'ok'
),

replayed as (
    select
        *,
        is_open and input_usd + read_usd + cold_usd + output_usd is null as lacks_rates,
{% for case in cases %}
        case
            when not is_open or input_usd + read_usd + cold_usd + output_usd is null then actual_usd
            else cast(
                weight_{{ case }} * cast(
                    units_cost_usd
                    + cast(input_factor_{{ case }} * input_usd as decimal(38, 15))
                    + cast(input_factor_{{ case }} * cast((1 - cold_share_{{ case }}) * read_usd as decimal(38, 15)) as decimal(38, 15))
                    + cast(input_factor_{{ case }} * cast(cold_share_{{ case }} * cold_usd as decimal(38, 15)) as decimal(38, 15))
                    + cast(output_factor_{{ case }} * output_usd as decimal(38, 15))
                    as decimal(38, 15)
                ) as decimal(38, 15)
            )
        end + added_{{ case }}_usd as cost_{{ case }}_usd,
{% endfor %}
    from split
)

select
    feature,
    customer_tier,
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
group by feature, customer_tier
