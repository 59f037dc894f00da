/*
about: >-
  How many tokens the provider counts, day by day: from its usage reports where they cover the model's day, else from the meters
  of the bill. One row per day, account, model, class of tokens that has a price of its own, and tier.
grain: [month_start_date, usage_date, provider, billing_account_id, model_canonical, token_type, token_class, rate_tier]
partition: month
leads: [ledger_bill_days, ledger_usage]
columns:
  month_start_date: DATE; first day of the month of the usage, or of the line that is spread over days
  usage_date: DATE; UTC day
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed
  model_canonical: VARCHAR; model as the price book names it; null where no alias maps it
  token_type: VARCHAR; input, output, cache_read, cache_write or other; null where the bill names none
  token_class: VARCHAR; class of tokens with a price of its own (output holds text and reasoning); null where the bill names none
  rate_tier: VARCHAR; standard, flex, priority or batch
  billed_tokens: BIGINT; tokens, those of a month's line spread evenly over its days
  counted_by: VARCHAR; usage or bill
checks:
  - one_of: [counted_by, usage, bill]
*/
{% from "macros/tokens.sql" import rate_tier, sum_of with context %}
{% set cell = [
    "month_start_date", "usage_date", "provider", "billing_account_id", "model_canonical", "token_type", "token_class", "rate_tier",
] %}
with usage_days as (
    select
        cast(date_trunc('month', bucket_start_at) as date) as month_start_date,
        cast(bucket_start_at as date) as usage_date,
        source,
        source_account,
        endpoint,
        provider,
        billing_account_id,
        model_canonical,
        {{ rate_tier("u") }} as rate_tier,
{% for billed_as, classes in token_classes | groupby("billed_as") %}
        sum({{ sum_of(classes, "u", "_tokens") }}) as {{ billed_as }}_tokens,
{% endfor %}
    from ledger_usage as u
    group by
        cast(date_trunc('month', bucket_start_at) as date), cast(bucket_start_at as date), source, source_account, endpoint, provider,
        billing_account_id, model_canonical, rate_tier
),

bill_sources as (
    select distinct month_start_date, provider, billing_account_id, source
    from ledger_bill_days
),

-- Two tools may report the same use: the one counts whose bill counts, else the first by name.
reports as (
    select
        u.month_start_date,
        u.provider,
        u.billing_account_id,
        u.model_canonical,
        u.source,
        row_number() over (
            partition by u.month_start_date, u.provider, u.billing_account_id, u.model_canonical
            order by case when min(b.source) is not null then 0 else 1 end, u.source
        ) as place,
    from usage_days as u
    left join bill_sources as b
        on u.month_start_date = b.month_start_date
        and u.provider = b.provider
        and u.billing_account_id = b.billing_account_id
        and u.source = b.source
    group by u.month_start_date, u.provider, u.billing_account_id, u.model_canonical, u.source
),

reported as (
    select u.*
    from usage_days as u
    inner join reports as r
        on u.month_start_date = r.month_start_date
        and u.provider = r.provider
        and u.billing_account_id = r.billing_account_id
        and u.model_canonical is not distinct from r.model_canonical
        and u.source = r.source
        and r.place = 1
),

pulled_days as (
    select distinct source, source_account, endpoint, cast(window_start_at as date) as usage_date
    from ledger_pulls
    where counts
),

-- Days on which a report of the model would show its use: those of its pulls.
covered as (
    select distinct u.month_start_date, u.provider, u.billing_account_id, u.model_canonical, p.usage_date
    from (
        select distinct month_start_date, source, source_account, endpoint, provider, billing_account_id, model_canonical from reported
    ) as u
    inner join pulled_days as p
        on u.source = p.source
        and u.source_account = p.source_account
        and u.endpoint = p.endpoint
        and u.month_start_date = cast(date_trunc('month', p.usage_date) as date)
    union
    select distinct month_start_date, provider, billing_account_id, model_canonical, usage_date
    from reported
),

by_class as (
{% for billed_as, classes in token_classes | groupby("billed_as") %}
    {% if not loop.first %}
    union all
    {% endif %}
    select
        month_start_date, usage_date, provider, billing_account_id, model_canonical, rate_tier, '{{ classes[0].type }}' as token_type,
        '{{ billed_as }}' as token_class, {{ billed_as }}_tokens as billed_tokens,
    from reported
    where {{ billed_as }}_tokens > 0
{% endfor %}
),

metered as (
    select
        b.month_start_date,
        b.usage_date,
        b.provider,
        b.billing_account_id,
        b.model_canonical,
        b.token_type,
        case
            when b.token_type = 'cache_write' then concat_ws('_', 'cache_write', case when b.cache_ttl in ('5m', '30m', '1h', '12h') then b.cache_ttl end)
            when b.token_type = 'input' and coalesce(b.modality, 'text') not in ('audio', 'image') then 'input_uncached'
            when b.token_type in ('input', 'cache_read', 'output')
                then concat_ws('_', b.token_type, case when b.modality in ('audio', 'image') then b.modality end)
        end as token_class,
        {{ rate_tier("b") }} as rate_tier,
        b.metered_tokens,
    from ledger_bill_days as b
    -- A charge may go on into the next month: its days are held against the reports of its own.
    left join covered as c
        on b.month_start_date = c.month_start_date
        and b.provider = c.provider
        and b.billing_account_id = c.billing_account_id
        and b.model_canonical is not distinct from c.model_canonical
        and b.usage_date = c.usage_date
    where b.charge_category = 'Usage' and b.metered_tokens <> 0 and c.usage_date is null
)

select
    {{ cell | join(", ") }},
    cast(sum(billed_tokens) as bigint) as billed_tokens,
    'usage' as counted_by,
from by_class
group by {{ cell | join(", ") }}
union all
select
    {{ cell | join(", ") }},
    cast(round(sum(metered_tokens)) as bigint) as billed_tokens,
    'bill' as counted_by,
from metered
group by {{ cell | join(", ") }}
