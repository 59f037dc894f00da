{# The figures of a budget out of `stated` (parts/budget_standing.sql). #}
    usage_date,
    is_month_over,
    budget_usd,
    cast(spent as decimal(38, 15)) as spent_usd,
    spent_basis,
    cast(spent as double) / nullif(cast(budget_usd as double), 0) as spent_ratio,
    budget_state,
    middle as projection_usd,
    low as projection_low_usd,
    high as projection_high_usd,
    case when middle is not null then interval_from end as interval_basis,
    past_forecasts,
    case when middle is not null then rms end as rms_log_error,
    forecast_state,
    forecast_reason,
    breach_date,
    early_usd as early_projection_usd,
    month_cost_usd,
    1 - abs(cast(early_usd - month_cost_usd as double)) / nullif(cast(early_usd as double), 0) as forecast_accuracy,
    cast(early_usd - month_cost_usd as double) / nullif(cast(early_usd as double), 0) as forecast_drift,
    case
        when budget_usd = 0 then null
        when is_month_over
            then concat('Spent ', {{ dollars("spent") }}, ' of ', {{ dollars("budget_usd") }}, case when spent > budget_usd then ', over the budget.' else '.' end)
        when spent > budget_usd then concat('Spent ', {{ dollars("spent") }} , ' of ', {{ dollars("budget_usd") }}, ', over the budget since the ', breach_day, '.')
        when middle is null then concat('Spent ', {{ dollars("spent") }}, ' of ', {{ dollars("budget_usd") }}, '; too little is known for a forecast.')
        else concat(
            'Heading for ', {{ dollars("middle") }}, ' of ', {{ dollars("budget_usd") }},
            case forecast_state
                when 'near_certain' then concat('; almost certainly over on the ', breach_day, '.')
                when 'likely' then concat('; likely over on the ', breach_day, '.')
                when 'possible' then '; it may go over.'
                else '.'
            end
        )
    end as sentence,
    '1' as method_version,
