/*
about: >-
  What the providers charged: the lines of the pull that counts for each window (ledger_pulls), verbatim and parsed, with the
  source that is the bill of its account and month told apart from its witnesses. One row per charge line.
grain: [cost_key]
order_by: [charge_start_at, cost_key]
partition: month
partition_column: month_start_date
leads: [staged_bills]
columns:
  cost_key: VARCHAR; md5 of source, account, charge window, dimensions and line item; of equal lines in the ledger with their ordinal
  source: VARCHAR; folder of landing/ that the record came from
  month_start_date: DATE; first day of the billing month: the month in which the charge starts, UTC
  source_account: VARCHAR; first folder below the source, else 'default'
{% include "parts/columns_pull.sql" %}
  invoice_issuer: VARCHAR; who issues the invoice, where that is not the seller
  sub_account_id: VARCHAR; project or workspace that the line belongs to
  sub_account_name: VARCHAR; what its owner calls the project or workspace
  invoice_id: VARCHAR; invoice that the line stands on
  invoice_month: VARCHAR; month of the invoice as the source states it (not the month of the charge)
  charge_start_at: TIMESTAMP WITH TIME ZONE; first instant that the line covers, UTC
  charge_end_at: TIMESTAMP WITH TIME ZONE; end of the charge, exclusive
  billing_period_start_at: TIMESTAMP WITH TIME ZONE; first instant of the invoice's period, UTC
  billing_period_end_at: TIMESTAMP WITH TIME ZONE; end of the billing period, exclusive
  charge_category: VARCHAR; Usage, Purchase, Tax, Credit or Adjustment
  is_correction: BOOLEAN; true where the line corrects an earlier period
  billed_amount: DECIMAL(38,12); invoiced amount in major units of the currency
  list_amount: DECIMAL(38,12); amount at list prices
  contracted_amount: DECIMAL(38,12); amount at contracted prices
  effective_amount: DECIMAL(38,12); amortised amount
  currency: VARCHAR; ISO 4217, upper case
  fx_rate_to_usd: DECIMAL(38,12); rate of the newest fx_rates.csv row on or before the first day; 1 for USD; null where there is none
  billed_usd: DECIMAL(38,12); billed_amount in USD; null where there is no rate
  list_usd: DECIMAL(38,12); list_amount in USD; null where there is no rate or no list amount
  effective_usd: DECIMAL(38,12); effective_amount in USD; null where there is no rate or no effective amount
  virtual_currency_amount: DECIMAL(38,9); amount in credits or tokens of the provider
  virtual_currency_unit: VARCHAR; their name
  amount_scale_source: VARCHAR; how the amount was written (dollars_float, cents_str ...)
  line_item_raw: VARCHAR; text of the line, verbatim
  sku_id: VARCHAR; line of the seller's price list, by number
  sku_description: VARCHAR; line of the seller's price list, in words
  meter_id: VARCHAR; what the cloud measures, as its price list numbers it
  usage_type: VARCHAR; kind of use with region and model in one word, as AWS writes it
  product_code: VARCHAR; service of the cloud, as its bill abbreviates it
  product_name: VARCHAR; service of the cloud, spelled out
  model_raw: VARCHAR; model, verbatim
  model_canonical: VARCHAR; model as the price book names it; null where no alias maps it
  token_type: VARCHAR; input, output, cache_read, cache_write or other
  service_tier: VARCHAR; parsed tier
  is_batch: BOOLEAN; true where the provider's discounted batch service did the work
  context_tier: VARCHAR; parsed context bucket
  region_scope: VARCHAR; parsed region scope
  cache_ttl: VARCHAR; parsed lifetime of a cache write
  modality: VARCHAR; parsed modality
  parser_confidence: VARCHAR; exact, grammar or unmapped
  quantity: DECIMAL(38,9); billed quantity
  quantity_unit: VARCHAR; what is counted (1000_tokens, images, seconds ...), as the source names it
  pricing_unit_multiplier: BIGINT; units in one priced unit
  metered_tokens: DECIMAL(38,9); quantity times multiplier, for a token meter only
  api_key_id: VARCHAR; key that the provider counted the calls under
  api_key_name: VARCHAR; what its owner calls the key
  user_id: VARCHAR; user at the provider
  principal: VARCHAR; cloud identity
  resource_id: VARCHAR; cloud resource
  tags: MAP(VARCHAR, VARCHAR); labels of the row
  cost_categories: MAP(VARCHAR, VARCHAR); labels that the cloud's own rules gave the line
  billed_is_rounded: BOOLEAN; true where the source rounds its amounts
  raw: JSON; the record as received
  is_the_bill: BOOLEAN; true where the line is part of the invoice; false for a witness (another source of the same account and month)
checks:
  - not_null: [source, source_account, provider, billing_account_id, charge_start_at, charge_end_at, charge_category, currency, is_the_bill]
  - one_of: [charge_category, Usage, Purchase, Tax, Credit, Adjustment]
  - rule: charge_end_at > charge_start_at
  - rule: billed_usd is not null or billed_amount is null
    severity: warning
    text: every amount has a rate to USD (add the missing ones to reference/fx_rates.csv)
question: What was each account charged, by month?
answer: >-
  select month_start_date, provider, billing_account_id, currency, sum(billed_amount) as billed_amount
  from ledger_bills where is_the_bill group by all order by all
*/
{% from "macros/rates.sql" import fx_rates with context %}
{% from "macros/sellers.sql" import join_named_sellers, named_sellers with context %}
with {{ named_sellers("staged_bills", "charge_start_at") }},

