{#
Between what the share saved of the spend lies for other users of the same kind: a Poisson bootstrap over users, of each feature and, with a
blank feature, of all. Each draw counts a user 0, 1, 2 ... times by a hash, so that every time the same is drawn. `whatif_user_costs` has
what the calls of a user, or of a group of users, cost and what the middle assumption saves of it.
#}
{% from "macros/draws.sql" import draws_of %}
{% set lanes = range(1, 9) | list %}
with members as (
    select
        feature,
        draw_group,
        -- Whole units of 0.000000001 USD, so that draws sum exactly and fast.
        cast(sum(actual_usd) * 1000000000 as bigint) as units,
        cast(sum(saving_usd) * 1000000000 as bigint) as saved_units,
    from (
        select feature, draw_group, actual_usd, saving_usd
        from whatif_user_costs
        union all
        select '' as feature, draw_group, actual_usd, saving_usd
        from whatif_user_costs
    ) as u
    group by feature, draw_group
    having sum(actual_usd) > 0
),

weights as (
    select
        draw_group,
        block,
{% for lane in lanes %}
        {{ draws_of("substr(digits, " ~ (lane * 4 - 3) ~ ", 4)") }} as w{{ lane }},
{% endfor %}
    from (
        select m.draw_group, b.block, md5(concat_ws('|', 'whatif', cast(m.draw_group as varchar), cast(b.block as varchar))) as digits
        from (select distinct draw_group from members) as m
        cross join (select unnest(range(0, cast(ceil({{ draws }} / 8.0) as bigint))) as block) as b
    ) as hashed
),

-- Eight sums a row in place of eight rows: the join is the work.
blocks as (
    select
        m.feature,
        w.block,
{% for column in ("units", "saved_units") %}
        [{% for lane in lanes %}cast(sum(w.w{{ lane }} * cast(m.{{ column }} as hugeint)) as double){{ ", " if not loop.last }}{% endfor %}] as drawn_{{ column }},
{% endfor %}
    from members as m
    inner join weights as w on m.draw_group = w.draw_group
    group by m.feature, w.block
),

ordered as (
    select
        b.feature,
        b.drawn_saved_units[n.lane] / b.drawn_units[n.lane] as saved_share,
        row_number() over (partition by b.feature order by b.drawn_saved_units[n.lane] / b.drawn_units[n.lane], b.block * 8 + n.lane) as place,
        count(*) over (partition by b.feature) as draws,
    from blocks as b
    cross join (select unnest(range(1, 9)) as lane) as n
    where b.block * 8 + n.lane <= {{ draws }} and b.drawn_units[n.lane] > 0
)

select
    o.feature,
    c.clusters,
    cast(round(min(case when o.place >= o.draws * 0.025 then o.saved_share end), 4) as decimal(18, 4)) as share_low,
    cast(round(min(case when o.place >= o.draws * 0.975 then o.saved_share end), 4) as decimal(18, 4)) as share_high,
from ordered as o
inner join (select feature, count(*) as clusters from members group by feature) as c on o.feature = c.feature
group by o.feature, c.clusters
