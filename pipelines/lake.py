"""The lake: read and atomically replace a partition, know what it was built from, one run at a time.

A partition is one Parquet file. Its key-value metadata holds ``fingerprint`` (what it was built from), ``content_hash``
(sha256 of its rows as written) and ``header_version``. The files are the truth; ``.index.json`` is a cache of what they
say, so that planning does not open every file.

Rows come as Arrow tables: writing those costs less than half of what the engine's own writer takes, in columns as many as
the ledger's, and a file depends on nothing but its rows.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.paths import DataRoot

# A table as it was when its months were closed: ``closed_<table>``, read from the sets below closed/.
CLOSED = "closed_"
# The months that are closed, one file of one row a month.
CLOSED_MONTHS = f"{CLOSED}months"
CLOSED_MONTHS_TYPES: Mapping[str, str] = {"month_start_date": "DATE"}

# Rows of a row group: what readers skip or read as one, and what a writer holds at least.
ROW_GROUP_ROWS = 122_880
_held: set[Path] = set()
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class LakeError(RuntimeError):
    """The lake cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Part:
    """One Parquet file of a table. ``start`` is the first day of its partition, None where the table has no partitions."""

    path: str
    start: date | None
    fingerprint: str
    content_hash: str
    rows: int
    size: int
    mtime_ns: int


