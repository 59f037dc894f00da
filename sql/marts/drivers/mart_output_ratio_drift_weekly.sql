/*
about: >-
  Whether answers are getting longer: output over input tokens of each feature against the four weeks before, for the same users
  and request types apart from the mix of them, with what it costs and the smallest rise that could have been seen. One row per
  week and feature.
grain: [week_start_date, feature]
partition: week
reads_back: 4 weeks
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  is_closed: BOOLEAN; true once the week is over by the books' own now
  verdict: VARCHAR; judgement in one word: insufficient, drift, one_user, mix_shift or stable: the first that holds
  verdict_reason: VARCHAR; what is missing where the verdict is insufficient: week_not_over, no_pairs, few_users, few_degrees_of_freedom, few_requests, few_base_requests or few_base_weeks; else null
  cause: VARCHAR; of a drift: creep where only the last three weeks together show it, against the eight before them, else what coincides with its onset (model_canonical, prompt_version, release, service_tier, region, tied for several, no_config_change for none); null without a drift, or with too few days to date it
  cause_value: VARCHAR; the model, prompt version ... that came at the onset; null where none or several did
  cause_date: DATE; day on which that value took most of the traffic of its request types, or else was first seen
  tied_causes: VARCHAR[]; all that changed at the onset, by name; null where it is not dated
  onset_date: DATE; day on which the drift began, in the reporting time zone; null where there is none, and for creep
  onset_lo_date: DATE; first day of the set that holds the true onset in most cases
  onset_hi_date: DATE; last day of that set of days around the onset
  concurrent_days: BIGINT; days on which that value and others served the same request type; null without such a value
  concurrent_change: DOUBLE; answers per input token of that value against the others on those days, as a fraction; null without such days
  sentence: VARCHAR; the verdict in words
  requests: BIGINT; calls, failed ones included
  answered_requests: BIGINT; calls that ended well and tell both input (more than none) and output: the others are left out
  input_total_tokens: BIGINT; input of the answered calls, cached included
  output_total_tokens: BIGINT; output of the answered calls, reasoning included
  base_input_total_tokens: BIGINT; input of the answered calls of the four weeks before; null without any
  base_output_total_tokens: BIGINT; output of the answered calls of the four weeks before; null without any
  output_token_ratio: DOUBLE; output over input tokens, ratio of the sums; null without input
  base_output_token_ratio: DOUBLE; the same in the four weeks before
  output_token_ratio_delta: DOUBLE; the ratio less that of the four weeks before; within_delta and mix_delta make it
  output_token_ratio_change: DOUBLE; the same as a fraction of the ratio before, 0.30 is +30 %
  output_token_ratio_change_low: DOUBLE; lower end of its 95 % interval, by leaving out one user after the other
  output_token_ratio_change_high: DOUBLE; upper end of its 95 % interval
  within_delta: DOUBLE; part of the difference that request types made by a ratio of their own that changed
  within_change: DOUBLE; the same as a fraction of the ratio before
  mix_delta: DOUBLE; part of the difference that a changed mix of request types made
  mix_change: DOUBLE; the same as a fraction of the ratio before
  mix_change_low: DOUBLE; lower end of its 95 % interval, by leaving out one user after the other
  mix_change_high: DOUBLE; upper end of its 95 % interval
  mix_p_value: DOUBLE; two-sided p of no effect of the mix
  paired_change: DOUBLE; change of output per input token for the same users and request types, as a fraction
  paired_change_low: DOUBLE; lower end of its 95 % interval
  paired_change_high: DOUBLE; upper end of its 95 % interval
  log_change: DOUBLE; the same as a weighted mean change of the logarithm
  log_standard_error: DOUBLE; its standard error, clusters and a shared weekly shock included
  degrees_of_freedom: DOUBLE; of Student's t, by the weights of the clusters
  t_statistic: DOUBLE; log_change over its standard error
  p_value: DOUBLE; two-sided p of the paired change
  q_value: DOUBLE; p after Benjamini-Hochberg over the week's tested features; null where not tested
  mde_80: DOUBLE; smallest rise that would be seen 4 times in 5, as a fraction
  output_change: DOUBLE; paired change of output tokens alone, as a fraction
  input_change: DOUBLE; paired change of input tokens alone, as a fraction
  creep_change: DOUBLE; how much longer answers per input token are in the last three weeks, the newest counted most, than in the eight weeks before, less what chance does to the input, as a fraction
  creep_p: DOUBLE; its two-sided p; null where that is no test
  cluster_unit: VARCHAR; what the paired calls are paired by, most of them: user, customer, session or day_and_type
  paired_clusters: BIGINT; users (or what stands for them) with calls of one type in both periods
  paired_requests: BIGINT; their calls of these types in the judged week
  base_requests: BIGINT; their calls of these types in the four weeks before
  base_weeks: BIGINT; weeks of the baseline that these calls come from
  paired_coverage: DECIMAL(18,9); paired over answered calls of the week
  top_user: VARCHAR; the user (or what stands for one) that most of the change of the ratio hangs on
  top_user_share: DECIMAL(18,9); share of the change that is gone without that user, at most 1; null without a change
  cost_impact_usd: DECIMAL(38,10); what longer answers of the same request types cost in the week, at its prices; null where no type is in both periods with a price
  total_tokens: BIGINT; tokens of all calls
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: cost_impact_usd is then too small
  method_version: VARCHAR; raised when the same rows would be judged otherwise
checks:
  - one_of: [verdict, insufficient, drift, one_user, mix_shift, stable]
  - one_of: [verdict_reason, week_not_over, no_pairs, few_users, few_degrees_of_freedom, few_requests, few_base_requests, few_base_weeks]
  - one_of: [cause, creep, model_canonical, prompt_version, release, service_tier, region, tied, no_config_change]
  - rule: (onset_date is null or (verdict = 'drift' and cause <> 'creep')) and (cause is null or verdict = 'drift')
    text: only a drift has a cause and a day, and creep has no day
  - rule: (verdict = 'insufficient') = (verdict_reason is not null) and (verdict_reason is null) = (q_value is not null)
    text: a week is judged exactly where it was tested
  - rule: verdict = 'insufficient' or mde_80 > 0
    text: a verdict stands beside the smallest change that would have been seen
  - rule: abs(within_delta + mix_delta - output_token_ratio_delta) < 0.000000001
    null_passes: true
    text: within and mix make the change
  - between: [paired_coverage, 0, 1]
  - between: [top_user_share, 0, 1]
question: Which features answer longer than before, and what does it cost?
answer: >-
  select week_start_date, feature, verdict, paired_change, cost_impact_usd, sentence
  from mart_output_ratio_drift_weekly where verdict <> 'insufficient' order by week_start_date desc, cost_impact_usd desc nulls last
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/measures.sql" import parts_of_change %}
{% from "macros/words.sql" import dollars_a_week %}
with
{% include "parts/weeks_with_end.sql" %}

types as (
    select
        w.week_start_date,
        w.is_closed,
        c.feature,
        c.workflow_step,
        c.prompt_name,
        sum(case when o.weeks_later = 0 then c.requests else 0 end) as requests,
        sum(case when o.weeks_later = 0 then c.total_tokens else 0 end) as total_tokens,
        sum(case when o.weeks_later = 0 then c.unpriced_requests else 0 end) as unpriced_requests,
        sum(case when o.weeks_later = 0 then c.unpriced_tokens else 0 end) as unpriced_tokens,
        sum(case when o.weeks_later = 0 then c.answered_requests else 0 end) as n1,
        sum(case when o.weeks_later = 0 then c.input_total_tokens else 0 end) as x1,
        sum(case when o.weeks_later = 0 then c.output_total_tokens else 0 end) as y1,
        sum(case when o.weeks_later = 0 then c.output_priced_tokens else 0 end) as priced1,
        sum(case when o.weeks_later = 0 then c.output_cost_usd end) as cost1,
        sum(case when o.weeks_later > 0 then c.answered_requests else 0 end) as n0,
        sum(case when o.weeks_later > 0 then c.input_total_tokens else 0 end) as x0,
        sum(case when o.weeks_later > 0 then c.output_total_tokens else 0 end) as y0,
    from stat_usage_cells_weekly as c
    cross join (select unnest(range(0, 5)) as weeks_later) as o
    inner join weeks as w on w.week_start_date = c.week_start_date + 7 * cast(o.weeks_later as integer)
    group by w.week_start_date, w.is_closed, c.feature, c.workflow_step, c.prompt_name
),

features as (
    select
        week_start_date,
        is_closed,
        feature,
        cast(sum(requests) as bigint) as requests,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(n1) as bigint) as answered_requests,
        cast(sum(x1) as bigint) as input_total_tokens,
        cast(sum(y1) as bigint) as output_total_tokens,
        cast(case when sum(n0) > 0 then sum(x0) end as bigint) as base_input_total_tokens,
        cast(case when sum(n0) > 0 then sum(y0) end as bigint) as base_output_total_tokens,
        -- The week's price of output of the type, times the output beyond that of as many calls before.
        cast(
            sum(
                case
                    when n1 > 0 and n0 > 0 and priced1 > 0
                        then cast(
                            cast(cost1 as double) * (cast(y1 as double) - cast(n1 as double) * cast(y0 as double) / cast(n0 as double))
                            / cast(priced1 as double) as decimal(38, 15)
                        )
                end
            ) as decimal(38, 10)
        ) as cost_impact_usd,
    from types
    group by week_start_date, is_closed, feature
    having sum(requests) > 0
),

{{ parts_of_change("output_ratio") }},

{{ limits_of_rows({
    "one_user_change": "one_user_change",
    "one_user_share": "one_user_share",
    "mix_shift_change": "mix_shift_change",
    "mix_shift_p": "mix_shift_p",
    "unpriced_warn_share": "unpriced_warn",
    "drift_min_users": "min_users",
    "drift_min_df": "min_df",
    "drift_min_requests_current": "min_requests",
    "drift_min_requests_base": "min_base_requests",
    "drift_min_base_weeks": "min_base_weeks",
}, "features") }},

compared as (
    select
        f.*,
        cast(f.output_total_tokens as double) / nullif(f.input_total_tokens, 0) as output_token_ratio,
        cast(f.base_output_total_tokens as double) / nullif(f.base_input_total_tokens, 0) as base_output_token_ratio,
        -- A ratio of 0 before has no fraction that it grew by.
        nullif(cast(f.base_output_total_tokens as double) / nullif(f.base_input_total_tokens, 0), 0) as whole,
        b.within_delta,
        b.mix_delta,
        jc.estimate_low as delta_low,
        jc.estimate_high as delta_high,
        jc.top_cluster_id as top_user,
        -- Without that user a period may be empty: then all of the change is theirs.
        case when jc.estimate <> 0 then coalesce(1 - jc.top_cluster_estimate / jc.estimate, 1) end as top_user_part,
        jm.estimate_low as mix_low,
        jm.estimate_high as mix_high,
        jm.p_value as mix_p_value,
        p.change as paired_change,
        p.change_low as paired_change_low,
        p.change_high as paired_change_high,
        p.log_change,
        p.log_standard_error,
        p.degrees_of_freedom,
        p.t_statistic,
        p.p_value,
        p.q_value,
        p.mde_80,
        po.change as output_change,
        pi.change as input_change,
        case when pc.is_input_changed then pr.change else pc.change end as creep_change,
        case when pc.is_input_changed then pr.change_low else pc.change_low end as creep_change_low,
        case when pc.is_input_changed then pr.change_high else pc.change_high end as creep_change_high,
        case
            when pc.untested_reason is null and pc.is_input_changed then greatest(pc.p_value, pr.p_value)
            when pc.untested_reason is null then pc.p_value
        end as creep_p,
        coalesce(p.is_drift, false) as is_drift,
        coalesce(pc.is_drift, false) as is_creep,
        p.cluster_unit,
        coalesce(p.paired_clusters, 0) as paired_clusters,
        coalesce(p.paired_requests, 0) as paired_requests,
        coalesce(p.base_requests, 0) as base_requests,
        coalesce(p.base_weeks, 0) as base_weeks,
        case
            when not f.is_closed then 'week_not_over'
            when p.feature is null then 'no_pairs'
            else p.untested_reason
        end as verdict_reason,
    from features as f
    left join parts as b on f.week_start_date = b.week_start_date and f.feature = b.feature
    left join stat_jackknife_weekly as jc
        on jc.statistic = 'output_ratio_change'
        and f.week_start_date = jc.week_start_date
        and f.feature = jc.feature
    left join stat_jackknife_weekly as jm
        on jm.statistic = 'output_ratio_mix'
        and f.week_start_date = jm.week_start_date
        and f.feature = jm.feature
    left join stat_paired_change_weekly as p
        on p.measure = 'output_ratio'
        and p.baseline = '4w'
        and f.week_start_date = p.week_start_date
        and f.feature = p.feature
    left join stat_paired_change_weekly as po
        on po.measure = 'output'
        and po.baseline = '4w'
        and f.week_start_date = po.week_start_date
        and f.feature = po.feature
    left join stat_paired_change_weekly as pi
        on pi.measure = 'input'
        and pi.baseline = '4w'
        and f.week_start_date = pi.week_start_date
        and f.feature = pi.feature
    left join stat_paired_change_weekly as pc
        on pc.measure = 'answers'
        and pc.baseline = '8w'
        and f.week_start_date = pc.week_start_date
        and f.feature = pc.feature
    left join stat_paired_change_weekly as pr
        on pr.measure = 'output_ratio'
        and pr.baseline = '8w'
        and f.week_start_date = pr.week_start_date
        and f.feature = pr.feature
),

judged as (
    select
        c.*,
        c.output_token_ratio - c.base_output_token_ratio as output_token_ratio_delta,
        (c.output_token_ratio - c.base_output_token_ratio) / c.whole as output_token_ratio_change,
        c.unpriced_tokens > c.total_tokens * l.unpriced_warn as is_incomplete,
        case
            when c.verdict_reason is not null then 'insufficient'
            when c.is_drift or c.is_creep then 'drift'
            when abs((c.output_token_ratio - c.base_output_token_ratio) / c.whole) >= l.one_user_change and c.top_user_part >= l.one_user_share
                then 'one_user'
            when abs(c.mix_delta / c.whole) >= l.mix_shift_change and c.mix_p_value < l.mix_shift_p then 'mix_shift'
            else 'stable'
        end as verdict,
        case
            when c.verdict_reason is null and not c.is_drift and c.is_creep then 'creep'
            when c.is_drift then n.coinciding_cause
        end as cause,
        n.cause_value,
        n.cause_date,
        n.tied_causes,
        n.onset_date,
        n.onset_lo_date,
        n.onset_hi_date,
        n.concurrent_days,
        n.concurrent_change,
        n.onset_words,
        case c.cluster_unit when 'user' then 'users' when 'customer' then 'customers' when 'session' then 'sessions' else 'days' end as nouns,
        case c.cluster_unit when 'user' then 'user' when 'customer' then 'customer' when 'session' then 'session' else 'day' end as noun,
        cast(l.min_users as bigint) as min_users,
        cast(l.min_df as bigint) as min_df,
        cast(l.min_requests as bigint) as min_requests,
        cast(l.min_base_requests as bigint) as min_base_requests,
        cast(l.min_base_weeks as bigint) as min_base_weeks,
    from compared as c
    inner join limit_rows as l on c.week_start_date = l.week_start_date and c.feature = l.feature
    left join stat_drift_onset_weekly as n on c.week_start_date = n.week_start_date and c.feature = n.feature
),

worded as (
    select
        *,
        -- Null, and so left out of the sentence, where the impact is not known.
        {{ dollars_a_week("cost_impact_usd") }} as money,
        -- The change that the verdict rests on: of creep, that of the last three weeks.
        case when cause = 'creep' then creep_change else paired_change end as shown_change,
        case when cause = 'creep' then creep_change_low else paired_change_low end as shown_low,
        case when cause = 'creep' then creep_change_high else paired_change_high end as shown_high,
        case when output_change < 0 then '-' else '+' end || cast(cast(round(100 * abs(output_change)) as bigint) as varchar) || ' %' as output_text,
        case when input_change < 0 then '-' else '+' end || cast(cast(round(100 * abs(input_change)) as bigint) as varchar) || ' %' as input_text,
        case when mix_delta < 0 then '-' else '+' end || cast(cast(round(100 * abs(mix_delta / whole)) as bigint) as varchar) || ' %' as mix_text,
        case when paired_change < 0 then '-' else '+' end || cast(cast(round(100 * abs(paired_change)) as bigint) as varchar) || ' %' as paired_text,
        case when output_token_ratio_change < 0 then 'fell ' else 'rose ' end
            || cast(cast(round(100 * abs(output_token_ratio_change)) as bigint) as varchar) || ' %' as ratio_text,
    from judged
)

select
    week_start_date,
    feature,
    is_closed,
    verdict,
    verdict_reason,
    cause,
    cause_value,
    cause_date,
    tied_causes,
    onset_date,
    onset_lo_date,
    onset_hi_date,
    concurrent_days,
    concurrent_change,
    case
        when verdict_reason = 'week_not_over' then 'The week is not over.'
        when verdict_reason = 'no_pairs' and base_input_total_tokens is null
            then 'Too little to judge: no calls in the four weeks before to compare with.'
        when verdict_reason = 'no_pairs' then 'Too little to judge: nobody has calls of one request type both in the week and in the four weeks before.'
        when verdict_reason = 'few_users'
            then concat(
                'Too little to judge: ', cast(paired_clusters as varchar), ' ', case when paired_clusters = 1 then noun else nouns end,
                ' with calls of one request type both in the week and in the four weeks before, ', cast(min_users as varchar), ' are needed.'
            )
        when verdict_reason = 'few_degrees_of_freedom'
            then concat(
                'Too little to judge: a few ', nouns, ' make most of the calls (', cast(cast(degrees_of_freedom as decimal(18, 1)) as varchar),
                ' degrees of freedom, ', cast(min_df as varchar), ' are needed).'
            )
        when verdict_reason = 'few_requests'
            then concat('Too little to judge: ', cast(paired_requests as varchar), ' calls to compare, ', cast(min_requests as varchar), ' are needed.')
        when verdict_reason = 'few_base_requests'
            then concat(
                'Too little to judge: ', cast(base_requests as varchar), ' calls of the four weeks before to compare with, ',
                cast(min_base_requests as varchar), ' are needed.'
            )
        when verdict_reason = 'few_base_weeks'
            then concat(
                'Too little to judge: ', cast(base_weeks as varchar), ' of the four weeks before can be compared with, ',
                cast(min_base_weeks as varchar), ' are needed.'
            )
        when verdict = 'drift'
            then concat(
                'Same ', nouns, ', same request types: answers are ', cast(cast(round(100 * abs(shown_change)) as bigint) as varchar), ' % ',
                case when shown_change < 0 then 'shorter' else 'longer' end,
                case
                    when cause = 'creep' then ' per input token in the last three weeks than in the eight weeks before, step by step ('
                    else ' per input token than in the four weeks before ('
                end,
                cast(cast(round(100 * least(abs(shown_low), abs(shown_high))) as bigint) as varchar), '-',
                cast(cast(round(100 * greatest(abs(shown_low), abs(shown_high))) as bigint) as varchar), ' %)',
                case when cause = 'creep' then '' else concat('; output ', output_text, ', input ', input_text) end,
                coalesce('; ' || onset_words, ''), coalesce('; ' || money, ''), '.',
                case
                    when abs(mix_delta) >= abs(within_delta)
                        then ' Beside that, traffic that moved between request types changed output per input token by ' || mix_text || '.'
                    else ''
                end
            )
        when verdict = 'one_user'
            then concat(
                'Output per input token ', ratio_text, ', and ', cast(cast(round(100 * least(1, top_user_part)) as bigint) as varchar), ' % of that hangs on one ',
                noun, ' (', top_user, '): no drift of the others.'
            )
        when verdict = 'mix_shift'
            then concat(
                'Traffic moved between request types, which changed output per input token by ', mix_text, '. Same ', nouns,
                ', same request types: ', paired_text, ', no more than chance may (',
                cast(cast(round(100 * paired_change_low) as bigint) as varchar), ' to ',
                cast(cast(round(100 * paired_change_high) as bigint) as varchar), ' %).'
            )
        else concat(
            'Same ', nouns, ', same request types: no change that stands out from chance (',
            cast(cast(round(100 * paired_change_low) as bigint) as varchar), ' to ', cast(cast(round(100 * paired_change_high) as bigint) as varchar),
            ' %). A rise of ', cast(cast(round(100 * mde_80) as bigint) as varchar), ' % would be seen 4 times in 5, a smaller one less often.'
        )
    end as sentence,
    requests,
    answered_requests,
    input_total_tokens,
    output_total_tokens,
    base_input_total_tokens,
    base_output_total_tokens,
    output_token_ratio,
    base_output_token_ratio,
    output_token_ratio_delta,
    output_token_ratio_change,
    delta_low / whole as output_token_ratio_change_low,
    delta_high / whole as output_token_ratio_change_high,
    within_delta,
    within_delta / whole as within_change,
    mix_delta,
    mix_delta / whole as mix_change,
    mix_low / whole as mix_change_low,
    mix_high / whole as mix_change_high,
    mix_p_value,
    paired_change,
    paired_change_low,
    paired_change_high,
    log_change,
    log_standard_error,
    degrees_of_freedom,
    t_statistic,
    p_value,
    q_value,
    mde_80,
    output_change,
    input_change,
    creep_change,
    creep_p,
    cluster_unit,
    paired_clusters,
    paired_requests,
    base_requests,
    base_weeks,
    cast(cast(paired_requests as double) / nullif(answered_requests, 0) as decimal(18, 9)) as paired_coverage,
    top_user,
    case when top_user_part is not null then cast(least(1, greatest(0, top_user_part)) as decimal(18, 9)) end as top_user_share,
    cost_impact_usd,
    total_tokens,
    unpriced_requests,
    unpriced_tokens,
    is_incomplete,
    '3' as method_version,
from worded
