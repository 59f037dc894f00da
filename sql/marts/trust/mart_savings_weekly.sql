/*
about: >-
  What contracts and seats save: list, contracted and effective cost side by side, and the Effective Savings Rate. One row per week,
  seller, billing account and model; calls that provisioned throughput or a seat paid for stand apart, as no price of theirs says
  what they cost.
grain: [week_start_date, provider, billing_account_id, model_canonical]
partition: week
reads_around: 1 day
leads: [ledger_requests, ledger_bill_days]
clock_stops: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where none is known
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  requests: BIGINT; calls, failed ones included
  unpriced_requests: BIGINT; of these, calls without a cost
  provisioned_requests: BIGINT; of these, calls that provisioned throughput paid for
  provisioned_list_cost_usd: DECIMAL(38,15); what these calls would cost at list prices; null where there are none
  seat_requests: BIGINT; of these, calls of an account that is paid by the seat
  seat_list_cost_usd: DECIMAL(38,15); what these calls would cost at list prices; null where there are none
  seat_fee_usd: DECIMAL(38,10); what was charged for the seats of the account in the week, shared by list cost; null where nothing was
  seat_fee_ratio: DECIMAL(18,9); seat_fee_usd over seat_list_cost_usd: below 1 where seats are cheaper than paying by use
  list_cost_usd: DECIMAL(38,15); the other priced calls at list prices; null where there are none
  contracted_cost_usd: DECIMAL(38,15); the same calls at negotiated prices and multipliers
  effective_cost_usd: DECIMAL(38,15); the same calls as owed
  saved_usd: DECIMAL(38,15); list less effective cost; below 0 where a contract costs more than the list
  effective_savings_rate: DECIMAL(18,9); Effective Savings Rate, saved over list cost; null where nothing has a list cost
checks:
  - rule: requests >= unpriced_requests + provisioned_requests
  - rule: requests >= seat_requests
  - rule: saved_usd = list_cost_usd - effective_cost_usd
    null_passes: true
notes:
  - The fee of a week is that of its UTC days, and of the seats of an account without a priced call it stands at unknown_model.
  - A cost that only the seller or a gateway stated has no list price of its own; it counts as its own list cost.
question: What do our contracts save?
answer: >-
  select provider, sum(list_cost_usd) as list_cost_usd, sum(effective_cost_usd) as effective_cost_usd,
  sum(saved_usd) / sum(list_cost_usd) as effective_savings_rate from mart_savings_weekly group by provider order by provider
*/
{% from "macros/days.sql" import local_week %}
with seats as (
    select distinct provider, account_id
    from ref_accounts
    where paid_by = 'seat'
),

calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.provider,
        coalesce(r.billing_account_id, 'unattributed') as billing_account_id,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        c.list_cost_usd,
        c.contracted_cost_usd,
        c.effective_cost_usd,
        case
            when s.account_id is not null then 'seat'
            -- Nothing else makes the two differ.
            when coalesce(c.effective_cost_usd <> c.contracted_cost_usd, false) then 'provisioned'
            else 'use'
        end as paid_by,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    left join seats as s on r.provider = s.provider and r.billing_account_id = s.account_id
    cross join ref_reporting as z
    where r.is_billable_leaf
),

summed as (
    select
        week_start_date,
        provider,
        billing_account_id,
        model_canonical,
        count(*) as requests,
        count(case when list_cost_usd is null then 1 end) as unpriced_requests,
        count(case when paid_by = 'provisioned' then 1 end) as provisioned_requests,
        cast(sum(case when paid_by = 'provisioned' then list_cost_usd end) as decimal(38, 15)) as provisioned_list_cost_usd,
        count(case when paid_by = 'seat' then 1 end) as seat_requests,
        cast(sum(case when paid_by = 'seat' then list_cost_usd end) as decimal(38, 15)) as seat_list_cost_usd,
        cast(sum(case when paid_by = 'use' then list_cost_usd end) as decimal(38, 15)) as list_cost_usd,
        cast(sum(case when paid_by = 'use' then contracted_cost_usd end) as decimal(38, 15)) as contracted_cost_usd,
        cast(sum(case when paid_by = 'use' then effective_cost_usd end) as decimal(38, 15)) as effective_cost_usd,
    from calls
    group by week_start_date, provider, billing_account_id, model_canonical
),

