"""``export``: months for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.arguments import EXIT_CHECK_FAILED, AsJson, Group, Root, books_root
from pipelines.cli.printing import complain, print_json, print_table

app = typer.Typer(
    cls=Group,
    help="Write months for other tools: FOCUS and the statements. A run does so by itself.",
    no_args_is_help=True,
)


@app.command("focus")
def export_focus(
    version: Annotated[str, typer.Option("--version", help="1.4, with split cost allocation, or 1.2.")] = "1.4",
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write the months of the FOCUS dataset that have changed, and say what they hold."""
    _export(root, "focus", version, as_json=as_json)


@app.command("statements")
def export_statements(root: Root = None, as_json: AsJson = False) -> None:
    """Write the months of the statements and their postings that have changed, and say what they hold."""
    _export(root, "statements", "v1", as_json=as_json)


def _export(root: Path | None, name: str, version: str, *, as_json: bool) -> None:
    from pipelines.books import RunReport, open_books
    from pipelines.exports import MONTHLY
    from pipelines.views import must_be_there

    wanted = [export for export in MONTHLY if (export.name, export.version) == (name, version)]
    if not wanted:
        versions = ", ".join(export.version for export in MONTHLY if export.name == name)
        raise typer.BadParameter(f"{version!r}, expected one of {versions}", param_hint="--version")
    data = books_root(root)
    must_be_there(data)
    with open_books(data) as books:
        written = books.export(wanted)
        cause = RunReport(results=books.results).cause
    if written is None:
        complain(f"Nothing was written: {cause}.")
        raise typer.Exit(EXIT_CHECK_FAILED)
    rows = []
    for path in sorted((data.exports / name / version).glob("month=*/manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        rows += [
            {
                "month": manifest["month"],
                "rows": next(iter(manifest["tables"].values()))["rows"],
                "currency": currency,
                "total": total,
                "folder": data.relative(path.parent),
            }
            for totals in manifest["totals"].values()
            for currency, total in totals.items()
        ]
    if as_json:
        print_json({"written": written, "months": rows})
        return
    print_table(rows, "No month yet: 'tokenbooks run' builds the tables first.")
    print(f"{len(written)} files written below {data.exports / name / version}.")
