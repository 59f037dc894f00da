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
from pipelines.whatif.replay import Replay
from pipelines.whatif.scenarios import ALONE, CASES, Lever, Scenario, ScenarioError, scenarios_of
from pipelines.whatif.self_host import Pool, pools_of


@dataclass(frozen=True)
class Alone:
    """An answer of its own form: pools of GPUs, or plans by customer tier."""

    name: str
    first: date
    end: date
    pools: list[Pool]
    plans: list[dict[str, Any]]
    assumed: list[dict[str, Any]]
    held: str
    risk: str
    # What the calls that are meant cost, and what all calls of the window cost.
    covered_usd: Decimal
    actual_usd: Decimal


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
        lever.kind.held,
        lever.kind.risk,
        sum((row["cost_usd"] or Decimal(0) for row in (*hours, *plans)), Decimal(0)),
        replay.booked_usd(),
    )


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
