{#
The ratios whose change against the four weeks before is taken apart and tested, out of stat_usage_cells_weekly: what is over the line and
below it, and whether each model of a feature is a series of its own. `tested`: what the jackknife tests of the change: all of it, the
part that is mix of request types, and the part within them; `least` is the change below which that is not worth its work. A measure that is
not `always` there counts where anything is over the line.
#}
{% from "macros/tiers.sql" import tier_of %}
{% set measures = [
    {"name": "output_ratio", "over": "c.output_total_tokens", "below": "c.input_total_tokens", "calls": "c.answered_requests",
     "by_model": false, "always": true, "tested": ["change", "mix"], "least": 0},
    {"name": "cache_hit_rate", "over": "c.cache_read_total_tokens", "below": "c.cache_known_input_tokens", "calls": "c.answered_requests",
     "by_model": true, "always": false, "tested": ["change"], "least": 0.01},
    {"name": "frontier_share", "over": "case when m.model_tier = 'frontier' then c.requests else 0 end", "below": "c.requests",
     "calls": "c.requests", "by_model": false, "always": false, "tested": ["change", "mix", "within"], "least": 0},
] %}
{# Which ratio and of what, as keys. #}
{% set subject = ["measure", "feature", "provider", "model_canonical"] %}

{% macro listed(names, alias="") %}{% for name in names %}{{ alias }}{{ name }}{{ ", " if not loop.last }}{% endfor %}{% endmacro %}

{# A table with a row for each test: of which measure and what part of its change. #}
{% macro statistics_of_measures() %}
{% for measure in measures %}
    {% set first = loop.first %}
    {% for part in measure.tested %}
        {{ "union all " if not (first and loop.first) }}select '{{ measure.name }}' as measure, '{{ part }}' as part, '{{ measure.name }}_{{ part }}' as statistic
    {% endfor %}
{% endfor %}
{%- endmacro %}

{# What request types together add to the change of a feature's measure, within them and by their mix, as `parts`. #}
{% macro parts_of_change(measure) %}
parts as (
    select
        week_start_date,
        feature,
        cast(sum(cast(within_delta as decimal(38, 18))) as double) as within_delta,
        cast(sum(cast(mix_delta as decimal(38, 18))) as double) as mix_delta,
    from stat_bennet_weekly
    where measure = '{{ measure }}'
    group by week_start_date, feature
)
{%- endmacro %}

{#
A week's numerators and denominators as `measured`, by subject (a measure of a feature, or of a model in it), request type and, with
`by_cluster`, cluster; `subjects` of each week that have a denominator in it and in the four weeks before, with their sums; and `cells`:
both periods side by side. Names are numbered, in their own order: sums by numbers are much cheaper than by names. With `only_mix` the
request types of a measure are one where no test needs them.
#}
{% macro measured_weeks(by_cluster=false, only_mix=false) %}
{% set parts = ["workflow_step", "prompt_name"] %}
{% set clusters = ["cluster_unit", "cluster_id"] if by_cluster else [] %}
{% set numbers = ["subject_number", "type_number"] + (["cluster_number"] if by_cluster else []) %}
named as (
{% for measure in measures %}
    {% set is_one = only_mix and measure.tested == ["change"] %}
    {{ "union all" if not loop.first }}
    select
        c.week_start_date,
        '{{ measure.name }}' as measure,
        c.feature,
    {% for name in ("provider", "model_canonical") %}
        {{ "c." ~ name if measure.by_model else "'(all)'" }} as {{ name }},
    {% endfor %}
    {% for name in parts %}
        {{ "'(all)'" if is_one else "c." ~ name }} as {{ name }},
    {% endfor %}
    {% for name in clusters %}
        c.{{ name }},
    {% endfor %}
        cast(sum({{ measure.calls }}) as bigint) as n,
        cast(sum({{ measure.over }}) as bigint) as y,
        cast(sum({{ measure.below }}) as bigint) as x,
    from stat_usage_cells_weekly as c
    {% if "m." in measure.over %}
    left join {{ tier_of("c", "c.week_start_date") }}
    {% endif %}
    where {{ measure.calls }} > 0 and {{ measure.below }} > 0
    group by c.week_start_date, c.feature{{ ", c.provider, c.model_canonical" if measure.by_model }}{{ ", c.workflow_step, c.prompt_name" if not is_one }}{{ ", c.cluster_unit, c.cluster_id" if by_cluster }}

{% endfor %}
),

{% for kind, names in (("subject", subject), ("type", parts), ("cluster", clusters)) if names %}
{{ kind }}_numbers as (
    select {{ listed(names) }}, row_number() over (order by {{ listed(names) }}) as {{ kind }}_number
    from (select distinct {{ listed(names) }} from named) as d
),

{% endfor %}
measured as (
    select
        n.week_start_date,
        {{ listed(numbers) }},
        n.n,
        n.y,
        n.x,
    from named as n
{% for kind, names in (("subject", subject), ("type", parts), ("cluster", clusters)) if names %}
    inner join {{ kind }}_numbers as {{ kind[0] }}
        on {% for name in names %}{{ " and " if not loop.first }}n.{{ name }} = {{ kind[0] }}.{{ name }}{% endfor %}

{% endfor %}
),

weeks as (
    select distinct week_start_date from stat_usage_cells_weekly
),

offsets as (
    select unnest(range(0, 5)) as weeks_later
),

subjects as (
    select
        w.week_start_date,
        p.subject_number,
        cast(sum(case when o.weeks_later = 0 then p.y else 0 end) as bigint) as y1,
        cast(sum(case when o.weeks_later = 0 then p.x else 0 end) as bigint) as x1,
        cast(sum(case when o.weeks_later > 0 then p.y else 0 end) as bigint) as y0,
        cast(sum(case when o.weeks_later > 0 then p.x else 0 end) as bigint) as x0,
    from (
        select week_start_date, subject_number, sum(y) as y, sum(x) as x
        from measured
        group by week_start_date, subject_number
    ) as p
    cross join offsets as o
    inner join weeks as w on w.week_start_date = p.week_start_date + 7 * cast(o.weeks_later as integer)
    inner join subject_numbers as s on p.subject_number = s.subject_number
    group by w.week_start_date, p.subject_number, s.measure
    having
        sum(case when o.weeks_later = 0 then p.x else 0 end) > 0
        and sum(case when o.weeks_later > 0 then p.x else 0 end) > 0
        and (sum(p.y) > 0{% for measure in measures if measure.always %} or s.measure = '{{ measure.name }}'{% endfor %})
{% for measure in measures if by_cluster and measure.least %}
        and (
            s.measure <> '{{ measure.name }}'
            or abs(
                cast(sum(case when o.weeks_later = 0 then p.y else 0 end) as double) / sum(case when o.weeks_later = 0 then p.x else 0 end)
                - cast(sum(case when o.weeks_later > 0 then p.y else 0 end) as double) / sum(case when o.weeks_later > 0 then p.x else 0 end)
            ) >= {{ measure.least }}
        )
{% endfor %}
),

cells as (
    select
        s.week_start_date,
        {{ listed(numbers, "p.") }},
        cast(sum(case when o.weeks_later = 0 then p.n else 0 end) as bigint) as n1,
        cast(sum(case when o.weeks_later = 0 then p.y else 0 end) as bigint) as y1,
        cast(sum(case when o.weeks_later = 0 then p.x else 0 end) as bigint) as x1,
        cast(sum(case when o.weeks_later > 0 then p.y else 0 end) as bigint) as y0,
        cast(sum(case when o.weeks_later > 0 then p.x else 0 end) as bigint) as x0,
    from measured as p
    cross join offsets as o
    inner join subjects as s
        on s.week_start_date = p.week_start_date + 7 * cast(o.weeks_later as integer) and s.subject_number = p.subject_number
    group by s.week_start_date, {{ listed(numbers, "p.") }}
){%- endmacro %}
