{# Which of the days of `expectations` (parts/expected_spend.sql) stand out, by their cost and limits: `flags`. Names end in `look` too. #}
scaled{{ look }} as (
    select *, greatest(usual_scale, min_scale) as log_scale
    from expectations{{ look }}
),

flags{{ look }} as (
    select
        *,
        is_learned
        and cost > 0
        and (ln(greatest(cost, 1e-15)) - log_level - 7.5 * growth - weekday_index) / log_scale > min_score
        and cost > min_ratio * exp(log_level + 7.5 * growth + weekday_index)
        and cost - exp(log_level + 7.5 * growth + weekday_index) >= floor_usd as is_flagged,
    from scaled{{ look }}
)
