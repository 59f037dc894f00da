"""A scenario held against what happened: replayed on the weeks before a real change, compared with the weeks after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from pipelines.paths import DataRoot
from pipelines.whatif.answer import WINDOW_DAYS, books_of, other_book_of, scenario_rows
from pipelines.whatif.replay import Replay, summed
from pipelines.whatif.scenarios import CASES, Scenario, ScenarioError, scenarios_of


@dataclass(frozen=True)
class Tried:
    """What a scenario said of the calls of a feature, and what they cost after the change, in USD for each call."""

    feature: str
    before_requests: int
    after_requests: int
    before_usd: Decimal
    predicted_low_usd: Decimal
    predicted_mid_usd: Decimal
    predicted_high_usd: Decimal
    actual_usd: Decimal

    @property
    def error(self) -> Decimal:
        """Of the middle figure, as a share of what happened."""
        return self.predicted_mid_usd / self.actual_usd - 1

    @property
    def unchanged_error(self) -> Decimal:
        """The same had one said that nothing changes: what a scenario has to beat."""
        return self.before_usd / self.actual_usd - 1

    @property
    def is_within(self) -> bool:
        """Whether what happened lies between low and high."""
        low, *_, high = sorted((self.predicted_low_usd, self.predicted_mid_usd, self.predicted_high_usd))
        return low <= self.actual_usd <= high


def backtest(
    root: DataRoot, asked: str, given: Sequence[str], day: date, *, say: Callable[[str], None] = lambda _: None
) -> list[Tried]:
    """Features that the scenarios cover, four weeks before and from the day of the change. Raises ScenarioError."""
    scenarios = scenarios_of(scenario_rows(root), asked, given)
    length = timedelta(days=WINDOW_DAYS)
    with books_of(root, day - length, day + length) as (con, first, end):
        say(f"{asked} on the weeks before {day}")
        return backtest_of(con, scenarios, first, day, end, other_book=other_book_of(con, root, scenarios))


def backtest_of(
    con: duckdb.DuckDBPyConnection,
    scenarios: Sequence[Scenario],
    first: date,
    day: date,
    end: date,
    *,
    other_book: str = "",
) -> list[Tried]:
    """The same on a connection that has the tables."""
    told = summed(Replay(con, first, day, other_book=other_book).run(scenarios).rows, ["feature"])
    happened = {row["feature"]: row for row in summed(Replay(con, day, end).run([]).rows, ["feature"])}
    found = []
    for row in told:
        after = happened.get(row["feature"])
        if not row["covered_requests"] or after is None:
            continue
        before_calls, after_calls = _priced(row), _priced(after)
        if before_calls and after_calls and after["actual_usd"]:
            low, mid, high = (row[f"cost_{case}_usd"] / before_calls for case in CASES)
            before, actual = row["actual_usd"] / before_calls, after["actual_usd"] / after_calls
            found.append(Tried(row["feature"], before_calls, after_calls, before, low, mid, high, actual))
    if not found:
        raise ScenarioError(f"No feature that is meant has calls with a cost both before {day} and from then on.")
    return found


def _priced(row: dict[str, Any]) -> int:
    return int(row["requests"] - row["unpriced_requests"])
