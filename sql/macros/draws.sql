{#
How often a draw of a Poisson bootstrap counts a member: four hexadecimal digits of a hash, compared as text with the quantiles of a Poisson
variable with mean 1, of 65,536: 24,109 is 5e2d, 48,219 is bc5b, and so on.
#}
{% macro draws_of(digits) %}
case
                {% for quantile in ("5e2d", "bc5b", "eb71", "fb24", "ff10", "ffd9", "fffb") %}
                when {{ digits }} < '{{ quantile }}' then {{ loop.index0 }}
                {% endfor %}
                else 7
            end
{%- endmacro %}
