/*
about: >-
  What could be saved, by whom and how: every lever with its default settings on every feature, replayed on the calls of the last four weeks
  that are over, as dollars a month and ranked by them. A lever gets what it saves after the levers before it, so no dollar is promised twice.
  One row per week that is over, feature and lever.
grain: [week_start_date, feature, lever]
partition: week
reads_back: 3 weeks
clock_stops: 1 day
leads: [mart_lever_savings_weekly]
columns:
  week_start_date: DATE; Monday of the last of the four weeks, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  lever: VARCHAR; context_trim, output_cap, retry_waste, prompt_cache, routing, response_cache, batch, fine_tune or self_host
  lever_place: BIGINT; place of the lever in the order in which they are applied, from 1 on
  opportunity_rank: BIGINT; place among all rows of the week, 1 for the most dollars a month (mid); what may save nothing (low of 0 or less) comes after all others, what has no figure last
  feature_rank: BIGINT; place among the levers of the feature in the same order, 1 is its best lever; null of what saves nothing or has no figure
  verdict: VARCHAR; judgement in one word: opportunity, range_only (rests on a guess), uncertain (low assumption saves nothing), no_saving or insufficient
  verdict_reason: VARCHAR; what is missing where the verdict is insufficient: no_price, nothing_to_change (no call that the lever is for), no_other_price, no_setting (of scenarios.csv that can be read) or needs_own_figures; where it is range_only: assumed_share or no_prompt_hash; else null
  owner: VARCHAR; team that owns the feature, 'unattributed' where nobody is known
  effort: VARCHAR; what it takes: setting (a day), change (some weeks) or project (months)
  sentence: VARCHAR; the row in words
  must_be_true: VARCHAR; what has to hold for the saving to come true
  risk: VARCHAR; what the saving does not price
  evidence_query: VARCHAR; a query that shows what the row rests on
  weeks: BIGINT; weeks of the books that were replayed, at most four
  requests: BIGINT; calls of the feature in these weeks, failed ones included
  unpriced_requests: BIGINT; of these, calls without a cost: left out of every dollar here
  unreplayed_requests: BIGINT; calls that the lever is for, whose new price the book does not have: they stay as they were
  covered_requests: BIGINT; calls that the lever is for; null where it was not replayed
  told_requests: BIGINT; of these, calls that tell what the lever goes by; null where it was not replayed
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls of the feature in these weeks; null where none is priced
  covered_cost_usd: DECIMAL(38,15); cost of the calls that the lever is for; null where it was not replayed
  coverage_share: DECIMAL(18,9); covered_cost_usd over effective_cost_usd
{% for case in ("low", "mid", "high") %}
  saving_{{ case }}_month_usd: DECIMAL(38,10); a month's saving after the levers before it, {{ case }} assumption; null where it cannot be told
{% endfor %}
{% for case in ("low", "mid", "high") %}
  alone_{{ case }}_month_usd: DECIMAL(38,10); a month's saving of the lever by itself, {{ case }} assumption; null where it cannot be told
{% endfor %}
checks:
  - one_of: [verdict, opportunity, range_only, uncertain, no_saving, insufficient]
  - one_of: [verdict_reason, assumed_share, no_prompt_hash, no_price, nothing_to_change, no_other_price, no_setting, needs_own_figures]
  - one_of: [effort, setting, change, project]
  - between: [coverage_share, 0, 1]
  - between: [weeks, 1, 4]
  - rule: (verdict = 'insufficient') = (saving_mid_month_usd is null)
    text: what cannot be told has no figure, and says why
  - rule: (verdict_reason is not null) = (verdict in ('insufficient', 'range_only'))
  - rule: saving_low_month_usd <= saving_mid_month_usd and saving_mid_month_usd <= saving_high_month_usd
    null_passes: true
    severity: warning
    text: a range goes up
notes:
  - A month is 30.4375 days; four weeks are scaled by 30.4375 over 28, fewer weeks of the books by their own days.
  - The middle figures of a feature add up to what all levers together would save. Low and high are about the lever itself, with the middle assumptions about those before it.
  - What fine-tuning and own GPUs cost is yours to say; a week has no figure for them, tokenbooks whatif has.
question: What should be done first, by whom, and what would it save a month?
answer: >-
  select opportunity_rank, feature, lever, owner, effort, saving_low_month_usd, saving_mid_month_usd, saving_high_month_usd, coverage_share, sentence
  from mart_opportunities_weekly
  where week_start_date = (select max(week_start_date) from mart_opportunities_weekly) order by opportunity_rank limit 20
*/
{% set cases = ("low", "mid", "high") %}
{# Of each lever: its name in a sentence, what it takes, what must be true, what is not priced, and the table that shows more. #}
{% set levers = {
    "context_trim": ("shorter prompts", "change", "So much of the long prompts can go: passages found twice, stale turns.", "an answer may miss what was cut", "mart_context_tax_weekly"),
    "output_cap": ("a cap on answers", "setting", "What is cut off is not needed, or seldom asked for again.", "a cut answer may be of no use", "mart_output_caps_weekly"),
    "retry_waste": ("fewer failed calls", "change", "The reasons of failed calls can be seen before the call: limits, lengths, forms.", "work that is put off until a limit allows it", "mart_retry_waste_weekly"),
    "prompt_cache": ("the provider''s prompt cache", "setting", "Prompts begin alike, byte for byte, and calls follow each other within the lifetime.", "a prefix that differs is written and never read", "mart_cache_economics_weekly"),
    "routing": ("a smaller model for the shorter calls", "change", "Answers of the smaller model are good enough: to be tried on a sample.", "quality and latency of the other model", "mart_model_tiers_weekly"),
    "response_cache": ("a cache of answers", "project", "The same question comes again within the lifetime, and its answer still holds.", "stale answers, and answers that belong to somebody else", "mart_cache_economics_weekly"),
    "batch": ("a batch", "change", "Answers may come up to 24 hours later; no call waits for the one before it.", "answers come later", "mart_batch_candidates_weekly"),
    "fine_tune": ("a model of your own making", "project", "What training and hosting cost is known.", "a tuned model may know less than its examples told", "mart_model_tiers_weekly"),
    "self_host": ("own GPUs", "project", "Speed, rent and people are known, and the GPUs are used by day and night.", "quality of another model; months in which GPUs wait for work", "stat_rate_cells_weekly"),
} %}
with
{% include "parts/weeks_with_end.sql" %}

-- Each week that is over with the weeks that it looks at.
windows as (
    select e.week_start_date, w.week_start_date as looked_at_date
    from weeks as e
    inner join weeks as w on w.week_start_date <= e.week_start_date and w.week_start_date > e.week_start_date - 28
    where e.is_closed and exists (select 1 from mart_lever_savings_weekly as s where s.week_start_date = e.week_start_date)
),

lengths as (
    select week_start_date, count(*) as weeks
    from windows
    group by week_start_date
),

levers as (
{% for lever, (words, effort, must, risk, table) in levers.items() %}
    select
        '{{ lever }}' as lever,
        {{ loop.index }} as lever_place,
        '{{ words }}' as lever_words,
        '{{ effort }}' as effort,
        '{{ must }}' as must_be_true,
        '{{ risk }}' as risk,
        '{{ table }}' as evidence_table,
    {{ "union all" if not loop.last }}
{% endfor %}
),

replayed as (
    select
        n.week_start_date,
        s.feature,
        s.lever,
        cast(sum(s.requests) as bigint) as requests,
        cast(sum(s.unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(s.unreplayed_requests) as bigint) as unreplayed_requests,
        cast(sum(s.covered_requests) as bigint) as covered_requests,
        cast(sum(s.told_requests) as bigint) as told_requests,
        cast(sum(s.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        cast(sum(s.covered_cost_usd) as decimal(38, 15)) as covered_cost_usd,
        count(case when s.effective_cost_usd is not null and s.saved_low_usd + s.saved_mid_usd + s.saved_high_usd is null then 1 end) as unknown_weeks,
{% for case in cases %}
        cast(sum(s.saved_{{ case }}_usd) as decimal(38, 15)) as saved_{{ case }}_usd,
        cast(sum(s.alone_{{ case }}_usd) as decimal(38, 15)) as alone_{{ case }}_usd,
{% endfor %}
    from windows as n
    inner join mart_lever_savings_weekly as s on n.looked_at_date = s.week_start_date
    group by n.week_start_date, s.feature, s.lever
),

features as (
    select week_start_date, feature, requests, unpriced_requests, effective_cost_usd
    from replayed
    where lever = 'context_trim'
),

-- The owner at the end of the four weeks.
owners as (
    select
        f.week_start_date,
        f.feature,
        o.owner_team,
        row_number() over (
            partition by f.week_start_date, f.feature order by o.valid_from_date desc nulls last, o.reference_row desc
        ) as place,
    from features as f
    inner join ref_features as o
        on f.feature = o.feature
        and (o.valid_from_date is null or o.valid_from_date < f.week_start_date + 7)
        and (o.valid_to_date is null or o.valid_to_date >= f.week_start_date + 7)
),

reasoned as (
    select
        f.week_start_date,
        f.feature,
        v.*,
        coalesce(o.owner_team, 'unattributed') as owner,
        n.weeks,
        f.requests,
        f.unpriced_requests,
        f.effective_cost_usd,
        coalesce(r.unreplayed_requests, 0) as unreplayed_requests,
        r.covered_requests,
        r.told_requests,
        r.covered_cost_usd,
{% for case in cases %}
        r.saved_{{ case }}_usd,
        r.alone_{{ case }}_usd,
{% endfor %}
        case
            when f.effective_cost_usd is null then 'no_price'
            when v.lever in ('fine_tune', 'self_host') then 'needs_own_figures'
            when r.covered_requests = 0 then 'nothing_to_change'
            when r.unreplayed_requests = r.covered_requests then 'no_other_price'
            when r.unknown_weeks > 0 then 'no_setting'
        end as missing,
        case
            when v.lever = 'context_trim' then 'assumed_share'
            when r.told_requests < r.covered_requests then 'no_prompt_hash'
        end as guess,
    from features as f
    cross join levers as v
    inner join lengths as n on f.week_start_date = n.week_start_date
    left join replayed as r on f.week_start_date = r.week_start_date and f.feature = r.feature and v.lever = r.lever
    left join owners as o on f.week_start_date = o.week_start_date and f.feature = o.feature and o.place = 1
),

scaled as (
    select
        *,
        cast(cast(covered_cost_usd as double) / nullif(cast(effective_cost_usd as double), 0) as decimal(18, 9)) as coverage_share,
{% for kind, sum in (("saving", "saved"), ("alone", "alone")) %}
    {% for case in cases %}
        case when missing is null then cast(cast({{ sum }}_{{ case }}_usd as double) * 30.4375 / (7 * weeks) as decimal(38, 10)) end as {{ kind }}_{{ case }}_month_usd,
    {% endfor %}
{% endfor %}
    from reasoned
),

judged as (
    select
        *,
        case
            when missing is not null then 'insufficient'
            when saving_mid_month_usd <= 0 then 'no_saving'
            when guess is not null then 'range_only'
            when saving_low_month_usd <= 0 then 'uncertain'
            else 'opportunity'
        end as verdict,
        row_number() over (
            partition by week_start_date
            order by
                case when saving_mid_month_usd is null then 2 when saving_low_month_usd <= 0 then 1 else 0 end,
                saving_mid_month_usd desc, feature, lever_place
        ) as opportunity_rank,
        cast(cast(effective_cost_usd as double) * 30.4375 / (7 * weeks) as decimal(38, 2)) as month_cost_usd,
    from scaled
)

{% macro dollars(amount) %}concat(case when {{ amount }} < 0 then '-$' else '$' end, cast(abs(cast({{ amount }} as decimal(38, 2))) as varchar)){% endmacro %}
select
    week_start_date,
    feature,
    lever,
    cast(lever_place as bigint) as lever_place,
    opportunity_rank,
    case
        when saving_mid_month_usd > 0 then row_number() over (
            partition by week_start_date, feature order by saving_mid_month_usd <= 0 nulls last, opportunity_rank
        )
    end as feature_rank,
    verdict,
    case when verdict = 'insufficient' then missing when verdict = 'range_only' then guess end as verdict_reason,
    owner,
    effort,
    case
        when missing = 'no_price' then 'What the calls cost is not known.'
        when missing = 'needs_own_figures'
            then concat(
                'What ', lever_words, ' would save depends on figures of your own: ask tokenbooks whatif ', lever, ' --set feature=', feature, '.'
            )
        when missing = 'nothing_to_change' then concat('There is no call that ', lever_words, ' would change.')
        when missing = 'no_other_price' then concat('The price book does not say what ', lever_words, ' would cost.')
        when missing = 'no_setting' then concat('A setting of ', lever, ' or of a lever before it in scenarios.csv cannot be read.')
        when verdict = 'no_saving' then concat(upper(left(lever_words, 1)), substr(lever_words, 2), ' would save nothing here.')
        else concat(
            upper(left(lever_words, 1)), substr(lever_words, 2), ' would save ', {{ dollars("saving_mid_month_usd") }}, ' of ', {{ dollars("month_cost_usd") }},
            ' a month (', {{ dollars("saving_low_month_usd") }}, ' to ', {{ dollars("saving_high_month_usd") }}, ')',
            case when guess = 'assumed_share' then ', if as much can be cut as assumed' when guess = 'no_prompt_hash' then ', if as many questions come again as assumed' else '' end,
            case when owner = 'unattributed' then '; nobody owns the feature.' else '.' end
        )
    end as sentence,
    must_be_true,
    risk,
    concat(
        'select * from ', evidence_table, ' where feature = ''', replace(feature, '''', ''''''), ''' and week_start_date between date ''',
        cast(week_start_date - 21 as varchar), ''' and date ''', cast(week_start_date as varchar), ''' order by week_start_date'
    ) as evidence_query,
    weeks,
    requests,
    unpriced_requests,
    unreplayed_requests,
    covered_requests,
    told_requests,
    effective_cost_usd,
    covered_cost_usd,
    coverage_share,
{% for kind in ("saving", "alone") %}
    {% for case in cases %}
    {{ kind }}_{{ case }}_month_usd,
    {% endfor %}
{% endfor %}
from judged
