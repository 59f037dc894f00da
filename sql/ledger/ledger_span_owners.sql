/*
about: >-
  Whose a call is, where its own record does not say: each dimension from the nearest span above that has it, else from the root
  of the trace (its header included), else from any span of it, the earliest first. A prompt comes from spans above only: that of another
  call is not this one's. Rows of a trace are joined within seven days. One row per call that takes something from its trace.
grain: [request_key]
order_by: [started_at, request_key]
partition: day
partition_column: started_at
reads_around: 7 days
leads: [staged_requests]
columns:
  request_key: VARCHAR; the call in staged_requests
  started_at: TIMESTAMP WITH TIME ZONE; start of the call
  environment: VARCHAR; deployment environment, from elsewhere in the trace; null where the row has its own or none is known
  release: VARCHAR; release of the application, from elsewhere in the trace; null where the row has its own or none is known
  feature: VARCHAR; product feature, from elsewhere in the trace; null where the row has its own or none is known
  fallback_feature: VARCHAR; feature where neither the row, its trace nor a rule names one, from elsewhere in the trace; null where the row has its own or none is known
  team: VARCHAR; owning team, from elsewhere in the trace; null where the row has its own or none is known
  cost_centre: VARCHAR; cost centre that bears the cost, from elsewhere in the trace; null where the row has its own or none is known
  customer_id: VARCHAR; customer of the company, from elsewhere in the trace; null where the row has its own or none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), from elsewhere in the trace; null where the row has its own or none is known
  user_id: VARCHAR; end user, from elsewhere in the trace; null where the row has its own or none is known
  session_id: VARCHAR; agent run or conversation, from elsewhere in the trace; null where the row has its own or none is known
  task_id: VARCHAR; unit of user value the call worked for, from elsewhere in the trace; null where the row has its own or none is known
  workflow: VARCHAR; workflow that the call is a step of, from elsewhere in the trace; null where the row has its own or none is known
  prompt_name: VARCHAR; name of the prompt template, from a span above; null where the row has its own or none is known
  prompt_version: VARCHAR; version of the prompt template, as text, from the same span as its name
  inherited: VARCHAR; where each came from, as dimension=ancestor, dimension=root or dimension=trace, set apart by commas
checks:
  - not_null: [request_key, started_at, inherited]
question: How many calls know their team only from their trace?
answer: >-
  select count(*) filter (where team is not null) as calls_with_inherited_team, count(*) as calls from ledger_span_owners
*/
{% from "macros/traces.sql" import windows_of_traces with context %}
{% from "macros/versions.sql" import but_superseded with context %}
with recursive trace_days as (
    select
        source,
        source_account,
        trace_id,
        cast(started_at as date) as usage_date,
        count(*) as rows_of_day,
    from staged_requests
    where trace_id is not null
    group by source, source_account, trace_id, cast(started_at as date)
),

{{ windows_of_traces("trace_days", "sum(rows_of_day) > 1") }},

spans as (
    select
        s.request_key,
        s.started_at,
        s.source,
        s.source_account,
        s.trace_id,
        t.seen_date,
        t.is_long,
        s.span_id,
        s.parent_span_id,
        s.row_kind,
        s.row_kind = 'context' and s.span_id is null as is_header,
        s.environment,
        s.release,
        s.feature,
        s.fallback_feature,
        s.team,
        s.cost_centre,
        s.customer_id,
        s.customer_tier,
        s.user_id,
        s.session_id,
        s.task_id,
        s.workflow,
        s.prompt_name,
        s.prompt_version,
    from staged_requests as s
    inner join traces as t
        on s.source = t.source
        and s.source_account = t.source_account
        and s.trace_id = t.trace_id
        and cast(s.started_at as date) >= t.first_date
        and cast(s.started_at as date) <= t.last_date
    {{ but_superseded() }}
),

