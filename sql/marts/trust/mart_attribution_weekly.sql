/*
about: >-
  How much of the spend is known by feature, team, tier, user and so on, and where the value came from; for the dimensions of the
  showback how much of the invoice is tied to an owner by evidence, how much by apportionment, and how much has none. One row per
  week, billing month and dimension.
grain: [week_start_date, billing_month, dimension]
partition: month
partition_column: month_start_date
leads: [ledger_attribution_days, mart_showback_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week, UTC
  billing_month: VARCHAR; month of the invoice as YYYY-MM; a week over two months has rows for each
  month_start_date: DATE; first day of the billing month, UTC
  dimension: VARCHAR; which of the dimensions that a cost is told by: feature, team, cost_centre, customer_tier, environment, customer_id, user_id ..., or model_tier
  requests: BIGINT; calls
  unpriced_requests: BIGINT; of these, calls without a cost
  known_requests: BIGINT; of these, calls with a value
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls
  known_cost_usd: DECIMAL(38,15); cost of calls with a value
  own_cost_usd: DECIMAL(38,15); of this, the call itself names the value
  ancestor_cost_usd: DECIMAL(38,15); a span above the call names it
  root_cost_usd: DECIMAL(38,15); the root span of its trace names it
  trace_cost_usd: DECIMAL(38,15); another span of its trace names it
  rule_cost_usd: DECIMAL(38,15); a row of attribution_rules.csv gives it
  reference_cost_usd: DECIMAL(38,15); the row of its feature, customer or model gives it
  account_cost_usd: DECIMAL(38,15); the row of its account gives it
  known_share: DECIMAL(18,9); known over all effective cost; null without cost
  gross_cost_usd: DECIMAL(38,10); invoiced before discounts, credits and tax; null for a dimension that the showback lacks
  attributed_direct_usd: DECIMAL(38,10); of this, explained by calls with a value
  attributed_allocated_usd: DECIMAL(38,10); of this, untraced spend that rows with a value bear
  unattributed_usd: DECIMAL(38,10); of this, what no value is known for
  allocation_accuracy_index: DECIMAL(38,9); Allocation Accuracy Index, attributed direct over gross cost; null without it
  percent_costs_unallocated: DECIMAL(38,9); Percent of Costs Unallocated (0.05 is 5 percent), unattributed over gross cost; null without it
  verdict: VARCHAR; ok, warn or fail by the index; null where there is none
checks:
  - one_of: [verdict, ok, warn, fail]
  - between: [known_share, 0, 1]
  - rule: >-
      known_cost_usd = own_cost_usd + ancestor_cost_usd + root_cost_usd + trace_cost_usd + rule_cost_usd + reference_cost_usd + account_cost_usd
    text: where values came from adds up
  - rule: gross_cost_usd = attributed_direct_usd + attributed_allocated_usd + unattributed_usd
    null_passes: true
    text: attributed direct, attributed by apportionment and unattributed are the whole invoice before discounts, credits and tax
  - rule: verdict is distinct from 'fail' or dimension <> 'feature'
    severity: warning
    text: no more than unattributed_fail_share of a week's invoice lacks evidence of its feature
question: How much of the spend has a known owner, and by what evidence?
answer: >-
  select dimension, sum(known_cost_usd) / nullif(sum(effective_cost_usd), 0) as known_share,
  sum(attributed_direct_usd) / nullif(sum(gross_cost_usd), 0) as allocation_accuracy_index,
  sum(unattributed_usd) / nullif(sum(gross_cost_usd), 0) as percent_costs_unallocated
  from mart_attribution_weekly group by dimension order by known_share desc, dimension
*/
with calls as (
    select
        cast(date_trunc('week', usage_date) as date) as week_start_date,
        strftime(usage_date, '%Y-%m') as billing_month,
        dimension,
        value_source,
        sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests,
        sum(effective_cost_usd) as effective_cost_usd,
    from ledger_attribution_days
    group by cast(date_trunc('week', usage_date) as date), strftime(usage_date, '%Y-%m'), dimension, value_source
),

known as (
    select
        week_start_date,
        billing_month,
        dimension,
        sum(requests) as requests,
        sum(unpriced_requests) as unpriced_requests,
        sum(case when value_source <> 'unattributed' then requests else 0 end) as known_requests,
        sum(effective_cost_usd) as effective_cost_usd,
        sum(case when value_source <> 'unattributed' then effective_cost_usd else 0 end) as known_cost_usd,
        sum(case when value_source = 'own' then effective_cost_usd else 0 end) as own_cost_usd,
        sum(case when value_source = 'ancestor' then effective_cost_usd else 0 end) as ancestor_cost_usd,
        sum(case when value_source = 'root' then effective_cost_usd else 0 end) as root_cost_usd,
        sum(case when value_source = 'trace' then effective_cost_usd else 0 end) as trace_cost_usd,
        sum(case when value_source = 'rule' then effective_cost_usd else 0 end) as rule_cost_usd,
        sum(case when value_source = 'reference' then effective_cost_usd else 0 end) as reference_cost_usd,
        sum(case when value_source = 'account' then effective_cost_usd else 0 end) as account_cost_usd,
    from calls
    group by week_start_date, billing_month, dimension
),

