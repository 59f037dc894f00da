"""Every model is right for any set of periods at once: the runner builds as many together as are out of date.

The rows of a period, hash by hash and in order, are the same whether it is built with all others, alone, or with every third
one, so that what is built together need not be neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import pytest

from pipelines import runner
from pipelines.books import Books
from pipelines.engine import connect
from pipelines.models import Model, models
from pipelines.paths import DataRoot
from pipelines.planner import Stale
from pipelines.settings import Settings

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
