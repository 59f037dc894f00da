"""The lake: read and atomically replace what a file holds, know what it was built from, one run at a time.

Storage is coarse, staleness is fine. A table of days has one file a month, ``lake/<table>/month=<first day>/part.parquet``, or
a file a day in that folder where the month is busy (``day=<day>.parquet``); one of months a file a month, one of weeks a
file a year. Fragments of the staged shapes lie by month. What was built of which inputs is known of each period: a file
names its periods in its metadata, each with its fingerprint, content hash and number of rows. The files are the
truth; ``.index.json`` is a cache of what they say, so that planning does not open every file.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import re
import shutil
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.parquet import PeriodRows, described, write_periods, write_rows
from pipelines.paths import DataRoot
from pipelines.periods import start_of

# A table as it was when its months were closed: ``closed_<table>``, read from the sets below closed/.
CLOSED = "closed_"
# The months that are closed, one file of one row a month.
CLOSED_MONTHS = f"{CLOSED}months"
CLOSED_MONTHS_TYPES: Mapping[str, str] = {"month_start_date": "DATE"}

# What a file, or a folder of them, holds of a table of days, weeks and months.
STORED_BY: Mapping[str, str] = {"day": "month", "week": "year", "month": "month"}
_WHOLE = "part.parquet"
_held: set[Path] = set()
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
# Of what is known of a file in the index: its size, its modification time, its periods.
_Known = tuple[int, int, list[list[Any]]]


class LakeError(RuntimeError):
    """The lake cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """One period of a table and the file that holds it. ``start`` is its first day, None where the table has no periods."""

    path: str
    start: date | None
    fingerprint: str
    content_hash: str
    rows: int
    # How many periods its file holds.
    together: int


