/*
about: >-
  Each invoice against the calls of its month: what was traced, what lies between by cause, how much of the tokens is covered, and
  one word on whether the two agree. One row per month, account and currency; a month with calls and no bill has a row too.
grain: [month_start_date, provider, billing_account_id, billing_currency]
partition: month
leads: [mart_reconciliation_daily, ledger_traced_days]
columns:
  month_start_date: DATE; first day of the billing month, UTC
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed; null for calls whose account cannot be told
  billing_currency: VARCHAR; currency of the invoice; null without a bill
  invoiced_cost_billing_currency: DECIMAL(38,2); the invoice in its currency; null without a bill
  invoiced_cost_usd: DECIMAL(38,2); the invoice in USD; null without a bill and where a rate is missing
  billed_usd: DECIMAL(38,10); amount of all lines before rounding; null without a bill and where a rate is missing
  billed_list_usd: DECIMAL(38,10); list amount of the usage lines; null without a bill and where a rate is missing
  traced_list_cost_usd: DECIMAL(38,10); what the calls cost at list prices
  traced_effective_cost_usd: DECIMAL(38,10); what the calls cost under contracts: the accrual where there is no bill
  untraced_usd: DECIMAL(38,10); cause 1, tokens billed that no call explains; null without a bill
  overtraced_usd: DECIMAL(38,10); what days and models have traced beyond the bill, netted in untraced_usd; null without a bill
  day_cut_usd: DECIMAL(38,10); cause 2, tokens billed on the day before or after their call; null without a bill
  price_mismatch_usd: DECIMAL(38,10); cause 3, list amount of the bill less its tokens at our list price; null without a bill
  discount_usd: DECIMAL(38,10); cause 4, discounts and adjustments; null without a bill
  credit_usd: DECIMAL(38,10); cause 5, credits; null without a bill
  tax_fee_usd: DECIMAL(38,10); cause 6, tax, fees, commitments; null without a bill
  rounding_usd: DECIMAL(38,10); cause 7, what is left, up to half a cent a line; null without a bill
  unexplained_usd: DECIMAL(38,10); cause 8, what is left beyond that; null without a bill
  restated_usd: DECIMAL(38,10); by how much newest pulls changed those before; null where one pull covers the month
  traced_tokens: BIGINT; tokens of the calls
  unpriced_tokens: BIGINT; of these, tokens without a price
  billed_tokens: BIGINT; tokens that the provider counts; null where it tells none
  token_coverage: DECIMAL(38,9); traced over billed tokens; where the provider tells none, traced list cost over list amount
  cost_coverage: DECIMAL(38,9); effective cost of the calls over what was billed before tax and fees
  match_level: VARCHAR; provider where calls of the provider have no account, else account
  open_items: BIGINT; days, models and token types with an unexplained amount
  oldest_open_date: DATE; oldest of these days; null where nothing is open
  witness_source: VARCHAR; another source of the same bill that differs most from it; null where there is none
  witness_difference_amount: DECIMAL(38,10); what this source says less what the bill says, in the billing currency; null where there is none
  verdict: VARCHAR; ok, warn, fail, no_bill, no_trace, or no_rate where dollars are unknown; where calls have no account that of the provider
  provider_verdict: VARCHAR; the same word for all accounts of the provider with a bill together
  state: VARCHAR; provisional until the bill is complete and while the verdict is fail, then final
checks:
  - one_of: [verdict, ok, warn, fail, no_bill, no_trace, no_rate]
  - one_of: [state, provisional, final]
  - one_of: [match_level, account, provider]
  - rule: >-
      untraced_usd + day_cut_usd + price_mismatch_usd + discount_usd + credit_usd + tax_fee_usd + rounding_usd + unexplained_usd
      = billed_usd - traced_list_cost_usd
    null_passes: true
    text: the eight causes sum to billed less traced list cost, exactly
  - rule: verdict <> 'fail'
    severity: warning
    text: bill and calls agree within the tolerances (the month stays provisional otherwise)
question: Does each invoice agree with the calls, and what lies between?
answer: >-
  select strftime(month_start_date, '%Y-%m') as billing_month, provider, billing_account_id, billing_currency, invoiced_cost_usd,
  round(traced_list_cost_usd, 2) as traced_usd, round(untraced_usd, 2) as untraced_usd,
  round(discount_usd + credit_usd + tax_fee_usd, 2) as discounts_credits_taxes_usd, round(unexplained_usd, 2) as unexplained_usd,
  round(token_coverage, 3) as token_coverage, verdict, state
  from mart_reconciliation_monthly order by all
notes:
  - >-
    overtraced_usd is calls counted twice or not charged, on one day; calls missing on another would hide it in the month. Where lines
    are longer than a day it is told by month, and where calls have no account it is that of the provider.
  - Tolerances are rows of thresholds.csv; one with the scope billing_account_id or provider holds for that account or provider.
  - Witnesses are compared without period charges, which no other source can list.
*/
with invoices as (
    select *
    from ledger_invoices
),

