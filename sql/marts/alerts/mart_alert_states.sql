/*
about: >-
  What every rule of alerts says of every period that is over: beyond its limit, within it, or not known. mart_alerts makes alerts of
  these. One row per rule, what it looks at, and period.
grain: [rule, entity_type, entity_id, dimension, period_start_date]
partition: month
partition_column: period_start_date
reads_around: 7 days
clock_stops: 14 days
columns:
  rule: VARCHAR; what is watched, such as output_ratio_drift
  entity_type: VARCHAR; what kind of thing it is watched for: feature, team, customer_tier, budget, source, account or all
  entity_id: VARCHAR; name of the one, 'all' for everything
  dimension: VARCHAR; further part of what it is, such as the model; empty where there is none
  period_start_date: DATE; first day of the period: a day, a Monday, or the first of a month
  period_end_date: DATE; first day after it, on which the alert can be known
  state: VARCHAR; breach, ok or unknown (too few calls, unpriced, nothing to compare with): unknown neither opens nor ends an alert
  severity: VARCHAR; how grave a breach is: info, warning or critical; null where there is none
  is_possible: BOOLEAN; true where the limit lies within the interval of the figure: the severity is then one lower
  cost_impact_usd: DECIMAL(38,10); what it cost in the period; null where it is not known
  owner: VARCHAR; team that owns it, else who thresholds.csv names; 'unattributed' where nobody is known
  sentence: VARCHAR; what happened, in words
  remedy: VARCHAR; what to do about it
  evidence_query: VARCHAR; query that shows the figures behind it
  periods_to_resolve: BIGINT; so many periods within the limits in a row end an alert
checks:
  - one_of: [state, breach, ok, unknown]
  - one_of: [severity, info, warning, critical]
  - rule: (state = 'breach') = (severity is not null)
    text: a breach has a severity, and nothing else has
  - rule: period_end_date > period_start_date
question: Which rules were breached in the newest periods?
answer: >-
  select rule, entity_id, period_start_date, severity, cost_impact_usd, owner, sentence
  from mart_alert_states where state = 'breach' order by period_start_date desc, cost_impact_usd desc nulls last
*/
{% from "macros/alerts.sql" import evidence, judged, limit_of with context %}
{% from "macros/words.sql" import dollars, percent %}
{% set rules = {
    "output_ratio_drift": ("alert_resolve_weeks", "Compare the prompt and model of the onset day with those before; cap the answers or ask for shorter ones."),
    "session_budget": ("alert_resolve_weeks", "Set a cap on steps or cost where the agent runs; a feature that is worth more has a budget of its own in reference/thresholds.csv."),
    "runaway_sessions": ("alert_resolve_weeks", 'Stop a run that repeats one step and mend the tool that it calls: tokenbooks sql "from mart_runaway_sessions" names both.'),
    "cache_drop": ("alert_resolve_weeks", "See what now changes at the beginning of the prompt (a time, an id, the order of tools) and move it to the end, or what traffic is new."),
    "routing_regression": ("alert_resolve_weeks", "Look at the router's and the release's defaults of that week; send the same work to the model that did it before."),
    "release_cost": ("alert_resolve_weeks", "Roll the version back, or shorten what it sends and asks for; 'tokenbooks compare' holds it against the one before."),
    "budget": (none, "Use less of what grew ('What changed' on the weekly page names it) or a cheaper model for it, or agree on another budget and write it into reference/budgets.csv."),
    "spend_anomaly": (none, "Look at the calls of that day by user, key and step; ask the team what was launched."),
    "silent_feature": (none, "See whether the files of that day came: 'tokenbooks status' names the newest day of each source."),
    "inference_margin": ("alert_resolve_weeks", 'Raise the price, cap the use, or take a cheaper model; tokenbooks sql "from mart_customer_margin_monthly where is_served_at_loss" says who is served at a loss.'),
    "arpu_share": (none, 'Set an allowance, or move the tier to a cheaper model; tokenbooks sql "from mart_tier_margin_monthly" says how much heavy users take.'),
    "unattributed_share": ("alert_resolve_weeks", "Give the callers a feature, or add the rows of reference/attribution_rules.csv that 'tokenbooks status' lists under 'To add'."),
    "unpriced_share": ("alert_resolve_weeks", "Add the rows to reference/ that a run lists under 'To add'."),
    "reconciliation": (none, 'Land the calls that are missing, or write the price or charge that differs into reference/; tokenbooks sql "from mart_reconciliation_daily" names the days and models.'),
} %}
with unattributed as (
    select week_start_date, dimension, sum(unattributed_usd) as unattributed_usd, sum(gross_cost_usd) as gross_cost_usd
    from mart_attribution_weekly
    where dimension = 'feature'
    group by week_start_date, dimension
),

