"""Parquet files as the lake writes them: the same rows in the same order give the same bytes, and each says what it holds.

Rows come as Arrow tables: writing those costs less than half of what the engine's own writer takes, in columns as many as
the ledger's, and a file depends on nothing but its rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

# Rows of a row group: what readers skip or read as one, and what a writer holds at least.
ROW_GROUP_ROWS = 122_880
# A column of a query's result that is not written: a hash of each row, of which the content hash of a period is made.
ROW_HASH = "row_hash"

# Texts that differ in every row: hashes as they are, and what goes on from row to row by where it differs from the last.
_DIFFERENT = {
    **dict.fromkeys(
        (
            "request_key",
            "first_request_key",
            "usage_key",
            "score_key",
            "provider_response_id",
            "gateway_call_id",
            "span_id",
        ),
        "DELTA_LENGTH_BYTE_ARRAY",
    ),
    **dict.fromkeys(("source_row_id", "source_row_version"), "DELTA_BYTE_ARRAY"),
}


@dataclass(frozen=True)
class Period:
    """One period of a table as a file holds it. ``start`` is None where the table has no periods."""

    start: date | None
    fingerprint: str
    content_hash: str
    rows: int


@dataclass
class PeriodRows:
    """One period to be written: its rows in order, in one or more tables of one schema.

    Either the tables have a column ``row_hash`` (of rows just built), which is not written, or ``content_hash`` is known.
    """

    start: date
    fingerprint: str
    tables: Iterable[pa.Table]
    content_hash: str = ""
    rows: int = field(default=0, init=False)

    def written(self, schema: pa.Schema | None, header_version: str) -> Iterator[pa.Table]:
        """The tables to write; afterwards ``rows`` and ``content_hash`` say what they held."""
        hashed = None if self.content_hash else hashlib.sha256(header_version.encode())
        for table in self.tables:
            if hashed is not None:
                place = table.schema.get_field_index(ROW_HASH)
                for chunk in table.column(place).chunks:
                    hashed.update(chunk.to_numpy(zero_copy_only=False).tobytes())
                table = table.remove_column(place)
            self.rows += table.num_rows
            yield table if schema is None or table.schema.equals(schema) else _in_shape(table, schema)
        if hashed is not None:
            self.content_hash = hashed.hexdigest()[:32]

    @property
    def period(self) -> Period:
        return Period(self.start, self.fingerprint, self.content_hash, self.rows)


def _in_shape(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows under the columns of another version of their table: what it did not have is null until its period is built again."""
    if table.schema.names == schema.names:
        return table.cast(schema)
    columns = [
        table.column(column.name).cast(column.type)
        if column.name in table.schema.names
        else pa.nulls(table.num_rows, column.type)
        for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def write_rows(rows: Iterable[pa.Table], target: Path, fingerprint: str, header_version: str) -> Path:
    """Write a table without periods beside ``target`` and return the temporary file.

    Its content hash is that of its bytes.
    """
    temporary = _beside(target)
    with temporary.open("wb") as file:
        hashed = _Hashed(file, header_version)
        _write(
            hashed,
            iter(rows),
            lambda: {
                "fingerprint": fingerprint,
                "content_hash": hashed.sha256.hexdigest(),
                "header_version": header_version,
            },
        )
    return temporary


def write_periods(
    periods: Sequence[PeriodRows], target: Path, header_version: str, schema: pa.Schema | None = None
) -> Path:
    """Write periods, in the order given, beside ``target`` and return the temporary file.

    ``schema``: what rows of an older file are brought to, where rows just built stand beside them.
    """
    temporary = _beside(target)
    with temporary.open("wb") as file:
        _write(
            file,
            (table for period in periods for table in period.written(schema, header_version)),
            lambda: {
                "periods": json.dumps([[str(p.start), p.fingerprint, p.content_hash, p.rows] for p in periods]),
                "header_version": header_version,
            },
        )
    return temporary


def described(path: Path, start: date | None) -> list[Period]:
    """The periods of a file, by what it says of itself. ``start`` is that of its place, for a file of one period.

    A file without our metadata, or a broken one, counts as one period that was built from nothing.
    """
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
        said = {k.decode(): v.decode() for k, v in (metadata.metadata or {}).items() if k != b"ARROW:schema"}
        rows = metadata.num_rows
        if "periods" in said:
            return [Period(date.fromisoformat(day), *others) for day, *others in json.loads(said["periods"])]
    except (OSError, ValueError):
        said, rows = {}, 0
    return [Period(start, said.get("fingerprint", ""), said.get("content_hash", ""), rows)]


def _beside(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.tmp")


def _write(file: Any, tables: Iterator[pa.Table], said: Callable[[], Mapping[str, str]]) -> None:
    import pyarrow.parquet as pq

    first = next(tables)
    encodings = {
        field.name: "DELTA_BINARY_PACKED" if pa.types.is_timestamp(field.type) else _DIFFERENT[field.name]
        for field in first.schema
        if pa.types.is_timestamp(field.type) or field.name in _DIFFERENT
    }
    with pq.ParquetWriter(
        file,
        first.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[leaf for field in first.schema if field.name not in encodings for leaf in _leaves(field)],
        column_encoding=encodings,
        # Where most rows differ a dictionary of them is work for nothing.
        dictionary_pagesize_limit=1 << 16,
        store_schema=False,
        store_decimal_as_integer=True,
    ) as writer:
        for group in _row_groups(first, tables):
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        # What is left to write is the footer.
        writer.add_key_value_metadata(said())


def _leaves(field: pa.Field, above: str = "") -> list[str]:
    """The columns that a field is in a file, by their paths."""
    path, kind = f"{above}{field.name}", field.type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_map(kind):
        return [*_leaves(kind.key_field, f"{path}.key_value."), *_leaves(kind.item_field, f"{path}.key_value.")]
    if pa.types.is_list(kind):
        return _leaves(pa.field("element", kind.value_type), f"{path}.list.")
    if pa.types.is_struct(kind):
        return [leaf for inner in kind for leaf in _leaves(inner, f"{path}.")]
    return [path]


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
    waiting, held = [first], first.num_rows
    for table in rest:
        if not table.num_rows:
            continue
        waiting.append(table)
        held += table.num_rows
        if held >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(waiting)
            kept = held // ROW_GROUP_ROWS * ROW_GROUP_ROWS
            for start in range(0, kept, ROW_GROUP_ROWS):
                yield whole.slice(start, ROW_GROUP_ROWS).combine_chunks()
            waiting, held = [whole.slice(kept)], held - kept
    whole = pa.concat_tables(waiting)
    for start in range(0, max(whole.num_rows, 1), ROW_GROUP_ROWS):
        yield whole.slice(start, ROW_GROUP_ROWS).combine_chunks()
