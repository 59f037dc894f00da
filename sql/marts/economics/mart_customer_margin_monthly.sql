/*
about: >-
  What each customer pays and costs, and who is served at a loss. Costs are the invoice's; what has no customer is a line of its
  own. One row per UTC month and customer.
grain: [month_start_date, customer_id]
partition: month
clock_stops: 1 day
leads: [mart_showback_weekly]
columns:
  month_start_date: DATE; first day of the billing month, UTC
  customer_id: VARCHAR; customer of the company, 'unattributed' for the cost of calls and charges without one
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier) on the last day of the month so far, else that of the dearest calls; 'unattributed' where none is known
  is_month_over: BOOLEAN; false while the books' now is within the month: its figures still grow
  requests: BIGINT; calls, failed ones included
  unpriced_requests: BIGINT; of these, calls without a cost
  active_users: BIGINT; users with at least one call that ended well
  cogs_usd: DECIMAL(38,12); the invoice's part that the calls of the customer bear, unrounded; null where a rate to USD is missing
  revenue_usd: DECIMAL(38,12); recognised revenue of the customer for the days so far; null where none is known or a rate is missing
  margin_usd: DECIMAL(38,12); revenue less cogs_usd; null where either is unknown
  inference_margin: DECIMAL(38,9); revenue less cogs_usd over revenue; null where inference_margin_reason says why
  inference_margin_reason: VARCHAR; no_customer (the line without one), no_revenue (none or 0), revenue_at_tier_only or no_rate (to USD); null where there is a margin
  cost_percentile: DECIMAL(18,9); share of the other customers that cost less, 0 to 1; null for the line without a customer
  is_served_at_loss: BOOLEAN; true where the cost exceeds a known revenue; null where that or the cost is unknown
checks:
  - one_of: [inference_margin_reason, no_customer, no_revenue, revenue_at_tier_only, no_rate]
  - between: [cost_percentile, 0, 1]
  - rule: (inference_margin is null) = (inference_margin_reason is not null)
    text: a margin is given, or why there is none
  - rule: (margin_usd is null) = (is_served_at_loss is null)
  - no_rows: >-
      select strftime(s.month_start_date, '%Y-%m-%d') as partition
      from (
          select month_start_date, sum(requests) as requests, sum(invoiced_cost_usd) as usd, count(*) = count(invoiced_cost_usd) as is_known
          from mart_showback_weekly
          group by month_start_date
      ) as s
      inner join (
          select month_start_date, sum(requests) as requests, sum(cogs_usd) as usd
          from mart_customer_margin_monthly
          group by month_start_date
      ) as e on s.month_start_date = e.month_start_date
      where s.requests <> e.requests or (s.is_known and abs(s.usd - e.usd) > 0.000001)
    text: customers and the line without one make the invoices of the month
question: Who is served at a loss, and how large is it?
answer: >-
  select month_start_date, customer_id, customer_tier, revenue_usd, cogs_usd, margin_usd, cost_percentile
  from mart_customer_margin_monthly where is_served_at_loss order by month_start_date desc, margin_usd
*/
with weeks as (
    select distinct month_start_date from mart_showback_weekly
),

{% include "parts/invoiced_cells.sql" %}

{% set revenue_start = "month_start_date" %}
{% include "parts/revenue_of_periods.sql" %}

tier_costs as (
    select
        month_start_date,
        coalesce(customer_id, 'unattributed') as customer_id,
        customer_tier,
        sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests,
        case when count(*) = count(cogs_usd) then sum(cogs_usd) end as cogs_usd,
        row_number() over (
            partition by month_start_date, coalesce(customer_id, 'unattributed') order by sum(cogs_usd) desc nulls last, customer_tier
        ) as place,
    from invoiced_cells
    group by month_start_date, coalesce(customer_id, 'unattributed'), customer_tier
),

costs as (
    select
        month_start_date,
        customer_id,
        max(case when place = 1 and customer_id <> 'unattributed' then customer_tier end) as dearest_tier,
        sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests,
        case when count(*) = count(cogs_usd) then sum(cogs_usd) end as cogs_usd,
    from tier_costs
    group by month_start_date, customer_id
),

