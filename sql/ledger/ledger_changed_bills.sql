/*
about: >-
  What of the bills of closed months, and of the tables that split them, is other than it was at the close, and what caused it. Open
  months are empty. One row per month, account, model, reason and cause.
grain: [month_start_date, provider, billing_account_id, model_canonical, reason, caused_by]
partition: month
columns:
  month_start_date: DATE; first day of the billing month, UTC
  provider: VARCHAR; the seller; null where a reference table concerns all
  billing_account_id: VARCHAR; account that is billed; null where a reference table concerns all
  model_canonical: VARCHAR; model that the line names; null where it names none
  reason: VARCHAR; restated_invoice, price_correction (a rate of exchange) or attribution_change (a reference table)
  caused_by: VARCHAR; file below the data root, with what it is about where one is known
  changed_lines: BIGINT; lines, days of usage or rows that changed
checks:
  - one_of: [reason, restated_invoice, price_correction, attribution_change]
  - not_null: [reason, caused_by]
*/
with live_lines as (
    select
        b.month_start_date,
        b.provider,
        b.billing_account_id,
        b.cost_key,
        b.billing_currency,
        min(b.source) as source,
        min(b.charge_id) as charge_id,
        min(b.model_canonical) as model_canonical,
        min(b.token_type) as token_type,
        min(b.charge_category) as charge_category,
        min(b.charge_start_date) as charge_start_date,
        sum(b.billed_amount) as billed_amount,
        sum(b.list_amount) as list_amount,
        sum(b.metered_tokens) as metered_tokens,
        case when count(*) = count(b.billed_usd) then sum(b.billed_usd) end as billed_usd,
    from ledger_bill_days as b
    inner join closed_months as m on b.month_start_date = m.month_start_date
    group by b.month_start_date, b.provider, b.billing_account_id, b.cost_key, b.billing_currency
),

closed_lines as (
    select
        month_start_date,
        provider,
        billing_account_id,
        cost_key,
        billing_currency,
        min(source) as source,
        min(charge_id) as charge_id,
        min(model_canonical) as model_canonical,
        min(token_type) as token_type,
        min(charge_category) as charge_category,
        min(charge_start_date) as charge_start_date,
        sum(billed_amount) as billed_amount,
        sum(list_amount) as list_amount,
        sum(metered_tokens) as metered_tokens,
        case when count(*) = count(billed_usd) then sum(billed_usd) end as billed_usd,
    from closed_ledger_bill_days
    group by month_start_date, provider, billing_account_id, cost_key, billing_currency
),

changed as (
    select
        coalesce(l.month_start_date, c.month_start_date) as month_start_date,
        coalesce(l.provider, c.provider) as provider,
        coalesce(l.billing_account_id, c.billing_account_id) as billing_account_id,
        coalesce(l.cost_key, c.cost_key) as cost_key,
        coalesce(l.billing_currency, c.billing_currency) as billing_currency,
        coalesce(l.source, c.source) as source,
        coalesce(l.charge_id, c.charge_id) as charge_id,
        coalesce(l.model_canonical, c.model_canonical) as model_canonical,
        l.cost_key is null as is_gone,
        c.cost_key is null
        or l.cost_key is null
        or l.billed_amount is distinct from c.billed_amount
        or l.list_amount is distinct from c.list_amount
        or l.metered_tokens is distinct from c.metered_tokens
        or l.model_canonical is distinct from c.model_canonical
        or l.token_type is distinct from c.token_type
        or l.charge_category is distinct from c.charge_category
        or l.charge_start_date is distinct from c.charge_start_date as is_restated,
    from live_lines as l
    full join closed_lines as c
        on l.month_start_date = c.month_start_date
        and l.provider = c.provider
        and l.billing_account_id = c.billing_account_id
        and l.cost_key = c.cost_key
        and l.billing_currency = c.billing_currency
    where l.cost_key is null
        or c.cost_key is null
        or l.billed_amount is distinct from c.billed_amount
        or l.billed_usd is distinct from c.billed_usd
        or l.list_amount is distinct from c.list_amount
        or l.metered_tokens is distinct from c.metered_tokens
        or l.model_canonical is distinct from c.model_canonical
        or l.token_type is distinct from c.token_type
        or l.charge_category is distinct from c.charge_category
        or l.charge_start_date is distinct from c.charge_start_date
),

