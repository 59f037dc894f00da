/*
about: >-
  Whether a new release or prompt version makes calls or tasks dearer, for the same users and the same work, against the version before it.
  One row per week, feature and version that came in the week or the four before.
grain: [week_start_date, feature, dimension, scope_name, version]
partition: week
clock_stops: 1 day
leads: [stat_release_change_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  dimension: VARCHAR; what has the version: release or prompt_version
  scope_name: VARCHAR; prompt template that a prompt version is of; '(all)' for a release
  version: VARCHAR; release or prompt version that came in the week or the four before
  previous_version: VARCHAR; the one with most calls in the four weeks before its first day
  release_date: DATE; first day of the version, in the reporting time zone
  is_closed: BOOLEAN; true once the week is over by the books' own now
  is_concurrent: BOOLEAN; true where both served on the same days and those days alone are compared; else the week against the time before the first day
  concurrent_days: BIGINT; days of the week that both served
  verdict: VARCHAR; judgement in one word: regression, improvement, no_change or insufficient
  verdict_reason: VARCHAR; what is missing where the verdict is insufficient: week_not_over, no_pairs, few_users, few_degrees_of_freedom, few_units or few_base_units; else null
  regressed_unit: VARCHAR; what the verdict regression or improvement rests on: request (also where tasks changed as well) or task; else null
  sentence: VARCHAR; the verdict in words
  requests: BIGINT; calls of the version in the week, failed ones included; of the compared days alone where is_concurrent
  base_requests: BIGINT; calls of the version before, in the time that is compared with
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls of the version; null where none is priced
  base_repriced_cost_usd: DECIMAL(38,15); cost of the priced calls of the version before, at the rates of the judged week; null where none is priced
  cost_per_request_usd: DECIMAL(38,12); cost over priced calls of the version
  base_cost_per_request_usd: DECIMAL(38,12); the same of the version before, at the rates of the judged week
  raw_request_change: DOUBLE; change of cost over calls, traffic as it was: 0.30 is +30 %
  mix_free_request_change: DOUBLE; change at the version's own mix of request types: its cost over what its calls would have cost before; null where no type is in both
  request_p_value: DOUBLE; two-sided p of the change for the same users and types, by logarithms; null where that is no test
  paired_requests: BIGINT; calls of the version by users who had both on one type
  tasks: BIGINT; tasks whose first call was of the version
  base_tasks: BIGINT; tasks of the version before
  cost_per_task_usd: DECIMAL(38,12); cost of a task with all its calls, of tasks whose calls are all priced; null without any
  base_cost_per_task_usd: DECIMAL(38,12); the same of the version before, at the rates of the judged week
  raw_task_change: DOUBLE; change of the cost of a task, traffic as it was
  mix_free_task_change: DOUBLE; change of the cost of a task at the version's own mix of tasks, by their first step
  task_p_value: DOUBLE; two-sided p of the change of tasks; null where that is no test
  cost_impact_usd: DECIMAL(38,10); cost of the version's calls beyond what they would have cost before, in the week, of types in both; null where there are none
  unpriced_requests: BIGINT; calls of the version without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the calls of either version have no price: no alert may follow
  method_version: VARCHAR; raised when the same rows would be judged otherwise
checks:
  - one_of: [dimension, release, prompt_version]
  - one_of: [verdict, regression, improvement, no_change, insufficient]
  - one_of: [regressed_unit, request, task]
  - rule: (verdict = 'insufficient') = (verdict_reason is not null) and (verdict in ('regression', 'improvement')) = (regressed_unit is not null)
    text: a verdict stands beside what it rests on
  - rule: verdict = 'insufficient' or request_p_value is not null or task_p_value is not null
    text: a version is judged only where it was tested
  - rule: version <> previous_version and requests >= unpriced_requests
question: Which release or prompt version made calls dearer for the same work?
answer: >-
  select week_start_date, feature, dimension, version, verdict, mix_free_request_change, cost_impact_usd, sentence
  from mart_release_costs_weekly where verdict <> 'insufficient' order by week_start_date desc, cost_impact_usd desc nulls last
notes:
  - Costs of the version before are taken to the rates of the judged week model by model, as stat_price_index_weekly says; where no rate changed they are as booked.
  - A task is of the version of its first call; a prompt version that is not the first of its tasks is judged by its calls alone.
*/
{% from "macros/limits.sql" import limits_of_rows with context %}
{% from "macros/words.sql" import dollars_a_week %}
{% set pair = ["week_start_date", "feature", "dimension", "scope_name", "version"] %}
with {{ limits_of_rows({
    "release_cost_change": "regression_change",
    "release_improvement": "improvement_change",
    "release_p": "p_limit",
    "release_concurrent_days": "min_days",
    "unpriced_warn_share": "unpriced_warn",
}, "stat_release_change_weekly") }},

