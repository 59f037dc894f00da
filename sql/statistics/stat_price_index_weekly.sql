/*
about: >-
  What a feature's spend on a model in an earlier week would cost at a later week's rates, over what it cost: 1.05 is 5 % dearer by price alone.
  One row per week, earlier week, feature and model, only where a rate of the model differs.
grain: [week_start_date, base_week_date, feature, provider, model_canonical]
partition: week
reads_back: 8 weeks
leads: [ledger_rates]
columns:
  week_start_date: DATE; Monday of the ISO week whose rates are asked for, in the reporting time zone
  base_week_date: DATE; Monday of the earlier week, one to eight weeks back
  feature: VARCHAR; product feature, 'unattributed' where none is known
  provider: VARCHAR; the seller
  model_canonical: VARCHAR; model as the price book names it
  rate_index: DOUBLE; cost of that week's tokens at the later rates over their cost; each class by the mean of its changes over tiers, regions and contracts that both weeks have
checks:
  - rule: rate_index > 0 and base_week_date < week_start_date
*/
{% set combination = "provider, model_canonical, service_tier, is_batch, speed, region, region_class, billing_account_scope, project_scope, feature_scope, customer_scope, ctx_min_tokens" %}
with weekly_rates as (
    select
        cast(date_trunc('week', usage_date) as date) as week_start_date,
        {{ combination }},
{% for class in token_classes %}
        {{ class.name }}_usd_per_mtok,
{% endfor %}
    from ledger_rates
    where rate_status = 'ok' and provider is not null
    -- The last rate of the week stands for it.
    qualify row_number() over (
        partition by cast(date_trunc('week', usage_date) as date), {{ combination }} order by usage_date desc, rate_from_at desc
    ) = 1
),

listed as (
    select
        week_start_date,
        {{ combination }},
        c.class_name,
        case c.class_name
{% for class in token_classes %}
            when '{{ class.name }}' then {{ class.name }}_usd_per_mtok
{% endfor %}
        end as usd_per_mtok,
    from weekly_rates
    cross join (select unnest([{% for class in token_classes %}'{{ class.name }}'{{ ", " if not loop.last }}{% endfor %}]) as class_name) as c
),

changes as (
    select
        n.week_start_date,
        o.week_start_date as base_week_date,
        n.provider,
        n.model_canonical,
        n.class_name,
        cast(sum(cast(cast(n.usd_per_mtok as double) / cast(o.usd_per_mtok as double) as decimal(38, 12))) as double) / count(*) as price_ratio,
    from listed as n
    inner join listed as o
        on o.week_start_date >= n.week_start_date - 56
        and o.week_start_date < n.week_start_date
        and o.class_name = n.class_name
{% for column in combination.split(", ") %}
        and o.{{ column }} = n.{{ column }}
{% endfor %}
    where n.usd_per_mtok > 0 and o.usd_per_mtok > 0
    group by n.week_start_date, o.week_start_date, n.provider, n.model_canonical, n.class_name
    having min(n.usd_per_mtok / o.usd_per_mtok) <> 1 or max(n.usd_per_mtok / o.usd_per_mtok) <> 1
),

spent as (
    select
        cast(date_trunc('week', d.usage_date) as date) as base_week_date,
        d.feature,
        d.provider,
        d.model_canonical,
        c.class_name,
        sum(
            case c.class_name
{% for class in token_classes %}
                when '{{ class.name }}' then d.{{ class.name }}_cost_usd
{% endfor %}
            end
        ) as cost,
    from stat_cost_cells_daily as d
    inner join (select distinct provider, model_canonical from changes) as m on d.provider = m.provider and d.model_canonical = m.model_canonical
    cross join (select unnest([{% for class in token_classes %}'{{ class.name }}'{{ ", " if not loop.last }}{% endfor %}]) as class_name) as c
    group by cast(date_trunc('week', d.usage_date) as date), d.feature, d.provider, d.model_canonical, c.class_name
    having sum(
            case c.class_name
{% for class in token_classes %}
                when '{{ class.name }}' then d.{{ class.name }}_cost_usd
{% endfor %}
            end
        ) > 0
),

pairs as (
    select distinct week_start_date, base_week_date, provider, model_canonical
    from changes
)

select
    p.week_start_date,
    p.base_week_date,
    s.feature,
    p.provider,
    p.model_canonical,
    cast(sum(cast(cast(s.cost as double) * coalesce(c.price_ratio, 1) as decimal(38, 15))) as double) / cast(sum(s.cost) as double) as rate_index,
from pairs as p
inner join spent as s on p.base_week_date = s.base_week_date and p.provider = s.provider and p.model_canonical = s.model_canonical
left join changes as c
    on p.week_start_date = c.week_start_date
    and p.base_week_date = c.base_week_date
    and p.provider = c.provider
    and p.model_canonical = c.model_canonical
    and s.class_name = c.class_name
group by p.week_start_date, p.base_week_date, s.feature, p.provider, p.model_canonical