line_files as (
    select t.month_start_date, t.cost_key, max(s.source_file) as source_file
    from ledger_bills as b
    inner join changed as t on b.cost_key = t.cost_key and cast(date_trunc('month', b.charge_start_at) as date) = t.month_start_date
    inner join staged_bills as s on b.cost_key = s.cost_key and b.pulled_at = s.pulled_at and b.charge_start_at = s.charge_start_at
    group by t.month_start_date, t.cost_key
),

-- A line that has vanished: the pull that counts now where it stood.
vanished_files as (
    select distinct t.month_start_date, t.cost_key, w.source_file
    from closed_ledger_bills as b
    inner join changed as t
        on b.cost_key = t.cost_key and cast(date_trunc('month', b.charge_start_at) as date) = t.month_start_date and t.is_gone
    inner join ledger_pulls as p
        on b.source = p.source
        and b.source_account = p.source_account
        and b.endpoint = p.endpoint
        and b.charge_start_at >= p.window_start_at
        and b.charge_start_at < p.window_end_at
        and p.counts
    inner join staged_windows as w
        on p.source = w.source
        and p.source_account = w.source_account
        and p.source_file_sha256 = w.source_file_sha256
        and t.month_start_date = cast(date_trunc('month', w.window_start_at) as date)
),

-- A line that stands at another seller, and is as it was otherwise: seller_aliases.csv means another one.
moved_lines as (
    select l.month_start_date, l.cost_key, l.billing_currency, c.provider || ' to ' || l.provider as moved
    from live_lines as l
    inner join closed_lines as c
        on l.month_start_date = c.month_start_date and l.cost_key = c.cost_key and l.billing_currency = c.billing_currency
    where l.provider <> c.provider
        and l.billed_amount is not distinct from c.billed_amount
        and l.list_amount is not distinct from c.list_amount
        and l.metered_tokens is not distinct from c.metered_tokens
        and l.charge_category is not distinct from c.charge_category
        and l.charge_start_date is not distinct from c.charge_start_date
),

line_causes as (
    select
        c.month_start_date,
        c.provider,
        c.billing_account_id,
        c.model_canonical,
        case when m.moved is not null then 'attribution_change' when c.is_restated then 'restated_invoice' else 'price_correction' end as reason,
        case
            when m.moved is not null then 'reference/seller_aliases.csv: ' || m.moved
            when not c.is_restated then 'reference/fx_rates.csv: ' || c.billing_currency
            when c.source = 'period_charges' then 'reference/period_charges.csv: ' || c.charge_id
            else coalesce(f.source_file, v.source_file, 'landing/' || c.source || ' (no longer there)')
        end as caused_by,
    from changed as c
    left join line_files as f on c.month_start_date = f.month_start_date and c.cost_key = f.cost_key
    left join vanished_files as v on c.month_start_date = v.month_start_date and c.cost_key = v.cost_key
    left join moved_lines as m
        on c.month_start_date = m.month_start_date and c.cost_key = m.cost_key and c.billing_currency = m.billing_currency
),

-- What the provider counts, where that is told apart from what it charges.
live_tokens as (
    select b.month_start_date, b.usage_date, b.provider, b.billing_account_id, b.model_canonical, b.token_class, sum(b.billed_tokens) as billed_tokens,
    from ledger_billed_tokens as b
    inner join closed_months as m on b.month_start_date = m.month_start_date
    where b.counted_by = 'usage'
    group by b.month_start_date, b.usage_date, b.provider, b.billing_account_id, b.model_canonical, b.token_class
),

closed_tokens as (
    select month_start_date, usage_date, provider, billing_account_id, model_canonical, token_class, sum(billed_tokens) as billed_tokens,
    from closed_ledger_billed_tokens
    where counted_by = 'usage'
    group by month_start_date, usage_date, provider, billing_account_id, model_canonical, token_class
),

