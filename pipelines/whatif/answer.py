"""A question answered: a scenario, or several together, over a window of the books of a data root."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import duckdb

from pipelines.engine import connect, one_row
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.periods import DAYS_OF_MONTH, EVER, Span
from pipelines.planner import Planner
from pipelines.prices.reprice import book_as_of
from pipelines.reference.files import current_frame
from pipelines.settings import load
from pipelines.whatif.intervals import Interval, exact
from pipelines.whatif.replay import Replay, Replayed, inputs, summed
from pipelines.whatif.scenarios import CASES, Scenario, ScenarioError, scenarios_of

# Four weeks.
WINDOW_DAYS = 28
_OTHER_BOOK = "whatif_other_book"


@dataclass(frozen=True)
class Payback:
    """When what a scenario costs by itself is earned back, and from which volume on it is within ``within_months``.

    ``months`` and ``breakeven_calls_per_month`` are None where it never is. Calls are those that the scenario changes.
    """

    case: str
    saving_per_month_usd: Decimal
    months: Decimal | None
    day: date | None
    within_months: Decimal
    calls_per_month: Decimal
    breakeven_calls_per_month: int | None


@dataclass(frozen=True)
class Answer:
    """What the calls of a window would have cost, and what that rests on."""

    name: str
    first: date
    end: date
    replayed: Replayed
    steps: list[dict[str, Any]]
    assumed: list[dict[str, Any]]
    held: list[str]
    risks: list[str]
    intervals: list[Interval]
    paybacks: list[Payback] = field(default_factory=list)

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    @property
    def interval(self) -> Interval:
        """What chance separates of all."""
        return next(one for one in self.intervals if not one.feature)

    @property
    def total(self) -> dict[str, Any]:
        return summed(self.replayed.rows)[0]

    def by(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        return summed(self.replayed.rows, columns)

    def per_month(self, usd: Decimal) -> Decimal:
        return per_month(usd, self.days)


def per_month(usd: Decimal, days: int) -> Decimal:
    return exact(usd * DAYS_OF_MONTH / days)


def scenario_rows(root: DataRoot) -> list[dict[str, Any]]:
    """The rows of scenarios.csv, ours and theirs. Raises ScenarioError with the place of a fault."""
    frame, problems = current_frame(root, "scenarios")
    if problems:
        raise ScenarioError("\n".join(str(problem) for problem in problems))
    return frame.to_dicts()


def ask(
    root: DataRoot,
    asked: str,
    given: Sequence[str] = (),
    *,
    first: date | None = None,
    end: date | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Replay the scenarios of ``a`` or ``a+b`` on the calls from one day to before another; by default four weeks that are over.

    Raises ScenarioError, and FileNotFoundError before the first run.
    """
    rows = scenario_rows(root)
    scenarios = scenarios_of(rows, asked, given)
    with books_of(root, first, end) as (con, first, end):
        book = other_book_of(con, root, scenarios)
        return answer(con, rows, scenarios, first, end, other_book=book, say=say)


