/*
about: >-
  The rates that apply to the calls of a day: for every combination of seller, model, tier, region and contract scope that
  occurs, one row per box of time and context length, with list and contracted prices side by side. The boxes of a
  combination cover the whole day and every context length, also where there is no price.
grain:
  [usage_date, provider, model_canonical, service_tier, is_batch, speed, region, region_class, billing_account_scope,
   project_scope, feature_scope, customer_scope, rate_from_at, ctx_min_tokens]
partition: day
leads: [ledger_requests]
columns:
  usage_date: DATE; UTC day of the calls
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model in the price book; empty where the name of the call means none
  service_tier: VARCHAR; tier as the calls state it; empty where they state none
  is_batch: BOOLEAN; true for calls of a batch
  speed: VARCHAR; speed mode as the calls state it; empty where they state none
  region: VARCHAR; region as the calls state it; empty where they state none
  region_class: VARCHAR; geography that the model name carries; empty where it carries none
  billing_account_scope: VARCHAR; billing account of the calls if an override names it, else empty
  project_scope: VARCHAR; project of the calls (their attribute project_id) if an override names it, else empty
  feature_scope: VARCHAR; feature of the calls if an override names it, else empty
  customer_scope: VARCHAR; customer of the calls if an override names it, else empty
  rate_from_at: TIMESTAMP WITH TIME ZONE; start of the box
  rate_to_at: TIMESTAMP WITH TIME ZONE; end of the box, exclusive
  ctx_min_tokens: BIGINT; smallest context length of the box
  ctx_max_tokens: BIGINT; end of its context lengths, exclusive
  price_tier: VARCHAR; tier of the book that the calls were served in (standard, flex, priority, fast, provisioned, or as stated)
  price_processing: VARCHAR; sync or batch
  price_region_class: VARCHAR; region class of the book
  rate_status: VARCHAR; ok, or why there is no rate: unknown_model, unknown_tier, no_price_at_time
  rate_reason: VARCHAR; what exactly the book lacks; null where the status is ok
  is_standard: BOOLEAN; true for standard tier, synchronous, and a region whose prices are its base
  is_assumed: BOOLEAN; true where a token price of the box is marked assumed
  is_list_price: BOOLEAN; true where every contracted price equals the list price
  is_charged_by_usage: BOOLEAN; false for provisioned throughput, which a period charge pays for
  price_ids: VARCHAR[]; price rows that apply, in order; empty where the status is not ok
  price_currency: VARCHAR; currency that the list prices are stated in, by code; several where they differ; null where there are none
  fx_rate_to_usd: DECIMAL(38,12); dollars for one unit of that currency; null for USD, where no rate is known, and for several
  fx_rate_date: DATE; day from which that rate holds; null as the rate
  is_fx_rate_missing: BOOLEAN; true where fx_rates.csv has no rate for a price of the box, which then counts as unknown
  book_version: VARCHAR; hash of the prices and contracted rates that apply, so it changes only where they do
  override_steps: BIGINT; largest number of multipliers and uplifts on one price, at most 6 are applied
  input_uncached_list_usd_per_mtok: DECIMAL(18,9); list price of input uncached tokens, USD per million; null where the book has none
  input_audio_list_usd_per_mtok: DECIMAL(18,9); list price of input audio tokens, USD per million; null where the book has none
  input_image_list_usd_per_mtok: DECIMAL(18,9); list price of input image tokens, USD per million; null where the book has none
  input_other_list_usd_per_mtok: DECIMAL(18,9); list price of input other tokens, USD per million; null where the book has none
  cache_read_list_usd_per_mtok: DECIMAL(18,9); list price of cache read tokens, USD per million; null where the book has none
  cache_read_audio_list_usd_per_mtok: DECIMAL(18,9); list price of cache read audio tokens, USD per million; null where the book has none
  cache_read_image_list_usd_per_mtok: DECIMAL(18,9); list price of cache read image tokens, USD per million; null where the book has none
  cache_write_5m_list_usd_per_mtok: DECIMAL(18,9); list price of cache write 5m tokens, USD per million; null where the book has none
  cache_write_30m_list_usd_per_mtok: DECIMAL(18,9); list price of cache write 30m tokens, USD per million; null where the book has none
  cache_write_1h_list_usd_per_mtok: DECIMAL(18,9); list price of cache write 1h tokens, USD per million; null where the book has none
  cache_write_12h_list_usd_per_mtok: DECIMAL(18,9); list price of cache write 12h tokens, USD per million; null where the book has none
  cache_write_list_usd_per_mtok: DECIMAL(18,9); list price of cache write tokens, USD per million; null where the book has none
  output_text_list_usd_per_mtok: DECIMAL(18,9); list price of output text tokens, USD per million; null where the book has none
  output_reasoning_list_usd_per_mtok: DECIMAL(18,9); list price of output reasoning tokens, USD per million; null where the book has none
  output_audio_list_usd_per_mtok: DECIMAL(18,9); list price of output audio tokens, USD per million; null where the book has none
  output_image_list_usd_per_mtok: DECIMAL(18,9); list price of output image tokens, USD per million; null where the book has none
  input_uncached_usd_per_mtok: DECIMAL(18,9); contracted price of input uncached tokens, USD per million; null where there is none
  input_audio_usd_per_mtok: DECIMAL(18,9); contracted price of input audio tokens, USD per million; null where there is none
  input_image_usd_per_mtok: DECIMAL(18,9); contracted price of input image tokens, USD per million; null where there is none
  input_other_usd_per_mtok: DECIMAL(18,9); contracted price of input other tokens, USD per million; null where there is none
  cache_read_usd_per_mtok: DECIMAL(18,9); contracted price of cache read tokens, USD per million; null where there is none
  cache_read_audio_usd_per_mtok: DECIMAL(18,9); contracted price of cache read audio tokens, USD per million; null where there is none
  cache_read_image_usd_per_mtok: DECIMAL(18,9); contracted price of cache read image tokens, USD per million; null where there is none
  cache_write_5m_usd_per_mtok: DECIMAL(18,9); contracted price of cache write 5m tokens, USD per million; null where there is none
  cache_write_30m_usd_per_mtok: DECIMAL(18,9); contracted price of cache write 30m tokens, USD per million; null where there is none
  cache_write_1h_usd_per_mtok: DECIMAL(18,9); contracted price of cache write 1h tokens, USD per million; null where there is none
  cache_write_12h_usd_per_mtok: DECIMAL(18,9); contracted price of cache write 12h tokens, USD per million; null where there is none
  cache_write_usd_per_mtok: DECIMAL(18,9); contracted price of cache write tokens, USD per million; null where there is none
  output_text_usd_per_mtok: DECIMAL(18,9); contracted price of output text tokens, USD per million; null where there is none
  output_reasoning_usd_per_mtok: DECIMAL(18,9); contracted price of output reasoning tokens, USD per million; null where there is none
  output_audio_usd_per_mtok: DECIMAL(18,9); contracted price of output audio tokens, USD per million; null where there is none
  output_image_usd_per_mtok: DECIMAL(18,9); contracted price of output image tokens, USD per million; null where there is none
  unit_list_usd_per_million: MAP(VARCHAR, DECIMAL(28,9)); list price of other units by unit, USD per million
  unit_usd_per_million: MAP(VARCHAR, DECIMAL(28,9)); contracted price of other units by unit, USD per million
  native_list_per_million: MAP(VARCHAR, DECIMAL(28,9)); list prices by the book's units as stated, in price_currency; null for USD and for several
checks:
  - one_of: [rate_status, ok, unknown_model, unknown_tier, no_price_at_time]
  - rule: rate_from_at < rate_to_at and ctx_min_tokens < ctx_max_tokens
    text: no box is empty
  - between: [override_steps, 0, 6]
notes:
  - Where the status is unknown_tier, list and contracted columns hold the standard price, for an estimate only.
  - A price in another currency becomes USD by the rate of fx_rates.csv in force on the day, rounded once, to nine places.
  - A model of gpu_pools.csv that has no price in the book takes the rates of its hours from ledger_gpu_rates.
*/
with scopes as (
    select distinct
        split_part(scope, '=', 1) as scope_kind,
        substr(scope, length(split_part(scope, '=', 1)) + 2) as scope_value,
    from ref_price_overrides
    where scope is not null and scope <> ''
),

