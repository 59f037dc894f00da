/*
about: >-
  How much hangs on each seller and each model, what their price changes have cost so far, and what a rise of prices would cost.
  One row per week that is over, cut (by seller, by model) and seller or model.
grain: [week_start_date, cut, provider, model_canonical]
# By month, as the showback is: of a month that changes anywhere every week would be built.
partition: month
partition_column: week_start_date
reads_around: 7 days
reads_back: 12 weeks
clock_stops: 8 days
leads: [stat_cost_cells_daily]
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  cut: VARCHAR; provider or model
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it; '(all)' in the cut by provider
  requests: BIGINT; calls, failed ones included
  unpriced_requests: BIGINT; calls without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  week_cost_usd: DECIMAL(38,15); cost of all priced calls of the week: what shares are of
  spend_share: DECIMAL(18,9); effective cost over that of the week; null where it is unknown
  concentration_index: DOUBLE; sum of the squared shares of the week's sellers, or models (HHI): 1 is a single one
  effective_vendors: DOUBLE; 1 over concentration_index: so many equal ones would be as concentrated
  price_effect_usd: DECIMAL(38,6); what changed prices added in the 13 weeks to this one, each against its week before; null before any week is compared
  price_weeks: BIGINT; of these 13 weeks, those that are compared
  contract_cost_usd: DECIMAL(38,15); part of the cost at prices that a contract fixes beyond the end of the week
  shock_share: DECIMAL(18,9); rise of prices that is asked about (price_shock_share)
  shock_usd: DECIMAL(38,6); what it would add to the week at unchanged use, contracts kept
  revenue_usd: DECIMAL(38,12); recognised revenue of the week, of the whole company; null where none is known or a rate is missing
  margin_before_shock: DECIMAL(38,9); revenue less the week's cost, over revenue; null without revenue
  margin_after_shock: DECIMAL(38,9); the same after the rise of this seller's, or model's, prices alone
  is_incomplete: BOOLEAN; true where more of the week's tokens lack a price than unpriced_warn_share
  method_version: VARCHAR; raised when the same rows would be judged otherwise
checks:
  - one_of: [cut, provider, model]
  - between: [spend_share, 0, 1]
  - between: [shock_share, 0, 1]
  - rule: contract_cost_usd <= effective_cost_usd + 0.000001
    null_passes: true
  - no_rows: >-
      select strftime(week_start_date, '%Y-%m-%d') as partition, cut
      from mart_vendor_exposure_weekly
      group by week_start_date, cut
      having abs(sum(spend_share) - 1) > 0.00001
    text: shares sum to 1
question: How concentrated is spend, and what would a rise of each seller's prices cost?
answer: >-
  select week_start_date, provider, effective_cost_usd, spend_share, effective_vendors, price_effect_usd, shock_usd, margin_after_shock
  from mart_vendor_exposure_weekly where cut = 'provider' order by week_start_date desc, spend_share desc
notes:
  - A contract counts where it fixes a price (absolute), not where it takes a part off the list price, which rises with the list.
  - Contracts of an account, a project, a customer or a tier are not told apart here; what they cover counts as exposed.
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
with
{% include "parts/weeks_over.sql" %}

{{ limits_of_weeks({"price_shock_share": "shock_share", "unpriced_warn_share": "unpriced_warn"}) }},

{% include "parts/revenue_of_periods.sql" %}

revenue as (
    select
        start_date as week_start_date,
        case when count(*) = count(revenue_usd) then cast(sum(revenue_usd) as decimal(38, 12)) end as revenue_usd,
    from period_revenue
    where revenue_kind = 'recognised'
    group by start_date
),

-- Prices that a contract fixes at the end of the week, by unit.
contracts as (
    select distinct w.week_start_date, o.provider, o.model_id, o.unit, o.scope
    from weeks as w
    inner join ref_price_overrides as o
        on o.kind = 'absolute'
        and (o.effective_from is null or o.effective_from < w.week_start_date + 7)
        and (o.effective_to is null or o.effective_to >= w.week_start_date + 7)
    where o.service_tier is null and o.processing is null and o.region_class is null and o.ctx_min_tokens is null
        and (o.scope is null or o.scope like 'feature=%')
),

weekly as (
    select
        w.week_start_date,
        c.feature,
        c.provider,
        c.model_canonical,
        cast(sum(c.requests) as bigint) as requests,
        cast(sum(c.unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(c.total_tokens) as bigint) as total_tokens,
        cast(sum(c.unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as usd,
{% for class in token_classes %}
        cast(coalesce(sum(c.{{ class.name }}_cost_usd), 0) as decimal(38, 15)) as {{ class.name }}_usd,
{% endfor %}
    from stat_cost_cells_daily as c
    inner join weeks as w on w.week_start_date = cast(date_trunc('week', c.usage_date) as date)
    group by w.week_start_date, c.feature, c.provider, c.model_canonical
),

covered as (
    select
        s.week_start_date,
        s.feature,
        s.provider,
        s.model_canonical,
{% for class in token_classes %}
        max(case when o.unit in ('{{ class.units | join("', '") }}') then 1 else 0 end) as is_{{ class.name }}_fixed,
{% endfor %}
    from weekly as s
    inner join contracts as o
        on s.week_start_date = o.week_start_date
        and s.provider = o.provider
        and (o.model_id is null or s.model_canonical = o.model_id)
        and (o.scope is null or o.scope = 'feature=' || s.feature)
    group by s.week_start_date, s.feature, s.provider, s.model_canonical
),

fixed as (
    select
        s.*,
        case
            when c.feature is null then cast(0 as decimal(38, 15))
            else cast(
                0{% for class in token_classes %} + case when c.is_{{ class.name }}_fixed = 1 then s.{{ class.name }}_usd else 0 end{% endfor %}

                as decimal(38, 15)
            )
        end as contract_usd,
    from weekly as s
    left join covered as c
        on s.week_start_date = c.week_start_date
        and s.feature = c.feature
        and s.provider = c.provider
        and s.model_canonical = c.model_canonical
),

cut_up as (
    select
        s.week_start_date,
        k.cut,
        s.provider,
        case when k.cut = 'model' then s.model_canonical else '(all)' end as model_canonical,
        cast(sum(s.requests) as bigint) as requests,
        cast(sum(s.unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(s.total_tokens) as bigint) as total_tokens,
        cast(sum(s.unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(s.usd) as decimal(38, 15)) as usd,
        cast(sum(s.contract_usd) as decimal(38, 15)) as contract_usd,
    from fixed as s
    cross join (select unnest(['provider', 'model']) as cut) as k
    group by s.week_start_date, k.cut, s.provider, case when k.cut = 'model' then s.model_canonical else '(all)' end
),

totalled as (
    select
        *,
        sum(usd) over (partition by week_start_date, cut) as week_usd,
        sum(total_tokens) over (partition by week_start_date, cut) as week_tokens,
        sum(unpriced_tokens) over (partition by week_start_date, cut) as week_unpriced_tokens,
    from cut_up
),

shared as (
    select
        *,
        cast(cast(usd as double) / nullif(cast(week_usd as double), 0) as decimal(18, 9)) as share,
        cast(
            sum(cast(power(cast(usd as double) / nullif(cast(week_usd as double), 0), 2) as decimal(38, 18))) over (
                partition by week_start_date, cut
            ) as double
        ) as concentration,
    from totalled
),

price_effects as (
    select
        w.week_start_date,
        k.cut,
        b.provider,
        case when k.cut = 'model' then b.model_canonical else '(all)' end as model_canonical,
        cast(coalesce(sum(b.price_usd), 0) as decimal(38, 6)) as price_usd,
    from weeks as w
    inner join mart_spend_change_weekly as b
        on b.week_start_date <= w.week_start_date and b.week_start_date > w.week_start_date - 91
    cross join (select unnest(['provider', 'model']) as cut) as k
    group by w.week_start_date, k.cut, b.provider, case when k.cut = 'model' then b.model_canonical else '(all)' end
),

compared_weeks as (
    select w.week_start_date, count(distinct b.week_start_date) as price_weeks
    from weeks as w
    inner join mart_spend_change_weekly as b
        on b.week_start_date <= w.week_start_date and b.week_start_date > w.week_start_date - 91
    group by w.week_start_date
),

shocked as (
    select
        s.*,
        l.shock_share,
        l.unpriced_warn,
        r.revenue_usd,
        cast(cast(s.usd - s.contract_usd as decimal(38, 12)) * l.shock_share as decimal(38, 6)) as shock_usd,
    from shared as s
    inner join limits as l on s.week_start_date = l.week_start_date
    left join revenue as r on s.week_start_date = r.week_start_date
)

select
    s.week_start_date,
    s.cut,
    s.provider,
    s.model_canonical,
    s.requests,
    s.unpriced_requests,
    s.usd as effective_cost_usd,
    cast(s.week_usd as decimal(38, 15)) as week_cost_usd,
    s.share as spend_share,
    s.concentration as concentration_index,
    1 / nullif(s.concentration, 0) as effective_vendors,
    case when c.price_weeks > 0 then coalesce(p.price_usd, 0) end as price_effect_usd,
    coalesce(c.price_weeks, 0) as price_weeks,
    case when s.usd is not null then s.contract_usd end as contract_cost_usd,
    cast(s.shock_share as decimal(18, 9)) as shock_share,
    s.shock_usd,
    s.revenue_usd,
    cast(
        1 - cast(s.week_usd as double) / nullif(cast(s.revenue_usd as double), 0) as decimal(38, 9)
    ) as margin_before_shock,
    cast(
        1 - (cast(s.week_usd as double) + cast(s.shock_usd as double)) / nullif(cast(s.revenue_usd as double), 0) as decimal(38, 9)
    ) as margin_after_shock,
    coalesce(s.week_unpriced_tokens > s.week_tokens * s.unpriced_warn, false) as is_incomplete,
    '1' as method_version,
from shocked as s
left join price_effects as p
    on s.week_start_date = p.week_start_date and s.cut = p.cut and s.provider = p.provider and s.model_canonical = p.model_canonical
left join compared_weeks as c on s.week_start_date = c.week_start_date
