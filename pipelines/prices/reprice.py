"""What the calls of a data root would cost with another book: as known on another day, or with a new rate card.

The same two queries price them as in the ledger, over a book of its own; nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.engine import connect, named_rows
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.periods import EVER, Span, end_of
from pipelines.planner import Planner
from pipelines.prices.book import build_book
from pipelines.prices.rates import OPEN_END
from pipelines.reference.files import current_frame, frame_of_rows, read
from pipelines.reference.tables import TABLES
from pipelines.runner import ROWS_AT_ONCE
from pipelines.settings import load

_TOTALS = """
select
    cast(q.started_at as date) as usage_date,
    q.provider,
    coalesce(q.model_canonical, q.model_served) as model,
    q.feature,
    count(*) as requests,
    cast(sum(c.effective_cost_usd) filter (where n.effective_cost_usd is not null) as decimal(38, 15)) as effective_cost_usd,
    cast(sum(n.effective_cost_usd) filter (where c.effective_cost_usd is not null) as decimal(38, 15)) as new_effective_cost_usd,
    cast(sum(n.effective_cost_usd - c.effective_cost_usd) as decimal(38, 15)) as delta_usd,
    count(*) filter (where c.effective_cost_usd is not null and n.effective_cost_usd is null) as only_booked_requests,
    cast(coalesce(sum(c.effective_cost_usd) filter (where n.effective_cost_usd is null), 0) as decimal(38, 15)) as only_booked_usd,
    count(*) filter (where n.effective_cost_usd is not null and c.effective_cost_usd is null) as only_new_requests,
    cast(coalesce(sum(n.effective_cost_usd) filter (where c.effective_cost_usd is null), 0) as decimal(38, 15)) as only_new_usd,
    count(*) filter (where c.effective_cost_usd is null) as unpriced_requests,
    count(*) filter (where n.effective_cost_usd is null) as new_unpriced_requests,
from ledger_requests as q
inner join booked_costs as c on c.request_key = q.request_key
inner join ledger_costs as n on n.request_key = q.request_key
group by all
"""
SUMS = (
    "requests",
    "effective_cost_usd",
    "new_effective_cost_usd",
    "delta_usd",
    "only_booked_requests",
    "only_booked_usd",
    "only_new_requests",
    "only_new_usd",
    "unpriced_requests",
    "new_unpriced_requests",
)


def book_as_of(root: DataRoot, known_at: datetime | None, rate_card: Path | None) -> pl.DataFrame:
    """The book as it was known at an instant, or as it is now, with the rows of a price file above all others.

    Raises ValueError, with the place, where the file has a fault.
    """
    prices, _ = current_frame(root, "prices")
    names, _ = current_frame(root, "model_aliases")
    if rate_card is not None:
        prices = pl.concat([prices, _card(rate_card, first_row=len(prices) + 1)])
    table = build_book(prices, names).tables["ref_price_book"]
    if known_at is None:
        return table
    believed = table.filter((pl.col("known_at") <= known_at) & (pl.col("superseded_at") > known_at))
    return believed.with_columns(pl.lit(OPEN_END).alias("superseded_at").cast(table.schema["superseded_at"]))


def _card(path: Path, first_row: int) -> pl.DataFrame:
    """A price file, each row known from now on, so that it supersedes what is known."""
    table = TABLES["prices"]
    rows, problems = read(table, path, path.name)
    if problems:
        raise ValueError("\n".join(str(problem) for problem in problems))
    now = datetime.now(UTC)
    return frame_of_rows(table, [{**row, "known_at": row.get("known_at") or now} for row in rows], first_row)


def reprice(
    root: DataRoot, *, known_at: datetime | None = None, rate_card: Path | None = None, window: Span = EVER
) -> list[dict[str, Any]]:
    """Cost by day, seller, model and feature in the ledger and with the other book, for the calls of a window.

    Both costs are those of the calls that both books price, so that ``delta_usd`` is what lies between them; beside them stand
    the calls that one book alone prices. Raises ValueError for a rate card with a fault.
    """
    table = book_as_of(root, known_at, rate_card)
    lake = Lake(root)
    planner = Planner(lake, models())
    found: list[dict[str, Any]] = []
    with connect(load(root.settings), root.scratch) as con:
        con.register("other_book", table.to_arrow())
        con.execute("create temp table ref_price_book as from other_book")
        con.unregister("other_book")
        for first, last in _spans(lake, window):
            _create_inputs(con, planner, first, last)
            con.execute(f"create or replace temp table ledger_rates as {models()['ledger_rates'].query}")
            con.execute(f"create or replace temp table ledger_costs as {models()['ledger_costs'].query}")
            found += named_rows(con, f"{_TOTALS} order by all")
    return found


def summed(rows: Sequence[dict[str, Any]], by: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of ``reprice`` added up by some of their columns; an unknown cost stays out of the sum and is counted."""
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in by)
        group = groups.setdefault(key, {**dict(zip(by, key, strict=True)), **dict.fromkeys(SUMS)})
        for name in SUMS:
            if row[name] is not None:
                group[name] = row[name] + (group[name] or 0)
    return sorted(
        groups.values(), key=lambda group: (-abs(group["delta_usd"] or 0), *(str(group[name]) for name in by))
    )


def _spans(lake: Lake, window: Span) -> Iterator[tuple[date, date]]:
    """First and last days that are priced at once: as many as hold about ROWS_AT_ONCE calls."""
    first = last = None
    rows = 0
    for part in sorted(lake.parts("ledger_requests"), key=lambda part: part.start or date.min):
        if part.start is None or not window.overlaps(part.start, end_of("day", part.start)):
            continue
        if first is not None and last is not None and rows + part.rows > ROWS_AT_ONCE:
            yield first, last
            first, rows = None, 0
        first, last, rows = first or part.start, part.start, rows + part.rows
    if first is not None and last is not None:
        yield first, last


def _create_inputs(con: duckdb.DuckDBPyConnection, planner: Planner, first: date, last: date) -> None:
    span = Span(first, end_of("day", last))
    wanted = (models()["ledger_rates"].inputs | models()["ledger_costs"].inputs) - {"ref_price_book", "ledger_rates"}
    for name in sorted(wanted):
        planner.create_view(con, name, span)
    planner.create_view(con, "ledger_costs", span, "booked_costs")
