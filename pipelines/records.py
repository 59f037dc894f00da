"""Landing files as rows: JSON Lines, CSV or Parquet, plain or compressed, into one relation named ``records``.

Every named field arrives as text (nested ones as JSON), so that casts are the source's own SQL and nothing is guessed. Two
ways give the same relation. The quick one lets DuckDB parse whole files. The careful one goes line by line: it says which
line is broken and why. It is taken for the lines that the quick one leaves in doubt, and for a whole batch only where that
failed or a file has blank lines among its records.
"""

from __future__ import annotations

import csv
import io
import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa

from pipelines.engine import listed, quoted

_BLOCK_BYTES = 32 << 20
# Larger files of lines are read in pieces of about this size.
PIECE_BYTES = 128 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}
_CELL_ROWS = 5_000
_FEW_FILES = 16
_SMALL_BYTES = 64 << 10
_BOM = b"\xef\xbb\xbf"
# Columns of the relation beside the fields; a field of such a name is kept only where it stands in the metadata.
_OURS = frozenset({"file_no", "source_row", "problem", "further", "place", "filename", "parsed", "good", "line"})
# Stands in the problem of a compressed file that was not copied whole.
CUT_SHORT = "stream ends early"
_STREAM_ERRORS = (OSError, EOFError, pa.ArrowInvalid)
_LINES = pa.schema(
    [("file_no", pa.int32()), ("source_row", pa.int64()), ("line", pa.string()), ("problem", pa.string())]
)