class Lake:
    """The tables below ``lake/``. Open it once a run; ``save_index`` at the end is a courtesy to the next."""

    def __init__(self, root: DataRoot) -> None:
        self.root = root
        self._files: dict[str, dict[str, _Known]] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._settled: dict[str, str] = {}
        self._met: dict[str, dict[str, list[str]]] = {}
        self._ordered: dict[str, list[Part]] = {}
        self._states: dict[str, str] = {}
        self._changed = False
        self._load()

    # ---- reading
    def tables(self) -> list[str]:
        return sorted(self._files)

    def parts(self, table: str) -> list[Part]:
        """The periods of a table, oldest first."""
        return list(self._parts(table))

    def part(self, table: str, start: date | None) -> Part | None:
        parts = self._parts(table)
        if start is None:
            return parts[0] if parts and parts[0].start is None else None
        place = bisect_left(parts, start, key=_start_of)
        return parts[place] if place < len(parts) and parts[place].start == start else None

    def parts_within(self, table: str, first: date | None, end: date | None) -> list[Part]:
        """The periods of a table that begin from ``first`` on and before ``end``, found without a look at the others."""
        parts = self._parts(table)
        begin = bisect_left(parts, first, key=_start_of) if first else 0
        return parts[begin : bisect_left(parts, end, key=_start_of) if end else len(parts)]

    def absolute(self, part: Part) -> Path:
        return self.root.path / part.path

    def state(self, table: str, *, built_from: bool = False) -> str:
        """A hash of what a table holds, period by period; with ``built_from`` of what its periods were built from."""
        key = f"{table} {built_from}"
        if key not in self._states:
            said = (f"{p.start} {p.fingerprint if built_from else p.content_hash}" for p in self._parts(table))
            self._states[key] = digest(list(said))
        return self._states[key]

    # ---- writing
    def write(self, rows: Iterable[pa.Table], target: Path, fingerprint: str, header_version: str) -> Path:
        """Write a table without periods beside ``target``; ``put`` sets it in place."""
        return write_rows(rows, target, fingerprint, header_version)

    def put(self, temporary: Path, target: Path, table: str) -> Part:
        """Set a written table without periods in place with one rename; readers see the old file or the new one."""
        temporary.replace(target)
        self._note(table, target, None)
        return self._parts(table)[0]

    def store(
        self,
        table: str,
        folder: Path,
        built: Sequence[PeriodRows],
        gone: Collection[date],
        header_version: str,
        schema: pa.Schema | None,
        *,
        by_day: bool,
        hold: Callable[[Path], None] = lambda path: None,
    ) -> None:
        """Bring one folder of a table up to date: periods just built take the place of older ones, those gone leave it.

        The others are carried over as they are. ``by_day``: a file a day. ``hold`` looks at a file before it counts. A
        folder whose form changes is put together beside its place and exchanged in one step.
        """
        replaced = {*(period.start for period in built), *gone}
        there = self._in_folder(table, folder)
        kept = [part for part in there if part.start not in replaced]
        if not built and not kept:
            for path in {part.path for part in there}:
                self.remove_file(table, path)
            return
        changes_form = any(by_day == _is_whole(part) for part in there)
        into = folder.with_name(f".{folder.name}.new") if changes_form else folder
        if by_day:
            for period in (*built, *(self._carried(table, kept) if changes_form else ())):
                target = into / f"day={period.start}.parquet"
                written = write_periods([period], target, header_version)
                hold(written)
                written.replace(target)
        else:
            periods = sorted([*built, *self._carried(table, kept)], key=lambda period: period.start)
            written = write_periods(periods, into / _WHOLE, header_version, schema)
            hold(written)
            written.replace(into / _WHOLE)
        if changes_form:
            _exchange(into, folder)
            shutil.rmtree(into)
        elif by_day:
            for part in there:
                if part.start in gone:
                    self.absolute(part).unlink(missing_ok=True)
        self._look_again(table, folder)

    def has_form(self, table: str, folder: Path, *, by_day: bool) -> bool:
        """Whether a folder of a table holds its periods as it should: a file a day, or all in one."""
        return all(by_day != _is_whole(part) for part in self._in_folder(table, folder))

    def add_fragment(self, table: str, path: Path, periods: Sequence[PeriodRows]) -> None:
        """Write a file of its own, which takes the place of no other one."""
        write_periods(periods, path, "fragment").replace(path)
        self._note(table, path, None)

    def remove_file(self, table: str, path: str) -> None:
        """Take a file away, with all of its periods."""
        absolute = self.root.path / path
        absolute.unlink(missing_ok=True)
        if absolute.parent != self.root.table(table) and not any(absolute.parent.iterdir()):
            absolute.parent.rmdir()
        self._files[table].pop(path, None)
        self._forget(table)

    def forget_closed(self) -> None:
        """Look at the closed months anew: one has been closed."""
        for table in [table for table in self._files if table.startswith(CLOSED)]:
            del self._files[table]
            self._forget(table)

    # ---- what was settled
    def is_settled(self, table: str, standing: str) -> bool:
        """Whether nothing of a table was out of date when all that decides it stood as it does (``standing``)."""
        return self._settled.get(table) == standing

    def settle(self, table: str, standing: str) -> None:
        """Note that nothing of a table is out of date as all that decides it stands."""
        if self._settled.get(table) != standing:
            self._settled[table] = standing
            self._changed = True

    def met(self, table: str) -> dict[str, list[str]]:
        """What is noted of the days of a table: a hash of all that each can reach, and one of what of it the day meets."""
        return self._met.get(table, {})

    def note_met(self, table: str, met: dict[str, list[str]]) -> None:
        """Note what the days of a table meet around them: to find it out is a look at many rows."""
        self._met[table] = met
        self._changed = True

    # ---- the index
    def save_index(self) -> None:
        if not self._changed:
            return
        # What nobody has asked for in this run is kept as it was known.
        content = {t: e for t, e in self._known.items() if t.startswith(CLOSED) and t not in self._files}
        content |= self._files
        index = {"tables": content, "settled": self._settled, "met": self._met}
        replace_text(self.root.index, json.dumps(index, separators=(",", ":")))
        self._changed = False

    def _parts(self, table: str) -> list[Part]:
        if table not in self._ordered:
            found = [
                Part(path, date.fromisoformat(start) if start else None, built_from, content, rows, len(periods))
                for path, (_, _, periods) in self._of(table).items()
                for start, built_from, content, rows in periods
            ]
            self._ordered[table] = sorted(found, key=lambda part: (part.start or date.min, part.path))
        return self._ordered[table]

    def _in_folder(self, table: str, folder: Path) -> list[Part]:
        inside = self.root.relative(folder) + "/"
        return [part for part in self._parts(table) if part.path.startswith(inside)]

    def _of(self, table: str) -> Mapping[str, _Known]:
        if table.startswith(CLOSED) and table not in self._files:
            self._load_closed(table)
        return self._files.get(table, {})

    def _load_closed(self, table: str) -> None:
        """The files of a table in all closed months; one without periods counts as of the month that was closed."""
        found: dict[str, _Known] = {}
        for month in months_closed(self.root):
            folder = self.root.closed_month(month) / "lake" / table.removeprefix(CLOSED)
            if folder.is_dir():
                found |= self._described(table, [(path, start or month) for path, start in _files(folder)])
        self._files[table] = found

    def _load(self) -> None:
        if self.root.index.is_file():
            try:
                index = json.loads(self.root.index.read_text(encoding="utf-8"))
                self._known, self._settled = index["tables"], index["settled"]
                self._met = index.get("met", {})
            except (ValueError, OSError, KeyError, TypeError):
                self._known, self._settled, self._met = {}, {}, {}
        if not self.root.lake.is_dir():
            return
        for folder in sorted(self.root.lake.iterdir()):
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            self._files[folder.name] = self._described(folder.name, _files(folder))
            self._changed |= len(self._files[folder.name]) != len(self._known.get(folder.name, {}))

    def _described(self, table: str, files: Iterable[tuple[Path, date | None]]) -> dict[str, _Known]:
        """What the files of a table say of themselves, by the index where it knows them as they are."""
        cached = self._known.get(table, {})
        found: dict[str, _Known] = {}
        for path, start in files:
            name = self.root.relative(path)
            status = path.stat()
            entry = cached.get(name)
            if entry and entry[0] == status.st_size and entry[1] == status.st_mtime_ns:
                found[name] = (entry[0], entry[1], entry[2])
            else:
                found[name] = _said_of(path, start)
                self._changed = True
        return found

    def _note(self, table: str, path: Path, start: date | None) -> None:
        self._files.setdefault(table, {})[self.root.relative(path)] = _said_of(path, start)
        self._forget(table)

    def _look_again(self, table: str, folder: Path) -> None:
        """Read anew what the files of a folder say; those that are as they were stay known."""
        inside = self.root.relative(folder) + "/"
        files = self._files.setdefault(table, {})
        self._known[table] = {name: files.pop(name) for name in list(files) if name.startswith(inside)}
        files |= self._described(table, _files_in(folder))
        self._forget(table)

    def _forget(self, table: str) -> None:
        self._ordered.pop(table, None)
        self._states.pop(f"{table} True", None)
        self._states.pop(f"{table} False", None)
        self._changed = True

    # ---- storing
    def _carried(self, table: str, parts: Sequence[Part]) -> Iterator[PeriodRows]:
        """Periods as their files hold them; in a file they stand one behind the other, oldest first."""
        import pyarrow.parquet as pq

        wanted = {part.start for part in parts}
        for path in sorted({part.path for part in parts}):
            with pq.ParquetFile(self.root.path / path) as file:
                rows = file.read()
            offset = 0
            for part in (part for part in self._parts(table) if part.path == path):
                if part.start in wanted and part.start is not None:
                    yield PeriodRows(part.start, part.fingerprint, [rows.slice(offset, part.rows)], part.content_hash)
                offset += part.rows


