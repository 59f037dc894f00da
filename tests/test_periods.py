"""Every model is right for any set of periods at once: the runner builds as many together as are out of date.

The rows of a period, hash by hash and in order, are the same whether it is built with all others, alone, or with some of them,
so that what is built together need not be neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path

import pytest

from pipelines import runner
from pipelines.books import Books, open_books, run
from pipelines.engine import FOR_MANY_ROWS, connect, planned_without
from pipelines.meetings import create_views, met_around
from pipelines.models import Model, inputs, models
from pipelines.paths import DataRoot
from pipelines.periods import end_of
from pipelines.planner import Stale
from pipelines.relations import create_view, dated_as
from pipelines.settings import Settings
from tests.assets.conftest import call, land_calls
from tests.conftest import upstream

TABLES = sorted(name for name, model in models().items() if model.partition is not None)
# So many periods are each built alone.
FEW = 9
Rows = dict[date, list[int]]


@pytest.fixture(scope="module")
def opened(golden_books: DataRoot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with connect(Settings(threads=1), tmp_path_factory.mktemp("scratch")) as con:
        yield Books(golden_books, Settings(), con, lambda text: None)


def built(opened: Books, model: Model, starts: Sequence[date], *, reads_little: bool = False) -> Rows:
    """By period, the hashes of its rows in order, of one execution; ``reads_little``: planned as for few rows."""
    runner.create_input_views(opened.con, opened.lake, opened.planner, model, starts)
    with planned_without(opened.con, FOR_MANY_ROWS if reads_little else ()):
        _, found = runner._run(opened.con, opened.planner, model, [Stale(start, "", "") for start in starts])
    return {
        stale.start: [row for table in tables for row in table.column("row_hash").to_pylist()]
        for stale, tables in found
        if stale.start is not None
    }


def choices(starts: Sequence[date]) -> list[Sequence[date]]:
    """Sets of periods to build together: each alone and two unequal halves; of many the first, the middle and the last alone.

    Of many, those whose number has a binary digit and those whose number has not are sets as well: of any two periods one set
    has the first and not the second, so that no period can lean on another one that is built with it.
    """
    alone = starts if len(starts) <= FEW else [starts[0], starts[len(starts) // 2], starts[-1]]
    digits = range((len(starts) - 1).bit_length()) if len(starts) > FEW else ()
    return [
        *([start] for start in alone),
        *([s for n, s in enumerate(starts) if n >> digit & 1 == has] for digit in digits for has in (0, 1)),
        starts[::3],
        [s for n, s in enumerate(starts) if n % 3] or starts,
    ]


@pytest.mark.parametrize("table", TABLES)
def test_a_period_has_the_same_rows_whatever_periods_are_built_with_it(opened: Books, table: str) -> None:
    """Some together, and planned as few rows are: how a query is planned is nothing that its rows know of."""
    model = models()[table]
    starts = [part.start for part in opened.lake.parts(table) if part.start is not None]
    if not starts:
        pytest.skip("the golden company has no row of it")

    # A table that reads its own earlier periods finds them in the lake here, and is built in turn by a run.
    at_once = built(opened, model, starts)

    assert at_once.keys() == set(starts)
    for chosen in choices(starts):
        assert built(opened, model, chosen, reads_little=True) == {start: at_once[start] for start in chosen}


def test_rows_of_other_periods_that_come_out_as_well_are_left_behind(
    golden_books: DataRoot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of many rows that are nearly all wanted the result is not held to the periods by the query: here of any rows at all."""
    monkeypatch.setattr(runner, "FEW_ROWS", -1)
    compared = 0
    with connect(Settings(threads=1), tmp_path) as con:
        books = Books(golden_books, Settings(), con, lambda text: None)
        for table in (
            "stat_usage_cells_weekly",
            "stat_cost_cells_daily",
            "mart_dimension_costs_weekly",
            "ledger_tasks",
        ):
            starts = [part.start for part in books.lake.parts(table) if part.start is not None][1::2]
            monkeypatch.setattr(runner, "NEARLY_ALL", 2.0)
            held_to_them = built(books, models()[table], starts)
            monkeypatch.setattr(runner, "NEARLY_ALL", 0.0)
            assert built(books, models()[table], starts) == held_to_them
            compared += sum(map(len, held_to_them.values()))
    assert compared


def test_of_any_two_of_many_periods_each_is_built_once_without_the_other() -> None:
    starts = [date(2026, 9, 1) + timedelta(days=number) for number in range(37)]

    for first, second in permutations(starts, 2):
        assert any(first in chosen and second not in chosen for chosen in choices(starts))


