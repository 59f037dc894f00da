{#
The paired test of logarithms (docs/methods/releases.md): what the same clusters changed on the same work. `measured_pairs` goes on from
`weighted`, a row for each cluster and type with both periods: the keys of what is compared, cluster_key, n1, n0, their change d and its weight;
and gives `measured`, a row for each of the keys.
#}
{% macro measured_pairs(keys) %}
{% set compared = keys | join(", ") %}
centred as (
    select
        *,
        cast(sum(cast(cast(weight as double) * d as decimal(38, 12))) over (partition by {{ compared }}) as double)
            / cast(sum(weight) over (partition by {{ compared }}) as double) as log_change,
    from weighted
),

clusters as (
    select
        {{ compared }},
        min(log_change) as log_change,
        sum(n1) as n1,
        sum(n0) as n0,
        sum(weight) as cluster_weight,
        sum(cast(cast(weight as double) * (d - log_change) as decimal(38, 12))) as cluster_error,
    from centred
    group by {{ compared }}, cluster_key
),

measured as (
    select
        {{ compared }},
        min(log_change) as log_change,
        count(*) as paired_clusters,
        cast(sum(n1) as bigint) as paired_units,
        cast(sum(n0) as bigint) as base_paired_units,
        cast(sum(cluster_weight) as double) as weights,
        cast(sum(cast(pow(cast(cluster_weight as double), 2) as decimal(38, 12))) as double) as squared_weights,
        cast(sum(cast(pow(cast(cluster_error as double), 2) as decimal(38, 12))) as double) as squared_errors,
    from clusters
    group by {{ compared }}
)
{%- endmacro %}

{# The weight of a pair of n0 and n1 units: a cluster with very many counts as 1 / weight_cap. #}
{% macro pair_weight(n0, n1, weight_cap) -%}
cast(1 / (1 / cast({{ n0 }} as double) + 1 / cast({{ n1 }} as double) + cast({{ weight_cap }} as double)) as decimal(38, 12))
{%- endmacro %}

{# The variance that clusters make of the change in `measured`; null for one cluster. #}
{% macro pair_variance(m) -%}
{{ m }}.paired_clusters / cast(nullif({{ m }}.paired_clusters - 1, 0) as double) * {{ m }}.squared_errors / pow({{ m }}.weights, 2)
{%- endmacro %}

{# Degrees of freedom of Student's t by the weights: fewer where few clusters have most of it. #}
{% macro pair_freedom(m) -%}
pow({{ m }}.weights, 2) / {{ m }}.squared_weights - 1
{%- endmacro %}
