/*
about: The weeks from the first to the last of any fact, without a gap. One row per ISO week.
grain: [week_start_date]
columns:
  week_start_date: DATE; Monday of the ISO week, UTC
  week_end_date: DATE; its Sunday
  iso_year: BIGINT; year that the week belongs to by ISO 8601
  iso_week: BIGINT; its number in that year, from 1
  week_label: VARCHAR; as people write it: 2026-W46
  spend_state: VARCHAR; provisional while any row of spend is, else final while any is, then closed; none in a week without spend
checks:
  - not_null: [week_end_date, iso_year, iso_week, week_label, spend_state]
*/
with seen as (
    select week_start_date from fact_spend_weekly
    union
    select week_start_date from fact_unit_economics_weekly
    union
    select week_start_date from fact_alerts
),

weeks as (
    select cast(unnest(generate_series(min(week_start_date), max(week_start_date), interval 7 day)) as date) as week_start_date
    from seen
),

states as (
    select
        week_start_date,
        case
            when count(case when state = 'provisional' then 1 end) > 0 then 'provisional'
            when count(case when state = 'final' then 1 end) > 0 then 'final'
            else 'closed'
        end as spend_state,
    from fact_spend_weekly
    group by week_start_date
)

select
    w.week_start_date,
    w.week_start_date + 6 as week_end_date,
    cast(extract(isoyear from w.week_start_date) as bigint) as iso_year,
    cast(extract(week from w.week_start_date) as bigint) as iso_week,
    strftime(w.week_start_date, '%G-W%V') as week_label,
    coalesce(s.spend_state, 'none') as spend_state,
from weeks as w
left join states as s
    on w.week_start_date = s.week_start_date
