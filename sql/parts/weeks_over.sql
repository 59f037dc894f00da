{# Weeks that have a cost and are over: `weeks`. #}
weeks as (
    select w.week_start_date
    from (select distinct cast(date_trunc('week', usage_date) as date) as week_start_date from stat_cost_cells_daily) as w
    cross join ref_reporting as z
    cross join ledger_clock as k
    where k.now_at at time zone z.reporting_time_zone >= w.week_start_date + 7
),
