{#
The calls of the ledger as rows of a replay. A call can be replayed (`is_open`) where its cost is its tokens times rates of the book; what
a provider stated, what throughput or a seat paid for, and answers of a gateway's own cache stay as they are. Classes of tokens that no call
of the window has are not read.
#}
{% from "macros/rate_keys.sql" import context_tokens, scopes, scopes_of_calls, scopes_of_days with context %}
{% from "macros/replay.sql" import cases with context %}
with {{ scopes_of_days }}

costs as (
    select
        request_key as cost_key,
        started_at as costed_at,
        effective_cost_usd,
        units_cost_usd,
        coalesce(
            effective_cost_usd = contracted_cost_usd
            and cost_reason is distinct from 'cache_hit'
            and cost_reason is distinct from 'provider_stated',
            false
        ) as is_open,
    from ledger_costs
    where started_at >= timestamptz '{{ first }}' and started_at < timestamptz '{{ end }}'
),

calls as (
    select *
    from ledger_requests
    where is_billable_leaf and started_at >= timestamptz '{{ first }}' and started_at < timestamptz '{{ end }}'
)

select
    q.request_key,
    q.started_at,
    cast(q.started_at as date) as usage_date,
    q.feature,
    case
        when q.workflow is null and q.step is null then '(unnamed)'
        else concat_ws('/', q.workflow, q.step)
    end as workflow_step,
    coalesce(q.prompt_name, '(unnamed)') as prompt_name,
    coalesce(q.prompt_version, '') as prompt_version,
    q.customer_tier,
    coalesce(q.customer_id, '') as customer_id,
    q.user_id,
    q.session_id,
    q.prompt_hash,
    q.prompt_prefix_hash,
    q.static_prompt_tokens,
{% if is_in_step %}
    -- Both tables are kept in one order, and were found to be of one length: no search by key. Two different keys end the query.
    case when q.request_key = c.cost_key then c.is_open else cast(error('{{ out_of_step }}') as boolean) end as is_open,
{% else %}
    coalesce(c.is_open, false) as is_open,
{% endif %}
    false as is_covered,
    false as is_changed,
    false as is_moved,
    cast(1 as bigint) as requests,
    c.effective_cost_usd,
    coalesce(c.units_cost_usd, 0) as units_cost_usd,
    {{ context_tokens }} as context_tokens,
    -- Calls of one user are not independent of each other: an interval draws users, beyond a number of them in groups.
{% if has_users %}
    case
        when q.user_id is not null then hash(q.user_id)
        when q.customer_id is not null then hash(q.customer_id, 'customer')
        when q.session_id is not null then hash(q.session_id, 'session')
        else hash(cast(q.started_at as date), q.feature, q.workflow, q.step, q.prompt_name)
    end{{ " % " ~ user_groups if user_groups }} as draw_group,
{% else %}
    cast(0 as ubigint) as draw_group,
{% endif %}
    q.provider,
    coalesce(q.model_canonical, '') as model_canonical,
    coalesce(q.service_tier, '') as service_tier,
    coalesce(q.is_batch, false) as is_batch,
    coalesce(q.speed, '') as speed,
    coalesce(q.region, '') as region,
    coalesce(q.region_class, '') as region_class,
{% for name, _ in scopes %}
    coalesce({{ name }}.scope, '') as {{ name }}_scope,
{% endfor %}
{% for case in cases %}
    cast(1 as decimal(18, 9)) as weight_{{ case }},
    cast(1 as decimal(18, 9)) as input_factor_{{ case }},
    cast(1 as decimal(18, 9)) as output_factor_{{ case }},
    cast(0 as decimal(18, 9)) as cold_share_{{ case }},
    cast(0 as decimal(38, 15)) as added_{{ case }}_usd,
{% endfor %}
{% for class in token_classes %}
    {{ "coalesce(q." ~ class.tokens ~ ", 0)" if class.name in live_classes else "cast(0 as bigint)" }} as {{ class.tokens }},
{% endfor %}
from calls as q
{% if is_in_step %}
positional join costs as c
{% else %}
left join costs as c on q.request_key = c.cost_key and q.started_at = c.costed_at
{% endif %}
{{ scopes_of_calls }}