class Unreadable(ValueError):
    """A whole file cannot be read; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Readable:
    """A file to read: ``number`` is its place in the batch, ``layout`` jsonl, csv, parquet, array (JSON arrays of records, or
    records over several lines) or pages (answers of an API with their records in ``data``).

    A piece of a larger file has ``lines_before``. ``problem`` says why there is no more of it to read; then it must be read
    carefully. ``lines`` is the number of its lines, blank ones included, where they were counted.
    """

    number: int
    path: Path
    layout: str
    compression: str
    lines_before: int = 0
    problem: str = ""
    lines: int | None = None

    @property
    def must_be_careful(self) -> bool:
        return bool(self.problem)


def compression_of(head: bytes) -> str:
    """``gzip``, ``zstd`` or ``none``, from the first bytes."""
    return _MAGIC.get(head[:2], "none")


def head_of(path: Path, size: int = 1 << 16) -> bytes:
    """The first bytes of a file, decompressed."""
    with path.open("rb") as file:
        raw = file.read(4)
    compression = compression_of(raw)
    if compression == "none":
        with path.open("rb") as file:
            # The columns of a Parquet file are named at its end.
            return raw + _footer(file) if raw == b"PAR1" else file.read(size)
    pieces = b""
    with suppress(*_STREAM_ERRORS):
        for piece in _blocks(path, compression, size):
            pieces += piece
            if len(pieces) >= size:
                break
    return pieces[:size]


def _footer(file: BinaryIO) -> bytes:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - 8, 0))
    length = int.from_bytes(file.read(4), "little")
    file.seek(max(end - 8 - length, 4))
    return file.read(min(length, 16 << 20))


def layout_of(head: bytes) -> str:
    """``parquet``, ``jsonl``, ``json`` (one document or an array of them over several lines) or ``csv``, from the first bytes.

    A first line that is torn or odd does not hide the records below it.
    """
    if head[:4] == b"PAR1":
        return "parquet"
    text = head.removeprefix(_BOM).lstrip()
    first, *others = text.split(b"\n")[:50]
    has_records = any(_is_record(line) for line in others)
    if text[:1] == b"[":
        return "jsonl" if has_records and first.rstrip().endswith(b"]") else "json"
    if text[:1] == b"{":
        is_whole = first.rstrip().endswith(b"}") or (len(text) > (1 << 15) and b"\n" not in text)
        return "jsonl" if is_whole or has_records else "json"
    return "jsonl" if has_records else "csv"


def _is_record(line: bytes) -> bool:
    """Whether a line is a JSON object by itself, with something in it."""
    if not (line.startswith(b"{") and line.rstrip().endswith(b"}")):
        return False
    try:
        return bool(json.loads(line))
    except ValueError:
        return False


def count_lines(path: Path, compression: str) -> int:
    """Lines of a file, decompressed; one that is not ended counts. Of a stream that is cut, the lines that are there."""
    lines, last = 0, b"\n"
    with suppress(*_STREAM_ERRORS):
        for block in _blocks(path, compression, _BLOCK_BYTES):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


def pieces_of(
    path: Path, compression: str, cuts: Sequence[tuple[int, int]], lines: int, scratch: Path
) -> Iterator[Readable]:
    """A file of lines in pieces that end with a line, so that memory follows the piece and not the file.

    ``cuts`` are places between lines: (offset, lines before it); ``lines`` are those of a plain file. A plain file without
    cuts is its own piece; others are copied out to ``scratch``, one at a time, decompressed. A stream that ends early gives
    what can be read of it and the reason.
    """
    if compression == "none" and not cuts:
        yield Readable(0, path, "jsonl", "none", lines=lines)
        return
    scratch.mkdir(parents=True, exist_ok=True)
    piece = scratch / "piece.jsonl"
    yield from _cut(path, cuts, lines, piece) if compression == "none" else _decompressed(path, compression, piece)
    piece.unlink(missing_ok=True)


def _cut(path: Path, cuts: Sequence[tuple[int, int]], lines: int, piece: Path) -> Iterator[Readable]:
    starts = [(0, 0), *cuts]
    ends = [*cuts, (path.stat().st_size, lines)]
    with path.open("rb") as source:
        for (start, lines_before), (end, lines_until) in zip(starts, ends, strict=True):
            with piece.open("wb") as target:
                offset = start
                while offset < end:
                    sent = os.sendfile(target.fileno(), source.fileno(), offset, end - offset)
                    if not sent:
                        break
                    offset += sent
            yield Readable(0, piece, "jsonl", "none", lines_before, lines=lines_until - lines_before)


def _decompressed(path: Path, compression: str, piece: Path) -> Iterator[Readable]:
    blocks = _blocks(path, compression, _BLOCK_BYTES)
    lines_before, rest, problem, ended = 0, b"", "", False
    while not ended:
        lines = 0
        with piece.open("wb") as file:
            while file.tell() < PIECE_BYTES:
                try:
                    block = next(blocks, b"")
                except _STREAM_ERRORS as error:
                    block, problem = b"", _cut_short(compression, error)
                if not block:
                    file.write(rest)
                    lines += bool(rest)
                    ended = True
                    break
                # Only a whole line goes into a piece.
                end = block.rfind(b"\n") + 1
                if end:
                    file.write(rest)
                    file.write(memoryview(block)[:end])
                    lines += block.count(b"\n")
                    rest = block[end:]
                else:
                    rest += block
        if piece.stat().st_size or problem:
            yield Readable(0, piece, "jsonl", "none", lines_before, problem if ended else "", lines)
        lines_before += lines


def _cut_short(compression: str, error: Exception) -> str:
    return f"the {compression} {CUT_SHORT} ({error}); what stood from this line on is lost"


def create_records(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    keep: Sequence[str] = (),
    *,
    view: str = "records",
    repeated_columns: str = "refuse",
) -> None:
    """The view ``records`` (or ``view``): file_no, source_row, problem, the named columns, and ``has_<field>`` for each of ``nullable``.

    ``columns`` gives VARCHAR, JSON or a STRUCT for each field; a STRUCT takes its named parts out of an object and leaves the
    rest, such as a text beside an id, unread. ``problem`` is null, or says why a line cannot be read; such a row has
    no other value. ``has_<field>`` is false where a record lacks the field and true where it is null. ``further`` is an object
    of the fields named by ``keep`` that are not among the columns, null without any. A CSV header with a field twice is
    refused, or its first column counts (``repeated_columns="first"``). Raises Unreadable.
    """
    more: list[str] = []
    taken = {*_OURS, *(name.lower() for name in columns), *(f"has_{name}" for name in nullable)}
    for name in keep:
        # DuckDB does not tell "Team" from "team".
        if name.lower() not in taken:
            taken.add(name.lower())
            more.append(name)
    further = (
        "json_object(" + ", ".join(f"{quoted(name)}, {_identifier(name)}" for name in more) + ")"
        if more
        else "cast(null as json)"
    )
    columns = {**columns, **dict.fromkeys(more, "JSON")}
    table = f"{view}_of_batch"
    quick = not any(file.must_be_careful for file in files) and _create_quickly(
        con, table, files, columns, nullable, repeated_columns
    )
    if not quick:
        _create(con, table, _selects(con, files, columns, nullable, repeated_columns, careful=True))
    con.execute(f"create or replace temp view {view} as select *, {further} as further from {table}")


def _create_quickly(
    con: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    repeated_columns: str,
) -> bool:
    """Whether all could be read by the engine, each record with its line. Lines that it leaves in doubt are read again, alone."""
    try:
        _create(con, table, _selects(con, files, columns, nullable, repeated_columns, careful=False))
    except duckdb.Error:
        return False
    last = dict(con.execute(f"select file_no, max(source_row) from {table} group by file_no").fetchall())
    is_by_place = {"csv": True, "jsonl": not _are_better_as_lines(files)}
    for file in files:
        if is_by_place.get(file.layout, False) and file.lines is not None:
            # With more lines than records the place of a record is not its line.
            until = file.lines_before + file.lines
            if last.get(file.number, file.lines_before) != until:
                return False
    lines = [file for file in files if file.layout == "jsonl"]
    if lines and not _are_better_as_lines(lines):
        _read_doubtful_lines(con, table, lines, columns, nullable)
    return True


def _create(con: duckdb.DuckDBPyConnection, table: str, selects: Sequence[str]) -> None:
    """Held as a table: what comes after asks for the records more than once, and a stream can be read once only."""
    con.execute(f"create or replace temp table {table} as {' union all by name '.join(selects)}")
    for stream in ("record_lines", "record_cells"):
        con.unregister(stream)


def _selects(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    repeated_columns: str,
    *,
    careful: bool,
) -> list[str]:
    selects: list[str] = []
    for layout, chosen in _by_layout(files).items():
        match layout:
            case "jsonl":
                if careful or _are_better_as_lines(chosen):
                    con.register("record_lines", pa.RecordBatchReader.from_batches(_LINES, _lines(chosen)))
                    selects.append(_parsed_lines(columns, nullable))
                else:
                    selects.append(_json_lines(chosen, columns, nullable))
            case "csv":
                if careful:
                    selects.append(_csv_carefully(con, chosen, columns, nullable, repeated_columns))
                else:
                    selects += [_csv(file, columns, nullable, repeated_columns) for file in chosen]
            case "parquet":
                selects += [_parquet(con, file, columns, nullable) for file in chosen]
            case "array" | "pages":
                selects += _documents(chosen, columns, nullable, in_pages=layout == "pages")
            case _:
                raise Unreadable(
                    f"the file is one {layout} document; expected JSON Lines (one object a line), CSV or Parquet"
                )
    return selects


def _read_doubtful_lines(
    con: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
) -> None:
    """Lines of which the engine made nothing, and those whose field is null or missing, read again one by one."""
    nothing = " and ".join(f"{_identifier(name)} is null" for name in columns)
    doubt = " or ".join([f"({nothing})", *(f"not has_{name}" for name in nullable)])
    wanted: dict[int, list[int]] = {}
    for number, line in con.execute(f"select file_no, source_row from {table} where {doubt} order by all").fetchall():
        wanted.setdefault(number, []).append(line)
    if not wanted:
        return
    found = _lines([file for file in files if file.number in wanted], wanted)
    con.register("record_lines", pa.RecordBatchReader.from_batches(_LINES, found))
    _create(con, "doubtful_lines", [_parsed_lines(columns, nullable)])
    names = ["problem", *map(_identifier, columns), *(f"has_{name}" for name in nullable)]
    con.execute(
        f"update {table} set {', '.join(f'{name} = d.{name}' for name in names)} from doubtful_lines as d "
        f"where {table}.file_no = d.file_no and {table}.source_row = d.source_row"
    )


def _are_better_as_lines(files: Sequence[Readable]) -> bool:
    """Files of lines that are read one by one from the start.

    To open a small one costs DuckDB some 1 ms, more than its lines cost as objects of one call. A compressed one would have to
    be decompressed again for each look at its lines.
    """
    are_small = sum(file.path.stat().st_size for file in files) < _SMALL_BYTES * len(files)
    return (len(files) > _FEW_FILES and are_small) or any(file.compression != "none" for file in files)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _by_layout(files: Sequence[Readable]) -> dict[str, list[Readable]]:
    found: dict[str, list[Readable]] = {}
    for file in files:
        found.setdefault(f"{file.layout}", []).append(file)
    return found


def _json_lines(files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    """Plain lines as the engine reads them; of one that it cannot read it makes a row without a value."""
    types = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in columns.items())
    largest = max(file.path.stat().st_size for file in files)
    # A number past the file's size makes DuckDB allocate it.
    at_most = max(16 << 20, min(largest, 1 << 30) + 1024)
    fields = ", ".join(_identifier(name) for name in columns)
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


def array_elements(file: Readable) -> str:
    """The elements of one JSON array, or the documents that stand one after the other: ``element`` and ``place``, from 1."""
    # A compressed file holds more than its size says.
    at_most = max(16 << 20, min(file.path.stat().st_size * (2 if file.compression == "none" else 64), 1 << 30))
    first = head_of(file.path, 64).removeprefix(_BOM).lstrip()[:1]
    if not first:
        return "select cast(null as json) as element, 0 as place where false"
    return (
        f"select element, row_number() over () as place from read_json({listed([str(file.path)])}, "
        f"columns = {{element: 'JSON'}}, records = false, format = '{'array' if first == b'[' else 'unstructured'}', "
        f"compression = '{'uncompressed' if file.compression == 'none' else file.compression}', maximum_object_size = {at_most})"
    )


def _documents(
    files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str], *, in_pages: bool
) -> Iterator[str]:
    """Records of many files at once: arrays, documents one after the other, or the ``data`` of an API's pages."""
    forms: dict[tuple[str, str], list[Readable]] = {}
    for file in files:
        first = head_of(file.path, 64).removeprefix(_BOM).lstrip()[:1]
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
    names = ", ".join(_identifier(name) for name in fields)
    pages = []
    for file in files:
        first = head_of(file.path, 64).removeprefix(_BOM).lstrip()[:1]
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
    nothing = ", ".join(f"cast(null as {type_}) as {_identifier(name)}" for name, type_ in fields.items())
    empty = f"select 0 as file_no, 0 as page_no, {nothing} where false"
    con.execute(f"create or replace temp table pages as {' union all '.join(pages) or empty}")


