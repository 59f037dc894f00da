{#
What an hour of each pool of gpu_pools.csv costs, on the days of `gpu_days` (usage_date): `pool_hours` has a row per day and pool.
#}
pool_days as (
    select
        d.usage_date,
        date_diff(
            'day', cast(date_trunc('month', d.usage_date) as date), cast(date_trunc('month', d.usage_date) + interval 1 month as date)
        ) * 24 as month_hours,
        coalesce(p.provider, 'self') as provider,
        p.model_id as model_canonical,
        p.gpu_count,
        p.gpu_hour_usd,
        p.capex_usd,
        p.amortisation_months,
        p.power_kw,
        p.pue_ratio,
        p.electricity_usd_per_kwh,
        p.ops_usd_per_month,
        p.utilisation_share,
        p.input_tokens_per_s,
        p.cache_read_tokens_per_s,
        p.output_tokens_per_s,
    from gpu_days as d
    inner join ref_gpu_pools as p
        on (p.valid_from_date is null or p.valid_from_date <= d.usage_date)
        and (p.valid_to_date is null or p.valid_to_date > d.usage_date)
    where p.model_id is not null
),

-- Rented GPUs cost what their hours cost, own ones their share of the purchase and their power.
pool_hours as (
    select
        *,
        cast(
            case
                when gpu_hour_usd is not null then cast(gpu_count as decimal(18, 6)) * cast(gpu_hour_usd as decimal(18, 9))
                when capex_usd is not null
                    then cast(
                        cast(capex_usd as double) / (cast(amortisation_months as double) * month_hours)
                        + case
                            when power_kw is null then 0
                            else cast(power_kw as double) * coalesce(cast(pue_ratio as double), 1) * cast(electricity_usd_per_kwh as double)
                        end as decimal(38, 15)
                    )
            end + cast(coalesce(cast(ops_usd_per_month as double), 0) / month_hours as decimal(38, 15)) as decimal(38, 15)
        ) as hour_cost_usd,
    from pool_days
),
