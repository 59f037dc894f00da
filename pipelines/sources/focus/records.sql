-- Charges with their instants, the billing period that a file replaces as a whole, and the seller.
with instants as (
    select
        *,
        bill_instant(ChargePeriodStart) as charge_start_at,
        bill_instant(ChargePeriodEnd) as charge_end_at,
        bill_instant(BillingPeriodStart) as stated_start_at,
        bill_instant(BillingPeriodEnd) as stated_end_at,
        coalesce(ServiceProviderName, ProviderName, PublisherName) as service_provider,
        concat_ws(' ', HostProviderName, ServiceProviderName, ProviderName) as sellers,
    from bill_rows
),

periods as (
    select
        *,
        -- A period that is none gives way to the month of the charge.
        coalesce(stated_end_at > stated_start_at, false) as has_period,
        case when has_period then stated_start_at else date_trunc('month', charge_start_at) end as period_start_at,
        case when has_period then stated_end_at else date_trunc('month', charge_start_at) + interval 1 month end as period_end_at,
    from instants
)

select
    *,
    'charges/' || coalesce(BillingAccountId, '') || '/' || strftime(period_start_at, '%Y-%m-%d') as endpoint,
    cast(null as varchar[]) as pull_grain,
    -- A cloud that hosts or sells wins over the maker of the model.
    case
        when regexp_matches(sellers, '\b(aws|amazon)\b', 'i') then 'bedrock'
        when regexp_matches(sellers, '\b(microsoft|azure)\b', 'i') then 'azure'
        when regexp_matches(sellers, '\b(google|gcp)\b', 'i') then case when ServiceName ilike '%gemini api%' then 'google' else 'vertex' end
        when regexp_matches(service_provider, '^(openai|anthropic|mistral|deepseek|groq|cohere|together|openrouter|perplexity|fireworks|cerebras)\b', 'i')
            then regexp_extract(lower(service_provider), '^([a-z]+)')
        when regexp_matches(service_provider, '^x\.?ai\b', 'i') then 'xai'
        else nullif(trim(regexp_replace(lower(service_provider), '[^a-z0-9]+', '_', 'g'), '_'), '')
    end as provider,
from periods
