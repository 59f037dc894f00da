/*
about: >-
  What the tokens of self-hosted models cost, hour by hour: the cost of the GPUs in gpu_pools.csv over what they served. The full
  price carries the idle time of the hour, the marginal price its busy share only. One row per hour, seller, model and unit; an hour
  without calls has one row, idle, with what it cost.
grain: [hour_from_at, provider, model_canonical, unit]
partition: day
partition_column: hour_from_at
columns:
  hour_from_at: TIMESTAMP WITH TIME ZONE; start of the hour
  hour_to_at: TIMESTAMP WITH TIME ZONE; its end, exclusive
  provider: VARCHAR; who serves the model, self where gpu_pools.csv names nobody
  model_canonical: VARCHAR; model that the pool serves; several pools of one model count as one
  unit: VARCHAR; unit of the price book (input, cache_read, output), or idle
  price_id: VARCHAR; hash of what the price says, as in the price book; null where there is no price
  served_tokens: BIGINT; tokens of that unit in the hour
  full_usd_per_mtok: DECIMAL(18,9); price of a million tokens that bears the whole hour; null where it cannot be told
  marginal_usd_per_mtok: DECIMAL(18,9); price of a million tokens that bears the busy share of the hour; null as above
  full_cost_usd: DECIMAL(38,15); these tokens at the full price, or the whole hour where it was idle; null where not known
  marginal_cost_usd: DECIMAL(38,15); these tokens at the marginal price, 0 where the hour was idle; null where not known
  utilisation_share: DECIMAL(18,9); busy share of the hour, as stated in gpu_pools.csv or measured by the tokens; null where neither is known
  rate_reason: VARCHAR; what exactly a price lacks, no_gpu_cost or no_throughput; null where there is one
checks:
  - one_of: [unit, input, cache_read, output, idle]
  - between: [utilisation_share, 0, 1]
  - rule: (full_usd_per_mtok is null) = (rate_reason is not null or unit = 'idle')
    text: what has no price says why
  - rule: marginal_usd_per_mtok <= full_usd_per_mtok
    null_passes: true
notes:
  - A token weighs what it takes of the GPUs' time, one second over the pool's tokens a second; there is no weight that is right for all.
  - A month has the hours of the calendar, so the hours of a month add up to what the month costs.
question: What do our own models cost per million tokens, with and without idle time?
answer: >-
  select model_canonical, unit, sum(full_cost_usd) as full_cost_usd, sum(marginal_cost_usd) as marginal_cost_usd,
  sum(full_cost_usd) / sum(served_tokens) * 1000000 as full_usd_per_mtok from ledger_gpu_rates group by all order by all
*/
{% from "macros/tokens.sql" import tokens_priced_by with context %}
with gpu_days as (
    select distinct cast(started_at as date) as usage_date
    from ledger_requests
),

{% include "parts/gpu_pool_hours.sql" %}

-- Of several pools for one model nobody can tell which one served a call: they are one, and their throughputs add up.
model_days as (
    select
        usage_date,
        provider,
        model_canonical,
        case when count(*) = count(hour_cost_usd) then cast(sum(hour_cost_usd) as decimal(38, 15)) end as hour_cost_usd,
        case when count(*) = count(nullif(input_tokens_per_s, 0)) then cast(sum(input_tokens_per_s) as double) end as input_per_s,
        case when count(*) = count(nullif(cache_read_tokens_per_s, 0)) then cast(sum(cache_read_tokens_per_s) as double) end as cache_read_per_s,
        case when count(*) = count(nullif(output_tokens_per_s, 0)) then cast(sum(output_tokens_per_s) as double) end as output_per_s,
        case
            when count(*) = count(utilisation_share)
                then cast(
                    sum(cast(cast(hour_cost_usd as double) * cast(utilisation_share as double) as decimal(38, 15))) as double
                ) / nullif(cast(sum(hour_cost_usd) as double), 0)
        end as stated_share,
    from pool_hours
    group by usage_date, provider, model_canonical
),

