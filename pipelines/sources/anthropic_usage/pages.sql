-- Pages -> one row a result. Three envelopes: buckets with results (the Admin API, and the older form of the Analytics API), flat
-- rows of group and usage or cost (the Analytics API), and a day of a developer with a list of models (the claude_code report).
with items as (
    select
        file_no,
        page_no,
        try_cast(data_refreshed_at as timestamptz) as refreshed_at,
        unnest(from_json(data, '["JSON"]')) as item,
        generate_subscripts(from_json(data, '["JSON"]'), 1) as item_no,
    from pages
    where json_type(data) = 'ARRAY'
),

opened as (
    select
        *,
        case
            when json_type(item, '$.results') = 'ARRAY' then from_json(json_extract(item, '$.results'), '["JSON"]')
            when json_type(item, '$.model_breakdown') = 'ARRAY' then from_json(json_extract(item, '$.model_breakdown'), '["JSON"]')
            -- The fields of a flat row go by the names that they have in a result.
            when json_exists(item, '$.usage') or json_exists(item, '$.cost') then [json_merge_patch(
                coalesce(json_extract(item, '$.group'), '{}'), coalesce(json_extract(item, '$.usage'), json_extract(item, '$.cost'), '{}')
            )]
        end as parts,
        case
            when json_type(item) is distinct from 'OBJECT' then 'a JSON ' || lower(coalesce(json_type(item), 'null')) || ', expected an object'
            when parts is null then 'a row without results, usage or cost'
        end as fault,
        coalesce(item ->> '$.starting_at', item ->> '$.date') as starts,
        item ->> '$.ending_at' as ends,
        coalesce(json_exists(item, '$.model_breakdown'), false) as is_developer,
        case when is_developer then from_json(
            item,
            '{"organization_id":"VARCHAR", "customer_type":"VARCHAR", "actor":{"type":"VARCHAR", "email_address":"VARCHAR", "api_key_name":"VARCHAR"}}'
        ) end as developer,
    from items
),

results as (
    select
        file_no,
        page_no,
        item_no,
        refreshed_at,
        is_developer,
        developer,
        starts,
        ends,
        fault,
        unnest(case when coalesce(len(parts), 0) = 0 then [null] else parts end) as part,
        generate_subscripts(case when coalesce(len(parts), 0) = 0 then [null] else parts end, 1) as part_no,
    from opened
    union all
    -- An error answer among the pages: what should have been there is missing.
    select
        file_no,
        page_no,
        0 as item_no,
        null as refreshed_at,
        false as is_developer,
        null as developer,
        null as starts,
        null as ends,
        'page ' || page_no || ' has no list of data; pull it again' as fault,
        null as part,
        0 as part_no,
    from pages
    where json_type(data) is distinct from 'ARRAY'
),

parsed as (
    select
        *,
        row_number() over (partition by file_no order by page_no, item_no, part_no) as source_row,
        from_json(part, '{
            "uncached_input_tokens":"VARCHAR", "cache_read_input_tokens":"VARCHAR", "output_tokens":"VARCHAR", "total_tokens":"VARCHAR",
            "cache_creation":{"ephemeral_5m_input_tokens":"VARCHAR", "ephemeral_1h_input_tokens":"VARCHAR"},
            "server_tool_use":{"web_search_requests":"VARCHAR"}, "requests":"VARCHAR",
            "amount":"VARCHAR", "list_amount":"VARCHAR", "currency":"VARCHAR", "description":"VARCHAR", "cost_type":"VARCHAR",
            "token_type":"VARCHAR", "model":"VARCHAR", "workspace_id":"VARCHAR", "api_key_id":"VARCHAR", "account_id":"VARCHAR",
            "service_account_id":"VARCHAR", "service_tier":"VARCHAR", "context_window":"VARCHAR", "inference_geo":"VARCHAR", "speed":"VARCHAR",
            "actor":"JSON", "actor_type":"VARCHAR", "agent_id":"VARCHAR", "session_id":"VARCHAR", "deployment_id":"VARCHAR",
            "environment_id":"VARCHAR", "organization_id":"VARCHAR", "rbac_group_id":"VARCHAR", "user_profile_id":"VARCHAR",
            "product":"VARCHAR", "slack_channel_id":"VARCHAR", "claude_tag_category":"VARCHAR", "claude_tag_user_id":"VARCHAR",
            "tokens":{"input":"VARCHAR", "output":"VARCHAR", "cache_read":"VARCHAR", "cache_creation":"VARCHAR"}
        }') as r,
    from results
),

named as (
    select
        *,
        case
            when is_developer then 'claude_code'
            when json_exists(part, '$.amount') then 'costs'
            when part is not null then 'usage'
        end as own_endpoint,
        -- An actor is an object of its kind and its id; some write the id alone.
        case
            when json_type(r.actor) = 'OBJECT' then coalesce(r.actor ->> '$.type', r.actor_type)
            else r.actor_type
        end as actor_kind,
        case
            when json_type(r.actor) = 'OBJECT'
                then coalesce(r.actor ->> '$.user_id', r.actor ->> '$.api_key_id', r.actor ->> '$.service_account_id', r.actor ->> '$.subject')
            else r.actor ->> '$'
        end as actor_id,
    from parsed
),

