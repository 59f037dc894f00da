-- Charges with their day and the billing period that an export replaces as a whole. An amortised export spreads what was paid in
-- advance over its use: it stands back behind an export of actual cost of the same period.
with instants as (
    select
        *,
        bill_instant(Date) as charge_start_at,
        bill_instant(BillingPeriodStartDate) as stated_start_at,
        -- The last day of a period is named.
        bill_instant(BillingPeriodEndDate) + interval 1 day as stated_end_at,
    from bill_rows
)

select
    bill.*,
    charge_start_at + interval 1 day as charge_end_at,
    coalesce(stated_end_at > stated_start_at, false) as has_period,
    case when has_period then stated_start_at else date_trunc('month', charge_start_at) end as period_start_at,
    case when has_period then stated_end_at else date_trunc('month', charge_start_at) + interval 1 month end as period_end_at,
    'charges/' || coalesce(BillingAccountId, '') || '/' || strftime(period_start_at, '%Y-%m-%d') as endpoint,
    regexp_matches(lower(file.source_file), 'amorti[sz]ed')
        or bool_or(
            coalesce(ChargeType like 'Unused%', false)
            or coalesce(ChargeType = 'Usage' and PricingModel in ('Reservation', 'SavingsPlan')
                and try_cast(CostInBillingCurrency as decimal(38, 12)) <> 0, false)
        ) over (partition by file_no) as is_amortised,
    case when is_amortised then ['amortised'] end as pull_grain,
from instants as bill
inner join (select file_no as numbered, source_file from landing_files) as file on bill.file_no = file.numbered
