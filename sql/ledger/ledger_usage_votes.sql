/*
about: >-
  The basis test (does the input that a source states hold the cached tokens?) counted for rows that count alike: one certain row
  makes a group disjoint; else the provider's own usage decides, where one reading meets it and the other does not; else a convention
  that the rows follow, or enough cached rows of which none is certain, make it inclusive. One row per month and group of rows with cached tokens.
grain: [month_start_date, source, source_account, usage_group, provider]
partition: month
leads: [staged_requests]
columns:
{% include "parts/columns_usage_group.sql" %}
  model_served: VARCHAR; model as the response names it, verbatim
  cached_requests: BIGINT; calls with cached tokens
  disjoint_requests: BIGINT; of these, calls with fewer input than cached tokens: their input cannot hold the cached ones
  inclusive_requests: BIGINT; of these, calls whose stated total proves that their input holds the cached tokens
  undecided_requests: BIGINT; of these, calls that can be read both ways
  undecided_cached_tokens: BIGINT; cached tokens of the calls that can be read both ways
  billed_input_tokens: BIGINT; input that the provider reports for the model, on days that it reports; null where it reports none
  disjoint_input_tokens: BIGINT; input of all calls of the model on those days if undecided input leaves the cached tokens out
  inclusive_input_tokens: BIGINT; input of all calls of the model on those days if undecided input holds the cached tokens
  decided_by: VARCHAR; certain_row, provider_usage, convention, votes or nothing
  usage_basis: VARCHAR; disjoint, inclusive or ambiguous: how the source's counts are read where a row does not tell
checks:
  - one_of: [usage_basis, disjoint, inclusive, ambiguous]
  - one_of: [decided_by, certain_row, provider_usage, convention, votes, nothing]
  - rule: cached_requests = disjoint_requests + inclusive_requests + undecided_requests
question: Which projects and SDKs state cached tokens inside of the input?
answer: >-
  select month_start_date, source_account, usage_group, cached_requests, undecided_requests, usage_basis, decided_by
  from ledger_usage_votes order by undecided_requests desc
*/
{% from "macros/versions.sql" import but_superseded with context %}
{% from "macros/tokens.sql" import cached_classes, input_classes, sum_of with context %}
{% from "macros/sellers.sql" import join_named_sellers, named_sellers with context %}
{% set group = ["month_start_date", "source", "source_account", "usage_group", "provider"] %}
with {{ named_sellers("staged_requests", "started_at") }},

-- By the provider as the source names it; its own usage is that of the seller whom seller_aliases.csv means.
cached as (
    select
        cast(date_trunc('month', s.started_at) as date) as month_start_date,
        s.source,
        s.source_account,
        s.usage_group,
        s.provider,
        coalesce(n.seller, s.provider) as seller,
        s.model_served,
        s.usage_basis,
        {{ sum_of(cached_classes, "s", "_tokens") }} as cached_tokens,
    from staged_requests as s
    {{ join_named_sellers("s", "started_at") }}
    {{ but_superseded() }}
    where s.usage_group is not null and s.usage_basis is not null
),

groups as (
    select
        {{ group | join(", ") }},
        min(seller) as seller,
        min(model_served) as model_served,
        count(*) as cached_requests,
        count(*) filter (where usage_basis = 'disjoint') as disjoint_requests,
        count(*) filter (where usage_basis = 'inclusive') as inclusive_requests,
        count(*) filter (where usage_basis = 'ambiguous') as undecided_requests,
        cast(coalesce(sum(case when usage_basis = 'ambiguous' then cached_tokens end), 0) as bigint) as undecided_cached_tokens,
    from cached
    group by {{ group | join(", ") }}
),

doubtful_models as (
    select distinct month_start_date, seller, model_served from cached where usage_basis = 'ambiguous'
),

sold as (
    select s.*, coalesce(n.seller, s.provider) as seller
    from staged_requests as s
    {{ join_named_sellers("s", "started_at") }}
),

