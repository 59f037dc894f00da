/*
about: >-
  What contracts save: list, contracted and effective cost side by side, and the Effective Savings Rate. One row per week, seller,
  billing account and model; calls that provisioned throughput paid for stand apart, as no price of theirs says what they cost.
grain: [week_start_date, provider, billing_account_id, model_canonical]
partition: week
reads_around: 1 day
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where none is known
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  requests: BIGINT; calls, failed ones included
  unpriced_requests: BIGINT; of these, calls without a cost
  provisioned_requests: BIGINT; of these, calls that provisioned throughput paid for
  provisioned_list_cost_usd: DECIMAL(38,15); what these calls would cost at list prices; null where there are none
  list_cost_usd: DECIMAL(38,15); the other priced calls at list prices; null where there are none
  contracted_cost_usd: DECIMAL(38,15); the same calls at negotiated prices and multipliers
  effective_cost_usd: DECIMAL(38,15); the same calls as owed
  saved_usd: DECIMAL(38,15); list less effective cost; below 0 where a contract costs more than the list
  effective_savings_rate: DECIMAL(18,9); Effective Savings Rate, saved over list cost; null where nothing has a list cost
checks:
  - rule: requests >= unpriced_requests + provisioned_requests
  - rule: saved_usd = list_cost_usd - effective_cost_usd
    null_passes: true
notes:
  - A cost that only the seller or a gateway stated has no list price of its own; it counts as its own list cost.
question: What do our contracts save?
answer: >-
  select provider, sum(list_cost_usd) as list_cost_usd, sum(effective_cost_usd) as effective_cost_usd,
  sum(saved_usd) / sum(list_cost_usd) as effective_savings_rate from mart_savings_weekly group by provider order by provider
*/
with calls as (
    select
        cast(date_trunc('week', r.started_at at time zone z.reporting_time_zone) as date) as week_start_date,
        r.provider,
        coalesce(r.billing_account_id, 'unattributed') as billing_account_id,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        c.list_cost_usd,
        c.contracted_cost_usd,
        c.effective_cost_usd,
        -- Nothing else makes the two differ.
        coalesce(c.effective_cost_usd <> c.contracted_cost_usd, false) as is_provisioned,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    cross join ref_reporting as z
    where r.is_billable_leaf
),

summed as (
    select
        week_start_date,
        provider,
        billing_account_id,
        model_canonical,
        count(*) as requests,
        count(case when list_cost_usd is null then 1 end) as unpriced_requests,
        count(case when is_provisioned then 1 end) as provisioned_requests,
        cast(sum(case when is_provisioned then list_cost_usd end) as decimal(38, 15)) as provisioned_list_cost_usd,
        cast(sum(case when not is_provisioned then list_cost_usd end) as decimal(38, 15)) as list_cost_usd,
        cast(sum(case when not is_provisioned then contracted_cost_usd end) as decimal(38, 15)) as contracted_cost_usd,
        cast(sum(case when not is_provisioned then effective_cost_usd end) as decimal(38, 15)) as effective_cost_usd,
    from calls
    group by week_start_date, provider, billing_account_id, model_canonical
)

select
    week_start_date,
    provider,
    billing_account_id,
    model_canonical,
    requests,
    unpriced_requests,
    provisioned_requests,
    provisioned_list_cost_usd,
    list_cost_usd,
    contracted_cost_usd,
    effective_cost_usd,
    list_cost_usd - effective_cost_usd as saved_usd,
    cast(
        cast(list_cost_usd - effective_cost_usd as double) / nullif(cast(list_cost_usd as double), 0) as decimal(18, 9)
    ) as effective_savings_rate,
from summed
