/*
about: >-
  The lines of each invoice spread over their days: bill lines of the source that is the bill, and period charges that no bill
  lists. A line longer than a day is spread evenly, truncated at the tenth decimal, the last day takes the rest. One row per
  line and day.
grain: [cost_key, usage_date]
partition: month
partition_column: month_start_date
leads: [ledger_bills, ref_period_charges]
clock_stops: 1 day
columns:
  cost_key: VARCHAR; key of the bill line, or 'period_charge|' and the charge's id
  month_start_date: DATE; first day of the billing month, UTC
  usage_date: DATE; UTC day of this part of the line
  charge_start_date: DATE; first day of the whole line
  charge_end_date: DATE; first day after the whole line
  charge_id: VARCHAR; id of the period charge; null for a bill line
  scope: VARCHAR; scope of the period charge as written, null for all or for a bill line
  charge_basis: VARCHAR; what the period charge is shared by; null for the usual, and for a bill line
  line_item_raw: VARCHAR; text of the bill line, verbatim; null for a period charge
  source: VARCHAR; source of the line, 'period_charges' for a period charge
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
  charge_category: VARCHAR; Usage, Purchase, Tax, Credit or Adjustment
  model_canonical: VARCHAR; model that the line names; null where it names none that is known
  token_type: VARCHAR; input, output, cache_read, cache_write or other; null where the line names none
  service_tier: VARCHAR; tier as the line names it; null where it names none
  is_batch: BOOLEAN; true where the provider's discounted batch service did the work
  cache_ttl: VARCHAR; lifetime of a cache write, where the line names one
  modality: VARCHAR; audio or image, where the line names one
  metered_tokens: DECIMAL(38,9); tokens of the day that the line bills; null where it is no token meter
  billing_currency: VARCHAR; ISO 4217, upper case
  billed_usd: DECIMAL(38,10); billed amount of the day; null where there is no rate
  list_usd: DECIMAL(38,10); amount of the day at list prices, the billed amount where the line states none
  billed_amount: DECIMAL(38,10); billed amount of the day in the billing currency
  list_amount: DECIMAL(38,10); amount of the day at list prices in the billing currency, the billed amount where the line states none
*/
{# What a line states beside its dates and amounts. #}
{% set stated = [
    "line_item_raw", "source", "provider", "billing_account_id", "charge_category", "model_canonical", "token_type", "service_tier", "is_batch",
    "cache_ttl", "modality",
] %}
with lines as (
    select
        cost_key,
        month_start_date,
        cast(charge_start_at as date) as charge_start_date,
        -- A line that ends within a day ends with that day.
        greatest(
            cast(charge_end_at as date) + case when charge_end_at > date_trunc('day', charge_end_at) then 1 else 0 end,
            cast(charge_start_at as date) + 1
        ) as charge_end_date,
        cast(null as varchar) as charge_id,
        cast(null as varchar) as scope,
        cast(null as varchar) as charge_basis,
        {{ stated | join(", ") }},
        metered_tokens,
        currency as billing_currency,
        billed_usd,
        coalesce(list_usd, billed_usd) as list_usd,
        billed_amount,
        coalesce(list_amount, billed_amount) as list_amount,
    from ledger_bills
    where is_the_bill
),

{% include "parts/period_charges.sql" %}

all_lines as (
    select *, charge_end_date - charge_start_date as days from lines
    union all
    select
        cost_key, month_start_date, charge_start_date, charge_end_date, charge_id, scope, charge_basis, line_item_raw, source, provider, billing_account_id,
        charge_category, model_canonical, token_type, service_tier, is_batch, cache_ttl, modality, metered_tokens, billing_currency,
        billed_usd, billed_usd as list_usd, billed_amount, billed_amount as list_amount, charge_end_date - charge_start_date as days,
    from charge_lines
),

spread as (
    select *, unnest(generate_series(0, days - 1)) as place
    from all_lines
),

in_units as (
    select
        *,
        cast(metered_tokens * 1000000000::hugeint as hugeint) as metered_units,
        cast(billed_usd * 10000000000::hugeint as hugeint) as billed_usd_units,
        cast(list_usd * 10000000000::hugeint as hugeint) as list_usd_units,
        cast(billed_amount * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_amount * 10000000000::hugeint as hugeint) as list_units,
    from spread
),

-- Each day the truncated part, of tokens in whole ones; the last day what is left.
parted as (
    select
        *,
        case when place < days - 1 then metered_units // (days * 1000000000) * 1000000000
            else metered_units - metered_units // (days * 1000000000) * 1000000000 * (days - 1) end as metered_part,
        case when place < days - 1 then sign(billed_usd_units) * (abs(billed_usd_units) // days)
            else billed_usd_units - sign(billed_usd_units) * (abs(billed_usd_units) // days) * (days - 1) end as billed_usd_part,
        case when place < days - 1 then sign(list_usd_units) * (abs(list_usd_units) // days)
            else list_usd_units - sign(list_usd_units) * (abs(list_usd_units) // days) * (days - 1) end as list_usd_part,
        case when place < days - 1 then sign(billed_units) * (abs(billed_units) // days)
            else billed_units - sign(billed_units) * (abs(billed_units) // days) * (days - 1) end as billed_part,
        case when place < days - 1 then sign(list_units) * (abs(list_units) // days)
            else list_units - sign(list_units) * (abs(list_units) // days) * (days - 1) end as list_part,
    from in_units
)

select
    cost_key,
    month_start_date,
    cast(charge_start_date + cast(place as integer) as date) as usage_date,
    charge_start_date,
    charge_end_date,
    charge_id,
    scope,
    charge_basis,
    {{ stated | join(", ") }},
    cast(metered_part * cast(0.000000001 as decimal(10, 9)) as decimal(38, 9)) as metered_tokens,
    billing_currency,
    cast(billed_usd_part * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as billed_usd,
    cast(list_usd_part * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as list_usd,
    cast(billed_part * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as billed_amount,
    cast(list_part * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as list_amount,
from parted
