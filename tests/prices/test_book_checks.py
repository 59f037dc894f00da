"""Checks of a built book: overlap on real boxes, gaps that are written down, prices that look like typing errors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipelines.prices.book_tables import Book
from pipelines.prices.checks import batch_factors, doubts, gaps, long_context_factors, overlaps
from pipelines.prices.rates import BEGINNING, CONTEXT_END, DAY_END_S, EVERY_DAY, OPEN_END, Rate
from pipelines.prices.sync import rates_of
from tests.prices.pricing import at


def rate(**given: Any) -> Rate:
    said: dict[str, Any] = {
        "provider": "openai",
        "model_id": "larch",
        "unit": "input",
        "per_units": 1_000_000,
        "unit_price": Decimal(2),
        "currency": "USD",
        "effective_from": BEGINNING,
        "effective_to": OPEN_END,
        "known_at": BEGINNING,
        "service_tier": "standard",
        "processing": "sync",
        "ctx_min_tokens": 0,
        "ctx_max_tokens": CONTEXT_END,
        "region_class": "global",
        "window_from_s": 0,
        "window_to_s": DAY_END_S,
        "weekday_mask": EVERY_DAY,
        "source": "test",
        "source_ref": "test",
        "retrieved_at": None,
        "confidence": "published",
        "supersedes": None,
        "book_version": "1",
    }
    return Rate(**(said | given))


@pytest.mark.parametrize(
    ("left", "right", "meet"),
    [
        ({}, {}, True),
        ({"effective_to": at("2026-06-01T00:00:00Z")}, {"effective_from": at("2026-06-01T00:00:00Z")}, False),
        ({"ctx_max_tokens": 200_001}, {"ctx_min_tokens": 200_000}, True),
        ({"window_to_s": 3_600}, {"window_from_s": 3_600}, False),
        ({"weekday_mask": 31}, {"weekday_mask": 96}, False),
        ({"weekday_mask": 31}, {"weekday_mask": 16}, True),
        ({"region_class": "us"}, {}, False),
    ],
)
def test_boxes_overlap_only_where_every_condition_meets(
    left: dict[str, Any], right: dict[str, Any], meet: bool
) -> None:
    """Ends are exclusive; five weekdays and a weekend do not meet, five weekdays and a Friday do."""
    assert bool(list(overlaps([rate(**left), rate(**right)]))) is meet


def test_no_rate_of_the_book_overlaps_another(book: Book) -> None:
    assert not list(overlaps(rates_of(book.tables["ref_price_book"])))


def test_a_gap_in_time_context_or_week_is_found() -> None:
    """2026-02 without a price, from 200,000 tokens on without one, weekends without one."""
    february = [rate(effective_to=at("2026-02-01T00:00:00Z")), rate(effective_from=at("2026-03-01T00:00:00Z"))]

    assert [gap.reason for gap in gaps(february)] == ["no price in this time"]
    assert [gap.reason for gap in gaps([rate(ctx_max_tokens=200_000)])] == [
        "no list states a price from 200000 tokens on"
    ]
    assert [gap.reason for gap in gaps([rate(weekday_mask=31)])] == ["no price at some time of the day or week"]
    assert not list(gaps([rate(weekday_mask=31), rate(weekday_mask=96)]))


def test_standard_prices_of_the_book_have_no_gap_in_the_day_or_week(book: Book) -> None:
    """What is left are context ranges for which no list states a tier's price."""
    found = list(gaps(rates_of(book.tables["ref_price_book"])))

    assert found
    assert all(gap.reason.startswith("no list states a price") for gap in found)


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ([rate(), rate(unit="cache_read", unit_price=Decimal(3))], "a cached token's read costs more"),
        ([rate(), rate(unit="cache_write_5m", unit_price=Decimal(1))], "a cached token's write costs less"),
        (
            [
                rate(effective_to=at("2026-02-01T00:00:00Z")),
                rate(effective_from=at("2026-02-01T00:00:00Z"), unit_price=Decimal(20)),
            ],
            "jumps from 2 to 20",
        ),
        (
            [
                rate(unit="cache_write_5m", unit_price=Decimal("7.5")),
                rate(unit="cache_write_1h", unit_price=Decimal(6)),
            ],
            "a write for five minutes costs more (7.5) than one for an hour (6)",
        ),
    ],
)
def test_what_looks_like_a_typing_error_is_named(rates: list[Rate], said: str) -> None:
    """Trap 32."""
    [doubt] = doubts(rates)

    assert said in doubt


@pytest.mark.parametrize("elsewhere", [{"processing": "batch"}, {"region_class": "regional"}])
def test_a_long_prompt_that_costs_more_in_one_place_alone_is_named(elsewhere: dict[str, Any]) -> None:
    """2 for short and long, and elsewhere 1 and 2; with 1 and 1 there is no doubt, nor with 0.13 for 0.125."""

    def place(short: str, long: str, **given: Any) -> list[Rate]:
        return [
            rate(unit_price=Decimal(short), ctx_max_tokens=200_001, **given),
            rate(unit_price=Decimal(long), ctx_min_tokens=200_001, **given),
        ]

    [doubt] = long_context_factors([*place("2", "2"), *place("1", "2", **elsewhere)])

    assert doubt.endswith(
        "from 200001 tokens on the price is 2 times that of a short prompt, and 1 times in sync and global."
    )
    assert not list(long_context_factors([*place("2", "2"), *place("1", "1", **elsewhere)]))
    assert not list(long_context_factors([*place("0.25", "0.50"), *place("0.13", "0.25", **elsewhere)]))


def test_claude_in_the_book_costs_half_in_batch_and_long_prompts_alike_everywhere(book: Book) -> None:
    rates = rates_of(book.tables["ref_price_book"])

    assert not list(long_context_factors(rates))
    assert not [batch.key for batch, _ in batch_factors(rates) if batch.provider == "anthropic"]
    assert not [doubt for doubt in doubts(rates) if "five minutes" in doubt]
