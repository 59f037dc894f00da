/*
about: >-
  Calls that several tools recorded: equal response id of the provider, else equal id of a gateway, else equal trace and span; of a
  coding agent also equal session and counts.
  Tokens and dollars are those of the tool that saw the wire, the owner is that of the tool that runs in the application
  (thresholds.csv has both orders); the rows of the others are duplicates. Looks only at ids that occur in more than one source or
  account, within a day. One row per call that another tool recorded too.
grain: [request_key]
order_by: [started_at, request_key]
partition: day
partition_column: started_at
reads_around: 1 day
columns:
  request_key: VARCHAR; the call in staged_requests
  started_at: TIMESTAMP WITH TIME ZONE; start of the call
  entity_key: VARCHAR; the call itself, equal for all rows of it
  is_counted: BOOLEAN; true where this row is booked, false where that of another tool is
  counted_source: VARCHAR; source whose rows are booked for the call
  environment: VARCHAR; deployment environment, of the tool that knows best; null where none does or the row is not counted
  release: VARCHAR; release of the application, of the tool that knows best; null where none does or the row is not counted
  feature: VARCHAR; product feature, of the tool that knows best; null where none does or the row is not counted
  fallback_feature: VARCHAR; feature where neither the row, its trace nor a rule names one, of the tool that knows best; null where none does or the row is not counted
  team: VARCHAR; owning team, of the tool that knows best; null where none does or the row is not counted
  cost_centre: VARCHAR; cost centre that bears the cost, of the tool that knows best; null where none does or the row is not counted
  customer_id: VARCHAR; customer of the company, of the tool that knows best; null where none does or the row is not counted
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), of the tool that knows best; null where none does or the row is not counted
  user_id: VARCHAR; end user, of the tool that knows best; null where none does or the row is not counted
  session_id: VARCHAR; agent run or conversation, of the tool that knows best; null where none does or the row is not counted
  task_id: VARCHAR; unit of user value the call worked for, of the tool that knows best; null where none does or the row is not counted
  workflow: VARCHAR; workflow that the call is a step of, of the tool that knows best; null where none does or the row is not counted
  fallback_task_id: VARCHAR; task where neither the row nor its trace names one, of the tool that knows best; null where none does or the row is not counted
  trace_id: VARCHAR; trace the call belongs to, of the tool that knows best; null where none does or the row is not counted
  step: VARCHAR; step within the workflow, of the tool that knows best; null where none does or the row is not counted
  outcome: VARCHAR; success or failure of the task, on its last call, of the tool that knows best; null where none does or the row is not counted
  prompt_name: VARCHAR; name of the prompt template, of the tool that knows best
  prompt_version: VARCHAR; version of the prompt template, as text, of the same tool as its name
  inherited: VARCHAR; where each came from in its tool, as dimension=own, dimension=root and so on, set apart by commas
notes:
  - Rows that only look alike (model, tokens, time) are never merged.
question: How many calls were recorded by two tools?
answer: >-
  select counted_source, count(*) filter (where is_counted) as calls, count(*) filter (where not is_counted) as duplicates
  from ledger_same_calls group by counted_source order by calls desc
*/
{% from "macros/versions.sql" import but_superseded with context %}
{% from "macros/tokens.sql" import cached_classes, input_classes, output_classes, sum_of with context %}
with tools as (
    select count(distinct source || '|' || source_account) > 1 as are_several
    from staged_requests
),

calls as (
    select
        s.request_key,
        s.started_at,
        s.source,
        s.source_account,
        s.provider_response_id,
        s.gateway_call_id,
        s.trace_id,
        s.span_id,
        -- A coding agent's session file and its telemetry share no other id where the agent is old, or Codex.
        case
            when s.fallback_feature in ('claude_code', 'codex') and s.session_id is not null
                then concat_ws(
                    '|', s.session_id, {{ sum_of(input_classes, "s", "_tokens") }}, {{ sum_of(cached_classes, "s", "_tokens") }},
                    {{ sum_of(output_classes, "s", "_tokens") }}
                )
        end as agent_call,
    from staged_requests as s
    cross join tools as t
    {{ but_superseded() }}
    left join ledger_span_roles as l on s.request_key = l.request_key
    where t.are_several and coalesce(l.is_billable_leaf, s.is_billable_leaf)
),

