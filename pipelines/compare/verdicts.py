"""From what was measured to a word for each measure, a sentence, and whether a gate is breached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.compare import Measured

ALL = "(all)"
COSTS = ("request", "task")
UNTESTED = {
    "nothing_alike": "no request type is on both sides",
    "no_cost": "one side costs nothing",
    "few_units": "too few {units} to compare",
    "few_clusters": "too few users or test cases to compare",
    "few_degrees_of_freedom": "one or two users or test cases have most of it",
}


@dataclass(frozen=True)
class Gate:
    """What ``--fail-on`` forbids: a cost per call or task of so much more. None: no limit for it."""

    request: float | None
    task: float | None

    def limit(self, measure: str) -> float | None:
        return self.request if measure == "request" else self.task if measure == "task" else None


@dataclass(frozen=True)
class Judged:
    """The verdict on each change, the most serious one, and why the gate is breached; empty where it is not."""

    changes: list[dict[str, Any]]
    verdict: str
    breaches: list[str]

    def change(self, measure: str, scope: str = ALL) -> dict[str, Any] | None:
        return next((row for row in self.changes if (row["scope_name"], row["measure"]) == (scope, measure)), None)

    @property
    def is_undecided(self) -> bool:
        """Whether nothing could be said of the cost of calls and tasks as a whole."""
        return self.verdict in ("insufficient", "incomplete")


def judge(measured: Measured, gate: Gate | None) -> Judged:
    """Words for all changes. A feature counts where it holds beside all others (Benjamini-Hochberg)."""
    limits = measured.limits
    rows = [dict(row) for row in measured.changes]
    for measure in {row["measure"] for row in rows}:
        tested = [
            row for row in rows if row["measure"] == measure and row["scope_name"] != ALL and row["p_value"] is not None
        ]
        for row, q in zip(tested, _q_values([row["p_value"] for row in tested]), strict=True):
            row["q_value"] = q
    for row in rows:
        row["q_value"] = row.get("q_value", row["p_value"] if row["scope_name"] == ALL else None)
        row["verdict"] = _verdict(row, limits, gate)
    costs = [row for row in rows if row["measure"] in COSTS and row["scope_name"] == ALL]
    said = {row["verdict"] for row in costs}
    verdict = next(
        (word for word in ("regression", "incomplete", "improvement", "no_change") if word in said), "insufficient"
    )
    breaches = [
        sentence(row, measured)
        for row in rows
        if row["verdict"] == "regression" and gate is not None and gate.limit(row["measure"]) is not None
    ]
    if verdict != "regression" and any(row["verdict"] == "regression" for row in rows):
        verdict = "regression"
    return Judged(rows, verdict, breaches)


def _verdict(row: dict[str, Any], limits: dict[str, float], gate: Gate | None) -> str:
    if row["measure"] in COSTS and any(
        row[f"{side}unpriced_units"] > limits["unpriced_warn_share"] * row[f"{side}units"] for side in ("", "base_")
    ):
        return "incomplete"
    if row["p_value"] is None or row["mix_free_change"] is None:
        return "insufficient"
    is_real = row["q_value"] < limits["release_p"]
    grew, change = row["same_work_change"] > 0, round(row["mix_free_change"], 9)
    if row["measure"] not in COSTS:
        return "drift" if is_real and abs(row["same_work_change"]) >= limits["drift_min_change"] else "stable"
    limit = (gate.limit(row["measure"]) if gate else None) or limits["release_cost_change"]
    if is_real and grew and change >= limit:
        return "regression"
    if is_real and not grew and change <= -limits["release_improvement"]:
        return "improvement"
    return "no_change"


def _q_values(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg's q of each p."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place], reverse=True)
    found, least = [0.0] * len(p_values), 1.0
    for rank, place in enumerate(order):
        least = min(least, p_values[place] * len(p_values) / (len(p_values) - rank))
        found[place] = least
    return found


def sentence(row: dict[str, Any], measured: Measured) -> str:
    """One change in words, for a person who decides."""
    base = measured.sides[0].text
    unit = {"request": "A request", "task": "A task"}.get(row["measure"], "Output per input token")
    where = "" if row["scope_name"] == ALL else f" of {row['scope_name']}"
    if row["verdict"] == "incomplete":
        unpriced, units = max((row["unpriced_units"], row["units"]), (row["base_unpriced_units"], row["base_units"]))
        return f"{unit}{where}: not judged, {unpriced:,} of {units:,} have no price."
    if row["verdict"] == "insufficient":
        reason = UNTESTED[row["untested_reason"]].format(
            units=f"{row['measure']}s" if row["measure"] in COSTS else "requests"
        )
        units = f"{row['units']:,} and {row['base_units']:,}"
        return f"{unit}{where}: insufficient, {reason} ({units})."
    change = row["mix_free_change"]
    size = "as much as" if abs(change) < 0.005 else f"{abs(change) * 100:.0f} % {'more' if change > 0 else 'less'} than"
    verb = "costs" if row["measure"] in COSTS else "is"
    if row["method"] == "paired":
        who = f"the same {row['clusters']:,} {row['pair_unit']}s by themselves: {percent(row['same_work_change'])}, "
    else:
        who = f"{row['base_clusters']:,} and {row['clusters']:,} independent cases: "
    interval = f"{percent(row['change_low'])} to {percent(row['change_high'])}"
    text = f"{unit}{where} {verb} {size} with {base} for the same work ({who}{interval})"
    if row["verdict"] in ("no_change", "stable") and abs(change) >= 0.005:
        is_chance = row["q_value"] >= measured.limits["release_p"]
        text += f", which is {'within chance' if is_chance else 'below the limits'}"
    other = row["raw_change"] - change if row["raw_change"] is not None else 0
    if abs(other) >= 0.005:
        text += f"; another {other * 100:+.0f} points are a change of what is asked"
    return text + "."


def percent(change: float | None) -> str:
    """A change of a tenth of a percent or more with its sign; less is none."""
    return "" if change is None else f"{round(change * 100, 1) + 0.0:+.1f} %"
