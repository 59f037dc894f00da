/*
about: >-
  Intervals of a change against the four weeks before, by leaving out one user after the other; and the user that the change
  hangs on most. One row per week, statistic and feature (and model, where each is a series of its own) with something below the
  line in both periods; a cache hit rate that moved by less than a point is not tested.
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
  p_value: DOUBLE; two-sided p of no change, Student's t with one degree of freedom less than clusters; 0 where all changed alike
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
{% from "macros/jackknife.sql" import jackknife_error, widest_deviation %}
{% from "macros/measures.sql" import measured_weeks, statistics_of_measures with context %}
{% set sums = ["y1", "x1", "y0", "x0"] %}
{% macro mean_ratio(y1, x1, y0, x0) %}
(
            coalesce(cast({{ y0 }} as double) / nullif({{ x0 }}, 0), cast({{ y1 }} as double) / nullif({{ x1 }}, 0), 0)
            + coalesce(cast({{ y1 }} as double) / nullif({{ x1 }}, 0), cast({{ y0 }} as double) / nullif({{ x0 }}, 0), 0)
        ) / 2
{%- endmacro %}
with {{ measured_weeks(by_cluster=true, only_mix=true) }},

types as (
    select
        week_start_date,
        subject_number,
        type_number,
{% for name in sums %}
        cast(sum({{ name }}) as bigint) as {{ name }},
{% endfor %}
    from cells
    group by week_start_date, subject_number, type_number
),

-- A type that is absent in one period takes the other's ratio, so the mean of both is the one there is.
rated as (
    select
        week_start_date,
        subject_number,
        type_number,
        {{ sums | join(",
        ") }},
        {{ mean_ratio("y1", "x1", "y0", "x0") }} as mean_ratio,
    from types
),

features as (
    select
        week_start_date,
        subject_number,
{% for name in sums %}
        cast(sum({{ name }}) as bigint) as {{ name }},
{% endfor %}
        sum(cast(x1 * mean_ratio as decimal(38, 12))) as rated1,
        sum(cast(x0 * mean_ratio as decimal(38, 12))) as rated0,
    from rated
    group by week_start_date, subject_number
),

-- What each type is without one user, then what the user's types change in the sums over all types: the other types stay.
without as (
    select
        c.week_start_date,
        c.subject_number,
        c.cluster_number,
        c.y1,
        c.x1,
        c.y0,
        c.x0,
        r.x1 as type_x1,
        r.x0 as type_x0,
        r.mean_ratio,
        r.x1 - c.x1 as left_x1,
        r.x0 - c.x0 as left_x0,
        {{ mean_ratio("(r.y1 - c.y1)", "(r.x1 - c.x1)", "(r.y0 - c.y0)", "(r.x0 - c.x0)") }} as left_mean_ratio,
    from cells as c
    inner join rated as r
        on c.week_start_date = r.week_start_date and c.subject_number = r.subject_number and c.type_number = r.type_number
),

clusters as (
    select
        week_start_date,
        subject_number,
        cluster_number,
{% for name in sums %}
        cast(sum({{ name }}) as bigint) as {{ name }},
{% endfor %}
        sum(cast(left_x1 * left_mean_ratio as decimal(38, 12)) - cast(type_x1 * mean_ratio as decimal(38, 12))) as rated1,
        sum(cast(left_x0 * left_mean_ratio as decimal(38, 12)) - cast(type_x0 * mean_ratio as decimal(38, 12))) as rated0,
    from without
    group by week_start_date, subject_number, cluster_number
),

-- All of the change and the part that is mix, with everybody and without one; the part within the types is the rest.
parts as (
    select
        c.week_start_date,
        c.subject_number,
        c.cluster_number,
        cast(f.y1 as double) / f.x1 - cast(f.y0 as double) / f.x0 as change,
        cast(f.rated1 as double) / f.x1 - cast(f.rated0 as double) / f.x0 as mix,
        cast(f.y1 - c.y1 as double) / nullif(f.x1 - c.x1, 0) - cast(f.y0 - c.y0 as double) / nullif(f.x0 - c.x0, 0) as left_change,
        cast(f.rated1 + c.rated1 as double) / nullif(f.x1 - c.x1, 0) - cast(f.rated0 + c.rated0 as double) / nullif(f.x0 - c.x0, 0) as left_mix,
    from clusters as c
    inner join features as f on c.week_start_date = f.week_start_date and c.subject_number = f.subject_number
),

tests as (
    select b.subject_number, s.statistic, s.part
    from subject_numbers as b
    inner join (
        {{ statistics_of_measures() }}
    ) as s on b.measure = s.measure
),

thetas as (
    select
        p.week_start_date,
        p.subject_number,
        p.cluster_number,
        s.part,
        case s.part when 'change' then p.change when 'mix' then p.mix else p.change - p.mix end as estimate,
        cast(
            case s.part when 'change' then p.left_change when 'mix' then p.left_mix else p.left_change - p.left_mix end
            as decimal(38, 12)
        ) as theta,
    from parts as p
    inner join tests as s on p.subject_number = s.subject_number
),

means as (
    select
        week_start_date,
        subject_number,
        part,
        min(estimate) as estimate,
        count(*) as clusters,
        count(theta) as thetas,
        cast(sum(theta) as double) / count(theta) as mean_theta,
        min(case when estimate < 0 then -theta else theta end) as nearest,
        {{ widest_deviation("theta") }} as widest,
    from thetas
    group by week_start_date, subject_number, part
),

spread as (
    select
        t.week_start_date,
        t.subject_number,
        t.part,
        min(m.estimate) as estimate,
        count(*) as clusters,
        {{ jackknife_error("t.theta", "m.mean_theta", "m.widest") }} as standard_error,
        -- Without whom a period is empty goes first, then the one nearest to the other side of 0.
        min(
            case
                when m.thetas < m.clusters then case when t.theta is null then t.cluster_number end
                when case when m.estimate < 0 then -t.theta else t.theta end = m.nearest then t.cluster_number
            end
        ) as top_cluster_number,
        cast(
            max(case when m.thetas < m.clusters then null when m.estimate < 0 then -m.nearest else m.nearest end) as double
        ) as top_cluster_estimate,
    from thetas as t
    inner join means as m
        on t.week_start_date = m.week_start_date and t.subject_number = m.subject_number and t.part = m.part
    group by t.week_start_date, t.subject_number, t.part
),

units as (
    select
        c.week_start_date,
        c.subject_number,
        n.cluster_unit,
    from cells as c
    inner join cluster_numbers as n on c.cluster_number = n.cluster_number
    group by c.week_start_date, c.subject_number, n.cluster_unit
    qualify row_number() over (partition by c.week_start_date, c.subject_number order by sum(c.n1) desc, n.cluster_unit) = 1
)

select
    s.week_start_date,
    e.statistic,
    b.feature,
    b.provider,
    b.model_canonical,
    u.cluster_unit,
    s.clusters,
    s.estimate,
    s.standard_error,
    s.estimate / nullif(s.standard_error, 0) as t_statistic,
    -- Where everybody changed alike there is no error, and no doubt.
    case
        when s.standard_error = 0 and abs(s.estimate) > 0.000000001 then 0.0
        else student_t_two_sided(s.estimate / nullif(s.standard_error, 0), cast(s.clusters - 1 as double))
    end as p_value,
    s.estimate - student_t_quantile(0.975, cast(nullif(s.clusters - 1, 0) as double)) * s.standard_error as estimate_low,
    s.estimate + student_t_quantile(0.975, cast(nullif(s.clusters - 1, 0) as double)) * s.standard_error as estimate_high,
    c.cluster_id as top_cluster_id,
    s.top_cluster_estimate,
from spread as s
inner join subject_numbers as b on s.subject_number = b.subject_number
inner join tests as e on s.subject_number = e.subject_number and s.part = e.part
inner join units as u on s.week_start_date = u.week_start_date and s.subject_number = u.subject_number
inner join cluster_numbers as c on s.top_cluster_number = c.cluster_number
