/*
about: >-
  What calls that brought nothing cost: those that failed, those of tasks that failed, and those whose answer a later call of the same
  step replaced. Each call is in one class, the first that holds, and the classes make the cost. One row per week and feature.
grain: [week_start_date, feature]
partition: week
reads_back: 1 week
reads_around: 1 day
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week of the calls, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  is_closed: BOOLEAN; true once the week is over by the books' own now
  requests: BIGINT; calls, failed ones included
  failed_requests: BIGINT; calls whose status is not ok
  llm_error_rate: DECIMAL(18,9); failed_requests over requests
  retried_requests: BIGINT; calls that repeat an earlier one, as their record says
  total_tokens: BIGINT; tokens of all calls
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: costs are then too small
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  failed_call_cost_usd: DECIMAL(38,15); cost of the failed calls that tell their usage, 0 without failed calls; null where none of them is priced
  failed_unpriced_requests: BIGINT; failed calls without a cost: most tell no usage, and what they cost is not known
  abandoned_task_requests: BIGINT; calls that went well, of tasks that ended as a failure
  abandoned_task_cost_usd: DECIMAL(38,15); their cost, 0 without any; null where none of them is priced
  superseded_requests: BIGINT; calls that went well, and that a later good call of the same task and step replaced within the week
  superseded_cost_usd: DECIMAL(38,15); their cost, 0 without any; null where none of them is priced
  superseded_retry_cost_usd: DECIMAL(38,15); of this cost, what the next call itself calls a retry; the rest is told by the step's name alone
  productive_requests: BIGINT; all other calls; those of tasks whose outcome nobody knows, or without a task, are among them
  productive_cost_usd: DECIMAL(38,15); their cost, 0 without any; null where none of them is priced
  waste_cost_usd: DECIMAL(38,15); cost of the failed, abandoned and superseded calls; null where nothing is priced
  waste_share: DECIMAL(18,9); waste_cost_usd over effective_cost_usd: at least so much
  task_cost_usd: DECIMAL(38,15); cost of the calls that name a task; null where nothing is priced
  task_coverage: DECIMAL(18,9); task_cost_usd over effective_cost_usd: of the rest only failed calls can be told
  tasks: BIGINT; tasks that began in the week
  outcome_coverage: DECIMAL(18,9); tasks with an outcome over all that began in the week; null without tasks
  top_superseded_step: VARCHAR; step (else prompt template) with the most superseded cost that no call names a retry; null without any
  sentence: VARCHAR; the row in words
checks:
  - between: [llm_error_rate, 0, 1]
  - between: [waste_share, 0, 1]
  - between: [task_coverage, 0, 1]
  - between: [outcome_coverage, 0, 1]
  - rule: failed_requests + abandoned_task_requests + superseded_requests + productive_requests = requests
    text: every call is in one class
  - rule: >-
      coalesce(failed_call_cost_usd, 0) + coalesce(abandoned_task_cost_usd, 0) + coalesce(superseded_cost_usd, 0)
      + coalesce(productive_cost_usd, 0) = coalesce(effective_cost_usd, 0)
    text: the costs of the classes make the cost
  - rule: superseded_retry_cost_usd <= superseded_cost_usd
    null_passes: true
notes:
  - Retries inside a client library are not traced. What they cost is in the untraced part of mart_reconciliation_daily, not here.
  - A step that a task takes several times on purpose (an agent's tools, a report's sections) belongs into reference/repeatable_steps.csv; there, and where calls name no step, only a next call that says it is a retry replaces one.
  - A call is held against later calls of its own week.
question: How much is spent on calls that failed, were repeated or led to nothing?
answer: >-
  select week_start_date, feature, llm_error_rate, failed_call_cost_usd, abandoned_task_cost_usd, superseded_cost_usd, waste_share, task_coverage
  from mart_retry_waste_weekly order by week_start_date desc, waste_cost_usd desc nulls last limit 20
*/
{% from "macros/days.sql" import local_week, utc_date %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
with
{% include "parts/weeks_with_end.sql" %}

{{ limits_of_weeks({"unpriced_warn_share": "unpriced_share"}) }},

calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.request_key,
        r.started_at,
        r.source_account,
        r.task_id,
        coalesce(r.step, r.prompt_name) as step_name,
        case
            when r.task_id is not null
                then hash(
                    {{ local_week("r.started_at") }}, r.source_account, r.task_id, coalesce(r.step, r.prompt_name)
                )
        end as step_hash,
        r.feature,
        r.status = 'ok' as is_ok,
        coalesce(r.is_retry, false) as is_retry,
        coalesce(r.total_tokens, 0) as total_tokens,
        c.effective_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
),

