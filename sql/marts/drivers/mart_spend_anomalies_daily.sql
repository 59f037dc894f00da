{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/words.sql" import dollars %}
{% set limits = {
    "anomaly_score": "min_score",
    "anomaly_ratio": "min_ratio",
    "anomaly_floor_usd": "floor_usd",
    "anomaly_floor_budget_share": "floor_budget_share",
    "anomaly_min_scale": "min_scale",
    "anomaly_learning_days": "learning_days",
    "anomaly_min_days": "min_days",
    "level_shift_days": "shift_days",
    "unpriced_warn_share": "unpriced_warn",
} %}
/*
about: >-
  Days on which a feature spent far more than its own last weeks lead to expect, or nothing where it always spends. One row per
  day that is over and feature with a cost, and per day without one where a cost was expected.
grain: [usage_date, feature]
partition: month
partition_column: usage_date
reads_self: 56 days
clock_stops: 1 day
leads: [stat_cost_cells_daily]
columns:
  usage_date: DATE; day of the calls, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  team: VARCHAR; owning team of most of the cost, 'unattributed' where none is known; of a silent day that of the feature's last
  state: VARCHAR; learning (too little is known to judge), normal, anomaly, level_shift (the last of level_shift_days flagged days in a row: from then on the level), silent (no cost where one was expected)
  requests: BIGINT; calls, failed ones included
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; 0 on a silent day
  expected_cost_usd: DECIMAL(38,15); cost that level, growth and weekday of the last 56 days lead to expect; null while learning
  times_expected: DOUBLE; cost over expected cost; null while learning
  score: DOUBLE; how far the logarithm of the cost lies above the expected one, in usual day-to-day moves; null while learning and on a silent day
  excess_usd: DECIMAL(38,6); cost beyond the expected one of a flagged day (anomaly, level_shift), else 0; null while learning
  floor_usd: DECIMAL(38,6); less beyond the expected cost is not worth a look: anomaly_floor_usd, or anomaly_floor_budget_share of the feature's budget if that is more
  budget_usd: DECIMAL(38,15); budget of the feature for the month; null where budgets.csv has none
  log_level: DOUBLE; logarithm of the level: the middle of the last 14 days, weekdays evened out; null before the first
  log_growth: DOUBLE; growth of the level per day, at most 0.02 either way
  weekday_index: DOUBLE; logarithm of what the weekday costs against the days around it; 0 where it is not known
  log_scale: DOUBLE; usual day-to-day move of the logarithm, anomaly_min_scale at least
  flagged_days: BIGINT; flagged days in a row up to this one; 0 on a day that is not flagged
  history_days: BIGINT; days with a cost in the 56 days before that this rests on, flagged ones left out
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more of the tokens lack a price than unpriced_warn_share
  sentence: VARCHAR; what happened, for those who read the table; null on a normal day and while learning
  method_version: VARCHAR; raised when the same rows would be judged otherwise
checks:
  - one_of: [state, learning, normal, anomaly, level_shift, silent]
  - rule: (state = 'learning') = (expected_cost_usd is null)
    text: while it learns nothing is expected, and only then
  - rule: state not in ('anomaly', 'level_shift') or excess_usd >= floor_usd - 0.000001 and effective_cost_usd > expected_cost_usd
    text: what is flagged is worth a look
  - rule: (state = 'silent') = (effective_cost_usd = 0)
question: Which days cost far more than expected, and whose are they?
answer: >-
  select usage_date, team, feature, state, effective_cost_usd, expected_cost_usd, excess_usd, sentence
  from mart_spend_anomalies_daily where state in ('anomaly', 'level_shift', 'silent') order by usage_date, excess_usd desc
notes:
  - Days that were flagged are left out of what is expected later, until level_shift_days of them in a row have become the level.
  - Days are judged one after the other, each by the flags of the days before it.
*/
-- Days before the judged month are taken as they were judged, with their flags.
with recursive days as (
    select
        usage_date,
        cast(date_trunc('month', usage_date) as date) as month_start_date,
        usage_date - date '1970-01-05' as day_number,
        feature,
        cast(sum(requests) as bigint) as requests,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
    from stat_cost_cells_daily
    cross join ref_reporting as z
    cross join ledger_clock as k
    where k.now_at at time zone z.reporting_time_zone >= usage_date + 1
    group by usage_date, feature
),

teams as (
    select usage_date, feature, team
    from (
        select usage_date, feature, team, coalesce(sum(effective_cost_usd), 0) as usd
        from stat_cost_cells_daily
        group by usage_date, feature, team
    ) as by_team
    qualify row_number() over (partition by usage_date, feature order by usd desc, team) = 1
),

months as (
    select distinct month_start_date from days
),

-- The last days before the month. Of flagged days in a row that have become the level none is left out.
earlier as (
    select
        m.month_start_date,
        a.usage_date - date '1970-01-05' as day_number,
        a.feature,
        a.team,
        a.effective_cost_usd,
        a.flagged_days,
        a.flagged_days > 0 and max(case when a.state = 'level_shift' then 1 else 0 end) over (
            partition by m.month_start_date, a.feature, a.flagged_days > 0, a.run_number
        ) = 0 as is_left_out,
    from (
        select
            *,
            row_number() over (partition by feature order by usage_date) - flagged_days as run_number,
        from mart_spend_anomalies_daily
        where effective_cost_usd > 0
    ) as a
    inner join months as m on a.usage_date < m.month_start_date and a.usage_date >= m.month_start_date - 56
),

spent as (
    select month_start_date, day_number, feature, team
    from earlier
    union all
    select d.month_start_date, d.day_number, d.feature, t.team
    from days as d
    inner join teams as t on d.usage_date = t.usage_date and d.feature = t.feature
    where d.effective_cost_usd > 0
),

-- Days of the month that are over, for each feature that has spent anything before or on them.
calendar as (
    select
        m.month_start_date,
        cast(m.month_start_date + cast(o.days_later as integer) as date) as usage_date,
    from months as m
    cross join (select unnest(range(0, 31)) as days_later) as o
    cross join ref_reporting as z
    cross join ledger_clock as k
    where date_trunc('month', m.month_start_date + cast(o.days_later as integer)) = m.month_start_date
        and k.now_at at time zone z.reporting_time_zone >= m.month_start_date + cast(o.days_later as integer) + 1
),

known as (
    select month_start_date, feature, min(day_number) as first_day_number
    from spent
    group by month_start_date, feature
),

of_features as (
    select
        c.month_start_date,
        c.usage_date,
        c.usage_date - date '1970-01-05' as day_number,
        n.feature,
        d.effective_cost_usd,
    from calendar as c
    inner join known as n
        on c.month_start_date = n.month_start_date and c.usage_date - date '1970-01-05' >= n.first_day_number
    left join days as d on c.usage_date = d.usage_date and n.feature = d.feature
),

{{ limits_of_rows(limits, "known", "month_start_date") }},

-- A budget without a month holds for each; one of the month goes before it.
budgets as (
    select
        f.month_start_date,
        f.feature,
        b.budget_usd,
    from known as f
    inner join ref_budgets as b
        on b.scope_kind = 'feature'
        and b.scope_value = f.feature
        and (b.month is null or left(b.month, 7) = strftime(f.month_start_date, '%Y-%m'))
    qualify row_number() over (partition by f.month_start_date, f.feature order by b.month desc nulls last, b.reference_row) = 1
),

asked as (
    select
        d.month_start_date,
        d.usage_date,
        d.day_number,
        d.feature,
        cast(coalesce(d.effective_cost_usd, 0) as double) as cost,
        greatest(cast(l.floor_usd as double), coalesce(cast(l.floor_budget_share as double) * cast(b.budget_usd as double), 0)) as floor_usd,
        cast(l.min_score as double) as min_score,
        cast(l.min_ratio as double) as min_ratio,
        cast(l.min_scale as double) as min_scale,
        cast(l.learning_days as bigint) as learning_days,
        cast(l.min_days as bigint) as min_days,
        cast(l.shift_days as bigint) as shift_days,
        l.unpriced_warn,
        b.budget_usd,
    from of_features as d
    inner join limit_rows as l on d.month_start_date = l.month_start_date and d.feature = l.feature
    left join budgets as b on d.month_start_date = b.month_start_date and d.feature = b.feature
),

last_days as (
    select month_start_date, max(day_number) as last_day_number
    from asked
    group by month_start_date
),

known_days as (
    select month_start_date, feature, day_number, cast(effective_cost_usd as double) as cost, flagged_days, is_left_out
    from earlier
    union all
    select month_start_date, feature, day_number, cost, 0 as flagged_days, false as is_left_out
    from asked
),

-- All days at once, as if none of the month were flagged: right up to a feature's first flagged day.
{% set look, judged_days, known_days = "_at_once", "asked", "known_days" %}
{% include "parts/expected_spend.sql" %},

{% include "parts/spend_flags.sql" %},

first_flags as (
    select month_start_date, feature, min(day_number) as first_day_number
    from flags_at_once
    where is_flagged
    group by month_start_date, feature
),

-- From there on day by day: each by the flags of the days before it. The row without a feature counts the days.
judged as (
    select
        f.month_start_date,
        cast(null as varchar) as feature,
        min(f.first_day_number) - 1 as known_day_number,
        cast(null as bigint) as day_number,
        cast(null as double) as cost,
        cast(0 as bigint) as flagged_days,
        false as is_left_out,
        false as is_flagged,
        false as is_learned,
        cast(null as double) as log_level,
        cast(null as double) as growth,
        cast(null as double) as weekday_index,
        cast(null as double) as log_scale,
        cast(null as bigint) as history_days,
    from first_flags as f
    group by f.month_start_date
    union all
    select
        k.month_start_date,
        k.feature,
        min(f.first_day_number) over (partition by f.month_start_date) - 1 as known_day_number,
        k.day_number,
        k.cost,
        k.flagged_days,
        k.is_left_out,
        false as is_flagged,
        false as is_learned,
        null as log_level,
        null as growth,
        null as weekday_index,
        null as log_scale,
        null as history_days,
    from known_days as k
    inner join first_flags as f on k.month_start_date = f.month_start_date and k.feature = f.feature
    where k.day_number < f.first_day_number
    union all
    (
        with next_days as (
            select a.*, j.known_day_number + 1 as known_day_number
            from judged as j
            inner join asked as a on j.month_start_date = a.month_start_date and a.day_number = j.known_day_number + 1
            inner join first_flags as f
                on a.month_start_date = f.month_start_date and a.feature = f.feature and a.day_number >= f.first_day_number
            where j.feature is null
        ),

{% set look, judged_days, known_days = "_next", "next_days", "judged" %}
{% include "parts/expected_spend.sql" %},

{% include "parts/spend_flags.sql" %},

        -- Of the days with a cost before it, how many in a row are flagged and not yet the level.
        runs as (
            select
                month_start_date,
                feature,
                day_number,
                flagged_days,
                row_number() over (partition by month_start_date, feature order by day_number desc) as days_ago,
            from judged
            where cost > 0 and day_number <= known_day_number
        ),

        counted as (
            select
                f.*,
                case
                    when not f.is_flagged then 0
                    when r.flagged_days >= f.shift_days then 1
                    else coalesce(r.flagged_days, 0) + 1
                end as flagged_days,
            from flags_next as f
            left join runs as r on f.month_start_date = r.month_start_date and f.feature = r.feature and r.days_ago = 1
        )

        -- Flagged days that have become the level are left out no longer.
        select
            j.month_start_date,
            j.feature,
            j.known_day_number + 1 as known_day_number,
            j.day_number,
            j.cost,
            j.flagged_days,
            j.is_left_out and not coalesce(c.flagged_days = c.shift_days and r.days_ago < c.shift_days, false) as is_left_out,
            j.is_flagged,
            j.is_learned,
            j.log_level,
            j.growth,
            j.weekday_index,
            j.log_scale,
            j.history_days,
        from judged as j
        inner join last_days as l on j.month_start_date = l.month_start_date and j.known_day_number < l.last_day_number
        left join counted as c on j.month_start_date = c.month_start_date and j.feature = c.feature
        left join runs as r on j.month_start_date = r.month_start_date and j.feature = r.feature and j.day_number = r.day_number
        union all
        select
            month_start_date,
            feature,
            known_day_number,
            day_number,
            cost,
            flagged_days,
            is_flagged and flagged_days < shift_days as is_left_out,
            is_flagged,
            is_learned,
            log_level,
            growth,
            weekday_index,
            log_scale,
            history_days,
        from counted
    )
),

{% set judgement = "is_flagged, is_learned, log_level, growth, weekday_index, log_scale, history_days" %}
found as (
    select j.month_start_date, j.feature, j.day_number, j.flagged_days, j.{{ judgement | replace(", ", ", j.") }}
    from judged as j
    inner join first_flags as f
        on j.month_start_date = f.month_start_date and j.feature = f.feature and j.day_number >= f.first_day_number
    where j.known_day_number = j.day_number
    union all
    select o.month_start_date, o.feature, o.day_number, 0 as flagged_days, o.{{ judgement | replace(", ", ", o.") }}
    from flags_at_once as o
    left join first_flags as f on o.month_start_date = f.month_start_date and o.feature = f.feature
    where f.feature is null or o.day_number < f.first_day_number
),

expected as (
    select
        *,
        exp(log_level + 7.5 * growth + weekday_index) as expected,
        case when cost > 0 then (ln(cost) - log_level - 7.5 * growth - weekday_index) / log_scale end as score,
    from (
        select f.*, a.usage_date, a.cost, a.floor_usd, a.budget_usd, a.unpriced_warn, a.shift_days
        from found as f
        inner join asked as a
            on f.month_start_date = a.month_start_date and f.feature = a.feature and f.day_number = a.day_number
    ) as of_days
),

-- How long a feature has been without a cost, and how often it has one on the weekday.
silences as (
    select
        j.month_start_date,
        j.feature,
        j.day_number,
        j.day_number - max(o.day_number) as days_silent,
        arg_max(o.team, o.day_number) as last_team,
        count(case when o.day_number % 7 = j.day_number % 7 and o.day_number >= j.day_number - 56 then 1 end) as same_weekdays,
        least(8, (j.day_number - min(o.day_number)) // 7) as weeks_known,
    from expected as j
    inner join spent as o
        on j.month_start_date = o.month_start_date and j.feature = o.feature and o.day_number < j.day_number
    where j.cost = 0
    group by j.month_start_date, j.feature, j.day_number
),

stated as (
    select
        j.*,
        coalesce(t.team, i.last_team, 'unattributed') as team,
        coalesce(d.requests, 0) as requests,
        coalesce(d.total_tokens, 0) as total_tokens,
        coalesce(d.unpriced_requests, 0) as unpriced_requests,
        coalesce(d.unpriced_tokens, 0) as unpriced_tokens,
        coalesce(d.effective_cost_usd, 0) as effective_cost_usd,
        case
            when j.cost = 0
                then case
                    when j.is_learned and coalesce(d.requests, 0) = 0 and j.expected >= j.floor_usd
                        and i.days_silent <= j.shift_days and 2 * i.same_weekdays > i.weeks_known
                        then 'silent'
                end
            when not j.is_learned then 'learning'
            when not j.is_flagged then 'normal'
            when j.flagged_days = j.shift_days then 'level_shift'
            else 'anomaly'
        end as state,
    from expected as j
    left join days as d on j.usage_date = d.usage_date and j.feature = d.feature
    left join teams as t on j.usage_date = t.usage_date and j.feature = t.feature
    left join silences as i
        on j.month_start_date = i.month_start_date and j.feature = i.feature and j.day_number = i.day_number
),

worded as (
    select
        *,
        case day_number % 7
            when 0 then 'Monday' when 1 then 'Tuesday' when 2 then 'Wednesday' when 3 then 'Thursday' when 4 then 'Friday'
            when 5 then 'Saturday' else 'Sunday'
        end as weekday_name,
        case when state <> 'learning' then cast(cast(expected as decimal(38, 6)) as decimal(38, 15)) end as expected_cost_usd,
    from stated
    where state is not null
)

select
    usage_date,
    feature,
    team,
    state,
    requests,
    cast(effective_cost_usd as decimal(38, 15)) as effective_cost_usd,
    expected_cost_usd,
    case when state <> 'learning' then cost / nullif(expected, 0) end as times_expected,
    case when state <> 'learning' then score end as score,
    case
        when state in ('anomaly', 'level_shift') then cast(effective_cost_usd - expected_cost_usd as decimal(38, 6))
        when state <> 'learning' then cast(0 as decimal(38, 6))
    end as excess_usd,
    cast(floor_usd as decimal(38, 6)) as floor_usd,
    budget_usd,
    log_level,
    growth as log_growth,
    weekday_index,
    log_scale,
    flagged_days,
    history_days,
    total_tokens,
    unpriced_requests,
    unpriced_tokens,
    unpriced_tokens > total_tokens * unpriced_warn as is_incomplete,
    case
        when state in ('anomaly', 'level_shift')
            then concat(
                feature, ' spent ', {{ dollars("effective_cost_usd") }}, ' on ', weekday_name, ', ', {{ dollars("effective_cost_usd - expected_cost_usd") }},
                ' above what its own last weeks lead to expect',
                case when state = 'level_shift' then '. So many days in a row are its new level.' else '.' end
            )
        when state = 'silent'
            then concat(
                feature, ' spent nothing on ', weekday_name, ', where its own last weeks lead to expect ', {{ dollars("expected_cost_usd") }},
                ': probably calls that have not arrived.'
            )
    end as sentence,
    '1' as method_version,
from worded
