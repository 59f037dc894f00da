{# Weeks that have calls, or rows in `week_rows` where that is set, with whether they are over: `weeks`. #}
weeks as (
    select
        w.week_start_date,
        coalesce(k.now_at at time zone z.reporting_time_zone >= w.week_start_date + 7, false) as is_closed,
    from (select distinct week_start_date from {{ week_rows | default("stat_usage_cells_weekly") }}) as w
    cross join ref_reporting as z
    cross join ledger_clock as k
),