keyed as (
    select request_key, source, source_account, 'response|' || provider_response_id as call_id
    from calls
    where provider_response_id is not null
    union all
    select request_key, source, source_account, 'gateway|' || gateway_call_id as call_id
    from calls
    where gateway_call_id is not null
    union all
    select request_key, source, source_account, 'span|' || trace_id || '|' || span_id as call_id
    from calls
    where trace_id is not null and span_id is not null
    union all
    select request_key, source, source_account, 'agent|' || agent_call as call_id
    from calls
    where agent_call is not null
),

shared as (
    select call_id
    from keyed
    group by call_id
    having count(distinct source || '|' || source_account) > 1
),

linked as (
    select k.request_key, k.call_id
    from keyed as k
    inner join shared as s on k.call_id = s.call_id
),

-- A row may share one id with a second and another id with a third: the smallest key spreads over all of them.
first_spread as (
    select request_key, call_id, min(least(request_key, of_call)) over (partition by request_key) as entity
    from (select request_key, call_id, min(request_key) over (partition by call_id) as of_call from linked)
),

second_spread as (
    select request_key, call_id, min(of_call) over (partition by request_key) as entity
    from (select request_key, call_id, min(entity) over (partition by call_id) as of_call from first_spread)
),

entities as (
    select request_key, min(of_call) as entity
    from (select request_key, call_id, min(entity) over (partition by call_id) as of_call from second_spread)
    group by request_key
),

ranks as (
    select
        scope_value as source,
        max(case when limit_name = 'same_call_token_rank' then threshold_number end) as token_rank,
        max(case when limit_name = 'same_call_owner_rank' then threshold_number end) as owner_rank,
    from ref_limits
    where scope_kind = 'source' and valid_to_date = date '9999-12-31'
    group by scope_value
),

told as (
    select
        e.entity,
        s.request_key,
        s.started_at,
        s.source,
        s.source_account,
        coalesce(r.token_rank, 99) as token_rank,
        {
            'owner_rank': coalesce(r.owner_rank, 99),
            'source': s.source,
            'source_account': s.source_account,
            'started_at': s.started_at,
            'request_key': s.request_key
        } as place,
        coalesce(s.environment, o.environment) as environment,
        coalesce(s.release, o.release) as release,
        coalesce(s.feature, o.feature) as feature,
        coalesce(s.fallback_feature, o.fallback_feature) as fallback_feature,
        coalesce(s.team, o.team) as team,
        coalesce(s.cost_centre, o.cost_centre) as cost_centre,
        coalesce(s.customer_id, o.customer_id) as customer_id,
        coalesce(s.customer_tier, o.customer_tier) as customer_tier,
        coalesce(s.user_id, o.user_id) as user_id,
        coalesce(s.session_id, o.session_id) as session_id,
        coalesce(s.task_id, o.task_id) as task_id,
        coalesce(s.workflow, o.workflow) as workflow,
        s.fallback_task_id,
        s.trace_id,
        s.step,
        s.outcome,
        coalesce(s.prompt_name, o.prompt_name) as prompt_name,
        coalesce(s.prompt_version, o.prompt_version) as prompt_version,
        case when s.cost_centre is not null then 'own' else regexp_extract(o.inherited, '(^|,)cost_centre=([a-z]+)', 2) end as cost_centre_from,
        case when s.customer_id is not null then 'own' else regexp_extract(o.inherited, '(^|,)customer_id=([a-z]+)', 2) end as customer_id_from,
        case when s.customer_tier is not null then 'own' else regexp_extract(o.inherited, '(^|,)customer_tier=([a-z]+)', 2) end as customer_tier_from,
        case when s.environment is not null then 'own' else regexp_extract(o.inherited, '(^|,)environment=([a-z]+)', 2) end as environment_from,
        case when s.feature is not null then 'own' else regexp_extract(o.inherited, '(^|,)feature=([a-z]+)', 2) end as feature_from,
        case when s.prompt_name is not null then 'own' else regexp_extract(o.inherited, '(^|,)prompt_name=([a-z]+)', 2) end as prompt_name_from,
        case when s.release is not null then 'own' else regexp_extract(o.inherited, '(^|,)release=([a-z]+)', 2) end as release_from,
        case when s.session_id is not null then 'own' else regexp_extract(o.inherited, '(^|,)session_id=([a-z]+)', 2) end as session_id_from,
        case when s.task_id is not null then 'own' else regexp_extract(o.inherited, '(^|,)task_id=([a-z]+)', 2) end as task_id_from,
        case when s.team is not null then 'own' else regexp_extract(o.inherited, '(^|,)team=([a-z]+)', 2) end as team_from,
        case when s.user_id is not null then 'own' else regexp_extract(o.inherited, '(^|,)user_id=([a-z]+)', 2) end as user_id_from,
        case when s.workflow is not null then 'own' else regexp_extract(o.inherited, '(^|,)workflow=([a-z]+)', 2) end as workflow_from,
    from entities as e
    inner join staged_requests as s on e.request_key = s.request_key
    {{ but_superseded() }}
    left join ledger_span_owners as o on e.request_key = o.request_key
    left join ranks as r on s.source = r.source
),

