"""Questions that change no row: own GPUs in place of an API, and a price for use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.paths import DataRoot
from pipelines.periods import DAYS_OF_MONTH
from pipelines.whatif.answer import assumed_of, books_of, scenario_rows
from pipelines.whatif.intervals import exact
from pipelines.whatif.replay import Booked, Replay
from pipelines.whatif.scenarios import ALONE, CASES, Lever, Scenario, ScenarioError, scenarios_of
from pipelines.whatif.self_host import HOURS_OF_MONTH, Pool, pools_of

# In place of a feature or a tier, where an answer is not told apart by it.
ALL = "(all)"
UNATTRIBUTED = "unattributed"


@dataclass(frozen=True)
class Alone:
    """An answer of its own form: pools of GPUs, or plans by customer tier."""

    name: str
    first: date
    end: date
    pools: list[Pool]
    plans: list[dict[str, Any]]
    assumed: list[dict[str, Any]]
    held: list[str]
    risks: list[str]
    # The calls that are meant, and all calls of the window.
    covered: Booked
    booked: Booked

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    @property
    def covered_usd(self) -> Decimal:
        """What the calls cost that are meant."""
        return self.covered.cost_usd or Decimal(0)

    @property
    def actual_usd(self) -> Decimal:
        """What all calls of the window cost."""
        return self.booked.cost_usd or Decimal(0)


def lever_alone(scenarios: Sequence[Scenario]) -> Lever | None:
    """The lever of a scenario that is a question of its own; None where the scenarios are steps of a replay."""
    return next((lever for one in scenarios for lever in one.levers if lever.name in ALONE), None)


def is_alone(root: DataRoot, asked: str) -> bool:
    return lever_alone(scenarios_of(scenario_rows(root), asked)) is not None


def ask_alone(root: DataRoot, asked: str, given: Sequence[str], first: date | None, end: date | None) -> Alone:
    """Raises ScenarioError, and FileNotFoundError before the first run."""
    rows = scenario_rows(root)
    [scenario] = scenarios_of(rows, asked, given)
    with books_of(root, first, end) as (con, first, end):
        return answer_alone(con, rows, scenario, first, end)


def answer_alone(
    con: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Any]], scenario: Scenario, first: date, end: date
) -> Alone:
    """The same on a connection that has the tables."""
    lever = lever_alone([scenario])
    assert lever is not None
    days = (end - first).days
    replay = Replay(con, first, end)
    pools: list[Pool] = []
    plans: list[dict[str, Any]] = []
    hours: list[dict[str, Any]] = []
    if lever.name == "self_host":
        if not (hours := replay.look_at(lever)):
            raise ScenarioError(f"There is no call with a cost from {first} to before {end} that is meant.")
        pools = pools_of(hours, lever.settings, days)
    else:
        if lever.settings["unit"] not in ("request", "task"):
            raise ScenarioError(f"unit is {lever.settings['unit']!r}, expected request or task.")
        plans = replay.look_at(lever, unit=lever.settings["unit"], months=f"{days / DAYS_OF_MONTH:.9f}")
        if not plans:
            raise ScenarioError("No call that is meant tells its user or customer.")
    return Alone(
        scenario.name,
        first,
        end,
        pools,
        plans,
        assumed_of(rows, [scenario]),
        [lever.kind.held],
        [lever.kind.risk],
        Booked(
            sum((row["cost_usd"] or Decimal(0) for row in (*hours, *plans)), Decimal(0)),
            sum(row["requests"] for row in (*hours, *plans)),
            sum(row["unpriced_requests"] for row in (*hours, *plans)),
        ),
        replay.booked(),
    )


def kept_rows(found: Alone) -> list[dict[str, Any]]:
    """The answer by feature and customer tier, as that of a replay is kept: pools are of all features, plans of a tier.

    What is not meant stays as it was.
    """
    parts = [_kept_pool(found)] if found.pools else [_kept_plan(plan) for plan in found.plans]
    left = found.actual_usd - found.covered_usd
    rest = {
        "customer_tier": ALL if found.pools else UNATTRIBUTED,
        "requests": found.booked.requests - found.covered.requests,
        "unpriced_requests": found.booked.unpriced_requests - found.covered.unpriced_requests,
        "actual_usd": left,
        **{f"cost_{case}_usd": left for case in CASES},
    }
    rows: dict[str, dict[str, Any]] = {}
    for part in (*parts, rest):
        row = rows.setdefault(
            part["customer_tier"],
            {
                "feature": ALL,
                "feature_verdict": "not_asked",
                "covered_requests": 0,
                "unreplayed_requests": 0,
                "covered_usd": Decimal(0),
            },
        )
        for name, value in part.items():
            row[name] = value if name == "customer_tier" else row.get(name, 0) + (value or 0)
    kept = [row for row in rows.values() if row["requests"]]
    for row in kept:
        row["changed_requests"] = row["covered_requests"]
        for case, other in zip(CASES, reversed(CASES), strict=True):
            row[f"saving_{case}_usd"] = row["actual_usd"] - row[f"cost_{other}_usd"]
        if row["requests"] == row["unpriced_requests"]:
            row.update({name: None for name in row if name.endswith("_usd")})
    return kept


def _kept_pool(found: Alone) -> dict[str, Any]:
    """The pools, which are of a month, for the days of the window."""
    months = Decimal(found.days) * 24 / HOURS_OF_MONTH
    return {
        "customer_tier": ALL,
        "requests": found.covered.requests,
        "covered_requests": found.covered.requests,
        "unpriced_requests": found.covered.unpriced_requests,
        "actual_usd": found.covered_usd,
        "covered_usd": found.covered_usd,
        **{f"cost_{one.case}_usd": exact(one.monthly_usd * months) for one in found.pools},
    }


def _kept_plan(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan of a tier. Where use falls the most, it costs the least: the cases of the plan are those of the cost turned round."""
    return {
        "customer_tier": plan["customer_tier"],
        "requests": plan["requests"],
        "covered_requests": plan["requests"],
        "unpriced_requests": plan["unpriced_requests"],
        "actual_usd": plan["cost_usd"],
        "covered_usd": plan["cost_usd"],
        "revenue_usd": plan["flat_revenue_usd"],
        **{
            f"{what}_{case}_usd": plan[f"{what}_{other}_usd"]
            for what in ("cost", "revenue")
            for case, other in zip(CASES, reversed(CASES), strict=True)
        },
    }


def all_plans(plans: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The plans of all tiers as one, with margins and the subsidy of heavy users over what the others leave."""
    total: dict[str, Any] = {}
    for plan in plans:
        for name, value in plan.items():
            if name != "customer_tier":
                total[name] = total.get(name, 0) + value
    return total


def margin_rate(revenue: Decimal, cost: Decimal) -> Decimal | None:
    return (revenue - cost) / revenue if revenue else None


def cases_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan line by line: flat, and metered with each drop of demand."""
    lines = [("flat", plan["flat_revenue_usd"], plan["cost_usd"], plan["flat_subsidy_usd"])]
    lines += [
        (f"metered, {case}", plan[f"revenue_{case}_usd"], plan[f"cost_{case}_usd"], plan[f"subsidy_{case}_usd"])
        for case in CASES
    ]
    return [
        {
            "plan": name,
            "users": plan["users"],
            "pay_more": plan["users_over_allowance"] if name != "flat" else 0,
            "revenue_usd": revenue,
            "cost_usd": cost,
            "margin_usd": revenue - cost,
            "margin_rate": margin_rate(revenue, cost),
            "subsidy_usd": subsidy,
        }
        for name, revenue, cost, subsidy in lines
    ]
