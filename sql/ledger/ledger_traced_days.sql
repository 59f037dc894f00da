/*
about: >-
  What calls used and cost, summed to a day: what reconciliation holds against the bills. One row per day, account, model, class
  of tokens that has a price of its own, and tier; what a call cost beside its tokens has a row without a class.
grain: [usage_date, provider, billing_account_id, model_canonical, token_class, rate_tier]
partition: day
leads: [ledger_requests]
columns:
  usage_date: DATE; UTC day of the calls
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed; null where it cannot be told
  model_canonical: VARCHAR; model as the price book names it; null where no alias maps it
  token_type: VARCHAR; input, output, cache_read or cache_write; null for what is no token
  token_class: VARCHAR; class of tokens with a price of its own (output holds text and reasoning); null for what is no token
  rate_tier: VARCHAR; standard, flex, priority or batch
  traced_tokens: BIGINT; tokens of the calls, 0 for what is no token
  priced_tokens: BIGINT; of these, tokens of calls whose class has a price
  list_cost_usd: DECIMAL(38,15); cost at list prices of what has a price; null where nothing has
  effective_cost_usd: DECIMAL(38,15); cost under contracts of what has a price; null where nothing has
checks:
  - rule: priced_tokens <= traced_tokens
notes:
  - A cost that a provider or gateway stated has no split by class and stands in the row without one.
*/
with calls as (
    select
        cast(r.started_at as date) as usage_date,
        r.provider,
        r.billing_account_id,
        r.model_canonical,
        case
            when r.is_batch or lower(r.service_tier) = 'batch' then 'batch'
            when lower(r.service_tier) like '%flex%' then 'flex'
            when lower(r.service_tier) like '%priority%' then 'priority'
            else 'standard'
        end as rate_tier,
        cast(sum(coalesce(r.input_uncached_tokens, 0)) as bigint) as input_uncached_tokens,
        cast(sum(case when c.input_uncached_list_cost_usd is not null then coalesce(r.input_uncached_tokens, 0) else 0 end) as bigint) as input_uncached_priced,
        cast(sum(c.input_uncached_list_cost_usd) as decimal(38, 15)) as input_uncached_list,
        cast(sum(c.input_uncached_cost_usd) as decimal(38, 15)) as input_uncached_effective,
        cast(sum(coalesce(r.input_audio_tokens, 0)) as bigint) as input_audio_tokens,
        cast(sum(case when c.input_audio_list_cost_usd is not null then coalesce(r.input_audio_tokens, 0) else 0 end) as bigint) as input_audio_priced,
        cast(sum(c.input_audio_list_cost_usd) as decimal(38, 15)) as input_audio_list,
        cast(sum(c.input_audio_cost_usd) as decimal(38, 15)) as input_audio_effective,
        cast(sum(coalesce(r.input_image_tokens, 0)) as bigint) as input_image_tokens,
        cast(sum(case when c.input_image_list_cost_usd is not null then coalesce(r.input_image_tokens, 0) else 0 end) as bigint) as input_image_priced,
        cast(sum(c.input_image_list_cost_usd) as decimal(38, 15)) as input_image_list,
        cast(sum(c.input_image_cost_usd) as decimal(38, 15)) as input_image_effective,
        cast(sum(coalesce(r.input_other_tokens, 0)) as bigint) as input_other_tokens,
        cast(sum(case when c.input_other_list_cost_usd is not null then coalesce(r.input_other_tokens, 0) else 0 end) as bigint) as input_other_priced,
        cast(sum(c.input_other_list_cost_usd) as decimal(38, 15)) as input_other_list,
        cast(sum(c.input_other_cost_usd) as decimal(38, 15)) as input_other_effective,
        cast(sum(coalesce(r.cache_read_tokens, 0)) as bigint) as cache_read_tokens,
        cast(sum(case when c.cache_read_list_cost_usd is not null then coalesce(r.cache_read_tokens, 0) else 0 end) as bigint) as cache_read_priced,
        cast(sum(c.cache_read_list_cost_usd) as decimal(38, 15)) as cache_read_list,
        cast(sum(c.cache_read_cost_usd) as decimal(38, 15)) as cache_read_effective,
        cast(sum(coalesce(r.cache_read_audio_tokens, 0)) as bigint) as cache_read_audio_tokens,
        cast(sum(case when c.cache_read_audio_list_cost_usd is not null then coalesce(r.cache_read_audio_tokens, 0) else 0 end) as bigint) as cache_read_audio_priced,
        cast(sum(c.cache_read_audio_list_cost_usd) as decimal(38, 15)) as cache_read_audio_list,
        cast(sum(c.cache_read_audio_cost_usd) as decimal(38, 15)) as cache_read_audio_effective,
        cast(sum(coalesce(r.cache_read_image_tokens, 0)) as bigint) as cache_read_image_tokens,
        cast(sum(case when c.cache_read_image_list_cost_usd is not null then coalesce(r.cache_read_image_tokens, 0) else 0 end) as bigint) as cache_read_image_priced,
        cast(sum(c.cache_read_image_list_cost_usd) as decimal(38, 15)) as cache_read_image_list,
        cast(sum(c.cache_read_image_cost_usd) as decimal(38, 15)) as cache_read_image_effective,
        cast(sum(coalesce(r.cache_write_5m_tokens, 0)) as bigint) as cache_write_5m_tokens,
        cast(sum(case when c.cache_write_5m_list_cost_usd is not null then coalesce(r.cache_write_5m_tokens, 0) else 0 end) as bigint) as cache_write_5m_priced,
        cast(sum(c.cache_write_5m_list_cost_usd) as decimal(38, 15)) as cache_write_5m_list,
        cast(sum(c.cache_write_5m_cost_usd) as decimal(38, 15)) as cache_write_5m_effective,
        cast(sum(coalesce(r.cache_write_30m_tokens, 0)) as bigint) as cache_write_30m_tokens,
        cast(sum(case when c.cache_write_30m_list_cost_usd is not null then coalesce(r.cache_write_30m_tokens, 0) else 0 end) as bigint) as cache_write_30m_priced,
        cast(sum(c.cache_write_30m_list_cost_usd) as decimal(38, 15)) as cache_write_30m_list,
        cast(sum(c.cache_write_30m_cost_usd) as decimal(38, 15)) as cache_write_30m_effective,
        cast(sum(coalesce(r.cache_write_1h_tokens, 0)) as bigint) as cache_write_1h_tokens,
        cast(sum(case when c.cache_write_1h_list_cost_usd is not null then coalesce(r.cache_write_1h_tokens, 0) else 0 end) as bigint) as cache_write_1h_priced,
        cast(sum(c.cache_write_1h_list_cost_usd) as decimal(38, 15)) as cache_write_1h_list,
        cast(sum(c.cache_write_1h_cost_usd) as decimal(38, 15)) as cache_write_1h_effective,
        cast(sum(coalesce(r.cache_write_12h_tokens, 0)) as bigint) as cache_write_12h_tokens,
        cast(sum(case when c.cache_write_12h_list_cost_usd is not null then coalesce(r.cache_write_12h_tokens, 0) else 0 end) as bigint) as cache_write_12h_priced,
        cast(sum(c.cache_write_12h_list_cost_usd) as decimal(38, 15)) as cache_write_12h_list,
        cast(sum(c.cache_write_12h_cost_usd) as decimal(38, 15)) as cache_write_12h_effective,
        cast(sum(coalesce(r.cache_write_tokens, 0)) as bigint) as cache_write_tokens,
        cast(sum(case when c.cache_write_list_cost_usd is not null then coalesce(r.cache_write_tokens, 0) else 0 end) as bigint) as cache_write_priced,
        cast(sum(c.cache_write_list_cost_usd) as decimal(38, 15)) as cache_write_list,
        cast(sum(c.cache_write_cost_usd) as decimal(38, 15)) as cache_write_effective,
        cast(sum(coalesce(r.output_text_tokens, 0) + coalesce(r.output_reasoning_tokens, 0)) as bigint) as output_tokens,
        cast(sum(case when c.output_text_list_cost_usd is not null then coalesce(r.output_text_tokens, 0) else 0 end + case when c.output_reasoning_list_cost_usd is not null then coalesce(r.output_reasoning_tokens, 0) else 0 end) as bigint) as output_priced,
        cast(sum(coalesce(c.output_text_list_cost_usd, c.output_reasoning_list_cost_usd) + case when c.output_text_list_cost_usd is not null then coalesce(c.output_reasoning_list_cost_usd, 0) else 0 end) as decimal(38, 15)) as output_list,
        cast(sum(coalesce(c.output_text_cost_usd, c.output_reasoning_cost_usd) + case when c.output_text_cost_usd is not null then coalesce(c.output_reasoning_cost_usd, 0) else 0 end) as decimal(38, 15)) as output_effective,
        cast(sum(coalesce(r.output_audio_tokens, 0)) as bigint) as output_audio_tokens,
        cast(sum(case when c.output_audio_list_cost_usd is not null then coalesce(r.output_audio_tokens, 0) else 0 end) as bigint) as output_audio_priced,
        cast(sum(c.output_audio_list_cost_usd) as decimal(38, 15)) as output_audio_list,
        cast(sum(c.output_audio_cost_usd) as decimal(38, 15)) as output_audio_effective,
        cast(sum(coalesce(r.output_image_tokens, 0)) as bigint) as output_image_tokens,
        cast(sum(case when c.output_image_list_cost_usd is not null then coalesce(r.output_image_tokens, 0) else 0 end) as bigint) as output_image_priced,
        cast(sum(c.output_image_list_cost_usd) as decimal(38, 15)) as output_image_list,
        cast(sum(c.output_image_cost_usd) as decimal(38, 15)) as output_image_effective,
        cast(sum(case when c.cost_reason = 'provider_stated' then c.list_cost_usd else c.units_list_cost_usd end) as decimal(38, 15)) as beside_list,
        cast(sum(case when c.cost_reason = 'provider_stated' then c.effective_cost_usd else c.units_cost_usd end) as decimal(38, 15)) as beside_effective,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    where r.is_billable_leaf
    group by cast(r.started_at as date), r.provider, r.billing_account_id, r.model_canonical, rate_tier
),