-- Of spans that share an id in their trace, and of headers of one trace, one stands for them.
heads as (
    select
        request_key,
        source,
        source_account,
        trace_id,
        seen_date,
        span_id,
    from spans
    where span_id is not null or is_header
    qualify row_number() over (partition by source, source_account, trace_id, seen_date, span_id order by started_at, request_key) = 1
),

linked as (
    select
        s.*,
        coalesce(p.request_key, h.request_key) as above_key,
        s.is_header or (s.span_id is not null and s.parent_span_id is null) as is_root,
    from spans as s
    left join heads as p
        on s.source = p.source
        and s.source_account = p.source_account
        and s.trace_id = p.trace_id
        and s.seen_date = p.seen_date
        and s.parent_span_id = p.span_id
        and s.request_key <> p.request_key
    left join heads as h
        on s.source = h.source
        and s.source_account = h.source_account
        and s.trace_id = h.trace_id
        and s.seen_date = h.seen_date
        and h.span_id is null
        and s.parent_span_id is null
        and not s.is_header
),

-- From the top of each tree downwards, so that every span is met once.
resolved as (
    select
        request_key,
        seen_date,
        is_root,
        environment,
        release,
        feature,
        fallback_feature,
        team,
        cost_centre,
        customer_id,
        customer_tier,
        user_id,
        session_id,
        task_id,
        workflow,
        prompt_name,
        prompt_version,
        case when environment is not null then 'own' end as environment_from,
        case when release is not null then 'own' end as release_from,
        case when feature is not null then 'own' end as feature_from,
        case when fallback_feature is not null then 'own' end as fallback_feature_from,
        case when team is not null then 'own' end as team_from,
        case when cost_centre is not null then 'own' end as cost_centre_from,
        case when customer_id is not null then 'own' end as customer_id_from,
        case when customer_tier is not null then 'own' end as customer_tier_from,
        case when user_id is not null then 'own' end as user_id_from,
        case when session_id is not null then 'own' end as session_id_from,
        case when task_id is not null then 'own' end as task_id_from,
        case when workflow is not null then 'own' end as workflow_from,
        case when prompt_name is not null then 'own' end as prompt_name_from,
    from linked
    where above_key is null
    union all
    select
        c.request_key,
        c.seen_date,
        c.is_root,
        coalesce(c.environment, p.environment) as environment,
        coalesce(c.release, p.release) as release,
        coalesce(c.feature, p.feature) as feature,
        coalesce(c.fallback_feature, p.fallback_feature) as fallback_feature,
        coalesce(c.team, p.team) as team,
        coalesce(c.cost_centre, p.cost_centre) as cost_centre,
        coalesce(c.customer_id, p.customer_id) as customer_id,
        coalesce(c.customer_tier, p.customer_tier) as customer_tier,
        coalesce(c.user_id, p.user_id) as user_id,
        coalesce(c.session_id, p.session_id) as session_id,
        coalesce(c.task_id, p.task_id) as task_id,
        coalesce(c.workflow, p.workflow) as workflow,
        coalesce(c.prompt_name, p.prompt_name) as prompt_name,
        case when c.prompt_name is not null then c.prompt_version else coalesce(c.prompt_version, p.prompt_version) end as prompt_version,
        case when c.environment is not null then 'own' when p.environment_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.environment_from end as environment_from,
        case when c.release is not null then 'own' when p.release_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.release_from end as release_from,
        case when c.feature is not null then 'own' when p.feature_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.feature_from end as feature_from,
        case when c.fallback_feature is not null then 'own' when p.fallback_feature_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.fallback_feature_from end as fallback_feature_from,
        case when c.team is not null then 'own' when p.team_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.team_from end as team_from,
        case when c.cost_centre is not null then 'own' when p.cost_centre_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.cost_centre_from end as cost_centre_from,
        case when c.customer_id is not null then 'own' when p.customer_id_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.customer_id_from end as customer_id_from,
        case when c.customer_tier is not null then 'own' when p.customer_tier_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.customer_tier_from end as customer_tier_from,
        case when c.user_id is not null then 'own' when p.user_id_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.user_id_from end as user_id_from,
        case when c.session_id is not null then 'own' when p.session_id_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.session_id_from end as session_id_from,
        case when c.task_id is not null then 'own' when p.task_id_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.task_id_from end as task_id_from,
        case when c.workflow is not null then 'own' when p.workflow_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.workflow_from end as workflow_from,
        case when c.prompt_name is not null then 'own' when p.prompt_name_from = 'own' then case when p.is_root then 'root' else 'ancestor' end else p.prompt_name_from end as prompt_name_from,
    from resolved as p
    inner join linked as c on c.above_key = p.request_key and c.seen_date = p.seen_date
),

