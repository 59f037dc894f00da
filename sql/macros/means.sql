{#
Intervals of means of skewed costs, as `mean_intervals`: one row for each value of `keys` among `members` (a row for each independent
user or customer: `keys`, cluster_key, cost_usd, units), with the limits of the first of the keys in `limits`.

The mean is the cost of all over the units of all, so that heavy users count with what they use. From min_users_t on the interval is
Student's; between min_users_interval and that a bootstrap-t, whose draws count a member 0, 1, 2 ... times by a hash, the same for all; below
there is none. Numbers are put in ten-thousandths of the mean first: sums of whole numbers depend on no order, also as DOUBLE. Where all cost the same the interval is that.
#}
{% from "macros/draws.sql" import draws_of %}
{% macro mean_intervals(members, limits, keys) %}
{% set lanes = range(1, 17) | list %}
{% set listed = keys | join(", ") %}
{% macro of(alias) %}{% for key in keys %}{{ alias }}.{{ key }}{{ ", " if not loop.last }}{% endfor %}{% endmacro %}
{% macro met(one, other) %}{% for key in keys %}{{ one }}.{{ key }} = {{ other }}.{{ key }}{{ " and " if not loop.last }}{% endfor %}{% endmacro %}
mean_sums as (
    select
        {{ listed }},
        count(*) as clusters,
        sum(units) as units,
        sum(cost_usd) as cost_usd,
        sum(abs(cost_usd)) as gross_usd,
        quantile_disc(cost_usd, 0.99) as high_cost_usd,
    from {{ members }}
    group by {{ listed }}
),

mean_scales as (
    select
        {{ of("s") }},
        s.clusters,
        s.high_cost_usd,
        s.clusters < l.min_users_t as is_drawn,
        10000 * s.clusters / cast(s.units as double) as unit_scale,
        10000 * s.clusters / cast(s.gross_usd as double) as cost_scale,
        cast(s.cost_usd as double) / cast(s.gross_usd as double) as relative_mean,
    from mean_sums as s
    inner join {{ limits }} as l on s.{{ keys[0] }} = l.{{ keys[0] }}
    where s.clusters >= l.min_users_interval and s.units > 0 and s.gross_usd > 0
),

mean_members as (
    select
        {{ of("m") }},
        m.cluster_key,
        s.clusters,
        m.cost_usd,
        s.high_cost_usd,
        s.is_drawn,
        round(m.units * s.unit_scale) as b,
        round(cast(m.cost_usd as double) * s.cost_scale - m.units * s.unit_scale * s.relative_mean) as q,
    from {{ members }} as m
    inner join mean_scales as s on {{ met("m", "s") }}
),

-- Standard error as a fraction of what a unit costs, and what the dearest hundredth of the members carries: those above a cost that
-- as many have, or one more, and of that cost as many as are left.
mean_errors as (
    select
        {{ listed }},
        sqrt(cast(clusters as double) / (clusters - 1) * cast(sum(cast(q as hugeint) * cast(q as hugeint)) as double)) / 10000 / clusters
            as relative_error,
        cast(coalesce(sum(case when cost_usd > high_cost_usd then cost_usd end), 0) as double)
        + (ceil(clusters / 100.0) - count(case when cost_usd > high_cost_usd then 1 end)) * cast(high_cost_usd as double) as top_usd,
    from mean_members
    group by {{ listed }}, clusters, high_cost_usd
),

drawn_members as (
    select
        {{ listed }},
        row_number() over (partition by {{ listed }} order by cluster_key) as place,
        b,
        q,
        b * b as bb,
        b * q as bq,
        q * q as qq,
    from mean_members
    where is_drawn
),

-- Sixteen draws of two hashes; grouped, so that they are made once and not again for each member.
mean_weights as (
    select
        place,
        block,
{% for lane in lanes %}
        cast(max({{ draws_of("substr(digits, " ~ (lane * 4 - 3) ~ ", 4)") }}) as double) as w{{ lane }},
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
    group by place, block
),

mean_blocks as (
    select
        {{ of("m") }},
        w.block,
{% for lane in lanes %}
        sum(w.w{{ lane }}) as n{{ lane }},
        sum(w.w{{ lane }} * m.b) as b{{ lane }},
        sum(w.w{{ lane }} * m.q) as q{{ lane }},
        sum(w.w{{ lane }} * m.bb) as bb{{ lane }},
        sum(w.w{{ lane }} * m.bq) as bq{{ lane }},
        sum(w.w{{ lane }} * m.qq) as qq{{ lane }},
{% endfor %}
    from drawn_members as m
    inner join mean_weights as w on m.place = w.place
    group by {{ of("m") }}, w.block
),

mean_draws as (
{% for lane in lanes %}
    select
        {{ listed }},
        block * 16 + {{ lane }} as draw,
        n{{ lane }} as n,
        q{{ lane }} as q,
        qq{{ lane }} - 2 * q{{ lane }} / b{{ lane }} * bq{{ lane }} + pow(q{{ lane }} / b{{ lane }}, 2) * bb{{ lane }} as squares,
    from mean_blocks
    where n{{ lane }} > 1 and b{{ lane }} > 0
{% if not loop.last %}
    union all
{% endif %}
{% endfor %}
),

-- How far a draw is from the mean, in its own standard errors.
mean_quantiles as (
    select
        {{ of("d") }},
        quantile_disc(d.q / sqrt(d.n / (d.n - 1) * d.squares), 0.025) as distance_low,
        quantile_disc(d.q / sqrt(d.n / (d.n - 1) * d.squares), 0.975) as distance_high,
    from mean_draws as d
    inner join {{ limits }} as l on d.{{ keys[0] }} = l.{{ keys[0] }}
    where d.draw <= l.bootstrap_t_draws and d.squares > 0
    group by {{ of("d") }}
),

mean_intervals as (
    select
        {{ of("s") }},
        s.clusters,
        s.units,
        s.cost_usd,
        case
            when e.relative_error = 0 then 0
            when s.clusters >= l.min_users_t then -student_t_quantile(0.975, cast(s.clusters - 1 as double))
            else -q.distance_high
        end
        * e.relative_error * cast(s.gross_usd as double) / s.units + cast(s.cost_usd as double) / s.units as estimate_low,
        case
            when e.relative_error = 0 then 0
            when s.clusters >= l.min_users_t then student_t_quantile(0.975, cast(s.clusters - 1 as double))
            else -q.distance_low
        end
        * e.relative_error * cast(s.gross_usd as double) / s.units + cast(s.cost_usd as double) / s.units as estimate_high,
        case
            when s.units <= 0 or s.gross_usd <= 0 then 'no_cost'
            when s.clusters < l.min_users_interval then 'too_few_users'
            when s.clusters < l.min_users_t or e.top_usd >= l.bootstrap_t_top_share * cast(s.gross_usd as double) then 'approximate'
            else 'ok'
        end as interval_label,
    from mean_sums as s
    inner join {{ limits }} as l on s.{{ keys[0] }} = l.{{ keys[0] }}
    left join mean_errors as e on {{ met("s", "e") }}
    left join mean_quantiles as q on {{ met("s", "q") }}
)
{%- endmacro %}
