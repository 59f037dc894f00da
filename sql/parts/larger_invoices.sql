{# Of the invoices of an account and month the one with the largest amount, as only that is split: `invoices`. #}
invoices as (
    select *
    from ledger_invoices
    qualify row_number() over (
        partition by month_start_date, provider, billing_account_id order by abs(billed_amount) desc, billing_currency
    ) = 1
),
