"""Days, weeks and months as half-open ranges of dates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

_DAYS = {"day": 1, "week": 7, "month": 31}


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