keys as (
    select distinct
        cast(q.started_at as date) as usage_date,
        q.provider,
        coalesce(q.model_canonical, '') as model_canonical,
        coalesce(q.service_tier, '') as service_tier,
        coalesce(q.is_batch, false) as is_batch,
        coalesce(q.speed, '') as speed,
        coalesce(q.region, '') as region,
        coalesce(q.region_class, '') as region_class,
        coalesce(a.scope_value, '') as billing_account_scope,
        coalesce(p.scope_value, '') as project_scope,
        coalesce(f.scope_value, '') as feature_scope,
        coalesce(c.scope_value, '') as customer_scope,
    from ledger_requests as q
    left join scopes as a
        on a.scope_kind = 'billing_account_id' and a.scope_value = q.billing_account_id
    left join scopes as p
        on p.scope_kind = 'project_id' and p.scope_value = q.attributes['project_id']
    left join scopes as f
        on f.scope_kind = 'feature' and f.scope_value = q.feature
    left join scopes as c
        on c.scope_kind = 'customer_id' and c.scope_value = q.customer_id
    where q.is_billable_leaf
),

book as (
    select
        *,
        -- Prices of tokens and of other units alike for a million of them.
        cast(
            cast(unit_price as decimal(28, 9)) * cast(1000000 // per_units as bigint) as decimal(28, 9)
        ) as native_rate,
    from ref_price_book
    where superseded_at = timestamptz '9999-12-31 00:00:00+00'
),

-- A rate to USD holds until the currency's next one.
currency_rates as (
    select
        currency,
        cast(fx_rate_to_usd as decimal(18, 9)) as fx_rate_to_usd,
        rate_date,
        coalesce(lead(rate_date) over (partition by currency order by rate_date), date '9999-12-31') as next_rate_date,
    from ref_fx_rates
    where currency <> 'USD'
),

book_conditions as (
    select distinct provider, model_id, service_tier, processing, region_class
    from book
),

read_keys as (
    select
        *,
        cast(usage_date as varchar) || ' 00:00:00+00' as day_text,
        lower(service_tier) as tier_word,
        lower(region) as region_word,
        -- Bit 0 is Monday, as in the book; 1900-01-01 was one.
        cast(power(2, date_diff('day', date '1900-01-01', usage_date) % 7) as smallint) as weekday_bit,
        row_number() over (
            order by
                usage_date, provider, model_canonical, service_tier, is_batch, speed, region, region_class,
                billing_account_scope, project_scope, feature_scope, customer_scope
        ) as key_number,
    from keys
),

conditioned as (
    select
        k.*,
        cast(k.day_text as timestamp with time zone) as day_from_at,
        cast(k.day_text as timestamp with time zone) + interval 1 day as day_to_at,
        case when k.is_batch or k.tier_word = 'batch' then 'batch' else 'sync' end as price_processing,
        -- Words of OpenAI, Anthropic, the Gemini API and Vertex AI's traffic types.
        case
            when lower(k.speed) = 'fast' then 'fast'
            when k.tier_word in (
                '', 'default', 'standard', 'auto', 'standard_only', 'on_demand', 'unspecified', 'batch', 'traffic_type_unspecified',
                'service_tier_unspecified'
            ) then 'standard'
            when k.tier_word in ('flex', 'on_demand_flex', 'flex_discount') then 'flex'
            when k.tier_word in ('priority', 'on_demand_priority', 'priority_on_demand') then 'priority'
            when k.tier_word in ('provisioned', 'provisioned_throughput', 'ptu', 'reserved') then 'provisioned'
            else k.tier_word
        end as price_tier,
        case
            when k.region_class <> '' then k.region_class
            when r.region_class is not null then r.region_class
            when k.provider = 'bedrock' and starts_with(k.region_word, 'us-gov') then 'gov'
            when k.provider = 'bedrock' then 'regional'
            when k.provider = 'vertex' and k.region_word not in ('', 'global') then 'regional'
            -- Data residency of the makers' own APIs; any other text is where the caller sits.
            when k.provider in ('openai', 'anthropic')
                and k.region_word in ('us', 'eu', 'uk', 'apac', 'jp', 'au', 'ca', 'in', 'sg', 'kr', 'ae', 'ch')
                then k.region_word
            else 'global'
        end as price_region_class,
    from read_keys as k
    left join (select distinct provider, model_id, region_class from book_conditions) as r
        on r.provider = k.provider and r.model_id = k.model_canonical and r.region_class = k.region_word
),

-- Rates of the combination itself (preference 0), and standard prices for an estimate where it has none.
stated as (
    select
        k.key_number,
        k.usage_date,
        0 as preference,
        b.price_id,
        b.unit,
        b.per_units,
        b.currency,
        b.native_rate,
        b.confidence,
        b.ctx_min_tokens,
        b.ctx_max_tokens,
        greatest(k.day_from_at, b.effective_from, k.day_from_at + b.window_from_s * interval 1 second) as rate_from_at,
        least(k.day_to_at, b.effective_to, k.day_from_at + b.window_to_s * interval 1 second) as rate_to_at,
    from conditioned as k
    inner join book as b
        on b.provider = k.provider
        and b.model_id = k.model_canonical
        -- Provisioned throughput keeps the on-demand price as its list price: the basis of allocation.
        and b.service_tier = case when k.price_tier = 'provisioned' then 'standard' else k.price_tier end
        and b.processing = k.price_processing
        and b.region_class = k.price_region_class
        and b.effective_from < k.day_to_at
        and b.effective_to > k.day_from_at
        and (b.weekday_mask & k.weekday_bit) <> 0
    union all
    select
        k.key_number,
        k.usage_date,
        case when b.region_class = k.price_region_class then 1 else 2 end as preference,
        b.price_id,
        b.unit,
        b.per_units,
        b.currency,
        b.native_rate,
        b.confidence,
        b.ctx_min_tokens,
        b.ctx_max_tokens,
        greatest(k.day_from_at, b.effective_from, k.day_from_at + b.window_from_s * interval 1 second) as rate_from_at,
        least(k.day_to_at, b.effective_to, k.day_from_at + b.window_to_s * interval 1 second) as rate_to_at,
    from conditioned as k
    inner join book as b
        on b.provider = k.provider
        and b.model_id = k.model_canonical
        and b.service_tier = 'standard'
        and b.processing = 'sync'
        and (b.region_class = k.price_region_class or b.region_class = 'global')
        and b.effective_from < k.day_to_at
        and b.effective_to > k.day_from_at
        and (b.weekday_mask & k.weekday_bit) <> 0
    where not (k.price_tier in ('standard', 'provisioned') and k.price_processing = 'sync' and k.price_region_class = 'global')
),

-- Derived prices of own GPUs hold for every tier: the hour costs what it costs. A price in the book goes before them.
self_hosted as (
    select
        k.key_number,
        g.price_id,
        g.unit,
        g.full_usd_per_mtok,
        g.rate_reason,
        g.hour_from_at,
        g.hour_to_at,
    from conditioned as k
    inner join ledger_gpu_rates as g
        on g.provider = k.provider
        and g.model_canonical = k.model_canonical
        and g.hour_from_at >= k.day_from_at
        and g.hour_from_at < k.day_to_at
    where not exists (
        select 1
        from book as b
        where b.provider = g.provider
            and b.model_id = g.model_canonical
            and b.effective_from < g.hour_to_at
            and b.effective_to > g.hour_from_at
    )
),

pieces as (
    select
        s.key_number,
        s.preference,
        s.price_id,
        s.unit,
        s.per_units,
        s.currency,
        x.fx_rate_to_usd,
        x.rate_date as fx_rate_date,
        s.native_rate,
        case
            when s.currency = 'USD' then s.native_rate
            else cast(cast(s.native_rate as decimal(20, 9)) * x.fx_rate_to_usd as decimal(28, 9))
        end as list_rate,
        s.confidence,
        s.ctx_min_tokens,
        s.ctx_max_tokens,
        s.rate_from_at,
        s.rate_to_at,
    from stated as s
    left join currency_rates as x
        on x.currency = s.currency and s.usage_date >= x.rate_date and s.usage_date < x.next_rate_date
    union all
    select
        key_number,
        0 as preference,
        price_id,
        unit,
        cast(1000000 as bigint) as per_units,
        'USD' as currency,
        cast(null as decimal(18, 9)) as fx_rate_to_usd,
        cast(null as date) as fx_rate_date,
        cast(full_usd_per_mtok as decimal(28, 9)) as native_rate,
        cast(full_usd_per_mtok as decimal(28, 9)) as list_rate,
        'derived' as confidence,
        cast(0 as bigint) as ctx_min_tokens,
        cast(4611686018427387904 as bigint) as ctx_max_tokens,
        hour_from_at as rate_from_at,
        hour_to_at as rate_to_at,
    from self_hosted
    where full_usd_per_mtok is not null
),

rated as (
    select *
    from pieces
    where rate_from_at < rate_to_at
),

overrides as (
    select
        k.key_number,
        o.kind,
        o.unit,
        -- A negotiated price in a currency without a rate is unknown; multipliers have no currency.
        case
            when coalesce(o.currency, 'USD') = 'USD' or o.kind <> 'absolute' then cast(o.value as decimal(18, 9))
            else cast(cast(o.value as decimal(18, 9)) * x.fx_rate_to_usd as decimal(18, 9))
        end as override_value,
        o.sequence,
        o.reference_row,
        coalesce(o.ctx_min_tokens, 0) as ctx_min_tokens,
        coalesce(o.ctx_max_tokens, 4611686018427387904) as ctx_max_tokens,
        greatest(
            k.day_from_at, coalesce(o.effective_from, k.day_from_at), k.day_from_at + coalesce(o.window_from_s, 0) * interval 1 second
        ) as rate_from_at,
        least(
            k.day_to_at, coalesce(o.effective_to, k.day_to_at), k.day_from_at + coalesce(o.window_to_s, 86400) * interval 1 second
        ) as rate_to_at,
    from conditioned as k
    inner join ref_price_overrides as o
        on (o.provider is null or o.provider = k.provider)
        and (o.model_id is null or o.model_id = k.model_canonical)
        and (o.service_tier is null or o.service_tier = k.price_tier)
        and (o.processing is null or o.processing = k.price_processing)
        and (o.region_class is null or o.region_class = k.price_region_class)
        and (
            o.scope is null
            or o.scope = ''
            or o.scope = 'billing_account_id=' || k.billing_account_scope
            or o.scope = 'project_id=' || k.project_scope
            or o.scope = 'feature=' || k.feature_scope
            or o.scope = 'customer_id=' || k.customer_scope
        )
        and (o.effective_from is null or o.effective_from < k.day_to_at)
        and (o.effective_to is null or o.effective_to > k.day_from_at)
        and (o.weekday_mask is null or (o.weekday_mask & k.weekday_bit) <> 0)
    left join currency_rates as x
        on x.currency = o.currency and k.usage_date >= x.rate_date and k.usage_date < x.next_rate_date
    where k.model_canonical <> ''
),

in_day_overrides as (
    select *
    from overrides
    where rate_from_at < rate_to_at
),

instants as (
    select key_number, rate_from_at as instant_at from rated
    union
    select key_number, rate_to_at as instant_at from rated
    union
    select key_number, rate_from_at as instant_at from in_day_overrides
    union
    select key_number, rate_to_at as instant_at from in_day_overrides
    union
    select key_number, day_from_at as instant_at from conditioned
    union
    select key_number, day_to_at as instant_at from conditioned
),

spans as (
    select
        key_number,
        instant_at as rate_from_at,
        lead(instant_at) over (partition by key_number order by instant_at) as rate_to_at,
    from instants
),

lengths as (
    select key_number, ctx_min_tokens as ctx_tokens from rated
    union
    select key_number, ctx_max_tokens as ctx_tokens from rated
    union
    select key_number, ctx_min_tokens as ctx_tokens from in_day_overrides
    union
    select key_number, ctx_max_tokens as ctx_tokens from in_day_overrides
    union
    select key_number, cast(0 as bigint) as ctx_tokens from conditioned
    union
    select key_number, 4611686018427387904 as ctx_tokens from conditioned
),

ranges as (
    select
        key_number,
        ctx_tokens as ctx_min_tokens,
        lead(ctx_tokens) over (partition by key_number order by ctx_tokens) as ctx_max_tokens,
    from lengths
),

boxes as (
    select
        s.key_number,
        s.rate_from_at,
        s.rate_to_at,
        r.ctx_min_tokens,
        r.ctx_max_tokens,
    from spans as s
    inner join ranges as r
        on r.key_number = s.key_number
    where s.rate_to_at is not null and r.ctx_max_tokens is not null
),

-- Every rate that covers a box; the prices of the combination itself before those of the estimate.
covering as (
    select
        x.key_number,
        x.rate_from_at,
        x.ctx_min_tokens,
        p.preference,
        p.price_id,
        p.unit,
        p.per_units,
        p.currency,
        p.fx_rate_to_usd,
        p.fx_rate_date,
        p.native_rate,
        p.list_rate,
        p.confidence,
        -- A list that has but other units for a box (a web search) says nothing about its tokens.
        coalesce(
            min(case when p.unit in (
                'audio_cache_read', 'audio_in', 'audio_out', 'cache_read', 'cache_write',
                'cache_write_12h', 'cache_write_1h', 'cache_write_30m', 'cache_write_5m', 'image_cache_read',
                'image_in', 'image_out', 'input', 'input_other', 'output',
                'output_reasoning'
            ) then p.preference end) over (
                partition by x.key_number, x.rate_from_at, x.ctx_min_tokens
            ),
            min(p.preference) over (partition by x.key_number, x.rate_from_at, x.ctx_min_tokens)
        ) as best_preference,
    from boxes as x
    inner join rated as p
        on p.key_number = x.key_number
        and p.rate_from_at <= x.rate_from_at
        and p.rate_to_at > x.rate_from_at
        and p.ctx_min_tokens <= x.ctx_min_tokens
        and p.ctx_max_tokens > x.ctx_min_tokens
),

listed as (
    select *
    from covering
    where preference = best_preference
),

covering_overrides as (
    select
        x.key_number,
        x.rate_from_at,
        x.ctx_min_tokens,
        o.kind,
        o.unit,
        o.override_value,
        o.sequence,
        o.reference_row,
    from boxes as x
    inner join in_day_overrides as o
        on o.key_number = x.key_number
        and o.rate_from_at <= x.rate_from_at
        and o.rate_to_at > x.rate_from_at
        and o.ctx_min_tokens <= x.ctx_min_tokens
        and o.ctx_max_tokens > x.ctx_min_tokens
),

negotiated as (
    select key_number, rate_from_at, ctx_min_tokens, unit, override_value
    from covering_overrides
    where kind = 'absolute' and unit is not null
    qualify row_number() over (
        partition by key_number, rate_from_at, ctx_min_tokens, unit
        order by sequence desc, reference_row desc
    ) = 1
),

-- List and negotiated price of every unit of a box. A negotiated price stands in for a list price that the book lacks.
unit_prices as (
    select
        coalesce(p.key_number, n.key_number) as key_number,
        coalesce(p.rate_from_at, n.rate_from_at) as rate_from_at,
        coalesce(p.ctx_min_tokens, n.ctx_min_tokens) as ctx_min_tokens,
        coalesce(p.unit, n.unit) as unit,
        coalesce(p.preference, 0) as preference,
        p.price_id,
        p.currency,
        p.fx_rate_to_usd,
        p.fx_rate_date,
        p.native_rate,
        p.confidence,
        case
            when n.unit is null or n.override_value is not null
                then coalesce(p.list_rate, cast(n.override_value * cast(coalesce(1000000 // p.per_units, case when n.unit in (
                'audio_cache_read', 'audio_in', 'audio_out', 'cache_read', 'cache_write',
                'cache_write_12h', 'cache_write_1h', 'cache_write_30m', 'cache_write_5m', 'image_cache_read',
                'image_in', 'image_out', 'input', 'input_other', 'output',
                'output_reasoning'
            ) then 1 else 1000000 end) as bigint) as decimal(28, 9)))
        end as list_rate,
        case
            when n.unit is null or n.override_value is not null
                then coalesce(cast(n.override_value * cast(coalesce(1000000 // p.per_units, case when n.unit in (
                'audio_cache_read', 'audio_in', 'audio_out', 'cache_read', 'cache_write',
                'cache_write_12h', 'cache_write_1h', 'cache_write_30m', 'cache_write_5m', 'image_cache_read',
                'image_in', 'image_out', 'input', 'input_other', 'output',
                'output_reasoning'
            ) then 1 else 1000000 end) as bigint) as decimal(28, 9)), p.list_rate)
        end as negotiated_rate,
    from listed as p
    full outer join negotiated as n
        on n.key_number = p.key_number
        and n.rate_from_at = p.rate_from_at
        and n.ctx_min_tokens = p.ctx_min_tokens
        and n.unit = p.unit
),