recounted as (
    select distinct
        coalesce(l.month_start_date, c.month_start_date) as month_start_date,
        coalesce(l.usage_date, c.usage_date) as usage_date,
        coalesce(l.provider, c.provider) as provider,
        coalesce(l.billing_account_id, c.billing_account_id) as billing_account_id,
        coalesce(l.model_canonical, c.model_canonical) as model_canonical,
    from live_tokens as l
    full join closed_tokens as c
        on l.month_start_date = c.month_start_date
        and l.usage_date = c.usage_date
        and l.provider = c.provider
        and l.billing_account_id = c.billing_account_id
        and l.model_canonical is not distinct from c.model_canonical
        and l.token_class = c.token_class
    where l.billed_tokens is distinct from c.billed_tokens
),

usage_causes as (
    select distinct
        r.month_start_date,
        r.provider,
        r.billing_account_id,
        r.model_canonical,
        'restated_invoice' as reason,
        s.source_file as caused_by,
        r.usage_date,
    from recounted as r
    inner join ledger_usage as u
        on r.usage_date = cast(u.bucket_start_at as date)
        and r.provider = u.provider
        and r.billing_account_id = u.billing_account_id
        and r.model_canonical is not distinct from u.model_canonical
    inner join staged_usage as s on u.usage_key = s.usage_key and u.pulled_at = s.pulled_at
),

-- Tables that decide how an invoice is split: what of them held in the month, then and now.
{% for side, tables in (("live", "ref_"), ("closed", "closed_ref_")) %}
{{ side }}_rules as (
    select
        m.month_start_date,
        'reference/allocation_rules.csv' as caused_by,
        concat_ws('|', r.charge_match_field, r.charge_match_value, r.method, coalesce(r.basis, ''), coalesce(r.target_kind, ''),
            coalesce(r.target_value, ''), coalesce(cast(r.share as varchar), '')) as said,
    from {{ tables }}allocation_rules as r
    inner join closed_months as m
        on (r.valid_from_date is null or r.valid_from_date < m.month_start_date + interval 1 month)
        and (r.valid_to_date is null or r.valid_to_date > m.month_start_date)
    union
    select
        m.month_start_date,
        'reference/model_tiers.csv' as caused_by,
        concat_ws('|', r.provider, r.model_id, r.model_tier) as said,
    from {{ tables }}model_tiers as r
    inner join closed_months as m
        on (r.valid_from_date is null or r.valid_from_date < m.month_start_date + interval 1 month)
        and (r.valid_to_date is null or r.valid_to_date > m.month_start_date)
    union
    select
        m.month_start_date,
        'reference/thresholds.csv: ' || r.name as caused_by,
        concat_ws('|', coalesce(r.scope_kind, ''), coalesce(r.scope_value, ''), r.threshold) as said,
    from {{ tables }}thresholds as r
    inner join closed_months as m on r.valid_from_date is null or r.valid_from_date < m.month_start_date + interval 1 month
    where r.name = 'spread_min_coverage'
),

{% endfor %}
rule_causes as (
    select
        coalesce(l.month_start_date, c.month_start_date) as month_start_date,
        coalesce(l.caused_by, c.caused_by) as caused_by,
    from live_rules as l
    full join closed_rules as c
        on l.month_start_date = c.month_start_date and l.caused_by = c.caused_by and l.said = c.said
    where l.said is null or c.said is null
),

causes as (
    select month_start_date, provider, billing_account_id, model_canonical, reason, caused_by from line_causes
    union all
    select month_start_date, provider, billing_account_id, model_canonical, reason, caused_by from usage_causes
    union all
    select
        month_start_date,
        cast(null as varchar) as provider,
        cast(null as varchar) as billing_account_id,
        cast(null as varchar) as model_canonical,
        'attribution_change' as reason,
        caused_by,
    from rule_causes
)

select
    month_start_date,
    provider,
    billing_account_id,
    model_canonical,
    reason,
    caused_by,
    count(*) as changed_lines,
from causes
group by month_start_date, provider, billing_account_id, model_canonical, reason, caused_by
