{#
What is beyond a limit as episodes: from the first breach to the last of so many periods within the limits in a row, which ends it.
Periods that are not known count as neither. An episode that begins soon after the one before ended goes on with that alert. `steps` has a
row per breach and period within the limits, with what it does: opened, escalated, resolved or nothing.
#}
known as (
    select
        *,
        sha256(concat_ws('|', rule, entity_type, entity_id, dimension)) as dedupe_key,
        case severity when 'critical' then 3 when 'warning' then 2 when 'info' then 1 end as grade,
    from mart_alert_states
    where state <> 'unknown'
),

counted as (
    select
        *,
        count(grade) over (partition by dedupe_key order by period_start_date rows between unbounded preceding and current row) as breaches_so_far,
    from known
),

-- The place of a period within the limits since the last breach.
placed as (
    select
        *,
        case
            when state = 'ok' and breaches_so_far > 0
                then row_number() over (partition by dedupe_key, breaches_so_far, state order by period_start_date)
        end as ok_place,
    from counted
),

ended as (
    select
        *,
        coalesce(ok_place = periods_to_resolve, false) as is_end,
        count(case when ok_place = periods_to_resolve then 1 end) over (
            partition by dedupe_key order by period_start_date rows between unbounded preceding and current row
        ) as ends_so_far,
    from placed
),

numbered as (
    select
        *,
        ends_so_far - case when is_end then 1 else 0 end as episode,
    from ended
),

graded as (
    select
        *,
        max(grade) over (partition by dedupe_key, episode order by period_start_date rows between unbounded preceding and 1 preceding) as grade_before,
        max(case when is_end then period_end_date end) over (
            partition by dedupe_key order by period_start_date rows between unbounded preceding and 1 preceding
        ) as ended_before_date,
    from numbered
),

opened as (
    select
        s.*,
        case
            when s.state = 'breach' and s.grade_before is null then 'opened'
            when s.state = 'breach' and s.grade > s.grade_before then 'escalated'
            when s.is_end then 'resolved'
        end as transition,
        coalesce(
            s.state = 'breach' and s.grade_before is null and s.period_end_date <= s.ended_before_date + cast(l.reopen_days as integer), false
        ) as is_reopened,
    from graded as s
    cross join (
        select max(threshold_number) as reopen_days
        from ref_limits
        where limit_name = 'alert_reopen_days' and scope_kind = '' and valid_to_date = date '9999-12-31'
    ) as l
),

steps as (
    select
        *,
        count(case when transition = 'opened' and not is_reopened then 1 end) over (
            partition by dedupe_key order by period_start_date rows between unbounded preceding and current row
        ) as alert_number,
    from opened
),