-- All calls of a doubtful model on a day, as the provider counts them: it knows no groups.
traced as (
    select
        cast(s.started_at as date) as usage_date,
        s.seller as provider,
        m.model_canonical,
        sum({{ sum_of(input_classes, "s", "_tokens") }}) as input_tokens,
        sum(
            case when s.usage_basis = 'ambiguous' then {{ sum_of(cached_classes, "s", "_tokens") }} else 0 end
        ) as doubtful_tokens,
    from sold as s
    inner join doubtful_models as q
        on cast(date_trunc('month', s.started_at) as date) = q.month_start_date
        and s.seller = q.seller
        and s.model_served = q.model_served
    inner join ledger_models as m
        on cast(s.started_at as date) = m.usage_date and s.seller = m.provider and s.model_served = m.model_raw
    left join ledger_span_roles as l on s.request_key = l.request_key and s.started_at = l.started_at
    {{ but_superseded() }}
    where coalesce(l.is_billable_leaf, s.is_billable_leaf) and m.model_canonical is not null
    group by cast(s.started_at as date), s.seller, m.model_canonical
),

reported as (
    select
        cast(bucket_start_at as date) as usage_date,
        provider,
        model_canonical,
        sum(input_total_tokens) as input_tokens,
    from ledger_usage
    where model_canonical is not null and input_total_tokens is not null
    group by cast(bucket_start_at as date), provider, model_canonical
),

compared as (
    select
        cast(date_trunc('month', t.usage_date) as date) as month_start_date,
        t.provider,
        t.model_canonical,
        cast(sum(r.input_tokens) as bigint) as billed_input_tokens,
        cast(sum(t.input_tokens) as bigint) as disjoint_input_tokens,
        cast(sum(t.input_tokens - t.doubtful_tokens) as bigint) as inclusive_input_tokens,
    from traced as t
    inner join reported as r
        on t.usage_date = r.usage_date and t.provider = r.provider and t.model_canonical = r.model_canonical
    group by cast(date_trunc('month', t.usage_date) as date), t.provider, t.model_canonical
),

names as (
    select
        cast(date_trunc('month', usage_date) as date) as month_start_date,
        provider,
        model_raw,
        max(model_canonical) as model_canonical,
    from ledger_models
    group by cast(date_trunc('month', usage_date) as date), provider, model_raw
),

limits as (
    select
        g.month_start_date,
        max(case when l.limit_name = 'basis_votes' then l.threshold_number end) as basis_votes,
        max(case when l.limit_name = 'coverage_ok' then l.threshold_number end) as coverage_ok,
    from (select distinct month_start_date from groups) as g
    left join ref_limits as l
        on l.scope_kind = '' and g.month_start_date >= l.valid_from_date and g.month_start_date < l.valid_to_date
    group by g.month_start_date
),

weighed as (
    select
        g.*,
        c.billed_input_tokens,
        c.disjoint_input_tokens,
        c.inclusive_input_tokens,
        c.disjoint_input_tokens >= c.billed_input_tokens * l.coverage_ok
            and c.disjoint_input_tokens <= c.billed_input_tokens * (2 - l.coverage_ok) as is_disjoint_met,
        c.inclusive_input_tokens >= c.billed_input_tokens * l.coverage_ok
            and c.inclusive_input_tokens <= c.billed_input_tokens * (2 - l.coverage_ok) as is_inclusive_met,
        g.disjoint_requests = 0 and g.cached_requests >= l.basis_votes as has_votes,
        starts_with(g.usage_group, 'by convention inclusive|') as is_by_convention,
    from groups as g
    inner join limits as l on g.month_start_date = l.month_start_date
    left join names as n
        on g.month_start_date = n.month_start_date and g.seller = n.provider and g.model_served = n.model_raw
    left join compared as c
        on g.month_start_date = c.month_start_date and g.seller = c.provider and n.model_canonical = c.model_canonical
)

select
    {{ group | join(", ") }},
    model_served,
    cached_requests,
    disjoint_requests,
    inclusive_requests,
    undecided_requests,
    undecided_cached_tokens,
    billed_input_tokens,
    disjoint_input_tokens,
    inclusive_input_tokens,
    case
        when disjoint_requests > 0 then 'certain_row'
        when is_disjoint_met <> is_inclusive_met then 'provider_usage'
        when is_by_convention then 'convention'
        when has_votes then 'votes'
        else 'nothing'
    end as decided_by,
    case
        when disjoint_requests > 0 then 'disjoint'
        when is_disjoint_met and not is_inclusive_met then 'disjoint'
        when is_inclusive_met and not is_disjoint_met then 'inclusive'
        when is_by_convention or has_votes then 'inclusive'
        else 'ambiguous'
    end as usage_basis,
from weighed