users as (
    select month_start_date, coalesce(customer_id, 'unattributed') as customer_id, count(distinct user_id) as active_users
    from invoiced_cells
    where ok_requests > 0
    group by month_start_date, coalesce(customer_id, 'unattributed')
),

earned as (
    select
        start_date as month_start_date,
        customer_id,
        case when count(*) = count(revenue_usd) then sum(revenue_usd) end as revenue_usd,
        count(*) > count(revenue_usd) as is_rate_missing,
    from period_revenue
    where revenue_kind = 'recognised' and customer_id is not null
    group by start_date, customer_id
),

tiers_paid as (
    select distinct start_date as month_start_date, customer_tier
    from period_revenue
    where customer_id is null and coalesce(revenue_usd, arpu_usd, 1) <> 0
),

keys as (
    select month_start_date, customer_id from costs
    union
    select month_start_date, customer_id from earned
),

tiers as (
    select p.period_start_date as month_start_date, c.customer_id, min(c.customer_tier) as customer_tier
    from revenue_periods as p
    inner join ref_customers as c
        on (c.valid_from_date is null or c.valid_from_date < p.period_end_date)
        and (c.valid_to_date is null or c.valid_to_date >= p.period_end_date)
    where c.customer_tier is not null
    group by p.period_start_date, c.customer_id
),

measured as (
    select
        k.month_start_date,
        k.customer_id,
        coalesce(t.customer_tier, c.dearest_tier, 'unattributed') as customer_tier,
        coalesce(c.requests, 0) as requests,
        coalesce(c.unpriced_requests, 0) as unpriced_requests,
        coalesce(u.active_users, 0) as active_users,
        case when c.customer_id is null then 0 else c.cogs_usd end as cogs_usd,
        e.revenue_usd,
        coalesce(e.is_rate_missing, false) as is_rate_missing,
    from keys as k
    left join costs as c on k.month_start_date = c.month_start_date and k.customer_id = c.customer_id
    left join users as u on k.month_start_date = u.month_start_date and k.customer_id = u.customer_id
    left join earned as e on k.month_start_date = e.month_start_date and k.customer_id = e.customer_id
    left join tiers as t on k.month_start_date = t.month_start_date and k.customer_id = t.customer_id
),

judged as (
    select
        m.*,
        case
            when m.customer_id = 'unattributed' then 'no_customer'
            when m.is_rate_missing or m.cogs_usd is null then 'no_rate'
            when m.revenue_usd > 0 then null
            when m.revenue_usd is null and p.customer_tier is not null then 'revenue_at_tier_only'
            else 'no_revenue'
        end as inference_margin_reason,
        case
            when m.customer_id <> 'unattributed'
                then percent_rank() over (
                    partition by m.month_start_date, m.customer_id = 'unattributed' order by coalesce(m.cogs_usd, 0)
                )
        end as cost_percentile,
    from measured as m
    left join tiers_paid as p on m.month_start_date = p.month_start_date and m.customer_tier = p.customer_tier
)

select
    j.month_start_date,
    j.customer_id,
    j.customer_tier,
    coalesce(k.now_at at time zone 'UTC' >= cast(j.month_start_date + interval 1 month as date), false) as is_month_over,
    cast(j.requests as bigint) as requests,
    cast(j.unpriced_requests as bigint) as unpriced_requests,
    cast(j.active_users as bigint) as active_users,
    cast(j.cogs_usd as decimal(38, 12)) as cogs_usd,
    cast(j.revenue_usd as decimal(38, 12)) as revenue_usd,
    case when j.customer_id <> 'unattributed' then cast(j.revenue_usd - j.cogs_usd as decimal(38, 12)) end as margin_usd,
    case
        when j.inference_margin_reason is null
            then cast(cast(j.revenue_usd - j.cogs_usd as double) / cast(j.revenue_usd as double) as decimal(38, 9))
    end as inference_margin,
    j.inference_margin_reason,
    cast(j.cost_percentile as decimal(18, 9)) as cost_percentile,
    case when j.customer_id <> 'unattributed' then j.cogs_usd > j.revenue_usd end as is_served_at_loss,
from judged as j
cross join ledger_clock as k
