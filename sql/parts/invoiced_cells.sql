{#
What the cells of stat_owner_costs_weekly bear of the invoice, unrounded: a row of the showback by the effective cost of its
cells, where they have none by their list cost (calls that a fee pays for), else by calls: `invoiced_cells`. What no call is
behind is a cell without anybody, so that the cells of a row sum to it.
#}
{% set key = [
    "week_start_date", "month_start_date", "cost_centre", "team", "feature", "customer_tier", "environment", "provider", "billing_account_id",
    "model_canonical", "model_tier",
] %}
weighted_cells as (
    select
        *,
        sum(requests) over (partition by {{ key | join(", ") }}) as row_requests,
        sum(list_cost_usd) over (partition by {{ key | join(", ") }}) as row_list_usd,
        sum(effective_cost_usd) over (partition by {{ key | join(", ") }}) as row_effective_usd,
    from stat_owner_costs_weekly
),

invoiced_cells as (
    select
{% for name in key %}
        s.{{ name }},
{% endfor %}
        s.state,
        c.customer_id,
        c.user_id,
        c.task_week_start_date,
        c.task_feature,
        c.task_customer_tier,
        coalesce(c.requests, 0) as requests,
        coalesce(c.ok_requests, 0) as ok_requests,
        coalesce(c.unpriced_requests, 0) as unpriced_requests,
        cast(
            case
                when c.requests is null then s.invoiced_cost_usd
                when c.row_effective_usd <> 0
                    then cast(s.invoiced_cost_usd as double) * (coalesce(cast(c.effective_cost_usd as double), 0) / cast(c.row_effective_usd as double))
                when c.row_list_usd <> 0
                    then cast(s.invoiced_cost_usd as double) * (coalesce(cast(c.list_cost_usd as double), 0) / cast(c.row_list_usd as double))
                else cast(s.invoiced_cost_usd as double) * (cast(c.requests as double) / cast(c.row_requests as double))
            end as decimal(38, 12)
        ) as cogs_usd,
    from mart_showback_weekly as s
    left join weighted_cells as c
        on {% for name in key %}s.{{ name }} = c.{{ name }}{{ " and " if not loop.last }}{% endfor %}

),
