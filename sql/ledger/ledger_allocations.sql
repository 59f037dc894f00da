/*
about: >-
  How each invoice falls on its rows: what every pool (ledger_bill_pools) gives to each key of the showback, exact to ten decimals, before
  anything is rounded to the cent. What no bill covers yet falls as the calls cost. One row per week, billing month, key, component,
  pool and method; a row of the component key, without amounts, for each key there is.
grain: [month_start_date, week_start_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id, model_canonical, model_tier, component, pool_id, allocation_method]
partition: month
partition_column: month_start_date
leads: [ledger_bill_days, ledger_showback_days]
columns:
  month_start_date: DATE; first day of the billing month, UTC
  week_start_date: DATE; Monday of the ISO week, UTC
  cost_centre: VARCHAR; cost centre that bears the cost, 'unattributed' where none is known
  team: VARCHAR; owning team, 'unattributed' where none is known
  feature: VARCHAR; product feature, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  environment: VARCHAR; deployment environment, 'unattributed' where none is known
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where it cannot be told
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it, 'unattributed' on the unattributed line
  model_tier: VARCHAR; capability tier of the model (not the customer's tier), 'unknown_tier' where none is known
  component: VARCHAR; key, direct, untraced, discount, credit or tax_fee: where the money stands in the showback
  pool_id: VARCHAR; pool of the list or discount amount in ledger_bill_pools, accrual without a bill, key on the row that only names the key
  allocation_method: VARCHAR; how the pool was shared out
  allocated_usd: DECIMAL(38,10); what the key bears of the pool; 0 where a rate to USD is missing
  allocated_amount: DECIMAL(38,10); the same split in the currency of the bill; 0 without a bill
checks:
  - one_of: [component, key, direct, untraced, discount, credit, tax_fee]
*/
with calls as (
    select
        cast(date_trunc('month', d.usage_date) as date) as month_start_date,
        cast(date_trunc('week', d.usage_date) as date) as week_start_date,
        d.*,
    from ledger_showback_days as d
),

traced as (
    select
        month_start_date,
        week_start_date,
        cost_centre,
        team,
        feature,
        customer_tier,
        environment,
        provider,
        billing_account_id,
        model_canonical,
        model_tier,
        cast(sum(requests) as bigint) as requests,
        cast(sum(tasks) as bigint) as tasks,
        cast(sum(successes) as bigint) as successes,
        cast(sum(unpriced_requests) as bigint) as unpriced_requests,
        cast(sum(unpriced_tokens) as bigint) as unpriced_tokens,
        cast(sum(input_total_tokens) as bigint) as input_total_tokens,
        cast(sum(output_total_tokens) as bigint) as output_total_tokens,
        cast(sum(cache_read_total_tokens) as bigint) as cache_read_total_tokens,
        cast(sum(cache_write_total_tokens) as bigint) as cache_write_total_tokens,
        cast(sum(output_reasoning_tokens) as bigint) as output_reasoning_tokens,
        cast(sum(list_cost_usd) * 10000000000::hugeint as hugeint) as list_units,
        cast(sum(effective_cost_usd) * 10000000000::hugeint as hugeint) as effective_units,
        cast(sum(input_cost_usd) * 10000000000::hugeint as hugeint) as input_units,
        cast(sum(cache_read_cost_usd) * 10000000000::hugeint as hugeint) as cache_read_units,
        cast(sum(cache_write_cost_usd) * 10000000000::hugeint as hugeint) as cache_write_units,
        cast(sum(output_cost_usd) * 10000000000::hugeint as hugeint) as output_units,
    from calls
    group by
        month_start_date, week_start_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id,
        model_canonical, model_tier
),

bill_days as (
    select
        b.*,
        cast(date_trunc('week', b.usage_date) as date) as week_start_date,
        p.line_level,
        p.component,
        p.rule_field as field,
        p.rule_value as field_value,
        p.pool_id,
        p.discount_pool_id,
    from ledger_bill_days as b
    inner join ledger_bill_pools as p
        on b.month_start_date = p.month_start_date and b.cost_key = p.cost_key and b.usage_date = p.usage_date
),

