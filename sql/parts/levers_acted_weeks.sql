{# Levers that were pulled: `acted`, and each week that is over with the whole weeks since, at most four: `windows`. After `weeks`. #}
acted as (
    select feature, lever, min(since_date) as since_date
    from ref_levers_acted
    group by feature, lever
),

windows as (
    select e.week_start_date, a.feature, a.lever, a.since_date, w.week_start_date as looked_at_date
    from acted as a
    inner join weeks as e on e.is_closed and e.week_start_date + 7 > a.since_date
    left join weeks as w
        on w.week_start_date <= e.week_start_date
        and w.week_start_date > e.week_start_date - 28
        and w.week_start_date >= a.since_date
),
