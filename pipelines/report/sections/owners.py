"""Who spent it: teams opened to their features, what nobody owns last with the rows that would give it an owner, and tiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipelines.report import charts
from pipelines.report.reading import Ask, total

SECTION = "who"
FIXES_AT_MOST = 3
# What a line of the table adds up from.
COMPONENTS = ("direct_cost_usd", "allocated_untraced_usd", "credit_usd", "tax_fee_usd")
_OWNERS = """
select team, feature, {columns}
from published_showback_weekly where week_start_date = {week} $mine
group by team, feature order by team, feature
"""
_COLUMNS = """sum(direct_cost_usd) as direct_cost_usd, sum(allocated_untraced_usd) as allocated_untraced_usd,
    sum(discount_usd + credit_usd) as credit_usd, sum(tax_fee_usd) as tax_fee_usd, sum(invoiced_cost_usd) as invoiced_cost_usd,
    sum(requests)::bigint as requests, sum(unpriced_requests)::bigint as unpriced_requests,
    count(*) - count(invoiced_cost_usd) as unknown_rows"""
_NOW = _OWNERS.format(columns=_COLUMNS, week="$week")
_BEFORE = _OWNERS.format(columns="sum(invoiced_cost_usd) as invoiced_cost_usd", week="$week - 7")
_TIERS = """
select customer_tier, sum(invoiced_cost_usd) filter (where week_start_date = $week) as invoiced_cost_usd,
    sum(invoiced_cost_usd) filter (where week_start_date = $week - 7) as previous_cost_usd,
    coalesce(sum(requests) filter (where week_start_date = $week), 0)::bigint as requests
