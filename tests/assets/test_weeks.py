"""Which dates a run of Dagster partitions stands for."""

from __future__ import annotations

from datetime import date

from assets.weeks import FIRST_WEEK, WEEKS, keys_of, range_tags, span_of
from pipelines.periods import EVER, Span

LAST_WEEK = date.fromisoformat(WEEKS.get_last_partition_key())


def test_a_week_runs_from_monday_to_the_next_monday():
    assert FIRST_WEEK.weekday() == 0
    assert span_of(["2026-08-24"]) == Span(date(2026, 8, 24), date(2026, 8, 31))


def test_a_range_is_the_dates_from_its_first_week_to_its_last():
    assert span_of(["2026-09-07", "2026-08-24", "2026-08-31"]) == Span(date(2026, 8, 24), date(2026, 9, 14))


def test_the_first_week_stands_for_all_before_it_and_the_last_for_all_after():
    """A call dated 2019 is booked in the first week's run, a month that ends after this week in the last week's."""
    assert span_of([FIRST_WEEK.isoformat()]).overlaps(date(2019, 5, 1), date(2019, 5, 2))
    assert span_of([LAST_WEEK.isoformat()]).end is None
    assert keys_of(EVER, [date(2019, 4, 29), date(2099, 1, 5)]) == [FIRST_WEEK.isoformat(), LAST_WEEK.isoformat()]


def test_only_weeks_that_overlap_the_window_are_kept():
    mondays = [date(2026, 8, 24), date(2026, 8, 31), date(2026, 9, 7)]

    assert keys_of(Span(date(2026, 9, 2), date(2026, 9, 7)), mondays) == ["2026-08-31"]


def test_a_run_without_weeks_has_no_range():
    assert range_tags([]) == {}
    assert set(range_tags(["2026-08-24", "2026-09-07"]).values()) == {"2026-08-24", "2026-09-07"}
