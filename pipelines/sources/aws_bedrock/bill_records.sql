-- Line items with their instants and the billing period that a report replaces as a whole.
with instants as (
    select
        *,
        bill_instant(coalesce(line_item_usage_start_date, split_part(identity_time_interval, '/', 1))) as charge_start_at,
        bill_instant(coalesce(line_item_usage_end_date, split_part(identity_time_interval, '/', 2))) as stated_charge_end_at,
        bill_instant(bill_billing_period_start_date) as stated_start_at,
        bill_instant(bill_billing_period_end_date) as stated_end_at,
    from tagged_rows
)

select
    *,
    -- Fees bear one instant twice.
    case when stated_charge_end_at > charge_start_at then stated_charge_end_at else charge_start_at + interval 1 hour end as charge_end_at,
    coalesce(stated_end_at > stated_start_at, false) as has_period,
    case when has_period then stated_start_at else date_trunc('month', charge_start_at) end as period_start_at,
    case when has_period then stated_end_at else date_trunc('month', charge_start_at) + interval 1 month end as period_end_at,
    'charges/' || coalesce(bill_payer_account_id, '') || '/' || strftime(period_start_at, '%Y-%m-%d') as endpoint,
    cast(null as varchar[]) as pull_grain,
from instants
