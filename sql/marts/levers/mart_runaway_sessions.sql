/*
about: >-
  Sessions that ran away: longer than sessions of the feature that succeed, most steps alike, and no success. One row per such session,
  in the week in which it began.
grain: [source_account, session_unit, session_id]
order_by: [started_at, source_account, session_unit, session_id]
partition: week
partition_column: week_start_date
reads_around: 1 day
reads_back: 4 weeks
leads: [ledger_sessions]
columns:
  week_start_date: DATE; Monday of the ISO week in which it began, in the reporting time zone
  source_account: VARCHAR; first folder below the source, else 'default'
  session_unit: VARCHAR; what its calls share: session (they name one) or trace (they name none)
  session_id: VARCHAR; agent run or conversation as its source names it, or the trace that stands for it
  started_at: TIMESTAMP WITH TIME ZONE; start of its first call
  last_call_at: TIMESTAMP WITH TIME ZONE; start of its last call
  feature: VARCHAR; feature of its first call, 'unattributed' where none is known
  customer_id: VARCHAR; customer of the company; null where its calls name none
  user_id: VARCHAR; end user; null where its calls name none
  models: VARCHAR[]; models of its calls as the price book names them
  verdict: VARCHAR; judgement in one word: runaway (it failed) or runaway_suspected (nobody recorded how it ended)
  steps: BIGINT; its calls, failed ones included
  limit_basis: VARCHAR; where the limit is from: successful_sessions of the feature in the four weeks before, or fixed where these are fewer than runaway_min_sessions
  step_limit: BIGINT; steps that it went beyond: the larger of runaway_median_multiple times the median and the 99th percentile, or session_step_cap
  is_over_steps: BOOLEAN; true where its steps are beyond step_limit; a fixed limit may be passed by cost alone
  top_step: VARCHAR; step (else prompt template) that most calls were for
  top_step_share: DECIMAL(18,9); calls of top_step over all steps
  base_sessions: BIGINT; successful sessions of several steps of the feature in the four weeks before
  base_median_steps: BIGINT; median of their steps; null without any
  base_p99_steps: BIGINT; 99th percentile of their steps; null without any
  base_median_cost_usd: DECIMAL(38,15); median of their costs; null without any priced
  failed_steps: BIGINT; steps whose status is not ok
  total_tokens: BIGINT; tokens of its steps
  unpriced_requests: BIGINT; steps without a cost
  unpriced_tokens: BIGINT; tokens of the steps without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced steps; null where none is priced
  excess_cost_usd: DECIMAL(38,15); cost beyond base_median_cost_usd, beyond session_budget_usd where the limit is fixed; never below 0; null where no step is priced
  outcome: VARCHAR; failure, or null where nobody recorded one
  is_closed: BOOLEAN; true once the books' now is task_close_hours (thresholds.csv) past its last call
checks:
  - one_of: [verdict, runaway, runaway_suspected]
  - one_of: [limit_basis, successful_sessions, fixed]
  - between: [top_step_share, 0, 1]
  - rule: (verdict = 'runaway') = (outcome is not distinct from 'failure') and outcome is distinct from 'success'
    text: what succeeded did not run away
  - rule: is_over_steps = (steps > step_limit) and (is_over_steps or limit_basis = 'fixed')
  - rule: excess_cost_usd >= 0 and excess_cost_usd <= effective_cost_usd
    null_passes: true
question: Which agent runs went in circles, for whom, and what did that cost?
answer: >-
  select started_at, feature, customer_id, verdict, steps, step_limit, top_step, top_step_share, effective_cost_usd, excess_cost_usd
  from mart_runaway_sessions order by excess_cost_usd desc limit 20
*/
{% from "macros/days.sql" import local_week %}
{% from "macros/limits.sql" import limits_of_rows with context %}
with sessions as (
    select
        {{ local_week("s.started_at") }} as week_start_date,
        s.*,
    from ledger_sessions as s
    cross join ref_reporting as z
    where s.steps > 1
),

-- Sessions that succeeded, in each of the four weeks that they are a baseline of.
bases as (
    select
        cast(s.week_start_date + 7 * cast(o.weeks_later as integer) as date) as week_start_date,
        s.feature,
        count(*) as base_sessions,
        quantile_disc(s.steps, 0.5) as base_median_steps,
        quantile_disc(s.steps, 0.99) as base_p99_steps,
        quantile_disc(s.effective_cost_usd, 0.5) as base_median_cost_usd,
    from sessions as s
    cross join (select unnest(range(1, 5)) as weeks_later) as o
    where s.outcome = 'success'
    group by s.week_start_date + 7 * cast(o.weeks_later as integer), s.feature
),

{{ limits_of_rows({
    "session_step_cap": "step_cap",
    "runaway_median_multiple": "median_multiple",
    "runaway_top_step_share": "repeated_share",
    "runaway_min_sessions": "min_sessions",
}, "sessions") }},

judged as (
    select
        s.*,
        coalesce(b.base_sessions, 0) as base_sessions,
        b.base_median_steps,
        b.base_p99_steps,
        b.base_median_cost_usd,
        coalesce(b.base_sessions >= l.min_sessions, false) as has_base,
        case
            when b.base_sessions >= l.min_sessions
                then cast(floor(greatest(l.median_multiple * b.base_median_steps, b.base_p99_steps)) as bigint)
            else cast(floor(l.step_cap) as bigint)
        end as step_limit,
        l.repeated_share,
    from sessions as s
    inner join limit_rows as l on s.week_start_date = l.week_start_date and s.feature = l.feature
    left join bases as b on s.week_start_date = b.week_start_date and s.feature = b.feature
)

select
    week_start_date,
    source_account,
    session_unit,
    session_id,
    started_at,
    last_call_at,
    feature,
    customer_id,
    user_id,
    models,
    case when outcome = 'failure' then 'runaway' else 'runaway_suspected' end as verdict,
    steps,
    case when has_base then 'successful_sessions' else 'fixed' end as limit_basis,
    step_limit,
    steps > step_limit as is_over_steps,
    top_step,
    top_step_share,
    base_sessions,
    base_median_steps,
    base_p99_steps,
    base_median_cost_usd,
    failed_steps,
    total_tokens,
    unpriced_requests,
    unpriced_tokens,
    effective_cost_usd,
    case
        when not has_base then over_budget_usd
        when effective_cost_usd > base_median_cost_usd then effective_cost_usd - base_median_cost_usd
        else effective_cost_usd * 0
    end as excess_cost_usd,
    outcome,
    is_closed,
from judged
where outcome is distinct from 'success'
    and top_step_share > repeated_share
    and (steps > step_limit or (not has_base and breach_step is not null))