-- Compared field by field: headers first, then the earliest span, of equal ones the smaller key.
trace_values as (
    select
        source,
        source_account,
        trace_id,
        seen_date,
        min(case when is_root and environment is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': environment} end) as root_environment,
        min(case when is_root and release is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': release} end) as root_release,
        min(case when is_root and feature is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': feature} end) as root_feature,
        min(case when is_root and fallback_feature is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': fallback_feature} end) as root_fallback_feature,
        min(case when is_root and team is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': team} end) as root_team,
        min(case when is_root and cost_centre is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': cost_centre} end) as root_cost_centre,
        min(case when is_root and customer_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': customer_id} end) as root_customer_id,
        min(case when is_root and customer_tier is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': customer_tier} end) as root_customer_tier,
        min(case when is_root and user_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': user_id} end) as root_user_id,
        min(case when is_root and session_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': session_id} end) as root_session_id,
        min(case when is_root and task_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': task_id} end) as root_task_id,
        min(case when is_root and workflow is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': workflow} end) as root_workflow,
        min(case when environment is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': environment} end) as any_environment,
        min(case when release is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': release} end) as any_release,
        min(case when feature is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': feature} end) as any_feature,
        min(case when fallback_feature is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': fallback_feature} end) as any_fallback_feature,
        min(case when team is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': team} end) as any_team,
        min(case when cost_centre is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': cost_centre} end) as any_cost_centre,
        min(case when customer_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': customer_id} end) as any_customer_id,
        min(case when customer_tier is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': customer_tier} end) as any_customer_tier,
        min(case when user_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': user_id} end) as any_user_id,
        min(case when session_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': session_id} end) as any_session_id,
        min(case when task_id is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': task_id} end) as any_task_id,
        min(case when workflow is not null then {'place': place, 'started_at': started_at, 'request_key': request_key, 'found': workflow} end) as any_workflow,
    from (select *, case when is_header then 0 else 1 end as place from linked)
    group by source, source_account, trace_id, seen_date
),

found as (
    select
        s.request_key,
        s.started_at,
        case when s.environment is null then coalesce(r.environment, t.root_environment.found, t.any_environment.found) end as environment,
        case when s.release is null then coalesce(r.release, t.root_release.found, t.any_release.found) end as release,
        case when s.feature is null then coalesce(r.feature, t.root_feature.found, t.any_feature.found) end as feature,
        case when s.fallback_feature is null then coalesce(r.fallback_feature, t.root_fallback_feature.found, t.any_fallback_feature.found) end as fallback_feature,
        case when s.team is null then coalesce(r.team, t.root_team.found, t.any_team.found) end as team,
        case when s.cost_centre is null then coalesce(r.cost_centre, t.root_cost_centre.found, t.any_cost_centre.found) end as cost_centre,
        case when s.customer_id is null then coalesce(r.customer_id, t.root_customer_id.found, t.any_customer_id.found) end as customer_id,
        case when s.customer_tier is null then coalesce(r.customer_tier, t.root_customer_tier.found, t.any_customer_tier.found) end as customer_tier,
        case when s.user_id is null then coalesce(r.user_id, t.root_user_id.found, t.any_user_id.found) end as user_id,
        case when s.session_id is null then coalesce(r.session_id, t.root_session_id.found, t.any_session_id.found) end as session_id,
        case when s.task_id is null then coalesce(r.task_id, t.root_task_id.found, t.any_task_id.found) end as task_id,
        case when s.workflow is null then coalesce(r.workflow, t.root_workflow.found, t.any_workflow.found) end as workflow,
        case when s.prompt_name is null then r.prompt_name end as prompt_name,
        case when s.prompt_version is null then r.prompt_version end as prompt_version,
        case when s.environment is not null then null when r.environment is not null then r.environment_from when t.root_environment is not null then 'root' when t.any_environment is not null then 'trace' end as environment_from,
        case when s.release is not null then null when r.release is not null then r.release_from when t.root_release is not null then 'root' when t.any_release is not null then 'trace' end as release_from,
        case when s.feature is not null then null when r.feature is not null then r.feature_from when t.root_feature is not null then 'root' when t.any_feature is not null then 'trace' end as feature_from,
        case when s.fallback_feature is not null then null when r.fallback_feature is not null then r.fallback_feature_from when t.root_fallback_feature is not null then 'root' when t.any_fallback_feature is not null then 'trace' end as fallback_feature_from,
        case when s.team is not null then null when r.team is not null then r.team_from when t.root_team is not null then 'root' when t.any_team is not null then 'trace' end as team_from,
        case when s.cost_centre is not null then null when r.cost_centre is not null then r.cost_centre_from when t.root_cost_centre is not null then 'root' when t.any_cost_centre is not null then 'trace' end as cost_centre_from,
        case when s.customer_id is not null then null when r.customer_id is not null then r.customer_id_from when t.root_customer_id is not null then 'root' when t.any_customer_id is not null then 'trace' end as customer_id_from,
        case when s.customer_tier is not null then null when r.customer_tier is not null then r.customer_tier_from when t.root_customer_tier is not null then 'root' when t.any_customer_tier is not null then 'trace' end as customer_tier_from,
        case when s.user_id is not null then null when r.user_id is not null then r.user_id_from when t.root_user_id is not null then 'root' when t.any_user_id is not null then 'trace' end as user_id_from,
        case when s.session_id is not null then null when r.session_id is not null then r.session_id_from when t.root_session_id is not null then 'root' when t.any_session_id is not null then 'trace' end as session_id_from,
        case when s.task_id is not null then null when r.task_id is not null then r.task_id_from when t.root_task_id is not null then 'root' when t.any_task_id is not null then 'trace' end as task_id_from,
        case when s.workflow is not null then null when r.workflow is not null then r.workflow_from when t.root_workflow is not null then 'root' when t.any_workflow is not null then 'trace' end as workflow_from,
        case when s.prompt_name is null then r.prompt_name_from end as prompt_name_from,
    from linked as s
    inner join trace_values as t
        on s.source = t.source and s.source_account = t.source_account and s.trace_id = t.trace_id and s.seen_date = t.seen_date
    left join resolved as r on s.request_key = r.request_key and s.seen_date = r.seen_date
    where s.row_kind <> 'context' and (not s.is_long or cast(s.started_at as date) = s.seen_date)
)

select
    request_key,
    started_at,
    environment,
    release,
    feature,
    fallback_feature,
    team,
    cost_centre,
    customer_id,
    customer_tier,
    user_id,
    session_id,
    task_id,
    workflow,
    prompt_name,
    prompt_version,
    concat_ws(
        ',',
        'cost_centre=' || cost_centre_from,
        'customer_id=' || customer_id_from,
        'customer_tier=' || customer_tier_from,
        'environment=' || environment_from,
        'feature=' || feature_from,
        'prompt_name=' || prompt_name_from,
        'release=' || release_from,
        'session_id=' || session_id_from,
        'task_id=' || task_id_from,
        'team=' || team_from,
        'user_id=' || user_id_from,
        'workflow=' || workflow_from
    ) as inherited,
from found
where coalesce(environment_from, release_from, feature_from, fallback_feature_from, team_from, cost_centre_from, customer_id_from, customer_tier_from, user_id_from, session_id_from, task_id_from, workflow_from, prompt_name_from) is not null
