/*
about: >-
  A week's calls, and its tasks, summed to release, prompt version, request type and who made them: what a change of version does to cost is
  read from these in place of calls. One row per week, what is counted, versions, type, model and cluster; days on which several versions served stand apart.
grain: [week_start_date, counted, feature, release, prompt_version, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id, shared_date]
partition: week
reads_around: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone; of a task that of its first call
  counted: VARCHAR; what is counted: request (billable calls) or task (a task with all its calls, of the version of its first call)
  feature: VARCHAR; product feature, 'unattributed' where none is known
  release: VARCHAR; release of the application that made the call; null where it tells none: it then tells a prompt version
  prompt_version: VARCHAR; version of its prompt template, as text; null where it tells none: it then tells a release
  workflow_step: VARCHAR; workflow and step of the call (of a task: of its first call), with a slash between; '(unnamed)' where neither is known
  prompt_name: VARCHAR; name of the prompt template, '(unnamed)' where none is known
  provider: VARCHAR; the seller of the call; of a task that of its first call
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it; of a task that of its first call
  cluster_unit: VARCHAR; what the calls of one cluster share: user, else customer, else session, else day_and_type
  cluster_id: VARCHAR; which one: calls of one cluster are not independent of each other
  shared_date: DATE; day on which other releases served the feature, or other versions its prompt, too; null for all other days of the week together
  first_date: DATE; first day of these calls or tasks, in the reporting time zone
  units: BIGINT; calls (failed ones included) or tasks
  priced_units: BIGINT; of these, those with a cost (tasks: all of whose calls have one)
  effective_cost_usd: DECIMAL(38,15); cost of the priced ones; null where none is priced
  cost_units: BIGINT; of the priced ones, those with a cost above 0 (of calls those that ended well), so that it has a logarithm
  log_cost: DECIMAL(38,12); sum of the natural logarithms of their costs
checks:
  - one_of: [counted, request, task]
  - rule: release is not null or prompt_version is not null
  - rule: units >= priced_units and priced_units >= cost_units
  - rule: (effective_cost_usd is null) = (priced_units = 0)
    text: a cost is unknown exactly where nothing has one
*/
{% from "macros/cells.sql" import cluster_of, type_of %}
{% set day = "week_start_date, usage_date, feature, release, prompt_version, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id" %}
{% set cell = "week_start_date, counted, feature, release, prompt_version, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id" %}
with calls as (
    select
        cast(date_trunc('week', r.started_at at time zone z.reporting_time_zone) as date) as week_start_date,
        cast(r.started_at at time zone z.reporting_time_zone as date) as usage_date,
        r.request_key,
        r.feature,
        r.release,
        r.prompt_version,
        {{ type_of("r") }},
        {{ cluster_of("r", "z") }},
        r.provider,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.status = 'ok' as is_ok,
        c.effective_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    where r.is_billable_leaf and (r.release is not null or r.prompt_version is not null)
),

daily as (
    select
        'request' as counted,
        {{ day }},
        count(*) as units,
        count(effective_cost_usd) as priced_units,
        sum(effective_cost_usd) as cost,
        count(case when is_ok and effective_cost_usd > 0 then 1 end) as cost_units,
        sum(case when is_ok and effective_cost_usd > 0 then cast(ln(cast(effective_cost_usd as double)) as decimal(38, 12)) else 0 end) as log_cost,
    from calls
    group by {{ day }}
    union all
    select
        'task' as counted,
        {{ day }},
        count(*) as units,
        count(task_cost) as priced_units,
        sum(task_cost) as cost,
        count(case when task_cost > 0 then 1 end) as cost_units,
        sum(case when task_cost > 0 then cast(ln(cast(task_cost as double)) as decimal(38, 12)) else 0 end) as log_cost,
    from (
        select c.*, case when t.unpriced_requests = 0 then t.effective_cost_usd end as task_cost
        from calls as c
        inner join ledger_tasks as t on c.request_key = t.first_request_key
    ) as first_calls
    group by {{ day }}
),

shared as (
    select distinct feature, prompt_name, usage_date
    from (
        select
            feature,
            prompt_name,
            usage_date,
            min(min(release)) over (partition by feature, usage_date) < max(max(release)) over (partition by feature, usage_date) as has_releases,
            min(prompt_version) < max(prompt_version) as has_versions,
        from daily
        where counted = 'request'
        group by feature, prompt_name, usage_date
    ) as days
    where has_releases or has_versions
),

placed as (
    select d.*, s.usage_date as shared_date
    from daily as d
    left join shared as s on d.feature = s.feature and d.prompt_name = s.prompt_name and d.usage_date = s.usage_date
)

select
    {{ cell.replace(", ", ",\n    ") }},
    shared_date,
    min(usage_date) as first_date,
    cast(sum(units) as bigint) as units,
    cast(sum(priced_units) as bigint) as priced_units,
    cast(sum(cost) as decimal(38, 15)) as effective_cost_usd,
    cast(sum(cost_units) as bigint) as cost_units,
    cast(sum(log_cost) as decimal(38, 12)) as log_cost,
from placed
group by {{ cell }}, shared_date
