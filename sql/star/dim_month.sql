/*
about: The months from the first to the last of any fact, without a gap. One row per month.
grain: [month_start_date]
columns:
  month_start_date: DATE; first day of the month, UTC
  month_end_date: DATE; its last day
  calendar_year: BIGINT; year of the month
  quarter_label: VARCHAR; as people write it: 2026-Q4
  month_label: VARCHAR; as people write it: 2026-11
checks:
  - not_null: [month_end_date, calendar_year, quarter_label, month_label]
*/
with seen as (
    select month_start_date from fact_spend_weekly
    union
    select month_start_date from fact_reconciliation_monthly
),

months as (
    select cast(unnest(generate_series(min(month_start_date), max(month_start_date), interval 1 month)) as date) as month_start_date
    from seen
)

select
    month_start_date,
    last_day(month_start_date) as month_end_date,
    cast(extract(year from month_start_date) as bigint) as calendar_year,
    strftime(month_start_date, '%Y') || '-Q' || cast(extract(quarter from month_start_date) as varchar) as quarter_label,
    strftime(month_start_date, '%Y-%m') as month_label,
from months
