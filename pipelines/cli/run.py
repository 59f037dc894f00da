"""``init``, ``demo`` and ``run``."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.alerts import exit_code, print_sent
from pipelines.cli.arguments import EXIT_CHECK_FAILED, AsJson, Root, data_root, days_of
from pipelines.cli.printing import print_json, progress
from pipelines.cli.reports import next_step, print_report
from pipelines.paths import DataRoot
from pipelines.words import nearest

if TYPE_CHECKING:
    from pipelines.alerting import Sent
    from pipelines.periods import Span


def init(folder: Annotated[Path, typer.Argument(help="The data root to make.")]) -> None:
    """Make a data root: folders, settings and empty reference tables to fill in."""
    from pipelines import settings
    from pipelines.reference.tables import TABLES
    from pipelines.reference.templates import template
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
    for table in TABLES.values():
        texts[root.reference / f"{table.name}.csv"] = template(table)
    for path, text in texts.items():
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            if path == key_file:
                path.chmod(0o600)
            made.append(path)
    print(f"{root.path}: {len(made)} files made, {len(texts) - len(made)} were there already.")
    print(f"Put files into {root.landing}/<source>/, then: tokenbooks run --root {root.path}")


def demo(
    root: Root = None, direct: Annotated[bool, typer.Option("--direct", help="Run without Dagster.")] = False
) -> None:
    """Build the sample company's books and say what they show."""
    data = data_root(root, may_be_made=True)
    if data.landing.is_dir() and any(
        path.is_file() and not path.name.startswith(".") for path in data.landing.rglob("*")
    ):
        print(f"{data.landing} holds files already; the demo goes on with them.")
    else:
        from pipelines import sample

        with progress() as say:
            say("writing the sample company")
            sample.write(data)
    code = run_books(data, direct=direct, says_next=False)
    if code:
        raise typer.Exit(code)
    _print_outputs(data)
    print("Next: open the page above, then follow docs/tutorial.md with these books.")


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
    from pipelines.periods import Span

    data = data_root(root)
    window = Span(*days_of(from_, to))
    if select and (unknown := sorted(set(select) - set(models()))):
        close = [name for one in unknown for name in nearest(one, models())]
        meant = f" Nearest: {', '.join(close)}." if close else ""
        raise typer.BadParameter(
            f"no such table: {', '.join(unknown)}.{meant} 'tokenbooks status --json' lists all {len(models())}.",
            param_hint="--select",
        )
    code = run_books(data, full=full, window=window, select=select or (), direct=direct, as_json=as_json)
    if code:
        raise typer.Exit(code)


def run_books(
    data: DataRoot,
    *,
    full: bool = False,
    window: Span | None = None,
    select: Sequence[str] = (),
    direct: bool = False,
    as_json: bool = False,
    says_next: bool = True,
) -> int:
    from pipelines import books, upgrade
    from pipelines.periods import EVER
    from pipelines.summary import summarise

    window = window or EVER
    # Asked before anything opens the lake, which is what brings it forward.
    news = [upgrade.SENTENCE] if upgrade.is_of_earlier_version(data) else []
    limited = full or bool(select) or window != EVER
    with progress() as say:
        if not limited and data.views.is_file() and (report := _nothing_to_do(data)) is not None:
            pass
        elif direct:
            report = books.run(data, full=full, window=window, select=select, progress=say).as_dict()
        else:
            from assets import reported

            report = reported.run(data, full=full, window=window, select=select, progress=say).as_dict()
    report["warnings"] = [*news, *report["warnings"]]
    report["summary"] = summarise(data).as_dict() if data.views.is_file() else None
    report["next"] = next_step(data, report)
    sent = None if select or window != EVER or report["is_blocked"] else send_alerts(data)
    if as_json:
        print_json(report if sent is None else {**report, "alerts": sent.as_dict()})
    else:
        print_report(data, report)
        if sent is not None:
            print_sent(sent)
        if says_next and not report["is_blocked"]:
            print(f"Next: {report['next']}")
    return EXIT_CHECK_FAILED if report["is_blocked"] else 0 if sent is None else exit_code(sent)


def send_alerts(data: DataRoot) -> Sent | None:
    """Alerts go out after a run only where settings.toml says so: without it a run makes no connection."""
    from pipelines.settings import load

    if not load(data.settings).send_alerts:
        return None
    from pipelines.alerting import Sent, send
    from pipelines.lake import LakeError

    try:
        with progress() as say:
            return send(data, progress=say)
    except LakeError as error:
        # The books are published all the same, and whoever sends just now tells of them.
        return Sent(problems=[str(error)])


def _nothing_to_do(data: DataRoot) -> dict[str, Any] | None:
    """The report of a run without work, or None where there is work. A failed check stays failed until it is mended."""
    from pipelines import books
    from pipelines.books import RunReport

    with books.open_books(data) as opened:
        look = opened.look()
        if (
            opened.stale_references()
            or look.news()
            or any(plan.stale or plan.gone for plan in opened.outlook().values())
        ):
            return None
        report = RunReport(results=opened.results)
        report.read.warnings = look.strangers()
        report.published = opened.publish([])
        report.is_blocked = bool(report.failed)
        return report.as_dict()


def _print_outputs(data: DataRoot) -> None:
    if pages := sorted(data.report(date.min).parent.glob("*.html")):
        print(f"Report       {pages[-1]} (a page a week)")
    print(f"Showback     {data.exports / 'showback' / 'v1'} (Parquet and CSV, a folder a week)")
    print(f"FOCUS        {data.exports / 'focus'} (1.4 and 1.2, a folder a month)")
    print(f"Statements   {data.exports / 'statements' / 'v1'} (cost centres and their postings, a folder a month)")
    command = sys.argv[0] if Path(sys.argv[0]).name == "tokenbooks" else "tokenbooks"
    print(f'Ad hoc       {command} sql "from mart_showback_weekly" --root {data.path}')
    print("Dagster      make dev")
