/*
about: >-
  What was done about opportunities (reference/levers_acted.csv), and what it really saves: the calls of each week since as they would have
  cost without the lever, less what they did cost, beside what was promised for a month before. Where a lever leaves no trace that could be replayed,
  what a call of the same request type cost before it stands in. One row per week that is over, feature and lever.
grain: [week_start_date, feature, lever]
partition: week
reads_back: 12 weeks
clock_stops: 1 day
columns:
  week_start_date: DATE; Monday of the last of the weeks since the lever is used, at most four, in the reporting time zone
  feature: VARCHAR; product feature of levers_acted.csv
  lever: VARCHAR; which lever was pulled, by levers_acted.csv: context_trim, output_cap, retry_waste, prompt_cache, routing, response_cache, batch, fine_tune or self_host
  since_date: DATE; day from which it is used
  follow_up: VARCHAR; acted (no whole week since, or the lever cannot be followed), few_weeks (less than four) or followed_up
  follow_up_reason: VARCHAR; why there is no figure where follow_up is acted: no_week_yet, no_use (nothing of it in the books), no_week_before (no call of the same request type in the weeks before) or not_replayable; else null
  weeks: BIGINT; whole weeks since that were looked at, at most four
  promised_low_month_usd: DECIMAL(38,10); a month's saving that was promised in the last week before, low assumption; null where nothing was
  promised_mid_month_usd: DECIMAL(38,10); the same, middle assumption
  promised_high_month_usd: DECIMAL(38,10); the same, high assumption
  realised_by: VARCHAR; how it is told: replay (the same calls without the lever) or before_after (the same request types before it); null where it is not
  realised_month_usd: DECIMAL(38,10); a month's cost of these weeks without the lever less what they cost; null where it cannot be told
  realised_low_month_usd: DECIMAL(38,10); lower end of its 95 % interval; null of a replay, which has no chance in it, and where users are too few
  realised_high_month_usd: DECIMAL(38,10); upper end of the same
  like_for_like_share: DECIMAL(18,9); share of the cost since that has a call of the same request type before, null of a replay
  realised_ratio: DOUBLE; realised over promised (mid); null where nothing was promised
  sentence: VARCHAR; the row in words
checks:
  - one_of: [follow_up, acted, few_weeks, followed_up]
  - one_of: [follow_up_reason, no_week_yet, no_use, no_week_before, not_replayable]
  - one_of: [realised_by, replay, before_after]
  - rule: (follow_up = 'acted') = (realised_month_usd is null) and (follow_up = 'acted') = (follow_up_reason is not null)
    text: what cannot be told has no figure, and says why
  - between: [weeks, 0, 4]
  - between: [like_for_like_share, 0, 1]
notes:
  - Of the provider's prompt cache it is what cached tokens would have cost as fresh ones less what they cost; of a batch (or flex) its calls at the price for answers at once; of a cache of answers what its hits would have cost less its look-ups (mart_cache_economics_weekly).
  - A smaller or tuned model, a cap, shorter prompts and fewer failed calls are held against the four weeks before, by request type (stat_lever_change_weekly). What else changed within a type since then is in it; own GPUs cannot be told.
  - What was promised is looked for in the twelve weeks before.
question: What did the levers that were pulled really save?
answer: >-
  select week_start_date, feature, lever, since_date, promised_mid_month_usd, realised_month_usd, follow_up, sentence
  from mart_levers_acted_weekly order by week_start_date desc, feature, lever limit 20
*/
{% set cases = ("low", "mid", "high") %}
{% set replayed = "'prompt_cache', 'response_cache', 'batch'" %}
{% macro month_of(usd) %}cast(cast({{ usd }} as double) * 30.4375 / nullif(7 * s.weeks, 0) as decimal(38, 10)){% endmacro %}
{% macro dollars(usd) %}concat(case when {{ usd }} < 0 then '-$' else '$' end, cast(abs(cast({{ usd }} as decimal(38, 2))) as varchar)){% endmacro %}
with
{% include "parts/weeks_with_end.sql" %}

{% include "parts/levers_acted_weeks.sql" %}

answers_again as (
    select
        week_start_date,
        feature,
        cast(sum(case when response_cache_hits > 0 then response_cache_net_usd end) as decimal(38, 10)) as response_cache_usd,
    from mart_cache_economics_weekly
    group by week_start_date, feature
),

