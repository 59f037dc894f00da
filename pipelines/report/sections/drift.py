"""Are answers getting longer: a row a feature, the change for the same users and work with its interval, the mix beside it."""

from __future__ import annotations

from typing import Any

from pipelines.report import charts, wording
from pipelines.report.reading import Ask

SECTION = "answers"
_DRIFT = """
select feature, verdict, verdict_reason, paired_change, paired_change_low, paired_change_high, mix_change, onset_date, cause,
    cause_value, cost_impact_usd, mde_80, requests, is_incomplete
from mart_output_ratio_drift_weekly where week_start_date = $week $features
order by verdict = 'insufficient', verdict = 'stable', cost_impact_usd desc nulls last, feature
"""
# Beyond this a change is drawn at the edge.
_EDGE = 1.5


def figures(ask: Ask) -> dict[str, Any]:
    rows = ask.rows(SECTION, "Verdict of each feature", _DRIFT)
    judged = [row for row in rows if row["verdict"] != "insufficient"]
    for row in rows:
        row["is_judged"] = row["verdict"] != "insufficient"
        row["cause_words"] = _cause(row)
    ask.asked_as(SECTION, "Verdict of each feature").link(judged, "feature")
    ends = [
        min(max(float(row[name]), -_EDGE), _EDGE)
        for row in judged
        for name in ("paired_change", "paired_change_low", "paired_change_high", "mix_change")
        if row[name] is not None
    ]
    low, width = charts.scaled([*ends, -0.1, 0.1])

    def at(value: Any) -> float | None:
        return None if value is None else (min(max(float(value), -_EDGE), _EDGE) - low) / width

    for row in judged:
        middle = at(row["paired_change"])
        kind = "warning" if row["verdict"] == "drift" else "spend"
        row["dot"] = (
            charts.interval(
                at(row["paired_change_low"]),
                middle,
                at(row["paired_change_high"]),
                -low / width,
                kind,
                at(row["mix_change"]),
            )
            if middle is not None
            else ""
        )
    return {"rows": rows, "judged": len(judged), "title": _title(rows, len(judged)), "low": low, "high": low + width}


def _title(rows: list[dict[str, Any]], judged: int) -> str:
    longer = [row for row in rows if row["verdict"] == "drift"]
    if not rows:
        return "No calls, so there is nothing to compare"
    if not judged:
        return f"None of {wording.things(len(rows), 'feature')} can be judged yet"
    if longer:
        named = [f"{row['feature']} {wording.growth(row['paired_change'])}" for row in longer]
        return f"Longer for {len(longer)} of {judged} judged features: {wording.joined(named)}"
    return f"Not for any of {wording.things(judged, 'judged feature')}"


def _cause(row: dict[str, Any]) -> str:
    if row["verdict"] != "drift" or row["cause"] is None:
        return ""
    said = wording.words(row["cause"])
    return f"{said} {row['cause_value']}" if row["cause_value"] else said
