/*
about: >-
  What of the calls of closed months is other than it was at the close: calls that came late or are gone, prices, owners, outcomes,
  and what caused it. Days of open months are empty. One row per day, account, model, reason and cause.
grain: [usage_date, provider, billing_account_id, model_canonical, reason, caused_by]
partition: day
columns:
  usage_date: DATE; UTC day of the calls
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where it cannot be told
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  reason: VARCHAR; price_correction, attribution_change, late_rows or late_outcome
  caused_by: VARCHAR; file below the data root, with the row of a price or the dimension of an owner where one is known
  requests: BIGINT; calls that changed for this reason
checks:
  - one_of: [reason, price_correction, attribution_change, late_rows, late_outcome]
  - not_null: [reason, caused_by]
*/
{# A call of one side, as it is compared. #}
{% macro compared() %}
    select
        r.request_key,
        cast(r.started_at as date) as usage_date,
        r.source,
        r.source_account,
        r.source_row_version,
        r.provider,
        coalesce(r.billing_account_id, 'unattributed') as billing_account_id,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.model_served,
        r.input_total_tokens,
        r.output_total_tokens,
        r.cache_read_total_tokens,
        r.cache_write_total_tokens,
        r.feature,
        r.team,
        r.cost_centre,
        r.customer_tier,
        r.environment,
        r.attribution_source,
        c.list_cost_usd,
        c.effective_cost_usd,
        c.price_ids,
{%- endmacro %}

with live as (
{{ compared() }}
    from ledger_requests as r
    inner join closed_months as m on cast(date_trunc('month', r.started_at) as date) = m.month_start_date
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    where r.is_billable_leaf
),

closed as (
{{ compared() }}
    from closed_ledger_requests as r
    inner join closed_ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    where r.is_billable_leaf
),

-- Calls of one side only, and those of both whose record is another version. A call that is on another day now is gone from its
-- own and new on the other.
late as (
    select
        coalesce(l.request_key, c.request_key) as request_key,
        coalesce(l.usage_date, c.usage_date) as usage_date,
        coalesce(l.source, c.source) as source,
        coalesce(l.source_account, c.source_account) as source_account,
        coalesce(l.source_row_version, c.source_row_version) as source_row_version,
    from live as l
    full join closed as c on l.request_key = c.request_key and l.usage_date = c.usage_date
    where l.request_key is null
        or c.request_key is null
        or l.source_row_version is distinct from c.source_row_version
        or l.model_served is distinct from c.model_served
        or l.input_total_tokens is distinct from c.input_total_tokens
        or l.output_total_tokens is distinct from c.output_total_tokens
        or l.cache_read_total_tokens is distinct from c.cache_read_total_tokens
        or l.cache_write_total_tokens is distinct from c.cache_write_total_tokens
),

late_files as (
    select s.request_key, t.usage_date, max(s.source_file) as source_file
    from staged_requests as s
    inner join late as t
        on s.request_key = t.request_key
        and cast(s.started_at as date) = t.usage_date
        and s.source_row_version is not distinct from t.source_row_version
    group by s.request_key, t.usage_date
),

known as (
    select
        l.request_key,
        l.usage_date,
        c.billing_account_id as closed_billing_account_id,
        c.model_canonical as closed_model_canonical,
        c.price_ids as closed_price_ids,
        l.list_cost_usd is not distinct from c.list_cost_usd as has_list_cost_of_close,
        l.effective_cost_usd is not distinct from c.effective_cost_usd as has_cost_of_close,
        l.feature is distinct from c.feature as is_of_other_feature,
        l.team is distinct from c.team as is_of_other_team,
        l.cost_centre is distinct from c.cost_centre as is_of_other_cost_centre,
        l.customer_tier is distinct from c.customer_tier as is_of_other_customer_tier,
        l.environment is distinct from c.environment as is_of_other_environment,
        l.billing_account_id is distinct from c.billing_account_id and l.provider = c.provider as is_of_other_account,
        l.provider <> c.provider as is_of_other_seller,
        c.provider as closed_provider,
        l.provider,
        l.model_canonical,
        l.model_served,
        l.price_ids,
        l.source,
        l.source_account,
        l.attribution_source as live_from,
        c.attribution_source as closed_from,
    from live as l
    inner join closed as c on l.request_key = c.request_key and l.usage_date = c.usage_date
    anti join late as t on l.request_key = t.request_key and l.usage_date = t.usage_date
),

repriced as (
    -- At another seller other prices hold: that is a change of the seller.
    select *
    from known
    where not is_of_other_seller and (not has_cost_of_close or not has_list_cost_of_close or model_canonical <> closed_model_canonical)
),

price_rows as (
    select
        n.request_key,
        n.usage_date,
        case
            when b.book_version like 'user %' then 'reference/prices.csv'
            when b.book_version like 'shipped %' then 'data/shipped/prices.csv'
            else b.book_version
        end || ': ' || b.provider || ' ' || b.model_id as caused_by,
    from (select request_key, usage_date, unnest(price_ids) as price_id from repriced) as n
    anti join (select request_key, usage_date, unnest(closed_price_ids) as price_id from repriced) as o
        on n.request_key = o.request_key and n.usage_date = o.usage_date and n.price_id = o.price_id
    inner join (select distinct price_id, book_version, provider, model_id from ref_price_book) as b on n.price_id = b.price_id
),

-- The alias, or the row of the book that is new; with neither a row that is gone, or a contract.
price_causes as (
    select
        r.request_key,
        r.usage_date,
        case
            when r.model_canonical <> r.closed_model_canonical then 'reference/model_aliases.csv: ' || r.provider || ' ' || r.model_served
            when p.caused_by is not null then p.caused_by
            when not r.has_list_cost_of_close then 'reference/prices.csv: ' || r.provider || ' ' || r.model_canonical
            else 'reference/price_overrides.csv: ' || r.provider || ' ' || r.model_canonical
        end as caused_by,
    from repriced as r
    left join price_rows as p on r.request_key = p.request_key and r.usage_date = p.usage_date
),

moved as (
    select *, 'feature' as dimension from known where is_of_other_feature
    union all
    select *, 'team' as dimension from known where is_of_other_team
    union all
    select *, 'cost_centre' as dimension from known where is_of_other_cost_centre
    union all
    select *, 'customer_tier' as dimension from known where is_of_other_customer_tier
    union all
    select *, 'environment' as dimension from known where is_of_other_environment
    union all
    select *, 'billing_account_id' as dimension from known where is_of_other_account
    union all
    select *, 'seller' as dimension from known where is_of_other_seller
),

owner_causes as (
    select
        request_key,
        usage_date,
        case case when dimension = 'seller' then 'seller' else coalesce(live_from[dimension], closed_from[dimension]) end
            when 'seller' then 'reference/seller_aliases.csv: ' || closed_provider || ' to ' || provider
            when 'rule' then 'reference/attribution_rules.csv: ' || dimension
            when 'account' then 'reference/accounts.csv: ' || dimension
            when 'reference'
                then case when dimension = 'customer_tier' then 'reference/customers.csv: ' else 'reference/features.csv: ' end || dimension
            -- A record of the trace, or of another tool, that came later.
            else 'landing/' || source || '/' || source_account || ': ' || dimension
        end as caused_by,
    from moved
),

outcome_causes as (
    select
        t.first_request_key as request_key,
        k.usage_date,
        case coalesce(t.outcome_source, c.outcome_source)
            when 'outcomes' then 'landing/outcomes: ' || t.task_id
            when 'score' then 'scores: ' || t.task_id
            else 'the last call: ' || t.task_id
        end as caused_by,
    from ledger_tasks as t
    inner join closed_ledger_tasks as c
        on t.source_account = c.source_account and t.task_id = c.task_id and cast(t.started_at as date) = cast(c.started_at as date)
    inner join known as k on t.first_request_key = k.request_key and cast(t.started_at as date) = k.usage_date
    where t.outcome is distinct from c.outcome and t.first_request_key = c.first_request_key
),

causes as (
    select
        t.request_key,
        t.usage_date,
        'late_rows' as reason,
        coalesce(f.source_file, 'landing/' || t.source || '/' || t.source_account || ' (no longer there)') as caused_by,
    from late as t
    left join late_files as f on t.request_key = f.request_key and t.usage_date = f.usage_date
    union all
    select request_key, usage_date, 'price_correction' as reason, caused_by from price_causes
    union all
    select request_key, usage_date, 'attribution_change' as reason, caused_by from owner_causes
    union all
    select request_key, usage_date, 'late_outcome' as reason, caused_by from outcome_causes
),

-- A call that is now of another account or model changes both sides.
sides as (
    select request_key, usage_date, provider, billing_account_id, model_canonical from live
    union
    select request_key, usage_date, provider, billing_account_id, model_canonical from closed
)

select
    s.usage_date,
    s.provider,
    s.billing_account_id,
    s.model_canonical,
    c.reason,
    c.caused_by,
    count(distinct s.request_key) as requests,
from causes as c
inner join sides as s on c.request_key = s.request_key and c.usage_date = s.usage_date
group by s.usage_date, s.provider, s.billing_account_id, s.model_canonical, c.reason, c.caused_by
