"""From landing files to staged fragments: parse a piece, give every column of the shape a value, split by UTC day.

A large file of lines is read in pieces, so that memory is bounded by the piece and not by the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import duckdb
import pyarrow as pa

from pipelines.contract import LINEAGE_NAMES, Shape, shapes
from pipelines.engine import listed, one_row, quoted
from pipelines.lake import Lake
from pipelines.landing import Found, last_day_allowed, pulled_at_of
from pipelines.paths import DataRoot
from pipelines.records import Readable, pieces_of
from pipelines.settings import Settings
from pipelines.sources import Source

# Readable lists of refusals stay readable; the table staged_refusals has every one.
REFUSALS_LISTED = 10_000

# Faults of a source's SQL, never of a file.
OUR_FAULT = (
    duckdb.BinderException,
    duckdb.ParserException,
    duckdb.CatalogException,
    duckdb.SyntaxException,
    duckdb.InternalException,
)

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


@dataclass(frozen=True)
class Pending:
    """A file to be read: what the folder listing and its first bytes say of it."""

    found: Found
    sha256: str
    cuts: Sequence[tuple[int, int]]
    compression: str
    layout: str
    schema_version: str
    first_seen_at: datetime

    @property
    def together(self) -> tuple[str, str, str, str, str]:
        """Files that are equal in this may be read together."""
        return (self.found.source, self.found.source_account, self.schema_version, self.layout, self.compression)


@dataclass
class Counts:
    """What became of the records of one file while reading; the ledger decides on the rest."""

    records: int = 0
    quarantined: int = 0
    context: int = 0
    first_record_at: datetime | None = None
    last_record_at: datetime | None = None
    refusals: list[dict[str, object]] = field(default_factory=list)

    def add(self, records: int, quarantined: int, context: int, first: datetime | None, last: datetime | None) -> None:
        self.records += records
        self.quarantined += quarantined
        self.context += context
        self.first_record_at = min((at for at in (self.first_record_at, first) if at is not None), default=None)
        self.last_record_at = max((at for at in (self.last_record_at, last) if at is not None), default=None)


class Stager:
    """Reads batches of files of one source into fragments."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, settings: Settings, keep: Sequence[str]
    ) -> None:
        self._con, self._root, self._lake, self._settings, self._keep = con, root, lake, settings, keep
        self._given: dict[tuple[str, str], set[str]] = {}
        _create_macros(con, keep)

    def stage(self, source: Source, batch: Sequence[Pending], name: str) -> list[Counts]:
        """Write the fragments of a batch; what each file held comes back, in the order of the batch.

        Raises duckdb.Error or Unreadable where a file cannot be read at all.
        """
        counts = [Counts() for _ in batch]
        self._create_facts(batch)
        for number, files in enumerate(self._pieces(batch)):
            self._parse(source, batch, files)
            fragment = name if number == 0 else f"{name}-{number}"
            for shape in source.queries:
                self._write_fragments(shapes()[shape], fragment)
            self._write_refusals(source, fragment, batch, counts)
            self._count(source, counts)
        return counts

    def _pieces(self, batch: Sequence[Pending]) -> Iterator[list[Readable]]:
        if len(batch) == 1 and batch[0].layout == "jsonl":
            one = batch[0]
            yield from ([piece] for piece in pieces_of(one.found.path, one.compression, one.cuts, self._root.scratch))
        else:
            yield [Readable(n, one.found.path, one.layout, one.compression) for n, one in enumerate(batch)]

    def _parse(self, source: Source, batch: Sequence[Pending], files: Sequence[Readable]) -> None:
        """Every shape of some files as a table ``staging_<shape>`` in file order, refused records among them."""
        careful = any(file.must_be_careful for file in files)
        while True:
            try:
                source.read(self._con, files, self._keep if source.keeps_attributes else [], careful)
                for shape in source.queries:
                    self._stage(source, shape, batch, careful)
            except OUR_FAULT:
                raise
            except duckdb.Error:
                if careful:
                    raise
                careful = True
                continue
            # The quick way cannot tell blank lines, nor a field that is null from one that is missing.
            if careful or not any(self._has_refusals(shape) for shape in source.queries):
                return
            careful = True

    def _create_facts(self, batch: Sequence[Pending]) -> None:
        rows = pa.table(
            {
                "file_no": pa.array(range(len(batch)), pa.int32()),
                "source": [one.found.source for one in batch],
                "source_account": [one.found.source_account for one in batch],
                "source_schema_version": [one.schema_version for one in batch],
                "source_file": [one.found.name for one in batch],
                "source_file_sha256": [one.sha256 for one in batch],
                "pulled_at": pa.array(
                    [pulled_at_of(one.found.path.name, one.found.mtime_ns) for one in batch],
                    pa.timestamp("us", tz="UTC"),
                ),
                "last_day": pa.array([last_day_allowed(one.first_seen_at) for one in batch], pa.date32()),
            }
        )
        self._con.register("landing_rows", rows)
        self._con.execute("create or replace temp table landing_files as select * from landing_rows")
        self._con.unregister("landing_rows")

    def _stage(self, source: Source, shape_name: str, batch: Sequence[Pending], careful: bool) -> None:
        shape, query = shapes()[shape_name], source.query(self._con, shape_name, careful=careful)
        if (source.name, shape_name) not in self._given:
            self._given[source.name, shape_name] = {row[0] for row in self._con.execute(f"describe {query}").fetchall()}
        given = self._given[source.name, shape_name]
        derived = _DERIVED.get(shape_name, {})
        columns = [
            self._column(column.name, column.type, given, derived)
            for column in shape.columns
            if column.name not in LINEAGE_NAMES
        ]
        lineage = [f"f.{name} as {name}" for name in LINEAGE_NAMES if name != "source_row"]
        instant = f"g.{shape.day_of}"
        context = "g.context" if "context" in given else "cast(null as varchar)"
        select = f"""
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
                {", ".join(columns)}"""
        rows = f" from ({query}) as g"
        if len(batch) == 1:
            # Values in place of a join, which would not keep the order of the file.
            select = re.sub(r"\bf\.(\w+)\b", lambda found: self._fact(found[1]), select)
        else:
            rows += " inner join landing_files as f on g.file_no = f.file_no order by g.file_no, g.source_row"
        self._con.execute(f"create or replace temp table staging_{shape_name} as {select}{rows}")

    def _fact(self, name: str) -> str:
        """What is known of the only file of a batch, as a literal."""
        value, type_ = one_row(self._con, f"select {name}, typeof({name}) from landing_files")
        return f"cast({quoted(str(value))} as {type_})"

    def _column(self, name: str, type_: str, given: set[str], derived: Mapping[str, str]) -> str:
        if name == "user_id" and "user_id" in given and not self._settings.keep_user_ids:
            cleaned = "nullif(nullif(trim(g.user_id), ''), 'undefined')"
            return f"'u-' || left(sha256({quoted(self._settings.pseudonym_key + '|')} || {cleaned}), 20) as user_id"
        if name in given and name in derived:
            value = f"coalesce(g.{name}, {derived[name]})"
        elif name in given:
            value = f"g.{name}"
        elif name in derived and all(
            f"g.{other}" not in derived[name] or other in given for other in _names_in(derived[name])
        ):
            value = derived[name]
        else:
            value = "null"
        return f'cast({value} as {type_}) as "{name}"'

    def _has_refusals(self, shape: str) -> bool:
        return bool(one_row(self._con, f"select count(refusal) from staging_{shape}")[0])

    def _write_fragments(self, shape: Shape, fragment: str) -> None:
        rows, day = f"staging_{shape.name}", shape.day_of
        days = self._con.execute(
            f"select distinct cast({day} as date) from {rows} where refusal is null and context is null order by all"
        ).fetchall()
        columns = ", ".join(f'"{column.name}"' for column in shape.columns)
        for (start,) in days:
            first, end = f"timestamptz '{start} 00:00:00+00'", f"timestamptz '{start} 00:00:00+00' + interval 1 day"
            query = f"select {columns} from {rows} where {day} >= {first} and {day} < {end} and refusal is null and context is null"
            self._write(shape, start, query, fragment)

    def _write(self, shape: Shape, start: date, query: str, fragment: str) -> None:
        target = self._root.fragment(shape.table, start, fragment)
        self._lake.put(self._lake.write(self._con, query, target, fragment, "fragment"), target, shape.table, start)

    def _write_refusals(
        self, source: Source, fragment: str, batch: Sequence[Pending], counts: Sequence[Counts]
    ) -> None:
        """Refused records and those that only carry context, as rows of staged_refusals; the first refused ones in words."""
        selects = [
            f"""select file_no, {", ".join(LINEAGE_NAMES)},
                coalesce(
                    {shapes()[shape].day_of},
                    min({shapes()[shape].day_of}) filter (where refusal is null) over (partition by file_no),
                    (select any_value(f.pulled_at) from landing_files as f where f.file_no = r.file_no)
                ) as refused_day_at,
                '{shape}' as shape, case when refusal is null then 'not_billable' else 'quarantined' end as fate,
                coalesce(refusal, context) as reason
            from staging_{shape} as r
            where exists (select 1 from staging_{shape} as x where x.refusal is not null or x.context is not null)
            qualify refusal is not null or context is not null"""
            for shape in source.queries
        ]
        self._con.execute(f"create or replace temp table refused_rows as {' union all '.join(selects)}")
        # A record in the future is noted on the newest day that could have been.
        self._con.execute(
            "update refused_rows set refused_day_at = least(refused_day_at, (select max(last_day) from landing_files))"
        )
        shape = shapes()["refusals"]
        columns = ", ".join(f'"{column.name}"' for column in shape.columns)
        for (start,) in self._con.execute(
            "select distinct cast(refused_day_at as date) from refused_rows order by all"
        ).fetchall():
            of_day = f"from refused_rows where cast(refused_day_at as date) = date '{start}'"
            query = f"select {columns} {of_day} order by source_file_sha256, source_row"
            self._write(shape, start, query, fragment)
        rows = self._con.execute(
            "select file_no, source_row, reason from refused_rows where fate = 'quarantined' order by all limit ?",
            [REFUSALS_LISTED],
        ).fetchall()
        for file_no, line, reason in rows:
            if len(counts[file_no].refusals) < REFUSALS_LISTED:
                counts[file_no].refusals.append({"file": batch[file_no].found.name, "line": line, "reason": reason})

    def _count(self, source: Source, counts: Sequence[Counts]) -> None:
        selects = " union all ".join(
            f"select file_no, refusal, context, {shapes()[shape].day_of} as record_at from staging_{shape}"
            for shape in source.queries
            if shape != "windows"
        )
        rows = self._con.execute(
            f"""select file_no, count(*), count(refusal), count(context) filter (where refusal is null),
                min(record_at) filter (where refusal is null and context is null),
                max(record_at) filter (where refusal is null and context is null)
            from ({selects}) group by file_no"""
        ).fetchall()
        for file_no, *found in rows:
            counts[file_no].add(*found)


def _names_in(expression: str) -> list[str]:
    return [piece.split(",")[0].split(")")[0].split(" ")[0] for piece in expression.split("g.")[1:]]


def _create_macros(con: duckdb.DuckDBPyConnection, keep: Sequence[str]) -> None:
    """What every source's SQL may use; ``kept_attributes(document, further)`` keeps entries by name, cut at 200 characters."""
    for macro in _MACROS:
        con.execute(f"create or replace temp macro {macro}")
    if not keep:
        con.execute(
            "create or replace temp macro kept_attributes(document, further) as cast(map {} as map(varchar, varchar))"
        )
        return
    paths = [quoted("$." + json.dumps(key)) for key in keep]
    values = ", ".join(f"left(coalesce(document ->> {path}, further ->> {path}), 200)" for path in paths)
    con.execute(
        "create or replace temp macro kept_attributes(document, further) as map_from_entries(list_filter("
        f"list_zip({listed(keep)}, [{values}]), lambda entry: entry[2] is not null))"
    )
