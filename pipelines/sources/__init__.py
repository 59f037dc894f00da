"""The sources: one folder each. What a folder must hold is in CONTRIBUTING.md; nothing else names a source.

``source.py`` of a folder says how its files are recognised and read (``SOURCE``); ``<shape>.sql`` fills one staged shape out
of the relation ``records``.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines import paths, usage
from pipelines.contract import CONTRACT_VERSION, TOKEN_CLASSES, shapes
from pipelines.landing import FileVersion
from pipelines.records import create_records
from pipelines.records.fields import fields_of
from pipelines.records.files import (
    Readable,
    Unreadable,
    first_bytes_of,
    first_json_of,
    head_below,
    head_of,
    header_of,
    json_of,
    layout_of,
)
from pipelines.usage.further import look
from pipelines.usage.keys import counts_beside

_NAME = re.compile(r'"(\w+)"\s*:')
_BEGUN = re.compile(r'\[|\{\s*"data"\s*:\s*\[')
_USAGE_STEPS = re.compile(r"/\* usage_steps: (?P<records>\w+), (?P<api>\w+), (?P<usage>\w+)(, (?P<shape>[\w.]+))? \*/")
_TOKEN_CLASSES = re.compile(r"/\* token_classes: (?P<of>\w+)(?P<but>(, not \w+)*) \*/")


@dataclass(frozen=True)
class Recognised:
    """What the first bytes of a file say: the version of its format, and how it is laid out."""

    schema_version: str
    layout: str


@dataclass(frozen=True)
class Source:
    """One source.

    ``recognise(name, head)`` looks at a file's name and first bytes and raises Unreadable for a file of another kind.
    ``read(con, files, keep)`` makes the view ``records``: file_no, source_row, problem and whatever the SQL needs;
    ``keep`` are the names of attributes to keep. Where its names are free, ``maps_dimensions`` says that its SQL asks
    dimensions.csv (``dimension_of``).
    ``withheld(files, settled)`` gives, of the files that lie there, those that do not count and why: an export that names the
    files of each delivery leaves out those of a failed attempt. ``settled`` are files that counted at the last look.
    ``is_known_by_little``: few fields of common names tell its files, so those of other tools pass for its own.
    ``remarks(versions, data_root)`` says what is worth knowing of the files as a whole, such as a gap between them.
    """

    name: str
    folder: Path
    about: str
    recognise: Callable[[str, bytes], Recognised]
    read: Callable[[duckdb.DuckDBPyConnection, Sequence[Readable], Sequence[str]], None]
    keeps_attributes: bool = False
    maps_dimensions: bool = False
    is_known_by_little: bool = False
    withheld: Callable[[Sequence[Path], Collection[Path]], Mapping[Path, str]] | None = None
    remarks: Callable[[Sequence[FileVersion], Path], list[str]] | None = None

    @cached_property
    def queries(self) -> Mapping[str, str]:
        """Shape -> SQL over ``records``. ``/* usage_steps: table, api, usage */`` stands for the steps of pipelines.usage.

        A fourth word names the only shape that occurs. ``/* token_classes: classed, not output_text */`` stands for the columns of
        all token classes but those named.
        """
        return {
            name: _TOKEN_CLASSES.sub(_class_columns, path.read_text(encoding="utf-8"))
            for name in shapes()
            if (path := self.folder / f"{name}.sql").is_file()
        }

    def query(self, con: duckdb.DuckDBPyConnection, shape: str) -> str:
        """The SQL of a shape, its usage steps written out.

        Reading every known API shape costs time, so only those that occur are written out, and keys that none names only where
        there are some.
        """
        text = self.queries[shape]
        marker = _USAGE_STEPS.search(text)
        if marker is None:
            return text
        table, api, usage_object = marker["records"], marker["api"], marker["usage"]
        seen = look(con, text[: marker.start()], table, api, usage_object, marker["shape"])
        steps = usage.usage_steps(
            table, api=api, usage=usage_object, only=usage.shapes_named(seen.shapes), further=seen.further
        ).strip()
        return text[: marker.start()] + steps + text[marker.end() :]

    @cached_property
    def version(self) -> str:
        """Hash of all that decides how this source's files are read: its own folder, usage objects, and what sources share."""
        content = hashlib.sha256(str(CONTRACT_VERSION).encode())
        for folder in (self.folder, paths.USAGE, paths.SOURCES):
            for path in sorted(path for path in folder.iterdir() if path.suffix in (".py", ".sql")):
                content.update(path.name.encode() + path.read_bytes())
        return content.hexdigest()[:16]


