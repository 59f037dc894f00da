"""CSV and Parquet as rows: cells as text, whatever the case of their columns' names."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import duckdb
import pyarrow as pa

from pipelines.engine import quoted, quoted_name
from pipelines.records.files import BOM, STREAM_ERRORS, Readable, Unreadable, blocks_of, cut_short, head_of

_CELL_ROWS = 5_000


def _header_of(file: Readable, columns: Mapping[str, str], repeated_columns: str) -> list[str]:
    """The names in the first line of a CSV file. Raises Unreadable where a field stands there twice and must not."""
    text = head_of(file.path).removeprefix(BOM).decode("utf-8", "replace")
    header: list[str] = []
    for place, cell in enumerate(next(csv.reader(io.StringIO(text, newline="")), []), 1):
        name = cell.strip()
        if name in header and name in columns and repeated_columns == "refuse":
            raise Unreadable(f"a header with two columns {name}, expected one")
        is_new = name and name.lower() not in (known.lower() for known in header)
        header.append(name if is_new else f"column {place}")
    return header


def select_csv(file: Readable, columns: Mapping[str, str], nullable: Sequence[str], repeated_columns: str) -> str:
    header = _header_of(file, columns, repeated_columns)
    types = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in header)
    # Nothing is left to detection: in a file with a fault DuckDB skips lines until it finds a header that fits.
    reader = (
        f"read_csv({quoted(str(file.path))}, auto_detect = false, header = true, columns = {{{types}}}, "
        f"compression = '{file.compression}', delim = ',', quote = '\"', escape = '\"', null_padding = false, "
        "strict_mode = true, max_line_size = 33554432)"
    )
    return _table(reader, "row_number() over () + 1", file, header, columns, nullable)


def select_csv_carefully(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    repeated_columns: str,
) -> str:
    schema = pa.schema(
        [
            ("file_no", pa.int32()),
            ("source_row", pa.int64()),
            ("problem", pa.string()),
            *((name, pa.string()) for name in columns),
            *((f"has_{name}", pa.bool_()) for name in nullable),
        ]
    )
    rows = pa.RecordBatchReader.from_batches(schema, _cells(files, columns, nullable, schema, repeated_columns))
    con.register("record_cells", rows)
    con.execute("create or replace temp table kept_cells as select * from record_cells")
    con.unregister("record_cells")
    replaced = ", ".join(
        f"{_as_type(quoted_name(name), type_)} as {quoted_name(name)}"
        for name, type_ in columns.items()
        if type_ != "VARCHAR"
    )
    return f"select *{f' replace ({replaced})' if replaced else ''} from kept_cells"


def _cells(
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    schema: pa.Schema,
    repeated_columns: str,
) -> Iterator[pa.RecordBatch]:
    """The rows of CSV files, each with the line that it begins on, or with what is wrong with it."""
    for file in files:
        header = _header_of(file, columns, repeated_columns)
        folded = [name.lower() for name in header]
        places = [folded.index(name.lower()) if name.lower() in folded else None for name in columns]
        has = [name.lower() in folded for name in nullable]
        rows = _csv_rows(file, len(header), [place for place in places if place is not None])
        while chunk := list(islice(rows, _CELL_ROWS)):
            values = [
                [
                    file.number,
                    line,
                    problem,
                    *(cells[n] or None if cells and n is not None else None for n in places),
                    *has,
                ]
                for line, cells, problem in chunk
            ]
            arrays = [pa.array(column, of.type) for column, of in zip(zip(*values, strict=True), schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _csv_rows(file: Readable, width: int, places: Sequence[int]) -> Iterator[tuple[int, list[str], str | None]]:
    """Of each row below the header its first line and its cells, or none of them and what is wrong."""
    csv.field_size_limit(1 << 30)
    cut: list[str] = []
    rows = csv.reader(_text_lines(file, cut), strict=True)
    is_header = True
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            yield line, [], f"not CSV ({error})"
            continue
        if cells and not is_header:
            problem = _problem_of(cells, width, places)
            yield line, [] if problem else cells, problem
        is_header = False
    if cut:
        yield rows.line_num + 1, [], cut[0]


def _problem_of(cells: Sequence[str], width: int, places: Sequence[int]) -> str | None:
    if len(cells) != width:
        return f"{len(cells)} cells, expected {width}"
    try:
        "".join(cells[place] for place in places).encode()
    except UnicodeEncodeError as error:
        return f"not UTF-8 (byte {ord(error.object[error.start]) - 0xDC00:#04x})"
    return None


def _text_lines(file: Readable, cut: list[str]) -> Iterator[str]:
    """Lines with their ends. What is not UTF-8 in them is kept as lone surrogates; the line that a cut goes through is not."""
    blocks = blocks_of(file.path, file.compression)
    rest, skip, ended = b"", BOM, False
    while not ended:
        try:
            block = next(blocks, b"")
        except STREAM_ERRORS as error:
            cut.append(cut_short(file.compression, error))
            return
        ended = not block
        lines = (rest + block).splitlines(keepends=True) if ended else (rest + block).split(b"\n")
        rest = b"" if ended else lines.pop()
        for line in lines:
            text = line.removeprefix(skip).decode("utf-8", "surrogateescape")
            yield text if ended else text + "\n"
            skip = b""


def _as_type(text: str, wanted: str) -> str:
    """A cell's text as its column's type."""
    if wanted == "VARCHAR":
        return text
    return _as_json(text) if wanted == "JSON" else f"from_json({_as_json(text)}, {quoted(json.dumps(wanted))})"


def _as_json(text: str) -> str:
    """A text that is no JSON as a JSON string: what is wrong with it is for the source to say, of that record alone."""
    return f"coalesce(try_cast({text} as json), to_json({text}))"


def select_parquet(
    con: duckdb.DuckDBPyConnection, file: Readable, columns: Mapping[str, str], nullable: Sequence[str]
) -> str:
    # A folder named key=value is no column: it would take the place of one in the file.
    reader = f"read_parquet({quoted(str(file.path))}, file_row_number = true, hive_partitioning = false)"
    try:
        types = {row[0]: row[1] for row in con.execute(f"describe select * from {reader}").fetchall()}
    except duckdb.Error as error:
        raise Unreadable(f"not a Parquet file that can be read ({str(error).splitlines()[0]})") from error
    return _table(reader, "file_row_number + 1", file, list(types), columns, nullable, types)


def _table(
    reader: str,
    row: str,
    file: Readable,
    found: Sequence[str],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    types: Mapping[str, str] | None = None,
) -> str:
    """CSV and Parquet columns as text, whatever the case of their names; absent ones as null."""
    texts = []
    spelled = {name.lower(): name for name in found}
    for name, wanted in columns.items():
        cell = quoted_name(name)
        type_ = (types or {}).get(spelled.get(name.lower(), ""), "")
        if name.lower() not in spelled:
            text = "cast(null as varchar)"
        elif type_.endswith(("[]", ")")) and not type_.startswith("DECIMAL"):
            text = f"cast(to_json({cell}) as varchar)"
        elif type_.startswith("TIMESTAMP"):
            text = f"strftime(cast({cell} as timestamptz), '%Y-%m-%dT%H:%M:%S.%fZ')"
        else:
            text = f"nullif(cast({cell} as varchar), '')"
        texts.append(f"{_as_type(text, wanted)} as {cell}")
    has = "".join(f", {str(name.lower() in spelled).lower()} as has_{name}" for name in nullable)
    return (
        f"select cast({file.number} as integer) as file_no, cast({row} as bigint) as source_row, "
        f"cast(null as varchar) as problem, {', '.join(texts)}{has} from {reader}"
    )
