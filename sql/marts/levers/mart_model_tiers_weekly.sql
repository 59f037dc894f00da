/*
about: >-
  Which tier of models answers: share of calls, tokens and cost by model tier, and whether more of the same work reaches frontier models than
  in the four weeks before, apart from the mix of the work; and how often a cheap call had to be repeated by a dearer model. One row
  per week and feature.
grain: [week_start_date, feature]
partition: week
reads_back: 4 weeks
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
{% set tiers = ["budget", "mid", "frontier", "unknown_tier"] %}
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  is_closed: BOOLEAN; true once the week is over by the books' own now
  verdict: VARCHAR; judgement in one word, the first that holds: insufficient, routing_regression (more of the same work reaches frontier models), mix_shift (more of the work that frontier models do) or stable
  verdict_reason: VARCHAR; what is missing where the verdict is insufficient: week_not_over, few_requests, few_base_requests or few_users; else null
  sentence: VARCHAR; the verdict in words
  requests: BIGINT; calls, failed ones included
  total_tokens: BIGINT; tokens of these calls
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: dollars are then too small
{% for tier in tiers %}
  {{ tier }}_requests: BIGINT; calls of models {{ "that model_tiers.csv does not know" if tier == "unknown_tier" else "of the tier " ~ tier }}
  {{ tier }}_tokens: BIGINT; tokens of models {{ "that model_tiers.csv does not know" if tier == "unknown_tier" else "of the tier " ~ tier }}
  {{ tier }}_cost_usd: DECIMAL(38,15); cost of models {{ "that model_tiers.csv does not know" if tier == "unknown_tier" else "of the tier " ~ tier }}; null where no call is priced
  {{ tier }}_requests_share: DECIMAL(18,9); their calls over all
  {{ tier }}_tokens_share: DECIMAL(18,9); their tokens over all; null without tokens
  {{ tier }}_cost_share: DECIMAL(18,9); their cost over all; null where nothing is priced or all is free
{% endfor %}
  base_requests: BIGINT; calls of the four weeks before
  base_frontier_share: DECIMAL(18,9); share of frontier models among the calls of the four weeks before; null without any
  frontier_delta: DOUBLE; the share of calls less that of the four weeks before; within_delta and mix_delta make it
  within_delta: DOUBLE; part of the difference within request types: the same work went to other models
  mix_delta: DOUBLE; part of the difference that a changed mix of request types made
  within_p_value: DOUBLE; two-sided p of no effect within request types, by leaving out one user after the other
  mix_p_value: DOUBLE; two-sided p of no effect of the mix
  clusters: BIGINT; users (or what stands for them) in either period; null where no frontier model answered in either
  extra_frontier_calls: DECIMAL(18,3); calls that reached frontier models beyond the share of their request type before; below 0 where fewer did
  cost_impact_usd: DECIMAL(38,10); these at the cost of a frontier call less that of another within the type; null where no type has both costs
  escalable_requests: BIGINT; calls of a tier below the dearest, with a task
  escalable_tokens: BIGINT; tokens of the calls that could be followed by a dearer tier
  escalated_requests: BIGINT; of these, calls that a dearer tier followed within a day in the same task and step
  escalated_tokens: BIGINT; tokens of the calls that a dearer tier followed
  escalation_request_rate: DECIMAL(18,9); escalated over escalable calls; null without any
  escalation_token_rate: DECIMAL(18,9); escalated over escalable tokens; null without any
  escalated_cost_usd: DECIMAL(38,15); cost of the cheap calls that a dearer tier followed; null where none is priced
  escalated_steps: BIGINT; steps of tasks in which that happened
  escalated_steps_cost_usd: DECIMAL(38,15); cost of these steps, the cheap calls and what followed them; null where none is priced
  cost_per_escalated_step_usd: DECIMAL(38,10); these over the steps: what a cascade costs, the cheap call included
checks:
  - one_of: [verdict, insufficient, routing_regression, mix_shift, stable]
  - one_of: [verdict_reason, week_not_over, few_requests, few_base_requests, few_users]
  - rule: (verdict = 'insufficient') = (verdict_reason is not null)
    text: what is not judged has a reason
{% for tier in tiers %}
  - between: [{{ tier }}_requests_share, 0, 1]
  - between: [{{ tier }}_tokens_share, 0, 1]
  - between: [{{ tier }}_cost_share, 0, 1]
{% endfor %}
  - between: [base_frontier_share, 0, 1]
  - between: [escalation_request_rate, 0, 1]
  - between: [escalation_token_rate, 0, 1]
  - rule: requests = {{ tiers | join("_requests + ") }}_requests
    text: every call is of one tier
  - rule: effective_cost_usd is not distinct from {{ tiers | join("_cost_usd + ") }}_cost_usd
    text: the tiers make the cost
  - rule: abs(within_delta + mix_delta - frontier_delta) < 0.000000001
    null_passes: true
    text: within and mix make the change
question: Where do frontier models answer more of the same work than before, and what does it cost?
answer: >-
  select week_start_date, feature, verdict, frontier_requests_share, base_frontier_share, within_delta, cost_impact_usd, sentence
  from mart_model_tiers_weekly order by verdict = 'routing_regression' desc, week_start_date desc, cost_impact_usd desc nulls last limit 20
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/measures.sql" import parts_of_change %}
{% from "macros/tiers.sql" import tier_of %}
with
{% include "parts/weeks_with_end.sql" %}

tiered as (
    select
        c.week_start_date,
        c.feature,
        c.workflow_step,
        c.prompt_name,
        coalesce(m.model_tier, 'unknown_tier') as model_tier,
        sum(c.requests) as requests,
        sum(c.total_tokens) as total_tokens,
        sum(c.unpriced_requests) as unpriced_requests,
        sum(c.unpriced_tokens) as unpriced_tokens,
        sum(c.effective_cost_usd) as effective_cost_usd,
    from stat_usage_cells_weekly as c
    left join {{ tier_of("c", "c.week_start_date") }}
    group by c.week_start_date, c.feature, c.workflow_step, c.prompt_name, coalesce(m.model_tier, 'unknown_tier')
),

features as (
    select
        t.week_start_date,
        w.is_closed,
        t.feature,
        cast(sum(t.requests) as bigint) as requests,
        cast(sum(t.total_tokens) as bigint) as total_tokens,
        cast(sum(t.unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(t.unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(t.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
{% for tier in tiers %}
        cast(sum(case when t.model_tier = '{{ tier }}' then t.requests else 0 end) as bigint) as {{ tier }}_requests,
        cast(sum(case when t.model_tier = '{{ tier }}' then t.total_tokens else 0 end) as bigint) as {{ tier }}_tokens,
        cast(
            case
                when sum(t.effective_cost_usd) is not null
                    then coalesce(sum(case when t.model_tier = '{{ tier }}' then t.effective_cost_usd end), 0)
            end as decimal(38, 15)
        ) as {{ tier }}_cost_usd,
{% endfor %}
    from tiered as t
    inner join weeks as w on t.week_start_date = w.week_start_date
    group by t.week_start_date, w.is_closed, t.feature
),

-- Calls of each request type by whether a frontier model answered, in the week and in the four before.
types as (
    select
        w.week_start_date,
        t.feature,
        t.workflow_step,
        t.prompt_name,
{% for period, now in (("1", "o.weeks_later = 0"), ("0", "o.weeks_later > 0")) %}
        cast(sum(case when {{ now }} then t.requests else 0 end) as double) as n{{ period }},
        cast(sum(case when {{ now }} and t.model_tier = 'frontier' then t.requests else 0 end) as double) as y{{ period }},
    {% for kind, is_kind in (("frontier", "t.model_tier = 'frontier'"), ("rest", "t.model_tier <> 'frontier'")) %}
        cast(sum(case when {{ now }} and {{ is_kind }} then t.effective_cost_usd end) as double)
            / nullif(sum(case when {{ now }} and {{ is_kind }} then t.requests - t.unpriced_requests else 0 end), 0) as {{ kind }}_cost{{ period }},
    {% endfor %}
{% endfor %}
    from tiered as t
    cross join (select unnest(range(0, 5)) as weeks_later) as o
    inner join weeks as w on w.week_start_date = t.week_start_date + 7 * cast(o.weeks_later as integer)
    group by w.week_start_date, t.feature, t.workflow_step, t.prompt_name
),

impacts as (
    select
        week_start_date,
        feature,
        cast(sum(n0) as bigint) as base_requests,
        cast(sum(y0) as bigint) as base_frontier_requests,
        sum(case when n1 > 0 and n0 > 0 then cast(y1 - n1 * y0 / n0 as decimal(38, 12)) end) as extra_frontier_calls,
        sum(
            case
                when n1 = 0 or n0 = 0 then null
                when y1 * n0 = n1 * y0 then 0
                else cast(
                    (y1 - n1 * y0 / n0) * (coalesce(frontier_cost1, frontier_cost0) - coalesce(rest_cost1, rest_cost0)) as decimal(38, 12)
                )
            end
        ) as cost_impact_usd,
    from types
    group by week_start_date, feature
),

{{ limits_of_rows({
    "frontier_share_points": "min_points",
    "frontier_share_p": "max_p",
    "frontier_min_users": "min_users",
    "frontier_min_requests": "min_requests",
    "unpriced_warn_share": "unpriced_warn",
}, "features") }},

{{ parts_of_change("frontier_share") }},

compared as (
    select
        f.*,
        i.base_requests,
        i.base_frontier_requests,
        i.extra_frontier_calls,
        i.cost_impact_usd,
        b.within_delta,
        b.mix_delta,
        jw.p_value as within_p_value,
        jm.p_value as mix_p_value,
        jw.clusters,
        l.min_points,
        l.max_p,
        f.unpriced_tokens > f.total_tokens * l.unpriced_warn as is_incomplete,
        case
            when not f.is_closed then 'week_not_over'
            when f.requests < l.min_requests then 'few_requests'
            when i.base_requests < l.min_requests then 'few_base_requests'
            when jw.clusters < l.min_users then 'few_users'
        end as verdict_reason,
    from features as f
    inner join impacts as i on f.week_start_date = i.week_start_date and f.feature = i.feature
    inner join limit_rows as l on f.week_start_date = l.week_start_date and f.feature = l.feature
    left join parts as b on f.week_start_date = b.week_start_date and f.feature = b.feature
    left join stat_jackknife_weekly as jw
        on jw.statistic = 'frontier_share_within' and f.week_start_date = jw.week_start_date and f.feature = jw.feature
    left join stat_jackknife_weekly as jm
        on jm.statistic = 'frontier_share_mix' and f.week_start_date = jm.week_start_date and f.feature = jm.feature
),

judged as (
    select
        *,
        case
            when verdict_reason is not null then 'insufficient'
            when cast(within_delta as decimal(18, 9)) >= min_points and within_p_value < max_p then 'routing_regression'
            when cast(mix_delta as decimal(18, 9)) >= min_points and mix_p_value < max_p then 'mix_shift'
            else 'stable'
        end as verdict,
    from compared
)

select
    j.week_start_date,
    j.feature,
    j.is_closed,
    j.verdict,
    j.verdict_reason,
    case
        when j.verdict = 'insufficient' then concat(
            'Not enough to judge: ',
            case j.verdict_reason
                when 'week_not_over' then 'the week is not over.'
                when 'few_requests' then concat(cast(j.requests as varchar), ' calls.')
                when 'few_base_requests' then concat(cast(j.base_requests as varchar), ' calls in the four weeks before.')
                else concat(cast(j.clusters as varchar), ' users.')
            end
        )
        when j.verdict = 'routing_regression' then concat(
            'Within the same work, ', cast(cast(j.within_delta * 100 as decimal(9, 1)) as varchar),
            ' points more calls reach frontier models than in the four weeks before',
            case when j.cost_impact_usd is not null then concat(': $', cast(cast(j.cost_impact_usd as decimal(38, 2)) as varchar), ' in the week') end,
            '.'
        )
        when j.verdict = 'mix_shift' then concat(
            'Work that frontier models do has grown: ', cast(cast(j.mix_delta * 100 as decimal(9, 1)) as varchar),
            ' points more calls reach them; within the same work it changed by ', cast(cast(j.within_delta * 100 as decimal(9, 1)) as varchar), '.'
        )
        when j.within_delta is null then 'No frontier model answered, in the week or in the four before.'
        else concat(
            'Within the same work the share of frontier models changed by ', cast(cast(j.within_delta * 100 as decimal(9, 1)) as varchar),
            ' points, no more than chance or the limit allows.'
        )
    end as sentence,
    j.requests,
    j.total_tokens,
    j.effective_cost_usd,
    j.unpriced_requests,
    j.unpriced_tokens,
    j.is_incomplete,
{% for tier in tiers %}
    j.{{ tier }}_requests,
    j.{{ tier }}_tokens,
    j.{{ tier }}_cost_usd,
    cast(cast(j.{{ tier }}_requests as double) / j.requests as decimal(18, 9)) as {{ tier }}_requests_share,
    cast(cast(j.{{ tier }}_tokens as double) / nullif(j.total_tokens, 0) as decimal(18, 9)) as {{ tier }}_tokens_share,
    cast(cast(j.{{ tier }}_cost_usd as double) / nullif(cast(j.effective_cost_usd as double), 0) as decimal(18, 9)) as {{ tier }}_cost_share,
{% endfor %}
    j.base_requests,
    cast(cast(j.base_frontier_requests as double) / nullif(j.base_requests, 0) as decimal(18, 9)) as base_frontier_share,
    cast(j.frontier_requests as double) / j.requests - cast(j.base_frontier_requests as double) / nullif(j.base_requests, 0) as frontier_delta,
    j.within_delta,
    j.mix_delta,
    j.within_p_value,
    j.mix_p_value,
    j.clusters,
    cast(j.extra_frontier_calls as decimal(18, 3)) as extra_frontier_calls,
    cast(j.cost_impact_usd as decimal(38, 10)) as cost_impact_usd,
    coalesce(e.escalable_requests, 0) as escalable_requests,
    coalesce(e.escalable_tokens, 0) as escalable_tokens,
    coalesce(e.escalated_requests, 0) as escalated_requests,
    coalesce(e.escalated_tokens, 0) as escalated_tokens,
    cast(cast(e.escalated_requests as double) / nullif(e.escalable_requests, 0) as decimal(18, 9)) as escalation_request_rate,
    cast(cast(e.escalated_tokens as double) / nullif(e.escalable_tokens, 0) as decimal(18, 9)) as escalation_token_rate,
    e.escalated_cost_usd,
    coalesce(e.escalated_steps, 0) as escalated_steps,
    e.escalated_steps_cost_usd,
    cast(cast(e.escalated_steps_cost_usd as double) / nullif(e.escalated_steps, 0) as decimal(38, 10)) as cost_per_escalated_step_usd,
from judged as j
left join stat_escalations_weekly as e on j.week_start_date = e.week_start_date and j.feature = e.feature
