/*
about: >-
  A week's calls, and its tasks, summed to release, prompt version, request type and who made them: what a change of version does to cost is
  read from these in place of calls. One row per week, what is counted, versions, type, model and cluster; days on which several versions served stand apart.
grain: [week_start_date, counted, feature, release, prompt_version, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id, shared_date]
partition: week
reads_around: 1 day
joins: as_written
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
{% set cell = "week_start_date, feature, release, prompt_version, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id" %}
{# What is counted, by the name of its cost and what a cost must be of to enter the logarithms. #}
{% set counted = {"request": ("effective_cost_usd", "is_ok and effective_cost_usd > 0"), "task": ("task_cost_usd", "task_cost_usd > 0")} %}
with days as (
    select
        r.feature,
        coalesce(r.prompt_name, '(unnamed)') as prompt_name,
        cast(r.started_at at time zone z.reporting_time_zone as date) as usage_date,
        min(r.release) as first_release,
        max(r.release) as last_release,
        min(r.prompt_version) as first_version,
        max(r.prompt_version) as last_version,
    from ledger_requests as r
    cross join ref_reporting as z
    where r.is_billable_leaf and (r.release is not null or r.prompt_version is not null)
    group by r.feature, coalesce(r.prompt_name, '(unnamed)'), cast(r.started_at at time zone z.reporting_time_zone as date)
),

shared as (
    select feature, prompt_name, usage_date
    from (
        select
            *,
            min(first_release) over (partition by feature, usage_date) < max(last_release) over (partition by feature, usage_date) as has_releases,
            first_version < last_version as has_versions,
        from days
    ) as told
    where has_releases or has_versions
),

calls as (
    select
        cast(date_trunc('week', r.started_at at time zone z.reporting_time_zone) as date) as week_start_date,
        cast(r.started_at at time zone z.reporting_time_zone as date) as usage_date,
        r.feature,
        r.release,
        r.prompt_version,
        {{ type_of("r") }},
        {{ cluster_of("r", "z") }},
        r.provider,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.status = 'ok' as is_ok,
        c.effective_cost_usd,
        t.first_request_key is not null as is_first_of_task,
        case when t.unpriced_requests = 0 then t.effective_cost_usd end as task_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    left join ledger_tasks as t on r.request_key = t.first_request_key
    cross join ref_reporting as z
    where r.is_billable_leaf and (r.release is not null or r.prompt_version is not null)
),

-- Calls and the tasks that they begin are summed at once: most of the work is in telling the cells apart.
summed as (
    select
        c.{{ cell.replace(", ", ",\n        c.") }},
        s.usage_date as shared_date,
        count(*) as requests,
        min(c.usage_date) as request_date,
        count(case when c.is_first_of_task then 1 end) as tasks,
        min(case when c.is_first_of_task then c.usage_date end) as task_date,
{% for name, (cost, logged) in counted.items() %}
        count({{ cost }}) as priced_{{ name }}s,
        sum({{ cost }}) as {{ name }}_cost,
        count(case when {{ logged }} then 1 end) as {{ name }}_cost_units,
        sum(case when {{ logged }} then cast(ln(cast({{ cost }} as double)) as decimal(38, 12)) else 0 end) as {{ name }}_log_cost,
{% endfor %}
    from calls as c
    left join shared as s on c.feature = s.feature and c.prompt_name = s.prompt_name and c.usage_date = s.usage_date
    group by c.{{ cell.replace(", ", ", c.") }}, s.usage_date
)

{% for name in counted %}
{{ "union all" if not loop.first }}
select
    week_start_date,
    '{{ name }}' as counted,
    {{ cell.replace("week_start_date, ", "").replace(", ", ",\n    ") }},
    shared_date,
    {{ name }}_date as first_date,
    {{ name }}s as units,
    priced_{{ name }}s as priced_units,
    cast({{ name }}_cost as decimal(38, 15)) as effective_cost_usd,
    {{ name }}_cost_units as cost_units,
    cast({{ name }}_log_cost as decimal(38, 12)) as log_cost,
from summed
where {{ name }}s > 0
{% endfor %}
