"""JSON as rows: a record a line, arrays, documents one after the other, and pages of an API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa

from pipelines.engine import listed, quoted, quoted_name
from pipelines.records.files import BOM, STREAM_ERRORS, Readable, blocks_of, cut_short, head_of, is_record

_LINES = pa.schema(
    [("file_no", pa.int32()), ("source_row", pa.int64()), ("line", pa.string()), ("problem", pa.string())]
)


def select_json_lines(
    con: duckdb.DuckDBPyConnection, files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str]
) -> str:
    types = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in columns.items())
    largest = max(file.path.stat().st_size for file in files)
    # A number past the file's size makes DuckDB allocate it; a compressed record may be larger than its file.
    at_most = max(16 << 20, min(largest, 1 << 30) + 1024)
    fields = ", ".join(quoted_name(name) for name in columns)
    has = "".join(f', "{name}" is not null as has_{name}' for name in nullable)
    selects = []
    for compression in sorted({file.compression for file in files}):
        chosen = [file for file in files if file.compression == compression]
        reader = (
            f"read_json({listed([str(file.path) for file in chosen])}, columns = {{{types}}}, format = 'newline_delimited', "
            f"records = true, maximum_object_size = {at_most}, compression = '{'uncompressed' if compression == 'none' else compression}'"
        )
        if len(chosen) == 1:
            file_no, row, source = (
                str(chosen[0].number),
                f"row_number() over () + {chosen[0].lines_before}",
                reader + ")",
            )
        else:
            numbers = ", ".join(f"{quoted(str(file.path))}: {file.number}" for file in chosen)
            file_no, source = (
                "file_no",
                (
                    f"(select *, row_number() over () as place, map {{{numbers}}}[filename] as file_no from {reader}, filename = true))"
                ),
            )
            row = "place - min(place) over (partition by file_no) + 1"
        selects.append(
            f"select cast({file_no} as integer) as file_no, cast({row} as bigint) as source_row, "
            f"cast(null as varchar) as problem, {fields}{has} from {source}"
        )
    return " union all ".join(selects)


def array_elements(file: Readable) -> str:
    """The elements of one JSON array, or the documents that stand one after the other: ``element`` and ``place``, from 1."""
    # A compressed file holds more than its size says.
    at_most = max(16 << 20, min(file.path.stat().st_size * (2 if file.compression == "none" else 64), 1 << 30))
    first = head_of(file.path, 64).removeprefix(BOM).lstrip()[:1]
    if not first:
        return "select cast(null as json) as element, 0 as place where false"
    return (
        f"select element, row_number() over () as place from read_json({listed([str(file.path)])}, "
        f"columns = {{element: 'JSON'}}, records = false, format = '{'array' if first == b'[' else 'unstructured'}', "
        f"compression = '{'uncompressed' if file.compression == 'none' else file.compression}', maximum_object_size = {at_most})"
    )


def select_documents(
    files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str], *, in_pages: bool
) -> Iterator[str]:
    """Records of many files at once: arrays, documents one after the other, or the ``data`` of an API's pages."""
    forms: dict[tuple[str, str], list[Readable]] = {}
    for file in files:
        first = head_of(file.path, 64).removeprefix(BOM).lstrip()[:1]
        if first:
            forms.setdefault(("array" if first == b"[" else "unstructured", file.compression), []).append(file)
    for (form, compression), chosen in forms.items():
        largest = max(file.path.stat().st_size for file in chosen)
        # A compressed file holds more than its size says.
        at_most = max(16 << 20, min(largest * (2 if compression == "none" else 64), 1 << 30))
        numbers = ", ".join(f"{quoted(str(file.path))}: {file.number}" for file in chosen)
        elements = (
            f"select element, map {{{numbers}}}[filename] as file_no, row_number() over () as place "
            f"from read_json({listed([str(file.path) for file in chosen])}, columns = {{element: 'JSON'}}, records = false, "
            f"format = '{form}', compression = '{'uncompressed' if compression == 'none' else compression}', "
            f"maximum_object_size = {at_most}, filename = true)"
        )
        if in_pages:
            # An answer without data, an error for one, is read as a record, and lacks what a record must have.
            elements = (
                "select element, file_no, row_number() over (order by page_no, nth) as place from ("
                "select file_no, page_no, unnest(parts) as element, generate_subscripts(parts, 1) as nth from ("
                "select file_no, place as page_no, case when json_type(element, '$.data') = 'ARRAY' "
                "then from_json(json_extract(element, '$.data'), '[\"JSON\"]') else [element] end as parts from ("
                f"{elements})))"
            )
        yield _elements("file_no", "place - min(place) over (partition by file_no) + 1", elements, columns, nullable)
    if not forms:
        yield _elements("0", "0", "select cast(null as json) as element where false", columns, nullable)


