/*
about: >-
  Invoice detail as FOCUS 1.4 has it: the lines of each invoice by what they are for, over its whole period, and the cents that rounding
  moves. Per invoice the billed cost sums to the invoice. One row per invoice and line.
grain: [InvoiceId, InvoiceDetailId]
partition: month
partition_column: BillingPeriodStart
leads: [focus_origin_charges]
columns:
  BilledCost: DECIMAL(38,10); billed amount of the line
  BillingAccountId: VARCHAR; account that is billed, 'unattributed' where it cannot be told
  BillingCurrency: VARCHAR; ISO 4217, upper case; USD without a bill
  BillingPeriodEnd: TIMESTAMP WITH TIME ZONE; end of the billing month, exclusive, UTC
  BillingPeriodStart: TIMESTAMP WITH TIME ZONE; first instant of the billing month, UTC
  ChargeCategory: VARCHAR; Usage, Purchase, Tax, Credit or Adjustment
  InvoiceDetailCreated: TIMESTAMP WITH TIME ZONE; earliest pull that holds the line; end of the billing month where no file does
  InvoiceDetailDescription: VARCHAR; text of the bill line, else what it is in our words
  InvoiceDetailGrain: VARCHAR; JSON of what makes the line one: SKU, tier, region, correction; null for rounding
  InvoiceDetailId: VARCHAR; line of focus_invoice_detail; the charges of focus_cost_and_usage name it
  InvoiceDetailLastUpdated: TIMESTAMP WITH TIME ZONE; latest pull that holds the line; end of the billing month where no file does
  InvoiceId: VARCHAR; invoice that the bill names, else seller, account, month and currency
  InvoiceIssueDate: TIMESTAMP WITH TIME ZONE; null: bills do not say when they were issued
  InvoiceIssueStatus: VARCHAR; Issued once the books' now is past the restatement lag, else Open
  InvoiceIssuerName: VARCHAR; who issues the invoice, the seller where the bill does not say
  PaymentCurrency: VARCHAR; currency of the payment: that of the bill
  PaymentDueDate: TIMESTAMP WITH TIME ZONE; null: bills do not say when they are due
  PaymentTerms: VARCHAR; Not stated: bills do not say, and the column may not be empty
  ReferenceInvoiceId: VARCHAR; the invoice itself: a line that adjusts another invoice does not name it
  x_DailyCharges: BIGINT; lines of the bill, by day, that the row sums; 0 for rounding
  x_IsCorrection: BOOLEAN; true where the line corrects an earlier period
  x_Provider: VARCHAR; the seller, as in the other tables
checks:
  - one_of: [InvoiceIssueStatus, Open, Issued]
  - no_rows: >-
      select strftime(i.month_start_date, '%Y-%m-%d') as partition, i.provider, i.billing_account_id
      from ledger_invoices as i
      left join (
          select BillingPeriodStart, x_Provider, BillingAccountId, BillingCurrency, sum(BilledCost) as billed
          from focus_invoice_detail
          group by BillingPeriodStart, x_Provider, BillingAccountId, BillingCurrency
      ) as f
          on i.month_start_date = cast(f.BillingPeriodStart as date)
          and i.provider = f.x_Provider
          and i.billing_account_id = f.BillingAccountId
          and i.billing_currency = f.BillingCurrency
      where i.month_start_date in (select cast(BillingPeriodStart as date) from focus_invoice_detail)
          and coalesce(f.billed, 0) <> i.invoiced_cost_billing_currency
    text: the lines of an invoice sum to it, to the cent
question: What does each invoice list?
answer: >-
  select InvoiceId, ChargeCategory, InvoiceDetailDescription, BilledCost, BillingCurrency, InvoiceIssueStatus
  from focus_invoice_detail order by all
notes:
  - A line is what a bill charges for one thing in a month; its days and projects are added up. Lines of 0 are in here.
*/
{% from "macros/invoices.sql" import invoice_named with context %}
with invoice_words as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        {{ invoice_named() }} as invoice_id,
        min(invoice_issuer) as issuer,
        min(first_pulled_at) as first_pulled_at,
        max(last_pulled_at) as last_pulled_at,
    from focus_origin_charges
    group by month_start_date, provider, billing_account_id, billing_currency
),

details as (
    select
        month_start_date,
        provider,
        billing_account_id,
        billing_currency,
        invoice_detail_id,
        invoice_issuer,
        charge_category,
        is_correction,
        charge_text,
        model_canonical,
        token_type,
        service_tier,
        is_batch,
        context_tier,
        cache_ttl,
        modality,
        region_scope,
        product_name,
        sum(billed_amount) as billed_amount,
        cast(sum(bill_lines) as bigint) as bill_lines,
        min(first_pulled_at) as first_pulled_at,
        max(last_pulled_at) as last_pulled_at,
    from focus_origin_charges
    group by
        month_start_date, provider, billing_account_id, billing_currency, invoice_detail_id, invoice_issuer, charge_category, is_correction,
        charge_text, model_canonical, token_type, service_tier, is_batch, context_tier, cache_ttl, modality, region_scope, product_name
),

