{# What rows of `asked_keys` ask of the price book, as calls: the query of ledger_rates makes their rates like those of any others. #}
select
    cast(cast(usage_date as varchar) || ' 12:00:00+00' as timestamp with time zone) as started_at,
    provider,
    nullif(model_canonical, '') as model_canonical,
    service_tier,
    is_batch,
    speed,
    region,
    region_class,
    nullif(billing_account_scope, '') as billing_account_id,
    nullif(feature_scope, '') as feature,
    nullif(customer_scope, '') as customer_id,
    case when project_scope <> '' then map(['project_id'], [project_scope]) end as attributes,
    true as is_billable_leaf,
from {{ asked_keys | default("whatif_keys") }}
