/*
about: >-
  How long prompts are, and how much of them is constant, by feature and by request type. One row per week and feature, and per week and
  request type.
grain: [week_start_date, cut, feature, workflow_step, prompt_name]
partition: week
reads_around: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  cut: VARCHAR; what the row is of: feature or request_type
  feature: VARCHAR; product feature, 'unattributed' where none is known
  workflow_step: VARCHAR; workflow and step of the calls, with a slash between; '(unnamed)' where neither is known, '(all)' for a feature
  prompt_name: VARCHAR; name of the prompt template, '(unnamed)' where none is known, '(all)' for a feature
  input_known_requests: BIGINT; calls that tell their input
  input_total_tokens: BIGINT; their input, cached included
  input_min_tokens: BIGINT; the shortest input
  input_p50_tokens: BIGINT; input that half of the calls do not pass
  input_p95_tokens: BIGINT; input that 95 in 100 calls do not pass
  static_known_requests: BIGINT; of these, calls that tell how long their constant prefix is
  static_known_input_tokens: BIGINT; input of the calls that tell how long their constant prefix is
  static_prompt_tokens: BIGINT; constant prefix of these calls, at most their input; null where none tells it
checks:
  - one_of: [cut, feature, request_type]
  - rule: input_min_tokens <= input_p50_tokens and input_p50_tokens <= input_p95_tokens
  - rule: input_known_requests >= static_known_requests and (static_prompt_tokens is null) = (static_known_requests = 0)
*/
{% from "macros/cells.sql" import type_of %}
{% from "macros/days.sql" import local_week %}
with calls as (
    select
        {{ local_week("r.started_at") }} as week_start_date,
        r.feature,
        {{ type_of("r") }},
        r.input_total_tokens,
        case when r.static_prompt_tokens is not null then least(r.static_prompt_tokens, r.input_total_tokens) end as static_prompt_tokens,
    from ledger_requests as r
    cross join ref_reporting as z
    where r.is_billable_leaf and r.input_total_tokens is not null
)

{% for cut, columns in (("feature", ["feature"]), ("request_type", ["feature", "workflow_step", "prompt_name"])) %}
{{ "union all" if not loop.first }}
select
    week_start_date,
    '{{ cut }}' as cut,
    feature,
    {% for name in ("workflow_step", "prompt_name") %}
    {{ name if name in columns else "'(all)'" }} as {{ name }},
    {% endfor %}
    count(*) as input_known_requests,
    cast(sum(input_total_tokens) as bigint) as input_total_tokens,
    min(input_total_tokens) as input_min_tokens,
    {% for name, share in (("p50", "0.5"), ("p95", "0.95")) %}
    quantile_disc(input_total_tokens, {{ share }}) as input_{{ name }}_tokens,
    {% endfor %}
    count(static_prompt_tokens) as static_known_requests,
    cast(coalesce(sum(case when static_prompt_tokens is not null then input_total_tokens end), 0) as bigint) as static_known_input_tokens,
    cast(sum(static_prompt_tokens) as bigint) as static_prompt_tokens,
from calls
group by week_start_date, {{ columns | join(", ") }}
{% endfor %}
