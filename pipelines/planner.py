"""Which partitions of which tables are out of date, and why.

A partition is up to date when its fingerprint is the hash of its query, of what its inputs hold now in the dates it reads,
and of the reference rows that are valid in those dates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import polars as pl

from pipelines.contract import shapes
from pipelines.in_force import table_in_force
from pipelines.lake import CLOSED, CLOSED_MONTHS, CLOSED_MONTHS_TYPES, Lake, Part, digest
from pipelines.meetings import create_views, met_around
from pipelines.models import Model, ModelError, inputs
from pipelines.periods import EVER, Span, edges, end_of, is_finer, periods, start_of
from pipelines.relations import create_view, dated_as

# Raised when the runner writes other bytes for the same query.
RUNNER_VERSION = "3"

REGISTER = "staged_files"
CALLS = "staged_requests"
# A month of more staged calls than these is kept by day.
BUSY_MONTH_ROWS = 500_000
CLOCK = "ledger_clock"
ZONE = "ref_reporting"
# The column by which rows of a reference table bring about periods.
PERIOD_START = "period_start_date"
_LONGEST = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31)}
# A table that looks no further around looks for the hours of another time zone, one that does for the rest of its weeks.
_HOURS_OF_A_ZONE = timedelta(days=1)
_REST_OF_A_WEEK = timedelta(days=6)
_FINGERPRINT_LENGTH = 32


@dataclass(frozen=True)
class Stale:
    """One partition to build. ``start`` is None where the table has no partitions."""

    start: date | None
    fingerprint: str
    why: str


@dataclass(frozen=True)
class Plan:
    """What of one table is to be done: partitions to build, files of partitions that have no input any more.

    ``later``: of a table that reads itself, the partitions after the first to be built; each may become stale by the one before.
    """

    model: Model
    stale: tuple[Stale, ...]
    gone: tuple[Part, ...]
    later: tuple[date, ...] = ()
    # Whether it is of all periods, or of those in a window.
    is_whole: bool = False


# By table and content hash, for all data roots of a process.
_in_force: dict[tuple[str, str], Callable[[Span], str]] = {}
_IN_FORCE_AT_MOST = 64


class Planner:
    """Compares the lake with the models. Content hashes are read from the lake as it is at each call."""

    def __init__(self, lake: Lake, models: Mapping[str, Model], con: duckdb.DuckDBPyConnection | None = None) -> None:
        self._lake = lake
        self._models = models
        self._con = con
        self._values: dict[tuple[str, str, str], list[Any]] = {}
        self._types: dict[tuple[str, str], dict[str, str]] = {}

    def plan(self, model: Model, *, full: bool = False, window: Span = EVER) -> Plan:
        """The partitions of a table that are out of date, oldest first, within ``window``."""
        standing = self._standing(model)
        if not full and self._lake.is_settled(model.name, standing):
            return Plan(model, (), ())
        wanted = self._partitions(model)
        built = {part.start: part for part in self._lake.parts(model.name)}
        stale = []
        grain = model.partition or "day"
        within = [start for start in wanted if start is None or window.overlaps(start, end_of(grain, start))]
        for start, fingerprint in self.fingerprints(model, within).items():
            part = built.get(start)
            if part is None:
                stale.append(Stale(start, fingerprint, "not built yet"))
            elif part.fingerprint != fingerprint:
                stale.append(Stale(start, fingerprint, "its query or what it reads has changed"))
            elif full:
                stale.append(Stale(start, fingerprint, "asked for"))
        gone = tuple(part for start, part in built.items() if start not in set(wanted))
        later: tuple[date, ...] = ()
        if model.reads_itself and (first := min((s.start for s in stale if s.start), default=None)) is not None:
            ends = model.partition or "day"
            later = tuple(s for s in wanted if s is not None and s > first and window.overlaps(s, end_of(ends, s)))
        if window == EVER and not stale and not gone:
            self._lake.settle(model.name, standing)
        return Plan(model, tuple(stale), gone, later, is_whole=window == EVER)

    def settle(self, plan: Plan) -> None:
        """Note that a plan has been carried out: until something changes, nothing of its table is out of date."""
        if plan.is_whole:
            self._lake.settle(plan.model.name, self._standing(plan.model))

    def _standing(self, model: Model) -> str:
        """A hash of all that decides what of a table is out of date: its query, its inputs, and its periods as they are."""
        lines = [RUNNER_VERSION, duckdb.__version__, model.version, self._lake.state(model.name, built_from=True)]
        lines += [
            f"{table} {self.grain(table)} {self._lake.state(table, built_from=table == REGISTER)}"
            for table in sorted(model.inputs | {ZONE})
        ]
        if keeps_calls(model):
            lines.append(" ".join(map(str, self.busy_months())))
        return digest(lines)

    def busy_months(self) -> list[date]:
        """The months of which tables that keep a row a call have a file a day: those with very many staged calls."""
        rows: dict[date, int] = {}
        for part in self._lake.parts_within(CALLS, None, None):
            if part.start is not None:
                month = part.start.replace(day=1)
                rows[month] = rows.get(month, 0) + part.rows
        return sorted(month for month, count in rows.items() if count > BUSY_MONTH_ROWS)

    def outlook(self) -> dict[str, Plan]:
        """Every table's plan as far as it can be told now: a partition that reads what is itself to be rebuilt counts as stale.

        When the inputs are rebuilt to the same rows, fewer partitions than these are built.
        """
        plans: dict[str, Plan] = {}
        moving: dict[str, list[Span]] = {}
        for name, model in self._models.items():
            plan = self.plan(model)
            known = {stale.start for stale in plan.stale}
            found = list(plan.stale)
            wanted = set(self._partitions(model))
            for table in sorted(model.inputs & set(plans)):
                for start in sorted(
                    wanted | self._touched(model, table, plans[table]), key=lambda day: day or date.min
                ):
                    if table == CLOCK and self._is_past(model, start):
                        continue
                    span = self.span(model, table, start, start)
                    if start not in known and any(span.overlaps(*edges(other)) for other in moving[table]):
                        known.add(start)
                        found.append(Stale(start, "", f"{table} is to be rebuilt"))
            if model.reads_itself:
                for start in sorted(day for day in wanted | known if day is not None):
                    reach = Span(start - model.reads_self, start)
                    if start not in known and any(
                        day is not None and reach.overlaps(day, end_of(model.partition or "day", day)) for day in known
                    ):
                        known.add(start)
                        found.append(Stale(start, "", "an earlier partition is to be rebuilt"))
            plans[name] = Plan(model, tuple(sorted(found, key=lambda stale: stale.start or date.min)), plan.gone)
            starts = [stale.start for stale in found] + [part.start for part in plan.gone]
            moving[name] = self._merged(name, starts)
        return plans

    def _merged(self, table: str, starts: Iterable[date | None]) -> list[Span]:
        """Partitions as few spans, neighbours in one: a long history is mostly one span."""
        merged: list[Span] = []
        for start in sorted(starts, key=lambda day: day or date.min):
            if start is None:
                return [EVER]
            end = self._end(table, start)
            if merged and merged[-1].end is not None and start <= merged[-1].end:
                merged[-1] = Span(merged[-1].first, end)
            else:
                merged.append(Span(start, end))
        return merged

    def _touched(self, model: Model, table: str, plan: Plan) -> set[date | None]:
        """Partitions of ``model`` that do not exist yet and that a partition to be built of an input will bring about."""
        grain = self.grain(table)
        if model.leads and table not in model.leads:
            return set()
        if model.partition is None or grain is None or (model.partition == "day" and is_finer(model.partition, grain)):
            return set()
        found: set[date | None] = set()
        before, after = self._around(model, grain)
        for stale in plan.stale:
            if stale.start is not None:
                found.update(periods(model.partition, stale.start - before, end_of(grain, stale.start) + after))
        return found

    def fingerprint(self, model: Model, start: date | None) -> str:
        """A hash of all that decides the rows of a period."""
        return self.fingerprints(model, [start])[start]

    def fingerprints(self, model: Model, starts: Sequence[date | None]) -> dict[date | None, str]:
        """Of each period a hash of all that decides its rows."""
        tables = sorted(model.inputs)
        held = {start: [self._held(model, table, start) for table in tables] for start in starts}
        if model.meets:
            met_in = inputs(model.meets)
            found = self._met({start: lines for start, lines in held.items() if start is not None}, model)
            for start, lines in held.items():
                # Of the days around, what these tables hold counts as far as it meets the day.
                for place, table in enumerate(tables):
                    if table in met_in:
                        lines[place] = self._held(model, table, start, self.own_span(model, start))
                lines.append(f"met:{found.get(start, '')}" if start else "")
        about = [RUNNER_VERSION, duckdb.__version__, model.name, model.version]
        return {start: digest([*about, str(start), *lines])[:_FINGERPRINT_LENGTH] for start, lines in held.items()}

    def _held(self, model: Model, table: str, start: date | None, span: Span | None = None) -> str:
        """What a table holds in a span: that in which a model reads it for one of its periods, where none is given."""
        span = span or self.span(model, table, start, start)
        if table == CLOCK and (end := self.clock_end(model, start)) is not None:
            now = self._clock()
            return f"{table}:{min(now, end) if now else now}"
        if table.startswith("ref_"):
            return f"{table}:{self._reference(table, span)}"
        # The register knows a clock; what of it decides other tables is its fingerprint.
        is_register = table == REGISTER
        found = (
            f"{p.start}@{p.fingerprint if is_register else p.content_hash}"
            for p in self.files(table, span)
            # A period without rows is as good as none.
            if p.rows or is_register
        )
        return f"{table}:" + " ".join(sorted(found))

    def _met(self, held: Mapping[date, Sequence[str]], model: Model) -> dict[date, str]:
        """Of each day a hash of what it meets around it. What was found out once holds while nothing in its reach changes."""
        about = [duckdb.__version__, model.version, model.meets, model.lies_on]
        reach = {start: digest([*about, *lines])[:16] for start, lines in held.items()}
        known = self._lake.met(model.name)
        new = [start for start in held if known.get(str(start), [""])[0] != reach[start]]
        if new:
            if self._con is None:
                self._con = duckdb.connect()
                self._con.execute("set TimeZone = 'UTC'")
            tables = {
                table: (self.read_by(model, table, new), self.types(table, self._con), dated_as(table, self._models))
                for table in inputs(model.meets)
            }
            create_views(self._con, self._lake, model, tables)
            found = met_around(self._con, model)
            known = known | {str(start): [reach[start], found.get(start, "")] for start in new}
            self._lake.note_met(model.name, known)
        return {start: known[str(start)][1] for start in held}

    def files(self, table: str, span: Span) -> list[Part]:
        """The periods of a table that overlap a span."""
        if (whole := self._lake.part(table, None)) is not None:
            return [whole]
        # Of years of days only those near the span are looked at.
        grain = self.grain(table) or "day"
        first = span.first - _LONGEST[grain] if span.first else None
        return [
            part
            for part in self._lake.parts_within(table, first, span.end)
            if part.start is None or span.overlaps(part.start, end_of(grain, part.start))
        ]

    def create_view(self, con: duckdb.DuckDBPyConnection, table: str, span: Span, name: str = "") -> None:
        """A view with the rows of a span of any table, whole periods at least, under its name or another."""
        parts, types = self.files(table, span), self.types(table, con)
        create_view(con, self._lake, name or table, parts, types, dated_as(table, self._models))

    def read_by(self, model: Model, table: str, starts: Sequence[date | None]) -> list[Part]:
        """The periods of a table that a model reads to build some of its own."""
        found: dict[tuple[str, date | None], Part] = {}
        for span in self._merged_spans(self.span(model, table, start, start) for start in starts):
            found |= {(part.path, part.start): part for part in self.files(table, span)}
        return [found[key] for key in sorted(found, key=lambda key: (key[1] or date.min, key[0]))]

    @staticmethod
    def _merged_spans(spans: Iterable[Span]) -> list[Span]:
        """Spans in order, those that meet in one: of neighbours each input is looked at once."""
        merged: list[Span] = []
        for span in spans:
            last = merged[-1] if merged else None
            if last is None or span.first is None or last.end is None or last.first is None or span.first > last.end:
                merged.append(span)
            else:
                merged[-1] = Span(last.first, max(last.end, span.end) if span.end else None)
        return merged

    @property
    def models(self) -> Mapping[str, Model]:
        return self._models

    @staticmethod
    def own_span(model: Model, start: date | None) -> Span:
        """The dates of a period."""
        return Span(start, end_of(model.partition or "day", start)) if start else EVER

    def span(self, model: Model, table: str, first: date | None, last: date | None) -> Span:
        """What a model reads of a table to build the partitions from ``first`` to ``last``."""
        if first is None or last is None or model.partition is None:
            return EVER
        if table == model.name:
            return Span(first - model.reads_self, first)
        around = model.reads_around
        if ZONE in model.inputs and around <= _HOURS_OF_A_ZONE and self._zone() == "UTC":
            # It looks around its weeks for the hours that another zone puts into them: in UTC there are none.
            around = timedelta()
        before, after = model.reads_back + around, around
        return Span(first - before, end_of(model.partition, last) + after)

    def clock_end(self, model: Model, last: date | None) -> datetime | None:
        """The moment at which the books' clock stands still for partitions up to ``last``; None where it never does.

        A table that asks the clock only whether its partition is over says so (``clock_stops``): old partitions then sleep on.
        """
        if model.clock_stops is None or model.partition is None or last is None:
            return None
        return datetime.combine(end_of(model.partition, last), time(), UTC) + model.clock_stops

    def _is_past(self, model: Model, start: date | None) -> bool:
        """Whether the clock stands still for a partition already, so that its moving on changes nothing."""
        end, now = self.clock_end(model, start), self._clock()
        return end is not None and now is not None and end <= now

    def _clock(self) -> datetime | None:
        """The books' now as it is in the lake."""
        now = self._only_value(CLOCK, "now_at")
        return now if isinstance(now, datetime) else None

    def _only_value(self, table: str, column: str) -> object:
        """The value of a table of one row; None before there is one."""
        [value] = self._column(table, column) or [None]
        return value

    def _column(self, table: str, column: str) -> list[Any]:
        """The values of a column of a table without periods; none before it is there."""
        part = self._lake.part(table, None)
        if part is None:
            return []
        key = (table, column, part.content_hash)
        if key not in self._values:
            self._values[key] = pl.read_parquet(self._lake.absolute(part))[column].to_list()
        return self._values[key]

    def types(self, table: str, con: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Names and types of the columns of any table that a model may read.

        Raises ModelError for a table that does not exist.
        """
        if table == CLOSED_MONTHS:
            return dict(CLOSED_MONTHS_TYPES)
        table = table.removeprefix(CLOSED)
        if table in self._models:
            return self._models[table].types
        for shape in shapes().values():
            if table == shape.table:
                return shape.types
        part = self._lake.part(table, None)
        if part is None:
            raise ModelError(
                f"There is no table {table}: known are the models below sql/, the staged shapes and the reference tables."
            )
        key = (table, part.content_hash)
        if key not in self._types:
            rows = con.execute("describe select * from read_parquet(?)", [str(self._lake.absolute(part))]).fetchall()
            self._types[key] = {row[0]: row[1] for row in rows}
        return self._types[key]

    def _partitions(self, model: Model) -> list[date | None]:
        """The partitions a table should have: those that its inputs' partitions touch, or those of the inputs that lead.

        The days of a daily table come from daily inputs alone: a monthly table that it looks something up in makes no days.
        In a reporting time zone a week has also what lies around it: its first hours may be of the day before.
        """
        if model.partition is None:
            return [None]
        starts: set[date] = set()
        for table in (model.leads or model.inputs) - {model.name}:
            if table in model.leads and table.startswith("ref_"):
                starts.update(start_of(model.partition, day) for day in self._days_due(table))
                continue
            grain = self.grain(table)
            if grain is None or (model.partition == "day" and is_finer(model.partition, grain)):
                continue
            before, after = self._around(model, grain)
            for part in self._lake.parts_within(table, None, None):
                if part.start is not None and part.rows:
                    starts.update(periods(model.partition, part.start - before, end_of(grain, part.start) + after))
        return [*sorted(starts)]

    def _days_due(self, table: str) -> list[date]:
        """The days on which periods of a reference table start, as far as they are reached by the books' now."""
        now = self._clock()
        return [day for day in self._column(table, PERIOD_START) if now and day is not None and day <= now.date()]

    def _around(self, model: Model, grain: str) -> tuple[timedelta, timedelta]:
        """How far before and after its own dates a partition of an input gives rows to a table of reporting weeks or months."""
        is_coarser = model.partition is not None and is_finer(grain, model.partition)
        has_hours = is_coarser and ZONE in model.inputs and self._zone() != "UTC"
        hours = min(model.reads_around, _HOURS_OF_A_ZONE) if has_hours else timedelta()
        # A week that is kept by the month of its Monday may have all its days in the month after.
        has_weeks = model.partition == "month" and model.reads_around > _HOURS_OF_A_ZONE
        return hours + (_REST_OF_A_WEEK if has_weeks else timedelta()), hours

    def _zone(self) -> str:
        """The reporting time zone as it is in the lake."""
        return str(self._only_value(ZONE, "reporting_time_zone") or "UTC")

    def grain(self, table: str) -> str | None:
        """What the rows of a table are kept by; None for a table without periods."""
        if table.startswith("staged_") and table != REGISTER:
            return "day"
        model = self._models.get(table.removeprefix(CLOSED))
        if table.startswith(CLOSED):
            return model.partition if model and model.partition else "month"
        return model.partition if model else None

    def _end(self, table: str, start: date) -> date:
        return end_of(self.grain(table) or "day", start)

    def _reference(self, table: str, span: Span) -> str:
        """Hash of the rows of a reference table that are valid somewhere in a span (BOOKS: reading what is built)."""
        part = self._lake.part(table, None)
        if part is None:
            return "absent"
        key = (table, part.content_hash)
        if key not in _in_force:
            if len(_in_force) == _IN_FORCE_AT_MOST:
                del _in_force[next(iter(_in_force))]
            _in_force[key] = table_in_force(self._lake.absolute(part), part.rows, part.content_hash)
        return _in_force[key](span)


def keeps_calls(model: Model) -> bool:
    """Whether a table of days has rows of single instants, as many as there are calls, spans or tasks."""
    dated = model.dated
    return dated is not None and dated.grain == "day" and dated.type != "DATE"


def stale_weeks(plans: Iterable[Plan]) -> list[date]:
    """The Mondays that the stale partitions of some tables touch."""
    weeks: set[date] = set()
    for plan in plans:
        if plan.model.partition:
            for stale in plan.stale:
                if stale.start is not None:
                    weeks.update(periods("week", stale.start, end_of(plan.model.partition, stale.start)))
    return sorted(weeks)
