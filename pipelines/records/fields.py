"""The names of the fields of JSON records, of all records of a file: what a tool began to write late stands far below the first ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import duckdb

from pipelines.engine import listed
from pipelines.records.documents import form_of, options_of
from pipelines.records.files import BOM, STREAM_ERRORS, Readable, blocks_of, json_of
from pipelines.records.lines import are_better_as_lines

_JSON = ("jsonl", "array", "pages")
# A line that is longer is looked at by the engine alone.
_LONGEST_LINE = 1 << 20


def fields_of(con: duckdb.DuckDBPyConnection, files: Sequence[Readable]) -> set[str] | None:
    """The names of the fields at the top of the JSON records of some files; None where the engine cannot read one of them."""
    found: set[str] = set()
    lines = [file for file in files if file.layout == "jsonl"]
    if lines and are_better_as_lines(lines) and all(file.compression == "none" for file in lines):
        for file in lines:
            found.update(*_by_hand(file))
        files = [file for file in files if file.layout != "jsonl"]
    try:
        for query in _queries([file for file in files if file.layout in _JSON]):
            found.update(*(keys or () for (keys,) in con.execute(query).fetchall()))
    except duckdb.Error:
        return None
    return found


def _by_hand(file: Readable) -> Iterator[set[str]]:
    """Of small files: to open one costs the engine more than its lines cost here."""
    with suppress(*STREAM_ERRORS):
        for line in b"".join(blocks_of(file.path, file.compression)).split(b"\n"):
            with suppress(ValueError):
                record = json_of(line.removeprefix(BOM)) if len(line) < _LONGEST_LINE else None
                if isinstance(record, dict):
                    yield set(record)


def _queries(files: Sequence[Readable]) -> Iterator[str]:
    groups: dict[tuple[str, str, str], list[Readable]] = {}
    for file in files:
        form = "newline_delimited" if file.layout == "jsonl" else form_of(file)
        if form:
            groups.setdefault((file.layout, form, file.compression), []).append(file)
    for (layout, form, _), chosen in groups.items():
        documents = (
            f"read_json_objects({listed([str(file.path) for file in chosen])}, format = '{form}', {options_of(chosen)}"
            f"{', ignore_errors = true' if layout == 'jsonl' else ''})"
        )
        if layout == "pages":
            documents = (
                "(select unnest(case when json_type(json, '$.data') = 'ARRAY' "
                f"then from_json(json_extract(json, '$.data'), '[\"JSON\"]') else [json] end) as json from {documents})"
            )
        # Records have their fields in few orders: of lists that are alike one is enough.
        yield f"select distinct json_keys(json) from {documents} where json_type(json) = 'OBJECT'"
