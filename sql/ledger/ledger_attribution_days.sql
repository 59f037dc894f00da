/*
about: >-
  For each dimension how calls came by their value, and who called: what attribution and the list of untagged callers sum up. One
  row per day, dimension, origin of the value and caller.
grain: [usage_date, dimension, value_source, source, source_account, api_key_name, provider, model_canonical, environment]
partition: day
leads: [ledger_requests]
columns:
  usage_date: DATE; UTC day of the calls
  dimension: VARCHAR; which of the dimensions that a cost is told by: feature, team, cost_centre, customer_tier, environment, customer_id, user_id ..., or model_tier
  value_source: VARCHAR; where the value came from (own, ancestor, root, trace, rule, reference, account), 'unattributed' where there is none
  source: VARCHAR; folder of landing/ that the calls came from
  source_account: VARCHAR; first folder below the source, else 'default'
  api_key_name: VARCHAR; what its owner calls the key; null where unknown
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  environment: VARCHAR; deployment environment, 'unattributed' where none is known
  requests: BIGINT; calls
  unpriced_requests: BIGINT; of these, calls without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls, 0 where none is priced
checks:
  - rule: requests >= unpriced_requests
  - one_of: [value_source, own, ancestor, root, trace, rule, reference, account, unattributed]
*/
{% from "macros/tiers.sql" import tier_of %}
{# Who calls, and what: the columns that an owner is looked for by. #}
{% set caller = ["source", "source_account", "api_key_name", "provider", "model_canonical", "environment"] %}
with calls as (
    select
        cast(r.started_at as date) as usage_date,
        r.source,
        r.source_account,
        r.api_key_name,
        r.provider,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.environment,
        c.effective_cost_usd,
        case when r.feature <> 'unattributed' then coalesce(r.attribution_source['feature'], 'own') else 'unattributed' end as feature_from,
        case when r.team <> 'unattributed' then coalesce(r.attribution_source['team'], 'own') else 'unattributed' end as team_from,
        case when r.cost_centre <> 'unattributed' then coalesce(r.attribution_source['cost_centre'], 'own') else 'unattributed' end as cost_centre_from,
        case when r.customer_tier <> 'unattributed' then coalesce(r.attribution_source['customer_tier'], 'own') else 'unattributed' end as customer_tier_from,
        case when r.environment <> 'unattributed' then coalesce(r.attribution_source['environment'], 'own') else 'unattributed' end as environment_from,
        case when r.customer_id is not null then coalesce(r.attribution_source['customer_id'], 'own') else 'unattributed' end as customer_id_from,
        case when r.user_id is not null then coalesce(r.attribution_source['user_id'], 'own') else 'unattributed' end as user_id_from,
        case when r.task_id is not null then coalesce(r.attribution_source['task_id'], 'own') else 'unattributed' end as task_id_from,
        case when r.session_id is not null then coalesce(r.attribution_source['session_id'], 'own') else 'unattributed' end as session_id_from,
        case when r.workflow is not null then coalesce(r.attribution_source['workflow'], 'own') else 'unattributed' end as workflow_from,
        case when r.step is not null then coalesce(r.attribution_source['step'], 'own') else 'unattributed' end as step_from,
        case when r.prompt_name is not null then coalesce(r.attribution_source['prompt_name'], 'own') else 'unattributed' end as prompt_name_from,
        case when r.prompt_version is not null then coalesce(r.attribution_source['prompt_version'], 'own') else 'unattributed' end as prompt_version_from,
        case when r.release is not null then coalesce(r.attribution_source['release'], 'own') else 'unattributed' end as release_from,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    where r.is_billable_leaf
),

-- Few calls differ in all of this: summed before they are told dimension by dimension.
summed as (
    select
        usage_date,
        {{ caller | join(", ") }},
        feature_from,
        team_from,
        cost_centre_from,
        customer_tier_from,
        environment_from,
        customer_id_from,
        user_id_from,
        task_id_from,
        session_id_from,
        workflow_from,
        step_from,
        prompt_name_from,
        prompt_version_from,
        release_from,
        count(*) as requests,
        count(case when effective_cost_usd is null then 1 end) as unpriced_requests,
        coalesce(sum(effective_cost_usd), 0) as effective_cost_usd,
    from calls
    group by
        usage_date, {{ caller | join(", ") }},
        feature_from, team_from, cost_centre_from, customer_tier_from, environment_from, customer_id_from, user_id_from,
        task_id_from, session_id_from, workflow_from, step_from, prompt_name_from, prompt_version_from, release_from
),

dimensions as (
    select 'feature' as dimension
    union all select 'team'
    union all select 'cost_centre'
    union all select 'customer_tier'
    union all select 'environment'
    union all select 'customer_id'
    union all select 'user_id'
    union all select 'task_id'
    union all select 'session_id'
    union all select 'workflow'
    union all select 'step'
    union all select 'prompt_name'
    union all select 'prompt_version'
    union all select 'release'
    union all select 'model_tier'
),

told as (
    select
        s.usage_date,
        d.dimension,
        case d.dimension
            when 'feature' then s.feature_from
            when 'team' then s.team_from
            when 'cost_centre' then s.cost_centre_from
            when 'customer_tier' then s.customer_tier_from
            when 'environment' then s.environment_from
            when 'customer_id' then s.customer_id_from
            when 'user_id' then s.user_id_from
            when 'task_id' then s.task_id_from
            when 'session_id' then s.session_id_from
            when 'workflow' then s.workflow_from
            when 'step' then s.step_from
            when 'prompt_name' then s.prompt_name_from
            when 'prompt_version' then s.prompt_version_from
            when 'release' then s.release_from
            when 'model_tier' then case when m.model_tier is not null then 'reference' else 'unattributed' end
        end as value_source,
        s.source,
        s.source_account,
        s.api_key_name,
        s.provider,
        s.model_canonical,
        s.environment,
        s.requests,
        s.unpriced_requests,
        s.effective_cost_usd,
    from summed as s
    cross join dimensions as d
    left join {{ tier_of("s", "s.usage_date") }}
)

select
    usage_date,
    dimension,
    value_source,
    {{ caller | join(", ") }},
    cast(sum(requests) as bigint) as requests,
    cast(sum(unpriced_requests) as bigint) as unpriced_requests,
    cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
from told
group by
    usage_date, dimension, value_source, {{ caller | join(", ") }}
