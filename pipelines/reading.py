"""Reads what landed: recognise, parse, stage one fragment a batch, shape and month; refuse what cannot be read, by line.

Small files of one source, account and format are read together; the batch is named by the hashes of its files. Fragments are
written first and count from the moment the register names their batch, so a run that is killed leaves nothing half read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from pathlib import Path

import duckdb

from pipelines.belonging import looks_like, may_be, no_export, stranger
from pipelines.contract import shapes
from pipelines.engine import one_row, quoted, rows_of
from pipelines.lake import Lake, digest
from pipelines.landing import Contents, FileVersion, Found, Register, contents_of, listing, pulled_at_of
from pipelines.pace import Pace
from pipelines.paths import DataRoot
from pipelines.quarantine import list_refusals, reason_of, sentence_of
from pipelines.records.files import Readable, Unreadable, compression_of
from pipelines.settings import Settings
from pipelines.sources import Source, recognise
from pipelines.staging import OUR_FAULT, Pending, Stager

BATCH_BYTES = 64 << 20
BATCH_FILES = 2_000
# What a copy takes over from the path that held its bytes.
_INHERITED = (
    "schema_version",
    "reading_version",
    "batch",
    "records",
    "quarantined",
    "context",
    "first_record_at",
    "last_record_at",
)


@dataclass
class ReadReport:
    """What reading did: versions read, files listed by source, and sentences about what a person should look at."""

    files_read: list[FileVersion] = field(default_factory=list)
    files_listed: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Changed:
    """A file whose bytes are new under its path or are to be read again; ``known`` is what counted there so far."""

    found: Found
    contents: Contents
    known: FileVersion | None

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.found.source, self.found.source_account, self.contents.sha256)


class Reader:
    """Brings the staged shapes up to what lies in ``landing/``."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        root: DataRoot,
        lake: Lake,
        settings: Settings,
        sources: Mapping[str, Source],
        keep: Sequence[str],
        now: datetime | None = None,
        progress: Callable[[str], None] = lambda text: None,
        dimension_keys: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._con, self._root, self._lake, self._settings, self._sources = con, root, lake, settings, sources
        self._keep = sorted({*keep, *settings.keep_attributes})
        self._dimension_keys = dimension_keys or {}
        self._reading_versions: dict[str, str] = {}
        self._now = now or datetime.now(UTC)
        self._progress = progress
        self.register = Register(root, lake)

    def news(self) -> list[str]:
        """Files of ``landing/`` that are new or look changed, by path, size and modification time alone."""
        found, _ = self._listed
        live = self.register.live()
        withheld = self._withheld(found)
        return [
            file.name
            for file in found
            if not self._is_known(file, live.get(file.name))
            and not (file.name in withheld and self._is_unchanged(file, live.get(file.name)))
        ]

    def strangers(self) -> list[str]:
        """What of ``landing/`` belongs to no source, with what to do about it."""
        return self._of_strangers(self._listed[1])

    @cached_property
    def _listed(self) -> tuple[list[Found], list[str]]:
        """``landing/`` as it is when it is first looked at: of many files one look takes a second."""
        return listing(self._root, frozenset(self._sources))

    def _of_strangers(self, names: Sequence[str]) -> list[str]:
        return [stranger(self._root, name) for name in names]

    def read(self, *, full: bool = False, only: str | None = None) -> ReadReport:
        """Read what is new or changed, of one source or of all; with ``full`` everything that is still there."""
        report = ReadReport()
        found, strangers = listing(self._root, frozenset(self._sources))
        found = [file for file in found if only in (None, file.source)]
        report.files_listed = Counter(file.source for file in found)
        report.warnings += self._of_strangers(strangers)
        self.clean()
        self._stager = Stager(self._con, self._root, self._lake, self._settings, self._keep, self._dimension_keys)
        withheld = self._withheld(found)
        retired = self._withhold([file for file in found if file.name in withheld], withheld, report)
        changed = self._changed([file for file in found if file.name not in withheld], full, report)
        to_read, replaced = self._sort(changed)
        retired += replaced
        self._retire(retired)
        self._pace = Pace(sum(one.found.size for one in to_read))
        for batch in _batches(self._recognised(to_read, report)):
            self._read_batch(batch, report)
        self._settle_copies()
        if self.register.is_changed:
            self.register.save()
        if to_read or retired:
            self.clean()
        return report

    def refused(self) -> list[FileVersion]:
        """Files that count now and have records that were refused, by path."""
        return sorted(
            (version for version in self.register.live().values() if version.quarantined), key=lambda one: one.path
        )

    def retry(self, paths: Collection[str]) -> None:
        """Have files read again by the next reading, though they look as they did."""
        for version in self.register.live().values():
            if version.path in paths and version.state in ("current", "refused"):
                self.register.change(version, reading_version="")
        if self.register.is_changed:
            self.register.save()

    def clean(self) -> None:
        """Remove fragments that no version in the register names: a killed run's, or replaced ones."""
        live = self.register.batches()
        for shape in shapes().values():
            for path in {part.path for part in self._lake.parts(shape.table)}:
                if batch_of(path) not in live:
                    self._lake.remove_file(shape.table, path)

    # ---- what is withheld
    def _withheld(self, found: Sequence[Found]) -> dict[str, str]:
        """Files that lie there and do not count, with the reason: no delivery of their source names them."""
        reasons: dict[str, str] = {}
        live = self.register.live()
        for source in self._sources.values():
            if source.withheld is not None:
                files = {file.path: file for file in found if file.source == source.name}
                settled = {
                    path
                    for path, file in files.items()
                    if (known := live.get(file.name)) is not None and known.state in ("current", "copy")
                }
                reasons |= {files[path].name: why for path, why in source.withheld(list(files), settled).items()}
        return reasons

    def _withhold(self, files: Sequence[Found], reasons: Mapping[str, str], report: ReadReport) -> list[FileVersion]:
        """Note files that do not count, with their records; versions of them whose rows counted so far come back."""
        live = self.register.live()
        retired: list[FileVersion] = []
        for file in files:
            known = live.get(file.name)
            if known is not None and known.state == "withheld" and self._is_unchanged(file, known):
                continue
            try:
                contents = contents_of(file.path)
            except OSError as error:
                report.warnings.append(
                    f"{file.name}: it cannot be opened ({error.strerror}); the next run tries it again."
                )
                continue
            if known is not None:
                if known.sha256 != contents.sha256:
                    self.register.change(known, state="replaced")
                heir = next(
                    (v for v in self.register if v.state == "copy" and v.key == known.key and v.path not in reasons),
                    None,
                )
                if known.state == "current" and heir is not None:
                    self.register.change(heir, **{name: getattr(known, name) for name in _INHERITED}, state="current")
                elif known.batch:
                    retired.append(known)
            records = self._records_in(file, contents)
            version = self._version(file, contents.sha256, "withheld", records=records, reason=reasons[file.name])
            self.register.add(version)
            report.files_read.append(version)
            report.warnings.append(f"{file.name}: {reasons[file.name]}. Its {records} records are not booked.")
        return retired

    def _records_in(self, file: Found, contents: Contents) -> int:
        """Records of a file that is not staged; 1 where it cannot be read."""
        self._stager.prepare()
        with suppress(Unreadable, duckdb.Error, OSError):
            source = self._sources[file.source]
            layout = recognise(source, file.path).layout
            with file.path.open("rb") as opened:
                compression = compression_of(opened.read(4))
            source.read(self._con, [Readable(0, file.path, layout, compression, lines=contents.lines)], [])
            return int(one_row(self._con, "select count(*) from records")[0])
        return 1

    # ---- what is new
    def _changed(self, found: Iterable[Found], full: bool, report: ReadReport) -> list[_Changed]:
        live = self.register.live()
        held = {version.key for version in live.values() if version.state == "current"}
        changed: list[_Changed] = []
        for file in found:
            known = live.get(file.name)
            # A killed run leaves a copy of what it had not read yet.
            is_orphan = known is not None and known.state == "copy" and known.key not in held
            if self._is_known(file, known) and not is_orphan and not full:
                continue
            try:
                contents = contents_of(file.path)
            except OSError as error:
                report.warnings.append(
                    f"{file.name}: it cannot be opened ({error.strerror}). The other files were read; the next run tries it again."
                )
                continue
            is_same = known is not None and known.sha256 == contents.sha256 and self._is_current(known)
            if known is not None and is_same and not is_orphan and not full:
                self.register.change(known, mtime_ns=file.mtime_ns)
            else:
                changed.append(_Changed(file, contents, known))
        return changed

    def _sort(self, changed: Sequence[_Changed]) -> tuple[list[_Changed], list[FileVersion]]:
        """What is to be read, and the versions whose rows no longer count.

        Bytes that another path of the account holds are a copy, and are not read twice. Where a version is replaced whose
        bytes have a copy elsewhere, that path takes over its rows.
        """
        paths = {one.found.name for one in changed}
        heirs = {v.key: v for v in self.register if v.state == "copy" and v.path not in paths}
        retired: list[FileVersion] = []
        for known, sha256 in ((one.known, one.contents.sha256) for one in changed if one.known is not None):
            if known.sha256 == sha256:
                # Until it is read, nothing of it counts: were this run killed, the next one would read it.
                self.register.change(known, batch="", reading_version="")
            else:
                self.register.change(known, state="replaced")
                heir = heirs.pop(known.key, None) if known.state == "current" else None
                if heir is not None:
                    self.register.change(heir, **{name: getattr(known, name) for name in _INHERITED}, state="current")
                    continue
            if known.batch:
                retired.append(known)
        holders = {v.key: v for v in self.register if v.state == "current" and v.path not in paths}
        to_read: list[_Changed] = []
        for one in changed:
            holder = holders.get(one.key)
            if holder is not None and self._is_current(holder):
                self.register.add(self._version(one.found, one.contents.sha256, "copy", reason=holder.path))
                continue
            if holder is not None:
                # The rows of a file that is gone, read in an older way: the same bytes lie here and are read anew.
                self.register.change(holder, state="copy", batch="", reason=one.found.name)
                retired.append(holder)
            to_read.append(one)
            holders[one.key] = self._version(one.found, one.contents.sha256, "current")
        return to_read, retired

    def _recognised(self, changed: Iterable[_Changed], report: ReadReport) -> list[Pending]:
        pending: list[Pending] = []
        for one in changed:
            file, sha256 = one.found, one.contents.sha256
            try:
                recognised = recognise(self._sources[file.source], file.path)
            except Unreadable as error:
                reason = no_export(file.path) or f"{error}.{looks_like(file.path)}".removesuffix(".")
                self._refuse(file, sha256, reason, report)
                continue
            with file.path.open("rb") as opened:
                compression = compression_of(opened.read(4))
            version = self._version(file, sha256, "current")
            pending.append(
                Pending(
                    file,
                    one.contents,
                    compression,
                    recognised.layout,
                    recognised.schema_version,
                    version.first_seen_at,
                    version.pulled_at,
                )
            )
        return pending

    def _settle_copies(self) -> None:
        """What is said of a copy follows the path that holds its rows; bytes that cannot be read are refused everywhere."""
        holders = {version.key: version for version in self.register if version.state == "refused"}
        holders |= {version.key: version for version in self.register if version.state == "current"}
        for copy in [version for version in self.register if version.state == "copy"]:
            holder = holders.get(copy.key)
            if holder is not None and holder.state == "refused":
                self.register.change(copy, state="refused", records=1, quarantined=1, reason=holder.reason)
            elif holder is not None:
                self.register.change(copy, records=holder.records, reason=holder.path)

    def _is_known(self, file: Found, known: FileVersion | None) -> bool:
        return known is not None and self._is_unchanged(file, known) and self._is_current(known)

    @staticmethod
    def _is_unchanged(file: Found, known: FileVersion | None) -> bool:
        return known is not None and (known.file_bytes, known.mtime_ns) == (file.size, file.mtime_ns)

    def _is_current(self, version: FileVersion) -> bool:
        """Whether it was read the way files are read now."""
        return version.state != "withheld" and version.reading_version == self._reading_version(
            self._sources[version.source]
        )

    def _reading_version(self, source: Source) -> str:
        if source.name not in self._reading_versions:
            kept = "|".join(self._keep) if source.keeps_attributes else ""
            keys = repr(sorted(self._dimension_keys.items())) if source.maps_dimensions else ""
            version = digest([source.version, self._settings.reading_version, kept, keys])[:16]
            self._reading_versions[source.name] = version
        return self._reading_versions[source.name]

    def _version(
        self,
        file: Found,
        sha256: str,
        state: str,
        *,
        records: int = 0,
        reason: str = "",
    ) -> FileVersion:
        """A version with what the folder listing knows of it. Its instants are those of the first time it was seen."""
        seen = self.register.find(file.name, sha256)
        return FileVersion(
            path=file.name,
            source=file.source,
            source_account=file.source_account,
            sha256=sha256,
            file_bytes=file.size,
            mtime_ns=file.mtime_ns,
            first_seen_at=seen.first_seen_at if seen else self._now,
            pulled_at=seen.pulled_at if seen else pulled_at_of(file.path.name, file.mtime_ns),
            schema_version="",
            reading_version=self._reading_version(self._sources[file.source]),
            state=state,
            batch="",
            records=records,
            quarantined=0,
            context=0,
            reason=reason,
            first_record_at=None,
            last_record_at=None,
        )

    def _refuse(self, file: Found, sha256: str, reason: str, report: ReadReport) -> None:
        """Nothing of the file can be read: it counts as one quarantined record, and the other files go on."""
        version = self._version(file, sha256, "refused", records=1, reason=reason)
        version = replace(version, quarantined=1)
        self.register.add(version)
        self.register.save_now_and_then()
        report.files_read.append(version)
        report.warnings.append(f"{file.name}: {reason}. Nothing of it was booked; the other files were.")
        list_refusals(self._root, file, [{"file": file.name, "line": None, "reason": reason}])

    # ---- what no longer counts
    def _retire(self, retired: Sequence[FileVersion]) -> None:
        """Take the rows of versions that no longer count out of the fragments that they share with others."""
        for version in retired:
            others = [
                v for v in self.register if v.state == "current" and v.batch == version.batch and v.path != version.path
            ]
            if not others:
                continue
            renamed = _batch_name(
                version.source, version.source_account, (v.sha256 + v.reading_version for v in others)
            )
            kept = ", ".join(quoted(other.sha256) for other in others)
            for shape in shapes().values():
                for path in {part.path for part in self._lake.parts(shape.table)}:
                    if batch_of(path) == version.batch:
                        rows = (
                            f"select * from read_parquet({quoted(str(self._root.path / path))}, hive_partitioning = false) "
                            f"where source_file_sha256 in ({kept})"
                        )
                        piece = Path(path).stem.removeprefix(version.batch)
                        self._stager.write(shape, rows_of(self._con, rows), renamed + piece)
            for other in others:
                self.register.change(other, batch=renamed)
        if retired:
            self.register.save()

    # ---- reading
    def _read_batch(self, batch: Sequence[Pending], report: ReadReport) -> None:
        source = self._sources[batch[0].found.source]
        self._progress(
            f"reading {batch[0].found.name}"
            + (f" and {len(batch) - 1} more files of {source.name}" if len(batch) > 1 else "")
            + self._pace.at(sum(version.file_bytes for version in report.files_read))
        )
        reading_version = self._reading_version(source)
        account = batch[0].found.source_account
        name = _batch_name(source.name, account, (one.sha256 + reading_version for one in batch))
        try:
            counts = self._stager.stage(source, batch, name)
        except OUR_FAULT:
            raise
        except (duckdb.Error, Unreadable) as error:
            if len(batch) > 1:
                # Halves, to find a file among thousands in few steps.
                middle = len(batch) // 2
                self._read_batch(batch[:middle], report)
                self._read_batch(batch[middle:], report)
                return
            reason = reason_of(error, self._root)
            self._refuse(batch[0].found, batch[0].sha256, reason, report)
            return
        for one, count in zip(batch, counts, strict=True):
            plain = self._version(one.found, one.sha256, "current")
            version = replace(
                plain,
                schema_version=one.schema_version,
                batch=name,
                records=count.records,
                quarantined=count.quarantined,
                context=count.context,
                first_record_at=count.first_record_at,
                last_record_at=count.last_record_at,
            )
            self.register.add(version)
            report.files_read.append(version)
            list_refusals(self._root, one.found, count.refusals)
            if version.quarantined:
                # A source of any tool's records takes a file of another one, and refuses each of its records.
                advice = may_be(one.found.path, source.name) if version.quarantined == version.records else ""
                report.warnings.append(sentence_of(version, count.refusals[0] if count.refusals else None) + advice)
        self.register.save_now_and_then()


def _batches(pending: Sequence[Pending]) -> Iterable[list[Pending]]:
    """Files that are read together, bounded in bytes and number."""
    for _, group in groupby(
        sorted(pending, key=lambda one: (one.together, one.found.name)), key=lambda one: one.together
    ):
        batch: list[Pending] = []
        size = 0
        for one in group:
            if batch and (size + one.found.size > BATCH_BYTES or len(batch) >= BATCH_FILES):
                yield batch
                batch, size = [], 0
            batch.append(one)
            size += one.found.size
        if batch:
            yield batch


def batch_of(path: str) -> str:
    """The batch that a fragment belongs to, from its file name: a large file's pieces are numbered behind it."""
    return Path(path).stem.partition("-")[0]


def _batch_name(source: str, account: str, hashes: Iterable[str]) -> str:
    """The same bytes in two accounts are two batches."""
    return digest([source, account, *sorted(hashes)])[:20]
