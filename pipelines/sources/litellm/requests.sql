-- LiteLLM's rows and payloads -> requests. prompt_tokens includes the cache, spend may include a margin, and an answer out of
-- LiteLLM's own cache repeats the counts of the call that it stands in for.
with read as (
    select
        file_no,
        source_row,
        problem,
        said(coalesce(request_id, id)) as row_id,
        -- LiteLLM adds how a row came to be to the id of the response.
        regexp_replace(said(coalesce(request_id, id)), '(_cache_hit[0-9.]*|_batch_cost|_background_cost)$', '') as response_name,
        coalesce(ends_with(said(coalesce(request_id, id)), '_batch_cost'), false) as is_batch_total,
        dated(said(startTime)) as started_text,
        dated(said(endTime)) as ended_text,
        dated(said(completionStartTime)) as first_token_text,
        dated(said(updated_at)) as updated_text,
        lower(said(call_type)) as call_type,
        coalesce(lower(cache_hit) = 'true', false) as is_hit,
        said(model) as model,
        said(model_group) as model_group,
        said(custom_llm_provider) as named_provider,
        said(api_base) as api_base,
        said(team_id) as team_id,
        said(organization_id) as organization_id,
        said(end_user) as end_user,
        said(session_id) as session_id,
        said(trace_id) as trace_id,
        said(agent_id) as agent_id,
        said(coalesce(spend, response_cost)) as stated_cost,
        said(saved_cache_cost) as saved_cost,
        said(prompt_tokens) as prompt_tokens,
        said(completion_tokens) as completion_tokens,
        said(total_tokens) as total_tokens,
        lower(said(status)) as status,
        said(litellm_call_id) as call_id,
        coalesce(object_in(metadata), cast('{}' as json)) as meta,
        list_in(request_tags) as tags,
        object_in(cost_breakdown) as own_breakdown,
        object_in(error_information) as own_error,
        object_in(model_parameters) as parameters,
        object_in(model_map_information) as own_map,
        further,
    from records
),

opened as (
    select
        * exclude (call_id, own_breakdown, own_error, own_map),
        coalesce(call_id, said(meta ->> '$.litellm_call_id')) as call_id,
        coalesce(own_breakdown, object_in(json_extract(meta, '$.cost_breakdown'))) as breakdown,
        coalesce(own_error, object_in(json_extract(meta, '$.error_information'))) as error,
        said(coalesce(own_map, object_in(json_extract(meta, '$.model_map_information'))) ->> '$.model_map_key') as mapped_model,
        object_in(json_extract(meta, '$.usage_object')) as usage_stated,
        object_in(json_extract(meta, '$.additional_usage_values')) as usage_added,
        object_in(json_extract(meta, '$.spend_logs_metadata')) as own_metadata,
        object_in(json_extract(meta, '$.requester_metadata')) as sent_metadata,
        -- Pictures are counted as OpenAI does, and the counts of a chat are 0 beside them or absent.
        coalesce(whole(usage_stated ->> '$.prompt_tokens'), 0) + coalesce(whole(usage_stated ->> '$.completion_tokens'), 0) = 0
            and coalesce(whole(usage_stated ->> '$.input_tokens'), 0) + coalesce(whole(usage_stated ->> '$.output_tokens'), 0) > 0 as is_in_and_out,
        lower(said(meta ->> '$.internal_call_origin')) as origin,
        coalesce(status = 'failure' or lower(meta ->> '$.status') = 'failure', false) as is_failure,
        list_reverse(list_filter(tags, lambda tag: contains(tag, ':'))) as pairs,
    from read
),

