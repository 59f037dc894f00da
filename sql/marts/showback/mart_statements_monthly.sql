/*
about: >-
  The statement of each cost centre: what it bears of every invoice of a billing month, from direct cost to net, beside the month
  before and corrections of closed months. Over the cost centres the net sums to the invoice, to the cent. One row per billing month, cost centre, seller, account
  and currency.
grain: [month_start_date, cost_centre, provider, billing_account_id, billing_currency]
partition: month
reads_back: 1 month
leads: [mart_showback_weekly]
columns:
  month_start_date: DATE; first day of the billing month, UTC
  billing_month: VARCHAR; month of the invoice as YYYY-MM
  cost_centre: VARCHAR; cost centre that bears the cost, 'unattributed' where none is known
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where it cannot be told
  billing_currency: VARCHAR; currency of the invoice; USD without a bill
  state: VARCHAR; final where all its showback rows are, else provisional
  allocation_basis: VARCHAR; invoice, or effective_cost where there is no bill yet (an accrual)
  requests: BIGINT; calls
  direct_cost_usd: DECIMAL(38,10); invoiced list amount that traced calls explain
  allocated_untraced_usd: DECIMAL(38,10); share of the invoiced list amount that no call explains
  discount_usd: DECIMAL(38,10); share of discounts, negative
  credit_usd: DECIMAL(38,10); share of credits, negative
  tax_fee_usd: DECIMAL(38,10); share of tax, fees, commitments and other charges without tokens
  rounding_usd: DECIMAL(38,10); what rounding to the cent added or took; null where a rate to USD is missing
  invoiced_cost_usd: DECIMAL(38,2); net: what the row bears of the invoice, the sum of the six above; null where a rate to USD is missing
  invoiced_cost_billing_currency: DECIMAL(38,2); the net in the currency of the invoice, of the accrual without a bill
  prior_invoiced_cost_usd: DECIMAL(38,2); net of the month before, as it was closed where it is closed; 0 where the cost centre bore nothing then
  prior_invoiced_cost_billing_currency: DECIMAL(38,2); the same in the currency of the invoice
  corrections_usd: DECIMAL(38,2); corrections of closed months that are booked in this month, on top of the net; 0 where there are none; null where a rate is missing
  corrections_billing_currency: DECIMAL(38,2); the same in the currency of the invoice
  allocation_method: VARCHAR; how each part came to the cost centre, component by component; null where it bears nothing
  bill_snapshot_id: VARCHAR; hash of the lines and amounts of the bill that was split; null without a bill
checks:
  - one_of: [state, provisional, final]
  - rule: invoiced_cost_usd = direct_cost_usd + allocated_untraced_usd + discount_usd + credit_usd + tax_fee_usd + rounding_usd
    null_passes: true
    text: net = direct + allocated + discount + credit + tax + rounding
  - no_rows: >-
      select strftime(i.month_start_date, '%Y-%m-%d') as partition, i.provider, i.billing_account_id
      from ledger_invoices as i
      inner join (
          select month_start_date, provider, billing_account_id, billing_currency, sum(invoiced_cost_usd) as usd,
              sum(invoiced_cost_billing_currency) as billed
          from mart_statements_monthly
          where allocation_basis = 'invoice'
          group by month_start_date, provider, billing_account_id, billing_currency
      ) as s
          on i.month_start_date = s.month_start_date
          and i.provider = s.provider
          and i.billing_account_id = s.billing_account_id
          and i.billing_currency = s.billing_currency
      where s.billed is distinct from i.invoiced_cost_billing_currency or s.usd is distinct from i.invoiced_cost_usd
    text: the statements of an account and month sum to its invoice, in its currency and in USD
question: What does each cost centre bear this month, and how does that compare with the month before?
answer: >-
  select billing_month, cost_centre, billing_currency, sum(direct_cost_usd) as direct_cost_usd, sum(allocated_untraced_usd) as shared_usd,
      sum(invoiced_cost_usd) as invoiced_cost_usd, sum(prior_invoiced_cost_usd) as prior_invoiced_cost_usd
  from mart_statements_monthly group by all order by all
notes:
  - A cost centre that bore something the month before and bears nothing now has a row of zeros.
*/
{% set key = ["month_start_date", "cost_centre", "provider", "billing_account_id", "statement_currency"] %}
with shown as (
    select
        *,
        coalesce(billing_currency, 'USD') as statement_currency,
        coalesce(invoiced_cost_billing_currency, invoiced_cost_usd) as net_amount,
    from mart_showback_weekly
),

-- A row of the showback names its methods in one text; of several texts each method is named once.
methods as (
    select distinct
        {{ key | join(", ") }},
        unnest(string_split(allocation_method, '; ')) as component_method,
    from shown
),

method_texts as (
    select
        {{ key | join(", ") }},
        string_agg(component_method, '; ' order by component_method) as allocation_method,
    from methods
    group by {{ key | join(", ") }}
),

statements as (
    select
        {{ key | join(", ") }},
        min(state) as least_state,
        max(state) as most_state,
        max(allocation_basis) as allocation_basis,
        sum(requests) as requests,
        sum(direct_cost_usd) as direct_cost_usd,
        sum(allocated_untraced_usd) as allocated_untraced_usd,
        sum(discount_usd) as discount_usd,
        sum(credit_usd) as credit_usd,
        sum(tax_fee_usd) as tax_fee_usd,
        case when count(*) = count(rounding_usd) then sum(rounding_usd) end as rounding_usd,
        case when count(*) = count(invoiced_cost_usd) then sum(invoiced_cost_usd) end as invoiced_cost_usd,
        sum(net_amount) as net_amount,
        max(bill_snapshot_id) as bill_snapshot_id,
    from shown
    group by {{ key | join(", ") }}
),

