{# The jackknife of users: `theta` is what is estimated without one of them, a decimal, a row for each. #}

{# Of all rows of a group: the widest deviation from their mean, that of the smallest theta or of the largest. #}
{% macro widest_deviation(theta) %}greatest(
            abs(cast(min({{ theta }}) as double) - cast(sum({{ theta }}) as double) / count({{ theta }})),
            abs(cast(max({{ theta }}) as double) - cast(sum({{ theta }}) as double) / count({{ theta }}))
        ){% endmacro %}

{# Of all rows of a group, their mean and widest deviation beside each. Deviations are parts of the widest: so their squares sum exactly,
   whatever the size of the ratio. Null where someone cannot be left out. #}
{% macro jackknife_error(theta, mean, widest) %}case
            when count(*) > 1 and count(*) = count({{ theta }})
                then sqrt(
                    (count(*) - 1) / cast(count(*) as double) * coalesce(
                        cast(sum(cast(pow(({{ theta }} - {{ mean }}) / nullif({{ widest }}, 0), 2) as decimal(38, 24))) as double), 0
                    )
                ) * max({{ widest }})
        end{% endmacro %}
