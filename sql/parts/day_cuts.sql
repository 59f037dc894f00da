{#
Tokens billed on the day before or after their call, for mart_reconciliation_daily: `cut` has for each cell of `rated` and day the
untraced tokens that are left when the day has given to the next and taken from the last what they lack.
#}
-- Days whose difference the next day may take back.
differences as (
    select
        {{ cell | join(", ") }},
        usage_date,
        billed_tokens - traced_tokens as difference,
        lag(usage_date) over (
            partition by {{ cell | join(", ") }}
            order by usage_date
        ) as last_date,
        lead(usage_date) over (
            partition by {{ cell | join(", ") }}
            order by usage_date
        ) as next_date,
        coalesce(lead(billed_tokens - traced_tokens) over (
            partition by {{ cell | join(", ") }}
            order by usage_date
        ), 0) as next_difference,
    from rated
    where model_canonical is not null and token_type is not null and billing_account_id is not null
),

numbered as (
    select
        *,
        row_number() over (
            order by {{ cell | join(", ") }}, usage_date
        ) as cell_number,
        case when next_date = usage_date + 1 then next_difference else cast(0 as hugeint) end as day_after,
        case when last_date = usage_date - 1 then 1 else 0 end as follows,
    from differences
),

-- Oldest day first: what is left of a day after the day before it took its share.
chains as (
    select cell_number, difference, day_after, difference as remainder
    from numbered
    where follows = 0
    union all
    select
        n.cell_number,
        n.difference,
        n.day_after,
        case
            when sign(c.remainder) * sign(n.difference) < 0
                then n.difference + cast(sign(c.remainder) as hugeint) * least(abs(c.remainder), abs(n.difference))
            else n.difference
        end as remainder,
    from chains as c
    inner join numbered as n on n.cell_number = c.cell_number + 1 and n.follows = 1
),

cut as (
    select
        n.{{ cell | join(", n.") }},
        n.usage_date,
        case
            when sign(c.remainder) * sign(c.day_after) < 0
                then c.remainder - cast(sign(c.remainder) as hugeint) * least(abs(c.remainder), abs(c.day_after))
            else c.remainder
        end as untraced_tokens,
    from chains as c
    inner join numbered as n on c.cell_number = n.cell_number
),