counted as (
    select
        b.* replace (coalesce(n.seller, b.provider) as provider, coalesce(n.seller_account_id, b.billing_account_id) as billing_account_id),
        cast(date_trunc('month', b.charge_start_at) as date) as month_start_date,
        cast(b.charge_start_at as date) as first_date,
    from staged_bills as b
    left join ledger_pulls as p
        on b.source = p.source
        and b.source_account = p.source_account
        and b.source_file_sha256 = p.source_file_sha256
        and b.endpoint = p.endpoint
        and b.charge_start_at >= p.window_start_at
        and b.charge_start_at < p.window_end_at
    {{ join_named_sellers("b", "charge_start_at") }}
    where p.counts
),

-- Identical lines are legal, and may lie in one file or in several of a delivery: they are told apart by what else they say.
lines as (
    select
        * exclude (cost_key),
        row_number() over (
            partition by month_start_date, cost_key
            order by billed_amount, quantity, list_amount, cast(tags as varchar), cast(raw as varchar), source_file_sha256, source_row
        ) as ordinal,
        case when ordinal = 1 then cost_key else md5(cost_key || '|' || cast(ordinal as varchar)) end as cost_key,
    from counted
),

-- One source is the bill (BOOKS: which bill is the bill): the one bill_sources.csv names, else the one with unrounded
-- lines, else the native one before FOCUS.
candidates as (
    select
        l.month_start_date,
        l.provider,
        l.billing_account_id,
        l.source,
        row_number() over (
            partition by l.month_start_date, l.provider, l.billing_account_id
            order by
                case when min(r.source) is not null then 0 else 1 end,
                case when bool_or(l.billed_is_rounded) then 1 else 0 end,
                case when l.source = 'focus' then 1 else 0 end,
                l.source
        ) as place,
    from lines as l
    left join ref_bill_sources as r
        on l.provider = r.provider
        and l.billing_account_id = r.billing_account_id
        and l.source = r.source
        and (r.valid_from_date is null or l.first_date >= r.valid_from_date)
        and (r.valid_to_date is null or l.first_date < r.valid_to_date)
    group by l.month_start_date, l.provider, l.billing_account_id, l.source
),

{{ fx_rates() }}

select
    l.cost_key,
    l.source,
    l.month_start_date,
    l.source_account,
    l.billing_account_id,
    l.pulled_at,
    l.endpoint,
    l.pull_grain,
    l.dims_null_means,
    l.is_final,
    l.provider,
    l.model_maker,
    l.host_provider,
    l.invoice_issuer,
    l.sub_account_id,
    l.sub_account_name,
    l.invoice_id,
    l.invoice_month,
    l.charge_start_at,
    l.charge_end_at,
    l.billing_period_start_at,
    l.billing_period_end_at,
    l.charge_category,
    l.is_correction,
    l.billed_amount,
    l.list_amount,
    l.contracted_amount,
    l.effective_amount,
    l.currency,
    case when l.currency = 'USD' then cast(1 as decimal(38, 12)) else cast(x.fx_rate_to_usd as decimal(38, 12)) end as fx_rate_to_usd,
    case when l.currency = 'USD' then l.billed_amount else cast(cast(l.billed_amount as decimal(26, 12)) * cast(x.fx_rate_to_usd as decimal(12, 8)) as decimal(38, 12)) end as billed_usd,
    case when l.currency = 'USD' then l.list_amount else cast(cast(l.list_amount as decimal(26, 12)) * cast(x.fx_rate_to_usd as decimal(12, 8)) as decimal(38, 12)) end as list_usd,
    case when l.currency = 'USD' then l.effective_amount else cast(cast(l.effective_amount as decimal(26, 12)) * cast(x.fx_rate_to_usd as decimal(12, 8)) as decimal(38, 12)) end as effective_usd,
    l.virtual_currency_amount,
    l.virtual_currency_unit,
    l.amount_scale_source,
    l.line_item_raw,
    l.sku_id,
    l.sku_description,
    l.meter_id,
    l.usage_type,
    l.product_code,
    l.product_name,
    l.model_raw,
    m.model_canonical,
    l.token_type,
    l.service_tier,
    l.is_batch,
    l.context_tier,
    l.region_scope,
    l.cache_ttl,
    l.modality,
    l.parser_confidence,
    l.quantity,
    l.quantity_unit,
    l.pricing_unit_multiplier,
    l.metered_tokens,
    l.api_key_id,
    l.api_key_name,
    l.user_id,
    l.principal,
    l.resource_id,
    l.tags,
    l.cost_categories,
    l.billed_is_rounded,
    l.raw,
    coalesce(l.source = b.source, false) as is_the_bill,
from lines as l
left join candidates as b
    on l.month_start_date = b.month_start_date
    and l.provider = b.provider
    and l.billing_account_id = b.billing_account_id
    and b.place = 1
left join rates as x on l.currency = x.currency and l.first_date >= x.rate_date and l.first_date < x.next_rate_date
left join ledger_models as m on l.first_date = m.usage_date and l.provider = m.provider and l.model_raw = m.model_raw