def elements_of(file: Readable, elements: str, columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    """Records that are JSON values (``element``, ``place``), with the columns of ``create_records``."""
    return _elements(str(file.number), "place", elements, columns, nullable)


def _elements(file_no: str, row: str, elements: str, columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    types = ", ".join(f'{json.dumps(name)}:"{type_}"' for name, type_ in columns.items())
    fields = ", ".join(f"parsed.{_identifier(name)}" for name in columns)
    has = "".join(f", coalesce(json_exists(element, {quoted('$.' + name)}), false) as has_{name}" for name in nullable)
    return (
        f"select cast({file_no} as integer) as file_no, cast({row} as bigint) as source_row, "
        "case when json_type(element) is distinct from 'OBJECT' "
        "then 'a JSON ' || lower(coalesce(json_type(element), 'null')) || ', expected an object' end as problem, "
        f"{fields}{has} from (select *, from_json(case when json_type(element) = 'OBJECT' then element end, "
        f"{quoted('{' + types + '}')}) as parsed from ({elements}))"
    )


def _parsed_lines(columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    """The lines of the stream ``record_lines`` as records, or with what is wrong with them."""
    types = ", ".join(f'{json.dumps(name)}:"{type_}"' for name, type_ in columns.items())
    fields = ", ".join(f"parsed.{_identifier(name)}" for name in columns)
    has = "".join(f", coalesce(json_exists(good, {quoted('$.' + name)}), false) as has_{name}" for name in nullable)
    return (
        f"select file_no, source_row, problem, {fields}{has} from ("
        f"select *, from_json(good, {quoted('{' + types + '}')}) as parsed from ("
        "select file_no, source_row, coalesce(problem, wrong) as problem, "
        "case when problem is null and wrong is null then line end as good from ("
        "select *, case when not json_valid(line) then 'not JSON' when json_type(line) <> 'OBJECT' "
        "then 'a JSON ' || lower(json_type(line)) || ', expected an object' end as wrong from record_lines)))"
    )


def _lines(files: Sequence[Readable], wanted: Mapping[int, Sequence[int]] | None = None) -> Iterator[pa.RecordBatch]:
    """The lines of files with their numbers, or those ``wanted`` of each file, in order.

    Blank lines are no records. A cut stream ends in a row with a problem.
    """
    for file in files:
        number, rest, cut, ended = file.lines_before, b"", file.problem, False
        blocks = _blocks(file.path, file.compression, _BLOCK_BYTES)
        while not ended:
            try:
                block = next(blocks, b"")
            except _STREAM_ERRORS as error:
                block, cut = b"", _cut_short(file.compression, error)
            ended = not block
            pieces = (rest + block).split(b"\n")
            rest = pieces.pop()
            # The part of a line before a cut belongs to what is lost, unless all of the record is there.
            if ended and rest and (not cut or _is_record(rest)):
                pieces.append(rest)
            if number == 0 and pieces:
                pieces[0] = pieces[0].removeprefix(_BOM)
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


def _blocks(path: Path, compression: str, size: int) -> Iterator[bytes]:
    """A file's bytes, decompressed. Of a stream that is cut everything that is there, then the error."""
    given = 0
    for step in (size, 1 << 16, 1 << 8, 1):
        try:
            with pa.input_stream(str(path), compression=None if compression == "none" else compression) as stream:
                left = given
                while left:
                    left -= len(stream.read(min(left, size)))
                while block := stream.read(step):
                    given += len(block)
                    yield block
            return
        except _STREAM_ERRORS:
            # A read across the cut gives nothing at all, so the last bytes are fetched in smaller reads.
            if compression == "none" or step == 1:
                raise


def _header_of(file: Readable, columns: Mapping[str, str], repeated_columns: str) -> list[str]:
    """The names in the first line of a CSV file. Raises Unreadable where a field stands there twice and must not."""
    text = head_of(file.path).removeprefix(_BOM).decode("utf-8", "replace")
    header: list[str] = []
    for place, cell in enumerate(next(csv.reader(io.StringIO(text, newline="")), []), 1):
        name = cell.strip()
        if name in header and name in columns and repeated_columns == "refuse":
            raise Unreadable(f"a header with two columns {name}, expected one")
        is_new = name and name.lower() not in (known.lower() for known in header)
        header.append(name if is_new else f"column {place}")
    return header


def _csv(file: Readable, columns: Mapping[str, str], nullable: Sequence[str], repeated_columns: str) -> str:
    header = _header_of(file, columns, repeated_columns)
    types = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in header)
    # Nothing is left to detection: in a file with a fault DuckDB skips lines until it finds a header that fits.
    reader = (
        f"read_csv({quoted(str(file.path))}, auto_detect = false, header = true, columns = {{{types}}}, "
        f"compression = '{file.compression}', delim = ',', quote = '\"', escape = '\"', null_padding = false, "
        "strict_mode = true, max_line_size = 33554432)"
    )
    return _table(reader, "row_number() over () + 1", file, header, columns, nullable)


def _csv_carefully(
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
    replaced = ", ".join(
        f"{_as_type(_identifier(name), type_)} as {_identifier(name)}"
        for name, type_ in columns.items()
        if type_ != "VARCHAR"
    )
    return f"select *{f' replace ({replaced})' if replaced else ''} from record_cells"


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
    blocks = _blocks(file.path, file.compression, _BLOCK_BYTES)
    rest, skip, ended = b"", _BOM, False
    while not ended:
        try:
            block = next(blocks, b"")
        except _STREAM_ERRORS as error:
            cut.append(_cut_short(file.compression, error))
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


def _parquet(
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
        cell = _identifier(name)
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
