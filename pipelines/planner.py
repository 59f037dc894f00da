"""Which partitions of which tables are out of date, and why.

A partition is up to date when its fingerprint is the hash of its query, of what its inputs hold now in the dates it reads,
and of the reference rows that are valid in those dates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

import duckdb
import numpy as np
import polars as pl

from pipelines.contract import shapes
from pipelines.lake import CLOSED, CLOSED_MONTHS, CLOSED_MONTHS_TYPES, Lake, Part, digest
from pipelines.models import Model, ModelError
from pipelines.periods import end_of, is_finer, periods

# Raised when the runner writes other bytes for the same query.
RUNNER_VERSION = "2"

REGISTER = "staged_files"
CALLS = "staged_requests"
# A month of more staged calls than these is kept by day.
BUSY_MONTH_ROWS = 500_000
CLOCK = "ledger_clock"
ZONE = "ref_reporting"
_EPOCH = date(1970, 1, 1)
_LONGEST = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31)}
_FINGERPRINT_LENGTH = 32
_VALIDITY = (("valid_from_date", "valid_to_date"), ("effective_from", "effective_to"), ("rate_date", "next_rate_date"))


@dataclass(frozen=True)
class Span:
    """Dates from ``first`` up to ``end``, which is not among them; None where open."""

    first: date | None
    end: date | None

    def overlaps(self, first: date, end: date) -> bool:
        return (self.end is None or first < self.end) and (self.first is None or end > self.first)


EVER = Span(None, None)


def _edges(span: Span) -> tuple[date, date]:
    return span.first or date.min, span.end or date.max


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


class Planner:
    """Compares the lake with the models. Content hashes are read from the lake as it is at each call."""

    def __init__(self, lake: Lake, models: Mapping[str, Model]) -> None:
        self._lake = lake
        self._models = models
        self._references: dict[tuple[str, str], Callable[[Span], str]] = {}
        self._values: dict[tuple[str, str], object] = {}

    def plan(self, model: Model, *, full: bool = False, window: Span = EVER) -> Plan:
        """The partitions of a table that are out of date, oldest first, within ``window``."""
        standing = self._standing(model)
        if not full and self._lake.is_settled(model.name, standing):
            return Plan(model, (), ())
        wanted = self._partitions(model)
        built = {part.start: part for part in self._lake.parts(model.name)}
        stale = []
        for start in wanted:
            if start is not None and not window.overlaps(start, end_of(model.partition or "day", start)):
                continue
            fingerprint = self.fingerprint(model, start)
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
                    if start not in known and any(span.overlaps(*_edges(other)) for other in moving[table]):
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
        around = self._around(model, grain)
        for stale in plan.stale:
            if stale.start is not None:
                found.update(periods(model.partition, stale.start - around, end_of(grain, stale.start) + around))
        return found

    def fingerprint(self, model: Model, start: date | None) -> str:
        lines = [RUNNER_VERSION, duckdb.__version__, model.name, model.version, str(start)]
        for table in sorted(model.inputs):
            span = self.span(model, table, start, start)
            if table == CLOCK and (end := self.clock_end(model, start)) is not None:
                now = self._clock()
                lines.append(f"{table}:{min(now, end) if now else now}")
            elif table.startswith("ref_"):
                lines.append(f"{table}:{self._reference(table, span)}")
            else:
                # The register knows a clock; what of it decides other tables is its fingerprint.
                is_register = table == REGISTER
                found = (
                    f"{p.start}@{p.fingerprint if is_register else p.content_hash}"
                    for p in self.files(table, span)
                    # A period without rows is as good as none.
                    if p.rows or is_register
                )
                lines.append(f"{table}:" + " ".join(sorted(found)))
        return digest(lines)[:_FINGERPRINT_LENGTH]

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
        if ZONE in model.inputs and self._zone() == "UTC":
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
        part = self._lake.part(table, None)
        if part is None:
            return None
        key = (table, part.content_hash)
        if key not in self._values:
            [self._values[key]] = pl.read_parquet(self._lake.absolute(part))[column].to_list()
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
        rows = con.execute("describe select * from read_parquet(?)", [str(self._lake.absolute(part))]).fetchall()
        return {row[0]: row[1] for row in rows}

    def _partitions(self, model: Model) -> list[date | None]:
        """The partitions a table should have: those that its inputs' partitions touch, or those of the inputs that lead.

        The days of a daily table come from daily inputs alone: a monthly table that it looks something up in makes no days.
        In a reporting time zone a week has also what lies around it: its first hours may be of the day before.
        """
        if model.partition is None:
            return [None]
        starts: set[date] = set()
        for table in (model.leads or model.inputs) - {model.name}:
            grain = self.grain(table)
            if grain is None or (model.partition == "day" and is_finer(model.partition, grain)):
                continue
            around = self._around(model, grain)
            for part in self._lake.parts_within(table, None, None):
                if part.start is not None and part.rows:
                    starts.update(periods(model.partition, part.start - around, end_of(grain, part.start) + around))
        return [*sorted(starts)]

    def _around(self, model: Model, grain: str) -> timedelta:
        """How far outside of its own dates a partition of an input gives rows to a table of reporting weeks or months."""
        is_coarser = model.partition is not None and is_finer(grain, model.partition)
        if not is_coarser or ZONE not in model.inputs or self._zone() == "UTC":
            return timedelta()
        return model.reads_around

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
        if key not in self._references:
            self._references[key] = _rows_in_force(pl.read_parquet(self._lake.absolute(part)))
        return self._references[key](span)


def keeps_calls(model: Model) -> bool:
    """Whether a table of days has rows of single instants, as many as there are calls, spans or tasks."""
    dated = model.dated
    return dated is not None and dated.grain == "day" and dated.type != "DATE"


def _rows_in_force(rows: pl.DataFrame) -> Callable[[Span], str]:
    """For any span, a sum of the hashes of the rows that are valid in it."""
    if "rate_date" in rows.columns:
        # A rate to USD holds until its currency's next.
        rows = rows.sort("currency", "rate_date").with_columns(
            pl.col("rate_date").shift(-1).over("currency").alias("next_rate_date")
        )
    validity = next(((a, b) for a, b in _VALIDITY if a in rows.columns and b in rows.columns), None)
    # Where a price began before a span, or ends after it, decides nothing in it: a cut elsewhere must not wake it.
    is_clipped = validity in _VALIDITY[1:]
    # Where a row stands in which file decides ties only; its place must not wake a partition by itself.
    left_out = ["reference_row", "reference_file", *(validity if validity and is_clipped else ())]
    text = pl.concat_str(pl.exclude(left_out).cast(pl.String).fill_null("\x00"), separator="\x1f")
    lines = rows.select(text).to_series()
    if validity is None:
        whole = digest(sorted(lines))
        return lambda span: whole
    begin, stop = (pl.col(name) for name in validity)
    hashes = _hashes(lines)
    starts, ends = rows.select(begin.cast(pl.Date).fill_null(date.min), _day_after(stop))
    # Rows in force in a span are those begun before its end without those over at its start: two looks at running sums.
    begun, over = _running_sum(starts, hashes), _running_sum(ends, hashes, including=True)
    if not is_clipped:
        return lambda span: str((begun(_edges(span)[1]) - over(_edges(span)[0])).tobytes().hex())
    from_hashes = _hashes(lines + "\x1ffrom " + _as_text(rows, begin))
    to_hashes = _hashes(lines + "\x1fto " + _as_text(rows, stop))
    from_days, to_days = rows.select(
        pl.when(begin.is_null()).then(date.min).otherwise(_day_after(begin)), stop.cast(pl.Date).fill_null(date.max)
    )
    begun_inside, begun_earlier = (
        _running_sum(starts, from_hashes),
        _running_sum(from_days, from_hashes, including=True),
    )
    stopped, stopped_earlier = _running_sum(to_days, to_hashes), _running_sum(ends, to_hashes, including=True)

    def in_force(span: Span) -> str:
        first, end = _edges(span)
        rows_sum = begun(end) - over(first)
        from_sum = begun_inside(end) - begun_earlier(first)
        to_sum = stopped(end) - stopped_earlier(first)
        return str((rows_sum + from_sum + to_sum).tobytes().hex())

    return in_force


def _as_text(rows: pl.DataFrame, column: pl.Expr) -> pl.Series:
    return rows.select(column.cast(pl.String).fill_null("None")).to_series()


def _hashes(lines: pl.Series) -> Any:
    """A hash of 128 bits a line as two whole numbers, whose sums may run over: shape (lines, 2)."""
    found = b"".join([hashlib.blake2b(line.encode(), digest_size=16).digest() for line in lines])
    return np.frombuffer(found, dtype="<u8").reshape(-1, 2)


def _running_sum(days: pl.Series, hashes: Any, *, including: bool = False) -> Callable[[date], Any]:
    """The sum of the hashes whose day is before a day, or up to it (``including``)."""
    keys = days.to_physical().to_numpy()
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    sums = np.concatenate([np.zeros((1, 2), dtype="<u8"), np.cumsum(hashes[order], axis=0, dtype="<u8")])
    side: Literal["left", "right"] = "right" if including else "left"
    return lambda day: sums[np.searchsorted(keys, (day - _EPOCH).days, side)]


def _day_after(value: pl.Expr) -> pl.Expr:
    """First whole day on which a row that ends at an instant or date is no longer valid."""
    instant = value.cast(pl.Datetime("us"))
    day = instant.dt.date()
    at_midnight = instant.dt.truncate("1s").dt.time() == time()
    # The last day that there is, is open.
    is_last = day == date.max
    return (
        pl.when(value.is_null() | is_last)
        .then(date.max)
        .when(at_midnight)
        .then(day)
        .otherwise(day + pl.duration(days=1))
    )


def stale_weeks(plans: Iterable[Plan]) -> list[date]:
    """The Mondays that the stale partitions of some tables touch."""
    weeks: set[date] = set()
    for plan in plans:
        if plan.model.partition:
            for stale in plan.stale:
                if stale.start is not None:
                    weeks.update(periods("week", stale.start, end_of(plan.model.partition, stale.start)))
    return sorted(weeks)
