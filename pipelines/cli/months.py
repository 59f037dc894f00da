"""``close`` and ``corrections``: months that never change again, and what became known of them later."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import typer

from pipelines.cli.arguments import EXIT_CHECK_FAILED, EXIT_FAILED, AsJson, Root, books_root, month_of
from pipelines.cli.printing import MOST_LINES, complain, print_json, progress
from pipelines.paths import DataRoot
from pipelines.words import things


def close(
    month: Annotated[str | None, typer.Argument(help="The month to close, such as 2026-09.")] = None,
    due: Annotated[
        bool,
        typer.Option(
            "--due",
            help="Say of each month that is over whether it can be closed and what is in the way; close it where settings.toml says so.",
        ),
    ] = False,
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

    data = books_root(root)
    if (month is not None) + due + verify != 1:
        raise typer.BadParameter("a month such as 2026-09, --due or --verify: one of them", param_hint="MONTH")
    if verify:
        _print_verdict(data, closing.verify(data), as_json=as_json)
        return
    if month is None:
        _print_due(data, as_json=as_json)
        return
    start = month_of(month, "MONTH")
    try:
        with progress() as say, open_books(data, say) as books:
            done = closing.close(books, start, accept=accept)
    except closing.CloseRefused as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    if isinstance(done, closing.Closed):
        if as_json:
            print_json(done.__dict__)
            return
        print(
            f"{month} is closed: ${Decimal(done.invoiced_cost_usd):,.2f}, {done.files} files in {data.closed_month(start)}."
        )
        for text in done.exceptions:
            print(f"Accepted     {text}")
        return
    if as_json:
        print_json([hindrance.__dict__ for hindrance in done])
    else:
        print(f"{month} was not closed:")
        for hindrance in done:
            print(f"  {hindrance.text}" + ("" if hindrance.acceptable else " (cannot be accepted)"))
        if all(hindrance.acceptable for hindrance in done):
            print(f'Mend them, or close in spite of them: tokenbooks close {month} --accept "the reason"')
    raise typer.Exit(EXIT_CHECK_FAILED)


def _print_due(data: DataRoot, *, as_json: bool) -> None:
    from pipelines import month_end
    from pipelines.books import open_books
    from pipelines.views import must_be_there

    must_be_there(data)
    with progress() as say, open_books(data, say) as books:
        found = month_end.prepare(books)
    if as_json:
        print_json([one.as_dict() for one in found])
    elif not found:
        print("No month that is over is open: there is nothing to close.")
    else:
        print(month_end.all_in_words(found))
    if any(one.state == month_end.WAITS for one in found):
        raise typer.Exit(EXIT_CHECK_FAILED)


def _print_verdict(data: DataRoot, faults: Sequence[str], *, as_json: bool) -> None:
    from pipelines.audit import entries
    from pipelines.lake import months_closed

    closed, lines = len(months_closed(data)), len(entries(data))
    if as_json:
        print_json({"months": closed, "log_lines": lines, "faults": list(faults)})
    else:
        for fault in faults:
            print(fault)
        state = f"{len(faults)} fault{'s' * (len(faults) != 1)}" if faults else "all as they were written"
        print(f"{closed} closed month{'s' * (closed != 1)}, {lines} lines of the audit log: {state}.")
    if faults:
        raise typer.Exit(EXIT_CHECK_FAILED)


def corrections(
    month: Annotated[str | None, typer.Option("--month", help="Only corrections of this closed month.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what became known of closed months after their close, and in which week it is booked."""
    from pipelines.engine import named_rows
    from pipelines.views import open_views

    if month is not None:
        month_of(month, "--month")
    data = books_root(root)
    with open_views(data) as con:
        rows = named_rows(
            con,
            """select booked_week_start_date, billing_month, week_start_date, cost_centre, team, feature, customer_tier, provider,
                billing_account_id, model_canonical, reason, caused_by, delta_usd, billing_currency, delta_billing_currency
            from mart_corrections_weekly where ? is null or billing_month = ? order by all""",
            [month, month],
        )
    if as_json:
        print_json(rows)
        return
    if not rows:
        print("No corrections: nothing came after a close.")
    for row in rows[:MOST_LINES]:
        owner = f"{row['cost_centre']} {row['team']} {row['feature']} {row['customer_tier']}"
        usd = "unknown" if row["delta_usd"] is None else f"{row['delta_usd']:+,.2f}"
        print(
            f"{row['billing_month']} booked {row['booked_week_start_date']} {usd:>12} USD  {owner}, {row['provider']} "
            f"{row['billing_account_id']} {row['model_canonical']}: {row['reason']} ({row['caused_by']})"
        )
    if len(rows) > MOST_LINES:
        print(f"... and {len(rows) - MOST_LINES:,} more (--json has all)")
    if rows:
        unknown = sum(row["delta_usd"] is None for row in rows)
        total = sum((row["delta_usd"] for row in rows if row["delta_usd"] is not None), Decimal(0))
        print(
            f"{things(len(rows), 'correction')}, {total:+,.2f} USD"
            + f" and {unknown} of unknown dollars" * bool(unknown)
        )
