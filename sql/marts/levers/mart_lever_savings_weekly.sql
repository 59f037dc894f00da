/*
about: >-
  What each lever would have saved on a week's calls: alone, and after the levers before it, so that no dollar is counted twice. Every call is
  replayed with the settings of scenarios.csv, as tokenbooks whatif does. One row per week, feature and lever.
grain: [week_start_date, feature, lever]
partition: week
reads_around: 1 day
leads: [stat_rate_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  lever: VARCHAR; context_trim, output_cap, retry_waste, prompt_cache, routing, response_cache or batch
  lever_place: BIGINT; place of the lever in the order in which they are applied, from 1 on
  requests: BIGINT; calls of the feature, failed ones included
  unpriced_requests: BIGINT; of these, calls without a cost: left out of every dollar here
  unreplayed_requests: BIGINT; calls that the lever is for, whose new price the book does not have: they stay as they were
  covered_requests: BIGINT; calls that the lever is for
  told_requests: BIGINT; of these, calls that tell what the lever goes by (for a cache of answers a hash of the prompt); the others are guessed
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls of the feature; null where none is priced
  covered_cost_usd: DECIMAL(38,15); cost of the calls that the lever is for
{% for case in ("low", "mid", "high") %}
  saved_{{ case }}_usd: DECIMAL(38,15); what the lever saves after those before it, {{ case }} assumption; null where nothing is priced or a setting of scenarios.csv cannot be read
{% endfor %}
{% for case in ("low", "mid", "high") %}
  alone_{{ case }}_usd: DECIMAL(38,15); what the lever saves by itself, {{ case }} assumption; null where nothing is priced or a setting of scenarios.csv cannot be read
{% endfor %}
  in_use_usd: DECIMAL(38,15); what the lever saved where it is used already (prompt_cache, batch): these calls without it less what they cost; null where none uses it, and for other levers
checks:
  - rule: requests >= covered_requests and covered_requests >= told_requests and requests >= unpriced_requests
  - rule: covered_cost_usd <= effective_cost_usd
    null_passes: true
  - rule: saved_mid_usd is not null or effective_cost_usd is null
    severity: warning
    text: what has a cost has a saving, be it none, unless a setting of scenarios.csv cannot be read
notes:
  - Low, mid and high are the dearest, the middle and the cheapest assumptions about the lever itself, with the middle ones about those before it; so the middle ones of all levers add up.
  - The lengths that decide which calls are routed are those of the week; the cap of an answer is the one that mart_output_caps_weekly proposes.
question: What does each lever save on the calls of a week, alone and after the others?
answer: >-
  select lever, sum(covered_cost_usd) as covered_usd, sum(alone_mid_usd) as alone_usd, sum(saved_mid_usd) as after_others_usd
  from mart_lever_savings_weekly group by lever, lever_place order by lever_place
*/
{% from "macros/levers.sql" import cold_cost_of, cold_rate_of, cost_of, rate_of, uncached_cost_of with context %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/replay.sql" import cases, key_columns, scope_columns with context %}
{% set levers = ["context_trim", "output_cap", "retry_waste", "prompt_cache", "routing", "response_cache", "batch"] %}
{% set keys = key_columns + scope_columns %}
{# A number of scenarios.csv in one of three cases; one number stands for all. #}
{% macro number_of(scenario, parameter, case) %}
try_cast(max(case when scenario = '{{ scenario }}' and parameter = '{{ parameter }}' then coalesce(nullif(split_part(setting, '/', {{ cases.index(case) + 1 }}), ''), split_part(setting, '/', 1)) end) as decimal(18, 9))
{%- endmacro %}
{% macro word_of(scenario, parameter) %}
coalesce(max(case when scenario = '{{ scenario }}' and parameter = '{{ parameter }}' then setting end), '')
{%- endmacro %}
{% set settings_by_case = {
    "trim_share": ("context_trim", "trim_share"),
    "retry_share": ("output_cap", "retry_share"),
    "hit_share": ("prompt_cache", "hit_share"),
    "input_ratio": ("routing", "input_ratio"),
    "output_ratio": ("routing", "output_ratio"),
    "failure_rate": ("routing", "failure_rate"),
    "cold_share": ("routing", "cold_share"),
    "wrong_share": ("response_cache", "wrong_share"),
    "repeat_share": ("response_cache", "repeat_share"),
    "batch_share": ("batch", "share"),
} %}
with weeks as (
    select distinct week_start_date
    from stat_rate_cells_weekly
),

{{ limits_of_weeks({
    "retry_avoided_share_high": "avoided_low",
    "retry_avoided_share_mid": "avoided_mid",
    "retry_avoided_share_low": "avoided_high",
}) }},

settings as (
    select
{% for name, (scenario, parameter) in settings_by_case.items() %}
    {% for case in cases %}
        {{ number_of(scenario, parameter, case) }} as {{ name }}_{{ case }},
    {% endfor %}
{% endfor %}
        {{ number_of("routing", "share", "mid") }} as route_share_mid,
        {{ number_of("context_trim", "over_tokens", "mid") }} as over_tokens,
        cast({{ number_of("prompt_cache", "ttl_seconds", "mid") }} as bigint) * 1000000 as ttl_us,
        {{ number_of("prompt_cache", "min_prefix_tokens", "mid") }} as min_prefix_tokens,
        cast({{ number_of("response_cache", "ttl_seconds", "mid") }} as bigint) * 1000000 as response_ttl_us,
        {{ number_of("response_cache", "lookup_usd", "mid") }} as lookup_usd,
        {{ word_of("batch", "mode") }} = 'flex' as is_flex,
    from ref_scenarios
),

route_settings as (
    select
        {{ word_of("routing", "to_model") }} as to_model,
        {{ word_of("routing", "from_tier") }} as from_tier,
        {{ word_of("routing", "to_tier") }} as to_tier,
        {{ word_of("routing", "provider") }} as provider,
        {{ word_of("routing", "from_model") }} as from_model,
    from ref_scenarios
),

used as (
    select week_start_date, provider, model_canonical, cast(sum(requests) as bigint) as requests
    from stat_rate_cells_weekly
    where model_canonical <> ''
    group by week_start_date, provider, model_canonical
),

{% include "parts/route_targets.sql" %},

-- Work that has read or written nothing cached.
uncached_models as (
    select week_start_date, feature, provider, model_canonical
    from stat_rate_cells_weekly
    group by week_start_date, feature, provider, model_canonical
    having sum(0{% for class in token_classes if class.type in ("cache_read", "cache_write") %} + {{ class.tokens }}{% endfor %}) = 0
),

{% set marks = ["is_open", "is_long", "is_capped", "is_cut", "is_failed", "is_prefixed", "is_dear", "is_routed", "is_told", "is_repeated"] %}
{% include "parts/lever_cells.sql" %}

{# What a cell becomes by another model, in a batch (or flex), and by both. #}
{% set moves = {"": (false, false), "_there": (true, false), "_later": (false, true), "_there_later": (true, true)} %}
{% set is_deferred %}(c.is_batch or lower(c.service_tier) in ('{{ (service_tiers["batch"] + service_tiers["flex"]) | join("', '") }}')){% endset %}
{% macro key_of(name, is_there, is_later) %}
{%- if is_later and name == "is_batch" -%}(not s.is_flex or c.is_batch)
{%- elif is_later and name == "service_tier" -%}case when s.is_flex then 'flex' else c.service_tier end
{%- elif is_there and name == "provider" -%}c.to_provider
{%- elif is_there and name == "model_canonical" -%}c.to_model
{%- elif is_there and name == "speed" -%}''
{%- elif is_there and name != "feature_scope" and name != "customer_scope" and name != "is_batch" -%}case when c.to_provider = c.provider then c.{{ name }} else '' end
{%- else -%}c.{{ name }}
{%- endif -%}
{% endmacro %}
{# What a call in a batch or the flex tier would be at once. #}
{% set at_once = {"is_batch": "false", "service_tier": "''"} %}
placed as (
    select
        c.*,
        t.to_provider,
        t.to_model,
        c.is_open
        and not c.is_batch
        and lower(c.service_tier) in ('{{ service_tiers["standard"] | join("', '") }}')
        and lower(c.speed) <> 'fast'
        and exists (
            select 1
            from ref_features as f
            where f.feature = c.feature and f.workload = 'async'
                and (f.valid_from_date is null or c.usage_date >= f.valid_from_date)
                and (f.valid_to_date is null or c.usage_date < f.valid_to_date)
        ) as is_patient,
    from cells as c
    left join targets as t
        on c.is_dear and c.week_start_date = t.week_start_date and c.provider = t.from_provider and c.model_canonical = t.from_model
),

asked_keys as (
{% for there, (is_there, is_later) in moves.items() if there %}
    select
        c.usage_date,
    {% for name in keys %}
        {{ key_of(name, is_there, is_later) }} as {{ name }},
    {% endfor %}
    from placed as c
    cross join settings as s
    where c.is_open{{ " and c.is_routed" if is_there }}{{ " and c.is_patient" if is_later }}
    union
{% endfor %}
    select
        c.usage_date,
{% for name in keys %}
        {{ at_once.get(name, "c." ~ name) }} as {{ name }},
{% endfor %}
    from placed as c
    where c.is_open and {{ is_deferred }}
    union
    select usage_date, {{ keys | join(", ") }}
    from placed
    where false
    except
    select usage_date, {{ keys | join(", ") }}
    from ledger_rates
),

{% set asked_keys = "asked_keys" %}
asked_calls as (
{% include "parts/keys_as_calls.sql" %}

),

{% set rate_calls = "asked_calls" %}
asked_rates as (
{% include "parts/rates_of_calls.sql" %}

),

{% set rate_columns %}
usage_date, {{ keys | join(", ") }}, rate_from_at, rate_to_at, ctx_min_tokens, ctx_max_tokens{% for class in token_classes %}, {{ class.name }}_usd_per_mtok{% endfor %}
{%- endset %}
rates as (
    select {{ rate_columns }} from ledger_rates where rate_status = 'ok'
    union all
    select {{ rate_columns }} from asked_rates where rate_status = 'ok'
),

{% set reads = token_classes | selectattr("type", "eq", "cache_read") | list %}
{% set fresh = token_classes | rejectattr("type", "in", ("cache_read", "output")) | list %}
{% set cached = token_classes | selectattr("type", "in", ("cache_read", "cache_write")) | list %}
{% set total_of_cached %}{% for class in cached %}c.{{ class.tokens }}{{ " + " if not loop.last }}{% endfor %}{% endset %}
{% set outputs = token_classes | selectattr("type", "eq", "output") | list %}
{% macro dollars(tokens, rate) %}cast(case when {{ tokens }} = 0 then 0 else {{ tokens }} * {{ rate }} * 0.000001 end as decimal(38, 15)){% endmacro %}
{% set classes = {} %}
{% for class in token_classes %}{% set _ = classes.update({class.name: class}) %}{% endfor %}
costed as (
    select
        c.*,
{% for there in moves %}
    {% set r = "r" ~ there %}
        {{ cost_of(fresh, "c", r) }} as fresh{{ there }}_usd,
        {{ cost_of(reads, "c", r) }} as read{{ there }}_usd,
        {{ cold_cost_of(reads, "c", r) }} as cold{{ there }}_usd,
        {{ cost_of(outputs, "c", r) }} as output{{ there }}_usd,
        {{ cost_of(outputs | rejectattr("name", "in", ("output_text", "output_reasoning")), "c", r) }}
        + {{ dollars("c.text_left_tokens", rate_of(classes["output_text"], r)) }}
        + {{ dollars("c.reasoning_left_tokens", rate_of(classes["output_reasoning"], r)) }} as kept{{ there }}_usd,
        -- What is read from a new cache, found there or not, and what is written to it, less what these tokens cost as fresh ones.
        {{ dollars("c.newly_read_tokens", rate_of(classes["cache_read"], r)) }} as newly_read{{ there }}_usd,
        {{ dollars("c.newly_read_tokens", cold_rate_of(classes["cache_read"], r)) }} as newly_cold{{ there }}_usd,
        case
            when s.ttl_us <= 300000000 then {{ dollars("c.newly_written_tokens", rate_of(classes["cache_write_5m"], r)) }}
            else {{ dollars("c.newly_written_tokens", rate_of(classes["cache_write_1h"], r)) }}
        end
        - {{ dollars("c.newly_read_tokens + c.newly_written_tokens", rate_of(classes["input_uncached"], r)) }} as newly_written{{ there }}_usd,
{% endfor %}
        case
            when {{ total_of_cached }} > 0
                then {{ uncached_cost_of(cached, "c", "r") }} - {{ cost_of(cached, "c", "r") }}
        end as cached_in_use_usd,
        c.units_cost_usd + {{ cost_of(token_classes, "c", "o") }} - c.effective_cost_usd as deferred_in_use_usd,
    from placed as c
    cross join settings as s
    left join rates as o
        on c.is_open and {{ is_deferred }}
        and c.usage_date = o.usage_date
{% for name in keys %}
        and {{ at_once.get(name, "c." ~ name) }} = o.{{ name }}
{% endfor %}
        and c.rate_from_at >= o.rate_from_at and c.rate_from_at < o.rate_to_at
        and c.ctx_min_tokens >= o.ctx_min_tokens and c.ctx_min_tokens < o.ctx_max_tokens
{% for there, (is_there, is_later) in moves.items() %}
    {% set r = "r" ~ there %}
    left join rates as {{ r }}
        on c.is_open{{ " and c.is_routed" if is_there }}{{ " and c.is_patient" if is_later }}
        and c.usage_date = {{ r }}.usage_date
    {% for name in keys %}
        and {{ key_of(name, is_there, is_later) }} = {{ r }}.{{ name }}
    {% endfor %}
        and c.rate_from_at >= {{ r }}.rate_from_at and c.rate_from_at < {{ r }}.rate_to_at
        and c.ctx_min_tokens >= {{ r }}.ctx_min_tokens and c.ctx_min_tokens < {{ r }}.ctx_max_tokens
{% endfor %}
),

{% set amounts = ["fresh", "read", "cold", "output", "kept", "newly_read", "newly_cold", "newly_written"] %}
known as (
    select
        *,
{% for there in moves %}
        {% for amount in amounts %}{{ amount }}{{ there }}_usd{{ " + " if not loop.last }}{% endfor %} is not null as has_rates{{ there }},
{% endfor %}
    from costed
),

-- Whatever levers do is linear in dollars: cells of the same marks are one from here on.
{% set kinds = ["week_start_date", "feature", "is_patient"] + marks %}
alike as (
    select
        {{ kinds | join(", ") }}{% for there in moves %}, has_rates{{ there }}{% endfor %},
        cast(sum(requests) as bigint) as requests,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
{% for name in ("effective_cost", "units_cost", "cached_in_use", "deferred_in_use") %}
        cast(sum({{ name }}_usd) as decimal(38, 15)) as {{ name }}_usd,
{% endfor %}
{% for there in moves %}
    {% for amount in amounts %}
        cast(sum({{ amount }}{{ there }}_usd) as decimal(38, 15)) as {{ amount }}{{ there }}_usd,
    {% endfor %}
{% endfor %}
    from known
    group by {{ kinds | join(", ") }}{% for there in moves %}, has_rates{{ there }}{% endfor %}

),

-- The levers that are pulled: the first few of the order together, and each alone.
plans as (
{% for is_alone in (false, true) %}
    {% for place in range(1 if is_alone else 0, levers | length + 1) %}
    select
        {{ place }} as lever_place,
        {{ "true" if is_alone else "false" }} as is_alone,
        {% for lever in levers %}
        {{ "true" if (place == loop.index if is_alone else place >= loop.index) else "false" }} as has_{{ lever }},
        {% endfor %}
    {{ "union all" if not (is_alone and loop.last) }}
    {% endfor %}
{% endfor %}
),

planned as (
    select
        c.*,
        p.*,
        p.has_routing and c.is_routed and c.has_rates_there as is_moved,
        p.has_batch and c.is_patient and case when p.has_routing and c.is_routed and c.has_rates_there then c.has_rates_there_later else c.has_rates_later end
            as is_waiting,
        p.has_prompt_cache and c.is_prefixed as is_cached,
        p.has_context_trim and c.is_long
        or p.has_output_cap and c.is_capped
        or p.has_retry_waste and c.is_failed
        or p.has_prompt_cache and c.is_prefixed
        or p.has_routing and c.is_dear
        or p.has_response_cache and c.is_open
        or p.has_batch and c.is_patient as is_covered,
        p.has_routing and c.is_routed and not c.has_rates_there or p.has_batch and c.is_patient and not c.has_rates_later as lacks_rates,
        not p.has_response_cache or c.is_told as tells,
    from alike as c
    cross join plans as p
),

{# A setting in one case, of the lever that a plan is about; of the levers before it always the middle one. #}
{% macro set_for(lever, name, case, table="s") %}
{% if case == "mid" %}{{ table }}.{{ name }}_mid{% else %}case when c.lever_place = {{ levers.index(lever) + 1 }} then {{ table }}.{{ name }}_{{ case }} else {{ table }}.{{ name }}_mid end{% endif %}
{% endmacro %}
{# What a cell costs at the rates of a move, in one case. #}
{% macro at_move(there, case) %}
c.units_cost_usd
        + cast(c.input_factor_{{ case }} * cast(
            c.fresh{{ there }}_usd
            + cast((1 - c.gone_cold_{{ case }}) * c.read{{ there }}_usd as decimal(38, 15))
            + cast(c.gone_cold_{{ case }} * c.cold{{ there }}_usd as decimal(38, 15))
            + case
                when c.is_cached
                    then c.newly_written{{ there }}_usd
                        + cast({{ set_for("prompt_cache", "hit_share", case) }} * c.newly_read{{ there }}_usd as decimal(38, 15))
                        + cast((1 - {{ set_for("prompt_cache", "hit_share", case) }}) * c.newly_cold{{ there }}_usd as decimal(38, 15))
                else 0
            end as decimal(38, 15)
        ) as decimal(38, 15))
        + cast(c.output_factor_{{ case }} * case when c.has_output_cap then c.kept{{ there }}_usd else c.output{{ there }}_usd end as decimal(38, 15))
{%- endmacro %}
factored as (
    select
        c.*,
{% for case in cases %}
        case when c.has_context_trim and c.is_long then 1 - {{ set_for("context_trim", "trim_share", case) }} else 1 end as trim_{{ case }},
        cast(
            case when c.has_context_trim and c.is_long then 1 - {{ set_for("context_trim", "trim_share", case) }} else 1 end
            * case when c.is_moved then {{ set_for("routing", "input_ratio", case) }} else 1 end as decimal(18, 9)
        ) as input_factor_{{ case }},
        case when c.is_moved then {{ set_for("routing", "output_ratio", case) }} else 1 end as output_factor_{{ case }},
        case when c.is_moved then {{ set_for("routing", "cold_share", case) }} else 0 end as gone_cold_{{ case }},
        case when c.is_waiting then {{ set_for("batch", "batch_share", case) }} else 0 end as waiting_{{ case }},
        case
            when not c.has_response_cache then 1
            when c.is_told then case when c.is_repeated then {{ set_for("response_cache", "wrong_share", case) }} else 1 end
            else 1 - cast({{ set_for("response_cache", "repeat_share", case) }} * (1 - {{ set_for("response_cache", "wrong_share", case) }}) as decimal(18, 9))
        end as asked_{{ case }},
        case when c.has_retry_waste and c.is_failed then 1 - {{ set_for("retry_waste", "avoided", case, "l") }} else 1 end as made_{{ case }},
{% endfor %}
    from planned as c
    cross join settings as s
    inner join limits as l on c.week_start_date = l.week_start_date
),

priced as (
    select
        c.*,
{% for case in cases %}
        case when c.is_moved then {{ at_move("_there", case) }} else {{ at_move("", case) }} end as now_{{ case }}_usd,
        case
            when not c.is_waiting then 0
            when c.is_moved then {{ at_move("_there_later", case) }}
            else {{ at_move("_later", case) }}
        end as later_{{ case }}_usd,
        -- A call that is made again is made as it was, with the shorter prompt.
        case when c.has_output_cap and c.is_cut then {{ set_for("output_cap", "retry_share", case) }} else 0 end as cut_again_{{ case }},
        case when c.is_moved then {{ set_for("routing", "failure_rate", case) }} else 0 end as moved_again_{{ case }},
        c.units_cost_usd + cast(c.trim_{{ case }} * (c.fresh_usd + c.read_usd) as decimal(38, 15)) as again_{{ case }}_usd,
        case when c.has_response_cache then s.lookup_usd * c.requests else 0 end as lookups_{{ case }}_usd,
{% endfor %}
    from factored as c
    cross join settings as s
),

replayed as (
    select
        c.*,
{% for case in cases %}
        case
            when not c.is_open or not c.has_rates then c.effective_cost_usd
            else cast(
                c.made_{{ case }} * cast(
                    cast(
                        c.asked_{{ case }} * cast(
                            c.now_{{ case }}_usd + cast(c.waiting_{{ case }} * (c.later_{{ case }}_usd - c.now_{{ case }}_usd) as decimal(38, 15)) as decimal(38, 15)
                        ) as decimal(38, 15)
                    )
                    + c.lookups_{{ case }}_usd
                    + cast(c.cut_again_{{ case }} * (c.again_{{ case }}_usd + c.output_usd) as decimal(38, 15))
                    + cast(
                        c.moved_again_{{ case }}
                        * (c.again_{{ case }}_usd + case when c.has_output_cap then c.kept_usd else c.output_usd end) as decimal(38, 15)
                    ) as decimal(38, 15)
                ) as decimal(38, 15)
            )
        end as cost_{{ case }}_usd,
{% endfor %}
    from priced as c
),

summed as (
    select
        week_start_date,
        feature,
        lever_place,
        is_alone,
        cast(sum(requests) as bigint) as requests,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(case when lacks_rates then requests else 0 end) as bigint) as unreplayed_requests,
        cast(sum(case when is_covered then requests else 0 end) as bigint) as covered_requests,
        cast(sum(case when is_covered and tells then requests else 0 end) as bigint) as told_requests,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        cast(coalesce(sum(case when is_covered then effective_cost_usd end), 0) as decimal(38, 15)) as covered_cost_usd,
        cast(sum(cached_in_use_usd) as decimal(38, 15)) as cached_in_use_usd,
        cast(sum(deferred_in_use_usd) as decimal(38, 15)) as deferred_in_use_usd,
{% for case in cases %}
        -- A setting that cannot be read leaves no figure.
        case
            when count(case when effective_cost_usd is not null and cost_{{ case }}_usd is null then 1 end) = 0
                then cast(sum(cost_{{ case }}_usd) as decimal(38, 15))
        end as cost_{{ case }}_usd,
{% endfor %}
    from replayed
    group by week_start_date, feature, lever_place, is_alone
),

-- Of each lever what calls cost with it on top of those before it, and with those before it.
stacked as (
    select *, lag(cost_mid_usd) over (partition by week_start_date, feature, is_alone order by lever_place) as before_usd
    from summed
),

paired as (
    select
        *,
        max(case when not is_alone then before_usd end) over same_lever as cost_before_usd,
{% for case in cases %}
        max(case when not is_alone then cost_{{ case }}_usd end) over same_lever as cost_stacked_{{ case }}_usd,
{% endfor %}
    from stacked
    window same_lever as (partition by week_start_date, feature, lever_place)
)

select
    week_start_date,
    feature,
    case lever_place{% for lever in levers %} when {{ loop.index }} then '{{ lever }}'{% endfor %} end as lever,
    cast(lever_place as bigint) as lever_place,
    requests,
    unpriced_requests,
    unreplayed_requests,
    covered_requests,
    told_requests,
    effective_cost_usd,
    covered_cost_usd,
{% for case, cost in (("low", "high"), ("mid", "mid"), ("high", "low")) %}
    cast(cost_before_usd - cost_stacked_{{ cost }}_usd as decimal(38, 15)) as saved_{{ case }}_usd,
{% endfor %}
{% for case, cost in (("low", "high"), ("mid", "mid"), ("high", "low")) %}
    cast(effective_cost_usd - cost_{{ cost }}_usd as decimal(38, 15)) as alone_{{ case }}_usd,
{% endfor %}
    case lever_place
        when {{ levers.index("prompt_cache") + 1 }} then cached_in_use_usd
        when {{ levers.index("batch") + 1 }} then deferred_in_use_usd
    end as in_use_usd,
from paired
where is_alone
