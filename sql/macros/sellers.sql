{# What seller_aliases.csv says of the sellers and accounts of a staged table, as `named_sellers`; of several rows the closest counts. #}
{% macro named_sellers(table, at) %}
named_sellers as (
    select
        w.source,
        w.provider,
        w.billing_account_id,
        w.named_date,
        a.seller,
        coalesce(a.seller_account_id, w.billing_account_id) as seller_account_id,
    from (
        select distinct source, provider, billing_account_id, cast({{ at }} as date) as named_date
        from {{ table }}
        where provider in (select lower(provider) from ref_seller_aliases)
    ) as w
    inner join ref_seller_aliases as a
        on w.provider = lower(a.provider)
        and (a.source is null or w.source = a.source)
        and (a.billing_account_id is null or w.billing_account_id = a.billing_account_id)
        and (a.valid_from_date is null or w.named_date >= a.valid_from_date)
        and (a.valid_to_date is null or w.named_date < a.valid_to_date)
    qualify row_number() over (
        partition by w.source, w.provider, w.billing_account_id, w.named_date
        order by
            case when a.billing_account_id is null then 1 else 0 end, case when a.source is null then 1 else 0 end,
            a.valid_from_date desc nulls last, a.reference_row
    ) = 1
)
{%- endmacro %}

{# The join that goes with it. #}
{% macro join_named_sellers(row, at) %}
    left join named_sellers as n
        on {{ row }}.source = n.source
        and {{ row }}.provider = n.provider
        and {{ row }}.billing_account_id is not distinct from n.billing_account_id
        and cast({{ row }}.{{ at }} as date) = n.named_date
{%- endmacro %}
