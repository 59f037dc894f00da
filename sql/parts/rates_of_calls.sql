{#
The rates of a day's calls: the query of ledger_rates, which a table may ask about calls of its own making as well. `rate_calls` names
these; the day, seller, model, tier, region and contract scope of each is all that is looked at.
#}
{% set units_of_tokens = "'" ~ token_units | join("', '") ~ "'" %}
{# Both ends of whatever may price a combination, and of its day, as one column. #}
{% macro ends(column, of_prices, of_day) %}
{% for table, start, end in (("rated",) + of_prices, ("in_day_overrides",) + of_prices, ("conditioned",) + of_day) %}
    {% if not loop.first %}
    union
    {% endif %}
    select key_number, {{ start }} as {{ column }} from {{ table }}
    union
    select key_number, {{ end }} as {{ column }} from {{ table }}
{% endfor %}
{%- endmacro %}

with
{% include "parts/rate_conditions.sql" %}

{% include "parts/rate_prices.sql" %}

instants as (
{{ ends("instant_at", ("rate_from_at", "rate_to_at"), ("day_from_at", "day_to_at")) }}
),

spans as (
    select
        key_number,
        instant_at as rate_from_at,
        lead(instant_at) over (partition by key_number order by instant_at) as rate_to_at,
    from instants
),

lengths as (
{{ ends("ctx_tokens", ("ctx_min_tokens", "ctx_max_tokens"), ("cast(0 as bigint)", "4611686018427387904")) }}
),

ranges as (
    select
        key_number,
        ctx_tokens as ctx_min_tokens,
        lead(ctx_tokens) over (partition by key_number order by ctx_tokens) as ctx_max_tokens,
    from lengths
),

boxes as (
    select
        s.key_number,
        s.rate_from_at,
        s.rate_to_at,
        r.ctx_min_tokens,
        r.ctx_max_tokens,
    from spans as s
    inner join ranges as r
        on r.key_number = s.key_number
    where s.rate_to_at is not null and r.ctx_max_tokens is not null
),

-- Every rate that covers a box; the prices of the combination itself before those of the estimate.
covering as (
    select
        x.key_number,
        x.rate_from_at,
        x.ctx_min_tokens,
        p.preference,
        p.price_id,
        p.unit,
        p.per_units,
        p.currency,
        p.fx_rate_to_usd,
        p.fx_rate_date,
        p.native_rate,
        p.list_rate,
        p.confidence,
        -- A list that has but other units for a box (a web search) says nothing about its tokens.
        coalesce(
            min(case when p.unit in ({{ units_of_tokens }}) then p.preference end) over (
                partition by x.key_number, x.rate_from_at, x.ctx_min_tokens
            ),
            min(p.preference) over (partition by x.key_number, x.rate_from_at, x.ctx_min_tokens)
        ) as best_preference,
    from boxes as x
    inner join rated as p
        on p.key_number = x.key_number
        and p.rate_from_at <= x.rate_from_at
        and p.rate_to_at > x.rate_from_at
        and p.ctx_min_tokens <= x.ctx_min_tokens
        and p.ctx_max_tokens > x.ctx_min_tokens
),

listed as (
    select *
    from covering
    where preference = best_preference
),

covering_overrides as (
    select
        x.key_number,
        x.rate_from_at,
        x.ctx_min_tokens,
        o.kind,
        o.unit,
        o.override_value,
        o.sequence,
        o.reference_row,
    from boxes as x
    inner join in_day_overrides as o
        on o.key_number = x.key_number
        and o.rate_from_at <= x.rate_from_at
        and o.rate_to_at > x.rate_from_at
        and o.ctx_min_tokens <= x.ctx_min_tokens
        and o.ctx_max_tokens > x.ctx_min_tokens
),

negotiated as (
    select key_number, rate_from_at, ctx_min_tokens, unit, override_value
    from covering_overrides
    where kind = 'absolute' and unit is not null
    qualify row_number() over (
        partition by key_number, rate_from_at, ctx_min_tokens, unit
        order by sequence desc, reference_row desc
    ) = 1
),

-- List and negotiated price of every unit of a box. A negotiated price stands in for a list price that the book lacks.
{% set negotiated %}
cast(
                    n.override_value * cast(
                        coalesce(1000000 // p.per_units, case when n.unit in ({{ units_of_tokens }}) then 1 else 1000000 end) as bigint
                    ) as decimal(28, 9)
                )
{%- endset %}
unit_prices as (
    select
        coalesce(p.key_number, n.key_number) as key_number,
        coalesce(p.rate_from_at, n.rate_from_at) as rate_from_at,
        coalesce(p.ctx_min_tokens, n.ctx_min_tokens) as ctx_min_tokens,
        coalesce(p.unit, n.unit) as unit,
        coalesce(p.preference, 0) as preference,
        p.price_id,
        p.currency,
        p.fx_rate_to_usd,
        p.fx_rate_date,
        p.native_rate,
        p.confidence,
        case
            when n.unit is null or n.override_value is not null
                then coalesce(p.list_rate, {{ negotiated }})
        end as list_rate,
        case
            when n.unit is null or n.override_value is not null
                then coalesce({{ negotiated }}, p.list_rate)
        end as negotiated_rate,
    from listed as p
    full outer join negotiated as n
        on n.key_number = p.key_number
        and n.rate_from_at = p.rate_from_at
        and n.ctx_min_tokens = p.ctx_min_tokens
        and n.unit = p.unit
),

factors as (
    select
        p.key_number,
        p.rate_from_at,
        p.ctx_min_tokens,
        p.unit,
        cast(case when o.kind = 'uplift' then 1 + o.override_value else o.override_value end as decimal(9, 8)) as factor,
        row_number() over (
            partition by p.key_number, p.rate_from_at, p.ctx_min_tokens, p.unit
            order by o.sequence, o.reference_row
        ) as step,
    from unit_prices as p
    inner join covering_overrides as o
        on o.key_number = p.key_number
        and o.rate_from_at = p.rate_from_at
        and o.ctx_min_tokens = p.ctx_min_tokens
        and (o.unit is null or o.unit = p.unit)
    where o.kind in ('multiplier', 'uplift')
),

unit_factors as (
    select
        key_number,
        rate_from_at,
        ctx_min_tokens,
        unit,
        count(*) as steps,
{% for step in range(1, 7) %}
        coalesce(max(case when step = {{ step }} then factor end), 1) as factor_{{ step }},
{% endfor %}
    from factors
    group by key_number, rate_from_at, ctx_min_tokens, unit
),

contracted as (
    select
        p.key_number,
        p.rate_from_at,
        p.ctx_min_tokens,
        p.unit,
        p.preference,
        p.price_id,
        p.currency,
        p.fx_rate_to_usd,
        p.fx_rate_date,
        p.native_rate,
        p.confidence,
        p.list_rate,
        coalesce(f.steps, 0) as steps,
        -- 22 places carry two factors exactly; the price is rounded to its nine places once, at the end.
        case
            when f.steps is null then p.negotiated_rate
            else cast(
                {{ "cast(" * 6 }}cast(p.negotiated_rate as decimal(38, 22))
{% for step in range(1, 7) %}
                * f.factor_{{ step }} as decimal(38, 22))
{% endfor %}
                as decimal(28, 9)
            )
        end as contracted_rate,
    from unit_prices as p
    left join unit_factors as f
        on f.key_number = p.key_number
        and f.rate_from_at = p.rate_from_at
        and f.ctx_min_tokens = p.ctx_min_tokens
        and f.unit = p.unit
),

{% include "parts/rate_units.sql" %}

box_units as (
    select
        key_number,
        rate_from_at,
        ctx_min_tokens,
        map_from_entries(list(struct_pack(key := word, value := list_rate) order by word)) as unit_list_usd_per_million,
        map_from_entries(list(struct_pack(key := word, value := contracted_rate) order by word)) as unit_usd_per_million,
    from other_units
    group by key_number, rate_from_at, ctx_min_tokens
),

box_rates as (
    select
        key_number,
        rate_from_at,
        ctx_min_tokens,
        min(preference) as preference,
        coalesce(bool_or(confidence = 'assumed' and unit in ({{ units_of_tokens }})), false) as is_assumed,
        bool_and(list_rate = contracted_rate) as is_list_price,
        max(steps) as override_steps,
        bool_or(list_rate is null) as is_fx_rate_missing,
        nullif(array_to_string(list_sort(list(distinct currency) filter (currency is not null)), ','), '') as price_currency,
        case when count(distinct currency) = 1 then max(fx_rate_to_usd) end as fx_rate_to_usd,
        case when count(distinct currency) = 1 then max(fx_rate_date) end as fx_rate_date,
        case
            when count(distinct currency) = 1 and max(currency) <> 'USD'
                then map_from_entries(
                    list(struct_pack(key := unit, value := native_rate) order by unit) filter (native_rate is not null)
                )
        end as native_list_per_million,
        list_sort(list(distinct price_id) filter (where price_id is not null)) as price_ids,
        string_agg(unit || ' ' || cast(contracted_rate as varchar), ',' order by unit) as contracted_text,
{% for rate, ending in (("list_rate", "_list_usd_per_mtok"), ("contracted_rate", "_usd_per_mtok")) %}
    {% for class in token_classes %}
        cast(coalesce(
        {% for unit in class.units %}
            max(case when unit = '{{ unit }}' then {{ rate }} end){{ "," if not loop.last }}
        {% endfor %}
        ) as decimal(18, 9)) as {{ class.name }}{{ ending }},
    {% endfor %}
{% endfor %}
    from contracted
    group by key_number, rate_from_at, ctx_min_tokens
),

-- Instants of the day at which the combination itself has a price for some context length.
own_spans as (
    select distinct x.key_number, x.rate_from_at
    from boxes as x
    inner join rated as p
        on p.key_number = x.key_number and p.rate_from_at <= x.rate_from_at and p.rate_to_at > x.rate_from_at
    where p.preference = 0
),

judged as (
    select
        k.*,
        x.rate_from_at,
        x.rate_to_at,
        x.ctx_min_tokens,
        x.ctx_max_tokens,
        case
            when k.model_canonical = '' then 'unknown_model'
            when r.preference = 0 then 'ok'
            when s.key_number is not null then 'unknown_tier'
            when own.model_id is not null then 'no_price_at_time'
            when known.model_id is not null then 'unknown_tier'
            else 'no_price_at_time'
        end as rate_status,
        case
            when k.model_canonical = '' then 'name_not_mapped'
            when r.preference = 0 then null
            when s.key_number is not null then 'no_row_for_context_length'
            when h.rate_reason is not null then h.rate_reason
            when own.model_id is not null then 'no_row_at_time'
            when known.model_id is not null
                then 'no_row_for ' || k.price_tier || '/' || k.price_processing || '/' || k.price_region_class
            else 'no_row_for_model'
        end as rate_reason,
    from boxes as x
    inner join conditioned as k
        on k.key_number = x.key_number
    left join box_rates as r
        on r.key_number = x.key_number and r.rate_from_at = x.rate_from_at and r.ctx_min_tokens = x.ctx_min_tokens
    left join own_spans as s
        on s.key_number = x.key_number and s.rate_from_at = x.rate_from_at
    left join book_conditions as own
        on own.provider = k.provider
        and own.model_id = k.model_canonical
        and own.service_tier = case when k.price_tier = 'provisioned' then 'standard' else k.price_tier end
        and own.processing = k.price_processing
        and own.region_class = k.price_region_class
    left join (
        select key_number, min(rate_reason) as rate_reason
        from self_hosted
        where rate_reason is not null
        group by key_number
    ) as h
        on h.key_number = x.key_number
    left join (select distinct provider, model_id from book_conditions) as known
        on known.provider = k.provider and known.model_id = k.model_canonical
)

select
    j.usage_date,
    j.provider,
    j.model_canonical,
    j.service_tier,
    j.is_batch,
    j.speed,
    j.region,
    j.region_class,
    j.billing_account_scope,
    j.project_scope,
    j.feature_scope,
    j.customer_scope,
    j.rate_from_at,
    j.rate_to_at,
    j.ctx_min_tokens,
    j.ctx_max_tokens,
    j.price_tier,
    j.price_processing,
    j.price_region_class,
    j.rate_status,
    j.rate_reason,
    j.price_tier in ('standard', 'provisioned') and j.price_processing = 'sync' as is_standard,
    coalesce(r.is_assumed, false) as is_assumed,
    coalesce(r.is_list_price, true) as is_list_price,
    j.price_tier <> 'provisioned' as is_charged_by_usage,
    case when j.rate_status = 'ok' then r.price_ids else cast([] as varchar[]) end as price_ids,
    r.price_currency,
    cast(r.fx_rate_to_usd as decimal(38, 12)) as fx_rate_to_usd,
    r.fx_rate_date,
    coalesce(r.is_fx_rate_missing, false) as is_fx_rate_missing,
    case
        when j.rate_status = 'ok'
            then substr(sha256(coalesce(array_to_string(r.price_ids, ','), '') || '|' || r.contracted_text), 1, 12)
    end as book_version,
    cast(coalesce(r.override_steps, 0) as bigint) as override_steps,
{% for ending in ("_list_usd_per_mtok", "_usd_per_mtok") %}
    {% for class in token_classes %}
    r.{{ class.name }}{{ ending }},
    {% endfor %}
{% endfor %}
    u.unit_list_usd_per_million,
    u.unit_usd_per_million,
    r.native_list_per_million,
from judged as j
left join box_rates as r
    on r.key_number = j.key_number and r.rate_from_at = j.rate_from_at and r.ctx_min_tokens = j.ctx_min_tokens
left join box_units as u
    on u.key_number = j.key_number and u.rate_from_at = j.rate_from_at and u.ctx_min_tokens = j.ctx_min_tokens
