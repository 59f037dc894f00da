"""Landing files as rows: JSON Lines, CSV or Parquet, plain or compressed, into one relation named ``records``.

Every named field arrives as text (nested ones as JSON), so that casts are the source's own SQL and nothing is guessed. Two
ways give the same relation. The quick one lets DuckDB parse whole files and stops at the first fault. The careful one goes
line by line: it says which line is broken and why, and is taken only where the quick one failed or a record was refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from pipelines.engine import quoted, quoted_name
from pipelines.records.cells import select_csv, select_csv_carefully, select_parquet
from pipelines.records.documents import select_documents, select_json_lines, select_json_lines_carefully
from pipelines.records.files import Readable, Unreadable

_FEW_FILES = 16
_SMALL_BYTES = 64 << 10
# Columns of the relation beside the fields; a field of such a name is kept only where it stands in the metadata.
_OURS = frozenset({"file_no", "source_row", "problem", "further", "place", "filename", "parsed", "good", "line"})


def create_records(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
    keep: Sequence[str] = (),
    *,
    careful: bool,
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
        "json_object(" + ", ".join(f"{quoted(name)}, {quoted_name(name)}" for name in more) + ")"
        if more
        else "cast(null as json)"
    )
    columns = {**columns, **dict.fromkeys(more, "JSON")}
    selects = []
    for layout, chosen in _by_layout(files).items():
        match layout:
            case "jsonl":
                line_by_line = careful or _are_many_and_small(chosen)
                selects.append(
                    (select_json_lines_carefully if line_by_line else select_json_lines)(con, chosen, columns, nullable)
                )
            case "csv":
                if careful:
                    selects.append(select_csv_carefully(con, chosen, columns, nullable, repeated_columns))
                else:
                    selects += [select_csv(file, columns, nullable, repeated_columns) for file in chosen]
            case "parquet":
                selects += [select_parquet(con, file, columns, nullable) for file in chosen]
            case "array" | "pages":
                selects += select_documents(chosen, columns, nullable, in_pages=layout == "pages")
            case _:
                raise Unreadable(
                    f"the file is one {layout} document; expected JSON Lines (one object a line), CSV or Parquet"
                )
    query = f"select *, {further} as further from ({' union all by name '.join(selects)})"
    if len(files) > 1:
        # To open many files costs more than to hold their records, and what comes after asks for them more than once.
        con.execute(f"create or replace temp table {view}_of_batch as {query}")
        query = f"select * from {view}_of_batch"
    con.execute(f"create or replace temp view {view} as {query}")


def _are_many_and_small(files: Sequence[Readable]) -> bool:
    """Files whose opening costs DuckDB more than their lines cost one by one: some 1 ms each, as objects of one call."""
    return len(files) > _FEW_FILES and sum(file.path.stat().st_size for file in files) < _SMALL_BYTES * len(files)


def _by_layout(files: Sequence[Readable]) -> dict[str, list[Readable]]:
    found: dict[str, list[Readable]] = {}
    for file in files:
        found.setdefault(f"{file.layout}", []).append(file)
    return found
