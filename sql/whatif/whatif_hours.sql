{# Tokens of the chosen calls by hour, and what they cost: what a pool of GPUs would have had to do. Hours without a call have no row. #}
{% from "macros/replay.sql" import chosen, total with context %}
select
    date_trunc('hour', b.started_at) as hour_at,
    count(*) as requests,
    count(case when b.effective_cost_usd is null then 1 end) as unpriced_requests,
    cast(sum({{ total("input") }} - b.cache_read_tokens) as bigint) as fresh_input_tokens,
    cast(sum(b.cache_read_tokens) as bigint) as cache_read_tokens,
    cast(sum({{ total("output") }}) as bigint) as output_tokens,
    cast(sum(b.effective_cost_usd) as decimal(38, 15)) as cost_usd,
from whatif_before as b
cross join whatif_settings as s
where {{ chosen() }}
group by date_trunc('hour', b.started_at)