daily as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        case when count(*) = count(billed_usd) then sum(billed_usd) end as billed_usd,
        case when count(*) = count(billed_list_usd) then sum(billed_list_usd) end as billed_list_usd,
        sum(traced_list_cost_usd) as traced_list_cost_usd,
        sum(traced_effective_cost_usd) as traced_effective_cost_usd,
        case when count(*) = count(untraced_usd) then sum(untraced_usd) end as untraced_usd,
        sum(day_cut_usd) as day_cut_usd,
        case when count(*) = count(price_mismatch_usd) then sum(price_mismatch_usd) end as price_mismatch_usd,
        case when count(*) = count(discount_usd) then sum(discount_usd) end as discount_usd,
        case when count(*) = count(credit_usd) then sum(credit_usd) end as credit_usd,
        case when count(*) = count(tax_fee_usd) then sum(tax_fee_usd) end as tax_fee_usd,
        case when count(*) = count(rounding_usd) then sum(rounding_usd) end as rounding_usd,
        case when count(*) = count(unexplained_usd) then sum(unexplained_usd) end as unexplained_usd,
        sum(restated_usd) as restated_usd,
        sum(traced_tokens) as traced_tokens,
        sum(unpriced_tokens) as unpriced_tokens,
        sum(coalesce(billed_tokens, 0)) as billed_tokens,
        count(case when matched_by = 'dollars' then 1 end) as rows_by_dollars,
        count(case when unexplained_usd <> 0 then 1 end) as open_items,
        min(case when unexplained_usd <> 0 then usage_date end) as oldest_open_date,
    from mart_reconciliation_daily
    group by month_start_date, provider, billing_account_id, billing_currency
),

-- A line longer than a day is spread evenly: its days say nothing of one day's calls.
day_lengths as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        max(case when charge_end_date - charge_start_date > 1 then 1 else 0 end) = 0 as is_daily,
    from ledger_bill_days
    where charge_category = 'Usage' and charge_id is null
    group by month_start_date, provider, billing_account_id, billing_currency
),

provider_lengths as (
    select month_start_date, provider, min(case when is_daily then 1 else 0 end) = 1 as is_daily
    from day_lengths
    group by month_start_date, provider
),

judged_cells as (
    select
        'account' as judged_level,
        d.month_start_date,
        d.provider,
        d.billing_account_id,
        d.billing_currency,
        d.model_canonical,
        case when l.is_daily then d.usage_date end as usage_date,
        d.untraced_usd,
    from mart_reconciliation_daily as d
    left join day_lengths as l
        on d.month_start_date = l.month_start_date
        and d.provider = l.provider
        and d.billing_account_id = l.billing_account_id
        and d.billing_currency = l.billing_currency
    union all
    select
        'provider' as judged_level,
        d.month_start_date,
        d.provider,
        cast(null as varchar) as billing_account_id,
        cast(null as varchar) as billing_currency,
        d.model_canonical,
        case when l.is_daily then d.usage_date end as usage_date,
        d.untraced_usd,
    from mart_reconciliation_daily as d
    left join provider_lengths as l
        on d.month_start_date = l.month_start_date and d.provider = l.provider
),

judged_days as (
    select judged_level, month_start_date, provider, billing_account_id, billing_currency, sum(untraced_usd) as untraced_usd,
    from judged_cells
    group by judged_level, month_start_date, provider, billing_account_id, billing_currency, model_canonical, usage_date
),

overtraced as (
    select
        judged_level,
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        sum(case when untraced_usd < 0 then -untraced_usd else 0 end) as overtraced_usd,
    from judged_days
    group by judged_level, month_start_date, provider, billing_account_id, billing_currency
),

-- Calls of months without a bill: an accrual.
accrued as (
    select
        cast(date_trunc('month', t.usage_date) as date) as month_start_date,
        t.provider,
        t.billing_account_id,
        coalesce(sum(t.list_cost_usd), 0) as traced_list_cost_usd,
        coalesce(sum(t.effective_cost_usd), 0) as traced_effective_cost_usd,
        sum(t.traced_tokens) as traced_tokens,
        sum(t.traced_tokens - t.priced_tokens) as unpriced_tokens,
    from ledger_traced_days as t
    group by cast(date_trunc('month', t.usage_date) as date), t.provider, t.billing_account_id
),

