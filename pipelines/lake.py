"""The lake: read and atomically replace a partition, know what it was built from, one run at a time.

A partition is one Parquet file. Its key-value metadata holds ``fingerprint`` (what it was built from), ``content_hash``
(sha256 of its rows as written), ``row_count`` and ``header_version``. The files are the truth; ``.index.json`` is a cache of
what they say, so that planning does not open every file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipelines.engine import quoted
from pipelines.paths import DataRoot

# Written first, replaced by the hash of the column data once that is known: same length, so no offset moves.
_HASH_TO_COME = "0" * 64
_TAIL = 8
_held: set[Path] = set()


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
        self._changed = False
        self._load()

    # ---- reading
    def tables(self) -> list[str]:
        return sorted(self._parts)

    def parts(self, table: str) -> list[Part]:
        """The files of a table, oldest partition first."""
        return sorted(self._parts.get(table, {}).values(), key=lambda part: (part.start or date.min, part.path))

    def part(self, table: str, start: date | None) -> Part | None:
        return next((part for part in self._parts.get(table, {}).values() if part.start == start), None)

    def absolute(self, part: Part) -> Path:
        return self.root.path / part.path

    # ---- writing
    def write(
        self,
        con: duckdb.DuckDBPyConnection,
        query: str,
        target: Path,
        fingerprint: str,
        header_version: str,
        *,
        order: str = "",
    ) -> Path:
        """Write the rows of ``query`` beside ``target`` and return the temporary file; ``put`` sets it in place.

        The same rows in the same order give the same bytes, for any number of threads.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        con.execute(
            f"copy ({query}{order}) to {quoted(str(temporary))} (format parquet, compression zstd, compression_level 1, "
            "write_bloom_filter false, "
            f"kv_metadata {{fingerprint: {quoted(fingerprint)}, content_hash: {quoted(_HASH_TO_COME)}, "
            f"header_version: {quoted(header_version)}}})"
        ).fetchall()
        _seal(temporary, header_version)
        return temporary

    def put(self, temporary: Path, target: Path, table: str, start: date | None) -> Part:
        """Set a written file in place with one rename; readers see the old file or the new one."""
        temporary.replace(target)
        part = _describe(target, self.root.relative(target), start)
        self._parts.setdefault(table, {})[part.path] = part
        self._changed = True
        return part

    def remove(self, table: str, part: Part) -> None:
        path = self.absolute(part)
        path.unlink(missing_ok=True)
        if path.parent != self.root.table(table) and not any(path.parent.iterdir()):
            path.parent.rmdir()
        self._parts[table].pop(part.path, None)
        self._changed = True

    def save_index(self) -> None:
        if not self._changed:
            return
        content = {
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
    def _load(self) -> None:
        known: dict[str, dict[str, list]] = {}  # type: ignore[type-arg]
        if self.root.index.is_file():
            try:
                known = json.loads(self.root.index.read_text(encoding="utf-8"))
            except (ValueError, OSError):
                known = {}
        if not self.root.lake.is_dir():
            return
        for folder in sorted(self.root.lake.iterdir()):
            if folder.name.startswith(".") or not folder.is_dir():
                continue
            cached = known.get(folder.name, {})
            found: dict[str, Part] = {}
            for path, start in _files(folder):
                name = self.root.relative(path)
                status = path.stat()
                entry = cached.get(name)
                if entry and entry[4] == status.st_size and entry[5] == status.st_mtime_ns:
                    found[name] = Part(name, start, entry[1], entry[2], entry[3], entry[4], entry[5])
                else:
                    found[name] = _describe(path, name, start)
                    self._changed = True
            self._parts[folder.name] = found
            self._changed |= len(found) != len(cached)


def sweep(root: DataRoot) -> list[str]:
    """Remove what a killed run left behind: temporary files beside their targets and the scratch folder.

    Returns what was removed. Only the holder of the run lock may call it.
    """
    removed = []
    if root.scratch.exists():
        removed.append(root.relative(root.scratch))
        shutil.rmtree(root.scratch)
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


def _seal(path: Path, header_version: str) -> None:
    """Replace the placeholder in the footer by the sha256 of the column data and the header version."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - _TAIL)
        footer_length = int.from_bytes(file.read(4), "little")
        data_end = size - _TAIL - footer_length
        file.seek(0)
        content = hashlib.sha256(header_version.encode())
        left = data_end
        while left:
            block = file.read(min(left, 1 << 20))
            content.update(block)
            left -= len(block)
        footer = file.read(footer_length)
        place = footer.index(_HASH_TO_COME.encode())
        file.seek(data_end + place)
        file.write(content.hexdigest().encode())
