"""What chance separates: between what a saving lies for other users of the same kind, beside what the assumptions separate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.engine import named_rows
from pipelines.models import asked

_LIMITS = ("min_users_interval", "bootstrap_draws", "bootstrap_max_clusters")


@dataclass(frozen=True)
class Interval:
    """Between what a saving lies for other users of the same kind, in 19 of 20 cases; a blank feature is all of them.

    ``verdict``: ok, or insufficient, which has no limits. ``cluster_units``: what the independent ones are, such as users.
    """

    feature: str
    verdict: str
    clusters: int
    least_clusters: int
    cluster_units: tuple[str, ...]
    share_low: Decimal | None
    share_high: Decimal | None
    saving_low_usd: Decimal | None
    saving_high_usd: Decimal | None


def user_groups(con: duckdb.DuckDBPyConnection) -> int:
    """In how many groups users are drawn, where there are more of them than are drawn one by one; else 0."""
    users = sum(row["clusters"] for row in named_rows(con, asked("whatif_users")) if row["feature"] == "")
    most = int(_limits(con)["bootstrap_max_clusters"])
    return most if users > most else 0


def intervals_of(
    con: duckdb.DuckDBPyConnection, sums: Mapping[str, Mapping[str, Any]], *, is_by_call: bool
) -> list[Interval]:
    """Of the middle saving of the replay that was made last. ``sums``: what it gave for each feature, and for all under a blank."""
    limits, groups = _limits(con), user_groups(con)
    least = int(limits["min_users_interval"])
    users = named_rows(con, asked("whatif_users"))
    told = asked("whatif_user_costs", is_by_call=is_by_call, user_groups=groups)
    con.execute(f"create or replace temp table whatif_user_costs as {told}")
    drawn = {
        row["feature"]: row for row in named_rows(con, asked("whatif_interval", draws=int(limits["bootstrap_draws"])))
    }
    found = []
    for feature, total in sums.items():
        theirs = {row["cluster_unit"]: row["clusters"] for row in users if row["feature"] == feature}
        draw = drawn.get(feature)
        # Where they are drawn one by one, so are they counted: a window may begin within a week.
        clusters = sum(theirs.values()) if groups else draw["clusters"] if draw else 0
        units = tuple(sorted(theirs))
        if draw is None or clusters < least or total["saving_mid_usd"] is None:
            found.append(Interval(feature, "insufficient", clusters, least, units, None, None, None, None))
            continue
        low, high, actual = draw["share_low"], draw["share_high"], total["actual_usd"]
        found.append(
            Interval(
                feature, "ok", clusters, least, units, low, high, *(exact(share * actual) for share in (low, high))
            )
        )
    return found


def exact(usd: Decimal) -> Decimal:
    """Dollars to the last digit that the tables keep."""
    return usd.quantize(Decimal("0.000000000000001"))


def _limits(con: duckdb.DuckDBPyConnection) -> dict[str, Decimal]:
    """The limits of thresholds.csv that hold at the end of the window."""
    rows = con.execute(
        "select l.limit_name, l.threshold_number from ref_limits as l cross join whatif_window as w where l.scope_kind = '' "
        "and cast(w.end_at as date) >= l.valid_from_date and cast(w.end_at as date) < l.valid_to_date"
    ).fetchall()
    return {name: number for name, number in rows if name in _LIMITS}
