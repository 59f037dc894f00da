/*
about: >-
  Who calls without a feature, team, cost centre, tier or environment, dearest first, with the row of attribution_rules.csv that
  would give all calls of that key or account one. One row per week, dimension and caller; the untagged_callers dearest of each.
grain: [week_start_date, dimension, place]
partition: week
columns:
  week_start_date: DATE; Monday of the ISO week, UTC
  dimension: VARCHAR; which of the dimensions that a cost is told by: feature, team, cost_centre, customer_tier, environment, customer_id, user_id ..., or model_tier
  place: BIGINT; 1 for the dearest caller of the week and dimension
  source: VARCHAR; folder of landing/ that the calls came from
  source_account: VARCHAR; first folder below the source, else 'default'
  api_key_name: VARCHAR; what its owner calls the key; null where unknown
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  environment: VARCHAR; deployment environment, 'unattributed' where none is known
  requests: BIGINT; calls
  unpriced_requests: BIGINT; of these, calls without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls
  rule_row: VARCHAR; row for attribution_rules.csv, its value left to fill in between angle brackets
question: Which callers should be tagged first?
answer: >-
  select dimension, rule_row, sum(requests) as requests, sum(effective_cost_usd) as effective_cost_usd
  from mart_untagged_callers_weekly group by dimension, rule_row order by effective_cost_usd desc, dimension limit 20
*/
with callers as (
    select
        cast(date_trunc('week', usage_date) as date) as week_start_date,
        dimension,
        source,
        source_account,
        api_key_name,
        provider,
        model_canonical,
        environment,
        cast(sum(requests) as bigint) as requests,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
    from ledger_attribution_days
    where value_source = 'unattributed' and dimension in ('feature', 'team', 'cost_centre', 'customer_tier', 'environment')
    group by
        cast(date_trunc('week', usage_date) as date), dimension, source, source_account, api_key_name, provider, model_canonical,
        environment
),

ranked as (
    select
        *,
        row_number() over (
            partition by week_start_date, dimension
            order by effective_cost_usd desc, requests desc, source, source_account, api_key_name, provider, model_canonical, environment
        ) as place,
    from callers
)

select
    r.week_start_date,
    r.dimension,
    r.place,
    r.source,
    r.source_account,
    r.api_key_name,
    r.provider,
    r.model_canonical,
    r.environment,
    r.requests,
    r.unpriced_requests,
    r.effective_cost_usd,
    concat_ws(
        ',',
        '100',
        r.source,
        case when r.api_key_name is not null then 'api_key_name' else 'source_account' end,
        'exact',
        coalesce(r.api_key_name, r.source_account),
        r.dimension,
        '<' || r.dimension || '>',
        cast(r.week_start_date as varchar),
        '',
        ''
    ) as rule_row,
from ranked as r
inner join ref_limits as l
    on l.limit_name = 'untagged_callers'
    and l.scope_kind = ''
    and r.week_start_date >= l.valid_from_date
    and r.week_start_date < l.valid_to_date
where r.place <= l.threshold_number