def _class_columns(marker: re.Match[str]) -> str:
    but = set(marker["but"].replace(",", "").split()) - {"not"}
    return ",\n    ".join(f"{marker['of']}.{of.tokens} as {of.tokens}" for of in TOKEN_CLASSES if of.name not in but)


def recognise(source: Source, path: Path) -> Recognised:
    """What a source makes of a file. Raises Unreadable.

    A first line that is larger than what is looked at, and nothing that the source knows, does not hide the records below it.
    """
    head = head_of(path)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Unreadable("UTF-16, expected UTF-8. Save it as UTF-8")
    try:
        return source.recognise(path.name, head)
    except Unreadable:
        if b"\n" in head or head[:4] == b"PAR1":
            raise
        # A file of one line has nothing below it, which would be recognised as an empty file.
        if not (rest := head_below(path)).strip():
            raise
        with suppress(Unreadable):
            below = source.recognise(path.name, rest)
            if below.layout == "jsonl" and below.schema_version != "empty":
                return below
        raise


@dataclass(frozen=True)
class RowFormat:
    """The reading of a source whose files are rows: JSON Lines, CSV or Parquet with fields of fixed names."""

    columns: Mapping[str, str]
    required: Sequence[str]
    nullable: Sequence[str] = field(default=())

    def read(self, con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
        """``records`` with the fields as text, and ``further``: an object of the unknown fields that are kept by name."""
        create_records(con, files, self.columns, self.nullable, keep)


def recognise_rows(head: bytes, rows: RowFormat, what: str) -> str:
    """The layout of a file of rows that has the required fields (one of its first records, or its header).

    Raises Unreadable, naming the fields that are missing and those found. An empty file is JSON Lines without records.
    """
    if not head.strip():
        return "jsonl"
    layout = layout_of(head)
    if layout == "json":
        raise Unreadable(f"one JSON document, expected {what}: JSON Lines (one object a line), CSV or Parquet")
    if layout in ("csv", "parquet"):
        if layout == "parquet":
            found = sorted(first_fields(head, layout)[0])
        else:
            first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace").strip()
            found = [name.strip().strip('"') for name in first.split(",")]
        # The case of names is free, as it is to the reader.
        spelled = {name.lower() for name in found}
        if missing := [name for name in rows.required if name.lower() not in spelled]:
            raise Unreadable(f"a header without {', '.join(missing)} ({', '.join(found[:12])[:200]}), expected {what}")
        return layout
    # A torn or odd line is a matter of that line; a file none of whose first records fits is of another tool.
    records = []
    for line in head.removeprefix(b"\xef\xbb\xbf").split(b"\n")[:50]:
        with suppress(ValueError):
            record = json_of(line)
            if isinstance(record, dict):
                records.append(record)
    if records and not any(any(name in record for name in rows.required) for record in records):
        fields = ", ".join(sorted(records[0])[:12])
        raise Unreadable(f"records with the fields {fields[:200]}, expected {what} with {', '.join(rows.required)}")
    return layout


def first_fields(head: bytes, layout: str) -> list[set[str]]:
    """The fields of the first records of a file of rows, or of its header; of records longer than ``head`` all names in it."""
    if layout == "parquet":
        import pyarrow.parquet as pq

        try:
            # The bytes that end a Parquet file: the length of what names its columns, and its mark.
            names = pq.read_schema(pa.BufferReader(head + struct.pack("<I", len(head) - 4) + b"PAR1")).names
        except (OSError, pa.ArrowException) as error:
            raise Unreadable("not a Parquet file that can be read") from error
        return [set(names)]
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if layout == "csv":
        return [set(header_of(text))]
    found = []
    for line in text.split("\n")[:50] if layout == "jsonl" else []:
        with suppress(ValueError):
            found += _records_in(json_of(line))
    return found or _records_in_head(text) or [set(_NAME.findall(text))]


def further_counts(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], known: Collection[str]) -> list[str]:
    """Fields of the files' records that count tokens or calls by their name and are not among the known ones: to be kept, so that
    what a new version of a tool counts beside the rest is read or named, in whichever record it begins."""
    return further_names(con, files, known, counts_beside)


