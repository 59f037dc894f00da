{% from "macros/days.sql" import utc_date %}
{# By what a call finds its rate in ledger_rates, besides its own columns. The call is `q`. #}
{# What a contract may be for, and what of a call says that it is meant. #}
{% set scopes = [
    ("billing_account", "q.billing_account_id"), ("project", "q.attributes['project_id']"), ("feature", "q.feature"), ("customer", "q.customer_id"),
] %}

{# Sums of many calls cannot be held against a threshold of one call: the lower range, marked assumed. #}
{% set context_tokens %}
case
            when list_contains(q.usage_flags, 'context_tier_unknown') then 0
            else coalesce(q.context_test_tokens, q.input_total_tokens, 0)
        end
{%- endset %}

{# Columns of a call that decide its rates, with what stands where a call names none. #}
{% set call_keys = {"model_canonical": "''", "service_tier": "''", "is_batch": "false", "speed": "''", "region": "''", "region_class": "''"} %}

{% set keys_of_calls %}
{% for name, blank in call_keys.items() %}
        coalesce(q.{{ name }}, {{ blank }}) as {{ name }},{{ "\n" if not loop.last }}
{%- endfor %}
{%- endset %}

{# The scopes that contracts name, by day: a table for each kind. #}
{% set scopes_of_days %}
{% for name, _ in scopes %}
{{ name }}_scopes as (
    select distinct usage_date, {{ name }}_scope as scope
    from ledger_rates
    where {{ name }}_scope <> ''
),{{ "\n" if not loop.last }}
{% endfor %}
{%- endset %}

{% set scopes_of_calls %}
{% for name, said in scopes %}
    left join {{ name }}_scopes as {{ name }}
        on {{ name }}.usage_date = {{ utc_date("q.started_at") }} and {{ name }}.scope = {{ said }}
{% endfor %}
{%- endset %}
