/*
about: >-
  Work that nobody waits for (features whose workload is async), paid at the price for answers at once: what it would have cost as a batch or
  in the flex tier, at the price book's price of that model on that day. One row per week, feature and model with such calls.
grain: [week_start_date, feature, provider, model_canonical]
partition: week
reads_around: 1 day
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week of the calls, in the reporting time zone
  feature: VARCHAR; product feature whose workload is async in features.csv
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  is_closed: BOOLEAN; true once the week is over by the books' own now
  requests: BIGINT; calls in the standard tier, outside of a batch, that were paid by use
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; of these, calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls, as it was; null where none is priced
{% for tier in ("batch", "flex") %}
  {{ tier }}_status: VARCHAR; ok (every priced call has a {{ tier }} price), partly, or no_price (none has)
  {{ tier }}_reason: VARCHAR; where not ok: no_{{ tier }}_price (the book has none for the model, region or a token class on the day), no_split (a stated cost), or unpriced
  {{ tier }}_replaced_cost_usd: DECIMAL(38,15); cost as it was of the calls with a {{ tier }} price; null where none has
  {{ tier }}_cost_usd: DECIMAL(38,15); what these calls would have cost by {{ tier }}; null where none has such a price
  {{ tier }}_saving_usd: DECIMAL(38,15); {{ tier }}_replaced_cost_usd less {{ tier }}_cost_usd, below 0 where {{ tier }} is dearer; null as these
  {{ tier }}_saving_ratio: DOUBLE; {{ tier }}_saving_usd over effective_cost_usd
  is_{{ tier }}_cache_assumed: BOOLEAN; true where the book has no {{ tier }} price of cached reads: they are taken at that of uncached input
{% endfor %}
  week_cost_usd: DECIMAL(38,15); cost of all calls of the week, of every feature
  best_saving_usd: DECIMAL(38,15); the larger of both savings; 0 where neither saves; null where neither has a price
  best_saving_ratio: DOUBLE; best_saving_usd over week_cost_usd: what the whole bill falls by
  must_be_true: VARCHAR; what has to hold for the saving to come true
  sentence: VARCHAR; the row in words
checks:
{% for tier in ("batch", "flex") %}
  - one_of: [{{ tier }}_status, ok, partly, no_price]
  - rule: ({{ tier }}_reason is null) = ({{ tier }}_status = 'ok') and ({{ tier }}_cost_usd is null) = ({{ tier }}_status = 'no_price')
    text: what has no {{ tier }} price has no {{ tier }} cost, and says why
  - rule: {{ tier }}_replaced_cost_usd <= effective_cost_usd
    null_passes: true
{% endfor %}
notes:
  - The rate of a call is that of its own price rows (region, length of context, contract); a contract's discount is taken to hold for batch and flex too.
  - Units that are not tokens (web searches) are taken at what they cost.
question: What would async work save as a batch?
answer: >-
  select week_start_date, feature, model_canonical, effective_cost_usd, batch_cost_usd, flex_cost_usd, best_saving_usd, must_be_true
  from mart_batch_candidates_weekly order by week_start_date desc, best_saving_usd desc nulls last limit 20
*/
{% from "macros/days.sql" import local_week, utc_date %}
{% from "macros/tokens.sql" import rate_tier, sum_of with context %}
{% set tiers = {"batch": ("standard", "batch"), "flex": ("flex", "sync")} %}
with
{% include "parts/weeks_with_end.sql" %}

-- What nobody waits for, when.
async_features as (
    select feature, coalesce(valid_from_date, date '0001-01-01') as from_date, coalesce(valid_to_date, date '9999-12-31') as to_date
    from ref_features
    where workload = 'async'
),

cells as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        {{ utc_date("r.started_at") }} as usage_date,
        r.feature,
        r.provider,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        array_to_string(c.price_ids, ',') as price_key,
        c.effective_cost_usd is not null as is_priced,
        coalesce(c.cost_reason = 'provider_stated', false) as is_stated,
        count(*) as requests,
        cast(coalesce(sum(r.total_tokens), 0) as bigint) as total_tokens,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        cast(coalesce(sum(c.units_cost_usd), 0) as decimal(38, 15)) as units_cost_usd,
{% for class in token_classes %}
        cast(coalesce(sum(r.{{ class.tokens }}), 0) as bigint) as {{ class.tokens }},
{% endfor %}
    from ledger_requests as r
    semi join async_features as f
        on r.feature = f.feature and {{ utc_date("r.started_at") }} >= f.from_date and {{ utc_date("r.started_at") }} < f.to_date
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    where not coalesce(r.gateway_cache_hit, false)
        and {{ rate_tier("r") }} = 'standard'
        and coalesce(lower(r.speed), '') <> 'fast'
        -- What provisioned throughput or a seat paid for costs nothing by itself.
        and (c.effective_cost_usd is null or c.effective_cost_usd > 0)
    group by
        {{ local_week("r.started_at") }}, {{ utc_date("r.started_at") }}, r.feature, r.provider,
        coalesce(r.model_canonical, 'unknown_model'), array_to_string(c.price_ids, ','), c.effective_cost_usd is not null,
        coalesce(c.cost_reason = 'provider_stated', false)
),

