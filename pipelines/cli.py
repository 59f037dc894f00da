"""The command ``tokenbooks``. Each command is a thin layer over one function; heavy imports stand inside the commands."""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from pipelines import __version__
from pipelines.paths import DataRoot, default_root
from pipelines.words import things

if TYPE_CHECKING:
    from pipelines.books import Books
    from pipelines.planner import Span

EXIT_FAILED, EXIT_USAGE, EXIT_CHECK_FAILED = 1, 2, 3
# Lines of a table that a terminal shows where there may be thousands; --json gives all.
MOST_LINES = 40
# What a long text is folded to, at least, where a table is wider than the terminal.
_FOLDED = 12

app = typer.Typer(
    name="tokenbooks",
    help="Keeps the books of LLM spend: reads bills and traces, prices them, and says who spent what, to the cent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
prices = typer.Typer(
    help="Look up prices, check the book, and see what another list would change.", no_args_is_help=True
)
app.add_typer(prices, name="prices")
quarantine = typer.Typer(help="See what was refused, and read it again.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")
export = typer.Typer(
    help="Write months for other tools: FOCUS and the statements. A run does so by itself.", no_args_is_help=True
)
app.add_typer(export, name="export")
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
        _complain(f"tokenbooks: {error}")
        raise SystemExit(EXIT_FAILED) from None


def _complain(text: str) -> None:
    """A sentence on standard error, as it is and unbroken."""
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def _data_root(given: Path | None, *, may_be_made: bool = False) -> DataRoot:
    root = DataRoot(given.expanduser().resolve() if given else default_root())
    if not may_be_made and not root.path.is_dir():
        # A name typed wrong would be a new and empty set of books.
        _complain(f"There is no data root at {root.path}: make one with 'tokenbooks init {root.path}'.")
        raise typer.Exit(EXIT_USAGE)
    return root


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
    data = _data_root(root, may_be_made=True)
    if data.landing.is_dir() and any(
        path.is_file() and not path.name.startswith(".") for path in data.landing.rglob("*")
    ):
        print(f"{data.landing} holds files already; the demo goes on with them.")
    else:
        from pipelines import sample

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

    data = _data_root(root)
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

    data = _data_root(root)
    with open_books(data) as books:
        content = _status(books)
    content["summary"] = summarise(data).as_dict() if data.views.is_file() else None
    if as_json:
        print(json.dumps(content, default=_plain, indent=2))
        return
    _print_status(content)


# ---- quarantine
@quarantine.command("list")
def list_refused(
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Every record that was refused, by file and reason; --json gives each with its line."""
    from pipelines.books import open_books
    from pipelines.sources import sources

    if source is not None and source not in sources():
        raise typer.BadParameter(
            f"no such source: {source}. Known are {', '.join(sorted(sources()))}.", param_hint="--source"
        )
    with open_books(_data_root(root)) as books:
        files = [file for file in books.refused() if source in (None, file["source"])]
    if as_json:
        print(json.dumps(files, default=_plain, indent=2))
        return
    console = _console()
    for file in files:
        gone = "" if file["is_there"] else " (the file is gone)"
        console.print(f"{file['file']}{gone}: {file['quarantined']:,} of {file['records']:,} records refused")
        reasons: dict[str, list[Any]] = {}
        for refusal in file["refusals"]:
            reasons.setdefault(refusal["reason"], []).append(refusal["line"])
        for reason, lines in list(reasons.items())[:MOST_LINES]:
            where = "the whole file" if lines[0] is None else f"line {lines[0]}"
            console.print(f"  {where}{f' and {len(lines) - 1:,} more' if len(lines) > 1 else ''}: {reason}")
        if len(reasons) > MOST_LINES:
            console.print(f"  ... and {len(reasons) - MOST_LINES:,} more reasons (--json has all)")
    console.print(
        "Put a mended file in its place, then: tokenbooks run. After a change of settings: tokenbooks quarantine retry."
        if files
        else "Nothing is refused."
    )


@quarantine.command("retry")
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

    data = _data_root(root)
    with open_books(data) as books:
        before = {file["file"]: file["quarantined"] for file in books.refused()}
        if unknown := sorted(set(files or ()) - set(before)):
            raise typer.BadParameter(f"nothing is refused of {', '.join(unknown)}. See: tokenbooks quarantine list.")
        chosen = [name for name in before if name in (files or before)]
        there = [name for name in chosen if (data.path / name).is_file()]
        books.retry(there)
    code = 0
    if there:
        with _printed_to_stderr():
            code = _run(data, direct=direct)
    with open_books(data) as books:
        after = {file["file"]: file["quarantined"] for file in books.refused()}
    rows = [
        {"file": name, "refused_before": before[name], "refused_now": after.get(name, 0), "is_there": name in there}
        for name in chosen
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _print_table(_console(), rows, "Nothing is refused.")
    if code:
        raise typer.Exit(code)


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

    from pipelines.views import QueryRefused, open_views, questions

    if format_ not in ("table", "csv", "json", "parquet"):
        raise typer.BadParameter(f"{format_!r}, expected table, csv, json or parquet", param_hint="--format")
    data = _data_root(root)
    with open_views(data) as con:
        if query is not None:
            try:
                asked = questions(con, query)
                if len(asked) > 1 and format_ != "table":
                    raise QueryRefused(f"{len(asked)} queries: {format_} holds one answer, so ask them one by one")
                for one in asked:
                    _answer(con, one, format_)
            except (duckdb.Error, QueryRefused) as error:
                Console(stderr=True).print(str(error), markup=False, highlight=False)
                raise typer.Exit(EXIT_FAILED) from None
            return
        _shell(con, format_)


@app.command()
def explain(
    request: Annotated[
        str, typer.Argument(help="A call: its request_key, or an id that its source or provider gave it.")
    ],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show one cost from the provider's usage object to dollars: classes, rates and their sources, owner, invoice."""
    from pipelines.prices.explain import NotOneRequest
    from pipelines.prices.explain import explain as explained

    data = _data_root(root)
    try:
        content = explained(data, request)
    except NotOneRequest as error:
        _complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    if as_json:
        print(json.dumps(content, default=_plain, indent=2))
    else:
        _print_explanation(content)


@app.command()
def close(
    month: Annotated[str | None, typer.Argument(help="The month to close, such as 2026-09.")] = None,
    accept: Annotated[
        str, typer.Option("--accept", help="Close in spite of open items, for this reason; both are recorded.")
    ] = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the audit log and every file of every closed month; close nothing.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Close the books of a month: what is published for it never changes again."""
    from pipelines import close as closing
    from pipelines.books import open_books

    data = _data_root(root)
    if verify == (month is not None):
        raise typer.BadParameter("a month such as 2026-09, or --verify", param_hint="MONTH")
    if verify or month is None:
        _print_verdict(data, closing.verify(data), as_json=as_json)
        return
    start = _month(month, "MONTH")
    try:
        with _progress() as say, open_books(data, say) as books:
            done = closing.close(books, start, accept=accept)
    except closing.CloseRefused as error:
        _complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    if isinstance(done, closing.Closed):
        if as_json:
            print(json.dumps(done.__dict__, default=_plain, indent=2))
            return
        console = _console()
        console.print(
            f"{month} is closed: ${Decimal(done.invoiced_cost_usd):,.2f}, {done.files} files in {data.closed_month(start)}."
        )
        for text in done.exceptions:
            console.print(f"Accepted     {text}")
        return
    if as_json:
        print(json.dumps([hindrance.__dict__ for hindrance in done], indent=2))
    else:
        console = _console()
        console.print(f"{month} was not closed:")
        for hindrance in done:
            console.print(f"  {hindrance.text}" + ("" if hindrance.acceptable else " (cannot be accepted)"))
        if all(hindrance.acceptable for hindrance in done):
            console.print(f'Mend them, or close in spite of them: tokenbooks close {month} --accept "the reason"')
    raise typer.Exit(EXIT_CHECK_FAILED)


@app.command()
def corrections(
    month: Annotated[str | None, typer.Option("--month", help="Only corrections of this closed month.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what became known of closed months after their close, and in which week it is booked."""
    from pipelines.engine import named_rows
    from pipelines.views import open_views

    if month is not None:
        _month(month, "--month")
    data = _data_root(root)
    with open_views(data) as con:
        rows = named_rows(
            con,
            """select booked_week_start_date, billing_month, week_start_date, cost_centre, team, feature, customer_tier, provider,
                billing_account_id, model_canonical, reason, caused_by, delta_usd, billing_currency, delta_billing_currency
            from mart_corrections_weekly where ? is null or billing_month = ? order by all""",
            [month, month],
        )
    if as_json:
        print(json.dumps(rows, default=_plain, indent=2))
        return
    console = _console()
    if not rows:
        console.print("No corrections: nothing came after a close.")
    for row in rows[:MOST_LINES]:
        owner = f"{row['cost_centre']} {row['team']} {row['feature']} {row['customer_tier']}"
        usd = "unknown" if row["delta_usd"] is None else f"{row['delta_usd']:+,.2f}"
        console.print(
            f"{row['billing_month']} booked {row['booked_week_start_date']} {usd:>12} USD  {owner}, {row['provider']} "
            f"{row['billing_account_id']} {row['model_canonical']}: {row['reason']} ({row['caused_by']})"
        )
    if len(rows) > MOST_LINES:
        console.print(f"... and {len(rows) - MOST_LINES:,} more (--json has all)")
    if rows:
        unknown = sum(row["delta_usd"] is None for row in rows)
        total = sum((row["delta_usd"] for row in rows if row["delta_usd"] is not None), Decimal(0))
        console.print(
            f"{things(len(rows), 'correction')}, {total:+,.2f} USD"
            + f" and {unknown} of unknown dollars" * bool(unknown)
        )


# ---- prices
@prices.command("show")
def show_prices(
    model: Annotated[str, typer.Argument(help="A model, by any name that a call may have.")],
    provider: Annotated[str | None, typer.Option("--provider", help="Only this seller.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="An instant such as 2026-11-02T14:00Z, or a day. Default: now.")
    ] = None,
    tier: Annotated[str, typer.Option("--tier", help="standard, batch, flex, priority, fast, or all.")] = "standard",
    region: Annotated[str | None, typer.Option("--region", help="Only this region class (global, us, eu ...).")] = None,
    history: Annotated[bool, typer.Option("--history", help="All prices, not only those of the instant.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model costs at an instant: every rate with its source."""
    from pipelines.prices import lookup

    instant = _instant(at, "--at")
    data = _data_root(root)
    book, problems = lookup.current_book(data)
    for problem in problems:
        _complain(str(problem))
    tier, region = tier.lower(), region.lower() if region else None
    rows: list[dict[str, Any]] = []
    others: dict[str, list[str]] = {}
    for meaning in lookup.models_of(book, model, instant, [provider] if provider else ()).to_dicts():
        table = book.tables["ref_price_book"].filter(
            (pl_column("provider") == meaning["provider"]) & (pl_column("model_id") == meaning["model_canonical"])
        )
        if not history:
            table = lookup.in_force(table, instant)
        if len(table):
            others.setdefault(lookup.tiers_of(table), []).append(meaning["provider"])
        if tier != "all":
            processing = "batch" if tier == "batch" else "sync"
            service_tier = "standard" if tier == "batch" else tier
            table = table.filter(
                (pl_column("service_tier").str.to_lowercase() == service_tier) & (pl_column("processing") == processing)
            )
        if said_region := region or meaning["region_class"]:
            table = table.filter(pl_column("region_class").str.to_lowercase() == said_region.lower())
        rows += lookup.shown(table)
        if tier in ("standard", "all") and not len(table):
            rows += lookup.hourly(data, meaning["provider"], meaning["model_canonical"], None if history else instant)
    if as_json:
        print(json.dumps(rows, default=_plain, indent=2))
    elif rows:
        _print_table(_console(), [{name: row[name] for name in row if name != "price_id"} for row in rows], "")
    if not rows:
        similar = lookup.similar_names(book, model, [provider] if provider else ())
        advice = f" Nearest known: {', '.join(repr(name) for name in similar)}." if similar else ""
        advice += (
            " Add rows to reference/prices.csv, or an alias to reference/model_aliases.csv if it goes by another name."
        )
        if others:
            has = (f"{', '.join(dict.fromkeys(sellers))} {tiers}" for tiers, sellers in others.items())
            advice = f" Known are: {'; '.join(has)}."
        asked = f"{tier}, region {region}" if region else tier
        _complain(
            f"No price for {model!r}{f' at {provider}' if provider else ''} ({asked}) at {instant:%Y-%m-%dT%H:%MZ}.{advice}"
        )
        raise typer.Exit(EXIT_FAILED)


@prices.command("check")
def check_prices(root: Root = None, as_json: AsJson = False) -> None:
    """Check the book: rates that overlap, rows that win over others, gaps, and figures that look like typing errors."""
    from pipelines.prices import checks, lookup
    from pipelines.prices.sync import rates_of

    data = _data_root(root)
    book, problems = lookup.current_book(data)
    rates = rates_of(book.tables["ref_price_book"])
    found = [{"kind": "fault", "text": str(problem)} for problem in problems]
    found += [
        {"kind": "fault", "text": f"{checks.name_of(left.key)}: {left.source_ref} and {right.source_ref} overlap."}
        for left, right in checks.overlaps(rates)
    ]
    found += [{"kind": "note", "text": text} for text in book.problems]
    found += [{"kind": "gap", "text": text} for text in checks.without_fx_rate(rates, lookup.first_fx_dates(data))]
    found += [{"kind": "doubt", "text": text} for text in sorted(checks.long_context_factors(rates))]
    found += [{"kind": "doubt", "text": text} for text in sorted(set(checks.doubts(rates)) - set(book.problems))]
    found += [
        {
            "kind": "doubt",
            "text": f"{checks.name_of(batch.key)}: {batch.unit_price.normalize():f} is not half of "
            f"{sync.unit_price.normalize():f}.",
        }
        for batch, sync in checks.batch_factors(rates)
    ]
    found += [
        {
            "kind": "gap",
            "text": f"{checks.name_of(gap[:6])}: {gap.effective_from:%Y-%m-%d} to {gap.effective_to:%Y-%m-%d}: {gap.reason}.",
        }
        for gap in checks.gaps(rates)
    ]
    faults = sum(row["kind"] == "fault" for row in found)
    content = {
        "book_version": book.version,
        "rates": len(rates),
        "models": len({rate.key[:2] for rate in rates}),
        "names": len(book.tables["ref_model_names"]),
        "faults": faults,
        "findings": found,
    }
    if as_json:
        print(json.dumps(content, default=_plain, indent=2))
    else:
        console = _console()
        console.print(
            f"Book {book.version[:12]}: {content['rates']:,} rates of {content['models']:,} models, {content['names']:,} names."
        )
        for kind in ("fault", "note", "doubt", "gap"):
            texts = [row["text"] for row in found if row["kind"] == kind]
            for text in texts[:MOST_LINES]:
                console.print(f"{kind:6s} {text}")
            if len(texts) > MOST_LINES:
                console.print(f"{kind:6s} ... and {len(texts) - MOST_LINES} more (--json has all)")
        console.print(f"{faults} faults." if faults else "No faults.")
    if faults:
        raise typer.Exit(EXIT_CHECK_FAILED)


@prices.command("sync")
def sync_prices(
    package: Annotated[
        Path | None,
        typer.Option("--package", help="A wheel of another genai-prices version. Default: the installed one."),
    ] = None,
    witness: Annotated[
        Path | None, typer.Option("--witness", help="A price map in litellm's form (JSON or wheel) to compare with.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Keep past and suspicious prices by rows in reference/prices.csv.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what another price list would change in the book, and keep the past as it was."""
    from pipelines.prices import lookup, sync
    from pipelines.prices.book import build_book
    from pipelines.reference import current_frame

    data = _data_root(root)
    book, _ = lookup.current_book(data)
    current = sync.rates_of(book.tables["ref_price_book"])
    try:
        rates, published = sync.package_rates(package)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--package") from None
    _there(witness, "--witness")
    if package is not None:
        frames = (current_frame(data, name)[0] for name in ("prices", "model_aliases"))
        after = sync.rates_of(build_book(*frames, package_rates=rates).tables["ref_price_book"])
        found = sync.changes(current, after, published)
    else:
        built = _built_book(data)
        found = sync.changes(sync.rates_of(built), current, published) if built is not None else []
    if witness is not None:
        exact = book.tables["ref_model_names"].filter(pl_column("pattern_kind") == "exact")
        names = {(row["provider"], row["pattern"]): row["model_id"] for row in exact.to_dicts()}
        found += sync.witness_changes(current, names, witness, published)
    written = sync.keep(data.reference / "prices.csv", found) if write else 0
    _print_changes(found, written, as_json=as_json)


@prices.command("diff")
def diff_prices(
    first: Annotated[
        str, typer.Argument(help="A book: a day on which it was known, 'now', or a wheel of genai-prices.")
    ],
    second: Annotated[str, typer.Argument(help="Another book.")],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Compare two books: what was known on one day and on another, or with one package version and another."""
    from pipelines.prices import lookup, sync
    from pipelines.prices.book import build_book
    from pipelines.reference import current_frame

    data = _data_root(root)
    book, _ = lookup.current_book(data)

    def rates_of(text: str, param: str) -> list[Any]:
        if text == "now":
            return sync.rates_of(book.tables["ref_price_book"])
        if text.endswith(".whl"):
            frames = (current_frame(data, name)[0] for name in ("prices", "model_aliases"))
            try:
                rates, _ = sync.package_rates(Path(text))
            except ValueError as error:
                raise typer.BadParameter(str(error), param_hint=param) from None
            return sync.rates_of(build_book(*frames, package_rates=rates).tables["ref_price_book"])
        return sync.rates_of(book.tables["ref_price_book"], _instant(text, param))

    # No day divides past from future here: what differs has changed.
    found = sync.changes(rates_of(first, "FIRST"), rates_of(second, "SECOND"), datetime.min.replace(tzinfo=UTC))
    _print_changes(found, 0, as_json=as_json)


@prices.command("reprice")
def reprice_calls(
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="The book as it was known on this day. Default: as it is known now.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", help="A file of prices (columns of reference/prices.csv) above all others.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Only calls from this day on.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Only calls before this day.")] = None,
    by: Annotated[
        str, typer.Option("--by", help="Columns to add up by: usage_date, provider, model, feature.")
    ] = "provider,model",
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what the calls would cost with another book. The ledger stays as it is."""
    from pipelines.planner import Span
    from pipelines.prices.reprice import reprice, summed

    known = ("usage_date", "provider", "model", "feature")
    columns = [name.strip() for name in by.split(",")]
    if unknown := sorted(set(columns) - set(known)):
        raise typer.BadParameter(f"{', '.join(unknown)}, expected some of {', '.join(known)}", param_hint="--by")
    data = _data_root(root)
    _there(card, "--card")
    try:
        found = reprice(
            data,
            known_at=_instant(as_of, "--as-of") if as_of else None,
            rate_card=card,
            window=Span(_day(from_, "--from"), _day(to, "--to")),
        )
    except ValueError as error:
        _complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    rows = summed(found, columns)
    if as_json:
        print(json.dumps(rows, default=_plain, indent=2))
    else:
        _print_table(_console(), rows, "No calls.")
        for prefix, book in (("only_booked", "the ledger"), ("only_new", "the other book")):
            if count := sum(row[f"{prefix}_requests"] for row in rows):
                call, has, is_ = ("call", "has", "is") if count == 1 else ("calls", "have", "are")
                usd = _money(sum((row[f"{prefix}_usd"] for row in rows), Decimal(0)))
                _console().print(f"{count:,} {call} of {usd} {has} a price in {book} alone and {is_} in neither sum.")
    lost = sum(row["new_unpriced_requests"] - row["unpriced_requests"] for row in rows)
    if as_of and lost > 0:
        _complain(
            f"{lost:,} more calls without a price: the book did not know their prices on {as_of} ('prices diff {as_of} now' lists them)."
        )


# ---- export
@export.command("focus")
def export_focus(
    version: Annotated[str, typer.Option("--version", help="1.4, with split cost allocation, or 1.2.")] = "1.4",
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write the months of the FOCUS dataset that have changed, and say what they hold."""
    _export(root, "focus", version, as_json=as_json)


@export.command("statements")
def export_statements(root: Root = None, as_json: AsJson = False) -> None:
    """Write the months of the statements and their postings that have changed, and say what they hold."""
    _export(root, "statements", "v1", as_json=as_json)


def _export(root: Path | None, name: str, version: str, *, as_json: bool) -> None:
    from pipelines.books import open_books
    from pipelines.exports import MONTHLY

    wanted = [export for export in MONTHLY if (export.name, export.version) == (name, version)]
    if not wanted:
        versions = ", ".join(export.version for export in MONTHLY if export.name == name)
        raise typer.BadParameter(f"{version!r}, expected one of {versions}", param_hint="--version")
    data = _data_root(root)
    with open_books(data) as books:
        written = books.export(wanted)
    if written is None:
        Console(stderr=True).print(
            "A check has failed: nothing was written. 'tokenbooks run' says which.", markup=False
        )
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
        print(json.dumps({"written": written, "months": rows}, indent=2))
        return
    _print_table(_console(), rows, "No month yet: 'tokenbooks run' builds the tables first.")
    print(f"{len(written)} files written below {data.exports / name / version}.")


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
    from pipelines.summary import summarise

    window = window or EVER
    limited = full or bool(select) or window != EVER
    with _progress() as say:
        if not limited and data.views.is_file() and (report := _nothing_to_do(data)) is not None:
            pass
        elif direct:
            report = books.run(data, full=full, window=window, select=select, progress=say).as_dict()
        else:
            from assets import reported

            report = reported.run(data, full=full, window=window, select=select, progress=say).as_dict()
    report["summary"] = summarise(data).as_dict() if data.views.is_file() else None
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


# ---- printing
def _print_verdict(data: DataRoot, faults: Sequence[str], *, as_json: bool) -> None:
    from pipelines.audit import entries
    from pipelines.lake import months_closed

    closed, lines = len(months_closed(data)), len(entries(data))
    if as_json:
        print(json.dumps({"months": closed, "log_lines": lines, "faults": list(faults)}, indent=2))
    else:
        console = _console()
        for fault in faults:
            console.print(fault)
        state = f"{len(faults)} fault{'s' * (len(faults) != 1)}" if faults else "all as they were written"
        console.print(f"{closed} closed month{'s' * (closed != 1)}, {lines} lines of the audit log: {state}.")
    if faults:
        raise typer.Exit(EXIT_CHECK_FAILED)


@contextmanager
def _printed_to_stderr() -> Iterator[None]:
    """What a run says, out of the way of an answer on standard output."""
    with redirect_stdout(sys.stderr):
        yield


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
    from pipelines.summary import Summary

    console = _console()
    for warning in report["warnings"]:
        console.print(warning)
    for problem in report["problems"]:
        console.print(
            f"{problem}{'.' * (not problem.endswith('.'))} The table keeps what it last held. Mend the file, then run again."
        )
    files = report["files_read"]
    console.print(
        f"Read {files} new or changed file{'s' * (files != 1)}, rebuilt {report['partitions']} partitions of {report['tables']} tables."
        if files or report["partitions"]
        else "Nothing new: every table is up to date."
    )
    if report["summary"]:
        _print_summary(console, Summary(**report["summary"]))
    if report["checks"]:
        warned, failed = len(report["warned"]), len(report["failed"])
        console.print(
            f"Checks       {report['checks'] - warned - failed:,} passed, {things(warned, 'warning')}, {failed} failed"
        )
    for line in _broken(report["warned"]):
        console.print(f"Warning {line}")
    for result in report["failed"]:
        console.print(
            f"FAILED {result['table']} ({result['partition']}): {result['text']}"
            + (
                f": {things(result['violations'], 'row')} break{'s' * (result['violations'] == 1)} it"
                if result["violations"]
                else f": {result['message']}"
            )
        )
    if report["is_blocked"]:
        console.print("Nothing was published: the exports are those of the last good run. Exit code 3.")
    elif report["published"]:
        console.print(f"Published {len(report['published'])} files below {data.exports}.")


def _print_summary(console: Console, summary: Any) -> None:
    if summary.refused_records:
        console.print(
            f"Refused      {things(summary.refused_records, 'record')} of {things(summary.refused_files, 'file')}: "
            "see 'tokenbooks quarantine list'"
        )
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
    if summary.corrections:
        console.print(
            f"Corrections  {_correction(summary.corrections, summary.corrected_usd, summary.unknown_corrections)}: "
            "see 'tokenbooks corrections'"
        )
    console.print(
        f"Priced       {_percent(summary.priced_share)} of tokens ({things(summary.unpriced_requests, 'call')} without a price, "
        f"{summary.no_usage_requests:,} of them because their provider sent no usage)"
    )
    console.print(
        f"Attributed   {_percent(summary.attributed_share)} of the invoiced usage is tied to a feature by a traced call"
    )
    console.print(
        "Untraced     unknown: no invoice yet"
        if summary.untraced_usd is None
        else f"Untraced     {_money(summary.untraced_usd)} of the invoices has no call behind it"
    )
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
            about = "about " * (row["is_estimate"] and row["cost_usd"] is not None)
            console.print(f"  {row['table']}: {row['row']}   ({row['why']}, {about}{_money(row['cost_usd'])})")


def _print_outputs(data: DataRoot) -> None:
    console = _console()
    if pages := sorted(data.report(date.min).parent.glob("*.html")):
        console.print(f"Report       {pages[-1]} (a page a week)")
    console.print(f"Showback     {data.exports / 'showback' / 'v1'} (Parquet and CSV, a folder a week)")
    console.print(f"FOCUS        {data.exports / 'focus'} (1.4 and 1.2, a folder a month)")
    console.print(
        f"Statements   {data.exports / 'statements' / 'v1'} (cost centres and their postings, a folder a month)"
    )
    command = sys.argv[0] if Path(sys.argv[0]).name == "tokenbooks" else "tokenbooks"
    console.print(f'Ad hoc       {command} sql "from mart_showback_weekly" --root {data.path}')
    console.print("Dagster      make dev")


# Of each source: its records by fate, its newest day, the days without a record before it, and what its last file brought.
_SOURCES = """
with days as (
    select source, usage_date, lead(usage_date) over (partition by source order by usage_date) as next_date
    from (select distinct source, usage_date from ledger_record_fates where fate = 'booked')
),
holes as (
    select
        source,
        max(usage_date) as newest_day,
        coalesce(sum(next_date - usage_date - 1), 0)::bigint as days_without_records,
        coalesce(
            list({'from': usage_date + 1, 'to': next_date - 1} order by usage_date desc) filter (where next_date > usage_date + 1), []
        ) as gaps,
    from days group by source
),
booked_days as (
    select source, source_account, source_file_sha256, min(usage_date) as first_day, max(usage_date) as last_day
    from ledger_record_fates where fate = 'booked' group by all
),
newest as (
    select
        f.*, d.first_day, d.last_day,
        (select coalesce(sum(o.records), 0)::bigint from ledger_files as o where o.path = f.path and o.state = 'replaced') as replaced,
    from ledger_files as f
    left join booked_days as d
        on f.source = d.source and f.source_account = d.source_account and f.sha256 = d.source_file_sha256
    where f.state <> 'replaced'
    qualify row_number() over (partition by f.source order by f.first_seen_at desc, f.path desc) = 1
)
select
    f.source, count(*) filter (where f.state <> 'replaced') as files, sum(f.records)::bigint as records,
    sum(f.booked)::bigint as booked, sum(f.duplicate)::bigint as duplicate, sum(f.not_billable)::bigint as not_billable,
    sum(f.quarantined)::bigint as quarantined, any_value(h.newest_day) as newest_day,
    coalesce(any_value(h.days_without_records), 0) as days_without_records, coalesce(any_value(h.gaps), []) as gaps,
    any_value({
        'path': n.path, 'first_seen_at': n.first_seen_at, 'state': n.state, 'records': n.records, 'booked': n.booked,
        'quarantined': n.quarantined, 'first_day': n.first_day, 'last_day': n.last_day, 'records_of_replaced_versions': n.replaced
    }) as last_file,
from ledger_files as f
left join holes as h on f.source = h.source
left join newest as n on f.source = n.source
group by f.source
order by f.source
"""


def _status(books: Books) -> dict[str, Any]:
    from pipelines.engine import named_rows
    from pipelines.lake import months_closed
    from pipelines.relations import create_view

    sources: list[dict[str, Any]] = []
    files, fates = books.lake.parts("ledger_files"), books.lake.parts("ledger_record_fates")
    if files and fates:
        create_view(books.con, books.lake, "ledger_files", files, {})
        create_view(books.con, books.lake, "ledger_record_fates", fates, {})
        sources = named_rows(books.con, _SOURCES)
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
    failed = books.results.missed
    look = books.look()
    return {
        "root": str(books.root.path),
        "sources": sources,
        "unread_files": look.news(),
        "warnings": look.strangers(),
        "remarks": books.remarks(),
        "tables": tables,
        "failed_checks": [result.__dict__ for result in failed],
        "closed_months": [f"{month:%Y-%m}" for month in months_closed(books.root)],
    }


def _print_status(content: dict[str, Any]) -> None:
    console = _console()
    console.print(f"Data root {content['root']}")
    sources = [
        {name: value for name, value in source.items() if name not in ("gaps", "last_file")}
        for source in content["sources"]
    ]
    _print_table(console, sources, "No file has been read yet.")
    for source in content["sources"]:
        console.print(_sentence_of(source))
    if content["unread_files"]:
        console.print(
            f"{len(content['unread_files'])} files are new or changed and not read yet: {', '.join(content['unread_files'][:5])}"
        )
    for remark in (*content["warnings"], *content["remarks"]):
        console.print(remark)
    _print_table(console, content["tables"], "")
    if content["closed_months"]:
        console.print(f"Closed months {', '.join(content['closed_months'])}")
    for is_critical, word in ((True, "FAILED"), (False, "Warning")):
        for line in _broken(
            [one for one in content["failed_checks"] if (one["severity"] == "critical") is is_critical]
        ):
            console.print(f"{word} {line}")
    if content["summary"]:
        from pipelines.summary import Summary

        _print_summary(console, Summary(**content["summary"]))


def _sentence_of(source: dict[str, Any]) -> str:
    """The last file of a source, what it brought, and the newest days without a record."""
    last = source["last_file"]
    days = " to ".join(dict.fromkeys(str(last[name]) for name in ("first_day", "last_day"))) if last["booked"] else ""
    text = f"{source['source']}: last file {last['path']}, {last['booked']:,} of {last['records']:,} records booked"
    text += f" ({days})" if days else ""
    if last["records_of_replaced_versions"]:
        text += f", in place of {last['records_of_replaced_versions']:,} of earlier versions"
    if source["gaps"]:
        gap = source["gaps"][0]
        where = " to ".join(dict.fromkeys((str(gap["from"]), str(gap["to"]))))
        text += f"; {source['days_without_records']} days without a record, the newest {where}"
    return text


def _print_table(console: Console, rows: Sequence[dict[str, Any]], empty: str) -> None:
    if not rows:
        if empty:
            console.print(empty)
        return
    names = list(rows[0])
    cells = {name: [_cell(row[name]) for row in rows] for name in names}
    widths = {name: max(map(len, (name, *cells[name]))) for name in names}
    if _width_of(widths) > console.width and len(rows) > 1:
        # What every row says is said once, above them.
        alike = [name for name in names if len(set(cells[name])) == 1 and not isinstance(rows[0][name], Decimal)]
        said = ", ".join(f"{name} {cells[name][0]}" for name in alike if cells[name][0])
        if said:
            console.print(f"All rows: {said}")
        names = [name for name in names if name not in alike]
    kept = {name: widths[name] for name in names}
    if _width_of(kept) > console.width:
        # Sentences such as a source are folded; names and figures are never cut.
        texts = {name for name in names if isinstance(rows[0][name], str) and any(" " in cell for cell in cells[name])}
        kept |= {name: min(widths[name], max(_FOLDED, len(name))) for name in names if name in texts}
    if _width_of(kept) > console.width:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for place in range(len(rows)):
            for name in names:
                if cells[name][place]:
                    table.add_row(name, cells[name][place])
            table.add_row()
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in names:
            table.add_column(
                name,
                justify="right" if isinstance(rows[0][name], (int, float, Decimal)) else "left",
                no_wrap=kept[name] == widths[name],
                min_width=kept[name],
                overflow="fold",
            )
        for row in zip(*(cells[name] for name in names), strict=True):
            table.add_row(*row)
    console.print(table)


def _width_of(columns: Mapping[str, int]) -> int:
    """Of a table of such columns, with the two blanks between them."""
    return sum(columns.values()) + 2 * max(len(columns) - 1, 0)


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


def _correction(number: int, usd: Decimal | None, unknown: int) -> str:
    """Corrections of closed months in words; dollars that are not known are said, not counted as 0."""
    known = "" if usd is None else f", {'-' if usd < 0 else '+'}${abs(usd):,.2f}"
    return f"{things(number, 'correction')} of closed months{known}" + f", {unknown:,} of unknown dollars" * bool(
        unknown
    )


def _broken(results: Sequence[dict[str, Any]]) -> list[str]:
    """Checks that did not pass, a line each with the partitions; the text of a check says what should be so."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        found.setdefault((result["table"], result["check"]), []).append(result)
    lines = []
    for (table, _), broken in found.items():
        labels = [result["partition"] for result in broken]
        where = ", ".join(labels[:3]) + f" and {len(labels) - 3:,} more" * (len(labels) > 3)
        rows = sum(result["violations"] or 0 for result in broken)
        said = f"not so in {things(len(labels), 'partition')}: {broken[0]['text']} ({things(rows, 'row')})"
        lines.append(f"{table} ({where}): {said if rows else broken[0]['message']}")
    return lines


def _money(value: Decimal | None) -> str:
    return "unknown" if value is None else f"${value:,.2f}"


def _percent(share: float | None) -> str:
    """Cut, not rounded: 100 % means all of it, and 0.0 % nothing."""
    if share is None:
        return "unknown"
    return "under 0.1 %" if 0 < share < 0.001 else f"{int(share * 1000) / 10:.1f} %"


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}, expected a day such as 2026-11-02", param_hint=option) from None


def _month(text: str, option: str) -> date:
    try:
        # Two digits each: 2026-9 would be found in no table.
        return date.fromisoformat(f"{text}-01" if re.fullmatch(r"\d{4}-\d{2}", text) else "")
    except ValueError:
        raise typer.BadParameter(f"{text!r}, expected a month such as 2026-09", param_hint=option) from None


# ---- printing of prices and explanations
def _there(path: Path | None, option: str) -> None:
    if path is not None and not path.is_file():
        raise typer.BadParameter(f"{path}: no such file", param_hint=option)


def pl_column(name: str) -> Any:
    """A column of a frame; polars is imported where it is needed."""
    import polars as pl

    return pl.col(name)


def _built_book(data: DataRoot) -> Any:
    """The book of the last run, None before the first."""
    from pipelines.lake import Lake
    from pipelines.reference import frame_of

    try:
        return frame_of(Lake(data), "ref_price_book")
    except KeyError:
        return None


def _print_changes(found: Sequence[Any], written: int, *, as_json: bool) -> None:
    from pipelines.prices.sync import KEPT, KINDS

    rows = [change.as_row() for change in found]
    if as_json:
        print(json.dumps({"changes": rows, "rows_written": written}, default=_plain, indent=2))
        return
    console = _console()
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in KINDS}
    _print_table(console, rows[:MOST_LINES], "The two books are alike.")
    if len(rows) > MOST_LINES:
        console.print(f"... and {len(rows) - MOST_LINES:,} more (--json has all)")
    if rows:
        console.print(", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count))
    if written:
        console.print(f"{written:,} rows written to reference/prices.csv: they keep these prices as they were.")
    elif any(counts[kind] for kind in KEPT):
        console.print(
            "History that would change, prices that would be gone and suspicious ones are kept with sync --write."
        )


def _print_explanation(content: dict[str, Any]) -> None:
    console = _console()
    where = f"{content['file']}, line {content['line']}" if content["file"] else content["source"]
    console.print(
        f"Call         {content['request_key']} ({content['status']}), {content['started_at']:%Y-%m-%dT%H:%M:%S.%fZ}"
    )
    console.print(f"Read from    {where}, there {content['source_row_id']!r}")
    resolved = (
        f"{content['model_canonical']!r} by {content['resolved_by']}"
        if content["resolved_by"]
        else "no model of the book"
    )
    console.print(f"Model        {content['provider']} {content['model_served']!r} means {resolved}")
    if content["conditions"]:
        console.print(f"Priced as    {', '.join(str(word) for word in content['conditions'].values())}")
    console.print(f"Usage        {content['usage_shape'] or 'none'}: {content['usage_raw']}")
    if content["usage_flags"]:
        console.print(f"Flags        {', '.join(content['usage_flags'])}")
    _print_table(console, content["classes"], "No tokens and no other units.")
    why = f" ({content['cost_reason']})" if content["cost_reason"] else ""
    console.print(
        f"Cost         {content['cost_status']}{why}: list {_exact(content['list_cost_usd'])}, contracted "
        f"{_exact(content['contracted_cost_usd'])}, effective {_exact(content['effective_cost_usd'])}"
    )
    if content["cost_estimate_usd"] is not None:
        console.print(f"Estimate     {_exact(content['cost_estimate_usd'])}, in no total")
    if content["cost_reported_usd"] is not None:
        console.print(f"Stated       {_exact(content['cost_reported_usd'])} by the source")
    if content["list_cost_native"] is not None:
        console.print(
            f"Stated in    {content['price_currency']} {content['list_cost_native'].normalize():f} at list prices, "
            f"{content['fx_rate_to_usd'].normalize():f} USD each since {content['fx_rate_date']}"
        )
    for price in content["prices"]:
        console.print(
            f"Price        {price['unit']} {price['unit_price'].normalize():f} {price['currency']} for {price['per_units']:,}: "
            f"{price['confidence']}, {price['source_ref']}"
        )
    for row in content["attribution"]:
        console.print(f"{row['dimension']:12s} {row['value']}" + (f" ({row['source']})" if row["source"] else ""))
    invoice = content["invoice"]
    if invoice is None:
        console.print("Invoice      no row of the showback holds this call")
    else:
        # No bill yet: an accrual.
        word = "Accrued     " if invoice["allocation_basis"] == "effective_cost" else "Invoice     "
        console.print(
            f"{word} {invoice['billing_month']}, week of {invoice['week_start_date']}: "
            f"{_exact(invoice.get('call_invoiced_usd'))} of {_exact(invoice['invoiced_cost_usd'])} by {invoice['allocation_basis']}"
        )


def _exact(value: Decimal | None) -> str:
    return "unknown" if value is None else f"${value.normalize():f}"


def _instant(text: str | None, option: str) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r}, expected a day or an instant such as 2026-11-02T14:00Z", param_hint=option
        ) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


# ---- sql
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

    from pipelines.views import QueryRefused, questions

    def answer(text: str) -> None:
        try:
            for query in questions(con, text):
                _answer(con, query, format_)
        except (duckdb.Error, QueryRefused) as error:
            Console(stderr=True).print(str(error), markup=False, highlight=False)

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


if __name__ == "__main__":
    main()
