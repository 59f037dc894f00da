"""How far a long reading is, as a terminal shows it."""

from __future__ import annotations

from pipelines.pace import Pace


def test_the_rate_is_what_was_read_over_the_time_and_tells_what_is_left():
    """120 MB in 5 s are 24 MB/s; 360 MB more take 15 s."""
    clock = iter([0.0, 0.5, 5.0])
    pace = Pace(480_000_000, lambda: next(clock))

    assert pace.at(10_000_000) == ", 10 of 480 MB"
    assert pace.at(120_000_000) == ", 120 of 480 MB, 24.0 MB/s, about 15 s left"
    assert Pace(1_000).at(500) == ""