by_class as (
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'input_uncached' as token_class, input_uncached_tokens as traced_tokens,
        input_uncached_priced as priced_tokens, input_uncached_list as list_cost_usd, input_uncached_effective as effective_cost_usd from calls where input_uncached_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'input_audio' as token_class, input_audio_tokens as traced_tokens,
        input_audio_priced as priced_tokens, input_audio_list as list_cost_usd, input_audio_effective as effective_cost_usd from calls where input_audio_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'input_image' as token_class, input_image_tokens as traced_tokens,
        input_image_priced as priced_tokens, input_image_list as list_cost_usd, input_image_effective as effective_cost_usd from calls where input_image_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'input_other' as token_class, input_other_tokens as traced_tokens,
        input_other_priced as priced_tokens, input_other_list as list_cost_usd, input_other_effective as effective_cost_usd from calls where input_other_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_read' as token_class, cache_read_tokens as traced_tokens,
        cache_read_priced as priced_tokens, cache_read_list as list_cost_usd, cache_read_effective as effective_cost_usd from calls where cache_read_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_read_audio' as token_class, cache_read_audio_tokens as traced_tokens,
        cache_read_audio_priced as priced_tokens, cache_read_audio_list as list_cost_usd, cache_read_audio_effective as effective_cost_usd from calls where cache_read_audio_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_read_image' as token_class, cache_read_image_tokens as traced_tokens,
        cache_read_image_priced as priced_tokens, cache_read_image_list as list_cost_usd, cache_read_image_effective as effective_cost_usd from calls where cache_read_image_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_write_5m' as token_class, cache_write_5m_tokens as traced_tokens,
        cache_write_5m_priced as priced_tokens, cache_write_5m_list as list_cost_usd, cache_write_5m_effective as effective_cost_usd from calls where cache_write_5m_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_write_30m' as token_class, cache_write_30m_tokens as traced_tokens,
        cache_write_30m_priced as priced_tokens, cache_write_30m_list as list_cost_usd, cache_write_30m_effective as effective_cost_usd from calls where cache_write_30m_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_write_1h' as token_class, cache_write_1h_tokens as traced_tokens,
        cache_write_1h_priced as priced_tokens, cache_write_1h_list as list_cost_usd, cache_write_1h_effective as effective_cost_usd from calls where cache_write_1h_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_write_12h' as token_class, cache_write_12h_tokens as traced_tokens,
        cache_write_12h_priced as priced_tokens, cache_write_12h_list as list_cost_usd, cache_write_12h_effective as effective_cost_usd from calls where cache_write_12h_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'cache_write' as token_class, cache_write_tokens as traced_tokens,
        cache_write_priced as priced_tokens, cache_write_list as list_cost_usd, cache_write_effective as effective_cost_usd from calls where cache_write_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'output' as token_class, output_tokens as traced_tokens,
        output_priced as priced_tokens, output_list as list_cost_usd, output_effective as effective_cost_usd from calls where output_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'output_audio' as token_class, output_audio_tokens as traced_tokens,
        output_audio_priced as priced_tokens, output_audio_list as list_cost_usd, output_audio_effective as effective_cost_usd from calls where output_audio_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, 'output_image' as token_class, output_image_tokens as traced_tokens,
        output_image_priced as priced_tokens, output_image_list as list_cost_usd, output_image_effective as effective_cost_usd from calls where output_image_tokens > 0
    union all
    select usage_date, provider, billing_account_id, model_canonical, rate_tier, cast(null as varchar) as token_class, 0 as traced_tokens,
        0 as priced_tokens, beside_list as list_cost_usd, beside_effective as effective_cost_usd from calls where beside_list <> 0
)

select
    usage_date,
    provider,
    billing_account_id,
    model_canonical,
    case
        when token_class like 'input%' then 'input'
        when token_class like 'cache_read%' then 'cache_read'
        when token_class like 'cache_write%' then 'cache_write'
        when token_class like 'output%' then 'output'
    end as token_type,
    token_class,
    rate_tier,
    cast(traced_tokens as bigint) as traced_tokens,
    cast(priced_tokens as bigint) as priced_tokens,
    list_cost_usd,
    effective_cost_usd,
from by_class
