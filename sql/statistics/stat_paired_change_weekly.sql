/*
about: >-
  How much the same users changed on the same request types, by a paired test of logarithms, with Benjamini-Hochberg's q over
  the week's features. One row per week, measure, baseline and feature that has pairs.
grain: [week_start_date, measure, baseline, feature]
partition: week
reads_back: 10 weeks
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  measure: VARCHAR; what is compared: output_ratio (output over input tokens), output or input (tokens alone), or answers (the ratio, less what chance does to the input)
  baseline: VARCHAR; what it is compared with: 4w (the week, with the four weeks before) or 8w (the last three weeks, each counted half as much as the one after it, with the eight before them)
  feature: VARCHAR; product feature, 'unattributed' where none is known
  cluster_unit: VARCHAR; what most of the paired calls are paired by: user, customer, session or day_and_type
  paired_clusters: BIGINT; users (or what stands for them) with calls of one type in both periods
  paired_requests: BIGINT; their calls of these types in the judged week, or of 8w in the three weeks up to it
  base_requests: BIGINT; their calls of these types in the baseline
  base_weeks: BIGINT; weeks of the baseline that these calls come from
  input_slope: DOUBLE; share of a change of input (in logarithms) that is taken from that of output: 1 for the ratio, 0 for tokens alone; for answers as the users' own changes say
  is_input_changed: BOOLEAN; true where input itself changed beyond creep_input_errors of its standard errors
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
  is_drift: BOOLEAN; true where a tested change is at least drift_min_change and beyond chance. 4w: q below drift_q, and p below drift_p or 8w a drift. 8w, of answers: p below creep_p (longer) or creep_shorter_p, the ratio alone along with it (p below creep_ratio_p), and going on by creep_going_on against the four weeks before
  untested_reason: VARCHAR; why it is no test: week_not_over, few_users, few_degrees_of_freedom, few_requests, few_base_requests or few_base_weeks; null where it is one
checks:
  - one_of: [measure, output_ratio, output, input, answers]
  - one_of: [baseline, 4w, 8w]
  - rule: measure = 'output_ratio' or (measure = 'answers') = (baseline = '8w')
  - between: [input_slope, 0, 1]
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
{# Weeks that are compared, with their weights, and first and last week of what with: counted back from the judged one. #}
{% set recent = {0: 4, 1: 2, 2: 1} %}
{% set before = {"4w": (1, 4), "8w": (3, 10)} %}
{% set key = ["week_start_date", "baseline", "feature"] %}
{% set compared = [
    "week_start_date", "measure", "baseline", "feature", "cluster_unit", "paired_clusters", "paired_requests", "base_requests", "base_weeks",
    "input_slope", "is_input_changed", "log_change", "log_standard_error", "degrees_of_freedom",
] %}
with weeks as (
    select distinct week_start_date from stat_usage_cells_weekly
),

-- Each cell stands in the judged week and in ten later ones.
placed as (
    {{ cells_and_baselines(["cluster_unit", "cluster_id", "logged_requests", "log_input", "log_output"], 11, "logged_requests") }}
),

cells as (
    select
        p.week_start_date,
        p.feature,
        p.workflow_step,
        p.prompt_name,
        p.cluster_unit,
        p.cluster_id,
{% for lag in recent %}
        sum(case when p.weeks_later = {{ lag }} then p.logged_requests end) as n_{{ lag }},
        sum(case when p.weeks_later = {{ lag }} then p.log_input end) as input_{{ lag }},
        sum(case when p.weeks_later = {{ lag }} then p.log_output end) as output_{{ lag }},
{% endfor %}
{% for baseline, (first, last) in before.items() %}
        sum(case when p.weeks_later between {{ first }} and {{ last }} then p.logged_requests end) as n_{{ baseline }},
        sum(case when p.weeks_later between {{ first }} and {{ last }} then p.log_input end) as input_{{ baseline }},
        sum(case when p.weeks_later between {{ first }} and {{ last }} then p.log_output end) as output_{{ baseline }},
{% endfor %}
        bit_or(cast(pow(2, p.weeks_later) as bigint)) as weeks_seen,
    from placed as p
    inner join weeks as w on p.week_start_date = w.week_start_date
    group by p.week_start_date, p.feature, p.workflow_step, p.prompt_name, p.cluster_unit, p.cluster_id
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
    "drift_p": "drift_p",
    "drift_min_change": "min_change",
    "creep_p": "creep_p",
    "creep_shorter_p": "creep_shorter_p",
    "creep_ratio_p": "ratio_p",
    "creep_going_on": "going_on",
    "creep_input_errors": "input_errors",
}, "cells") }},

-- Each of the weeks that are compared is paired with the same weeks before.
pairs as (
{% for baseline, lag, lag_weight in [("4w", 0, 1), ("8w", 0, recent[0]), ("8w", 1, recent[1]), ("8w", 2, recent[2])] %}
    select
        c.week_start_date,
        '{{ baseline }}' as baseline,
        {{ lag }} as lag,
        {{ lag_weight }} as lag_weight,
        c.feature,
        c.cluster_unit,
        c.cluster_id,
        {{ pair_weight("c.n_" ~ baseline, "c.n_" ~ lag, "l.weight_cap") }} as weight,
        cast(c.output_{{ lag }} as double) / c.n_{{ lag }} - cast(c.output_{{ baseline }} as double) / c.n_{{ baseline }} as output_d,
        cast(c.input_{{ lag }} as double) / c.n_{{ lag }} - cast(c.input_{{ baseline }} as double) / c.n_{{ baseline }} as input_d,
    from cells as c
    inner join limit_rows as l on c.week_start_date = l.week_start_date and c.feature = l.feature
    where c.n_{{ lag }} > 0 and c.n_{{ baseline }} > 0
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

paired as (
{% for baseline, lags in [("4w", [0]), ("8w", [0, 1, 2])] %}
    select
        week_start_date,
        '{{ baseline }}' as baseline,
        feature,
        cluster_unit,
        sum(coalesce(n_{{ lags | join(", 0) + coalesce(n_") }}, 0)) as requests,
        sum(n_{{ baseline }}) as base_requests,
        bit_or(weeks_seen) & {{ 2 ** (before[baseline][1] + 1) - 2 ** before[baseline][0] }} as base_weeks_seen,
    from cells
    where coalesce(n_{{ lags | join(", n_") }}) > 0 and n_{{ baseline }} > 0
    group by week_start_date, feature, cluster_unit
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

volumes as (
    select
        {{ key | join(", ") }},
        cast(sum(requests) as bigint) as paired_requests,
        cast(sum(base_requests) as bigint) as base_requests,
        cast(bit_count(bit_or(base_weeks_seen)) as bigint) as base_weeks,
    from paired
    group by {{ key | join(", ") }}
),

units as (
    select
        {{ key | join(", ") }},
        cluster_unit,
    from paired
    qualify row_number() over (partition by {{ key | join(", ") }} order by requests desc, cluster_unit) = 1
),

means as (
    select
        {{ key | join(", ") }},
        lag,
        cast(sum(weight) as double) as weights,
        cast(sum(cast(cast(weight as double) * output_d as decimal(38, 12))) as double) / cast(sum(weight) as double) as output_change,
        cast(sum(cast(cast(weight as double) * input_d as decimal(38, 12))) as double) / cast(sum(weight) as double) as input_change,
        lag_weight / cast(sum(lag_weight) over (partition by {{ key | join(", ") }}) as double) as lag_share,
    from pairs
    group by {{ key | join(", ") }}, lag, lag_weight
),

changes as (
    select
        {{ key | join(", ") }},
        cast(sum(cast(lag_share * output_change as decimal(38, 18))) as double) as output_change,
        cast(sum(cast(lag_share * input_change as decimal(38, 18))) as double) as input_change,
        cast(sum(cast(pow(lag_share, 2) as decimal(38, 18))) as double) as squared_shares,
    from means
    group by {{ key | join(", ") }}
),

clusters as (
    select
        p.{{ key | join(", p.") }},
        cast(sum(cast(m.lag_share * cast(p.weight as double) / m.weights as decimal(38, 18))) as double) as cluster_weight,
        cast(
            sum(cast(m.lag_share * cast(p.weight as double) / m.weights * (p.output_d - m.output_change) as decimal(38, 18))) as double
        ) as output_error,
        cast(
            sum(cast(m.lag_share * cast(p.weight as double) / m.weights * (p.input_d - m.input_change) as decimal(38, 18))) as double
        ) as input_error,
    from pairs as p
    inner join means as m
        on p.week_start_date = m.week_start_date
        and p.baseline = m.baseline
        and p.feature = m.feature
        and p.lag = m.lag
    group by p.{{ key | join(", p.") }}, p.cluster_unit, p.cluster_id
),

features as (
    select
        {{ key | join(", ") }},
        count(*) as paired_clusters,
        cast(sum(cast(cluster_weight as decimal(38, 18))) as double) as weights,
        cast(sum(cast(pow(cluster_weight, 2) as decimal(38, 18))) as double) as squared_weights,
        cast(sum(cast(pow(output_error, 2) as decimal(38, 18))) as double) as output_squares,
        cast(sum(cast(pow(input_error, 2) as decimal(38, 18))) as double) as input_squares,
        cast(sum(cast(output_error * input_error as decimal(38, 18))) as double) as products,
    from clusters
    group by {{ key | join(", ") }}
),

-- The chance of prompts is taken out of answers as far as the users' own changes say, from none to all of it. Beyond creep_input_errors of their
-- standard errors it is none: then the ratio must pass as well.
sloped as (
    select
        f.*,
        c.output_change,
        c.input_change,
        c.squared_shares,
        m.measure,
        case m.measure
            when 'output_ratio' then 1
            when 'answers' then coalesce(least(1, greatest(0, f.products / nullif(f.input_squares, 0))), 1)
            else 0
        end as input_slope,
        pow(c.input_change * f.weights, 2) > pow(cast(l.input_errors as double), 2) * f.input_squares as is_input_changed,
    from features as f
    inner join changes as c on f.week_start_date = c.week_start_date and f.baseline = c.baseline and f.feature = c.feature
    inner join limit_rows as l on f.week_start_date = l.week_start_date and f.feature = l.feature
    inner join (
        select unnest(['output_ratio', 'output', 'input', 'output_ratio', 'answers']) as measure, unnest(['4w', '4w', '4w', '8w', '8w']) as baseline
    ) as m on f.baseline = m.baseline
),

measured as (
    select
        s.week_start_date,
        s.measure,
        s.baseline,
        s.feature,
        s.paired_clusters,
        s.weights,
        s.squared_weights,
        s.input_slope,
        s.is_input_changed,
        s.squared_shares,
        case s.measure when 'input' then s.input_change else s.output_change - s.input_slope * s.input_change end as log_change,
        case s.measure
            when 'input' then s.input_squares
            else greatest(0, s.output_squares - 2 * s.input_slope * s.products + pow(s.input_slope, 2) * s.input_squares)
        end as squared_errors,
        -- The slope is estimated from the same users.
        {{ pair_freedom("s") }} - case s.measure when 'answers' then 1 else 0 end as degrees_of_freedom,
    from sloped as s
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
        f.input_slope,
        f.is_input_changed,
        f.log_change,
        -- One shock for each of the weeks that are compared, by their shares, and the mean of one for each week of the baseline.
        sqrt(
            {{ pair_variance("f") }}
            + pow(cast(l.tau as double), 2) * (f.squared_shares + 1 / cast(v.base_weeks as double))
        ) as log_standard_error,
        f.degrees_of_freedom,
        case
            when k.now_at is null or k.now_at at time zone z.reporting_time_zone < f.week_start_date + 7 then 'week_not_over'
            when f.paired_clusters < l.min_users then 'few_users'
            when f.degrees_of_freedom < l.min_df then 'few_degrees_of_freedom'
            when v.paired_requests < l.min_requests then 'few_requests'
            when v.base_requests < l.min_base_requests then 'few_base_requests'
            when v.base_weeks < l.min_base_weeks then 'few_base_weeks'
        end as untested_reason,
    from measured as f
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
        max(case when measure = 'output_ratio' and baseline = '4w' then log_change end) over (partition by week_start_date, feature) as newest_change,
        max(case when measure = 'output_ratio' and baseline = '8w' then log_change end) over (partition by week_start_date, feature) as ratio_change,
        max(case when measure = 'output_ratio' and baseline = '8w' then p_value end) over (partition by week_start_date, feature) as ratio_p,
    from placed_tests
),

-- What rose weeks ago and stays is no creep: the newest week goes on the same way. Nor is it one where prompts grow along: the ratio rises as well.
crept as (
    select
        q.*,
        l.drift_q,
        l.drift_p,
        l.min_change,
        q.measure = 'answers'
        and q.untested_reason is null
        and q.p_value < case when q.log_change > 0 then l.creep_p else l.creep_shorter_p end
        and abs(q.change) >= l.min_change
        and q.ratio_change * q.log_change > 0
        and q.ratio_p < case when q.is_input_changed then l.creep_p else l.ratio_p end
        and abs(exp(q.ratio_change) - 1) >= l.min_change
        and q.newest_change * q.log_change > 0
        and abs(exp(q.newest_change) - 1) >= l.going_on as is_creep,
    from quantified as q
    inner join limit_rows as l on q.week_start_date = l.week_start_date and q.feature = l.feature
)

select
    {{ compared | join(", ") }},
    t_statistic,
    p_value,
    q_value,
    change,
    change_low,
    change_high,
    mde_80,
    coalesce(
        case baseline
            when '8w' then is_creep
            else untested_reason is null
                and q_value < drift_q
                and abs(change) >= min_change
                and (p_value < drift_p or max(case when is_creep then 1 else 0 end) over (partition by week_start_date, feature) = 1)
        end,
        false
    ) as is_drift,
    untested_reason,
from crept
