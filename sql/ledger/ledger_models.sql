/*
about: >-
  Which priced model each name means that appeared on a day: names of calls, of provider usage and of bills, each resolved
  once. One row per day, seller and name as it was written.
grain: [usage_date, provider, model_raw]
partition: day
columns:
  usage_date: DATE; UTC day on which the name appeared
  provider: VARCHAR; the seller whose names apply
  model_raw: VARCHAR; name as the source wrote it
  model_canonical: VARCHAR; model that the price book knows; null where the name means none
  resolved_by: VARCHAR; kind and pattern of the alias that decided; null where none did
  resolution_confidence: VARCHAR; exact, normalised (a path, prefix or date form was taken off), or pattern; null where unmapped
  region_class: VARCHAR; geography that the name carries (Bedrock: us, eu, apac, global, gov ...); null where it carries none
checks:
  - not_null: [usage_date, provider, model_raw]
  - one_of: [resolution_confidence, exact, normalised, pattern]
  - rule: (model_canonical is null) = (resolved_by is null)
    text: a resolved name says what resolved it
notes:
  - Exact names come before prefixes, prefixes before regular expressions; a family prefix never prices an unknown member.
*/
with seen as (
{% for table, at, name in (
    ("staged_requests", "started_at", "model_served"), ("staged_usage", "bucket_start_at", "model_raw"), ("staged_bills", "charge_start_at", "model_raw"),
) %}
    {% if not loop.first %}
    union
    {% endif %}
    select
        cast({{ at }} as date) as usage_date,
        provider,
        {{ name }}{{ " as model_raw" if name != "model_raw" }},
    from {{ table }}
    where provider is not null and {{ name }} is not null
    union
    -- Its name under the seller that seller_aliases.csv says it means.
    select
        cast(w.{{ at }} as date) as usage_date,
        a.seller as provider,
        w.{{ name }}{{ " as model_raw" if name != "model_raw" }},
    from {{ table }} as w
    inner join ref_seller_aliases as a
        on w.provider = lower(a.provider)
        and (a.source is null or w.source = a.source)
        and (a.billing_account_id is null or w.billing_account_id = a.billing_account_id)
        and (a.valid_from_date is null or cast(w.{{ at }} as date) >= a.valid_from_date)
        and (a.valid_to_date is null or cast(w.{{ at }} as date) < a.valid_to_date)
    where w.{{ name }} is not null
{% endfor %}
),

spelled as (
    select
        provider,
        model_raw,
        lower(model_raw) as name_as_written,
        -- models/x, publishers/google/models/x, arn:...:inference-profile/us.x; an application profile's id means nothing.
        regexp_replace(
            regexp_replace(lower(model_raw), '^(.*/)?models/', ''),
            '^arn:.*:(inference-profile|foundation-model|provisioned-model|imported-model|custom-model)/',
            ''
        ) as name_without_path,
    from (select distinct provider, model_raw from seen) as names
),

unprefixed as (
    select
        provider,
        model_raw,
        name_as_written,
        name_without_path,
        -- Gateways put the route before the seller's own name: bedrock/us.x, gemini/x, openrouter/vendor/x.
        case
            when provider in ('vertex', 'google')
                then regexp_replace(name_without_path, '^(vertex_ai|vertex|gemini|google)/', '')
            when provider = 'bedrock'
                then regexp_replace(name_without_path, '^(bedrock|amazon_bedrock)/(converse/|invoke/)?([a-z]+-[a-z]+-[0-9]/)?', '')
            when starts_with(name_without_path, provider || '/')
                then substr(name_without_path, length(provider) + 2)
            else regexp_replace(name_without_path, '^(azure|azure_ai|xai|together_ai|fireworks_ai)/', '')
        end as name_without_route,
    from spelled
),

grounded as (
    select
        provider,
        model_raw,
        name_as_written,
        name_without_path,
        name_without_route,
        case
            when provider = 'bedrock' then regexp_extract(name_without_route, '^(us-gov|us|eu|apac|au|jp|ca|sa|in|global)\.', 1)
            else ''
        end as geography,
    from unprefixed
),

