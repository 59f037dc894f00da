"""Reads what landed: recognise, parse, stage one fragment a batch, shape and UTC day; refuse what cannot be read, by line.

Small files of one source, account and format are read together; the batch is named by the hashes of its files. Fragments are
written first and count from the moment the register names their batch, so a run that is killed leaves nothing half read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import duckdb

from pipelines.contract import shapes
from pipelines.engine import quoted
from pipelines.lake import Lake, digest, replace_text
from pipelines.landing import FileVersion, Found, Register, fingerprint_of, listing, pulled_at_of
from pipelines.paths import DataRoot
from pipelines.records import compression_of, head_of
from pipelines.settings import Settings
from pipelines.sources import Source, Unreadable
from pipelines.staging import OUR_FAULT, Pending, Stager

BATCH_BYTES = 64 << 20
BATCH_FILES = 2_000


@dataclass
class ReadReport:
    """What reading did: versions read, and sentences about what a person should look at."""

    files_read: list[FileVersion] = field(default_factory=list)
    files_listed: int = 0
    warnings: list[str] = field(default_factory=list)


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
    ) -> None:
        self._con, self._root, self._lake, self._settings, self._sources = con, root, lake, settings, sources
        self._keep = sorted({*keep, *settings.keep_attributes})
        self._now = now or datetime.now(UTC)
        self._progress = progress
        self.register = Register(root, lake)

    def news(self) -> list[str]:
        """Files of ``landing/`` that are new or look changed, by path, size and modification time alone."""
        found, _ = listing(self._root, frozenset(self._sources))
        live = self.register.live()
        return [file.name for file in found if not self._is_known(file, live.get(file.name))]

    def read(self, *, full: bool = False, only: str | None = None) -> ReadReport:
        """Read what is new or changed, of one source or of all; with ``full`` everything that is still there."""
        report = ReadReport()
        found, strangers = listing(self._root, frozenset(self._sources))
        found = [file for file in found if only in (None, file.source)]
        report.files_listed = len(found)
        for stranger in strangers:
            report.warnings.append(
                f"{stranger}: no source of that name. Known are {', '.join(sorted(self._sources))}. Move it below one of them."
            )
        self.clean()
        self._stager = Stager(self._con, self._root, self._lake, self._settings, self._keep)
        pending, retired = self._compare(found, full, report)
        self._retire(retired)
        for batch in _batches(pending):
            self._read_batch(batch, report)
        if pending or retired:
            self.clean()
        return report

    def clean(self) -> None:
        """Remove fragments that no version in the register names: a killed run's, or replaced ones."""
        live = self.register.batches()
        for shape in shapes().values():
            for part in self._lake.parts(shape.table):
                if batch_of(part.path) not in live:
                    self._lake.remove(shape.table, part)

    # ---- what is new
    def _compare(
        self, found: Iterable[Found], full: bool, report: ReadReport
    ) -> tuple[list[Pending], list[FileVersion]]:
        live = self.register.live()
        holders = {version.key: version for version in live.values() if version.state == "current"}
        pending: list[Pending] = []
        retired: list[FileVersion] = []
        for file in found:
            known = live.get(file.name)
            source = self._sources[file.source]
            current_reading = known is not None and known.reading_version == self._reading_version(source)
            if self._is_known(file, known) and not full:
                continue
            sha256, cuts = fingerprint_of(file.path)
            if known is not None and known.sha256 == sha256 and current_reading and not full:
                self.register.change(known, mtime_ns=file.mtime_ns)
                continue
            first_seen_at = known.first_seen_at if known is not None and known.sha256 == sha256 else self._now
            if known is not None:
                if known.sha256 != sha256:
                    self.register.change(known, state="replaced")
                retired.append(known)
            holder = holders.get((file.source, file.source_account, sha256))
            if holder is not None and holder.path != file.name:
                self.register.add(
                    self._version(
                        file, sha256, first_seen_at, source, "copy", records=holder.records, reason=holder.path
                    )
                )
                continue
            head = head_of(file.path)
            try:
                recognised = source.recognise(file.path.name, head)
            except Unreadable as error:
                self._refuse(file, sha256, first_seen_at, source, str(error), report)
                continue
            with file.path.open("rb") as opened:
                compression = compression_of(opened.read(4))
            pending.append(
                Pending(file, sha256, cuts, compression, recognised.layout, recognised.schema_version, first_seen_at)
            )
            holders[file.source, file.source_account, sha256] = self._version(
                file, sha256, first_seen_at, source, "current"
            )
        return pending, retired

    def _is_known(self, file: Found, known: FileVersion | None) -> bool:
        return (
            known is not None
            and (known.file_bytes, known.mtime_ns) == (file.size, file.mtime_ns)
            and known.reading_version == self._reading_version(self._sources[file.source])
        )

    def _reading_version(self, source: Source) -> str:
        kept = "|".join(self._keep) if source.keeps_attributes else ""
        return digest([source.version, self._settings.reading_version, kept])[:16]

    def _version(
        self,
        file: Found,
        sha256: str,
        first_seen_at: datetime,
        source: Source,
        state: str,
        *,
        records: int = 0,
        reason: str = "",
    ) -> FileVersion:
        return FileVersion(
            path=file.name,
            source=file.source,
            source_account=file.source_account,
            sha256=sha256,
            file_bytes=file.size,
            mtime_ns=file.mtime_ns,
            first_seen_at=first_seen_at,
            pulled_at=pulled_at_of(file.path.name, file.mtime_ns),
            schema_version="",
            reading_version=self._reading_version(source),
            state=state,
            batch="",
            records=records,
            quarantined=0,
            context=0,
            reason=reason,
            first_record_at=None,
            last_record_at=None,
        )

    def _refuse(
        self, file: Found, sha256: str, first_seen_at: datetime, source: Source, reason: str, report: ReadReport
    ) -> None:
        """Nothing of the file can be read: it counts as one quarantined record, and the other files go on."""
        version = self._version(file, sha256, first_seen_at, source, "refused", records=1, reason=reason)
        version = replace(version, quarantined=1)
        self.register.add(version)
        self.register.save(self._con)
        report.files_read.append(version)
        report.warnings.append(f"{file.name}: {reason}. Nothing of it was booked; the other files were.")
        self._list_refusals(file.source, file.path.name, [{"file": file.name, "line": None, "reason": reason}])

    # ---- what no longer counts
    def _retire(self, retired: Sequence[FileVersion]) -> None:
        """Take the rows of replaced versions out of the fragments that they share with others.

        A version's bytes may still lie under another path (a copy): then that path takes them over.
        """
        for version in retired:
            heir = next(
                (v for v in self.register if v.state == "copy" and v.key == version.key and v.path != version.path),
                None,
            )
            if heir is not None:
                self.register.change(
                    heir,
                    **{
                        name: getattr(version, name)
                        for name in (
                            "schema_version",
                            "batch",
                            "quarantined",
                            "context",
                            "first_record_at",
                            "last_record_at",
                        )
                    },
                    state="current",
                    reason="",
                )
                continue
            if not version.batch:
                continue
            others = [
                v for v in self.register if v.state == "current" and v.batch == version.batch and v.path != version.path
            ]
            if not others:
                continue
            renamed = _batch_name(other.sha256 + other.reading_version for other in others)
            kept = ", ".join(quoted(other.sha256) for other in others)
            for shape in shapes().values():
                for part in self._lake.parts(shape.table):
                    if batch_of(part.path) == version.batch and part.start is not None:
                        file = quoted(str(self._lake.absolute(part)))
                        rows = f"select * from read_parquet({file}, hive_partitioning = false) where source_file_sha256 in ({kept})"
                        piece = Path(part.path).stem.removeprefix(version.batch)
                        target = self._root.fragment(shape.table, part.start, renamed + piece)
                        temporary = self._lake.write(
                            self._con,
                            rows,
                            target,
                            renamed,
                            "fragment",
                            order=" order by source_file_sha256, source_row",
                        )
                        self._lake.put(temporary, target, shape.table, part.start)
            for other in others:
                self.register.change(other, batch=renamed)
        if retired:
            self.register.save(self._con)

    # ---- reading
    def _read_batch(self, batch: Sequence[Pending], report: ReadReport) -> None:
        source = self._sources[batch[0].found.source]
        self._progress(
            f"reading {batch[0].found.name}"
            + (f" and {len(batch) - 1} more files of {source.name}" if len(batch) > 1 else "")
        )
        name = _batch_name(one.sha256 + self._reading_version(source) for one in batch)
        try:
            counts = self._stager.stage(source, batch, name)
        except OUR_FAULT:
            raise
        except (duckdb.Error, Unreadable) as error:
            if len(batch) > 1:
                for one in batch:
                    self._read_batch([one], report)
                return
            reason = str(error).splitlines()[0]
            self._refuse(batch[0].found, batch[0].sha256, batch[0].first_seen_at, source, reason, report)
            return
        for one, count in zip(batch, counts, strict=True):
            plain = self._version(one.found, one.sha256, one.first_seen_at, source, "current")
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
            if version.quarantined:
                self._list_refusals(one.found.source, one.found.path.name, count.refusals)
                report.warnings.append(_sentence(version, count.refusals[0] if count.refusals else None))
        self.register.save(self._con)

    def _list_refusals(self, source: str, file_name: str, lines: Sequence[Mapping[str, object]]) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        with suppress(OSError):
            replace_text(self._root.refusals(source, file_name), text)


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


def _batch_name(hashes: Iterable[str]) -> str:
    return digest(sorted(hashes))[:20]


def _sentence(version: FileVersion, first: Mapping[str, object] | None) -> str:
    where = f"{version.path}, line {first['line']}: {first['reason']}" if first else version.path
    return (
        f"{where}. {version.quarantined} of {version.records} records were refused; they are noted, without their text, in "
        f"quarantine/{version.source}/. The other {version.records - version.quarantined} were booked. "
        "Put a mended file in its place, then run again."
    )
