/*
about: >-
  The charges of each invoice before they are split over owners: the lines of a day that are alike in all that FOCUS shows of them,
  with quantity and unit price. One row per origin charge.
grain: [origin_id]
order_by: [usage_date, provider, billing_account_id, origin_id]
partition: month
partition_column: month_start_date
leads: [ledger_bill_days]
columns:
  origin_id: VARCHAR; md5 of all that FOCUS shows of the charge
  invoice_detail_id: VARCHAR; md5 of the same without the day: the line of the invoice that the charge is part of
  month_start_date: DATE; first day of the billing month, UTC
  week_start_date: DATE; Monday of the ISO week, UTC
  usage_date: DATE; UTC day of the charge
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
  billing_currency: VARCHAR; ISO 4217, upper case
  invoice_issuer: VARCHAR; who issues the invoice, where that is not the seller
  stated_invoice_id: VARCHAR; invoice that the bill names on the line; null where it names none
  sub_account_id: VARCHAR; project or workspace that the line belongs to; null where there are several, or none
  sub_account_name: VARCHAR; what its owner calls the project or workspace; null where there are several, or none
  charge_category: VARCHAR; Usage, Purchase, Tax, Credit or Adjustment
  is_correction: BOOLEAN; true where the line corrects an earlier period
  is_recurring: BOOLEAN; true for a charge of a period longer than a day
  charge_text: VARCHAR; text of the bill line, else what it is in our words
  product_name: VARCHAR; service of the cloud, spelled out
  model_canonical: VARCHAR; model as the price book names it; null where the line names none that is known
  model_maker: VARCHAR; who made the model, where that is not the seller
  token_type: VARCHAR; input, output, cache_read, cache_write or other; null where the line names none
  service_tier: VARCHAR; tier as the line names it; null where it names none
  is_batch: BOOLEAN; true where the provider's discounted batch service did the work
  context_tier: VARCHAR; parsed context bucket
  cache_ttl: VARCHAR; lifetime of a cache write, where the line names one
  modality: VARCHAR; audio or image, where the line names one
  region_scope: VARCHAR; parsed region scope
  tags_text: VARCHAR; labels that the bill puts on the line, as JSON; null where lines differ in them, or have none
  pool_id: VARCHAR; pool in ledger_allocations that shares the charge out; null where its currency is not split
  first_pulled_at: TIMESTAMP WITH TIME ZONE; earliest pull that the lines come from; null for a period charge
  last_pulled_at: TIMESTAMP WITH TIME ZONE; latest pull that the lines come from; null for a period charge
  bill_lines: BIGINT; lines of the bill that have a part on the day, period charges included
  billed_amount: DECIMAL(38,10); billed amount in the billing currency
  list_amount: DECIMAL(38,10); amount at list prices; the billed amount where the bill states none and for what is neither use nor purchase
  discount_pool_id: VARCHAR; pool in ledger_allocations of billed less list amount; null where that goes with the pool
  is_quantity_known: BOOLEAN; false where nobody counted: the amount at list prices then stands for the quantity, its unit price is 1
  pricing_quantity: DECIMAL(38,15); millions of tokens, or the amount at list prices; null for what is neither use nor purchase
  list_unit_price: DECIMAL(38,12); list amount by pricing quantity; null as that
  contracted_unit_price: DECIMAL(38,12); billed amount by pricing quantity; null as that
checks:
  - one_of: [charge_category, Usage, Purchase, Tax, Credit, Adjustment]
  - rule: list_unit_price >= 0 and contracted_unit_price >= 0
    null_passes: true
    text: no unit price is negative
  - no_rows: >-
      select strftime(i.month_start_date, '%Y-%m-%d') as partition, i.provider, i.billing_account_id
      from ledger_invoices as i
      inner join (
          select month_start_date, provider, billing_account_id, billing_currency, sum(billed_amount) as billed_amount
          from focus_origin_charges
          group by month_start_date, provider, billing_account_id, billing_currency
      ) as o
          on i.month_start_date = o.month_start_date
          and i.provider = o.provider
          and i.billing_account_id = o.billing_account_id
          and i.billing_currency = o.billing_currency
      where i.billed_amount <> o.billed_amount
    text: the charges of an invoice sum to its lines, exactly
question: Which charges make an invoice, by what they are for?
answer: >-
  select month_start_date, provider, billing_account_id, charge_category, charge_text, sum(billed_amount) as billed_amount
  from focus_origin_charges group by all order by all
notes:
  - Projects are added up: calls are matched with a bill by account and model, so of each project everybody would get the same share.
*/
{% set invoiced = [
    "month_start_date", "week_start_date", "usage_date", "provider", "billing_account_id", "billing_currency", "invoice_issuer", "stated_invoice_id",
] %}
{% set charged = [
    "charge_category", "is_correction", "is_recurring", "charge_text", "product_name", "model_canonical", "model_maker",
    "token_type",
] %}
with named as (
    select
        d.*,
        cast(date_trunc('week', d.usage_date) as date) as week_start_date,
        p.pool_id,
        p.discount_pool_id,
        b.invoice_issuer,
        b.invoice_id as stated_invoice_id,
        b.sub_account_id,
        b.sub_account_name,
        coalesce(b.is_correction, false) as is_correction,
        d.charge_end_date - d.charge_start_date > 1 and d.charge_category = 'Purchase' as is_recurring,
        coalesce(d.line_item_raw, concat_ws(' ', d.provider, d.charge_id, lower(d.charge_category))) as charge_text,
        b.product_name,
        b.pulled_at,
        b.model_maker,
        b.context_tier,
        b.region_scope,
        case when cardinality(b.tags) > 0 then cast(to_json(b.tags) as varchar) end as tags_text,
        case
            when d.is_batch or lower(d.service_tier) = 'batch' then 'batch'
            when lower(d.service_tier) like '%flex%' then 'flex'
            when lower(d.service_tier) like '%priority%' then 'priority'
            else 'standard'
        end as rate_tier,
    from ledger_bill_days as d
    left join ledger_bill_pools as p
        on d.month_start_date = p.month_start_date and d.cost_key = p.cost_key and d.usage_date = p.usage_date
    left join ledger_bills as b on d.month_start_date = b.month_start_date and d.cost_key = b.cost_key
),

