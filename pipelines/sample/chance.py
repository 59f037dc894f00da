"""Seeded chance in whole numbers: the same bytes on every machine and with every version of numpy.

Only the raw 64-bit stream of PCG64 is used, which numpy keeps stable; what is made of it is integer arithmetic. Each
purpose has a stream of its own: a draw that is added for one does not shift the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

_ONE = 1 << 32
_MOST = 1 << 20


@dataclass(frozen=True)
class Grid:
    """A distribution as quantiles: ``quantiles[i]`` lies at ``ranks[i]`` of 10,000, straight lines between."""

    quantiles: tuple[int, ...]
    ranks: tuple[int, ...] = (0, 100, 500, 1_000, 2_500, 5_000, 7_500, 9_000, 9_500, 9_900, 10_000)

    def __post_init__(self) -> None:
        if len(self.quantiles) != len(self.ranks) or list(self.quantiles) != sorted(self.quantiles):
            raise ValueError(f"quantiles {self.quantiles} do not rise along the ranks {self.ranks}")
        if self.quantiles[0] < 0 or self.quantiles[-1] > _MOST:
            raise ValueError(f"quantiles {self.quantiles} are not between 0 and {_MOST}")


def always(quantity: int) -> Grid:
    """The grid of a quantity that does not vary."""
    return Grid((quantity, quantity), (0, 10_000))


class Chance:
    """One stream of draws, decided by the seed and the names of its purpose."""

    def __init__(self, seed: int, *purpose: str) -> None:
        name = "|".join((str(seed), *purpose))
        self._bits = np.random.PCG64(int.from_bytes(hashlib.sha256(name.encode()).digest()))

    def _words(self, size: int) -> NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(size), dtype=np.uint64)

    def fractions(self, size: int) -> Whole:
        """Evenly spread over 0 to 2**32, the end left out."""
        return (self._words(size) >> np.uint64(32)).astype(np.int64)

    def happens(self, size: int, per_mille: int | Whole) -> Flags:
        """True for ``per_mille`` of 1,000, the same for all or one for each."""
        return np.less(self.fractions(size), per_mille * _ONE // 1_000)

    def below(self, size: int, end: int) -> Whole:
        """Whole numbers from 0, ``end`` left out, all alike."""
        return (self.fractions(size) * end) >> 32

    def pick(self, size: int, weights: Sequence[int]) -> Whole:
        """Places in ``weights``, each as often as its weight says."""
        ends = np.cumsum(np.asarray(weights, dtype=np.int64))
        return np.searchsorted(ends, self.below(size, int(ends[-1])), side="right").astype(np.int64)

    def quantities(self, size: int, grid: Grid) -> Whole:
        """Draws of a grid."""
        ranks = np.asarray(grid.ranks, dtype=np.int64) * _ONE // 10_000
        values = np.asarray(grid.quantiles, dtype=np.int64)
        drawn = self.fractions(size)
        left = np.searchsorted(ranks, drawn, side="right") - 1
        rise, width = values[left + 1] - values[left], ranks[left + 1] - ranks[left]
        found: Whole = values[left] + rise * (drawn - ranks[left]) // width
        return found

    def hexes(self, size: int, digits: int) -> pl.Series:
        """Identifiers of 16 or 32 hexadecimal digits."""
        text = self._words(size * digits // 16).astype("<u8").tobytes().hex().encode()
        ends = np.arange(0, (size + 1) * digits, digits, dtype=np.int32)
        found = pa.StringArray.from_buffers(size, pa.py_buffer(ends), pa.py_buffer(text))
        return pl.Series(values=pl.from_arrow(found))
