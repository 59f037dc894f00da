{#
Intervals of means of skewed costs, as `mean_intervals`: one row for each value of `keys` among `members` (a row for each independent
user or customer: `keys`, cluster_key, cost_usd, units), with the limits of the first of the keys in `limits`.

The mean is the cost of all over the units of all, so that heavy users count with what they use. From min_users_t on the interval is
Student's; between min_users_interval and that a bootstrap-t, whose draws count a member 0, 1, 2 ... times by a hash, the same for all; below
there is none. Numbers are put in millionths of the mean first: sums of whole numbers depend on no order.
#}
{% macro mean_intervals(members, limits, keys) %}
{% set lanes = range(1, 17) | list %}
mean_sums as (
    select
        {{ keys | join(", ") }},
        count(*) as clusters,
        sum(units) as units,
        sum(cost_usd) as cost_usd,
        sum(abs(cost_usd)) as gross_usd,
    from {{ members }}
    group by {{ keys | join(", ") }}
),

mean_members as (
    select
        {% for key in keys %}m.{{ key }}, {% endfor %}

        s.clusters,
        row_number() over (partition by {% for key in keys %}m.{{ key }}{{ ", " if not loop.last }}{% endfor %} order by m.cluster_key) as place,
        row_number() over (partition by {% for key in keys %}m.{{ key }}{{ ", " if not loop.last }}{% endfor %} order by m.cost_usd desc, m.cluster_key) as cost_place,
        m.cost_usd,
        cast(round(cast(m.units as double) * s.clusters / s.units * 1000000) as bigint) as b,
        cast(
            round(
                (
                    cast(m.cost_usd as double) * s.clusters / cast(s.gross_usd as double)
                    - cast(s.cost_usd as double) / cast(s.gross_usd as double) * (cast(m.units as double) * s.clusters / s.units)
                ) * 1000000
            ) as bigint
        ) as q,
    from {{ members }} as m
    inner join mean_sums as s on {% for key in keys %}m.{{ key }} = s.{{ key }}{{ " and " if not loop.last }}{% endfor %}

    inner join {{ limits }} as l on m.{{ keys[0] }} = l.{{ keys[0] }}
    where s.clusters >= l.min_users_interval and s.units > 0 and s.gross_usd > 0
),

-- Standard error as a fraction of what a unit costs, and what the dearest hundredth of the members carries.
mean_errors as (
    select
        {{ keys | join(", ") }},
        clusters,
        sqrt(cast(clusters as double) / (clusters - 1) * cast(sum(cast(q as hugeint) * q) as double)) / 1000000 / clusters as relative_error,
        sum(case when cost_place * 100 < clusters + 100 then cost_usd else 0 end) as top_usd,
    from mean_members
    group by {{ keys | join(", ") }}, clusters
),

drawn_members as (
    select m.*
    from mean_members as m
    inner join {{ limits }} as l on m.{{ keys[0] }} = l.{{ keys[0] }}
    where m.clusters < l.min_users_t
),

-- Eight weights a hash, of four hexadecimal digits each, compared as text with the quantiles of a Poisson variable with mean 1.
mean_weights as (
    select
        place,
        block,
{% for lane in lanes %}
        case
            when substr(digits, {{ lane * 4 - 3 }}, 4) < '5e2d' then 0
            when substr(digits, {{ lane * 4 - 3 }}, 4) < 'bc5b' then 1
            when substr(digits, {{ lane * 4 - 3 }}, 4) < 'eb71' then 2
            when substr(digits, {{ lane * 4 - 3 }}, 4) < 'fb24' then 3
            when substr(digits, {{ lane * 4 - 3 }}, 4) < 'ff10' then 4
            when substr(digits, {{ lane * 4 - 3 }}, 4) < 'ffd9' then 5
            when substr(digits, {{ lane * 4 - 3 }}, 4) < 'fffb' then 6
            else 7
        end as w{{ lane }},
{% endfor %}
    from (
        select
            p.place,
            b.block,
            md5(concat_ws('|', 'mean', cast(p.place as varchar), cast(b.block as varchar), 'a'))
            || md5(concat_ws('|', 'mean', cast(p.place as varchar), cast(b.block as varchar), 'b')) as digits,
        from (select distinct place from drawn_members) as p
        cross join (select unnest(range(0, 625)) as block) as b
        where b.block * 16 < (select max(bootstrap_t_draws) from {{ limits }})
    ) as hashed
),

mean_blocks as (
    select
        {% for key in keys %}m.{{ key }}, {% endfor %}

        w.block,
{% for lane in lanes %}
        sum(w.w{{ lane }}) as n{{ lane }},
        sum(w.w{{ lane }} * m.b) as b{{ lane }},
        sum(w.w{{ lane }} * m.q) as q{{ lane }},
        sum(w.w{{ lane }} * (m.b * m.b)) as bb{{ lane }},
        sum(w.w{{ lane }} * (m.b * m.q)) as bq{{ lane }},
        sum(w.w{{ lane }} * (m.q * m.q)) as qq{{ lane }},
{% endfor %}
    from drawn_members as m
    inner join mean_weights as w on m.place = w.place
    group by {% for key in keys %}m.{{ key }}, {% endfor %}w.block
),

mean_draws as (
{% for lane in lanes %}
    select
        {{ keys | join(", ") }},
        block * 16 + {{ lane }} as draw,
        cast(n{{ lane }} as double) as n,
        cast(b{{ lane }} as double) as b,
        cast(q{{ lane }} as double) as q,
        cast(bb{{ lane }} as double) as bb,
        cast(bq{{ lane }} as double) as bq,
        cast(qq{{ lane }} as double) as qq,
    from mean_blocks
    where n{{ lane }} > 1 and b{{ lane }} > 0
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

-- How far each draw is from the mean, in its own standard errors.
mean_distances as (
    select
        {% for key in keys %}d.{{ key }}, {% endfor %}

        d.q / sqrt(d.n / (d.n - 1) * (d.qq - 2 * d.q / d.b * d.bq + pow(d.q / d.b, 2) * d.bb)) as distance,
    from mean_draws as d
    inner join {{ limits }} as l on d.{{ keys[0] }} = l.{{ keys[0] }}
    where d.draw <= l.bootstrap_t_draws and d.qq - 2 * d.q / d.b * d.bq + pow(d.q / d.b, 2) * d.bb > 0
),

mean_quantiles as (
    select
        {{ keys | join(", ") }},
        quantile_disc(distance, 0.025) as distance_low,
        quantile_disc(distance, 0.975) as distance_high,
    from mean_distances
    group by {{ keys | join(", ") }}
),

mean_intervals as (
    select
        {% for key in keys %}s.{{ key }}, {% endfor %}

        s.clusters,
        s.units,
        s.cost_usd,
        case when s.clusters >= l.min_users_t then -student_t_quantile(0.975, cast(s.clusters - 1 as double)) else -q.distance_high end
        * e.relative_error * cast(s.gross_usd as double) / s.units + cast(s.cost_usd as double) / s.units as estimate_low,
        case when s.clusters >= l.min_users_t then student_t_quantile(0.975, cast(s.clusters - 1 as double)) else -q.distance_low end
        * e.relative_error * cast(s.gross_usd as double) / s.units + cast(s.cost_usd as double) / s.units as estimate_high,
        case
            when s.units <= 0 or s.gross_usd <= 0 then 'no_cost'
            when s.clusters < l.min_users_interval then 'too_few_users'
            when s.clusters < l.min_users_t or cast(e.top_usd as double) >= l.bootstrap_t_top_share * cast(s.gross_usd as double)
                then 'approximate'
            else 'ok'
        end as interval_label,
    from mean_sums as s
    inner join {{ limits }} as l on s.{{ keys[0] }} = l.{{ keys[0] }}
    left join mean_errors as e on {% for key in keys %}s.{{ key }} = e.{{ key }}{{ " and " if not loop.last }}{% endfor %}

    left join mean_quantiles as q on {% for key in keys %}s.{{ key }} = q.{{ key }}{{ " and " if not loop.last }}{% endfor %}

)
{%- endmacro %}