-- The same days where both served enough on several of them; one day of a changeover compares a morning with an afternoon.
chosen as (
    select
        c.{{ pair | join(", c.") }},
        c.comparison,
    from stat_release_change_weekly as c
    inner join limit_rows as l on c.week_start_date = l.week_start_date and c.feature = l.feature
    where c.counted = 'request'
        and (c.comparison = 'before_after' or (c.concurrent_days >= l.min_days and c.untested_reason is null))
    qualify row_number() over (partition by c.{{ pair | join(", c.") }} order by c.comparison desc) = 1
),

compared as (
    select
        c.{{ pair | join(", c.") }},
        c.comparison,
        r.previous_version,
        r.release_date,
        r.concurrent_days,
        r.units as requests,
        r.base_units as base_requests,
        r.effective_cost_usd,
        r.base_repriced_cost_usd,
        cast(cast(r.effective_cost_usd as double) / r.priced_units as decimal(38, 12)) as cost_per_request_usd,
        cast(cast(r.base_repriced_cost_usd as double) / r.base_priced_units as decimal(38, 12)) as base_cost_per_request_usd,
        cast(r.matched_cost_usd as double) / nullif(cast(r.expected_cost_usd as double), 0) - 1 as mix_free_request_change,
        r.p_value as request_p_value,
        r.paired_units as paired_requests,
        r.log_change as request_log_change,
        cast(r.matched_cost_usd - r.expected_cost_usd as decimal(38, 10)) as cost_impact_usd,
        r.units - r.priced_units as unpriced_requests,
        r.units - r.priced_units > l.unpriced_warn * r.units or r.base_units - r.base_priced_units > l.unpriced_warn * r.base_units as is_incomplete,
        r.untested_reason as request_reason,
        t.units as tasks,
        t.base_units as base_tasks,
        cast(cast(t.effective_cost_usd as double) / nullif(t.priced_units, 0) as decimal(38, 12)) as cost_per_task_usd,
        cast(cast(t.base_repriced_cost_usd as double) / nullif(t.base_priced_units, 0) as decimal(38, 12)) as base_cost_per_task_usd,
        cast(t.matched_cost_usd as double) / nullif(cast(t.expected_cost_usd as double), 0) - 1 as mix_free_task_change,
        t.p_value as task_p_value,
        t.log_change as task_log_change,
        l.regression_change,
        l.improvement_change,
        l.p_limit,
    from chosen as c
    inner join limit_rows as l on c.week_start_date = l.week_start_date and c.feature = l.feature
    inner join stat_release_change_weekly as r
        on r.counted = 'request' and r.comparison = c.comparison{% for column in pair %} and r.{{ column }} = c.{{ column }}{% endfor %}

    left join stat_release_change_weekly as t
        on t.counted = 'task' and t.comparison = c.comparison{% for column in pair %} and t.{{ column }} = c.{{ column }}{% endfor %}

),

-- Of calls and of tasks: whether it is beyond chance and which way. Shares are compared as decimals.
moved as (
    select
        *,
        cast(cost_per_request_usd as double) / nullif(cast(base_cost_per_request_usd as double), 0) - 1 as raw_request_change,
        cast(cost_per_task_usd as double) / nullif(cast(base_cost_per_task_usd as double), 0) - 1 as raw_task_change,
{% for counted in ("request", "task") %}
        case
            when {{ counted }}_p_value is null or {{ counted }}_p_value >= p_limit then 'no_change'
            when cast(mix_free_{{ counted }}_change as decimal(18, 9)) >= regression_change and {{ counted }}_log_change > 0 then 'regression'
            when cast(mix_free_{{ counted }}_change as decimal(18, 9)) <= -improvement_change and {{ counted }}_log_change < 0 then 'improvement'
            else 'no_change'
        end as {{ counted }}_verdict,
{% endfor %}
    from compared
),

