"""The rates that the genai-prices package lists for one model of one of its lists, before they are spread over sellers and regions.

The same for the installed version and for any other: what a version says on a day is an observation of that day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from genai_prices import types as package_types

from pipelines.prices.package_periods import (
    Period,
    Price,
    Prices,
    context_ranges,
    parts_of_day,
    priced,
)
from pipelines.prices.rates import OPEN_END, Rate, midnight

# Days on which the package began to list tiers of hundreds of models at once; the tiers themselves are older. A tier's
# price is carried back to the start of the standard price it belongs to, as assumed.
TIERS_LISTED_ON = frozenset({date(2026, 10, 12), date(2026, 10, 14), date(2026, 10, 15)})
_CACHE_READS = frozenset({"cache_read", "audio_cache_read", "image_cache_read"})
# What becomes of a rate, and whether the list states since when it holds.
Marked = Callable[[Rate, bool], Iterable[Rate]]


def standard_rates(periods: Iterable[Period], whole: Rate, marked: Marked) -> Iterator[Rate]:
    """Rates of the standard tier. ``whole`` has what all have in common."""
    for period in periods:
        for prices, from_s, to_s, mask, is_doubtful in parts_of_day(period, whole.model_id):
            for unit, (per_units, price) in prices.items():
                for low, high, amount in context_ranges(price):
                    rate = whole._replace(
                        unit=unit,
                        per_units=per_units,
                        unit_price=amount,
                        effective_from=period.start,
                        effective_to=period.end,
                        ctx_min_tokens=low,
                        ctx_max_tokens=high,
                        window_from_s=from_s,
                        window_to_s=to_s,
                        weekday_mask=mask,
                    )
                    if is_doubtful:
                        yield rate._replace(confidence="assumed")
                    else:
                        yield from marked(rate, period.is_dated)


def tier_rates(
    model: package_types.ModelInfo,
    periods: Sequence[Period],
    listed_by: str,
    whole: Rate,
    marked: Marked,
    rounded: list[str],
) -> Iterator[Rate]:
    """Rates of flex, priority, fast and batch. A unit that no list states for a tier has no rate in it.

    Kept from the standard list are units that are no tokens (a web search costs the same in batch) and Gemini's cached
    reads in batch. A flat tier price beside a standard price with a long-context range ends where that range begins.
    """
    where = f"{listed_by}/{model.id}"
    by_condition: dict[tuple[str, str], list[package_types.PriceVariant]] = {}
    # Versions of 2025 have no tiers.
    for variant in getattr(model, "price_variants", None) or ():
        condition = _condition(variant.when)
        if condition:
            by_condition.setdefault(condition, []).append(variant)
    for (tier, processing), variants in by_condition.items():
        dated = [(_variant_start(variant), variant) for variant in variants]
        starts = sorted({start or periods[0].start for start, _ in dated})
        for place, start in enumerate(starts):
            end = starts[place + 1] if place + 1 < len(starts) else OPEN_END
            prices: Prices = {}
            for since, variant in dated:  # the first that is active wins, unit by unit
                if since is None or since <= start:
                    for unit, said in priced(variant.prices, where, rounded).items():
                        prices.setdefault(unit, said)
            is_dated = all(since is not None for since, _ in dated)
            carried_back = place == 0 and start.date() in TIERS_LISTED_ON
            for period in periods:
                low, high = max(period.start, start), min(period.end, end)
                is_assumed_before = low
                if carried_back and period.start < start < period.end:
                    low = period.start
                if low >= high:
                    continue
                for unit, (per_units, price) in _with_kept(prices, period.prices, listed_by, processing).items():
                    limit = _first_threshold(period.prices.get(unit)) if isinstance(price, Decimal) else None
                    for ctx_low, ctx_high, amount in context_ranges(price):
                        is_kept = unit not in prices
                        rate = whole._replace(
                            unit=unit,
                            per_units=per_units,
                            unit_price=amount,
                            effective_from=low,
                            effective_to=high,
                            service_tier=tier,
                            processing=processing,
                            ctx_min_tokens=ctx_low,
                            ctx_max_tokens=min(ctx_high, limit) if limit and not is_kept else ctx_high,
                            confidence="derived" if is_kept else "published",
                        )
                        if low < is_assumed_before:
                            yield rate._replace(effective_to=is_assumed_before, confidence="assumed")
                            rate = rate._replace(effective_from=is_assumed_before)
                        yield from marked(rate, is_dated)


def _condition(when: Mapping[str, str]) -> tuple[str, str] | None:
    """Tier and processing of a variant; None for what is no condition here (default tier, route, search type)."""
    match dict(when):
        case {"processing": "batch", **rest} if not rest:
            return "standard", "batch"
        case {"service_tier": ("flex" | "priority" | "fast") as tier, **rest} if not rest:
            return tier, "sync"
        case {"speed": "fast", **rest} if not rest:
            return "fast", "sync"
    return None


def _variant_start(variant: package_types.PriceVariant) -> datetime | None:
    if isinstance(variant.constraint, package_types.StartDateConstraint):
        return midnight(variant.constraint.start_date)
    return None


def _with_kept(tier: Prices, standard: Prices, listed_by: str, processing: str) -> Prices:
    kept = {
        unit: price
        for unit, price in standard.items()
        if unit not in tier
        and (price[0] != 1_000_000 or (listed_by == "google" and processing == "batch" and unit in _CACHE_READS))
    }
    return tier | kept


def _first_threshold(standard: tuple[int, Price] | None) -> int | None:
    if standard and isinstance(standard[1], package_types.TieredPrices) and standard[1].tiers:
        return standard[1].tiers[0].start + 1
    return None