keyed as (
    select
        *,
        concat_ws(
            chr(31), provider, billing_account_id, billing_currency, coalesce(invoice_issuer, ''), coalesce(stated_invoice_id, ''), charge_category,
            cast(is_correction as varchar), cast(is_recurring as varchar), charge_text, coalesce(product_name, ''), coalesce(model_canonical, ''),
            coalesce(model_maker, ''), coalesce(token_type, ''), coalesce(service_tier, ''), cast(coalesce(is_batch, false) as varchar),
            coalesce(context_tier, ''), coalesce(cache_ttl, ''), coalesce(modality, ''), coalesce(region_scope, ''), cast(month_start_date as varchar)
        ) as detail_key,
        concat_ws(
            chr(31), cast(usage_date as varchar), coalesce(pool_id, ''), coalesce(discount_pool_id, '')
        ) as day_key,
    from named
),

summed as (
    select
        md5(concat_ws(chr(31), detail_key, day_key)) as origin_id,
        md5(detail_key) as invoice_detail_id,
        {{ invoiced | join(", ") }},
        case when count(distinct coalesce(sub_account_id, '')) = 1 then min(sub_account_id) end as sub_account_id,
        case when count(distinct coalesce(sub_account_id, '')) = 1 then min(sub_account_name) end as sub_account_name,
        {{ charged | join(", ") }},
        min(service_tier) as service_tier,
        bool_or(coalesce(is_batch, false)) as is_batch,
        context_tier,
        cache_ttl,
        modality,
        region_scope,
        case when count(distinct coalesce(tags_text, '')) = 1 then min(tags_text) end as tags_text,
        pool_id,
        discount_pool_id,
        rate_tier,
        min(pulled_at) as first_pulled_at,
        max(pulled_at) as last_pulled_at,
        count(*) as bill_lines,
        cast(sum(billed_amount) * 10000000000::hugeint as hugeint) as billed_units,
        cast(sum(case when charge_category in ('Usage', 'Purchase') then list_amount else billed_amount end) * 10000000000::hugeint as hugeint) as list_units,
        case when count(*) = count(metered_tokens) then cast(sum(metered_tokens) * 1000000000::hugeint as hugeint) end as metered_units,
    from keyed
    group by
        detail_key, day_key, {{ (invoiced + charged) | join(", ") }},
        context_tier, cache_ttl, modality, region_scope, pool_id, discount_pool_id, rate_tier
),

