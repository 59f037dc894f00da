/*
about: >-
  How much the same users changed on the same request types, by a paired test of logarithms, with Benjamini-Hochberg's q over
  the week's features. One row per week, measure, baseline and feature that has pairs.
grain: [week_start_date, measure, baseline, feature]
partition: week
reads_back: 8 weeks
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  measure: VARCHAR; what is compared: output_ratio (output over input tokens), output or input (tokens alone)
  baseline: VARCHAR; what it is compared with: 4w (the four weeks before) or lag8 (the four weeks before those)
  feature: VARCHAR; product feature, 'unattributed' where none is known
  cluster_unit: VARCHAR; what most of the paired calls are paired by: user, customer, session or day_and_type
  paired_clusters: BIGINT; users (or what stands for them) with calls of one type in both periods
  paired_requests: BIGINT; their calls of these types in the judged week
  base_requests: BIGINT; their calls of these types in the baseline
  base_weeks: BIGINT; weeks of the baseline that these calls come from
  log_change: DOUBLE; weighted mean change of the logarithm
  log_standard_error: DOUBLE; its standard error, clusters and a shared weekly shock (drift_tau) included; null for one cluster
  degrees_of_freedom: DOUBLE; of Student's t, by the weights of the clusters; fewer where few users make most calls
  t_statistic: DOUBLE; log_change over its standard error
  p_value: DOUBLE; two-sided p of the change; null for one cluster
  q_value: DOUBLE; p after Benjamini-Hochberg over the features that were tested; null where not tested
  change: DOUBLE; the change as a fraction, 0.30 is +30 %
  change_low: DOUBLE; lower end of its 95 % interval
  change_high: DOUBLE; upper end of its 95 % interval
  mde_80: DOUBLE; smallest rise that would be seen 4 times in 5, as a fraction
  is_drift: BOOLEAN; true where a tested change is beyond chance (q below drift_q; against the weeks further back p below creep_p) and at least drift_min_change
  untested_reason: VARCHAR; why it is no test: week_not_over, few_users, few_degrees_of_freedom, few_requests, few_base_requests or few_base_weeks; null where it is one
checks:
  - one_of: [measure, output_ratio, output, input]
  - one_of: [baseline, 4w, lag8]
  - between: [p_value, 0, 1]
  - between: [q_value, 0, 1]
  - rule: (q_value is null) = (untested_reason is not null)
  - rule: change between change_low and change_high
    null_passes: true
    text: the change lies in its interval
*/
{% from "macros/baselines.sql" import cells_and_baselines with context %}
{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/paired.sql" import pair_freedom, pair_variance, pair_weight %}
{% set cluster = ["week_start_date", "measure", "baseline", "feature", "cluster_unit", "cluster_id"] %}
{% set compared = [
    "week_start_date", "measure", "baseline", "feature", "cluster_unit", "paired_clusters", "paired_requests", "base_requests", "base_weeks",
    "log_change", "log_standard_error", "degrees_of_freedom",
] %}
with weeks as (
    select distinct week_start_date from stat_usage_cells_weekly
),

-- Each cell stands in the judged week and in eight later ones as baseline.
placed as (
    {{ cells_and_baselines(["cluster_unit", "cluster_id", "logged_requests", "log_input", "log_output"], 9, "logged_requests") }}
),

cells as (
    select
        p.week_start_date,
        b.baseline,
        p.feature,
        p.workflow_step,
        p.prompt_name,
        p.cluster_unit,
        p.cluster_id,
        sum(case when p.weeks_later = 0 then p.logged_requests end) as n1,
        sum(case when p.weeks_later = 0 then p.log_input end) as input1,
        sum(case when p.weeks_later = 0 then p.log_output end) as output1,
        sum(case when p.weeks_later > 0 then p.logged_requests end) as n0,
        sum(case when p.weeks_later > 0 then p.log_input end) as input0,
        sum(case when p.weeks_later > 0 then p.log_output end) as output0,
        max(case when p.weeks_later = b.first_week then 1 else 0 end) as in_first,
        max(case when p.weeks_later = b.first_week + 1 then 1 else 0 end) as in_second,
        max(case when p.weeks_later = b.first_week + 2 then 1 else 0 end) as in_third,
        max(case when p.weeks_later = b.first_week + 3 then 1 else 0 end) as in_fourth,
    from placed as p
    inner join weeks as w on p.week_start_date = w.week_start_date
    inner join (
        select '4w' as baseline, 1 as first_week
        union all
        select 'lag8' as baseline, 5 as first_week
    ) as b on p.weeks_later = 0 or p.weeks_later between b.first_week and b.first_week + 3
    group by p.week_start_date, b.baseline, p.feature, p.workflow_step, p.prompt_name, p.cluster_unit, p.cluster_id
),

{{ limits_of_rows({
    "drift_tau": "tau",
    "drift_weight_cap": "weight_cap",
    "drift_min_users": "min_users",
    "drift_min_df": "min_df",
    "drift_min_requests_current": "min_requests",
    "drift_min_requests_base": "min_base_requests",
    "drift_min_base_weeks": "min_base_weeks",
    "drift_q": "drift_q",
    "drift_min_change": "min_change",
    "creep_p": "creep_p",
}, "cells") }},

pairs as (
    select
        c.week_start_date,
        c.baseline,
        c.feature,
        c.cluster_unit,
        c.cluster_id,
        c.n1,
        c.n0,
        c.in_first,
        c.in_second,
        c.in_third,
        c.in_fourth,
        {{ pair_weight("c.n0", "c.n1", "l.weight_cap") }} as weight,
        cast(c.output1 as double) / c.n1 - cast(c.output0 as double) / c.n0 as output_d,
        cast(c.input1 as double) / c.n1 - cast(c.input0 as double) / c.n0 as input_d,
    from cells as c
    inner join limit_rows as l on c.week_start_date = l.week_start_date and c.feature = l.feature
    where c.n1 > 0 and c.n0 > 0
),

measured as (
    select
        p.week_start_date,
        m.measure,
        p.baseline,
        p.feature,
        p.cluster_unit,
        p.cluster_id,
        p.weight,
        case m.measure when 'output' then p.output_d when 'input' then p.input_d else p.output_d - p.input_d end as d,
    from pairs as p
    cross join (select unnest(['output_ratio', 'output', 'input']) as measure) as m
),

centred as (
    select
        {{ cluster | join(", ") }},
        weight,
        d,
        cast(sum(cast(cast(weight as double) * d as decimal(38, 12))) over (partition by week_start_date, measure, baseline, feature) as double)
            / cast(sum(weight) over (partition by week_start_date, measure, baseline, feature) as double) as log_change,
    from measured
),

clusters as (
    select
        {{ cluster | join(", ") }},
        -- The same in every row of a feature.
        min(log_change) as log_change,
        sum(weight) as cluster_weight,
        sum(cast(cast(weight as double) * (d - log_change) as decimal(38, 12))) as cluster_error,
    from centred
    group by {{ cluster | join(", ") }}
),

features as (
    select
        week_start_date,
        measure,
        baseline,
        feature,
        min(log_change) as log_change,
        count(*) as paired_clusters,
        cast(sum(cluster_weight) as double) as weights,
        cast(sum(cast(pow(cast(cluster_weight as double), 2) as decimal(38, 12))) as double) as squared_weights,
        cast(sum(cast(pow(cast(cluster_error as double), 2) as decimal(38, 12))) as double) as squared_errors,
    from clusters
    group by week_start_date, measure, baseline, feature
),

volumes as (
    select
        week_start_date,
        baseline,
        feature,
        cast(sum(n1) as bigint) as paired_requests,
        cast(sum(n0) as bigint) as base_requests,
        cast(max(in_first) + max(in_second) + max(in_third) + max(in_fourth) as bigint) as base_weeks,
    from pairs
    group by week_start_date, baseline, feature
),

units as (
    select
        week_start_date,
        baseline,
        feature,
        cluster_unit,
    from pairs
    group by week_start_date, baseline, feature, cluster_unit
    qualify row_number() over (partition by week_start_date, baseline, feature order by sum(n1) desc, cluster_unit) = 1
),

judged as (
    select
        f.week_start_date,
        f.measure,
        f.baseline,
        f.feature,
        u.cluster_unit,
        f.paired_clusters,
        v.paired_requests,
        v.base_requests,
        v.base_weeks,
        f.log_change,
        -- One shock for the judged week and the mean of one for each week of the baseline.
        sqrt(
            {{ pair_variance("f") }}
            + pow(cast(l.tau as double), 2) * (1 + 1 / cast(v.base_weeks as double))
        ) as log_standard_error,
        {{ pair_freedom("f") }} as degrees_of_freedom,
        case
            when k.now_at is null or k.now_at at time zone z.reporting_time_zone < f.week_start_date + 7 then 'week_not_over'
            when f.paired_clusters < l.min_users then 'few_users'
            when {{ pair_freedom("f") }} < l.min_df then 'few_degrees_of_freedom'
            when v.paired_requests < l.min_requests then 'few_requests'
            when v.base_requests < l.min_base_requests then 'few_base_requests'
            when v.base_weeks < l.min_base_weeks then 'few_base_weeks'
        end as untested_reason,
    from features as f
    inner join volumes as v on f.week_start_date = v.week_start_date and f.baseline = v.baseline and f.feature = v.feature
    inner join units as u on f.week_start_date = u.week_start_date and f.baseline = u.baseline and f.feature = u.feature
    inner join limit_rows as l on f.week_start_date = l.week_start_date and f.feature = l.feature
    cross join ref_reporting as z
    cross join ledger_clock as k
),

tested as (
    select
        {{ compared | join(", ") }},
        log_change / log_standard_error as t_statistic,
        student_t_two_sided(log_change / log_standard_error, case when degrees_of_freedom > 0 then degrees_of_freedom end) as p_value,
        student_t_quantile(0.975, case when degrees_of_freedom > 0 then degrees_of_freedom end) * log_standard_error as reach,
        student_t_quantile(0.80, case when degrees_of_freedom > 0 then degrees_of_freedom end) * log_standard_error as power_reach,
        untested_reason,
        count(case when untested_reason is null then 1 end) over (partition by week_start_date, measure, baseline) as tests,
    from judged
),

placed_tests as (
    select
        *,
        row_number() over (
            partition by week_start_date, measure, baseline, untested_reason is null order by p_value, feature
        ) as place,
    from tested
),

quantified as (
    select
        {{ compared | join(", ") }},
        t_statistic,
        p_value,
        case
            when untested_reason is null
                then min(p_value * tests / place) over (
                    partition by week_start_date, measure, baseline, untested_reason is null
                    order by place desc rows between unbounded preceding and current row
                )
        end as q_value,
        exp(log_change) - 1 as change,
        exp(log_change - reach) - 1 as change_low,
        exp(log_change + reach) - 1 as change_high,
        exp(reach + power_reach) - 1 as mde_80,
        untested_reason,
    from placed_tests
)

select
    {{ compared | join(", q.") | replace("week_start_date", "q.week_start_date", 1) }},
    q.t_statistic,
    q.p_value,
    q.q_value,
    q.change,
    q.change_low,
    q.change_high,
    q.mde_80,
    coalesce(
        q.untested_reason is null
        and case q.baseline when 'lag8' then q.p_value < l.creep_p else q.q_value < l.drift_q end
        and abs(q.change) >= l.min_change,
        false
    ) as is_drift,
    q.untested_reason,
from quantified as q
inner join limit_rows as l on q.week_start_date = l.week_start_date and q.feature = l.feature
