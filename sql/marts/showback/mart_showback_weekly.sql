/*
about: >-
  Who bears what: each invoice split over weeks and owners, to the cent. Explained spend is direct, the rest of the invoice is
  spread in proportion, what nothing explains stays on the unattributed line. One row per week, billing month and key.
grain: [week_start_date, billing_month, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id, model_canonical, model_tier]
partition: month
partition_column: month_start_date
leads: [ledger_allocations]
columns:
  week_start_date: DATE; Monday of the ISO week, UTC
  billing_month: VARCHAR; month of the invoice as YYYY-MM; a week over two months has rows for each
  month_start_date: DATE; first day of the billing month, UTC
{% include "parts/columns_showback_key.sql" %}
  state: VARCHAR; provisional until the bill of the account and month is complete and while its reconciliation fails, then final
{% include "parts/columns_call_counts.sql" %}
  list_cost_usd: DECIMAL(38,10); cost at list prices of the priced calls; null where there are calls and none is priced
  effective_cost_usd: DECIMAL(38,10); cost of the priced calls under contracts; null where there are calls and none is priced
  direct_cost_usd: DECIMAL(38,10); invoiced list amount that traced calls explain
  allocated_untraced_usd: DECIMAL(38,10); share of the invoiced list amount that no call explains
  discount_usd: DECIMAL(38,10); share of discounts, negative
  credit_usd: DECIMAL(38,10); share of credits, negative
  tax_fee_usd: DECIMAL(38,10); share of tax, fees, commitments and other charges without tokens
  rounding_usd: DECIMAL(38,10); what rounding to the cent added or took
  invoiced_cost_usd: DECIMAL(38,2); what the row bears of the invoice; the rows sum to it; null where a rate to USD is missing
  billing_currency: VARCHAR; currency of the invoice; null without a bill
  invoiced_cost_billing_currency: DECIMAL(38,2); the same split of the invoice in its currency; null without a bill
  allocation_basis: VARCHAR; invoice, or effective_cost where there is no bill yet (an accrual)
  allocation_method: VARCHAR; how each part of the row came to it, component by component; null where it bears nothing
  bill_snapshot_id: VARCHAR; hash of the lines and amounts of the bill that was split; null without a bill
checks:
  - not_null: [state, requests, direct_cost_usd, allocated_untraced_usd, discount_usd, credit_usd, tax_fee_usd, allocation_basis]
  - one_of: [state, provisional, final]
  - rule: invoiced_cost_usd = direct_cost_usd + allocated_untraced_usd + discount_usd + credit_usd + tax_fee_usd + rounding_usd
    null_passes: true
    text: invoiced = direct + allocated + discount + credit + tax + rounding
  - rule: abs(rounding_usd) < 0.02
    null_passes: true
    severity: warning
    text: rounding moves a row by less than two cents
  - no_rows: >-
      select strftime(i.month_start_date, '%Y-%m-%d') as partition, i.provider, i.billing_account_id
      from ledger_invoices as i
      left join (
          select month_start_date, provider, billing_account_id, sum(invoiced_cost_usd) as usd,
              sum(invoiced_cost_billing_currency) as billed
          from mart_showback_weekly
          group by month_start_date, provider, billing_account_id
      ) as s
          on i.month_start_date = s.month_start_date
          and i.provider = s.provider
          and i.billing_account_id = s.billing_account_id
      where i.month_start_date in (select month_start_date from mart_showback_weekly)
          and (s.billed is distinct from i.invoiced_cost_billing_currency or s.usd is distinct from i.invoiced_cost_usd)
    text: the rows of an account and month sum to its invoice, in its currency and in USD
question: What does each team bear month by month, and how much of it is direct?
answer: >-
  select billing_month, team, sum(invoiced_cost_usd) as invoiced_cost_usd, sum(direct_cost_usd) as direct_cost_usd
  from mart_showback_weekly group by billing_month, team order by billing_month, invoiced_cost_usd desc
notes:
  - An account with lines in two currencies in one month is split in the currency of its larger invoice only; the other is not allocated.
*/
{% set key = [
    "month_start_date", "week_start_date", "cost_centre", "team", "feature", "customer_tier", "environment", "provider", "billing_account_id",
    "model_canonical", "model_tier",
] %}
with
{% include "parts/larger_invoices.sql" %}

{% include "parts/showback_calls.sql" %}

