"""Bills and calls that do not meet, and bills that were not pulled as a whole, each with what mends it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.reference.rows import row_to_add

ALIASES = "seller_aliases"

# Sides of a month that stand alone. Calls that cost nothing owe nothing.
_ALONE = """
select month_start_date, provider, billing_account_id, verdict,
    case when verdict = 'no_bill' then traced_effective_cost_usd else invoiced_cost_usd end as usd
from mart_reconciliation_monthly
where verdict = 'no_trace' or (verdict = 'no_bill' and (traced_effective_cost_usd <> 0 or unpriced_tokens > 0))
order by month_start_date, verdict, provider, billing_account_id
"""
_INCOMPLETE = """
select distinct i.month_start_date, i.provider, i.billing_account_id, i.missing_pull
from ledger_invoices as i cross join ledger_clock as c
where i.missing_pull is not null and c.now_at >= i.month_start_date + interval 1 month
order by all
"""
_SOURCES = """
select distinct source from ledger_requests
where provider = ? and billing_account_id is not distinct from ? and is_billable_leaf
    and started_at >= ?::timestamptz and started_at < ?::timestamptz + interval 1 month
order by source
"""


@dataclass(frozen=True)
class Unmet:
    """What does not meet in a month, in a sentence; ``rows`` of ``table`` mend it if the two sides are one. Money in USD."""

    month_start_date: date
    kind: str
    sentence: str
    usd: Decimal | None = None
    table: str | None = None
    rows: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it in a line."""
        if not self.rows:
            return self.sentence
        return f"{self.sentence}. If they are one, add to reference/{self.table}.csv: {' and '.join(self.rows)}"


def incomplete_bills(con: duckdb.DuckDBPyConnection) -> list[Unmet]:
    """Bills of months that are over which were not pulled as a whole: the file, the last day covered and what to pull."""
    return [
        Unmet(
            row["month_start_date"],
            "incomplete_bill",
            f"{row['month_start_date']:%Y-%m}: the bill of {_name(row)} is not all there: {row['missing_pull']}",
        )
        for row in named_rows(con, _INCOMPLETE)
    ]


def strangers(con: duckdb.DuckDBPyConnection, root: DataRoot, but: Collection[date] = ()) -> list[Unmet]:
    """Bills without a call, with the calls without a bill of their month; the two are paired where there is one of each.

    ``but`` are months to leave out. A month in which every bill has calls has nothing here: its other calls wait for their bill.
    """
    months: dict[date, list[dict[str, Any]]] = {}
    for row in named_rows(con, _ALONE):
        months.setdefault(row["month_start_date"], []).append(row)
    found: list[Unmet] = []
    for month, rows in months.items():
        bills = [row for row in rows if row["verdict"] == "no_trace"]
        calls = [row for row in rows if row["verdict"] == "no_bill"]
        if month in but or not bills:
            continue
        if len(bills) == len(calls) == 1:
            found.append(_pair(con, root, month, bills[0], calls[0]))
            continue
        found += [Unmet(month, "bill_without_calls", f"{month:%Y-%m}: {_billed(row)}", row["usd"]) for row in bills]
        found += [Unmet(month, "calls_without_bill", f"{month:%Y-%m}: {_called(row)}", row["usd"]) for row in calls]
    return found


def _pair(
    con: duckdb.DuckDBPyConnection, root: DataRoot, month: date, bill: Mapping[str, Any], call: Mapping[str, Any]
) -> Unmet:
    named = con.execute(_SOURCES, [call["provider"], call["billing_account_id"], month, month]).fetchall()
    values = {
        "provider": call["provider"],
        "billing_account_id": call["billing_account_id"] or "",
        "seller": bill["provider"],
        "seller_account_id": bill["billing_account_id"],
        "valid_from_date": month,
    }
    return Unmet(
        month,
        "pair",
        f"{month:%Y-%m}: {_billed(bill)}, and {_called(call)}",
        bill["usd"],
        ALIASES,
        tuple(row_to_add(root, ALIASES, values | {"source": source}) for (source,) in named),
    )


def _billed(row: Mapping[str, Any]) -> str:
    return f"{_name(row)} billed {_usd(row['usd'])}, and no call is behind it"


def _called(row: Mapping[str, Any]) -> str:
    return f"calls at {_name(row)} come to {_usd(row['usd'])} and have no bill"


def _name(row: Mapping[str, Any]) -> str:
    account = row["billing_account_id"]
    return f"{row['provider']} ({account})" if account else str(row["provider"])


def _usd(usd: Decimal | None) -> str:
    return "an amount unknown in USD" if usd is None else f"${usd:,.2f}"
