{# Days of the showback with month and week: `calls`. #}
calls as (
    select
        cast(date_trunc('month', d.usage_date) as date) as month_start_date,
        cast(date_trunc('week', d.usage_date) as date) as week_start_date,
        d.*,
    from ledger_showback_days as d
),
