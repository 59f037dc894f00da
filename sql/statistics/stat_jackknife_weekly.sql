/*
about: >-
  Intervals of a change against the four weeks before, by leaving out one user after the other; and the user that the change
  hangs on most. One row per week, statistic and feature with input in both periods.
grain: [week_start_date, statistic, feature]
partition: week
reads_back: 4 weeks
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  statistic: VARCHAR; output_ratio_change (of output over input tokens), or output_ratio_mix (the part of it that is mix of request types)
  feature: VARCHAR; product feature, 'unattributed' where none is known
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
  - one_of: [statistic, output_ratio_change, output_ratio_mix]
  - between: [p_value, 0, 1]
  - rule: estimate between estimate_low and estimate_high
    null_passes: true
    text: the estimate lies in its interval
*/
{% from "macros/baselines.sql" import cells_and_baselines with context %}
with weeks as (
    select distinct week_start_date from stat_usage_cells_weekly
),

cells as (
    select
        p.week_start_date,
        p.feature,
        p.workflow_step,
        p.prompt_name,
        p.cluster_unit,
        p.cluster_id,
        sum(case when p.weeks_later = 0 then p.answered_requests else 0 end) as n1,
        cast(sum(case when p.weeks_later = 0 then p.output_total_tokens else 0 end) as bigint) as y1,
        cast(sum(case when p.weeks_later = 0 then p.input_total_tokens else 0 end) as bigint) as x1,
        cast(sum(case when p.weeks_later > 0 then p.output_total_tokens else 0 end) as bigint) as y0,
        cast(sum(case when p.weeks_later > 0 then p.input_total_tokens else 0 end) as bigint) as x0,
    from (
        {{ cells_and_baselines(["cluster_unit", "cluster_id", "answered_requests", "input_total_tokens", "output_total_tokens"], 5, "answered_requests") }}
    ) as p
    inner join weeks as w on p.week_start_date = w.week_start_date
    group by p.week_start_date, p.feature, p.workflow_step, p.prompt_name, p.cluster_unit, p.cluster_id
),

types as (
    select
        week_start_date,
        feature,
        workflow_step,
        prompt_name,
        cast(sum(y1) as bigint) as y1,
        cast(sum(x1) as bigint) as x1,
        cast(sum(y0) as bigint) as y0,
        cast(sum(x0) as bigint) as x0,
    from cells
    group by week_start_date, feature, workflow_step, prompt_name
),

-- A type that is absent in one period takes the other's ratio, so the mean of both is the one there is.
rated as (
    select
        week_start_date,
        feature,
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
        week_start_date,
        feature,
        cast(sum(y1) as bigint) as y1,
        cast(sum(x1) as bigint) as x1,
        cast(sum(y0) as bigint) as y0,
        cast(sum(x0) as bigint) as x0,
        sum(cast(x1 * mean_ratio as decimal(38, 12))) as rated1,
        sum(cast(x0 * mean_ratio as decimal(38, 12))) as rated0,
    from rated
    group by week_start_date, feature
    having sum(x1) > 0 and sum(x0) > 0
),

-- What each type is without one user, then what the user's types change in the sums over all types: the other types stay.
without as (
    select
        c.week_start_date,
        c.feature,
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
        on c.week_start_date = r.week_start_date
        and c.feature = r.feature
        and c.workflow_step = r.workflow_step
        and c.prompt_name = r.prompt_name
),

clusters as (
    select
        week_start_date,
        feature,
        cluster_unit,
        cluster_id,
        cast(sum(y1) as bigint) as y1,
        cast(sum(x1) as bigint) as x1,
        cast(sum(y0) as bigint) as y0,
        cast(sum(x0) as bigint) as x0,
        sum(cast(left_x1 * left_mean_ratio as decimal(38, 12)) - cast(type_x1 * mean_ratio as decimal(38, 12))) as rated1,
        sum(cast(left_x0 * left_mean_ratio as decimal(38, 12)) - cast(type_x0 * mean_ratio as decimal(38, 12))) as rated0,
    from without
    group by week_start_date, feature, cluster_unit, cluster_id
),

thetas as (
    select
        c.week_start_date,
        s.statistic,
        c.feature,
        c.cluster_unit,
        c.cluster_id,
        case s.statistic
            when 'output_ratio_change' then cast(f.y1 as double) / f.x1 - cast(f.y0 as double) / f.x0
            else cast(f.rated1 as double) / f.x1 - cast(f.rated0 as double) / f.x0
        end as estimate,
        cast(
            case s.statistic
                when 'output_ratio_change'
                    then cast(f.y1 - c.y1 as double) / nullif(f.x1 - c.x1, 0) - cast(f.y0 - c.y0 as double) / nullif(f.x0 - c.x0, 0)
                else cast(f.rated1 + c.rated1 as double) / nullif(f.x1 - c.x1, 0) - cast(f.rated0 + c.rated0 as double) / nullif(f.x0 - c.x0, 0)
            end as decimal(38, 12)
        ) as theta,
    from clusters as c
    inner join features as f on c.week_start_date = f.week_start_date and c.feature = f.feature
    cross join (select unnest(['output_ratio_change', 'output_ratio_mix']) as statistic) as s
),

centred as (
    select
        week_start_date,
        statistic,
        feature,
        cluster_unit,
        cluster_id,
        estimate,
        theta,
        cast(sum(theta) over (partition by week_start_date, statistic, feature) as double)
            / count(theta) over (partition by week_start_date, statistic, feature) as mean_theta,
        row_number() over (
            partition by week_start_date, statistic, feature
            order by theta is not null, case when estimate < 0 then -theta else theta end, cluster_unit, cluster_id
        ) as place,
    from thetas
),

-- Deviations as parts of the widest: their squares sum exactly, whatever the size of the ratio.
scaled as (
    select
        *,
        theta - mean_theta as deviation,
        max(abs(theta - mean_theta)) over (partition by week_start_date, statistic, feature) as widest,
    from centred
),

spread as (
    select
        week_start_date,
        statistic,
        feature,
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
    group by week_start_date, statistic, feature
),

units as (
    select
        week_start_date,
        feature,
        cluster_unit,
    from cells
    group by week_start_date, feature, cluster_unit
    qualify row_number() over (partition by week_start_date, feature order by sum(n1) desc, cluster_unit) = 1
)

select
    s.week_start_date,
    s.statistic,
    s.feature,
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
inner join units as u on s.week_start_date = u.week_start_date and s.feature = u.feature
