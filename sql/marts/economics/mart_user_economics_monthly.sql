/*
about: >-
  What an active user of a tier costs, against what one pays: an interval where users suffice, and what a free tier burns. Costs are
  the invoice's; what has no user is a column of its own and not spread. One row per UTC month and customer tier.
grain: [month_start_date, customer_tier]
partition: month
clock_stops: 1 day
leads: [mart_showback_weekly]
columns:
  month_start_date: DATE; first day of the billing month, UTC
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  state: VARCHAR; provisional while any of its rows of the showback is, then final
  is_month_over: BOOLEAN; false while the books' now is within the month: its figures still grow
  requests: BIGINT; calls, failed ones included
  total_tokens: BIGINT; tokens of these calls
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  is_incomplete: BOOLEAN; true where more than unpriced_warn_share of the tokens have no price: costs are then too small
  invoiced_cost_usd: DECIMAL(38,2); the invoice's part, as in the showback; null where a rate to USD is missing
  user_cost_usd: DECIMAL(38,12); part of it of calls that name a user
  no_user_cost_usd: DECIMAL(38,12); part of it without a user (no_user), spread over nobody
  users: BIGINT; users with any call; one of two tiers in the month counts in both
  active_users: BIGINT; users with at least one call that ended well
  clusters: BIGINT; users, or customers where users share one: what is independent of each other
  cluster_unit: VARCHAR; what the calls of one cluster share: customer where any customer has several users, else user
  cost_per_active_user_usd: DECIMAL(38,12); cost of calls with a user over active users; null without any
  cost_per_active_user_low_usd: DECIMAL(38,12); lower end of its 95 % interval; null where interval_label says too few
  cost_per_active_user_high_usd: DECIMAL(38,12); upper end of its 95 % interval
  interval_label: VARCHAR; ok, approximate (fewer than min_users_t, or a hundredth carries much), too_few_users, or no_cost; null without users
  revenue_usd: DECIMAL(38,12); recognised revenue of the tier for the days so far; null where none is known or a rate is missing
  arpu_usd: DECIMAL(38,12); revenue of a user a month, as arpu_source says; null where neither is known
  arpu_source: VARCHAR; given (revenue.csv, arpu_month) or revenue (recognised revenue over active users); null without ARPU
  arpu_ratio: DECIMAL(38,9); share of ARPU: cost per active user over ARPU
  arpu_ratio_low: DECIMAL(38,9); lower end of its 95 % interval
  arpu_ratio_high: DECIMAL(38,9); upper end of its 95 % interval
  cogs_revenue_ratio: DECIMAL(38,9); all of the tier's invoiced cost over its recognised revenue; null without revenue
  arpu_status: VARCHAR; red (above arpu_share_red), amber (above arpu_share_amber), green, or why there is no verdict: free, no_rate, no_revenue, no_users, month_not_over, insufficient (too few users or customers) or incomplete
  status_confidence: VARCHAR; confirmed where the lower end of the interval is beyond the limit too, else possible; null but for red and amber
  is_free_tier: BOOLEAN; true where the tier pays nothing: its revenue is 0, or it is called free and has none
  cost_share: DECIMAL(18,9); the tier's part of the month's invoiced cost; null where a tier's cost is below 0 or not known
  paid_margin_usd: DECIMAL(38,12); what the paying tiers of the month leave, revenue less invoiced cost; null where none is known
  paid_margin_consumed: DECIMAL(38,9); of a free tier, its cost over what the paying tiers leave; null for others and where nothing is left
checks:
  - one_of: [state, provisional, final]
  - one_of: [cluster_unit, user, customer]
  - one_of: [interval_label, ok, approximate, too_few_users, no_cost]
  - one_of: [arpu_source, given, revenue]
  - one_of: [arpu_status, red, amber, green, free, no_rate, no_revenue, no_users, month_not_over, insufficient, incomplete]
  - one_of: [status_confidence, confirmed, possible]
  - between: [cost_share, 0, 1]
  - rule: users >= active_users
  - rule: (status_confidence is not null) = (arpu_status in ('red', 'amber'))
  - rule: abs(invoiced_cost_usd - user_cost_usd - no_user_cost_usd) < 0.000001
    null_passes: true
    text: users and no_user make the tier's cost
  - no_rows: >-
      select strftime(s.month_start_date, '%Y-%m-%d') as partition, s.customer_tier
      from (
          select month_start_date, customer_tier, sum(requests) as requests, sum(invoiced_cost_usd) as usd,
              count(*) = count(invoiced_cost_usd) as is_known
          from mart_showback_weekly
          group by month_start_date, customer_tier
      ) as s
      left join mart_user_economics_monthly as e on s.month_start_date = e.month_start_date and s.customer_tier = e.customer_tier
      where s.month_start_date in (select month_start_date from mart_user_economics_monthly)
          and (s.requests is distinct from e.requests or (s.is_known and s.usd is distinct from e.invoiced_cost_usd))
    text: calls and invoiced cost are those of the showback, to the cent
question: What does an active user of each tier cost, and what share of what one pays is that?
answer: >-
  select month_start_date, customer_tier, active_users, cost_per_active_user_usd, arpu_usd, arpu_ratio, cogs_revenue_ratio, arpu_status
  from mart_user_economics_monthly order by month_start_date desc, customer_tier
*/
{% from "macros/limits.sql" import limits_of_weeks with context %}
{% from "macros/means.sql" import mean_intervals with context %}
with weeks as (
    select distinct month_start_date from mart_showback_weekly
),

