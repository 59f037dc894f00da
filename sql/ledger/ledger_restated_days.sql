/*
about: >-
  By how much the newest pull of a bill changed what the pull before it said, lines that vanished included. One row per day,
  account, model and token type that two pulls of the same form cover.
grain: [usage_date, source, provider, billing_account_id, model_canonical, token_type]
partition: day
leads: [staged_bills]
columns:
  usage_date: DATE; first UTC day of the lines
  source: VARCHAR; folder of landing/ that the pulls came from
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
  model_canonical: VARCHAR; model that the line names; null where it names none that is known
  token_type: VARCHAR; input, output, cache_read, cache_write or other; null where the line names none
  restated_usd: DECIMAL(38,10); newest less the pull before, at the rate of the day; null where there is no rate
*/
{% from "macros/rates.sql" import fx_rates with context %}
{% from "macros/sellers.sql" import join_named_sellers, named_sellers with context %}
with {{ named_sellers("staged_bills", "charge_start_at") }},

stretches as (
    select source, source_account, endpoint, window_start_at, window_end_at, source_file_sha256 as sha256, pull_grain
    from ledger_pulls
    where counts
),

-- The newest of the older pulls, if it has the same form: lines of another grouping cannot be compared.
older as (
    select
        s.source,
        s.source_account,
        s.endpoint,
        s.window_start_at,
        s.window_end_at,
        p.source_file_sha256 as sha256,
        s.sha256 as newest_sha256,
    from stretches as s
    inner join ledger_pulls as p
        on s.source = p.source
        and s.source_account = p.source_account
        and s.endpoint = p.endpoint
        and s.window_start_at = p.window_start_at
        and not p.counts
        -- A pull whose buckets are all empty shows no grain: it stands for none.
        and (p.pull_grain is not distinct from s.pull_grain or p.pull_grain is null or s.pull_grain is null)
    qualify row_number() over (
        partition by s.source, s.source_account, s.endpoint, s.window_start_at order by p.pulled_at desc, p.source_file_sha256 desc
    ) = 1
),

sides as (
    select source, source_account, endpoint, window_start_at, window_end_at, newest_sha256 as sha256, 1 as side from older
    union all
    select source, source_account, endpoint, window_start_at, window_end_at, sha256, -1 as side from older
),

{{ fx_rates() }},

lines as (
    select
        cast(b.charge_start_at as date) as usage_date,
        b.source,
        coalesce(n.seller, b.provider) as provider,
        coalesce(n.seller_account_id, b.billing_account_id) as billing_account_id,
        m.model_canonical,
        b.token_type,
        s.side * case when b.currency = 'USD' then b.billed_amount
            else cast(cast(b.billed_amount as decimal(26, 12)) * cast(x.fx_rate_to_usd as decimal(12, 8)) as decimal(38, 12)) end as amount_usd,
        b.billed_amount,
    from staged_bills as b
    inner join sides as s
        on b.source = s.source
        and b.source_account = s.source_account
        and b.source_file_sha256 = s.sha256
        and b.endpoint = s.endpoint
        and b.charge_start_at >= s.window_start_at
        and b.charge_start_at < s.window_end_at
    left join rates as x
        on b.currency = x.currency and cast(b.charge_start_at as date) >= x.rate_date and cast(b.charge_start_at as date) < x.next_rate_date
    {{ join_named_sellers("b", "charge_start_at") }}
    left join ledger_models as m
        on cast(b.charge_start_at as date) = m.usage_date and coalesce(n.seller, b.provider) = m.provider and b.model_raw = m.model_raw
)

select
    usage_date,
    source,
    provider,
    billing_account_id,
    model_canonical,
    token_type,
    case when count(amount_usd) = count(billed_amount) then cast(coalesce(sum(amount_usd), 0) as decimal(38, 10)) end as restated_usd,
from lines
group by usage_date, source, provider, billing_account_id, model_canonical, token_type