factors as (
    select
        p.key_number,
        p.rate_from_at,
        p.ctx_min_tokens,
        p.unit,
        cast(case when o.kind = 'uplift' then 1 + o.override_value else o.override_value end as decimal(9, 8)) as factor,
        row_number() over (
            partition by p.key_number, p.rate_from_at, p.ctx_min_tokens, p.unit
            order by o.sequence, o.reference_row
        ) as step,
    from unit_prices as p
    inner join covering_overrides as o
        on o.key_number = p.key_number
        and o.rate_from_at = p.rate_from_at
        and o.ctx_min_tokens = p.ctx_min_tokens
        and (o.unit is null or o.unit = p.unit)
    where o.kind in ('multiplier', 'uplift')
),

unit_factors as (
    select
        key_number,
        rate_from_at,
        ctx_min_tokens,
        unit,
        count(*) as steps,
        coalesce(max(case when step = 1 then factor end), 1) as factor_1,
        coalesce(max(case when step = 2 then factor end), 1) as factor_2,
        coalesce(max(case when step = 3 then factor end), 1) as factor_3,
        coalesce(max(case when step = 4 then factor end), 1) as factor_4,
        coalesce(max(case when step = 5 then factor end), 1) as factor_5,
        coalesce(max(case when step = 6 then factor end), 1) as factor_6,
    from factors
    group by key_number, rate_from_at, ctx_min_tokens, unit
),

