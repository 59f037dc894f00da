/*
about: >-
  Costs that a source stated and that are not ours, beside ours: a placeholder far above any list price, 0 for tokens that
  cost money, dollars without tokens, an amount in another currency, a price of a thousand tokens taken for one of a million or
  the other way round, and every other difference beyond rounding. One row per UTC day, source, seller, model as served and fault.
grain: [usage_date, source, provider, model_served, fault]
partition: day
columns:
  usage_date: DATE; UTC day of the calls
  source: VARCHAR; folder of landing/ that stated the costs
  provider: VARCHAR; the seller
  model_served: VARCHAR; model as the source wrote it; empty where it wrote none
  fault: VARCHAR; implausible_price, cost_without_tokens, zero_cost, wrong_scale, wrong_currency or differs
  faulty_requests: BIGINT; calls with that fault
  total_tokens: BIGINT; tokens of these calls
  stated_cost_usd: DECIMAL(38,15); what the source stated for these calls
  list_cost_usd: DECIMAL(38,15); our cost at list prices; null where none of them is priced
  fault_usd: DECIMAL(38,15); dollars at stake: the difference between the two, or what was stated where we have no price
  example_request_key: VARCHAR; one of the calls
checks:
  - one_of: [fault, implausible_price, cost_without_tokens, zero_cost, wrong_scale, wrong_currency, differs]
  - rule: faulty_requests > 0
  - rule: fault_usd >= 0
notes:
  - >-
    A cost that is ours at list or at contracted prices is no fault, nor is one that differs by less than stated_cost_tolerance or by half of
    a millionth of a dollar, unless it is less than half of ours or more than twice. A gateway that says that it added a margin is not held to ours.
  - A call has one fault, the first of these that holds. The ledger keeps the stated cost as it is; ours is booked wherever the book has a price.
question: Which stated costs are wrong, and by how much?
answer: >-
  select fault, source, provider, model_served, sum(faulty_requests) as faulty_requests, sum(fault_usd) as fault_usd
  from mart_cost_faults_daily group by fault, source, provider, model_served order by fault_usd desc
*/
{% from "macros/days.sql" import utc_date %}
with limits as (
    select
        d.usage_date,
        max(case when l.limit_name = 'implausible_usd_per_mtok' then l.threshold_number end) as implausible_usd_per_mtok,
        max(case when l.limit_name = 'stated_cost_tolerance' then l.threshold_number end) as stated_cost_tolerance,
        max(case when l.limit_name = 'stated_cost_min_usd' then l.threshold_number end) as stated_cost_min_usd,
    from (select distinct {{ utc_date("started_at") }} as usage_date from ledger_costs) as d
    left join ref_limits as l on l.scope_kind = '' and d.usage_date >= l.valid_from_date and d.usage_date < l.valid_to_date
    group by d.usage_date
),

currency_rates as (
    select
        currency,
        cast(fx_rate_to_usd as double) as fx_rate_to_usd,
        rate_date,
        lead(rate_date) over (partition by currency order by rate_date) as next_rate_date,
    from ref_fx_rates
    where currency <> 'USD' and fx_rate_to_usd > 0
),

stated as (
    select
        r.request_key,
        {{ utc_date("r.started_at") }} as usage_date,
        r.source,
        r.provider,
        coalesce(r.model_served, '') as model_served,
        coalesce(r.total_tokens, 0) as total_tokens,
        cardinality(r.extra_units) as units,
        r.gateway_cache_hit,
        cast(c.cost_reported_usd as decimal(38, 15)) as stated_cost_usd,
        -- Where the stated cost is the booked one there is nothing of ours to hold it against.
        case when c.cost_reason is distinct from 'provider_stated' then c.list_cost_usd end as list_cost_usd,
        case
            when c.cost_reason is distinct from 'provider_stated' and c.contracted_cost_usd > 0 and c.cost_reported_usd > 0
                then cast(c.cost_reported_usd as double) / cast(c.contracted_cost_usd as double)
        end as contracted_ratio,
        r.cost_reported_basis is not distinct from 'with_margin' as has_margin,
        l.implausible_usd_per_mtok,
        cast(l.stated_cost_tolerance as double) as tolerance,
        l.stated_cost_min_usd,
    from ledger_requests as r
    inner join ledger_costs as c on c.request_key = r.request_key and c.started_at = r.started_at
    inner join limits as l on l.usage_date = {{ utc_date("r.started_at") }}
    where c.cost_reported_usd is not null
),

compared as (
    select
        *,
        case
            when list_cost_usd > 0 and stated_cost_usd > 0 then cast(stated_cost_usd as double) / cast(list_cost_usd as double)
        end as ratio,
    from stated
),

currency_faults as (
    select distinct c.usage_date, c.request_key
    from compared as c
    inner join currency_rates as f
        on c.usage_date >= f.rate_date and (f.next_rate_date is null or c.usage_date < f.next_rate_date)
    where abs(c.ratio - 1) > c.tolerance
        and (abs(c.ratio * f.fx_rate_to_usd - 1) <= c.tolerance or abs(c.ratio / f.fx_rate_to_usd - 1) <= c.tolerance)
),

judged as (
    select
        c.*,
        case
            when c.total_tokens = 0 and coalesce(c.units, 0) = 0 and c.stated_cost_usd > c.stated_cost_min_usd
                then 'cost_without_tokens'
            when c.total_tokens > 0
                and c.stated_cost_usd > c.stated_cost_min_usd
                and c.stated_cost_usd * 1000000 > c.implausible_usd_per_mtok * c.total_tokens
                and (c.list_cost_usd is null or c.stated_cost_usd > c.list_cost_usd)
                then 'implausible_price'
            when c.stated_cost_usd = 0 and c.list_cost_usd > 0 and not coalesce(c.gateway_cache_hit, false) then 'zero_cost'
            when abs(c.ratio / 1000 - 1) <= c.tolerance
                or abs(c.ratio * 1000 - 1) <= c.tolerance
                or abs(c.ratio / 1000000 - 1) <= c.tolerance
                or abs(c.ratio * 1000000 - 1) <= c.tolerance
                then 'wrong_scale'
            when f.request_key is not null then 'wrong_currency'
            when abs(c.ratio - 1) > c.tolerance
                and abs(coalesce(c.contracted_ratio, c.ratio) - 1) > c.tolerance
                and not c.has_margin
                and (abs(c.stated_cost_usd - c.list_cost_usd) > 0.0000005 or c.ratio < 0.5 or c.ratio > 2)
                then 'differs'
        end as fault,
    from compared as c
    left join currency_faults as f on f.usage_date = c.usage_date and f.request_key = c.request_key
)

select
    usage_date,
    source,
    provider,
    model_served,
    fault,
    count(*) as faulty_requests,
    cast(sum(total_tokens) as bigint) as total_tokens,
    cast(sum(stated_cost_usd) as decimal(38, 15)) as stated_cost_usd,
    cast(sum(list_cost_usd) as decimal(38, 15)) as list_cost_usd,
    cast(sum(abs(stated_cost_usd - coalesce(list_cost_usd, 0))) as decimal(38, 15)) as fault_usd,
    min(request_key) as example_request_key,
from judged
where fault is not null
group by usage_date, source, provider, model_served, fault
