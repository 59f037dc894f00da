"""How often the drift detector cries wolf, and what it sees: generated companies through the real SQL (tests/companies.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.companies import FEATURES, WEEKS, Change, calls_of, monday

NAMES = [feature.name for feature in FEATURES]


def judged(books: Any) -> list[dict[str, Any]]:
    """Feature-weeks that were tested."""
    rows = books.rows("mart_output_ratio_drift_weekly")
    return [row for row in rows if row["verdict"] != "insufficient"]


def test_quiet_companies_hardly_ever_drift(weeks_of):
    """20 companies of four features in 13 weeks, users that differ and wander, and 3 % of shared shock: 800 feature-weeks.

    At most 2 % may be called a drift. Over five seeds 1.2 % are (1.0 % where one shock moves all features of a company).
    """
    books = weeks_of(pl.concat([calls_of(1, place) for place in range(20)]))

    rows = judged(books)

    assert len(rows) > 700
    false = [row for row in rows if row["verdict"] == "drift"]
    assert len(false) <= 0.02 * len(rows)
    # The p-values keep what they promise: 5 % below 5 %, and no test is so shy that it would see nothing.
    assert 0.02 < sum(row["p_value"] < 0.05 for row in rows) / len(rows) < 0.08
    assert books.broken("mart_output_ratio_drift_weekly") == []


def test_answers_that_grow_by_half_are_seen(weeks_of):
    """In the last week of ten companies all answers are 50 % longer: nearly all 40 features are called a drift."""
    companies = [calls_of(2, place, changes=dict.fromkeys(NAMES, Change(7 * (WEEKS - 1), 0.5))) for place in range(10)]
    books = weeks_of(pl.concat(companies))
    last = {monday(place, WEEKS - 1) for place in range(10)}

    rows = [row for row in judged(books) if row["week_start_date"] in last]

    assert len(rows) == 40
    seen = [row for row in rows if row["verdict"] == "drift"]
    assert len(seen) >= 37
    assert np.median([row["paired_change"] for row in seen]) == pytest.approx(0.5, abs=0.05)