contracted as (
    select
        p.key_number,
        p.rate_from_at,
        p.ctx_min_tokens,
        p.unit,
        p.preference,
        p.price_id,
        p.currency,
        p.fx_rate_to_usd,
        p.fx_rate_date,
        p.native_rate,
        p.confidence,
        p.list_rate,
        coalesce(f.steps, 0) as steps,
        -- 22 places carry two factors exactly; the price is rounded to its nine places once, at the end.
        case
            when f.steps is null then p.negotiated_rate
            else cast(
                cast(
                    cast(
                    cast(
                    cast(
                    cast(
                    cast(
                    cast(p.negotiated_rate as decimal(38, 22)) * f.factor_1 as decimal(38, 22)
                ) * f.factor_2 as decimal(38, 22)
                ) * f.factor_3 as decimal(38, 22)
                ) * f.factor_4 as decimal(38, 22)
                ) * f.factor_5 as decimal(38, 22)
                ) * f.factor_6 as decimal(38, 22)
                ) as decimal(28, 9)
            )
        end as contracted_rate,
    from unit_prices as p
    left join unit_factors as f
        on f.key_number = p.key_number
        and f.rate_from_at = p.rate_from_at
        and f.ctx_min_tokens = p.ctx_min_tokens
        and f.unit = p.unit
),

