/*
about: >-
  Staged requests that the ledger does not book because another version of the same row counts: the newest, and of equal
  versions the one with the greatest content; and what a session that branched off copied of the one before it: its first counts, as
  far as that session has them too, or, where no row of that one is known, as far as they follow each other within a second. Looks
  seven days around. One row per staged row not booked.
grain: [source, source_account, source_file_sha256, source_row]
partition: day
partition_column: usage_date
reads_around: 7 days
meets: select cast(s.started_at as date) as day, hash(s.request_key) as link, hash(s) as content from staged_requests as s
columns:
  usage_date: DATE; UTC day of the row that is not booked
{% include "parts/columns_record.sql" %}
  source_row_id: VARCHAR; the source's own key of the row
  reason: VARCHAR; why it is not booked, 'older version', 'same version' or 'copied count'
checks:
  - one_of: [reason, older version, same version, copied count]
*/
{% from "macros/versions.sql" import beaten_versions, from_beaten with context %}
with branched as (
    select
        cast(started_at as date) as usage_date,
        source,
        source_account,
        source_file_sha256,
        source_row,
        source_row_id,
        started_at,
        forked_at,
        counts_so_far,
        forked_from,
    from staged_requests
    -- A copy is written when the session branches off.
    where forked_from is not null and started_at < forked_at + interval 1 day
),

before_branch as (
    select b.source, b.source_account, b.source_file_sha256, p.counts_so_far, min(p.started_at) as counted_at
    from (
        select distinct source, source_account, source_file_sha256, unnest(forked_from) as session_id
        from branched
    ) as b
    inner join staged_requests as p on b.source = p.source and b.session_id = p.session_id
    where p.counts_so_far is not null
    group by b.source, b.source_account, b.source_file_sha256, p.counts_so_far
),

-- Counts of a branch in the order of its file: each with whether the session before it had it when the branch began.
compared as (
    select
        b.*,
        k.source_file_sha256 is not null as is_known,
        coalesce(p.counted_at <= min(b.started_at) over of_branch, false) as is_counted_before,
        b.started_at - lag(b.started_at) over of_branch < interval 1 second as follows_at_once,
        lead(b.started_at) over of_branch - b.started_at < interval 1 second as is_followed_at_once,
    from branched as b
    left join before_branch as p
        on b.source = p.source
        and b.source_account = p.source_account
        and b.source_file_sha256 = p.source_file_sha256
        and b.counts_so_far = p.counts_so_far
    left join (select distinct source, source_account, source_file_sha256 from before_branch) as k
        on b.source = k.source and b.source_account = k.source_account and b.source_file_sha256 = k.source_file_sha256
    where b.counts_so_far is not null
    window of_branch as (partition by b.source, b.source_account, b.source_file_sha256 order by b.source_row)
),

beginnings as (
    select
        *,
        bool_and(case
            when is_known then is_counted_before
            else coalesce(follows_at_once, is_followed_at_once or started_at - forked_at < interval 1 second)
        end) over (
            partition by source, source_account, source_file_sha256 order by source_row rows between unbounded preceding and current row
        ) as is_copy,
    from compared
),

copied as (
    select source, source_account, source_file_sha256, source_row
    from beginnings
    where is_copy
    union all
    -- What was spent in between goes with them, though no count holds it.
    select b.source, b.source_account, b.source_file_sha256, b.source_row
    from branched as b
    inner join (
        select source, source_account, source_file_sha256, max(started_at) as last_copied_at
        from beginnings
        where is_copy
        group by source, source_account, source_file_sha256
    ) as l
        on b.source = l.source and b.source_account = l.source_account and b.source_file_sha256 = l.source_file_sha256
    where b.counts_so_far is null and b.started_at < l.last_copied_at + interval 1 second
),

originals as (
    select s.*
    from staged_requests as s
    anti join copied as c
        on s.source_file_sha256 = c.source_file_sha256
        and s.source_row = c.source_row
        and s.source_account = c.source_account
        and s.source = c.source
),

repeated as (
    select request_key
    from originals
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
            coalesce(cast(s.unread_usage as varchar), ''),
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
            coalesce(cast(s.attributes as varchar), ''),
            coalesce(cast(s.counts_so_far as varchar), ''),
            coalesce(cast(s.forked_from as varchar), ''),
            coalesce(cast(s.forked_at as varchar), '')
        )) as content,
    from originals as s
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
union all
select
    b.usage_date,
    b.source,
    b.source_account,
    b.source_file_sha256,
    b.source_row,
    b.source_row_id,
    'copied count' as reason,
from branched as b
inner join copied as c
    on b.source = c.source
    and b.source_account = c.source_account
    and b.source_file_sha256 = c.source_file_sha256
    and b.source_row = c.source_row
