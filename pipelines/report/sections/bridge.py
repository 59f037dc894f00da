"""What changed: the bridge from last week to this, step by step in dollars, and the cells that moved most."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pipelines.report import charts, wording
from pipelines.report.reading import WEEK, Ask

SECTION = "change"
CELLS_AT_MOST = 5
STEPS_AT_MOST = 12
# What of mart_spend_change_weekly makes one step, in the order of the bridge: what rose, and what fell.
STEPS = (
    (("volume_usd",), "more calls", "fewer calls"),
    (("feature_mix_usd", "tier_mix_usd", "model_mix_usd"), "a dearer mix of work", "a cheaper mix of work"),
    (("input_usd",), "longer prompts", "shorter prompts"),
    (("cache_usd",), "less from the cache", "more from the cache"),
    (("output_usd", "output_mix_usd"), "longer answers", "shorter answers"),
    (("price_usd",), "higher prices", "lower prices"),
    (("other_usd",), "dearer per call otherwise", "cheaper per call otherwise"),
    (("launch_usd",), "new features", "new features"),
    (("retired_usd",), "ended features", "ended features"),
    (("allocation_usd",), "bill beyond the calls", "discounts and credits of the bill"),
)
_CELL_CAUSES = (
    (("volume_usd", "feature_mix_usd", "tier_mix_usd", "model_mix_usd"), "more calls", "fewer calls"),
    *STEPS[2:],
)
_EFFECTS = [name for names, *_ in STEPS for name in names]
_SUMS = f"""
select count(*) as cells, {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in _EFFECTS)},
    sum(invoiced_delta_usd) as invoiced_delta_usd
from mart_spend_change_weekly where week_start_date = $week
"""
_CELLS = f"""
select feature, customer_tier, provider, model_canonical, requests, previous_requests, invoiced_delta_usd,
    {", ".join(f"coalesce({name}, 0) as {name}" for name in _EFFECTS)}
from mart_spend_change_weekly
where week_start_date = $week and invoiced_delta_usd is not null
order by abs(invoiced_delta_usd) desc, feature, customer_tier, model_canonical limit {CELLS_AT_MOST}
"""
_FEATURES = """
select feature, sum(invoiced_cost_usd) filter (where week_start_date = $week) as invoiced_cost_usd,
    sum(invoiced_cost_usd) filter (where week_start_date = $week - 7) as previous_cost_usd
from published_showback_weekly where week_start_date in ($week, $week - 7) $mine
group by feature order by feature
"""


def figures(ask: Ask, now: Decimal | None, before: Decimal | None) -> dict[str, Any] | None:
    """None where there is no week before, or where either cost is unknown."""
    if now is None or before is None:
        return None
    cells: list[dict[str, Any]] = []
    steps: list[tuple[str, Decimal]] = []
    if ask.team is None:
        sums = ask.row(SECTION, "Steps of the bridge", _SUMS)
        if sums is not None and sums["cells"]:
            steps = [(_cause(sums, *step), _sum(sums, step[0])) for step in STEPS]
            # What closed months say otherwise than the books know by now, and weeks cut in another time zone.
            steps.append(("closed months as they were closed", now - before - sum(usd for _, usd in steps)))
            rows = ask.rows(SECTION, "Cells that moved most", _CELLS)
            ask.asked_as(SECTION, "Cells that moved most").link(
                rows, "feature", "customer_tier", "provider", "model_canonical"
            )
            cells = [_cell(row) for row in rows]
    is_by_feature = not steps
    if is_by_feature:
        rows = ask.rows(SECTION, "Steps by feature", _FEATURES)
        steps = [
            (row["feature"], Decimal(row["invoiced_cost_usd"] or 0) - Decimal(row["previous_cost_usd"] or 0))
            for row in rows
        ]
        steps.sort(key=lambda step: -abs(step[1]))
        if len(steps) > STEPS_AT_MOST:
            rest = steps[STEPS_AT_MOST:]
            steps = [*steps[:STEPS_AT_MOST], (f"{len(rest)} more features", sum((usd for _, usd in rest), Decimal(0)))]
    lines = [(name, round(usd, 2)) for name, usd in steps if round(usd, 2)]
    rounding = now - before - sum((usd for _, usd in lines), Decimal(0))
    if rounding:
        lines.append(("rounding", rounding))
    largest = max(lines, key=lambda line: line[1] * (1 if now >= before else -1), default=None)
    return {
        "before_week": ask.week - WEEK,
        "before_usd": before,
        "now_usd": now,
        "change_usd": now - before,
        "is_by_feature": is_by_feature,
        "lines": _drawn(before, now, lines),
        "largest": largest,
        "cells": cells,
        "at": ask.asked_as(SECTION, "Steps by feature" if is_by_feature else "Steps of the bridge").place(),
    }


def _drawn(before: Decimal, now: Decimal, lines: Sequence[tuple[str, Decimal]]) -> list[dict[str, Any]]:
    """Each step with its bar on the axis that holds all levels of the bridge, from 0."""
    levels = [before]
    for _, usd in lines:
        levels.append(levels[-1] + usd)
    low, width = charts.scaled([float(level) for level in [*levels, now]])

    def at(level: Decimal) -> float:
        return (float(level) - low) / width

    found = []
    for place, (name, usd) in enumerate(lines):
        kind = "up" if usd > 0 else "down"
        found.append(
            {
                "name": name,
                "usd": usd,
                "kind": kind,
                "bar": charts.floating(at(levels[place]), at(levels[place + 1]), kind),
            }
        )
    ends = [
        {
            "name": "Week before",
            "usd": before,
            "kind": "end",
            "bar": charts.floating(at(Decimal(0)), at(before), "spend"),
        },
        {"name": "This week", "usd": now, "kind": "end", "bar": charts.floating(at(Decimal(0)), at(now), "spend")},
    ]
    return [ends[0], *found, ends[1]]


def _cell(row: dict[str, Any]) -> dict[str, Any]:
    """A cell with the causes that make most of its change, in words."""
    causes = [(_cause(row, *step), _sum(row, step[0])) for step in _CELL_CAUSES]
    way = 1 if row["invoiced_delta_usd"] >= 0 else -1
    causes = sorted((cause for cause in causes if cause[1] * way >= Decimal("0.005")), key=lambda cause: -abs(cause[1]))
    said = [f"{name} {wording.change_cents(usd)}" for name, usd in causes[:2]]
    further = [
        name for name in (row["customer_tier"], row["model_canonical"]) if name not in ("unattributed", "unknown_model")
    ]
    place = ", ".join([wording.words(row["feature"]) if row["feature"] == "unattributed" else row["feature"], *further])
    calls = f"{row['previous_requests']:,} to {row['requests']:,} calls"
    return {
        "place": place,
        "at": row["at"],
        "usd": row["invoiced_delta_usd"],
        "words": f"{wording.joined(said) or 'of many small causes'}; {calls}",
    }


def _cause(row: dict[str, Any], names: Sequence[str], rose: str, fell: str) -> str:
    return rose if _sum(row, names) >= 0 else fell


def _sum(row: dict[str, Any], names: Sequence[str]) -> Decimal:
    return sum((Decimal(row[name]) for name in names), Decimal(0))