failed_tasks as (
    select source_account, task_id, {{ utc_date("started_at") }} as first_date
    from ledger_tasks
    where outcome = 'failure'
),

-- Steps that a task took more than once in the week. Of two steps with one hash both are looked at, and each is put in order by itself.
repeated as (
    select step_hash
    from calls
    where step_hash is not null
    group by step_hash
    having count(*) > 1
),

ordered as (
    select
        c.request_key,
        c.started_at,
        c.feature,
        c.step_name,
        c.is_ok,
        row_number() over (partition by c.week_start_date, c.source_account, c.task_id, c.step_name order by c.started_at, c.request_key) as place,
        lead(c.is_retry) over (
            partition by c.week_start_date, c.source_account, c.task_id, c.step_name order by c.started_at, c.request_key
        ) as next_is_retry,
        c.week_start_date,
        c.source_account,
        c.task_id,
    from calls as c
    inner join repeated as p on c.step_hash = p.step_hash
),

last_good as (
    select
        *,
        max(case when is_ok then place end) over (partition by week_start_date, source_account, task_id, step_name) as last_place,
    from ordered
),

superseded as (
    select g.request_key, g.started_at, coalesce(g.next_is_retry, false) as is_said,
    from last_good as g
    left join (select distinct feature, step from ref_repeatable_steps) as s
        on g.feature = s.feature and (s.step is null or s.step = g.step_name)
    where g.is_ok and g.place < g.last_place and (g.next_is_retry or (g.step_name is not null and s.feature is null))
    group by g.request_key, g.started_at, g.next_is_retry
),

classed as (
    select
        c.week_start_date,
        c.feature,
        c.step_name,
        c.task_id is not null as has_task,
        case
            when not c.is_ok then 'failed_call'
            when t.task_id is not null then 'abandoned_task'
            when s.request_key is not null then 'superseded'
            else 'productive'
        end as class,
        coalesce(s.is_said, false) as is_said,
        c.is_retry,
        c.total_tokens,
        c.effective_cost_usd,
    from calls as c
    left join failed_tasks as t
        on c.source_account = t.source_account
        and c.task_id = t.task_id
        and {{ utc_date("c.started_at") }} >= t.first_date
        and {{ utc_date("c.started_at") }} <= t.first_date + 7
    left join superseded as s on c.request_key = s.request_key and c.started_at = s.started_at
),

by_step as (
    select
        week_start_date,
        feature,
        step_name,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as step_cost_usd,
    from classed
    where class = 'superseded' and not is_said and effective_cost_usd > 0
    group by week_start_date, feature, step_name
),

dearest_steps as (
    select week_start_date, feature, max({'step_cost_usd': step_cost_usd, 'step_name': step_name}) as dearest
    from by_step
    group by week_start_date, feature
),

task_weeks as (
    select
        {{ local_week("t.started_at") }} as week_start_date,
        t.feature,
        count(*) as tasks,
        count(t.outcome) as known_tasks,
    from ledger_tasks as t
    cross join ref_reporting as z
    group by {{ local_week("t.started_at") }}, t.feature
),

