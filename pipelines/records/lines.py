"""JSON Lines as rows: whole files by the engine, or line by line, each with what is wrong with it."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence

import duckdb
import pyarrow as pa

from pipelines.engine import listed, quoted, quoted_name
from pipelines.records.files import BOM, STREAM_ERRORS, Readable, blocks_of, cut_short, is_record

_FEW_FILES = 16
_SMALL_BYTES = 64 << 10
# Whoever cuts a text within an emoji leaves half of it, \ud83d without the other half, which the engine takes for no JSON. Those
# halves are left out; escaped backslashes and whole pairs stay as they are.
_HALF = r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_MENDED = (
    r"select * replace (case when not contains(line, '\ud') and not contains(line, '\uD') then line when json_valid(line) then line "
    rf"else regexp_replace(line, '{_HALF}', '\1', 'g') end as line) from record_lines"
)
_HALVES = re.compile(_HALF.encode())
_LINES = pa.schema(
    [("file_no", pa.int32()), ("source_row", pa.int64()), ("line", pa.string()), ("problem", pa.string())]
)


def without_halves(text: bytes) -> bytes:
    """A JSON text without the halves of emoji that the engine takes for no JSON."""
    return _HALVES.sub(rb"\1", text)


def are_better_as_lines(files: Sequence[Readable]) -> bool:
    """Files of lines that are read one by one from the start.

    To open a small one costs DuckDB some 1 ms, more than its lines cost as objects of one call. A compressed one would have to
    be decompressed again for each look at its lines.
    """
    are_small = sum(file.path.stat().st_size for file in files) < _SMALL_BYTES * len(files)
    return (len(files) > _FEW_FILES and are_small) or any(file.compression != "none" for file in files)


def select_json_lines(files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    """Plain lines as the engine reads them; of one that it cannot read it makes a row without a value."""
    types = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in columns.items())
    largest = max(file.path.stat().st_size for file in files)
    # A number past the file's size makes DuckDB allocate it.
    at_most = max(16 << 20, min(largest, 1 << 30) + 1024)
    fields = ", ".join(quoted_name(name) for name in columns)
    has = "".join(f', "{name}" is not null as has_{name}' for name in nullable)
    reader = (
        f"read_json({listed([str(file.path) for file in files])}, columns = {{{types}}}, format = 'newline_delimited', "
        f"records = true, ignore_errors = true, maximum_object_size = {at_most}, compression = 'uncompressed'"
    )
    if len(files) == 1:
        file_no, row, source = str(files[0].number), f"row_number() over () + {files[0].lines_before}", f"{reader})"
    else:
        numbers = ", ".join(f"{quoted(str(file.path))}: {file.number}" for file in files)
        file_no, row = "file_no", "place - min(place) over (partition by file_no) + 1"
        source = f"(select *, row_number() over () as place, map {{{numbers}}}[filename] as file_no from {reader}, filename = true))"
    return (
        f"select cast({file_no} as integer) as file_no, cast({row} as bigint) as source_row, "
        f"cast(null as varchar) as problem, {fields}{has} from {source}"
    )


def select_json_lines_carefully(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    wanted: Mapping[int, Sequence[int]] | None = None,
) -> str:
    """A query over the stream ``record_lines`` of lines: as records, or with what is wrong with them.

    ``wanted``: by file, the lines that are looked at, in order; all of them without it.
    """
    con.register("record_lines", pa.RecordBatchReader.from_batches(_LINES, _lines(files, wanted)))
    types = ", ".join(f'{json.dumps(name)}:"{type_}"' for name, type_ in columns.items())
    fields = ", ".join(f"parsed.{quoted_name(name)}" for name in columns)
    has = "".join(f", coalesce(json_exists(good, {quoted('$.' + name)}), false) as has_{name}" for name in nullable)
    return (
        f"select file_no, source_row, problem, {fields}{has} from ("
        f"select *, from_json(good, {quoted('{' + types + '}')}) as parsed from ("
        "select file_no, source_row, coalesce(problem, wrong) as problem, "
        "case when problem is null and wrong is null then line end as good from ("
        "select *, case when not json_valid(line) then 'not JSON' when json_type(line) <> 'OBJECT' "
        f"then 'a JSON ' || lower(json_type(line)) || ', expected an object' end as wrong from ({_MENDED}))))"
    )


def _lines(files: Sequence[Readable], wanted: Mapping[int, Sequence[int]] | None = None) -> Iterator[pa.RecordBatch]:
    """The lines of files with their numbers, or those ``wanted`` of each file, in order.

    Blank lines are no records. A cut stream ends in a row with a problem.
    """
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
                numbers: Sequence[int] = range(number + 1, number + 1 + len(pieces))
                number += len(pieces)
                if wanted is not None:
                    lines = wanted[file.number]
                    chosen = lines[bisect_left(lines, numbers[0]) : bisect_right(lines, number)]
                    pieces, numbers = [pieces[line - numbers[0]] for line in chosen], chosen
                if pieces:
                    yield _batch(file.number, numbers, pieces)
        if cut:
            yield pa.RecordBatch.from_arrays(
                [[file.number], [number + 1], pa.array([None], pa.string()), [cut]], schema=_LINES
            )


def _batch(file_no: int, numbers: Sequence[int], pieces: list[bytes]) -> pa.RecordBatch:
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
            pa.array(numbers, pa.int64()),
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
