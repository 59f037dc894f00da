"""From landing files to staged fragments: parse a piece, give every column of the shape a value, split by month.

A large file of lines is read in pieces, so that memory is bounded by the piece and not by the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa

from pipelines import usage
from pipelines.contract import LINEAGE_NAMES, Shape, shapes
from pipelines.engine import (
    FOR_MANY_ROWS,
    materialised,
    one_row,
    planned_without,
    quoted,
    rows_of,
    typed_table,
    with_row_hashes,
)
from pipelines.lake import Lake
from pipelines.landing import Contents, Found, last_day_allowed
from pipelines.parquet import PeriodRows
from pipelines.paths import DataRoot
from pipelines.records.files import CUT_SHORT, Readable, Unreadable, count_lines, pieces_of
from pipelines.settings import Settings
from pipelines.source_macros import LINES_APART, create_macros, create_name_macros
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

# The columns that the query of a shape gives, by source, its version, shape and the columns of its records.
_given: dict[tuple[str, str, str, tuple[str, ...]], set[str]] = {}

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
        "unread_tokens": "list_sum(map_values(g.unread_usage))",
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

_EPOCH = date(1970, 1, 1)
_NO_USER = '{"user_id": null, "user_email": null}'
# No API that bills tokens is older: an instant before it is a clock's zero.
_FIRST_INSTANT = "timestamptz '2000-01-01 00:00:00+00'"
# Files of so many bytes together hold few rows.
_FEW_BYTES = 8 << 20
# Of so few the plan costs more than the records.
_LITTLE_BYTES = 1 << 20


@dataclass(frozen=True)
class Pending:
    """A file to be read: what the folder listing and its first bytes say of it."""

    found: Found
    contents: Contents
    compression: str
    layout: str
    schema_version: str
    first_seen_at: datetime
    pulled_at: datetime

    @property
    def sha256(self) -> str:
        return self.contents.sha256

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
        self,
        con: duckdb.DuckDBPyConnection,
        root: DataRoot,
        lake: Lake,
        settings: Settings,
        keep: Sequence[str],
        dimension_keys: Mapping[str, Sequence[str]],
    ) -> None:
        self._con, self._root, self._lake, self._settings, self._keep = con, root, lake, settings, keep
        self._dimension_keys, self._has_macros = dimension_keys, False
        self._given: dict[tuple[str, str], set[str]] = {}
        self._staged: dict[str, pa.Table] = {}

    def prepare(self) -> None:
        """Make the macros that sources read with, once there is a file to read."""
        if not self._has_macros:
            usage.register(self._con)
            create_macros(self._con, self._keep)
            create_name_macros(self._con, self._keep, self._dimension_keys)
            self._has_macros = True

    def stage(self, source: Source, batch: Sequence[Pending], name: str) -> list[Counts]:
        """Write the fragments of a batch; what each file held comes back, in the order of the batch.

        Raises duckdb.Error or Unreadable where a file cannot be read at all.
        """
        self.prepare()
        counts = [Counts() for _ in batch]
        self._create_facts(batch)
        has_windows = False
        for number, files in enumerate(self._pieces(batch)):
            self._parse(source, batch, files)
            has_windows |= "windows" in source.queries and self._staged["windows"].num_rows > 0
            if has_windows and (cut := self._cut_short(source)):
                # What is left of it would take the place of an older pull that is whole.
                raise Unreadable(f"{cut.partition(';')[0]}; of a bill all counts or nothing, so copy it again")
            fragment = name if number == 0 else f"{name}-{number}"
            for shape in source.queries:
                self._write_fragments(shapes()[shape], fragment)
            self._write_refusals(source, fragment, batch, counts)
            self._count(source, counts)
        return counts

    def _pieces(self, batch: Sequence[Pending]) -> Iterator[list[Readable]]:
        if len(batch) == 1 and batch[0].layout == "jsonl":
            one = batch[0]
            cuts, lines = one.contents.cuts, one.contents.lines
            yield from (
                [piece] for piece in pieces_of(one.found.path, one.compression, cuts, lines, self._root.scratch)
            )
        else:
            yield [
                Readable(n, one.found.path, one.layout, one.compression, lines=_lines_of(one))
                for n, one in enumerate(batch)
            ]

    def _parse(self, source: Source, batch: Sequence[Pending], files: Sequence[Readable]) -> None:
        """Every shape of some files as a table ``staging_<shape>``, refused records among them."""
        source.read(self._con, files, self._keep if source.keeps_attributes else [])
        for shape in source.queries:
            self._stage(source, shape, batch)

    def _create_facts(self, batch: Sequence[Pending]) -> None:
        rows = pa.table(
            {
                "file_no": pa.array(range(len(batch)), pa.int32()),
                "source": [one.found.source for one in batch],
                "source_account": [one.found.source_account for one in batch],
                "source_schema_version": [one.schema_version for one in batch],
                "source_file": [one.found.name for one in batch],
                "source_file_sha256": [one.sha256 for one in batch],
                "pulled_at": pa.array([one.pulled_at for one in batch], pa.timestamp("us", tz="UTC")),
                "last_day": pa.array([last_day_allowed(one.first_seen_at) for one in batch], pa.date32()),
            }
        )
        self._con.register("landing_rows", rows)
        self._con.execute("create or replace temp table landing_files as select * from landing_rows")
        self._con.unregister("landing_rows")

    def _stage(self, source: Source, shape_name: str, batch: Sequence[Pending]) -> None:
        shape, query = shapes()[shape_name], source.query(self._con, shape_name)
        given = self._columns_of(source, shape_name, query)
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
                    when {instant} < {_FIRST_INSTANT}
                        then 'in_the_distant_past: ' || strftime({instant}, '%Y-%m-%dT%H:%M:%SZ') || ', expected no year before 2000'
                    when cast({instant} as date) > f.last_day
                        then 'in_the_future: ' || strftime({instant}, '%Y-%m-%dT%H:%M:%SZ') || ', expected no day after ' || f.last_day
                end as refusal,
                {context} as context,
                {", ".join(lineage)},
                cast(g.source_row as bigint) as source_row,
                {", ".join(columns)}"""
        rows = f" from ({query}) as g"
        # Rows of one record have a key to stand in order by.
        order = "order by g.file_no, g.source_row" + (", g.key_text" if "key_text" in given else "")
        if len(batch) == 1:
            # Values in place of a join, which would not keep the order of the file.
            select = re.sub(r"\bf\.(\w+)\b", lambda found: self._fact(found[1]), select)
            rows += f" {order}" if "key_text" in given else ""
        else:
            rows += f" inner join landing_files as f on g.file_no = f.file_no {order}"
        query = select + rows
        # Rows that are few are copied once more, which is cheaper than to bind the query twice as a relation of it does.
        size = sum(one.found.path.stat().st_size for one in batch)
        if size <= _FEW_BYTES:
            with planned_without(self._con, FOR_MANY_ROWS if size <= _LITTLE_BYTES else ()):
                staged = typed_table(materialised(self._con, query))
        else:
            staged = rows_of(self._con, query)
        self._staged[shape_name] = staged
        self._con.register(f"staging_{shape_name}", staged)

    def _columns_of(self, source: Source, shape: str, query: str) -> set[str]:
        """What a source gives of a shape. It costs a plan of the query, and is the same for all data roots of a process."""
        if (source.name, shape) not in self._given:
            records = tuple(row[0] for row in self._con.execute("describe records").fetchall())
            key = (source.name, source.version, shape, records)
            if key not in _given:
                _given[key] = {row[0] for row in self._con.execute(f"describe {query}").fetchall()}
            self._given[source.name, shape] = _given[key]
        return self._given[source.name, shape]

    def _fact(self, name: str) -> str:
        """What is known of the only file of a batch, as a literal."""
        value, type_ = one_row(self._con, f"select {name}, typeof({name}) from landing_files")
        return f"cast({quoted(str(value))} as {type_})"

    def _column(self, name: str, type_: str, given: set[str], derived: Mapping[str, str]) -> str:
        if name == "user_id" and "user_id" in given:
            cleaned = "nullif(nullif(trim(g.user_id), ''), 'undefined')"
            if self._settings.keep_user_ids:
                return f"{cleaned} as user_id"
            return f"'u-' || left(sha256({quoted(self._settings.pseudonym_key + '|')} || {cleaned}), 20) as user_id"
        if name == "raw" and "raw" in given and not self._settings.keep_user_ids:
            # The record as received, but for who the user is: a merge with null takes a field out.
            return f"json_merge_patch(g.raw, {quoted(_NO_USER)}) as raw"
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

    def _cut_short(self, source: Source) -> str:
        """What is said of a file that was not copied whole; nothing where all were."""
        reasons = " union all ".join(f"select refusal from staging_{shape}" for shape in source.queries)
        (found,) = one_row(
            self._con, f"select min(refusal) from ({reasons}) where contains(refusal, {quoted(CUT_SHORT)})"
        )
        return found or ""

    def _write_fragments(self, shape: Shape, fragment: str) -> None:
        rows = self._staged[shape.name]
        # Imported where it is needed: a look at what is new reads no rows.
        import pyarrow.compute as pc

        if rows["refusal"].null_count + rows["context"].null_count < 2 * rows.num_rows:
            rows = rows.filter(pc.and_(pc.is_null(rows["refusal"]), pc.is_null(rows["context"])))
        rows = rows.select([column.name for column in shape.columns])
        self.write(shape, rows, fragment)

    def write(self, shape: Shape, rows: pa.Table, fragment: str) -> None:
        """Write rows as one file a month, in time order, each file with its days."""
        if not rows.num_rows:
            return
        rows = with_row_hashes(self._con, rows)
        rows = rows.sort_by(
            [(shape.day_of, "ascending"), ("source_file_sha256", "ascending"), ("source_row", "ascending")]
        )
        days = rows[shape.day_of].cast(pa.date32()).cast(pa.int32()).to_numpy()
        starts, firsts = np.unique(days, return_index=True)
        months: dict[date, list[PeriodRows]] = {}
        for place, (day, first) in enumerate(zip(starts, firsts, strict=True)):
            start = _EPOCH + timedelta(days=int(day))
            end = int(firsts[place + 1]) if place + 1 < len(firsts) else rows.num_rows
            period = PeriodRows(start, fragment, [rows.slice(int(first), end - int(first))])
            months.setdefault(start.replace(day=1), []).append(period)
        for month, periods in months.items():
            self._lake.add_fragment(shape.table, self._root.fragment(shape.table, month, fragment), periods)

    def _write_refusals(
        self, source: Source, fragment: str, batch: Sequence[Pending], counts: Sequence[Counts]
    ) -> None:
        """Refused records and those that only carry context, as rows of staged_refusals; the first refused ones in words."""
        selects = [
            f"""select file_no, {", ".join(LINEAGE_NAMES)},
                coalesce(
                    case when {shapes()[shape].day_of} >= {_FIRST_INSTANT} then {shapes()[shape].day_of} end,
                    min({shapes()[shape].day_of}) filter (where refusal is null) over (partition by file_no),
                    (select any_value(f.pulled_at) from landing_files as f where f.file_no = r.file_no)
                ) as refused_day_at,
                '{shape}' as shape, case when refusal is null then 'not_billable' else 'quarantined' end as fate,
                coalesce(refusal, context) as reason
            from staging_{shape} as r
            where exists (select 1 from staging_{shape} as x where x.refusal is not null or x.context is not null)
            qualify refusal is not null or context is not null"""
            for shape in source.queries
            if shape != "windows"
        ]
        # A record that is refused in two shapes is one record.
        self._con.execute(
            f"create or replace temp table refused_rows as select * from ({' union all '.join(selects)}) "
            "qualify row_number() over (partition by file_no, source_row order by fate desc, shape, reason) = 1"
        )
        # A record in the future is noted on the newest day that could have been.
        self._con.execute(
            "update refused_rows set refused_day_at = least(refused_day_at, (select max(last_day) from landing_files))"
        )
        shape = shapes()["refusals"]
        columns = ", ".join(f'"{column.name}"' for column in shape.columns)
        query = f"select {columns} from refused_rows order by refused_day_at, source_file_sha256, source_row"
        self.write(shape, rows_of(self._con, query), fragment)
        rows = self._con.execute(
            "select file_no, source_row, reason from refused_rows where fate = 'quarantined' order by all limit ?",
            [REFUSALS_LISTED],
        ).fetchall()
        for file_no, line, reason in rows:
            if len(counts[file_no].refusals) < REFUSALS_LISTED:
                found = {"file": batch[file_no].found.name, "line": line % LINES_APART, "reason": reason}
                counts[file_no].refusals.append(found)

    def _count(self, source: Source, counts: Sequence[Counts]) -> None:
        rows = " union all ".join(
            f"select file_no, source_row, refusal, context, {shapes()[shape].day_of} as record_at from staging_{shape}"
            for shape in source.queries
            if shape != "windows"
        )
        # A record of a usage report may be several rows: tokens and searches, usage and its charge.
        several = {"usage", "bills"} & set(source.queries)
        records = (
            f"""select file_no, source_row, min(refusal) as refusal,
                case when count(context) = count(*) then min(context) end as context,
                min(record_at) filter (where refusal is null and context is null) as first_at,
                max(record_at) filter (where refusal is null and context is null) as last_at
            from ({rows}) group by file_no, source_row"""
            if several
            else f"""select file_no, refusal, context,
                case when refusal is null and context is null then record_at end as first_at, first_at as last_at
            from ({rows})"""
        )
        found_rows = self._con.execute(
            f"""select file_no, count(*), count(refusal), count(context) filter (where refusal is null),
                min(first_at), max(last_at)
            from ({records}) group by file_no"""
        ).fetchall()
        for file_no, *found in found_rows:
            counts[file_no].add(*found)


def _names_in(expression: str) -> list[str]:
    return [piece.split(",")[0].split(")")[0].split(" ")[0] for piece in expression.split("g.")[1:]]


def _lines_of(one: Pending) -> int | None:
    """Lines of a file of which the engine is told the place of a record, and not its line."""
    if one.layout != "csv" and (one.layout != "jsonl" or one.compression != "none"):
        return None
    return one.contents.lines if one.compression == "none" else count_lines(one.found.path, one.compression)
