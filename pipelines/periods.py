"""Days, weeks, months and spans as half-open ranges of dates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

# A month on average, of 365.25 / 12 days.
DAYS_OF_MONTH = Decimal("30.4375")
_DAYS = {"day": 1, "week": 7, "month": 31}


@dataclass(frozen=True)
class Span:
    """Dates from ``first`` up to ``end``, which is not among them; None where open."""

    first: date | None
    end: date | None

    def overlaps(self, first: date, end: date) -> bool:
        return (self.end is None or first < self.end) and (self.first is None or end > self.first)


EVER = Span(None, None)


def edges(span: Span) -> tuple[date, date]:
    """Both ends of a span, far away where they are open."""
    return span.first or date.min, span.end or date.max


def start_of(grain: str, day: date) -> date:
    """First day of the day, week (Monday) or month that holds ``day``."""
    match grain:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
    raise ValueError(f"no grain {grain!r}; known are day, week, month")


def end_of(grain: str, start: date) -> date:
    """First day after the period that begins on ``start``."""
    return (
        start_of(grain, start + timedelta(days=_DAYS[grain]))
        if grain == "month"
        else start + timedelta(days=_DAYS[grain])
    )


def periods(grain: str, first: date, end: date) -> Iterator[date]:
    """Starts of the periods that overlap [first, end)."""
    start = start_of(grain, first)
    while start < end:
        yield start
        start = end_of(grain, start)


def is_finer(grain: str, other: str) -> bool:
    return _DAYS[grain] < _DAYS[other]
