/*
about: >-
  Calls of frontier and mid-tier models whose input and output are no longer than what the feature's budget models handle, and what these
  calls would have cost at the price of the budget model that it uses most. Length says nothing of how hard a question is: the saving is the most
  that could be had. One row per week, request type and model tier with such models.
grain: [week_start_date, feature, workflow_step, prompt_name, model_tier]
partition: week
reads_around: 1 day
joins: as_written
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week of the calls, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
{% include "parts/columns_request_type.sql" %}
  model_tier: VARCHAR; capability tier of the models of these calls: frontier or mid
  is_closed: BOOLEAN; true once the week is over by the books' own now
  verdict: VARCHAR; judgement in one word: insufficient, candidate (such calls would cost less on the budget model) or no_saving
  verdict_reason: VARCHAR; what is missing where the verdict is insufficient: week_not_over, few_budget_calls, few_calls (of the tier with such lengths) or no_budget_price; else null
  requests: BIGINT; calls of the tier that ended well, tell input and output, and have a cost split by class
  effective_cost_usd: DECIMAL(38,15); cost of these calls
  unpriced_requests: BIGINT; calls of the tier that ended well without such a cost: left out
  budget_requests: BIGINT; such calls of the feature's budget models in the week
  budget_input_p95_tokens: BIGINT; input that 95 in 100 of them do not go beyond; null without any
  budget_output_p95_tokens: BIGINT; output that 95 in 100 of them do not go beyond; null without any
  budget_provider: VARCHAR; the seller of the budget model; null without any
  budget_model: VARCHAR; budget model with the most of these calls; null without any
  alike_requests: BIGINT; calls of the tier within both lengths; null where the feature has no budget model
  alike_cost_usd: DECIMAL(38,15); what they cost; null where there are none
  alike_budget_cost_usd: DECIMAL(38,15); what their tokens cost at what the feature paid for budget_model in the week; null where it has no price
  saving_at_most_usd: DECIMAL(38,15); alike_cost_usd less alike_budget_cost_usd, never below 0; null as these and where the verdict is insufficient
  saving_ratio: DOUBLE; saving_at_most_usd over effective_cost_usd; null as the saving
  must_be_true: VARCHAR; what has to hold for the saving to come true; null without one
  sentence: VARCHAR; the row in words
checks:
  - one_of: [model_tier, frontier, mid]
  - one_of: [verdict, insufficient, candidate, no_saving]
  - one_of: [verdict_reason, week_not_over, few_budget_calls, few_calls, no_budget_price]
  - rule: (verdict = 'insufficient') = (verdict_reason is not null) and (verdict = 'insufficient') = (saving_at_most_usd is null)
    text: few calls give no saving, and say so
  - rule: coalesce(alike_requests <= requests, true) and coalesce(alike_cost_usd <= effective_cost_usd, true)
notes:
  - Compared within the feature, since lengths of another feature's work say even less about this one's; where a feature uses no budget model nothing is said.
  - Cached reads and writes are taken at the budget model's own price of them, at its price of uncached input where the feature paid none in the week.
question: Which calls of dear models look like work that the feature's budget model does too?
answer: >-
  select week_start_date, feature, workflow_step, model_tier, alike_requests, requests, saving_at_most_usd, budget_model, sentence
  from mart_overpowered_steps_weekly where verdict = 'candidate' order by week_start_date desc, saving_at_most_usd desc limit 20
*/
{% from "macros/cells.sql" import type_of %}
{% from "macros/days.sql" import local_week, utc_date %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/tiers.sql" import tier_of %}
{% from "macros/tokens.sql" import sum_of with context %}
{% set types = ["input", "cache_read", "cache_write", "output"] %}
with
{% include "parts/weeks_with_end.sql" %}

{{ limits_of_weeks({"overpowered_min_calls": "min_calls"}) }},

-- Added up before they are joined: four columns are held of each call, and not one for each token class.
costs as (
    select
        request_key,
        started_at,
        effective_cost_usd,
        effective_cost_usd > 0 and coalesce(cost_reason <> 'provider_stated', true) as has_split,
{% for type in types %}
        {{ sum_of(token_classes | selectattr("type", "eq", type), "k", "_cost_usd") }} as {{ type }}_cost_usd,
{% endfor %}
    from ledger_costs as k
),

calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.feature,
        {{ type_of("r") }},
        r.provider,
        r.model_canonical,
        m.model_tier,
        r.input_total_tokens,
        r.output_total_tokens,
        c.effective_cost_usd,
        c.has_split,
{% for type in types %}
        {{ sum_of(token_classes | selectattr("type", "eq", type), "r", "_tokens") }} as {{ type }}_tokens,
        c.{{ type }}_cost_usd,
{% endfor %}
    from ledger_requests as r
    inner join {{ tier_of("r", utc_date("r.started_at")) }}
        and m.model_tier in ('budget', 'mid', 'frontier')
    inner join costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    where r.status = 'ok' and r.input_total_tokens > 0 and r.output_total_tokens is not null
),

budgets as (
    select
        week_start_date,
        feature,
        count(*) as budget_requests,
        quantile_disc(input_total_tokens, 0.95) as budget_input_p95_tokens,
        quantile_disc(output_total_tokens, 0.95) as budget_output_p95_tokens,
    from calls
    where model_tier = 'budget' and has_split
    group by week_start_date, feature
),

