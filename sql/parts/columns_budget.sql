{# How a budget stands: the columns of months and of weeks, and what holds of them. #}
  usage_date: DATE; last day of the calls that are counted: the newest that is over
  is_month_over: BOOLEAN; true once all days of the month are over by the books' own now
  budget_usd: DECIMAL(38,15); budget for the month
  spent_usd: DECIMAL(38,15); cost to the end of the day; of a month that is over what was invoiced, where that is known
  spent_basis: VARCHAR; effective, or invoiced where the invoice of a month that is over is known
  spent_ratio: DOUBLE; spent over budget; null where the budget is 0
  budget_state: VARCHAR; below, or the highest limit that was reached: amber (budget_state_amber), orange, red; null where the budget is 0
  projection_usd: DECIMAL(38,6); cost of the month if the level of the last days with its weekdays goes on; null where forecast_reason says why
  projection_low_usd: DECIMAL(38,6); lower end of the 90 % interval of the projection, never below what was spent; null without past errors
  projection_high_usd: DECIMAL(38,6); upper end of that interval
  interval_basis: VARCHAR; own (errors of the scope's own months at this day), portfolio (fewer than forecast_origins of them: the middle of all features); null without either
  past_forecasts: BIGINT; earlier months of which the forecast of this day can be compared with what came
  rms_log_error: DOUBLE; size of those errors as logarithms that the interval rests on; null without any
  forecast_state: VARCHAR; none, possible (the upper end is above the budget), likely (the projection is), near_certain (the lower end is); null without a projection or budget
  forecast_reason: VARCHAR; why there is no projection: month_over, too_early (before forecast_min_day), learning (too few days are known); else null
  breach_date: DATE; first day on which what was spent, then the projected path, is above the budget; null where none is
  early_projection_usd: DECIMAL(38,6); the projection made at the end of day forecast_accuracy_day; null before it, or while learning
  month_cost_usd: DECIMAL(38,15); effective cost of the whole month; null while it is not over
  forecast_accuracy: DOUBLE; 1 less the distance of the early projection from the month's cost, over the projection; null while the month is not over
  forecast_drift: DOUBLE; early projection less the month's cost, over the projection; above 0 where less came than was forecast
  sentence: VARCHAR; where the month is heading, for those who read the table; null without a budget
  method_version: VARCHAR; raised when the same rows would be judged otherwise
checks:
  - one_of: [scope_kind, team, feature]
  - one_of: [budget_state, below, amber, orange, red]
  - one_of: [forecast_state, none, possible, likely, near_certain]
  - one_of: [forecast_reason, month_over, too_early, learning]
  - one_of: [spent_basis, effective, invoiced]
  - one_of: [interval_basis, own, portfolio]
  - rule: (projection_usd is null) = (forecast_reason is not null)
    text: there is a projection, or why there is none
  - rule: projection_low_usd <= projection_usd + 0.000001 and projection_usd <= projection_high_usd + 0.000001
    null_passes: true
