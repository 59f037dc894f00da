/*
about: >-
  Since when answers of a feature that drifted are longer or shorter, as the day that parts its days best in two levels, and which change of
  model, prompt, release, tier or region coincides with it. One row per judged week and feature with a drift against the four weeks before.
grain: [week_start_date, feature]
partition: week
leads: [stat_drift_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  feature: VARCHAR; product feature that drifted in that week
  days: BIGINT; days with calls that were looked at
  onset_date: DATE; first day of the new level, in the reporting time zone
  onset_lo_date: DATE; first day of the set that holds the true day in most cases
  onset_hi_date: DATE; last day of that set
  onset_gain: DOUBLE; squares that two levels explain and one does not, weighted by the calls of the days
  onset_variance: DOUBLE; weighted variance of the days around the two levels
  coinciding_cause: VARCHAR; the one of model_canonical, prompt_version, release, service_tier and region that changed in that set of days; tied for several, no_config_change for none
  tied_causes: VARCHAR[]; all that changed in that set of days, by name
  cause_value: VARCHAR; value that came; null where none or several changed
  cause_date: DATE; day on which it took most of the traffic of its request types, or else was first seen; null as the value
  cause_distance: DOUBLE; half the sum of the changes of the shares of input tokens within request types, from the four weeks before to the week; null as the value
  concurrent_days: BIGINT; days on which it and others served the same request type; null as the value
  concurrent_change: DOUBLE; its answers per input token against those of the others on the same days and types, as a fraction; null without such days
  onset_words: VARCHAR; the same in words
checks:
  - one_of: [coinciding_cause, model_canonical, prompt_version, release, service_tier, region, tied, no_config_change]
  - rule: onset_date between onset_lo_date and onset_hi_date and onset_variance >= 0
  - rule: (cause_value is null) = (coinciding_cause in ('tied', 'no_config_change')) and (cause_value is null) = (cause_date is null)
  - rule: cause_date is null or cause_date between onset_lo_date and onset_hi_date
    text: a cause is named only where its day is one of those that the onset may be
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% set type = ["week_start_date", "feature", "workflow_step", "prompt_name"] %}
with weeks as (
    select distinct week_start_date from stat_drift_cells_weekly
),

{{ limits_of_weeks({
    "onset_day_shock": "day_shock",
    "onset_set_width": "set_width",
    "onset_min_days": "min_days",
    "cause_distance": "min_distance",
    "cause_full_share": "full_share",
}) }},

-- Every call stands once under each dimension.
daily as (
    select
        week_start_date,
        feature,
        usage_date,
        cast(sum(logged_requests) as bigint) as requests,
        cast(sum(log_rest) as double) / cast(sum(logged_requests) as double) as level,
    from stat_drift_cells_weekly
    where dimension = 'release'
    group by week_start_date, feature, usage_date
),

weighted as (
    select
        d.week_start_date,
        d.feature,
        d.usage_date,
        d.level,
        cast(1 / (1 / cast(d.requests as double) + cast(l.day_shock as double)) as decimal(38, 12)) as weight,
        cast(d.level / (1 / cast(d.requests as double) + cast(l.day_shock as double)) as decimal(38, 12)) as weighted_level,
    from daily as d
    inner join limits as l on d.week_start_date = l.week_start_date
),

split as (
    select
        week_start_date,
        feature,
        usage_date,
        level,
        cast(weight as double) as weight,
        cast(sum(weight) over before as double) as weight0,
        cast(sum(weighted_level) over before as double) as sum0,
        cast(sum(weight) over since as double) as weight1,
        cast(sum(weighted_level) over since as double) as sum1,
        count(*) over (partition by week_start_date, feature) as days,
    from weighted
    window
        before as (partition by week_start_date, feature order by usage_date rows between unbounded preceding and 1 preceding),
        since as (partition by week_start_date, feature order by usage_date rows between current row and unbounded following)
),

gains as (
    select
        week_start_date,
        feature,
        usage_date,
        days,
        sum0 / weight0 as level0,
        sum1 / weight1 as level1,
        weight0 * weight1 / (weight0 + weight1) * pow(sum1 / weight1 - sum0 / weight0, 2) as gain,
    from split
    where weight0 > 0
),

best as (
    select g.*
    from gains as g
    inner join limits as l on g.week_start_date = l.week_start_date
    where g.days >= l.min_days
    qualify row_number() over (partition by g.week_start_date, g.feature order by g.gain desc, g.usage_date) = 1
),

spread as (
    select
        b.week_start_date,
        b.feature,
        b.days,
        b.usage_date as onset_date,
        b.gain,
        cast(
            sum(cast(s.weight * pow(s.level - case when s.usage_date < b.usage_date then b.level0 else b.level1 end, 2) as decimal(38, 18)))
            as double
        ) / (b.days - 2) as variance,
    from best as b
    inner join split as s on b.week_start_date = s.week_start_date and b.feature = s.feature
    group by b.week_start_date, b.feature, b.days, b.usage_date, b.gain
),

onsets as (
    select
        s.week_start_date,
        s.feature,
        s.days,
        s.onset_date,
        s.gain,
        s.variance,
        min(g.usage_date) as onset_lo_date,
        max(g.usage_date) as onset_hi_date,
    from spread as s
    inner join limits as l on s.week_start_date = l.week_start_date
    inner join gains as g
        on s.week_start_date = g.week_start_date
        and s.feature = g.feature
        and g.gain >= s.gain - cast(l.set_width as double) * s.variance
    group by s.week_start_date, s.feature, s.days, s.onset_date, s.gain, s.variance
),

-- Shares of input tokens within request types that have calls in the week and in the four before.
shares as (
    select
        *,
        cast(x1 as double) / nullif(sum(x1) over (partition by {{ type | join(", ") }}, dimension), 0) as share1,
        cast(x0 as double) / nullif(sum(x0) over (partition by {{ type | join(", ") }}, dimension), 0) as share0,
        sum(x1) over (partition by {{ type | join(", ") }}, dimension) as type_tokens,
    from (
        select
            {{ type | join(", ") }},
            dimension,
            dimension_value,
            sum(case when usage_date >= week_start_date then input_total_tokens else 0 end) as x1,
            sum(case when usage_date < week_start_date and usage_date >= week_start_date - 28 then input_total_tokens else 0 end) as x0,
        from stat_drift_cells_weekly
        group by {{ type | join(", ") }}, dimension, dimension_value
    ) as summed
),

moved as (
    select
        week_start_date,
        feature,
        workflow_step,
        prompt_name,
        dimension,
        dimension_value,
        share1 - share0 as moved_share,
        cast(type_tokens as double) * (share1 - share0) as moved_tokens,
        type_tokens,
    from shares
    where share1 is not null and share0 is not null
),

distances as (
    select
        m.week_start_date,
        m.feature,
        m.dimension,
        cast(sum(cast(abs(m.moved_tokens) / 2 as decimal(38, 12))) as double) / t.tokens as distance,
    from moved as m
    inner join (
        select week_start_date, feature, dimension, cast(sum(type_tokens) as double) as tokens
        from (select distinct {{ type | join(", ") }}, dimension, type_tokens from moved) as types
        group by week_start_date, feature, dimension
    ) as t on m.week_start_date = t.week_start_date and m.feature = t.feature and m.dimension = t.dimension
    group by m.week_start_date, m.feature, m.dimension, t.tokens
),

-- The value with the largest gain, and the types in which it gained.
winners as (
    select
        week_start_date,
        feature,
        dimension,
        dimension_value,
    from moved
    group by week_start_date, feature, dimension, dimension_value
    having sum(cast(moved_tokens as decimal(38, 12))) > 0
    qualify row_number() over (
        partition by week_start_date, feature, dimension order by sum(cast(moved_tokens as decimal(38, 12))) desc, dimension_value
    ) = 1
),

winning as (
    select
        c.week_start_date,
        c.feature,
        c.dimension,
        w.dimension_value as winner,
        c.workflow_step,
        c.prompt_name,
        c.usage_date,
        sum(case when c.dimension_value = w.dimension_value then c.input_total_tokens else 0 end) as winner_tokens,
        sum(c.input_total_tokens) as tokens,
        sum(case when c.dimension_value = w.dimension_value then c.logged_requests else 0 end) as winner_requests,
        sum(case when c.dimension_value <> w.dimension_value then c.logged_requests else 0 end) as other_requests,
        sum(case when c.dimension_value = w.dimension_value then c.log_rest end) as winner_rest,
        sum(case when c.dimension_value <> w.dimension_value then c.log_rest end) as other_rest,
    from stat_drift_cells_weekly as c
    inner join winners as w on c.week_start_date = w.week_start_date and c.feature = w.feature and c.dimension = w.dimension
    inner join moved as m
        on c.week_start_date = m.week_start_date
        and c.feature = m.feature
        and c.workflow_step = m.workflow_step
        and c.prompt_name = m.prompt_name
        and c.dimension = m.dimension
        and m.dimension_value = w.dimension_value
        and m.moved_share > 0
    group by c.week_start_date, c.feature, c.dimension, w.dimension_value, c.workflow_step, c.prompt_name, c.usage_date
),

winning_days as (
    select
        week_start_date,
        feature,
        dimension,
        winner,
        usage_date,
        sum(winner_tokens) as winner_tokens,
        sum(tokens) as tokens,
        min(usage_date) over (partition by week_start_date, feature, dimension) as first_date,
        -- The last day on which it had no majority.
        max(case when 2 * sum(winner_tokens) <= sum(tokens) then usage_date end) over (partition by week_start_date, feature, dimension) as minor_date,
    from winning
    group by week_start_date, feature, dimension, winner, usage_date
),

arrivals as (
    select
        week_start_date,
        feature,
        dimension,
        winner,
        -- What was there on the first day is not seen for the first time.
        nullif(min(case when winner_tokens > 0 then usage_date end), min(first_date)) as seen_date,
        min(case when usage_date > minor_date then usage_date end) as major_date,
        cast(sum(case when usage_date > minor_date then winner_tokens end) as double) / sum(case when usage_date > minor_date then tokens end) as major_share,
    from winning_days
    group by week_start_date, feature, dimension, winner
),

-- Both in the same days and types: pairs weighted as in the paired test.
concurrent as (
    select
        week_start_date,
        feature,
        dimension,
        count(distinct usage_date) as concurrent_days,
        exp(cast(sum(cast(pair_weight * difference as decimal(38, 12))) as double) / cast(sum(cast(pair_weight as decimal(38, 12))) as double)) - 1 as concurrent_change,
    from (
        select
            week_start_date,
            feature,
            dimension,
            usage_date,
            1 / (1 / cast(winner_requests as double) + 1 / cast(other_requests as double)) as pair_weight,
            cast(winner_rest as double) / winner_requests - cast(other_rest as double) / other_requests as difference,
        from winning
        where winner_requests > 0 and other_requests > 0
    ) as pairs
    group by week_start_date, feature, dimension
),

causes as (
    select
        o.week_start_date,
        o.feature,
        a.dimension,
        a.winner,
        case when a.major_date between o.onset_lo_date and o.onset_hi_date then a.major_date else a.seen_date end as cause_date,
        d.distance,
        c.concurrent_days,
        c.concurrent_change,
        concat(
            case a.dimension when 'model_canonical' then 'model' else replace(a.dimension, '_', ' ') end, ' ', a.winner
        ) as cause_words,
        case
            when a.major_date is null or a.major_date not between o.onset_lo_date and o.onset_hi_date then 'was first seen'
            when a.major_share >= cast(l.full_share as double) then 'took all traffic'
            else 'took most of the traffic'
        end as arrival_words,
        count(*) over (partition by o.week_start_date, o.feature) as causes,
    from onsets as o
    inner join limits as l on o.week_start_date = l.week_start_date
    inner join arrivals as a on o.week_start_date = a.week_start_date and o.feature = a.feature
    inner join distances as d on a.week_start_date = d.week_start_date and a.feature = d.feature and a.dimension = d.dimension
    left join concurrent as c on a.week_start_date = c.week_start_date and a.feature = c.feature and a.dimension = c.dimension
    where d.distance >= cast(l.min_distance as double)
        and (a.major_date between o.onset_lo_date and o.onset_hi_date or a.seen_date between o.onset_lo_date and o.onset_hi_date)
),

-- Of several each stands in the list, and none for itself.
named as (
    select
        week_start_date,
        feature,
        max(causes) as causes,
        list_sort(list(dimension)) as tied_causes,
        list_sort(list(cause_words)) as tied_words,
        max(case when causes = 1 then dimension end) as dimension,
        max(case when causes = 1 then winner end) as cause_value,
        max(case when causes = 1 then cause_date end) as cause_date,
        max(case when causes = 1 then distance end) as cause_distance,
        max(case when causes = 1 then coalesce(concurrent_days, 0) end) as concurrent_days,
        max(case when causes = 1 then concurrent_change end) as concurrent_change,
        max(cause_words) as cause_words,
        max(arrival_words) as arrival_words,
    from causes
    group by week_start_date, feature
)

select
    o.week_start_date,
    o.feature,
    o.days,
    o.onset_date,
    o.onset_lo_date,
    o.onset_hi_date,
    o.gain as onset_gain,
    o.variance as onset_variance,
    case when n.causes is null then 'no_config_change' when n.causes > 1 then 'tied' else n.dimension end as coinciding_cause,
    coalesce(n.tied_causes, []) as tied_causes,
    n.cause_value,
    n.cause_date,
    n.cause_distance,
    cast(n.concurrent_days as bigint) as concurrent_days,
    n.concurrent_change,
    concat(
        'starts ', strftime(o.onset_date, '%-d %B'),
        case
            when o.onset_lo_date < o.onset_hi_date
                then concat(' (', strftime(o.onset_lo_date, '%-d %B'), ' to ', strftime(o.onset_hi_date, '%-d %B'), ')')
            else ''
        end,
        case
            when n.causes is null then ', and no change of model, prompt version, release, service tier or region coincides with it'
            when n.causes > 1 then concat(', which coincides with ', array_to_string(n.tied_words, ' and '))
            when n.cause_date = o.onset_date then concat(', the day ', n.cause_words, ' ', n.arrival_words)
            else concat(', and ', n.cause_words, ' ', n.arrival_words, ' on ', strftime(n.cause_date, '%-d %B'))
        end,
        case
            when n.concurrent_change is not null
                then concat(
                    '; on days with both, its answers are ', cast(cast(round(100 * abs(n.concurrent_change)) as bigint) as varchar), ' % ',
                    case when n.concurrent_change < 0 then 'shorter' else 'longer' end
                )
            else ''
        end
    ) as onset_words,
from onsets as o
left join named as n on o.week_start_date = n.week_start_date and o.feature = n.feature
