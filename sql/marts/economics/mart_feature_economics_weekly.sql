/*
about: >-
  What a call, a task and a successful task of a feature cost, all attempts and hidden calls included, at what the invoice says,
  and what is left of its revenue. One row per UTC week, feature and customer tier; sum rows for any coarser figure, then divide.
grain: [week_start_date, feature, customer_tier]
# By month, as the showback is: of a month that changes anywhere every week would be built.
partition: month
partition_column: week_start_date
reads_around: 14 days
clock_stops: 8 days
leads: [mart_showback_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week, UTC, as in the showback
  feature: VARCHAR; product feature, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  state: VARCHAR; provisional while any of its rows of the showback is, then final
  is_week_over: BOOLEAN; false while the books' now is within the week: its figures still grow
  requests: BIGINT; calls of the week, failed ones included
  unpriced_requests: BIGINT; of these, calls without a cost
  total_tokens: BIGINT; tokens of these calls
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: costs are then too small
  effective_cost_usd: DECIMAL(38,10); cost of the priced calls under contracts; null where there are calls and none is priced
  invoiced_cost_usd: DECIMAL(38,2); the invoice's part, as in the showback; null where a rate to USD is missing
  cost_per_request_usd: DECIMAL(38,12); invoiced cost over calls; null without a call
  tasks: BIGINT; tasks that began in the week
  successes: BIGINT; of these tasks, those with the outcome success
  failures: BIGINT; of these tasks, those with the outcome failure
  unknown_outcomes: BIGINT; of these tasks, those that nobody said the outcome of
  open_tasks: BIGINT; of these tasks, those that may still get calls (task_close_hours)
  task_requests: BIGINT; calls of these tasks, of later weeks too: attempts that failed, repeats and hidden calls included
  task_failed_requests: BIGINT; calls of these tasks whose status is not ok
  task_retried_requests: BIGINT; calls of these tasks that repeat an earlier one
  task_tokens: BIGINT; input and output of all calls of these tasks
  tokens_per_task: DOUBLE; tokens over tasks; null without a task
  cost_with_task_usd: DECIMAL(38,12); part of the invoiced cost of the week whose calls name a task
  task_coverage: DECIMAL(18,9); cost with a task over invoiced cost; null without cost
  tasks_cost_usd: DECIMAL(38,12); invoiced cost of all calls of the tasks that began in the week, abandoned ones included; null where a rate to USD is missing
  cost_per_task_usd: DECIMAL(38,12); cost of these tasks over their number; null without a task
  outcome_coverage: DECIMAL(18,9); successes and failures over tasks; null without a task
  cost_per_successful_task_low_usd: DECIMAL(38,12); cost of all tasks over successes, were every unknown outcome one; null without either
  cost_per_successful_task_high_usd: DECIMAL(38,12); cost of all tasks over the successes that are known; null without one
  cost_per_successful_task_usd: DECIMAL(38,12); the high bound where task_verdict is ok, else null
  task_verdict: VARCHAR; ok, or why there is no single figure: no_tasks, insufficient (fewer than min_tasks), incomplete (too much cost without a task or tokens without a price), no_success, bounds_only (too few outcomes are known)
  revenue_usd: DECIMAL(38,12); revenue that revenue.csv gives this feature and tier for the days so far; null where none is known or a rate is missing
  inference_margin_usd: DECIMAL(38,12); revenue less invoiced cost; null as inference_margin
  inference_margin: DECIMAL(38,9); revenue less invoiced cost over revenue; null where inference_margin_reason says why
  inference_margin_reason: VARCHAR; no_revenue (none or 0), revenue_at_tier_only, revenue_at_feature_only (its tier is not known), no_rate (to USD); null where there is a margin
checks:
  - one_of: [state, provisional, final]
  - one_of: [task_verdict, ok, no_tasks, insufficient, incomplete, no_success, bounds_only]
  - one_of: [inference_margin_reason, no_revenue, revenue_at_tier_only, revenue_at_feature_only, no_rate]
  - between: [outcome_coverage, 0, 1]
  - rule: tasks = successes + failures + unknown_outcomes
  - rule: (inference_margin is null) = (inference_margin_reason is not null)
    text: a margin is given, or why there is none
  - rule: (cost_per_successful_task_usd is not null) = (task_verdict = 'ok' and tasks_cost_usd is not null)
  - no_rows: >-
      select strftime(s.week_start_date, '%Y-%m-%d') as partition, s.feature, s.customer_tier
      from (
          select week_start_date, feature, customer_tier, sum(requests) as requests, sum(invoiced_cost_usd) as usd,
              count(*) = count(invoiced_cost_usd) as is_known
          from mart_showback_weekly
          group by week_start_date, feature, customer_tier
      ) as s
      left join mart_feature_economics_weekly as e
          on s.week_start_date = e.week_start_date and s.feature = e.feature and s.customer_tier = e.customer_tier
      where s.week_start_date in (select week_start_date from mart_feature_economics_weekly)
          and (s.requests is distinct from e.requests or (s.is_known and s.usd is distinct from e.invoiced_cost_usd))
    text: calls and invoiced cost are those of the showback, to the cent
question: What do a task and a successful task of each feature cost, over the last four weeks?
answer: >-
  select feature, sum(tasks) as tasks, sum(tasks_cost_usd) / nullif(sum(tasks), 0) as cost_per_task_usd,
      sum(tasks_cost_usd) / nullif(sum(successes + unknown_outcomes), 0) as cost_per_successful_task_low_usd,
      sum(tasks_cost_usd) / nullif(sum(successes), 0) as cost_per_successful_task_high_usd,
      sum(successes + failures) / nullif(sum(tasks), 0) as outcome_coverage
  from mart_feature_economics_weekly
  where is_week_over and week_start_date > (select max(week_start_date) - 28 from mart_feature_economics_weekly)
  group by feature order by sum(tasks_cost_usd) desc nulls last
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
with weeks as (
    select distinct week_start_date from mart_showback_weekly
),

{{ limits_of_weeks({
    "min_tasks": "min_tasks",
    "outcome_coverage_point": "outcome_coverage_point",
    "task_coverage_min": "task_coverage_min",
    "unpriced_warn_share": "unpriced_warn_share",
}) }},

{% include "parts/invoiced_cells.sql" %}

{% include "parts/revenue_of_periods.sql" %}

shown as (
    select
        week_start_date,
        feature,
        customer_tier,
        case when count(case when state = 'provisional' then 1 end) > 0 then 'provisional' else 'final' end as state,
        sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests,
        sum(input_total_tokens + output_total_tokens) as total_tokens,
        sum(unpriced_tokens) as unpriced_tokens,
        case when sum(requests) = 0 or sum(requests) > sum(unpriced_requests) then coalesce(sum(effective_cost_usd), 0) end as effective_cost_usd,
        case when count(*) = count(invoiced_cost_usd) then sum(invoiced_cost_usd) end as invoiced_cost_usd,
    from mart_showback_weekly
    group by week_start_date, feature, customer_tier
),

with_task as (
    select
        week_start_date,
        feature,
        customer_tier,
        coalesce(sum(case when task_week_start_date is not null then cogs_usd end), 0) as cost_with_task_usd,
    from invoiced_cells
    group by week_start_date, feature, customer_tier
),

task_costs as (
    select
        task_week_start_date as week_start_date,
        task_feature as feature,
        task_customer_tier as customer_tier,
        case when count(*) = count(cogs_usd) then sum(cogs_usd) end as tasks_cost_usd,
    from invoiced_cells
    where task_week_start_date is not null
    group by task_week_start_date, task_feature, task_customer_tier
),

task_counts as (
    select
        cast(date_trunc('week', started_at) as date) as week_start_date,
        feature,
        customer_tier,
        count(*) as tasks,
        count(case when outcome = 'success' then 1 end) as successes,
        count(case when outcome = 'failure' then 1 end) as failures,
        count(case when outcome is null then 1 end) as unknown_outcomes,
        count(case when not is_closed then 1 end) as open_tasks,
        sum(requests) as task_requests,
        sum(failed_requests) as task_failed_requests,
        sum(retried_requests) as task_retried_requests,
        sum(coalesce(input_total_tokens, 0) + coalesce(output_total_tokens, 0)) as task_tokens,
    from ledger_tasks
    group by cast(date_trunc('week', started_at) as date), feature, customer_tier
),

earned as (
    select
        start_date as week_start_date,
        feature,
        customer_tier,
        case when count(*) = count(revenue_usd) then sum(revenue_usd) end as revenue_usd,
        count(*) > count(revenue_usd) as is_rate_missing,
    from period_revenue
    where feature is not null and revenue_kind = 'recognised'
    group by start_date, feature, customer_tier
),

-- Revenue that is known of a tier or of a feature alone: it is not spread, by cost least of all.
tiers_paid as (
    select distinct start_date as week_start_date, customer_tier
    from period_revenue
    where feature is null and coalesce(revenue_usd, arpu_usd, 1) <> 0
),

features_paid as (
    select distinct start_date as week_start_date, feature
    from period_revenue
    where feature is not null and customer_tier = 'unattributed' and coalesce(revenue_usd, arpu_usd, 1) <> 0
),

keys as (
    select week_start_date, feature, customer_tier from shown
    union
    select week_start_date, feature, customer_tier from task_counts
    union
    select week_start_date, feature, customer_tier from earned
),

measured as (
    select
        k.week_start_date,
        k.feature,
        k.customer_tier,
        s.state,
        coalesce(s.requests, 0) as requests,
        coalesce(s.unpriced_requests, 0) as unpriced_requests,
        coalesce(s.total_tokens, 0) as total_tokens,
        coalesce(s.unpriced_tokens, 0) as unpriced_tokens,
        coalesce(s.unpriced_tokens > s.total_tokens * l.unpriced_warn_share, false) as is_incomplete,
        case when s.feature is null then 0 else s.effective_cost_usd end as effective_cost_usd,
        case when s.feature is null then 0 else s.invoiced_cost_usd end as invoiced_cost_usd,
        coalesce(t.tasks, 0) as tasks,
        coalesce(t.successes, 0) as successes,
        coalesce(t.failures, 0) as failures,
        coalesce(t.unknown_outcomes, 0) as unknown_outcomes,
        coalesce(t.open_tasks, 0) as open_tasks,
        coalesce(t.task_requests, 0) as task_requests,
        coalesce(t.task_failed_requests, 0) as task_failed_requests,
        coalesce(t.task_retried_requests, 0) as task_retried_requests,
        coalesce(t.task_tokens, 0) as task_tokens,
        coalesce(w.cost_with_task_usd, 0) as cost_with_task_usd,
        case when t.tasks is null then 0 else c.tasks_cost_usd end as tasks_cost_usd,
        e.revenue_usd,
        e.is_rate_missing,
        p.customer_tier is not null as is_paid_by_tier,
        f.feature is not null as is_paid_by_feature,
        l.min_tasks,
        l.outcome_coverage_point,
        l.task_coverage_min,
    from keys as k
    inner join limits as l on k.week_start_date = l.week_start_date
    left join shown as s
        on k.week_start_date = s.week_start_date and k.feature = s.feature and k.customer_tier = s.customer_tier
    left join with_task as w
        on k.week_start_date = w.week_start_date and k.feature = w.feature and k.customer_tier = w.customer_tier
    left join task_counts as t
        on k.week_start_date = t.week_start_date and k.feature = t.feature and k.customer_tier = t.customer_tier
    left join task_costs as c
        on k.week_start_date = c.week_start_date and k.feature = c.feature and k.customer_tier = c.customer_tier
    left join earned as e
        on k.week_start_date = e.week_start_date and k.feature = e.feature and k.customer_tier = e.customer_tier
    left join tiers_paid as p on k.week_start_date = p.week_start_date and k.customer_tier = p.customer_tier
    left join features_paid as f on k.week_start_date = f.week_start_date and k.feature = f.feature
),

judged as (
    select
        *,
        case
            when tasks = 0 then 'no_tasks'
            when tasks < min_tasks then 'insufficient'
            when is_incomplete or cost_with_task_usd < cast(invoiced_cost_usd as decimal(28, 2)) * task_coverage_min then 'incomplete'
            when successes = 0 then 'no_success'
            when successes + failures < tasks * outcome_coverage_point then 'bounds_only'
            else 'ok'
        end as task_verdict,
        case
            when is_paid_by_feature then 'revenue_at_feature_only'
            when revenue_usd > 0 and invoiced_cost_usd is not null then null
            when is_rate_missing or (revenue_usd > 0 and invoiced_cost_usd is null) then 'no_rate'
            when revenue_usd is null and is_paid_by_tier then 'revenue_at_tier_only'
            else 'no_revenue'
        end as inference_margin_reason,
    from measured
)

select
    j.week_start_date,
    j.feature,
    j.customer_tier,
    coalesce(j.state, 'provisional') as state,
    coalesce(k.now_at at time zone 'UTC' >= j.week_start_date + 7, false) as is_week_over,
    cast(j.requests as bigint) as requests,
    cast(j.unpriced_requests as bigint) as unpriced_requests,
    cast(j.total_tokens as bigint) as total_tokens,
    cast(j.unpriced_tokens as bigint) as unpriced_tokens,
    j.is_incomplete,
    cast(j.effective_cost_usd as decimal(38, 10)) as effective_cost_usd,
    cast(j.invoiced_cost_usd as decimal(38, 2)) as invoiced_cost_usd,
    cast(cast(j.invoiced_cost_usd as double) / nullif(j.requests, 0) as decimal(38, 12)) as cost_per_request_usd,
    cast(j.tasks as bigint) as tasks,
    cast(j.successes as bigint) as successes,
    cast(j.failures as bigint) as failures,
    cast(j.unknown_outcomes as bigint) as unknown_outcomes,
    cast(j.open_tasks as bigint) as open_tasks,
    cast(j.task_requests as bigint) as task_requests,
    cast(j.task_failed_requests as bigint) as task_failed_requests,
    cast(j.task_retried_requests as bigint) as task_retried_requests,
    cast(j.task_tokens as bigint) as task_tokens,
    cast(j.task_tokens as double) / nullif(j.tasks, 0) as tokens_per_task,
    cast(j.cost_with_task_usd as decimal(38, 12)) as cost_with_task_usd,
    cast(cast(j.cost_with_task_usd as double) / nullif(cast(j.invoiced_cost_usd as double), 0) as decimal(18, 9)) as task_coverage,
    cast(j.tasks_cost_usd as decimal(38, 12)) as tasks_cost_usd,
    cast(cast(j.tasks_cost_usd as double) / nullif(j.tasks, 0) as decimal(38, 12)) as cost_per_task_usd,
    cast(cast(j.successes + j.failures as double) / nullif(j.tasks, 0) as decimal(18, 9)) as outcome_coverage,
    cast(cast(j.tasks_cost_usd as double) / nullif(j.successes + j.unknown_outcomes, 0) as decimal(38, 12)) as cost_per_successful_task_low_usd,
    cast(cast(j.tasks_cost_usd as double) / nullif(j.successes, 0) as decimal(38, 12)) as cost_per_successful_task_high_usd,
    case
        when j.task_verdict = 'ok' then cast(cast(j.tasks_cost_usd as double) / j.successes as decimal(38, 12))
    end as cost_per_successful_task_usd,
    j.task_verdict,
    cast(j.revenue_usd as decimal(38, 12)) as revenue_usd,
    case
        when j.inference_margin_reason is null then cast(j.revenue_usd - j.invoiced_cost_usd as decimal(38, 12))
    end as inference_margin_usd,
    case
        when j.inference_margin_reason is null
            then cast(cast(j.revenue_usd - j.invoiced_cost_usd as double) / cast(j.revenue_usd as double) as decimal(38, 9))
    end as inference_margin,
    j.inference_margin_reason,
from judged as j
cross join ledger_clock as k
