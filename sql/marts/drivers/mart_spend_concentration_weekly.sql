/*
about: >-
  Whether few things make most of the spend: the claim that 10-20 % of request types make 60-80 % of it, tested with an interval
  over users, with the usual measures of concentration and what is new in class A. One row per week, time window and cut.
grain: [week_start_date, time_window, cut]
partition: week
reads_back: 4 weeks
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  time_window: VARCHAR; 1w (the week) or 4w (the week and the three before; only once the week is over)
  cut: VARCHAR; what the cost is divided by: request_type or model
  is_closed: BOOLEAN; true once the week is over by the books' own now
  weeks: BIGINT; weeks of the time window with any call
  types: BIGINT; request types (or models) with a cost; those without are left out
  clusters: BIGINT; users (or what stands for them) with calls
  requests: BIGINT; calls, failed ones included, of types left out too
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; of these, calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: no alert may follow
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  top10_share: DECIMAL(18,9); share of the dearest tenth of the types (rounded up) in the cost
  top20_share: DECIMAL(18,9); share of the dearest fifth of the types (rounded up) in the cost
  top20_share_low: DECIMAL(18,4); lower end of its 95 % interval; null for too few types
  top20_share_high: DECIMAL(18,4); upper end of its 95 % interval; null for too few types
  types_for_60: BIGINT; fewest types that make 60 % of the cost
  types_for_80: BIGINT; fewest types that make 80 % of the cost
  types_a: BIGINT; types of class A
  types_b: BIGINT; types of class B
  types_c: BIGINT; types of class C
  class_a_share: DECIMAL(18,9); share of class A in the cost
  gini: DOUBLE; Gini coefficient of the types' costs, 0 where all cost the same
  hhi: DOUBLE; Herfindahl-Hirschman index, the sum of squared shares
  effective_types: DOUBLE; 1 over hhi: so many types of equal cost would be as concentrated
  jaccard_previous: DECIMAL(18,9); types in class A now and in the window of equal length before, over those in either; null without one before
  entered_a: VARCHAR[]; types in class A now and not before, by name; null without a window before
  left_a: VARCHAR[]; types in class A before and not now, by name; null without a window before
  dearest_hundredth_share: DECIMAL(18,9); share of the dearest 1 % of the calls (rounded up) in the cost
  verdict: VARCHAR; judgement in one word: too_few_types, holds, partly or does_not_hold; whether 10-20 % of types make 60-80 % of spend
  method_version: VARCHAR; raised when the same rows would be judged otherwise
  sentence: VARCHAR; the verdict in words
checks:
  - one_of: [time_window, 1w, 4w]
  - one_of: [cut, request_type, model]
  - one_of: [verdict, too_few_types, holds, partly, does_not_hold]
  - between: [top10_share, 0, 1]
  - between: [top20_share, 0, 1]
  - between: [class_a_share, 0, 1]
  - between: [dearest_hundredth_share, 0, 1]
  - between: [jaccard_previous, 0, 1]
  - rule: types = types_a + types_b + types_c
  - rule: top10_share <= top20_share and top20_share_low <= top20_share_high
    null_passes: true
  - rule: verdict = 'too_few_types' or (top20_share_low is not null and top20_share is not null)
    text: a verdict stands beside the interval that led to it
question: Do few request types make most of the spend?
answer: >-
  select week_start_date, sentence from mart_spend_concentration_weekly
  where time_window = '4w' and cut = 'request_type' order by week_start_date desc
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
with
{% include "parts/weeks_with_end.sql" %}

-- Which weeks a time window is made of.
spans as (
    select
        w.week_start_date,
        w.is_closed,
        t.time_window,
        w.week_start_date - 7 * (t.weeks_long - 1) as first_date,
        w.week_start_date - 7 * t.weeks_long as previous_date,
    from weeks as w
    inner join (
        select '1w' as time_window, 1 as weeks_long
        union all
        select '4w' as time_window, 4 as weeks_long
    ) as t on w.is_closed or t.time_window = '1w'
),

totals as (
    select
        s.week_start_date,
        s.time_window,
        s.is_closed,
        s.previous_date,
        count(distinct c.week_start_date) as weeks,
        count(distinct concat_ws('|', c.cluster_unit, c.cluster_id)) as clusters,
        cast(sum(c.requests) as bigint) as requests,
        cast(sum(c.total_tokens) as bigint) as total_tokens,
        cast(sum(c.unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(c.unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
    from spans as s
    inner join stat_usage_cells_weekly as c on c.week_start_date >= s.first_date and c.week_start_date <= s.week_start_date
    group by s.week_start_date, s.time_window, s.is_closed, s.previous_date
),

{{ limits_of_weeks({
    "concentration_claim_share": "claim",
    "min_request_types": "min_types",
    "min_users_interval": "min_users",
    "unpriced_warn_share": "unpriced_warn",
}) }},

drivers as (
    select
        *,
        count(*) over (partition by week_start_date, time_window, cut) as types,
        sum(effective_cost_usd) over (partition by week_start_date, time_window, cut) as cost_of_all,
        sum(effective_cost_usd) over (
            partition by week_start_date, time_window, cut order by rank rows between unbounded preceding and current row
        ) - effective_cost_usd as cost_before,
    from mart_spend_drivers_weekly
    where cut in ('request_type', 'model')
),

measures as (
    select
        week_start_date,
        time_window,
        cut,
        min(types) as types,
        min(cost_of_all) as cost_of_all,
        sum(case when rank <= (types + 9) // 10 then effective_cost_usd else 0 end) as top10_cost,
        sum(case when rank <= (types + 4) // 5 then effective_cost_usd else 0 end) as top20_cost,
        count(case when cost_before < 0.60 * cost_of_all then 1 end) as types_for_60,
        count(case when cost_before < 0.80 * cost_of_all then 1 end) as types_for_80,
        count(case when abc_class = 'A' then 1 end) as types_a,
        count(case when abc_class = 'B' then 1 end) as types_b,
        count(case when abc_class = 'C' then 1 end) as types_c,
        sum(case when abc_class = 'A' then effective_cost_usd else 0 end) as class_a_cost,
        sum(cast(types + 1 - 2 * rank as decimal(18, 0)) * effective_cost_usd) as ranked_cost,
        sum(cast(pow(cast(effective_cost_usd as double) / cast(cost_of_all as double), 2) as decimal(38, 24))) as squared_shares,
        max(case when rank = 1 then driver end) as dearest,
    from drivers
    group by week_start_date, time_window, cut
),

-- Class A of this window and of the one before, side by side.
changes as (
    select
        s.week_start_date,
        s.time_window,
        d.cut,
        d.driver,
        max(d.short_name) as short_name,
        max(case when d.week_start_date = s.week_start_date and d.abc_class = 'A' then 1 else 0 end) as is_now,
        max(case when d.week_start_date = s.previous_date and d.abc_class = 'A' then 1 else 0 end) as was_before,
    from spans as s
    inner join drivers as d
        on d.time_window = s.time_window
        and d.week_start_date in (s.week_start_date, s.previous_date)
    group by s.week_start_date, s.time_window, d.cut, d.driver
),

comparisons as (
    select
        week_start_date,
        time_window,
        cut,
        count(case when is_now = 1 and was_before = 1 then 1 end) as in_both,
        count(case when is_now = 1 or was_before = 1 then 1 end) as in_either,
        list_sort(coalesce(list(driver) filter (where is_now = 1 and was_before = 0), [])) as entered_a,
        list_sort(coalesce(list(driver) filter (where is_now = 0 and was_before = 1), [])) as left_a,
        list_sort(coalesce(list(short_name) filter (where is_now = 1 and was_before = 0), [])) as entered_names,
        list_sort(coalesce(list(short_name) filter (where is_now = 0 and was_before = 1), [])) as left_names,
    from changes
    group by week_start_date, time_window, cut
    having sum(was_before) > 0
),

sizes as (
    select
        s.week_start_date,
        s.time_window,
        h.cost_step,
        sum(h.requests - h.unpriced_requests) as requests,
        sum(coalesce(h.effective_cost_usd, 0)) as cost,
    from spans as s
    inner join stat_request_sizes_weekly as h on h.week_start_date >= s.first_date and h.week_start_date <= s.week_start_date
    group by s.week_start_date, s.time_window, h.cost_step
),

stacked as (
    select
        week_start_date,
        time_window,
        requests,
        cost,
        sum(requests) over (partition by week_start_date, time_window) as requests_of_all,
        coalesce(
            sum(requests) over (
                partition by week_start_date, time_window
                order by cost_step desc nulls last
                rows between unbounded preceding and 1 preceding
            ), 0
        ) as requests_before,
    from sizes
),

-- Of the step that the hundredth ends in, so many calls at its mean: calls of a step differ by one percent at most.
dearest as (
    select
        week_start_date,
        time_window,
        sum(
            cast(
                cast(cost as double) * least(1, greatest(0, ceil(cast(requests_of_all as double) / 100) - cast(requests_before as double)) / cast(requests as double))
                as decimal(38, 15)
            )
        ) as cost,
    from stacked
    where requests > 0
    group by week_start_date, time_window
),

judged as (
    select
        t.week_start_date,
        t.time_window,
        k.cut,
        t.is_closed,
        t.weeks,
        coalesce(m.types, 0) as types,
        t.clusters,
        t.requests,
        t.total_tokens,
        t.unpriced_requests,
        t.unpriced_tokens,
        t.unpriced_tokens > t.total_tokens * l.unpriced_warn as is_incomplete,
        t.effective_cost_usd,
        cast(cast(m.top10_cost as double) / cast(m.cost_of_all as double) as decimal(18, 9)) as top10_share,
        cast(cast(m.top20_cost as double) / cast(m.cost_of_all as double) as decimal(18, 9)) as top20_share,
        case when m.types >= l.min_types then cast(b.estimate_low as decimal(18, 4)) end as top20_share_low,
        case when m.types >= l.min_types then cast(b.estimate_high as decimal(18, 4)) end as top20_share_high,
        m.types_for_60,
        m.types_for_80,
        coalesce(m.types_a, 0) as types_a,
        coalesce(m.types_b, 0) as types_b,
        coalesce(m.types_c, 0) as types_c,
        cast(cast(m.class_a_cost as double) / cast(m.cost_of_all as double) as decimal(18, 9)) as class_a_share,
        cast(m.ranked_cost as double) / (m.types * cast(m.cost_of_all as double)) as gini,
        cast(m.squared_shares as double) as hhi,
        1 / cast(m.squared_shares as double) as effective_types,
        cast(cast(c.in_both as double) / c.in_either as decimal(18, 9)) as jaccard_previous,
        c.entered_a,
        c.left_a,
        c.entered_names,
        c.left_names,
        cast(cast(d.cost as double) / cast(m.cost_of_all as double) as decimal(18, 9)) as dearest_hundredth_share,
        case
            when coalesce(m.types, 0) < l.min_types then 'too_few_types'
            when m.top20_cost >= l.claim * m.cost_of_all and b.estimate_low >= l.claim then 'holds'
            when b.estimate_low <= l.claim and b.estimate_high >= l.claim then 'partly'
            else 'does_not_hold'
        end as verdict,
        b.clusters as drawn_clusters,
        l.min_users,
        m.dearest,
    from totals as t
    cross join (select unnest(['request_type', 'model']) as cut) as k
    inner join limits as l on t.week_start_date = l.week_start_date
    left join measures as m
        on t.week_start_date = m.week_start_date
        and t.time_window = m.time_window
        and k.cut = m.cut
    left join comparisons as c
        on t.week_start_date = c.week_start_date
        and t.time_window = c.time_window
        and k.cut = c.cut
    left join dearest as d on t.week_start_date = d.week_start_date and t.time_window = d.time_window
    left join stat_bootstrap_weekly as b
        on b.statistic = 'top20_share'
        and t.week_start_date = b.week_start_date
        and t.time_window = b.time_window
        and k.cut = b.cut
),

worded as (
    select
        *,
        case when cut = 'model' then 'model' else 'request type' end || case when types = 1 then '' else 's' end as noun,
        case when time_window = '4w' then 'in the four weeks before' else 'in the week before' end as before,
        cast(cast(round(100 * top20_share) as bigint) as varchar) || ' % (' || cast(cast(round(100 * top20_share_low) as bigint) as varchar)
            || '-' || cast(cast(round(100 * top20_share_high) as bigint) as varchar) || ' %)' as top20_text,
        array_length(entered_a) + array_length(left_a) as moved,
    from judged
)

select
    week_start_date,
    time_window,
    cut,
    is_closed,
    weeks,
    types,
    clusters,
    requests,
    total_tokens,
    unpriced_requests,
    unpriced_tokens,
    is_incomplete,
    effective_cost_usd,
    top10_share,
    top20_share,
    top20_share_low,
    top20_share_high,
    types_for_60,
    types_for_80,
    types_a,
    types_b,
    types_c,
    class_a_share,
    gini,
    hhi,
    effective_types,
    jaccard_previous,
    entered_a,
    left_a,
    dearest_hundredth_share,
    verdict,
    '1' as method_version,
    concat(
        case when is_closed then '' else 'The week is not over. ' end,
        case when time_window = '4w' and weeks < 4 then concat('Only ', cast(weeks as varchar), ' of the four weeks ', case when weeks = 1 then 'has' else 'have' end, ' calls. ') else '' end,
        case
            when types = 0 then concat('No ', case when cut = 'model' then 'model' else 'request type' end, ' has a cost')
            when types = 1 then concat('A single ', noun, ' makes all of the spend')
            else concat(
                cast(types_a as varchar), ' of ', cast(types as varchar), ' ', noun, ' (',
                cast(cast(round(100 * cast(types_a as double) / types) as bigint) as varchar), ' %) make',
                case when types_a = 1 then 's' else '' end, ' ',
                cast(cast(round(100 * class_a_share) as bigint) as varchar), ' % of the spend'
            )
        end,
        case
            when moved is null then ''
            when moved = 0 then concat('; the same as ', before)
            when moved <= 4
                then concat(
                    '; the same as ', before, ' except ',
                    array_to_string(
                        list_concat(
                            list_transform(entered_names, lambda x: x || ' (new)'),
                            list_transform(left_names, lambda x: x || ' (gone)')
                        ),
                        ', '
                    )
                )
            else concat(
                '; of those ', before, ' ', cast(array_length(left_a) as varchar), ' are gone and ',
                cast(array_length(entered_a) as varchar), ' are new'
            )
        end,
        '. ',
        case verdict
            when 'too_few_types' then concat('Too few to ask whether 10-20 % of types make 60-80 % of spend')
            when 'holds' then concat('The dearest fifth makes ', top20_text, ': that 10-20 % of types make 60-80 % of spend holds')
            when 'partly'
                then concat('The dearest fifth makes ', top20_text, ': that 10-20 % of types make 60-80 % of spend may hold or not')
            else concat(
                'The dearest fifth makes ', top20_text, ': that 10-20 % of types make 60-80 % of spend does not hold, it takes ',
                cast(types_for_80 as varchar), ' types (', cast(cast(round(100 * cast(types_for_80 as double) / types) as bigint) as varchar),
                ' %) for 80 %'
            )
        end,
        case when verdict <> 'too_few_types' and drawn_clusters < min_users then concat('; the interval is rough with ', cast(drawn_clusters as varchar), ' users') else '' end,
        '.',
        case
            when unpriced_tokens > 0
                then concat(' ', cast(cast(round(100 * cast(unpriced_tokens as double) / total_tokens, 1) as decimal(18, 1)) as varchar), ' % of the tokens have no price and are left out.')
            else ''
        end
    ) as sentence,
from worded
