/*
about: >-
  Who bears what: each invoice split over weeks and owners, to the cent. Explained spend is direct, the rest of the invoice is
  spread in proportion, what nothing explains stays on the unattributed line. One row per week, billing month and key.
grain: [week_start_date, billing_month, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id, model_canonical, model_tier]
partition: month
partition_column: month_start_date
columns:
  week_start_date: DATE; Monday of the ISO week, UTC
  billing_month: VARCHAR; month of the invoice as YYYY-MM; a week over two months has rows for each
  month_start_date: DATE; first day of the billing month, UTC
  cost_centre: VARCHAR; cost centre that bears the cost, 'unattributed' where none is known
  team: VARCHAR; owning team, 'unattributed' where none is known
  feature: VARCHAR; product feature, 'unattributed' where none is known
  customer_tier: VARCHAR; pricing tier of the customer (not the model tier), 'unattributed' where none is known
  environment: VARCHAR; deployment environment, 'unattributed' where none is known
  provider: VARCHAR; the seller
  billing_account_id: VARCHAR; account that is billed, 'unattributed' where it cannot be told
  model_canonical: VARCHAR; model as the price book names it, 'unknown_model' where no alias maps it, 'unattributed' on the unattributed line
  model_tier: VARCHAR; capability tier of the model (not the customer's tier), 'unknown_tier' where none is known
  state: VARCHAR; provisional until the bill of the account and month is complete, then final
  requests: BIGINT; calls
  tasks: BIGINT; tasks whose first call is among them
  successes: BIGINT; of these tasks, those with the outcome success
  unpriced_requests: BIGINT; calls without a cost
  unpriced_tokens: BIGINT; tokens of these calls
  input_total_tokens: BIGINT; all input, cached included
  output_total_tokens: BIGINT; all output, reasoning included
  cache_read_total_tokens: BIGINT; input read from the prompt cache
  cache_write_total_tokens: BIGINT; input written to the prompt cache
  output_reasoning_tokens: BIGINT; reasoning output, where split
  list_cost_usd: DECIMAL(38,10); cost at list prices of the priced calls; null where there are calls and none is priced
  effective_cost_usd: DECIMAL(38,10); cost of the priced calls under contracts; null where there are calls and none is priced
  direct_cost_usd: DECIMAL(38,10); invoiced list amount that traced calls explain
  allocated_untraced_usd: DECIMAL(38,10); share of the invoiced list amount that no call explains
  discount_usd: DECIMAL(38,10); share of discounts, negative
  credit_usd: DECIMAL(38,10); share of credits, negative
  tax_fee_usd: DECIMAL(38,10); share of tax, fees, commitments and other charges without tokens
  rounding_usd: DECIMAL(38,10); what rounding to the cent added or took
  invoiced_cost_usd: DECIMAL(38,2); what the row bears of the invoice; the rows sum to it; null where a rate to USD is missing
  billing_currency: VARCHAR; currency of the invoice; null without a bill
  invoiced_cost_billing_currency: DECIMAL(38,2); the same split of the invoice in its currency; null without a bill
  allocation_basis: VARCHAR; invoice, or effective_cost where there is no bill yet (an accrual)
checks:
  - not_null: [state, requests, direct_cost_usd, allocated_untraced_usd, discount_usd, credit_usd, tax_fee_usd, allocation_basis]
  - one_of: [state, provisional, final]
  - rule: invoiced_cost_usd = direct_cost_usd + allocated_untraced_usd + discount_usd + credit_usd + tax_fee_usd + rounding_usd
    null_passes: true
    text: invoiced = direct + allocated + discount + credit + tax + rounding
  - rule: abs(rounding_usd) < 0.02
    null_passes: true
    severity: warning
    text: rounding moves a row by less than two cents
  - no_rows: >-
      select strftime(i.month_start_date, '%Y-%m-%d') as partition, i.provider, i.billing_account_id
      from ledger_invoices as i
      left join (
          select month_start_date, provider, billing_account_id, sum(invoiced_cost_usd) as usd,
              sum(invoiced_cost_billing_currency) as billed
          from mart_showback_weekly
          group by month_start_date, provider, billing_account_id
      ) as s
          on i.month_start_date = s.month_start_date
          and i.provider = s.provider
          and i.billing_account_id = s.billing_account_id
      where i.month_start_date in (select month_start_date from mart_showback_weekly)
          and (s.billed is distinct from i.invoiced_cost_billing_currency or s.usd is distinct from i.invoiced_cost_usd)
    text: the rows of an account and month sum to its invoice, in its currency and in USD
question: What does each team bear month by month, and how much of it is direct?
answer: >-
  select billing_month, team, sum(invoiced_cost_usd) as invoiced_cost_usd, sum(direct_cost_usd) as direct_cost_usd
  from mart_showback_weekly group by billing_month, team order by billing_month, invoiced_cost_usd desc
notes:
  - An account with lines in two currencies in one month is split in the currency of its larger invoice only; the other is not allocated.
*/
with invoices as (
    select *
    from ledger_invoices
    qualify row_number() over (
        partition by month_start_date, provider, billing_account_id order by abs(billed_amount) desc, billing_currency
    ) = 1
),

