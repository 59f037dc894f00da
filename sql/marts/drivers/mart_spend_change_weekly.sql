{% from "macros/tokens.sql" import input_classes, output_classes with context %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% set effects = {
    "volume": "more or fewer calls at the mean cost of a call of the cell",
    "feature_mix": "a larger or smaller share of the calls by the feature",
    "tier_mix": "a larger or smaller share of the feature's calls by the customer tier",
    "model_mix": "a larger or smaller share of the tier's calls by the model",
    "input": "longer or shorter prompts, at the mean price of their tokens",
    "cache": "input that moved between classes: read from the cache, written to it, new, audio ...",
    "output": "longer or shorter answers, reasoning included, at the mean price of their tokens",
    "output_mix": "output that moved between classes of different prices: text, speech, pictures",
    "price": "changed prices of tokens; batch, tiers and discounts are in the price",
    "other": "per call: units that are not tokens, and costs that a source states as a whole",
    "launch": "all of the change, of a feature that had no call in the week before",
    "retired": "all of the change, of a feature that has no call any more",
} %}
{% set mixes = ("feature_mix", "tier_mix", "model_mix") %}
{# A sum over classes of a product of columns, each named with CLASS in place of the class. #}
{% macro over(classes, product) %}
{% for class in classes %}{{ product | replace("CLASS", class.name) }}{{ " + " if not loop.last }}{% endfor %}
{% endmacro %}
/*
about: >-
  Why spend changed against the week before, in dollars that add up: more calls, other mixes, longer prompts and answers, the
  cache, prices, launches and retirements. One row per week that is over, feature, customer tier and model.
grain: [week_start_date, feature, customer_tier, provider, model_canonical]
# By month, as the showback is: of a month that changes anywhere every week would be built.
partition: month
partition_column: week_start_date
reads_around: 7 days
reads_back: 1 week
clock_stops: 8 days
leads: [stat_cost_cells_daily]
columns:
  week_start_date: DATE; Monday of the ISO week that is compared with the one before, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  requests: BIGINT; calls, failed ones included
  previous_requests: BIGINT; calls of the week before
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  previous_cost_usd: DECIMAL(38,15); the same of the week before
  delta_usd: DECIMAL(38,6); effective cost less that of the week before; null where no call of either week is priced
{% for effect, meaning in effects.items() %}
  {{ effect }}_usd: DECIMAL(38,6); {{ meaning }}
{% endfor %}
  rounding_plug_usd: DECIMAL(38,6); what rounding to six places left over, which stands in the largest of these
  allocation_usd: DECIMAL(38,6); change of what was invoiced beyond that of the effective cost (discounts, credits, untraced use ...); null without an invoiced cost
  invoiced_delta_usd: DECIMAL(38,6); invoiced cost less that of the week before, by the weeks of the showback; null where a rate to USD is missing
{% for mix in mixes %}
  {{ mix }}_centred_usd: DECIMAL(38,6); {{ mix }}_usd with the cost of a call counted from the mean of those it moved among: readable row by row, with the same sum
{% endfor %}
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; calls of the week without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  previous_unpriced_requests: BIGINT; calls without a cost in the week before
  is_incomplete: BOOLEAN; true where more of the tokens of either week lack a price than unpriced_warn_share
  method_version: VARCHAR; raised when the same rows would be judged otherwise
checks:
  - rule: >-
      delta_usd = {% for effect in effects %}{{ effect }}_usd{{ " + " if not loop.last }}{% endfor %}

    null_passes: true
    text: the effects sum to the change, to the last place
  - rule: abs(rounding_plug_usd) <= 0.00001
    null_passes: true
    text: rounding leaves over less than a hundred-thousandth of a dollar
  - rule: invoiced_delta_usd = coalesce(delta_usd, 0) + allocation_usd
    null_passes: true
    text: with the allocation the effects make the change of the invoiced cost
  - rule: delta_usd is not null or previous_cost_usd is null and effective_cost_usd is null
    text: a change is unknown only where neither week has a cost
  - no_rows: >-
      select strftime(week_start_date, '%Y-%m-%d') as partition
      from mart_spend_change_weekly
      group by week_start_date
      having {% for mix in mixes %}abs(sum({{ mix }}_usd) - sum({{ mix }}_centred_usd)) > 0.00001 * count(*){{ " or " if not loop.last }}{% endfor %}

    text: centred mixes have the same sum
question: Why did spend change in each week?
answer: >-
  select week_start_date, sum(delta_usd) as delta_usd, sum(volume_usd) as volume_usd,
      sum(feature_mix_usd + tier_mix_usd + model_mix_usd) as mix_usd, sum(input_usd + cache_usd) as input_usd,
      sum(output_usd + output_mix_usd) as output_usd, sum(price_usd) as price_usd, sum(launch_usd + retired_usd) as features_usd
  from mart_spend_change_weekly group by week_start_date order by week_start_date
notes:
  - Calls are those that have a cost; a model without a price is no part of the change until it has one.
  - The mixes are nested: feature, then customer tier in the feature, then model in the tier. Another order would split them otherwise.
  - A week has rows once it is over, and where the week before has calls at all.
*/
with
{% include "parts/weeks_over.sql" %}

{{ limits_of_weeks({"unpriced_warn_share": "unpriced_warn"}) }},

-- Side 1 is the week, side 0 the week before.
weekly as (
    select
        w.week_start_date,
        c.feature,
        c.customer_tier,
        c.provider,
        c.model_canonical,
        case when o.weeks_later = 0 then 1 else 0 end as side,
        cast(sum(c.requests) as bigint) as requests,
        cast(sum(c.requests - c.unpriced_requests) as bigint) as priced,
        cast(sum(c.total_tokens) as bigint) as total_tokens,
        cast(sum(c.unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as cost,
{% for class in token_classes %}
        cast(coalesce(sum(c.{{ class.name }}_priced_tokens), 0) as bigint) as {{ class.name }}_t,
        -- A cost without tokens has no price: it counts per call.
        case when sum(c.{{ class.name }}_priced_tokens) > 0 then cast(sum(c.{{ class.name }}_cost_usd) as decimal(38, 15)) end as {{ class.name }}_c,
{% endfor %}
    from stat_cost_cells_daily as c
    cross join (select unnest(range(0, 2)) as weeks_later) as o
    inner join weeks as w
        on w.week_start_date = cast(date_trunc('week', c.usage_date) as date) + 7 * cast(o.weeks_later as integer)
    group by w.week_start_date, c.feature, c.customer_tier, c.provider, c.model_canonical, o.weeks_later
),

paired as (
    select
        week_start_date,
        feature,
        customer_tier,
        provider,
        model_canonical,
{% for side in (0, 1) %}
        cast(sum(case when side = {{ side }} then requests else 0 end) as bigint) as requests{{ side }},
        cast(sum(case when side = {{ side }} then requests - priced else 0 end) as bigint) as unpriced_requests{{ side }},
        cast(sum(case when side = {{ side }} then total_tokens else 0 end) as bigint) as total_tokens{{ side }},
        cast(sum(case when side = {{ side }} then unpriced_tokens else 0 end) as bigint) as unpriced_tokens{{ side }},
        max(case when side = {{ side }} then cost end) as cost{{ side }},
        cast(sum(case when side = {{ side }} then priced else 0 end) as double) as n{{ side }},
        cast(sum(case when side = {{ side }} then {{ over(input_classes, "CLASS_t") }} else 0 end) as double) as in{{ side }},
        cast(sum(case when side = {{ side }} then {{ over(output_classes, "CLASS_t") }} else 0 end) as double) as out{{ side }},
        cast(sum(case when side = {{ side }} then cost - ({{ over(token_classes, "coalesce(CLASS_c, 0)") }}) else 0 end) as double) as rest{{ side }},
{% for class in token_classes %}
        cast(sum(case when side = {{ side }} then {{ class.name }}_t else 0 end) as double) as {{ class.name }}_t{{ side }},
        cast(sum(case when side = {{ side }} then {{ class.name }}_c else 0 end) as double) as {{ class.name }}_c{{ side }},
{% endfor %}
{% endfor %}
    from weekly
    group by week_start_date, feature, customer_tier, provider, model_canonical
),

compared as (
    select
        *,
        case
            when sum(requests0) over (partition by week_start_date, feature) = 0 then 'launch'
            when sum(requests1) over (partition by week_start_date, feature) = 0 then 'retired'
            else 'stays'
        end as fate,
    from paired
    qualify sum(requests0) over (partition by week_start_date) > 0
),

-- Calls of the cell, of its feature and tier, of its feature, and of all features that stay.
counted as (
    select
        *,
{% for side in (0, 1) %}
        sum(n{{ side }}) over (partition by week_start_date, feature, customer_tier) as of_tier{{ side }},
        sum(n{{ side }}) over (partition by week_start_date, feature) as of_feature{{ side }},
        sum(case when fate = 'stays' then n{{ side }} else 0 end) over (partition by week_start_date) as of_all{{ side }},
{% endfor %}
    from compared
),

-- What is absent in one week, or has no price there, has the rates and the shares of the other.
rated as (
    select
        *,
{% for side, other in ((0, 1), (1, 0)) %}
        coalesce(of_feature{{ side }} / nullif(of_all{{ side }}, 0), of_feature{{ other }} / nullif(of_all{{ other }}, 0), 0) as sf{{ side }},
        coalesce(of_tier{{ side }} / nullif(of_feature{{ side }}, 0), of_tier{{ other }} / nullif(of_feature{{ other }}, 0), 0) as st{{ side }},
        coalesce(n{{ side }} / nullif(of_tier{{ side }}, 0), n{{ other }} / nullif(of_tier{{ other }}, 0), 0) as sm{{ side }},
        coalesce(in{{ side }} / nullif(n{{ side }}, 0), in{{ other }} / nullif(n{{ other }}, 0), 0) as x{{ side }},
        coalesce(out{{ side }} / nullif(n{{ side }}, 0), out{{ other }} / nullif(n{{ other }}, 0), 0) as y{{ side }},
        coalesce(rest{{ side }} / nullif(n{{ side }}, 0), rest{{ other }} / nullif(n{{ other }}, 0), 0) as r{{ side }},
{% for class in token_classes %}
{% set whole = "out" if class.type == "output" else "in" %}
        coalesce({{ class.name }}_t{{ side }} / nullif({{ whole }}{{ side }}, 0), {{ class.name }}_t{{ other }} / nullif({{ whole }}{{ other }}, 0), 0) as {{ class.name }}_h{{ side }},
        coalesce({{ class.name }}_c{{ side }} / nullif({{ class.name }}_t{{ side }}, 0), {{ class.name }}_c{{ other }} / nullif({{ class.name }}_t{{ other }}, 0), 0) as {{ class.name }}_p{{ side }},
{% endfor %}
{% endfor %}
    from counted
),

measured as (
    select
        *,
        (n0 + n1) / 2 as n,
        (of_all0 + of_all1) / 2 as v,
        (x0 + x1) / 2 as x,
        (y0 + y1) / 2 as y,
        (
            r0 + x0 * ({{ over(input_classes, "CLASS_h0 * CLASS_p0") }}) + y0 * ({{ over(output_classes, "CLASS_h0 * CLASS_p0") }})
            + r1 + x1 * ({{ over(input_classes, "CLASS_h1 * CLASS_p1") }}) + y1 * ({{ over(output_classes, "CLASS_h1 * CLASS_p1") }})
        ) / 2 as c,
        (sf0 + sf1) / 2 * (st0 * sm0 + st1 * sm1) / 2 as feature_weight,
        (st0 + st1) / 2 * (sm0 + sm1) / 2 as tier_weight,
        (sm0 + sm1) / 2 as model_weight,
    from rated
),

-- The mean cost of a call among which each mix moves. Summed as decimals: their order then does not matter.
centred as (
    select
        *,
{% for mix, group in (("feature", "week_start_date, fate"), ("tier", "week_start_date, feature"), ("model", "week_start_date, feature, customer_tier")) %}
        coalesce(
            cast(sum(cast({{ mix }}_weight * c as decimal(38, 18))) over (partition by {{ group }}) as double)
            / nullif(cast(sum(cast({{ mix }}_weight as decimal(38, 18))) over (partition by {{ group }}) as double), 0),
            0
        ) as {{ mix }}_c,
{% endfor %}
    from measured
),

moved as (
    select
        *,
        v * (sf1 - sf0) * (st0 * sm0 + st1 * sm1) / 2 as feature_calls,
        v * (sf0 + sf1) / 2 * (st1 - st0) * (sm0 + sm1) / 2 as tier_calls,
        v * (sf0 + sf1) / 2 * (st0 + st1) / 2 * (sm1 - sm0) as model_calls,
        case when cost0 is not null or cost1 is not null then cast(coalesce(cost1, 0) - coalesce(cost0, 0) as decimal(38, 6)) end as delta,
    from centred
),

effected as (
    select
        *,
        case when fate = 'stays' then cast(c * (of_all1 - of_all0) * (sf0 * st0 * sm0 + sf1 * st1 * sm1) / 2 as decimal(38, 6)) else 0 end as volume,
{% for mix in ("feature", "tier", "model") %}
        case when fate = 'stays' then cast(c * {{ mix }}_calls as decimal(38, 6)) else 0 end as {{ mix }}_mix,
        case when fate = 'stays' then cast((c - {{ mix }}_c) * {{ mix }}_calls as decimal(38, 6)) else 0 end as {{ mix }}_mix_centred,
{% endfor %}
{% for effect, effect_mix, classes, size in (("input", "cache", input_classes, "x"), ("output", "output_mix", output_classes, "y")) %}
        case
            when fate = 'stays'
                then cast(n * ({{ size }}1 - {{ size }}0) * ({{ over(classes, "(CLASS_h0 + CLASS_h1) * (CLASS_p0 + CLASS_p1)") }}) / 4 as decimal(38, 6))
            else 0
        end as {{ effect }},
        case
            when fate = 'stays'
                then cast(n * {{ size }} * ({{ over(classes, "(CLASS_h1 - CLASS_h0) * (CLASS_p0 + CLASS_p1)") }}) / 2 as decimal(38, 6))
            else 0
        end as {{ effect_mix }},
{% endfor %}
        case
            when fate = 'stays'
                then cast(
                    n * (
                        {{ over(input_classes, "(x0 * CLASS_h0 + x1 * CLASS_h1) * (CLASS_p1 - CLASS_p0)") }}
                        + {{ over(output_classes, "(y0 * CLASS_h0 + y1 * CLASS_h1) * (CLASS_p1 - CLASS_p0)") }}
                    ) / 2 as decimal(38, 6)
                )
            else 0
        end as price,
        case when fate = 'stays' then cast(n * (r1 - r0) as decimal(38, 6)) else 0 end as other,
        case when fate = 'launch' then delta else 0 end as launch,
        case when fate = 'retired' then delta else 0 end as retired,
    from moved
),

plugged as (
    select
        *,
        delta - ({{ effects | join(" + ") }}) as plug,
        greatest({% for effect in effects %}abs({{ effect }}){{ ", " if not loop.last }}{% endfor %}) as largest,
    from effected
),

placed as (
    select
        *,
        case{% for effect in effects %} when abs({{ effect }}) = largest then '{{ effect }}'{% endfor %} end as plug_in,
    from plugged
),

-- What was invoiced, also for keys without a call.
invoiced as (
    select
        w.week_start_date,
        s.feature,
        s.customer_tier,
        s.provider,
        s.model_canonical,
        case
            when count(*) = count(s.invoiced_cost_usd)
                then cast(sum(case when o.weeks_later = 0 then s.invoiced_cost_usd else -s.invoiced_cost_usd end) as decimal(38, 6))
        end as invoiced_delta,
    from mart_showback_weekly as s
    cross join (select unnest(range(0, 2)) as weeks_later) as o
    inner join (select distinct week_start_date from compared) as w
        on w.week_start_date = s.week_start_date + 7 * cast(o.weeks_later as integer)
    group by w.week_start_date, s.feature, s.customer_tier, s.provider, s.model_canonical
),

joined as (
    select
        p.*,
        coalesce(p.week_start_date, i.week_start_date) as week_of_row,
        coalesce(p.feature, i.feature) as feature_of_row,
        coalesce(p.customer_tier, i.customer_tier) as tier_of_row,
        coalesce(p.provider, i.provider) as provider_of_row,
        coalesce(p.model_canonical, i.model_canonical) as model_of_row,
        p.feature is not null as has_calls,
        i.invoiced_delta,
    from placed as p
    full join invoiced as i
        on p.week_start_date = i.week_start_date
        and p.feature = i.feature
        and p.customer_tier = i.customer_tier
        and p.provider = i.provider
        and p.model_canonical = i.model_canonical
)

select
    j.week_of_row as week_start_date,
    j.feature_of_row as feature,
    j.tier_of_row as customer_tier,
    j.provider_of_row as provider,
    j.model_of_row as model_canonical,
    coalesce(j.requests1, 0) as requests,
    coalesce(j.requests0, 0) as previous_requests,
    case when j.has_calls then j.cost1 else 0 end as effective_cost_usd,
    case when j.has_calls then j.cost0 else 0 end as previous_cost_usd,
    case when j.has_calls then j.delta else 0 end as delta_usd,
{% for effect in effects %}
    case
        when not j.has_calls then 0
        when j.delta is not null then cast(j.{{ effect }} + case when j.plug_in = '{{ effect }}' then j.plug else 0 end as decimal(38, 6))
    end as {{ effect }}_usd,
{% endfor %}
    case when j.has_calls then j.plug else 0 end as rounding_plug_usd,
    cast(j.invoiced_delta - coalesce(j.delta, 0) as decimal(38, 6)) as allocation_usd,
    j.invoiced_delta as invoiced_delta_usd,
{% for mix in mixes %}
    case when not j.has_calls then 0 when j.delta is not null then j.{{ mix }}_centred end as {{ mix }}_centred_usd,
{% endfor %}
    coalesce(j.total_tokens1, 0) as total_tokens,
    coalesce(j.unpriced_requests1, 0) as unpriced_requests,
    coalesce(j.unpriced_tokens1, 0) as unpriced_tokens,
    coalesce(j.unpriced_requests0, 0) as previous_unpriced_requests,
    coalesce(j.unpriced_tokens1 > j.total_tokens1 * l.unpriced_warn or j.unpriced_tokens0 > j.total_tokens0 * l.unpriced_warn, false) as is_incomplete,
    '1' as method_version,
from joined as j
inner join limits as l on j.week_of_row = l.week_start_date
