"""The end of a month: which months are over and still open, how each stands against its invoices, and whether it can be closed.

A month is proposed for its close and closed by a person, or by itself where settings.toml says so and nothing speaks against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

from pipelines import exports
from pipelines.books import Books
from pipelines.close import (
    RECONCILIATION,
    SHOWBACK,
    Closed,
    CloseRefused,
    Hindrance,
    close,
    first_open_month,
    hindrances,
    is_over,
    now_of,
    parts_of_month,
)
from pipelines.engine import named_rows, one_row
from pipelines.lake import digest
from pipelines.periods import end_of
from pipelines.planner import CLOCK
from pipelines.relations import create_model_view
from pipelines.report import wording

CLOSED, READY, WAITS = "closed", "ready", "waits"
_ACCOUNTS = f"""
select provider, coalesce(billing_account_id, 'unattributed') as billing_account_id, billing_currency, invoiced_cost_usd,
    traced_effective_cost_usd, unexplained_usd, verdict, state
from {RECONCILIATION} order by all
"""


@dataclass(frozen=True)
class MonthEnd:
    """How a month stands that is over: ``closed`` just now, ``ready`` to be closed, or it ``waits`` for what is named."""

    month: date
    state: str
    invoiced_cost_usd: Decimal | None
    accounts: list[dict[str, Any]]
    published: list[str]
    hindrances: list[Hindrance]

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in it, and all that it waits for is the months before it."""
        return (
            self.state == WAITS and not self.accounts and self.invoiced_cost_usd is None and len(self.hindrances) == 1
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"month": f"{self.month:%Y-%m}"}


def months_over(books: Books) -> list[date]:
    """The open months that are over by the books' own clock, oldest first."""
    month, now = first_open_month(books), now_of(books)
    found: list[date] = []
    while month is not None and is_over(month, now):
        found.append(month)
        month = end_of("month", month)
    return found


def state_of(books: Books) -> str:
    """What a proposal depends on: asked again only where this has changed."""
    tables = (SHOWBACK, RECONCILIATION, CLOCK)
    settings = [str(books.settings.close_reconciled_months), *map(str, months_over(books))]
    return digest([*settings, *(books.lake.state(table) for table in tables), *books.results.state()])


def prepare(books: Books) -> list[MonthEnd]:
    """How each month stands that is over; those that may be are closed where the settings say so, one after the other."""
    found = []
    for month in months_over(books):
        in_the_way = _in_the_way(books, month)
        done = close(books, month) if books.settings.close_reconciled_months and not in_the_way else None
        state = CLOSED if isinstance(done, Closed) else WAITS if in_the_way else READY
        found.append(_month_end(books, month, state, in_the_way))
    return found


def all_in_words(found: Sequence[MonthEnd]) -> str:
    """Month after month; those with nothing in them that wait for their turn in one line, however many they are."""
    said: list[str] = []
    for is_idle, months in groupby(found, key=lambda one: one.is_idle):
        if not is_idle:
            said += map(in_words, months)
            continue
        first, *rest = months
        names = f"{first.month:%Y-%m}" + (f" to {rest[-1].month:%Y-%m} are" if rest else " is")
        said.append(f"{names} over, with nothing to close but the turn: no call and no bill.")
    return "\n\n".join(said)


def in_words(one: MonthEnd) -> str:
    """A month's end for a person: how it stands, its invoices, what is published, what is in the way and what to do."""
    name = f"{one.month:%Y-%m}"
    total = wording.cents(one.invoiced_cost_usd)
    said = {
        CLOSED: f"{name} is closed by close_reconciled_months of settings.toml: {total}. What is published for it never changes again.",
        READY: f"{name} is over and can be closed: {total}. To close it: tokenbooks close {name}",
        WAITS: f"{name} is over and waits: {total} so far.",
    }
    lines = [said[one.state], *(f"  {_account(row)}" for row in one.accounts)]
    if one.published:
        lines.append(f"  Published: {', '.join(one.published)}")
    if one.hindrances:
        lines += ["  In the way of its close:", *(f"    {hindrance.text}" for hindrance in one.hindrances)]
        if all(hindrance.acceptable for hindrance in one.hindrances):
            lines.append(
                f'  Mend them and run again, or close in spite of them: tokenbooks close {name} --accept "the reason"'
            )
    return "\n".join(lines)


def _account(row: Mapping[str, Any]) -> str:
    calls = f"calls {wording.cents(row['traced_effective_cost_usd'])}"
    if row["verdict"] == "no_bill":
        return f"{row['provider']} {row['billing_account_id']}: no bill yet, {calls}"
    bill = f"invoiced {wording.cents(row['invoiced_cost_usd'])}, {calls}, unexplained {wording.cents(row['unexplained_usd'])}"
    return f"{row['provider']} {row['billing_account_id']}: {bill}: {wording.words(row['verdict'])}, {row['state']}"


def _in_the_way(books: Books, month: date) -> list[Hindrance]:
    """As ``hindrances``; a month whose turn has not come has that too, beside what is its own."""
    try:
        return hindrances(books, month)
    except CloseRefused as error:
        return [Hindrance(str(error), False), *hindrances(books, month, in_turn=False)]


def _month_end(books: Books, month: date, state: str, in_the_way: list[Hindrance]) -> MonthEnd:
    for table in (RECONCILIATION, SHOWBACK):
        create_model_view(books.con, books.lake, books.models[table], parts_of_month(books, table, month))
    (invoiced,) = one_row(books.con, f"select sum(invoiced_cost_usd) from {SHOWBACK}")
    folders = [books.root.monthly_export(export.name, export.version, month) for export in exports.MONTHLY]
    return MonthEnd(
        month,
        state,
        invoiced,
        named_rows(books.con, _ACCOUNTS),
        [books.root.relative(folder) for folder in folders if (folder / "manifest.json").is_file()],
        in_the_way,
    )
