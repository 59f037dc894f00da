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
  entity_type: VARCHAR; what kind of thing it is watched for: feature, team, customer_tier, session, source, account or all
  entity_id: VARCHAR; name of the one, 'all' for everything
  dimension: VARCHAR; further part of what it is, such as the model; empty where there is none
  period_start_date: DATE; first day of the period: a day, a Monday, or the first of a month
  period_end_date: DATE; first day after it, on which the alert can be known
  state: VARCHAR; breach, ok or unknown (too few calls, unpriced, nothing to compare with): unknown neither opens nor ends an alert
  severity: VARCHAR; how grave a breach is: info, warning or critical; null where there is none
  is_possible: BOOLEAN; true where the limit lies within the interval of the figure: the severity is then one lower
  cost_impact_usd: DECIMAL(38,10); what it cost in the period; null where they are not known
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
{% from "macros/alerts.sql" import dollars, evidence, percent with context %}
{% set rules = {
    "output_ratio_drift": ("alert_resolve_weeks", "Compare the prompt and model of the onset day with those before; cap the answers or ask for shorter ones."),
    "unattributed_share": ("alert_resolve_weeks", "Give the callers of mart_untagged_callers_weekly a feature, or a row in reference/attribution_rules.csv."),
    "unpriced_share": ("alert_resolve_weeks", "Add the rows to reference/ that a run lists under 'To add'."),
    "reconciliation": (none, "Look at the causes in mart_reconciliation_monthly, then at the open days in mart_reconciliation_daily."),
} %}
with now as (
    select cast(k.now_at at time zone z.reporting_time_zone as date) as today
    from ledger_clock as k
    cross join ref_reporting as z
),