known as (
    select
        entity,
        min({'token_rank': token_rank, 'source': source, 'source_account': source_account}) as counted,
        min(case when environment is not null then {'place': place, 'found': environment, 'found_from': environment_from} end) as environment,
        min(case when release is not null then {'place': place, 'found': release, 'found_from': release_from} end) as release,
        min(case when feature is not null then {'place': place, 'found': feature, 'found_from': feature_from} end) as feature,
        min(case when team is not null then {'place': place, 'found': team, 'found_from': team_from} end) as team,
        min(case when cost_centre is not null then {'place': place, 'found': cost_centre, 'found_from': cost_centre_from} end) as cost_centre,
        min(case when customer_id is not null then {'place': place, 'found': customer_id, 'found_from': customer_id_from} end) as customer_id,
        min(case when customer_tier is not null then {'place': place, 'found': customer_tier, 'found_from': customer_tier_from} end) as customer_tier,
        min(case when user_id is not null then {'place': place, 'found': user_id, 'found_from': user_id_from} end) as user_id,
        min(case when session_id is not null then {'place': place, 'found': session_id, 'found_from': session_id_from} end) as session_id,
        min(case when task_id is not null then {'place': place, 'found': task_id, 'found_from': task_id_from} end) as task_id,
        min(case when workflow is not null then {'place': place, 'found': workflow, 'found_from': workflow_from} end) as workflow,
        min(case when fallback_feature is not null then {'place': place, 'found': fallback_feature} end) as fallback_feature,
        min(case when fallback_task_id is not null then {'place': place, 'found': fallback_task_id} end) as fallback_task_id,
        min(case when trace_id is not null then {'place': place, 'found': trace_id} end) as trace_id,
        min(case when step is not null then {'place': place, 'found': step} end) as step,
        min(case when outcome is not null then {'place': place, 'found': outcome} end) as outcome,
        min(
            case when prompt_name is not null
                then {'place': place, 'found': prompt_name, 'found_from': prompt_name_from, 'prompt_version': prompt_version} end
        ) as prompt,
    from told
    group by entity
)

select
    t.request_key,
    t.started_at,
    md5('same call|' || t.entity) as entity_key,
    t.source = k.counted.source and t.source_account = k.counted.source_account as is_counted,
    k.counted.source as counted_source,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.environment.found end as environment,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.release.found end as release,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.feature.found end as feature,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.fallback_feature.found end as fallback_feature,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.team.found end as team,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.cost_centre.found end as cost_centre,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.customer_id.found end as customer_id,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.customer_tier.found end as customer_tier,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.user_id.found end as user_id,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.session_id.found end as session_id,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.task_id.found end as task_id,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.workflow.found end as workflow,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.fallback_task_id.found end as fallback_task_id,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.trace_id.found end as trace_id,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.step.found end as step,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.outcome.found end as outcome,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.prompt.found end as prompt_name,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then k.prompt.prompt_version end as prompt_version,
    case when t.source = k.counted.source and t.source_account = k.counted.source_account then concat_ws(
        ',',
        'cost_centre=' || k.cost_centre.found_from,
        'customer_id=' || k.customer_id.found_from,
        'customer_tier=' || k.customer_tier.found_from,
        'environment=' || k.environment.found_from,
        'feature=' || k.feature.found_from,
        'prompt_name=' || k.prompt.found_from,
        'release=' || k.release.found_from,
        'session_id=' || k.session_id.found_from,
        'task_id=' || k.task_id.found_from,
        'team=' || k.team.found_from,
        'user_id=' || k.user_id.found_from,
        'workflow=' || k.workflow.found_from
    ) end as inherited,
from told as t
inner join known as k on t.entity = k.entity
