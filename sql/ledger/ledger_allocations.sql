/*
about: >-
  How each invoice falls on its rows: what every pool (ledger_bill_pools) gives to each key of the showback, exact to ten decimals, before
  anything is rounded to the cent. What no bill covers yet falls as the calls cost. One row per week, billing month, key, component,
  pool and method; a row of the component key, without amounts, for each key there is.
grain: [month_start_date, week_start_date, cost_centre, team, feature, customer_tier, environment, provider, billing_account_id, model_canonical, model_tier, component, pool_id, allocation_method]
partition: month
partition_column: month_start_date
leads: [ledger_bill_days, ledger_showback_days]
clock_stops: 1 day
columns:
  month_start_date: DATE; first day of the billing month, UTC
  week_start_date: DATE; Monday of the ISO week, UTC
{% include "parts/columns_showback_key.sql" %}
  component: VARCHAR; key, direct, untraced, discount, credit or tax_fee: where the money stands in the showback
  pool_id: VARCHAR; pool of the list or discount amount in ledger_bill_pools, accrual without a bill, gpu_idle| and the model for what own GPUs cost beyond their calls, key on the row that only names the key
  allocation_method: VARCHAR; how the pool was shared out
  allocated_usd: DECIMAL(38,10); what the key bears of the pool; 0 where a rate to USD is missing
  allocated_amount: DECIMAL(38,10); the same split in the currency of the bill; 0 without a bill
notes:
  - What own GPUs cost (gpu_pools.csv, every hour of every day up to the books' own now) beyond what their calls bear is untraced cost
    where no bill of their seller is in. An allocation rule for their model, the source gpu_pools or their seller says who bears it; else it
    stays unattributed.
checks:
  - one_of: [component, key, direct, untraced, discount, credit, tax_fee]
*/
{% from "macros/tokens.sql" import tokens_of_type with context %}
{# The columns that say whose money it is, and what each row of them has. #}
{% set owners = ["cost_centre", "team", "feature", "customer_tier", "environment"] %}
{% set key = owners + ["provider", "billing_account_id", "model_canonical", "model_tier"] %}
{% set targets = owners + ["model_canonical", "model_tier"] %}
{% set counts = [
    "requests", "tasks", "successes", "unpriced_requests", "unpriced_tokens", "input_total_tokens", "output_total_tokens",
    "cache_read_total_tokens", "cache_write_total_tokens", "output_reasoning_tokens",
] %}
{% set costs = ["list", "effective"] + token_types | list %}
with
{% include "parts/allocation_keys.sql" %}

{% include "parts/explained_bills.sql" %}

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
        -- GPUs of several models under one rule are a pool each.
        concat_ws(
            '|', field, field_value, charge_id, cast(charge_start_date as varchar), case when pool_id like 'gpu_idle|%' then model_canonical end
        ) as word,
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
{% for name in targets %}
    select part, row_key, '{{ name }}' as target_kind, {{ name }} as target_value from rows_keyed where not is_lost
    union all
{% endfor %}
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
        kind, part, 'untraced' as component, '' as weight, '' as model, '' as weight_word, pool_id as word, pool_id,
        cast(sum(billed_units) as hugeint) as pool_units, 'not allocated' as allocation_method
    from judged_charges
    where component = 'untraced' and field is null
    group by kind, part, pool_id
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
{% for name in ("requests", "tasks", "successes", "input_total_tokens", "output_total_tokens") %}
    select part, row_key, '{{ name }}' as basis, {{ name }} as u from rows_keyed
    union all
{% endfor %}
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
{% for name in key %}
    r.{{ name }},
{% endfor %}
    b.component,
    b.pool_id,
    b.allocation_method,
    cast(b.usd_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as allocated_usd,
    cast(b.billing_units * cast(0.0000000001 as decimal(11, 10)) as decimal(38, 10)) as allocated_amount,
from rows_keyed as r
inner join by_currency as b on r.row_key = b.row_key
