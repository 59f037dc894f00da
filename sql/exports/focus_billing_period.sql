/*
about: >-
  Billing periods as FOCUS 1.4 has them: each month in which somebody issues an invoice, and whether its figures may still change. One
  row per invoice issuer and month.
grain: [InvoiceIssuerName, BillingPeriodStart]
partition: month
partition_column: BillingPeriodStart
leads: [focus_cost_and_usage, focus_invoice_detail]
columns:
  BillingPeriodCreated: TIMESTAMP WITH TIME ZONE; earliest pull of its lines; end of the billing month where no file holds any
  BillingPeriodEnd: TIMESTAMP WITH TIME ZONE; end of the billing month, exclusive, UTC
  BillingPeriodLastUpdated: TIMESTAMP WITH TIME ZONE; latest pull of its lines; end of the billing month where no file holds any
  BillingPeriodStart: TIMESTAMP WITH TIME ZONE; first instant of the billing month, UTC
  BillingPeriodStatus: VARCHAR; Closed once all its invoices are issued, else Open
  InvoiceIssuerName: VARCHAR; who issues the invoice, the seller where the bill does not say
  x_Invoices: BIGINT; invoices of the issuer in the month
checks:
  - one_of: [BillingPeriodStatus, Open, Closed]
  - rule: BillingPeriodCreated <= BillingPeriodLastUpdated
question: Which months may still change?
answer: >-
  select InvoiceIssuerName, BillingPeriodStart, BillingPeriodStatus from focus_billing_period order by all
*/
with invoices as (
    select
        BillingPeriodStart,
        BillingPeriodEnd,
        InvoiceIssuerName,
        InvoiceId,
        InvoiceIssueStatus,
        InvoiceDetailCreated as created_at,
        InvoiceDetailLastUpdated as updated_at,
    from focus_invoice_detail
    union all
    -- A month with calls and without a bill is open.
    select distinct
        BillingPeriodStart,
        BillingPeriodEnd,
        InvoiceIssuerName,
        cast(null as varchar) as InvoiceId,
        'Open' as InvoiceIssueStatus,
        BillingPeriodEnd as created_at,
        BillingPeriodEnd as updated_at,
    from focus_cost_and_usage
    where x_AllocationBasis = 'effective_cost'
)

select
    min(created_at) as BillingPeriodCreated,
    BillingPeriodEnd,
    max(updated_at) as BillingPeriodLastUpdated,
    BillingPeriodStart,
    case when count(*) = count(case when InvoiceIssueStatus = 'Issued' then 1 end) then 'Closed' else 'Open' end as BillingPeriodStatus,
    InvoiceIssuerName,
    count(distinct InvoiceId) as x_Invoices,
from invoices
group by BillingPeriodStart, BillingPeriodEnd, InvoiceIssuerName