borne as (
    select week_start_date, billing_month, direct_cost_usd, allocated_untraced_usd, 'feature' as dimension, feature as held_by from mart_showback_weekly
    union all
    select week_start_date, billing_month, direct_cost_usd, allocated_untraced_usd, 'team' as dimension, team as held_by from mart_showback_weekly
    union all
    select week_start_date, billing_month, direct_cost_usd, allocated_untraced_usd, 'cost_centre' as dimension, cost_centre as held_by
    from mart_showback_weekly
    union all
    select week_start_date, billing_month, direct_cost_usd, allocated_untraced_usd, 'customer_tier' as dimension, customer_tier as held_by
    from mart_showback_weekly
    union all
    select week_start_date, billing_month, direct_cost_usd, allocated_untraced_usd, 'environment' as dimension, environment as held_by
    from mart_showback_weekly
    union all
    select
        week_start_date, billing_month, direct_cost_usd, allocated_untraced_usd, 'model_tier' as dimension,
        case when model_tier = 'unknown_tier' then 'unattributed' else model_tier end as held_by,
    from mart_showback_weekly
),

invoiced as (
    select
        week_start_date,
        billing_month,
        dimension,
        sum(direct_cost_usd + allocated_untraced_usd) as gross_cost_usd,
        sum(case when held_by <> 'unattributed' then direct_cost_usd else 0 end) as attributed_direct_usd,
        sum(case when held_by <> 'unattributed' then allocated_untraced_usd else 0 end) as attributed_allocated_usd,
        sum(case when held_by = 'unattributed' then direct_cost_usd + allocated_untraced_usd else 0 end) as unattributed_usd,
    from borne
    group by week_start_date, billing_month, dimension
),

rows_of_both as (
    select week_start_date, billing_month, dimension from known
    union
    select week_start_date, billing_month, dimension from invoiced
),

limits as (
    select
        w.week_start_date,
        max(case when l.limit_name = 'unattributed_warn_share' then l.threshold_number end) as warn_share,
        max(case when l.limit_name = 'unattributed_fail_share' then l.threshold_number end) as fail_share,
    from (select distinct week_start_date from rows_of_both) as w
    left join ref_limits as l
        on l.scope_kind = '' and w.week_start_date >= l.valid_from_date and w.week_start_date < l.valid_to_date
    group by w.week_start_date
)

select
    r.week_start_date,
    r.billing_month,
    cast(r.billing_month || '-01' as date) as month_start_date,
    r.dimension,
    cast(coalesce(k.requests, 0) as bigint) as requests,
    cast(coalesce(k.unpriced_requests, 0) as bigint) as unpriced_requests,
    cast(coalesce(k.known_requests, 0) as bigint) as known_requests,
    cast(coalesce(k.effective_cost_usd, 0) as decimal(38, 15)) as effective_cost_usd,
    cast(coalesce(k.known_cost_usd, 0) as decimal(38, 15)) as known_cost_usd,
    cast(coalesce(k.own_cost_usd, 0) as decimal(38, 15)) as own_cost_usd,
    cast(coalesce(k.ancestor_cost_usd, 0) as decimal(38, 15)) as ancestor_cost_usd,
    cast(coalesce(k.root_cost_usd, 0) as decimal(38, 15)) as root_cost_usd,
    cast(coalesce(k.trace_cost_usd, 0) as decimal(38, 15)) as trace_cost_usd,
    cast(coalesce(k.rule_cost_usd, 0) as decimal(38, 15)) as rule_cost_usd,
    cast(coalesce(k.reference_cost_usd, 0) as decimal(38, 15)) as reference_cost_usd,
    cast(coalesce(k.account_cost_usd, 0) as decimal(38, 15)) as account_cost_usd,
    cast(cast(k.known_cost_usd as double) / nullif(cast(k.effective_cost_usd as double), 0) as decimal(18, 9)) as known_share,
    cast(i.gross_cost_usd as decimal(38, 10)) as gross_cost_usd,
    cast(i.attributed_direct_usd as decimal(38, 10)) as attributed_direct_usd,
    cast(i.attributed_allocated_usd as decimal(38, 10)) as attributed_allocated_usd,
    cast(i.unattributed_usd as decimal(38, 10)) as unattributed_usd,
    cast(cast(i.attributed_direct_usd as double) / nullif(cast(i.gross_cost_usd as double), 0) as decimal(38, 9)) as allocation_accuracy_index,
    cast(cast(i.unattributed_usd as double) / nullif(cast(i.gross_cost_usd as double), 0) as decimal(38, 9)) as percent_costs_unallocated,
    case
        when i.gross_cost_usd > 0
            then case
                when i.attributed_direct_usd >= cast(i.gross_cost_usd as decimal(28, 10)) * (1 - l.warn_share) then 'ok'
                when i.attributed_direct_usd >= cast(i.gross_cost_usd as decimal(28, 10)) * (1 - l.fail_share) then 'warn'
                else 'fail'
            end
    end as verdict,
from rows_of_both as r
inner join limits as l on r.week_start_date = l.week_start_date
left join known as k
    on r.week_start_date = k.week_start_date and r.billing_month = k.billing_month and r.dimension = k.dimension
left join invoiced as i
    on r.week_start_date = i.week_start_date and r.billing_month = i.billing_month and r.dimension = i.dimension
