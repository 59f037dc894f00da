/*
about: >-
  Units of user value: all calls of a task, retries and hidden calls included. A task belongs to the day of its first call;
  its calls are joined within seven days. One row per task.
grain: [source_account, task_id]
order_by: [started_at, source_account, task_id]
partition: day
partition_column: started_at
reads_around: 7 days
leads: [ledger_requests]
meets: >-
  select cast(r.started_at as date) as day, hash(r.source_account, r.task_id) as link, hash(r, c) as content
  from ledger_requests as r
  left join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
  where r.is_billable_leaf and r.task_id is not null
  union all
  select cast(started_at as date) as day, 0 as link, hash(max(started_at)) as content
  from ledger_requests
  where is_billable_leaf and task_id is not null
  group by cast(started_at as date)
joins: as_written
columns:
  source_account: VARCHAR; first folder below the source, else 'default'
  task_id: VARCHAR; the task as its source names it
  started_at: TIMESTAMP WITH TIME ZONE; start of its first call
  last_call_at: TIMESTAMP WITH TIME ZONE; start of its last call
  first_request_key: VARCHAR; request_key of its first call
  feature: VARCHAR; feature of its first call, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), of its first call, 'unattributed' where none is known
  requests: BIGINT; calls, failed ones included
  failed_requests: BIGINT; calls whose status is not ok
  retried_requests: BIGINT; calls that repeat an earlier one
  input_total_tokens: BIGINT; all input, cached included; null where no call told it
  output_total_tokens: BIGINT; all output, reasoning included; null where no call told it
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  unpriced_requests: BIGINT; calls without a cost
  outcome: VARCHAR; success or failure; null where nobody recorded it
  outcome_source: VARCHAR; outcomes (landing/outcomes), score (outcome_labels.csv, on the task, its trace, session or a call) or call (its last call); null without outcome
  is_closed: BOOLEAN; true once the newest call of any task in the seven days around its day is task_close_hours (thresholds.csv) past its last call
checks:
  - not_null: [task_id, started_at, requests]
  - one_of: [outcome, success, failure]
  - between: [requests, 1, null]
question: What does a task cost, all its calls included?
answer: >-
  select feature, count(*) as tasks, sum(effective_cost_usd) / count(*) as cost_per_task_usd
  from ledger_tasks group by feature order by tasks desc
*/
with task_days as (
    select source_account, task_id, cast(started_at as date) as usage_date, max(started_at) as newest_at
    from ledger_requests
    where is_billable_leaf and task_id is not null
    group by source_account, task_id, cast(started_at as date)
),

-- A task begins with its first call for seven days, and takes the calls of that day and of the seven after it.
begun as (
    select d.source_account, d.task_id, d.usage_date as first_date
    from task_days as d
    anti join task_days as p
        on d.source_account = p.source_account
        and d.task_id = p.task_id
        and p.usage_date < d.usage_date
        and p.usage_date >= d.usage_date - 7
),

tasks as (
    select
        r.source_account,
        r.task_id,
        b.first_date,
        min(r.started_at) as started_at,
        max(r.started_at) as last_call_at,
        -- Compared field by field: the earliest call, of equal ones the smaller key.
        min({'started_at': r.started_at, 'request_key': r.request_key, 'feature': r.feature, 'customer_tier': r.customer_tier}) as first_call,
        count(*) as requests,
        count(*) filter (where r.status <> 'ok') as failed_requests,
        count(*) filter (where r.is_retry) as retried_requests,
        cast(sum(r.input_total_tokens) as bigint) as input_total_tokens,
        cast(sum(r.output_total_tokens) as bigint) as output_total_tokens,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        count(*) filter (where c.effective_cost_usd is null) as unpriced_requests,
        max(
            case when r.outcome is not null then {'started_at': r.started_at, 'request_key': r.request_key, 'outcome': r.outcome} end
        ) as last_word,
    from ledger_requests as r
    inner join begun as b
        on r.source_account = b.source_account
        and r.task_id = b.task_id
        and cast(r.started_at as date) >= b.first_date
        and cast(r.started_at as date) <= b.first_date + 7
    left join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    where r.is_billable_leaf
    group by r.source_account, r.task_id, b.first_date
),

