/*
about: >-
  The limits of thresholds.csv with the dates they hold: a row holds from its date until the next row of the same name and scope;
  of rows of one date theirs wins over ours. One row per limit and the day it begins to hold.
grain: [limit_name, scope_kind, scope_value, valid_from_date]
columns:
  limit_name: VARCHAR; what the limit is called in thresholds.csv
  scope_kind: VARCHAR; dimension that the limit is for, empty where it is for everything
  scope_value: VARCHAR; which value of that dimension, empty where it is for everything
  threshold: VARCHAR; the limit as written, a number or a word
  threshold_number: DECIMAL(18,9); the limit where it is a number, else null
  severity: VARCHAR; how grave it is to be beyond it: info, warning or critical; null where it raises no alert
  limit_owner: VARCHAR; who is told where nobody owns what is beyond it; null where nobody is named
  valid_from_date: DATE; first day on which it holds
  valid_to_date: DATE; first day on which it holds no longer
checks:
  - rule: valid_to_date > valid_from_date
*/
with dated as (
    select
        name as limit_name,
        coalesce(scope_kind, '') as scope_kind,
        coalesce(scope_value, '') as scope_value,
        threshold,
        severity,
        owner as limit_owner,
        coalesce(valid_from_date, date '0001-01-01') as valid_from_date,
        row_number() over (
            partition by name, coalesce(scope_kind, ''), coalesce(scope_value, ''), coalesce(valid_from_date, date '0001-01-01')
            order by case when reference_file like '%shipped%' then 1 else 0 end, reference_row desc
        ) as place,
    from ref_thresholds
)

select
    limit_name,
    scope_kind,
    scope_value,
    threshold,
    try_cast(threshold as decimal(18, 9)) as threshold_number,
    severity,
    limit_owner,
    valid_from_date,
    coalesce(
        lead(valid_from_date) over (partition by limit_name, scope_kind, scope_value order by valid_from_date), date '9999-12-31'
    ) as valid_to_date,
from dated
where place = 1
