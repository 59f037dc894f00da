/*
about: >-
  What a new release or prompt version does to the cost of a call and of a task: the paired test of logarithms for the same users and request
  types, and the change free of their mix. One row per week, version that is new in it, what is counted and way to compare.
grain: [week_start_date, feature, dimension, scope_name, version, counted, comparison]
partition: week
reads_back: 8 weeks
clock_stops: 1 day
leads: [stat_release_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  dimension: VARCHAR; what has the version: release or prompt_version
  scope_name: VARCHAR; prompt template that a prompt version is of; '(all)' for a release
  version: VARCHAR; release or prompt version that came in the week or the four before
  previous_version: VARCHAR; the one with most calls in the four weeks before its first day, and in that week until then
  release_date: DATE; first day of the version in the eight weeks up to the judged one, in the reporting time zone
  counted: VARCHAR; what is compared: request (cost of a call) or task (cost of a task with all its calls)
  comparison: VARCHAR; before_after (the version in the week, the other before its first day) or same_days (both on the days of the week that both served)
  concurrent_days: BIGINT; days of the week that both served
  units: BIGINT; calls or tasks of the version
  base_units: BIGINT; calls or tasks of the version before
  priced_units: BIGINT; of those of the version, those with a cost
  base_priced_units: BIGINT; of those of the version before, those with a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced ones of the version; null where none is
  base_repriced_cost_usd: DECIMAL(38,15); cost of the priced ones of the version before, at the rates of the judged week; null where none is
  matched_cost_usd: DECIMAL(38,15); cost of the version in request types that both have; null without any
  expected_cost_usd: DECIMAL(38,15); what as many of the same types would cost as with the version before, at the rates of the judged week; null without any
  paired_clusters: BIGINT; users (or what stands for them) with both versions on one type
  paired_units: BIGINT; calls or tasks of the version that are paired
  base_paired_units: BIGINT; calls or tasks of the version before that are paired
  log_change: DOUBLE; weighted mean change of the logarithm of cost; null without pairs
  log_standard_error: DOUBLE; its standard error, clusters included, and a shared weekly shock (drift_tau) unless both served on the same days
  degrees_of_freedom: DOUBLE; of Student's t, by the weights of the clusters
  p_value: DOUBLE; two-sided p of the change; null where that is no test
  untested_reason: VARCHAR; why it is no test: week_not_over, no_pairs, few_users, few_degrees_of_freedom, few_units or few_base_units; null where it is one
checks:
  - one_of: [dimension, release, prompt_version]
  - one_of: [counted, request, task]
  - one_of: [comparison, before_after, same_days]
  - between: [p_value, 0, 1]
  - rule: (p_value is null) = (untested_reason is not null)
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/paired.sql" import measured_pairs, pair_freedom, pair_variance, pair_weight %}
{% set scope = ["feature", "dimension", "scope_name"] %}
{% set pair = ["week_start_date", "feature", "dimension", "scope_name", "version"] %}
{% set compared = ["rival_number", "counted", "comparison"] %}
with weeks as (
    select distinct week_start_date from stat_release_cells_weekly
),

cells as (
    select
        c.week_start_date,
        t.counted,
        c.feature,
        d.dimension,
        case when d.dimension = 'release' then '(all)' else c.prompt_name end as scope_name,
        case when d.dimension = 'release' then c.release else c.prompt_version end as version,
        c.workflow_step,
        c.prompt_name,
        c.provider,
        c.model_canonical,
        c.cluster_unit,
        c.cluster_id,
        c.shared_date,
{% for name, requests, tasks in (
    ("first_date", "requests_first_date", "tasks_first_date"),
    ("units", "requests", "tasks"),
    ("priced_units", "priced_requests", "priced_tasks"),
    ("effective_cost_usd", "requests_effective_cost_usd", "tasks_effective_cost_usd"),
    ("cost_units", "requests_cost_units", "tasks_cost_units"),
    ("log_cost", "requests_log_cost", "tasks_log_cost"),
) %}
        case when t.counted = 'task' then c.{{ tasks }} else c.{{ requests }} end as {{ name }},
{% endfor %}
    from stat_release_cells_weekly as c
    cross join (select unnest(['release', 'prompt_version']) as dimension) as d
    cross join (select unnest(['request', 'task']) as counted) as t
    where ((d.dimension = 'release' and c.release is not null) or (d.dimension = 'prompt_version' and c.prompt_version is not null))
        and (t.counted = 'request' or c.tasks > 0)
),

served as (
    select
        week_start_date,
        {{ scope | join(", ") }},
        version,
        shared_date,
        min(first_date) as first_date,
        sum(units) as units,
    from cells
    where counted = 'request'
    group by week_start_date, {{ scope | join(", ") }}, version, shared_date
),

-- Versions of a week by when they came, as far back as can be seen: what was there from the start is not new.
arrivals as (
    select
        *,
        min(version_date) over (partition by week_start_date, {{ scope | join(", ") }}) as scope_date,
    from (
        select
            w.week_start_date,
            s.{{ scope | join(", s.") }},
            s.version,
            min(s.first_date) as version_date,
            max(s.week_start_date) as last_week_date,
        from served as s
        inner join weeks as w on s.week_start_date between w.week_start_date - 56 and w.week_start_date
        group by w.week_start_date, s.{{ scope | join(", s.") }}, s.version
    ) as seen
),

newcomers as (
    select
        week_start_date,
        {{ scope | join(", ") }},
        version,
        version_date as release_date,
        cast(date_trunc('week', version_date) as date) as release_week_date,
    from arrivals
    where last_week_date = week_start_date and version_date > scope_date and version_date >= week_start_date - 28
),

-- Numbered: sums by numbers are much cheaper than by names.
rivals as (
    select
        *,
        row_number() over (order by {{ pair | join(", ") }}) as rival_number,
    from (
        select
            n.*,
            s.version as previous_version,
        from newcomers as n
        inner join served as s
            on {% for column in scope %}s.{{ column }} = n.{{ column }} and {% endfor %}s.version <> n.version
            and s.week_start_date between n.release_week_date - 28 and n.release_week_date
            and s.first_date < n.release_date
        group by n.week_start_date, n.{{ scope | join(", n.") }}, n.version, n.release_date, n.release_week_date, s.version
        qualify row_number() over (
            partition by n.week_start_date, n.{{ scope | join(", n.") }}, n.version order by sum(s.units) desc, s.version
        ) = 1
    ) as found
),

both_days as (
    select
        r.rival_number,
        s.shared_date,
    from rivals as r
    inner join served as s
        on {% for column in scope %}s.{{ column }} = r.{{ column }} and {% endfor %}s.week_start_date = r.week_start_date
        and s.version in (r.version, r.previous_version)
        and s.shared_date is not null
    group by r.rival_number, s.shared_date
    having count(distinct s.version) = 2
),

concurrent as (
    select rival_number, count(*) as concurrent_days
    from both_days
    group by rival_number
),

-- The cells of both sides, what the version before cost taken to the rates of the judged week.
sides as (
    select
        r.rival_number,
        c.counted,
        m.comparison,
        c.workflow_step,
        c.prompt_name,
        c.cluster_unit,
        c.cluster_id,
        c.version = r.version as is_new,
        c.units,
        c.priced_units,
        c.cost_units,
        case
            when i.rate_index is null then c.effective_cost_usd
            else cast(cast(c.effective_cost_usd as double) * i.rate_index as decimal(38, 15))
        end as cost,
        c.log_cost + case when i.rate_index is null then 0 else cast(c.cost_units * ln(i.rate_index) as decimal(38, 12)) end as log_cost,
    from rivals as r
    inner join cells as c
        on {% for column in scope %}c.{{ column }} = r.{{ column }} and {% endfor %}c.version in (r.version, r.previous_version)
        and c.week_start_date between r.release_week_date - 28 and r.week_start_date
    cross join (select unnest(['before_after', 'same_days']) as comparison) as m
    left join both_days as b
        on b.rival_number = r.rival_number and b.shared_date = c.shared_date
    left join stat_price_index_weekly as i
        on i.week_start_date = r.week_start_date
        and i.base_week_date = c.week_start_date
        and i.feature = c.feature
        and i.provider = c.provider
        and i.model_canonical = c.model_canonical
    where (c.version = r.version and c.week_start_date = r.week_start_date and (m.comparison = 'before_after' or b.shared_date is not null))
        or (
            c.version = r.previous_version and m.comparison = 'before_after' and c.week_start_date <= r.release_week_date
            and c.first_date < r.release_date
        )
        or (c.version = r.previous_version and m.comparison = 'same_days' and c.week_start_date = r.week_start_date and b.shared_date is not null)
),

types as (
    select
        {{ compared | join(", ") }},
        workflow_step,
        prompt_name,
        sum(case when is_new then units else 0 end) as n1,
        sum(case when is_new then 0 else units end) as n0,
        sum(case when is_new then priced_units else 0 end) as priced1,
        sum(case when is_new then 0 else priced_units end) as priced0,
        sum(case when is_new then cost end) as cost1,
        sum(case when is_new then null else cost end) as cost0,
    from sides
    group by {{ compared | join(", ") }}, workflow_step, prompt_name
),

levels as (
    select
        {{ compared | join(", ") }},
        cast(sum(n1) as bigint) as units,
        cast(sum(n0) as bigint) as base_units,
        cast(sum(priced1) as bigint) as priced_units,
        cast(sum(priced0) as bigint) as base_priced_units,
        cast(sum(cost1) as decimal(38, 15)) as effective_cost_usd,
        cast(sum(cost0) as decimal(38, 15)) as base_repriced_cost_usd,
        cast(sum(case when priced0 > 0 and priced1 > 0 then cost1 end) as decimal(38, 15)) as matched_cost_usd,
        cast(
            sum(
                case
                    when priced0 > 0 and priced1 > 0
                        then cast(cast(priced1 as double) * cast(cost0 as double) / cast(priced0 as double) as decimal(38, 15))
                end
            ) as decimal(38, 15)
        ) as expected_cost_usd,
    from types
    group by {{ compared | join(", ") }}
    having sum(n1) > 0 and sum(n0) > 0
),

{{ limits_of_rows({
    "drift_tau": "tau",
    "drift_weight_cap": "weight_cap",
    "drift_min_users": "min_users",
    "drift_min_df": "min_df",
    "drift_min_requests_current": "min_units",
    "drift_min_requests_base": "min_base_units",
}, "rivals") }},

pairs as (
    select
        {{ compared | join(", ") }},
        concat_ws('|', cluster_unit, cluster_id) as cluster_key,
        sum(case when is_new then cost_units else 0 end) as n1,
        sum(case when is_new then 0 else cost_units end) as n0,
        cast(sum(case when is_new then log_cost else 0 end) as double) / nullif(sum(case when is_new then cost_units else 0 end), 0)
            - cast(sum(case when is_new then 0 else log_cost end) as double) / nullif(sum(case when is_new then 0 else cost_units end), 0) as d,
    from sides
    group by {{ compared | join(", ") }}, workflow_step, prompt_name, cluster_unit, cluster_id
    having sum(case when is_new then cost_units else 0 end) > 0 and sum(case when is_new then 0 else cost_units end) > 0
),

weighted as (
    select
        p.*,
        {{ pair_weight("p.n0", "p.n1", "l.weight_cap") }} as weight,
    from pairs as p
    inner join rivals as r on p.rival_number = r.rival_number
    inner join limit_rows as l on r.week_start_date = l.week_start_date and r.feature = l.feature
),

{{ measured_pairs(compared) }},

judged as (
    select
        v.*,
        r.{{ pair | join(",
        r.") }},
        r.previous_version,
        r.release_date,
        coalesce(n.concurrent_days, 0) as concurrent_days,
        coalesce(m.paired_clusters, 0) as paired_clusters,
        coalesce(m.paired_units, 0) as paired_units,
        coalesce(m.base_paired_units, 0) as base_paired_units,
        m.log_change,
        -- On the same days both share the shock of the week.
        sqrt(
            {{ pair_variance("m") }}
            + case when v.comparison = 'same_days' then 0 else pow(cast(l.tau as double), 2) * 1.25 end
        ) as log_standard_error,
        {{ pair_freedom("m") }} as degrees_of_freedom,
        case
            when k.now_at is null or k.now_at at time zone z.reporting_time_zone < r.week_start_date + 7 then 'week_not_over'
            when m.rival_number is null then 'no_pairs'
            when m.paired_clusters < l.min_users then 'few_users'
            when {{ pair_freedom("m") }} < l.min_df then 'few_degrees_of_freedom'
            when m.paired_units < l.min_units then 'few_units'
            when m.base_paired_units < l.min_base_units then 'few_base_units'
        end as untested_reason,
    from levels as v
    inner join rivals as r on v.rival_number = r.rival_number
    inner join limit_rows as l on r.week_start_date = l.week_start_date and r.feature = l.feature
    left join concurrent as n on v.rival_number = n.rival_number
    left join measured as m on v.rival_number = m.rival_number and v.counted = m.counted and v.comparison = m.comparison
    cross join ref_reporting as z
    cross join ledger_clock as k
)

select
    week_start_date,
    feature,
    dimension,
    scope_name,
    version,
    previous_version,
    release_date,
    counted,
    comparison,
    concurrent_days,
    units,
    base_units,
    priced_units,
    base_priced_units,
    effective_cost_usd,
    base_repriced_cost_usd,
    matched_cost_usd,
    expected_cost_usd,
    paired_clusters,
    paired_units,
    base_paired_units,
    log_change,
    log_standard_error,
    degrees_of_freedom,
    case
        when untested_reason is null
            -- All clusters changed alike: no doubt is left.
            then case when log_standard_error > 0 then student_t_two_sided(log_change / log_standard_error, degrees_of_freedom) when log_change = 0 then 1 else 0 end
    end as p_value,
    untested_reason,
from judged
