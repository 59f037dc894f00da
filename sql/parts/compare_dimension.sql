{#
What calls, tasks and sessions cost by the values of one dimension, on each side: from `dimension_units` and `compare_terms`, by
pipelines/compare/. What is shown follows the limits of mart_dimension_costs_weekly.
#}
{% from "macros/means.sql" import mean_intervals with context %}
with limits as (
    select
        s.side,
{% for limit, column in {
    "dimension_min_p50": "min_p50", "dimension_min_mean": "min_mean", "dimension_min_p95": "min_p95", "min_users_interval": "min_users_interval",
    "min_users_t": "min_users_t", "bootstrap_t_draws": "bootstrap_t_draws", "bootstrap_t_top_share": "bootstrap_t_top_share",
}.items() %}
        max(case when l.limit_name = '{{ limit }}' then l.threshold_number end) as {{ column }},
{% endfor %}
    from ref_limits as l
    cross join compare_terms as k
    cross join (select distinct side from dimension_units) as s
    where l.scope_kind = '' and k.judged_date >= l.valid_from_date and k.judged_date < l.valid_to_date
    group by s.side
),

members as (
    select side, cost_unit, dimension_value, cluster_key, sum(unit_cost_usd) as cost_usd, count(unit_cost_usd) as units
    from dimension_units
    where unit_cost_usd is not null
    group by side, cost_unit, dimension_value, cluster_key
),

{{ mean_intervals("members", "limits", ["side", "cost_unit", "dimension_value"]) }},

measured as (
    select
        side,
        cost_unit,
        dimension_value,
        count(*) as units,
        count(unit_cost_usd) as priced_units,
        cast(sum(unit_cost_usd) as decimal(38, 15)) as total_cost_usd,
        quantile_disc(unit_cost_usd, 0.5) as p50,
        quantile_disc(unit_cost_usd, 0.95) as p95,
    from dimension_units
    group by side, cost_unit, dimension_value
)

select
    m.cost_unit,
    m.dimension_value,
    m.side,
    m.units,
    m.units - m.priced_units as unpriced_units,
    m.total_cost_usd,
    case when m.priced_units >= l.min_mean then cast(cast(m.total_cost_usd as double) / m.priced_units as decimal(38, 12)) end as mean_cost_usd,
    case when m.priced_units >= l.min_mean then cast(i.estimate_low as decimal(38, 12)) end as mean_cost_low_usd,
    case when m.priced_units >= l.min_mean then cast(i.estimate_high as decimal(38, 12)) end as mean_cost_high_usd,
    case when m.priced_units >= l.min_p50 then cast(m.p50 as decimal(38, 15)) end as p50_cost_usd,
    case when m.priced_units >= l.min_p95 then cast(m.p95 as decimal(38, 15)) end as p95_cost_usd,
    case
        when m.priced_units >= l.min_p95 then 'full'
        when m.priced_units >= l.min_mean then 'mean'
        when m.priced_units >= l.min_p50 then 'median'
        else 'small'
    end as sample_status,
from measured as m
inner join limits as l on m.side = l.side
left join mean_intervals as i on m.side = i.side and m.cost_unit = i.cost_unit and m.dimension_value = i.dimension_value
order by m.cost_unit, sum(m.total_cost_usd) over (partition by m.cost_unit, m.dimension_value) desc nulls last, m.dimension_value, m.side
