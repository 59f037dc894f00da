"""What long prompts cost: the worked examples of thresholds, the constant prefix, and what is not known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

MONDAY = date(2026, 10, 5)
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
# $3 and $15, beyond 200,000 tokens $6 and $22.50, until the autumn.
SONNET = {"started_at": NOON, "provider": "anthropic", "model_canonical": "claude-sonnet-4-5"}


def call(tokens_in: int, tokens_out: int = 0, **more: Any) -> dict[str, Any]:
    return {"started_at": NOON, "input_total_tokens": tokens_in, "output_total_tokens": tokens_out} | more


def tax(books: Any) -> dict[str, Any]:
    return books.row("mart_context_tax_weekly", week_start_date=MONDAY)


def test_the_whole_call_is_dearer_beyond_the_threshold(weeks_of):
    """300,000 in and 1,000 out: 1.8225 at $6 and $22.50, 0.9150 at $3 and $15: $0.9075."""
    row = tax(weeks_of([call(300_000, 1_000) | SONNET], by_the_book=True))

    assert (row["effective_cost_usd"], row["threshold_tax_usd"]) == (Decimal("1.8225"), Decimal("0.9075"))
    assert (row["long_context_requests"], row["near_threshold_calls"], row["near_threshold_saving_usd"]) == (1, 0, 0)
    assert row["sentence"] == (
        "Prompts are 99 % of the cost; 1 call beyond a long-context threshold cost $0.91 more than at the prices below it."
    )


def test_a_call_hardly_above_the_threshold_is_worth_trimming(weeks_of):
    """210,000 in at $6 is $1.26; trimmed to 200,000 at $3 it is $0.60: saves $0.66. At 220,001 it is not near any more."""
    row = tax(weeks_of([call(210_000) | SONNET], by_the_book=True))
    further = tax(weeks_of([call(220_002) | SONNET], by_the_book=True))

    assert (row["effective_cost_usd"], row["near_threshold_calls"]) == (Decimal("1.26"), 1)
    assert row["near_threshold_saving_usd"] == Decimal("0.66")
    assert further["near_threshold_calls"] == 0


def test_at_the_threshold_nothing_is_dearer(weeks_of):
    row = tax(weeks_of([call(200_000) | SONNET], by_the_book=True))

    assert (row["long_context_requests"], row["threshold_tax_usd"]) == (0, 0)


def test_a_contract_is_in_the_tax(weeks_of):
    """Half price on both sides of the threshold: half the tax."""
    half = {"kind": "multiplier", "value": Decimal("0.5"), "provider": "anthropic", "sequence": 1}

    row = tax(weeks_of([call(300_000, 1_000) | SONNET], by_the_book=True, ref_price_overrides=[half]))

    assert row["threshold_tax_usd"] == Decimal("0.45375")


def test_input_is_all_that_is_read_or_written_to_the_cache(weeks_of):
    """gpt-4o: 400 at $2.50, 600 read at $1.25, 100 out at $10: input 0.00175 of 0.00275."""
    row = tax(weeks_of([call(1_000, 100, cache_read_tokens=600)], by_the_book=True))

    assert (row["input_cost_usd"], row["rated_cost_usd"]) == (Decimal("0.00175"), Decimal("0.00275"))
    assert round(row["input_cost_share"], 4) == Decimal("0.6364")


def test_the_constant_prefix_is_known_where_calls_tell_it(weeks_of):
    """800 of 1,000 and, as a prefix is part of the input, 500 of 500; a call that does not tell counts on neither side."""
    rows = [call(1_000, static_prompt_tokens=800), call(500, static_prompt_tokens=900), call(9_000)]

    row = tax(weeks_of(rows))

    assert (row["static_known_input_tokens"], row["static_prompt_tokens"]) == (1_500, 1_300)
    assert round(row["static_prompt_share"], 4) == Decimal("0.8667")


def test_no_more_can_be_constant_than_the_shortest_prompt_of_a_type(weeks_of):
    """a: 100 and 300, so at most 200 of 400; b: 600, all of it: 800 of 1,000."""
    rows = [call(100, prompt_name="a"), call(300, prompt_name="a"), call(600, prompt_name="b")]

    row = tax(weeks_of(rows))

    assert (row["static_upper_share"], row["static_prompt_share"]) == (Decimal("0.8"), None)


def test_lengths_are_quantiles_of_the_calls(weeks_of):
    row = tax(weeks_of([call(size) for size in range(1, 101)]))

    assert (row["input_p50_tokens"], row["input_p95_tokens"]) == (50, 95)


def test_what_has_no_price_has_lengths_and_no_dollars(weeks_of):
    row = tax(weeks_of([call(1_000, model_canonical="gpt-99")], by_the_book=True))

    unknown = ("effective_cost_usd", "rated_cost_usd", "input_cost_usd", "input_cost_share", "threshold_tax_usd")
    assert {row[name] for name in unknown} == {None}
    assert (row["input_p50_tokens"], row["unpriced_tokens"], row["is_incomplete"]) == (1_000, 1_000, True)
    assert row["sentence"] == "What prompts cost is not known."


def test_the_identities_hold_for_any_calls(weeks_of):
    rows = [
        call(1 + number * 997 % 260_000, number, cache_read_tokens=number % 2 or None)
        | {"prompt_name": f"p{number % 3}", "feature": f"f{number % 2}"}
        | (SONNET if number % 3 else {})
        | {"started_at": NOON - timedelta(days=number % 20)}
        for number in range(300)
    ]

    books = weeks_of(rows, by_the_book=True)

    for table in ("stat_input_lengths_weekly", "stat_rate_cells_weekly", "mart_context_tax_weekly"):
        assert books.broken(table) == [], table
    assert sum(row["near_threshold_calls"] for row in books.rows("mart_context_tax_weekly")) > 0


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_weeks_are_those_of_the_reporting_time_zone(weeks_of, zone):
    """Monday 02:00 UTC is Sunday in New York, priced by its UTC day all the same."""
    row = weeks_of([call(1_000, started_at=NOON.replace(hour=2))], zone=zone, by_the_book=True).row(
        "mart_context_tax_weekly"
    )

    assert row["week_start_date"] == (MONDAY if zone == "UTC" else MONDAY - timedelta(weeks=1))
    assert row["effective_cost_usd"] == Decimal("0.0025")
