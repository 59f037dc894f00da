/*
about: >-
  Calls that a dearer model had to repeat: followed within a day, in the same task and step, by a call of a higher model tier. One row per
  week and feature with calls that know their task and could be followed by a dearer tier.
grain: [week_start_date, feature]
partition: week
reads_around: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  escalable_requests: BIGINT; calls of a tier below the dearest, with a task
  escalable_tokens: BIGINT; tokens of the calls that could be followed by a dearer tier
  escalated_requests: BIGINT; of these calls, those that a dearer tier followed
  escalated_tokens: BIGINT; tokens of the calls that a dearer tier followed
  escalated_cost_usd: DECIMAL(38,15); cost of the cheap calls that a dearer tier followed; null where none is priced
  escalated_steps: BIGINT; steps of tasks in which that happened, counted at the first such call of a day
  escalated_steps_cost_usd: DECIMAL(38,15); cost of these steps, the cheap calls and what followed them within a day; null where none is priced
checks:
  - rule: escalable_requests >= escalated_requests and escalated_requests >= escalated_steps
  - rule: escalable_tokens >= escalated_tokens
*/
{% from "macros/days.sql" import local_week, utc_date %}
{% from "macros/tiers.sql" import tier_of %}
with calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.request_key,
        r.started_at,
        r.source_account,
        r.task_id,
        coalesce(r.step, '') as step,
        r.feature,
        coalesce(r.total_tokens, 0) as total_tokens,
        case m.model_tier when 'budget' then 1 when 'mid' then 2 when 'frontier' then 3 end as height,
    from ledger_requests as r
    cross join ref_reporting as z
    left join {{ tier_of("r", utc_date("r.started_at")) }}
    where r.is_billable_leaf and r.task_id is not null
),

escalable as (
    select
        week_start_date,
        feature,
        count(*) as escalable_requests,
        cast(sum(total_tokens) as bigint) as escalable_tokens,
    from calls
    where height < 3
    group by week_start_date, feature
),

-- Few steps are answered by several tiers: only they are looked at call by call.
mixed as (
    select
        source_account,
        task_id,
        step,
    from calls
    where height is not null
    group by source_account, task_id, step
    having min(height) < max(height)
),

steps as (
    select
        c.week_start_date,
        c.request_key,
        c.started_at,
        c.source_account,
        c.task_id,
        c.step,
        c.feature,
        c.total_tokens,
        c.height,
        p.effective_cost_usd,
    from calls as c
    inner join mixed as m on c.source_account = m.source_account and c.task_id = m.task_id and c.step = m.step
    inner join ledger_costs as p on c.request_key = p.request_key and c.started_at = p.started_at
),

escalated as (
    select *
    from steps as c
    where exists (
        select 1
        from steps as d
        where d.source_account = c.source_account
            and d.task_id = c.task_id
            and d.step = c.step
            and d.height > c.height
            and d.started_at > c.started_at
            and d.started_at <= c.started_at + interval 1 day
    )
),

told as (
    select
        s.*,
        e.request_key is not null as is_escalated,
        count(b.request_key) > 0 as is_after_one,
    from steps as s
    left join escalated as e on s.request_key = e.request_key
    left join escalated as b
        on s.source_account = b.source_account
        and s.task_id = b.task_id
        and s.step = b.step
        and b.started_at < s.started_at
        and b.started_at >= s.started_at - interval 1 day
    group by
        s.week_start_date, s.request_key, s.started_at, s.source_account, s.task_id, s.step, s.feature, s.total_tokens, s.height,
        s.effective_cost_usd, e.request_key
),

summed as (
    select
        week_start_date,
        feature,
        count(case when is_escalated then 1 end) as escalated_requests,
        cast(sum(case when is_escalated then total_tokens else 0 end) as bigint) as escalated_tokens,
        cast(sum(case when is_escalated then effective_cost_usd end) as decimal(38, 15)) as escalated_cost_usd,
        count(case when is_escalated and not is_after_one then 1 end) as escalated_steps,
        cast(sum(case when is_escalated or is_after_one then effective_cost_usd end) as decimal(38, 15)) as escalated_steps_cost_usd,
    from told
    group by week_start_date, feature
)

select
    e.week_start_date,
    e.feature,
    e.escalable_requests,
    e.escalable_tokens,
    coalesce(s.escalated_requests, 0) as escalated_requests,
    coalesce(s.escalated_tokens, 0) as escalated_tokens,
    s.escalated_cost_usd,
    coalesce(s.escalated_steps, 0) as escalated_steps,
    s.escalated_steps_cost_usd,
from escalable as e
left join summed as s on e.week_start_date = s.week_start_date and e.feature = s.feature
