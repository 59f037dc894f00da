{#
What the calls of a user, or of a group of users, cost and what the middle assumption saves of it. Where the replay was one of cells, a lever
took of what a user paid for a model the same share as of what all paid for it.
#}
{% if is_by_call %}
select
    feature,
    draw_group,
    cast(sum(actual_usd) as decimal(38, 15)) as actual_usd,
    cast(sum(actual_usd - cost_mid_usd) as decimal(38, 15)) as saving_usd,
from whatif_replayed
group by feature, draw_group
{% else %}
with saved as (
    select
        feature,
        provider,
        model_canonical,
        cast(sum(actual_usd - cost_mid_usd) as double) / nullif(cast(sum(actual_usd) as double), 0) as saving_share,
    from whatif_replayed
    group by feature, provider, model_canonical
)

select
    u.feature,
    hash(u.cluster_unit, u.cluster_id){{ " % " ~ user_groups if user_groups }} as draw_group,
    u.effective_cost_usd as actual_usd,
    cast(cast(u.effective_cost_usd as double) * coalesce(s.saving_share, 0) as decimal(38, 15)) as saving_usd,
from stat_usage_cells_weekly as u
cross join whatif_window as w
left join saved as s on u.feature = s.feature and u.provider = s.provider and u.model_canonical = s.model_canonical
where u.week_start_date + 7 > cast(w.first_at as date)
    and u.week_start_date < cast(w.end_at as date)
    and u.effective_cost_usd > 0
{% endif %}
