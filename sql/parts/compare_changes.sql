{#
What changed between two sides for the same work: of all and of each feature, of a call's cost, a task's cost and the output ratio, by each way
to tell. Read from `compare_units` with `cluster_key`, and `compare_terms` (is_concurrent, judged_date), by pipelines/compare/.

`paired`: the same users (customers, sessions, tasks) on both sides, by the test of logarithms of the releases. `unpaired`: the change free of
mix with a jackknife over the clusters of both sides.
#}
{% from "macros/paired.sql" import measured_pairs, pair_freedom, pair_variance, pair_weight %}
{% set compared = ["scope_name", "measure", "pair_unit"] %}
{% set pair_units = ["user", "customer", "session", "task"] %}
{# What is over the line and below it, of which units; those with a logarithm. #}
{% set measures = [
    ("request", "request", "unit_cost_usd", "1", "is_ok and unit_cost_usd > 0"),
    ("task", "task", "unit_cost_usd", "1", "unit_cost_usd > 0"),
    ("output_ratio", "request", "cast(output_total_tokens as decimal(38, 15))", "input_total_tokens",
        "is_ok and output_total_tokens > 0 and input_total_tokens > 0"),
] %}
with limits as (
    select
        max(case when l.limit_name = 'drift_tau' then l.threshold_number end) as tau,
        max(case when l.limit_name = 'drift_weight_cap' then l.threshold_number end) as weight_cap,
        max(case when l.limit_name = 'compare_min_clusters' then l.threshold_number end) as min_clusters,
        max(case when l.limit_name = 'compare_min_df' then l.threshold_number end) as min_df,
        max(case when l.limit_name = 'compare_min_units' then l.threshold_number end) as min_units,
    from ref_limits as l
    cross join compare_terms as k
    where l.scope_kind = '' and k.judged_date >= l.valid_from_date and k.judged_date < l.valid_to_date
),

counted_units as (
{% for measure, counted, over, below, has_logarithm in measures %}
    select
        '{{ measure }}' as measure,
        feature,
        workflow_step,
        prompt_name,
        side,
        cluster_key,
        user_id,
        customer_id,
        session_id,
        task_id,
        case when {{ below }} is not null then {{ over }} end as over_line,
        case when {{ over }} is not null then cast({{ below }} as bigint) end as below_line,
        is_unpriced,
        case when {{ has_logarithm }} then cast(ln(cast({{ over }} as double) / cast({{ below }} as double)) as decimal(38, 12)) end as log_level,
    from compare_units
    where counted = '{{ counted }}'{{ " and is_ok" if measure == "output_ratio" }}
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

-- Twice: as part of all work, where a type is one of a feature, and of its feature.
scoped as (
    select
        '(all)' as scope_name,
        concat_ws(chr(31), feature, workflow_step, prompt_name) as type_key,
        * exclude (feature, workflow_step, prompt_name),
    from counted_units
    union all
    select
        feature as scope_name,
        concat_ws(chr(31), feature, workflow_step, prompt_name) as type_key,
        * exclude (feature, workflow_step, prompt_name),
    from counted_units
),

types as (
    select
        scope_name,
        measure,
        type_key,
        count(case when side = 'head' then 1 end) as units1,
        count(case when side = 'base' then 1 end) as units0,
        count(case when side = 'head' and is_unpriced then 1 end) as unpriced1,
        count(case when side = 'base' and is_unpriced then 1 end) as unpriced0,
        sum(case when side = 'head' then over_line end) as y1,
        sum(case when side = 'base' then over_line end) as y0,
        sum(case when side = 'head' then below_line end) as x1,
        sum(case when side = 'base' then below_line end) as x0,
        coalesce(sum(case when side = 'head' then below_line end) > 0 and sum(case when side = 'base' then below_line end) > 0, false) as is_matched,
    from scoped
    group by scope_name, measure, type_key
),

levels as (
    select
        scope_name,
        measure,
        cast(sum(units1) as bigint) as units,
        cast(sum(units0) as bigint) as base_units,
        cast(sum(unpriced1) as bigint) as unpriced_units,
        cast(sum(unpriced0) as bigint) as base_unpriced_units,
        cast(sum(y1) as decimal(38, 15)) as over_line,
        cast(sum(y0) as decimal(38, 15)) as base_over_line,
        cast(sum(x1) as bigint) as below_line,
        cast(sum(x0) as bigint) as base_below_line,
        cast(sum(case when is_matched then units1 else 0 end) as bigint) as matched_units,
        cast(sum(case when is_matched then units0 else 0 end) as bigint) as base_matched_units,
        cast(sum(case when is_matched then y1 end) as double) as actual,
        sum(case when is_matched then cast(x1 as double) * cast(y0 as double) / cast(x0 as double) end) as expected,
    from types
    group by scope_name, measure
),

-- ---- The same clusters on both sides
pairs as (
{% for unit in pair_units %}
    select
        scope_name,
        measure,
        '{{ unit }}' as pair_unit,
        type_key,
        {{ unit }}_id as cluster_key,
        count(case when side = 'head' then log_level end) as n1,
        count(case when side = 'base' then log_level end) as n0,
        cast(sum(case when side = 'head' then log_level end) as double) / nullif(count(case when side = 'head' then log_level end), 0)
            - cast(sum(case when side = 'base' then log_level end) as double) / nullif(count(case when side = 'base' then log_level end), 0) as d,
    from scoped
    where {{ unit }}_id is not null and log_level is not null
    group by scope_name, measure, type_key, {{ unit }}_id
    having count(distinct side) = 2
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

weighted as (
    select p.*, {{ pair_weight("p.n0", "p.n1", "l.weight_cap") }} as weight
    from pairs as p
    cross join limits as l
),

{{ measured_pairs(compared) }},

-- A shock that all users of a week share, of each week of both sides; on the same days there is none between them.
shocks as (
    select
        case
            when max(case when k.is_concurrent then 1 else 0 end) = 1 then 0
            else pow(cast(max(l.tau) as double), 2) * (
                1 / cast(count(distinct case when u.side = 'head' then date_trunc('week', u.usage_date) end) as double)
                + 1 / cast(count(distinct case when u.side = 'base' then date_trunc('week', u.usage_date) end) as double)
            )
        end as shock_variance,
    from compare_units as u
    cross join limits as l
    cross join compare_terms as k
),

-- ---- Without pairs: what the change free of mix is when each cluster is left out
cells as (
    select
        s.scope_name,
        s.measure,
        s.type_key,
        s.cluster_key,
        cast(sum(case when s.side = 'head' then s.over_line else 0 end) as double) as y1,
        cast(sum(case when s.side = 'base' then s.over_line else 0 end) as double) as y0,
        cast(sum(case when s.side = 'head' then s.below_line else 0 end) as double) as x1,
        cast(sum(case when s.side = 'base' then s.below_line else 0 end) as double) as x0,
    from scoped as s
    inner join types as t
        on s.scope_name = t.scope_name and s.measure = t.measure and s.type_key = t.type_key and t.is_matched
    group by s.scope_name, s.measure, s.type_key, s.cluster_key
),

left_out as (
    select
        c.scope_name,
        c.measure,
        c.cluster_key,
        max(case when c.x1 > 0 then 1 else 0 end) as is_in_head,
        max(case when c.x0 > 0 then 1 else 0 end) as is_in_base,
        -- A type that only this cluster has on a side is gone on both.
        sum(
            case when cast(t.x0 as double) > c.x0 and cast(t.x1 as double) > c.x1 then cast(t.y1 as double) - c.y1 else 0 end - cast(t.y1 as double)
        ) as actual_change,
        sum(
            case
                when cast(t.x0 as double) > c.x0 and cast(t.x1 as double) > c.x1
                    then (cast(t.x1 as double) - c.x1) * (cast(t.y0 as double) - c.y0) / (cast(t.x0 as double) - c.x0)
                else 0
            end
            - cast(t.x1 as double) * cast(t.y0 as double) / cast(t.x0 as double)
        ) as expected_change,
    from cells as c
    inner join types as t on c.scope_name = t.scope_name and c.measure = t.measure and c.type_key = t.type_key
    group by c.scope_name, c.measure, c.cluster_key
),

thetas as (
    select
        o.scope_name,
        o.measure,
        o.is_in_head,
        o.is_in_base,
        -- Both sides of one cluster hang together; clusters of one side alone are a sample of their own.
        max(case when o.is_in_head = 1 and o.is_in_base = 1 then 1 else 0 end) over (partition by o.scope_name, o.measure) = 1 as has_shared,
        case
            when v.actual + o.actual_change > 1e-9 * v.actual and v.expected + o.expected_change > 1e-9 * v.expected
                then ln((v.actual + o.actual_change) / (v.expected + o.expected_change))
        end as theta,
    from left_out as o
    inner join levels as v on o.scope_name = v.scope_name and o.measure = v.measure
    where v.actual > 0 and v.expected > 0
),

deviations as (
    select
        scope_name,
        measure,
        case when has_shared then 0 when is_in_head = 1 then 1 else 2 end as sample,
        is_in_head,
        is_in_base,
        theta,
        theta - avg(theta) over (partition by scope_name, measure, case when has_shared then 0 when is_in_head = 1 then 1 else 2 end) as deviation,
    from thetas
),

samples as (
    select
        scope_name,
        measure,
        sample,
        sum(is_in_head) as head_clusters,
        sum(is_in_base) as base_clusters,
        count(*) as members,
        count(*) - count(theta) as undefined,
        (count(*) - 1) / cast(count(*) as double) * sum(pow(deviation, 2)) as variance,
        sum(pow(deviation, 4)) * pow((count(*) - 1) / cast(count(*) as double), 2) as fourth,
    from deviations
    group by scope_name, measure, sample
),

jackknifed as (
    select
        scope_name,
        measure,
        cast(sum(head_clusters) as bigint) as head_clusters,
        cast(sum(base_clusters) as bigint) as base_clusters,
        sum(undefined) as undefined,
        sum(variance) as variance,
        -- The fewer of what sample sizes allow, and of what one or few clusters with most of the variance do.
        least(
            pow(sum(variance), 2) / nullif(sum(case when members > 1 then pow(variance, 2) / (members - 1) end), 0),
            2 * pow(sum(variance), 2) / nullif(sum(fourth), 0)
        ) as freedom,
    from samples
    group by scope_name, measure
),

-- ---- Each way to tell, in the order in which they are preferred
ways as (
    select
        m.scope_name,
        m.measure,
        'paired' as method,
        m.pair_unit,
        case m.pair_unit{% for unit in pair_units %} when '{{ unit }}' then {{ loop.index }}{% endfor %} end as place,
        m.paired_clusters as clusters,
        m.paired_clusters as base_clusters,
        m.paired_units as compared_units,
        m.base_paired_units as base_compared_units,
        m.log_change,
        sqrt({{ pair_variance("m") }} + s.shock_variance) as log_standard_error,
        {{ pair_freedom("m") }} as degrees_of_freedom,
        0 as undefined,
    from measured as m
    cross join shocks as s
    union all
    select
        j.scope_name,
        j.measure,
        'unpaired' as method,
        'cluster' as pair_unit,
        9 as place,
        j.head_clusters as clusters,
        j.base_clusters,
        v.matched_units as compared_units,
        v.base_matched_units as base_compared_units,
        ln(v.actual / v.expected) as log_change,
        sqrt(j.variance + s.shock_variance) as log_standard_error,
        -- All alike: as many as there are.
        coalesce(j.freedom, least(j.head_clusters, j.base_clusters) - 1) as degrees_of_freedom,
        j.undefined,
    from jackknifed as j
    inner join levels as v on j.scope_name = v.scope_name and j.measure = v.measure
    cross join shocks as s
),

held as (
    select
        w.*,
        case
            when least(w.compared_units, w.base_compared_units) < l.min_units then 'few_units'
            when least(w.clusters, w.base_clusters) < l.min_clusters then 'few_clusters'
            when w.undefined > 0 or coalesce(w.degrees_of_freedom, 0) < l.min_df then 'few_degrees_of_freedom'
        end as untested_reason,
    from ways as w
    cross join limits as l
),

chosen as (
    select *
    from held
    qualify row_number() over (
        partition by scope_name, measure order by case when untested_reason is null then 0 else 1 end, case when untested_reason is null then place else -place end
    ) = 1
),

tested as (
    select
        *,
        case
            when untested_reason is null
                then case
                    when log_standard_error > 0 then student_t_two_sided(log_change / log_standard_error, degrees_of_freedom)
                    when log_change = 0 then 1
                    else 0
                end
        end as p_value,
        case when untested_reason is null then student_t_quantile(0.975, cast(degrees_of_freedom as double)) * log_standard_error end as reach,
    from chosen
)

select
    v.scope_name,
    v.measure,
    v.units,
    v.base_units,
    v.unpriced_units,
    v.base_unpriced_units,
    v.over_line,
    v.base_over_line,
    v.below_line,
    v.base_below_line,
    v.matched_units,
    v.base_matched_units,
    cast(v.over_line as double) / nullif(v.below_line, 0) as level,
    cast(v.base_over_line as double) / nullif(v.base_below_line, 0) as base_level,
    (cast(v.over_line as double) / nullif(v.below_line, 0)) / nullif(cast(v.base_over_line as double) / nullif(v.base_below_line, 0), 0) - 1 as raw_change,
    v.actual / nullif(v.expected, 0) - 1 as mix_free_change,
    t.method,
    t.pair_unit,
    t.clusters,
    t.base_clusters,
    t.compared_units,
    t.base_compared_units,
    exp(t.log_change) - 1 as same_work_change,
    exp(t.log_change - t.reach) - 1 as change_low,
    exp(t.log_change + t.reach) - 1 as change_high,
    t.log_standard_error,
    t.degrees_of_freedom,
    t.p_value,
    coalesce(t.untested_reason, case when t.method is null and v.matched_units > 0 then 'no_cost' when t.method is null then 'nothing_alike' end) as untested_reason,
from levels as v
left join tested as t on v.scope_name = t.scope_name and v.measure = t.measure
order by v.scope_name <> '(all)', v.scope_name, v.measure
