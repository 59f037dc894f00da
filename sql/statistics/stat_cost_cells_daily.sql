/*
about: >-
  A day's calls summed to feature, customer tier and model, with tokens and cost of each token class: what the tables about
  spend read in place of calls. One row per day, owner and model.
grain: [usage_date, feature, team, customer_tier, environment, provider, model_canonical]
partition: day
reads_around: 1 day
columns:
  usage_date: DATE; day of the calls, in the reporting time zone
  feature: VARCHAR; product feature, 'unattributed' where none is known
  team: VARCHAR; owning team, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  environment: VARCHAR; deployment environment, 'unattributed' where none is known
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  requests: BIGINT; calls, failed ones included
  ok_requests: BIGINT; calls that ended well
  total_tokens: BIGINT; tokens of these calls
  input_total_tokens: BIGINT; all input, cached included
  output_total_tokens: BIGINT; all output, reasoning included
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  cache_known_requests: BIGINT; calls that tell what they read from the prompt cache, be it none
  cache_known_input_tokens: BIGINT; input of the calls that tell what they read from the prompt cache
  cache_hit_requests: BIGINT; calls that read anything from the prompt cache
  list_cost_usd: DECIMAL(38,15); cost at list prices; null where no call is priced
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
{% for class in token_classes %}
  {{ class.tokens }}: BIGINT; {{ class.meaning }}, of all calls
{% endfor %}
{% for class in token_classes %}
  {{ class.name }}_priced_tokens: BIGINT; of these tokens, those that have a cost of their own
{% endfor %}
{% for class in token_classes %}
  {{ class.name }}_cost_usd: DECIMAL(38,15); effective cost of {{ class.words }} tokens; null where none has one
{% endfor %}
  units_cost_usd: DECIMAL(38,15); effective cost of units that are not tokens (web searches ...); null where there are none
  unsplit_cost_usd: DECIMAL(38,15); part of the cost that no class has, such as costs that a provider stated as a whole
checks:
  - rule: requests >= ok_requests and requests >= unpriced_requests and cache_known_requests >= cache_hit_requests
  - rule: (effective_cost_usd is null) = (requests = unpriced_requests)
    text: a cost is unknown exactly where no call has one
  - rule: >-
      effective_cost_usd is null or effective_cost_usd = unsplit_cost_usd + coalesce(units_cost_usd, 0)
{% for class in token_classes %}
      + coalesce({{ class.name }}_cost_usd, 0)
{% endfor %}
    text: the classes, the other units and what has no split make the cost
*/
{% from "macros/days.sql" import local_date %}
{% from "macros/tokens.sql" import sum_of with context %}
with calls as (
    select
        {{ local_date("r.started_at") }} as usage_date,
        r.feature,
        r.team,
        r.customer_tier,
        r.environment,
        r.provider,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.status = 'ok' as is_ok,
        coalesce(r.total_tokens, 0) as total_tokens,
        r.input_total_tokens,
        r.output_total_tokens,
        r.cache_read_total_tokens,
        c.list_cost_usd,
        c.effective_cost_usd,
        c.units_cost_usd,
{% for class in token_classes %}
        r.{{ class.tokens }},
        c.{{ class.name }}_cost_usd,
{% endfor %}
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    where r.is_billable_leaf
),

summed as (
    select
        usage_date,
        feature,
        team,
        customer_tier,
        environment,
        provider,
        model_canonical,
        count(*) as requests,
        count(case when is_ok then 1 end) as ok_requests,
        cast(sum(total_tokens) as bigint) as total_tokens,
        cast(coalesce(sum(input_total_tokens), 0) as bigint) as input_total_tokens,
        cast(coalesce(sum(output_total_tokens), 0) as bigint) as output_total_tokens,
        count(case when effective_cost_usd is null then 1 end) as unpriced_requests,
        cast(sum(case when effective_cost_usd is null then total_tokens else 0 end) as bigint) as unpriced_tokens,
        count(cache_read_total_tokens) as cache_known_requests,
        cast(
            sum(case when cache_read_total_tokens is not null then coalesce(input_total_tokens, 0) else 0 end) as bigint
        ) as cache_known_input_tokens,
        count(case when cache_read_total_tokens > 0 then 1 end) as cache_hit_requests,
        cast(sum(list_cost_usd) as decimal(38, 15)) as list_cost_usd,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
{% for class in token_classes %}
        cast(coalesce(sum({{ class.tokens }}), 0) as bigint) as {{ class.tokens }},
        cast(coalesce(sum(case when {{ class.name }}_cost_usd is not null then {{ class.tokens }} end), 0) as bigint) as {{ class.name }}_priced_tokens,
        cast(sum(case when effective_cost_usd is not null then {{ class.name }}_cost_usd end) as decimal(38, 15)) as {{ class.name }}_cost_usd,
{% endfor %}
        cast(sum(case when effective_cost_usd is not null then units_cost_usd end) as decimal(38, 15)) as units_cost_usd,
    from calls
    group by usage_date, feature, team, customer_tier, environment, provider, model_canonical
)

select
    s.usage_date,
    s.feature,
    s.team,
    s.customer_tier,
    s.environment,
    s.provider,
    s.model_canonical,
    s.requests,
    s.ok_requests,
    s.total_tokens,
    s.input_total_tokens,
    s.output_total_tokens,
    s.unpriced_requests,
    s.unpriced_tokens,
    s.cache_known_requests,
    s.cache_known_input_tokens,
    s.cache_hit_requests,
    s.list_cost_usd,
    s.effective_cost_usd,
{% for class in token_classes %}
    s.{{ class.tokens }},
{% endfor %}
{% for class in token_classes %}
    s.{{ class.name }}_priced_tokens,
{% endfor %}
{% for class in token_classes %}
    s.{{ class.name }}_cost_usd,
{% endfor %}
    s.units_cost_usd,
    cast(s.effective_cost_usd - coalesce(s.units_cost_usd, 0) - ({{ sum_of(token_classes, "s", "_cost_usd") }}) as decimal(38, 15)) as unsplit_cost_usd,
from summed as s
