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
    billed_seller(service_provider, sellers, ServiceName, coalesce(x_UsageType, x_ServiceCode, x_SkuMeterCategory) is not null) as provider,
from periods
