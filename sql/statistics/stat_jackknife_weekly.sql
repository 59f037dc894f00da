/*
about: >-
  Intervals of a change against the four weeks before, by leaving out one user after the other; and the user that the change
  hangs on most. One row per week, statistic and feature (and model, where each is a series of its own) with something below the
  line in both periods.
grain: [week_start_date, statistic, feature, provider, model_canonical]
partition: week
reads_back: 4 weeks
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  statistic: VARCHAR; what is tested: the change of output_ratio, cache_hit_rate or frontier_share (stat_bennet_weekly), and of the first and last the part that is mix of request types, of the last the part within them
  feature: VARCHAR; product feature, 'unattributed' where none is known
  provider: VARCHAR; the seller; '(all)' where a measure is of all models together
  model_canonical: VARCHAR; model as the price book names it; '(all)' where a measure is of all models together
  cluster_unit: VARCHAR; what most of the week's calls are told apart by: user, customer, session or day_and_type
  clusters: BIGINT; users (or what stands for them) in either period
  estimate: DOUBLE; the statistic over all users
  standard_error: DOUBLE; by leaving out one after the other; null where there is one only, or one without whom a period is empty
  t_statistic: DOUBLE; estimate over standard error; null where that is 0 or not known
  p_value: DOUBLE; two-sided p of no change, Student's t with one degree of freedom less than clusters
  estimate_low: DOUBLE; lower end of the 95 % interval
  estimate_high: DOUBLE; upper end of the 95 % interval
  top_cluster_id: VARCHAR; the one without whom the statistic is nearest to the other side of 0
  top_cluster_estimate: DOUBLE; the statistic without that one; null where a period is then empty
checks:
  - one_of: [statistic, output_ratio_change, output_ratio_mix, cache_hit_rate_change, frontier_share_change, frontier_share_mix, frontier_share_within]
  - between: [p_value, 0, 1]
  - rule: estimate between estimate_low and estimate_high
    null_passes: true
    text: the estimate lies in its interval
*/
{% from "macros/measures.sql" import listed, measured_weeks, statistics_of_measures, subject with context %}
{% set keys = ["week_start_date"] + subject %}
{% macro same(one, other, names) %}
{% for name in names %}
        {{ "and " if not loop.first }}{{ one }}.{{ name }} = {{ other }}.{{ name }}
{% endfor %}
{% endmacro %}
with {{ measured_weeks(["workflow_step", "prompt_name", "cluster_unit", "cluster_id"], only_mix=true) }},

types as (
    select
        {{ listed(keys) }},
        workflow_step,
        prompt_name,
        cast(sum(y1) as bigint) as y1,
        cast(sum(x1) as bigint) as x1,
        cast(sum(y0) as bigint) as y0,
        cast(sum(x0) as bigint) as x0,
    from cells
    group by {{ listed(keys) }}, workflow_step, prompt_name
),

-- A type that is absent in one period takes the other's ratio, so the mean of both is the one there is.
rated as (
    select
        {{ listed(keys) }},
        workflow_step,
        prompt_name,
        y1,
        x1,
        y0,
        x0,
        (
            coalesce(cast(y0 as double) / nullif(x0, 0), cast(y1 as double) / nullif(x1, 0))
            + coalesce(cast(y1 as double) / nullif(x1, 0), cast(y0 as double) / nullif(x0, 0))
        ) / 2 as mean_ratio,
    from types
),

features as (
    select
        {{ listed(keys) }},
        cast(sum(y1) as bigint) as y1,
        cast(sum(x1) as bigint) as x1,
        cast(sum(y0) as bigint) as y0,
        cast(sum(x0) as bigint) as x0,
        sum(cast(x1 * mean_ratio as decimal(38, 12))) as rated1,
        sum(cast(x0 * mean_ratio as decimal(38, 12))) as rated0,
    from rated
    group by {{ listed(keys) }}
),

-- What each type is without one user, then what the user's types change in the sums over all types: the other types stay.
without as (
    select
        {{ listed(keys, "c.") }},
        c.cluster_unit,
        c.cluster_id,
        c.y1,
        c.x1,
        c.y0,
        c.x0,
        r.x1 as type_x1,
        r.x0 as type_x0,
        r.mean_ratio,
        r.x1 - c.x1 as left_x1,
        r.x0 - c.x0 as left_x0,
        (
            coalesce(cast(r.y0 - c.y0 as double) / nullif(r.x0 - c.x0, 0), cast(r.y1 - c.y1 as double) / nullif(r.x1 - c.x1, 0), 0)
            + coalesce(cast(r.y1 - c.y1 as double) / nullif(r.x1 - c.x1, 0), cast(r.y0 - c.y0 as double) / nullif(r.x0 - c.x0, 0), 0)
        ) / 2 as left_mean_ratio,
    from cells as c
    inner join rated as r
        on {{ same("c", "r", keys + ["workflow_step", "prompt_name"]) }}
),

