"""``quarantine``: what was refused."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.arguments import AsJson, Group, Root, books_root
from pipelines.cli.printing import MOST_LINES, print_json, print_table, printed_to_stderr
from pipelines.cli.run import run_books

app = typer.Typer(cls=Group, help="See what was refused, and read it again.", no_args_is_help=True)


@app.command("list")
def list_refused(
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Every record that was refused, by file and reason; --json gives each with its line."""
    from pipelines.books import reading_books
    from pipelines.sources import sources

    if source is not None and source not in sources():
        raise typer.BadParameter(
            f"no such source: {source}. Known are {', '.join(sorted(sources()))}.", param_hint="--source"
        )
    with reading_books(books_root(root)) as books:
        files = [file for file in books.refused() if source in (None, file["source"])]
    if as_json:
        print_json(files)
        return
    for file in files:
        gone = "" if file["is_there"] else " (the file is gone)"
        print(f"{file['file']}{gone}: {file['quarantined']:,} of {file['records']:,} records refused")
        reasons: dict[str, list[Any]] = {}
        for refusal in file["refusals"]:
            reasons.setdefault(refusal["reason"], []).append(refusal["line"])
        for reason, lines in list(reasons.items())[:MOST_LINES]:
            where = "the whole file" if lines[0] is None else f"line {lines[0]}"
            print(f"  {where}{f' and {len(lines) - 1:,} more' if len(lines) > 1 else ''}: {reason}")
        if len(reasons) > MOST_LINES:
            print(f"  ... and {len(reasons) - MOST_LINES:,} more reasons (--json has all)")
    print(
        "Put a mended file in its place, then: tokenbooks run. After a change of settings: tokenbooks quarantine retry."
        if files
        else "Nothing is refused."
    )


@app.command("retry")
def retry_refused(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files as list names them. Default: all with something refused.")
    ] = None,
    root: Root = None,
    direct: Annotated[bool, typer.Option("--direct", help="Run without Dagster.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read files with refused records again, run, and say what is refused still."""
    from pipelines.books import open_books

    data = books_root(root)
    with open_books(data) as books:
        before = {file["file"]: file["quarantined"] for file in books.refused()}
        if unknown := sorted(set(files or ()) - set(before)):
            raise typer.BadParameter(f"nothing is refused of {', '.join(unknown)}. See: tokenbooks quarantine list.")
        chosen = [name for name in before if name in (files or before)]
        there = [name for name in chosen if (data.path / name).is_file()]
        books.retry(there)
    code = 0
    if there:
        with printed_to_stderr():
            code = run_books(data, direct=direct)
    with open_books(data) as books:
        after = {file["file"]: file["quarantined"] for file in books.refused()}
    rows = [
        {"file": name, "refused_before": before[name], "refused_now": after.get(name, 0), "is_there": name in there}
        for name in chosen
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, "Nothing is refused.")
    if code:
        raise typer.Exit(code)