from published_showback_weekly where week_start_date in ($week, $week - 7) $mine
group by customer_tier order by customer_tier = 'unattributed', invoiced_cost_usd desc nulls last, customer_tier
"""
_BUDGETS = """
select scope_value as team, budget_usd, spent_usd, spent_ratio, budget_state, usage_date
from mart_budgets_weekly
where scope_kind = 'team' and week_start_date = $week $scope
qualify month_start_date = max(month_start_date) over () order by team
"""
_FIXES = """
select rule_row, sum(requests)::bigint as requests, sum(effective_cost_usd) as effective_cost_usd
from mart_untagged_callers_weekly where week_start_date = $week and dimension = 'feature'
group by rule_row order by effective_cost_usd desc nulls last, rule_row
"""
_NOBODYS = """
select sum(effective_cost_usd) as effective_cost_usd
from published_showback_weekly where week_start_date = $week and feature = 'unattributed'
"""


def figures(ask: Ask) -> dict[str, Any]:
    owners = ask.rows(SECTION, "Teams and features", _NOW)
    earlier = ask.rows(SECTION, "The week before", _BEFORE)
    before = {(row["team"], row["feature"]): row["invoiced_cost_usd"] for row in earlier}
    for row in owners:
        row["before_usd"] = before.get((row["team"], row["feature"]), Decimal(0) if earlier else None)
    of_teams = ask.rows(SECTION, "Budgets of the month", _BUDGETS)
    ask.asked_as(SECTION, "Budgets of the month").link(of_teams, "team")
    budgets = {row["team"]: row for row in of_teams}
    lines = teams(owners)
    gone = {team for team, _ in before} - {line["team"] for line in lines}
    for line in lines:
        line["change_usd"] = _change(
            line, [before[key] for key in before if key[0] == line["team"]], known=bool(earlier)
        )
        line["budget"] = _budget(budgets.get(line["team"]))
        for row in line["features"]:
            row["change_usd"] = (
                None if row["before_usd"] is None else (row["invoiced_cost_usd"] or 0) - row["before_usd"]
            )
            # Calls that have no price cost something: no $0.00.
            row["is_unpriced"] = (
                bool(row["requests"]) and row["requests"] == row["unpriced_requests"] and not row["invoiced_cost_usd"]
            )
    now, week_before = ask.asked_as(SECTION, "Teams and features"), ask.asked_as(SECTION, "The week before")
    sums = (*COMPONENTS, "invoiced_cost_usd", "requests")
    everyone = summed(owners)
    for line in (*lines, everyone):
        owner = {"team": line["team"]} if "team" in line else {}
        line["at"] = now.place(owner, sums)
        line["before_at"] = week_before.place(owner, ("invoiced_cost_usd",)) if earlier else None
        for row in line.get("features", ()):
            row["at"] = now.place({name: row[name] for name in ("team", "feature")})
            key = (row["team"], row["feature"])
            row["before_at"] = (
                week_before.place(dict(zip(("team", "feature"), key, strict=True))) if key in before else row["at"]
            )
    everyone["change_usd"] = _change(everyone, list(before.values()), known=bool(earlier))
    return {
        "teams": lines,
        "all": everyone,
        "gone": sorted(gone),
        "has_change": bool(earlier),
        # A column of zeros says nothing: it is left out.
        "shown": [
            name
            for name in (*COMPONENTS, "rounding_usd")
            if any(_is_seen(row, name) for row in (*owners, *lines, everyone))
        ],
        "has_budgets": any(line["budget"] for line in lines),
        "tiers": _tiers(ask),
        "fixes": None if ask.team is not None else _fixes(ask, lines),
    }


def _is_seen(row: Mapping[str, Any], name: str) -> bool:
    return name == "direct_cost_usd" or bool(round(Decimal(row.get(name) or 0), 2))


def _change(line: Mapping[str, Any], before: Sequence[Decimal | None], *, known: bool) -> Decimal | None:
    return line["invoiced_cost_usd"] - sum((usd or Decimal(0) for usd in before), Decimal(0)) if known else None


def _budget(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if row is None or not row["budget_usd"] or row["spent_usd"] is None:
        return None
    spent, budget = float(row["spent_usd"]), float(row["budget_usd"])
    whole = max(spent, budget) * 1.02
    kind = "warning" if row["budget_state"] in ("orange", "red") else "spend"
    return {**row, "bar": charts.bar(spent / whole, budget / whole, kind)}


def _tiers(ask: Ask) -> list[dict[str, Any]]:
    rows = ask.rows(SECTION, "Customer tiers", _TIERS)
    ask.asked_as(SECTION, "Customer tiers").link(rows, "customer_tier")
    whole = total(rows, "invoiced_cost_usd")
    for row in rows:
        row["share"] = row["invoiced_cost_usd"] / whole if whole and row["invoiced_cost_usd"] is not None else None
        row["bar"] = charts.bar(float(row["share"] or 0))
        known = any(one["previous_cost_usd"] is not None for one in rows)
        row["change_usd"] = (row["invoiced_cost_usd"] or 0) - (row["previous_cost_usd"] or 0) if known else None
    # One tier that nobody named is what the table above says already.
    return [] if {row["customer_tier"] for row in rows} <= {"unattributed"} else rows


def _fixes(ask: Ask, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if all(row["feature"] != "unattributed" for line in lines for row in line["features"]):
        return None
    rows = ask.rows(SECTION, "Rows that would attribute it", _FIXES)
    nobodys = ask.row(SECTION, "Cost without a feature", _NOBODYS)
    whole = nobodys and nobodys["effective_cost_usd"]
    first = rows[:FIXES_AT_MOST]
    ask.asked_as(SECTION, "Rows that would attribute it").link(first, "rule_row")
    known = total(first, "effective_cost_usd")
    return {
        "rows": first,
        "share": min(known / whole, Decimal(1)) if known is not None and whole else None,
        "left": len(rows) - len(first),
    }


def teams(owners: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Owners by team, the dearest first, what nobody owns last."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(owners, key=lambda row: (-(row["invoiced_cost_usd"] or 0), row["feature"])):
        found.setdefault(row["team"], []).append(row | {"rounding_usd": _rounding(row)})
    lines = [{"team": team, "features": rows, **summed(rows)} for team, rows in found.items()]
    return sorted(lines, key=lambda row: (row["team"] == "unattributed", -row["invoiced_cost_usd"], row["team"]))


def summed(owners: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Owners as one line."""
    columns = (*COMPONENTS, "invoiced_cost_usd", "requests", "unknown_rows")
    line: dict[str, Any] = {name: sum((row[name] or 0) for row in owners) for name in columns}
    line["invoiced_cost_usd"] = Decimal(line["invoiced_cost_usd"])
    return line | {"rounding_usd": _rounding(line)}


def _rounding(line: Mapping[str, Any]) -> Decimal | None:
    """What a line needs so that its cents as printed add up: the rounding of the books and that of the page."""
    if line["unknown_rows"]:
        return None
    return Decimal(line["invoiced_cost_usd"]) - sum(round(Decimal(line[name] or 0), 2) for name in COMPONENTS)
