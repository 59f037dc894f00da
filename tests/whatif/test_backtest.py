"""Scenarios held against a change that happened."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from pipelines.whatif.backtest import Tried, backtest_of
from pipelines.whatif.replay import inputs
from pipelines.whatif.scenarios import ScenarioError, scenarios_of
from tests.whatif.test_levers import SCENARIOS, call

CHANGED = date(2026, 11, 2)
DAYS = timedelta(days=7)


def tried(weeks_of, output_after: int, *given: str) -> list[Tried]:
    """Ten calls of gpt-4o with 1,000 tokens of output a day before the change, ten of gpt-4o-mini after it."""
    calls = [
        {
            **call(
                n,
                output_total_tokens=output_after if is_after else 1000,
                model_canonical="gpt-4o-mini" if is_after else "gpt-4o",
            ),
            "started_at": datetime(2026, 11, 3 if is_after else 1, 9, n, tzinfo=UTC),
        }
        for is_after in (False, True)
        for n in range(10)
    ]
    weeks = weeks_of(calls, by_the_book=True)
    for table in inputs():
        weeks.make(table)
    scenarios = scenarios_of(SCENARIOS, "vendor", ["to_model=openai/gpt-4o-mini", *given])
    return backtest_of(weeks.con, scenarios, CHANGED - DAYS, CHANGED, CHANGED + DAYS)


def test_a_switch_whose_answers_stay_as_long_is_foretold_exactly(weeks_of):
    """1,000 tokens at $10, then at $.60: .01 and .0006. Nothing changed would have been 15.7 times too much."""
    [one] = tried(weeks_of, 1000)

    assert (one.before_usd, one.predicted_mid_usd, one.actual_usd) == (
        Decimal("0.01"),
        Decimal("0.0006"),
        Decimal("0.0006"),
    )
    assert (one.error, one.is_within) == (0, True)
    assert round(one.unchanged_error, 1) == Decimal("15.7")


def test_the_error_of_longer_answers_is_published_and_its_range_told(weeks_of):
    """1,250 tokens came, .00075: foretold .00048 to .00078 (.8 to 1.3), middle 20 % too low."""
    [one] = tried(weeks_of, 1250)

    assert one.error == Decimal("-0.2")
    assert one.is_within


def test_what_lies_outside_the_range_says_so(weeks_of):
    [one] = tried(weeks_of, 2000)

    assert not one.is_within


def test_a_feature_that_is_not_meant_is_not_tried(weeks_of):
    with pytest.raises(ScenarioError, match="No feature"):
        tried(weeks_of, 1000, "feature=other")
