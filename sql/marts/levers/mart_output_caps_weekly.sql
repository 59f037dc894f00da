/*
about: >-
  How long answers get and what a lower cap on them would save: quantiles of the output, the cap in force, and a proposed cap replayed on the
  calls of the week, with what repeating the cut answers would cost. One row per week and request type.
grain: [week_start_date, feature, workflow_step, prompt_name]
partition: week
reads_back: 3 weeks
clock_stops: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
{% include "parts/columns_request_type.sql" %}
  is_closed: BOOLEAN; true once the week is over by the books' own now
  verdict: VARCHAR; judgement in one word: insufficient, candidate (the proposed cap saves something though half of the cut answers are asked for again) or no_saving
  verdict_reason: VARCHAR; what is missing where the verdict is insufficient: week_not_over, few_calls or no_price; else null
  sentence: VARCHAR; what a cap would do, in words
  answered_requests: BIGINT; calls that ended well and tell both input (more than none) and output: the others are left out
  output_total_tokens: BIGINT; output of the answered calls, reasoning included, as a cap cuts that too
  output_p50_tokens: BIGINT; length of the output that half of the calls do not pass
  output_p95_tokens: BIGINT; length that 95 in 100 calls do not pass
  output_p99_tokens: BIGINT; length that 99 in 100 calls do not pass
  output_max_tokens: BIGINT; the longest output
  smallest_cap_tokens: BIGINT; smallest cap in force, sent with the call or of its feature; null where none is
  largest_cap_tokens: BIGINT; largest cap in force; null where none is
  calls_without_cap: BIGINT; calls that neither send a cap nor have a feature with one
  capped_calls: BIGINT; calls that ended at their cap, or beyond it
  recent_requests: BIGINT; answered calls of the week and the three before, which the proposed cap is taken from
  proposed_cap_tokens: BIGINT; cap_quantile of their output, rounded up to a multiple of cap_round_tokens; null below min_cap_calls calls
  truncated_calls: BIGINT; calls of the week above the proposed cap
  truncated_share: DECIMAL(18,9); these over the answered calls
  above_cap_tokens: BIGINT; output of the week above the proposed cap
  above_cap_share: DECIMAL(18,9); that over all output; null without output
  unpriced_truncated_calls: BIGINT; calls above the proposed cap whose output has no price: the dollars leave them out
  gross_saving_usd: DECIMAL(38,10); output above the proposed cap, at each call's own price; null where nothing is priced
  truncated_cost_usd: DECIMAL(38,10); full cost of the calls that would be cut, which is spent again where they are asked again
  saving_low_usd: DECIMAL(38,10); gross saving less truncated cost times cap_retry_share_low: as if every cut answer were asked again
  saving_mid_usd: DECIMAL(38,10); the same with cap_retry_share_mid
  saving_high_usd: DECIMAL(38,10); the same with cap_retry_share_high: as if none were
checks:
  - one_of: [verdict, insufficient, candidate, no_saving]
  - one_of: [verdict_reason, week_not_over, few_calls, no_price]
  - rule: (verdict = 'insufficient') = (verdict_reason is not null)
    text: what is not judged has a reason
  - between: [truncated_share, 0, 1]
  - between: [above_cap_share, 0, 1]
  - rule: output_p50_tokens <= output_p95_tokens and output_p95_tokens <= output_p99_tokens and output_p99_tokens <= output_max_tokens
    text: quantiles go up
  - rule: saving_low_usd <= saving_mid_usd and saving_mid_usd <= saving_high_usd and saving_high_usd <= gross_saving_usd
    null_passes: true
    text: the more answers are asked again, the less is saved
  - rule: answered_requests >= calls_without_cap + capped_calls
  - rule: answered_requests >= truncated_calls
    null_passes: true
question: Which request types would a lower output cap make cheaper?
answer: >-
  select feature, workflow_step, verdict, answered_requests, output_p99_tokens, output_max_tokens, calls_without_cap, proposed_cap_tokens,
    truncated_share, saving_low_usd, saving_mid_usd, saving_high_usd
  from mart_output_caps_weekly
  where week_start_date = (select max(week_start_date) from mart_output_caps_weekly where is_closed)
  order by saving_mid_usd desc nulls last
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
{% set type = ["feature", "workflow_step", "prompt_name"] %}
{% set quantiles = {"p50": "0.50", "p95": "0.95", "p99": "0.99"} %}
{% macro of_type(alias) %}{% for name in type %}{{ alias }}.{{ name }}{{ ", " if not loop.last }}{% endfor %}{% endmacro %}
{% macro same(one, other) %}{% for name in type %} and {{ one }}.{{ name }} = {{ other }}.{{ name }}{% endfor %}{% endmacro %}
with
{% include "parts/weeks_with_end.sql" %}

totals as (
    select
        l.week_start_date,
        w.is_closed,
        {{ of_type("l") }},
        cast(sum(l.answered_requests) as bigint) as answered_requests,
        cast(sum(l.answered_requests * l.output_total_tokens) as bigint) as output_total_tokens,
        max(l.output_total_tokens) as output_max_tokens,
        min(l.cap_tokens) as smallest_cap_tokens,
        max(l.cap_tokens) as largest_cap_tokens,
        cast(sum(case when l.cap_source = 'none' then l.answered_requests else 0 end) as bigint) as calls_without_cap,
        cast(sum(case when l.output_total_tokens >= l.cap_tokens then l.answered_requests else 0 end) as bigint) as capped_calls,
    from stat_output_lengths_weekly as l
    inner join weeks as w on l.week_start_date = w.week_start_date
    group by l.week_start_date, w.is_closed, {{ of_type("l") }}
),

placed as (
    select
        week_start_date,
        {{ type | join(",\n        ") }},
        output_total_tokens,
        sum(sum(answered_requests)) over (
            partition by week_start_date, {{ type | join(", ") }} order by output_total_tokens
        ) as calls_so_far,
        sum(sum(answered_requests)) over (partition by week_start_date, {{ type | join(", ") }}) as calls_of_all,
    from stat_output_lengths_weekly
    group by week_start_date, {{ type | join(", ") }}, output_total_tokens
),

quantiles as (
    select
        week_start_date,
        {{ type | join(",\n        ") }},
{% for name, share in quantiles.items() %}
        min(case when calls_so_far >= {{ share }} * calls_of_all then output_total_tokens end) as output_{{ name }}_tokens,
{% endfor %}
    from placed
    group by week_start_date, {{ type | join(", ") }}
),

{{ limits_of_rows({
    "cap_quantile": "cap_quantile",
    "cap_round_tokens": "round_tokens",
    "min_cap_calls": "min_calls",
    "cap_retry_share_low": "retry_low",
    "cap_retry_share_mid": "retry_mid",
    "cap_retry_share_high": "retry_high",
}, "totals") }},

-- The cap is rounded up anyway: the calls of four weeks by its steps give the same cap as by their exact lengths.
steps as (
    select
        w.week_start_date,
        {{ of_type("l") }},
        cast(ceil(cast(l.output_total_tokens as double) / cast(m.round_tokens as double)) * cast(m.round_tokens as double) as bigint) as step_tokens,
        cast(sum(l.answered_requests) as bigint) as answered_requests,
    from stat_output_lengths_weekly as l
    cross join (select unnest(range(0, 4)) as weeks_later) as o
    inner join weeks as w on w.week_start_date = l.week_start_date + 7 * cast(o.weeks_later as integer)
    inner join limit_rows as m on w.week_start_date = m.week_start_date and l.feature = m.feature
    group by
        w.week_start_date, {{ of_type("l") }},
        cast(ceil(cast(l.output_total_tokens as double) / cast(m.round_tokens as double)) * cast(m.round_tokens as double) as bigint)
),

steps_so_far as (
    select
        *,
        sum(answered_requests) over (partition by week_start_date, {{ type | join(", ") }} order by step_tokens) as calls_so_far,
        sum(answered_requests) over (partition by week_start_date, {{ type | join(", ") }}) as recent_requests,
    from steps
),

caps as (
    select
        s.week_start_date,
        {{ of_type("s") }},
        cast(max(s.recent_requests) as bigint) as recent_requests,
        case
            when max(s.recent_requests) >= m.min_calls
                then min(case when s.calls_so_far >= m.cap_quantile * s.recent_requests then s.step_tokens end)
        end as proposed_cap_tokens,
        m.min_calls,
        m.retry_low,
        m.retry_mid,
        m.retry_high,
    from steps_so_far as s
    inner join limit_rows as m on s.week_start_date = m.week_start_date and s.feature = m.feature
    group by s.week_start_date, {{ of_type("s") }}, m.min_calls, m.retry_low, m.retry_mid, m.retry_high
),

cut as (
    select
        l.week_start_date,
        {{ of_type("l") }},
        cast(sum(l.answered_requests) as bigint) as truncated_calls,
        cast(sum(l.answered_requests * (l.output_total_tokens - c.proposed_cap_tokens)) as bigint) as above_cap_tokens,
        cast(sum(l.answered_requests - l.priced_requests) as bigint) as unpriced_truncated_calls,
        cast(sum((l.output_total_tokens - c.proposed_cap_tokens) * l.one_token_each_usd) as decimal(38, 10)) as gross_saving_usd,
        cast(sum(l.effective_cost_usd) as decimal(38, 10)) as truncated_cost_usd,
    from stat_output_lengths_weekly as l
    inner join caps as c on l.week_start_date = c.week_start_date{{ same("l", "c") }}
    where l.output_total_tokens > c.proposed_cap_tokens
    group by l.week_start_date, {{ of_type("l") }}
),

replayed as (
    select
        t.*,
{% for name in quantiles %}
        q.output_{{ name }}_tokens,
{% endfor %}
        c.recent_requests,
        c.proposed_cap_tokens,
        case when c.proposed_cap_tokens is not null then coalesce(x.truncated_calls, 0) end as truncated_calls,
        case when c.proposed_cap_tokens is not null then coalesce(x.above_cap_tokens, 0) end as above_cap_tokens,
        case when c.proposed_cap_tokens is not null then coalesce(x.unpriced_truncated_calls, 0) end as unpriced_truncated_calls,
        -- Where nothing is cut, nothing is saved; where what is cut has no price, it is not known.
        case when c.proposed_cap_tokens is not null and x.truncated_calls is null then 0 else x.gross_saving_usd end as gross_saving_usd,
        case when c.proposed_cap_tokens is not null and x.truncated_calls is null then 0 else x.truncated_cost_usd end as truncated_cost_usd,
        c.retry_low,
        c.retry_mid,
        c.retry_high,
        case
            when not t.is_closed then 'week_not_over'
            when c.proposed_cap_tokens is null then 'few_calls'
            when x.truncated_calls > 0 and x.gross_saving_usd is null then 'no_price'
        end as verdict_reason,
    from totals as t
    inner join quantiles as q on t.week_start_date = q.week_start_date{{ same("t", "q") }}
    inner join caps as c on t.week_start_date = c.week_start_date{{ same("t", "c") }}
    left join cut as x on t.week_start_date = x.week_start_date{{ same("t", "x") }}
),

saved as (
    select
        *,
{% for range in ("low", "mid", "high") %}
        cast(gross_saving_usd - truncated_cost_usd * retry_{{ range }} as decimal(38, 10)) as saving_{{ range }}_usd,
{% endfor %}
    from replayed
),

judged as (
    select
        *,
        case
            when verdict_reason is not null then 'insufficient'
            when saving_mid_usd > 0 then 'candidate'
            else 'no_saving'
        end as verdict,
    from saved
)

select
    week_start_date,
    feature,
    workflow_step,
    prompt_name,
    is_closed,
    verdict,
    verdict_reason,
    case
        when verdict_reason = 'week_not_over' then 'The week is not over.'
        when verdict_reason = 'few_calls' then concat('Not enough calls for a cap: ', cast(recent_requests as varchar), ' in four weeks.')
        when verdict_reason = 'no_price' then 'What a cap would save is not known, as prices are missing.'
        when truncated_calls = 0 then concat('No answer of the week was longer than ', cast(proposed_cap_tokens as varchar), ' tokens.')
        else concat(
            'A cap of ', cast(proposed_cap_tokens as varchar), ' tokens would have cut ', cast(truncated_calls as varchar), ' answers (',
            cast(cast(cast(truncated_calls as double) / answered_requests * 100 as decimal(9, 1)) as varchar), ' %) and ',
            case when saving_mid_usd > 0 then 'saved $' else 'cost $' end, cast(cast(abs(saving_mid_usd) as decimal(38, 2)) as varchar),
            case when saving_mid_usd > 0 then ' in the week' else ' more in the week' end,
            ', if half of them are asked again.'
        )
    end as sentence,
    answered_requests,
    output_total_tokens,
{% for name in quantiles %}
    output_{{ name }}_tokens,
{% endfor %}
    output_max_tokens,
    smallest_cap_tokens,
    largest_cap_tokens,
    calls_without_cap,
    capped_calls,
    recent_requests,
    proposed_cap_tokens,
    truncated_calls,
    cast(cast(truncated_calls as double) / answered_requests as decimal(18, 9)) as truncated_share,
    above_cap_tokens,
    cast(cast(above_cap_tokens as double) / nullif(output_total_tokens, 0) as decimal(18, 9)) as above_cap_share,
    unpriced_truncated_calls,
    cast(gross_saving_usd as decimal(38, 10)) as gross_saving_usd,
    cast(truncated_cost_usd as decimal(38, 10)) as truncated_cost_usd,
    saving_low_usd,
    saving_mid_usd,
    saving_high_usd,
from judged
