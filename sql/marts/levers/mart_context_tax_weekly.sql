/*
about: >-
  What long prompts cost: the share of input in the cost, how much of it is a constant prefix that could be cached, and what calls beyond a
  long-context threshold cost more than at the prices below it. One row per week and feature.
grain: [week_start_date, feature]
partition: week
clock_stops: 1 day
leads: [stat_rate_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  is_closed: BOOLEAN; true once the week is over by the books' own now
  sentence: VARCHAR; what the prompts cost, in words
  requests: BIGINT; calls, failed ones included
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: dollars are then too small
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  rated_cost_usd: DECIMAL(38,15); of this, what rates make out of tokens and units: the part that can be told apart; null where there is none
  input_cost_usd: DECIMAL(38,15); cost of all input, cache reads and writes included, where rates made it; null where none did
  input_cost_share: DECIMAL(18,9); cost of all input over the cost that rates make; null where that is unknown or nothing
  input_known_requests: BIGINT; calls that tell their input
  input_total_tokens: BIGINT; all input, cached included
  input_p50_tokens: BIGINT; input that half of the calls do not pass; null where none tells it
  input_p95_tokens: BIGINT; input that 95 in 100 calls do not pass; null where none tells it
  static_known_input_tokens: BIGINT; input of the calls that tell how long their constant prefix is
  static_prompt_tokens: BIGINT; constant prefix of these calls, at most their input; null where none tells it
  static_prompt_share: DECIMAL(18,9); constant prefix over input, of the calls that tell it; null where none does
  static_upper_share: DECIMAL(18,9); the most that can be constant: the shortest input of each request type for all of its calls, over input
  long_context_requests: BIGINT; calls beyond a threshold that makes them dearer
  threshold_tax_usd: DECIMAL(38,15); what these cost more than at the prices of the shortest context; null where no cost is made of rates
  untaxed_requests: BIGINT; calls beyond a threshold below which their list has no price, so that the tax is not known
  near_threshold_calls: BIGINT; of the dearer calls, those above the threshold by at most near_threshold_share of it
  near_threshold_saving_usd: DECIMAL(38,15); what these would save if their input were cut to end below it; null where no cost is made of rates
checks:
  - between: [input_cost_share, 0, 1]
  - between: [static_prompt_share, 0, 1]
  - between: [static_upper_share, 0, 1]
  - rule: requests >= long_context_requests + untaxed_requests and long_context_requests >= near_threshold_calls
  - rule: rated_cost_usd >= input_cost_usd and threshold_tax_usd >= 0
    null_passes: true
    text: input is a part of the cost, and a threshold makes nothing cheaper
question: How much of the cost is prompts, and what do long contexts cost?
answer: >-
  select feature, input_cost_share, input_p50_tokens, input_p95_tokens, static_prompt_share, long_context_requests, threshold_tax_usd,
    near_threshold_calls, near_threshold_saving_usd
  from mart_context_tax_weekly
  where week_start_date = (select max(week_start_date) from mart_context_tax_weekly where is_closed)
  order by rated_cost_usd desc nulls last
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/tokens.sql" import input_classes, sum_of with context %}
with
{% include "parts/weeks_with_end.sql" %}

cells as (
    select
        c.*,
        {{ sum_of(input_classes, "c", "_cost_usd") }} as all_input_cost_usd,
        c.cost_basis = 'rates' and c.effective_cost_usd > c.base_range_cost_usd as is_taxed,
    from stat_rate_cells_weekly as c
    where c.cost_basis <> 'gateway_cache'
),

features as (
    select
        c.week_start_date,
        w.is_closed,
        c.feature,
        cast(sum(c.requests) as bigint) as requests,
        cast(sum(c.total_tokens) as bigint) as total_tokens,
        cast(sum(case when c.cost_basis = 'unpriced' then c.requests else 0 end) as bigint) as unpriced_requests,
        cast(sum(case when c.cost_basis = 'unpriced' then c.total_tokens else 0 end) as bigint) as unpriced_tokens,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        cast(sum(case when c.cost_basis = 'rates' then c.effective_cost_usd end) as decimal(38, 15)) as rated_cost_usd,
        cast(sum(case when c.cost_basis = 'rates' then c.all_input_cost_usd end) as decimal(38, 15)) as input_cost_usd,
        cast(sum(case when c.is_taxed then c.requests else 0 end) as bigint) as long_context_requests,
        cast(
            sum(
                case
                    when c.is_taxed then c.effective_cost_usd - c.base_range_cost_usd
                    when c.cost_basis = 'rates' then 0
                end
            ) as decimal(38, 15)
        ) as threshold_tax_usd,
        cast(sum(case when c.cost_basis = 'rates' and c.base_range_cost_usd is null then c.requests else 0 end) as bigint) as untaxed_requests,
        cast(sum(case when c.is_taxed and c.is_near_threshold then c.requests else 0 end) as bigint) as near_threshold_calls,
        cast(
            sum(
                case
                    when c.is_taxed and c.is_near_threshold then c.effective_cost_usd - c.trimmed_cost_usd
                    when c.cost_basis = 'rates' then 0
                end
            ) as decimal(38, 15)
        ) as near_threshold_saving_usd,
    from cells as c
    inner join weeks as w on c.week_start_date = w.week_start_date
    group by c.week_start_date, w.is_closed, c.feature
),

{{ limits_of_rows({"unpriced_warn_share": "unpriced_warn"}, "features") }},

constant as (
    select
        week_start_date,
        feature,
        cast(sum(input_min_tokens * input_known_requests) as double) / nullif(sum(input_total_tokens), 0) as static_upper_share,
    from stat_input_lengths_weekly
    where cut = 'request_type'
    group by week_start_date, feature
)

select
    f.week_start_date,
    f.feature,
    f.is_closed,
    concat(
        case
            when f.rated_cost_usd > 0
                then concat(
                    'Prompts are ', cast(cast(cast(f.input_cost_usd as double) / cast(f.rated_cost_usd as double) * 100 as integer) as varchar),
                    ' % of the cost'
                )
            else 'What prompts cost is not known'
        end,
        case
            when f.long_context_requests > 0
                then concat(
                    '; ', cast(f.long_context_requests as varchar),
                    case when f.long_context_requests = 1 then ' call' else ' calls' end, ' beyond a long-context threshold cost $',
                    cast(cast(f.threshold_tax_usd as decimal(38, 2)) as varchar), ' more than at the prices below it'
                )
        end,
        case
            when f.near_threshold_calls > 0
                then concat(
                    ', and cutting ', cast(f.near_threshold_calls as varchar), ' of them to end below it would save $',
                    cast(cast(f.near_threshold_saving_usd as decimal(38, 2)) as varchar)
                )
        end,
        '.'
    ) as sentence,
    f.requests,
    f.total_tokens,
    f.unpriced_requests,
    f.unpriced_tokens,
    f.unpriced_tokens > f.total_tokens * l.unpriced_warn as is_incomplete,
    f.effective_cost_usd,
    f.rated_cost_usd,
    f.input_cost_usd,
    cast(cast(f.input_cost_usd as double) / nullif(cast(f.rated_cost_usd as double), 0) as decimal(18, 9)) as input_cost_share,
    coalesce(i.input_known_requests, 0) as input_known_requests,
    coalesce(i.input_total_tokens, 0) as input_total_tokens,
    i.input_p50_tokens,
    i.input_p95_tokens,
    coalesce(i.static_known_input_tokens, 0) as static_known_input_tokens,
    i.static_prompt_tokens,
    cast(cast(i.static_prompt_tokens as double) / nullif(i.static_known_input_tokens, 0) as decimal(18, 9)) as static_prompt_share,
    cast(k.static_upper_share as decimal(18, 9)) as static_upper_share,
    f.long_context_requests,
    f.threshold_tax_usd,
    f.untaxed_requests,
    f.near_threshold_calls,
    f.near_threshold_saving_usd,
from features as f
inner join limit_rows as l on f.week_start_date = l.week_start_date and f.feature = l.feature
left join stat_input_lengths_weekly as i
    on i.cut = 'feature' and f.week_start_date = i.week_start_date and f.feature = i.feature
left join constant as k on f.week_start_date = k.week_start_date and f.feature = k.feature
