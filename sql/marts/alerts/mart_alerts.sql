/*
about: >-
  Alerts: what went beyond a limit of thresholds.csv, since when, what hangs on it in dollars, who owns it and what to do. One row per
  alert; one that comes back within a few days is the same alert.
grain: [alert_id]
order_by: [opened_date, alert_id]
columns:
  alert_id: VARCHAR; the alert, as a hash of what it is about and of its number
  dedupe_key: VARCHAR; hash of rule, entity and dimension, without any date: what it is about
  rule: VARCHAR; what is watched
  entity_type: VARCHAR; what kind of thing it is watched for: feature, team, customer_tier, budget, source, account or all
  entity_id: VARCHAR; name of the one, 'all' for everything
  dimension: VARCHAR; further part of what it is; empty where there is none
  alert_state: VARCHAR; open or resolved
  severity: VARCHAR; the gravest since it was last opened: info, warning or critical
  is_possible: BOOLEAN; true where the newest breach is one of the figure alone and not of its interval
  first_breach_date: DATE; first day of the first period beyond the limit
  opened_date: DATE; first day on which it could be known
  last_opened_date: DATE; the same of the newest time that it came back; opened_date where it never did
  last_breach_date: DATE; first day of the newest period beyond the limit
  resolved_date: DATE; first day on which it was known to be over; null while it is open
  reopened_count: BIGINT; how often it came back within alert_reopen_days
  breaches: BIGINT; periods beyond the limit
  dollars_at_stake_usd: DECIMAL(38,10); dollars of the newest such period that hang on it, not scaled to a year; null where they are not known
  breached_usd: DECIMAL(38,10); dollars of all such periods together; null where none is known
  owner: VARCHAR; team that owns it, else who thresholds.csv names; 'unattributed' where nobody is known
  sentence: VARCHAR; what happened in the newest such period, in words, and since which week or month it does
  remedy: VARCHAR; what to do about it
  evidence_query: VARCHAR; query that shows the figures behind it
checks:
  - one_of: [alert_state, open, resolved]
  - one_of: [severity, info, warning, critical]
  - rule: (alert_state = 'resolved') = (resolved_date is not null)
    text: an alert that is over says since when
  - rule: breaches > reopened_count
  - no_rows: >-
      select dedupe_key from mart_alerts where alert_state = 'open' group by dedupe_key having count(*) > 1
    text: nothing has two open alerts
question: What needs someone, the dearest first?
answer: >-
  select severity, owner, rule, entity_id, dollars_at_stake_usd, opened_date, sentence, remedy
  from mart_alerts where alert_state = 'open' order by dollars_at_stake_usd desc nulls last, opened_date
*/
with
{% include "parts/alert_episodes.sql" %}

latest as (
    select
        *,
        row_number() over (partition by dedupe_key, alert_number order by state = 'breach' desc, period_start_date desc) as place,
        max(case when state = 'breach' then episode end) over (partition by dedupe_key, alert_number) as last_episode,
    from steps
    where alert_number > 0
),

alerts as (
    select
        dedupe_key,
        alert_number,
        min(case when state = 'breach' then period_start_date end) as first_breach_date,
        min(case when transition = 'opened' then period_end_date end) as opened_date,
        max(case when transition = 'opened' then period_end_date end) as last_opened_date,
        max(case when state = 'breach' then period_start_date end) as last_breach_date,
        max(case when episode = last_episode and is_end then period_end_date end) as resolved_date,
        count(case when is_reopened then 1 end) as reopened_count,
        count(case when state = 'breach' then 1 end) as breaches,
        max(case when episode = last_episode then grade end) as grade,
        sum(case when state = 'breach' then cost_impact_usd end) as breached_usd,
    from latest
    group by dedupe_key, alert_number
)

select
    sha256(concat_ws('|', a.dedupe_key, cast(a.alert_number as varchar))) as alert_id,
    a.dedupe_key,
    l.rule,
    l.entity_type,
    l.entity_id,
    l.dimension,
    case when a.resolved_date is null then 'open' else 'resolved' end as alert_state,
    case a.grade when 3 then 'critical' when 2 then 'warning' else 'info' end as severity,
    l.is_possible,
    a.first_breach_date,
    a.opened_date,
    a.last_opened_date,
    a.last_breach_date,
    a.resolved_date,
    a.reopened_count,
    a.breaches,
    l.cost_impact_usd as dollars_at_stake_usd,
    cast(a.breached_usd as decimal(38, 10)) as breached_usd,
    l.owner,
    concat(
        l.sentence,
        case
            when a.breaches > 1 and l.period_end_date > l.period_start_date + 1
                then concat(
                    ' It was so in ', cast(a.breaches - 1 as varchar),
                    case when l.period_end_date > l.period_start_date + 7 then ' month' else ' week' end,
                    case when a.breaches > 2 then 's' else '' end, ' before too, first in ',
                    case
                        when l.period_end_date > l.period_start_date + 7 then strftime(a.first_breach_date, '%Y-%m')
                        else 'the week of ' || cast(a.first_breach_date as varchar)
                    end,
                    '.'
                )
            else ''
        end
    ) as sentence,
    l.remedy,
    l.evidence_query,
from alerts as a
inner join latest as l on a.dedupe_key = l.dedupe_key and a.alert_number = l.alert_number and l.place = 1