{% include "parts/period_charges.sql" %}

charge_days as (
    select
        *,
        charge_end_date - charge_start_date as days,
        unnest(generate_series(0, charge_end_date - charge_start_date - 1)) as place,
        cast(billed_usd * 10000000000::hugeint as hugeint) as units,
    from charge_lines
    where charge_category = 'Purchase'
),

-- Charges of a period as a bill's days have them, also of those that began in another month; of bills what they list themselves.
fee_days as (
    select
        cast(charge_start_date + cast(place as integer) as date) as usage_date,
        provider,
        billing_account_id,
        case when place < days - 1 then sign(units) * (abs(units) // days) else units - sign(units) * (abs(units) // days) * (days - 1) end as units,
    from charge_days
    union all
    select usage_date, provider, billing_account_id, cast(billed_usd * 10000000000::hugeint as hugeint) as units
    from ledger_bill_days
    where charge_category = 'Purchase'
        and charge_id is null
        and month_start_date in (
            cast(date_trunc('month', date_trunc('week', usage_date)) as date),
            cast(date_trunc('month', date_trunc('week', usage_date) + interval 6 day) as date)
        )
),

fees as (
    select
        cast(date_trunc('week', d.usage_date) as date) as week_start_date,
        d.provider,
        d.billing_account_id,
        cast(sum(d.units) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as fee_usd,
    from fee_days as d
    inner join seats as s on d.provider = s.provider and d.billing_account_id = s.account_id
    group by cast(date_trunc('week', d.usage_date) as date), d.provider, d.billing_account_id
),

seat_sums as (
    select week_start_date, provider, billing_account_id, sum(seat_list_cost_usd) as seat_list_usd
    from summed
    group by week_start_date, provider, billing_account_id
    having sum(seat_list_cost_usd) > 0
),

-- Shared by list cost, as the showback shares it; all of it where no call has one.
shared as (
    select
        f.week_start_date,
        f.provider,
        f.billing_account_id,
        coalesce(c.model_canonical, 'unknown_model') as model_canonical,
        case
            when c.model_canonical is null then f.fee_usd
            else cast(cast(f.fee_usd as double) * cast(c.seat_list_cost_usd as double) / cast(s.seat_list_usd as double) as decimal(38, 10))
        end as seat_fee_usd,
    from fees as f
    left join seat_sums as s
        on f.week_start_date = s.week_start_date and f.provider = s.provider and f.billing_account_id = s.billing_account_id
    left join summed as c
        on s.week_start_date = c.week_start_date
        and s.provider = c.provider
        and s.billing_account_id = c.billing_account_id
        and c.seat_list_cost_usd > 0
),

keys as (
    select week_start_date, provider, billing_account_id, model_canonical from summed
    union
    select week_start_date, provider, billing_account_id, model_canonical from shared
)

select
    k.week_start_date,
    k.provider,
    k.billing_account_id,
    k.model_canonical,
    coalesce(c.requests, 0) as requests,
    coalesce(c.unpriced_requests, 0) as unpriced_requests,
    coalesce(c.provisioned_requests, 0) as provisioned_requests,
    c.provisioned_list_cost_usd,
    coalesce(c.seat_requests, 0) as seat_requests,
    c.seat_list_cost_usd,
    f.seat_fee_usd,
    cast(cast(f.seat_fee_usd as double) / nullif(cast(c.seat_list_cost_usd as double), 0) as decimal(18, 9)) as seat_fee_ratio,
    c.list_cost_usd,
    c.contracted_cost_usd,
    c.effective_cost_usd,
    c.list_cost_usd - c.effective_cost_usd as saved_usd,
    cast(
        cast(c.list_cost_usd - c.effective_cost_usd as double) / nullif(cast(c.list_cost_usd as double), 0) as decimal(18, 9)
    ) as effective_savings_rate,
from keys as k
left join summed as c
    on k.week_start_date = c.week_start_date
    and k.provider = c.provider
    and k.billing_account_id = c.billing_account_id
    and k.model_canonical = c.model_canonical
left join shared as f
    on k.week_start_date = f.week_start_date
    and k.provider = f.provider
    and k.billing_account_id = f.billing_account_id
    and k.model_canonical = f.model_canonical