counted as (
    select month_start_date, provider, billing_account_id, sum(billed_tokens) as billed_tokens
    from ledger_billed_tokens
    group by month_start_date, provider, billing_account_id
),

unbilled as (
    select
        a.month_start_date,
        a.provider,
        a.billing_account_id,
        a.traced_list_cost_usd,
        a.traced_effective_cost_usd,
        a.traced_tokens,
        a.unpriced_tokens,
        c.billed_tokens,
    from accrued as a
    left join (select distinct month_start_date, provider, billing_account_id from daily) as d
        on a.month_start_date = d.month_start_date
        and a.provider = d.provider
        and a.billing_account_id is not distinct from d.billing_account_id
    left join counted as c
        on a.month_start_date = c.month_start_date and a.provider = c.provider and a.billing_account_id = c.billing_account_id
    where d.provider is null
),

-- What other sources say of the same account and month.
said as (
    select month_start_date, provider, billing_account_id, currency, source, is_the_bill, sum(billed_amount) as said_amount
    from ledger_bills
    group by month_start_date, provider, billing_account_id, currency, source, is_the_bill
),

witnesses as (
    select
        w.month_start_date,
        w.provider,
        w.billing_account_id,
        w.currency,
        w.source,
        w.said_amount - b.said_amount as difference_amount,
    from said as w
    inner join said as b
        on w.month_start_date = b.month_start_date
        and w.provider = b.provider
        and w.billing_account_id = b.billing_account_id
        and w.currency = b.currency
        and b.is_the_bill
    where not w.is_the_bill
    qualify row_number() over (
        partition by w.month_start_date, w.provider, w.billing_account_id, w.currency
        order by abs(w.said_amount - b.said_amount) desc, w.source
    ) = 1
),

-- One judgement for an account, and one for all accounts of a provider together.
judged as (
    select
        'account' as judged_level,
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        billed_usd,
        billed_list_usd,
        traced_list_cost_usd,
        unexplained_usd,
        traced_tokens,
        billed_tokens,
        rows_by_dollars,
    from daily
    union all
    select
        'provider' as judged_level,
        month_start_date,
        provider,
        cast(null as varchar) as billing_account_id,
        cast(null as varchar) as billing_currency,
        case when count(*) = count(billed_usd) then sum(billed_usd) end as billed_usd,
        case when count(*) = count(billed_list_usd) then sum(billed_list_usd) end as billed_list_usd,
        sum(traced_list_cost_usd) as traced_list_cost_usd,
        case when count(*) = count(unexplained_usd) then sum(unexplained_usd) end as unexplained_usd,
        sum(traced_tokens) as traced_tokens,
        sum(billed_tokens) as billed_tokens,
        sum(rows_by_dollars) as rows_by_dollars,
    from daily
    group by month_start_date, provider
),

-- The limit of the account comes before that of its provider, and that before the one for all.
limits_found as (
    select
        j.judged_level,
        j.month_start_date,
        j.provider,
        j.billing_account_id,
        l.limit_name,
        l.threshold_number,
        row_number() over (
            partition by j.judged_level, j.month_start_date, j.provider, j.billing_account_id, l.limit_name
            order by case l.scope_kind when 'billing_account_id' then 0 when 'provider' then 1 else 2 end
        ) as place,
    from (select distinct judged_level, month_start_date, provider, billing_account_id from judged) as j
    inner join ref_limits as l
        on l.limit_name in ('reconciliation_ok_usd', 'reconciliation_ok_share', 'reconciliation_warn_share', 'coverage_ok', 'coverage_warn')
        and j.month_start_date >= l.valid_from_date
        and j.month_start_date < l.valid_to_date
        and (
            l.scope_kind = ''
            or (l.scope_kind = 'provider' and l.scope_value = j.provider)
            or (l.scope_kind = 'billing_account_id' and l.scope_value = j.billing_account_id)
        )
),

