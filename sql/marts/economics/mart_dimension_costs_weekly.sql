/*
about: >-
  What calls and tasks cost by any dimension: language, framework, runtime, region, release, prompt version. Sums always, a mean with
  its interval and quantiles where there are enough to quote. One row per week, call or task, dimension and value.
grain: [week_start_date, cost_unit, dimension, dimension_value]
partition: week
reads_around: 1 day
clock_stops: 1 day
leads: [ledger_requests]
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  cost_unit: VARCHAR; what is counted: request (a call), or task (all its calls, in the week of the first, by what that one tells)
  dimension: VARCHAR; prompt_version, release, region, environment, or one of dimensions.csv that calls keep as an attribute
  dimension_value: VARCHAR; value in lower case without blanks around it, '(none)' where calls have none, '(other)' for all beyond the dimension_max_values dearest; a prompt version follows its prompt: name@version
  is_week_over: BOOLEAN; false while the books' now is within the week: its figures still grow
  units: BIGINT; calls or tasks, failed ones included
  unpriced_units: BIGINT; of these, those without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced ones; null where none is priced
  cost_share: DECIMAL(18,9); the value's part of the cost of all values of the dimension; null without cost
  sample_status: VARCHAR; what the number of priced units allows: small (sums alone), median, mean or full (p95 too); other for '(other)', which has sums alone
  mean_cost_usd: DECIMAL(38,12); cost over priced units; null where fewer than dimension_min_mean
  mean_cost_low_usd: DECIMAL(38,12); lower end of its 95 % interval, by the users behind; null where interval_label says too few
  mean_cost_high_usd: DECIMAL(38,12); upper end of its 95 % interval
  clusters: BIGINT; users (or what stands for them: customer, session, day and feature) with priced units; null where no mean is shown
  interval_label: VARCHAR; ok, approximate (fewer than min_users_t, or a hundredth carries much), too_few_users, or no_cost; null without a mean
  p50_cost_usd: DECIMAL(38,15); median: a cost that occurred; null where fewer than dimension_min_p50
  p95_cost_usd: DECIMAL(38,15); cost that 95 of 100 do not exceed; null where fewer than dimension_min_p95
checks:
  - one_of: [cost_unit, request, task]
  - one_of: [sample_status, small, median, mean, full, other]
  - one_of: [interval_label, ok, approximate, too_few_users, no_cost]
  - between: [cost_share, 0, 1]
  - rule: units >= unpriced_units
  - rule: (effective_cost_usd is null) = (units = unpriced_units)
    text: a cost is unknown exactly where no call or task has one
  - no_rows: >-
      select strftime(d.week_start_date, '%Y-%m-%d') as partition, d.dimension
      from (
          select week_start_date, dimension, sum(units) as units, coalesce(sum(effective_cost_usd), 0) as usd
          from mart_dimension_costs_weekly
          where cost_unit = 'request'
          group by week_start_date, dimension
      ) as d
      left join (
          select week_start_date, sum(requests) as units, coalesce(sum(effective_cost_usd), 0) as usd
          from stat_usage_cells_weekly
          group by week_start_date
      ) as c on d.week_start_date = c.week_start_date
      where d.units is distinct from c.units or d.usd is distinct from c.usd
    text: the values of a dimension sum to all calls of the week and their cost
question: What does a task cost by language, and where are there enough to say?
answer: >-
  select week_start_date, dimension_value, units, effective_cost_usd, mean_cost_usd, mean_cost_low_usd, mean_cost_high_usd,
      p50_cost_usd, p95_cost_usd, sample_status
  from mart_dimension_costs_weekly
  where cost_unit = 'task' and dimension = 'language' and is_week_over order by week_start_date desc, effective_cost_usd desc
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/means.sql" import mean_intervals with context %}
{# Columns of a call that are dimensions here; who bears the cost, and what is called, have tables of their own. #}
{% set columns = ["prompt_version", "release", "region", "environment"] %}
{# A dimension may have other names, which are looked for in this order. #}
{% set names = [1, 2, 3, 4] %}
with scanned as (
    select
        cast(date_trunc('week', r.started_at at time zone z.reporting_time_zone) as date) as week_start_date,
        case when r.prompt_version is not null then concat_ws('@', r.prompt_name, r.prompt_version) end as prompt_version,
        r.release,
        r.region,
        nullif(r.environment, 'unattributed') as environment,
        r.attributes,
        coalesce(
            r.user_id, r.customer_id, r.session_id,
            concat_ws(' | ', cast(cast(r.started_at at time zone z.reporting_time_zone as date) as varchar), r.feature)
        ) as cluster_key,
        c.effective_cost_usd,
        t.task_id is not null as is_first_of_task,
        t.effective_cost_usd as task_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    left join ledger_tasks as t on r.request_key = t.first_request_key and r.started_at = t.started_at
    cross join ref_reporting as z
    where r.is_billable_leaf
),

counted as (
    select
        week_start_date, 'request' as cost_unit, {{ columns | join(", ") }}, attributes, cluster_key, effective_cost_usd as cost_usd
    from scanned
    union all
    select
        week_start_date, 'task' as cost_unit, {{ columns | join(", ") }}, attributes, cluster_key, task_cost_usd as cost_usd
    from scanned
    where is_first_of_task
),

named as (
    select
        dimension,
        attribute,
        row_number() over (partition by dimension order by attribute) as place,
    from ref_dimensions
    where dimension not in (
        'environment', 'release', 'feature', 'team', 'cost_centre', 'customer_id', 'customer_tier', 'user_id', 'session_id', 'task_id',
        'workflow', 'step', 'prompt_name', 'prompt_version', 'api_key_name'
    )
),

further as (
    select
        dimension,
{% for place in names %}
        max(case when place = {{ place }} then attribute end) as name{{ place }},
{% endfor %}
    from named
    group by dimension
),

valued as (
{% for column in columns %}
    select week_start_date, cost_unit, '{{ column }}' as dimension, {{ column }} as told, cluster_key, cost_usd
    from counted
    union all
{% endfor %}
    select
        c.week_start_date,
        c.cost_unit,
        f.dimension,
        coalesce({% for place in names %}c.attributes[f.name{{ place }}]{{ ", " if not loop.last }}{% endfor %}) as told,
        c.cluster_key,
        c.cost_usd,
    from counted as c
    cross join further as f
),

-- Rare spellings are brought together once for each, not for each call.
told_sums as (
    select
        week_start_date,
        cost_unit,
        dimension,
        told,
        cluster_key,
        count(*) as units,
        count(cost_usd) as priced_units,
        sum(cost_usd) as cost_usd,
    from valued
    group by week_start_date, cost_unit, dimension, told, cluster_key
),

member_sums as (
    select
        week_start_date,
        cost_unit,
        dimension,
        coalesce(nullif(lower(trim(told)), ''), '(none)') as dimension_value,
        cluster_key,
        sum(units) as counted_units,
        sum(priced_units) as units,
        sum(cost_usd) as cost_usd,
    from told_sums
    group by week_start_date, cost_unit, dimension, coalesce(nullif(lower(trim(told)), ''), '(none)'), cluster_key
),

value_sums as (
    select
        week_start_date,
        cost_unit,
        dimension,
        dimension_value,
        sum(counted_units) as units,
        sum(units) as priced_units,
        sum(cost_usd) as cost_usd,
    from member_sums
    group by week_start_date, cost_unit, dimension, dimension_value
),

weeks as (
    select distinct week_start_date from value_sums
),

{{ limits_of_weeks({
    "dimension_min_p50": "min_p50",
    "dimension_min_mean": "min_mean",
    "dimension_min_p95": "min_p95",
    "dimension_max_values": "max_values",
    "min_users_interval": "min_users_interval",
    "min_users_t": "min_users_t",
    "bootstrap_t_draws": "bootstrap_t_draws",
    "bootstrap_t_top_share": "bootstrap_t_top_share",
}) }},

ranked as (
    select
        *,
        row_number() over (
            partition by week_start_date, cost_unit, dimension, dimension_value = '(none)' order by cost_usd desc nulls last, units desc, dimension_value
        ) as place,
    from value_sums
),

kept as (
    select r.*, l.min_p50, l.min_mean, l.min_p95
    from ranked as r
    inner join limits as l on r.week_start_date = l.week_start_date
    where r.place <= l.max_values or r.dimension_value = '(none)'
),

members as (
    select m.week_start_date, m.cost_unit, m.dimension, m.dimension_value, m.cluster_key, m.units, m.cost_usd
    from member_sums as m
    inner join kept as k
        on m.week_start_date = k.week_start_date
        and m.cost_unit = k.cost_unit
        and m.dimension = k.dimension
        and m.dimension_value = k.dimension_value
    where m.units > 0 and k.priced_units >= k.min_mean
),

{{ mean_intervals("members", "limits", ["week_start_date", "cost_unit", "dimension", "dimension_value"]) }},

quantiles as (
    select
        v.week_start_date,
        v.cost_unit,
        v.dimension,
        coalesce(nullif(lower(trim(v.told)), ''), '(none)') as dimension_value,
        quantile_disc(v.cost_usd, 0.5) as p50_cost_usd,
        quantile_disc(v.cost_usd, 0.95) as p95_cost_usd,
    from valued as v
    where v.cost_usd is not null
    group by v.week_start_date, v.cost_unit, v.dimension, coalesce(nullif(lower(trim(v.told)), ''), '(none)')
),

shown as (
    select
        k.week_start_date,
        k.cost_unit,
        k.dimension,
        k.dimension_value,
        k.units,
        k.priced_units,
        k.cost_usd,
        case
            when k.priced_units < k.min_p50 then 'small'
            when k.priced_units < k.min_mean then 'median'
            when k.priced_units < k.min_p95 then 'mean'
            else 'full'
        end as sample_status,
        case when k.priced_units >= k.min_mean then k.cost_usd end as shown_cost_usd,
        i.estimate_low,
        i.estimate_high,
        i.clusters,
        i.interval_label,
        case when k.priced_units >= k.min_p50 then q.p50_cost_usd end as p50_cost_usd,
        case when k.priced_units >= k.min_p95 then q.p95_cost_usd end as p95_cost_usd,
    from kept as k
    left join mean_intervals as i
        on k.week_start_date = i.week_start_date
        and k.cost_unit = i.cost_unit
        and k.dimension = i.dimension
        and k.dimension_value = i.dimension_value
    left join quantiles as q
        on k.week_start_date = q.week_start_date
        and k.cost_unit = q.cost_unit
        and k.dimension = q.dimension
        and k.dimension_value = q.dimension_value
    union all
    select
        r.week_start_date,
        r.cost_unit,
        r.dimension,
        '(other)' as dimension_value,
        sum(r.units) as units,
        sum(r.priced_units) as priced_units,
        sum(r.cost_usd) as cost_usd,
        'other' as sample_status,
        null as shown_cost_usd,
        null as estimate_low,
        null as estimate_high,
        null as clusters,
        null as interval_label,
        null as p50_cost_usd,
        null as p95_cost_usd,
    from ranked as r
    anti join kept as k
        on r.week_start_date = k.week_start_date
        and r.cost_unit = k.cost_unit
        and r.dimension = k.dimension
        and r.dimension_value = k.dimension_value
    group by r.week_start_date, r.cost_unit, r.dimension
)

select
    s.week_start_date,
    s.cost_unit,
    s.dimension,
    s.dimension_value,
    coalesce(k.now_at at time zone z.reporting_time_zone >= s.week_start_date + 7, false) as is_week_over,
    cast(s.units as bigint) as units,
    cast(s.units - s.priced_units as bigint) as unpriced_units,
    cast(s.cost_usd as decimal(38, 15)) as effective_cost_usd,
    cast(
        cast(s.cost_usd as double)
        / nullif(cast(sum(s.cost_usd) over (partition by s.week_start_date, s.cost_unit, s.dimension) as double), 0) as decimal(18, 9)
    ) as cost_share,
    s.sample_status,
    cast(cast(s.shown_cost_usd as double) / s.priced_units as decimal(38, 12)) as mean_cost_usd,
    cast(s.estimate_low as decimal(38, 12)) as mean_cost_low_usd,
    cast(s.estimate_high as decimal(38, 12)) as mean_cost_high_usd,
    cast(s.clusters as bigint) as clusters,
    s.interval_label,
    cast(s.p50_cost_usd as decimal(38, 15)) as p50_cost_usd,
    cast(s.p95_cost_usd as decimal(38, 15)) as p95_cost_usd,
from shown as s
cross join ref_reporting as z
cross join ledger_clock as k
