/*
about: >-
  Of features whose answers drifted, and of no other: each day of the weeks up to the judged one by what served the calls, with how far answers
  lie from what is usual for their user and request type. One row per judged week, feature, request type, dimension, its value and day.
grain: [week_start_date, feature, workflow_step, prompt_name, dimension, dimension_value, usage_date]
partition: week
reads_back: 5 weeks
reads_around: 1 day
leads: [stat_paired_change_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week that is judged, in the reporting time zone
  feature: VARCHAR; product feature that drifted in that week
{% include "parts/columns_request_type.sql" %}
  dimension: VARCHAR; what may have changed with the answers: model_canonical, prompt_version, release, service_tier or region
  dimension_value: VARCHAR; its value for these calls, '(none)' where it is not known
  usage_date: DATE; day of the calls, in the reporting time zone, of the onset_days (42 at most) up to the week's end
  logged_requests: BIGINT; calls that ended well with input and output, of users or customers
  input_total_tokens: BIGINT; input of these calls, cached included
  log_rest: DECIMAL(38,12); sum of the logarithm of output over input, each less its mean for the same user and type over these days
checks:
  - one_of: [dimension, model_canonical, prompt_version, release, service_tier, region]
  - between: [logged_requests, 1, null]
*/
{% from "macros/cells.sql" import cluster_of, type_of %}
{% from "macros/days.sql" import local_date %}
{% set dimensions = ["model_canonical", "prompt_version", "release", "service_tier", "region"] %}
{% set cell = ["week_start_date", "feature", "workflow_step", "prompt_name", "cluster_unit", "cluster_id"] %}
with drifts as (
    select distinct
        p.week_start_date,
        p.feature,
        p.week_start_date + 7 - cast(least(l.threshold_number, 42) as integer) as first_date,
    from stat_paired_change_weekly as p
    inner join ref_limits as l
        on l.limit_name = 'onset_days'
        and l.scope_kind = ''
        and p.week_start_date >= l.valid_from_date
        and p.week_start_date < l.valid_to_date
    where p.is_drift and p.measure = 'output_ratio' and p.baseline = '4w'
),

calls as (
    select
        r.feature,
        {{ type_of("r") }},
        {{ cluster_of("r", "z") }},
        {{ local_date("r.started_at") }} as usage_date,
{% for dimension in dimensions %}
        coalesce(r.{{ dimension }}, '(none)') as {{ dimension }},
{% endfor %}
        r.input_total_tokens,
        cast(ln(r.output_total_tokens) as decimal(38, 12)) - cast(ln(r.input_total_tokens) as decimal(38, 12)) as log_ratio,
    from ledger_requests as r
    inner join (select distinct feature from drifts) as d on r.feature = d.feature
    cross join ref_reporting as z
    where r.is_billable_leaf
        and r.status = 'ok'
        and r.input_total_tokens > 0
        and r.output_total_tokens > 0
        -- Sessions and days without an owner have no usual length beyond themselves.
        and coalesce(r.user_id, r.customer_id) is not null
),

cells as (
    select
        d.week_start_date,
        c.feature,
        c.workflow_step,
        c.prompt_name,
        c.cluster_unit,
        c.cluster_id,
        c.usage_date,
{% for dimension in dimensions %}
        c.{{ dimension }},
{% endfor %}
        count(*) as requests,
        sum(c.input_total_tokens) as input_tokens,
        sum(c.log_ratio) as log_ratio,
    from calls as c
    inner join drifts as d on c.feature = d.feature and c.usage_date >= d.first_date and c.usage_date < d.week_start_date + 7
    group by d.week_start_date, c.feature, c.workflow_step, c.prompt_name, c.cluster_unit, c.cluster_id, c.usage_date, c.{{ dimensions | join(", c.") }}
),

centred as (
    select
        *,
        cast(
            cast(log_ratio as double) - requests
            * (cast(sum(log_ratio) over (partition by {{ cell | join(", ") }}) as double) / sum(requests) over (partition by {{ cell | join(", ") }}))
            as decimal(38, 12)
        ) as log_rest,
    from cells
)

select
    c.week_start_date,
    c.feature,
    c.workflow_step,
    c.prompt_name,
    d.dimension,
    case d.dimension
{% for dimension in dimensions %}
        when '{{ dimension }}' then c.{{ dimension }}
{% endfor %}
    end as dimension_value,
    c.usage_date,
    cast(sum(c.requests) as bigint) as logged_requests,
    cast(sum(c.input_tokens) as bigint) as input_total_tokens,
    cast(sum(c.log_rest) as decimal(38, 12)) as log_rest,
from centred as c
cross join (select unnest(['{{ dimensions | join("', '") }}']) as dimension) as d
group by
    c.week_start_date, c.feature, c.workflow_step, c.prompt_name, d.dimension,
    case d.dimension
{% for dimension in dimensions %}
        when '{{ dimension }}' then c.{{ dimension }}
{% endfor %}
    end,
    c.usage_date