class Lake:
    """The tables below ``lake/``. Open it once a run; ``save_index`` at the end is a courtesy to the next."""

    def __init__(self, root: DataRoot) -> None:
        self.root = root
        self._parts: dict[str, dict[str, Part]] = {}
        self._known: dict[str, dict[str, list]] = {}  # type: ignore[type-arg]
        self._ordered: dict[str, list[Part]] = {}
        self._changed = False
        self._load()

    # ---- reading
    def tables(self) -> list[str]:
        return sorted(self._parts)

    def parts(self, table: str) -> list[Part]:
        """The files of a table, oldest partition first."""
        if table not in self._ordered:
            parts = self._of(table).values()
            self._ordered[table] = sorted(parts, key=lambda part: (part.start or date.min, part.path))
        return list(self._ordered[table])

    def part(self, table: str, start: date | None) -> Part | None:
        return next((part for part in self._of(table).values() if part.start == start), None)

    def absolute(self, part: Part) -> Path:
        return self.root.path / part.path

    # ---- writing
    def write(self, rows: Iterable[pa.Table], target: Path, fingerprint: str, header_version: str) -> Path:
        """Write tables of one schema beside ``target``, in order, and return the temporary file; ``put`` sets it in place.

        The same rows in the same order give the same bytes, in whatever pieces they come.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        tables = iter(rows)
        first = next(tables)
        with temporary.open("wb") as file:
            hashed = _Hashed(file, header_version)
            with pq.ParquetWriter(
                hashed,
                first.schema,
                compression="zstd",
                compression_level=1,
                # Keys differ in every row: a dictionary of them is work for nothing.
                dictionary_pagesize_limit=1 << 16,
                store_schema=False,
                store_decimal_as_integer=True,
            ) as writer:
                for group in _row_groups(first, tables):
                    writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
                # What is left to write is the footer.
                writer.add_key_value_metadata(
                    {
                        "fingerprint": fingerprint,
                        "content_hash": hashed.sha256.hexdigest(),
                        "header_version": header_version,
                    }
                )
        return temporary

    def put(self, temporary: Path, target: Path, table: str, start: date | None) -> Part:
        """Set a written file in place with one rename; readers see the old file or the new one."""
        temporary.replace(target)
        part = _describe(target, self.root.relative(target), start)
        self._parts.setdefault(table, {})[part.path] = part
        self._ordered.pop(table, None)
        self._changed = True
        return part

    def remove(self, table: str, part: Part) -> None:
        path = self.absolute(part)
        path.unlink(missing_ok=True)
        if path.parent != self.root.table(table) and not any(path.parent.iterdir()):
            path.parent.rmdir()
        self._parts[table].pop(part.path, None)
        self._ordered.pop(table, None)
        self._changed = True

    def forget_closed(self) -> None:
        """Look at the closed months anew: one has been closed."""
        for table in [table for table in self._parts if table.startswith(CLOSED)]:
            del self._parts[table]
            self._ordered.pop(table, None)

    def save_index(self) -> None:
        if not self._changed:
            return
        # What nobody has asked for in this run is kept as it was known.
        content: dict[str, object] = {
            table: entries
            for table, entries in self._known.items()
            if table.startswith(CLOSED) and table not in self._parts
        }
        content |= {
            table: {
                part.path: [
                    part.start and part.start.isoformat(),
                    part.fingerprint,
                    part.content_hash,
                    part.rows,
                    part.size,
                    part.mtime_ns,
                ]
                for part in parts.values()
            }
            for table, parts in self._parts.items()
        }
        replace_text(self.root.index, json.dumps(content, separators=(",", ":")))
        self._changed = False

    # ---- the index
    def _of(self, table: str) -> Mapping[str, Part]:
        if table.startswith(CLOSED) and table not in self._parts:
            self._load_closed(table)
        return self._parts.get(table, {})

    def _load_closed(self, table: str) -> None:
        """The files of a table in all closed months; one without partitions counts as of the month that was closed."""
        found: dict[str, Part] = {}
        for month in months_closed(self.root):
            folder = self.root.closed_month(month) / "lake" / table.removeprefix(CLOSED)
            if folder.is_dir():
                found |= self._described(table, [(path, start or month) for path, start in _files(folder)])
        self._parts[table] = found

    def _load(self) -> None:
        if self.root.index.is_file():
            try:
                self._known = json.loads(self.root.index.read_text(encoding="utf-8"))
            except (ValueError, OSError):
                self._known = {}
        if not self.root.lake.is_dir():
            return
        for folder in sorted(self.root.lake.iterdir()):
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            self._parts[folder.name] = self._described(folder.name, _files(folder))
            self._changed |= len(self._parts[folder.name]) != len(self._known.get(folder.name, {}))

    def _described(self, table: str, files: Iterable[tuple[Path, date | None]]) -> dict[str, Part]:
        """What the files of a table say of themselves, by the index where it knows them as they are."""
        cached = self._known.get(table, {})
        found: dict[str, Part] = {}
        for path, start in files:
            name = self.root.relative(path)
            status = path.stat()
            entry = cached.get(name)
            if entry and entry[4] == status.st_size and entry[5] == status.st_mtime_ns:
                found[name] = Part(name, start, entry[1], entry[2], entry[3], entry[4], entry[5])
            else:
                found[name] = _describe(path, name, start)
                self._changed = True
        return found


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
    """Remove what a killed run left behind: temporary files beside their targets and the scratch folder.

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
    if root.lock in _held:
        # The run's own parts (the steps of a job in one process) take it again.
        yield
        return
    with root.lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LakeError(
                f"Another run is at work in {root.path} (process {holder}). Wait for it to end, then run again."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        _held.add(root.lock)
        try:
            yield
        finally:
            _held.discard(root.lock)


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


def _files(folder: Path) -> Iterator[tuple[Path, date | None]]:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and "=" in entry.name:
            start = date.fromisoformat(entry.name.partition("=")[2])
            yield from (
                (path, start) for path in sorted(entry.iterdir()) if path.suffix == ".parquet" and path.name[0] != "."
            )
        elif entry.suffix == ".parquet" and entry.name[0] != ".":
            yield entry, None


def _describe(path: Path, name: str, start: date | None) -> Part:
    """What a file says of itself. A file without our metadata, or a broken one, counts as built from nothing."""
    status = path.stat()
    try:
        metadata = pq.read_metadata(path)
        said = {
            key.decode(): value.decode() for key, value in (metadata.metadata or {}).items() if key != b"ARROW:schema"
        }
        rows = metadata.num_rows
    except (OSError, ValueError):
        said, rows = {}, 0
    return Part(
        name, start, said.get("fingerprint", ""), said.get("content_hash", ""), rows, status.st_size, status.st_mtime_ns
    )


class _Hashed:
    """A file being written and the hash of what went into it."""

    def __init__(self, file: BinaryIO, beginning: str) -> None:
        self._file = file
        self.sha256 = hashlib.sha256(beginning.encode())

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file is its opener's to close."""

    @property
    def closed(self) -> bool:
        return self._file.closed


def _row_groups(first: pa.Table, rest: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows in one piece a row group, so that pages do not depend on the pieces in which rows come."""
    waiting = first
    for table in rest:
        waiting = pa.concat_tables([waiting, table])
        whole = waiting.num_rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS
        for start in range(0, whole, ROW_GROUP_ROWS):
            yield waiting.slice(start, ROW_GROUP_ROWS).combine_chunks()
        waiting = waiting.slice(whole)
    for start in range(0, max(waiting.num_rows, 1), ROW_GROUP_ROWS):
        yield waiting.slice(start, ROW_GROUP_ROWS).combine_chunks()
