/*
about: >-
  A week's calls summed to the key of the showback, with who they were for and the task that they belong to: what the shares of
  an invoice below the showback's grain (task, user, customer) are worked out from. One row per week, month, key, user and task week.
grain: [week_start_date, month_start_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id, model_canonical, model_tier, customer_id, user_id, task_week_start_date, task_feature, task_customer_tier]
partition: week
reads_back: 7 days
leads: [ledger_requests]
joins: as_written
columns:
  week_start_date: DATE; Monday of the ISO week, UTC
  month_start_date: DATE; first day of the month of the calls, UTC
{% include "parts/columns_owner.sql" %}
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it
  model_tier: VARCHAR; capability tier of the model (not the customer's tier), 'unknown_tier' where none is known
  customer_id: VARCHAR; customer of the company; null where none is known
  user_id: VARCHAR; end user; null where none is known
  task_week_start_date: DATE; Monday of the week in which their task began, UTC; null for calls without a task
  task_feature: VARCHAR; feature of the first call of their task; null for calls without a task
  task_customer_tier: VARCHAR; pricing tier of the customer (not the model tier), of the first call of their task; null for calls without a task
  requests: BIGINT; calls, failed ones included
  ok_requests: BIGINT; calls that ended well
  unpriced_requests: BIGINT; calls without a cost
  list_cost_usd: DECIMAL(38,15); cost at list prices; null where no call is priced
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls; null where none is priced
checks:
  - rule: requests >= ok_requests and requests >= unpriced_requests
  - rule: (task_week_start_date is null) = (task_feature is null)
  - rule: (effective_cost_usd is null) = (requests = unpriced_requests)
    text: a cost is unknown exactly where no call has one
*/
{% from "macros/days.sql" import utc_date %}
{% from "macros/tiers.sql" import tier_of %}
{% set owner = ["cost_centre", "team", "feature", "customer_tier", "environment", "provider"] %}
with tasks as (
    select
        source_account,
        task_id,
        {{ utc_date("started_at") }} as first_date,
        cast(date_trunc('week', {{ utc_date("started_at") }}) as date) as task_week_start_date,
        feature as task_feature,
        customer_tier as task_customer_tier,
    from ledger_tasks
),

calls as (
    select
        {{ utc_date("r.started_at") }} as usage_date,
{% for name in owner %}
        r.{{ name }},
{% endfor %}
        coalesce(r.billing_account_id, 'unattributed') as billing_account_id,
        coalesce(r.model_canonical, 'unknown_model') as model_canonical,
        r.customer_id,
        r.user_id,
        t.task_week_start_date,
        t.task_feature,
        t.task_customer_tier,
        r.status = 'ok' as is_ok,
        c.list_cost_usd,
        c.effective_cost_usd,
    from ledger_requests as r
    inner join ledger_costs as c on r.request_key = c.request_key and r.started_at = c.started_at
    -- A task takes the calls of its first day and of the seven days after it (ledger_tasks).
    left join tasks as t
        on r.source_account = t.source_account
        and r.task_id = t.task_id
        and {{ utc_date("r.started_at") }} >= t.first_date
        and {{ utc_date("r.started_at") }} <= t.first_date + 7
    where r.is_billable_leaf
),

tiered as (
    select c.*, coalesce(m.model_tier, 'unknown_tier') as model_tier
    from calls as c
    left join {{ tier_of("c", "c.usage_date") }}
)
{% set key = owner + [
    "billing_account_id", "model_canonical", "model_tier", "customer_id", "user_id", "task_week_start_date", "task_feature",
    "task_customer_tier",
] %}

select
    cast(date_trunc('week', usage_date) as date) as week_start_date,
    cast(date_trunc('month', usage_date) as date) as month_start_date,
{% for name in key %}
    {{ name }},
{% endfor %}
    count(*) as requests,
    count(case when is_ok then 1 end) as ok_requests,
    count(case when effective_cost_usd is null then 1 end) as unpriced_requests,
    cast(sum(list_cost_usd) as decimal(38, 15)) as list_cost_usd,
    cast(sum(effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
from tiered
group by
    cast(date_trunc('week', usage_date) as date), cast(date_trunc('month', usage_date) as date), {{ key | join(", ") }}
