"""What would give spend without an owner its owner, as rows that can be appended to the files of reference/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb

from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.reference.rows import row_to_add
from pipelines.words import things

_CALLERS = """
select r.source, case when r.api_key_name is null then 'source_account' else 'api_key_name' end as field,
    coalesce(r.api_key_name, r.source_account) as caller, count(*) as requests, sum(c.effective_cost_usd) as cost_usd
from ledger_requests as r inner join ledger_costs as c on r.request_key = c.request_key
where r.feature = 'unattributed' and r.is_billable_leaf
group by all order by cost_usd desc nulls last, source, field, caller limit 20
"""
# Of days the sum is that of their priced calls: 0 where there is none, which is unknown here.
# A feature that has a row and yet no team has its reason there.
_FEATURES = """
select feature, sum(requests)::bigint as requests,
    case when sum(requests) > sum(unpriced_requests) then sum(effective_cost_usd) end as cost_usd
from ledger_showback_days
where team = 'unattributed' and feature <> 'unattributed' and feature not in (select feature from ref_features)
group by feature order by cost_usd desc nulls last, feature limit 20
"""
_ACCOUNTS = """
select d.provider, d.billing_account_id, sum(d.requests)::bigint as requests,
    case when sum(d.requests) > sum(d.unpriced_requests) then sum(d.effective_cost_usd) end as cost_usd
from ledger_showback_days as d
anti join ref_accounts as a on d.provider = a.provider and d.billing_account_id = a.account_id
where d.team = 'unattributed' and d.feature = 'unattributed' and d.billing_account_id not in ('unattributed', 'default')
group by d.provider, d.billing_account_id order by cost_usd desc nulls last, d.provider, d.billing_account_id limit 20
"""


def rows_without_owner(con: duckdb.DuckDBPyConnection, root: DataRoot) -> list[dict[str, Any]]:
    """Callers without a feature as rows of attribution_rules.csv, features and accounts without a team as rows of their tables."""
    found = []
    for row in named_rows(con, _CALLERS):
        rule = {
            "priority": 10,
            "source": row["source"],
            "match_field": row["field"],
            "match_kind": "exact",
            "match_value": row["caller"],
            "dimension": "feature",
            "dimension_value": "<feature>",
        }
        found.append(_to_add(root, "attribution_rules", rule, "no feature", row))
    for row in named_rows(con, _FEATURES):
        feature = {"feature": row["feature"], "owner_team": "<team>", "cost_centre": "<cost centre>"}
        found.append(_to_add(root, "features", feature, "no team", row))
    for row in named_rows(con, _ACCOUNTS):
        account = {
            "provider": row["provider"],
            "account_id": row["billing_account_id"],
            "team": "<team>",
            "cost_centre": "<cost centre>",
        }
        found.append(_to_add(root, "accounts", account, "no team", row))
    return found


def _to_add(
    root: DataRoot, table: str, values: Mapping[str, object], lacks: str, row: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "table": f"{table}.csv",
        "row": row_to_add(root, table, values),
        "why": f"{lacks}: {things(row['requests'], 'call')}",
        "cost_usd": row["cost_usd"],
        "is_estimate": False,
    }