traced as (
    select
        {{ key | join(", ") }},
        cast(sum(requests) as bigint) as requests,
        cast(sum(tasks) as bigint) as tasks,
        cast(sum(successes) as bigint) as successes,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(input_total_tokens) as bigint) as input_total_tokens,
        cast(sum(output_total_tokens) as bigint) as output_total_tokens,
        cast(sum(cache_read_total_tokens) as bigint) as cache_read_total_tokens,
        cast(sum(cache_write_total_tokens) as bigint) as cache_write_total_tokens,
        cast(sum(output_reasoning_tokens) as bigint) as output_reasoning_tokens,
        cast(sum(list_cost_usd) * 10000000000::hugeint as hugeint) as list_units,
        cast(sum(effective_cost_usd) * 10000000000::hugeint as hugeint) as effective_units,
    from calls
    group by {{ key | join(", ") }}
),

allocated as (
    select
        *,
        cast(allocated_usd * 10000000000::hugeint as hugeint) as usd_units,
        cast(allocated_amount * 10000000000::hugeint as hugeint) as billing_units,
        case when component <> 'key' then component || ': ' || allocation_method end as component_method,
    from ledger_allocations
),

components as (
    select
        {{ key | join(", ") }},
        cast(sum(usd_units) as hugeint) as usd_units,
        cast(sum(billing_units) as hugeint) as billing_units,
        cast(sum(case when component = 'direct' then usd_units else 0 end) as hugeint) as direct_units,
        cast(sum(case when component = 'untraced' then usd_units else 0 end) as hugeint) as untraced_units,
        cast(sum(case when component = 'discount' then usd_units else 0 end) as hugeint) as discount_units,
        cast(sum(case when component = 'credit' then usd_units else 0 end) as hugeint) as credit_units,
        cast(sum(case when component = 'tax_fee' then usd_units else 0 end) as hugeint) as tax_fee_units,
        string_agg(distinct component_method, '; ' order by component_method) as allocation_method,
    from allocated
    group by {{ key | join(", ") }}
),

-- Text order of row_key is the order of the key's columns: it decides ties.
rows_keyed as (
    select
        *,
        concat_ws(
            chr(31), cast(week_start_date as varchar), cast(month_start_date as varchar), cost_centre, team, feature, customer_tier,
            environment, provider, billing_account_id, model_canonical, model_tier
        ) as row_key,
        concat_ws(
            chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id
        ) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
    from components
),

exact_rows as (
    select 'usd' as kind, part, account_month, row_key, usd_units as exact_units from rows_keyed
    union all
    select 'native' as kind, part, account_month, row_key, billing_units as exact_units from rows_keyed
),

-- The invoice's cents, first over the parts of the month by what was billed in them.
part_sums as (
    select e.kind, e.part, e.account_month, cast(sum(e.exact_units) as hugeint) as part_units
    from exact_rows as e
    group by e.kind, e.part, e.account_month
),

account_sums as (
    select
        kind,
        part,
        account_month,
        part_units,
        sum(part_units) over (partition by kind, account_month) as account_units,
        min(part_units) over (partition by kind, account_month) as least_units,
    from part_sums
),

