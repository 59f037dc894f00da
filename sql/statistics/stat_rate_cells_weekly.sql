/*
about: >-
  A week's calls summed to feature, customer tier and all that decides their rates, with the rates beside the tokens: a cost is
  linear in tokens within a box of ledger_rates, so what caches, long contexts or other prices would cost is worked out of these
  cells exactly. One row per week, UTC day, owner and box of rates.
grain:
  [week_start_date, usage_date, feature, customer_tier, provider, model_canonical, service_tier, is_batch, speed, region,
   region_class, billing_account_scope, project_scope, feature_scope, customer_scope, rate_from_at, ctx_min_tokens, cost_basis,
   is_near_threshold]
partition: week
reads_around: 1 day
joins: as_written
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  usage_date: DATE; UTC day of the calls
  feature: VARCHAR; product feature, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model in the price book; empty where the name of the call means none
{% include "parts/columns_rate_key.sql" %}
  rate_from_at: TIMESTAMP WITH TIME ZONE; start of the box
  ctx_min_tokens: BIGINT; smallest context length of the box
  cost_basis: VARCHAR; rates (the cost is tokens times rates), stated (as a whole, by a provider), paid_otherwise (throughput or seats), gateway_cache or unpriced
  is_near_threshold: BOOLEAN; true for calls above the start of a longer range by no more than near_threshold_share of it
  requests: BIGINT; calls, failed ones included
  total_tokens: BIGINT; tokens of these calls
  input_total_tokens: BIGINT; all input, cached included
  context_tokens: BIGINT; sum of what the provider compares with its long-context threshold
  cache_known_requests: BIGINT; calls that tell what they read from the prompt cache, be it none
  cache_known_input_tokens: BIGINT; input of the calls that tell what they read from the prompt cache
  cache_read_total_tokens: BIGINT; input read from the prompt cache
  cache_hit_requests: BIGINT; calls that read anything from the prompt cache
  list_cost_usd: DECIMAL(38,15); cost at list prices; null where no call is priced
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
  units_cost_usd: DECIMAL(38,15); effective cost of units that are not tokens (web searches ...)
  cache_storage_cost_usd: DECIMAL(38,15); of the cost of other units, that of calls whose units count the storage of a cache; null where none does
  base_range_cost_usd: DECIMAL(38,15); what these calls would cost at the rates of the shortest context range; null where the book has none, or the basis is not rates
  trimmed_cost_usd: DECIMAL(38,15); what calls near a threshold would cost if their input, cut evenly, ended below it; null for others
{% for class in token_classes %}
  {{ class.tokens }}: BIGINT; {{ class.meaning }}, of all calls
{% endfor %}
{% for class in token_classes %}
  {{ class.name }}_cost_usd: DECIMAL(38,15); effective cost of {{ class.words }} tokens, which is tokens times rate; null where there is no rate, or the basis is not rates
{% endfor %}
{% for class in token_classes %}
  {{ class.name }}_usd_per_mtok: DECIMAL(18,9); contracted price of {{ class.words }} tokens, USD per million; null where there is none, or the basis is not rates
{% endfor %}
checks:
  - one_of: [cost_basis, rates, stated, paid_otherwise, gateway_cache, unpriced]
  - rule: requests >= cache_known_requests and cache_known_requests >= cache_hit_requests
  - rule: (effective_cost_usd is null) = (cost_basis = 'unpriced')
    text: a cost is unknown exactly where the basis says so
  - rule: cost_basis <> 'rates' or ctx_min_tokens > 0 or base_range_cost_usd = effective_cost_usd
    text: in the shortest range the cost at its rates is the cost
  - rule: >-
      cost_basis <> 'rates' or effective_cost_usd = units_cost_usd
{% for class in token_classes %}
      + coalesce({{ class.name }}_cost_usd, 0)
{% endfor %}
    text: tokens times their rates make the cost
*/
{% from "macros/days.sql" import local_week, utc_date %}
{% from "macros/rate_keys.sql" import call_keys, context_tokens, keys_of_calls, scopes, scopes_of_calls, scopes_of_days with context %}
{% set inputs = token_classes | rejectattr("type", "eq", "output") | list %}
{# Tokens of a cell at the rates of another box; null where one of them has no rate there. #}
{% macro at_rates(classes, box) %}
{% for class in classes %}
        {{ "+ " if not loop.first }}case when s.{{ class.tokens }} = 0 then 0 else s.{{ class.tokens }} * {{ box }}.{{ class.name }}_usd_per_mtok * 0.000001 end
{% endfor %}
{% endmacro %}
{# The box of a cell, of those of its key and instant. #}
{% macro box_of_cell(box) %}
left join ledger_rates as {{ box }}
        on s.usage_date = {{ box }}.usage_date
        and s.provider = {{ box }}.provider
{% for key in call_keys %}
        and s.{{ key }} = {{ box }}.{{ key }}
{% endfor %}
{% for name, _ in scopes %}
        and s.{{ name }}_scope = {{ box }}.{{ name }}_scope
{% endfor %}
        and s.rate_from_at >= {{ box }}.rate_from_at
        and s.rate_from_at < {{ box }}.rate_to_at
{%- endmacro %}
with {{ scopes_of_days }}

near as (
    select threshold_number as share, valid_from_date, valid_to_date
    from ref_limits
    where limit_name = 'near_threshold_share' and scope_kind = ''
),

{% include "parts/rate_boxes.sql" %}

pieces as (
    select
        s.usage_date,
        s.provider,
        s.model_canonical,
        s.rate_from_at,
        s.rate_to_at,
        l.ctx_min_tokens,
        l.ctx_max_tokens,
        case when l.ctx_min_tokens > 0 then l.ctx_min_tokens * (1 + n.share) else 0 end as near_end_tokens,
    from spans as s
    inner join lengths as l
        on s.usage_date = l.usage_date and s.provider = l.provider and s.model_canonical = l.model_canonical
    left join near as n on s.usage_date >= n.valid_from_date and s.usage_date < n.valid_to_date
),

calls as (
    select
        {{ local_week("q.started_at") }} as week_start_date,
        {{ utc_date("q.started_at") }} as usage_date,
        q.started_at,
        q.feature,
        q.customer_tier,
        q.provider,
{{ keys_of_calls }}
{% for name, _ in scopes %}
        coalesce({{ name }}.scope, '') as {{ name }}_scope,
{% endfor %}
        {{ context_tokens }} as ctx_tokens,
        case
            when c.effective_cost_usd is null then 'unpriced'
            when c.cost_reason = 'cache_hit' then 'gateway_cache'
            when c.cost_reason = 'provider_stated' then 'stated'
            when c.effective_cost_usd = c.contracted_cost_usd then 'rates'
            else 'paid_otherwise'
        end as cost_basis,
        q.total_tokens,
        q.input_total_tokens,
        q.cache_read_total_tokens,
        c.list_cost_usd,
        c.effective_cost_usd,
        case when q.extra_units['cache_storage_token_hour'] is not null then c.units_cost_usd end as cache_storage_cost_usd,
        c.units_cost_usd,
{% for class in token_classes %}
        q.{{ class.tokens }},
{% endfor %}
    from ledger_requests as q
    inner join ledger_costs as c on q.request_key = c.request_key and q.started_at = c.started_at
{{ scopes_of_calls }}
    cross join ref_reporting as z
    where q.is_billable_leaf
),

{% set cell_keys %}
c.week_start_date, c.usage_date, c.feature, c.customer_tier, c.provider, {% for key in call_keys %}c.{{ key }}, {% endfor %}{% for name, _ in scopes %}c.{{ name }}_scope, {% endfor %}c.cost_basis
{%- endset %}
summed as (
    select
        {{ cell_keys }},
        p.rate_from_at,
        coalesce(p.ctx_min_tokens, 0) as ctx_min_tokens,
        coalesce(c.ctx_tokens <= p.near_end_tokens and p.ctx_min_tokens > 0, false) as is_near_threshold,
        count(*) as requests,
        cast(coalesce(sum(c.total_tokens), 0) as bigint) as total_tokens,
        cast(coalesce(sum(c.input_total_tokens), 0) as bigint) as input_total_tokens,
        cast(sum(c.ctx_tokens) as bigint) as context_tokens,
        count(c.cache_read_total_tokens) as cache_known_requests,
        cast(
            coalesce(sum(case when c.cache_read_total_tokens is not null then c.input_total_tokens end), 0) as bigint
        ) as cache_known_input_tokens,
        cast(coalesce(sum(c.cache_read_total_tokens), 0) as bigint) as cache_read_total_tokens,
        count(case when c.cache_read_total_tokens > 0 then 1 end) as cache_hit_requests,
        cast(sum(c.list_cost_usd) as decimal(38, 15)) as list_cost_usd,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        cast(sum(c.cache_storage_cost_usd) as decimal(38, 15)) as cache_storage_cost_usd,
        cast(coalesce(sum(c.units_cost_usd), 0) as decimal(38, 15)) as units_cost_usd,
{% for class in token_classes %}
        cast(coalesce(sum(c.{{ class.tokens }}), 0) as bigint) as {{ class.tokens }},
{% endfor %}
    from calls as c
    left join pieces as p
        on c.usage_date = p.usage_date
        and c.provider = p.provider
        and c.model_canonical = p.model_canonical
        and c.started_at >= p.rate_from_at
        and c.started_at < p.rate_to_at
        and c.ctx_tokens >= p.ctx_min_tokens
        and c.ctx_tokens < p.ctx_max_tokens
    group by
        {{ cell_keys }}, p.rate_from_at, p.ctx_min_tokens, coalesce(c.ctx_tokens <= p.near_end_tokens and p.ctx_min_tokens > 0, false)
)

select
    s.week_start_date,
    s.usage_date,
    s.feature,
    s.customer_tier,
    s.provider,
{% for key in call_keys %}
    s.{{ key }},
{% endfor %}
{% for name, _ in scopes %}
    s.{{ name }}_scope,
{% endfor %}
    s.rate_from_at,
    s.ctx_min_tokens,
    s.cost_basis,
    s.is_near_threshold,
    s.requests,
    s.total_tokens,
    s.input_total_tokens,
    s.context_tokens,
    s.cache_known_requests,
    s.cache_known_input_tokens,
    s.cache_read_total_tokens,
    s.cache_hit_requests,
    s.list_cost_usd,
    s.effective_cost_usd,
    s.units_cost_usd,
    s.cache_storage_cost_usd,
    case
        when s.cost_basis = 'rates' then cast(
            s.units_cost_usd
            + {{ at_rates(token_classes, "b") }}
            as decimal(38, 15)
        )
    end as base_range_cost_usd,
    case
        when s.cost_basis = 'rates' and s.is_near_threshold then cast(
            s.units_cost_usd
            -- A call of the cell may keep so many tokens as are below the threshold.
            + cast(
                cast(
                    {{ at_rates(inputs, "d") }}
                    as double
                ) * (s.requests * (s.ctx_min_tokens - 1)) / nullif(s.context_tokens, 0) as decimal(38, 15)
            )
            + {{ at_rates(token_classes | selectattr("type", "eq", "output"), "d") }}
            as decimal(38, 15)
        )
    end as trimmed_cost_usd,
{% for class in token_classes %}
    s.{{ class.tokens }},
{% endfor %}
{% for class in token_classes %}
    case
        when s.cost_basis = 'rates' then cast(s.{{ class.tokens }} * r.{{ class.name }}_usd_per_mtok * 0.000001 as decimal(38, 15))
    end as {{ class.name }}_cost_usd,
{% endfor %}
{% for class in token_classes %}
    case when s.cost_basis = 'rates' then r.{{ class.name }}_usd_per_mtok end as {{ class.name }}_usd_per_mtok,
{% endfor %}
from summed as s
{{ box_of_cell("r") }}
        and s.ctx_min_tokens >= r.ctx_min_tokens
        and s.ctx_min_tokens < r.ctx_max_tokens
{{ box_of_cell("b") }}
        and b.ctx_min_tokens = 0
{{ box_of_cell("d") }}
        and d.ctx_min_tokens <= s.ctx_min_tokens - 1
        and d.ctx_max_tokens > s.ctx_min_tokens - 1
