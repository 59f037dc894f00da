-- A costs result -> a charge line. line_item is a grammar: [tier | ]model[ modality], class[, long context]; what does not
-- parse keeps its text and its dollars.
with lines as (
    select
        *,
        lower(regexp_extract(r.line_item, '^(batch|flex|priority|standard|default|scale)\s*\|\s*', 1, 'i')) as tier_word,
        regexp_replace(r.line_item, '^(batch|flex|priority|standard|default|scale)\s*\|\s*', '', 'i') as item,
        nullif(trim(r.amount.value), '') as amount_text,
    from records
    where endpoint = 'costs'
),

grammar as (
    select
        *,
        regexp_extract(
            item,
            '^(.+?)(?: (audio|text|image))?, (cached[ _]input|cache[ _]writes?|input|output)(?:[ _]tokens)?(, long context)?$',
            ['model', 'modality', 'word', 'long']
        ) as parts,
    from lines
)

select
    file_no,
    source_row,
    coalesce(
        wrong,
        case
            when json_type(raw, '$.amount') not in ('OBJECT', 'NULL')
                then 'amount is ' || left(raw ->> '$.amount', 40) || ', expected an object of value and currency'
            when amount_text is not null and coalesce(trim(r.amount.currency), '') = '' then 'missing amount.currency'
        end,
        wrong_amount('amount.value', amount_text),
        wrong_amount('quantity', r.quantity)
    ) as refusal,
    case when raw is null then 'context (empty bucket)' when amount_text is null then 'context (no amount)' end as context,
    concat_ws(
        '|',
        endpoint,
        iso_instant(bucket_start_at),
        iso_instant(bucket_end_at),
        json_array(r.project_id, r.user_id, r.api_key_id, r.api_source, r.line_item, r.amount.currency),
        row_number() over (
            partition by
                file_no, bucket_start_at, bucket_end_at, r.project_id, r.user_id, r.api_key_id, r.api_source, r.line_item, r.amount.currency
            order by cast(raw as varchar), source_row
        )
    ) as key_text,
    endpoint,
    pull_grain,
    'not_grouped' as dims_null_means,
    'openai' as provider,
    r.project_id as sub_account_id,
    r.project_name as sub_account_name,
    bucket_start_at as charge_start_at,
    bucket_end_at as charge_end_at,
    -- A negative line that names no model gives money back: it is a credit, not use.
    case when try_cast(amount_text as decimal(38, 12)) < 0 and parts.model = '' then 'Credit' else 'Usage' end as charge_category,
    try_cast(amount_text as decimal(38, 12)) as billed_amount,
    upper(r.amount.currency) as currency,
    case when json_type(raw, '$.amount.value') = 'VARCHAR' then 'dollars_text' else 'dollars_float' end as amount_scale_source,
    r.line_item as line_item_raw,
    nullif(parts.model, '') as model_raw,
    case
        when parts.word like 'cached%' then 'cache_read'
        when parts.word like 'cache%' then 'cache_write'
        when parts.word in ('input', 'output') then parts.word
    end as token_type,
    nullif(case when tier_word <> 'batch' then tier_word end, '') as service_tier,
    case when tier_word = 'batch' then true end as is_batch,
    case when parts.long <> '' then 'long context' end as context_tier,
    nullif(parts.modality, '') as modality,
    case when parts.model <> '' then 'grammar' else 'unmapped' end as parser_confidence,
    try_cast(r.quantity as decimal(38, 9)) as quantity,
    r.quantity_unit as quantity_unit,
    case r.quantity_unit when 'tokens' then 1 when '1000_tokens' then 1000 end as pricing_unit_multiplier,
    case r.quantity_unit
        when 'tokens' then try_cast(r.quantity as decimal(38, 9))
        when '1000_tokens' then cast(try_cast(r.quantity as decimal(28, 9)) * 1000 as decimal(38, 9))
    end as metered_tokens,
    r.api_key_id as api_key_id,
    r.api_key_name as api_key_name,
    r.user_id as user_id,
    raw,
from grammar
