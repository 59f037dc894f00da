/*
about: >-
  Priced calls summed to a day and the dimensions of the showback, with tokens and cost by token type: what the weekly
  showback allocates invoices over. One row per day and key.
grain: [usage_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id, model_canonical, model_tier]
partition: day
leads: [ledger_requests]
columns:
  usage_date: DATE; UTC day of the calls
{% include "parts/columns_owner.sql" %}
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  model_tier: VARCHAR; capability tier of the model (not the customer's tier), 'unknown_tier' where none is known
{% include "parts/columns_call_counts.sql" %}
  list_cost_usd: DECIMAL(38,15); cost at list prices of the priced calls
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls
  input_cost_usd: DECIMAL(38,15); effective cost of input that was neither read from nor written to the cache
  cache_read_cost_usd: DECIMAL(38,15); effective cost of cache reads
  cache_write_cost_usd: DECIMAL(38,15); effective cost of cache writes
  output_cost_usd: DECIMAL(38,15); effective cost of output
  input_list_cost_usd: DECIMAL(38,15); cost at list prices of input that was neither read from nor written to the cache
  cache_read_list_cost_usd: DECIMAL(38,15); cost of cache reads at list prices, of the priced calls
  cache_write_list_cost_usd: DECIMAL(38,15); cost of cache writes at list prices, of the priced calls
  output_list_cost_usd: DECIMAL(38,15); cost of output at list prices, of the priced calls
checks:
  - rule: requests >= unpriced_requests
*/
{% from "macros/tiers.sql" import tier_of %}
{% from "macros/tokens.sql" import sum_of with context %}
with calls as (
    select
        cast(r.started_at as date) as usage_date,
        r.cost_centre,
        r.team,
        r.feature,
        r.customer_tier,
        r.environment,
        r.provider,
        coalesce(r.billing_account_id, 'unattributed') as billing_account_id,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.request_key,
        r.started_at,
        coalesce(r.total_tokens, 0) as total_tokens,
        coalesce(r.input_total_tokens, 0) as input_total_tokens,
        coalesce(r.output_total_tokens, 0) as output_total_tokens,
        coalesce(r.cache_read_total_tokens, 0) as cache_read_total_tokens,
        coalesce(r.cache_write_total_tokens, 0) as cache_write_total_tokens,
        coalesce(r.output_reasoning_tokens, 0) as output_reasoning_tokens,
        c.list_cost_usd,
        c.effective_cost_usd,
{% for type in token_types %}
    {% for ending in ("_cost_usd", "_list_cost_usd") %}
        {{ sum_of(token_classes | selectattr("type", "eq", type), "c", ending) }} as {{ type }}{{ ending }},
    {% endfor %}
{% endfor %}
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    where r.is_billable_leaf
),

summed as (
    select
        c.usage_date,
        c.cost_centre,
        c.team,
        c.feature,
        c.customer_tier,
        c.environment,
        c.provider,
        c.billing_account_id,
        c.model_canonical,
        count(*) as requests,
        count(t.task_id) as tasks,
        count(case when t.outcome = 'success' then 1 end) as successes,
        count(case when c.effective_cost_usd is null then 1 end) as unpriced_requests,
        cast(sum(case when c.effective_cost_usd is null then c.total_tokens else 0 end) as bigint) as unpriced_tokens,
        cast(sum(c.input_total_tokens) as bigint) as input_total_tokens,
        cast(sum(c.output_total_tokens) as bigint) as output_total_tokens,
        cast(sum(c.cache_read_total_tokens) as bigint) as cache_read_total_tokens,
        cast(sum(c.cache_write_total_tokens) as bigint) as cache_write_total_tokens,
        cast(sum(c.output_reasoning_tokens) as bigint) as output_reasoning_tokens,
        cast(coalesce(sum(c.list_cost_usd), 0) as decimal(38, 15)) as list_cost_usd,
        cast(coalesce(sum(c.effective_cost_usd), 0) as decimal(38, 15)) as effective_cost_usd,
{% for type in token_types %}
    {% for ending in ("_cost_usd", "_list_cost_usd") %}
        cast(sum(case when c.effective_cost_usd is not null then c.{{ type }}{{ ending }} else 0 end) as decimal(38, 15)) as {{ type }}{{ ending }},
    {% endfor %}
{% endfor %}
    from calls as c
    left join ledger_tasks as t on c.request_key = t.first_request_key and c.started_at = t.started_at
    group by
        c.usage_date, c.cost_centre, c.team, c.feature, c.customer_tier, c.environment, c.provider, c.billing_account_id,
        c.model_canonical
)

select
    s.usage_date,
    s.cost_centre,
    s.team,
    s.feature,
    s.customer_tier,
    s.environment,
    s.provider,
    s.billing_account_id,
    s.model_canonical,
    coalesce(m.model_tier, 'unknown_tier') as model_tier,
    s.requests,
    s.tasks,
    s.successes,
    s.unpriced_requests,
    s.unpriced_tokens,
    s.input_total_tokens,
    s.output_total_tokens,
    s.cache_read_total_tokens,
    s.cache_write_total_tokens,
    s.output_reasoning_tokens,
    s.list_cost_usd,
    s.effective_cost_usd,
    s.input_cost_usd,
    s.cache_read_cost_usd,
    s.cache_write_cost_usd,
    s.output_cost_usd,
    s.input_list_cost_usd,
    s.cache_read_list_cost_usd,
    s.cache_write_list_cost_usd,
    s.output_list_cost_usd,
from summed as s
left join {{ tier_of("s", "s.usage_date") }}
