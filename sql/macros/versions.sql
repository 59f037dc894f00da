{# Versions of a record in `ranked` that do not count, with the best of those that stand before them within seven days, as `beaten`. #}
{% macro beaten_versions(key) %}
beaten as (
    select
        r.source,
        r.source_account,
        r.source_file_sha256,
        r.source_row,
        max(b.version) as best_version,
    from ranked as r
    inner join ranked as b
        on r.{{ key }} = b.{{ key }}
        and b.place < r.place
        and b.usage_date between r.usage_date - interval 7 days and r.usage_date + interval 7 days
    group by r.source, r.source_account, r.source_file_sha256, r.source_row
)
{%- endmacro %}

{# What is to be said of a beaten version, as `r`, and of the version that beats it, as `b`. #}
{% macro from_beaten() %}
from ranked as r
inner join beaten as b
    on r.source = b.source
    and r.source_account = b.source_account
    and r.source_file_sha256 = b.source_file_sha256
    and r.source_row = b.source_row
{%- endmacro %}

{# Leaves out the calls, as `s`, that another version stands for. #}
{% macro but_superseded() %}
anti join ledger_superseded_requests as d
        on s.source_file_sha256 = d.source_file_sha256
        and s.source_row = d.source_row
        and s.source_account = d.source_account
        and s.source = d.source
{%- endmacro %}