{{ limits_of_weeks({
    "arpu_share_amber": "arpu_share_amber",
    "arpu_share_red": "arpu_share_red",
    "unpriced_warn_share": "unpriced_warn_share",
    "min_users_interval": "min_users_interval",
    "min_users_t": "min_users_t",
    "bootstrap_t_draws": "bootstrap_t_draws",
    "bootstrap_t_top_share": "bootstrap_t_top_share",
}, "month_start_date") }},

{% include "parts/invoiced_cells.sql" %}

{% set revenue_start = "month_start_date" %}
{% include "parts/revenue_of_periods.sql" %}

shown as (
    select
        month_start_date,
        customer_tier,
        case when count(case when state = 'provisional' then 1 end) > 0 then 'provisional' else 'final' end as state,
        sum(requests) as requests,
        sum(input_total_tokens + output_total_tokens) as total_tokens,
        sum(unpriced_tokens) as unpriced_tokens,
        case when count(*) = count(invoiced_cost_usd) then sum(invoiced_cost_usd) end as invoiced_cost_usd,
    from mart_showback_weekly
    group by month_start_date, customer_tier
),

-- Ids of users are those of their customer.
user_costs as (
    select
        month_start_date,
        customer_tier,
        coalesce(customer_id, user_id) as cluster_key,
        customer_id,
        user_id,
        case when sum(ok_requests) > 0 then 1 else 0 end as active_users,
        coalesce(sum(cogs_usd), 0) as cost_usd,
    from invoiced_cells
    where user_id is not null
    group by month_start_date, customer_tier, customer_id, user_id
),

userless_costs as (
    select month_start_date, customer_tier, coalesce(sum(cogs_usd), 0) as no_user_cost_usd
    from invoiced_cells
    where user_id is null
    group by month_start_date, customer_tier
),

members as (
    select
        month_start_date,
        customer_tier,
        cluster_key,
        count(*) as users,
        cast(sum(active_users) as bigint) as units,
        sum(cost_usd) as cost_usd,
    from user_costs
    group by month_start_date, customer_tier, cluster_key
),

{{ mean_intervals("members", "limits", ["month_start_date", "customer_tier"]) }},

user_counts as (
    select
        month_start_date,
        customer_tier,
        sum(users) as users,
        case when max(users) > 1 then 'customer' else 'user' end as cluster_unit,
    from members
    group by month_start_date, customer_tier
),