-- What a request calls its units, beside the book's own word.
unit_words as (
    select 'web_search' as unit, 'web_searches' as word
    union all
    select 'web_search' as unit, 'web_search_requests' as word
    union all
    select 'web_search' as unit, 'web_search_queries' as word
    union all
    select 'web_search' as unit, 'grounding' as word
    union all
    select 'web_search' as unit, 'grounding_queries' as word
    union all
    select 'file_search' as unit, 'file_searches' as word
    union all
    select 'request' as unit, 'requests' as word
    union all
    select 'page' as unit, 'pages' as word
    union all
    select 'character' as unit, 'characters' as word
),

other_units as (
    select key_number, rate_from_at, ctx_min_tokens, unit as word, list_rate, contracted_rate
    from contracted
    where unit not in (
                'audio_cache_read', 'audio_in', 'audio_out', 'cache_read', 'cache_write',
                'cache_write_12h', 'cache_write_1h', 'cache_write_30m', 'cache_write_5m', 'image_cache_read',
                'image_in', 'image_out', 'input', 'input_other', 'output',
                'output_reasoning'
            )
    union all
    select p.key_number, p.rate_from_at, p.ctx_min_tokens, s.word, p.list_rate, p.contracted_rate
    from contracted as p
    inner join unit_words as s
        on s.unit = p.unit
    where not exists (
        select 1
        from contracted as own
        where own.key_number = p.key_number
            and own.rate_from_at = p.rate_from_at
            and own.ctx_min_tokens = p.ctx_min_tokens
            and own.unit = s.word
    )
),

