-- A row of activity or a line of a window -> its charge. What a call cost on one's own key at the provider (BYOK) is billed by that
-- provider: it is a line of its own, of no amount here, with the cost beside it.
with charges as (
    select
        *,
        unnest(case when refusal is null and try_cast(byok as decimal(38, 12)) > 0 then [false, true] else [false] end) as is_byok,
    from records
    -- What is wrong with a row is said once, by the shape that has its tokens.
    where seller = 'together' or (refusal is null and context is null)
    -- A generation that is there twice is one.
    qualify generation_id is null or refusal is not null or row_number() over (partition by file_no, generation_id order by source_row) = 1
)

select
    file_no,
    source_row,
    refusal,
    context,
    concat_ws(
        '|',
        seller,
        endpoint,
        case when is_byok then 'byok' end,
        iso_instant(bucket_start_at),
        iso_instant(bucket_end_at),
        generation_id,
        json_array(
            org_id, project_id, api_key_id, api_key_name, user_id, workload_ref, host_provider, model_raw, service_tier, line_item,
            cast(tags as varchar), currency
        ),
        row_number() over (
            partition by
                file_no, seller, is_byok, bucket_start_at, bucket_end_at, generation_id, org_id, project_id, api_key_id, api_key_name, user_id,
                workload_ref, host_provider, model_raw, service_tier, line_item, tags, currency
            order by cast(raw as varchar), source_row
        )
    ) as key_text,
    org_id as billing_account_id,
    endpoint,
    pull_grain,
    'default' as dims_null_means,
    seller as provider,
    host_provider,
    case when is_byok then host_provider end as invoice_issuer,
    project_id as sub_account_id,
    bucket_start_at as charge_start_at,
    bucket_end_at as charge_end_at,
    'Usage' as charge_category,
    case when is_byok then 0 else try_cast(charge as decimal(38, 12)) end as billed_amount,
    case when is_byok then try_cast(byok as decimal(38, 12)) end as list_amount,
    currency,
    amount_scale_source,
    case when is_byok then 'BYOK usage, ' || line_item else line_item end as line_item_raw,
    case when seller = 'together' then line_item end as product_name,
    model_raw,
    case
        when seller = 'together' and regexp_matches(line_item, '(?i)cached.*input') then 'cache_read'
        when seller = 'together' and regexp_matches(line_item, '(?i)input tokens?$') then 'input'
        when seller = 'together' and regexp_matches(line_item, '(?i)output tokens?$') then 'output'
    end as token_type,
    service_tier,
    case when model_raw is null then 'unmapped' when seller = 'together' then 'grammar' else 'exact' end as parser_confidence,
    try_cast(quantity_text as decimal(38, 9)) as quantity,
    api_key_id,
    api_key_name,
    user_id,
    tags,
    raw,
from charges