earned as (
    select
        start_date as month_start_date,
        customer_tier,
        case when count(*) = count(revenue_usd) then sum(revenue_usd) end as revenue_usd,
        count(*) > count(revenue_usd) as is_rate_missing,
    from period_revenue
    where revenue_kind = 'recognised'
    group by start_date, customer_tier
),

-- Of an ARPU that changes within the month each day counts; those of several features add up.
feature_arpus as (
    select
        start_date as month_start_date,
        customer_tier,
        feature,
        sum(cast(arpu_usd as double) * revenue_days) / sum(revenue_days) as arpu_usd,
        count(*) > count(arpu_usd) as is_rate_missing,
    from period_revenue
    where revenue_kind = 'arpu_month' and customer_id is null
    group by start_date, customer_tier, feature
),

given_arpus as (
    select
        month_start_date,
        customer_tier,
        case when not bool_or(is_rate_missing) then sum(cast(arpu_usd as decimal(38, 12))) end as arpu_usd,
        bool_or(is_rate_missing) as is_rate_missing,
    from feature_arpus
    group by month_start_date, customer_tier
),

keys as (
    select month_start_date, customer_tier from shown
    union
    select month_start_date, customer_tier from earned
    union
    select month_start_date, customer_tier from given_arpus
),

measured as (
    select
        k.month_start_date,
        k.customer_tier,
        coalesce(s.state, 'provisional') as state,
        coalesce(s.requests, 0) as requests,
        coalesce(s.total_tokens, 0) as total_tokens,
        coalesce(s.unpriced_tokens, 0) as unpriced_tokens,
        coalesce(s.unpriced_tokens > s.total_tokens * l.unpriced_warn_share, false) as is_incomplete,
        case when s.customer_tier is null then 0 else s.invoiced_cost_usd end as invoiced_cost_usd,
        coalesce(u.users, 0) as users,
        coalesce(i.units, 0) as active_users,
        coalesce(i.clusters, 0) as clusters,
        u.cluster_unit,
        case when s.customer_tier is null or s.invoiced_cost_usd is not null then coalesce(i.cost_usd, 0) end as user_cost_usd,
        case when s.customer_tier is null or s.invoiced_cost_usd is not null then coalesce(n.no_user_cost_usd, 0) end as no_user_cost_usd,
        case when s.invoiced_cost_usd is not null then i.estimate_low end as cost_low,
        case when s.invoiced_cost_usd is not null then i.estimate_high end as cost_high,
        i.interval_label,
        e.revenue_usd,
        a.arpu_usd as given_arpu_usd,
        coalesce(e.is_rate_missing, false) or coalesce(a.is_rate_missing, false) as is_rate_missing,
        coalesce(e.revenue_usd = 0, e.customer_tier is null and k.customer_tier = 'free') as is_free_tier,
        l.arpu_share_amber,
        l.arpu_share_red,
        l.min_users_interval,
    from keys as k
    inner join limits as l on k.month_start_date = l.month_start_date
    left join shown as s on k.month_start_date = s.month_start_date and k.customer_tier = s.customer_tier
    left join userless_costs as n on k.month_start_date = n.month_start_date and k.customer_tier = n.customer_tier
    left join user_counts as u on k.month_start_date = u.month_start_date and k.customer_tier = u.customer_tier
    left join mean_intervals as i on k.month_start_date = i.month_start_date and k.customer_tier = i.customer_tier
    left join earned as e on k.month_start_date = e.month_start_date and k.customer_tier = e.customer_tier
    left join given_arpus as a on k.month_start_date = a.month_start_date and k.customer_tier = a.customer_tier
),

paid as (
    select
        month_start_date,
        sum(case when revenue_usd > 0 then revenue_usd - invoiced_cost_usd end) as paid_margin_usd,
        count(case when revenue_usd > 0 and invoiced_cost_usd is null then 1 end) > 0 as is_unknown,
        case when count(*) = count(invoiced_cost_usd) and min(invoiced_cost_usd) >= 0 then sum(invoiced_cost_usd) end as all_cost_usd,
    from measured
    group by month_start_date
),