summed as (
    select
        n.week_start_date,
        n.feature,
        n.lever,
        n.since_date,
        count(n.looked_at_date) as weeks,
        cast(sum(case when n.lever = 'response_cache' then c.response_cache_usd else u.in_use_usd end) as decimal(38, 15)) as replayed_usd,
    from windows as n
    left join answers_again as c on n.looked_at_date = c.week_start_date and n.feature = c.feature
    left join mart_lever_savings_weekly as u
        on n.looked_at_date = u.week_start_date and n.feature = u.feature and n.lever = u.lever
    group by n.week_start_date, n.feature, n.lever, n.since_date
),

-- The last promise for a week that ended before.
promised as (
    select
        s.week_start_date,
        s.feature,
        s.lever,
{% for case in cases %}
        o.saving_{{ case }}_month_usd as promised_{{ case }}_month_usd,
{% endfor %}
        row_number() over (partition by s.week_start_date, s.feature, s.lever order by o.week_start_date desc) as place,
    from summed as s
    inner join mart_opportunities_weekly as o
        on s.feature = o.feature and s.lever = o.lever and o.week_start_date + 7 <= s.since_date
),

scaled as (
    select
        s.*,
{% for case in cases %}
        p.promised_{{ case }}_month_usd,
{% endfor %}
        {{ month_of("case when s.lever in (" ~ replayed ~ ") then s.replayed_usd else d.realised_usd end") }} as realised_month_usd,
        {{ month_of("d.realised_low_usd") }} as realised_low_month_usd,
        {{ month_of("d.realised_high_usd") }} as realised_high_month_usd,
        d.like_for_like_share,
        case
            when s.weeks = 0 then 'no_week_yet'
            when s.lever = 'self_host' then 'not_replayable'
            when s.lever in ({{ replayed }}) and s.replayed_usd is null then 'no_use'
            when s.lever not in ({{ replayed }}) and d.realised_usd is null then 'no_week_before'
        end as follow_up_reason,
    from summed as s
    left join stat_lever_change_weekly as d
        on s.week_start_date = d.week_start_date and s.feature = d.feature and s.lever = d.lever
    left join promised as p
        on s.week_start_date = p.week_start_date and s.feature = p.feature and s.lever = p.lever and p.place = 1
)

select
    week_start_date,
    feature,
    lever,
    since_date,
    case when follow_up_reason is not null then 'acted' when weeks < 4 then 'few_weeks' else 'followed_up' end as follow_up,
    follow_up_reason,
    weeks,
{% for case in cases %}
    promised_{{ case }}_month_usd,
{% endfor %}
    case when follow_up_reason is not null then null when lever in ({{ replayed }}) then 'replay' else 'before_after' end as realised_by,
    realised_month_usd,
    realised_low_month_usd,
    realised_high_month_usd,
    like_for_like_share,
    cast(realised_month_usd as double) / nullif(cast(promised_mid_month_usd as double), 0) as realised_ratio,
    case
        when follow_up_reason = 'no_week_yet' then 'Not a whole week is over since then.'
        when follow_up_reason = 'no_use' then 'Nothing of it is in the books of these weeks.'
        when follow_up_reason = 'no_week_before' then 'No call of the same request types is in the books of the weeks before.'
        when follow_up_reason is not null then 'What this lever saves cannot be told from the calls that it has changed.'
        else concat(
            case
                when lever in ({{ replayed }}) then concat('Without it these weeks would cost ', {{ dollars("realised_month_usd") }}, ' a month more; ')
                else concat(
                    'The same work costs ', {{ dollars("abs(realised_month_usd)") }}, ' a month ',
                    case when realised_month_usd < 0 then 'more' else 'less' end, ' than before',
                    case
                        when realised_low_month_usd <= 0 and realised_high_month_usd >= 0 then ', no more than chance may make'
                        when realised_low_month_usd is null then ', of too few users to tell from chance'
                        else ''
                    end,
                    '; '
                )
            end,
            case
                when promised_mid_month_usd is null then 'nothing was promised before.'
                else concat('promised were ', {{ dollars("promised_mid_month_usd") }}, '.')
            end
        )
    end as sentence,
from scaled
