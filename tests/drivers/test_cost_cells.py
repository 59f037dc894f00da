"""A day's calls summed to owner and model: what the tables about spend read in place of calls."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


def test_tokens_and_costs_of_a_day_are_summed_class_by_class(weeks_of):
    """Two calls of 1,000 in (600 of one read from the cache) and 100 out: 1,400 x 2.50, 600 x 0.25, 200 x 10, a million each."""
    books = weeks_of(
        [
            {"started_at": NOON, "cache_read_tokens": 600},
            {"started_at": NOON.replace(hour=18), "status": "error", "cache_read_tokens": 0},
        ]
    )

    cell = books.row("stat_cost_cells_daily")

    assert (cell["usage_date"], cell["requests"], cell["ok_requests"]) == (date(2026, 10, 5), 2, 1)
    assert (cell["input_uncached_tokens"], cell["cache_read_tokens"], cell["output_text_tokens"]) == (1_400, 600, 200)
    assert (cell["cache_known_requests"], cell["cache_hit_requests"], cell["cache_known_input_tokens"]) == (2, 1, 2_000)
    assert cell["effective_cost_usd"] == Decimal("0.00565")
    assert cell["cache_read_cost_usd"] == Decimal("0.00015")
    assert cell["unsplit_cost_usd"] == 0
    assert books.broken("stat_cost_cells_daily") == []


def test_a_call_without_a_price_counts_its_tokens_and_no_cost(weeks_of):
    books = weeks_of([{"started_at": NOON, "is_priced": False}, {"started_at": NOON, "cost_usd": Decimal("0.5")}])

    cell = books.row("stat_cost_cells_daily")

    assert (cell["requests"], cell["unpriced_requests"], cell["unpriced_tokens"]) == (2, 1, 1_100)
    # A cost that was stated as a whole has no split.
    assert (cell["effective_cost_usd"], cell["unsplit_cost_usd"], cell["input_uncached_cost_usd"]) == (
        Decimal("0.5"),
        Decimal("0.5"),
        None,
    )
    assert (cell["input_uncached_tokens"], cell["input_uncached_priced_tokens"]) == (2_000, 0)
    assert books.broken("stat_cost_cells_daily") == []


def test_what_no_call_of_a_cell_tells_about_its_cache_is_not_counted_as_none(weeks_of):
    cell = weeks_of([{"started_at": NOON}]).row("stat_cost_cells_daily")

    assert (cell["requests"], cell["cache_known_requests"], cell["cache_known_input_tokens"]) == (1, 0, 0)


def test_days_are_those_of_the_reporting_time_zone(weeks_of):
    """23:30 UTC on Monday is Tuesday in Berlin."""
    books = weeks_of([{"started_at": NOON.replace(hour=23, minute=30)}], zone="Europe/Berlin")

    assert books.row("stat_cost_cells_daily")["usage_date"] == date(2026, 10, 6)