divided as (
    select
        m.*,
        cast(m.user_cost_usd as double) / nullif(m.active_users, 0) as cost_per_user,
        cast(coalesce(m.given_arpu_usd, m.revenue_usd / nullif(m.active_users, 0)) as double) as arpu,
        coalesce(k.now_at at time zone 'UTC' >= cast(m.month_start_date + interval 1 month as date), false) as is_month_over,
    from measured as m
    cross join ledger_clock as k
),

judged as (
    select
        *,
        case
            when is_free_tier and given_arpu_usd is null then 'free'
            when invoiced_cost_usd is null or (arpu is null and is_rate_missing) then 'no_rate'
            when active_users = 0 then 'no_users'
            when coalesce(arpu, 0) <= 0 then 'no_revenue'
            when not is_month_over then 'month_not_over'
            when clusters < min_users_interval then 'insufficient'
            when is_incomplete then 'incomplete'
            when cost_per_user / arpu > arpu_share_red then 'red'
            when cost_per_user / arpu > arpu_share_amber then 'amber'
            else 'green'
        end as arpu_status,
    from divided
)

select
    j.month_start_date,
    j.customer_tier,
    j.state,
    j.is_month_over,
    cast(j.requests as bigint) as requests,
    cast(j.total_tokens as bigint) as total_tokens,
    cast(j.unpriced_tokens as bigint) as unpriced_tokens,
    j.is_incomplete,
    cast(j.invoiced_cost_usd as decimal(38, 2)) as invoiced_cost_usd,
    cast(j.user_cost_usd as decimal(38, 12)) as user_cost_usd,
    cast(j.no_user_cost_usd as decimal(38, 12)) as no_user_cost_usd,
    cast(j.users as bigint) as users,
    cast(j.active_users as bigint) as active_users,
    cast(j.clusters as bigint) as clusters,
    j.cluster_unit,
    cast(j.cost_per_user as decimal(38, 12)) as cost_per_active_user_usd,
    cast(j.cost_low as decimal(38, 12)) as cost_per_active_user_low_usd,
    cast(j.cost_high as decimal(38, 12)) as cost_per_active_user_high_usd,
    j.interval_label,
    cast(j.revenue_usd as decimal(38, 12)) as revenue_usd,
    cast(j.arpu as decimal(38, 12)) as arpu_usd,
    case when j.given_arpu_usd is not null then 'given' when j.arpu is not null then 'revenue' end as arpu_source,
    cast(j.cost_per_user / nullif(j.arpu, 0) as decimal(38, 9)) as arpu_ratio,
    cast(j.cost_low / nullif(j.arpu, 0) as decimal(38, 9)) as arpu_ratio_low,
    cast(j.cost_high / nullif(j.arpu, 0) as decimal(38, 9)) as arpu_ratio_high,
    cast(cast(j.invoiced_cost_usd as double) / nullif(cast(j.revenue_usd as double), 0) as decimal(38, 9)) as cogs_revenue_ratio,
    j.arpu_status,
    case
        when j.arpu_status not in ('red', 'amber') then null
        when j.cost_low / j.arpu > case j.arpu_status when 'red' then j.arpu_share_red else j.arpu_share_amber end then 'confirmed'
        else 'possible'
    end as status_confidence,
    j.is_free_tier,
    cast(cast(j.invoiced_cost_usd as double) / nullif(cast(p.all_cost_usd as double), 0) as decimal(18, 9)) as cost_share,
    case when not p.is_unknown then cast(p.paid_margin_usd as decimal(38, 12)) end as paid_margin_usd,
    case
        when j.is_free_tier and not p.is_unknown and p.paid_margin_usd > 0
            then cast(cast(j.invoiced_cost_usd as double) / cast(p.paid_margin_usd as double) as decimal(38, 9))
    end as paid_margin_consumed,
from judged as j
inner join paid as p on j.month_start_date = p.month_start_date