-- The budget model that the feature uses most, and what it paid for a token of each type.
budget_models as (
    select
        week_start_date,
        feature,
        provider,
        model_canonical,
{% for type in types %}
        cast(sum({{ type }}_cost_usd) as double) / nullif(cast(sum({{ type }}_tokens) as double), 0) as {{ type }}_usd,
{% endfor %}
        row_number() over (partition by week_start_date, feature order by count(*) desc, provider, model_canonical) as place,
    from calls
    where model_tier = 'budget' and has_split
    group by week_start_date, feature, provider, model_canonical
),

judged as (
    select
        c.*,
        b.feature is not null as has_budget,
        coalesce(
            c.has_split and c.input_total_tokens <= b.budget_input_p95_tokens and c.output_total_tokens <= b.budget_output_p95_tokens, false
        ) as is_alike,
    from calls as c
    left join budgets as b on c.week_start_date = b.week_start_date and c.feature = b.feature
    where c.model_tier in ('mid', 'frontier')
),

summed as (
    select
        week_start_date,
        feature,
        workflow_step,
        prompt_name,
        model_tier,
        count(case when has_split then 1 end) as requests,
        cast(coalesce(sum(case when has_split then effective_cost_usd end), 0) as decimal(38, 15)) as effective_cost_usd,
        count(case when not coalesce(has_split, false) then 1 end) as unpriced_requests,
        case when bool_or(has_budget) then count(case when is_alike then 1 end) end as alike_requests,
        cast(sum(case when is_alike then effective_cost_usd end) as decimal(38, 15)) as alike_cost_usd,
        -- Units that are no tokens cost the same.
        cast(
            sum(case when is_alike then effective_cost_usd{% for type in types %} - {{ type }}_cost_usd{% endfor %} end) as double
        ) as rest_usd,
{% for type in types %}
        cast(sum(case when is_alike then {{ type }}_tokens end) as double) as {{ type }}_tokens,
{% endfor %}
    from judged
    group by week_start_date, feature, workflow_step, prompt_name, model_tier
),

priced as (
    select
        s.*,
        w.is_closed,
        l.min_calls,
        coalesce(b.budget_requests, 0) as budget_requests,
        b.budget_input_p95_tokens,
        b.budget_output_p95_tokens,
        m.provider as budget_provider,
        m.model_canonical as budget_model,
        cast(
            s.rest_usd + s.input_tokens * m.input_usd + s.output_tokens * m.output_usd
            + s.cache_read_tokens * coalesce(m.cache_read_usd, m.input_usd) + s.cache_write_tokens * coalesce(m.cache_write_usd, m.input_usd)
            as decimal(38, 15)
        ) as alike_budget_cost_usd,
    from summed as s
    inner join weeks as w on s.week_start_date = w.week_start_date
    inner join limits as l on s.week_start_date = l.week_start_date
    left join budgets as b on s.week_start_date = b.week_start_date and s.feature = b.feature
    left join budget_models as m on s.week_start_date = m.week_start_date and s.feature = m.feature and m.place = 1
),

reasoned as (
    select
        *,
        case
            when not is_closed then 'week_not_over'
            when budget_requests < min_calls then 'few_budget_calls'
            when alike_requests < min_calls then 'few_calls'
            when alike_budget_cost_usd is null then 'no_budget_price'
        end as verdict_reason,
    from priced
),

saved as (
    select
        *,
        case
            when verdict_reason is null
                then cast(greatest(alike_cost_usd - alike_budget_cost_usd, 0) as decimal(38, 15))
        end as saving_at_most_usd,
    from reasoned
)

select
    week_start_date,
    feature,
    workflow_step,
    prompt_name,
    model_tier,
    is_closed,
    case
        when verdict_reason is not null then 'insufficient'
        when saving_at_most_usd > 0 then 'candidate'
        else 'no_saving'
    end as verdict,
    verdict_reason,
    requests,
    effective_cost_usd,
    unpriced_requests,
    budget_requests,
    budget_input_p95_tokens,
    budget_output_p95_tokens,
    budget_provider,
    budget_model,
    alike_requests,
    alike_cost_usd,
    alike_budget_cost_usd,
    saving_at_most_usd,
    cast(saving_at_most_usd as double) / nullif(cast(effective_cost_usd as double), 0) as saving_ratio,
    case
        when saving_at_most_usd > 0
            then concat('Answers of ', budget_model, ' are good enough for these calls, as long, and not asked for again: to be tried on a sample of them.')
    end as must_be_true,
    case
        when verdict_reason = 'week_not_over' then 'The week is not over.'
        when verdict_reason = 'few_budget_calls' then 'Too few calls of the feature''s budget models to compare with.'
        when verdict_reason = 'few_calls' then 'Too few calls are as short as those of the budget models.'
        when verdict_reason is not null then 'What the budget model would have cost is not known.'
        when saving_at_most_usd = 0 then concat('The calls that are as short as those of ', budget_model, ' would not cost less there.')
        else concat(
            cast(alike_requests as varchar), ' of ', cast(requests as varchar), ' calls of ', model_tier, ' models are as short as those of ', budget_model,
            ': there they would cost $', cast(cast(alike_budget_cost_usd as decimal(38, 2)) as varchar), ' in place of $',
            cast(cast(alike_cost_usd as decimal(38, 2)) as varchar), ', if its answers are good enough.'
        )
    end as sentence,
from saved
