{# Where the rates of a seller's model change within a day and between lengths of context: `spans` and `lengths`. #}
-- Where any key of a seller's model has another box, its day and its lengths are cut for all: few pieces, and a short join.
spans as (
    select
        usage_date,
        provider,
        model_canonical,
        rate_from_at,
        coalesce(
            lead(rate_from_at) over (partition by usage_date, provider, model_canonical order by rate_from_at),
            timestamptz '9999-12-31 00:00:00+00'
        ) as rate_to_at,
    from (select distinct usage_date, provider, model_canonical, rate_from_at from ledger_rates) as f
),

lengths as (
    select
        usage_date,
        provider,
        model_canonical,
        ctx_min_tokens,
        coalesce(
            lead(ctx_min_tokens) over (partition by usage_date, provider, model_canonical order by ctx_min_tokens),
            9223372036854775807
        ) as ctx_max_tokens,
    from (select distinct usage_date, provider, model_canonical, ctx_min_tokens from ledger_rates) as f
),