book as (
    select *, cast(cast(unit_price as decimal(28, 9)) * cast(1000000 // per_units as bigint) as decimal(18, 9)) as rate
    from ref_price_book
    where superseded_at = timestamptz '9999-12-31 00:00:00+00'
),

-- The rows of the book that the calls were priced by, and the same rows for a batch and for flex.
price_rows as (
    select usage_date, price_key, unnest(string_split(price_key, ',')) as price_id
    from (select distinct usage_date, price_key from cells where price_key <> '') as k
),

paid as (
    select
        p.usage_date,
        p.price_key,
        b.provider,
        b.model_id,
        b.region_class,
        b.ctx_min_tokens,
        b.window_from_s,
        b.weekday_mask,
        b.currency,
        b.unit,
        b.rate,
    from price_rows as p
    inner join book as b on p.price_id = b.price_id
),

offered as (
{% for tier, (service_tier, processing) in tiers.items() %}
    {{ "union all" if not loop.first }}
    select p.usage_date, p.price_key, '{{ tier }}' as tier, b.unit, b.rate, b.effective_from
    from (select distinct usage_date, price_key, provider, model_id, region_class, ctx_min_tokens, window_from_s, weekday_mask, currency from paid) as p
    inner join book as b
        on p.provider = b.provider
        and p.model_id = b.model_id
        and p.region_class = b.region_class
        and p.currency = b.currency
        and b.service_tier = '{{ service_tier }}'
        and b.processing = '{{ processing }}'
        and p.ctx_min_tokens >= b.ctx_min_tokens
        and p.ctx_min_tokens < b.ctx_max_tokens
        and p.window_from_s >= b.window_from_s
        and p.window_from_s < b.window_to_s
        and (p.weekday_mask & b.weekday_mask) <> 0
        and b.effective_from < cast(cast(p.usage_date + 1 as varchar) || ' 00:00:00+00' as timestamp with time zone)
        and b.effective_to > cast(cast(p.usage_date as varchar) || ' 00:00:00+00' as timestamp with time zone)
{% endfor %}
),

-- Of two prices of a day the later one.
newest as (
    select usage_date, price_key, tier, unit, max({'effective_from': effective_from, 'rate': rate}) as newest
    from offered
    group by usage_date, price_key, tier, unit
),

rates as (
    select usage_date, price_key, 'paid' as tier, unit, rate from paid
    union all
    select usage_date, price_key, tier, unit, newest.rate as rate from newest
),

{# The rate of a class: that of its first unit that has one. #}
{% macro rate_of(class, tier) %}coalesce({% for unit in class.units %}max(case when tier = '{{ tier }}' and unit = '{{ unit }}' then rate end){{ ", " if not loop.last }}{% endfor %}){% endmacro %}
class_rates as (
    select
        usage_date,
        price_key,
{% for class in token_classes %}
        {{ rate_of(class, "paid") }} as {{ class.name }}_paid,
    {% for tier in tiers %}
        {{ rate_of(class, tier) }} as {{ class.name }}_{{ tier }},
    {% endfor %}
{% endfor %}
    from rates
    group by usage_date, price_key
),

{# What the book lists for cached reads in a tier, else what it lists there for the same input uncached: they can cost no more. #}
{% macro tier_rate(class, tier) %}{% if class.name == "cache_read" %}coalesce(r.cache_read_{{ tier }}, r.input_uncached_{{ tier }}){% else %}r.{{ class.name }}_{{ tier }}{% endif %}{% endmacro %}
{% macro cost_at(tier) %}0{% for class in token_classes %} + case when c.{{ class.tokens }} = 0 then 0 else cast(c.{{ class.tokens }} * {{ "r." ~ class.name ~ "_paid" if tier == "paid" else tier_rate(class, tier) }} * 0.000001 as decimal(38, 15)) end{% endfor %}{% endmacro %}
listed as (
    select
        c.*,
        cast({{ cost_at("paid") }} as decimal(38, 15)) as paid_listed_usd,
{% for tier in tiers %}
        c.is_priced and not c.is_stated
{% for class in token_classes %}
            and (c.{{ class.tokens }} = 0 or ({{ tier_rate(class, tier) }} is not null and r.{{ class.name }}_paid > 0))
{% endfor %} as has_{{ tier }},
        c.cache_read_tokens > 0 and r.cache_read_{{ tier }} is null and r.input_uncached_{{ tier }} is not null as is_{{ tier }}_cache_assumed,
        cast({{ cost_at(tier) }} as decimal(38, 15)) as {{ tier }}_listed_usd,
{% endfor %}
    from cells as c
    left join class_rates as r on c.usage_date = r.usage_date and c.price_key = r.price_key
),

-- Without a contract or another currency it is the list, exactly; else the same share of it.
compared as (
    select
        *,
{% for tier in tiers %}
        cast(
            case
                when effective_cost_usd - units_cost_usd = paid_listed_usd then {{ tier }}_listed_usd + units_cost_usd
                else cast({{ tier }}_listed_usd as double) * cast(effective_cost_usd - units_cost_usd as double)
                    / nullif(cast(paid_listed_usd as double), 0) + cast(units_cost_usd as double)
            end
            as decimal(38, 15)
        ) as {{ tier }}_cost_usd,
{% endfor %}
    from listed
),

summed as (
    select
        week_start_date,
        feature,
        provider,
        model_canonical,
        cast(sum(requests) as bigint) as requests,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(case when not is_priced then requests else 0 end) as bigint) as unpriced_requests,
        cast(sum(case when not is_priced then total_tokens else 0 end) as bigint) as unpriced_tokens,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        sum(cache_read_tokens) > 0 as has_cached,
{% for tier in tiers %}
        case
            when coalesce(sum(case when has_{{ tier }} then 1 end), 0) = 0 then 'no_price'
            when bool_or(is_priced and not coalesce(has_{{ tier }}, false)) then 'partly'
            else 'ok'
        end as {{ tier }}_status,
        bool_or(is_priced and not is_stated and not coalesce(has_{{ tier }}, false)) as lacks_{{ tier }},
        cast(sum(case when has_{{ tier }} then effective_cost_usd end) as decimal(38, 15)) as {{ tier }}_replaced_cost_usd,
        cast(sum(case when has_{{ tier }} then {{ tier }}_cost_usd end) as decimal(38, 15)) as {{ tier }}_cost_usd,
        coalesce(bool_or(has_{{ tier }} and is_{{ tier }}_cache_assumed), false) as is_{{ tier }}_cache_assumed,
{% endfor %}
    from compared
    group by week_start_date, feature, provider, model_canonical
),

week_costs as (
    select week_start_date, cast(sum(effective_cost_usd) as decimal(38, 15)) as week_cost_usd
    from stat_usage_cells_weekly
    group by week_start_date
),

saved as (
    select
        *,
        batch_replaced_cost_usd - batch_cost_usd as batch_saving_usd,
        flex_replaced_cost_usd - flex_cost_usd as flex_saving_usd,
        case
            when coalesce(batch_cost_usd, flex_cost_usd) is not null
                then cast(greatest(
                    coalesce(batch_replaced_cost_usd - batch_cost_usd, 0), coalesce(flex_replaced_cost_usd - flex_cost_usd, 0), 0
                ) as decimal(38, 15))
        end as best_saving_usd,
    from summed
)

select
    s.week_start_date,
    s.feature,
    s.provider,
    s.model_canonical,
    w.is_closed,
    s.requests,
    s.total_tokens,
    s.unpriced_requests,
    s.unpriced_tokens,
    s.effective_cost_usd,
{% for tier in tiers %}
    s.{{ tier }}_status,
    case
        when s.{{ tier }}_status = 'ok' then null
        when s.lacks_{{ tier }} then 'no_{{ tier }}_price'
        when s.effective_cost_usd is null then 'unpriced'
        else 'no_split'
    end as {{ tier }}_reason,
    s.{{ tier }}_replaced_cost_usd,
    s.{{ tier }}_cost_usd,
    s.{{ tier }}_saving_usd,
    cast(s.{{ tier }}_saving_usd as double) / nullif(cast(s.effective_cost_usd as double), 0) as {{ tier }}_saving_ratio,
    s.is_{{ tier }}_cache_assumed,
{% endfor %}
    c.week_cost_usd,
    s.best_saving_usd,
    cast(s.best_saving_usd as double) / nullif(cast(c.week_cost_usd as double), 0) as best_saving_ratio,
    case
        when s.best_saving_usd > 0
            then concat(
                case
                    when s.best_saving_usd = s.batch_saving_usd
                        then 'Answers may come up to 24 hours later, and calls can be sent together'
                    else 'Answers may take longer, and a call may be refused while the seller is busy'
                end,
                '; no call waits for the answer of one before it', case when s.has_cached then '; as much is read from the prompt cache there' else '' end,
                '; a contract''s discount holds there too.'
            )
    end as must_be_true,
    case
        when s.effective_cost_usd is null then 'What the calls cost is not known.'
        when s.best_saving_usd is null then concat('Nobody waits for these calls, but the price book has no batch or flex price of ', s.model_canonical, '.')
        when s.best_saving_usd = 0 then 'Batch and flex would save nothing.'
        else concat(
            'Nobody waits for these calls: ', case when s.best_saving_usd = s.batch_saving_usd then 'as a batch' else 'in the flex tier' end,
            ' they would have cost $', cast(cast(s.effective_cost_usd - s.best_saving_usd as decimal(38, 2)) as varchar),
            ' in place of $', cast(cast(s.effective_cost_usd as decimal(38, 2)) as varchar), '.'
        )
    end as sentence,
from saved as s
inner join weeks as w on s.week_start_date = w.week_start_date
inner join week_costs as c on s.week_start_date = c.week_start_date
