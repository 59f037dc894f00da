"""Landing files as rows: JSON Lines, CSV or Parquet, plain or compressed, into one relation named ``records``.

Every named field arrives as text (nested ones as JSON), so that casts are the source's own SQL and nothing is guessed. Two
ways give the same relation. The quick one lets DuckDB parse whole files. The careful one goes line by line: it says which
line is broken and why. It is taken for the lines that the quick one leaves in doubt, and for a whole batch only where that
failed or a file has blank lines among its records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from pipelines.engine import quoted, quoted_name
from pipelines.records.cells import select_csv, select_csv_carefully, select_parquet
from pipelines.records.documents import select_documents
from pipelines.records.files import STREAM_ERRORS, Readable, Unreadable, blocks_of
from pipelines.records.lines import are_better_as_lines, select_json_lines, select_json_lines_carefully, without_halves

# Columns of the relation beside the fields; a field of such a name is kept only where it stands in the metadata.
_OURS = frozenset({"file_no", "source_row", "problem", "further", "place", "filename", "parsed", "good", "line"})


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
        "json_object(" + ", ".join(f"{quoted(name)}, {quoted_name(name)}" for name in more) + ")"
        if more
        else "cast(null as json)"
    )
    columns = {**columns, **dict.fromkeys(more, "JSON")}
    table = f"{view}_of_batch"
    quick = not any(file.must_be_careful for file in files) and _create_quickly(
        con, table, files, columns, nullable, repeated_columns
    )
    if not quick:
        with TemporaryDirectory() as scratch:
            whole = [_mended(file, Path(scratch)) for file in files]
            _create(con, table, _selects(con, whole, columns, nullable, repeated_columns, careful=True))
    con.execute(f"create or replace temp view {view} as select *, {further} as further from {table}")


def _mended(file: Readable, scratch: Path) -> Readable:
    """A document that holds half an emoji without it, so that this costs nothing but itself; any other file as it is."""
    if file.layout not in ("array", "pages"):
        return file
    with suppress(*STREAM_ERRORS):
        text = b"".join(blocks_of(file.path, file.compression))
        mended = without_halves(text)
        if mended != text:
            path = scratch / f"{file.number}.json"
            path.write_bytes(mended)
            return replace(file, path=path, compression="none")
    return file


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
    is_by_place = {"csv": True, "jsonl": not are_better_as_lines(files)}
    for file in files:
        if is_by_place.get(file.layout, False) and file.lines is not None:
            # With more lines than records the place of a record is not its line.
            until = file.lines_before + file.lines
            if last.get(file.number, file.lines_before) != until:
                return False
    lines = [file for file in files if file.layout == "jsonl"]
    if lines and not are_better_as_lines(lines):
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
                if careful or are_better_as_lines(chosen):
                    selects.append(select_json_lines_carefully(con, chosen, columns, nullable))
                else:
                    selects.append(select_json_lines(chosen, columns, nullable))
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
    return selects


def _read_doubtful_lines(
    con: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Readable],
    columns: Mapping[str, str],
    nullable: Sequence[str],
) -> None:
    """Lines of which the engine made nothing, and those whose field is null or missing, read again one by one."""
    nothing = " and ".join(f"{quoted_name(name)} is null" for name in columns)
    doubt = " or ".join([f"({nothing})", *(f"not has_{name}" for name in nullable)])
    wanted: dict[int, list[int]] = {}
    for number, line in con.execute(f"select file_no, source_row from {table} where {doubt} order by all").fetchall():
        wanted.setdefault(number, []).append(line)
    if not wanted:
        return
    chosen = [file for file in files if file.number in wanted]
    _create(con, "doubtful_lines", [select_json_lines_carefully(con, chosen, columns, nullable, wanted)])
    names = ["problem", *map(quoted_name, columns), *(f"has_{name}" for name in nullable)]
    con.execute(
        f"update {table} set {', '.join(f'{name} = d.{name}' for name in names)} from doubtful_lines as d "
        f"where {table}.file_no = d.file_no and {table}.source_row = d.source_row"
    )


def _by_layout(files: Sequence[Readable]) -> dict[str, list[Readable]]:
    found: dict[str, list[Readable]] = {}
    for file in files:
        found.setdefault(f"{file.layout}", []).append(file)
    return found
