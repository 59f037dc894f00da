"""The command ``tokenbooks``. Each command is a thin layer over one function; heavy imports stand inside the commands."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipelines import __version__
from pipelines.paths import DataRoot, default_root

if TYPE_CHECKING:
    from pipelines.books import Books
    from pipelines.planner import Span

EXIT_FAILED, EXIT_USAGE, EXIT_CHECK_FAILED = 1, 2, 3

app = typer.Typer(
    name="tokenbooks",
    help="Keeps the books of LLM spend: reads bills and traces, prices them, and says who spent what, to the cent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Root = Annotated[
    Path | None,
    typer.Option("--root", help="The data root. Default: $TOKENBOOKS_DATA, else data/ of the checkout, else ./data."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]


def main() -> None:
    """Entry point: errors that a person can act on are one message, not a traceback."""
    from pipelines.lake import LakeError
    from pipelines.models import ModelError
    from pipelines.settings import SettingsError

    try:
        app()
    except (LakeError, ModelError, SettingsError, FileNotFoundError, FileExistsError, PermissionError) as error:
        Console(stderr=True).print(f"tokenbooks: {error}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(EXIT_FAILED) from None


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tokenbooks {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="The data root to make.")]) -> None:
    """Make a data root: folders, settings and empty reference tables to fill in."""
    from pipelines import reference, settings
    from pipelines.sources import sources

    root = DataRoot(folder.expanduser().resolve())
    for name in sources():
        (root.landing / name).mkdir(parents=True, exist_ok=True)
    root.reference.mkdir(parents=True, exist_ok=True)
    made = []
    key_file = root.path / "pseudonym.key"
    texts = {
        root.settings: settings.TEMPLATE.replace("# pseudonym_key_file", "pseudonym_key_file"),
        key_file: secrets.token_hex(32) + "\n",
    }
    for table in reference.TABLES.values():
        texts[root.reference / f"{table.name}.csv"] = reference.template(table)
    for path, text in texts.items():
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            if path == key_file:
                path.chmod(0o600)
            made.append(path)
    print(f"{root.path}: {len(made)} files made, {len(texts) - len(made)} were there already.")
    print(f"Put files into {root.landing}/<source>/, then: tokenbooks run --root {root.path}")


@app.command()
def demo(
    root: Root = None, direct: Annotated[bool, typer.Option("--direct", help="Run without Dagster.")] = False
) -> None:
    """Build the sample company's books and say what they show."""
    from pipelines import sample

    data = DataRoot(root.resolve() if root else default_root())
    if data.landing.is_dir() and any(
        path.is_file() and not path.name.startswith(".") for path in data.landing.rglob("*")
    ):
        print(f"{data.landing} holds files already; the demo goes on with them.")
    else:
        with _progress() as say:
            say("writing the sample company")
            sample.write(data)
    code = _run(data, direct=direct)
    if code:
        raise typer.Exit(code)
    _print_outputs(data)