grains as (
    select
        *,
        '{' || concat_ws(
            ', ',
            case when product_name is not null then '"ServiceName": "' || replace(replace(product_name, '\', '\\'), '"', '\"') || '"' end,
            '"x_ChargeCategory": "' || charge_category || '"',
            case when charge_category in ('Usage', 'Purchase') then '"SkuId": "' || replace(replace(concat_ws('/', provider, coalesce(model_canonical, 'other'), case when charge_category = 'Usage' then coalesce(token_type, 'other') else 'purchase' end), '\', '\\'), '"', '\"') || '"' end,
            case when region_scope is not null then '"RegionId": "' || replace(replace(region_scope, '\', '\\'), '"', '\"') || '"' end,
            case when is_batch then '"x_ServiceTier": "batch"'
                when service_tier is not null then '"x_ServiceTier": "' || replace(replace(service_tier, '\', '\\'), '"', '\"') || '"' end,
            case when context_tier is not null then '"x_ContextWindow": "' || replace(replace(context_tier, '\', '\\'), '"', '\"') || '"' end,
            case when cache_ttl is not null then '"x_CacheLifetime": "' || replace(replace(cache_ttl, '\', '\\'), '"', '\"') || '"' end,
            case when modality is not null then '"x_Modality": "' || replace(replace(modality, '\', '\\'), '"', '\"') || '"' end,
            case when is_correction then '"x_ChargeClass": "Correction"' end
        ) || '}' as grain_text,
    from details
),

lines as (
    select
        month_start_date, provider, billing_account_id, billing_currency, invoice_detail_id, invoice_issuer, charge_category, is_correction,
        charge_text, regexp_replace(grain_text, '[\x00-\x1f]', ' ', 'g') as grain_text, billed_amount, bill_lines, first_pulled_at, last_pulled_at,
    from grains
    union all
    select
        i.month_start_date,
        i.provider,
        i.billing_account_id,
        i.billing_currency,
        md5(concat_ws(chr(31), 'rounding', i.provider, i.billing_account_id, cast(i.month_start_date as varchar), i.billing_currency)) as invoice_detail_id,
        cast(null as varchar) as invoice_issuer,
        'Adjustment' as charge_category,
        false as is_correction,
        'Rounding to whole cents' as charge_text,
        cast(null as varchar) as grain_text,
        i.invoiced_cost_billing_currency - i.billed_amount as billed_amount,
        0 as bill_lines,
        cast(null as timestamptz) as first_pulled_at,
        cast(null as timestamptz) as last_pulled_at,
    from ledger_invoices as i
    where i.invoiced_cost_billing_currency <> i.billed_amount
)

select
    cast(l.billed_amount as decimal(38, 10)) as BilledCost,
    l.billing_account_id as BillingAccountId,
    l.billing_currency as BillingCurrency,
    cast(l.month_start_date + interval 1 month as timestamptz) as BillingPeriodEnd,
    cast(l.month_start_date as timestamptz) as BillingPeriodStart,
    l.charge_category as ChargeCategory,
    coalesce(l.first_pulled_at, w.first_pulled_at, cast(l.month_start_date + interval 1 month as timestamptz)) as InvoiceDetailCreated,
    l.charge_text as InvoiceDetailDescription,
    l.grain_text as InvoiceDetailGrain,
    l.invoice_detail_id as InvoiceDetailId,
    coalesce(l.last_pulled_at, w.last_pulled_at, cast(l.month_start_date + interval 1 month as timestamptz)) as InvoiceDetailLastUpdated,
    w.invoice_id as InvoiceId,
    cast(null as timestamptz) as InvoiceIssueDate,
    case when i.state = 'final' then 'Issued' else 'Open' end as InvoiceIssueStatus,
    coalesce(l.invoice_issuer, w.issuer, n.seller_name, l.provider) as InvoiceIssuerName,
    l.billing_currency as PaymentCurrency,
    cast(null as timestamptz) as PaymentDueDate,
    'Not stated' as PaymentTerms,
    w.invoice_id as ReferenceInvoiceId,
    l.bill_lines as x_DailyCharges,
    l.is_correction as x_IsCorrection,
    l.provider as x_Provider,
from lines as l
inner join invoice_words as w
    on l.month_start_date = w.month_start_date
    and l.provider = w.provider
    and l.billing_account_id = w.billing_account_id
    and l.billing_currency = w.billing_currency
left join ledger_invoices as i
    on l.month_start_date = i.month_start_date
    and l.provider = i.provider
    and l.billing_account_id = i.billing_account_id
    and l.billing_currency = i.billing_currency
left join ref_sellers as n on l.provider = n.provider
