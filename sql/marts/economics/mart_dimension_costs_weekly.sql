/*
about: >-
  What calls and tasks cost by any dimension: language, framework, runtime, region, release, prompt version. Sums always, a mean with
  its interval and quantiles where there are enough to quote. One row per week, call or task, dimension and value.
grain: [week_start_date, cost_unit, dimension, dimension_value]
partition: week
reads_around: 1 day
clock_stops: 1 day
leads: [ledger_requests]
joins: as_written
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
{% from "macros/days.sql" import local_date, local_week %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/means.sql" import mean_intervals with context %}
{# Columns of a call that are dimensions here; who bears the cost, and what is called, have tables of their own. #}
{% set columns = {
    "prompt_version": "case when prompt_version is not null then concat_ws('@', prompt_name, prompt_version) end",
    "release": "release",
    "region": "region",
    "environment": "nullif(environment, 'unattributed')",
} %}
{# A dimension may have other names, which are looked for in this order. #}
{% set names = [1, 2, 3, 4] %}
{# What is counted: its name, its number in a cell, those with a cost, and the cost. #}
{% set cost_units = [
    ("request", "requests", "priced_requests", "effective_cost_usd"), ("task", "tasks", "priced_tasks", "task_cost_usd"),
] %}
{# Steps of a fiftieth of the logarithm, in which quantiles are looked for. #}
{% macro step_of(cost) %}case when {{ cost }} > 0 then cast(floor(50 * ln(cast({{ cost }} as double))) as integer) else -1000000 end{% endmacro %}
{# What a call tells; attributes as text, for the engine is slow to compare maps. #}
{% set telling = ["prompt_name", "prompt_version", "release", "region", "environment", "attribute_text"] %}
with told_calls as not materialized (
    select
        *,
        cast(attributes as varchar) as attribute_text,
    from ledger_requests
),

-- Few calls differ in all that they tell: each such set is taken apart once, and goes by a number from there on.
sets as (
    select
        *,
        row_number() over () as set_no,
    from (
        select
            {{ telling | join(", ") }},
            any_value(attributes) as attributes,
        from told_calls
        group by {{ telling | join(", ") }}
    ) as found
),

-- A number in place of names, before costs and tasks are looked up: so those joins carry little.
numbered_calls as (
    select
        r.request_key,
        r.started_at,
        {{ local_week("r.started_at") }} as week_start_date,
        s.set_no,
        coalesce(
            r.user_id, r.customer_id, r.session_id,
            concat_ws(' | ', cast({{ local_date("r.started_at") }} as varchar), r.feature)
        ) as cluster_key,
    from told_calls as r
    cross join ref_reporting as z
    inner join sets as s
        on {% for column in telling %}r.{{ column }} is not distinct from s.{{ column }}{{ " and " if not loop.last }}{% endfor +%}
),

calls as (
    select
        r.week_start_date,
        r.set_no,
        r.cluster_key,
        c.effective_cost_usd,
        t.task_id is not null as is_first_of_task,
        t.effective_cost_usd as task_cost_usd,
        {{ step_of("c.effective_cost_usd") }} as request_step,
        {{ step_of("t.effective_cost_usd") }} as task_step,
    from numbered_calls as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    left join ledger_tasks as t on r.request_key = t.first_request_key and r.started_at = t.started_at
),

named as (
    select dimension, attribute, row_number() over (partition by dimension order by attribute) as place
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

told as (
{% for column, said in columns.items() %}
    select set_no, '{{ column }}' as dimension, {{ said }} as told_value
    from sets
    union all
{% endfor %}
    select
        s.set_no,
        f.dimension,
        coalesce({% for place in names %}s.attributes[f.name{{ place }}]{{ ", " if not loop.last }}{% endfor %}) as told_value,
    from sets as s
    cross join further as f
),

set_values as (
    select
        set_no,
        dimension,
        coalesce(nullif(lower(trim(told_value)), ''), '(none)') as dimension_value,
        dense_rank() over (order by dimension, coalesce(nullif(lower(trim(told_value)), ''), '(none)')) as value_no,
    from told
),

numbered_values as (
    select distinct value_no, dimension, dimension_value from set_values
),

cells as (
    select
        week_start_date,
        set_no,
        cluster_key,
        count(*) as requests,
        count(effective_cost_usd) as priced_requests,
        sum(effective_cost_usd) as effective_cost_usd,
        count(case when is_first_of_task then 1 end) as tasks,
        count(task_cost_usd) as priced_tasks,
        sum(task_cost_usd) as task_cost_usd,
    from calls
    group by week_start_date, set_no, cluster_key
),

clusters as (
    select cluster_key, row_number() over (order by cluster_key) as cluster_no
    from (select distinct cluster_key from cells) as found
),

told_cells as (
    select
        c.week_start_date,
        v.value_no,
        u.cluster_no,
{% for cost_unit, number, priced, cost in cost_units %}
        cast(sum(c.{{ number }}) as bigint) as {{ number }},
        cast(sum(c.{{ priced }}) as bigint) as {{ priced }},
        sum(c.{{ cost }}) as {{ cost }},
{% endfor %}
    from cells as c
    inner join clusters as u on c.cluster_key = u.cluster_key
    inner join set_values as v on c.set_no = v.set_no
    group by c.week_start_date, v.value_no, u.cluster_no
),

member_sums as (
{% for cost_unit, number, priced, cost in cost_units %}
    select
        week_start_date, '{{ cost_unit }}' as cost_unit, value_no, cluster_no as cluster_key, {{ number }} as counted_units, {{ priced }} as units,
        {{ cost }} as cost_usd,
    from told_cells
    where {{ number }} > 0
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

value_sums as (
    select
        week_start_date,
        cost_unit,
        value_no,
        sum(counted_units) as units,
        sum(units) as priced_units,
        sum(cost_usd) as cost_usd,
    from member_sums
    group by week_start_date, cost_unit, value_no
),

{% include "parts/weeks_with_end.sql" %}


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
        s.*,
        v.dimension,
        v.dimension_value,
        row_number() over (
            partition by s.week_start_date, s.cost_unit, v.dimension, v.dimension_value = '(none)'
            order by s.cost_usd desc nulls last, s.units desc, v.dimension_value
        ) as place,
    from value_sums as s
    inner join numbered_values as v on s.value_no = v.value_no
),

kept as (
    select
        r.*,
        row_number() over (order by r.week_start_date, r.cost_unit, r.value_no) as cell_no,
        r.priced_units >= l.min_p50 as has_median,
        r.priced_units >= l.min_mean as has_mean,
        r.priced_units >= l.min_p95 as has_p95,
    from ranked as r
    inner join limits as l on r.week_start_date = l.week_start_date
    where r.place <= l.max_values or r.dimension_value = '(none)'
),

members as (
    select m.week_start_date, k.cell_no, m.cluster_key, m.units, m.cost_usd
    from member_sums as m
    inner join kept as k on m.week_start_date = k.week_start_date and m.cost_unit = k.cost_unit and m.value_no = k.value_no
    where m.units > 0 and k.has_mean
),

{{ mean_intervals("members", "limits", ["week_start_date", "cell_no"]) }},

-- Quantiles that are costs which occurred. Calls are counted in steps of a fiftieth of the logarithm first: then only those of the step
-- that the quantile lies in have to be put in order.
{% for cost_unit, number, priced, cost in cost_units %}
{{ cost_unit }}_steps as (
    select
        k.cell_no,
        k.week_start_date,
        k.value_no,
        c.{{ cost_unit }}_step as cost_step,
        sum(c.units) as units,
    from (
        select week_start_date, set_no, {{ cost_unit }}_step, count(*) as units
        from calls
        where {{ cost }} is not null
        group by week_start_date, set_no, {{ cost_unit }}_step
    ) as c
    inner join set_values as v on c.set_no = v.set_no
    inner join kept as k on c.week_start_date = k.week_start_date and v.value_no = k.value_no and k.cost_unit = '{{ cost_unit }}'
    where k.has_median
    group by k.cell_no, k.week_start_date, k.value_no, c.{{ cost_unit }}_step
),

{{ cost_unit }}_counted as (
    select
        *,
        sum(units) over (partition by cell_no order by cost_step) as units_so_far,
        sum(units) over (partition by cell_no) as all_units,
    from {{ cost_unit }}_steps
),

{{ cost_unit }}_sought as (
    select
        v.set_no,
        t.week_start_date,
        t.cost_step,
        t.cell_no,
        t.percent,
        t.place - (t.units_so_far - t.units) as place,
    from (
        -- The smallest cost that so many percent of the units cost at most.
        select c.*, p.percent, greatest((c.all_units * p.percent + 99) // 100, 1) as place
        from {{ cost_unit }}_counted as c
        cross join (select unnest([50, 95]) as percent) as p
    ) as t
    inner join set_values as v on t.value_no = v.value_no
    where t.place <= t.units_so_far and t.place > t.units_so_far - t.units
),

{{ cost_unit }}_placed as (
    select
        s.cell_no,
        s.percent,
        s.place,
        c.{{ cost }} as cost_usd,
        row_number() over (partition by s.cell_no, s.percent order by c.{{ cost }}) as cost_place,
    from calls as c
    inner join {{ cost_unit }}_sought as s
        on c.week_start_date = s.week_start_date and c.set_no = s.set_no and c.{{ cost_unit }}_step = s.cost_step
    where c.{{ cost }} is not null
),

{% endfor %}
quantiles as (
{% for cost_unit, number, priced, cost in cost_units %}
    select
        cell_no,
        max(case when percent = 50 then cost_usd end) as p50_cost_usd,
        max(case when percent = 95 then cost_usd end) as p95_cost_usd,
    from {{ cost_unit }}_placed
    where cost_place = place
    group by cell_no
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
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
        case when k.has_p95 then 'full' when k.has_mean then 'mean' when k.has_median then 'median' else 'small' end as sample_status,
        case when k.has_mean then k.cost_usd end as shown_cost_usd,
        i.estimate_low,
        i.estimate_high,
        i.clusters,
        i.interval_label,
        q.p50_cost_usd,
        case when k.has_p95 then q.p95_cost_usd end as p95_cost_usd,
    from kept as k
    left join mean_intervals as i on k.week_start_date = i.week_start_date and k.cell_no = i.cell_no
    left join quantiles as q on k.cell_no = q.cell_no
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
    inner join limits as l on r.week_start_date = l.week_start_date
    where r.place > l.max_values and r.dimension_value <> '(none)'
    group by r.week_start_date, r.cost_unit, r.dimension
)

select
    s.week_start_date,
    s.cost_unit,
    s.dimension,
    s.dimension_value,
    w.is_closed as is_week_over,
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
inner join weeks as w on s.week_start_date = w.week_start_date
