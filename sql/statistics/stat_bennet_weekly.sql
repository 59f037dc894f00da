/*
about: >-
  The change of a ratio against the four weeks before, taken apart without a rest: within each part, and by the mix of the parts
  (Bennet). One row per week, measure, feature (and model, where each is a series of its own) and request type; within and mix of
  all parts sum to the change.
grain: [week_start_date, measure, feature, provider, model_canonical, workflow_step, prompt_name]
partition: week
reads_back: 4 weeks
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  measure: VARCHAR; which ratio: output_ratio (output over input tokens of answered calls), cache_hit_rate (input read from the prompt cache over all input of answered calls, by model) or frontier_share (calls of frontier models over all calls)
  feature: VARCHAR; product feature, 'unattributed' where none is known
  provider: VARCHAR; the seller; '(all)' where a measure is of all models together
  model_canonical: VARCHAR; model as the price book names it; '(all)' where a measure is of all models together
{% include "parts/columns_request_type.sql" %}
  numerator: BIGINT; what is over the line, in the judged week (output tokens ...)
  denominator: BIGINT; what is below the line, in the judged week (input tokens ...)
  base_numerator: BIGINT; what is over the line, in the four weeks before
  base_denominator: BIGINT; what is below the line, in the four weeks before
  weight_share: DECIMAL(18,9); the part's share of the denominator of its feature (and model) in the judged week
  base_weight_share: DECIMAL(18,9); the same in the four weeks before
  part_ratio: DOUBLE; the part's own ratio in the judged week; that of the other period where the part is absent
  base_part_ratio: DOUBLE; the same in the four weeks before
  within_delta: DOUBLE; what the part's own ratio adds to the change of the whole
  mix_delta: DOUBLE; what the change of the part's weight adds to it
checks:
  - one_of: [measure, output_ratio, cache_hit_rate, frontier_share]
  - between: [weight_share, 0, 1]
  - between: [base_weight_share, 0, 1]
  - no_rows: >-
      select strftime(week_start_date, '%Y-%m-%d') as partition, measure, feature, provider, model_canonical
      from stat_bennet_weekly
      group by week_start_date, measure, feature, provider, model_canonical
      having abs(
          sum(within_delta) + sum(mix_delta) - cast(sum(numerator) as double) / sum(denominator)
          + cast(sum(base_numerator) as double) / sum(base_denominator)
      ) > 0.000000001
    text: within and mix make the change
*/
{% from "macros/measures.sql" import measured_weeks with context %}
with {{ measured_weeks() }},

shares as (
    select
        c.week_start_date,
        c.subject_number,
        c.type_number,
        c.y1,
        c.x1,
        c.y0,
        c.x0,
        cast(c.x1 as double) / s.x1 as w1,
        cast(c.x0 as double) / s.x0 as w0,
        cast(s.y1 as double) / s.x1 as whole1,
        cast(s.y0 as double) / s.x0 as whole0,
        coalesce(cast(c.y1 as double) / nullif(c.x1, 0), cast(c.y0 as double) / nullif(c.x0, 0)) as r1,
        coalesce(cast(c.y0 as double) / nullif(c.x0, 0), cast(c.y1 as double) / nullif(c.x1, 0)) as r0,
    from cells as c
    inner join subjects as s on c.week_start_date = s.week_start_date and c.subject_number = s.subject_number
)

select
    s.week_start_date,
    b.measure,
    b.feature,
    b.provider,
    b.model_canonical,
    t.workflow_step,
    t.prompt_name,
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
from shares as s
inner join subject_numbers as b on s.subject_number = b.subject_number
inner join type_numbers as t on s.type_number = t.type_number
