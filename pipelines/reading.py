"""Reads what landed: recognise, parse, stage one fragment a batch, shape and UTC day; refuse what cannot be read, by line.

Small files of one source, account and format are read together; the batch is named by the hashes of its files. Fragments are
written first and count from the moment the register names their batch, so a run that is killed leaves nothing half read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.contract import LINEAGE_NAMES, Shape, shapes
from pipelines.engine import listed, one_row, quoted
from pipelines.lake import Lake, digest, replace_text
from pipelines.landing import FileVersion, Found, Register, fingerprint_of, last_day_allowed, listing, pulled_at_of
from pipelines.paths import DataRoot
from pipelines.records import Readable, compression_of, head_of
from pipelines.settings import Settings
from pipelines.sources import Source, Unreadable

BATCH_BYTES = 64 << 20
BATCH_FILES = 2_000
# Readable lists of refusals stay readable; the table staged_refusals has every one.
REFUSALS_LISTED = 10_000

# Faults of a source's SQL, never of a file.
_OUR_FAULT = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException, duckdb.SyntaxException, duckdb.InternalException)

# Columns that follow from others, or have a value where a source says nothing.
_DERIVED: Mapping[str, Mapping[str, str]] = {
    "requests": {
        "request_key": "md5(concat_ws('|', f.source, f.source_account, g.source_row_id))",
        "entity_key": "md5(concat_ws('|', f.source, f.source_account, g.source_row_id))",
        "duration_ms": "date_diff('millisecond', g.started_at, g.ended_at)",
        "ttft_ms": "date_diff('millisecond', g.started_at, g.first_token_at)",
        "row_kind": "'llm_call'",
        "is_billable_leaf": "true",
        "status": "'ok'",
        "gateway_cache_hit": "false",
        "usage_flags": "[]",
        "request_tags": "[]",
        "attributes": "map {}",
        "extra_units": "map {}",
        "cost_reported_basis": "case when g.cost_reported_usd is null then 'none' else 'user_supplied' end",
    },
    "usage": {
        "usage_key": "md5(concat_ws('|', f.source, f.source_account, g.key_text))",
        "billing_account_id": "f.source_account",
        "pulled_at": "f.pulled_at",
        "tags": "map {}",
    },
    "bills": {
        "cost_key": "md5(concat_ws('|', f.source, f.source_account, g.key_text))",
        "billing_account_id": "f.source_account",
        "pulled_at": "f.pulled_at",
        "is_correction": "false",
        "billed_is_rounded": "false",
        "tags": "map {}",
        "cost_categories": "map {}",
    },
    "scores": {"score_key": "md5(concat_ws('|', f.source, f.source_account, g.key_text))"},
    "windows": {"pulled_at": "f.pulled_at"},
}

# A text that is there and is not what it should be gives a sentence; so a cast never makes a null of it in silence.
_MACROS = (
    "whole(text) as case when try_cast(text as decimal(38, 9)) = floor(try_cast(text as decimal(38, 9))) "
    "then try_cast(try_cast(text as decimal(38, 9)) as bigint) end",
    "wrong_count(field, text) as case when text is not null and coalesce(whole(text) < 0, true) "
    "then field || ' is ' || left(text, 40) || ', expected a whole number of 0 or more' end",
    "wrong_amount(field, text) as case when text is not null and try_cast(text as decimal(38, 12)) is null "
    "then field || ' is ' || left(text, 40) || ', expected a decimal number' end",
    "wrong_boolean(field, text) as case when text is not null and try_cast(text as boolean) is null "
    "then field || ' is ' || left(text, 40) || ', expected true or false' end",
    "wrong_instant(field, text) as case when text is not null and try_cast(text as timestamptz) is null "
    "then field || ' is ' || left(text, 40) || ', expected an instant in ISO 8601 such as 2026-11-18T12:00:00Z' end",
    "iso_instant(instant) as strftime(instant, '%Y-%m-%dT%H:%M:%S.%fZ')",
    "hex_id(text) as replace(lower(text), '-', '')",
)


@dataclass
class ReadReport:
    """What reading did: versions read, and sentences about what a person should look at."""

    files_read: list[FileVersion] = field(default_factory=list)
    files_listed: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Pending:
    found: Found
    sha256: str
    lines: int
    compression: str
    layout: str
    schema_version: str
    first_seen_at: datetime

    @property
    def together(self) -> tuple[str, str, str, str, str]:
        return (self.found.source, self.found.source_account, self.schema_version, self.layout, self.compression)


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
        self._given: dict[tuple[str, str], set[str]] = {}

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
        _create_macros(self._con, self._keep)
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
                if Path(part.path).stem not in live:
                    self._lake.remove(shape.table, part)

    # ---- what is new
    def _compare(self, found: Iterable[Found], full: bool, report: ReadReport) -> tuple[list[_Pending], list[FileVersion]]:
        live = self.register.live()
        holders = {version.key: version for version in live.values() if version.state == "current"}
        pending: list[_Pending] = []
        retired: list[FileVersion] = []
        for file in found:
            known = live.get(file.name)
            source = self._sources[file.source]
            current_reading = known is not None and known.reading_version == self._reading_version(source)
            if self._is_known(file, known) and not full:
                continue
            sha256, lines = fingerprint_of(file.path)
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
                self.register.add(self._version(file, sha256, first_seen_at, source, "copy", records=holder.records, reason=holder.path))
                continue
            head = head_of(file.path)
            try:
                recognised = source.recognise(file.path.name, head)
            except Unreadable as error:
                self._refuse(file, sha256, first_seen_at, source, str(error), report)
                continue
            with file.path.open("rb") as opened:
                compression = compression_of(opened.read(4))
            pending.append(_Pending(file, sha256, lines, compression, recognised.layout, recognised.schema_version, first_seen_at))
            holders[file.source, file.source_account, sha256] = self._version(file, sha256, first_seen_at, source, "current")
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
        self, file: Found, sha256: str, first_seen_at: datetime, source: Source, state: str, *, records: int = 0, reason: str = ""
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

    def _refuse(self, file: Found, sha256: str, first_seen_at: datetime, source: Source, reason: str, report: ReadReport) -> None:
        """Nothing of the file can be read: it counts as one quarantined record, and the other files go on."""
        version = self._version(file, sha256, first_seen_at, source, "refused", records=1, reason=reason)
        version = FileVersion(**{**version.__dict__, "quarantined": 1})
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
            heir = next((v for v in self.register if v.state == "copy" and v.key == version.key and v.path != version.path), None)
            if heir is not None:
                self.register.change(
                    heir,
                    **{
                        name: getattr(version, name)
                        for name in ("schema_version", "batch", "quarantined", "context", "first_record_at", "last_record_at")
                    },
                    state="current",
                    reason="",
                )
                continue
            if not version.batch:
                continue
            others = [v for v in self.register if v.state == "current" and v.batch == version.batch and v.path != version.path]
            if not others:
                continue
            renamed = _batch_name(other.sha256 + other.reading_version for other in others)
            kept = ", ".join(quoted(other.sha256) for other in others)
            for shape in shapes().values():
                for part in self._lake.parts(shape.table):
                    if Path(part.path).stem == version.batch and part.start is not None:
                        rows = f"select * from read_parquet({quoted(str(self._lake.absolute(part)))}, hive_partitioning = false) where source_file_sha256 in ({kept})"
                        target = self._root.fragment(shape.table, part.start, renamed)
                        temporary = self._lake.write(
                            self._con, rows, target, renamed, "fragment", order=" order by source_file_sha256, source_row"
                        )
                        self._lake.put(temporary, target, shape.table, part.start)
            for other in others:
                self.register.change(other, batch=renamed)
        if retired:
            self.register.save(self._con)

    # ---- reading
    def _read_batch(self, batch: Sequence[_Pending], report: ReadReport) -> None:
        source = self._sources[batch[0].found.source]
        self._progress(
            f"reading {batch[0].found.name}" + (f" and {len(batch) - 1} more files of {source.name}" if len(batch) > 1 else "")
        )
        try:
            staged = self._parse(source, batch)
        except _OUR_FAULT:
            raise
        except (duckdb.Error, Unreadable) as error:
            if len(batch) > 1:
                for one in batch:
                    self._read_batch([one], report)
                return
            reason = str(error).splitlines()[0]
            self._refuse(batch[0].found, batch[0].sha256, batch[0].first_seen_at, source, reason, report)
            return
        name = _batch_name(one.sha256 + self._reading_version(source) for one in batch)
        for shape, path in staged.items():
            self._write_fragments(shapes()[shape], path, name)
        refused = self._write_refusals(staged, name)
        for number, one in enumerate(batch):
            counts = self._counts(staged, number)
            plain = self._version(one.found, one.sha256, one.first_seen_at, source, "current")
            version = FileVersion(**{**plain.__dict__, "schema_version": one.schema_version, "batch": name, **counts})
            self.register.add(version)
            report.files_read.append(version)
            if version.quarantined:
                lines = [entry for entry in refused if entry["file"] == one.found.name]
                self._list_refusals(one.found.source, one.found.path.name, lines)
                report.warnings.append(_sentence(version, lines[0] if lines else None))
        self.register.save(self._con)
        for path in staged.values():
            path.unlink()

    def _parse(self, source: Source, batch: Sequence[_Pending]) -> dict[str, Path]:
        """Every shape of a batch as a scratch file in file order, refused records among them."""
        self._create_facts(batch)
        files = [Readable(n, one.found.path, one.layout, one.compression, one.lines) for n, one in enumerate(batch)]
        careful = False
        while True:
            try:
                source.read(self._con, files, self._keep if source.keeps_attributes else [], careful)
                staged = {shape: self._stage(source, shape, careful) for shape in source.queries}
            except _OUR_FAULT:
                raise
            except duckdb.Error:
                if careful:
                    raise
                careful = True
                continue
            # The quick way cannot tell blank lines, nor a field that is null from one that is missing.
            if careful or not any(self._has_refusals(path) for path in staged.values()):
                return staged
            careful = True

    def _create_facts(self, batch: Sequence[_Pending]) -> None:
        rows = pa.table(
            {
                "file_no": pa.array(range(len(batch)), pa.int32()),
                "source": [one.found.source for one in batch],
                "source_account": [one.found.source_account for one in batch],
                "source_schema_version": [one.schema_version for one in batch],
                "source_file": [one.found.name for one in batch],
                "source_file_sha256": [one.sha256 for one in batch],
                "pulled_at": pa.array(
                    [pulled_at_of(one.found.path.name, one.found.mtime_ns) for one in batch], pa.timestamp("us", tz="UTC")
                ),
                "last_day": pa.array([last_day_allowed(one.first_seen_at) for one in batch], pa.date32()),
            }
        )
        self._con.register("landing_rows", rows)
        self._con.execute("create or replace temp table landing_files as select * from landing_rows")
        self._con.unregister("landing_rows")

    def _stage(self, source: Source, shape_name: str, careful: bool) -> Path:
        shape, query = shapes()[shape_name], source.query(self._con, shape_name, careful=careful)
        if (source.name, shape_name) not in self._given:
            self._given[source.name, shape_name] = {row[0] for row in self._con.execute(f"describe {query}").fetchall()}
        given = self._given[source.name, shape_name]
        derived = _DERIVED.get(shape_name, {})
        columns = [self._column(column.name, column.type, given, derived) for column in shape.columns if column.name not in LINEAGE_NAMES]
        lineage = [f"f.{name}" for name in LINEAGE_NAMES if name != "source_row"]
        instant = f"g.{shape.day_of}"
        context = "g.context" if "context" in given else "cast(null as varchar)"
        path = self._root.scratch / f"{shape_name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._con.execute(
            f"""copy (
                select
                    g.file_no,
                    case
                        when g.refusal is not null then g.refusal
                        when {context} is not null then null
                        when {instant} is null then 'missing {shape.day_of}'
                        when cast({instant} as date) > f.last_day
                            then 'in_the_future: ' || strftime({instant}, '%Y-%m-%dT%H:%M:%SZ') || ', expected no day after ' || f.last_day
                    end as refusal,
                    {context} as context,
                    {", ".join(lineage)},
                    cast(g.source_row as bigint) as source_row,
                    {", ".join(columns)}
                from ({query}) as g
                inner join landing_files as f on g.file_no = f.file_no
            ) to {quoted(str(path))} (format parquet, compression uncompressed)"""
        )
        return path

    def _column(self, name: str, type_: str, given: set[str], derived: Mapping[str, str]) -> str:
        if name == "user_id" and "user_id" in given and not self._settings.keep_user_ids:
            cleaned = "nullif(nullif(trim(g.user_id), ''), 'undefined')"
            return f"'u-' || left(sha256({quoted(self._settings.pseudonym_key + '|')} || {cleaned}), 20) as user_id"
        if name in given and name in derived:
            value = f"coalesce(g.{name}, {derived[name]})"
        elif name in given:
            value = f"g.{name}"
        elif name in derived and all(f"g.{other}" not in derived[name] or other in given for other in _names_in(derived[name])):
            value = derived[name]
        else:
            value = "null"
        return f'cast({value} as {type_}) as "{name}"'

    def _has_refusals(self, path: Path) -> bool:
        return bool(one_row(self._con, f"select count(refusal) from read_parquet({quoted(str(path))})")[0])

    def _write_fragments(self, shape: Shape, scratch: Path, name: str) -> None:
        rows, day = f"read_parquet({quoted(str(scratch))})", shape.day_of
        days = self._con.execute(
            f"select distinct cast({day} as date) from {rows} where refusal is null and context is null order by all"
        ).fetchall()
        columns = ", ".join(f'"{column.name}"' for column in shape.columns)
        for (start,) in days:
            first, end = f"timestamptz '{start} 00:00:00+00'", f"timestamptz '{start} 00:00:00+00' + interval 1 day"
            query = f"select {columns} from {rows} where {day} >= {first} and {day} < {end} and refusal is null and context is null"
            target = self._root.fragment(shape.table, start, name)
            temporary = self._lake.write(self._con, query, target, name, "fragment", order=" order by source_file_sha256, source_row")
            self._lake.put(temporary, target, shape.table, start)

    def _write_refusals(self, staged: Mapping[str, Path], name: str) -> list[dict[str, object]]:
        """Refused records and those that only carry context, as rows of staged_refusals; the first refused ones in words."""
        selects = [
            f"""select {", ".join(LINEAGE_NAMES)},
                coalesce(
                    {shapes()[shape].day_of},
                    min({shapes()[shape].day_of}) filter (where refusal is null) over (partition by source_file_sha256),
                    (select any_value(f.pulled_at) from landing_files as f where f.file_no = r.file_no)
                ) as refused_day_at,
                '{shape}' as shape, case when refusal is null then 'not_billable' else 'quarantined' end as fate,
                coalesce(refusal, context) as reason
            from read_parquet({quoted(str(path))}) as r
            qualify refusal is not null or context is not null"""
            for shape, path in staged.items()
        ]
        self._con.execute(f"create or replace temp table refused_rows as {' union all '.join(selects)}")
        # A record in the future is noted on the newest day that could have been.
        self._con.execute("update refused_rows set refused_day_at = least(refused_day_at, (select max(last_day) from landing_files))")
        shape = shapes()["refusals"]
        columns = ", ".join(f'"{column.name}"' for column in shape.columns)
        days = self._con.execute("select distinct cast(refused_day_at as date) from refused_rows order by all").fetchall()
        for (start,) in days:
            target = self._root.fragment(shape.table, start, name)
            query = f"select {columns} from refused_rows where cast(refused_day_at as date) = date '{start}'"
            temporary = self._lake.write(self._con, query, target, name, "fragment", order=" order by source_file_sha256, source_row")
            self._lake.put(temporary, target, shape.table, start)
        listed_rows = self._con.execute(
            "select source_file, source_row, reason from refused_rows where fate = 'quarantined' order by all limit ?", [REFUSALS_LISTED]
        ).fetchall()
        return [{"file": file, "line": line, "reason": reason} for file, line, reason in listed_rows]

    def _counts(self, staged: Mapping[str, Path], number: int) -> dict[str, object]:
        selects = " union all ".join(
            f"select refusal, context, {shapes()[shape].day_of} as record_at, '{shape}' as shape from read_parquet({quoted(str(path))}) "
            f"where file_no = {number}"
            for shape, path in staged.items()
        )
        row = one_row(
            self._con,
            f"""select count(*) filter (where shape <> 'windows'), count(refusal), count(context) filter (where refusal is null),
                min(record_at) filter (where refusal is null and context is null), max(record_at) filter (where refusal is null and context is null)
            from ({selects})""",
        )
        return dict(zip(("records", "quarantined", "context", "first_record_at", "last_record_at"), row, strict=True))

    def _list_refusals(self, source: str, file_name: str, lines: Sequence[Mapping[str, object]]) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        with suppress(OSError):
            replace_text(self._root.refusals(source, file_name), text)


def _names_in(expression: str) -> list[str]:
    return [piece.split(",")[0].split(")")[0].split(" ")[0] for piece in expression.split("g.")[1:]]


def _batches(pending: Sequence[_Pending]) -> Iterable[list[_Pending]]:
    """Files that are read together, bounded in bytes and number."""
    for _, group in groupby(sorted(pending, key=lambda one: (one.together, one.found.name)), key=lambda one: one.together):
        batch: list[_Pending] = []
        size = 0
        for one in group:
            if batch and (size + one.found.size > BATCH_BYTES or len(batch) >= BATCH_FILES):
                yield batch
                batch, size = [], 0
            batch.append(one)
            size += one.found.size
        if batch:
            yield batch


def _batch_name(hashes: Iterable[str]) -> str:
    return digest(sorted(hashes))[:20]


def _create_macros(con: duckdb.DuckDBPyConnection, keep: Sequence[str]) -> None:
    """What every source's SQL may use; ``kept_attributes(document, further)`` keeps entries by name, cut at 200 characters."""
    for macro in _MACROS:
        con.execute(f"create or replace temp macro {macro}")
    if not keep:
        con.execute("create or replace temp macro kept_attributes(document, further) as cast(map {} as map(varchar, varchar))")
        return
    paths = [quoted("$." + json.dumps(key)) for key in keep]
    values = ", ".join(f"left(coalesce(document ->> {path}, further ->> {path}), 200)" for path in paths)
    con.execute(
        "create or replace temp macro kept_attributes(document, further) as map_from_entries(list_filter("
        f"list_zip({listed(keep)}, [{values}]), lambda entry: entry[2] is not null))"
    )


def _sentence(version: FileVersion, first: Mapping[str, object] | None) -> str:
    where = f"{version.path}, line {first['line']}: {first['reason']}" if first else version.path
    return (
        f"{where}. {version.quarantined} of {version.records} records were refused; they are noted, without their text, in "
        f"quarantine/{version.source}/. The other {version.records - version.quarantined} were booked. "
        "Put a mended file in its place, then run again."
    )