@pytest.mark.parametrize("table", [name for name in TABLES if models()[name].meets])
def test_a_day_that_meets_the_same_around_it_has_the_same_rows(opened: Books, table: str) -> None:
    """``meets`` in a header. Days are taken away from what it reads, one by one: others that meet nothing there stay as they are."""
    model = models()[table]
    [days] = {frozenset(part.start for part in opened.lake.parts(name) if part.start) for name in ["staged_requests"]}
    read = [name for name in inputs(model.meets) if opened.lake.parts(name)]
    if not read:
        pytest.skip("the golden company has no row of it")
    sleepers = 0
    for left_out in sorted(days)[::6]:
        near = sorted(day for day in days if day != left_out and abs(day - left_out) <= model.reads_around)
        found = []
        for without in ({left_out}, set()):
            tables = {
                name: (
                    [part for part in opened.planner.read_by(model, name, near) if part.start not in without],
                    opened.planner.types(name, opened.con),
                    dated_as(name, opened.models),
                )
                for name in inputs(model.meets)
            }
            create_views(opened.con, opened.lake, model, tables)
            met = met_around(opened.con, model)
            runner.create_input_views(opened.con, opened.lake, opened.planner, model, near)
            for name, (parts, types, dated) in tables.items():
                create_view(opened.con, opened.lake, name, parts, types, dated)
            _, rows = runner._run(opened.con, opened.planner, model, [Stale(day, "", "") for day in near])
            found.append(
                (met, {stale.start: [t.column("row_hash").to_pylist() for t in pieces] for stale, pieces in rows})
            )
        (met_without, rows_without), (met_with, rows_with) = found
        same = [day for day in near if met_without.get(day) == met_with.get(day)]
        sleepers += len(same)
        assert {day: rows_without[day] for day in same} == {day: rows_with[day] for day in same}
    assert sleepers


def test_what_says_on_which_days_sessions_lie_misses_none_that_meets(root: DataRoot) -> None:
    """``lies_on`` in a header, beside ``meets``: one on 28 and 30 September, two of a task of 5 and 6 October, one of a day."""
    told = {"a": ("2026-09-28", None), "b": ("2026-10-05", "t"), "c": ("2026-10-06", "t"), "d": ("2026-10-13", "u")}
    lines = [
        call(n, f"{day}T10:00:00Z", session_id=session, **({"task_id": task} if task else {}))
        for n, (session, (day, task)) in enumerate([*told.items(), ("a", ("2026-09-30", None))], 1)
    ]
    land_calls(root, "a.jsonl", *lines)
    run(root, select=[name for name, model in models().items() if model.layer in ("reference", "ledger")])
    found = []
    with open_books(root) as books:
        model = models()["ledger_sessions"]
        for one in (model, replace(model, lies_on="")):
            tables = {
                name: (books.lake.parts(name), books.planner.types(name, books.con), dated_as(name, books.models))
                for name in inputs(model.meets)
            }
            create_views(books.con, books.lake, one, tables)
            found.append(met_around(books.con, one))

    assert found[0] == found[1]
    assert {str(day) for day in found[0]} == {"2026-09-28", "2026-09-30", "2026-10-05", "2026-10-06"}


@pytest.mark.parametrize("table", [name for name in TABLES if models()[name].leads])
def test_a_period_in_which_the_inputs_that_lead_have_no_rows_has_none(opened: Books, table: str) -> None:
    """``leads`` in a header. Every other period is asked for, and what leads is there for all the others."""
    model = models()[table]
    starts = [part.start for part in opened.lake.parts(table) if part.start is not None][::2]
    if not starts:
        pytest.skip("the golden company has no row of it")
    # A week by the month of its Monday may have its days in the month after.
    by_monday = model.partition == "month" and model.partition_column in ("week_start_date", "period_start_date")
    rest = timedelta(days=6 * by_monday)
    runner.create_input_views(opened.con, opened.lake, opened.planner, model, starts)
    for lead in model.leads:
        grain = opened.planner.grain(lead) or "day"
        left = [
            part
            for part in opened.planner.read_by(model, lead, starts)
            if part.start is not None
            and not any(
                opened.planner.own_span(model, start).overlaps(part.start - rest, end_of(grain, part.start))
                for start in starts
            )
        ]
        types = opened.planner.types(lead, opened.con)
        create_view(opened.con, opened.lake, lead, left, types, dated_as(lead, opened.models))

    _, found = runner._run(opened.con, opened.planner, model, [Stale(start, "", "") for start in starts])

    assert {stale.start: sum(len(rows) for rows in tables) for stale, tables in found} == dict.fromkeys(starts, 0)


def test_a_table_whose_leading_inputs_are_empty_is_not_planned_run_checked_or_written(root: DataRoot) -> None:
    """Calls without a bill: a table of bills has no file and no result of a check."""
    land_calls(root, "a.jsonl", call(1, "2026-09-28T10:00:00Z"))

    without = {"ledger_bills", "ledger_usage", "ledger_restated_days", "mart_reconciliation_daily"}

    report = run(root, select=upstream(*without, "mart_showback_weekly"))

    assert without & {built.model.name for built in report.built} == set()
    assert without & {result.table for result in report.results} == set()
    assert not any(root.table(table).exists() for table in without)
