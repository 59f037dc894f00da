/*
about: >-
  What became known of closed months after their close: the live showback less the closed one less what was booked before, in the
  first week of the first open month, with the reason. A closed month itself never changes. One row per booked week, original week
  and month, key of the showback and currency.
grain: [booked_week_start_date, week_start_date, billing_month, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id, model_canonical, model_tier, billing_currency]
columns:
  booked_week_start_date: DATE; Monday of the week that bears it: the first on or after the first day of the first open month, UTC
  booked_month: VARCHAR; billing month that bears it, as YYYY-MM
  week_start_date: DATE; Monday of the ISO week that it is about, UTC
  billing_month: VARCHAR; month of the invoice as YYYY-MM that it is about
  month_start_date: DATE; first day of that billing month, UTC
{% include "parts/columns_showback_key.sql" %}
  reason: VARCHAR; restated_invoice, price_correction, attribution_change, late_rows or late_outcome, the first of them that applies; method_change where the data are as they were and the tables are made in another way
  caused_by: VARCHAR; files and price rows of all causes, set apart by a semicolon
  closed_invoiced_cost_usd: DECIMAL(38,2); what the closed month says; 0 where it has no such row
  booked_before_usd: DECIMAL(38,2); corrections of the same key that are booked in months since closed
  live_invoiced_cost_usd: DECIMAL(38,2); what the books say now; 0 where there is no such row any more; null where a rate to USD is missing
  delta_usd: DECIMAL(38,2); live less closed less booked before: what is booked now; null where a rate to USD is missing
  billing_currency: VARCHAR; currency of the invoice; null without a bill
  delta_billing_currency: DECIMAL(38,2); the same in the billing currency; null without a bill
  delta_successes: BIGINT; by how much the successful tasks of the row changed
checks:
  - one_of: [reason, restated_invoice, price_correction, attribution_change, late_rows, late_outcome, method_change]
  - not_null: [reason, caused_by, booked_week_start_date, booked_month, month_start_date]
  - rule: delta_usd = live_invoiced_cost_usd - closed_invoiced_cost_usd - booked_before_usd
    null_passes: true
    text: a correction is live less closed less booked before
  - no_rows: >-
      select s.month_start_date, s.provider, s.billing_account_id, sum(s.usd) as difference_usd
      from (
          select month_start_date, provider, billing_account_id, invoiced_cost_usd as usd from mart_showback_weekly
          union all
          select month_start_date, provider, billing_account_id, -invoiced_cost_usd as usd from closed_mart_showback_weekly
          union all
          select month_start_date, provider, billing_account_id, -delta_usd as usd from mart_corrections_weekly
      ) as s
      inner join closed_months as m on s.month_start_date = m.month_start_date
      group by s.month_start_date, s.provider, s.billing_account_id
      having sum(s.usd) <> 0 and count(*) = count(s.usd)
    text: closed showback and corrections of an account and month sum to the live showback
question: What was found of closed months, why, and which team bears it when?
answer: >-
  select booked_month, billing_month, team, reason, caused_by, sum(delta_usd) as delta_usd
  from mart_corrections_weekly group by booked_month, billing_month, team, reason, caused_by order by all
notes:
  - Rows of a week whose month is still open may change until that month is closed; then they stand as they are.
*/
with first_open as (
    select cast(max(month_start_date) + interval 1 month as date) as month_start_date
    from closed_months
),

-- Rows booked in a month that was closed itself: each later close has them again.
booked as (
    select distinct * from closed_mart_corrections_weekly
),

sides as (
    select
        s.month_start_date, s.week_start_date, s.billing_month, s.cost_centre, s.team, s.feature, s.customer_tier, s.environment,
        s.provider, s.billing_account_id, s.model_canonical, s.model_tier, s.billing_currency,
        'live' as side, s.invoiced_cost_usd as usd, s.invoiced_cost_billing_currency as native, s.successes,
    from mart_showback_weekly as s
    inner join closed_months as m on s.month_start_date = m.month_start_date
    union all
    select
        month_start_date, week_start_date, billing_month, cost_centre, team, feature, customer_tier, environment,
        provider, billing_account_id, model_canonical, model_tier, billing_currency,
        'closed' as side, invoiced_cost_usd as usd, invoiced_cost_billing_currency as native, successes,
    from closed_mart_showback_weekly
    union all
    select
        month_start_date, week_start_date, billing_month, cost_centre, team, feature, customer_tier, environment,
        provider, billing_account_id, model_canonical, model_tier, billing_currency,
        'booked' as side, delta_usd as usd, delta_billing_currency as native, delta_successes as successes,
    from booked
),

-- A row without a bill has no currency: it is compared with the row that has one.
invoice_currencies as (
    select month_start_date, provider, billing_account_id, min(billing_currency) as billing_currency
    from sides
    where side = 'live'
    group by month_start_date, provider, billing_account_id
),

