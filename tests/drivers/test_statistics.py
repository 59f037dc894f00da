"""Shared statistics against worked examples, scipy, and what must hold for any rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

# The judged week and the four before it.
WEEK = datetime(2026, 10, 5, 12, tzinfo=UTC)
BEFORE = WEEK - timedelta(weeks=1)


def calls(
    at: datetime, user: str, tokens_in: int, tokens_out: int, number: int = 1, **more: Any
) -> list[dict[str, Any]]:
    one = {"started_at": at, "user_id": user, "input_total_tokens": tokens_in, "output_total_tokens": tokens_out}
    return [one | more] * number


def test_two_requests_are_summed_before_dividing(weeks_of):
    """100 / 1,000 is 0.1; the mean of 20/10 and 80/990 would be 1.04."""
    books = weeks_of([*calls(WEEK, "u1", 10, 20), *calls(WEEK, "u2", 990, 80)])

    assert books.row("mart_output_ratio_drift_weekly")["output_token_ratio"] == pytest.approx(0.1, abs=1e-15)


def test_leaving_out_one_user_after_the_other_gives_the_error_of_the_example(weeks_of):
    """Three users, 100 in both periods; out 80, 60, 70, then 50, 20, 35: change -0.35, error 0.0288675, t -12.124, p 0.0067341."""
    rows = []
    for user, before, after in (("a", 80, 50), ("b", 60, 20), ("c", 70, 35)):
        rows += calls(BEFORE, user, 100, before) + calls(WEEK, user, 100, after)

    found = weeks_of(rows).row(
        "stat_jackknife_weekly",
        statistic="output_ratio_change",
        week_start_date=WEEK.date() - timedelta(WEEK.weekday()),
    )

    assert found["clusters"] == 3
    assert found["estimate"] == pytest.approx(-0.35, abs=1e-12)
    assert round(found["standard_error"], 7) == 0.0288675
    assert round(found["t_statistic"], 3) == -12.124
    assert round(found["p_value"], 7) == 0.0067341
