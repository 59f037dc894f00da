"""What lies in ``landing/`` and what is known of it: every version of every file, found again by content."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipelines.lake import Lake, digest
from pipelines.paths import DataRoot
from pipelines.records.files import PIECE_BYTES

TABLE = "staged_files"
_PULLED = re.compile(r"\.pulled-(\d{8}T\d{6})Z(?=\.|\Z)")
_DATED = re.compile(r"\d{4}(-?\d{2}){0,2}")
_BLOCK_BYTES = 1 << 20
# Folders that an export itself makes inside its delivery; they never name an account (BOOKS: files and time).
_EXPORT_FOLDERS = frozenset({"observations", "observations_v2", "scores", "traces", "manifests"})


@dataclass(frozen=True)
class Found:
    """A file in ``landing/`` as the folder listing shows it."""

    path: Path
    name: str
    source: str
    source_account: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class FileVersion:
    """One version of one landing file: a row of ``ledger_files`` but for the fates that the ledger decides.

    ``state``: ``current``; ``copy`` (the same bytes as another path of this source and account); ``replaced`` (by newer bytes
    under its path); ``refused`` (nothing of it could be read); ``withheld`` (no delivery of its source names it). ``batch``
    names the fragments that hold its rows.
    """

    path: str
    source: str
    source_account: str
    sha256: str
    file_bytes: int
    mtime_ns: int
    first_seen_at: datetime
    pulled_at: datetime
    schema_version: str
    reading_version: str
    state: str
    batch: str
    records: int
    quarantined: int
    context: int
    reason: str
    first_record_at: datetime | None
    last_record_at: datetime | None

    @property
    def key(self) -> tuple[str, str, str]:
        """The bytes as the books know them: the same bytes in two accounts are two things."""
        return (self.source, self.source_account, self.sha256)


_CLOCKED = {"mtime_ns", "first_seen_at", "pulled_at"}
_TIMELESS = [field.name for field in fields(FileVersion) if field.name not in _CLOCKED]
_INSTANT = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        (field.name, pa.int64() if field.type == "int" else _INSTANT if "datetime" in str(field.type) else pa.string())
        for field in fields(FileVersion)
    ]
)


def listing(root: DataRoot, known_sources: frozenset[str]) -> tuple[list[Found], list[str]]:
    """Every file below ``landing/<source>/``, ordered by path, and the folders that no source claims."""
    found: list[Found] = []
    strangers: list[str] = []
    if not root.landing.is_dir():
        return found, strangers
    for folder in sorted(root.landing.iterdir()):
        if folder.name.startswith("."):
            continue
        if not folder.is_dir() or folder.name not in known_sources:
            strangers.append(root.relative(folder))
            continue
        for entry in _walk(folder):
            status = entry.stat()
            inner = Path(entry.path).relative_to(folder).parts
            found.append(
                Found(
                    Path(entry.path),
                    root.relative(Path(entry.path)),
                    folder.name,
                    account_below(inner),
                    status.st_size,
                    status.st_mtime_ns,
                )
            )
    return sorted(found, key=lambda file: file.name), strangers


def account_below(inner: tuple[str, ...]) -> str:
    """The account that a file is of, from its path below its source's folder: the first folder, else ``default``."""
    if len(inner) < 2 or inner[0] in _EXPORT_FOLDERS or _DATED.fullmatch(inner[0]) or "=" in inner[0]:
        return "default"
    return inner[0]


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path))
            elif entry.is_file():
                yield entry


@dataclass(frozen=True)
class Contents:
    """What one pass over a file's bytes finds: ``lines`` counts one that is not ended; ``cuts`` are (offset, lines before it).

    Cuts are places between lines where a large file can be cut into pieces. A file of one piece, or without lines, has none.
    """

    sha256: str
    lines: int
    cuts: tuple[tuple[int, int], ...]


def contents_of(path: Path) -> Contents:
    """Hash, lines and cuts of a file as it lies there."""
    content, offset, lines, piece_start, last = hashlib.sha256(), 0, 0, 0, b"\n"
    cuts: list[tuple[int, int]] = []
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            content.update(block)
            end = block.rfind(b"\n") + 1
            if end and offset + end - piece_start >= PIECE_BYTES:
                piece_start = offset + end
                cuts.append((piece_start, lines + block.count(b"\n", 0, end)))
            lines += block.count(b"\n")
            offset += len(block)
            last = block[-1:]
    return Contents(content.hexdigest(), lines + (last != b"\n"), tuple(cut for cut in cuts if cut[0] < offset))


def pulled_at_of(name: str, mtime_ns: int) -> datetime:
    """When a file was pulled: the stamp in its name, else its modification time."""
    stamp = _PULLED.search(name)
    if stamp:
        return datetime.strptime(stamp[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC)


class Register:
    """Every file version known, kept in ``lake/staged_files``. Saving it is what commits a batch of read files."""

    def __init__(self, root: DataRoot, lake: Lake) -> None:
        self._root, self._lake = root, lake
        self._path = root.whole(TABLE)
        self._versions: dict[tuple[str, str], FileVersion] = {}
        self.is_changed = False
        self._next_save = 0.0
        if self._path.is_file():
            for row in pl.read_parquet(self._path).iter_rows(named=True):
                version = FileVersion(**row)
                self._versions[version.path, version.sha256] = version

    def __iter__(self) -> Iterator[FileVersion]:
        return iter(self._versions.values())

    def live(self) -> dict[str, FileVersion]:
        """By path, the version that counts now."""
        return {version.path: version for version in self if version.state != "replaced"}

    def batches(self) -> set[str]:
        """Names of the fragments that hold rows of some version that counts."""
        return {version.batch for version in self if version.state == "current" and version.batch}

    def find(self, path: str, sha256: str) -> FileVersion | None:
        """What is known of these bytes under this path, also where newer ones have taken their place."""
        return self._versions.get((path, sha256))

    def add(self, version: FileVersion) -> None:
        self.is_changed |= self._versions.get((version.path, version.sha256)) != version
        self._versions[version.path, version.sha256] = version

    def change(self, version: FileVersion, **changes: object) -> None:
        self.add(replace(version, **changes))  # type: ignore[arg-type]

    def save_now_and_then(self) -> None:
        """Save, unless the last time is so near that saving would take more than a tenth of all time.

        What was read since is read again where a run is killed; of very many files that costs less than saving each batch.
        """
        if time.monotonic() >= self._next_save:
            began = time.monotonic()
            self.save()
            self._next_save = time.monotonic() + 9 * (time.monotonic() - began)

    def save(self) -> None:
        ordered = sorted(self, key=lambda version: (version.path, version.state != "replaced", version.sha256))
        rows = pa.table(
            [pa.array([getattr(version, field.name) for version in ordered], field.type) for field in _SCHEMA],
            schema=_SCHEMA,
        )
        # The fingerprint leaves out what a clock said: tables that are made of the rest are the same in every data root.
        timeless = digest([repr([getattr(version, name) for name in _TIMELESS]) for version in ordered])
        temporary = self._lake.write([rows], self._path, timeless, "1")
        self._lake.put(temporary, self._path, TABLE)
        self.is_changed = False


def last_day_allowed(first_seen_at: datetime) -> date:
    """The newest day a record may bear: the day its file was first seen plus one (BOOKS: files and time)."""
    return date.fromordinal(first_seen_at.astimezone(UTC).date().toordinal() + 1)
