/*
about: >-
  The change of a ratio against the four weeks before, taken apart without a rest: within each part, and by the mix of the parts
  (Bennet). One row per week, measure, feature and request type; within and mix of all parts sum to the change.
grain: [week_start_date, measure, feature, workflow_step, prompt_name]
partition: week
reads_back: 4 weeks
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  measure: VARCHAR; which ratio: output_ratio (output over input tokens of answered calls)
  feature: VARCHAR; product feature, 'unattributed' where none is known
  workflow_step: VARCHAR; workflow and step of the calls, with a slash between; '(unnamed)' where neither is known
  prompt_name: VARCHAR; name of the prompt template, '(unnamed)' where none is known
  numerator: BIGINT; what is over the line, in the judged week (output tokens)
  denominator: BIGINT; what is below the line, in the judged week (input tokens)
  base_numerator: BIGINT; what is over the line, in the four weeks before
  base_denominator: BIGINT; what is below the line, in the four weeks before
  weight_share: DECIMAL(18,9); the part's share of its feature's denominator in the judged week
  base_weight_share: DECIMAL(18,9); the same in the four weeks before
  part_ratio: DOUBLE; the part's own ratio in the judged week; that of the other period where the part is absent
  base_part_ratio: DOUBLE; the same in the four weeks before
  within_delta: DOUBLE; what the part's own ratio adds to the change of the feature's ratio
  mix_delta: DOUBLE; what the change of the part's weight adds to it
checks:
  - one_of: [measure, output_ratio]
  - between: [weight_share, 0, 1]
  - between: [base_weight_share, 0, 1]
  - no_rows: >-
      select strftime(week_start_date, '%Y-%m-%d') as partition, measure, feature
      from stat_bennet_weekly
      group by week_start_date, measure, feature
      having abs(
          sum(within_delta) + sum(mix_delta) - cast(sum(numerator) as double) / sum(denominator)
          + cast(sum(base_numerator) as double) / sum(base_denominator)
      ) > 0.000000001
    text: within and mix make the change
*/
{% from "macros/baselines.sql" import cells_and_baselines with context %}
with weeks as (
    select distinct week_start_date from stat_usage_cells_weekly
),

parts as (
    select
        p.week_start_date,
        p.feature,
        p.workflow_step,
        p.prompt_name,
        sum(case when p.weeks_later = 0 then p.output_total_tokens else 0 end) as y1,
        sum(case when p.weeks_later = 0 then p.input_total_tokens else 0 end) as x1,
        sum(case when p.weeks_later > 0 then p.output_total_tokens else 0 end) as y0,
        sum(case when p.weeks_later > 0 then p.input_total_tokens else 0 end) as x0,
    from (
        {{ cells_and_baselines(["input_total_tokens", "output_total_tokens"], 5, "answered_requests") }}
    ) as p
    inner join weeks as w on p.week_start_date = w.week_start_date
    group by p.week_start_date, p.feature, p.workflow_step, p.prompt_name
),

shares as (
    select
        week_start_date,
        feature,
        workflow_step,
        prompt_name,
        y1,
        x1,
        y0,
        x0,
        cast(x1 as double) / sum(x1) over (partition by week_start_date, feature) as w1,
        cast(x0 as double) / sum(x0) over (partition by week_start_date, feature) as w0,
        cast(sum(y1) over (partition by week_start_date, feature) as double)
            / sum(x1) over (partition by week_start_date, feature) as whole1,
        cast(sum(y0) over (partition by week_start_date, feature) as double)
            / sum(x0) over (partition by week_start_date, feature) as whole0,
        coalesce(cast(y1 as double) / nullif(x1, 0), cast(y0 as double) / nullif(x0, 0)) as r1,
        coalesce(cast(y0 as double) / nullif(x0, 0), cast(y1 as double) / nullif(x1, 0)) as r0,
    from parts
    qualify sum(x1) over (partition by week_start_date, feature) > 0 and sum(x0) over (partition by week_start_date, feature) > 0
)

select
    week_start_date,
    'output_ratio' as measure,
    feature,
    workflow_step,
    prompt_name,
    cast(y1 as bigint) as numerator,
    cast(x1 as bigint) as denominator,
    cast(y0 as bigint) as base_numerator,
    cast(x0 as bigint) as base_denominator,
    cast(w1 as decimal(18, 9)) as weight_share,
    cast(w0 as decimal(18, 9)) as base_weight_share,
    r1 as part_ratio,
    r0 as base_part_ratio,
    (w0 + w1) / 2 * (r1 - r0) as within_delta,
    (w1 - w0) * ((r0 + r1) / 2 - (whole0 + whole1) / 2) as mix_delta,
from shares
