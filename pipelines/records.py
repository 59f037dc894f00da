"""Landing files as rows: JSON Lines, CSV or Parquet, plain or compressed, into one relation named ``records``.

Every named field arrives as text (nested ones as JSON), so that casts are the source's own SQL and nothing is guessed. Two
ways give the same relation. The quick one lets DuckDB parse whole files and stops at the first fault. The careful one goes
line by line: it says which line is broken and why, and is taken only where the quick one failed or a record was refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.engine import listed, quoted

_BLOCK_BYTES = 32 << 20
# Larger files of lines are read in pieces of about this size.
PIECE_BYTES = 128 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}
_LINES = pa.schema(
    [("file_no", pa.int32()), ("source_row", pa.int64()), ("line", pa.string()), ("problem", pa.string())]
)


class Unreadable(ValueError):
    """A whole file cannot be read; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Readable:
    """A file to read: ``number`` is its place in the batch, ``layout`` jsonl, csv or parquet.

    A piece of a larger file has ``lines_before``. ``problem`` says why there is no more of it to read; then it must be read
    carefully.
    """

    number: int
    path: Path
    layout: str
    compression: str
    lines_before: int = 0
    problem: str = ""

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
            return file.read(size)
    pieces = b""
    with suppress(OSError, EOFError, pa.ArrowInvalid):
        for piece in _blocks(path, compression, size):
            pieces += piece
            if len(pieces) >= size:
                break
    return pieces[:size]


def layout_of(head: bytes) -> str:
    """``parquet``, ``jsonl``, ``json`` (one document or an array of them over several lines) or ``csv``, from the first bytes."""
    if head[:4] == b"PAR1":
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{":
        first = text.split(b"\n", 1)[0].strip()
        return "jsonl" if first.endswith(b"}") or (len(text) > (1 << 15) and b"\n" not in text) else "json"
    return "csv"


def pieces_of(path: Path, compression: str, cuts: Sequence[tuple[int, int]], scratch: Path) -> Iterator[Readable]:
    """A file of lines in pieces that end with a line, so that memory follows the piece and not the file.

    ``cuts`` are places between lines: (offset, lines before it). A plain file without cuts is its own piece; others are copied
    out to ``scratch``, one at a time, decompressed. A stream that ends early gives what can be read of it and the reason.
    """
    if compression == "none" and not cuts:
        yield Readable(0, path, "jsonl", "none")
        return
    scratch.mkdir(parents=True, exist_ok=True)
    piece = scratch / "piece.jsonl"
    yield from _cut(path, cuts, piece) if compression == "none" else _decompressed(path, compression, piece)
    piece.unlink(missing_ok=True)


def _cut(path: Path, cuts: Sequence[tuple[int, int]], piece: Path) -> Iterator[Readable]:
    starts = [(0, 0), *cuts]
    ends = [offset for offset, _ in cuts] + [path.stat().st_size]
    with path.open("rb") as source:
        for (start, lines_before), end in zip(starts, ends, strict=True):
            with piece.open("wb") as target:
                offset = start
                while offset < end:
                    sent = os.sendfile(target.fileno(), source.fileno(), offset, end - offset)
                    if not sent:
                        break
                    offset += sent
            yield Readable(0, piece, "jsonl", "none", lines_before)


def _decompressed(path: Path, compression: str, piece: Path) -> Iterator[Readable]:
    blocks = _blocks(path, compression, _BLOCK_BYTES)
    lines_before, rest, problem, ended = 0, b"", "", False
    while not ended:
        lines = 0
        with piece.open("wb") as file:
            while file.tell() < PIECE_BYTES:
                try:
                    block = next(blocks, b"")
                except (OSError, EOFError, pa.ArrowInvalid) as error:
                    block, problem = (
                        b"",
                        f"the {compression} stream ends early ({error}); what stood behind this line is lost",
                    )
                if not block:
                    file.write(rest)
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
            yield Readable(0, piece, "jsonl", "none", lines_before, problem if ended else "")
        lines_before += lines


def create_records(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    keep: Sequence[str] = (),
    *,
    careful: bool,
) -> None:
    """The view ``records``: file_no, source_row, problem, the named columns, and ``has_<field>`` for each of ``nullable``.

    ``columns`` gives VARCHAR or JSON for each field. ``problem`` is null, or says why a line cannot be read; such a row has
    no other value. ``has_<field>`` is false where a record lacks the field and true where it is null. ``further`` is an object
    of the fields named by ``keep`` that are not among the columns, null without any. Raises Unreadable.
    """
    more = [name for name in keep if name not in columns]
    further = (
        "json_object(" + ", ".join(f"{quoted(name)}, {_identifier(name)}" for name in more) + ")"
        if more
        else "cast(null as json)"
    )
    columns = {**columns, **dict.fromkeys(more, "VARCHAR")}
    selects = []
    for layout, chosen in _by_layout(files).items():
        match layout:
            case "jsonl":
                selects.append((_json_lines_carefully if careful else _json_lines)(con, chosen, columns, nullable))
            case "csv":
                selects += [_csv(con, file, columns, nullable) for file in chosen]
            case "parquet":
                selects += [_parquet(con, file, columns, nullable) for file in chosen]
            case _:
                raise Unreadable(
                    f"the file is one {layout} document; expected JSON Lines (one object a line), CSV or Parquet"
                )
    con.execute(
        f"create or replace temp view records as select *, {further} as further from ({' union all by name '.join(selects)})"
    )


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _by_layout(files: Sequence[Readable]) -> dict[str, list[Readable]]:
    found: dict[str, list[Readable]] = {}
    for file in files:
        found.setdefault(f"{file.layout}", []).append(file)
    return found


def _json_lines(
    con: duckdb.DuckDBPyConnection, files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str]
) -> str:
    types = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in columns.items())
    largest = max(file.path.stat().st_size for file in files)
    # A number past the file's size makes DuckDB allocate it; a compressed record may be larger than its file.
    at_most = max(16 << 20, min(largest, 1 << 30) + 1024)
    fields = ", ".join(_identifier(name) for name in columns)
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


