/*
about: >-
  What calls used and cost, summed to a day: what reconciliation holds against the bills. One row per day, account, model, class
  of tokens that has a price of its own, and tier; what a call cost beside its tokens has a row without a class.
grain: [usage_date, provider, billing_account_id, model_canonical, token_class, rate_tier]
partition: day
leads: [ledger_requests]
columns:
  usage_date: DATE; UTC day of the calls
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed; null where it cannot be told
  model_canonical: VARCHAR; model as the price book names it; null where no alias maps it
  token_type: VARCHAR; input, output, cache_read or cache_write; null for what is no token
  token_class: VARCHAR; class of tokens with a price of its own (output holds text and reasoning); null for what is no token
  rate_tier: VARCHAR; standard, flex, priority or batch
  traced_tokens: BIGINT; tokens of the calls, 0 for what is no token
  priced_tokens: BIGINT; of these, tokens of calls whose class has a price
  list_cost_usd: DECIMAL(38,15); cost at list prices of what has a price; null where nothing has
  effective_cost_usd: DECIMAL(38,15); cost under contracts of what has a price; null where nothing has
checks:
  - rule: priced_tokens <= traced_tokens
notes:
  - A cost that a provider or gateway stated has no split by class and stands in the row without one.
*/
{% from "macros/tokens.sql" import each, rate_tier with context %}
{% set cell = ["usage_date", "provider", "billing_account_id", "model_canonical", "rate_tier"] %}
with seats as (
    select distinct provider, account_id
    from ref_accounts
    where paid_by = 'seat'
),

calls as (
    select
        cast(r.started_at as date) as usage_date,
        r.provider,
        r.billing_account_id,
        r.model_canonical,
        {{ rate_tier("r") }} as rate_tier,
{% for class in token_classes %}
        cast(sum(coalesce(r.{{ class.tokens }}, 0)) as bigint) as {{ class.tokens }},
        cast(sum(case when c.{{ class.name }}_list_cost_usd is not null then coalesce(r.{{ class.tokens }}, 0) else 0 end) as bigint)
            as {{ class.name }}_priced,
        cast(sum(c.{{ class.name }}_list_cost_usd) as decimal(38, 15)) as {{ class.name }}_list,
        cast(sum(c.{{ class.name }}_cost_usd) as decimal(38, 15)) as {{ class.name }}_effective,
{% endfor %}
        cast(sum(case when c.cost_reason = 'provider_stated' then c.list_cost_usd else c.units_list_cost_usd end) as decimal(38, 15)) as beside_list,
        cast(sum(case when c.cost_reason = 'provider_stated' then c.effective_cost_usd else c.units_cost_usd end) as decimal(38, 15)) as beside_effective,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    -- A seat pays for all calls of its account: no line of a bill counts them.
    anti join seats as s
        on r.provider = s.provider and r.billing_account_id = s.account_id
    where r.is_billable_leaf
    group by cast(r.started_at as date), r.provider, r.billing_account_id, r.model_canonical, rate_tier
),

by_class as (
{% for billed_as, classes in token_classes | groupby("billed_as") %}
    select
        {{ cell | join(", ") }},
        '{{ classes[0].type }}' as token_type,
        '{{ billed_as }}' as token_class,
        {{ each(classes, "", "_tokens", " + ") }} as traced_tokens,
        {{ each(classes, "", "_priced", " + ") }} as priced_tokens,
    {% for cost in ("list", "effective") %}
        coalesce({{ each(classes, "", "_" ~ cost, " + ") }}, {{ each(classes, "", "_" ~ cost) }}) as {{ cost }}_cost_usd,
    {% endfor %}
    from calls
    where {{ each(classes, "", "_tokens", " + ") }} > 0
    union all
{% endfor %}
    select
        {{ cell | join(", ") }},
        cast(null as varchar) as token_type,
        cast(null as varchar) as token_class,
        0 as traced_tokens,
        0 as priced_tokens,
        beside_list as list_cost_usd,
        beside_effective as effective_cost_usd,
    from calls
    where beside_list <> 0
)

select
    usage_date, provider, billing_account_id, model_canonical, token_type, token_class, rate_tier,
    cast(traced_tokens as bigint) as traced_tokens,
    cast(priced_tokens as bigint) as priced_tokens,
    list_cost_usd,
    effective_cost_usd,
from by_class