-- Half away from zero, in cents. A part that was credited more than it used cannot be a weight: then parts are rounded down.
account_cents as (
    select
        *,
        cast(sign(account_units) * ((abs(account_units) + 50000000) // 100000000) as hugeint) as cents,
        least_units >= 0 and account_units > 0 as is_splittable,
    from account_sums
),

part_floors as (
    select
        *,
        case
            when is_splittable then part_units * abs(cents) // greatest(account_units, 1)
            when part_units >= 0 then part_units // 100000000
            else -((-part_units + 99999999) // 100000000)
        end as floor_cents,
        case
            when is_splittable then part_units * abs(cents) % greatest(account_units, 1)
            when part_units >= 0 then part_units % 100000000
            else (100000000 - (-part_units) % 100000000) % 100000000
        end as remainder,
    from account_cents
),

part_places as (
    select
        *,
        row_number() over (partition by kind, account_month order by remainder desc, part) as place,
        cents - sum(floor_cents) over (partition by kind, account_month) as spare,
    from part_floors
),

part_cents as (
    select kind, part, floor_cents + case when place <= spare then 1 else 0 end as cents
    from part_places
),

-- Then over the rows of a part (METHODS 6.3): floor, also below zero, then a cent each to the largest fractions.
row_floors as (
    select
        e.kind,
        e.part,
        e.row_key,
        c.cents,
        case
            when e.exact_units >= 0 then e.exact_units // 100000000
            else -((-e.exact_units + 99999999) // 100000000)
        end as floor_cents,
        case
            when e.exact_units >= 0 then e.exact_units % 100000000
            else (100000000 - (-e.exact_units) % 100000000) % 100000000
        end as fraction,
    from exact_rows as e
    inner join part_cents as c on e.kind = c.kind and e.part = c.part
),

row_places as (
    select
        *,
        row_number() over (partition by kind, part order by fraction desc, row_key) as place,
        row_number() over (partition by kind, part order by fraction, row_key) as last_place,
        cents - sum(floor_cents) over (partition by kind, part) as spare,
        count(*) over (partition by kind, part) as rows_of_part,
    from row_floors
),

-- Cents beyond one a row go round again.
row_cents as (
    select
        kind,
        row_key,
        floor_cents
            + case
                when spare >= 0 then spare // rows_of_part + case when place <= spare % rows_of_part then 1 else 0 end
                else -((-spare) // rows_of_part) - case when last_place <= (-spare) % rows_of_part then 1 else 0 end
            end as cents,
    from row_places
),

by_kind as (
    select
        row_key,
        cast(max(case when kind = 'usd' then cents end) as hugeint) as usd_cents,
        cast(max(case when kind = 'native' then cents end) as hugeint) as native_cents,
    from row_cents
    group by row_key
)

select
    r.week_start_date,
    strftime(r.month_start_date, '%Y-%m') as billing_month,
    r.month_start_date,
    r.cost_centre,
    r.team,
    r.feature,
    r.customer_tier,
    r.environment,
    r.provider,
    r.billing_account_id,
    r.model_canonical,
    r.model_tier,
    case when v.verdict = 'fail' then 'provisional' else coalesce(i.state, 'provisional') end as state,
    coalesce(t.requests, 0) as requests,
    coalesce(t.tasks, 0) as tasks,
    coalesce(t.successes, 0) as successes,
    coalesce(t.unpriced_requests, 0) as unpriced_requests,
    coalesce(t.unpriced_tokens, 0) as unpriced_tokens,
    coalesce(t.input_total_tokens, 0) as input_total_tokens,
    coalesce(t.output_total_tokens, 0) as output_total_tokens,
    coalesce(t.cache_read_total_tokens, 0) as cache_read_total_tokens,
    coalesce(t.cache_write_total_tokens, 0) as cache_write_total_tokens,
    coalesce(t.output_reasoning_tokens, 0) as output_reasoning_tokens,
    case
        when t.requests is null or t.requests > t.unpriced_requests
            then cast(coalesce(t.list_units, 0) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10))
    end as list_cost_usd,
    case
        when t.requests is null or t.requests > t.unpriced_requests
            then cast(coalesce(t.effective_units, 0) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10))
    end as effective_cost_usd,
    cast(r.direct_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as direct_cost_usd,
    cast(r.untraced_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as allocated_untraced_usd,
    cast(r.discount_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as discount_usd,
    cast(r.credit_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as credit_usd,
    cast(r.tax_fee_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as tax_fee_usd,
    case
        when i.month_start_date is null or i.invoiced_cost_usd is not null
            then cast(
                (
                    k.usd_cents * 100000000 - r.direct_units - r.untraced_units - r.discount_units
                    - r.credit_units - r.tax_fee_units
                ) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)
            )
    end as rounding_usd,
    case
        when i.month_start_date is null or i.invoiced_cost_usd is not null
            then cast(k.usd_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 2))
    end as invoiced_cost_usd,
    i.billing_currency,
    case
        when i.month_start_date is not null then cast(k.native_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 2))
    end as invoiced_cost_billing_currency,
    case when i.month_start_date is null then 'effective_cost' else 'invoice' end as allocation_basis,
    r.allocation_method,
    i.bill_snapshot_id,
from rows_keyed as r
inner join by_kind as k on r.row_key = k.row_key
left join traced as t
    on r.month_start_date = t.month_start_date
    and r.week_start_date = t.week_start_date
    and r.cost_centre = t.cost_centre
    and r.team = t.team
    and r.feature = t.feature
    and r.customer_tier = t.customer_tier
    and r.environment = t.environment
    and r.provider = t.provider
    and r.billing_account_id = t.billing_account_id
    and r.model_canonical = t.model_canonical
    and r.model_tier = t.model_tier
left join invoices as i
    on r.month_start_date = i.month_start_date and r.provider = i.provider and r.billing_account_id = i.billing_account_id
left join mart_reconciliation_monthly as v
    on r.month_start_date = v.month_start_date
    and r.provider = v.provider
    and r.billing_account_id = v.billing_account_id
    and v.billing_currency = i.billing_currency