-- Where the bill has no meter the provider's usage report counts, for the one charge of its day, model, class and tier.
reported as (
    select
        usage_date, provider, billing_account_id, model_canonical, token_type, rate_tier,
        cast(sum(billed_tokens) as hugeint) * 1000000000 as reported_units,
    from ledger_billed_tokens
    where counted_by = 'usage' and model_canonical is not null
    group by usage_date, provider, billing_account_id, model_canonical, token_type, rate_tier
),

counted as (
    select
        s.*,
        case
            when s.charge_category <> 'Usage' then null
            when s.metered_units <> 0 then s.metered_units
            when count(*) over (
                partition by s.usage_date, s.provider, s.billing_account_id, s.model_canonical, s.token_type, s.rate_tier, s.charge_category
            ) = 1 then r.reported_units
        end as counted_units,
    from summed as s
    left join reported as r
        on s.usage_date = r.usage_date
        and s.provider = r.provider
        and s.billing_account_id = r.billing_account_id
        and s.model_canonical = r.model_canonical
        and s.token_type = r.token_type
        and s.rate_tier = r.rate_tier
),

-- A count that gives a negative price counts something else.
judged as (
    select
        *,
        coalesce(counted_units <> 0 and sign(counted_units) * sign(list_units) >= 0 and sign(counted_units) * sign(billed_units) >= 0, false)
            as is_quantity_known,
    from counted
),

-- In units of a millionth of a billionth: of a million tokens, or of the currency.
quantified as (
    select
        *,
        case
            when charge_category not in ('Usage', 'Purchase') then null
            when is_quantity_known then counted_units
            when list_units <> 0 then list_units * 100000
            else billed_units * 100000
        end as quantity_units,
    from judged
)

select
    origin_id,
    invoice_detail_id,
    {{ invoiced | join(", ") }},
    sub_account_id,
    sub_account_name,
    {{ charged | join(", ") }},
    service_tier,
    is_batch,
    context_tier,
    cache_ttl,
    modality,
    region_scope,
    tags_text,
    pool_id,
    first_pulled_at,
    last_pulled_at,
    bill_lines,
    cast(billed_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as billed_amount,
    cast(list_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as list_amount,
    discount_pool_id,
    is_quantity_known,
    cast(quantity_units * cast(0.000000000000001 as decimal(16, 15)) as decimal(38, 15)) as pricing_quantity,
    case
        when quantity_units is null then null
        when quantity_units = 0 then cast(0 as decimal(38, 12))
        else cast(
            (2 * abs(list_units) * 100000000000000000 + abs(quantity_units)) // (2 * abs(quantity_units)) * cast(0.000000000001 as decimal(13, 12))
            as decimal(38, 12)
        )
    end as list_unit_price,
    case
        when quantity_units is null then null
        when quantity_units = 0 then cast(0 as decimal(38, 12))
        when sign(billed_units) * sign(quantity_units) < 0
            then cast(
                (2 * abs(list_units) * 100000000000000000 + abs(quantity_units)) // (2 * abs(quantity_units)) * cast(0.000000000001 as decimal(13, 12))
                as decimal(38, 12)
            )
        else cast(
            (2 * abs(billed_units) * 100000000000000000 + abs(quantity_units)) // (2 * abs(quantity_units)) * cast(0.000000000001 as decimal(13, 12))
            as decimal(38, 12)
        )
    end as contracted_unit_price,
from quantified
