{# Limits of thresholds.csv that budgets go by, with the names of their columns. #}
{% set budget_limits = {
    "budget_state_amber": "amber_share",
    "budget_state_orange": "orange_share",
    "budget_state_red": "red_share",
    "forecast_min_day": "min_day",
    "forecast_origins": "min_origins",
    "forecast_accuracy_day": "accuracy_day",
} %}