judged as (
    -- Answers that grew: a verdict stands only on weeks that are over.
    select
        'output_ratio_drift' as rule,
        'drift_q' as limit_name,
        cast(null as varchar) as severity_here,
        'feature' as entity_type,
        d.feature as entity_id,
        '' as dimension,
        d.week_start_date as period_start_date,
        d.week_start_date + 7 as period_end_date,
        case
            when not d.is_closed or d.verdict = 'insufficient' or d.is_incomplete then 'unknown'
            -- Shorter answers are a change, and cost nothing.
            when d.verdict = 'drift' and coalesce(d.cost_impact_usd, 0) >= 0 then 'breach'
            else 'ok'
        end as state,
        false as is_possible,
        d.cost_impact_usd,
        d.feature,
        cast(null as varchar) as owner_here,
        d.feature || ': ' || d.sentence as sentence,
        {{ evidence("mart_output_ratio_drift_weekly", "d", {"week_start_date": "date", "feature": "text"}) }} as evidence_query,
    from mart_output_ratio_drift_weekly as d

    union all

    -- Spend of nobody: the billing months of a week together.
    select
        'unattributed_share' as rule,
        case when u.unattributed_usd > u.gross_cost_usd * f.threshold_number then 'unattributed_fail_share' else 'unattributed_warn_share' end as limit_name,
        cast(null as varchar) as severity_here,
        'all' as entity_type,
        'all' as entity_id,
        '' as dimension,
        u.week_start_date as period_start_date,
        u.week_start_date + 7 as period_end_date,
        case
            when n.today is null or n.today < u.week_start_date + 7 or u.gross_cost_usd is null or u.gross_cost_usd <= 0 then 'unknown'
            when u.unattributed_usd > u.gross_cost_usd * w.threshold_number then 'breach'
            else 'ok'
        end as state,
        false as is_possible,
        u.unattributed_usd as cost_impact_usd,
        cast(null as varchar) as feature,
        cast(null as varchar) as owner_here,
        {{ dollars("u.unattributed_usd") }} || ' of ' || {{ dollars("u.gross_cost_usd") }} || ' (' || {{ percent("u.unattributed_usd / u.gross_cost_usd") }}
        || ') has no feature.' as sentence,
        {{ evidence("mart_attribution_weekly", "u", {"week_start_date": "date", "dimension": "text"}) }} as evidence_query,
    from (
        select week_start_date, dimension, sum(unattributed_usd) as unattributed_usd, sum(gross_cost_usd) as gross_cost_usd
        from mart_attribution_weekly
        where dimension = 'feature'
        group by week_start_date, dimension
    ) as u
    cross join now as n
    inner join ref_limits as w
        on w.limit_name = 'unattributed_warn_share' and w.scope_kind = '' and u.week_start_date >= w.valid_from_date and u.week_start_date < w.valid_to_date
    inner join ref_limits as f
        on f.limit_name = 'unattributed_fail_share' and f.scope_kind = '' and u.week_start_date >= f.valid_from_date and u.week_start_date < f.valid_to_date

    union all

    -- Tokens without a price: of a week, since a single day of few calls says little.
    select
        'unpriced_share' as rule,
        case
            when q.unpriced_tokens > q.total_tokens * f.threshold_number then 'unpriced_fail_share' else 'unpriced_warn_share'
        end as limit_name,
        cast(null as varchar) as severity_here,
        'source' as entity_type,
        q.source as entity_id,
        '' as dimension,
        q.week_start_date as period_start_date,
        q.week_start_date + 7 as period_end_date,
        case
            when n.today is null or n.today < q.week_start_date + 7 or q.total_tokens = 0 then 'unknown'
            when q.unpriced_tokens > q.total_tokens * w.threshold_number then 'breach'
            else 'ok'
        end as state,
        false as is_possible,
        q.cost_impact_usd,
        cast(null as varchar) as feature,
        cast(null as varchar) as owner_here,
        q.source || ': ' || {{ percent("cast(q.unpriced_tokens as double) / q.total_tokens") }}
        || ' of the tokens have no price or were not read.' as sentence,
        {{ evidence("mart_data_quality_daily", "q", {"source": "text"}, week="usage_date") }} as evidence_query,
    from (
        select
            cast(date_trunc('week', usage_date) as date) as week_start_date,
            source,
            sum(unpriced_tokens + unread_tokens) as unpriced_tokens,
            sum(total_tokens + unread_tokens) as total_tokens,
            cast(sum(unpriced_estimate_usd) as decimal(38, 10)) as cost_impact_usd,
        from mart_data_quality_daily
        where requests > 0
        group by cast(date_trunc('week', usage_date) as date), source
    ) as q
    cross join now as n
    inner join ref_limits as w
        on w.limit_name = 'unpriced_warn_share' and w.scope_kind = '' and q.week_start_date >= w.valid_from_date and q.week_start_date < w.valid_to_date
    inner join ref_limits as f
        on f.limit_name = 'unpriced_fail_share' and f.scope_kind = '' and q.week_start_date >= f.valid_from_date and q.week_start_date < f.valid_to_date

    union all

    -- A month is judged once it is over; one whose bill is still to come is not known.
    select
        'reconciliation' as rule,
        'reconciliation_warn_share' as limit_name,
        case r.verdict when 'fail' then 'critical' else 'warning' end as severity_here,
        'account' as entity_type,
        concat_ws(' | ', r.provider, r.billing_account_id) as entity_id,
        coalesce(r.billing_currency, '') as dimension,
        r.month_start_date as period_start_date,
        cast(r.month_start_date + interval 1 month as date) as period_end_date,
        case
            when n.today is null or n.today < cast(r.month_start_date + interval 1 month as date) then 'unknown'
            when r.verdict in ('warn', 'fail') then 'breach'
            when r.verdict = 'ok' then 'ok'
            else 'unknown'
        end as state,
        false as is_possible,
        greatest(abs(r.unexplained_usd), abs(r.untraced_usd)) as cost_impact_usd,
        cast(null as varchar) as feature,
        cast(null as varchar) as owner_here,
        'The bill of ' || r.provider || ' for ' || strftime(r.month_start_date, '%Y-%m') || ' (' || coalesce({{ dollars("r.billed_usd") }}, 'unknown')
        || ') and the calls do not agree: ' || coalesce({{ dollars("r.untraced_usd") }}, 'unknown') || ' untraced, '
        || coalesce({{ dollars("r.unexplained_usd") }}, 'unknown') || ' unexplained.' as sentence,
        {{ evidence("mart_reconciliation_monthly", "r", {"month_start_date": "date", "provider": "text"}) }} as evidence_query,
    from mart_reconciliation_monthly as r
    cross join now as n
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

graded as (
    select
        o.*,
        u.remedy,
        coalesce(cast(r.threshold_number as bigint), 1) as periods_to_resolve,
        coalesce(o.severity_here, l.severity, 'warning') as full_severity,
        coalesce(o.owner_here, o.owner_team, l.limit_owner, 'unattributed') as owner,
    from owners as o
    inner join rules as u on o.rule = u.rule
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
