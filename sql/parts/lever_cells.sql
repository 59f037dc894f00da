{#
The calls of a week as rows that levers change, for mart_lever_savings_weekly: each call is looked at once, and what a lever would do to it is
noted as a mark or as tokens; then all are summed to `cells` of one box of rates, within which a cost is linear in tokens. Before it stand
`settings`, `targets` and `uncached_models`; `marks` has the names of the marks.
#}
{% from "macros/cells.sql" import type_of %}
{% from "macros/caps.sql" import reasoning_left, text_left with context %}
{% from "macros/days.sql" import local_week, utc_date %}
{% from "macros/levers.sql" import cacheable_of, is_within, left_for, prefix_of with context %}
{% from "macros/rate_keys.sql" import call_keys, context_tokens, keys_of_calls, scopes, scopes_of_calls, scopes_of_days with context %}
{% from "macros/replay.sql" import key_columns, scope_columns, total with context %}
{{ scopes_of_days }}

{% include "parts/rate_boxes.sql" %}

costs as (
    select
        request_key,
        started_at,
        coalesce(
            effective_cost_usd = contracted_cost_usd
            and cost_reason is distinct from 'cache_hit'
            and cost_reason is distinct from 'provider_stated',
            false
        ) as is_open,
        effective_cost_usd,
        coalesce(units_cost_usd, 0) as units_cost_usd,
    from ledger_costs
),

calls as (
    select
        {{ local_week("q.started_at") }} as week_start_date,
        {{ utc_date("q.started_at") }} as usage_date,
        q.started_at,
        q.request_key,
        q.feature,
        {{ type_of("q") }},
        coalesce(q.prompt_version, '') as prompt_version,
        q.session_id,
        q.prompt_hash,
        q.prompt_prefix_hash,
        q.static_prompt_tokens,
        q.status <> 'ok' as is_error,
        q.provider,
{{ keys_of_calls }}
{% for name, _ in scopes %}
        coalesce({{ name }}.scope, '') as {{ name }}_scope,
{% endfor %}
        {{ context_tokens }} as context_tokens,
        c.is_open,
        c.effective_cost_usd,
        c.units_cost_usd,
{% for class in token_classes %}
        coalesce(q.{{ class.tokens }}, 0) as {{ class.tokens }},
{% endfor %}
    from ledger_requests as q
    inner join costs as c on q.request_key = c.request_key and q.started_at = c.started_at
{{ scopes_of_calls }}
    cross join ref_reporting as z
),

meant as (
    select
        b.*,
        {{ total("input") }} as input_tokens,
        case when b.is_open and k.proposed_cap_tokens is not null then greatest({{ total("output") }} - k.proposed_cap_tokens, 0) else 0 end as excess_tokens,
        b.is_open and k.proposed_cap_tokens is not null as is_capped,
        b.is_open and t.to_model is not null as is_dear,
        case when b.is_open and u.feature is not null then {{ prefix_of("b") }} end as prefix_key,
    from calls as b
    left join mart_output_caps_weekly as k
        on b.week_start_date = k.week_start_date
        and b.feature = k.feature
        and b.workflow_step = k.workflow_step
        and b.prompt_name = k.prompt_name
    left join targets as t
        on b.week_start_date = t.week_start_date and b.provider = t.from_provider and b.model_canonical = t.from_model
    left join uncached_models as u
        on b.week_start_date = u.week_start_date
        and b.feature = u.feature
        and b.provider = u.provider
        and b.model_canonical = u.model_canonical
),

-- The longest prompt that is routed: that of the call at the wanted share of the feature's dear ones, from the shortest on.
lengths_so_far as (
    select
        week_start_date,
        feature,
        input_tokens,
        sum(count(*)) over (partition by week_start_date, feature order by input_tokens) as calls_so_far,
        sum(count(*)) over (partition by week_start_date, feature) as calls_of_all,
    from meant
    where is_dear
    group by week_start_date, feature, input_tokens
),

longest as (
    select l.week_start_date, l.feature, min(l.input_tokens) as longest_tokens
    from lengths_so_far as l
    cross join settings as s
    where s.route_share_mid > 0 and l.calls_so_far >= s.route_share_mid * l.calls_of_all
    group by l.week_start_date, l.feature
),

-- The calls before, by the keys alone: whole calls are slow to put in order.
before as (
    select
        request_key,
        started_at,
        lag(started_at) over same_prefix as prefix_before_at,
        lag(input_tokens) over same_prefix as input_before_tokens,
        lag(started_at) over same_prompt as prompt_before_at,
    from meant
    where prefix_key is not null or prompt_hash is not null
    window
        same_prefix as (partition by week_start_date, prefix_key order by started_at, request_key),
        same_prompt as (partition by week_start_date, feature, prompt_hash order by started_at, request_key)
),

followed as (
    select
        b.*,
        case when b.prefix_key is not null then {{ cacheable_of("b") }} else 0 end as cacheable_tokens,
        case
            when b.prefix_key is not null and {{ is_within("b", "f.prefix_before_at", "s.ttl_us") }} then {{ left_for("b", "f.input_before_tokens") }}
            else 0
        end as known_tokens,
        b.is_open and b.prompt_hash is not null and {{ is_within("b", "f.prompt_before_at", "s.response_ttl_us") }} as is_repeated,
    from meant as b
    cross join settings as s
    left join before as f on b.request_key = f.request_key and b.started_at = f.started_at
),

read_again as (
    select
        f.*,
        case when f.known_tokens >= s.min_prefix_tokens then f.known_tokens else 0 end as newly_read_tokens,
        f.cacheable_tokens >= s.min_prefix_tokens as is_long_enough,
        f.is_open and f.input_tokens > s.over_tokens as is_long,
    from followed as f
    cross join settings as s
),

{% set cell_keys %}
b.week_start_date, b.usage_date, b.feature, {% for name in key_columns + scope_columns %}b.{{ name }}, {% endfor %}p.rate_from_at, l.ctx_min_tokens
{%- endset %}
{% set marks_of_calls = {
    "is_open": "b.is_open",
    "is_long": "b.is_long",
    "is_capped": "b.is_capped",
    "is_cut": "b.excess_tokens > 0",
    "is_failed": "b.is_open and b.is_error",
    "is_prefixed": "b.prefix_key is not null",
    "is_dear": "b.is_dear",
    "is_routed": "b.is_dear and coalesce(b.input_tokens <= g.longest_tokens, false)",
    "is_told": "b.prompt_hash is not null",
    "is_repeated": "b.is_repeated",
} %}
cells as (
    select
        {{ cell_keys }},
{% for mark in marks %}
        {{ marks_of_calls[mark] }} as {{ mark }},
{% endfor %}
        cast(count(*) as bigint) as requests,
        cast(count(*) - count(b.effective_cost_usd) as bigint) as unpriced_requests,
        cast(sum(b.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        cast(sum(b.units_cost_usd) as decimal(38, 15)) as units_cost_usd,
        cast(sum(b.newly_read_tokens) as bigint) as newly_read_tokens,
        cast(sum(case when b.is_long_enough then greatest(b.cacheable_tokens - b.newly_read_tokens, 0) else 0 end) as bigint) as newly_written_tokens,
        cast(sum({{ text_left("b", "b.excess_tokens") }}) as bigint) as text_left_tokens,
        cast(sum({{ reasoning_left("b", "b.excess_tokens") }}) as bigint) as reasoning_left_tokens,
{% for class in token_classes %}
        cast(sum(b.{{ class.tokens }}) as bigint) as {{ class.tokens }},
{% endfor %}
    from read_again as b
    left join longest as g on b.week_start_date = g.week_start_date and b.feature = g.feature
    left join spans as p
        on b.usage_date = p.usage_date and b.provider = p.provider and b.model_canonical = p.model_canonical
        and b.started_at >= p.rate_from_at and b.started_at < p.rate_to_at
    left join lengths as l
        on b.usage_date = l.usage_date and b.provider = l.provider and b.model_canonical = l.model_canonical
        and b.context_tokens >= l.ctx_min_tokens and b.context_tokens < l.ctx_max_tokens
    group by
        {{ cell_keys }},
        {% for mark in marks %}{{ marks_of_calls[mark] }}{{ ", " if not loop.last }}{% endfor %}

),
