"""The books that a run's steps work on, opened once a run and under one lock; and what a run has to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from assets.weeks import keys_of, range_tags
from pipelines import paths
from pipelines.books import Books, RunReport, open_books
from pipelines.lake import LakeError
from pipelines.models import Model
from pipelines.paths import DataRoot
from pipelines.periods import EVER, Span, end_of, start_of
from pipelines.planner import Plan

# A run of the daemon that meets another one at work waits this long for it to end.
PATIENCE_S = 900
_PAUSE_S = 2

if TYPE_CHECKING:
    Materialized = dg.MaterializeResult[None]
else:
    # Of a step with checks Dagster accepts the plain class only.
    Materialized = dg.MaterializeResult


@dataclass
class Run:
    """Open books, what is asked of this run, and what it has done so far."""

    books: Books
    full: bool = False
    window: Span = EVER
    report: RunReport = field(default_factory=RunReport)


@dataclass(frozen=True)
class Work:
    """What is to be done: tables with something out of date, and the Dagster partitions that cover it, oldest first."""

    tables: frozenset[str]
    weeks: tuple[str, ...]

    @property
    def tags(self) -> Mapping[str, str]:
        """Run tags that name the weeks."""
        return range_tags(self.weeks)

    @property
    def keys(self) -> list[dg.AssetKey]:
        return [dg.AssetKey(table) for table in sorted(self.tables)]

    def __str__(self) -> str:
        weeks = f", weeks {self.weeks[0]} to {self.weeks[-1]}" if self.weeks else ""
        return f"{len(self.tables)} table{'s' * (len(self.tables) != 1)} out of date{weeks}"


def data_root() -> DataRoot:
    """The data root of this process."""
    return DataRoot(paths.default_root())


@dg.resource(
    config_schema={
        "full": dg.Field(bool, default_value=False, description="Read every file and build every partition again."),
        "first": dg.Field(str, is_required=False, description="Build nothing before this day, such as 2026-11-02."),
        "end": dg.Field(str, is_required=False, description="Build nothing from this day on."),
    },
    description="The books of the data root, under its run lock.",
)
def books_of_a_run(context: dg.InitResourceContext) -> Iterator[Run]:
    """The books of ``$TOKENBOOKS_DATA``, for the steps of one run."""
    config = context.resource_config
    first, end = (date.fromisoformat(config[name]) if name in config else None for name in ("first", "end"))
    with ExitStack() as stack:
        books = _open_when_free(stack, data_root(), context.log.info if context.log else print)
        yield Run(books, config["full"], Span(first, end))


def _open_when_free(stack: ExitStack, root: DataRoot, tell: Callable[[str], None]) -> Books:
    """The books, once no other run is at work. Raises LakeError where that takes longer than PATIENCE_S."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return stack.enter_context(open_books(root, tell))
        except LakeError as error:
            if time.monotonic() >= give_up_at:
                raise
            tell(str(error))
            time.sleep(_PAUSE_S)


def outstanding(books: Books, *, full: bool = False, window: Span = EVER, select: Collection[str] = ()) -> Work:
    """What a run of the tables has to do now, as far as can be told: tables, and the weeks they are out of date in.

    A table with a failed check is among them until it is mended, so that what depends on it is held back each time.
    """
    plans = books.outlook()
    due: dict[str, set[date | None]] = {}
    for name, plan in plans.items():
        if not select or name in select:
            due[name] = _starts(plan, window)
            if full:
                due[name] |= _starts(books.plan(name, full=True), window)
    for result in books.results.missed:
        if result.table in due and result.severity == "critical":
            due[result.table].add(_start(result.partition))
    tables = frozenset(name for name, starts in due.items() if starts)
    return Work(tables, tuple(keys_of(window, mondays(books.models, due, window))))


def _starts(plan: Plan, window: Span) -> set[date | None]:
    """The partitions of a table that have to be built within ``window``, or whose files have to go."""
    grain = plan.model.partition
    found = {
        stale.start
        for stale in plan.stale
        if grain is None or stale.start is None or window.overlaps(stale.start, end_of(grain, stale.start))
    }
    return found | {part.start for part in plan.gone}


def mondays(models: Mapping[str, Model], due: Mapping[str, Collection[date | None]], window: Span) -> set[date]:
    """The weeks of the days that are due, by table. Where only months are, one week will do: a step builds every month that is due."""
    starts = {(models[name].partition, start) for name, found in due.items() for start in found if start}
    mondays = {start_of("week", start) for grain, start in starts if grain != "month"}
    if mondays or not starts:
        return mondays
    newest = max(start for _, start in starts)
    return {start_of("week", max(newest, window.first or newest))}


def _start(label: str) -> date | None:
    """The partition that the label of a check result names."""
    return None if label == "all" else date.fromisoformat(label)