limits as (
    select
        judged_level,
        month_start_date,
        provider,
        billing_account_id,
        max(case when limit_name = 'reconciliation_ok_usd' then threshold_number end) as ok_usd,
        max(case when limit_name = 'reconciliation_ok_share' then threshold_number end) as ok_share,
        max(case when limit_name = 'reconciliation_warn_share' then threshold_number end) as warn_share,
        max(case when limit_name = 'coverage_ok' then threshold_number end) as coverage_ok,
        max(case when limit_name = 'coverage_warn' then threshold_number end) as coverage_warn,
    from limits_found
    where place = 1
    group by judged_level, month_start_date, provider, billing_account_id
),

-- Coverage as two numbers, so that it is compared without a division: tokens, else list cost.
measured as (
    select
        j.*,
        o.overtraced_usd,
        case
            when j.rows_by_dollars > 0 then cast(round(j.traced_list_cost_usd * 1000000, 0) as decimal(38, 0))
            else cast(j.traced_tokens as decimal(38, 0))
        end as covered_part,
        case
            when j.rows_by_dollars > 0 then cast(round(j.billed_list_usd * 1000000, 0) as decimal(38, 0))
            else cast(j.billed_tokens as decimal(38, 0))
        end as whole_part,
        l.ok_usd,
        l.ok_share,
        l.warn_share,
        cast(round(l.coverage_ok * 10000, 0) as decimal(9, 0)) as coverage_ok,
        cast(round(l.coverage_warn * 10000, 0) as decimal(9, 0)) as coverage_warn,
    from judged as j
    left join limits as l
        on j.judged_level = l.judged_level
        and j.month_start_date = l.month_start_date
        and j.provider = l.provider
        and j.billing_account_id is not distinct from l.billing_account_id
    left join overtraced as o
        on j.judged_level = o.judged_level
        and j.month_start_date = o.month_start_date
        and j.provider = o.provider
        and j.billing_account_id is not distinct from o.billing_account_id
        and j.billing_currency is not distinct from o.billing_currency
),

verdicts as (
    select
        *,
        case
            when billed_usd is null then 'no_rate'
            when traced_tokens = 0 and traced_list_cost_usd = 0 and (billed_tokens > 0 or billed_list_usd > 0) then 'no_trace'
            when abs(unexplained_usd) <= greatest(ok_usd, ok_share * abs(cast(billed_usd as decimal(28, 10))))
                and cast(covered_part as hugeint) * 10000 >= cast(whole_part as hugeint) * cast(coverage_ok as hugeint)
                and cast(covered_part as hugeint) * 10000 <= cast(whole_part as hugeint) * (20000 - cast(coverage_ok as hugeint))
                and cast(round(overtraced_usd, 6) as decimal(28, 6))
                <= greatest(ok_usd, cast(round(billed_list_usd, 6) as decimal(28, 6)) * (10000 - coverage_ok) / 10000) then 'ok'
            when abs(unexplained_usd) <= greatest(ok_usd, warn_share * abs(cast(billed_usd as decimal(28, 10))))
                and cast(covered_part as hugeint) * 10000 >= cast(whole_part as hugeint) * cast(coverage_warn as hugeint)
                and cast(covered_part as hugeint) * 10000 <= cast(whole_part as hugeint) * (20000 - cast(coverage_warn as hugeint))
                and cast(round(overtraced_usd, 6) as decimal(28, 6))
                <= greatest(ok_usd, cast(round(billed_list_usd, 6) as decimal(28, 6)) * (10000 - coverage_warn) / 10000)
                then 'warn'
            else 'fail'
        end as verdict,
    from measured
),

accountless as (
    select distinct month_start_date, provider
    from daily
    where billing_account_id is null
),

reconciled as (
    select
        d.*,
        v.covered_part,
        v.whole_part,
        case when d.untraced_usd is null then null when n.provider is not null then p.overtraced_usd else v.overtraced_usd end as overtraced_usd,
        case when n.provider is not null then 'provider' else 'account' end as match_level,
        case when n.provider is not null then p.verdict else v.verdict end as verdict,
        p.verdict as provider_verdict,
    from daily as d
    inner join verdicts as v
        on v.judged_level = 'account'
        and d.month_start_date = v.month_start_date
        and d.provider = v.provider
        and d.billing_account_id is not distinct from v.billing_account_id
        and d.billing_currency is not distinct from v.billing_currency
    inner join verdicts as p
        on p.judged_level = 'provider' and d.month_start_date = p.month_start_date and d.provider = p.provider
    left join accountless as n
        on d.month_start_date = n.month_start_date and d.provider = n.provider
)

