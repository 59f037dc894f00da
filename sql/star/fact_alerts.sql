/*
about: Every alert that was raised, open ones and those that are over, with what hung on it. One row per alert.
grain: [alert_id]
order_by: [opened_date, alert_id]
columns:
  alert_id: VARCHAR; the alert, as a hash of what it is about and of its number
  week_start_date: DATE; Monday of the ISO week in which it could first be known; to dim_week
  team: VARCHAR; team that owns it, 'unattributed' where nobody is known; to dim_team
  feature: VARCHAR; feature that it is about, 'unattributed' where it is about something else; to dim_feature
  rule: VARCHAR; what is watched
  entity_type: VARCHAR; what kind of thing it is watched for: feature, team, customer_tier, budget, source, account or all
  entity_id: VARCHAR; name of the one, 'all' for everything
  alert_state: VARCHAR; open or resolved
  severity: VARCHAR; the gravest since it was last opened: info, warning or critical
  opened_date: DATE; first day on which it could be known
  resolved_date: DATE; first day on which it was known to be over; null while it is open
  alerts: BIGINT; 1, to be summed
  open_alerts: BIGINT; 1 while it is open, else 0
  breaches: BIGINT; periods beyond the limit
  dollars_at_stake_usd: DECIMAL(38,10); dollars of the newest such period; alerts may share dollars: a sum ranks, it is no spend; null where not known
  breached_usd: DECIMAL(38,10); dollars of all such periods together; alerts may share dollars as well; null where none is known
  sentence: VARCHAR; what happened in the newest such period, in words
checks:
  - not_null: [week_start_date, team, feature, rule, entity_type, entity_id, alert_state, severity, opened_date, alerts, open_alerts]
*/
select
    alert_id,
    cast(date_trunc('week', opened_date) as date) as week_start_date,
    owner as team,
    case when entity_type = 'feature' then entity_id else 'unattributed' end as feature,
    rule,
    entity_type,
    entity_id,
    alert_state,
    severity,
    opened_date,
    resolved_date,
    cast(1 as bigint) as alerts,
    cast(case when alert_state = 'open' then 1 else 0 end as bigint) as open_alerts,
    breaches,
    dollars_at_stake_usd,
    breached_usd,
    sentence,
from mart_alerts
