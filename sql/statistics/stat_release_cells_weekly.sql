/*
about: >-
  A week's calls, and its tasks, summed to release, prompt version, request type and who made them: what a change of version does to cost is
  read from these in place of calls. One row per week, what is counted, versions, type, model and cluster; days on which several versions served stand apart.
grain: [week_start_date, feature, release, prompt_version, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id, shared_date]
partition: week
reads_around: 1 day
joins: as_written
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  release: VARCHAR; release of the application that made the call; null where it tells none: it then tells a prompt version
  prompt_version: VARCHAR; version of its prompt template, as text; null where it tells none: it then tells a release
{% include "parts/columns_request_type.sql" %}
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  cluster_unit: VARCHAR; what the calls of one cluster share: user, else customer, else session, else day_and_type
  cluster_id: VARCHAR; which one: calls of one cluster are not independent of each other
  shared_date: DATE; day on which other releases served the feature, or other versions its prompt, too; null for all other days of the week together
{% for units, meaning, logged in (
    ("requests", "billable calls, failed ones included", "those that ended well with a cost above 0"),
    ("tasks", "tasks that these calls begin", "those with a cost above 0"),
) %}
  {{ units }}: BIGINT; {{ meaning }}
  {{ units }}_first_date: DATE; first day of these {{ units }}, in the reporting time zone{{ "; null without tasks" if units == "tasks" }}
  priced_{{ units }}: BIGINT; of these, those with a cost{{ ": all of whose calls have one" if units == "tasks" }}
  {{ units }}_effective_cost_usd: DECIMAL(38,15); effective cost of the priced ones; null where none is priced
  {{ units }}_cost_units: BIGINT; {{ logged }}, so that it has a logarithm
  {{ units }}_log_cost: DECIMAL(38,12); sum of the natural logarithms of their costs
{% endfor %}
checks:
  - rule: release is not null or prompt_version is not null
{% for units in ("requests", "tasks") %}
  - rule: {{ units }} >= priced_{{ units }} and priced_{{ units }} >= {{ units }}_cost_units
  - rule: ({{ units }}_effective_cost_usd is null) = (priced_{{ units }} = 0)
    text: a cost of {{ units }} is unknown exactly where none has one
{% endfor %}
  - rule: requests > 0 and (tasks_first_date is null) = (tasks = 0)
*/
{% from "macros/cells.sql" import cluster_of, type_of %}
{% from "macros/days.sql" import local_date, local_week %}
{% set cell = "week_start_date, feature, release, prompt_version, workflow_step, prompt_name, provider, model_canonical, cluster_unit, cluster_id" %}
{# What is counted: which rows, what it cost, and which costs enter the logarithms. #}
{% set counted = {
    "requests": ("*", "c.usage_date", "effective_cost_usd", "is_ok and effective_cost_usd > 0"),
    "tasks": ("case when is_first_of_task then 1 end", "case when is_first_of_task then c.usage_date end", "task_cost_usd", "task_cost_usd > 0"),
} %}
with days as (
    select
        r.feature,
        coalesce(r.prompt_name, '(unnamed)') as prompt_name,
        {{ local_date("r.started_at") }} as usage_date,
        min(r.release) as first_release,
        max(r.release) as last_release,
        min(r.prompt_version) as first_version,
        max(r.prompt_version) as last_version,
    from ledger_requests as r
    cross join ref_reporting as z
    where r.is_billable_leaf and (r.release is not null or r.prompt_version is not null)
    group by r.feature, coalesce(r.prompt_name, '(unnamed)'), {{ local_date("r.started_at") }}
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
        {{ local_week("r.started_at") }} as week_start_date,
        {{ local_date("r.started_at") }} as usage_date,
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
)

select
    c.{{ cell.replace(", ", ",
    c.") }},
    s.usage_date as shared_date,
{% for units, (counts, day, cost, logged) in counted.items() %}
    count({{ counts }}) as {{ units }},
    min({{ day }}) as {{ units }}_first_date,
    count({{ cost }}) as priced_{{ units }},
    cast(sum({{ cost }}) as decimal(38, 15)) as {{ units }}_effective_cost_usd,
    count(case when {{ logged }} then 1 end) as {{ units }}_cost_units,
    cast(
        sum(case when {{ logged }} then cast(ln(cast({{ cost }} as double)) as decimal(38, 12)) else 0 end) as decimal(38, 12)
    ) as {{ units }}_log_cost,
{% endfor %}
from calls as c
left join shared as s on c.feature = s.feature and c.prompt_name = s.prompt_name and c.usage_date = s.usage_date
group by c.{{ cell.replace(", ", ", c.") }}, s.usage_date