judged as (
    select
        *,
        case when request_p_value is null and task_p_value is null then request_reason end as verdict_reason,
        case
            when request_p_value is null and task_p_value is null then 'insufficient'
            when request_verdict = 'regression' or task_verdict = 'regression' then 'regression'
            when request_verdict = 'improvement' or task_verdict = 'improvement' then 'improvement'
            else 'no_change'
        end as verdict,
        case
            when request_verdict = 'regression' then 'request'
            when task_verdict = 'regression' then 'task'
            when request_verdict = 'improvement' then 'request'
            when task_verdict = 'improvement' then 'task'
        end as regressed_unit,
    from moved
),

worded as (
    select
        *,
        case when regressed_unit = 'task' then mix_free_task_change else mix_free_request_change end as shown_change,
        case when regressed_unit = 'task' then raw_task_change else raw_request_change end as raw_change,
        case when dimension = 'release' then concat('release ', version) else concat('version ', version, ' of prompt ', scope_name) end as this_version,
        case when comparison = 'same_days' then concat('than with ', previous_version, ' on the same days')
            else concat('than with ', previous_version, ' before') end as other_version,
        {{ dollars_a_week("cost_impact_usd") }} as money,
    from judged
)

select
    w.week_start_date,
    w.feature,
    w.dimension,
    w.scope_name,
    w.version,
    w.previous_version,
    w.release_date,
    k.now_at at time zone z.reporting_time_zone >= w.week_start_date + 7 as is_closed,
    w.comparison = 'same_days' as is_concurrent,
    w.concurrent_days,
    w.verdict,
    w.verdict_reason,
    w.regressed_unit,
    case
        when w.verdict_reason = 'week_not_over' then 'The week is not over.'
        when w.verdict_reason = 'no_pairs' then 'Too little to judge: nobody has calls of one request type with both versions.'
        when w.verdict_reason in ('few_users', 'few_degrees_of_freedom')
            then concat('Too little to judge: too few users have most of the calls of one request type with both ', w.version, ' and ', w.previous_version, '.')
        when w.verdict_reason is not null
            then concat('Too little to judge: ', cast(w.paired_requests as varchar), ' calls to compare of ', cast(w.requests as varchar), '.')
        else concat(
            'With ', w.this_version, ' a ', coalesce(w.regressed_unit, 'request'), ' is ',
            case
                when abs(w.shown_change) < 0.005 then 'as dear'
                else concat(cast(cast(round(100 * abs(w.shown_change)) as bigint) as varchar), ' % ', case when w.shown_change < 0 then 'cheaper' else 'dearer' end)
            end,
            ' for the same work ', case when abs(w.shown_change) < 0.005 then replace(w.other_version, 'than', 'as') else w.other_version end,
            case
                when w.verdict = 'no_change' and abs(w.shown_change) >= 0.005 then ', which is below the limits or within chance'
                else ''
            end,
            -- Points of the raw change that the mix made.
            case
                when abs(w.raw_change - w.shown_change) >= 0.005
                    then concat(
                        '; the other ', case when w.raw_change < w.shown_change then '-' else '' end,
                        cast(cast(round(100 * abs(w.raw_change - w.shown_change)) as bigint) as varchar), ' points are a change of traffic'
                    )
                else ''
            end,
            case when w.verdict in ('regression', 'improvement') then coalesce('; ' || w.money, '') else '' end,
            '.'
        )
    end as sentence,
    w.requests,
    w.base_requests,
    w.effective_cost_usd,
    w.base_repriced_cost_usd,
    w.cost_per_request_usd,
    w.base_cost_per_request_usd,
    w.raw_request_change,
    w.mix_free_request_change,
    w.request_p_value,
    w.paired_requests,
    coalesce(w.tasks, 0) as tasks,
    coalesce(w.base_tasks, 0) as base_tasks,
    w.cost_per_task_usd,
    w.base_cost_per_task_usd,
    w.raw_task_change,
    w.mix_free_task_change,
    w.task_p_value,
    w.cost_impact_usd,
    w.unpriced_requests,
    w.is_incomplete,
    '1' as method_version,
from worded as w
cross join ref_reporting as z
cross join ledger_clock as k
