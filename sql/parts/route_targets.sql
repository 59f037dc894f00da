{#
Which model the calls of each week and model would go to (`targets`): the one that is named, else the most used model of the wanted tier of the
same seller in `used`, else the one of the book whose price is the newest. `used` has calls by week, seller and model; `route_settings` one row.
#}
model_tiers as (
    select m.provider, m.model_id, m.model_tier
    from ref_model_tiers as m
    where m.valid_to_date is null
),

newest_prices as (
    select b.provider, b.model_id, max(b.effective_from) as effective_from, max(b.unit_price / b.per_units) as unit_price
    from ref_price_book as b
    where b.superseded_at = timestamptz '9999-12-31 00:00:00+00' and b.unit = 'input' and b.service_tier = 'standard' and b.processing = 'sync'
    group by b.provider, b.model_id
),

offered as (
    select
        w.week_start_date,
        t.provider,
        t.model_id,
        row_number() over (
            partition by w.week_start_date, t.provider
            order by coalesce(u.requests, 0) desc, n.effective_from desc nulls last, n.unit_price desc, t.model_id
        ) as place,
    from model_tiers as t
    cross join (select distinct week_start_date from used) as w
    cross join route_settings as s
    inner join newest_prices as n on t.provider = n.provider and t.model_id = n.model_id
    left join used as u
        on w.week_start_date = u.week_start_date and t.provider = u.provider and t.model_id = u.model_canonical
    where t.model_tier = s.to_tier
),

targets as (
    select
        u.week_start_date,
        u.provider as from_provider,
        u.model_canonical as from_model,
        case when s.to_model = '' then o.provider else split_part(s.to_model, '/', 1) end as to_provider,
        case when s.to_model = '' then o.model_id else substr(s.to_model, strpos(s.to_model, '/') + 1) end as to_model,
    from used as u
    cross join route_settings as s
    left join model_tiers as t on u.provider = t.provider and u.model_canonical = t.model_id
    left join offered as o on u.week_start_date = o.week_start_date and u.provider = o.provider and o.place = 1
    where (s.from_tier = '' or list_contains(string_split(s.from_tier, ' '), t.model_tier))
        and (s.provider = '' or list_contains(string_split(s.provider, ' '), u.provider))
        and (s.from_model = '' or list_contains(string_split(s.from_model, ' '), concat(u.provider, '/', u.model_canonical)))
        and case when s.to_model = '' then o.model_id is not null else true end
        and concat(u.provider, '/', u.model_canonical)
            <> case when s.to_model = '' then concat(o.provider, '/', o.model_id) else s.to_model end
)
