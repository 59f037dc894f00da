"""What a price book must hold to: boxes that do not overlap, no gap that nobody wrote down, prices that make sense.

``overlaps`` are faults. ``doubts`` may be right, but a typing error looks like them. ``gaps`` are where a model that had
a price has none, with the reason where there is a known one.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from pipelines.prices.rates import CONTEXT_END, DAY_END_S, EVERY_DAY, OPEN_END, Key, Rate, overlap

JUMP_RATIO = 5
# Lists round prices of a few cents to two places: 0.13 for 0.125.
ROUNDED_RATIO = Decimal("1.1")
CACHE_READS = frozenset({"cache_read", "audio_cache_read", "image_cache_read"})
CACHE_WRITES = frozenset({"cache_write_5m", "cache_write_1h"})


class Gap(NamedTuple):
    """A time, or a context range or part of the day in it, for which a key has no rate."""

    provider: str
    model_id: str
    unit: str
    service_tier: str
    processing: str
    region_class: str
    effective_from: datetime
    effective_to: datetime
    reason: str


def name_of(key: Sequence[Any]) -> str:
    """A key as messages write it."""
    return " / ".join(str(part) for part in key)


def overlaps(rates: Iterable[Rate]) -> Iterator[tuple[Rate, Rate]]:
    """Pairs of one key whose boxes share an instant, a context length, a time of day and a weekday, and that were
    believed at one time."""
    for found in _by_key(rates).values():
        ordered = sorted(found, key=lambda rate: rate.effective_from)
        for place, left in enumerate(ordered):
            for right in ordered[place + 1 :]:
                if right.effective_from >= left.effective_to:
                    break
                believed = left.known_at < right.superseded_at and right.known_at < left.superseded_at
                if believed and overlap(left, right):
                    yield left, right


def doubts(rates: Sequence[Rate]) -> Iterator[str]:
    """Cached dearer than uncached, a write cheaper than the input, five minutes dearer than an hour, a jump of more than 5 times."""
    inputs: dict[tuple[Any, ...], list[Rate]] = defaultdict(list)
    for rate in rates:
        if rate.unit == "input":
            inputs[rate.key[:2] + rate.key[3:]].append(rate)
    for rate in rates:
        if rate.unit not in CACHE_READS | CACHE_WRITES or not rate.unit_price:
            continue
        for other in inputs[rate.key[:2] + rate.key[3:]]:
            cached, uncached = rate.unit_price * other.per_units, other.unit_price * rate.per_units
            is_odd = cached > uncached if rate.unit in CACHE_READS else cached < uncached
            # Audio and images have an input price of their own.
            if (
                is_odd
                and rate.currency == other.currency
                and rate.unit in ("cache_read", *CACHE_WRITES)
                and overlap(rate, other)
            ):
                said = "read costs more" if rate.unit in CACHE_READS else "write costs less"
                yield (
                    f"{name_of(rate.key)}: a cached token's {said} ({rate.unit_price.normalize():f}) than an "
                    f"uncached one ({other.unit_price.normalize():f})."
                )
    hours: dict[tuple[Any, ...], list[Rate]] = defaultdict(list)
    for rate in rates:
        if rate.unit == "cache_write_1h":
            hours[rate.key[:2] + rate.key[3:]].append(rate)
    for rate in rates:
        for other in hours[rate.key[:2] + rate.key[3:]] if rate.unit == "cache_write_5m" else ():
            is_odd = rate.unit_price * other.per_units > other.unit_price * rate.per_units
            if is_odd and rate.currency == other.currency and overlap(rate, other):
                yield (
                    f"{name_of(rate.key)}: a write for five minutes costs more ({rate.unit_price.normalize():f}) than one for "
                    f"an hour ({other.unit_price.normalize():f})."
                )
    epochs: dict[tuple[Any, ...], list[Rate]] = defaultdict(list)
    for rate in rates:
        epochs[(*rate.key, *rate.box[2:])].append(rate)
    for found in epochs.values():
        found.sort(key=lambda rate: rate.effective_from)
        for before, after in itertools.pairwise(found):
            low, high = sorted((before.unit_price * after.per_units, after.unit_price * before.per_units))
            if high > JUMP_RATIO * low > 0 and before.currency == after.currency:
                yield (
                    f"{name_of(after.key)}: from {after.effective_from:%Y-%m-%d} the price jumps from "
                    f"{before.unit_price.normalize():f} to {after.unit_price.normalize():f}, "
                    f"more than {JUMP_RATIO} times."
                )


def without_fx_rate(rates: Iterable[Rate], first_dates: Mapping[str, date]) -> Iterator[str]:
    """Currencies of prices that begin before the first rate to USD, or have none: till then their cost is unknown."""
    since: dict[str, datetime] = {}
    for rate in rates:
        if rate.currency != "USD":
            since[rate.currency] = min(rate.effective_from, since.get(rate.currency, rate.effective_from))
    for currency, start in sorted(since.items()):
        first = first_dates.get(currency)
        if first is None:
            yield f"{currency}: prices are stated in it, and reference/fx_rates.csv has no rate."
        elif first > start.date():
            yield f"{currency}: prices begin on {start:%Y-%m-%d}, the first rate of reference/fx_rates.csv on {first}."


def batch_factors(rates: Sequence[Rate]) -> Iterator[tuple[Rate, Rate]]:
    """Batch prices now in force that are not half of the synchronous ones, with these."""
    newest = {
        (rate.key[:2], rate.unit, rate.processing, rate.region_class, rate.ctx_min_tokens): rate
        for rate in sorted(rates, key=lambda rate: rate.effective_from)
        if rate.service_tier == "standard" and rate.window_from_s == 0
    }
    for (model, unit, processing, region, ctx), batch in newest.items():
        sync = newest.get((model, unit, "sync", region, ctx))
        if processing == "batch" and sync and batch.per_units == 1_000_000 and batch.unit_price * 2 != sync.unit_price:
            yield batch, sync


def long_context_factors(rates: Sequence[Rate]) -> Iterator[str]:
    """Where a long prompt now costs more, times the short one's price, than it does elsewhere: in another region, or in batch.

    One list that took a surcharge away and another that did not look so; and so does a row of ours that was forgotten.
    """
    ranges: dict[Key, list[Rate]] = defaultdict(list)
    for rate in rates:
        if rate.effective_to == OPEN_END and rate.window_from_s == 0 and rate.unit_price:
            ranges[rate.key].append(rate)
    for key, found in ranges.items():
        provider, model_id, unit, tier, _, _ = key
        base = ranges.get((provider, model_id, unit, tier, "sync", "global"))
        if base is None or found is base:
            continue
        factors = [{rate.ctx_min_tokens: rate.unit_price for rate in side} for side in (found, base)]
        # A tier without a long-context price of its own has a gap, and no doubt.
        if any(0 not in side for side in factors):
            continue
        for start in sorted((factors[0].keys() & factors[1].keys()) - {0}):
            mine, theirs = (side[start] / side[0] for side in factors)
            if max(mine, theirs) > ROUNDED_RATIO * min(mine, theirs):
                yield (
                    f"{name_of(key)}: from {start} tokens on the price is {mine.normalize():.3g} times that of a short prompt, "
                    f"and {theirs.normalize():.3g} times in sync and global."
                )


def gaps(rates: Iterable[Rate]) -> Iterator[Gap]:
    """Between the first and the last instant of a key, what its disjoint boxes leave of context, day and week."""
    whole = CONTEXT_END * DAY_END_S * 7
    for key, found in sorted(_by_key(rates).items()):
        edges = sorted({edge for rate in found for edge in (rate.effective_from, rate.effective_to)})
        for start, end in itertools.pairwise(edges):
            there = [rate for rate in found if rate.effective_from <= start and rate.effective_to >= end]
            covered = sum(
                (rate.ctx_max_tokens - rate.ctx_min_tokens)
                * (rate.window_to_s - rate.window_from_s)
                * (rate.weekday_mask & EVERY_DAY).bit_count()
                for rate in there
            )
            if covered != whole:
                if not there:
                    reason = "no price in this time"
                elif max(rate.ctx_max_tokens for rate in there) < CONTEXT_END:
                    reason = f"no list states a price from {max(rate.ctx_max_tokens for rate in there)} tokens on"
                elif min(rate.ctx_min_tokens for rate in there) > 0:
                    reason = f"no list states a price below {min(rate.ctx_min_tokens for rate in there)} tokens"
                else:
                    reason = "no price at some time of the day or week"
                yield Gap(*key, start, end, reason)


def _by_key(rates: Iterable[Rate]) -> dict[Key, list[Rate]]:
    found: dict[Key, list[Rate]] = defaultdict(list)
    for rate in rates:
        found[rate.key].append(rate)
    return found
