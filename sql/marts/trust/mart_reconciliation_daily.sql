/*
about: >-
  The bill against the calls, day by day: tokens and dollars on both sides, and what lies between split into eight causes that
  sum to it exactly. One row per billing month, day, account, currency, model and token type; an account and month without a bill
  has none.
grain: [month_start_date, usage_date, provider, billing_account_id, billing_currency, model_canonical, token_type]
partition: month
clock_stops: 1 month
leads: [ledger_bill_days]
columns:
  month_start_date: DATE; first day of the billing month, UTC
  usage_date: DATE; UTC day of the calls, or of this part of a line that is spread over days
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed; null for calls whose account cannot be told
  billing_currency: VARCHAR; currency of the invoice; null for calls whose account cannot be told
  model_canonical: VARCHAR; model as the price book names it; null for lines and calls of none that is known, and where the bill names none
  token_type: VARCHAR; input, output, cache_read or cache_write; null for what is no token, and where the bill names none
  match_level: VARCHAR; how fine bill and calls meet: class, model, account, or provider where the account of calls cannot be told
  matched_by: VARCHAR; tokens, or dollars (list cost) where the provider tells no tokens
  traced_tokens: BIGINT; tokens of the calls
  unpriced_tokens: BIGINT; of these, tokens without a price
  billed_tokens: BIGINT; tokens that the provider counts; null where it tells none
  untraced_tokens: BIGINT; billed less traced tokens, without the day cut; null where the provider tells none
  day_cut_tokens: BIGINT; of billed less traced tokens, those that the next or the last day takes back; null where the provider tells none
  token_coverage: DECIMAL(38,9); traced over billed tokens, above 1 where more is traced; null without billed tokens
  traced_list_cost_usd: DECIMAL(38,10); what the calls cost at list prices
  traced_effective_cost_usd: DECIMAL(38,10); what the calls cost under contracts
  billed_list_usd: DECIMAL(38,10); list amount of the usage lines; null where a rate to USD is missing
  billed_usd: DECIMAL(38,10); amount of all lines; null where a rate to USD is missing
  untraced_usd: DECIMAL(38,10); cause 1, tokens billed that no call explains, at list price; negative: calls counted twice or not charged
  day_cut_usd: DECIMAL(38,10); cause 2, tokens billed on the day before or after their call
  price_mismatch_usd: DECIMAL(38,10); cause 3, list amount of the bill less its tokens at our list price
  discount_usd: DECIMAL(38,10); cause 4, billed less list amount of usage lines, and adjustments
  credit_usd: DECIMAL(38,10); cause 5, credits
  tax_fee_usd: DECIMAL(38,10); cause 6, tax, fees, commitments and other charges without tokens
  rounding_usd: DECIMAL(38,10); cause 7, what is left, up to half a cent a line
  unexplained_usd: DECIMAL(38,10); cause 8, what is left beyond that
  bill_lines: BIGINT; lines of the bill on that day
  restated_usd: DECIMAL(38,10); by how much the newest pull changed the one before; null where only one pull covers the day
  state: VARCHAR; final once the day is older than the provider's restatement lag, else provisional
checks:
  - not_null: [match_level, matched_by, traced_tokens, traced_list_cost_usd, bill_lines, state]
  - one_of: [match_level, class, model, account, provider]
  - one_of: [matched_by, tokens, dollars]
  - one_of: [state, provisional, final]
  - rule: >-
      untraced_usd + day_cut_usd + price_mismatch_usd + discount_usd + credit_usd + tax_fee_usd + rounding_usd + unexplained_usd
      = billed_usd - traced_list_cost_usd
    null_passes: true
    text: the eight causes sum to billed less traced list cost, exactly
  - rule: abs(rounding_usd) <= 0.005 * bill_lines
    null_passes: true
    text: what is called rounding is at most half a cent a line
  - no_rows: >-
      select strftime(i.month_start_date, '%Y-%m-%d') as partition, i.provider, i.billing_account_id
      from ledger_invoices as i
      left join (
          select month_start_date, provider, billing_account_id, billing_currency, sum(billed_usd) as billed_usd
          from mart_reconciliation_daily
          group by month_start_date, provider, billing_account_id, billing_currency
      ) as d
          on i.month_start_date = d.month_start_date
          and i.provider = d.provider
          and i.billing_account_id = d.billing_account_id
          and i.billing_currency = d.billing_currency
      where i.month_start_date in (select month_start_date from mart_reconciliation_daily)
          and i.billed_usd is not null
          and i.billed_usd is distinct from d.billed_usd
    text: the days of an account and month sum to its invoice
question: How much of the bill do calls explain, by provider, account and model, and what is the rest?
answer: >-
  select provider, billing_account_id, model_canonical, sum(traced_list_cost_usd) as traced_list_cost_usd,
  sum(billed_list_usd) as billed_list_usd, sum(billed_usd) as billed_usd, sum(untraced_usd) as untraced_usd,
  round(sum(untraced_usd) / nullif(sum(billed_list_usd), 0), 4) as untraced_share,
  sum(price_mismatch_usd) as price_mismatch_usd, sum(discount_usd + credit_usd + tax_fee_usd) as discounts_credits_taxes_usd,
  sum(unexplained_usd) as unexplained_usd
  from mart_reconciliation_daily
  group by grouping sets ((provider), (provider, billing_account_id), (provider, billing_account_id, model_canonical))
  order by provider, billing_account_id nulls first, billed_usd desc
notes:
  - Where the bill tells several rates of a token type apart (cache lifetimes, batch), each is worked for itself and added up;
    where it does not, the rate is what the traced calls pay on average. A day without calls takes the price book's standard rate.
  - Calls whose account cannot be told meet the bills of their provider - their tokens stand as untraced below zero, so that the
    provider's sum is right.
  - An account with lines in two currencies in one month has its calls beside the larger one.
  - A restatement lag of more than a month leaves days provisional.
*/
{# What a bill and the calls are held against each other by, the day aside. #}
{% set cell = ["month_start_date", "provider", "billing_account_id", "model_canonical", "token_type", "token_class", "rate_tier"] %}
with recursive
{% include "parts/both_sides.sql" %}

-- The price book's unit of a class, and the one that stands in for it.
class_units as (
{% for billed_as, classes in token_classes | groupby("billed_as") %}
    {% if not loop.first %}
    union all
    {% endif %}
    select '{{ billed_as }}' as token_class, '{{ classes[0].units[0] }}' as unit, '{{ classes[0].units[-1] }}' as spare_unit
{% endfor %}
),

-- Cells without a priced call take the book's rate of the day's start; a pooled cell the rate of the class that the bill counts.
without_calls as (
    select distinct
        c.usage_date,
        c.provider,
        c.model_canonical,
        c.token_class,
        c.rate_tier,
        case when c.token_class = '' then s.token_class else c.token_class end as priced_class,
        case when c.rate_tier = '' then s.rate_tier else c.rate_tier end as priced_tier,
        c.token_type,
        c.billing_account_id,
    from token_cells as c
    left join (
        select {{ cell | join(", ") }}
        from both_sides
        where token_type is not null
        qualify row_number() over (
            partition by month_start_date, provider, billing_account_id, model_canonical, token_type
            order by case when billed_tokens > 0 then 0 else 1 end, token_class, rate_tier
        ) = 1
    ) as s
        on c.month_start_date = s.month_start_date
        and c.provider = s.provider
        and c.billing_account_id is not distinct from s.billing_account_id
        and c.model_canonical = s.model_canonical
        and c.token_type = s.token_type
    where c.priced_tokens = 0 and c.token_type is not null and c.model_canonical is not null
),

currency_rates as (
    select
        currency,
        fx_rate_to_usd,
        rate_date,
        coalesce(lead(rate_date) over (partition by currency order by rate_date), date '9999-12-31') as next_rate_date,
    from ref_fx_rates
),

book_rates as (
    select
        w.usage_date,
        w.provider,
        w.billing_account_id,
        w.model_canonical,
        w.token_type,
        w.token_class,
        w.rate_tier,
        cast(
            cast(
                cast(cast(b.unit_price as decimal(28, 9)) * cast(1000000 // b.per_units as bigint) as decimal(20, 9))
                * case when b.currency = 'USD' then cast(1 as decimal(18, 9)) else cast(x.fx_rate_to_usd as decimal(18, 9)) end as decimal(28, 9)
            ) * 1000000000::hugeint as hugeint
        ) as rate_units,
    from without_calls as w
    inner join class_units as u on w.priced_class = u.token_class
    inner join ref_price_book as b
        on w.provider = b.provider
        and w.model_canonical = b.model_id
        and (b.unit = u.unit or b.unit = u.spare_unit)
        and b.superseded_at = timestamptz '9999-12-31 00:00:00+00'
        and cast(b.effective_from as date) <= w.usage_date
        and b.effective_to > cast(w.usage_date as timestamp with time zone)
        and b.ctx_min_tokens = 0
        and (b.service_tier = case when w.priced_tier = 'batch' then 'standard' else w.priced_tier end or b.service_tier = 'standard')
        and (b.processing = case when w.priced_tier = 'batch' then 'batch' else 'sync' end or b.processing = 'sync')
    left join currency_rates as x
        on b.currency = x.currency and w.usage_date >= x.rate_date and w.usage_date < x.next_rate_date
    where b.currency = 'USD' or x.fx_rate_to_usd is not null
    qualify row_number() over (
        partition by w.usage_date, w.provider, w.billing_account_id, w.model_canonical, w.token_type, w.token_class, w.rate_tier
        order by
            case when b.unit = u.unit then 0 else 1 end,
            case when b.processing = case when w.priced_tier = 'batch' then 'batch' else 'sync' end then 0 else 1 end,
            case when b.service_tier = case when w.priced_tier = 'batch' then 'standard' else w.priced_tier end then 0 else 1 end,
            case when b.region_class = 'global' then 0 else 1 end,
            b.region_class,
            b.window_from_s,
            b.effective_from desc,
            b.price_id
    ) = 1
),

-- A rate is a quotient: units of 0.0000000001 USD over tokens.
rated as (
    select
        c.*,
        case when c.priced_tokens > 0 then c.traced_units else r.rate_units end as rate_above,
        case when c.priced_tokens > 0 then c.priced_tokens else cast(100000 as hugeint) end as rate_below,
        c.priced_tokens > 0 or r.rate_units is not null as has_rate,
    from token_cells as c
    left join book_rates as r
        on c.usage_date = r.usage_date
        and c.provider = r.provider
        and c.billing_account_id is not distinct from r.billing_account_id
        and c.model_canonical = r.model_canonical
        and c.token_type = r.token_type
        and c.token_class = r.token_class
        and c.rate_tier = r.rate_tier
),

{% include "parts/day_cuts.sql" %}

worked as (
    select
        r.*,
        coalesce(c.untraced_tokens, r.billed_tokens - r.traced_tokens) as untraced_tokens,
        r.billed_tokens - r.traced_tokens - coalesce(c.untraced_tokens, r.billed_tokens - r.traced_tokens) as day_cut_tokens,
    from rated as r
    left join cut as c
        on r.usage_date = c.usage_date
{% for name in cell %}
        and r.{{ name }} = c.{{ name }}
{% endfor %}
),

priced as (
    select
        *,
        case when has_rate then sign(untraced_tokens) * (abs(untraced_tokens) * rate_above // rate_below) else 0 end as untraced_units,
        case when has_rate then sign(day_cut_tokens) * (abs(day_cut_tokens) * rate_above // rate_below) else 0 end as day_cut_units,
        case
            when not has_rate then 0
            when priced_tokens = traced_tokens then traced_units
            else traced_tokens * rate_above // rate_below
        end as traced_at_rate_units,
    from worked
),

token_rows as (
    select
        month_start_date,
        usage_date,
        provider,
        billing_account_id,
        row_model as model_canonical,
        row_type as token_type,
        cast(sum(traced_tokens) as hugeint) as traced_tokens,
        cast(sum(traced_tokens - priced_tokens) as hugeint) as unpriced_tokens,
        cast(sum(billed_tokens) as hugeint) as billed_tokens,
        cast(sum(untraced_tokens) as hugeint) as untraced_tokens,
        cast(sum(day_cut_tokens) as hugeint) as day_cut_tokens,
        cast(sum(traced_units) as hugeint) as traced_units,
        cast(sum(effective_units) as hugeint) as effective_units,
        cast(sum(untraced_units) as hugeint) as untraced_units,
        cast(sum(day_cut_units) as hugeint) as day_cut_units,
        cast(sum(traced_at_rate_units + untraced_units + day_cut_units) as hugeint) as billed_at_rate_units,
        bool_and(has_rate) as has_rate,
    from priced
    group by month_start_date, usage_date, provider, billing_account_id, row_model, row_type
),

restated as (
    select
        cast(date_trunc('month', r.usage_date) as date) as month_start_date,
        r.usage_date,
        r.provider,
        r.billing_account_id,
        case when not a.is_by_account then r.model_canonical end as model_canonical,
        case when not a.is_by_account and r.token_type <> 'other' then r.token_type end as token_type,
        cast(sum(r.restated_usd) as decimal(38, 10)) as restated_usd,
    from ledger_restated_days as r
    inner join account_levels as a
        on cast(date_trunc('month', r.usage_date) as date) = a.month_start_date
        and r.provider = a.provider
        and r.billing_account_id = a.billing_account_id
    inner join (select distinct month_start_date, provider, billing_account_id, source from bill) as b
        on cast(date_trunc('month', r.usage_date) as date) = b.month_start_date
        and r.provider = b.provider
        and r.billing_account_id = b.billing_account_id
        and r.source = b.source
    group by
        cast(date_trunc('month', r.usage_date) as date), r.usage_date, r.provider, r.billing_account_id,
        case when not a.is_by_account then r.model_canonical end,
        case when not a.is_by_account and r.token_type <> 'other' then r.token_type end
),

cells as (
    select month_start_date, usage_date, provider, billing_account_id, billing_currency, model_canonical, token_type from bill_cells
    union
    select t.month_start_date, t.usage_date, t.provider, t.billing_account_id, a.billing_currency, t.model_canonical, t.token_type
    from token_rows as t
    left join accounts as a
        on t.month_start_date = a.month_start_date and t.provider = a.provider and t.billing_account_id = a.billing_account_id
    union
    select t.month_start_date, t.usage_date, t.provider, t.billing_account_id, a.billing_currency, t.model_canonical, t.token_type
    from restated as t
    inner join accounts as a
        on t.month_start_date = a.month_start_date and t.provider = a.provider and t.billing_account_id = a.billing_account_id
),

joined as (
    select
        c.*,
{% for name in ("traced_tokens", "unpriced_tokens", "billed_tokens", "untraced_tokens", "day_cut_tokens", "traced_units", "effective_units") %}
        coalesce(t.{{ name }}, 0) as {{ name }},
{% endfor %}
        coalesce(t.untraced_units, 0) as untraced_at_rate_units,
        coalesce(t.day_cut_units, 0) as day_cut_at_rate_units,
        coalesce(t.billed_at_rate_units, 0) as billed_at_rate_units,
        coalesce(t.has_rate, true) as has_rate,
{% for name in (
    "bill_lines", "lines_without_rate", "billed_units", "list_units", "discount_units", "credit_units", "tax_fee_units",
) %}
        coalesce(b.{{ name }}, 0) as {{ name }},
{% endfor %}
        x.restated_usd,
        -- Lines of a known model, or of an account as a whole, of which the provider counts no token in the month.
        sum(coalesce(t.billed_tokens, 0)) over (
            partition by c.month_start_date, c.provider, c.billing_account_id, c.billing_currency, c.model_canonical, c.token_type
        ) = 0
        and sum(abs(coalesce(b.list_units, 0))) over (
            partition by c.month_start_date, c.provider, c.billing_account_id, c.billing_currency, c.model_canonical, c.token_type
        ) > 0 as is_by_dollars,
    from cells as c
    left join accounts as a
        on c.month_start_date = a.month_start_date
        and c.provider = a.provider
        and c.billing_account_id = a.billing_account_id
        and c.billing_currency = a.billing_currency
    left join token_rows as t
        on c.month_start_date = t.month_start_date
        and c.usage_date = t.usage_date
        and c.provider = t.provider
        and c.billing_account_id is not distinct from t.billing_account_id
        and c.model_canonical is not distinct from t.model_canonical
        and c.token_type is not distinct from t.token_type
        and (a.provider is not null or c.billing_account_id is null)
    left join bill_cells as b
        on c.month_start_date = b.month_start_date
        and c.usage_date = b.usage_date
        and c.provider = b.provider
        and c.billing_account_id = b.billing_account_id
        and c.billing_currency = b.billing_currency
        and c.model_canonical is not distinct from b.model_canonical
        and c.token_type is not distinct from b.token_type
    left join restated as x
        on c.month_start_date = x.month_start_date
        and c.usage_date = x.usage_date
        and c.provider = x.provider
        and c.billing_account_id = x.billing_account_id
        and c.model_canonical is not distinct from x.model_canonical
        and c.token_type is not distinct from x.token_type
        and a.provider is not null
),

caused as (
    select
        *,
        case when is_by_dollars then list_units - traced_units else untraced_at_rate_units end as untraced_units,
        case when is_by_dollars then cast(0 as hugeint) else day_cut_at_rate_units end as day_cut_units,
        -- Where a rate is unknown its money cannot be told from the others': it is left over.
        case when is_by_dollars or not has_rate then cast(0 as hugeint) else list_units - billed_at_rate_units end as price_mismatch_units,
    from joined
),

left_over as (
    select
        *,
        billed_units - traced_units - untraced_units - day_cut_units - price_mismatch_units - discount_units - credit_units - tax_fee_units
            as left_units,
    from caused
)

select
    r.month_start_date,
    r.usage_date,
    r.provider,
    r.billing_account_id,
    r.billing_currency,
    r.model_canonical,
    r.token_type,
    case
        when r.billing_account_id is null then 'provider'
        when r.model_canonical is null then 'account'
        when r.token_type is null then 'model'
        else 'class'
    end as match_level,
    case when r.is_by_dollars then 'dollars' else 'tokens' end as matched_by,
    cast(r.traced_tokens as bigint) as traced_tokens,
    cast(r.unpriced_tokens as bigint) as unpriced_tokens,
    case when not r.is_by_dollars then cast(r.billed_tokens as bigint) end as billed_tokens,
    case when not r.is_by_dollars then cast(r.untraced_tokens as bigint) end as untraced_tokens,
    case when not r.is_by_dollars then cast(r.day_cut_tokens as bigint) end as day_cut_tokens,
    cast(cast(r.traced_tokens as double) / nullif(r.billed_tokens, 0) as decimal(38, 9)) as token_coverage,
    cast(r.traced_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as traced_list_cost_usd,
    cast(r.effective_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as traced_effective_cost_usd,
    case when r.lines_without_rate = 0 then cast(r.list_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) end
        as billed_list_usd,
    case when r.lines_without_rate = 0 then cast(r.billed_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) end
        as billed_usd,
    case
        when r.lines_without_rate = 0 or not r.is_by_dollars
            then cast(r.untraced_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10))
    end as untraced_usd,
    cast(r.day_cut_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as day_cut_usd,
    case when r.lines_without_rate = 0 then cast(r.price_mismatch_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) end
        as price_mismatch_usd,
    case when r.lines_without_rate = 0 then cast(r.discount_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) end
        as discount_usd,
    case when r.lines_without_rate = 0 then cast(r.credit_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) end
        as credit_usd,
    case when r.lines_without_rate = 0 then cast(r.tax_fee_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) end
        as tax_fee_usd,
    case
        when r.lines_without_rate = 0
            then cast(
                case when abs(r.left_units) <= 50000000 * r.bill_lines then r.left_units else 0 end
                * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)
            )
    end as rounding_usd,
    case
        when r.lines_without_rate = 0
            then cast(
                case when abs(r.left_units) <= 50000000 * r.bill_lines then 0 else r.left_units end
                * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)
            )
    end as unexplained_usd,
    r.bill_lines,
    r.restated_usd,
    case
        when least(r.usage_date, cast(r.month_start_date + interval 1 month as date) - 1) + 1 + cast(coalesce(l.threshold_number, 0) as integer)
            <= cast(k.now_at as date) then 'final'
        else 'provisional'
    end as state,
from left_over as r
cross join ledger_clock as k
left join ref_limits as l
    on l.limit_name = 'restatement_lag_days'
    and l.scope_kind = ''
    and r.usage_date >= l.valid_from_date
    and r.usage_date < l.valid_to_date