differences as (
    select
        s.month_start_date, s.week_start_date, s.billing_month, s.cost_centre, s.team, s.feature, s.customer_tier, s.environment,
        s.provider, s.billing_account_id, s.model_canonical, s.model_tier,
        coalesce(s.billing_currency, i.billing_currency) as billing_currency,
        coalesce(sum(case when s.side = 'closed' then s.usd end), 0) as closed_usd,
        coalesce(sum(case when s.side = 'booked' then s.usd end), 0) as booked_usd,
        case when count(case when s.side = 'live' and s.usd is null then 1 end) = 0
            then coalesce(sum(case when s.side = 'live' then s.usd end), 0) end as live_usd,
        sum(case when s.side = 'live' then s.native else -s.native end) as native_difference,
        cast(sum(case when s.side = 'live' then s.successes else -s.successes end) as bigint) as success_difference,
        count(case when s.side = 'closed' and s.usd is null then 1 end) as unknown_at_close,
    from sides as s
    left join invoice_currencies as i
        on s.month_start_date = i.month_start_date and s.provider = i.provider and s.billing_account_id = i.billing_account_id
    group by
        s.month_start_date, s.week_start_date, s.billing_month, s.cost_centre, s.team, s.feature, s.customer_tier, s.environment,
        s.provider, s.billing_account_id, s.model_canonical, s.model_tier, coalesce(s.billing_currency, i.billing_currency)
),

open_ones as (
    select *, cast(live_usd - closed_usd - booked_usd as decimal(38, 2)) as delta
    from differences
    where live_usd - closed_usd - booked_usd <> 0
        or (live_usd is null and unknown_at_close = 0)
        or coalesce(native_difference, 0) <> 0
        or success_difference <> 0
),

causes as (
    select distinct
        cast(date_trunc('month', c.usage_date) as date) as month_start_date, c.provider, c.billing_account_id, c.model_canonical,
        c.reason, c.caused_by,
    from ledger_changed_calls as c
    union
    select month_start_date, provider, billing_account_id, model_canonical, reason, caused_by
    from ledger_changed_bills
),

pools as (
    select distinct month_start_date, provider, billing_account_id, model_canonical from open_ones
),

-- What changed of the model itself or of the invoice as a whole; else of any model of the account, as its invoice is split
-- over all of them; else a table that decides how invoices are split.
candidates as (
    select p.month_start_date, p.provider, p.billing_account_id, p.model_canonical, c.reason, c.caused_by,
        case when c.model_canonical is null or c.model_canonical = p.model_canonical then 1 else 2 end as distance,
    from pools as p
    inner join causes as c
        on p.month_start_date = c.month_start_date and p.provider = c.provider and p.billing_account_id = c.billing_account_id
    union all
    select p.month_start_date, p.provider, p.billing_account_id, p.model_canonical, c.reason, c.caused_by, 3 as distance,
    from pools as p
    inner join causes as c on p.month_start_date = c.month_start_date and c.provider is null
),

nearest as (
    select *,
        case reason
            when 'restated_invoice' then 1
            when 'price_correction' then 2
            when 'attribution_change' then 3
            when 'late_rows' then 4
            else 5
        end as precedence,
    from candidates
    qualify distance = min(distance) over (partition by month_start_date, provider, billing_account_id, model_canonical)
),

reasons as (
    select
        month_start_date, provider, billing_account_id, model_canonical,
        case min(precedence)
            when 1 then 'restated_invoice'
            when 2 then 'price_correction'
            when 3 then 'attribution_change'
            when 4 then 'late_rows'
            else 'late_outcome'
        end as reason,
        string_agg(distinct caused_by, '; ' order by caused_by) as caused_by,
    from nearest
    group by month_start_date, provider, billing_account_id, model_canonical
)

select
    booked_week_start_date,
    booked_month,
    week_start_date,
    billing_month,
    month_start_date,
    cost_centre,
    team,
    feature,
    customer_tier,
    environment,
    provider,
    billing_account_id,
    model_canonical,
    model_tier,
    reason,
    caused_by,
    closed_invoiced_cost_usd,
    booked_before_usd,
    live_invoiced_cost_usd,
    delta_usd,
    billing_currency,
    delta_billing_currency,
    delta_successes,
from booked
union all
select
    cast(date_trunc('week', f.month_start_date + interval 6 day) as date) as booked_week_start_date,
    strftime(f.month_start_date, '%Y-%m') as booked_month,
    o.week_start_date,
    o.billing_month,
    o.month_start_date,
    o.cost_centre,
    o.team,
    o.feature,
    o.customer_tier,
    o.environment,
    o.provider,
    o.billing_account_id,
    o.model_canonical,
    o.model_tier,
    coalesce(r.reason, 'method_change') as reason,
    coalesce(r.caused_by, 'no file and no row: the tables are made in another way') as caused_by,
    cast(o.closed_usd as decimal(38, 2)) as closed_invoiced_cost_usd,
    cast(o.booked_usd as decimal(38, 2)) as booked_before_usd,
    cast(o.live_usd as decimal(38, 2)) as live_invoiced_cost_usd,
    o.delta as delta_usd,
    o.billing_currency,
    cast(o.native_difference as decimal(38, 2)) as delta_billing_currency,
    o.success_difference as delta_successes,
from open_ones as o
cross join first_open as f
left join reasons as r
    on o.month_start_date = r.month_start_date
    and o.provider = r.provider
    and o.billing_account_id = r.billing_account_id
    and o.model_canonical = r.model_canonical