box_units as (
    select
        key_number,
        rate_from_at,
        ctx_min_tokens,
        map_from_entries(list(struct_pack(key := word, value := list_rate) order by word)) as unit_list_usd_per_million,
        map_from_entries(list(struct_pack(key := word, value := contracted_rate) order by word)) as unit_usd_per_million,
    from other_units
    group by key_number, rate_from_at, ctx_min_tokens
),

box_rates as (
    select
        key_number,
        rate_from_at,
        ctx_min_tokens,
        min(preference) as preference,
        coalesce(bool_or(confidence = 'assumed' and unit in (
                'audio_cache_read', 'audio_in', 'audio_out', 'cache_read', 'cache_write',
                'cache_write_12h', 'cache_write_1h', 'cache_write_30m', 'cache_write_5m', 'image_cache_read',
                'image_in', 'image_out', 'input', 'input_other', 'output',
                'output_reasoning'
            )), false) as is_assumed,
        bool_and(list_rate = contracted_rate) as is_list_price,
        max(steps) as override_steps,
        bool_or(list_rate is null) as is_fx_rate_missing,
        nullif(array_to_string(list_sort(list(distinct currency) filter (currency is not null)), ','), '') as price_currency,
        case when count(distinct currency) = 1 then max(fx_rate_to_usd) end as fx_rate_to_usd,
        case when count(distinct currency) = 1 then max(fx_rate_date) end as fx_rate_date,
        case
            when count(distinct currency) = 1 and max(currency) <> 'USD'
                then map_from_entries(
                    list(struct_pack(key := unit, value := native_rate) order by unit) filter (native_rate is not null)
                )
        end as native_list_per_million,
        list_sort(list(distinct price_id) filter (where price_id is not null)) as price_ids,
        string_agg(unit || ' ' || cast(contracted_rate as varchar), ',' order by unit) as contracted_text,
        cast(max(case when unit = 'input' then list_rate end) as decimal(18, 9)) as input_uncached_list_usd_per_mtok,
        cast(max(case when unit = 'audio_in' then list_rate end) as decimal(18, 9)) as input_audio_list_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'image_in' then list_rate end),
                max(case when unit = 'input' then list_rate end)
            ) as decimal(18, 9)
        ) as input_image_list_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'input_other' then list_rate end),
                max(case when unit = 'input' then list_rate end)
            ) as decimal(18, 9)
        ) as input_other_list_usd_per_mtok,
        cast(max(case when unit = 'cache_read' then list_rate end) as decimal(18, 9)) as cache_read_list_usd_per_mtok,
        cast(max(case when unit = 'audio_cache_read' then list_rate end) as decimal(18, 9)) as cache_read_audio_list_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'image_cache_read' then list_rate end),
                max(case when unit = 'cache_read' then list_rate end)
            ) as decimal(18, 9)
        ) as cache_read_image_list_usd_per_mtok,
        cast(max(case when unit = 'cache_write_5m' then list_rate end) as decimal(18, 9)) as cache_write_5m_list_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'cache_write_30m' then list_rate end),
                max(case when unit = 'cache_write_5m' then list_rate end)
            ) as decimal(18, 9)
        ) as cache_write_30m_list_usd_per_mtok,
        cast(max(case when unit = 'cache_write_1h' then list_rate end) as decimal(18, 9)) as cache_write_1h_list_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'cache_write_12h' then list_rate end),
                max(case when unit = 'cache_write_5m' then list_rate end)
            ) as decimal(18, 9)
        ) as cache_write_12h_list_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'cache_write' then list_rate end),
                max(case when unit = 'cache_write_5m' then list_rate end)
            ) as decimal(18, 9)
        ) as cache_write_list_usd_per_mtok,
        cast(max(case when unit = 'output' then list_rate end) as decimal(18, 9)) as output_text_list_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'output_reasoning' then list_rate end),
                max(case when unit = 'output' then list_rate end)
            ) as decimal(18, 9)
        ) as output_reasoning_list_usd_per_mtok,
        cast(max(case when unit = 'audio_out' then list_rate end) as decimal(18, 9)) as output_audio_list_usd_per_mtok,
        cast(max(case when unit = 'image_out' then list_rate end) as decimal(18, 9)) as output_image_list_usd_per_mtok,
        cast(max(case when unit = 'input' then contracted_rate end) as decimal(18, 9)) as input_uncached_usd_per_mtok,
        cast(max(case when unit = 'audio_in' then contracted_rate end) as decimal(18, 9)) as input_audio_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'image_in' then contracted_rate end),
                max(case when unit = 'input' then contracted_rate end)
            ) as decimal(18, 9)
        ) as input_image_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'input_other' then contracted_rate end),
                max(case when unit = 'input' then contracted_rate end)
            ) as decimal(18, 9)
        ) as input_other_usd_per_mtok,
        cast(max(case when unit = 'cache_read' then contracted_rate end) as decimal(18, 9)) as cache_read_usd_per_mtok,
        cast(max(case when unit = 'audio_cache_read' then contracted_rate end) as decimal(18, 9)) as cache_read_audio_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'image_cache_read' then contracted_rate end),
                max(case when unit = 'cache_read' then contracted_rate end)
            ) as decimal(18, 9)
        ) as cache_read_image_usd_per_mtok,
        cast(max(case when unit = 'cache_write_5m' then contracted_rate end) as decimal(18, 9)) as cache_write_5m_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'cache_write_30m' then contracted_rate end),
                max(case when unit = 'cache_write_5m' then contracted_rate end)
            ) as decimal(18, 9)
        ) as cache_write_30m_usd_per_mtok,
        cast(max(case when unit = 'cache_write_1h' then contracted_rate end) as decimal(18, 9)) as cache_write_1h_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'cache_write_12h' then contracted_rate end),
                max(case when unit = 'cache_write_5m' then contracted_rate end)
            ) as decimal(18, 9)
        ) as cache_write_12h_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'cache_write' then contracted_rate end),
                max(case when unit = 'cache_write_5m' then contracted_rate end)
            ) as decimal(18, 9)
        ) as cache_write_usd_per_mtok,
        cast(max(case when unit = 'output' then contracted_rate end) as decimal(18, 9)) as output_text_usd_per_mtok,
        cast(
            coalesce(
                max(case when unit = 'output_reasoning' then contracted_rate end),
                max(case when unit = 'output' then contracted_rate end)
            ) as decimal(18, 9)
        ) as output_reasoning_usd_per_mtok,
        cast(max(case when unit = 'audio_out' then contracted_rate end) as decimal(18, 9)) as output_audio_usd_per_mtok,
        cast(max(case when unit = 'image_out' then contracted_rate end) as decimal(18, 9)) as output_image_usd_per_mtok,
    from contracted
    group by key_number, rate_from_at, ctx_min_tokens
),

