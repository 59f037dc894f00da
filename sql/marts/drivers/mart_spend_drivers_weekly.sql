/*
about: >-
  The few things that drive spend: request types by cost with their rank, share and ABC class, over the week and over four weeks;
  and the same by model and by length of input. One row per week, time window, cut and driver with a cost.
grain: [week_start_date, time_window, cut, driver]
order_by: [week_start_date, time_window, cut, rank]
partition: week
reads_back: 3 weeks
reads_self: 4 weeks
clock_stops: 1 day
leads: [stat_usage_cells_weekly]
columns:
  week_start_date: DATE; Monday of the ISO week, in the reporting time zone
  time_window: VARCHAR; 1w (the week) or 4w (the week and the three before; only once the week is over)
  cut: VARCHAR; what the cost is divided by: request_type, model or input_size
  driver: VARCHAR; request type (feature, workflow and step, prompt name), model (provider, model) or range of input tokens
  short_name: VARCHAR; the same for people: of a request type nothing twice and nothing unnamed; several may share one
  feature: VARCHAR; product feature of a request type, 'unattributed' where none is known; null in other cuts
  workflow_step: VARCHAR; workflow and step of a request type, '(unnamed)' where neither is known; null in other cuts
  prompt_name: VARCHAR; name of the prompt template of a request type, '(unnamed)' where none is known; null in other cuts
  provider: VARCHAR; the seller of a model; null in other cuts
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it; null in other cuts
  input_tokens_from: BIGINT; input tokens that a range begins with; null in other cuts and where the input is not known
  is_closed: BOOLEAN; true once the week is over by the books' own now
  requests: BIGINT; calls, failed ones included
  requests_share: DECIMAL(18,9); its calls over the calls of all drivers
  total_tokens: BIGINT; tokens of these calls
  unpriced_requests: BIGINT; of these, calls without a cost
  unpriced_tokens: BIGINT; tokens of the calls without a cost
  effective_cost_usd: DECIMAL(38,15); cost of the priced calls
  share: DECIMAL(18,9); its cost over the cost of all drivers
  cumulative_share: DECIMAL(18,9); cost of it and of all dearer ones over the cost of all
  rank: BIGINT; place by cost, 1 is the dearest; equal costs by name
  rank_previous: BIGINT; place in the window of equal length before; null where it had no cost then, or there is no such window
  owner_team: VARCHAR; who owns the feature of a request type, by features.csv on the Monday; 'unattributed' where that names none; null in other cuts
  cost_hangs_on: VARCHAR; what most of a request type's cost hangs on, a fact about the cost (what would save most is mart_opportunities_weekly): output (more than half of it is generated tokens), cache (less than half of its input comes from the prompt cache), else context (length of the input); null where its cost has no split, and in other cuts
  abc_class: VARCHAR; A (the dearest that make abc_a of the cost), B (on to abc_b) or C; an A of last week stays until abc_leave
checks:
  - one_of: [time_window, 1w, 4w]
  - one_of: [cut, request_type, model, input_size]
  - one_of: [abc_class, A, B, C]
  - one_of: [cost_hangs_on, output, cache, context]
  - rule: (owner_team is not null) = (cut = 'request_type') and (cost_hangs_on is null or cut = 'request_type')
    text: request types have an owner, and they alone
  - between: [requests_share, 0, 1]
  - between: [cumulative_share, 0, 1]
  - rule: effective_cost_usd > 0 and share <= cumulative_share
  - no_rows: >-
      select strftime(week_start_date, '%Y-%m-%d') as partition, time_window, cut
      from mart_spend_drivers_weekly
      group by week_start_date, time_window, cut
      having max(cumulative_share) <> 1 or max(rank) <> count(*) or abs(sum(share) - 1) > count(*) * 0.000000001
    text: shares of a cut sum to 1 and ranks have no gap
question: Which request types drive spend, which of them are new among the dearest, and what would save most there?
answer: >-
  select d.rank, d.short_name, d.owner_team, d.share, d.abc_class, d.rank_previous, o.lever as best_lever, o.saving_mid_month_usd
  from mart_spend_drivers_weekly as d
  left join mart_opportunities_weekly as o
      on d.week_start_date = o.week_start_date and d.feature = o.feature and o.feature_rank = 1
  where d.time_window = '4w' and d.cut = 'request_type'
      and d.week_start_date = (select max(week_start_date) from mart_spend_drivers_weekly where is_closed)
  order by d.rank limit 10
*/
{% from "macros/cells.sql" import short_name_of %}
{% from "macros/limits.sql" import limits_of_weeks with context %}
{# What the cost is divided by: the names that say which part, and the table whose rows are summed to it. #}
{% set cuts = {
    "request_type": (["feature", "workflow_step", "prompt_name"], "stat_usage_cells_weekly"),
    "model": (["provider", "model_canonical"], "stat_usage_cells_weekly"),
    "input_size": (["input_size_log2"], "stat_request_sizes_weekly"),
} %}
{% set names = {"feature": "varchar", "workflow_step": "varchar", "prompt_name": "varchar", "provider": "varchar", "model_canonical": "varchar", "input_size_log2": "bigint"} %}
{% set sums = ["requests", "total_tokens", "unpriced_requests", "unpriced_tokens", "effective_cost_usd"] %}
{% set lever_sums = ["output_cost_usd", "cache_known_input_tokens", "cache_read_total_tokens"] %}
-- Each week is summed once, before it stands in several windows.
with drivers as (
{% for cut, (keys, table) in cuts.items() %}
    {{ "union all" if not loop.first }}
    select
        week_start_date,
        '{{ cut }}' as cut,
    {% for name, type in names.items() %}
        {{ name if name in keys else "cast(null as " ~ type ~ ") as " ~ name }},
    {% endfor %}
    {% for name in sums %}
        sum({{ name }}) as {{ name }},
    {% endfor %}
    {% for name in lever_sums %}
        {{ "sum(" ~ name ~ ")" if cut == "request_type" else "null" }} as {{ name }},
    {% endfor %}
    from {{ table }}
    group by week_start_date, {{ keys | join(", ") }}
{% endfor %}
),

cells as (
    select
        *,
        case
            when cut = 'request_type' then concat_ws(' | ', feature, workflow_step, prompt_name)
            when cut = 'model' then concat_ws(' | ', provider, model_canonical)
            when input_size_log2 is null then 'no input'
            when input_size_log2 = 0 then '1 token'
            else concat(
                cast(cast(pow(2, input_size_log2) as bigint) as varchar), '-',
                cast(cast(pow(2, input_size_log2 + 1) as bigint) - 1 as varchar), ' tokens'
            )
        end as driver,
        cast(pow(2, input_size_log2) as bigint) as input_tokens_from,
    from drivers
),

{% include "parts/weeks_with_end.sql" %}

{{ limits_of_weeks({
    "abc_a": "abc_a",
    "abc_b": "abc_b",
    "abc_leave": "abc_leave",
}) }},

summed as (
    select
        w.week_start_date,
        t.time_window,
        t.weeks_long,
        c.cut,
        c.driver,
        c.feature,
        c.workflow_step,
        c.prompt_name,
        c.provider,
        c.model_canonical,
        c.input_tokens_from,
        w.is_closed,
        cast(sum(c.requests) as bigint) as requests,
        cast(sum(c.total_tokens) as bigint) as total_tokens,
        cast(sum(c.unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(c.unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(c.effective_cost_usd) as decimal(38, 15)) as effective_cost_usd,
        sum(c.output_cost_usd) as output_cost,
        sum(c.cache_known_input_tokens) as cache_known_tokens,
        sum(c.cache_read_total_tokens) as cache_read_tokens,
    from cells as c
    cross join (select unnest(range(0, 4)) as weeks_later) as o
    inner join (
        select '1w' as time_window, 1 as weeks_long
        union all
        select '4w' as time_window, 4 as weeks_long
    ) as t on o.weeks_later < t.weeks_long
    inner join weeks as w on w.week_start_date = c.week_start_date + 7 * cast(o.weeks_later as integer)
    where w.is_closed or t.time_window = '1w'
    group by
        w.week_start_date, t.time_window, t.weeks_long, c.cut, c.driver, c.feature, c.workflow_step, c.prompt_name, c.provider,
        c.model_canonical, c.input_tokens_from, w.is_closed
    having sum(c.effective_cost_usd) > 0
),

ranked as (
    select
        *,
        row_number() over (partition by week_start_date, time_window, cut order by effective_cost_usd desc, driver) as rank,
        sum(effective_cost_usd) over (
            partition by week_start_date, time_window, cut
            order by effective_cost_usd desc, driver
            rows between unbounded preceding and current row
        ) as cost_so_far,
        sum(effective_cost_usd) over (partition by week_start_date, time_window, cut) as cost_of_all,
        sum(requests) over (partition by week_start_date, time_window, cut) as requests_of_all,
    from summed
),

owners as (
    select
        w.week_start_date,
        f.feature,
        f.owner_team,
    from weeks as w
    inner join ref_features as f
        on (f.valid_from_date is null or f.valid_from_date <= w.week_start_date)
        and (f.valid_to_date is null or f.valid_to_date > w.week_start_date)
    qualify row_number() over (
        partition by w.week_start_date, f.feature order by f.valid_from_date desc nulls last, f.reference_row desc
    ) = 1
)

select
    r.week_start_date,
    r.time_window,
    r.cut,
    r.driver,
    case
        when r.cut = 'request_type' then {{ short_name_of("r.feature", "r.workflow_step", "r.prompt_name") }}
        else r.driver
    end as short_name,
    r.feature,
    r.workflow_step,
    r.prompt_name,
    r.provider,
    r.model_canonical,
    r.input_tokens_from,
    r.is_closed,
    r.requests,
    cast(cast(r.requests as double) / cast(r.requests_of_all as double) as decimal(18, 9)) as requests_share,
    r.total_tokens,
    r.unpriced_requests,
    r.unpriced_tokens,
    r.effective_cost_usd,
    cast(cast(r.effective_cost_usd as double) / cast(r.cost_of_all as double) as decimal(18, 9)) as share,
    case
        when r.cost_so_far = r.cost_of_all then cast(1 as decimal(18, 9))
        else cast(cast(r.cost_so_far as double) / cast(r.cost_of_all as double) as decimal(18, 9))
    end as cumulative_share,
    r.rank,
    p.rank as rank_previous,
    case when r.cut = 'request_type' then coalesce(f.owner_team, 'unattributed') end as owner_team,
    case
        when r.cut <> 'request_type' or r.output_cost is null then null
        when 2 * r.output_cost > r.effective_cost_usd then 'output'
        when r.cache_known_tokens > 0 and 2 * r.cache_read_tokens >= r.cache_known_tokens then 'context'
        else 'cache'
    end as cost_hangs_on,
    -- By what dearer ones have made before it: the first is always an A.
    case
        when r.cost_so_far - r.effective_cost_usd < l.abc_a * r.cost_of_all then 'A'
        when s.abc_class = 'A' and r.cost_so_far - r.effective_cost_usd <= l.abc_leave * r.cost_of_all then 'A'
        when r.cost_so_far - r.effective_cost_usd < l.abc_b * r.cost_of_all then 'B'
        else 'C'
    end as abc_class,
from ranked as r
inner join limits as l on r.week_start_date = l.week_start_date
left join owners as f on r.week_start_date = f.week_start_date and r.feature = f.feature
left join mart_spend_drivers_weekly as p
    on p.week_start_date = r.week_start_date - 7 * r.weeks_long
    and p.time_window = r.time_window
    and p.cut = r.cut
    and p.driver = r.driver
left join mart_spend_drivers_weekly as s
    on s.week_start_date = r.week_start_date - 7
    and s.time_window = r.time_window
    and s.cut = r.cut
    and s.driver = r.driver