def home(root: DataRoot, table: str, grain: str, start: date) -> Path:
    """The folder that holds a period of a table."""
    storage = STORED_BY[grain]
    first = start.replace(month=1, day=1) if storage == "year" else start_of("month", start)
    return root.stored(table, storage, first)


def _is_whole(part: Part) -> bool:
    return part.path.endswith(f"/{_WHOLE}")


def _start_of(part: Part) -> date:
    return part.start or date.min


def _files(folder: Path) -> Iterator[tuple[Path, date | None]]:
    """The files of a table, each with the first day of the only period it has, where it does not name its periods itself."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and "=" in entry.name:
            yield from _files_in(entry)
        elif entry.suffix == ".parquet":
            yield entry, None


def _files_in(folder: Path) -> Iterator[tuple[Path, date | None]]:
    start = date.fromisoformat(folder.name.partition("=")[2])
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix == ".parquet" and path.name[0] != ".":
                yield path, start


def _said_of(path: Path, start: date | None) -> _Known:
    status = path.stat()
    periods = [[p.start and p.start.isoformat(), p.fingerprint, p.content_hash, p.rows] for p in described(path, start)]
    return status.st_size, status.st_mtime_ns, periods


def _exchange(one: Path, other: Path) -> None:
    """Two folders change places in one step, where the system can; else in two."""
    at_working_folder, exchange = -100, 2
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
        done = call(at_working_folder, os.fsencode(one), at_working_folder, os.fsencode(other), exchange) == 0
    except (AttributeError, OSError):
        done = False
    if not done:
        aside = one.with_name(f"{one.name}.old")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def months_closed(root: DataRoot) -> list[date]:
    """The months that are closed, oldest first: the sets that are whole."""
    if not root.closed.is_dir():
        return []
    return sorted(
        date.fromisoformat(f"{folder.name}-01")
        for folder in root.closed.iterdir()
        if _MONTH.fullmatch(folder.name) and folder.is_dir()
    )


def sweep(root: DataRoot) -> list[str]:
    """Remove what a killed run left behind: temporary files and folders beside their targets and the scratch folder.

    Returns what was removed. Only the holder of the run lock may call it.
    """
    removed = []
    if root.scratch.exists():
        removed.append(root.relative(root.scratch))
        shutil.rmtree(root.scratch)
    if root.set_under_way.exists():
        # Its files may be read-only; their folders are not.
        removed.append(root.relative(root.set_under_way))
        shutil.rmtree(root.set_under_way)
    if root.lake.is_dir():
        for left in sorted(root.lake.glob("*/.*=*.new*")):
            place = left.with_name(left.name.removesuffix(".old").removesuffix(".new")[1:])
            if left.name.endswith(".old") and not place.exists():
                # Killed between the two renames of a system that cannot exchange folders.
                left.rename(place)
            else:
                removed.append(root.relative(left))
                shutil.rmtree(left)
    for folder in (root.lake, root.exports):
        if folder.is_dir():
            for path in sorted(folder.rglob(".*.tmp")):
                path.unlink()
                removed.append(root.relative(path))
    return removed


@contextmanager
def run_lock(root: DataRoot) -> Iterator[None]:
    """One run at a time for each data root. The lock dies with its process.

    Raises LakeError where another run holds it.
    """
    root.lake.mkdir(parents=True, exist_ok=True)
    with exclusive(root.lock, f"Another run is at work in {root.path}", "run again"):
        yield


@contextmanager
def exclusive(path: Path, busy: str, then: str) -> Iterator[None]:
    """One process at a time has the lock of a file. Raises LakeError, which begins with ``busy``, where another one has it."""
    if path in _held:
        # The run's own parts (the steps of a job in one process) take it again.
        yield
        return
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LakeError(f"{busy} (process {holder}). Wait for it to end, then {then}.") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _held.add(path)
        try:
            yield
        finally:
            _held.discard(path)


def replace_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def digest(parts: Mapping[str, str] | list[str]) -> str:
    """sha256 of texts in the order given (a mapping by key)."""
    texts = [f"{key}={parts[key]}" for key in sorted(parts)] if isinstance(parts, Mapping) else parts
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
