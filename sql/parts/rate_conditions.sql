{#
What the calls of a day ask of the price book, for ledger_rates: `conditioned` has a row for each combination of seller, model, tier,
region and contract scope that occurs, with the words that the book has for them. Also `book` (its prices in force),
`book_conditions` (for what it has any) and `currency_rates`.
#}
{% from "macros/rate_keys.sql" import keys_of_calls with context %}
scopes as (
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
{{ keys_of_calls }}
        coalesce(a.scope_value, '') as billing_account_scope,
        coalesce(p.scope_value, '') as project_scope,
        coalesce(f.scope_value, '') as feature_scope,
        coalesce(c.scope_value, '') as customer_scope,
    from {{ rate_calls | default("ledger_requests") }} as q
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
        case
            when lower(k.speed) = 'fast' then 'fast'
{% for tier, words in service_tiers.items() %}
            when k.tier_word in ('{{ words | join("', '") }}') then '{{ "standard" if tier == "batch" else tier }}'
{% endfor %}
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
