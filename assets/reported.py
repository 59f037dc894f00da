"""``tokenbooks run``: the job in this process, with what it did kept in Dagster's instance of the data root.

Dagster's pages then show the same materialisations, row counts and checks as after its own jobs, without the cost of a
step a table. Schedules, the sensor and backfills run as jobs (``assets.schedules``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from pipelines.books import Books, RunReport, open_books, work
from pipelines.paths import DataRoot
from pipelines.periods import EVER, Span

if TYPE_CHECKING:
    from assets.runs import Materialized


def run(
    root: DataRoot,
    *,
    full: bool = False,
    window: Span = EVER,
    select: Sequence[str] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> RunReport:
    """A run as ``books.run`` makes it. Where it fails, what it had done before is kept all the same."""
    report = RunReport()
    with open_books(root, progress) as books:
        before = _states(books)
        try:
            work(books, report, full=full, window=window, select=select)
        finally:
            refreshed = [table for table, state in _states(books).items() if state != before.get(table)]
            if report.problems or refreshed or report.read.files_read or report.built or report.published:
                from assets.instance import tell

                progress("telling Dagster")
                tell(root, _results(books, report, refreshed))
    return report


def _states(books: Books) -> Mapping[str, str]:
    return {table: books.lake.state(table) for table in books.lake.tables() if table.startswith("ref_")}


def _results(
    books: Books, report: RunReport, refreshed: Sequence[str]
) -> Iterator[tuple[Materialized, Mapping[str, Mapping[str, int | float]]]]:
    """What the steps of Dagster's jobs would say, with the Dagster partitions of each and what is said of these."""
    from assets import exports, models, sources

    yield sources.files_result(report.problems), {}
    for table in refreshed:
        yield sources.reference_result(books, table, report.notes), {}
    read = {version.source for version in report.read.files_read}
    for name in sorted(read):
        yield sources.source_result(name, report.read), {}
    for table in sources.tables_filled_by(read) if read else ():
        yield sources.staged_result(books, table), {}
    weeks = _weeks(books, report)
    for built in report.built:
        figures = models.weekly_metadata(books, built.model, weeks) if built.model.partition else {}
        yield models.table_result(books, built), figures
    if report.published:
        for result in exports.export_results(report.published):
            yield result, {}


def _weeks(books: Books, report: RunReport) -> Sequence[str]:
    """All weeks from the first to the last that something was built in, as a job over them would have it."""
    from assets.runs import mondays
    from assets.weeks import WEEKS, keys_of

    due = {
        built.model.name: {date.fromisoformat(label) for label in (*built.partitions, *built.removed)}
        for built in report.built
        if built.model.partition
    }
    keys = keys_of(EVER, mondays(books.models, due, EVER))
    return [key for key in WEEKS.get_partition_keys() if keys[0] <= key <= keys[-1]] if keys else []
