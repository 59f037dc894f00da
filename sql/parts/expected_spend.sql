{#
What the days of `judged_days` are expected to cost by the days of `known_days` before them that are not left out: `expectations`. Both have
month_start_date, feature and day_number, known days also cost. Names end in `look`, as a query may take this in twice.
#}
-- What a weekday costs against the days around it.
around{{ look }} as (
    select
        d.month_start_date,
        d.feature,
        d.day_number as judged_day_number,
        o.day_number,
        o.day_number % 7 as weekday,
        ln(o.cost) as log_cost,
        ln(o.cost) - median(ln(o.cost)) over (
            partition by d.month_start_date, d.feature, d.day_number
            order by o.day_number
            range between 3 preceding and 3 following
        ) as apart,
    from {{ judged_days }} as d
    inner join {{ known_days }} as o
        on o.month_start_date = d.month_start_date
        and o.feature = d.feature
        and o.day_number >= d.day_number - 56
        and o.day_number < d.day_number
        and o.cost > 0
        and not o.is_left_out
),

weekdays{{ look }} as (
    select month_start_date, feature, judged_day_number, weekday, median(apart) as weekday_index
    from around{{ look }}
    group by month_start_date, feature, judged_day_number, weekday
),

flat{{ look }} as (
    select
        a.month_start_date,
        a.feature,
        a.judged_day_number,
        a.day_number,
        a.log_cost - w.weekday_index as z,
        row_number() over (partition by a.month_start_date, a.feature, a.judged_day_number order by a.day_number) as place,
        count(*) over (partition by a.month_start_date, a.feature, a.judged_day_number) as places,
        median(a.log_cost - w.weekday_index) over (
            partition by a.month_start_date, a.feature, a.judged_day_number
            order by a.day_number
            rows between 14 preceding and 1 preceding
        ) as log_level_before,
    from around{{ look }} as a
    inner join weekdays{{ look }} as w
        on a.month_start_date = w.month_start_date
        and a.feature = w.feature
        and a.judged_day_number = w.judged_day_number
        and a.weekday = w.weekday
),

-- What fewer than seven days before tell is no level, and no step from it.
steps{{ look }} as (
    select
        *,
        case when place > 7 then z - log_level_before end as step,
        median(case when place > 7 then z - log_level_before end) over (
            partition by month_start_date, feature, judged_day_number
        ) as usual_step,
    from flat{{ look }}
),

levels{{ look }} as (
    select
        month_start_date,
        feature,
        judged_day_number,
        count(*) as history_days,
        min(day_number) as first_day_number,
        median(case when places - place < 14 then z end) as log_level,
        (
            median(case when places - place < 7 then z end)
            - median(case when places - place >= 7 and places - place < 14 then z end)
        ) / 7 as growth,
        median(abs(step - usual_step)) as scale,
    from steps{{ look }}
    group by month_start_date, feature, judged_day_number
),

expectations{{ look }} as (
    select
        d.*,
        coalesce(l.history_days, 0) as history_days,
        coalesce(d.day_number - l.first_day_number >= d.learning_days and l.history_days >= d.min_days, false) as is_learned,
        l.log_level,
        greatest(least(coalesce(l.growth, 0), 0.02), -0.02) as growth,
        coalesce(w.weekday_index, 0) as weekday_index,
        1.4826 * coalesce(l.scale, 0) as usual_scale,
    from {{ judged_days }} as d
    left join levels{{ look }} as l
        on d.month_start_date = l.month_start_date and d.feature = l.feature and d.day_number = l.judged_day_number
    left join weekdays{{ look }} as w
        on d.month_start_date = w.month_start_date
        and d.feature = w.feature
        and d.day_number = w.judged_day_number
        and d.day_number % 7 = w.weekday
)
