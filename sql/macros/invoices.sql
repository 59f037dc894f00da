{# The invoice of charges of an account, month and currency: what they all name, else a name of ours. #}
{% macro invoice_named() %}
case
            when count(distinct stated_invoice_id) = 1 then min(stated_invoice_id)
            else concat_ws('/', provider, billing_account_id, strftime(month_start_date, '%Y-%m'), billing_currency)
        end
{%- endmacro %}
