"""Since when the price package says what it says: its own past, read once from its published versions.

A price that stood in the version of a day was in force on that day. ``observed.csv`` has, for each model of each list of the
package, the prices that it states without a start, and the versions that have them: from the first (``since_version``) up to
the one that says otherwise (``until_version``, blank while the newest says the same). ``versions.csv`` has the days of the versions.
Both are written by ``prices sync --history`` (pipelines/prices/history.py) and never change in a run.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pipelines import paths
from pipelines.prices.rates import DAY_END_S, OPEN_END, Rate, midnight

VERSIONS = Path("genai_prices", "versions.csv")
OBSERVED = Path("genai_prices", "observed.csv")
# A list of the package and a model in it, as the package names them.
Listed = tuple[str, str]


class Statement(NamedTuple):
    """A price that versions of the package had from one day to another, exclusive."""

    since: datetime
    until: datetime
    unit_price: Decimal
    version: str


def versions() -> dict[str, date]:
    """Day on which each known version of the package was published, in their order."""
    with (paths.SHIPPED_DATA / VERSIONS).open(encoding="utf-8", newline="") as file:
        return {row["version"]: date.fromisoformat(row["published_date"]) for row in csv.DictReader(file)}


@cache
def statements() -> dict[tuple[str, ...], list[Statement]]:
    """What was observed of a list, model, tier, processing, smallest context length and unit, in order of time."""
    days = {version: midnight(day) for version, day in versions().items()} | {"": OPEN_END}
    found: dict[tuple[str, ...], list[Statement]] = {}
    with (paths.SHIPPED_DATA / OBSERVED).open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for *conditions, since, until, prices in rows:
            words = prices.split(" ")
            for unit, price in zip(words[::2], words[1::2], strict=True):
                found.setdefault((*conditions, unit), []).append(
                    Statement(days[since], days[until], Decimal(price), since)
                )
    for stated in found.values():
        stated.sort()
    return found


def marked(rate: Rate, listed: Listed, published: datetime) -> Iterator[Rate]:
    """A rate that the package states without a start, by what its versions say about it.

    Observed from the day of the first version that has it; what an earlier version said, until the day of the next. What no
    version says is assumed. ``published`` is the day of the version that states the rate: it holds from then on.
    """
    stated = _stated(rate, listed, published)
    at, price = rate.effective_from, stated[0].unit_price if stated else rate.unit_price
    for since, until, unit_price, version in stated:
        # The newest that was read says otherwise, and so does the version that states the rate.
        if until == OPEN_END and unit_price != rate.unit_price:
            until = published
        since, until = max(since, at), min(until, rate.effective_to)
        if since >= until:
            continue
        if at < since:
            yield rate._replace(effective_from=at, effective_to=since, unit_price=price, confidence="assumed")
        yield rate._replace(
            effective_from=since,
            effective_to=until,
            unit_price=unit_price,
            confidence="observed" if rate.confidence == "published" else rate.confidence,
            source_ref=rate.source_ref.replace(rate.book_version, f"genai-prices {version}", 1),
        )
        at, price = until, rate.unit_price
    end = min(published, rate.effective_to)
    if at < end:
        yield rate._replace(effective_from=at, effective_to=end, unit_price=price, confidence="assumed")
        at = end
    if at < rate.effective_to:
        yield rate._replace(effective_from=at)


def _stated(rate: Rate, listed: Listed, published: datetime) -> list[Statement]:
    if (rate.window_from_s, rate.window_to_s) != (0, DAY_END_S):
        return []
    key = (*listed, rate.service_tier, rate.processing, str(rate.ctx_min_tokens), rate.unit)
    found = statements().get(key, [])
    # Of a price that has had its end the package states the past itself: versions count that said the same.
    return found if rate.effective_to > published else [one for one in found if one.unit_price == rate.unit_price]