def _json_lines_carefully(
    con: duckdb.DuckDBPyConnection, files: Sequence[Readable], columns: Mapping[str, str], nullable: Sequence[str]
) -> str:
    con.register("record_lines", pa.RecordBatchReader.from_batches(_LINES, _lines(files)))
    types = ", ".join(f'{json.dumps(name)}:"{type_}"' for name, type_ in columns.items())
    fields = ", ".join(f"parsed.{_identifier(name)}" for name in columns)
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
        number, rest, cut = file.lines_before, b"", file.problem
        blocks = _blocks(file.path, file.compression, _BLOCK_BYTES)
        while True:
            try:
                block = next(blocks, b"")
            except (OSError, EOFError, pa.ArrowInvalid) as error:
                block, cut = (
                    b"",
                    f"the {file.compression} stream ends early ({error}); what stood behind this line is lost",
                )
            text = rest + block
            pieces = text.split(b"\n")
            if block:
                rest = pieces.pop()
            if number == 0 and pieces:
                pieces[0] = pieces[0].removeprefix(b"\xef\xbb\xbf")
            if pieces:
                yield _batch(file.number, number, pieces)
                number += len(pieces)
            if not block:
                if cut:
                    yield pa.RecordBatch.from_arrays(
                        [[file.number], [number + 1], pa.array([None], pa.string()), [cut]], schema=_LINES
                    )
                break


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


def _blocks(path: Path, compression: str, size: int) -> Iterator[bytes]:
    with pa.input_stream(str(path), compression=None if compression == "none" else compression) as stream:
        while block := stream.read(size):
            yield block


def _csv(con: duckdb.DuckDBPyConnection, file: Readable, columns: Mapping[str, str], nullable: Sequence[str]) -> str:
    compression = "none" if file.compression == "none" else file.compression
    reader = (
        f"read_csv({quoted(str(file.path))}, header = true, all_varchar = true, compression = '{compression}', "
        "delim = ',', quote = '\"', escape = '\"', null_padding = false, strict_mode = true, max_line_size = 33554432)"
    )
    try:
        found = [row[0] for row in con.execute(f"describe select * from {reader}").fetchall()]
        con.execute(f"select count(*) from {reader}").fetchall()
    except duckdb.Error as error:
        raise Unreadable(f"not a CSV file with a header ({str(error).splitlines()[0]})") from error
    return _table(reader, "row_number() over () + 1", file, found, columns, nullable)


def _parquet(
    con: duckdb.DuckDBPyConnection, file: Readable, columns: Mapping[str, str], nullable: Sequence[str]
) -> str:
    reader = f"read_parquet({quoted(str(file.path))}, file_row_number = true)"
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
    """CSV and Parquet columns as text; absent ones as null."""
    texts = []
    for name in columns:
        if name not in found:
            texts.append(f'cast(null as varchar) as "{name}"')
        elif types and types[name].endswith(("[]", ")")) and not types[name].startswith("DECIMAL"):
            texts.append(f'cast(to_json("{name}") as varchar) as "{name}"')
        elif types and types[name].startswith("TIMESTAMP"):
            texts.append(f'strftime(cast("{name}" as timestamptz), \'%Y-%m-%dT%H:%M:%S.%fZ\') as "{name}"')
        else:
            texts.append(f'nullif(cast("{name}" as varchar), \'\') as "{name}"')
    has = "".join(f", {str(name in found).lower()} as has_{name}" for name in nullable)
    return (
        f"select cast({file.number} as integer) as file_no, cast({row} as bigint) as source_row, "
        f"cast(null as varchar) as problem, {', '.join(texts)}{has} from {reader}"
    )