told as (
    select
        *,
        -- Tags first, then what the caller sent along, then what LiteLLM knows of the key.
        {
            'names': list_concat(
                list_transform(pairs, lambda tag: lower(split_part(tag, ':', 1))), names_in(own_metadata), names_in(sent_metadata),
                ['end_user', 'user_api_key_alias', 'user_api_key_project_alias', 'team_id', 'organization_id', 'model_group']
            ),
            'texts': list_concat(
                list_transform(pairs, lambda tag: substr(tag, strpos(tag, ':') + 1)), texts_in(own_metadata), texts_in(sent_metadata),
                [end_user, said(meta ->> '$.user_api_key_alias'), said(meta ->> '$.user_api_key_project_alias'), team_id, organization_id, model_group]
            )
        } as named,
        case when not coalesce(is_in_and_out, false) then 'litellm.usage' when call_type like '%image%' then 'openai.images' else 'openai.responses' end
            as usage_kind,
        -- A failed call without counts has zeros; so has one whose usage was never seen.
        case
            when is_in_and_out then with_counts(json_merge_patch(
                usage_stated,
                case when whole(usage_stated ->> '$.total_tokens') > 0 then '{"prompt_tokens":null,"completion_tokens":null}'
                    else '{"prompt_tokens":null,"completion_tokens":null,"total_tokens":null}' end
            ), further)
            when (json_exists(usage_stated, '$.prompt_tokens') or json_exists(usage_stated, '$.seconds')) and not (is_failure and coalesce(whole(total_tokens), 0) = 0)
                then with_counts(usage_stated, further)
            when coalesce(whole(total_tokens), whole(prompt_tokens), whole(completion_tokens), 0) > 0 then json_merge_patch(
                with_counts(coalesce(usage_added, cast('{}' as json)), further),
                json_object('prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens, 'total_tokens', total_tokens)
            )
        end as usage_object,
        try_cast(started_text as timestamptz) as started,
        try_cast(stated_cost as decimal(18, 12)) as cost_stated,
        cast(try_cast(breakdown ->> '$.tool_usage_cost' as decimal(18, 9)) as decimal(38, 9)) as tool_fee,
        -- What LiteLLM adds by name, such as the flat price of a router: {"azure_model_router_flat_cost": 0.00014}.
        list_sum(try_cast(json_extract_string(breakdown, '$.additional_costs.*') as decimal(18, 9)[])) as other_fees,
        try_cast(breakdown ->> '$.original_cost' as decimal(18, 12)) as cost_original,
        coalesce(try_cast(breakdown ->> '$.margin_total_amount' as decimal(18, 12)) <> 0, false)
            or coalesce(try_cast(breakdown ->> '$.discount_amount' as decimal(18, 12)) <> 0, false) as is_marked_up,
        case when starts_with(response_name, 'resp_bGl0ZWxsbT')
            -- LiteLLM packs the provider's id into its own.
            then nullif(regexp_extract(try(decode(from_base64(substr(response_name, 6)))), 'response_id:([^;]+)', 1), '')
            when regexp_matches(response_name, '^(chatcmpl|cmpl|gen|resp|msg)[-_]') then response_name
        end as response_id,
        coalesce(
            nullif(seller_of(named_provider, cast(null as varchar), api_base), 'unknown'),
            lower(named_provider),
            seller_of(cast(null as varchar), model, api_base)
        ) as seller,
    from opened
),

/* usage_steps: told, usage_kind, usage_object */,

sorted as (
    select
        *,
        case
            when is_hit then 'gateway_cache_hit'
            when origin is not null then 'overhead'
            when call_type like '%mcp%' then 'tool'
            when call_type like '%embed%' then 'embedding'
            -- To fetch a response or a file again is no call of a model; the total of a batch is fetched that way too.
            when not is_batch_total and regexp_matches(call_type, '^a?(get|list|retrieve|delete|cancel|create_file|create_batch|file|_arealtime_health)')
                then 'other'
            else 'llm_call'
        end as kind,
        case
            when is_hit then cast(0 as decimal(18, 12))
            when classed.cost_reported_basis = 'own_key' then coalesce(classed.cost_reported_usd, nullif(cost_original, 0), nullif(cost_stated, 0))
            when is_marked_up and cost_original is not null then nullif(cost_original, 0)
            else coalesce(nullif(cost_stated, 0), classed.cost_reported_usd)
        end as cost,
    from usage_classed
)

select
    file_no,
    source_row,
    coalesce(
        problem,
        case
            when coalesce(call_id, row_id) is null or started_text is null
                then 'missing ' || concat_ws(
                    ', ',
                    case when coalesce(call_id, row_id) is null then 'request_id, id or litellm_call_id' end,
                    case when started_text is null then 'startTime' end
                )
        end,
        wrong_instant('startTime', started_text),
        wrong_instant('endTime', ended_text),
        wrong_instant('completionStartTime', first_token_text),
        wrong_count('prompt_tokens', prompt_tokens),
        wrong_count('completion_tokens', completion_tokens),
        wrong_count('total_tokens', total_tokens),
        classed.problem,
        wrong_usd('spend', stated_cost),
        wrong_usd('saved_cache_cost', saved_cost)
    ) as refusal,
    -- All attempts of a call bear its id; a failed one is a row of its own.
    coalesce(call_id, row_id) || case when is_failure then '|failure' else '' end as source_row_id,
    iso_instant(coalesce(try_cast(updated_text as timestamptz), try_cast(ended_text as timestamptz), started)) as source_row_version,
    case when not is_hit then response_id end as provider_response_id,
    call_id as gateway_call_id,
    hex_id(trace_id) as trace_id,
    coalesce(session_id, trace_id, dimension_of(named, 'session_id')) as session_id,
    dimension_of(named, 'task_id') as task_id,
    kind as row_kind,
    kind in ('llm_call', 'embedding') or (kind = 'overhead' and (usage_shape is not null or coalesce(cost > 0, false))) as is_billable_leaf,
    started as started_at,
    try_cast(ended_text as timestamptz) as ended_at,
    case when not is_failure then try_cast(first_token_text as timestamptz) end as first_token_at,
    owed_to(seller, classed.cost_reported_basis, cast(null as varchar), model) as provider,
    coalesce(model_group, model) as model_requested,
    -- The name that LiteLLM found the price under is that of the response: the same model with its date.
    case
        when regexp_matches(substr(split_part(mapped_model, '/', -1), length(split_part(model, '/', -1)) + 1), '^-[0-9]{4}-?[0-9]{2}-?[0-9]{2}$')
            and starts_with(split_part(mapped_model, '/', -1), split_part(model, '/', -1))
            then mapped_model
        else model
    end as model_served,
    coalesce(said(breakdown ->> '$.vertex_location'), classed.inference_geo) as region,
    coalesce(classed.service_tier, said(breakdown ->> '$.service_tier')) as service_tier,
    api_base,
    /* token_classes: classed */,
    classed.unread_usage as unread_usage,
    -- OpenAI's objects have no count of searches: without one the fee is what LiteLLM worked out.
    case
        when coalesce(cardinality(classed.extra_units), 0) = 0 and coalesce(tool_fee, 0) + coalesce(other_fees, 0) > 0
            then map {'tool_fee_usd': cast(coalesce(tool_fee, 0) + coalesce(other_fees, 0) as decimal(38, 9))}
        when other_fees > 0 then map_concat(classed.extra_units, map {'tool_fee_usd': cast(other_fees as decimal(38, 9))})
        else classed.extra_units
    end as extra_units,
    case when is_batch_total then true end as is_batch,
    classed.speed as speed,
    case when not is_batch_total then classed.context_test_tokens end as context_test_tokens,
    classed.provider_total_tokens as provider_total_tokens,
    usage_shape,
    classed.usage_flags as usage_flags,
    classed.usage_basis as usage_basis,
    case
        when is_hit then 'replayed'
        when is_failure and usage_shape is not null and cost is null then 'estimated'
        else classed.usage_quality
    end as usage_quality,
    usage_object as usage_raw,
    breakdown as cost_raw,
    cost as cost_reported_usd,
    case
        when classed.cost_reported_basis = 'own_key' and not is_hit then 'own_key'
        when cost is null then 'none'
        when is_marked_up then 'with_margin'
        when nullif(cost_stated, 0) is null and not is_hit then classed.cost_reported_basis
        else 'gateway_list'
    end as cost_reported_basis,
    case when is_failure then 'error' else 'ok' end as status,
    case when whole(error ->> '$.error_code') between 100 and 599 then cast(whole(error ->> '$.error_code') as integer) end as http_status,
    left(said(coalesce(error ->> '$.error_class', error ->> '$.normalized_error')), 200) as error_class,
    case when whole(meta ->> '$.attempted_fallbacks') > 0 then left(said(meta ->> '$.original_model_group'), 200) end as fallback_of,
    try_cast(whole(meta ->> '$.attempted_retries') + 1 as integer) as attempt,
    whole(meta ->> '$.attempted_retries') > 0 as is_retry,
    is_hit as gateway_cache_hit,
    nullif(try_cast(saved_cost as decimal(18, 12)), 0) as saved_cost_usd,
    whole(coalesce(
        parameters ->> '$.max_completion_tokens', parameters ->> '$.max_tokens', parameters ->> '$.max_output_tokens'
    )) as max_output_tokens,
    dimension_of(named, 'environment') as environment,
    dimension_of(named, 'release') as release,
    dimension_of(named, 'feature') as feature,
    coalesce(dimension_of(named, 'team'), left(coalesce(said(meta ->> '$.user_api_key_team_alias'), said(meta ->> '$.team_alias'), team_id), 200))
        as team,
    dimension_of(named, 'cost_centre') as cost_centre,
    dimension_of(named, 'customer_id') as customer_id,
    dimension_of(named, 'customer_tier') as customer_tier,
    dimension_of(named, 'user_id') as user_id,
    coalesce(dimension_of(named, 'workflow'), agent_id) as workflow,
    coalesce(dimension_of(named, 'step'), call_type) as step,
    coalesce(dimension_of(named, 'prompt_name'), said(meta ->> '$.prompt_management_metadata.prompt_id')) as prompt_name,
    dimension_of(named, 'prompt_version') as prompt_version,
    dimension_of(named, 'api_key_name') as api_key_name,
    hex_id(trace_id) as fallback_task_id,
    kept_tags(tags) as request_tags,
    kept_of(named) as attributes,
from sorted
