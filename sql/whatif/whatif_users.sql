{# Users with any cost in the weeks that share a day with the window, by feature and, with a blank feature, of all. #}
with seen as (
    select u.feature, u.cluster_unit, u.cluster_id
    from stat_usage_cells_weekly as u
    cross join whatif_window as w
    where u.week_start_date + 7 > cast(w.first_at as date)
        and u.week_start_date < cast(w.end_at as date)
        and u.effective_cost_usd > 0
)

select feature, cluster_unit, count(distinct cluster_id) as clusters
from seen
group by feature, cluster_unit
union all
select '' as feature, cluster_unit, count(distinct cluster_id) as clusters
from seen
group by cluster_unit
