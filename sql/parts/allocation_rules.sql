{# Rules of allocation with what they leave out filled in: `rules`. #}
rules as (
    select
        charge_match_field as field,
        charge_match_value as field_value,
        method,
        coalesce(basis, 'list_cost_usd') as basis,
        coalesce(target_kind, '') as target_kind,
        coalesce(target_value, '') as target_value,
        share,
        coalesce(valid_from_date, date '0001-01-01') as valid_from_date,
        coalesce(valid_to_date, date '9999-12-31') as valid_to_date,
        reference_row,
    from ref_allocation_rules
),