-- Instants of the day at which the combination itself has a price for some context length.
own_spans as (
    select distinct x.key_number, x.rate_from_at
    from boxes as x
    inner join rated as p
        on p.key_number = x.key_number and p.rate_from_at <= x.rate_from_at and p.rate_to_at > x.rate_from_at
    where p.preference = 0
),

judged as (
    select
        k.*,
        x.rate_from_at,
        x.rate_to_at,
        x.ctx_min_tokens,
        x.ctx_max_tokens,
        case
            when k.model_canonical = '' then 'unknown_model'
            when r.preference = 0 then 'ok'
            when s.key_number is not null then 'unknown_tier'
            when own.model_id is not null then 'no_price_at_time'
            when known.model_id is not null then 'unknown_tier'
            else 'no_price_at_time'
        end as rate_status,
        case
            when k.model_canonical = '' then 'name_not_mapped'
            when r.preference = 0 then null
            when s.key_number is not null then 'no_row_for_context_length'
            when h.rate_reason is not null then h.rate_reason
            when own.model_id is not null then 'no_row_at_time'
            when known.model_id is not null
                then 'no_row_for ' || k.price_tier || '/' || k.price_processing || '/' || k.price_region_class
            else 'no_row_for_model'
        end as rate_reason,
    from boxes as x
    inner join conditioned as k
        on k.key_number = x.key_number
    left join box_rates as r
        on r.key_number = x.key_number and r.rate_from_at = x.rate_from_at and r.ctx_min_tokens = x.ctx_min_tokens
    left join own_spans as s
        on s.key_number = x.key_number and s.rate_from_at = x.rate_from_at
    left join book_conditions as own
        on own.provider = k.provider
        and own.model_id = k.model_canonical
        and own.service_tier = case when k.price_tier = 'provisioned' then 'standard' else k.price_tier end
        and own.processing = k.price_processing
        and own.region_class = k.price_region_class
    left join (
        select key_number, min(rate_reason) as rate_reason
        from self_hosted
        where rate_reason is not null
        group by key_number
    ) as h
        on h.key_number = x.key_number
    left join (select distinct provider, model_id from book_conditions) as known
        on known.provider = k.provider and known.model_id = k.model_canonical
)

