/*
about: >-
  What makes the costs of a call, a task and a success, and the margin, as sums: divide after summing. As the books have it now, also of
  closed months. One row per week, feature and customer tier.
grain: [week_start_date, feature, customer_tier]
columns:
  week_start_date: DATE; Monday of the ISO week, UTC; to dim_week
  feature: VARCHAR; product feature, 'unattributed' where none is known; to dim_feature
  customer_tier: VARCHAR; pricing tier of the customer, 'unattributed' where none is known; to dim_customer_tier
  state: VARCHAR; provisional while any of its rows of the showback is, then final
  is_week_over: BOOLEAN; false while the books' now is within the week: its figures still grow
  requests: BIGINT; calls of the week, failed ones included
  unpriced_requests: BIGINT; of these, calls without a cost
  total_tokens: BIGINT; tokens of these calls
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  effective_cost_usd: DECIMAL(38,10); cost of the priced calls under contracts; null where there are calls and none is priced
  invoiced_cost_usd: DECIMAL(38,2); the invoice's part; over requests, the cost of a call; null where a rate to USD is missing
  tasks: BIGINT; tasks that began in the week
  successes: BIGINT; of these tasks, those with the outcome success
  failures: BIGINT; of these tasks, those with the outcome failure
  unknown_outcomes: BIGINT; of these tasks, those that nobody said the outcome of
  open_tasks: BIGINT; of these tasks, those that may still get calls
  task_requests: BIGINT; calls of these tasks, of later weeks too
  task_tokens: BIGINT; input and output of all calls of these tasks
  cost_with_task_usd: DECIMAL(38,12); part of the invoiced cost whose calls name a task; over invoiced_cost_usd, the coverage by tasks
  tasks_cost_usd: DECIMAL(38,12); cost of these tasks; over tasks, the cost of a task; over successes, that of a success at most; null where a rate is missing
  revenue_usd: DECIMAL(38,12); revenue that is known of the feature and tier; null where none is
  margin_usd: DECIMAL(38,12); revenue less invoiced cost where a margin is known; over margin_revenue_usd, the margin; null where none is
  margin_revenue_usd: DECIMAL(38,12); revenue of the rows that have a margin; null where none is
checks:
  - not_null: [state, is_week_over, requests, tasks, successes, failures, unknown_outcomes]
*/
select
    week_start_date,
    feature,
    customer_tier,
    state,
    is_week_over,
    requests,
    unpriced_requests,
    total_tokens,
    unpriced_tokens,
    effective_cost_usd,
    invoiced_cost_usd,
    tasks,
    successes,
    failures,
    unknown_outcomes,
    open_tasks,
    task_requests,
    task_tokens,
    cost_with_task_usd,
    tasks_cost_usd,
    revenue_usd,
    case when inference_margin is not null then inference_margin_usd end as margin_usd,
    case when inference_margin is not null then revenue_usd end as margin_revenue_usd,
from mart_feature_economics_weekly
