/*
about: >-
  What each billable call costs: list, contracted and effective, class by class, exact to 15 decimals, and how sure that is.
  One row per billable row of ledger_requests (is_billable_leaf); rows that never enter money have none here.
grain: [request_key]
partition: day
partition_column: started_at
order_by: [started_at, request_key]
leads: [ledger_requests]
columns:
  request_key: VARCHAR; the call in ledger_requests
  started_at: TIMESTAMP WITH TIME ZONE; start of the call, the clock of its price
  cost_status: VARCHAR; priced, free, assumed, or why there is no cost: unknown_model, unknown_tier, no_price_at_time, no_usage
  cost_reason: VARCHAR; what stands behind the status (cache_hit, provider_stated, assumed_price ...); null where nothing has to be said
  list_cost_usd: DECIMAL(38,15); cost at list prices; null, never 0, where it is not known
  contracted_cost_usd: DECIMAL(38,15); cost at negotiated prices and multipliers; null as the list cost
  effective_cost_usd: DECIMAL(38,15); contracted cost, or 0 where provisioned throughput or a seat paid for the call; null as the list cost
{% for class in token_classes %}
  {{ class.name }}_list_cost_usd: DECIMAL(38,15); {{ class.words }} tokens at list price; null where not split out or not priced, 0 where there are none
{% endfor %}
  units_list_cost_usd: DECIMAL(38,15); units that are not tokens (web searches ...) at list price; null where the call has none
{% for class in token_classes %}
  {{ class.name }}_cost_usd: DECIMAL(38,15); {{ class.words }} tokens as owed: contracted price, 0 where effective_cost_usd is; null as above
{% endfor %}
  units_cost_usd: DECIMAL(38,15); units that are not tokens, as owed; null as above
  cost_estimate_usd: DECIMAL(38,15); where the cost is null: standard price of an unknown tier, or the part that has a price; never in a total
  price_ids: VARCHAR[]; rows of the price book that apply to the call; empty where no price was used
  book_version: VARCHAR; hash of the prices and contracted rates that apply: it changes only where they do; null where no price was used
  price_currency: VARCHAR; currency that these prices are stated in, by code; several where they differ; null where no price was used
  fx_rate_to_usd: DECIMAL(38,12); dollars for one unit of that currency on the day; null for USD, where none is known, and for several
  fx_rate_date: DATE; day from which that rate holds; null as the rate
  list_cost_native: DECIMAL(38,15); cost at list prices in price_currency; null for USD, for several, and where the list cost is
  cost_reported_usd: DECIMAL(18,12); what a provider or gateway said the call cost, kept beside ours
checks:
  - one_of: [cost_status, priced, free, assumed, unknown_model, unknown_tier, no_price_at_time, no_usage]
  - not_null: [request_key, started_at, cost_status]
  - rule: (list_cost_usd is null) = (cost_status in ('unknown_model', 'unknown_tier', 'no_price_at_time', 'no_usage'))
    text: an unpriced call costs null, never 0, and a priced one is never null
  - rule: (list_cost_usd is null) = (contracted_cost_usd is null) and (list_cost_usd is null) = (effective_cost_usd is null)
    text: list, contracted and effective cost are known together
  - rule: cost_status <> 'free' or effective_cost_usd = 0
    text: what is free costs exactly 0
  - rule: >-
      list_cost_usd is null or cost_reason is not distinct from 'provider_stated' or list_cost_usd =
{% for class in token_classes %}
      coalesce({{ class.name }}_list_cost_usd, 0) +
{% endfor %}
      coalesce(units_list_cost_usd, 0)
    text: the list costs of the classes add up to the call's list cost
  - rule: >-
      effective_cost_usd is null or cost_reason is not distinct from 'provider_stated' or effective_cost_usd =
{% for class in token_classes %}
      coalesce({{ class.name }}_cost_usd, 0) +
{% endfor %}
      coalesce(units_cost_usd, 0)
    text: the costs of the classes add up to the call's effective cost
  - no_rows: >-
      select r.request_key from ledger_requests as r left join ledger_costs as c on c.request_key = r.request_key
      where r.is_billable_leaf and c.request_key is null
    text: every billable call has a row
notes:
  - A cost that a provider or gateway stated is booked only where the book has no price; it has no split by class.
  - Failed and repeated calls are priced by their usage, not by their status.
  - A call whose usage has tokens that no class has (cost_reason unread_tokens) is assumed: its cost is that of the tokens that were read.
  - Zero tokens and no units of a call that went well are no usage, not a cost of 0; an answer out of a gateway's own cache is free.
*/
{% from "macros/tokens.sql" import unread_tokens with context %}
{% from "macros/rate_keys.sql" import call_keys, context_tokens, scopes, scopes_of_calls, scopes_of_days with context %}
{% from "macros/units.sql" import least_seconds_of, listed, search_words, seconds_in, seconds_of with context %}
{# By what a call finds its rate: columns, the scopes that contracts name, and the join. #}
{% set asked_by %}
        q.request_key,
        q.started_at,
        q.provider,
        q.model_canonical,
        q.service_tier,
        q.is_batch,
        q.speed,
        q.region,
        q.region_class,
        q.extra_units,
        coalesce(q.gateway_cache_hit, false) as is_hit,
        cast(q.started_at as date) as usage_date,
{% for name, _ in scopes %}
        coalesce({{ name }}.scope, '') as {{ name }}_scope,
{% endfor %}
        {{ context_tokens }} as ctx_tokens,
{%- endset %}
{% set rate_of_call %}
    left join ledger_rates as r
        on r.usage_date = q.usage_date
        and r.provider = q.provider
{% for name, blank in call_keys.items() %}
        and r.{{ name }} = coalesce(q.{{ name }}, {{ blank }})
{% endfor %}
{% for name, _ in scopes %}
        and r.{{ name }}_scope = q.{{ name }}_scope
{% endfor %}
        and r.rate_from_at <= q.started_at
        and r.rate_to_at > q.started_at
        and r.ctx_min_tokens <= q.ctx_tokens
        and r.ctx_max_tokens > q.ctx_tokens
{%- endset %}
with
{{ scopes_of_days }}

-- Accounts that accounts.csv says are paid by the seat: their calls cost nothing by themselves.
seats as (
    select distinct provider, account_id
    from ref_accounts
    where paid_by = 'seat'
),

asked as (
    select
{{ asked_by }}
        s.account_id is not null as is_by_seat,
{% for class in token_classes %}
        q.{{ class.tokens }},
{% endfor %}
        q.total_tokens,
        q.cost_reported_usd,
        (q.total_tokens is null and coalesce(cardinality(q.extra_units), 0) = 0)
        -- Zeros of a call that went well are no count: what it used is not known, and 0 would read as free.
        or (q.status = 'ok' and q.total_tokens = 0 and coalesce(list_max(map_values(q.extra_units)), 0) = 0)
        or coalesce(q.usage_quality = 'missing', false)
        or coalesce(list_contains(q.usage_flags, 'negative_remainder'), false) as has_no_usage,
        case
            when {{ unread_tokens("q") }} > 0 then 'unread_tokens'
            when list_contains(q.usage_flags, 'context_tier_unknown') then 'context_tier_unknown'
            when list_contains(q.usage_flags, 'inferred_tier') then 'inferred_tier'
            when list_contains(q.usage_flags, 'assumed_endpoint') then 'assumed_endpoint'
            when q.usage_basis = 'ambiguous' then 'ambiguous_usage'
        end as doubt,
        -- What someone paid or was charged counts; a list price of 0 from a gateway says that it knew none.
        case
            when q.cost_reported_basis = 'provider_charge' then q.cost_reported_usd
            when q.cost_reported_basis in ('gateway_list', 'own_key') and q.cost_reported_usd > 0 then q.cost_reported_usd
        end as stated_cost_usd,
    from ledger_requests as q
{{ scopes_of_calls }}
    left join seats as s
        on q.provider = s.provider and q.billing_account_id = s.account_id
    where q.is_billable_leaf
),

-- The few calls with units that are not tokens, with the same keys: a second pass over them is cheaper than keeping all.
asked_units as (
    select
{{ asked_by }}
        list_contains(q.usage_flags, 'context_tier_unknown') as is_sum_of_calls,
    from ledger_requests as q
{{ scopes_of_calls }}
    where q.is_billable_leaf and cardinality(q.extra_units) > 0
),

unit_quantities as (
    select
        q.request_key,
        q.provider,
        q.is_hit,
        q.is_sum_of_calls,
        r.unit_list_usd_per_million,
        r.unit_usd_per_million,
        r.native_list_per_million,
        unnest(map_entries(q.extra_units)) as entry,
    from asked_units as q
{{ rate_of_call }}
),

-- What is charged of a unit, and the word of the book that prices it: time by the hour, however it is counted and listed; of several
-- searches within a prompt one where the list charges the grounded prompt; and dollars that the call's own row names for its tools.
unit_charges as (
    select
        *,
        case
            when unit_list_usd_per_million[entry.key] is null and entry.key in ({{ listed(seconds_in) }}) then 'audio_hour'
            else entry.key
        end as price_word,
        case
            when entry.key in ({{ listed(seconds_in) }})
                then greatest(cast(entry.value as decimal(20, 9)) * {{ seconds_of("entry.key") }}, {{ least_seconds_of("provider") }})
            when entry.key in ({{ listed(["web_search"] + search_words) }})
                and unit_list_usd_per_million['grounded_prompt'] is not null
                and not is_sum_of_calls
                then least(cast(entry.value as decimal(20, 9)), 1)
            else cast(entry.value as decimal(20, 9))
        end as quantity,
        -- Seconds were counted; the price is for one of these.
        case when entry.key in ({{ listed(seconds_in) }}) then {{ seconds_of("price_word") }} end as seconds_priced,
    from unit_quantities
    where entry.value is not null
),

unit_amounts as (
    select
        request_key,
{% for amount, rates in (
    ("list_amount", "unit_list_usd_per_million"), ("contracted_amount", "unit_usd_per_million"), ("native_amount", "native_list_per_million"),
) %}
        case
            when is_hit or entry.value = 0 then cast(0 as decimal(38, 15))
            when entry.key = 'tool_fee_usd' then cast(entry.value as decimal(38, 15))
            when seconds_priced > 1 then cast(
                cast(cast(quantity as decimal(20, 9)) * {{ rates }}[price_word] * 0.000001 as double) / seconds_priced as decimal(38, 15)
            )
            else cast(cast(quantity as decimal(20, 9)) * {{ rates }}[price_word] * 0.000001 as decimal(38, 15))
        end as {{ amount }},
{% endfor %}
        -- A version of a tool that the book does not know, beside a version that it knows: web_search_20991231.
        array_length(
            list_filter(map_keys(unit_list_usd_per_million), lambda word: starts_with(entry.key, word || '_'))
        ) > 0 as has_other_version,
    from unit_charges
),

unit_costs as (
    select
        request_key,
        cast(sum(list_amount) as decimal(38, 15)) as units_list,
        cast(sum(contracted_amount) as decimal(38, 15)) as units_negotiated,
        cast(sum(native_amount) as decimal(38, 15)) as units_native,
        bool_or(list_amount is null) as lacks_rate,
        bool_or(list_amount is null and has_other_version) as lacks_version,
    from unit_amounts
    group by request_key
),

matched as (
    select
        q.request_key,
        q.started_at,
        q.is_hit,
        q.has_no_usage,
        q.doubt,
        q.stated_cost_usd,
        q.cost_reported_usd,
        coalesce(r.rate_status, 'no_price_at_time') as rate_status,
        coalesce(r.rate_reason, case when r.rate_status is null then 'rates_not_built' end) as rate_reason,
        r.is_standard,
        r.is_assumed,
        r.is_charged_by_usage and not q.is_by_seat as is_charged_by_usage,
        q.is_by_seat,
        r.price_ids,
        r.book_version,
        r.price_currency,
        r.fx_rate_to_usd,
        r.fx_rate_date,
        coalesce(r.is_fx_rate_missing, false) as is_fx_rate_missing,
        -- Few lists are not in USD: the sum is worked out for their calls only.
        case
            when r.native_list_per_million is not null and not q.is_hit then cast(
                coalesce(u.units_native, 0) + 0.000001 * (
{% for class in token_classes %}
                    {{ "+ " if not loop.first }}coalesce(q.{{ class.tokens }} * cast(coalesce(
    {% for unit in class.units %}
                        r.native_list_per_million['{{ unit }}']{{ "," if not loop.last }}
    {% endfor %}
                    ) as decimal(18, 9)), 0)
{% endfor %}
                ) as decimal(38, 15)
            )
        end as native_sum,
        u.units_list,
        u.units_negotiated,
        coalesce(u.lacks_version, false) as lacks_version,
        coalesce(q.total_tokens, 0) > 0 or u.request_key is not null as has_quantity,
        (
            coalesce(u.lacks_rate, false)
{% for class in token_classes %}
            or (q.{{ class.tokens }} > 0 and r.{{ class.name }}_list_usd_per_mtok is null)
{% endfor %}
        ) as lacks_rate,
{% for class in token_classes %}
        case
            when q.{{ class.tokens }} = 0 or (q.is_hit and q.{{ class.tokens }} is not null) then cast(0 as decimal(38, 15))
            else q.{{ class.tokens }} * r.{{ class.name }}_list_usd_per_mtok * 0.000001
        end as {{ class.name }}_list,
        case
            when r.is_list_price or q.is_hit or q.{{ class.tokens }} = 0 then null
            else q.{{ class.tokens }} * r.{{ class.name }}_usd_per_mtok * 0.000001
        end as {{ class.name }}_negotiated,
{% endfor %}
    from asked as q
{{ rate_of_call }}
    left join unit_costs as u
        on u.request_key = q.request_key
),

summed as (
    select
        *,
        cast(
            coalesce(units_list, 0)
{% for class in token_classes %}
            + coalesce({{ class.name }}_list, 0)
{% endfor %}
            as decimal(38, 15)
        ) as list_sum,
        cast(
            coalesce(units_negotiated, units_list, 0)
{% for class in token_classes %}
            + coalesce({{ class.name }}_negotiated, {{ class.name }}_list, 0)
{% endfor %}
            as decimal(38, 15)
        ) as contracted_sum,
        rate_status = 'ok' and not coalesce(lacks_rate, false) and not has_no_usage as has_price,
    from matched
),

judged as (
    select
        *,
        case
            when is_hit then 'free'
            when has_no_usage then 'no_usage'
            when has_price and (is_assumed or doubt is not null) then 'assumed'
            when has_price and (not is_charged_by_usage or (list_sum = 0 and has_quantity)) then 'free'
            when has_price then 'priced'
            when stated_cost_usd is not null and doubt = 'unread_tokens' then 'assumed'
            when stated_cost_usd is not null then 'priced'
            when rate_status <> 'ok' then rate_status
            when is_fx_rate_missing or (is_standard and not lacks_version) then 'no_price_at_time'
            else 'unknown_tier'
        end as cost_status,
        case
            when is_hit then 'cache_hit'
            when has_no_usage then 'usage_missing'
            when has_price and is_by_seat then 'paid_by_seat'
            when has_price and doubt is not null then doubt
            when has_price and is_assumed then 'assumed_price'
            when has_price and not is_charged_by_usage then 'provisioned_throughput'
            when has_price and list_sum = 0 and has_quantity then 'zero_price'
            when has_price then null
            when stated_cost_usd is not null then 'provider_stated'
            when rate_status <> 'ok' then rate_reason
            when is_fx_rate_missing then 'no_fx_rate'
            when lacks_version then 'no_row_for_unit_version'
            else 'no_row_for_a_class'
        end as cost_reason,
        has_price or is_hit as is_split,
    from summed
)

select
    request_key,
    started_at,
    cost_status,
    cost_reason,
    case
        when is_split then list_sum
        when cost_reason = 'provider_stated' then cast(stated_cost_usd as decimal(38, 15))
    end as list_cost_usd,
    case
        when is_split then contracted_sum
        when cost_reason = 'provider_stated' then cast(stated_cost_usd as decimal(38, 15))
    end as contracted_cost_usd,
    case
        when is_split and not coalesce(is_charged_by_usage, true) then cast(0 as decimal(38, 15))
        when is_split then contracted_sum
        when cost_reason = 'provider_stated' and is_by_seat then cast(0 as decimal(38, 15))
        when cost_reason = 'provider_stated' then cast(stated_cost_usd as decimal(38, 15))
    end as effective_cost_usd,
{% for class in token_classes %}
    case when is_split then {{ class.name }}_list end as {{ class.name }}_list_cost_usd,
{% endfor %}
    case when is_split then units_list end as units_list_cost_usd,
{% for class in token_classes %}
    case
        when is_split and is_charged_by_usage then coalesce({{ class.name }}_negotiated, {{ class.name }}_list)
        when is_split and {{ class.name }}_list is not null then cast(0 as decimal(38, 15))
    end as {{ class.name }}_cost_usd,
{% endfor %}
    case
        when is_split and is_charged_by_usage then coalesce(units_negotiated, units_list)
        when is_split and units_list is not null then cast(0 as decimal(38, 15))
    end as units_cost_usd,
    case
        when cost_status in ('unknown_tier', 'no_price_at_time') and price_ids is not null then nullif(list_sum, 0)
    end as cost_estimate_usd,
    price_ids,
    book_version,
    case when rate_status = 'ok' then price_currency end as price_currency,
    case when rate_status = 'ok' then fx_rate_to_usd end as fx_rate_to_usd,
    case when rate_status = 'ok' then fx_rate_date end as fx_rate_date,
    case when has_price and not is_hit then native_sum end as list_cost_native,
    cost_reported_usd,
from judged