@app.command()
def run(
    root: Root = None,
    from_: Annotated[str | None, typer.Option("--from", help="Only partitions from this day on.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Only partitions before this day.")] = None,
    select: Annotated[
        list[str] | None, typer.Option("--select", help="Only these tables (repeat it for several).")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read every file again and rebuild every table.")] = False,
    direct: Annotated[bool, typer.Option("--direct", help="Run without Dagster: same functions, same bytes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read what landed, rebuild what is out of date, check, publish."""
    from pipelines.models import models
    from pipelines.planner import Span

    data = DataRoot(root.resolve() if root else default_root())
    window = Span(_day(from_, "--from"), _day(to, "--to"))
    if unknown := sorted(set(select or ()) - set(models())):
        raise typer.BadParameter(
            f"no such table: {', '.join(unknown)}. Known are {', '.join(models())}.", param_hint="--select"
        )
    code = _run(data, full=full, window=window, select=select or (), direct=direct, as_json=as_json)
    if code:
        raise typer.Exit(code)


@app.command()
def status(root: Root = None, as_json: AsJson = False) -> None:
    """What is read and what is fresh: sources, tables, and what is unpriced or unattributed."""
    from pipelines.books import open_books
    from pipelines.summary import summarise

    data = DataRoot(root.resolve() if root else default_root())
    with open_books(data) as books:
        content = _status(books)
    content["summary"] = summarise(data).as_dict() if data.views.is_file() else None
    if as_json:
        print(json.dumps(content, default=_plain, indent=2))
        return
    _print_status(content)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="The query. Without one: a shell.")] = None,
    root: Root = None,
    format_: Annotated[
        str, typer.Option("--format", help="table, csv, json or parquet (parquet to standard output).")
    ] = "table",
) -> None:
    """Ask the books: DuckDB over all tables, read-only and locked down."""
    import duckdb

    from pipelines.views import QueryRefused, open_views

    if format_ not in ("table", "csv", "json", "parquet"):
        raise typer.BadParameter(f"{format_!r}, expected table, csv, json or parquet", param_hint="--format")
    data = DataRoot(root.resolve() if root else default_root())
    with open_views(data) as con:
        if query is not None:
            try:
                _answer(con, query, format_)
            except (duckdb.Error, QueryRefused) as error:
                Console(stderr=True).print(str(error), markup=False, highlight=False)
                raise typer.Exit(EXIT_FAILED) from None
            return
        _shell(con, format_)


# ---- run
def _run(
    data: DataRoot,
    *,
    full: bool = False,
    window: Span | None = None,
    select: Sequence[str] = (),
    direct: bool = False,
    as_json: bool = False,
) -> int:
    from pipelines import books
    from pipelines.planner import EVER

    window = window or EVER
    limited = full or bool(select) or window != EVER
    with _progress() as say:
        if not limited and data.views.is_file() and (report := _nothing_to_do(data)) is not None:
            pass
        elif direct or limited:
            report = books.run(data, full=full, window=window, select=select, progress=say).as_dict()
        else:
            say("starting Dagster")
            report = _run_in_dagster(data)
    if as_json:
        print(json.dumps(report, default=_plain, indent=2))
    else:
        _print_report(data, report)
    return EXIT_CHECK_FAILED if report["is_blocked"] else 0


def _nothing_to_do(data: DataRoot) -> dict[str, Any] | None:
    """The report of a run without work, or None where there is work. A failed check stays failed until it is mended."""
    from pipelines import books
    from pipelines.books import RunReport

    with books.open_books(data) as opened:
        if (
            opened.stale_references()
            or opened.news()
            or any(plan.stale or plan.gone for plan in opened.outlook().values())
        ):
            return None
        report = RunReport(results=opened.results)
        report.published = opened.publish([])
        report.is_blocked = bool(report.failed)
        return report.as_dict()


def _run_in_dagster(data: DataRoot) -> dict[str, Any]:
    """The same work as jobs of Dagster, in a process of its own: this package does not know Dagster."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "assets", "run", "--root", str(data.path), "--report", str(report)]
        # Not from the folder of whoever calls: it might hold an assets/ of its own.
        done = subprocess.run(command, cwd=Path(__file__).resolve().parent.parent, check=False)
        if not report.is_file():
            raise typer.Exit(done.returncode or EXIT_FAILED)
        content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return content


# ---- printing
@contextmanager
def _progress() -> Iterator[Any]:
    """Progress on a terminal as one changing line; nothing in a pipe."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("") as line:
        yield lambda text: line.update(text)


def _print_report(data: DataRoot, report: dict[str, Any]) -> None:
    from pipelines.summary import summarise

    console = _console()
    for warning in report["warnings"]:
        console.print(warning)
    for problem in report["problems"]:
        console.print(f"{problem} The table keeps what it last held. Mend the file, then run again.")
    files = report["files_read"]
    console.print(
        f"Read {files} new or changed file{'s' * (files != 1)}, rebuilt {report['partitions']} partitions of {report['tables']} tables."
        if files or report["partitions"]
        else "Nothing new: every table is up to date."
    )
    if data.views.is_file():
        _print_summary(console, summarise(data))
    if report["checks"]:
        warned, failed = len(report["warned"]), len(report["failed"])
        console.print(f"Checks       {report['checks'] - warned - failed:,} passed, {warned} warnings, {failed} failed")
    for result in report["failed"]:
        console.print(
            f"FAILED {result['table']} ({result['partition']}): {result['text']}"
            + (f": {result['violations']} rows break it" if result["violations"] else f": {result['message']}")
        )
    if report["is_blocked"]:
        console.print("Nothing was published: the exports are those of the last good run. Exit code 3.")
    elif report["published"]:
        console.print(f"Published {len(report['published'])} files below {data.exports}.")


def _print_summary(console: Console, summary: Any) -> None:
    if not summary.requests and summary.invoiced_cost_usd is None:
        console.print("No calls and no bills yet: put files into landing/<source>/.")
        return
    if summary.requests:
        console.print(f"Calls        {summary.requests:,} from {summary.first_date} to {summary.last_date} (UTC)")
    console.print(
        f"Spend        {_money(summary.effective_cost_usd)} by price book (list {_money(summary.list_cost_usd)})"
    )
    console.print(
        f"Invoiced     {_money(summary.invoiced_cost_usd)}, and {_money(summary.accrued_cost_usd)} accrued where no bill is in"
    )
    console.print(
        f"Priced       {_percent(summary.priced_share)} of tokens ({summary.unpriced_requests:,} calls without a price, "
        f"{summary.no_usage_requests:,} of them because their provider sent no usage)"
    )
    console.print(
        f"Attributed   {_percent(summary.attributed_share)} of the invoiced usage is tied to a feature by a traced call"
    )
    console.print(f"Untraced     {_money(summary.untraced_usd)} of the invoices has no call behind it")
    if summary.drivers:
        console.print(f"Drivers      {summary.drivers}")
    if summary.drift:
        verdicts = Counter(row["verdict"] for row in summary.drift)
        words = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
        console.print(f"Answers      week of {summary.drift[0]['week_start_date']}: {words}")
        for row in summary.drift:
            if row["verdict"] in ("drift", "one_user", "mix_shift"):
                console.print(f"  {row['verdict']:<10} {row['feature']}: {row['sentence']}")
    if summary.to_add:
        console.print("To add to reference/, the dearest first:")
        for row in summary.to_add:
            about = "about " * row["is_estimate"]
            console.print(f"  {row['table']}: {row['row']}   ({row['why']}, {about}{_money(row['cost_usd'])})")


def _print_outputs(data: DataRoot) -> None:
    console = _console()
    if pages := sorted(data.report(date.min).parent.glob("*.html")):
        console.print(f"Report       {pages[-1]} (a page a week)")
    console.print(f"Showback     {data.exports / 'showback' / 'v1'} (Parquet and CSV, a folder a week)")
    command = sys.argv[0] if Path(sys.argv[0]).name == "tokenbooks" else "tokenbooks"
    console.print(f'Ad hoc       {command} sql "from mart_showback_weekly" --root {data.path}')
    console.print("Dagster      make dev")


def _status(books: Books) -> dict[str, Any]:
    from pipelines.runner import create_view

    sources: list[dict[str, Any]] = []
    parts = books.lake.parts("ledger_files")
    if parts:
        create_view(books.con, books.lake, "ledger_files", parts, {})
        result = books.con.execute(
            """select source, count(*) filter (where state <> 'replaced') as files, sum(records)::bigint as records,
                sum(booked)::bigint as booked, sum(duplicate)::bigint as duplicate, sum(not_billable)::bigint as not_billable,
                sum(quarantined)::bigint as quarantined, max(last_record_at) as newest_record_at
            from ledger_files group by source order by source"""
        )
        names = [column[0] for column in result.description or ()]
        sources = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    tables = []
    for name, plan in books.outlook().items():
        built = books.lake.parts(name)
        tables.append(
            {
                "table": name,
                "partitions": len(built),
                "rows": sum(part.rows for part in built),
                "stale_partitions": len(plan.stale),
                "why": plan.stale[0].why if plan.stale else "",
            }
        )
    failed = [result for result in books.results if result.status != "passed"]
    return {
        "root": str(books.root.path),
        "sources": sources,
        "unread_files": books.news(),
        "remarks": books.remarks(),
        "tables": tables,
        "failed_checks": [result.__dict__ for result in failed],
    }


def _print_status(content: dict[str, Any]) -> None:
    console = _console()
    console.print(f"Data root {content['root']}")
    _print_table(console, content["sources"], "No file has been read yet.")
    if content["unread_files"]:
        console.print(
            f"{len(content['unread_files'])} files are new or changed and not read yet: {', '.join(content['unread_files'][:5])}"
        )
    for remark in content["remarks"]:
        console.print(remark)
    _print_table(console, content["tables"], "")
    for result in content["failed_checks"]:
        console.print(
            f"{result['severity']} {result['table']} ({result['partition']}): {result['text']} ({result['violations']} rows)"
        )
    if content["summary"]:
        from pipelines.summary import Summary

        _print_summary(console, Summary(**content["summary"]))


def _print_table(console: Console, rows: Sequence[dict[str, Any]], empty: str) -> None:
    if not rows:
        if empty:
            console.print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if isinstance(value, (int, float, Decimal)) else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console.print(table)


def _console() -> Console:
    """Plain where it goes into a pipe: no colour, and wide enough that no table is cut."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, markup=False, soft_wrap=True, width=240)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def _plain(value: object) -> object:
    """JSON keeps money as text: a float would not be exact."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (date, datetime)):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _money(value: Decimal | None) -> str:
    return "unknown" if value is None else f"${value:,.2f}"


def _percent(share: float | None) -> str:
    """Cut, not rounded: 100 % means all of it."""
    return "unknown" if share is None else f"{int(share * 1000) / 10:.1f} %"


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}, expected a day such as 2026-11-02", param_hint=option) from None


