/*
about: >-
  How the rows of a source state cached tokens where one row does not tell: the result of ledger_usage_votes and nothing else, so
  that a month's calls are booked anew only when it changes. One row per month and group of rows with undecided calls.
grain: [month_start_date, source, source_account, usage_group, provider]
partition: month
columns:
{% include "parts/columns_usage_group.sql" %}
  usage_basis: VARCHAR; disjoint, inclusive or ambiguous: how the source's counts are read where a row does not tell
checks:
  - one_of: [usage_basis, disjoint, inclusive, ambiguous]
*/
select
    month_start_date,
    source,
    source_account,
    usage_group,
    provider,
    usage_basis,
from ledger_usage_votes
where undecided_requests > 0