-- What a call had from the gateway's cache no GPU has worked for.
traffic as (
    select
        date_trunc('hour', q.started_at) as hour_from_at,
        q.provider,
        q.model_canonical,
        cast(sum({{ tokens_priced_by("input", "q") }}) as bigint) as input_tokens,
        cast(sum({{ tokens_priced_by("cache_read", "q") }}) as bigint) as cache_read_tokens,
        cast(sum({{ tokens_priced_by("output", "q") }}) as bigint) as output_tokens,
    from ledger_requests as q
    inner join (select distinct provider, model_canonical from model_days) as m
        on m.provider = q.provider and m.model_canonical = q.model_canonical
    where q.is_billable_leaf and not coalesce(q.gateway_cache_hit, false)
    group by date_trunc('hour', q.started_at), q.provider, q.model_canonical
),

hours as (
    select
        m.*,
        cast(cast(m.usage_date as varchar) || ' 00:00:00+00' as timestamp with time zone) + h.hour_of_day * interval 1 hour as hour_from_at,
    from model_days as m
    cross join (select unnest(range(0, 24)) as hour_of_day) as h
),

served as (
    select
        h.*,
        coalesce(t.input_tokens, 0) as input_tokens,
        coalesce(t.cache_read_tokens, 0) as cache_read_tokens,
        coalesce(t.output_tokens, 0) as output_tokens,
        coalesce(t.input_tokens, 0) + coalesce(t.cache_read_tokens, 0) + coalesce(t.output_tokens, 0) = 0 as is_idle,
        -- Seconds of the pool's work; a class with tokens and no throughput leaves them unknown.
        case when coalesce(t.input_tokens, 0) = 0 then 0 else t.input_tokens / h.input_per_s end
        + case when coalesce(t.cache_read_tokens, 0) = 0 then 0 else t.cache_read_tokens / h.cache_read_per_s end
        + case when coalesce(t.output_tokens, 0) = 0 then 0 else t.output_tokens / h.output_per_s end as busy_s,
    from hours as h
    left join traffic as t
        on t.hour_from_at = h.hour_from_at and t.provider = h.provider and t.model_canonical = h.model_canonical
),

units as (
    select 'input' as unit
    union all
    select 'cache_read' as unit
    union all
    select 'output' as unit
    union all
    select 'idle' as unit
),

by_unit as (
    select
        s.hour_from_at,
        s.provider,
        s.model_canonical,
        u.unit,
        s.is_idle,
        s.hour_cost_usd,
        s.busy_s,
        case u.unit when 'input' then s.input_tokens when 'cache_read' then s.cache_read_tokens when 'output' then s.output_tokens else 0 end
            as served_tokens,
        case u.unit when 'input' then s.input_per_s when 'cache_read' then s.cache_read_per_s when 'output' then s.output_per_s end as per_s,
        case when s.is_idle then 0 else least(coalesce(s.stated_share, s.busy_s / 3600), 1) end as busy_share,
    from served as s
    inner join units as u
        on (u.unit = 'idle') = s.is_idle
),

rated as (
    select
        *,
        cast(cast(hour_cost_usd as double) / (per_s * busy_s) * 1000000 as decimal(18, 9)) as full_rate,
        cast(cast(hour_cost_usd as double) / (per_s * busy_s) * 1000000 * busy_share as decimal(18, 9)) as marginal_rate,
    from by_unit
    -- A class that the hour has no tokens of needs no price.
    where unit = 'idle' or per_s is not null or served_tokens > 0
)

select
    hour_from_at,
    hour_from_at + interval 1 hour as hour_to_at,
    provider,
    model_canonical,
    unit,
    case
        when full_rate is not null
            then sha256(
                concat_ws('|', provider, model_canonical, unit, strftime(hour_from_at, '%Y-%m-%dT%H'), cast(full_rate as varchar))
            )
    end as price_id,
    cast(served_tokens as bigint) as served_tokens,
    full_rate as full_usd_per_mtok,
    marginal_rate as marginal_usd_per_mtok,
    case when is_idle then hour_cost_usd else cast(served_tokens * full_rate * 0.000001 as decimal(38, 15)) end as full_cost_usd,
    case
        when is_idle then cast(0 as decimal(38, 15))
        else cast(served_tokens * marginal_rate * 0.000001 as decimal(38, 15))
    end as marginal_cost_usd,
    cast(busy_share as decimal(18, 9)) as utilisation_share,
    case when is_idle or full_rate is not null then null when hour_cost_usd is null then 'no_gpu_cost' else 'no_throughput' end as rate_reason,
from rated