-- The month before as it was published: a closed month stays what it was, what came later is among the corrections.
published as (
    select month_start_date, cost_centre, provider, billing_account_id, statement_currency, invoiced_cost_usd, net_amount
    from shown
    anti join closed_months on shown.month_start_date = closed_months.month_start_date
    union all
    select
        month_start_date,
        cost_centre,
        provider,
        billing_account_id,
        coalesce(billing_currency, 'USD') as statement_currency,
        invoiced_cost_usd,
        coalesce(invoiced_cost_billing_currency, invoiced_cost_usd) as net_amount,
    from closed_mart_showback_weekly
),

priors as (
    select
        cast(month_start_date + interval 1 month as date) as month_start_date,
        cost_centre,
        provider,
        billing_account_id,
        statement_currency,
        case when count(*) = count(invoiced_cost_usd) then sum(invoiced_cost_usd) end as invoiced_cost_usd,
        sum(net_amount) as net_amount,
    from published
    group by {{ key | join(", ") }}
),

corrections as (
    select
        cast(booked_month || '-01' as date) as month_start_date,
        cost_centre,
        provider,
        billing_account_id,
        coalesce(billing_currency, 'USD') as statement_currency,
        case when count(*) = count(delta_usd) then sum(delta_usd) end as delta_usd,
        sum(coalesce(delta_billing_currency, delta_usd)) as delta_amount,
    from mart_corrections_weekly
    group by booked_month, cost_centre, provider, billing_account_id, coalesce(billing_currency, 'USD')
),

-- One for each account: its statements of a month share basis and state where nothing else is known.
months as (
    select
        month_start_date,
        provider,
        billing_account_id,
        statement_currency,
        max(allocation_basis) as allocation_basis,
        min(state) as least_state,
        max(state) as most_state,
    from (
        select month_start_date, provider, billing_account_id, statement_currency, allocation_basis, state
        from shown
        union all
        select month_start_date, provider, billing_account_id, statement_currency, cast(null as varchar) as allocation_basis, cast(null as varchar) as state
        from corrections
    ) as accounts
    group by month_start_date, provider, billing_account_id, statement_currency
),

-- Who bore something in the month before, or is corrected now, is on the statement of this month.
keys as (
    select {{ key | join(", ") }}
    from statements
    union
    select {{ key | join(", ") }}
    from corrections
    union
    select s.month_start_date, s.cost_centre, s.provider, s.billing_account_id, s.statement_currency
    from priors as s
    inner join months as m
        on m.month_start_date = s.month_start_date
        and m.provider = s.provider
        and m.billing_account_id = s.billing_account_id
        and m.statement_currency = s.statement_currency
)

select
    k.month_start_date,
    strftime(k.month_start_date, '%Y-%m') as billing_month,
    k.cost_centre,
    k.provider,
    k.billing_account_id,
    k.statement_currency as billing_currency,
    case when coalesce(s.least_state, m.least_state) = 'final' and coalesce(s.most_state, m.most_state) = 'final' then 'final' else 'provisional' end as state,
    coalesce(m.allocation_basis, 'invoice') as allocation_basis,
    cast(coalesce(s.requests, 0) as bigint) as requests,
    cast(coalesce(s.direct_cost_usd, 0) as decimal(38, 10)) as direct_cost_usd,
    cast(coalesce(s.allocated_untraced_usd, 0) as decimal(38, 10)) as allocated_untraced_usd,
    cast(coalesce(s.discount_usd, 0) as decimal(38, 10)) as discount_usd,
    cast(coalesce(s.credit_usd, 0) as decimal(38, 10)) as credit_usd,
    cast(coalesce(s.tax_fee_usd, 0) as decimal(38, 10)) as tax_fee_usd,
    cast(case when s.cost_centre is null then 0 else s.rounding_usd end as decimal(38, 10)) as rounding_usd,
    cast(case when s.cost_centre is null then 0 else s.invoiced_cost_usd end as decimal(38, 2)) as invoiced_cost_usd,
    cast(coalesce(s.net_amount, 0) as decimal(38, 2)) as invoiced_cost_billing_currency,
    cast(case when p.cost_centre is null then 0 else p.invoiced_cost_usd end as decimal(38, 2)) as prior_invoiced_cost_usd,
    cast(coalesce(p.net_amount, 0) as decimal(38, 2)) as prior_invoiced_cost_billing_currency,
    cast(case when c.cost_centre is null then 0 else c.delta_usd end as decimal(38, 2)) as corrections_usd,
    cast(coalesce(c.delta_amount, 0) as decimal(38, 2)) as corrections_billing_currency,
    t.allocation_method,
    s.bill_snapshot_id,
from keys as k
inner join months as m
    on k.month_start_date = m.month_start_date
    and k.provider = m.provider
    and k.billing_account_id = m.billing_account_id
    and k.statement_currency = m.statement_currency
{% for table, alias in (("statements", "s"), ("corrections", "c"), ("priors", "p"), ("method_texts", "t")) %}
left join {{ table }} as {{ alias }}
    on k.month_start_date = {{ alias }}.month_start_date
{% for name in key[1:] %}
    and k.{{ name }} = {{ alias }}.{{ name }}
{% endfor %}
{% endfor %}