-- What of it is billed without a call, and by which account most.
uncalled_accounts as (
    select
        week_start_date,
        concat_ws(' ', provider, nullif(billing_account_id, 'unattributed')) as account_name,
        sum(allocated_untraced_usd) as uncalled_usd,
    from mart_showback_weekly
    where feature = 'unattributed'
    group by week_start_date, concat_ws(' ', provider, nullif(billing_account_id, 'unattributed'))
),

uncalled as (
    select
        week_start_date,
        sum(uncalled_usd) as uncalled_usd,
        max(case when place = 1 then account_name end) as account_name,
    from (
        select *, row_number() over (partition by week_start_date order by uncalled_usd desc nulls last, account_name) as place
        from uncalled_accounts
    ) as ranked
    group by week_start_date
),

unattributed_weeks as (
    select t.*, coalesce(u.uncalled_usd, 0) as uncalled_usd, u.account_name
    from unattributed as t
    left join uncalled as u on t.week_start_date = u.week_start_date
),

-- A week's tokens without a price: a single day of few calls says little.
unpriced as (
    select
        cast(date_trunc('week', usage_date) as date) as week_start_date,
        source,
        sum(unpriced_tokens + unread_tokens) as unpriced_tokens,
        sum(total_tokens + unread_tokens) as total_tokens,
        sum(unpriced_estimate_usd) as unpriced_estimate_usd,
    from mart_data_quality_daily
    where requests > 0
    group by cast(date_trunc('week', usage_date) as date), source
),

-- One alert a team and day, however many of its features stand out; days on which all of them still learn are not known.
team_days as (
    select
        usage_date,
        team,
        count(case when state in ('anomaly', 'level_shift') then 1 end) as flagged,
        count(case when state <> 'learning' and not is_incomplete then 1 end) as judged,
        sum(excess_usd) as excess_usd,
        string_agg(case when state in ('anomaly', 'level_shift') then sentence end, ' ' order by excess_usd desc, feature) as sentence,
    from mart_spend_anomalies_daily
    group by usage_date, team
),

-- What is passed stays passed until the month is over: a forecast that becomes better ends nothing.
budget_days as (
    select
        f.month_start_date,
        f.scope_kind,
        f.scope_value,
        f.usage_date,
        f.spent_usd,
        f.budget_usd,
        f.breach_date,
        case when f.is_learned and extract(day from f.usage_date) >= d.threshold_number then f.projection_usd end as projection_usd,
        max(
            case
                when f.spent_usd >= r.threshold_number * f.budget_usd then 4
                when f.spent_usd >= o.threshold_number * f.budget_usd then 3
                when f.is_learned and extract(day from f.usage_date) >= d.threshold_number and f.projection_usd > f.budget_usd then 2
                when f.spent_usd >= a.threshold_number * f.budget_usd then 1
                else 0
            end
        ) over (
            partition by f.month_start_date, f.scope_kind, f.scope_value order by f.usage_date rows between unbounded preceding and current row
        ) as reached,
    from stat_budget_forecasts_monthly as f
    {{ limit_of("budget_state_amber", "a", "f.month_start_date") }}
    {{ limit_of("budget_state_orange", "o", "f.month_start_date") }}
    {{ limit_of("budget_state_red", "r", "f.month_start_date") }}
    {{ limit_of("forecast_min_day", "d", "f.month_start_date") }}
    where f.budget_usd > 0
),

