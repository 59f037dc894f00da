"""``sql``: one question, or a shell."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from pipelines.cli.arguments import EXIT_FAILED, Root, data_root
from pipelines.cli.printing import cell_text, complain, json_value, print_json, terminal
from pipelines.words import meant

_NO_TABLE = re.compile(r'^Catalog Error: Table with name "?(?P<name>[^\s"]+)"? does not exist')


def sql(
    query: Annotated[str | None, typer.Argument(help="The query. Without one: a shell.")] = None,
    root: Root = None,
    format_: Annotated[
        str, typer.Option("--format", help="table, csv, json or parquet (parquet to standard output).")
    ] = "table",
) -> None:
    """Ask the books: DuckDB over all tables, read-only and locked down."""
    import duckdb

    from pipelines.views import QueryRefused, open_views, questions

    if format_ not in ("table", "csv", "json", "parquet"):
        raise typer.BadParameter(f"{format_!r}, expected table, csv, json or parquet", param_hint="--format")
    data = data_root(root)
    with open_views(data) as con:
        if query is not None:
            try:
                asked = questions(con, query)
                if len(asked) > 1 and format_ != "table":
                    raise QueryRefused(f"{len(asked)} queries: {format_} holds one answer, so ask them one by one")
                for one in asked:
                    _answer(con, one, format_)
            except (duckdb.Error, QueryRefused) as error:
                complain(_said(con, error))
                raise typer.Exit(EXIT_FAILED) from None
            return
        _shell(con, format_)


def _said(con: Any, error: Exception) -> str:
    """What is wrong with a question. Of a table that is not there the engine would propose one of its own."""
    unknown = _NO_TABLE.search(str(error))
    if unknown is None:
        return str(error)
    names = [name for (name, *_) in con.execute("show tables").fetchall()]
    return f"No table {unknown['name']}.{meant(unknown['name'].lower(), names)} 'show tables' lists all {len(names)}."


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
    console.print(table)
    print(f"{len(rows)} row{'s' * (len(rows) != 1)}")


def _value(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return cell_text(value) if isinstance(value, datetime) else str(value)


def _shell(con: Any, format_: str) -> None:
    """Queries from standard input, each ended by a semicolon."""
    import duckdb

    from pipelines.views import QueryRefused, questions

    def answer(text: str) -> None:
        try:
            for query in questions(con, text):
                _answer(con, query, format_)
        except (duckdb.Error, QueryRefused) as error:
            complain(_said(con, error))

    interactive = sys.stdin.isatty()
    if interactive:
        print("Tables: show tables; describe <table>; a query ends with ; and .quit leaves.")
    pending = ""
    while True:
        try:
            line = input("books> " if interactive and not pending else "  ...> " if interactive else "")
        except (EOFError, KeyboardInterrupt):
            break
        if line.strip() in (".quit", ".exit", "quit", "exit"):
            break
        pending += line + "\n"
        if not line.rstrip().endswith(";"):
            continue
        text, pending = pending, ""
        answer(text)
    answer(pending)
