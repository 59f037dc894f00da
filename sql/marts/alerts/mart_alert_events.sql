/*
about: >-
  What is sent of alerts, in order: that one was opened, that it got graver, that it is over. Further breaches of an open alert are
  silent. One row per alert and step.
grain: [alert_id, period_start_date]
columns:
  alert_id: VARCHAR; the alert, as in mart_alerts
  dedupe_key: VARCHAR; what the alert is about, the same for all alerts about it
  rule: VARCHAR; what is watched
  entity_type: VARCHAR; what kind of thing it is watched for
  entity_id: VARCHAR; name of the one, 'all' for everything
  dimension: VARCHAR; further part of what it is; empty where there is none
  period_start_date: DATE; first day of the period that made the step
  event_date: DATE; first day on which the step can be known
  transition: VARCHAR; opened, escalated or resolved
  is_reopened: BOOLEAN; true where the alert was over for a few days only and goes on
  severity: VARCHAR; of the breach, of a resolved alert the gravest that it had
  cost_impact_usd: DECIMAL(38,10); what it cost in the period; null where it is not known, and of a resolved alert
  owner: VARCHAR; team that owns it and is told
  sentence: VARCHAR; what happened, in words
checks:
  - one_of: [transition, opened, escalated, resolved]
question: What was told when?
answer: >-
  select event_date, transition, severity, owner, rule, entity_id, cost_impact_usd, sentence
  from mart_alert_events order by event_date desc, cost_impact_usd desc nulls last
*/
with
{% include "parts/alert_episodes.sql" %}

told as (
    select *
    from steps
    where transition is not null and alert_number > 0
)

select
    sha256(concat_ws('|', dedupe_key, cast(alert_number as varchar))) as alert_id,
    dedupe_key,
    rule,
    entity_type,
    entity_id,
    dimension,
    period_start_date,
    period_end_date as event_date,
    transition,
    is_reopened,
    case coalesce(case when transition <> 'resolved' then grade end, grade_before) when 3 then 'critical' when 2 then 'warning' else 'info' end as severity,
    case when transition <> 'resolved' then cost_impact_usd end as cost_impact_usd,
    owner,
    case when transition = 'resolved' then 'Over: within the limits again.' else sentence end as sentence,
from told
