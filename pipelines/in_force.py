"""Which rows of a reference table are valid somewhere in a span, told by a hash: a cut elsewhere wakes nothing in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pipelines import kept
from pipelines.lake import digest
from pipelines.periods import Span, edges

_EPOCH = date(1970, 1, 1)
_VALIDITY = (("valid_from_date", "valid_to_date"), ("effective_from", "effective_to"), ("rate_date", "next_rate_date"))
# Of more rows than these, what is found out is kept for the next process: of a price book it takes a fifth of a second.
_MANY_ROWS = 5_000
_KEPT_AS = "in_force"
_WHOLE = "whole"


@dataclass(frozen=True)
class _Sums:
    """The sums of the hashes of rows, by the day that decides: one more than days, for none of them comes first."""

    days: Any
    sums: Any

    def before(self, day: date) -> Any:
        return self.sums[np.searchsorted(self.days, (day - _EPOCH).days, "left")]

    def up_to(self, day: date) -> Any:
        return self.sums[np.searchsorted(self.days, (day - _EPOCH).days, "right")]

    @classmethod
    def of(cls, days: pl.Series, hashes: Any) -> _Sums:
        found = days.to_physical().to_numpy()
        order = np.argsort(found, kind="stable")
        sums = np.concatenate([np.zeros((1, 2), dtype="<u8"), np.cumsum(hashes[order], axis=0, dtype="<u8")])
        different, firsts = np.unique(found[order], return_index=True)
        return cls(different.astype("<i4"), sums[np.append(firsts, len(found))])

    @classmethod
    def read(cls, content: bytes) -> _Sums:
        # A day is 4 bytes, a sum 16.
        count = (len(content) - 16) // 20
        return cls(np.frombuffer(content, "<i4", count), np.frombuffer(content, "<u8", offset=4 * count).reshape(-1, 2))

    def written(self) -> bytes:
        return bytes(self.days.tobytes() + self.sums.tobytes())


def table_in_force(file: Path, rows: int, content_hash: str) -> Callable[[Span], str]:
    """``rows_in_force`` of a table as it is in a file, with so many rows and this hash."""
    if rows < _MANY_ROWS:
        return rows_in_force(pl.read_parquet(file))
    key = f"{content_hash} {_code()}"
    found = kept.read(_KEPT_AS, key)
    if found is None:
        found = _found_of(pl.read_parquet(file))
        kept.keep(_KEPT_AS, key, found)
    return _told_by(found)


def rows_in_force(rows: pl.DataFrame) -> Callable[[Span], str]:
    """For any span, a sum of the hashes of the rows that are valid in it."""
    return _told_by(_found_of(rows))


@cache
def _code() -> str:
    """What decides a sum besides the rows: this code, and the library that writes values as text."""
    return f"{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()} {pl.__version__}"


def _found_of(rows: pl.DataFrame) -> dict[str, bytes]:
    """The hash of rows that are always valid, or the sums that tell of a span which are, as files."""
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
        return {_WHOLE: digest(sorted(lines)).encode()}
    begin, stop = (pl.col(name) for name in validity)
    hashes = _hashes(lines)
    starts, ends = rows.select(begin.cast(pl.Date).fill_null(date.min), _day_after(stop))
    found = {"begun": _Sums.of(starts, hashes), "over": _Sums.of(ends, hashes)}
    if is_clipped:
        from_hashes = _hashes(lines + "\x1ffrom " + _as_text(rows, begin))
        to_hashes = _hashes(lines + "\x1fto " + _as_text(rows, stop))
        from_days, to_days = rows.select(
            pl.when(begin.is_null()).then(date.min).otherwise(_day_after(begin)),
            stop.cast(pl.Date).fill_null(date.max),
        )
        found |= {
            "begun_inside": _Sums.of(starts, from_hashes),
            "begun_earlier": _Sums.of(from_days, from_hashes),
            "stopped": _Sums.of(to_days, to_hashes),
            "stopped_earlier": _Sums.of(ends, to_hashes),
        }
    return {name: sums.written() for name, sums in found.items()}


def _told_by(found: Mapping[str, bytes]) -> Callable[[Span], str]:
    if _WHOLE in found:
        whole = found[_WHOLE].decode()
        return lambda span: whole
    sums = {name: _Sums.read(content) for name, content in found.items()}

    def in_force(span: Span) -> str:
        first, end = edges(span)
        # Rows in force in a span are those begun before its end without those over at its start: two looks at running sums.
        found = sums["begun"].before(end) - sums["over"].up_to(first)
        if "stopped" in sums:
            found = found + (sums["begun_inside"].before(end) - sums["begun_earlier"].up_to(first))
            found = found + (sums["stopped"].before(end) - sums["stopped_earlier"].up_to(first))
        return str(found.tobytes().hex())

    return in_force


def _as_text(rows: pl.DataFrame, column: pl.Expr) -> pl.Series:
    return rows.select(column.cast(pl.String).fill_null("None")).to_series()


def _hashes(lines: pl.Series) -> Any:
    """A hash of 128 bits a line as two whole numbers, whose sums may run over: shape (lines, 2)."""
    found = b"".join([hashlib.blake2b(line.encode(), digest_size=16).digest() for line in lines])
    return np.frombuffer(found, dtype="<u8").reshape(-1, 2)


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
