"""Every model is right for any set of periods at once: the runner builds as many together as are out of date.

The rows of a period, hash by hash and in order, are the same whether it is built with all others, alone, or with every third
one, so that what is built together need not be neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import pytest

from pipelines import runner
from pipelines.books import Books, run
from pipelines.engine import connect
from pipelines.models import Model, models
from pipelines.paths import DataRoot
from pipelines.periods import end_of
from pipelines.planner import Stale
from pipelines.relations import create_view, dated_as
from pipelines.settings import Settings
from tests.assets.conftest import call, land_calls

TABLES = sorted(name for name, model in models().items() if model.partition is not None)
Rows = dict[date, list[int]]


@pytest.fixture(scope="module")
def opened(golden_books: DataRoot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    with connect(Settings(threads=1), tmp_path_factory.mktemp("scratch")) as con:
        yield Books(golden_books, Settings(), con, lambda text: None)


def built(opened: Books, model: Model, starts: Sequence[date]) -> Rows:
    """By period, the hashes of its rows in order, of one execution."""
    runner.create_input_views(opened.con, opened.lake, opened.planner, model, starts)
    _, found = runner._run(opened.con, opened.planner, model, [Stale(start, "", "") for start in starts])
    return {
        stale.start: [row for table in tables for row in table.column("row_hash").to_pylist()]
        for stale, tables in found
        if stale.start is not None
    }


@pytest.mark.parametrize("table", TABLES)
def test_all_periods_at_once_are_one_by_one_and_two_unequal_halves(opened: Books, table: str) -> None:
    model = models()[table]
    starts = [part.start for part in opened.lake.parts(table) if part.start is not None]
    if not starts:
        pytest.skip("the golden company has no row of it")
    one_by_one: Rows = {}
    for start in starts:
        one_by_one |= built(opened, model, [start])
    thirds = built(opened, model, starts[::3]) | built(
        opened, model, [s for n, s in enumerate(starts) if n % 3] or starts
    )

    # A table that reads its own earlier periods finds them in the lake here, and is built in turn by a run.
    assert built(opened, model, starts) == one_by_one
    assert thirds == one_by_one


@pytest.mark.parametrize("table", [name for name in TABLES if models()[name].leads])
def test_a_period_in_which_the_inputs_that_lead_have_no_rows_has_none(opened: Books, table: str) -> None:
    """``leads`` in a header. Every other period is asked for, and what leads is there for all the others."""
    model = models()[table]
    starts = [part.start for part in opened.lake.parts(table) if part.start is not None][::2]
    if not starts:
        pytest.skip("the golden company has no row of it")
    runner.create_input_views(opened.con, opened.lake, opened.planner, model, starts)
    for lead in model.leads:
        grain = opened.planner.grain(lead) or "day"
        left = [
            part
            for part in opened.planner.read_by(model, lead, starts)
            if part.start is not None
            and not any(
                opened.planner.own_span(model, start).overlaps(part.start, end_of(grain, part.start))
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

    report = run(root)

    without = {"ledger_bills", "ledger_usage", "ledger_restated_days", "mart_reconciliation_daily"}
    assert without & {built.model.name for built in report.built} == set()
    assert without & {result.table for result in report.results} == set()
    assert not any(root.table(table).exists() for table in without)
