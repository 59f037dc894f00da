{#
What may price a combination of `conditioned`, each from an instant to another and for a range of context lengths, for ledger_rates:
`rated` has list prices, `in_day_overrides` what was negotiated, `self_hosted` the hours of own GPUs.
#}
{# A price of the book for the model of a combination, as long as it holds on the day. #}
{% set price_of_book %}
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
{%- endset %}
-- Rates of the combination itself (preference 0), and standard prices for an estimate where it has none.
stated as (
    select
        k.key_number,
        k.usage_date,
        0 as preference,
{{ price_of_book }}
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
{{ price_of_book }}
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