-- A score of the seven days around stands on a task, on its trace or session, or on one of its calls. Ids of calls are those of
-- one tool.
hits as (
{% for kind, met in [
    ("task", "c.task_id = s.target_id"),
    ("trace", "c.trace_id = s.target_id"),
    ("session", "c.session_id = s.target_id"),
    ("request", "c.source_row_id = s.target_id and c.source = s.source and c.source_account = s.source_account"),
] %}
    select
        b.source_account, b.task_id, b.first_date, c.feature, {{ loop.index }} as place, s.score_key, s.scored_at, s.source, s.name, s.value_text, s.value_num
    from ledger_requests as c
    inner join ledger_scores as s on {{ met }}
    inner join begun as b
        on c.source_account = b.source_account
        and c.task_id = b.task_id
        and cast(c.started_at as date) >= b.first_date
        and cast(c.started_at as date) <= b.first_date + 7
    where c.is_billable_leaf
        and s.target_kind = '{{ kind }}'
        and cast(s.scored_at as date) between b.first_date - 7 and b.first_date + 7
    {% if not loop.last %}
    union
    {% endif %}
{% endfor %}
),

-- Of the labels that fit, the one of the task's feature, else the highest threshold that is met.
scored as (
    select
        h.source_account,
        h.task_id,
        h.first_date,
        h.place,
        h.scored_at,
        h.score_key,
        case when h.source = 'outcomes' then 'outcomes' else 'score' end as outcome_source,
        case when h.name = 'outcome' and h.value_text in ('success', 'failure') then h.value_text else l.outcome end as outcome,
        row_number() over (
            partition by h.source_account, h.task_id, h.first_date, h.place, h.score_key
            order by
                case when l.feature is not null then 0 else 1 end,
                case when l.label is not null then 0 else 1 end,
                l.threshold desc nulls last,
                l.outcome
        ) as label_place,
    from hits as h
    left join ref_outcome_labels as l
        on h.name = l.score_name
        and (
            (l.label is not null and lower(l.label) = lower(h.value_text))
            or (l.label is null and l.threshold is not null and h.value_num >= cast(l.threshold as double))
        )
        and (l.feature is null or l.feature = h.feature)
),

-- The newest of landing/outcomes, else a score that outcome_labels.csv maps: one on the task itself goes before one on its
-- trace, that before one on its session, and that before one on a single call.
newest as (
    select source_account, task_id, first_date, outcome, outcome_source
    from scored
    where outcome is not null and label_place = 1
    qualify row_number() over (
        partition by source_account, task_id, first_date
        order by case outcome_source when 'outcomes' then 0 else 1 end, place, scored_at desc, score_key, outcome
    ) = 1
),

-- How far the books had come, as a day can see it.
clocks as (
    select b.first_date, max(d.newest_at) as newest_at
    from (select distinct first_date from begun) as b
    inner join (select usage_date, max(newest_at) as newest_at from task_days group by usage_date) as d
        on d.usage_date between b.first_date - 7 and b.first_date + 7
    group by b.first_date
),

limits as (
    select max(threshold_number) as close_hours
    from ref_limits
    where limit_name = 'task_close_hours' and scope_kind = '' and valid_to_date = date '9999-12-31'
)

select
    t.source_account,
    t.task_id,
    t.started_at,
    t.last_call_at,
    t.first_call.request_key as first_request_key,
    t.first_call.feature as feature,
    t.first_call.customer_tier as customer_tier,
    t.requests,
    t.failed_requests,
    t.retried_requests,
    t.input_total_tokens,
    t.output_total_tokens,
    t.effective_cost_usd,
    t.unpriced_requests,
    coalesce(n.outcome, case when t.last_word.outcome in ('success', 'failure') then t.last_word.outcome end) as outcome,
    case
        when n.outcome is not null then n.outcome_source
        when t.last_word.outcome in ('success', 'failure') then 'call'
    end as outcome_source,
    k.newest_at >= t.last_call_at + cast(l.close_hours as integer) * interval 1 hour as is_closed,
from tasks as t
inner join clocks as k on t.first_date = k.first_date
cross join limits as l
left join newest as n on t.source_account = n.source_account and t.task_id = n.task_id and t.first_date = n.first_date
