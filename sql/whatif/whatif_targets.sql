{# Which model each model's calls would go to; whether that has a price on a day is seen once its rates are made. #}
with used as (
    select cast(w.first_at as date) as week_start_date, k.provider, k.model_canonical, cast(sum(k.requests) as bigint) as requests
    from stat_rate_cells_weekly as k
    cross join whatif_window as w
    where k.usage_date >= cast(w.first_at as date) and k.usage_date < cast(w.end_at as date) and k.model_canonical <> ''
    group by cast(w.first_at as date), k.provider, k.model_canonical
),

route_settings as (select * from whatif_settings),

{% include "parts/route_targets.sql" %}

select from_provider, from_model, to_provider, to_model
from targets
