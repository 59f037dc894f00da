{#
What `tokenbooks compare` compares: calls and tasks of both sides at one list of prices. Read by pipelines/compare/ from `compare_sides` (which
calls are of which side), and from ledger_requests, ledger_costs and ledger_tasks as it has laid them out.
#}
{% from "macros/cells.sql" import type_of %}
{% from "macros/days.sql" import local_date %}
with calls as (
    select
        s.side,
        r.request_key,
        r.source_account,
        r.feature,
        {{ type_of("r") }},
        r.user_id,
        r.customer_id,
        r.session_id,
        r.task_id,
        r.attributes,
        r.release,
        r.region,
        r.environment,
        r.team,
        r.customer_tier,
        r.prompt_version,
        r.provider,
        coalesce(r.model_canonical, r.model_served, 'unknown_model') as model_canonical,
        {{ local_date("r.started_at") }} as usage_date,
        r.status = 'ok' as is_ok,
        r.input_total_tokens,
        r.output_total_tokens,
        -- A call that failed without usage has no cost to know; one that went well, or counted tokens, lacks a price.
        c.effective_cost_usd is null and (r.status = 'ok' or coalesce(r.total_tokens, 0) > 0) as is_unpriced,
{% for class in token_classes %}
        r.{{ class.tokens }},
        c.{{ class.name }}_cost_usd,
{% endfor %}
        c.effective_cost_usd,
    from ledger_requests as r
    inner join compare_sides as s on r.request_key = s.request_key
    inner join ledger_costs as c on r.request_key = c.request_key
    cross join ref_reporting as z
    where s.is_selected and r.is_billable_leaf
),

lacking as (
    select r.source_account, r.task_id, count(*) as failed_without_usage
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key
    where r.task_id is not null and c.effective_cost_usd is null and r.status <> 'ok' and coalesce(r.total_tokens, 0) = 0
    group by r.source_account, r.task_id
)

select
    'request' as counted,
    c.* exclude (source_account),
    c.effective_cost_usd as unit_cost_usd,
from calls as c
union all by name
select
    'task' as counted,
    c.* exclude (
        source_account, effective_cost_usd, input_total_tokens, output_total_tokens, is_ok, is_unpriced
{% for class in token_classes %}
        , {{ class.tokens }}, {{ class.name }}_cost_usd
{% endfor %}
    ),
    true as is_ok,
    t.input_total_tokens,
    t.output_total_tokens,
    t.unpriced_requests > coalesce(l.failed_without_usage, 0) as is_unpriced,
    case when t.unpriced_requests <= coalesce(l.failed_without_usage, 0) then t.effective_cost_usd end as unit_cost_usd,
from calls as c
inner join ledger_tasks as t on c.request_key = t.first_request_key
left join lacking as l on t.source_account = l.source_account and t.task_id = l.task_id