-- Every amount twice: in USD and in the billing currency. The same weights split both.
bill_units as (
    select
        *,
        'usd' as kind,
        cast(billed_usd * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_usd * 10000000000::hugeint as hugeint) as list_units,
    from bill_days
    where billed_usd is not null
    union all
    select
        *,
        'native' as kind,
        cast(billed_amount * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_amount * 10000000000::hugeint as hugeint) as list_units,
    from bill_days
),

parts as (
    select distinct month_start_date, week_start_date, provider, billing_account_id from traced
    union
    select distinct month_start_date, week_start_date, provider, billing_account_id from bill_days
),

read_lines as (
    select
        *,
        concat_ws(chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
    from bill_units
),

judged_charges as (
    select * from read_lines where line_level in ('charge', 'unmapped')
),

rules as (
    select
        charge_match_field as field,
        charge_match_value as field_value,
        method,
        coalesce(basis, 'list_cost_usd') as basis,
        coalesce(target_kind, '') as target_kind,
        coalesce(target_value, '') as target_value,
        share,
        coalesce(valid_from_date, date '0001-01-01') as valid_from_date,
        coalesce(valid_to_date, date '9999-12-31') as valid_to_date,
        reference_row,
    from ref_allocation_rules
),

-- Whoever a rule names bears its share, with or without a call in that part of the month.
named_targets as (
    select distinct c.month_start_date, c.week_start_date, c.provider, c.billing_account_id, r.target_kind, r.target_value
    from judged_charges as c
    inner join rules as r
        on c.field = r.field
        and c.field_value = r.field_value
        and c.charge_start_date >= r.valid_from_date
        and c.charge_start_date < r.valid_to_date
    where r.method in ('fixed', 'even') and r.target_kind <> '' and r.target_value <> ''
    union
    select distinct l.month_start_date, l.week_start_date, l.provider, l.billing_account_id, r.target_kind, r.target_value
    from read_lines as l
    inner join rules as r
        on r.field = 'component'
        and r.field_value = 'untraced'
        and l.month_start_date >= r.valid_from_date
        and l.month_start_date < r.valid_to_date
    where l.line_level in ('class', 'model', 'account') and r.method in ('fixed', 'even') and r.target_kind <> '' and r.target_value <> ''
),

keys as (
    select
        month_start_date, week_start_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id,
        model_canonical, model_tier, requests, tasks, successes, unpriced_requests, unpriced_tokens, input_total_tokens,
        output_total_tokens, cache_read_total_tokens, cache_write_total_tokens, output_reasoning_tokens, list_units, effective_units,
        input_units, cache_read_units, cache_write_units, output_units, false as is_lost, false as is_named,
    from traced
    union all
    select
        month_start_date, week_start_date, 'unattributed' as cost_centre, 'unattributed' as team, 'unattributed' as feature,
        'unattributed' as customer_tier, 'unattributed' as environment, provider, billing_account_id, 'unattributed' as model_canonical,
        'unattributed' as model_tier, 0 as requests, 0 as tasks, 0 as successes, 0 as unpriced_requests, 0 as unpriced_tokens,
        0 as input_total_tokens, 0 as output_total_tokens, 0 as cache_read_total_tokens, 0 as cache_write_total_tokens,
        0 as output_reasoning_tokens, 0 as list_units, 0 as effective_units, 0 as input_units, 0 as cache_read_units,
        0 as cache_write_units, 0 as output_units, true as is_lost, false as is_named,
    from parts
    union all
    select
        n.month_start_date,
        n.week_start_date,
        case n.target_kind when 'cost_centre' then n.target_value else 'unattributed' end as cost_centre,
        case n.target_kind when 'team' then n.target_value else 'unattributed' end as team,
        case n.target_kind when 'feature' then n.target_value else 'unattributed' end as feature,
        case n.target_kind when 'customer_tier' then n.target_value else 'unattributed' end as customer_tier,
        case n.target_kind when 'environment' then n.target_value else 'unattributed' end as environment,
        n.provider,
        n.billing_account_id,
        case n.target_kind when 'model_canonical' then n.target_value else 'unattributed' end as model_canonical,
        case n.target_kind when 'model_tier' then n.target_value else 'unattributed' end as model_tier,
        0 as requests, 0 as tasks, 0 as successes, 0 as unpriced_requests, 0 as unpriced_tokens, 0 as input_total_tokens,
        0 as output_total_tokens, 0 as cache_read_total_tokens, 0 as cache_write_total_tokens, 0 as output_reasoning_tokens,
        0 as list_units, 0 as effective_units, 0 as input_units, 0 as cache_read_units, 0 as cache_write_units, 0 as output_units,
        false as is_lost, true as is_named,
    from named_targets as n
    left join traced as t
        on n.month_start_date = t.month_start_date
        and n.week_start_date = t.week_start_date
        and n.provider = t.provider
        and n.billing_account_id = t.billing_account_id
        and n.target_value = case n.target_kind
            when 'cost_centre' then t.cost_centre
            when 'team' then t.team
            when 'feature' then t.feature
            when 'customer_tier' then t.customer_tier
            when 'environment' then t.environment
            when 'model_canonical' then t.model_canonical
            when 'model_tier' then t.model_tier
        end
    where t.provider is null and n.target_value <> 'unattributed'
),

-- Text order of row_key is the order of the key's columns: it decides ties.
rows_keyed as (
    select
        *,
        concat_ws(
            chr(31), cast(week_start_date as varchar), cast(month_start_date as varchar), cost_centre, team, feature, customer_tier,
            environment, provider, billing_account_id, model_canonical, model_tier
        ) as row_key,
        concat_ws(
            chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id
        ) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
    from keys
),

classes as (
    select row_key, part, account_month, model_canonical, 'input' as token_type, input_units as class_units,
        input_total_tokens - cache_read_total_tokens - cache_write_total_tokens as traced_tokens from rows_keyed
    union all
    select row_key, part, account_month, model_canonical, 'cache_read' as token_type, cache_read_units as class_units,
        cache_read_total_tokens as traced_tokens from rows_keyed
    union all
    select row_key, part, account_month, model_canonical, 'cache_write' as token_type, cache_write_units as class_units,
        cache_write_total_tokens as traced_tokens from rows_keyed
    union all
    select row_key, part, account_month, model_canonical, 'output' as token_type, output_units as class_units,
        output_total_tokens as traced_tokens from rows_keyed
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

untraced_rules as (
    select distinct month_start_date
    from untraced
    where exists (
        select 1
        from rules as r
        where r.field = 'component'
            and r.field_value = 'untraced'
            and untraced.month_start_date >= r.valid_from_date
            and untraced.month_start_date < r.valid_to_date
    )
),

-- Pools that rules share out: first over the targets, then within a target by the rule's basis.
ruled_pools as (
    select
        kind,
        part,
        component,
        field,
        field_value,
        charge_start_date,
        concat_ws('|', field, field_value, charge_id, cast(charge_start_date as varchar)) as word,
        min(pool_id) as pool_id,
        cast(sum(billed_units) as hugeint) as pool_units,
    from judged_charges
    where field is not null
    group by kind, part, component, field, field_value, charge_start_date, word
    union all
    select
        u.kind,
        u.part,
        'untraced' as component,
        'component' as field,
        'untraced' as field_value,
        u.month_start_date as charge_start_date,
        'component|untraced' as word,
        'untraced' as pool_id,
        cast(sum(u.pool_units) as hugeint) as pool_units,
    from untraced as u
    inner join untraced_rules as r on u.month_start_date = r.month_start_date
    group by u.kind, u.part, u.month_start_date
),

-- Rules of one charge share one method: that of the first row.
applied as (
    select p.*, r.method, r.basis, r.target_kind, r.target_value, r.share, r.reference_row
    from ruled_pools as p
    inner join rules as r
        on p.field = r.field
        and p.field_value = r.field_value
        and p.charge_start_date >= r.valid_from_date
        and p.charge_start_date < r.valid_to_date
    qualify r.method = first_value(r.method) over (
        partition by p.kind, p.part, p.component, p.word order by r.reference_row rows between unbounded preceding and unbounded following
    )
),

row_values as (
    select part, row_key, 'cost_centre' as target_kind, cost_centre as target_value from rows_keyed where not is_lost
    union all
    select part, row_key, 'team' as target_kind, team as target_value from rows_keyed where not is_lost
    union all
    select part, row_key, 'feature' as target_kind, feature as target_value from rows_keyed where not is_lost
    union all
    select part, row_key, 'customer_tier' as target_kind, customer_tier as target_value from rows_keyed where not is_lost
    union all
    select part, row_key, 'environment' as target_kind, environment as target_value from rows_keyed where not is_lost
    union all
    select part, row_key, 'model_canonical' as target_kind, model_canonical as target_value from rows_keyed where not is_lost
    union all
    select part, row_key, 'model_tier' as target_kind, model_tier as target_value from rows_keyed where not is_lost
    union all
    select part, row_key, '' as target_kind, '' as target_value from rows_keyed where not is_lost
),

-- An even split without a named target is even over all there are.
targets as (
    select kind, part, component, word, pool_id, pool_units, method, basis, target_kind, target_value, share
    from applied
    where method = 'fixed' or (method = 'even' and (target_value <> '' or target_kind = ''))
    union all
    select distinct a.kind, a.part, a.component, a.word, a.pool_id, a.pool_units, a.method, a.basis, a.target_kind, v.target_value, a.share
    from applied as a
    inner join row_values as v on a.part = v.part and a.target_kind = v.target_kind
    where a.method = 'even' and a.target_value = '' and a.target_kind <> '' and v.target_value <> 'unattributed'
),

target_weights as (
    select
        *,
        cast(round(case when method = 'even' then 1 else coalesce(share, 0) end * 1000000000, 0) as hugeint) as u,
    from targets
),

-- Fixed shares below one leave the rest on the unattributed line.
target_shares as (
    select
        *,
        greatest(
            sum(u) over (partition by kind, part, component, word), case when method = 'fixed' then cast(1000000000 as hugeint) else cast(1 as hugeint) end
        ) as all_u,
    from target_weights
),

target_floors as (
    select
        *,
        u * abs(pool_units) // all_u as floor_units,
        row_number() over (
            partition by kind, part, component, word order by u * abs(pool_units) % all_u desc, target_kind, target_value
        ) as place,
        sum(u) over (partition by kind, part, component, word) >= all_u as is_whole,
    from target_shares
),

target_pools as (
    select
        kind,
        part,
        component,
        word,
        pool_id,
        method,
        basis,
        target_kind,
        target_value,
        cast(sign(pool_units) as hugeint) * (
            floor_units
            + case
                when is_whole and place <= abs(pool_units) - sum(floor_units) over (partition by kind, part, component, word) then 1 else 0
            end
        ) as pool_units,
    from target_floors
),

-- weight: which weights share the pool out; '' leaves it on the unattributed line.
pools as (
    select
        kind, part, 'direct' as component, case when token_type = '' then 'model' else 'class' end as weight, model_canonical as model,
        token_type as weight_word, token_type as word, pool_id, direct_units as pool_units,
        'tokens of the model and class' as allocation_method,
    from matched
    union all
    select
        u.kind, u.part, 'untraced' as component, u.weight, u.model, '' as weight_word, u.word, u.pool_id, u.pool_units,
        'effective cost' as allocation_method,
    from untraced as u
    anti join untraced_rules as r on u.month_start_date = r.month_start_date
    union all
    select kind, part, 'discount' as component, 'model_list' as weight, model_canonical as model, '' as weight_word, '' as word,
        min(discount_pool_id) as pool_id, cast(sum(discount_units) as hugeint) as pool_units, 'list cost of the model' as allocation_method
    from matched group by kind, part, model_canonical
    union all
    select kind, part, 'direct' as component, 'account' as weight, '' as model, '' as weight_word, '' as word, pool_id, direct_units as pool_units,
        'list cost of the account' as allocation_method
    from whole_accounts
    union all
    select kind, part, 'discount' as component, 'account_list' as weight, '' as model, '' as weight_word, '' as word,
        discount_pool_id as pool_id, discount_units as pool_units, 'list cost of the account' as allocation_method
    from whole_accounts
    union all
    select
        kind, part, 'untraced' as component, '' as weight, '' as model, '' as weight_word, 'unmapped' as word,
        min(pool_id) as pool_id, cast(sum(billed_units) as hugeint) as pool_units, 'not allocated' as allocation_method
    from judged_charges
    where component = 'untraced' and field is null
    group by kind, part
    union all
    -- Credits, discounts and charges of a period by list cost, or what the charge is shared by, in its scope.
    select
        kind,
        part,
        component,
        case
            when charge_id is not null then 'target'
            when model_canonical is not null then 'model_list'
            else 'account_list'
        end as weight,
        case when charge_id is not null then coalesce(scope, '=') else coalesce(model_canonical, '') end as model,
        case when charge_id is not null then coalesce(charge_basis, 'list_cost_usd') else '' end as weight_word,
        concat_ws('|', charge_id, cast(charge_start_date as varchar)) as word,
        min(pool_id) as pool_id,
        cast(sum(billed_units) as hugeint) as pool_units,
        coalesce(min(charge_basis), 'list_cost_usd') || case when min(scope) is not null then ' of ' || min(scope) else '' end as allocation_method,
    from judged_charges
    where field is null
        and (
            component in ('credit', 'discount')
            or (component = 'tax_fee' and charge_id is not null and (charge_category = 'Purchase' or scope is not null or charge_basis is not null))
        )
    group by
        kind, part, component, case when charge_id is not null then 'target' when model_canonical is not null then 'model_list' else 'account_list' end,
        case when charge_id is not null then coalesce(scope, '=') else coalesce(model_canonical, '') end,
        case when charge_id is not null then coalesce(charge_basis, 'list_cost_usd') else '' end, word
    union all
    select
        kind, part, component, 'target' as weight, target_kind || '=' || target_value as model, basis as weight_word,
        concat_ws('|', word, target_kind, target_value) as word, pool_id, pool_units,
        concat_ws(' ', method, 'by rule', word, 'within it by', basis) as allocation_method,
    from target_pools
    union all
    select
        kind, part, component, '' as weight, '' as model, '' as weight_word, concat_ws('|', word, 'rest') as word, pool_id,
        pool_units - cast(sum(target_units) as hugeint) as pool_units, 'not allocated' as allocation_method
    from (
        select p.kind, p.part, p.component, p.word, p.pool_id, p.pool_units, coalesce(t.pool_units, 0) as target_units
        from (
            select distinct kind, part, component, word, pool_id, pool_units
            from applied
            where method <> 'proportional'
        ) as p
        left join target_pools as t on p.kind = t.kind and p.part = t.part and p.component = t.component and p.word = t.word
    ) as rests
    group by kind, part, component, word, pool_id, pool_units
    union all
    select
        kind, part, component, 'rule' as weight, word as model, min(basis) as weight_word, concat_ws('|', word, 'proportional') as word,
        pool_id, pool_units, concat_ws(' ', 'proportional by rule', word, 'to', min(basis)) as allocation_method
    from applied
    where method = 'proportional'
    group by kind, part, component, applied.word, pool_id, pool_units
),

row_bases as (
    select part, row_key, 'list_cost_usd' as basis, list_units as u from rows_keyed
    union all
    select part, row_key, 'effective_cost_usd' as basis, effective_units as u from rows_keyed
    union all
    select part, row_key, 'requests' as basis, requests as u from rows_keyed
    union all
    select part, row_key, 'tasks' as basis, tasks as u from rows_keyed
    union all
    select part, row_key, 'successes' as basis, successes as u from rows_keyed
    union all
    select part, row_key, 'input_total_tokens' as basis, input_total_tokens as u from rows_keyed
    union all
    select part, row_key, 'output_total_tokens' as basis, output_total_tokens as u from rows_keyed
    union all
    select part, row_key, 'total_tokens' as basis, input_total_tokens + output_total_tokens as u from rows_keyed
),

asked_targets as (
    select distinct part, model, weight_word from pools where weight = 'target'
),

asked_rules as (
    select distinct part, word, basis, target_kind, target_value from applied where method = 'proportional'
),

weights as (
    select part, 'class' as weight, model_canonical as model, token_type as word, row_key, class_units as u from classes where class_units > 0
    union all
    select part, 'model' as weight, model_canonical as model, '' as word, row_key, effective_units as u from rows_keyed where effective_units > 0
    union all
    select part, 'account' as weight, '' as model, '' as word, row_key, effective_units as u from rows_keyed where effective_units > 0
    union all
    select part, 'model_list' as weight, model_canonical as model, '' as word, row_key, list_units as u from rows_keyed where list_units > 0
    union all
    select v.part, 'target' as weight, a.model, a.weight_word as word, v.row_key, cast(b.u as hugeint) as u
    from asked_targets as a
    inner join row_values as v on a.part = v.part and a.model = v.target_kind || '=' || v.target_value
    inner join row_bases as b on v.row_key = b.row_key and a.weight_word = b.basis
    where b.u > 0
    union all
    -- Who is named by a rule and has no call bears the share as it is.
    select v.part, 'target' as weight, a.model, a.weight_word as word, v.row_key, cast(1 as hugeint) as u
    from asked_targets as a
    inner join row_values as v on a.part = v.part and a.model = v.target_kind || '=' || v.target_value
    inner join rows_keyed as r on v.row_key = r.row_key and r.is_named
    where v.target_kind <> ''
    union all
    select distinct a.part, 'rule' as weight, a.word as model, a.basis as word, v.row_key, cast(b.u as hugeint) as u
    from asked_rules as a
    inner join row_values as v on a.part = v.part and a.target_kind = v.target_kind and (a.target_value = '' or a.target_value = v.target_value)
    inner join row_bases as b on v.row_key = b.row_key and a.basis = b.basis
    where b.u > 0
    union all
    select part, 'account_list' as weight, '' as model, '' as word, row_key, list_units as u from rows_keyed where list_units > 0
),

weight_sums as (
    select distinct part, weight, model, word from weights
),

-- Untraced money of a model without traced calls goes to the account's rows; what finds no weights stays unattributed.
aimed as (
    select
        p.kind,
        p.part,
        p.component,
        case
            when s.part is not null then p.weight
            when p.component = 'untraced' and p.weight = 'model' and a.part is not null then 'account'
            else ''
        end as weight,
        case when s.part is null then '' else p.model end as model,
        case when s.part is null then '' else p.weight_word end as weight_word,
        concat_ws('|', p.kind, p.part, p.component, p.weight, p.model, p.weight_word, p.word) as pour_id,
        p.pool_id,
        p.pool_units,
        case
            when s.part is not null or (p.component = 'untraced' and p.weight = 'model' and a.part is not null) then p.allocation_method
            else 'not allocated'
        end as allocation_method,
    from pools as p
    left join weight_sums as s
        on p.part = s.part and p.weight = s.weight and p.model = s.model and p.weight_word = s.word
    left join weight_sums as a on p.part = a.part and a.weight = 'account'
    where p.pool_units <> 0
),

-- Largest remainder (METHODS 6.1): floor each share, then one unit each to the largest remainders, ties by key.
shares as (
    select
        a.kind,
        a.component,
        a.pour_id,
        a.pool_id,
        a.pool_units,
        a.allocation_method,
        w.row_key,
        w.u * abs(a.pool_units) // sum(w.u) over (partition by a.pour_id) as floor_units,
        w.u * abs(a.pool_units) % sum(w.u) over (partition by a.pour_id) as remainder,
    from aimed as a
    inner join weights as w on a.part = w.part and a.weight = w.weight and a.model = w.model and a.weight_word = w.word
    where a.weight <> ''
),

ranked as (
    select
        *,
        row_number() over (partition by pour_id order by remainder desc, row_key) as place,
        abs(pool_units) - sum(floor_units) over (partition by pour_id) as spare,
    from shares
),

poured as (
    select
        kind, component, row_key, pool_id, cast(sign(pool_units) as hugeint) * (floor_units + case when place <= spare then 1 else 0 end) as units,
        allocation_method,
    from ranked
    union all
    select a.kind, a.component, r.row_key, a.pool_id, a.pool_units as units, a.allocation_method
    from aimed as a
    inner join rows_keyed as r on a.part = r.part and r.is_lost
    where a.weight = ''
    union all
    -- Without a bill direct cost is what the calls cost: an accrual. Calls whose account cannot be told are on the bills of their
    -- provider already, if it has any.
    select 'usd' as kind, 'direct' as component, r.row_key, 'accrual' as pool_id, r.effective_units as units, 'effective cost of the calls' as allocation_method
    from rows_keyed as r
    anti join ledger_invoices as i
        on r.month_start_date = i.month_start_date
        and r.provider = i.provider
        and (r.billing_account_id = i.billing_account_id or r.billing_account_id = 'unattributed')
),

explained as (
    select kind, row_key, greatest(cast(sum(units) as hugeint), 0) as u
    from poured
    where component in ('direct', 'untraced')
    group by kind, row_key
),

-- Tax and fees follow what the rows bear before them.
fee_pools as (
    select
        kind,
        part,
        pool_id,
        cast(sum(billed_units) as hugeint) as pool_units,
    from judged_charges
    where component = 'tax_fee' and field is null and pool_id like 'fee%'
    group by kind, part, pool_id
),

fee_shares as (
    select
        p.kind,
        p.pool_id,
        p.part,
        p.pool_units,
        r.row_key,
        r.is_lost,
        coalesce(e.u, 0) as u,
        sum(coalesce(e.u, 0)) over (partition by p.kind, p.part, p.pool_id) as all_units,
    from fee_pools as p
    inner join rows_keyed as r on p.part = r.part
    left join explained as e on r.row_key = e.row_key and e.kind = p.kind
),

fee_ranked as (
    select
        *,
        case
            when all_units = 0 then case when is_lost then abs(pool_units) else 0 end
            else u * abs(pool_units) // greatest(all_units, 1)
        end as floor_units,
        row_number() over (
            partition by kind, part, pool_id order by case when all_units = 0 then 0 else u * abs(pool_units) % greatest(all_units, 1) end desc, row_key
        ) as place,
    from fee_shares
),

all_poured as (
    select kind, component, row_key, pool_id, units, allocation_method from poured
    union all
    select
        kind, 'tax_fee' as component, row_key, pool_id,
        cast(sign(pool_units) as hugeint) * (floor_units + case when place <= abs(pool_units) - sum(floor_units) over (partition by kind, part, pool_id) then 1 else 0 end)
            as units,
        'direct and allocated cost' as allocation_method,
    from fee_ranked
),

by_currency as (
    select
        row_key,
        component,
        pool_id,
        allocation_method,
        cast(coalesce(sum(case when kind = 'usd' then units end), 0) as hugeint) as usd_units,
        cast(coalesce(sum(case when kind = 'native' then units end), 0) as hugeint) as billing_units,
    from all_poured
    where units <> 0
    group by row_key, component, pool_id, allocation_method
    union all
    select row_key, 'key' as component, 'key' as pool_id, 'none' as allocation_method, 0 as usd_units, 0 as billing_units
    from rows_keyed
)

select
    r.month_start_date,
    r.week_start_date,
    r.cost_centre,
    r.team,
    r.feature,
    r.customer_tier,
    r.environment,
    r.provider,
    r.billing_account_id,
    r.model_canonical,
    r.model_tier,
    b.component,
    b.pool_id,
    b.allocation_method,
    cast(b.usd_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as allocated_usd,
    cast(b.billing_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as allocated_amount,
from rows_keyed as r
inner join by_currency as b on r.row_key = b.row_key