per_file as (
    select
        file_no,
        min(own_endpoint) as endpoint,
        max(refreshed_at) as refreshed_at,
        bool_or(r.rbac_group_id is not null) as has_groups,
        bool_or(r.claude_tag_user_id is not null) as has_tag_users,
        -- What a pull was grouped by is told from the dimensions that have a value anywhere in the file.
        case when count(part) > 0 then list_sort(list_filter([
            case when count(r.workspace_id) > 0 then 'workspace_id' end,
            case when count(r.api_key_id) > 0 then 'api_key_id' end,
            case when count(r.model) > 0 then 'model' end,
            case when count(r.service_tier) > 0 then 'service_tier' end,
            case when count(r.context_window) > 0 then 'context_window' end,
            case when count(r.inference_geo) > 0 then 'inference_geo' end,
            case when count(r.speed) > 0 then 'speed' end,
            case when count(r.account_id) > 0 then 'account_id' end,
            case when count(r.service_account_id) > 0 then 'service_account_id' end,
            case when count(r.actor) > 0 then 'actor' end,
            case when count(r.actor_type) > 0 then 'actor_type' end,
            case when count(r.agent_id) > 0 then 'agent_id' end,
            case when count(r.session_id) > 0 then 'session_id' end,
            case when count(r.deployment_id) > 0 then 'deployment_id' end,
            case when count(r.environment_id) > 0 then 'environment_id' end,
            case when count(r.organization_id) > 0 then 'organization_id' end,
            case when count(r.user_profile_id) > 0 then 'user_profile_id' end,
            case when count(r.product) > 0 then 'product' end,
            case when count(r.slack_channel_id) > 0 then 'slack_channel_id' end,
            case when count(r.claude_tag_category) > 0 then 'claude_tag_category' end,
            case when count(r.description) > 0 or count(r.cost_type) > 0 or count(r.token_type) > 0 then 'line_item' end
        ], lambda grain: grain is not null)) end as pull_grain,
    from named
    group by file_no
)

select
    n.file_no,
    n.source_row,
    n.fault as problem,
    coalesce(n.own_endpoint, p.endpoint, f.endpoint_of_name) as endpoint,
    p.pull_grain,
    p.refreshed_at as pulled_at,
    false as covers_range,
    case
        when n.part is null and n.fault is null then 'context (empty bucket)'
        -- A member of two groups is in both rows, and tag users are not all there are: neither adds up to the whole.
        when p.has_groups then 'context (rows of rbac_group_id overlap)'
        when p.has_tag_users then 'context (rows of claude_tag_user_id are not the whole)'
        when n.own_endpoint = 'claude_code' and n.developer.customer_type is distinct from 'subscription' then 'context (also in the usage report)'
    end as context,
    n.starts,
    case when not n.is_developer then n.ends end as ends,
    n.is_developer as is_day,
    -- Who the user is stands in its own column, pseudonymised.
    json_merge_patch(
        n.part,
        '{"account_id": null, "actor": null, "claude_tag_user_id": null}',
        case when n.is_developer then json_object('date', n.starts, 'customer_type', n.developer.customer_type) else '{}' end
    ) as raw,
    coalesce(n.r.uncached_input_tokens, n.r.tokens.input) as uncached_tokens,
    coalesce(n.r.cache_read_input_tokens, n.r.tokens.cache_read) as cache_read,
    n.r.cache_creation.ephemeral_5m_input_tokens as cache_write_5m,
    n.r.cache_creation.ephemeral_1h_input_tokens as cache_write_1h,
    n.r.tokens.cache_creation as cache_write,
    coalesce(n.r.output_tokens, n.r.tokens.output) as output_tokens,
    n.r.total_tokens as total_tokens,
    n.r.server_tool_use.web_search_requests as web_searches,
    n.r.requests as request_count,
    n.r.amount as amount_text,
    n.r.list_amount as list_text,
    case json_type(n.part, '$.amount') when 'VARCHAR' then 'cents_str' else 'cents_number' end as amount_scale_source,
    n.r.currency as currency,
    n.r.description as line_item,
    n.r.cost_type as cost_type,
    n.r.token_type as token_type,
    n.r.model as model_raw,
    coalesce(n.r.organization_id, n.developer.organization_id) as org_id,
    -- The default workspace has no id in the Admin API.
    coalesce(n.r.workspace_id, case when list_contains(p.pull_grain, 'workspace_id') then 'default' end) as workspace_id,
    cast(null as varchar) as workspace_name,
    coalesce(n.r.api_key_id, case when n.actor_kind = 'api_actor' then n.actor_id end) as api_key_id,
    n.developer.actor.api_key_name as api_key_name,
    coalesce(n.r.account_id, case when n.actor_kind is null or n.actor_kind = 'user_actor' then n.actor_id end, n.developer.actor.email_address) as user_id,
    coalesce(n.r.service_account_id, case when n.actor_kind not in ('user_actor', 'api_actor') then n.actor_id end) as principal,
    coalesce(n.r.agent_id, n.r.deployment_id, n.r.environment_id, n.r.session_id) as workload_ref,
    map_from_entries(list_filter([
        {'key': 'product', 'value': n.r.product},
        {'key': 'user_profile_id', 'value': n.r.user_profile_id},
        {'key': 'slack_channel_id', 'value': n.r.slack_channel_id},
        {'key': 'claude_tag_category', 'value': n.r.claude_tag_category},
        {'key': 'session_id', 'value': n.r.session_id}
    ], lambda tag: tag.value is not null)) as tags,
    n.r.service_tier as service_tier,
    n.r.context_window as context_window,
    n.r.inference_geo as inference_geo,
    n.r.speed as speed,
    case when n.own_endpoint = 'claude_code' then 'subscription' end as billing_account_id,
    false as billed_is_rounded,
    100 as units_in_major,
from named as n
inner join per_file as p on n.file_no = p.file_no
inner join page_files as f on n.file_no = f.file_no
