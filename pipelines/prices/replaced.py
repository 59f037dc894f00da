"""Calls that had a price before a row of the user's gave them another one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import duckdb
import polars as pl

from pipelines.contract import TOKEN_CLASSES
from pipelines.paths import DataRoot
from pipelines.prices.book import build_book
from pipelines.prices.checks import name_of
from pipelines.prices.rates import BEGINNING, Rate
from pipelines.prices.sync import changes, rates_of
from pipelines.reference.files import current_frame
from pipelines.views import open_views
from pipelines.words import things

_CALLS = """
select count(distinct r.request_key), min(cast(r.started_at as date)), max(cast(r.started_at as date))
from ledger_requests as r
inner join ledger_rates as t
    on t.usage_date = cast(r.started_at as date)
    and t.provider = r.provider
    and t.model_canonical = r.model_canonical
    and t.service_tier = coalesce(r.service_tier, '')
    and t.is_batch = coalesce(r.is_batch, false)
    and t.speed = coalesce(r.speed, '')
    and t.region = coalesce(r.region, '')
    and t.region_class = coalesce(r.region_class, '')
where r.is_billable_leaf and r.provider = $provider and r.model_canonical = $model
    and t.price_tier = $tier and t.price_processing = $processing and t.price_region_class = $region
    and r.started_at >= $from and r.started_at < $to
    and coalesce(r.context_test_tokens, r.input_total_tokens, 0) >= $low
    and coalesce(r.context_test_tokens, r.input_total_tokens, 0) < $high
"""


def replaced_prices(root: DataRoot, rates: list[Rate]) -> Iterator[str]:
    """Where rows of reference/prices.csv say another price than the lists below them, and how many calls had that one.

    ``rates`` are those of the book. Nothing before the first run: there are no calls.
    """
    prices, _ = current_frame(root, "prices")
    names, _ = current_frame(root, "model_aliases")
    shipped = prices.filter(pl.col("reference_file").str.contains("shipped"))
    if len(shipped) == len(prices) or not root.views.is_file():
        return
    below = rates_of(build_book(shipped, names).tables["ref_price_book"])
    touched = {rate.key for rate in rates if rate.book_version.startswith("user ")}
    old, new = ([rate for rate in side if rate.key in touched] for side in (below, rates))
    with open_views(root) as con:
        for change in changes(old, new, BEGINNING):
            if change.before is not None and change.after is not None:
                calls, first, last = _calls(con, change.before)
                if calls:
                    yield (
                        f"{name_of(change.before.key)}: reference/prices.csv says {change.after.unit_price.normalize():f} "
                        f"where {change.before.source_ref} says {change.before.unit_price.normalize():f}, and "
                        f"{things(calls, 'call')} from {first} to {last} had a price. If it is meant for others, "
                        "name their tier, region, lengths or dates in the row."
                    )


def _calls(con: duckdb.DuckDBPyConnection, rate: Rate) -> tuple[int, date, date]:
    """How many calls lie in the box of a rate and have what it prices, with their first and last day."""
    classes = [one.tokens for one in TOKEN_CLASSES if rate.unit in one.units]
    has = " or ".join(f"r.{name} > 0" for name in classes) or "cardinality(r.extra_units) > 0"
    [found] = con.execute(
        f"{_CALLS} and ({has})",
        {
            "provider": rate.provider,
            "model": rate.model_id,
            "tier": rate.service_tier,
            "processing": rate.processing,
            "region": rate.region_class,
            "from": rate.effective_from,
            "to": rate.effective_to,
            "low": rate.ctx_min_tokens,
            "high": rate.ctx_max_tokens,
        },
    ).fetchall()
    return found
