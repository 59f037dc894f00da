"""What drives spend: how concentrated it is, as a curve with its verdict, and the request types of class A."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipelines.report import charts, wording
from pipelines.report.reading import OPPORTUNITIES, TREND_WEEKS, WEEK, Ask, total
from pipelines.report.sections.levers import doing

SECTION = "drivers"
DRIVERS_AT_MOST = 20
MARK = 0.2
_CONCENTRATION = """
select time_window, types, types_a, class_a_share, top20_share, top20_share_low, top20_share_high, verdict, is_incomplete,
    unpriced_tokens, total_tokens
from mart_spend_concentration_weekly
where week_start_date = $week and cut = 'request_type' order by time_window desc limit 1
"""
# Its best lever is that of its feature: there is no second opinion.
_DRIVERS = f"""
select d.driver, d.short_name, d.feature, d.owner_team, d.abc_class, d.requests, d.effective_cost_usd, d.share, d.rank, d.rank_previous,
    o.lever, o.verdict, o.saving_mid_month_usd
from (
    select * from mart_spend_drivers_weekly
    where week_start_date = $week and cut = 'request_type' and time_window = '$window' $features
) as d
left join {OPPORTUNITIES} as o on d.week_start_date = o.week_start_date and d.feature = o.feature and o.feature_rank = 1
order by d.rank
"""
_TREND = """
select driver, week_start_date, effective_cost_usd from mart_spend_drivers_weekly
where week_start_date > $week - 91 and week_start_date <= $week and cut = 'request_type' and time_window = '1w' $features
"""
_VERDICTS = {
    "holds": "that 10-20 % of the types make 60-80 % of spend holds",
    "partly": "whether 10-20 % of the types make 60-80 % of spend is within chance",
    "does_not_hold": "that 10-20 % of the types make 60-80 % of spend does not hold",
}


def figures(ask: Ask) -> dict[str, Any] | None:
    """None where no call of the week has a price."""
    found = ask.row(SECTION, "How concentrated spend is", _CONCENTRATION)
    if found is None:
        return None
    window = found["time_window"]
    rows = ask.rows(SECTION, "Request types, dearest first", _DRIVERS.replace("$window", window))
    if not rows:
        return None
    of_class = so_far(rows) if ask.team is None else so_far([row | {"abc_class": "A"} for row in rows])
    trends = _trends(ask)
    for row in of_class:
        costs = trends.get(row["driver"], {})
        trend = [costs.get(ask.week - number * WEEK) for number in range(TREND_WEEKS, -1, -1)]
        row["spark"] = charts.sparkline([None if usd is None else float(usd) for usd in trend])
        row["change_usd"] = (
            costs[ask.week] - costs[ask.week - WEEK] if ask.week in costs and ask.week - WEEK in costs else None
        )
        row["bar"] = charts.bar(float(row["share"]))
        row["best_lever"] = _best_lever(row)
    shown, left = of_class[:DRIVERS_AT_MOST], of_class[DRIVERS_AT_MOST:]
    ranked = ask.asked_as(SECTION, "Request types, dearest first")
    ranked.link(shown, "driver")
    found["at"] = ask.asked_as(SECTION, "How concentrated spend is").place()
    claim = ask.limits.get("concentration_claim_share", 0.6)
    points = _points(rows) if ask.team is None else []
    return {
        "span": "four weeks" if window == "4w" else "this week",
        "found": found,
        "at": ranked.place(),
        "title": _title(found, rows[0]) if ask.team is None else None,
        "curve": _curve(points, found, claim) if len(points) > 2 else None,
        "points": points,
        "drivers": shown,
        "left": {
            "number": len(left),
            **{name: total(left, name) for name in ("requests", "effective_cost_usd", "share")},
            "so_far": left[-1]["so_far"],
        }
        if left
        else None,
        "is_class": ask.team is None,
        "has_previous": any(row["rank_previous"] is not None for row in rows),
    }


def _best_lever(row: Mapping[str, Any]) -> str:
    """What would save most in the feature of a type, as the list of levers has it."""
    if row["lever"] is None:
        return "none is known"
    guess = ", a guess" if row["verdict"] == "range_only" else ""
    where = "without a feature" if row["feature"] == "unattributed" else f"in {row['feature']}"
    return f"{doing(row['lever'])}: {wording.usd(row['saving_mid_month_usd'])} a month {where}{guess}"


def so_far(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The types of class A with their share and that of those listed so far.

    Summed up over the class alone: one that is an A still may stand behind a dearer B.
    """
    whole = total(rows, "effective_cost_usd")
    found, summed = [], 0
    for row in rows:
        if row["abc_class"] == "A":
            summed += row["effective_cost_usd"]
            found.append({**row, "share": row["effective_cost_usd"] / whole, "so_far": summed / whole})
    return found


def _points(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The curve: after each type its place among all, and what all to it make of the cost."""
    whole, summed, points = float(total(rows, "effective_cost_usd")), 0.0, []
    for place, row in enumerate(rows, 1):
        summed += float(row["effective_cost_usd"])
        points.append(
            {"number": place, "name": row["short_name"], "types": place / len(rows), "cost": min(summed / whole, 1.0)}
        )
    return points


def _curve(points: Sequence[Mapping[str, Any]], found: Mapping[str, Any], claim: float) -> Markup:
    fifth = points[(len(points) + 4) // 5 - 1]
    said = f"dearest {fifth['number']} of {len(points)}: {wording.share(found['top20_share'])}"
    ends = found["top20_share_low"], found["top20_share_high"]
    interval = None if None in ends else (float(ends[0]), float(ends[1]))
    line = [(one["types"], one["cost"]) for one in points]
    return charts.curve(line, MARK, claim, (fifth["types"], float(found["top20_share"]), said), interval)


def _title(found: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    """The verdict as a sentence."""
    if found["verdict"] not in _VERDICTS:
        types = wording.things(found["types"], "request type")
        return f"{types}: too few to ask how concentrated spend is; {first['short_name']} makes {wording.share(first['share'])}"
    said = f"{found['types_a']} of {wording.things(found['types'], 'request type')} make {wording.share(found['class_a_share'])} of spend"
    return f"{said}; {_VERDICTS[found['verdict']]}"


def _trends(ask: Ask) -> dict[str, dict[Any, Any]]:
    trends: dict[str, dict[Any, Any]] = {}
    for row in ask.rows(SECTION, "Their thirteen weeks", _TREND):
        trends.setdefault(row["driver"], {})[row["week_start_date"]] = row["effective_cost_usd"]
    return trends
