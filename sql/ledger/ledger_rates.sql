/*
about: >-
  The rates that apply to the calls of a day: for every combination of seller, model, tier, region and contract scope that
  occurs, one row per box of time and context length, with list and contracted prices side by side. The boxes of a
  combination cover the whole day and every context length, also where there is no price.
grain:
  [usage_date, provider, model_canonical, service_tier, is_batch, speed, region, region_class, billing_account_scope,
   project_scope, feature_scope, customer_scope, rate_from_at, ctx_min_tokens]
partition: day
leads: [ledger_requests]
columns:
  usage_date: DATE; UTC day of the calls
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model in the price book; empty where the name of the call means none
{% include "parts/columns_rate_key.sql" %}
  rate_from_at: TIMESTAMP WITH TIME ZONE; start of the box
  rate_to_at: TIMESTAMP WITH TIME ZONE; end of the box, exclusive
  ctx_min_tokens: BIGINT; smallest context length of the box
  ctx_max_tokens: BIGINT; end of its context lengths, exclusive
  price_tier: VARCHAR; tier of the book that the calls were served in (standard, flex, priority, fast, provisioned, or as stated)
  price_processing: VARCHAR; sync or batch
  price_region_class: VARCHAR; region class of the book
  rate_status: VARCHAR; ok, or why there is no rate: unknown_model, unknown_tier, no_price_at_time
  rate_reason: VARCHAR; what exactly the book lacks; null where the status is ok
  is_standard: BOOLEAN; true for standard tier, synchronous, and a region whose prices are its base
  is_assumed: BOOLEAN; true where a token price of the box is marked assumed
  is_list_price: BOOLEAN; true where every contracted price equals the list price
  is_charged_by_usage: BOOLEAN; false for provisioned throughput, which a period charge pays for
  price_ids: VARCHAR[]; price rows that apply, in order; empty where the status is not ok
  price_currency: VARCHAR; currency that the list prices are stated in, by code; several where they differ; null where there are none
  fx_rate_to_usd: DECIMAL(38,12); dollars for one unit of that currency; null for USD, where no rate is known, and for several
  fx_rate_date: DATE; day from which that rate holds; null as the rate
  is_fx_rate_missing: BOOLEAN; true where fx_rates.csv has no rate for a price of the box, which then counts as unknown
  book_version: VARCHAR; hash of the prices and contracted rates that apply, so it changes only where they do
  override_steps: BIGINT; largest number of multipliers and uplifts on one price, at most 6 are applied
{% for class in token_classes %}
  {{ class.name }}_list_usd_per_mtok: DECIMAL(18,9); list price of {{ class.words }} tokens, USD per million; null where the book has none
{% endfor %}
{% for class in token_classes %}
  {{ class.name }}_usd_per_mtok: DECIMAL(18,9); contracted price of {{ class.words }} tokens, USD per million; null where there is none
{% endfor %}
  unit_list_usd_per_million: MAP(VARCHAR, DECIMAL(28,9)); list price of other units by unit, USD per million
  unit_usd_per_million: MAP(VARCHAR, DECIMAL(28,9)); contracted price of other units by unit, USD per million
  native_list_per_million: MAP(VARCHAR, DECIMAL(28,9)); list prices by the book's units as stated, in price_currency; null for USD and for several
checks:
  - one_of: [rate_status, ok, unknown_model, unknown_tier, no_price_at_time]
  - rule: rate_from_at < rate_to_at and ctx_min_tokens < ctx_max_tokens
    text: no box is empty
  - between: [override_steps, 0, 6]
notes:
  - Where the status is unknown_tier, list and contracted columns hold the standard price, for an estimate only.
  - A price in another currency becomes USD by the rate of fx_rates.csv in force on the day, rounded once, to nine places.
  - A model of gpu_pools.csv that has no price in the book takes the rates of its hours from ledger_gpu_rates.
*/
{% include "parts/rates_of_calls.sql" %}