-- Of several versions in a week the dearest speaks; later versions without a rise end the alert.
releases as (
    select
        week_start_date,
        feature,
        dimension,
        scope_name,
        count(case when verdict = 'regression' and not is_incomplete then 1 end) as regressions,
        count(case when verdict <> 'insufficient' and not is_incomplete then 1 end) as judged,
        sum(case when verdict = 'regression' and not is_incomplete then cost_impact_usd end) as cost_impact_usd,
        string_agg(
            case when verdict = 'regression' and not is_incomplete then sentence end, ' ' order by cost_impact_usd desc, version
        ) as sentence,
    from mart_release_costs_weekly
    group by week_start_date, feature, dimension, scope_name
),

judged as (
    -- Shorter answers are a change too, and cost nothing.
    {{ judged(
        "output_ratio_drift", "'drift_q'", "mart_output_ratio_drift_weekly",
        state="case when not t.is_closed or t.verdict = 'insufficient' or t.is_incomplete then 'unknown' "
            "when t.verdict = 'drift' and coalesce(t.cost_impact_usd, 0) >= 0 then 'breach' else 'ok' end",
        impact="t.cost_impact_usd",
        sentence="t.feature || ': ' || t.sentence",
        evidence=evidence("mart_output_ratio_drift_weekly", "t", {"week_start_date": "date", "feature": "text"}),
    ) }}

    union all

    {{ judged(
        "session_budget", "'session_budget_usd'", "mart_agent_sessions_weekly",
        state="case when not t.is_closed or t.is_incomplete then 'unknown' when t.over_budget_sessions > 0 then 'breach' else 'ok' end",
        impact="t.over_budget_usd",
        sentence="t.feature || ': ' || cast(t.over_budget_sessions as varchar) || ' of ' || cast(t.sessions as varchar) "
            "|| ' sessions cost more than their budget, ' || coalesce(" ~ dollars("t.over_budget_usd") ~ ", 'unknown') || ' beyond it.'",
        evidence=evidence("mart_agent_sessions_weekly", "t", {"week_start_date": "date", "feature": "text"}),
    ) }}

    union all

    {{ judged(
        "runaway_sessions", "'runaway_top_step_share'", "mart_agent_sessions_weekly",
        state="case when not t.is_closed then 'unknown' when t.runaway_sessions + t.runaway_suspected_sessions > 0 then 'breach' else 'ok' end",
        impact="t.excess_cost_usd",
        possible="t.runaway_sessions = 0",
        sentence="t.feature || ': ' || cast(t.runaway_sessions + t.runaway_suspected_sessions as varchar) || ' of ' "
            "|| cast(t.sessions as varchar) || ' sessions ran away: ' || coalesce(" ~ percent("t.runaway_cost_share")
            ~ ", 'an unknown part') || ' of the cost of its sessions.'",
        evidence=evidence("mart_runaway_sessions", "t", {"week_start_date": "date", "feature": "text"}),
    ) }}

    union all

    {{ judged(
        "cache_drop", "case t.verdict when 'red' then 'cache_hit_red_rate' else 'cache_drop_amber_points' end",
        "mart_cache_economics_weekly",
        dimension="concat_ws(' | ', t.provider, t.model_canonical)",
        state="case when t.verdict = 'insufficient' then 'unknown' when t.verdict in ('red', 'amber') then 'breach' else 'ok' end",
        impact="t.cost_impact_usd",
        sentence="t.feature || ' (' || t.model_canonical || '): ' || t.sentence",
        evidence=evidence("mart_cache_economics_weekly", "t", {"week_start_date": "date", "feature": "text", "model_canonical": "text"}),
    ) }}

    union all

    {{ judged(
        "routing_regression", "'frontier_share_points'", "mart_model_tiers_weekly",
        state="case t.verdict when 'insufficient' then 'unknown' when 'routing_regression' then 'breach' else 'ok' end",
        impact="t.cost_impact_usd",
        sentence="t.feature || ': ' || t.sentence",
        evidence=evidence("mart_model_tiers_weekly", "t", {"week_start_date": "date", "feature": "text"}),
    ) }}

    union all

    {{ judged(
        "release_cost", "'release_cost_change'", "releases",
        dimension="concat_ws(' | ', t.dimension, t.scope_name)",
        state="case when t.judged = 0 then 'unknown' when t.regressions > 0 then 'breach' else 'ok' end",
        impact="t.cost_impact_usd",
        sentence="t.feature || ': ' || coalesce(t.sentence, 'no version makes calls or tasks dearer.')",
        evidence=evidence("mart_release_costs_weekly", "t", {"week_start_date": "date", "feature": "text", "dimension": "text"}),
    ) }}

    union all

    -- So much of the month's budget is spent, or will be.
    {{ judged(
        "budget",
        "case t.reached when 4 then 'budget_state_red' when 3 then 'budget_state_orange' when 2 then 'forecast_alert_state' else 'budget_state_amber' end",
        "budget_days", period="day", entity_type="budget", entity_id="concat_ws(' ', t.scope_kind, t.scope_value)",
        feature="case when t.scope_kind = 'feature' then t.scope_value end",
        owner="case when t.scope_kind = 'team' then nullif(t.scope_value, 'unattributed') end",
        state="case when t.reached > 0 then 'breach' else 'ok' end",
        impact="case when greatest(t.spent_usd, coalesce(t.projection_usd, 0)) > t.budget_usd "
            "then greatest(t.spent_usd, coalesce(t.projection_usd, 0)) - t.budget_usd end",
        sentence="t.scope_kind || ' ' || t.scope_value || ': ' || " ~ dollars("t.spent_usd") ~ " || ' of the budget of ' || " ~ dollars("t.budget_usd")
            ~ " || ' is spent' || coalesce('; heading for ' || " ~ dollars("t.projection_usd") ~ " || coalesce(', over it on ' "
            "|| strftime(t.breach_date, '%Y-%m-%d'), ''), '') || '.'",
        evidence=evidence("mart_budgets_monthly", "t", {"month_start_date": "date", "scope_kind": "text", "scope_value": "text"}),
    ) }}

    union all

    {{ judged(
        "spend_anomaly", "'anomaly_score'", "team_days", period="day",
        entity_type="team", entity_id="t.team", feature="cast(null as varchar)", owner="nullif(t.team, 'unattributed')",
        state="case when t.judged = 0 then 'unknown' when t.flagged > 0 then 'breach' else 'ok' end",
        impact="t.excess_usd",
        sentence="coalesce(t.sentence, 'as expected')",
        evidence=evidence("mart_spend_anomalies_daily", "t", {"usage_date": "date", "team": "text"}),
    ) }}

    union all

    -- No cost where there always is one: probably a file that did not come.
    {{ judged(
        "silent_feature", "'anomaly_ratio'", "mart_spend_anomalies_daily", period="day",
        owner="nullif(t.team, 'unattributed')", severity="'info'",
        state="case when t.state = 'learning' then 'unknown' when t.state = 'silent' then 'breach' else 'ok' end",
        impact="cast(null as decimal(38, 10))",
        sentence="t.feature || ': ' || coalesce(t.sentence, 'as expected')",
        evidence=evidence("mart_spend_anomalies_daily", "t", {"usage_date": "date", "feature": "text"}),
    ) }}

    union all

    -- What lacks to the margin that the limit asks for: cost beyond that part of the revenue which it leaves for cost.
    {{ judged(
        "inference_margin", "'inference_margin_red_rate'", "mart_feature_economics_weekly",
        dimension="t.customer_tier",
        state="case when not t.is_week_over or t.is_incomplete or t.inference_margin is null then 'unknown' "
            "when t.inference_margin < m.threshold_number then 'breach' else 'ok' end",
        impact="t.invoiced_cost_usd - (1 - m.threshold_number) * t.revenue_usd",
        sentence="t.feature || ' for ' || t.customer_tier || ': ' || " ~ dollars("t.invoiced_cost_usd") ~ " || ' of cost on '  || "
            ~ dollars("t.revenue_usd") ~ " || ' of revenue leave a margin of ' || " ~ percent("t.inference_margin") ~ " || '.'",
        evidence=evidence("mart_feature_economics_weekly", "t", {"week_start_date": "date", "feature": "text", "customer_tier": "text"}),
    ) }}
    {{ limit_of("inference_margin_red_rate", "m", "t.week_start_date") }}

    union all

    {{ judged(
        "inference_margin", "'inference_margin_red_rate'", "mart_user_economics_monthly", period="month",
        entity_type="customer_tier", entity_id="t.customer_tier", feature="cast(null as varchar)",
        state="case when not t.is_month_over or t.is_incomplete or t.cogs_revenue_ratio is null then 'unknown' "
            "when 1 - t.cogs_revenue_ratio < m.threshold_number then 'breach' else 'ok' end",
        impact="t.invoiced_cost_usd - (1 - m.threshold_number) * t.revenue_usd",
        sentence="'Tier ' || t.customer_tier || ': ' || " ~ dollars("t.invoiced_cost_usd") ~ " || ' of cost on ' || "
            ~ dollars("t.revenue_usd") ~ " || ' of revenue leave a margin of ' || " ~ percent("1 - t.cogs_revenue_ratio") ~ " || '.'",
        evidence=evidence("mart_user_economics_monthly", "t", {"month_start_date": "date", "customer_tier": "text"}),
    ) }}
    {{ limit_of("inference_margin_red_rate", "m", "t.month_start_date") }}

    union all

    {{ judged(
        "arpu_share", "case t.arpu_status when 'red' then 'arpu_share_red' else 'arpu_share_amber' end", "mart_user_economics_monthly", period="month",
        entity_type="customer_tier", entity_id="t.customer_tier", feature="cast(null as varchar)",
        state="case when t.arpu_status in ('red', 'amber') then 'breach' when t.arpu_status = 'green' then 'ok' else 'unknown' end",
        possible="coalesce(t.status_confidence = 'possible', false)",
        impact="(t.cost_per_active_user_usd - a.threshold_number * t.arpu_usd) * t.active_users",
        sentence="'Tier ' || t.customer_tier || ': an active user costs ' || " ~ dollars("t.cost_per_active_user_usd") ~ " || ' a month, '  || "
            ~ percent("t.arpu_ratio") ~ " || ' of the ' || " ~ dollars("t.arpu_usd") ~ " || ' that one pays.'",
        evidence=evidence("mart_user_economics_monthly", "t", {"month_start_date": "date", "customer_tier": "text"}),
    ) }}
    {{ limit_of("arpu_share_amber", "a", "t.month_start_date") }}

    union all

    -- Spend of nobody: the billing months of a week together.
    {{ judged(
        "unattributed_share",
        "case when t.unattributed_usd > t.gross_cost_usd * f.threshold_number then 'unattributed_fail_share' else 'unattributed_warn_share' end",
        "unattributed_weeks", entity_type="all", entity_id="'all'", feature="cast(null as varchar)",
        state="case when t.gross_cost_usd is null or t.gross_cost_usd <= 0 then 'unknown' "
            "when t.unattributed_usd > t.gross_cost_usd * w.threshold_number then 'breach' else 'ok' end",
        impact="t.unattributed_usd",
        sentence=dollars("t.unattributed_usd") ~ " || ' of ' || " ~ dollars("t.gross_cost_usd") ~ " || ' (' || "
            ~ percent("t.unattributed_usd / t.gross_cost_usd") ~ " || ') has no feature' || case when t.uncalled_usd > 0 then ': ' || "
            ~ dollars("t.unattributed_usd - t.uncalled_usd") ~ " || ' of calls that name none, ' || " ~ dollars("t.uncalled_usd")
            ~ " || ' billed without a call, most of it ' || t.account_name || '.' else '.' end",
        remedy="case when t.uncalled_usd > t.unattributed_usd - t.uncalled_usd then 'Land the calls of ' || t.account_name"
            ~ " || ': the export of the gateway or tracing tool that they go through (docs/your_data.md); or say in '"
            ~ " || 'reference/allocation_rules.csv who bears a charge without calls.' end",
        evidence=evidence("mart_attribution_weekly", "t", {"week_start_date": "date", "dimension": "text"}),
    ) }}
    {{ limit_of("unattributed_warn_share", "w", "t.week_start_date") }}
    {{ limit_of("unattributed_fail_share", "f", "t.week_start_date") }}

    union all

    {{ judged(
        "unpriced_share",
        "case when t.unpriced_tokens > t.total_tokens * f.threshold_number then 'unpriced_fail_share' else 'unpriced_warn_share' end",
        "unpriced", entity_type="source", entity_id="t.source", feature="cast(null as varchar)",
        state="case when t.total_tokens = 0 then 'unknown' "
            "when t.unpriced_tokens > t.total_tokens * w.threshold_number then 'breach' else 'ok' end",
        impact="t.unpriced_estimate_usd",
        sentence="t.source || ': ' || " ~ percent("cast(t.unpriced_tokens as double) / t.total_tokens")
            ~ " || ' of the tokens have no price or were not read.'",
        evidence=evidence("mart_data_quality_daily", "t", {"source": "text"}, week="usage_date"),
    ) }}
    {{ limit_of("unpriced_warn_share", "w", "t.week_start_date") }}
    {{ limit_of("unpriced_fail_share", "f", "t.week_start_date") }}

    union all

    -- A month whose bill is still to come is not known.
    {{ judged(
        "reconciliation", "'reconciliation_warn_share'", "mart_reconciliation_monthly", period="month",
        entity_type="account", entity_id="concat_ws(' | ', t.provider, t.billing_account_id)", dimension="coalesce(t.billing_currency, '')",
        feature="cast(null as varchar)", severity="case t.verdict when 'fail' then 'critical' else 'warning' end",
        state="case when t.verdict in ('warn', 'fail') then 'breach' when t.verdict = 'ok' then 'ok' else 'unknown' end",
        impact="greatest(abs(t.unexplained_usd), abs(t.untraced_usd))",
        sentence="'The bill of ' || t.provider || ' for ' || strftime(t.month_start_date, '%Y-%m') || ' (' || coalesce(" ~ dollars("t.billed_usd")
            ~ ", 'unknown') || ') and the calls do not agree: ' || coalesce(" ~ dollars("t.untraced_usd") ~ ", 'unknown') || ' untraced, ' || coalesce("
            ~ dollars("t.unexplained_usd") ~ ", 'unknown') || ' unexplained.'",
        evidence=evidence("mart_reconciliation_monthly", "t", {"month_start_date": "date", "provider": "text"}),
    ) }}
),

