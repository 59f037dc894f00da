/*
about: Every pricing tier of customers that a fact names (not the tiers of models). One row per tier.
grain: [customer_tier]
columns:
  customer_tier: VARCHAR; its name, 'unattributed' where none is known
  is_attributed: BOOLEAN; false for 'unattributed', which no one is known for
  first_spend_week_date: DATE; Monday of the first week with spend; null where only other facts name it
  last_spend_week_date: DATE; Monday of the newest week with spend; null as that
checks:
  - not_null: [is_attributed]
*/
with seen as (
    select customer_tier, week_start_date as spend_week_date from fact_spend_weekly
    union all
    select customer_tier, cast(null as date) as spend_week_date from fact_unit_economics_weekly
)

select
    customer_tier,
    customer_tier <> 'unattributed' as is_attributed,
    min(spend_week_date) as first_spend_week_date,
    max(spend_week_date) as last_spend_week_date,
from seen
group by customer_tier