def answer(
    con: duckdb.DuckDBPyConnection,
    rows: Sequence[Mapping[str, Any]],
    scenarios: Sequence[Scenario],
    first: date,
    end: date,
    *,
    other_book: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Answer:
    """The same on a connection that has the tables."""
    replay = Replay(con, first, end, other_book=other_book)
    say(", then ".join(one.name for one in scenarios))
    replayed = replay.run(scenarios, with_users=True)
    if not replayed.rows:
        raise ScenarioError(f"There is no call from {first} to before {end}.")
    intervals = replay.intervals(replayed)
    steps = _steps(replay, scenarios, _savings(replayed), say) if len(scenarios) > 1 else []
    levers = [lever for one in scenarios for lever in one.levers if lever.kind.query]
    return Answer(
        name="+".join(one.name for one in scenarios),
        first=first,
        end=end,
        replayed=replayed,
        steps=steps,
        assumed=assumed_of(rows, scenarios),
        held=list(dict.fromkeys(lever.kind.held for lever in levers)),
        risks=list(dict.fromkeys(lever.kind.risk for lever in levers)),
        intervals=intervals,
        paybacks=_paybacks(scenarios, replayed, first, end),
    )


def _steps(
    replay: Replay, scenarios: Sequence[Scenario], together: list[Decimal], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """What each scenario saves as the first of all (alone), in this order, and as the last, after all others."""
    saved: dict[tuple[str, ...], list[Decimal]] = {
        (): [Decimal(0)] * len(CASES),
        tuple(one.name for one in scenarios): together,
    }

    def savings_of(some: Sequence[Scenario]) -> list[Decimal]:
        names = tuple(one.name for one in some)
        if names not in saved:
            say(f"{' and '.join(names)} for the effect of the order")
            saved[names] = _savings(replay.run(some))
        return saved[names]

    steps = []
    for place, scenario in enumerate(scenarios):
        others = [*scenarios[:place], *scenarios[place + 1 :]]
        gains = {
            "alone": (savings_of([scenario]), savings_of([])),
            "saving": (savings_of(scenarios[: place + 1]), savings_of(scenarios[:place])),
            "last": (together, savings_of(others)),
        }
        steps.append(
            {"scenario": scenario.name}
            | {
                f"{kind}_{case}_usd": with_it[number] - without[number]
                for kind, (with_it, without) in gains.items()
                for number, case in enumerate(CASES)
            }
        )
    return steps


def _savings(replayed: Replayed) -> list[Decimal]:
    [total] = summed(replayed.rows)
    return [total[f"saving_{case}_usd"] or Decimal(0) for case in CASES]


def assumed_of(rows: Sequence[Mapping[str, Any]], scenarios: Sequence[Scenario]) -> list[dict[str, Any]]:
    """Every setting that was used, with the reason of its row; of whom a lever is for only what is set."""
    # Of a scenario of one's own, the reasons of the settings that it leaves as they are stand with our first one.
    reasons: dict[tuple[str, str, str], tuple[str, str]] = {}
    for row in rows:
        for name in (row["scenario"], ""):
            said_of_it = row["unit"] or "words", row["why"] or row.get("source_ref") or ""
            reasons.setdefault((name, row["lever"], row["parameter"]), said_of_it)
    found = []
    for scenario in scenarios:
        for lever in scenario.levers:
            for name, value in lever.settings.items():
                if value == "":
                    continue
                unit, why = (
                    reasons.get((scenario.name, lever.name, name))
                    or reasons.get(("", lever.name, name))
                    or ("words", "")
                )
                found.append(
                    {
                        "scenario": scenario.name,
                        "setting": name,
                        "low_mid_high": said(value),
                        "is_range": isinstance(value, tuple) and len(set(value)) > 1,
                        "unit": unit,
                        "why": "set for this question" if name in lever.given else why,
                    }
                )
    return found


def said(value: Any) -> str:
    """A setting as it is written in scenarios.csv."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(f"{one:f}" for one in value)
    texts = [f"{one:f}" for one in value]
    return texts[0] if len(set(texts)) == 1 else "/".join(texts)


def _paybacks(scenarios: Sequence[Scenario], replayed: Replayed, first: date, end: date) -> list[Payback]:
    """``one-off / (saving a month - what it costs a month)``; never, where that is nothing or less."""
    fixed = [lever.settings for one in scenarios for lever in one.levers if lever.name == "fixed"]
    if not fixed:
        return []
    found = []
    for place, (case, saving) in enumerate(zip(CASES, _savings(replayed), strict=True)):
        # The dearest assumption of what it costs belongs to the lowest saving.
        dearest = len(CASES) - 1 - place
        one_off = sum(settings["one_off_usd"][dearest] for settings in fixed)
        monthly = sum(settings["monthly_usd"][dearest] for settings in fixed)
        net = per_month(saving, (end - first).days) - monthly
        months = payback_months(one_off, net)
        day = end + timedelta(days=int(months * DAYS_OF_MONTH)) if months is not None and months < 1200 else None
        within = max(settings["paid_back_months"][dearest] for settings in fixed)
        calls = Decimal(summed(replayed.rows)[0]["changed_requests"])
        breakeven = breakeven_calls(one_off, monthly, within, saving / calls) if calls else None
        found.append(Payback(case, net, months, day, within, per_month(calls, (end - first).days), breakeven))
    return found


def breakeven_calls(
    one_off_usd: Decimal, monthly_usd: Decimal, within_months: Decimal, saving_per_call_usd: Decimal
) -> int | None:
    """Calls a month from which a one-off cost is earned back within some months, after what each month costs.

    ``(one-off / months + monthly) / saving of a call``; None where a call saves nothing.
    """
    if saving_per_call_usd <= 0:
        return None
    calls = (one_off_usd / within_months + monthly_usd) / saving_per_call_usd
    return int(calls.to_integral_value(ROUND_CEILING))


def payback_months(one_off_usd: Decimal, net_per_month_usd: Decimal) -> Decimal | None:
    """Months until a one-off cost is earned back; None where it never is."""
    return one_off_usd / net_per_month_usd if net_per_month_usd > 0 else None


def other_book_of(con: duckdb.DuckDBPyConnection, root: DataRoot, scenarios: Sequence[Scenario]) -> str:
    """Prices that a scenario names, as a table; an empty name where none does."""
    for scenario in scenarios:
        for lever in scenario.levers:
            card, known_at = lever.settings.get("rate_card", ""), lever.settings.get("known_at", "")
            if not (card or known_at):
                continue
            if card and not Path(card).is_file():
                raise ScenarioError(f"rate_card={card}: no such file.")
            try:
                frame = book_as_of(root, _instant_of(known_at), Path(card) if card else None)
            except ValueError as error:
                raise ScenarioError(str(error)) from None
            con.register("other_prices", frame.to_arrow())
            con.execute(f"create or replace temp table {_OTHER_BOOK} as from other_prices")
            con.unregister("other_prices")
            return _OTHER_BOOK
    return ""


def _instant_of(known_at: str) -> datetime | None:
    if not known_at:
        return None
    try:
        found = datetime.fromisoformat(known_at)
    except ValueError:
        raise ScenarioError(f"known_at={known_at}: expected a day or an instant such as 2026-11-02T14:00Z.") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


@contextmanager
def books_of(
    root: DataRoot, first: date | None, end: date | None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, date, date]]:
    """The tables of a data root that a replay reads, as views of a window, which is four weeks that are over unless given."""
    lake = Lake(root)
    planner = Planner(lake, models())
    if not lake.parts("stat_rate_cells_weekly"):
        raise FileNotFoundError(f"There are no books at {root.path} yet. Run 'tokenbooks run' first.")
    with connect(load(root.settings), root.scratch) as con:
        first, end = _window(con, planner, first, end)
        # Cells are kept by week of the reporting time zone, which begins up to a day before or after ours.
        span = Span(first - timedelta(days=8), end + timedelta(days=8))
        for name in inputs():
            own = span if name.startswith("stat_") else Span(first, end)
            planner.create_view(con, name, own)
        yield con, first, end


def _window(
    con: duckdb.DuckDBPyConnection, planner: Planner, first: date | None, end: date | None
) -> tuple[date, date]:
    if first is None or end is None:
        for name in ("ledger_clock", "stat_rate_cells_weekly"):
            planner.create_view(con, name, EVER)
        now = one_row(con, "select cast(max(now_at) as date) from ledger_clock")[0]
        oldest = one_row(con, "select min(usage_date) from stat_rate_cells_weekly")[0]
        end = end or max(now - timedelta(days=now.weekday()), oldest + timedelta(days=1))
        first = first or max(oldest, end - timedelta(days=WINDOW_DAYS))
    if first >= end:
        raise ScenarioError(f"The window from {first} to before {end} holds no day.")
    return first, end