-- The owner of a feature on the first day of the period.
owners as (
    select
        j.*,
        f.owner_team,
        row_number() over (
            partition by j.rule, j.entity_type, j.entity_id, j.dimension, j.period_start_date
            order by f.valid_from_date desc nulls last, f.reference_row desc
        ) as place,
    from judged as j
    left join ref_features as f
        on j.feature = f.feature
        and (f.valid_from_date is null or f.valid_from_date <= j.period_start_date)
        and (f.valid_to_date is null or f.valid_to_date > j.period_start_date)
),

rules as (
{% for rule, (limit, remedy) in rules.items() %}
    select '{{ rule }}' as rule, '{{ limit or "" }}' as resolve_limit, '{{ remedy | replace("'", "''") }}' as remedy
    {{ "union all" if not loop.last }}
{% endfor %}
),

-- What is not over is not known.
graded as (
    select
        o.* replace (case when k.now_at at time zone z.reporting_time_zone >= o.period_end_date then o.state else 'unknown' end as state),
        coalesce(o.remedy_here, u.remedy) as remedy,
        coalesce(cast(r.threshold_number as bigint), 1) as periods_to_resolve,
        coalesce(o.severity_here, l.severity, 'warning') as full_severity,
        coalesce(o.owner_here, o.owner_team, l.limit_owner, 'unattributed') as owner,
    from owners as o
    inner join rules as u on o.rule = u.rule
    cross join ledger_clock as k
    cross join ref_reporting as z
    left join ref_limits as l
        on o.limit_name = l.limit_name
        and l.scope_kind = ''
        and o.period_start_date >= l.valid_from_date
        and o.period_start_date < l.valid_to_date
    left join ref_limits as r
        on u.resolve_limit = r.limit_name
        and r.scope_kind = ''
        and o.period_start_date >= r.valid_from_date
        and o.period_start_date < r.valid_to_date
    where o.place = 1
)

select
    rule,
    entity_type,
    entity_id,
    dimension,
    period_start_date,
    period_end_date,
    state,
    case
        when state <> 'breach' then null
        when not is_possible then full_severity
        when full_severity = 'critical' then 'warning'
        else 'info'
    end as severity,
    is_possible,
    cast(cost_impact_usd as decimal(38, 10)) as cost_impact_usd,
    owner,
    sentence,
    remedy,
    evidence_query,
    periods_to_resolve,
from graded