calls as (
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
    from ledger_bill_days as b
    inner join invoices as i
        on b.month_start_date = i.month_start_date
        and b.provider = i.provider
        and b.billing_account_id = i.billing_account_id
        and b.billing_currency = i.billing_currency
),

-- Every amount twice: in USD and in the billing currency. The same weights split both.
bill_units as (
    select
        'usd' as kind, month_start_date, week_start_date, provider, billing_account_id, cost_key, charge_id, scope, charge_start_date,
        charge_category, model_canonical, token_type, metered_tokens,
        cast(billed_usd * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_usd * 10000000000::hugeint as hugeint) as list_units,
    from bill_days
    where billed_usd is not null
    union all
    select
        'native' as kind, month_start_date, week_start_date, provider, billing_account_id, cost_key, charge_id, scope, charge_start_date,
        charge_category, model_canonical, token_type, metered_tokens,
        cast(billed_amount * 10000000000::hugeint as hugeint) as billed_units,
        cast(list_amount * 10000000000::hugeint as hugeint) as list_units,
    from bill_days
),

parts as (
    select distinct month_start_date, week_start_date, provider, billing_account_id from traced
    union
    select distinct month_start_date, week_start_date, provider, billing_account_id from bill_days
),

keys as (
    select
        month_start_date, week_start_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id,
        model_canonical, model_tier, requests, tasks, successes, unpriced_requests, unpriced_tokens, input_total_tokens,
        output_total_tokens, cache_read_total_tokens, cache_write_total_tokens, output_reasoning_tokens, list_units, effective_units,
        input_units, cache_read_units, cache_write_units, output_units, false as is_lost,
    from traced
    union all
    select
        month_start_date, week_start_date, 'unattributed' as cost_centre, 'unattributed' as team, 'unattributed' as feature,
        'unattributed' as customer_tier, 'unattributed' as environment, provider, billing_account_id, 'unattributed' as model_canonical,
        'unattributed' as model_tier, 0 as requests, 0 as tasks, 0 as successes, 0 as unpriced_requests, 0 as unpriced_tokens,
        0 as input_total_tokens, 0 as output_total_tokens, 0 as cache_read_total_tokens, 0 as cache_write_total_tokens,
        0 as output_reasoning_tokens, 0 as list_units, 0 as effective_units, 0 as input_units, 0 as cache_read_units,
        0 as cache_write_units, 0 as output_units, true as is_lost,
    from parts
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

-- Billed tokens: the usage report where the account has one in the month, else the bill's own meters.
usage_cells as (
    select
        cast(date_trunc('month', u.bucket_start_at) as date) as month_start_date,
        cast(date_trunc('week', u.bucket_start_at) as date) as week_start_date,
        u.provider,
        u.billing_account_id,
        u.model_canonical,
        t.token_type,
        cast(sum(case t.token_type
            when 'input' then coalesce(u.input_uncached_tokens, 0) + coalesce(u.input_audio_tokens, 0)
                + coalesce(u.input_image_tokens, 0) + coalesce(u.input_other_tokens, 0)
            when 'cache_read' then coalesce(u.cache_read_tokens, 0) + coalesce(u.cache_read_audio_tokens, 0)
                + coalesce(u.cache_read_image_tokens, 0)
            when 'cache_write' then coalesce(u.cache_write_tokens, 0) + coalesce(u.cache_write_5m_tokens, 0)
                + coalesce(u.cache_write_30m_tokens, 0) + coalesce(u.cache_write_1h_tokens, 0) + coalesce(u.cache_write_12h_tokens, 0)
            else coalesce(u.output_total_tokens, 0)
        end) as hugeint) as billed_tokens,
    from ledger_usage as u
    cross join (
        select 'input' as token_type union all select 'cache_read' union all select 'cache_write' union all select 'output'
    ) as t
    group by month_start_date, week_start_date, u.provider, u.billing_account_id, u.model_canonical, t.token_type
),

covered as (
    select distinct month_start_date, provider, billing_account_id from usage_cells
),

billed_cells as (
    select month_start_date, week_start_date, provider, billing_account_id, model_canonical, token_type, billed_tokens from usage_cells
    union all
    select
        b.month_start_date, b.week_start_date, b.provider, b.billing_account_id, b.model_canonical, b.token_type,
        cast(coalesce(b.metered_tokens, 0) as hugeint) as billed_tokens,
    from bill_units as b
    anti join covered as c
        on b.month_start_date = c.month_start_date and b.provider = c.provider and b.billing_account_id = c.billing_account_id
    where b.kind = 'native' and b.charge_category = 'Usage'
),

billed_tokens as (
    select
        concat_ws(chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
        model_canonical,
        token_type,
        cast(sum(billed_tokens) as hugeint) as billed_tokens,
    from billed_cells
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
        from billed_tokens where model_canonical is not null group by account_month, model_canonical
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

lines as (
    select
        *,
        concat_ws(chr(31), cast(month_start_date as varchar), cast(week_start_date as varchar), provider, billing_account_id) as part,
        concat_ws(chr(31), cast(month_start_date as varchar), provider, billing_account_id) as account_month,
    from bill_units
),

-- An account none of whose lines names a model is matched as a whole, by traced list cost in place of tokens.
unnamed as (
    select account_month
    from lines
    where charge_category = 'Usage'
    group by account_month
    having count(case when model_canonical is not null and token_type is not null then 1 end) = 0
),

cells as (
    select
        l.kind,
        l.part,
        l.account_month,
        l.month_start_date,
        l.model_canonical,
        l.token_type,
        cast(sum(l.list_units) as hugeint) as list_units,
        cast(sum(l.billed_units - l.list_units) as hugeint) as discount_units,
    from lines as l
    where l.charge_category = 'Usage' and l.model_canonical is not null and l.token_type is not null
    group by l.kind, l.part, l.account_month, l.month_start_date, l.model_canonical, l.token_type
),

traced_cells as (
    select part, model_canonical, token_type, cast(sum(traced_tokens) as hugeint) as traced_tokens
    from classes
    group by part, model_canonical, token_type
),

matched as (
    select
        c.*,
        case
            when coalesce(b.billed_tokens, 0) > 0
                then cast(
                    sign(c.list_units) * (abs(c.list_units) * least(coalesce(t.traced_tokens, 0), b.billed_tokens) // b.billed_tokens)
                    as hugeint
                )
            else cast(0 as hugeint)
        end as direct_units,
        m.billed_tokens > 0 and m.traced_tokens < m.billed_tokens * x.spread_min_coverage as is_kept_back,
    from cells as c
    inner join limits as x on c.month_start_date = x.month_start_date
    left join billed_tokens as b on c.part = b.part and c.model_canonical = b.model_canonical and c.token_type = b.token_type
    left join traced_cells as t on c.part = t.part and c.model_canonical = t.model_canonical and c.token_type = t.token_type
    left join model_coverage as m on c.account_month = m.account_month and c.model_canonical = m.model_canonical
),

whole_accounts as (
    select
        l.kind,
        l.part,
        cast(sum(l.list_units) as hugeint) as list_units,
        cast(sum(l.billed_units - l.list_units) as hugeint) as discount_units,
        least(cast(sum(l.list_units) as hugeint), coalesce(max(t.list_units), 0)) as direct_units,
    from lines as l
    inner join unnamed as u on l.account_month = u.account_month
    left join (select part, cast(sum(list_units) as hugeint) as list_units from rows_keyed group by part) as t on l.part = t.part
    where l.charge_category = 'Usage'
    group by l.kind, l.part
),

-- weight: which weights share the pool out; '' leaves it on the unattributed line.
pools as (
    select kind, part, 'direct' as component, 'class' as weight, model_canonical as model, token_type as word, direct_units as pool_units
    from matched
    union all
    select
        kind, part, 'untraced' as component, case when is_kept_back then '' else 'model' end as weight, model_canonical as model,
        token_type as word, list_units - direct_units as pool_units
    from matched
    union all
    select kind, part, 'discount' as component, 'model_list' as weight, model_canonical as model, '' as word,
        cast(sum(discount_units) as hugeint) as pool_units
    from matched group by kind, part, model_canonical
    union all
    select kind, part, 'direct' as component, 'account' as weight, '' as model, '' as word, direct_units as pool_units from whole_accounts
    union all
    select kind, part, 'untraced' as component, 'account' as weight, '' as model, '' as word, list_units - direct_units as pool_units
    from whole_accounts
    union all
    select kind, part, 'discount' as component, 'account_list' as weight, '' as model, '' as word, discount_units as pool_units
    from whole_accounts
    union all
    select
        l.kind, l.part, 'untraced' as component, '' as weight, '' as model, 'unmapped' as word,
        cast(sum(l.billed_units) as hugeint) as pool_units
    from lines as l
    anti join unnamed as u on l.account_month = u.account_month
    where l.charge_category = 'Usage' and (l.model_canonical is null or l.token_type is null)
    group by l.kind, l.part
    union all
    select
        kind, part, case charge_category when 'Credit' then 'credit' else 'discount' end as component,
        case
            when scope like 'feature=%' then 'feature_list'
            when model_canonical is not null then 'model_list'
            else 'account_list'
        end as weight,
        coalesce(case when scope like 'feature=%' then substr(scope, 9) end, model_canonical, '') as model,
        concat_ws('|', charge_id, cast(charge_start_date as varchar)) as word,
        cast(sum(billed_units) as hugeint) as pool_units
    from lines
    where charge_category in ('Credit', 'Adjustment')
    group by kind, part, component, weight, model, word
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
    select part, 'feature_list' as weight, feature as model, '' as word, row_key, list_units as u from rows_keyed where list_units > 0
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
        case when p.weight = 'class' then p.word else '' end as weight_word,
        concat_ws('|', p.kind, p.part, p.component, p.weight, p.model, p.word) as pool_id,
        p.pool_units,
    from pools as p
    left join weight_sums as s
        on p.part = s.part and p.weight = s.weight and p.model = s.model and s.word = case when p.weight = 'class' then p.word else '' end
    left join weight_sums as a on p.part = a.part and a.weight = 'account'
    where p.pool_units <> 0
),

-- Largest remainder (METHODS 6.1): floor each share, then one unit each to the largest remainders, ties by key.
shares as (
    select
        a.kind,
        a.component,
        a.pool_id,
        a.pool_units,
        w.row_key,
        w.u * abs(a.pool_units) // sum(w.u) over (partition by a.pool_id) as floor_units,
        w.u * abs(a.pool_units) % sum(w.u) over (partition by a.pool_id) as remainder,
    from aimed as a
    inner join weights as w on a.part = w.part and a.weight = w.weight and a.model = w.model and a.weight_word = w.word
    where a.weight <> ''
),

ranked as (
    select
        *,
        row_number() over (partition by pool_id order by remainder desc, row_key) as place,
        abs(pool_units) - sum(floor_units) over (partition by pool_id) as spare,
    from shares
),

poured as (
    select kind, component, row_key, cast(sign(pool_units) as hugeint) * (floor_units + case when place <= spare then 1 else 0 end) as units
    from ranked
    union all
    select a.kind, a.component, r.row_key, a.pool_units as units
    from aimed as a
    inner join rows_keyed as r on a.part = r.part and r.is_lost
    where a.weight = ''
    union all
    -- Without a bill direct cost is what the calls cost: an accrual.
    select 'usd' as kind, 'direct' as component, r.row_key, r.effective_units as units
    from rows_keyed as r
    anti join invoices as i
        on r.month_start_date = i.month_start_date and r.provider = i.provider and r.billing_account_id = i.billing_account_id
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
        concat_ws('|', kind, part, charge_category, charge_id, cast(charge_start_date as varchar)) as pool_id,
        cast(sum(billed_units) as hugeint) as pool_units,
    from lines
    where charge_category in ('Tax', 'Purchase')
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
        sum(coalesce(e.u, 0)) over (partition by p.pool_id) as all_units,
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
            partition by pool_id order by case when all_units = 0 then 0 else u * abs(pool_units) % greatest(all_units, 1) end desc, row_key
        ) as place,
    from fee_shares
),

all_poured as (
    select kind, component, row_key, units from poured
    union all
    select
        kind, 'tax_fee' as component, row_key,
        cast(sign(pool_units) as hugeint) * (floor_units + case when place <= abs(pool_units) - sum(floor_units) over (partition by pool_id) then 1 else 0 end)
            as units
    from fee_ranked
),

components as (
    select
        row_key,
        cast(coalesce(sum(case when kind = 'usd' and component = 'direct' then units end), 0) as hugeint) as direct_units,
        cast(coalesce(sum(case when kind = 'usd' and component = 'untraced' then units end), 0) as hugeint) as untraced_units,
        cast(coalesce(sum(case when kind = 'usd' and component = 'discount' then units end), 0) as hugeint) as discount_units,
        cast(coalesce(sum(case when kind = 'usd' and component = 'credit' then units end), 0) as hugeint) as credit_units,
        cast(coalesce(sum(case when kind = 'usd' and component = 'tax_fee' then units end), 0) as hugeint) as tax_fee_units,
    from all_poured
    group by row_key
),

exact_rows as (
    select k.kind, r.part, r.account_month, r.row_key, cast(coalesce(sum(p.units), 0) as hugeint) as exact_units
    from rows_keyed as r
    cross join (select 'usd' as kind union all select 'native') as k
    left join all_poured as p on r.row_key = p.row_key and p.kind = k.kind
    group by k.kind, r.part, r.account_month, r.row_key
),

-- The invoice's cents, first over the parts of the month by what was billed in them.
part_sums as (
    select e.kind, e.part, e.account_month, cast(sum(e.exact_units) as hugeint) as part_units
    from exact_rows as e
    group by e.kind, e.part, e.account_month
),

account_sums as (
    select
        kind,
        part,
        account_month,
        part_units,
        sum(part_units) over (partition by kind, account_month) as account_units,
        min(part_units) over (partition by kind, account_month) as least_units,
    from part_sums
),

-- Half away from zero, in cents. A part that was credited more than it used cannot be a weight: then parts are rounded down.
account_cents as (
    select
        *,
        cast(sign(account_units) * ((abs(account_units) + 50000000) // 100000000) as hugeint) as cents,
        least_units >= 0 and account_units > 0 as is_splittable,
    from account_sums
),

part_floors as (
    select
        *,
        case
            when is_splittable then part_units * abs(cents) // greatest(account_units, 1)
            when part_units >= 0 then part_units // 100000000
            else -((-part_units + 99999999) // 100000000)
        end as floor_cents,
        case
            when is_splittable then part_units * abs(cents) % greatest(account_units, 1)
            when part_units >= 0 then part_units % 100000000
            else (100000000 - (-part_units) % 100000000) % 100000000
        end as remainder,
    from account_cents
),

part_places as (
    select
        *,
        row_number() over (partition by kind, account_month order by remainder desc, part) as place,
        cents - sum(floor_cents) over (partition by kind, account_month) as spare,
    from part_floors
),

part_cents as (
    select kind, part, floor_cents + case when place <= spare then 1 else 0 end as cents
    from part_places
),

-- Then over the rows of a part (METHODS 6.3): floor, also below zero, then a cent each to the largest fractions.
row_floors as (
    select
        e.kind,
        e.part,
        e.row_key,
        c.cents,
        case
            when e.exact_units >= 0 then e.exact_units // 100000000
            else -((-e.exact_units + 99999999) // 100000000)
        end as floor_cents,
        case
            when e.exact_units >= 0 then e.exact_units % 100000000
            else (100000000 - (-e.exact_units) % 100000000) % 100000000
        end as fraction,
    from exact_rows as e
    inner join part_cents as c on e.kind = c.kind and e.part = c.part
),

row_places as (
    select
        *,
        row_number() over (partition by kind, part order by fraction desc, row_key) as place,
        row_number() over (partition by kind, part order by fraction, row_key) as last_place,
        cents - sum(floor_cents) over (partition by kind, part) as spare,
        count(*) over (partition by kind, part) as rows_of_part,
    from row_floors
),

-- Cents beyond one a row go round again.
row_cents as (
    select
        kind,
        row_key,
        floor_cents
            + case
                when spare >= 0 then spare // rows_of_part + case when place <= spare % rows_of_part then 1 else 0 end
                else -((-spare) // rows_of_part) - case when last_place <= (-spare) % rows_of_part then 1 else 0 end
            end as cents,
    from row_places
),

by_kind as (
    select
        row_key,
        cast(max(case when kind = 'usd' then cents end) as hugeint) as usd_cents,
        cast(max(case when kind = 'native' then cents end) as hugeint) as native_cents,
    from row_cents
    group by row_key
)

select
    r.week_start_date,
    strftime(r.month_start_date, '%Y-%m') as billing_month,
    r.month_start_date,
    r.cost_centre,
    r.team,
    r.feature,
    r.customer_tier,
    r.environment,
    r.provider,
    r.billing_account_id,
    r.model_canonical,
    r.model_tier,
    coalesce(i.state, 'provisional') as state,
    cast(r.requests as bigint) as requests,
    cast(r.tasks as bigint) as tasks,
    cast(r.successes as bigint) as successes,
    cast(r.unpriced_requests as bigint) as unpriced_requests,
    cast(r.unpriced_tokens as bigint) as unpriced_tokens,
    cast(r.input_total_tokens as bigint) as input_total_tokens,
    cast(r.output_total_tokens as bigint) as output_total_tokens,
    cast(r.cache_read_total_tokens as bigint) as cache_read_total_tokens,
    cast(r.cache_write_total_tokens as bigint) as cache_write_total_tokens,
    cast(r.output_reasoning_tokens as bigint) as output_reasoning_tokens,
    case
        when r.requests = 0 or r.requests > r.unpriced_requests
            then cast(r.list_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10))
    end as list_cost_usd,
    case
        when r.requests = 0 or r.requests > r.unpriced_requests
            then cast(r.effective_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10))
    end as effective_cost_usd,
    cast(coalesce(c.direct_units, 0) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as direct_cost_usd,
    cast(coalesce(c.untraced_units, 0) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as allocated_untraced_usd,
    cast(coalesce(c.discount_units, 0) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as discount_usd,
    cast(coalesce(c.credit_units, 0) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as credit_usd,
    cast(coalesce(c.tax_fee_units, 0) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as tax_fee_usd,
    case
        when i.month_start_date is null or i.invoiced_cost_usd is not null
            then cast(
                (
                    k.usd_cents * 100000000 - coalesce(c.direct_units, 0) - coalesce(c.untraced_units, 0) - coalesce(c.discount_units, 0)
                    - coalesce(c.credit_units, 0) - coalesce(c.tax_fee_units, 0)
                ) * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)
            )
    end as rounding_usd,
    case
        when i.month_start_date is null or i.invoiced_cost_usd is not null
            then cast(k.usd_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 2))
    end as invoiced_cost_usd,
    i.billing_currency,
    case
        when i.month_start_date is not null then cast(k.native_cents * cast(0.01 as decimal(3, 2)) as decimal(38, 2))
    end as invoiced_cost_billing_currency,
    case when i.month_start_date is null then 'effective_cost' else 'invoice' end as allocation_basis,
from rows_keyed as r
inner join by_kind as k on r.row_key = k.row_key
left join components as c on r.row_key = c.row_key
left join invoices as i
    on r.month_start_date = i.month_start_date and r.provider = i.provider and r.billing_account_id = i.billing_account_id
