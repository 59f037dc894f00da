"""The prices that the genai-prices package lists for a model: units, dates, windows of the day and ranges of context."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from genai_prices import types as package_types

from pipelines.prices.rates import BEGINNING, CONTEXT_END, DAY_END_S, EVERY_DAY, OPEN_END, midnight

# One source says that these off-peak windows hold all day on weekends: there the peak price is doubtful.
DOUBTFUL_WEEKENDS = re.compile(r"deepseek-(?:v4|flash)")
WEEKDAYS, WEEKEND = 31, 96
PLACES = Decimal("0.000000001")
UNITS = {
    "input_mtok": ("input", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "output_reasoning_mtok": ("output_reasoning", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_write_5m", 1_000_000),
    "cache_write_5m_mtok": ("cache_write_5m", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "input_audio_mtok": ("audio_in", 1_000_000),
    "cache_audio_read_mtok": ("audio_cache_read", 1_000_000),
    "output_audio_mtok": ("audio_out", 1_000_000),
    "input_image_mtok": ("image_in", 1_000_000),
    "cache_image_read_mtok": ("image_cache_read", 1_000_000),
    "output_image_mtok": ("image_out", 1_000_000),
    "input_video_mtok": ("video_in", 1_000_000),
    "output_video_mtok": ("video_out", 1_000_000),
    "output_citation_mtok": ("citation_out", 1_000_000),
    "input_mchars": ("character", 1_000_000),
    "web_searches_kcount": ("web_search", 1_000),
    "storage_searches_kcount": ("file_search", 1_000),
    "requests_kcount": ("request", 1_000),
    "input_text_messages_kcount": ("text_message", 1_000),
    "input_document_kpages": ("page", 1_000),
    "input_annotated_document_kpages": ("annotated_page", 1_000),
    "audio_hours": ("audio_hour", 1),
    "input_audio_hours": ("audio_hour", 1),
}
_DATE_IN_NAME = re.compile(r"(?<!\d)(20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
Price = Decimal | package_types.TieredPrices
Prices = dict[str, tuple[int, Price]]


@dataclass(frozen=True)
class Period:
    start: datetime
    end: datetime
    prices: Prices
    is_dated: bool
    windows: tuple[tuple[int, int, Prices], ...] = ()


def _seconds(at: time) -> int:
    moved = datetime.combine(date(1970, 1, 2), at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return moved.hour * 3600 + moved.minute * 60 + moved.second


def priced(prices: package_types.ModelPrice, where: str, rounded: list[str]) -> Prices:
    """Units and prices of the package's record, exact to 9 places."""
    found: Prices = {}
    for name, price in vars(prices).items():
        if price is None:
            continue
        unit, per_units = UNITS[name]
        if unit in found and name == "cache_write_mtok":
            continue
        if isinstance(price, package_types.TieredPrices):
            exact: Price = package_types.TieredPrices(
                base=_exact(price.base, where, unit, rounded),
                tiers=[
                    package_types.Tier(start=t.start, price=_exact(t.price, where, unit, rounded)) for t in price.tiers
                ],
            )
        else:
            exact = _exact(price, where, unit, rounded)
        found[unit] = (per_units, exact)
    return found


def _exact(price: Decimal, where: str, unit: str, rounded: list[str]) -> Decimal:
    exact = price.quantize(PLACES)
    if exact != price:
        rounded.append(f"{where} {unit} {price} -> {exact.normalize():f}")
    return exact


def periods_of(model: package_types.ModelInfo, where: str, rounded: list[str]) -> list[Period]:
    """The standard prices of a model, period after period, with the windows of the day in the last of them.

    The package lists windows after all dates and without one, so that its own calculator lets them win at all dates
    (13.2.1). They were introduced with the newest list: earlier periods have none.
    """
    listed = model.prices if isinstance(model.prices, list) else [package_types.ConditionalPrice(prices=model.prices)]
    in_name = _DATE_IN_NAME.search(model.id)
    first = midnight(date(*map(int, in_name.groups()))) if in_name else BEGINNING
    starts: list[tuple[datetime, Prices, bool]] = []
    windows: list[tuple[int, int, Prices]] = []
    for entry in listed:
        prices = priced(entry.prices, where, rounded)
        match entry.constraint:
            case None:
                starts.append((first, prices, False))
            case package_types.StartDateConstraint(start_date=day):
                starts.append((midnight(day), prices, True))
            case package_types.TimeOfDateConstraint(start_time=opens, end_time=closes):
                from_s, to_s = _seconds(opens), _seconds(closes) or DAY_END_S
                windows += (
                    [(from_s, to_s, prices)] if from_s < to_s else [(from_s, DAY_END_S, prices), (0, to_s, prices)]
                )
    starts.sort(key=lambda entry: entry[0])
    found = []
    for place, (start, prices, is_dated) in enumerate(starts):
        is_last = place == len(starts) - 1
        end = OPEN_END if is_last else starts[place + 1][0]
        if start < end:
            found.append(
                Period(start, end, prices, is_dated, tuple(sorted(windows, key=lambda w: w[0])) if is_last else ())
            )
    return found


def parts_of_day(period: Period, model_id: str) -> Iterator[tuple[Prices, int, int, int, bool]]:
    """Prices of a period by seconds of the UTC day; the standard price fills what the windows leave."""
    at = 0
    for from_s, to_s, prices in period.windows:
        if at < from_s:
            yield period.prices, at, from_s, EVERY_DAY, False
        if DOUBTFUL_WEEKENDS.match(model_id):
            yield prices, from_s, to_s, WEEKDAYS, False
            yield prices, from_s, to_s, WEEKEND, True
        else:
            yield prices, from_s, to_s, EVERY_DAY, False
        at = to_s
    if at < DAY_END_S:
        yield period.prices, at, DAY_END_S, EVERY_DAY, False


def context_ranges(price: Price) -> Iterator[tuple[int, int, Decimal]]:
    """Closed-open context ranges. A tier begins above its start: 200000 is [200001, ..), xAI's 199999 [200000, ..)."""
    if isinstance(price, Decimal):
        yield 0, CONTEXT_END, price
        return
    low, amount = 0, price.base
    for tier in price.tiers:
        if low < tier.start + 1:
            yield low, tier.start + 1, amount
        low, amount = tier.start + 1, tier.price
    yield low, CONTEXT_END, amount
