"""``prices``: look up, check and compare price books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.arguments import (
    EXIT_CHECK_FAILED,
    EXIT_FAILED,
    AsJson,
    Group,
    Root,
    data_root,
    days_of,
    instant_of,
    must_be_there,
)
from pipelines.cli.printing import MOST_LINES, complain, money, print_json, print_table
from pipelines.paths import DataRoot

app = typer.Typer(
    cls=Group, help="Look up prices, check the book, and see what another list would change.", no_args_is_help=True
)


@app.command("show")
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

    instant = instant_of(at, "--at")
    data = data_root(root)
    book, problems = lookup.current_book(data)
    for problem in problems:
        complain(str(problem))
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
        print_json(rows)
    elif rows:
        print_table([{name: _as_day(row[name]) for name in row if name != "price_id"} for row in rows], "")
    if not rows:
        has = (f"{', '.join(dict.fromkeys(sellers))} {tiers}" for tiers, sellers in others.items())
        known = f" Known are: {'; '.join(has)}." if others else ""
        advice = known or lookup.advice_for(book, model, [provider] if provider else ())
        asked = f"{tier}, region {region}" if region else tier
        complain(
            f"No price for {model!r}{f' at {provider}' if provider else ''} ({asked}) at {instant:%Y-%m-%dT%H:%MZ}.{advice}"
        )
        raise typer.Exit(EXIT_FAILED)


def _as_day(value: object) -> object:
    """An instant at midnight as its day: prices change on days, and a terminal has 80 columns."""
    return value.date() if isinstance(value, datetime) and value.time() == time() else value


@app.command("check")
def check_prices(root: Root = None, as_json: AsJson = False) -> None:
    """Check the book: rates that overlap, rows that win over others and whose calls they change, gaps, likely typing errors."""
    from pipelines.prices import checks, lookup
    from pipelines.prices.replaced import replaced_prices
    from pipelines.prices.sync import rates_of

    data = data_root(root)
    book, problems = lookup.current_book(data)
    rates = rates_of(book.tables["ref_price_book"])
    found = [{"kind": "fault", "text": str(problem)} for problem in problems]
    found += [
        {"kind": "fault", "text": f"{checks.name_of(left.key)}: {left.source_ref} and {right.source_ref} overlap."}
        for left, right in checks.overlaps(rates)
    ]
    found += [{"kind": "warning", "text": text} for text in replaced_prices(data, rates)]
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
        print_json(content)
    else:
        print(
            f"Book {book.version[:12]}: {content['rates']:,} rates of {content['models']:,} models, {content['names']:,} names."
        )
        for kind in ("fault", "warning", "note", "doubt", "gap"):
            texts = [row["text"] for row in found if row["kind"] == kind]
            for text in texts[:MOST_LINES]:
                print(f"{kind:7s} {text}")
            if len(texts) > MOST_LINES:
                print(f"{kind:7s} ... and {len(texts) - MOST_LINES} more (--json has all)")
        print(f"{faults} faults." if faults else "No faults.")
    if faults:
        raise typer.Exit(EXIT_CHECK_FAILED)


@app.command("sync")
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
    history: Annotated[
        Path | None,
        typer.Option(
            "--history",
            help="For developers: a folder for the wheels of all published versions, which are fetched into it and read for "
            "since when each price has stood. Written into data/shipped/.",
        ),
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what another price list would change in the book, and keep the past as it was."""
    if history is not None:
        _sync_history(history, as_json=as_json)
        return
    from pipelines.prices import lookup, sync
    from pipelines.prices.book import build_book
    from pipelines.reference.files import current_frame

    data = data_root(root)
    book, _ = lookup.current_book(data)
    current = sync.rates_of(book.tables["ref_price_book"])
    try:
        rates, published = sync.package_rates(package)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--package") from None
    must_be_there(witness, "--witness")
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


def _sync_history(folder: Path, *, as_json: bool) -> None:
    from pipelines.prices import history
    from pipelines.prices.version import package_version

    try:
        rows = history.sync_history(folder, package_version())
    except (RuntimeError, ValueError) as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    ended = sum(bool(row.until_version) for row in rows)
    if as_json:
        print_json({"prices": len(rows), "ended": ended})
    else:
        print(
            f"{len(rows):,} prices written to data/shipped/genai_prices/, {ended:,} of them of the past. Look through the diff."
        )


@app.command("diff")
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
    from pipelines.reference.files import current_frame

    data = data_root(root)
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
        return sync.rates_of(book.tables["ref_price_book"], instant_of(text, param))

    # No day divides past from future here: what differs has changed.
    found = sync.changes(rates_of(first, "FIRST"), rates_of(second, "SECOND"), datetime.min.replace(tzinfo=UTC))
    _print_changes(found, 0, as_json=as_json)


@app.command("reprice")
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
    from pipelines.periods import Span
    from pipelines.prices.reprice import reprice, summed

    known = ("usage_date", "provider", "model", "feature")
    columns = [name.strip() for name in by.split(",")]
    if unknown := sorted(set(columns) - set(known)):
        raise typer.BadParameter(f"{', '.join(unknown)}, expected some of {', '.join(known)}", param_hint="--by")
    data = data_root(root)
    must_be_there(card, "--card")
    try:
        found = reprice(
            data,
            known_at=instant_of(as_of, "--as-of") if as_of else None,
            rate_card=card,
            window=Span(*days_of(from_, to)),
        )
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    rows = summed(found, columns)
    if as_json:
        print_json(rows)
    else:
        print_table(rows, "No calls.")
        for prefix, book in (("only_booked", "the ledger"), ("only_new", "the other book")):
            if count := sum(row[f"{prefix}_requests"] for row in rows):
                call, has, is_ = ("call", "has", "is") if count == 1 else ("calls", "have", "are")
                usd = money(sum((row[f"{prefix}_usd"] for row in rows), Decimal(0)))
                print(f"{count:,} {call} of {usd} {has} a price in {book} alone and {is_} in neither sum.")
    lost = sum(row["new_unpriced_requests"] - row["unpriced_requests"] for row in rows)
    if as_of and lost > 0:
        complain(
            f"{lost:,} more calls without a price: the book did not know their prices on {as_of} ('prices diff {as_of} now' lists them)."
        )


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
        print_json({"changes": rows, "rows_written": written})
        return
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in KINDS}
    print_table(rows[:MOST_LINES], "The two books are alike.")
    if len(rows) > MOST_LINES:
        print(f"... and {len(rows) - MOST_LINES:,} more (--json has all)")
    if rows:
        print(", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count))
    if written:
        print(f"{written:,} rows written to reference/prices.csv: they keep these prices as they were.")
    elif any(counts[kind] for kind in KEPT):
        print("History that would change, prices that would be gone and suspicious ones are kept with sync --write.")
