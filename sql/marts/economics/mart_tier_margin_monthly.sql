/*
about: >-
  How margins lie within a tier: what customers served at a loss take from what the others earn, and what the heaviest cost. One
  row per UTC month and customer tier.
grain: [month_start_date, customer_tier]
partition: month
columns:
  month_start_date: DATE; first day of the billing month, UTC
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier) at the end of the month, 'unattributed' where none is known
  is_month_over: BOOLEAN; false while the books' now is within the month: its figures still grow
  customers: BIGINT; customers with calls or revenue
  judged_customers: BIGINT; of these, those whose revenue (above 0) and cost are known: the figures below are of them
  loss_customers: BIGINT; of these, those who cost more than they pay
  revenue_usd: DECIMAL(38,12); recognised revenue of the judged customers
  cogs_usd: DECIMAL(38,12); what these customers bear of the invoice
  margin_usd: DECIMAL(38,12); their revenue less cogs_usd; null without any
  inference_margin: DECIMAL(38,9); the same over revenue; null without any
  losses_usd: DECIMAL(38,12); what customers served at a loss cost beyond what they pay; null without judged customers
  gains_usd: DECIMAL(38,12); what the other customers pay beyond what they cost; null without judged customers
  heavy_user_subsidy: DECIMAL(38,9); losses over gains: of each dollar that the others earn; null without gains
  loss_customer_share: DECIMAL(18,9); customers served at a loss over judged customers; null without any
  break_even_quantile: DECIMAL(18,9); share of the judged customers, cheapest first, that are not served at a loss
  top1_cost_share: DECIMAL(18,9); part of the cost of the dearest hundredth of all customers of the tier, one at least; null where a cost is below 0 or not known
  top10_cost_share: DECIMAL(18,9); part of the cost of the dearest tenth of them, one at least; null as before
  verdict: VARCHAR; ok, or insufficient (fewer than min_customers are judged: a list, no ratio to act upon)
checks:
  - one_of: [verdict, ok, insufficient]
  - between: [loss_customer_share, 0, 1]
  - between: [break_even_quantile, 0, 1]
  - between: [top1_cost_share, 0, 1]
  - between: [top10_cost_share, 0, 1]
  - rule: customers >= judged_customers and judged_customers >= loss_customers
  - rule: margin_usd = gains_usd - losses_usd
    null_passes: true
    text: gains less losses make the margin
question: In which tier do heavy customers eat what the others earn?
answer: >-
  select month_start_date, customer_tier, judged_customers, loss_customers, heavy_user_subsidy, inference_margin, verdict
  from mart_tier_margin_monthly where judged_customers > 0 order by month_start_date desc, heavy_user_subsidy desc nulls last
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
with weeks as (
    select distinct month_start_date from mart_customer_margin_monthly
),

{{ limits_of_weeks({"min_customers": "min_customers"}, "month_start_date") }},

ranked as (
    select
        *,
        case when revenue_usd > 0 and margin_usd is not null then margin_usd end as judged_usd,
        row_number() over (partition by month_start_date, customer_tier order by cogs_usd desc nulls last, customer_id) as place,
        count(*) over (partition by month_start_date, customer_tier) as customers,
    from mart_customer_margin_monthly
    where customer_id <> 'unattributed'
),

summed as (
    select
        month_start_date,
        customer_tier,
        bool_and(is_month_over) as is_month_over,
        count(*) as customers,
        count(judged_usd) as judged_customers,
        count(case when judged_usd < 0 then 1 end) as loss_customers,
        sum(case when judged_usd is not null then revenue_usd end) as revenue_usd,
        sum(case when judged_usd is not null then cogs_usd end) as cogs_usd,
        sum(judged_usd) as margin_usd,
        coalesce(sum(case when judged_usd < 0 then -judged_usd end), 0) as losses_usd,
        coalesce(sum(case when judged_usd > 0 then judged_usd end), 0) as gains_usd,
        -- A hundredth and a tenth, rounded up.
        sum(case when place * 100 < customers + 100 then cogs_usd end) as top1_usd,
        sum(case when place * 10 < customers + 10 then cogs_usd end) as top10_usd,
        case when count(*) = count(cogs_usd) and min(cogs_usd) >= 0 then sum(cogs_usd) end as all_cost_usd,
    from ranked
    group by month_start_date, customer_tier
)

select
    s.month_start_date,
    s.customer_tier,
    s.is_month_over,
    s.customers,
    s.judged_customers,
    s.loss_customers,
    cast(s.revenue_usd as decimal(38, 12)) as revenue_usd,
    cast(s.cogs_usd as decimal(38, 12)) as cogs_usd,
    cast(s.margin_usd as decimal(38, 12)) as margin_usd,
    cast(cast(s.margin_usd as double) / cast(s.revenue_usd as double) as decimal(38, 9)) as inference_margin,
    case when s.judged_customers > 0 then cast(s.losses_usd as decimal(38, 12)) end as losses_usd,
    case when s.judged_customers > 0 then cast(s.gains_usd as decimal(38, 12)) end as gains_usd,
    cast(cast(s.losses_usd as double) / nullif(cast(s.gains_usd as double), 0) as decimal(38, 9)) as heavy_user_subsidy,
    cast(cast(s.loss_customers as double) / nullif(s.judged_customers, 0) as decimal(18, 9)) as loss_customer_share,
    cast(1 - cast(s.loss_customers as double) / nullif(s.judged_customers, 0) as decimal(18, 9)) as break_even_quantile,
    cast(cast(s.top1_usd as double) / nullif(cast(s.all_cost_usd as double), 0) as decimal(18, 9)) as top1_cost_share,
    cast(cast(s.top10_usd as double) / nullif(cast(s.all_cost_usd as double), 0) as decimal(18, 9)) as top10_cost_share,
    case when s.judged_customers < l.min_customers then 'insufficient' else 'ok' end as verdict,
from summed as s
inner join limits as l on s.month_start_date = l.month_start_date
