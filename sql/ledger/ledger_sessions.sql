/*
{% from "macros/days.sql" import utc_date %}
about: >-
  Agent runs and conversations: all calls of a session in their order, as steps, with what they cost, how the context grew and
  when the budget was passed. A session is what the calls say, else their trace if it has several calls; it belongs to the day
  of its first call, and its calls are joined within seven days. One row per session.
grain: [source_account, session_unit, session_id]
order_by: [started_at, source_account, session_unit, session_id]
partition: day
partition_column: started_at
reads_around: 7 days
clock_stops: 9 days
leads: [ledger_requests]
joins: as_written
meets: >-
  select
      {{ utc_date("r.started_at") }} as day,
      hash(r.source_account, r.session_id, case when r.session_id is null then r.trace_id end) as link,
      hash(r, c) as content
  from ledger_requests as r
  left join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
  where r.is_billable_leaf and coalesce(r.session_id, r.trace_id) is not null
  union all
  select
      {{ utc_date("t.started_at") }} as day,
      hash(r.source_account, r.session_id, case when r.session_id is null then r.trace_id end) as link,
      hash(t) as content
  from ledger_tasks as t
  inner join ledger_requests as r on t.source_account = r.source_account and t.task_id = r.task_id
  where r.is_billable_leaf and coalesce(r.session_id, r.trace_id) is not null
lies_on: >-
  select
      {{ utc_date("started_at") }} as day,
      hash(source_account, session_id, case when session_id is null then trace_id end) as link
  from ledger_requests
  where is_billable_leaf and coalesce(session_id, trace_id) is not null
  union all
  select
      {{ utc_date("t.started_at") }} as day,
      hash(r.source_account, r.session_id, case when r.session_id is null then r.trace_id end) as link
  from ledger_requests as r
  inner join ledger_tasks as t on r.source_account = t.source_account and r.task_id = t.task_id
  where
      r.is_billable_leaf
      and coalesce(r.session_id, r.trace_id) is not null
      and t.started_at < t.last_call_at
      and {{ utc_date("t.started_at") }} <> {{ utc_date("t.last_call_at") }}
columns:
  source_account: VARCHAR; first folder below the source, else 'default'
  session_unit: VARCHAR; what its calls share: session (they name one) or trace (they name none, and the trace has several calls)
  session_id: VARCHAR; agent run or conversation as its source names it, or the trace that stands for it
  started_at: TIMESTAMP WITH TIME ZONE; start of its first call
  last_call_at: TIMESTAMP WITH TIME ZONE; start of its last call
  feature: VARCHAR; feature of its first call, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), of its first call, 'unattributed' where none is known
  customer_id: VARCHAR; customer of the company, of the first call that names one; null where none does
  user_id: VARCHAR; end user, of the first call that names one; null where none does
  models: VARCHAR[]; models of its calls as the price book names them, 'unknown_model' where no alias maps one
  steps: BIGINT; its calls, failed ones included
  failed_steps: BIGINT; steps whose status is not ok
  input_total_tokens: BIGINT; all input of its steps, cached included; null where no step told it
  output_total_tokens: BIGINT; all output of its steps, reasoning included; null where no step told it
  total_tokens: BIGINT; tokens of its steps
  first_step_tokens: BIGINT; tokens of the first step that has any: what a single call would have taken; null where none has
  largest_input_tokens: BIGINT; input of the step that read most; null where no step told it
  reread_multiplier: DECIMAL(18,9); input_total_tokens over largest_input_tokens: how often the context was read; null without input
  single_call_multiplier: DECIMAL(18,9); total_tokens over first_step_tokens; null without tokens
  context_growth: DECIMAL(18,3); input tokens that each step adds, by a line through its steps; null below two steps with known input
  effective_cost_usd: DECIMAL(38,15); cost of the priced steps; null where none is priced
  unpriced_requests: BIGINT; steps without a cost
  unpriced_tokens: BIGINT; tokens of the steps without a cost
  top_step: VARCHAR; step (else prompt template) that most calls were for; null where no call names one
  top_step_share: DECIMAL(18,9); calls of top_step over all steps; null where no call names a step
  session_budget_usd: DECIMAL(18,9); what a session of the feature may cost (session_budget_usd of thresholds.csv, on its first day)
  breach_step: BIGINT; first step with which its cost had passed the budget, from 1; null where it did not
  over_budget_usd: DECIMAL(38,15); cost beyond the budget, 0 within it; null where no step is priced
  succeeded_tasks: BIGINT; tasks of its calls that ended as a success
  failed_tasks: BIGINT; tasks of its calls that ended as a failure
  outcome: VARCHAR; success where a task of it succeeded, failure where tasks failed and none succeeded, else what the last call that tells an outcome says; null where nobody recorded one
  is_closed: BOOLEAN; true once the books' now is task_close_hours (thresholds.csv) past its last call
checks:
  - not_null: [session_id, started_at, steps, session_budget_usd, is_closed]
  - one_of: [session_unit, session, trace]
  - one_of: [outcome, success, failure]
  - between: [steps, 1, null]
  - between: [top_step_share, 0, 1]
  - rule: session_unit = 'session' or steps > 1
    text: a trace of a single call is no session
  - rule: coalesce(breach_step <= steps, true) and (breach_step is null) = (coalesce(over_budget_usd, 0) = 0)
    text: the budget is passed at a step exactly where the session costs more than it
notes:
  - Calls that begin more than seven days after the first, without a pause of seven days before them, belong to no session here.
  - A step without a cost adds nothing to the cost so far, so the budget may have been passed earlier than breach_step says.
question: Which sessions passed their budget, and at which step?
answer: >-
  select feature, session_id, steps, effective_cost_usd, breach_step, over_budget_usd
  from ledger_sessions where over_budget_usd > 0 order by over_budget_usd desc limit 20
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
with spans as (
    select
        source_account,
        session_id is not null as is_named,
        coalesce(session_id, trace_id) as session_id,
        min({{ utc_date("started_at") }}) as first_date,
        max({{ utc_date("started_at") }}) as last_date,
        count(*) as calls,
    from ledger_requests
    where is_billable_leaf and coalesce(session_id, trace_id) is not null
    group by source_account, session_id is not null, coalesce(session_id, trace_id)
),

-- What goes on for more than seven days is looked at day by day.
long_days as (
    select distinct s.source_account, s.is_named, s.session_id, {{ utc_date("r.started_at") }} as usage_date
    from ledger_requests as r
    inner join spans as s
        on r.source_account = s.source_account
        and (r.session_id is not null) = s.is_named
        and coalesce(r.session_id, r.trace_id) = s.session_id
    where r.is_billable_leaf and s.last_date > s.first_date + 7
),

-- A session begins with its first call for seven days, and takes the calls of that day and of the seven after it.
begun as (
    select source_account, is_named, session_id, first_date
    from spans
    where last_date <= first_date + 7 and (is_named or calls > 1)
    union all
    select d.source_account, d.is_named, d.session_id, d.usage_date as first_date
    from long_days as d
    anti join long_days as p
        on d.source_account = p.source_account
        and d.is_named = p.is_named
        and d.session_id = p.session_id
        and p.usage_date < d.usage_date
        and p.usage_date >= d.usage_date - 7
),

sessions as (
    select *, row_number() over () as session_number
    from begun
),

calls as (
    select
        s.session_number,
        r.request_key,
        r.started_at,
        r.source_account,
        r.task_id,
        r.feature,
        r.customer_tier,
        r.customer_id,
        r.user_id,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.status <> 'ok' as is_failed,
        r.outcome,
        r.input_total_tokens,
        r.output_total_tokens,
        coalesce(r.total_tokens, 0) as total_tokens,
        coalesce(r.step, r.prompt_name) as step_name,
        c.effective_cost_usd,
        row_number() over (partition by s.session_number order by r.started_at, r.request_key) as step_number,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    inner join sessions as s
        on r.source_account = s.source_account
        and (r.session_id is not null) = s.is_named
        and coalesce(r.session_id, r.trace_id) = s.session_id
        and {{ utc_date("r.started_at") }} >= s.first_date
        and {{ utc_date("r.started_at") }} <= s.first_date + 7
),

summed as (
    select
        session_number,
        cast(min(started_at) as date) as first_date,
        min(started_at) as started_at,
        max(started_at) as last_call_at,
        -- Of the first step that tells it, and of the last.
        arg_min(feature, step_number) as feature,
        arg_min(customer_tier, step_number) as customer_tier,
        arg_min(customer_id, step_number) as customer_id,
        arg_min(user_id, step_number) as user_id,
        arg_min(nullif(total_tokens, 0), step_number) as first_step_tokens,
        arg_max(outcome, step_number) as last_outcome,
        min(model_canonical) as first_model,
        max(model_canonical) as last_model,
        count(*) as steps,
        count(case when is_failed then 1 end) as failed_steps,
        cast(sum(input_total_tokens) as bigint) as input_total_tokens,
        cast(sum(output_total_tokens) as bigint) as output_total_tokens,
        cast(sum(total_tokens) as bigint) as total_tokens,
        max(input_total_tokens) as largest_input_tokens,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        count(case when effective_cost_usd is null then 1 end) as unpriced_requests,
        cast(sum(case when effective_cost_usd is null then total_tokens else 0 end) as bigint) as unpriced_tokens,
        -- Whole numbers make the slope the same in whatever order the steps are summed.
        count(input_total_tokens) as pairs,
        cast(sum(case when input_total_tokens is not null then step_number end) as decimal(38, 0)) as sum_x,
        cast(sum(case when input_total_tokens is not null then step_number * step_number end) as decimal(38, 0)) as sum_xx,
        cast(sum(step_number * input_total_tokens) as decimal(38, 0)) as sum_xy,
    from calls
    group by session_number
),

{{ limits_of_rows({"session_budget_usd": "session_budget_usd"}, "summed", "first_date") }},

budgeted as (
    select s.*, l.session_budget_usd, s.effective_cost_usd > l.session_budget_usd as is_over
    from summed as s
    inner join limit_rows as l on s.first_date = l.first_date and s.feature = l.feature
),

-- Costs are added up step by step where they pass the budget alone.
breaches as (
    select session_number, min(step_number) as breach_step
    from (
        select
            t.session_number,
            t.step_number,
            b.session_budget_usd,
            sum(t.effective_cost_usd) over (partition by t.session_number order by t.step_number) as cost_so_far,
        from calls as t
        inner join budgeted as b on t.session_number = b.session_number
        where b.is_over
    ) as s
    where cost_so_far > session_budget_usd
    group by session_number
),

several_models as (
    select c.session_number, list_sort(list(distinct c.model_canonical)) as models
    from calls as c
    inner join summed as s on c.session_number = s.session_number and s.first_model <> s.last_model
    group by c.session_number
),

-- The step that most calls were for, of equal ones the later by name.
repeated as (
    select session_number, max({'calls': calls, 'step_name': step_name}) as top
    from (
        select session_number, step_name, count(*) as calls
        from calls
        where step_name is not null
        group by session_number, step_name
    ) as named
    group by session_number
),

-- The tasks that its calls worked for, and how they ended.
ended as (
    select
        w.session_number,
        count(case when t.outcome = 'success' then 1 end) as succeeded_tasks,
        count(case when t.outcome = 'failure' then 1 end) as failed_tasks,
    from (
        select session_number, source_account, task_id, min({{ utc_date("started_at") }}) as seen_date
        from calls
        where task_id is not null
        group by session_number, source_account, task_id
    ) as w
    inner join ledger_tasks as t
        on w.source_account = t.source_account
        and w.task_id = t.task_id
        and {{ utc_date("t.started_at") }} <= w.seen_date
        and {{ utc_date("t.started_at") }} >= w.seen_date - 7
    group by w.session_number
),

closing as (
    select max(threshold_number) as close_hours
    from ref_limits
    where limit_name = 'task_close_hours' and scope_kind = '' and valid_to_date = date '9999-12-31'
)

select
    i.source_account,
    case when i.is_named then 'session' else 'trace' end as session_unit,
    i.session_id,
    s.started_at,
    s.last_call_at,
    s.feature,
    s.customer_tier,
    s.customer_id,
    s.user_id,
    case when s.first_model = s.last_model then [s.first_model] else m.models end as models,
    s.steps,
    s.failed_steps,
    s.input_total_tokens,
    s.output_total_tokens,
    s.total_tokens,
    s.first_step_tokens,
    s.largest_input_tokens,
    cast(cast(s.input_total_tokens as double) / nullif(s.largest_input_tokens, 0) as decimal(18, 9)) as reread_multiplier,
    cast(cast(s.total_tokens as double) / s.first_step_tokens as decimal(18, 9)) as single_call_multiplier,
    case
        when s.pairs > 1
            then cast(
                cast(s.pairs * s.sum_xy - s.sum_x * s.input_total_tokens as double) / cast(s.pairs * s.sum_xx - s.sum_x * s.sum_x as double)
                as decimal(18, 3)
            )
    end as context_growth,
    s.effective_cost_usd,
    s.unpriced_requests,
    s.unpriced_tokens,
    p.top.step_name as top_step,
    cast(cast(p.top.calls as double) / s.steps as decimal(18, 9)) as top_step_share,
    s.session_budget_usd,
    b.breach_step,
    case when s.is_over then s.effective_cost_usd - s.session_budget_usd else s.effective_cost_usd * 0 end as over_budget_usd,
    coalesce(e.succeeded_tasks, 0) as succeeded_tasks,
    coalesce(e.failed_tasks, 0) as failed_tasks,
    case
        when e.succeeded_tasks > 0 then 'success'
        when e.failed_tasks > 0 then 'failure'
        when s.last_outcome in ('success', 'failure') then s.last_outcome
    end as outcome,
    k.now_at >= s.last_call_at + cast(l.close_hours as integer) * interval 1 hour as is_closed,
from budgeted as s
inner join sessions as i on s.session_number = i.session_number
left join breaches as b on s.session_number = b.session_number
left join several_models as m on s.session_number = m.session_number
left join repeated as p on s.session_number = p.session_number
left join ended as e on s.session_number = e.session_number
cross join ledger_clock as k
cross join closing as l
-- A trace of a single call is no session.
where i.is_named or s.steps > 1
