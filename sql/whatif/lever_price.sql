{# Other prices of tokens: all of a seller's by a share more or less, or those of another book, which the rates are then made of. #}
{% from "macros/replay.sql" import cases, chosen, step, times with context %}
{% set changes = {"is_covered": "b.is_covered or (" ~ chosen() ~ ")", "is_changed": "b.is_changed or (" ~ chosen() ~ ")"} %}
{% for case in cases %}
{% for side in ("input_factor_", "output_factor_") %}
{% set _ = changes.update({
    side ~ case: "case when " ~ chosen() ~ " then " ~ times("b." ~ side ~ case, "(1 + s.change_" ~ case ~ ")") ~ " else b." ~ side ~ case ~ " end",
}) %}
{% endfor %}
{% endfor %}
select
{{ step(changes) }}
from whatif_before as b
cross join whatif_settings as s