{% set classes = ["failed_call", "abandoned_task", "superseded", "productive"] %}
summed as (
    select
        week_start_date,
        feature,
        count(*) as requests,
{% for class in classes %}
        count(case when class = '{{ class }}' then 1 end) as {{ class }}_requests,
        cast(
            case
                when count(case when class = '{{ class }}' then 1 end) = 0 then 0
                else sum(case when class = '{{ class }}' then effective_cost_usd end)
            end
            as decimal(38, 15)
        ) as {{ class }}_cost_usd,
{% endfor %}
        count(case when class = 'failed_call' and effective_cost_usd is null then 1 end) as failed_unpriced_requests,
        count(case when is_retry then 1 end) as retried_requests,
        cast(sum(total_tokens) as bigint) as total_tokens,
        count(case when effective_cost_usd is null then 1 end) as unpriced_requests,
        cast(sum(case when effective_cost_usd is null then total_tokens else 0 end) as bigint) as unpriced_tokens,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        cast(sum(case when class = 'superseded' and is_said then effective_cost_usd else effective_cost_usd * 0 end) as decimal(38, 15)) as superseded_retry_cost_usd,
        cast(sum(case when has_task then effective_cost_usd else effective_cost_usd * 0 end) as decimal(38, 15)) as task_cost_usd,
    from classed
    group by week_start_date, feature
),

totalled as (
    select
        s.*,
        cast(
            s.effective_cost_usd - coalesce(s.productive_cost_usd, 0) as decimal(38, 15)
        ) as waste_cost_usd,
    from summed as s
),

shared as (
    select
        *,
        cast(cast(waste_cost_usd as double) / nullif(cast(effective_cost_usd as double), 0) as decimal(18, 9)) as waste_share,
        cast(cast(task_cost_usd as double) / nullif(cast(effective_cost_usd as double), 0) as decimal(18, 9)) as task_coverage,
    from totalled
)

select
    s.week_start_date,
    s.feature,
    w.is_closed,
    s.requests,
    s.failed_call_requests as failed_requests,
    cast(cast(s.failed_call_requests as double) / s.requests as decimal(18, 9)) as llm_error_rate,
    s.retried_requests,
    s.total_tokens,
    s.unpriced_requests,
    s.unpriced_tokens,
    s.unpriced_tokens > l.unpriced_share * s.total_tokens as is_incomplete,
    s.effective_cost_usd,
    s.failed_call_cost_usd,
    s.failed_unpriced_requests,
    s.abandoned_task_requests,
    s.abandoned_task_cost_usd,
    s.superseded_requests,
    s.superseded_cost_usd,
    s.superseded_retry_cost_usd,
    s.productive_requests,
    s.productive_cost_usd,
    s.waste_cost_usd,
    s.waste_share,
    s.task_cost_usd,
    s.task_coverage,
    coalesce(t.tasks, 0) as tasks,
    cast(cast(t.known_tasks as double) / nullif(t.tasks, 0) as decimal(18, 9)) as outcome_coverage,
    d.dearest.step_name as top_superseded_step,
    case
        when s.waste_share is null then 'What the calls cost is not known.'
        else concat(
            'Calls that failed, tasks that failed and answers that were replaced made ',
            case when s.waste_share > 0 and s.waste_share < 0.01 then 'less than 1' else cast(cast(round(100 * s.waste_share) as bigint) as varchar) end,
            ' % of the cost.',
            case
                when s.task_coverage < 1
                    then concat(
                        ' Of ',
                        case when s.task_coverage > 0.99 then 'less than 1' else cast(cast(round(100 * (1 - s.task_coverage)) as bigint) as varchar) end,
                        ' % of the cost, whose calls name no task, only failed calls can be told.'
                    )
                else ''
            end
        )
    end as sentence,
from shared as s
inner join weeks as w on s.week_start_date = w.week_start_date
inner join limits as l on s.week_start_date = l.week_start_date
left join task_weeks as t on s.week_start_date = t.week_start_date and s.feature = t.feature
left join dearest_steps as d on s.week_start_date = d.week_start_date and s.feature = d.feature
