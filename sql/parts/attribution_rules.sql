{#
Attribution rules, for ledger_requests: `ruled` has for each caller of `booked` the owners that the first rule to match it names. Calls
that no rule can tell apart share a caller, so that a rule is matched once for all of them.
#}
callers as (
    select
        caller,
        any_value(usage_date) as usage_date,
        any_value(source) as source,
{% for field in rule_fields %}
    {% if field in traced %}
        any_value(coalesce(case when not is_merged then {{ field }} end, traced_{{ field }})) as {{ field }},
    {% else %}
        any_value({{ field }}) as {{ field }},
    {% endif %}
{% endfor %}
    from booked
    where caller is not null
    group by caller
),

asked as (
    select
        c.caller,
        c.usage_date,
        r.priority,
        r.reference_row,
        r.match_kind,
        r.match_value,
        r.dimension,
        r.dimension_value,
        case r.match_field
{% for field in rule_fields %}
            when '{{ field }}' then c.{{ field }}
{% endfor %}
        end as found,
    from callers as c
    inner join ref_attribution_rules as r
        on (r.source is null or r.source = c.source)
        and (r.valid_from_date is null or c.usage_date >= r.valid_from_date)
        and (r.valid_to_date is null or c.usage_date < r.valid_to_date)
),

candidates as (
    select
        caller,
        dimension,
        dimension_value,
        row_number() over (partition by caller, dimension order by priority, reference_row) as place,
    from asked
    where case match_kind
        when 'exact' then found = match_value
        when 'prefix' then starts_with(found, match_value)
        when 'regex' then regexp_matches(found, match_value)
        when 'glob' then found like replace(replace(match_value, '*', '%'), '?', '_')
    end
),

ruled as (
    select
        caller,
{% for dimension in ("billing_account_id", "cost_centre", "customer_id", "customer_tier", "environment", "feature", "team") %}
        max(case when dimension = '{{ dimension }}' then dimension_value end) as {{ dimension }},
{% endfor %}
    from candidates
    where place = 1
    group by caller
),
