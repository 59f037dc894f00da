/*
about: >-
  The canonical call: one row per request, the newest version of it, with disjoint token classes and its owner.
grain: [request_key]
order_by: [started_at, request_key]
partition: day
partition_column: started_at
leads: [staged_requests]
columns:
  request_key: VARCHAR; md5 of source, account and the source's row id
  source: VARCHAR; folder of landing/ that the record came from
  source_account: VARCHAR; first folder below the source, else 'default'
  source_row_id: VARCHAR; the source's own key of the row
  source_row_version: VARCHAR; version of the row as ISO 8601 UTC with six digits, the highest wins
  entity_key: VARCHAR; the call itself, equal for the same call seen by two tools
  provider_response_id: VARCHAR; id that the provider gave its response
  gateway_call_id: VARCHAR; id that a gateway gave the call
  trace_id: VARCHAR; trace the call belongs to
  span_id: VARCHAR; span of the call
  parent_span_id: VARCHAR; span above the call
  root_span_id: VARCHAR; top span of the trace
  session_id: VARCHAR; agent run or conversation
  task_id: VARCHAR; unit of user value the call worked for
  row_kind: VARCHAR; llm_call, embedding, tool, aggregate_span, aggregate_only, gateway_cache_hit, overhead, batch_line or other
  is_billable_leaf: BOOLEAN; true where the row enters money
  started_at: TIMESTAMP WITH TIME ZONE; start of the call
  ended_at: TIMESTAMP WITH TIME ZONE; end of the call
  first_token_at: TIMESTAMP WITH TIME ZONE; instant of the first output token
  duration_ms: BIGINT; milliseconds from start to end, from the instants
  ttft_ms: BIGINT; milliseconds from start to the first token, from the instants
  provider: VARCHAR; the seller, whose price list and invoice apply
  billing_account_id: VARCHAR; account that is billed; null where it cannot be told
  model_maker: VARCHAR; who made the model, where that is not the seller
  model_requested: VARCHAR; model that the caller asked for
  model_served: VARCHAR; model as the response names it, verbatim
  model_canonical: VARCHAR; model as the price book names it; null where no alias maps it
  region_class: VARCHAR; region class that the name of the model says; null where it says none
  region: VARCHAR; region or endpoint, as the source names it
  service_tier: VARCHAR; tier that served the call, as the source names it
  api_base: VARCHAR; address of the API that was called
{% for class in token_classes %}
  {{ class.tokens }}: BIGINT; {{ class.meaning }}
{% endfor %}
  cache_read_total_tokens: BIGINT; all input read from the prompt cache; null where no class of it is known
  cache_write_total_tokens: BIGINT; all input written to the prompt cache; null where no class of it is known
  input_total_tokens: BIGINT; all input, cached included; null where no class of it is known
  output_total_tokens: BIGINT; all output, reasoning included; null where no class of it is known
  total_tokens: BIGINT; input and output; null where neither is known
  extra_units: MAP(VARCHAR, DECIMAL(38,9)); quantities that are not tokens, by unit (web_search, images, seconds)
  unread_usage: MAP(VARCHAR, BIGINT); counts above 0 of the usage object under keys that no rule reads, by key; null where there are none
  unread_tokens: BIGINT; sum of unread_usage; null where there are none
  is_batch: BOOLEAN; true for a call of a batch
  speed: VARCHAR; speed mode (fast), as the source names it
  context_test_tokens: BIGINT; tokens that the provider compares with its long-context threshold
  provider_total_tokens: BIGINT; the provider's own total
  usage_shape: VARCHAR; API shape of the usage object
  usage_flags: VARCHAR[]; doubts about the usage, an empty list where there is none
  usage_basis: VARCHAR; disjoint, inclusive or ambiguous: how the source's counts were read
  usage_quality: VARCHAR; reported, estimated, replayed, missing or partial
  cost_reported_usd: DECIMAL(18,12); what a provider or gateway said the call cost; null where nothing was said
  cost_reported_basis: VARCHAR; provider_charge, gateway_list, user_supplied, with_margin, own_key (through a router) or none
  status: VARCHAR; ok, error, partial or cancelled: the call's own end
  http_status: INTEGER; HTTP status of the call
  error_class: VARCHAR; kind of error
  fallback_of: VARCHAR; call that this one stands in for
  attempt: INTEGER; number of the attempt, from 1
  is_retry: BOOLEAN; true where the call repeats an earlier one
  gateway_cache_hit: BOOLEAN; true where a gateway answered from its own cache
  saved_cost_usd: DECIMAL(18,12); what the gateway says its cache saved
  step_index: BIGINT; place in the session, from 0
  max_output_tokens: BIGINT; output cap sent with the call
  prompt_hash: VARCHAR; keyed hash of the whole prompt
  prompt_prefix_hash: VARCHAR; keyed hash of the constant prefix
  static_prompt_tokens: BIGINT; length of the constant prefix
  outcome: VARCHAR; success or failure of the task, on its last call; null where not recorded
  environment: VARCHAR; deployment environment, 'unattributed' where none is known
  release: VARCHAR; release of the application
  feature: VARCHAR; product feature, 'unattributed' where none is known
  team: VARCHAR; owning team, 'unattributed' where none is known
  cost_centre: VARCHAR; cost centre that bears the cost, 'unattributed' where none is known
  customer_id: VARCHAR; customer of the company
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  user_id: VARCHAR; end user
  workflow: VARCHAR; workflow that the call is a step of
  step: VARCHAR; step within the workflow
  prompt_name: VARCHAR; name of the prompt template
  prompt_version: VARCHAR; version of the prompt template, as text
  api_key_name: VARCHAR; what its owner calls the key
  request_tags: VARCHAR[]; tags kept by name
  attributes: MAP(VARCHAR, VARCHAR); further dimensions kept by name
  attribution_source: MAP(VARCHAR, VARCHAR); dimension -> own, ancestor, root, trace, rule, reference or account: where its value came from; of user, session, task, customer, release, workflow and prompt only what came from the trace
checks:
  - not_null: [source, source_account, source_row_id, entity_key, started_at, provider, row_kind, is_billable_leaf, status]
  - not_null: [feature, team, cost_centre, customer_tier, environment]
  - rule: >-
      least({{ token_classes | map(attribute="tokens") | join(", ") }}) >= 0
    null_passes: true
    text: no token class is negative
  - rule: total_tokens = coalesce(input_total_tokens, 0) + coalesce(output_total_tokens, 0)
    null_passes: true
    text: input and output make the total
  - rule: >-
      provider_total_tokens is null or total_tokens is null or total_tokens = provider_total_tokens
      or len(usage_flags) > 0
    text: the classes sum to the provider's own total, or the row is flagged
  - one_of: [row_kind, llm_call, embedding, tool, aggregate_span, aggregate_only, gateway_cache_hit, overhead, batch_line, other]
  - one_of: [usage_basis, disjoint, inclusive, ambiguous]
  - one_of: [usage_quality, reported, estimated, replayed, missing, partial]
question: Which features made the most calls, and how many of them failed?
answer: >-
  select feature, count(*) as requests, count(*) filter (where status <> 'ok') as failed_requests
  from ledger_requests where is_billable_leaf group by feature order by requests desc
*/
{% from "macros/versions.sql" import but_superseded with context %}
{% from "macros/tokens.sql" import cached_classes, input_classes, output_classes, sum_of, total_of with context %}
{# What a rule may look at. #}
{% set rule_fields = [
    "source_account", "provider", "api_key_name", "model_served", "environment", "workflow", "step", "prompt_name", "release", "region",
    "customer_id", "user_id", "feature", "team",
] %}
{# What a call takes from the spans above it, and what of that other tools know too. #}
{% set traced = [
    "environment", "release", "feature", "fallback_feature", "team", "cost_centre", "customer_id", "customer_tier", "user_id", "session_id",
    "task_id", "workflow", "prompt_name", "prompt_version",
] %}
{% from "macros/sellers.sql" import join_named_sellers, named_sellers with context %}
with {{ named_sellers("staged_requests", "started_at") }},

rule_fields as (
    select
{% for field in rule_fields %}
        coalesce(bool_or(match_field = '{{ field }}'), false) as uses_{{ field }},
{% endfor %}
        count(*) > 0 as has_rules,
    from ref_attribution_rules
),

booked as (
    select
        s.* replace (coalesce(n.seller, s.provider) as provider, coalesce(n.seller_account_id, s.billing_account_id) as billing_account_id),
        cast(s.started_at as date) as usage_date,
        l.row_kind as span_kind,
        l.is_billable_leaf as is_billable_span,
        l.leaf_rule,
{% for name in traced %}
        coalesce(m.{{ name }}, o.{{ name }}) as traced_{{ name }},
{% endfor %}
        m.fallback_task_id as best_fallback_task_id,
        m.trace_id as best_trace_id,
        m.step as best_step,
        m.outcome as best_outcome,
        m.entity_key as best_entity_key,
        m.request_key is not null as is_merged,
        coalesce(m.inherited, o.inherited) as inherited,
        b.usage_basis as usage_verdict,
        -- Requests that no rule can tell apart share a caller, so that rules are matched once for all of them.
        case
            when u.has_rules
                then concat_ws(
                    '|',
                    cast(cast(s.started_at as date) as varchar),
                    s.source,
{% for field in rule_fields %}
    {% if field in traced %}
                    case when u.uses_{{ field }} then coalesce(m.{{ field }}, s.{{ field }}, o.{{ field }}, '') end{{ "," if not loop.last }}
    {% else %}
                    case when u.uses_{{ field }} then coalesce(s.{{ field }}, '') end{{ "," if not loop.last }}
    {% endif %}
{% endfor %}
                )
        end as caller,
    from staged_requests as s
    {{ but_superseded() }}
    left join ledger_span_roles as l on s.request_key = l.request_key
    left join ledger_span_owners as o on s.request_key = o.request_key
    left join ledger_same_calls as m on s.request_key = m.request_key
    left join ledger_usage_basis as b
        on s.usage_group = b.usage_group
        and s.usage_basis = 'ambiguous'
        and s.source = b.source
        and s.source_account = b.source_account
        and s.provider = b.provider
        and cast(date_trunc('month', s.started_at) as date) = b.month_start_date
    {{ join_named_sellers("s", "started_at") }}
    cross join rule_fields as u
    -- Of a call that several tools recorded, one tool's rows count.
    where s.row_kind <> 'context' and coalesce(m.is_counted, true)
),

{% include "parts/attribution_rules.sql" %}

-- An account goes by its id or its name (BOOKS: who and where).
account_names as (
    select provider, account_name as name, min(account_id) as account_id
    from (
        select provider, account_id as account_name, account_id from ref_accounts
        union
        select provider, account_name, account_id from ref_accounts where account_name is not null
    )
    group by provider, account_name
),

-- The provider's only billing account in accounts.csv and the month's bills.
only_accounts as (
    select month_start_date, provider, min(account_id) as account_id
    from (
        select b.month_start_date, b.provider, b.billing_account_id as account_id from ledger_billing_accounts as b
        union
        select d.month_start_date, a.provider, a.account_id
        from ref_accounts as a
        cross join (select distinct cast(date_trunc('month', usage_date) as date) as month_start_date from booked) as d
    )
    group by month_start_date, provider
    having count(distinct account_id) = 1
),

owned as (
    select
        p.request_key,
        p.source,
        p.source_account,
        p.source_row_id,
        p.source_row_version,
        coalesce(p.best_entity_key, p.entity_key) as entity_key,
        p.provider_response_id,
        p.gateway_call_id,
        coalesce(p.best_trace_id, p.trace_id) as trace_id,
        p.span_id,
        p.parent_span_id,
        p.root_span_id,
        coalesce(case when p.is_merged then p.traced_session_id else p.session_id end, p.traced_session_id) as session_id,
        coalesce(case when p.is_merged then p.traced_task_id else p.task_id end, p.traced_task_id, coalesce(p.best_fallback_task_id, p.fallback_task_id)) as task_id,
        coalesce(p.span_kind, p.row_kind) as row_kind,
        coalesce(p.is_billable_span, p.is_billable_leaf) as is_billable_leaf,
        p.started_at,
        p.ended_at,
        p.first_token_at,
        p.duration_ms,
        p.ttft_ms,
        p.provider,
        coalesce(p.billing_account_id, r.billing_account_id, k.account_id, n.account_id, o.account_id) as billing_account_id,
        p.model_maker,
        p.model_requested,
        p.model_served,
        p.region,
        p.service_tier,
        p.api_base,
        -- Rows of its group told that the stated input and output hold the cached and the reasoning tokens. Spans tell of the latter
        -- themselves.
{% for class in token_classes %}
    {% if class.name == "input_uncached" %}
        case
            when p.usage_verdict = 'inclusive' then p.input_uncached_tokens - ({{ sum_of(cached_classes, "p", "_tokens") }})
            else p.input_uncached_tokens
        end as input_uncached_tokens,
    {% elif class.name == "output_text" %}
        case
            when p.usage_verdict = 'inclusive' and not starts_with(coalesce(p.usage_shape, ''), 'otel.')
                and p.output_text_tokens >= p.output_reasoning_tokens
                then p.output_text_tokens - p.output_reasoning_tokens
            else p.output_text_tokens
        end as output_text_tokens,
    {% else %}
        p.{{ class.tokens }},
    {% endif %}
{% endfor %}
        p.extra_units,
        p.unread_usage,
        p.unread_tokens,
        p.is_batch,
        p.speed,
        case
            when p.usage_verdict = 'inclusive'
                then p.context_test_tokens - ({{ sum_of(cached_classes, "p", "_tokens") }})
            else p.context_test_tokens
        end as context_test_tokens,
        p.provider_total_tokens,
        p.usage_shape,
        case when p.leaf_rule = 'calls_below' then list_append(p.usage_flags, p.leaf_rule) else p.usage_flags end as usage_flags,
        coalesce(p.usage_verdict, p.usage_basis) as usage_basis,
        p.usage_quality,
        p.cost_reported_usd,
        p.cost_reported_basis,
        p.status,
        p.http_status,
        p.error_class,
        p.fallback_of,
        p.attempt,
        p.is_retry,
        p.gateway_cache_hit,
        p.saved_cost_usd,
        p.step_index,
        p.max_output_tokens,
        p.prompt_hash,
        p.prompt_prefix_hash,
        p.static_prompt_tokens,
        coalesce(p.best_outcome, p.outcome) as outcome,
        coalesce(case when p.is_merged then p.traced_environment else p.environment end, p.traced_environment, r.environment) as environment,
        coalesce(case when p.is_merged then p.traced_release else p.release end, p.traced_release) as release,
        coalesce(case when p.is_merged then p.traced_feature else p.feature end, p.traced_feature, r.feature, p.fallback_feature, p.traced_fallback_feature) as feature,
        coalesce(case when p.is_merged then p.traced_team else p.team end, p.traced_team, r.team) as team,
        coalesce(case when p.is_merged then p.traced_cost_centre else p.cost_centre end, p.traced_cost_centre, r.cost_centre) as cost_centre,
        coalesce(case when p.is_merged then p.traced_customer_id else p.customer_id end, p.traced_customer_id, r.customer_id) as customer_id,
        coalesce(case when p.is_merged then p.traced_customer_tier else p.customer_tier end, p.traced_customer_tier, r.customer_tier) as customer_tier,
        coalesce(case when p.is_merged then p.traced_user_id else p.user_id end, p.traced_user_id) as user_id,
        coalesce(case when p.is_merged then p.traced_workflow else p.workflow end, p.traced_workflow) as workflow,
        coalesce(p.best_step, p.step) as step,
        coalesce(case when p.is_merged then p.traced_prompt_name else p.prompt_name end, p.traced_prompt_name) as prompt_name,
        coalesce(case when p.is_merged then p.traced_prompt_version else p.prompt_version end, p.traced_prompt_version) as prompt_version,
        p.api_key_name,
        p.request_tags,
        p.attributes,
        p.usage_date,
        p.inherited,
{% for name in ("feature", "team", "cost_centre", "customer_tier", "environment") %}
        case
            when p.{{ name }} is not null and not p.is_merged then 'own'
            when p.traced_{{ name }} is not null then 'inherited'
            when r.{{ name }} is not null then 'rule'
    {% if name == "feature" %}
            when coalesce(p.fallback_feature, p.traced_fallback_feature) is not null then 'trace'
    {% endif %}
        end as {{ name }}_source,
{% endfor %}
        case
            when p.billing_account_id is not null then 'own'
            when r.billing_account_id is not null then 'rule'
            when coalesce(k.account_id, n.account_id, o.account_id) is not null then 'account'
        end as billing_account_id_source,
    from booked as p
    left join ruled as r on p.caller = r.caller
    left join account_names as k on p.provider = k.provider and p.api_key_name = k.name
    left join account_names as n on p.provider = n.provider and p.source_account = n.name
    left join only_accounts as o
        on p.provider = o.provider and cast(date_trunc('month', p.usage_date) as date) = o.month_start_date
),

found as (
    select
        s.*,
        concat_ws(
            '|',
            coalesce(s.billing_account_id_source, ''),
            coalesce(coalesce(s.cost_centre_source, case when f.cost_centre is not null then 'reference' when a.cost_centre is not null then 'account' end), ''),
            coalesce(coalesce(s.customer_tier_source, case when c.customer_tier is not null then 'reference' end), ''),
            coalesce(coalesce(s.environment_source, case when a.environment is not null then 'account' end), ''),
            coalesce(s.feature_source, ''),
            coalesce(coalesce(s.team_source, case when f.owner_team is not null then 'reference' when a.team is not null then 'account' end), ''),
            coalesce(s.inherited, '')
        ) as sources,
        f.owner_team,
        f.cost_centre as feature_cost_centre,
        c.customer_tier as reference_customer_tier,
        a.team as account_team,
        a.cost_centre as account_cost_centre,
        a.environment as account_environment,
        m.model_canonical,
        m.region_class,
    from owned as s
    left join ref_features as f
        on s.feature = f.feature
        and (f.valid_from_date is null or s.usage_date >= f.valid_from_date)
        and (f.valid_to_date is null or s.usage_date < f.valid_to_date)
    left join ref_customers as c
        on s.customer_id = c.customer_id
        and (c.valid_from_date is null or s.usage_date >= c.valid_from_date)
        and (c.valid_to_date is null or s.usage_date < c.valid_to_date)
    left join ref_accounts as a on s.provider = a.provider and s.billing_account_id = a.account_id
    left join ledger_models as m
        on s.usage_date = m.usage_date and s.provider = m.provider and s.model_served = m.model_raw
),

-- Few combinations of sources occur: a map is made once for each. What comes from the trace is named at their end.
combinations as (
    select
        sources,
        map_from_entries(list_sort(list_concat(
            list_filter(
                [
{% for dimension in ("billing_account_id", "cost_centre", "customer_tier", "environment", "feature", "team") %}
                    {'dimension': '{{ dimension }}', 'source': nullif(split_part(sources, '|', {{ loop.index }}), '')}{{ "," if not loop.last }}
{% endfor %}
                ],
                lambda entry: entry.source <> 'inherited'
            ),
            list_transform(
                list_filter(string_split(split_part(sources, '|', 7), ','), lambda entry: entry <> ''),
                lambda entry: {'dimension': split_part(entry, '=', 1), 'source': split_part(entry, '=', 2)}
            )
        ))) as attribution_source,
    from (select distinct sources from found)
)

select
    s.request_key,
    s.source,
    s.source_account,
    s.source_row_id,
    s.source_row_version,
    s.entity_key,
    s.provider_response_id,
    s.gateway_call_id,
    s.trace_id,
    s.span_id,
    s.parent_span_id,
    s.root_span_id,
    s.session_id,
    s.task_id,
    s.row_kind,
    s.is_billable_leaf,
    s.started_at,
    s.ended_at,
    s.first_token_at,
    s.duration_ms,
    s.ttft_ms,
    s.provider,
    s.billing_account_id,
    s.model_maker,
    s.model_requested,
    s.model_served,
    s.model_canonical,
    s.region_class,
    s.region,
    s.service_tier,
    s.api_base,
{% for class in token_classes %}
    s.{{ class.tokens }},
{% endfor %}
    {{ total_of(cached_classes | selectattr("type", "eq", "cache_read"), "s") }} as cache_read_total_tokens,
    {{ total_of(cached_classes | selectattr("type", "eq", "cache_write"), "s") }} as cache_write_total_tokens,
    {{ total_of(input_classes, "s") }} as input_total_tokens,
    {{ total_of(output_classes, "s") }} as output_total_tokens,
    {{ total_of(token_classes, "s") }} as total_tokens,
    s.extra_units,
    s.unread_usage,
    s.unread_tokens,
    s.is_batch,
    s.speed,
    s.context_test_tokens,
    s.provider_total_tokens,
    s.usage_shape,
    s.usage_flags,
    s.usage_basis,
    s.usage_quality,
    s.cost_reported_usd,
    s.cost_reported_basis,
    s.status,
    s.http_status,
    s.error_class,
    s.fallback_of,
    s.attempt,
    s.is_retry,
    s.gateway_cache_hit,
    s.saved_cost_usd,
    s.step_index,
    s.max_output_tokens,
    s.prompt_hash,
    s.prompt_prefix_hash,
    s.static_prompt_tokens,
    s.outcome,
    coalesce(s.environment, s.account_environment, 'unattributed') as environment,
    s.release,
    coalesce(s.feature, 'unattributed') as feature,
    coalesce(s.team, s.owner_team, s.account_team, 'unattributed') as team,
    coalesce(s.cost_centre, s.feature_cost_centre, s.account_cost_centre, 'unattributed') as cost_centre,
    s.customer_id,
    coalesce(s.customer_tier, s.reference_customer_tier, 'unattributed') as customer_tier,
    s.user_id,
    s.workflow,
    s.step,
    s.prompt_name,
    s.prompt_version,
    s.api_key_name,
    s.request_tags,
    s.attributes,
    w.attribution_source,
from found as s
inner join combinations as w on s.sources = w.sources
