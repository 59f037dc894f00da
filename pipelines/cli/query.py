"""``sql``: one question, or a shell."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from pipelines.cli.arguments import EXIT_FAILED, Root, books_root
from pipelines.cli.printing import cell_text, complain, json_value, print_json, terminal
from pipelines.paths import DataRoot
from pipelines.words import meant, things

FORMATS = ("table", "csv", "json", "markdown", "parquet")
_NO_TABLE = re.compile(r'^Catalog Error: Table with name "?(?P<name>[^\s"]+)"? does not exist')
_NO_COLUMN = re.compile(
    r'^Binder Error: (?:Referenced column "(?P<name>[^"]+)" not found|.* does not have a column named "(?P<of_table>[^"]+)")'
)
# What the engine proposes may be a table or function of its own.
_PROPOSED = re.compile(r'\n(?:Did you mean|Candidate tables:)[^\n]*"(?:\w+\.)?(?:pg_|duckdb_|pragma_|sqlite_)[^\n]*')


def sql(
    query: Annotated[str | None, typer.Argument(help="The query. Without one: a shell.")] = None,
    root: Root = None,
    format_: Annotated[
        str, typer.Option("--format", help="table, csv, json, markdown or parquet (parquet to standard output).")
    ] = "table",
) -> None:
    """Ask the books: DuckDB over all tables, read-only and locked down."""
    import duckdb

    from pipelines.views import QueryRefused, open_views, questions

    if format_ not in FORMATS:
        raise typer.BadParameter(f"{format_!r}, expected {', '.join(FORMATS)}", param_hint="--format")
    if format_ == "parquet" and sys.stdout.isatty():
        raise typer.BadParameter("a terminal shows no Parquet: add > answer.parquet", param_hint="--format")
    data = books_root(root)
    with open_views(data) as con:
        if query is not None:
            try:
                asked = questions(con, query)
                if len(asked) > 1 and format_ not in ("table", "markdown"):
                    raise QueryRefused(f"{len(asked)} queries: {format_} holds one answer, so ask them one by one")
                for one in asked:
                    _answer(con, one, format_)
            except (duckdb.Error, QueryRefused) as error:
                complain(said_of(con, error, query, data))
                raise typer.Exit(EXIT_FAILED) from None
            return
        from pipelines.cli import shell

        def answered(text: str, as_: str) -> None:
            try:
                for one in questions(con, text):
                    _answer(con, one, as_)
            except (duckdb.Error, QueryRefused) as error:
                complain(said_of(con, error, text, data))

        shell.run(con, data, format_, answered)


def said_of(con: Any, error: Exception, query: str, root: DataRoot) -> str:
    """What is wrong with a question. Of a table or column that is not there the engine would propose one of its own.

    What views of another version cannot answer is no fault of the question.
    """
    import duckdb

    from pipelines.cli.shell import Tables, named_tables
    from pipelines.upgrade import RUN_ONCE
    from pipelines.views import are_of_another_version

    not_there = (duckdb.PermissionException, duckdb.CatalogException, duckdb.BinderException, duckdb.IOException)
    if isinstance(error, not_there) and are_of_another_version(root):
        return RUN_ONCE
    text = _PROPOSED.sub("", str(error))
    unknown, column = _NO_TABLE.search(text), _NO_COLUMN.search(text)
    if not isinstance(error, duckdb.Error) or not (unknown or column):
        return text
    tables = Tables(con)
    if unknown:
        name = unknown["name"]
        return f"No table {name}.{meant(name.lower(), tables.names)} 'show tables' lists all {len(tables.names)}."
    name = str(column and (column["name"] or column["of_table"]))
    asked = sorted({table for table in named_tables(query).values() if table in tables.columns})
    near = meant(name.lower(), {column.name for table in asked for column in tables.columns[table]})
    if not asked:
        return text
    return f"No column {name} in {', '.join(asked)}.{near} 'describe {asked[0]}' lists its columns."


def _answer(con: Any, query: str, format_: str) -> None:
    """``query``: one of ``views.questions``."""
    if format_ == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(con.execute(query).to_arrow_table(), sys.stdout.buffer)
        return
    result = con.execute(query)
    names = [column[0] for column in result.description or ()]
    rows = result.fetchall()
    if format_ == "json":
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif format_ == "markdown":
        for cells in (names, ["---"] * len(names), *([_value(value) for value in row] for row in rows)):
            print(f"| {' | '.join(cell.replace('|', '&#124;').replace(chr(10), ' ') for cell in cells)} |")
    elif format_ == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(
            [
                [
                    "" if value is None else json_value(value) if not isinstance(value, (str, int, float)) else value
                    for value in row
                ]
                for row in rows
            ]
        )
    else:
        _print_answer(names, rows)


def _print_answer(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """As a table; one value a line where that would be wider than the terminal."""
    from rich.table import Table

    console = terminal()
    cells = [[_value(value) for value in row] for row in rows]
    widths = [
        max(len(line) for text in (name, *(row[place] for row in cells)) for line in text.split("\n"))
        for place, name in enumerate(names)
    ]
    is_wide = sum(widths) + len(names) > console.width and bool(cells)
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=not is_wide)
    if is_wide:
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for row in cells:
            for name, text in zip(names, row, strict=True):
                table.add_row(name, text)
            table.add_row()
    else:
        for place, name in enumerate(names):
            value = rows[0][place] if rows else None
            right = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
            table.add_column(name, justify="right" if right else "left", overflow="fold")
        for row in cells:
            table.add_row(*row)
    lines = sum(len(row) + 1 for row in cells) if is_wide else len(rows)
    # What is longer than the screen goes to the pager that the terminal has; q leaves it.
    is_long = console.is_terminal and sys.stdin.isatty() and lines + 3 > console.height
    with console.pager(styles=False) if is_long else nullcontext():
        console.print(table)
    print(things(len(rows), "row"))


def _value(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return cell_text(value) if isinstance(value, datetime) else str(value)