# ---- sql
def _answer(con: Any, query: str, format_: str) -> None:
    from pipelines.views import ask

    if format_ == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(ask(con, query).to_arrow_table(), sys.stdout.buffer)
        return
    result = ask(con, query)
    names = [column[0] for column in result.description or ()]
    rows = result.fetchall()
    if format_ == "json":
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], default=_plain, indent=2))
    elif format_ == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(
            [
                [
                    "" if value is None else _plain(value) if not isinstance(value, (str, int, float)) else value
                    for value in row
                ]
                for row in rows
            ]
        )
    else:
        _print_answer(names, rows)


def _print_answer(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """As a table; one value a line where that would be wider than the terminal."""
    console = _console()
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
    console.print(f"{len(rows)} row{'s' * (len(rows) != 1)}")


def _value(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _cell(value) if isinstance(value, datetime) else str(value)


def _shell(con: Any, format_: str) -> None:
    """Queries from standard input, each ended by a semicolon."""
    import duckdb

    from pipelines.views import QueryRefused

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
        query, pending = pending, ""
        try:
            _answer(con, query, format_)
        except (duckdb.Error, QueryRefused) as error:
            Console(stderr=True).print(str(error), markup=False, highlight=False)
    if pending.strip():
        _answer(con, pending, format_)


if __name__ == "__main__":
    main()
