/*
about: >-
  What a lever that was pulled changed, where it leaves no trace that could be replayed: the calls of the weeks since at what a call of the same
  request type cost in the four weeks before, less what they cost. One row per week that is over, feature and lever of reference/levers_acted.csv.
grain: [week_start_date, feature, lever]
partition: week
reads_back: 12 weeks
clock_stops: 1 day
columns:
  week_start_date: DATE; Monday of the last of the weeks since the lever is used, at most four, in the reporting time zone
  feature: VARCHAR; product feature of levers_acted.csv
  lever: VARCHAR; routing, fine_tune (all of a call's cost), output_cap (the cost of its output), context_trim (all but that) or retry_waste (failed calls)
  before_weeks: BIGINT; whole weeks before that were looked at, at most four
  before_requests: BIGINT; priced calls in the weeks before, of request types that have some on both sides
  since_requests: BIGINT; priced calls of these request types since the lever is used
  like_for_like_share: DECIMAL(18,9); share of the cost since that has a call of the same request type before
  realised_usd: DECIMAL(38,15); their calls at the cost of a call before, by request type, less what they cost; below 0 where it rose
  clusters: BIGINT; users (or what stands for them) on either side
  realised_low_usd: DECIMAL(38,15); lower end of the 95 % interval, by leaving out one user after the other; null below min_users_interval of them
  realised_high_usd: DECIMAL(38,15); upper end of that interval
checks:
  - one_of: [lever, routing, fine_tune, output_cap, context_trim, retry_waste]
  - between: [like_for_like_share, 0, 1]
  - between: [before_weeks, 1, 4]
  - rule: realised_usd between realised_low_usd and realised_high_usd
    null_passes: true
    text: the estimate lies in its interval
notes:
  - Traffic that grows and a mix of request types that changes are taken out. Whatever else changed within a type since (prompts, prices, users) is in it.
*/
{% from "macros/jackknife.sql" import jackknife_error, widest_deviation %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{# What of the cost of calls a lever is about. #}
{% set measures = {
    "routing": "u.effective_cost_usd",
    "fine_tune": "u.effective_cost_usd",
    "output_cap": "u.output_cost_usd",
    "context_trim": "u.effective_cost_usd - u.output_cost_usd",
    "retry_waste": "case when u.effective_cost_usd is not null then coalesce(u.failed_cost_usd, 0) end",
} %}
with
{% include "parts/weeks_with_end.sql" %}

{% include "parts/levers_acted_weeks.sql" %}

{{ limits_of_weeks({"min_users_interval": "min_users"}) }},

followed as (
    select week_start_date, feature, lever, since_date, looked_at_date
    from windows
    where looked_at_date is not null and lever in ('{{ measures | join("', '") }}')
),

sides as (
    select week_start_date, feature, lever, looked_at_date, true as is_since
    from followed
    union all
    select distinct f.week_start_date, f.feature, f.lever, w.week_start_date as looked_at_date, false as is_since
    from followed as f
    inner join weeks as w
        on w.week_start_date + 7 <= f.since_date
        and w.week_start_date + 7 > f.since_date - 28
        and w.week_start_date >= f.week_start_date - 84
),

before_weeks as (
    select week_start_date, feature, lever, count(*) as before_weeks
    from sides
    where not is_since
    group by week_start_date, feature, lever
),

measured as (
    select
        s.week_start_date,
        s.feature,
        s.lever,
        s.is_since,
        u.workflow_step,
        u.prompt_name,
        concat(u.cluster_unit, '|', u.cluster_id) as cluster,
        u.requests - u.unpriced_requests as calls,
        u.effective_cost_usd,
        case s.lever
{% for lever, measure in measures.items() %}
            when '{{ lever }}' then {{ measure }}
{% endfor %}
        end as measured_usd,
    from sides as s
    inner join stat_usage_cells_weekly as u on s.looked_at_date = u.week_start_date and s.feature = u.feature
),

cells as (
    select
        week_start_date,
        feature,
        lever,
        workflow_step,
        prompt_name,
        cluster,
        cast(sum(case when is_since then 0 else calls end) as bigint) as n0,
        cast(sum(case when is_since then 0 else measured_usd end) as decimal(38, 15)) as c0,
        cast(sum(case when is_since then calls else 0 end) as bigint) as n1,
        cast(sum(case when is_since then measured_usd else 0 end) as decimal(38, 15)) as c1,
    from measured
    where measured_usd is not null
    group by week_start_date, feature, lever, workflow_step, prompt_name, cluster
),

-- Request types with calls on both sides.
types as (
    select
        week_start_date,
        feature,
        lever,
        workflow_step,
        prompt_name,
        cast(sum(n0) as bigint) as n0,
        cast(sum(c0) as decimal(38, 15)) as c0,
        cast(sum(n1) as bigint) as n1,
        cast(sum(c1) as decimal(38, 15)) as c1,
    from cells
    group by week_start_date, feature, lever, workflow_step, prompt_name
    having sum(n0) > 0 and sum(n1) > 0
),

saved_by_type as (
    select
        *,
        cast(cast(n1 as double) * cast(c0 as double) / n0 - cast(c1 as double) as decimal(38, 15)) as saved_usd,
    from types
),

totals as (
    select
        week_start_date,
        feature,
        lever,
        cast(sum(n0) as bigint) as before_requests,
        cast(sum(n1) as bigint) as requests,
        cast(sum(saved_usd) as decimal(38, 15)) as saved_usd,
    from saved_by_type
    group by week_start_date, feature, lever
),

shares as (
    select
        m.week_start_date,
        m.feature,
        m.lever,
        cast(
            cast(sum(case when t.n1 > 0 and m.measured_usd is not null then m.effective_cost_usd end) as double)
            / nullif(cast(sum(m.effective_cost_usd) as double), 0) as decimal(18, 9)
        ) as like_for_like_share,
    from measured as m
    left join types as t
        on m.week_start_date = t.week_start_date and m.feature = t.feature and m.lever = t.lever
        and m.workflow_step = t.workflow_step and m.prompt_name = t.prompt_name
    where m.is_since
    group by m.week_start_date, m.feature, m.lever
),

-- By how much all would be less without one user; a type that is then on one side only is in neither.
without_one as (
    select
        c.week_start_date,
        c.feature,
        c.lever,
        c.cluster,
        cast(
            sum(
                case
                    when t.n0 > c.n0 and t.n1 > c.n1
                        then cast(
                            cast(t.n1 - c.n1 as double) * cast(t.c0 - c.c0 as double) / (t.n0 - c.n0) - cast(t.c1 - c.c1 as double)
                            as decimal(38, 15)
                        )
                    else 0
                end
                - t.saved_usd
            ) as decimal(38, 15)
        ) as saved_usd,
        cast(sum(case when t.n0 > c.n0 and t.n1 > c.n1 then -c.n1 else -t.n1 end) as bigint) as requests,
    from cells as c
    inner join saved_by_type as t
        on c.week_start_date = t.week_start_date and c.feature = t.feature and c.lever = t.lever
        and c.workflow_step = t.workflow_step and c.prompt_name = t.prompt_name
    group by c.week_start_date, c.feature, c.lever, c.cluster
),

-- What a call saves, without one after the other.
thetas as (
    select
        w.week_start_date,
        w.feature,
        w.lever,
        cast(
            cast(t.saved_usd + w.saved_usd as double) / nullif(t.requests + w.requests, 0) as decimal(38, 18)
        ) as theta,
    from without_one as w
    inner join totals as t on w.week_start_date = t.week_start_date and w.feature = t.feature and w.lever = t.lever
),

means as (
    select
        week_start_date,
        feature,
        lever,
        cast(sum(theta) as double) / count(theta) as mean_theta,
        {{ widest_deviation("theta") }} as widest,
    from thetas
    group by week_start_date, feature, lever
),

spread as (
    select
        h.week_start_date,
        h.feature,
        h.lever,
        count(*) as clusters,
        {{ jackknife_error("h.theta", "m.mean_theta", "m.widest") }} as standard_error,
    from thetas as h
    inner join means as m on h.week_start_date = m.week_start_date and h.feature = m.feature and h.lever = m.lever
    group by h.week_start_date, h.feature, h.lever
),

bounded as (
    select
        t.*,
        s.clusters,
        case
            when s.clusters >= l.min_users
                then student_t_quantile(0.975, cast(nullif(s.clusters - 1, 0) as double)) * s.standard_error * t.requests
        end as half_width,
    from totals as t
    inner join spread as s on t.week_start_date = s.week_start_date and t.feature = s.feature and t.lever = s.lever
    inner join limits as l on t.week_start_date = l.week_start_date
)

select
    b.week_start_date,
    b.feature,
    b.lever,
    w.before_weeks,
    b.before_requests,
    b.requests as since_requests,
    s.like_for_like_share,
    b.saved_usd as realised_usd,
    b.clusters,
    cast(b.saved_usd - cast(b.half_width as decimal(38, 15)) as decimal(38, 15)) as realised_low_usd,
    cast(b.saved_usd + cast(b.half_width as decimal(38, 15)) as decimal(38, 15)) as realised_high_usd,
from bounded as b
inner join before_weeks as w on b.week_start_date = w.week_start_date and b.feature = w.feature and b.lever = w.lever
inner join shares as s on b.week_start_date = s.week_start_date and b.feature = s.feature and b.lever = s.lever