select
    j.usage_date,
    j.provider,
    j.model_canonical,
    j.service_tier,
    j.is_batch,
    j.speed,
    j.region,
    j.region_class,
    j.billing_account_scope,
    j.project_scope,
    j.feature_scope,
    j.customer_scope,
    j.rate_from_at,
    j.rate_to_at,
    j.ctx_min_tokens,
    j.ctx_max_tokens,
    j.price_tier,
    j.price_processing,
    j.price_region_class,
    j.rate_status,
    j.rate_reason,
    j.price_tier in ('standard', 'provisioned') and j.price_processing = 'sync' as is_standard,
    coalesce(r.is_assumed, false) as is_assumed,
    coalesce(r.is_list_price, true) as is_list_price,
    j.price_tier <> 'provisioned' as is_charged_by_usage,
    case when j.rate_status = 'ok' then r.price_ids else cast([] as varchar[]) end as price_ids,
    r.price_currency,
    cast(r.fx_rate_to_usd as decimal(38, 12)) as fx_rate_to_usd,
    r.fx_rate_date,
    coalesce(r.is_fx_rate_missing, false) as is_fx_rate_missing,
    case
        when j.rate_status = 'ok'
            then substr(sha256(coalesce(array_to_string(r.price_ids, ','), '') || '|' || r.contracted_text), 1, 12)
    end as book_version,
    cast(coalesce(r.override_steps, 0) as bigint) as override_steps,
    r.input_uncached_list_usd_per_mtok,
    r.input_audio_list_usd_per_mtok,
    r.input_image_list_usd_per_mtok,
    r.input_other_list_usd_per_mtok,
    r.cache_read_list_usd_per_mtok,
    r.cache_read_audio_list_usd_per_mtok,
    r.cache_read_image_list_usd_per_mtok,
    r.cache_write_5m_list_usd_per_mtok,
    r.cache_write_30m_list_usd_per_mtok,
    r.cache_write_1h_list_usd_per_mtok,
    r.cache_write_12h_list_usd_per_mtok,
    r.cache_write_list_usd_per_mtok,
    r.output_text_list_usd_per_mtok,
    r.output_reasoning_list_usd_per_mtok,
    r.output_audio_list_usd_per_mtok,
    r.output_image_list_usd_per_mtok,
    r.input_uncached_usd_per_mtok,
    r.input_audio_usd_per_mtok,
    r.input_image_usd_per_mtok,
    r.input_other_usd_per_mtok,
    r.cache_read_usd_per_mtok,
    r.cache_read_audio_usd_per_mtok,
    r.cache_read_image_usd_per_mtok,
    r.cache_write_5m_usd_per_mtok,
    r.cache_write_30m_usd_per_mtok,
    r.cache_write_1h_usd_per_mtok,
    r.cache_write_12h_usd_per_mtok,
    r.cache_write_usd_per_mtok,
    r.output_text_usd_per_mtok,
    r.output_reasoning_usd_per_mtok,
    r.output_audio_usd_per_mtok,
    r.output_image_usd_per_mtok,
    u.unit_list_usd_per_million,
    u.unit_usd_per_million,
    r.native_list_per_million,
from judged as j
left join box_rates as r
    on r.key_number = j.key_number and r.rate_from_at = j.rate_from_at and r.ctx_min_tokens = j.ctx_min_tokens
left join box_units as u
    on u.key_number = j.key_number and u.rate_from_at = j.rate_from_at and u.ctx_min_tokens = j.ctx_min_tokens
