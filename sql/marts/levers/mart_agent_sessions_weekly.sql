/*
about: >-
  Agent runs of each feature: their steps, what a step costs, how the context grows from step to step, how much dearer a run is than a
  single call, and what passing the budget, failing and running away cost. Sessions of at least two steps, in the week in which they
  began. One row per week and feature that has any.
grain: [week_start_date, feature]
partition: week
reads_around: 1 day
clock_stops: 1 day
leads: [ledger_sessions]
columns:
  week_start_date: DATE; Monday of the ISO week in which the sessions began, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  is_closed: BOOLEAN; true once the week is over by the books' own now
  sessions: BIGINT; agent runs and conversations of at least two steps
  open_sessions: BIGINT; of these, sessions that may still go on: task_close_hours have not passed since their last call
  steps: BIGINT; their calls, failed ones included
  failed_steps: BIGINT; steps whose status is not ok
  median_steps: BIGINT; steps of the session in the middle
  total_tokens: BIGINT; tokens of the steps
  unpriced_requests: BIGINT; steps without a cost
  unpriced_tokens: BIGINT; tokens of the steps without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: costs are then too small
  effective_cost_usd: DECIMAL(38,15); cost of the priced steps; null where none is priced
  cost_per_agent_cycle_usd: DECIMAL(38,15); effective_cost_usd over steps
  cost_per_session_usd: DECIMAL(38,15); effective_cost_usd over sessions
  context_growth: DECIMAL(18,3); input tokens that each step adds, in the session in the middle; null where no session tells it
  input_total_tokens: BIGINT; all input of the steps, cached included; null where no step told it
  largest_input_tokens: BIGINT; sum of each session's largest input; null where no step told it
  reread_multiplier: DECIMAL(18,9); input_total_tokens over largest_input_tokens: how often a context is read
  first_step_tokens: BIGINT; sum of the tokens of each session's first step; null where no step told any
  single_call_multiplier: DECIMAL(18,9); tokens of the sessions over first_step_tokens: a run against a single call
  superlinearity_status: VARCHAR; insufficient where fewer than superlinearity_min_sessions have superlinearity_min_steps and a cost, or all have equal steps; else ok
  superlinearity_sessions: BIGINT; sessions with so many steps and a cost
  superlinearity: DOUBLE; by what power of its steps a session's cost grows: 1 is in proportion, 2 its square; null where insufficient
  superlinearity_low: DOUBLE; lower end of its 95 % interval, by the spread of the sessions around the line
  superlinearity_high: DOUBLE; upper end of its 95 % interval
  over_budget_sessions: BIGINT; sessions that cost more than session_budget_usd
  over_budget_share: DECIMAL(18,9); these over all sessions
  over_budget_usd: DECIMAL(38,15); their cost beyond the budget; null where no step is priced
  succeeded_sessions: BIGINT; sessions that ended as a success
  failed_sessions: BIGINT; sessions that ended as a failure
  unknown_sessions: BIGINT; sessions whose outcome nobody recorded
  outcome_coverage: DECIMAL(18,9); sessions with an outcome over all
  failed_cost_usd: DECIMAL(38,15); cost of the sessions that failed, 0 where none did; null where none of them is priced
  failed_cost_share: DECIMAL(18,9); failed_cost_usd over effective_cost_usd
  unnamed_sessions: BIGINT; sessions of which no call names its step: whether they went in circles cannot be told
  runaway_sessions: BIGINT; sessions that ran away (mart_runaway_sessions)
  runaway_suspected_sessions: BIGINT; sessions that did so, but for an outcome that nobody recorded
  runaway_cost_usd: DECIMAL(38,15); cost of both; 0 where there are none
  runaway_cost_share: DECIMAL(18,9); runaway_cost_usd over effective_cost_usd
  excess_cost_usd: DECIMAL(38,15); their cost beyond that of a session in the middle that succeeds; 0 where there are none
  sentence: VARCHAR; the row in words
checks:
  - one_of: [superlinearity_status, ok, insufficient]
  - between: [over_budget_share, 0, 1]
  - between: [failed_cost_share, 0, 1]
  - between: [runaway_cost_share, 0, 1]
  - between: [outcome_coverage, 0, 1]
  - rule: sessions = succeeded_sessions + failed_sessions + unknown_sessions and steps >= 2 * sessions
    text: every session has one outcome and at least two steps
  - rule: (superlinearity is null) = (superlinearity_status = 'insufficient')
    text: few sessions give no slope
  - rule: runaway_sessions <= failed_sessions and runaway_suspected_sessions <= unknown_sessions
  - rule: excess_cost_usd <= runaway_cost_usd
    null_passes: true
question: What does a step of an agent cost, and how much of its cost is failed or runaway runs?
answer: >-
  select week_start_date, feature, sessions, steps, cost_per_agent_cycle_usd, single_call_multiplier, failed_cost_share, runaway_cost_share
  from mart_agent_sessions_weekly order by week_start_date desc, effective_cost_usd desc nulls last limit 20
*/
{% from "macros/days.sql" import local_week %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
with sessions as (
    select
        {{ local_week("s.started_at") }} as week_start_date,
        s.*,
        s.outcome is not distinct from 'failure' as has_failed,
    from ledger_sessions as s
    cross join ref_reporting as z
    where s.steps > 1
),

{% set week_rows = "sessions" %}
{% include "parts/weeks_with_end.sql" %}

{{ limits_of_weeks({
    "superlinearity_min_sessions": "min_sessions",
    "superlinearity_min_steps": "min_steps",
    "unpriced_warn_share": "unpriced_share",
}) }},

-- A line through the logarithms of steps and cost.
points as (
    select
        s.week_start_date,
        s.feature,
        cast(ln(s.steps) as decimal(38, 12)) as x,
        cast(ln(cast(s.effective_cost_usd as double)) as decimal(38, 12)) as y,
        cast(ln(s.steps) * ln(s.steps) as decimal(38, 12)) as xx,
        cast(ln(s.steps) * ln(cast(s.effective_cost_usd as double)) as decimal(38, 12)) as xy,
        cast(ln(cast(s.effective_cost_usd as double)) * ln(cast(s.effective_cost_usd as double)) as decimal(38, 12)) as yy,
    from sessions as s
    inner join limits as l on s.week_start_date = l.week_start_date
    where s.steps >= l.min_steps and s.effective_cost_usd > 0
),

lines as (
    select
        week_start_date,
        feature,
        count(*) as points,
        cast(sum(xy) as double) - cast(sum(x) as double) * cast(sum(y) as double) / count(*) as rise,
        case when max(x) > min(x) then cast(sum(xx) as double) - cast(sum(x) as double) * cast(sum(x) as double) / count(*) end as run,
        cast(sum(yy) as double) - cast(sum(y) as double) * cast(sum(y) as double) / count(*) as spread,
    from points
    group by week_start_date, feature
),

runaways as (
    select
        week_start_date,
        feature,
        count(case when verdict = 'runaway' then 1 end) as runaway_sessions,
        count(case when verdict = 'runaway_suspected' then 1 end) as runaway_suspected_sessions,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as runaway_cost_usd,
        cast(sum(excess_cost_usd) as decimal(38, 15)) as excess_cost_usd,
    from mart_runaway_sessions
    group by week_start_date, feature
),

summed as (
    select
        week_start_date,
        feature,
        count(*) as sessions,
        count(case when not is_closed then 1 end) as open_sessions,
        cast(sum(steps) as bigint) as steps,
        cast(sum(failed_steps) as bigint) as failed_steps,
        quantile_disc(steps, 0.5) as median_steps,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        quantile_disc(context_growth, 0.5) as context_growth,
        cast(sum(input_total_tokens) as bigint) as input_total_tokens,
        cast(sum(largest_input_tokens) as bigint) as largest_input_tokens,
        cast(sum(first_step_tokens) as bigint) as first_step_tokens,
        count(case when over_budget_usd > 0 then 1 end) as over_budget_sessions,
        cast(sum(over_budget_usd) as decimal(38, 15)) as over_budget_usd,
        count(case when outcome = 'success' then 1 end) as succeeded_sessions,
        count(case when has_failed then 1 end) as failed_sessions,
        count(case when outcome is null then 1 end) as unknown_sessions,
        cast(
            case when count(case when has_failed then 1 end) = 0 then 0 else sum(case when has_failed then effective_cost_usd end) end
            as decimal(38, 15)
        ) as failed_cost_usd,
        count(case when top_step is null then 1 end) as unnamed_sessions,
    from sessions
    group by week_start_date, feature
),

joined as (
    select
        s.*,
        w.is_closed,
        s.unpriced_tokens > l.unpriced_share * s.total_tokens as is_incomplete,
        coalesce(p.points, 0) as superlinearity_sessions,
        case when p.points >= l.min_sessions and p.points > 2 then p.rise / p.run end as superlinearity,
        case
            when p.points >= l.min_sessions and p.points > 2
                then student_t_quantile(0.975, cast(p.points - 2 as double))
                    * sqrt(greatest(p.spread - p.rise * p.rise / p.run, 0) / (p.points - 2) / p.run)
        end as superlinearity_margin,
        coalesce(r.runaway_sessions, 0) as runaway_sessions,
        coalesce(r.runaway_suspected_sessions, 0) as runaway_suspected_sessions,
        case when r.feature is null then 0 else r.runaway_cost_usd end as runaway_cost_usd,
        case when r.feature is null then 0 else r.excess_cost_usd end as excess_cost_usd,
        cast(
            cast(s.failed_cost_usd as double) / nullif(cast(s.effective_cost_usd as double), 0) as decimal(18, 9)
        ) as failed_cost_share,
        cast(
            cast(case when r.feature is null then 0 else r.runaway_cost_usd end as double) / nullif(cast(s.effective_cost_usd as double), 0)
            as decimal(18, 9)
        ) as runaway_cost_share,
    from summed as s
    inner join weeks as w on s.week_start_date = w.week_start_date
    inner join limits as l on s.week_start_date = l.week_start_date
    left join lines as p on s.week_start_date = p.week_start_date and s.feature = p.feature
    left join runaways as r on s.week_start_date = r.week_start_date and s.feature = r.feature
)

{% macro percent(share) %}case when {{ share }} > 0 and {{ share }} < 0.01 then 'less than 1' else cast(cast(round(100 * {{ share }}) as bigint) as varchar) end{% endmacro %}
select
    week_start_date,
    feature,
    is_closed,
    sessions,
    open_sessions,
    steps,
    failed_steps,
    median_steps,
    total_tokens,
    unpriced_requests,
    unpriced_tokens,
    is_incomplete,
    effective_cost_usd,
    cast(cast(effective_cost_usd as double) / steps as decimal(38, 15)) as cost_per_agent_cycle_usd,
    cast(cast(effective_cost_usd as double) / sessions as decimal(38, 15)) as cost_per_session_usd,
    context_growth,
    input_total_tokens,
    largest_input_tokens,
    cast(cast(input_total_tokens as double) / nullif(largest_input_tokens, 0) as decimal(18, 9)) as reread_multiplier,
    first_step_tokens,
    cast(cast(total_tokens as double) / nullif(first_step_tokens, 0) as decimal(18, 9)) as single_call_multiplier,
    case when superlinearity is null then 'insufficient' else 'ok' end as superlinearity_status,
    superlinearity_sessions,
    superlinearity,
    superlinearity - superlinearity_margin as superlinearity_low,
    superlinearity + superlinearity_margin as superlinearity_high,
    over_budget_sessions,
    cast(cast(over_budget_sessions as double) / sessions as decimal(18, 9)) as over_budget_share,
    over_budget_usd,
    succeeded_sessions,
    failed_sessions,
    unknown_sessions,
    cast(cast(sessions - unknown_sessions as double) / sessions as decimal(18, 9)) as outcome_coverage,
    failed_cost_usd,
    failed_cost_share,
    unnamed_sessions,
    runaway_sessions,
    runaway_suspected_sessions,
    cast(runaway_cost_usd as decimal(38, 15)) as runaway_cost_usd,
    runaway_cost_share,
    cast(excess_cost_usd as decimal(38, 15)) as excess_cost_usd,
    concat(
        case
            when runaway_sessions + runaway_suspected_sessions > 0
                then concat(
                    cast(runaway_sessions + runaway_suspected_sessions as varchar),
                    case when runaway_sessions + runaway_suspected_sessions = 1 then ' session ran away' else ' sessions ran away' end,
                    case
                        when runaway_suspected_sessions > 0
                            then concat(' (how ', cast(runaway_suspected_sessions as varchar), ' of them ended is not known)')
                        else ''
                    end,
                    ': ', {{ percent("cast(runaway_sessions + runaway_suspected_sessions as double) / sessions") }}, ' % of sessions',
                    case when runaway_cost_share is null then '' else concat(', ', {{ percent("runaway_cost_share") }}, ' % of the agent''s cost') end,
                    '.'
                )
            when unnamed_sessions = sessions then 'No call names its step, so it cannot be told whether sessions ran away.'
            else 'No session ran away.'
        end,
        case
            when failed_sessions > 0 and failed_cost_share is not null
                then concat(
                    ' Sessions that failed made ', {{ percent("failed_cost_share") }}, ' % of the cost',
                    case when outcome_coverage < 0.9 then concat('; of ', cast(unknown_sessions as varchar), ' nobody recorded how they ended') else '' end,
                    '.'
                )
            when unknown_sessions = sessions then ' Nobody recorded how sessions ended.'
            else ''
        end
    ) as sentence,
from joined
