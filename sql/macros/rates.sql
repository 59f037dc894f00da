{# Rates to USD, each with the day from which the next one holds, as `rates`. #}
{% macro fx_rates() %}
rates as (
    select
        currency,
        rate_date,
        fx_rate_to_usd,
        coalesce(lead(rate_date) over (partition by currency order by rate_date), date '9999-12-31') as next_rate_date,
    from ref_fx_rates
)
{%- endmacro %}
