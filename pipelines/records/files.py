"""A landing file as bytes: how it is compressed and laid out, its lines, and pieces of it that end with a line."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

_BLOCK_BYTES = 32 << 20
# Larger files of lines are read in pieces of about this size.
PIECE_BYTES = 128 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}
_DECODER = json.JSONDecoder()
BOM = b"\xef\xbb\xbf"
# Stands in the problem of a compressed file that was not copied whole.
CUT_SHORT = "stream ends early"
STREAM_ERRORS = (OSError, EOFError, pa.ArrowInvalid)


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
    with suppress(*STREAM_ERRORS):
        for piece in blocks_of(path, compression, size):
            pieces += piece
            if len(pieces) >= size:
                break
    return pieces[:size]


def head_below(path: Path, size: int = 1 << 16) -> bytes:
    """The first bytes of a file below its first line, decompressed: of a line larger than any head nothing else is seen."""
    with path.open("rb") as file:
        compression = compression_of(file.read(4))
    pieces, is_below = b"", False
    with suppress(*STREAM_ERRORS):
        for piece in blocks_of(path, compression):
            if not is_below:
                _, end, piece = piece.partition(b"\n")
                is_below = bool(end)
            pieces += piece[:size]
            if len(pieces) >= size:
                break
    return pieces[:size]


def first_bytes_of(path: Path) -> bytes:
    """The first bytes of a file, and where those are but a part of its first line the first bytes below that as well."""
    head = head_of(path)
    return head if b"\n" in head or head[:4] == b"PAR1" else head + b"\n" + head_below(path)


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
    text = head.removeprefix(BOM).lstrip()
    first, *others = text.split(b"\n")[:50]
    has_records = any(is_record(line) for line in others)
    if text[:1] == b"[":
        return "jsonl" if has_records and first.rstrip().endswith(b"]") else "json"
    if text[:1] == b"{":
        is_whole = first.rstrip().endswith(b"}") or (len(text) > (1 << 15) and b"\n" not in text)
        return "jsonl" if is_whole or has_records else "json"
    return "jsonl" if has_records else "csv"


def json_of(text: str | bytes) -> Any:
    """A JSON document as objects. Raises ValueError, for one nested deeper than Python can follow too."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def first_json_of(text: str, start: int = 0) -> tuple[Any, int]:
    """The JSON document that a text begins with, and where it ends. Raises ValueError as ``json_of``."""
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def header_of(text: str) -> list[str]:
    """The names in the first line of a text of CSV; none where it is no CSV."""
    with suppress(csv.Error):
        return [cell.strip() for cell in next(csv.reader(io.StringIO(text, newline="")), [])]
    return []


def is_record(line: bytes) -> bool:
    """Whether a line is a JSON object by itself, with something in it."""
    if not (line.startswith(b"{") and line.rstrip().endswith(b"}")):
        return False
    try:
        return bool(json_of(line))
    except ValueError:
        return False


def count_lines(path: Path, compression: str) -> int:
    """Lines of a file, decompressed; one that is not ended counts. Of a stream that is cut, the lines that are there."""
    lines, last = 0, b"\n"
    with suppress(*STREAM_ERRORS):
        for block in blocks_of(path, compression):
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
    blocks = blocks_of(path, compression)
    lines_before, rest, problem, ended = 0, b"", "", False
    while not ended:
        lines = 0
        with piece.open("wb") as file:
            while file.tell() < PIECE_BYTES:
                try:
                    block = next(blocks, b"")
                except STREAM_ERRORS as error:
                    block, problem = b"", cut_short(compression, error)
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


def cut_short(compression: str, error: Exception) -> str:
    return f"the {compression} {CUT_SHORT} ({error}); what stood from this line on is lost"


def blocks_of(path: Path, compression: str, size: int | None = None) -> Iterator[bytes]:
    """A file's bytes, decompressed. Of a stream that is cut everything that is there, then the error."""
    given, size = 0, size or _BLOCK_BYTES
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
        except STREAM_ERRORS:
            # A read across the cut gives nothing at all, so the last bytes are fetched in smaller reads.
            if compression == "none" or step == 1:
                raise
