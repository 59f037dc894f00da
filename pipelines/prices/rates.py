"""One rate of the price book and the algebra of its conditions.

A rate holds inside a box: an interval of time, of context length, of the time of day, and a set of weekdays, for one
seller, model, unit, tier, processing and region. Inside one book the boxes of a key never overlap, so that a price is
found by equalities and ranges and no rule has to be the "most specific" one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
OPEN_END = datetime(9999, 12, 31, tzinfo=UTC)
CONTEXT_END = 2**62
DAY_END_S = 86_400
EVERY_DAY = 127

Key = tuple[str, str, str, str, str, str]


def midnight(day: date) -> datetime:
    """The first instant of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@cache
def _text(instant: datetime) -> str:
    return instant.isoformat()


class Rate(NamedTuple):
    """Price of ``per_units`` units, valid inside a box. All ends are exclusive; ``weekday_mask`` bit 0 is Monday."""

    provider: str
    model_id: str
    unit: str
    per_units: int
    unit_price: Decimal
    currency: str
    effective_from: datetime
    effective_to: datetime
    known_at: datetime
    service_tier: str
    processing: str
    ctx_min_tokens: int
    ctx_max_tokens: int
    region_class: str
    window_from_s: int
    window_to_s: int
    weekday_mask: int
    source: str
    source_ref: str
    retrieved_at: datetime | None
    confidence: str
    supersedes: str | None
    book_version: str
    superseded_at: datetime = OPEN_END
    # The price_id of the statement that this rate is a part of; empty where it is the whole.
    part_of: str = ""

    @property
    def key(self) -> Key:
        """What has to be equal for two rates to compete."""
        return (self.provider, self.model_id, self.unit, self.service_tier, self.processing, self.region_class)

    @property
    def box(self) -> tuple[datetime, datetime, int, int, int, int, int]:
        """Where the rate holds, within its key."""
        return (
            self.effective_from,
            self.effective_to,
            self.ctx_min_tokens,
            self.ctx_max_tokens,
            self.window_from_s,
            self.window_to_s,
            self.weekday_mask,
        )

    @property
    def price_id(self) -> str:
        """sha256 of what the rate says.

        The end of validity, the source and the version are left out: a price that gets an end, or that a later version
        of a source repeats, is the same statement, and the days it priced must not change. So are the parts of a price
        that another one has cut.
        """
        if self.part_of:
            return self.part_of
        said = (
            *self.key,
            str(self.per_units),
            format(self.unit_price.normalize(), "f"),
            self.currency,
            _text(self.effective_from),
            str(self.ctx_min_tokens),
            str(self.ctx_max_tokens),
            str(self.window_from_s),
            str(self.window_to_s),
            str(self.weekday_mask),
            self.confidence,
        )
        return hashlib.sha256("\x1f".join(said).encode()).hexdigest()


def overlap(left: Rate, right: Rate) -> bool:
    """Whether some instant, context length and weekday lies in both boxes. The keys are not compared."""
    return (
        left.effective_from < right.effective_to
        and right.effective_from < left.effective_to
        and left.ctx_min_tokens < right.ctx_max_tokens
        and right.ctx_min_tokens < left.ctx_max_tokens
        and left.window_from_s < right.window_to_s
        and right.window_from_s < left.window_to_s
        and bool(left.weekday_mask & right.weekday_mask)
    )


def common(rate: Rate, other: Rate) -> Rate | None:
    """A rate cut to the part of its box that lies in another's, None where they do not meet."""
    if not overlap(rate, other):
        return None
    return rate._replace(
        part_of=rate.price_id,
        effective_from=max(rate.effective_from, other.effective_from),
        effective_to=min(rate.effective_to, other.effective_to),
        ctx_min_tokens=max(rate.ctx_min_tokens, other.ctx_min_tokens),
        ctx_max_tokens=min(rate.ctx_max_tokens, other.ctx_max_tokens),
        window_from_s=max(rate.window_from_s, other.window_from_s),
        window_to_s=min(rate.window_to_s, other.window_to_s),
        weekday_mask=rate.weekday_mask & other.weekday_mask,
    )


def without(rate: Rate, taken: Rate) -> Iterator[Rate]:
    """What is left of a rate once another one has taken its box: disjoint pieces, none if it took all."""
    if not overlap(rate, taken):
        yield rate
        return
    rest = rate._replace(part_of=rate.price_id)
    if rest.effective_from < taken.effective_from:
        yield rest._replace(effective_to=taken.effective_from)
        rest = rest._replace(effective_from=taken.effective_from)
    if taken.effective_to < rest.effective_to:
        yield rest._replace(effective_from=taken.effective_to)
        rest = rest._replace(effective_to=taken.effective_to)
    if rest.ctx_min_tokens < taken.ctx_min_tokens:
        yield rest._replace(ctx_max_tokens=taken.ctx_min_tokens)
        rest = rest._replace(ctx_min_tokens=taken.ctx_min_tokens)
    if taken.ctx_max_tokens < rest.ctx_max_tokens:
        yield rest._replace(ctx_min_tokens=taken.ctx_max_tokens)
        rest = rest._replace(ctx_max_tokens=taken.ctx_max_tokens)
    if rest.window_from_s < taken.window_from_s:
        yield rest._replace(window_to_s=taken.window_from_s)
        rest = rest._replace(window_from_s=taken.window_from_s)
    if taken.window_to_s < rest.window_to_s:
        yield rest._replace(window_from_s=taken.window_to_s)
        rest = rest._replace(window_to_s=taken.window_to_s)
    if rest.weekday_mask & ~taken.weekday_mask:
        yield rest._replace(weekday_mask=rest.weekday_mask & ~taken.weekday_mask)
