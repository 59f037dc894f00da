/*
about: >-
  Intervals of shares of totals by a Poisson bootstrap over users: each draw counts a user 0, 1, 2 ... times, by a hash, so that
  every run draws the same. One row per week, statistic, time window and cut with types enough.
grain: [week_start_date, statistic, time_window, cut]
partition: week
reads_back: 3 weeks
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  statistic: VARCHAR; top20_share: share of the dearest fifth of the types in the cost
  time_window: VARCHAR; 1w (the week) or 4w (the week and the three before)
  cut: VARCHAR; what the cost is divided by: request_type or model
  clusters: BIGINT; users (or what stands for them) with any cost
  draws: BIGINT; draws with any cost
  estimate_low: DOUBLE; lower end of the 95 % interval, four places
  estimate_high: DOUBLE; upper end of the 95 % interval, four places
checks:
  - one_of: [statistic, top20_share]
  - one_of: [time_window, 1w, 4w]
  - one_of: [cut, request_type, model]
  - between: [estimate_low, 0, 1]
  - between: [estimate_high, 0, 1]
  - rule: estimate_low <= estimate_high
*/
{% from "macros/draws.sql" import draws_of %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
with weeks as (
    select distinct week_start_date from stat_usage_cells_weekly
),

-- Names are put together once, before a week counts in four.
week_costs as (
    select
        c.week_start_date,
        k.cut,
        case
            when k.cut = 'model' then concat_ws(' | ', c.provider, c.model_canonical)
            else concat_ws(' | ', c.feature, c.workflow_step, c.prompt_name)
        end as driver,
        concat_ws('|', c.cluster_unit, c.cluster_id) as cluster_key,
        -- Whole units of 0.000000001 USD, so that draws sum exactly and fast.
        cast(sum(cast(c.effective_cost_usd * 1000000000 as bigint)) as bigint) as units,
    from stat_usage_cells_weekly as c
    cross join (select unnest(['request_type', 'model']) as cut) as k
    where c.effective_cost_usd > 0
    group by
        c.week_start_date,
        k.cut,
        case
            when k.cut = 'model' then concat_ws(' | ', c.provider, c.model_canonical)
            else concat_ws(' | ', c.feature, c.workflow_step, c.prompt_name)
        end,
        concat_ws('|', c.cluster_unit, c.cluster_id)
),

costs as (
    select
        cast(c.week_start_date + 7 * cast(o.weeks_later as integer) as date) as week_start_date,
        w.time_window,
        c.cut,
        c.driver,
        c.cluster_key,
        c.units,
    from week_costs as c
    cross join (select unnest(range(0, 4)) as weeks_later) as o
    inner join (
        select '1w' as time_window, 0 as last_week
        union all
        select '4w' as time_window, 3 as last_week
    ) as w on o.weeks_later <= w.last_week
),

matrix as (
    select
        c.week_start_date,
        c.time_window,
        c.cut,
        c.driver,
        c.cluster_key,
        cast(sum(c.units) as bigint) as units,
    from costs as c
    inner join weeks as w on c.week_start_date = w.week_start_date
    group by c.week_start_date, c.time_window, c.cut, c.driver, c.cluster_key
    having sum(c.units) > 0
),

{{ limits_of_weeks({
    "min_request_types": "min_types",
    "bootstrap_draws": "draws",
    "bootstrap_max_clusters": "max_clusters",
}) }},

-- Places of the types in the data: a draw that ranked anew would find its own dearest, and so too much.
places as (
    select
        week_start_date,
        time_window,
        cut,
        driver,
        row_number() over (partition by week_start_date, time_window, cut order by sum(units) desc, driver) as place,
    from matrix
    group by week_start_date, time_window, cut, driver
),

eligible as (
    select
        m.week_start_date,
        m.time_window,
        m.cut,
        count(distinct m.driver) as types,
        count(distinct m.cluster_key) as clusters,
    from matrix as m
    inner join limits as l on m.week_start_date = l.week_start_date
    group by m.week_start_date, m.time_window, m.cut, l.min_types
    having count(distinct m.driver) >= l.min_types
),

-- Users beyond bootstrap_max_clusters are drawn in groups: groups of independent users are as independent.
ranked_clusters as (
    select
        week_start_date,
        cluster_key,
        row_number() over (partition by week_start_date order by cluster_key) - 1 as place,
        count(*) over (partition by week_start_date) as clusters,
    from (
        select distinct m.week_start_date, m.cluster_key
        from matrix as m
        inner join eligible as e on m.week_start_date = e.week_start_date and m.time_window = e.time_window and m.cut = e.cut
    ) as found
),

grouped_clusters as (
    select
        r.week_start_date,
        r.cluster_key,
        case
            when r.clusters <= l.max_clusters then r.cluster_key
            else cast(r.place % cast(l.max_clusters as bigint) as varchar)
        end as group_key,
    from ranked_clusters as r
    inner join limits as l on r.week_start_date = l.week_start_date
),

hashed as (
    select
        g.week_start_date,
        g.group_key,
        b.block,
        md5(concat_ws('|', 'stat_bootstrap_weekly', cast(g.week_start_date as varchar), g.group_key, cast(b.block as varchar))) as digits,
    from (select distinct week_start_date, group_key from grouped_clusters) as g
    inner join limits as l on g.week_start_date = l.week_start_date
    cross join (select unnest(range(0, 1250)) as block) as b
    where b.block * 8 < l.draws
),

-- Eight draws a hash, of four hexadecimal digits each.
listed as (
    select
        week_start_date,
        group_key,
        block,
        list_transform(
            [
                substr(digits, 1, 4),
                substr(digits, 5, 4),
                substr(digits, 9, 4),
                substr(digits, 13, 4),
                substr(digits, 17, 4),
                substr(digits, 21, 4),
                substr(digits, 25, 4),
                substr(digits, 29, 4)
            ],
            lambda u: {{ draws_of("u") }}
        ) as weights,
    from hashed
),

weighted as (
    select
        week_start_date,
        group_key,
        block,
        weights[1] as w1,
        weights[2] as w2,
        weights[3] as w3,
        weights[4] as w4,
        weights[5] as w5,
        weights[6] as w6,
        weights[7] as w7,
        weights[8] as w8,
    from listed
),

-- Of each group what all types cost, and what the dearest fifth does.
group_costs as (
    select
        m.week_start_date,
        m.time_window,
        m.cut,
        g.group_key,
        e.clusters,
        cast(sum(m.units) as bigint) as units,
        cast(sum(case when p.place <= (e.types + 4) // 5 then m.units else 0 end) as bigint) as top_units,
    from matrix as m
    inner join eligible as e on m.week_start_date = e.week_start_date and m.time_window = e.time_window and m.cut = e.cut
    inner join places as p
        on m.week_start_date = p.week_start_date
        and m.time_window = p.time_window
        and m.cut = p.cut
        and m.driver = p.driver
    inner join grouped_clusters as g on m.week_start_date = g.week_start_date and m.cluster_key = g.cluster_key
    group by m.week_start_date, m.time_window, m.cut, g.group_key, e.clusters
),

-- Eight sums a row in place of eight rows: the join is the work.
drawn_blocks as (
    select
        c.week_start_date,
        c.time_window,
        c.cut,
        c.clusters,
        w.block,
{% for column in ("units", "top_units") %}
        [
    {% for part in range(1, 9) %}
            cast(sum(w.w{{ part }} * c.{{ column }}) as bigint){{ "," if not loop.last }}
    {% endfor %}
        ] as drawn_{{ column }},
{% endfor %}
    from group_costs as c
    inner join weighted as w on c.week_start_date = w.week_start_date and c.group_key = w.group_key
    group by c.week_start_date, c.time_window, c.cut, c.clusters, w.block
),

shares as (
    select
        d.week_start_date,
        d.time_window,
        d.cut,
        d.clusters,
        d.block * 8 + n.part as draw,
        cast(d.drawn_top_units[n.part] as double) / cast(d.drawn_units[n.part] as double) as drawn_share,
    from drawn_blocks as d
    cross join (select unnest(range(1, 9)) as part) as n
    inner join limits as l on d.week_start_date = l.week_start_date
    where d.block * 8 + n.part <= l.draws and d.drawn_units[n.part] > 0
),

ordered as (
    select
        *,
        row_number() over (partition by week_start_date, time_window, cut order by drawn_share, draw) as place,
        count(*) over (partition by week_start_date, time_window, cut) as draws,
    from shares
)

select
    week_start_date,
    'top20_share' as statistic,
    time_window,
    cut,
    clusters,
    draws,
    min(case when place >= draws * 0.025 then round(drawn_share, 4) end) as estimate_low,
    min(case when place >= draws * 0.975 then round(drawn_share, 4) end) as estimate_high,
from ordered
group by week_start_date, time_window, cut, clusters, draws
