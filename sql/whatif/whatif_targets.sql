{#
Which model each model's calls would go to, where that has a price on the day: the one that is named, else the most used model of the wanted tier
of the same seller in the books, else the one of the book whose price is the newest.
#}
with tiers as (
    select m.provider, m.model_id, m.model_tier
    from ref_model_tiers as m
    where m.valid_to_date is null
),

used as (
    select k.provider, k.model_canonical, cast(sum(k.requests) as bigint) as requests
    from stat_rate_cells_weekly as k
    cross join whatif_window as w
    where k.usage_date >= cast(w.first_at as date) and k.usage_date < cast(w.end_at as date) and k.model_canonical <> ''
    group by k.provider, k.model_canonical
),

newest as (
    select b.provider, b.model_id, max(b.effective_from) as effective_from, max(b.unit_price / b.per_units) as unit_price
    from ref_price_book as b
    where b.superseded_at = timestamptz '9999-12-31 00:00:00+00' and b.unit = 'input' and b.service_tier = 'standard' and b.processing = 'sync'
    group by b.provider, b.model_id
),

offered as (
    select
        t.provider,
        t.model_id,
        row_number() over (
            partition by t.provider order by coalesce(u.requests, 0) desc, n.effective_from desc nulls last, n.unit_price desc, t.model_id
        ) as place,
    from tiers as t
    cross join whatif_settings as s
    inner join newest as n on t.provider = n.provider and t.model_id = n.model_id
    left join used as u on t.provider = u.provider and t.model_id = u.model_canonical
    where t.model_tier = s.to_tier
)

select
    u.provider as from_provider,
    u.model_canonical as from_model,
    case when s.to_model = '' then o.provider else split_part(s.to_model, '/', 1) end as to_provider,
    case when s.to_model = '' then o.model_id else substr(s.to_model, strpos(s.to_model, '/') + 1) end as to_model,
from used as u
cross join whatif_settings as s
left join tiers as t on u.provider = t.provider and u.model_canonical = t.model_id
left join offered as o on u.provider = o.provider and o.place = 1
where (s.from_tier = '' or list_contains(string_split(s.from_tier, ' '), t.model_tier))
    and (s.provider = '' or list_contains(string_split(s.provider, ' '), u.provider))
    and (s.from_model = '' or list_contains(string_split(s.from_model, ' '), concat(u.provider, '/', u.model_canonical)))
    and case when s.to_model = '' then o.model_id is not null else true end
    and concat(u.provider, '/', u.model_canonical)
        <> case when s.to_model = '' then concat(o.provider, '/', o.model_id) else s.to_model end
