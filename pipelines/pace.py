"""How far a long piece of work is, and how fast it goes, for the line that a terminal shows."""

from __future__ import annotations

import time
from collections.abc import Callable

_MB = 1_000_000
# Before that a rate is chance.
_SECONDS_TO_TELL = 1.0


class Pace:
    """Of so many bytes, read from now on."""

    def __init__(self, whole_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._whole, self._clock, self._began = whole_bytes, clock, clock()

    def at(self, done_bytes: int) -> str:
        """``", 120 of 480 MB, 24 MB/s, about 15 s left"``; nothing of what is small or has only begun."""
        seconds = self._clock() - self._began
        if self._whole < _MB or not done_bytes:
            return ""
        said = f", {done_bytes // _MB:,} of {self._whole // _MB:,} MB"
        if seconds < _SECONDS_TO_TELL:
            return said
        rate = done_bytes / seconds
        return f"{said}, {rate / _MB:,.1f} MB/s, about {max(self._whole - done_bytes, 0) / rate:,.0f} s left"