candidates as (
    select provider, model_raw, name_as_written as name, 1 as step
    from grounded
    union all
    select provider, model_raw, name_without_path as name, 2 as step
    from grounded
    union all
    select provider, model_raw, name_without_route as name, 3 as step
    from grounded
    union all
    select provider, model_raw, substr(name_without_route, length(geography) + 2) as name, 4 as step
    from grounded
    where geography <> ''
    union all
    -- Some gateways write the date of a snapshot without dashes: gpt-5.2-20251211.
    select
        provider,
        model_raw,
        regexp_replace(name_without_route, '-(20[0-9]{2})(0[1-9]|1[0-2])([0-3][0-9])$', '-\1-\2-\3') as name,
        5 as step,
    from grounded
    union all
    -- Vertex AI marks the version of a partner's model: claude-haiku-4-5@default is the model itself.
    select provider, model_raw, regexp_replace(name_without_route, '@(default|latest)$', '') as name, 6 as step
    from grounded
    where provider = 'vertex'
),

distinct_candidates as (
    select provider, model_raw, name, min(step) as step
    from candidates
    group by provider, model_raw, name
),

exact_matches as (
    select c.provider, c.model_raw, c.step, 1 as kind_rank,
        n.pattern_kind,
        n.pattern,
        n.model_id,
        n.priority,
        n.valid_from_date,
        n.valid_to_date,
        n.region_class,
    from distinct_candidates as c
    inner join ref_model_names as n
        on n.pattern = c.name and (n.provider = c.provider or n.provider = '')
    where n.pattern_kind = 'exact'
),

unresolved as (
    select c.provider, c.model_raw, c.name, c.step
    from distinct_candidates as c
    left join (
        select distinct provider, model_raw
        from exact_matches
        where valid_from_date is null and valid_to_date is null
    ) as m
        on m.provider = c.provider and m.model_raw = c.model_raw
    where m.model_raw is null
),

matches as (
    select * from exact_matches
{% for kind, rank, matches in (("prefix", 2, "starts_with"), ("regex", 3, "regexp_matches")) %}
    union all
    select c.provider, c.model_raw, c.step, {{ rank }} as kind_rank,
        n.pattern_kind,
        n.pattern,
        n.model_id,
        n.priority,
        n.valid_from_date,
        n.valid_to_date,
        n.region_class,
    from unresolved as c
    inner join ref_model_names as n
        on n.pattern_kind = '{{ kind }}' and (n.provider = c.provider or n.provider = '') and {{ matches }}(c.name, n.pattern)
{% endfor %}
),

ranked as (
    select
        s.usage_date,
        s.provider,
        s.model_raw,
        m.model_id,
        m.pattern_kind,
        m.pattern,
        m.step,
        m.region_class,
        row_number() over (
            partition by s.usage_date, s.provider, s.model_raw
            order by m.kind_rank, m.step, m.priority, m.pattern, m.model_id
        ) as place,
    from seen as s
    inner join matches as m
        on m.provider = s.provider
        and m.model_raw = s.model_raw
        and (m.valid_from_date is null or m.valid_from_date <= s.usage_date)
        and (m.valid_to_date is null or m.valid_to_date > s.usage_date)
)

select
    s.usage_date,
    s.provider,
    s.model_raw,
    r.model_id as model_canonical,
    r.pattern_kind || ' ' || r.pattern as resolved_by,
    case
        when r.pattern_kind is null then null
        when r.pattern_kind <> 'exact' then 'pattern'
        when r.step = 1 then 'exact'
        else 'normalised'
    end as resolution_confidence,
    coalesce(r.region_class, case when g.geography = 'us-gov' then 'gov' else nullif(g.geography, '') end) as region_class,
from seen as s
inner join grounded as g
    on g.provider = s.provider and g.model_raw = s.model_raw
left join ranked as r
    on r.usage_date = s.usage_date and r.provider = s.provider and r.model_raw = s.model_raw and r.place = 1