select
    r.month_start_date,
    r.provider,
    r.billing_account_id,
    r.billing_currency,
    i.invoiced_cost_billing_currency,
    i.invoiced_cost_usd,
    cast(r.billed_usd as decimal(38, 10)) as billed_usd,
    cast(r.billed_list_usd as decimal(38, 10)) as billed_list_usd,
    cast(r.traced_list_cost_usd as decimal(38, 10)) as traced_list_cost_usd,
    cast(r.traced_effective_cost_usd as decimal(38, 10)) as traced_effective_cost_usd,
    cast(r.untraced_usd as decimal(38, 10)) as untraced_usd,
    cast(r.overtraced_usd as decimal(38, 10)) as overtraced_usd,
    cast(r.day_cut_usd as decimal(38, 10)) as day_cut_usd,
    cast(r.price_mismatch_usd as decimal(38, 10)) as price_mismatch_usd,
    cast(r.discount_usd as decimal(38, 10)) as discount_usd,
    cast(r.credit_usd as decimal(38, 10)) as credit_usd,
    cast(r.tax_fee_usd as decimal(38, 10)) as tax_fee_usd,
    cast(r.rounding_usd as decimal(38, 10)) as rounding_usd,
    cast(r.unexplained_usd as decimal(38, 10)) as unexplained_usd,
    cast(r.restated_usd as decimal(38, 10)) as restated_usd,
    cast(r.traced_tokens as bigint) as traced_tokens,
    cast(r.unpriced_tokens as bigint) as unpriced_tokens,
    cast(case when r.rows_by_dollars = 0 or r.billed_tokens > 0 then r.billed_tokens end as bigint) as billed_tokens,
    cast(cast(r.covered_part as double) / nullif(r.whole_part, 0) as decimal(38, 9)) as token_coverage,
    cast(cast(r.traced_effective_cost_usd as double) / nullif(r.billed_usd - r.tax_fee_usd, 0) as decimal(38, 9)) as cost_coverage,
    r.match_level,
    r.open_items,
    r.oldest_open_date,
    w.source as witness_source,
    cast(w.difference_amount as decimal(38, 10)) as witness_difference_amount,
    r.verdict,
    r.provider_verdict,
    case when r.verdict = 'fail' or r.billing_account_id is null then 'provisional' else i.state end as state,
from reconciled as r
left join invoices as i
    on r.month_start_date = i.month_start_date
    and r.provider = i.provider
    and r.billing_account_id = i.billing_account_id
    and r.billing_currency = i.billing_currency
left join witnesses as w
    on r.month_start_date = w.month_start_date
    and r.provider = w.provider
    and r.billing_account_id = w.billing_account_id
    and r.billing_currency = w.currency
union all
select
    u.month_start_date,
    u.provider,
    u.billing_account_id,
    cast(null as varchar) as billing_currency,
    cast(null as decimal(38, 2)) as invoiced_cost_billing_currency,
    cast(null as decimal(38, 2)) as invoiced_cost_usd,
    cast(null as decimal(38, 10)) as billed_usd,
    cast(null as decimal(38, 10)) as billed_list_usd,
    cast(u.traced_list_cost_usd as decimal(38, 10)) as traced_list_cost_usd,
    cast(u.traced_effective_cost_usd as decimal(38, 10)) as traced_effective_cost_usd,
    cast(null as decimal(38, 10)) as untraced_usd,
    cast(null as decimal(38, 10)) as overtraced_usd,
    cast(null as decimal(38, 10)) as day_cut_usd,
    cast(null as decimal(38, 10)) as price_mismatch_usd,
    cast(null as decimal(38, 10)) as discount_usd,
    cast(null as decimal(38, 10)) as credit_usd,
    cast(null as decimal(38, 10)) as tax_fee_usd,
    cast(null as decimal(38, 10)) as rounding_usd,
    cast(null as decimal(38, 10)) as unexplained_usd,
    cast(null as decimal(38, 10)) as restated_usd,
    cast(u.traced_tokens as bigint) as traced_tokens,
    cast(u.unpriced_tokens as bigint) as unpriced_tokens,
    cast(u.billed_tokens as bigint) as billed_tokens,
    cast(cast(u.traced_tokens as double) / nullif(u.billed_tokens, 0) as decimal(38, 9)) as token_coverage,
    cast(null as decimal(38, 9)) as cost_coverage,
    'account' as match_level,
    0 as open_items,
    cast(null as date) as oldest_open_date,
    cast(null as varchar) as witness_source,
    cast(null as decimal(38, 10)) as witness_difference_amount,
    'no_bill' as verdict,
    'no_bill' as provider_verdict,
    'provisional' as state,
from unbilled as u
