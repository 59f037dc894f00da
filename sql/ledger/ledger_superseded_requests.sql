/*
about: >-
  Staged requests that the ledger does not book because another version of the same row counts: the newest, and of equal
  versions the one with the greatest content. Versions are looked for within seven days. One row per staged row not booked.
grain: [source, source_account, source_file_sha256, source_row]
partition: day
partition_column: usage_date
reads_around: 7 days
columns:
  usage_date: DATE; UTC day of the row that is not booked
{% include "parts/columns_record.sql" %}
  source_row_id: VARCHAR; the source's own key of the row
  reason: VARCHAR; why it is not booked, 'older version' or 'same version'
checks:
  - one_of: [reason, older version, same version]
*/
{% from "macros/versions.sql" import beaten_versions, from_beaten with context %}
with repeated as (
    select request_key
    from staged_requests
    group by request_key
    having count(*) > 1
),

versions as (
    select
        cast(s.started_at as date) as usage_date,
        s.request_key,
        s.source,
        s.source_account,
        s.source_file_sha256,
        s.source_row,
        s.source_row_id,
        coalesce(s.source_row_version, '') as version,
        md5(concat_ws(
            '|',
            coalesce(cast(s.source_row_id as varchar), ''),
            coalesce(cast(s.entity_key as varchar), ''),
            coalesce(cast(s.provider_response_id as varchar), ''),
            coalesce(cast(s.gateway_call_id as varchar), ''),
            coalesce(cast(s.trace_id as varchar), ''),
            coalesce(cast(s.span_id as varchar), ''),
            coalesce(cast(s.parent_span_id as varchar), ''),
            coalesce(cast(s.root_span_id as varchar), ''),
            coalesce(cast(s.session_id as varchar), ''),
            coalesce(cast(s.task_id as varchar), ''),
            coalesce(cast(s.row_kind as varchar), ''),
            coalesce(cast(s.is_billable_leaf as varchar), ''),
            coalesce(cast(s.started_at as varchar), ''),
            coalesce(cast(s.ended_at as varchar), ''),
            coalesce(cast(s.first_token_at as varchar), ''),
            coalesce(cast(s.duration_ms as varchar), ''),
            coalesce(cast(s.ttft_ms as varchar), ''),
            coalesce(cast(s.provider as varchar), ''),
            coalesce(cast(s.billing_account_id as varchar), ''),
            coalesce(cast(s.model_maker as varchar), ''),
            coalesce(cast(s.model_requested as varchar), ''),
            coalesce(cast(s.model_served as varchar), ''),
            coalesce(cast(s.region as varchar), ''),
            coalesce(cast(s.service_tier as varchar), ''),
            coalesce(cast(s.api_base as varchar), ''),
{% for class in token_classes %}
            coalesce(cast(s.{{ class.tokens }} as varchar), ''),
{% endfor %}
            coalesce(cast(s.extra_units as varchar), ''),
            coalesce(cast(s.is_batch as varchar), ''),
            coalesce(cast(s.speed as varchar), ''),
            coalesce(cast(s.context_test_tokens as varchar), ''),
            coalesce(cast(s.provider_total_tokens as varchar), ''),
            coalesce(cast(s.usage_shape as varchar), ''),
            coalesce(cast(s.usage_flags as varchar), ''),
            coalesce(cast(s.usage_basis as varchar), ''),
            coalesce(cast(s.usage_group as varchar), ''),
            coalesce(cast(s.usage_quality as varchar), ''),
            coalesce(cast(s.usage_raw as varchar), ''),
            coalesce(cast(s.cost_raw as varchar), ''),
            coalesce(cast(s.cost_reported_usd as varchar), ''),
            coalesce(cast(s.cost_reported_basis as varchar), ''),
            coalesce(cast(s.status as varchar), ''),
            coalesce(cast(s.http_status as varchar), ''),
            coalesce(cast(s.error_class as varchar), ''),
            coalesce(cast(s.fallback_of as varchar), ''),
            coalesce(cast(s.attempt as varchar), ''),
            coalesce(cast(s.is_retry as varchar), ''),
            coalesce(cast(s.gateway_cache_hit as varchar), ''),
            coalesce(cast(s.saved_cost_usd as varchar), ''),
            coalesce(cast(s.step_index as varchar), ''),
            coalesce(cast(s.max_output_tokens as varchar), ''),
            coalesce(cast(s.prompt_hash as varchar), ''),
            coalesce(cast(s.prompt_prefix_hash as varchar), ''),
            coalesce(cast(s.static_prompt_tokens as varchar), ''),
            coalesce(cast(s.outcome as varchar), ''),
            coalesce(cast(s.environment as varchar), ''),
            coalesce(cast(s.release as varchar), ''),
            coalesce(cast(s.feature as varchar), ''),
            coalesce(cast(s.team as varchar), ''),
            coalesce(cast(s.cost_centre as varchar), ''),
            coalesce(cast(s.customer_id as varchar), ''),
            coalesce(cast(s.customer_tier as varchar), ''),
            coalesce(cast(s.user_id as varchar), ''),
            coalesce(cast(s.workflow as varchar), ''),
            coalesce(cast(s.step as varchar), ''),
            coalesce(cast(s.prompt_name as varchar), ''),
            coalesce(cast(s.prompt_version as varchar), ''),
            coalesce(cast(s.api_key_name as varchar), ''),
            coalesce(cast(s.fallback_feature as varchar), ''),
            coalesce(cast(s.fallback_task_id as varchar), ''),
            coalesce(cast(s.request_tags as varchar), ''),
            coalesce(cast(s.attributes as varchar), '')
        )) as content,
    from staged_requests as s
    inner join repeated as r on s.request_key = r.request_key
),

-- The order is total: of rows that are equal in all but their place in the files, one place counts.
ranked as (
    select
        *,
        row_number() over (
            partition by request_key order by version desc, content desc, source_file_sha256, source_row
        ) as place,
    from versions
),

{{ beaten_versions("request_key") }}

select
    r.usage_date,
    r.source,
    r.source_account,
    r.source_file_sha256,
    r.source_row,
    r.source_row_id,
    case when b.best_version > r.version then 'older version' else 'same version' end as reason,
{{ from_beaten() }}