def create_pages(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], fields: Mapping[str, str]) -> None:
    """The table ``pages``: file_no, page_no and the named fields of each page of an API that was saved to a file.

    A file is one page, a list of pages, or pages one after the other; an answer of another kind has nulls.
    """
    types = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in fields.items())
    names = ", ".join(quoted_name(name) for name in fields)
    pages = []
    for file in files:
        first = head_of(file.path, 64).removeprefix(BOM).lstrip()[:1]
        if not first:
            continue
        # A compressed page is larger than its file.
        at_most = max(16 << 20, min(file.path.stat().st_size * (2 if file.compression == "none" else 64), 1 << 30))
        pages.append(
            f"select cast({file.number} as integer) as file_no, row_number() over () as page_no, {names} "
            f"from read_json({listed([str(file.path)])}, columns = {{{types}}}, records = true, "
            f"format = '{'array' if first == b'[' else 'unstructured'}', "
            f"compression = '{'uncompressed' if file.compression == 'none' else file.compression}', "
            f"maximum_object_size = {at_most})"
        )
    nothing = ", ".join(f"cast(null as {type_}) as {quoted_name(name)}" for name, type_ in fields.items())
    empty = f"select 0 as file_no, 0 as page_no, {nothing} where false"
    con.execute(f"create or replace temp table pages as {' union all '.join(pages) or empty}")


def elements_of(file: Readable, elements: str, columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    """Records that are JSON values (``element``, ``place``), with the columns of ``create_records``."""
    return _elements(str(file.number), "place", elements, columns, nullable)


def _elements(file_no: str, row: str, elements: str, columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    types = ", ".join(f'{json.dumps(name)}:"{type_}"' for name, type_ in columns.items())
    fields = ", ".join(f"parsed.{quoted_name(name)}" for name in columns)
    has = "".join(f", coalesce(json_exists(element, {quoted('$.' + name)}), false) as has_{name}" for name in nullable)
    return (
        f"select cast({file_no} as integer) as file_no, cast({row} as bigint) as source_row, "
        "case when json_type(element) is distinct from 'OBJECT' "
        "then 'a JSON ' || lower(coalesce(json_type(element), 'null')) || ', expected an object' end as problem, "
        f"{fields}{has} from (select *, from_json(case when json_type(element) = 'OBJECT' then element end, "
        f"{quoted('{' + types + '}')}) as parsed from ({elements}))"
    )


def select_json_lines_carefully(
    con: duckdb.DuckDBPyConnection, files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str]
) -> str:
    con.register("record_lines", pa.RecordBatchReader.from_batches(_LINES, _lines(files)))
    types = ", ".join(f'{json.dumps(name)}:"{type_}"' for name, type_ in columns.items())
    fields = ", ".join(f"parsed.{quoted_name(name)}" for name in columns)
    has = "".join(f", coalesce(json_exists(good, {quoted('$.' + name)}), false) as has_{name}" for name in nullable)
    # A stream of lines can be read once only, so it is kept: a file that comes here is an exception.
    con.execute(
        "create or replace temp table kept_lines as select file_no, source_row, "
        "coalesce(problem, case when not json_valid(line) then 'not JSON' when json_type(line) <> 'OBJECT' "
        "then 'a JSON ' || lower(json_type(line)) || ', expected an object' end) as problem, "
        "case when problem is null and json_valid(line) and json_type(line) = 'OBJECT' then line end as good from record_lines"
    )
    con.unregister("record_lines")
    return (
        f"select file_no, source_row, problem, {fields}{has} from "
        f"(select *, from_json(good, {quoted('{' + types + '}')}) as parsed from kept_lines)"
    )


def _lines(files: Sequence[Readable]) -> Iterator[pa.RecordBatch]:
    """The lines of files with their numbers. Blank lines are no records. A cut stream ends in a row with a problem."""
    for file in files:
        number, rest, cut, ended = file.lines_before, b"", file.problem, False
        blocks = blocks_of(file.path, file.compression)
        while not ended:
            try:
                block = next(blocks, b"")
            except STREAM_ERRORS as error:
                block, cut = b"", cut_short(file.compression, error)
            ended = not block
            pieces = (rest + block).split(b"\n")
            rest = pieces.pop()
            # The part of a line before a cut belongs to what is lost, unless all of the record is there.
            if ended and rest and (not cut or is_record(rest)):
                pieces.append(rest)
            if number == 0 and pieces:
                pieces[0] = pieces[0].removeprefix(BOM)
            if pieces:
                yield _batch(file.number, number, pieces)
                number += len(pieces)
        if cut:
            yield pa.RecordBatch.from_arrays(
                [[file.number], [number + 1], pa.array([None], pa.string()), [cut]], schema=_LINES
            )


def _batch(file_no: int, before: int, pieces: list[bytes]) -> pa.RecordBatch:
    try:
        texts: list[str | None] = pa.array(pieces, pa.binary()).cast(pa.string())
        problems = pa.nulls(len(pieces), pa.string())
    except pa.ArrowInvalid:
        decoded = [_decoded(piece) for piece in pieces]
        texts = pa.array([text for text, _ in decoded], pa.string())
        problems = pa.array([problem for _, problem in decoded], pa.string())
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array([file_no] * len(pieces), pa.int32()),
            pa.array(range(before + 1, before + 1 + len(pieces)), pa.int64()),
            texts,
            problems,
        ],
        schema=_LINES,
    )
    return rows.filter(pa.array([bool(piece.strip()) for piece in pieces]))


def _decoded(piece: bytes) -> tuple[str | None, str | None]:
    try:
        return piece.decode("utf-8"), None
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 (byte {piece[error.start]:#04x} at column {error.start + 1})"
