{#
How much of the use that is billed calls explain, for ledger_allocations: `matched` has the list amount of each model and class with
what falls on calls (direct_units), `whole_accounts` that of accounts whose bill tells no models, `untraced` what is left.
#}
classes as (
{% for type in token_types %}
    {% if not loop.first %}
    union all
    {% endif %}
    select
        row_key, part, account_month, model_canonical, '{{ type }}' as token_type, {{ type }}_units as class_units,
        {{ tokens_of_type(type) }} as traced_tokens,
    from rows_keyed
{% endfor %}
),

billed_tokens as (
    select
        concat_ws(
            chr(31), cast(month_start_date as varchar), cast(date_trunc('week', usage_date) as date), provider, billing_account_id
        ) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
        model_canonical,
        token_type,
        cast(sum(billed_tokens) as hugeint) as billed_tokens,
    from ledger_billed_tokens
    where model_canonical is not null
    group by part, account_month, model_canonical, token_type
),

-- A model that is traced below spread_min_coverage keeps its untraced money on the unattributed line.
model_coverage as (
    select
        coalesce(t.account_month, b.account_month) as account_month,
        coalesce(t.model_canonical, b.model_canonical) as model_canonical,
        coalesce(t.traced_tokens, 0) as traced_tokens,
        coalesce(b.billed_tokens, 0) as billed_tokens,
    from (
        select account_month, model_canonical, cast(sum(traced_tokens) as hugeint) as traced_tokens
        from classes group by account_month, model_canonical
    ) as t
    full join (
        select account_month, model_canonical, cast(sum(billed_tokens) as hugeint) as billed_tokens
        from billed_tokens group by account_month, model_canonical
    ) as b
        on t.account_month = b.account_month and t.model_canonical = b.model_canonical
),

limits as (
    select
        m.month_start_date,
        coalesce(max(l.threshold_number), cast(0 as decimal(18, 9))) as spread_min_coverage,
    from (select distinct month_start_date from parts) as m
    left join ref_limits as l
        on l.limit_name = 'spread_min_coverage'
        and l.scope_kind = ''
        and m.month_start_date >= l.valid_from_date
        and m.month_start_date < l.valid_to_date
    group by m.month_start_date
),

cells as (
    select
        kind,
        part,
        account_month,
        month_start_date,
        model_canonical,
        case when line_level = 'class' then token_type else '' end as token_type,
        min(pool_id) as pool_id,
        min(discount_pool_id) as discount_pool_id,
        cast(sum(list_units) as hugeint) as list_units,
        cast(sum(billed_units - list_units) as hugeint) as discount_units,
    from read_lines
    where line_level in ('class', 'model')
    group by kind, part, account_month, month_start_date, model_canonical, case when line_level = 'class' then token_type else '' end
),

traced_cells as (
    select part, model_canonical, token_type, cast(sum(traced_tokens) as hugeint) as traced_tokens
    from classes
    group by part, model_canonical, token_type
    union all
    select part, model_canonical, '' as token_type, cast(sum(traced_tokens) as hugeint) as traced_tokens
    from classes
    group by part, model_canonical
),

billed_token_cells as (
    select part, model_canonical, token_type, billed_tokens
    from billed_tokens
    union all
    select part, model_canonical, '' as token_type, cast(sum(billed_tokens) as hugeint) as billed_tokens
    from billed_tokens
    group by part, model_canonical
),

-- Where the provider counts no token of a model, list cost takes the place of tokens; in USD for both currencies.
list_sums as (
    select b.part, b.model_canonical, coalesce(t.list_units, 0) as traced_units, b.list_units as billed_units
    from (
        select part, model_canonical, cast(sum(list_units) as hugeint) as list_units
        from cells where kind = 'usd' group by part, model_canonical
    ) as b
    left join (
        select part, model_canonical, cast(sum(list_units) as hugeint) as list_units
        from rows_keyed group by part, model_canonical
    ) as t
        on b.part = t.part and b.model_canonical = t.model_canonical
),

explained_shares as (
    select
        c.*,
        case when coalesce(m.billed_tokens, 0) > 0 then coalesce(t.traced_tokens, 0) else coalesce(l.traced_units, 0) end as explained_part,
        case when coalesce(m.billed_tokens, 0) > 0 then coalesce(b.billed_tokens, 0) else coalesce(l.billed_units, 0) end as whole_part,
        m.billed_tokens > 0 and m.traced_tokens < m.billed_tokens * x.spread_min_coverage as is_kept_back,
    from cells as c
    inner join limits as x on c.month_start_date = x.month_start_date
    left join billed_token_cells as b on c.part = b.part and c.model_canonical = b.model_canonical and c.token_type = b.token_type
    left join traced_cells as t on c.part = t.part and c.model_canonical = t.model_canonical and c.token_type = t.token_type
    left join model_coverage as m on c.account_month = m.account_month and c.model_canonical = m.model_canonical
    left join list_sums as l on c.part = l.part and c.model_canonical = l.model_canonical
),

matched as (
    select
        *,
        case
            when whole_part > 0
                then cast(sign(list_units) * (abs(list_units) * least(explained_part, whole_part) // whole_part) as hugeint)
            else cast(0 as hugeint)
        end as direct_units,
    from explained_shares
),

whole_sums as (
    select
        kind,
        part,
        account_month,
        month_start_date,
        min(pool_id) as pool_id,
        min(discount_pool_id) as discount_pool_id,
        cast(sum(list_units) as hugeint) as list_units,
        cast(sum(billed_units - list_units) as hugeint) as discount_units,
    from read_lines
    where line_level = 'account'
    group by kind, part, account_month, month_start_date
),

whole_accounts as (
    select
        w.kind,
        w.part,
        w.month_start_date,
        w.pool_id,
        w.discount_pool_id,
        w.list_units,
        w.discount_units,
        case
            when u.list_units > 0
                then cast(sign(w.list_units) * (abs(w.list_units) * least(coalesce(t.list_units, 0), u.list_units) // u.list_units) as hugeint)
            else cast(0 as hugeint)
        end as direct_units,
    from whole_sums as w
    left join whole_sums as u on w.part = u.part and u.kind = 'usd'
    left join (select part, cast(sum(list_units) as hugeint) as list_units from rows_keyed group by part) as t on w.part = t.part
),

untraced as (
    select
        kind, part, month_start_date, case when is_kept_back then '' else 'model' end as weight, model_canonical as model,
        token_type as word, pool_id, list_units - direct_units as pool_units,
    from matched
    union all
    select kind, part, month_start_date, 'account' as weight, '' as model, '' as word, pool_id, list_units - direct_units as pool_units
    from whole_accounts
),
