"""Which rows of a reference table are valid somewhere in a span, told by a hash: a cut elsewhere wakes nothing in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, time
from typing import Any, Literal

import numpy as np
import polars as pl

from pipelines.lake import digest
from pipelines.periods import Span, edges

_EPOCH = date(1970, 1, 1)
_VALIDITY = (("valid_from_date", "valid_to_date"), ("effective_from", "effective_to"), ("rate_date", "next_rate_date"))


def rows_in_force(rows: pl.DataFrame) -> Callable[[Span], str]:
    """For any span, a sum of the hashes of the rows that are valid in it."""
    if "rate_date" in rows.columns:
        # A rate to USD holds until its currency's next.
        rows = rows.sort("currency", "rate_date").with_columns(
            pl.col("rate_date").shift(-1).over("currency").alias("next_rate_date")
        )
    validity = next(((a, b) for a, b in _VALIDITY if a in rows.columns and b in rows.columns), None)
    # Where a price began before a span, or ends after it, decides nothing in it: a cut elsewhere must not wake it.
    is_clipped = validity in _VALIDITY[1:]
    # Where a row stands in which file decides ties only; its place must not wake a partition by itself.
    left_out = ["reference_row", "reference_file", *(validity if validity and is_clipped else ())]
    text = pl.concat_str(pl.exclude(left_out).cast(pl.String).fill_null("\x00"), separator="\x1f")
    lines = rows.select(text).to_series()
    if validity is None:
        whole = digest(sorted(lines))
        return lambda span: whole
    begin, stop = (pl.col(name) for name in validity)
    hashes = _hashes(lines)
    starts, ends = rows.select(begin.cast(pl.Date).fill_null(date.min), _day_after(stop))
    # Rows in force in a span are those begun before its end without those over at its start: two looks at running sums.
    begun, over = _running_sum(starts, hashes), _running_sum(ends, hashes, including=True)
    if not is_clipped:
        return lambda span: str((begun(edges(span)[1]) - over(edges(span)[0])).tobytes().hex())
    from_hashes = _hashes(lines + "\x1ffrom " + _as_text(rows, begin))
    to_hashes = _hashes(lines + "\x1fto " + _as_text(rows, stop))
    from_days, to_days = rows.select(
        pl.when(begin.is_null()).then(date.min).otherwise(_day_after(begin)), stop.cast(pl.Date).fill_null(date.max)
    )
    begun_inside, begun_earlier = (
        _running_sum(starts, from_hashes),
        _running_sum(from_days, from_hashes, including=True),
    )
    stopped, stopped_earlier = _running_sum(to_days, to_hashes), _running_sum(ends, to_hashes, including=True)

    def in_force(span: Span) -> str:
        first, end = edges(span)
        rows_sum = begun(end) - over(first)
        from_sum = begun_inside(end) - begun_earlier(first)
        to_sum = stopped(end) - stopped_earlier(first)
        return str((rows_sum + from_sum + to_sum).tobytes().hex())

    return in_force


def _as_text(rows: pl.DataFrame, column: pl.Expr) -> pl.Series:
    return rows.select(column.cast(pl.String).fill_null("None")).to_series()


def _hashes(lines: pl.Series) -> Any:
    """A hash of 128 bits a line as two whole numbers, whose sums may run over: shape (lines, 2)."""
    found = b"".join([hashlib.blake2b(line.encode(), digest_size=16).digest() for line in lines])
    return np.frombuffer(found, dtype="<u8").reshape(-1, 2)


def _running_sum(days: pl.Series, hashes: Any, *, including: bool = False) -> Callable[[date], Any]:
    """The sum of the hashes whose day is before a day, or up to it (``including``)."""
    keys = days.to_physical().to_numpy()
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    sums = np.concatenate([np.zeros((1, 2), dtype="<u8"), np.cumsum(hashes[order], axis=0, dtype="<u8")])
    side: Literal["left", "right"] = "right" if including else "left"
    return lambda day: sums[np.searchsorted(keys, (day - _EPOCH).days, side)]


def _day_after(value: pl.Expr) -> pl.Expr:
    """First whole day on which a row that ends at an instant or date is no longer valid."""
    instant = value.cast(pl.Datetime("us"))
    day = instant.dt.date()
    at_midnight = instant.dt.truncate("1s").dt.time() == time()
    # The last day that there is, is open.
    is_last = day == date.max
    return (
        pl.when(value.is_null() | is_last)
        .then(date.max)
        .when(at_midnight)
        .then(day)
        .otherwise(day + pl.duration(days=1))
    )