clusters as (
    select
        {{ listed(keys) }},
        cluster_unit,
        cluster_id,
        cast(sum(y1) as bigint) as y1,
        cast(sum(x1) as bigint) as x1,
        cast(sum(y0) as bigint) as y0,
        cast(sum(x0) as bigint) as x0,
        sum(cast(left_x1 * left_mean_ratio as decimal(38, 12)) - cast(type_x1 * mean_ratio as decimal(38, 12))) as rated1,
        sum(cast(left_x0 * left_mean_ratio as decimal(38, 12)) - cast(type_x0 * mean_ratio as decimal(38, 12))) as rated0,
    from without
    group by {{ listed(keys) }}, cluster_unit, cluster_id
),

-- All of the change and the part that is mix, with everybody and without one; the part within the types is the rest.
parts as (
    select
        {{ listed(keys, "c.") }},
        c.cluster_unit,
        c.cluster_id,
        cast(f.y1 as double) / f.x1 - cast(f.y0 as double) / f.x0 as change,
        cast(f.rated1 as double) / f.x1 - cast(f.rated0 as double) / f.x0 as mix,
        cast(f.y1 - c.y1 as double) / nullif(f.x1 - c.x1, 0) - cast(f.y0 - c.y0 as double) / nullif(f.x0 - c.x0, 0) as left_change,
        cast(f.rated1 + c.rated1 as double) / nullif(f.x1 - c.x1, 0) - cast(f.rated0 + c.rated0 as double) / nullif(f.x0 - c.x0, 0) as left_mix,
    from clusters as c
    inner join features as f
        on {{ same("c", "f", keys) }}
),

thetas as (
    select
        {{ listed(["week_start_date", "feature", "provider", "model_canonical", "cluster_unit", "cluster_id"], "p.") }},
        s.statistic,
        case s.part when 'change' then p.change when 'mix' then p.mix else p.change - p.mix end as estimate,
        cast(
            case s.part when 'change' then p.left_change when 'mix' then p.left_mix else p.left_change - p.left_mix end
            as decimal(38, 12)
        ) as theta,
    from parts as p
    inner join (
        {{ statistics_of_measures() }}
    ) as s on p.measure = s.measure
),

{% set tests = ["week_start_date", "statistic", "feature", "provider", "model_canonical"] %}
centred as (
    select
        {{ listed(tests) }},
        cluster_unit,
        cluster_id,
        estimate,
        theta,
        cast(sum(theta) over (partition by {{ listed(tests) }}) as double)
            / count(theta) over (partition by {{ listed(tests) }}) as mean_theta,
        row_number() over (
            partition by {{ listed(tests) }}
            order by theta is not null, case when estimate < 0 then -theta else theta end, cluster_unit, cluster_id
        ) as place,
    from thetas
),

-- Deviations as parts of the widest: their squares sum exactly, whatever the size of the ratio.
scaled as (
    select
        *,
        theta - mean_theta as deviation,
        max(abs(theta - mean_theta)) over (partition by {{ listed(tests) }}) as widest,
    from centred
),

spread as (
    select
        {{ listed(tests) }},
        count(*) as clusters,
        min(estimate) as estimate,
        case
            when count(*) > 1 and count(*) = count(theta)
                then sqrt(
                    (count(*) - 1) / cast(count(*) as double)
                    * coalesce(cast(sum(cast(pow(deviation / nullif(widest, 0), 2) as decimal(38, 24))) as double), 0)
                ) * max(widest)
        end as standard_error,
        max(case when place = 1 then cluster_id end) as top_cluster_id,
        max(case when place = 1 then cast(theta as double) end) as top_cluster_estimate,
    from scaled
    group by {{ listed(tests) }}
),

units as (
    select
        {{ listed(keys, "c.") }},
        c.cluster_unit,
        s.statistic,
    from (select {{ listed(keys) }}, cluster_unit, sum(n1) as n1 from cells group by {{ listed(keys) }}, cluster_unit) as c
    inner join (
        {{ statistics_of_measures() }}
    ) as s on c.measure = s.measure
    qualify row_number() over (partition by {{ listed(keys, "c.") }}, s.statistic order by c.n1 desc, c.cluster_unit) = 1
)

select
    s.week_start_date,
    s.statistic,
    s.feature,
    s.provider,
    s.model_canonical,
    u.cluster_unit,
    s.clusters,
    s.estimate,
    s.standard_error,
    s.estimate / nullif(s.standard_error, 0) as t_statistic,
    student_t_two_sided(s.estimate / nullif(s.standard_error, 0), cast(s.clusters - 1 as double)) as p_value,
    s.estimate - student_t_quantile(0.975, cast(nullif(s.clusters - 1, 0) as double)) * s.standard_error as estimate_low,
    s.estimate + student_t_quantile(0.975, cast(nullif(s.clusters - 1, 0) as double)) * s.standard_error as estimate_high,
    s.top_cluster_id,
    s.top_cluster_estimate,
from spread as s
inner join units as u
    on {{ same("s", "u", tests) }}
