{#
Small calls that come within moments of each other, sent as one: all but the first of a group are spared the constant part of the prompt. Calls
whose constant part has no known length stay as they are.
#}
{% from "macros/replay.sql" import chosen, step, total with context %}
{% set input = total("input") %}
with meant as not materialized (
    select
        b.*,
        {{ chosen() }} and b.static_prompt_tokens > 0 and {{ input }} <= s.max_call_tokens_mid as is_meant,
        case when s.wait_seconds_mid > 0 then epoch_us(b.started_at) // cast(cast(s.wait_seconds_mid as double) * 1000000 as bigint) end as moment,
        cast(s.group_calls_mid as bigint) as group_calls,
    from whatif_before as b
    cross join whatif_settings as s
),

placed as (
    select
        b.*,
        row_number() over (
            partition by hash(
                b.moment, b.feature, b.workflow_step, b.prompt_name, b.prompt_version, b.provider, b.model_canonical, b.service_tier,
                b.is_batch, b.customer_id
            )
            order by b.started_at, b.request_key
        ) as place,
    from meant as b
    where b.is_meant
    union all
    select b.*, 1 as place
    from meant as b
    where not coalesce(b.is_meant, false)
),

spared as (
    select
        b.*,
        case
            when coalesce(b.is_meant, false) and (b.place - 1) % b.group_calls > 0 then least(b.static_prompt_tokens, b.input_uncached_tokens + b.cache_read_tokens)
            else 0
        end as spared_tokens,
    from placed as b
)

{% set read = "least(b.spared_tokens, b.cache_read_tokens)" %}
select
{{ step({
    "is_covered": "b.is_covered or coalesce(b.is_meant, false)",
    "is_changed": "b.is_changed or b.spared_tokens > 0",
    "cache_read_tokens": "b.cache_read_tokens - " ~ read,
    "input_uncached_tokens": "b.input_uncached_tokens - (b.spared_tokens - " ~ read ~ ")",
}) }}
from spared as b