def further_names(
    con: duckdb.DuckDBPyConnection, files: Sequence[Readable], known: Collection[str], says: Callable[[str], bool]
) -> list[str]:
    """Fields of the files' records whose names say something and are not among the known ones."""
    taken = {name.lower() for name in known}
    found = fields_of(con, files)
    seen = {(file.path, file.layout) for file in files if found is None or file.layout in ("csv", "parquet")}
    found = found or set()
    for path, layout in seen:
        with suppress(Unreadable):
            found.update(*first_fields(first_bytes_of(path), layout))
    return sorted(name for name in found if name.lower() not in taken and says(name))


def _records_in_head(text: str) -> list[set[str]]:
    """The fields of the records that stand whole in a text that is a document, or begins an array or a page of them."""
    with suppress(ValueError):
        return _records_in(first_json_of(text)[0])
    found: list[set[str]] = []
    begun = _BEGUN.match(text)
    place = text.find("{", begun.end()) if begun else -1
    while place >= 0 and len(found) < 50:
        try:
            record, end = first_json_of(text, place)
            found += _records_in(record)
            place = text.find("{", end)
        except ValueError:
            # What is odd costs itself; the next line may begin another record.
            place = text.find("\n{", place) + 1 or -1
    return found


def _records_in(value: object) -> list[set[str]]:
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    values = value if isinstance(value, list) else [value]
    return [set(record) for record in values[:50] if isinstance(record, dict) and record]


def recognise_versions(head: bytes, versions: Mapping[str, Collection[str]], what: str) -> Recognised:
    """Of a tool whose files are rows in several versions: the first version all of whose telling fields a first record has.

    JSON Lines, arrays, records over several lines, pages of an API (their records in ``data``), CSV and Parquet. Raises
    Unreadable for an error answer, and for records of another tool, naming what was found and the known versions. A file
    without a record is of the version ``empty``.
    """
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    layout = layout_of(head)
    if re.match(r'\{\s*"(data|error|detail)"\s*:', text):
        if not re.match(r'\{\s*"data"\s*:\s*\[', text) and not re.search(r'"data"\s*:\s*\[', text):
            raise Unreadable("an error answer of the API, expected a page with data; pull it again")
        layout = "pages"
    elif layout == "json":
        layout = "array"
    if not text.strip() or re.fullmatch(r'\[\s*\]\s*|\{\s*"data"\s*:\s*\[\s*\].*', text, re.DOTALL):
        return Recognised("empty", "jsonl" if not text.strip() else layout)
    found = first_fields(head, layout)
    for version, telling in versions.items():
        if any(set(telling) <= fields for fields in found):
            return Recognised(version, layout)
    known = "; ".join(f"{version} with {', '.join(telling)}" for version, telling in versions.items())
    names = ", ".join(sorted(found[0])[:12])[:200]
    is_header = layout in ("csv", "parquet")
    raise Unreadable(
        f"{'a header' if is_header else 'records'} with {names or 'no field'}, expected {what}. Known are {known}"
    )


@cache
def sources() -> Mapping[str, Source]:
    """Every source by name: the folders below ``pipelines/sources`` that hold a ``source.py``."""
    found = {}
    for folder in sorted(paths.SOURCES.iterdir()):
        if (folder / "source.py").is_file():
            source: Source = importlib.import_module(f"pipelines.sources.{folder.name}.source").SOURCE
            found[source.name] = source
    return found
