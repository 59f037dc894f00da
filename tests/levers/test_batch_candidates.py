"""Batch and flex: what async work at the standard price would have cost, and where the book cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
MONDAY = date(2026, 10, 5)
EVER = {"effective_from": datetime(2025, 1, 1, tzinfo=UTC), "effective_to": datetime(9999, 12, 31, tzinfo=UTC)}
ANY = {
    "provider": "openai",
    "model_id": "gpt-4o",
    "per_units": 1_000_000,
    "currency": "USD",
    "service_tier": "standard",
    "processing": "sync",
    "region_class": "global",
    "ctx_min_tokens": 0,
    "ctx_max_tokens": 2**62,
    "window_from_s": 0,
    "window_to_s": 86_400,
    "weekday_mask": 127,
    "superseded_at": datetime(9999, 12, 31, tzinfo=UTC),
} | EVER
Row = dict[str, Any]
Run = Callable[..., list[Row]]


def prices(**usd: str) -> dict[str, str]:
    return usd


def book(
    sync: Mapping[str, str], batch: Mapping[str, str] | None = None, flex: Mapping[str, str] | None = None
) -> list[Row]:
    """Prices of a million tokens by unit."""
    offers = (
        (sync, {}),
        (batch or {}, {"processing": "batch"}),
        (flex or {}, {"service_tier": "flex"}),
    )
    return [
        ANY | more | {"price_id": f"{unit}{number}", "unit": unit, "unit_price": Decimal(usd)}
        for number, (listed, more) in enumerate(offers)
        for unit, usd in listed.items()
    ]


SYNC = prices(input="2.50", output="10", cache_read="1.25")
HALF = prices(input="1.25", output="5")
FEATURES = [{"feature": "reports", "workload": "async"}, {"feature": "chat", "workload": "interactive"}]


def call(number: int, feature: str = "reports", **more: Any) -> Row:
    """A million tokens of input and none of output: $2.50, unless it says otherwise."""
    return {
        "request_key": str(number),
        "started_at": NOON,
        "feature": feature,
        "model_canonical": "gpt-4o",
        "input_uncached_tokens": 1_000_000,
    } | more


def costs_of(calls: list[Row], listed: Mapping[str, str], factor: str, ids: list[str]) -> list[Row]:
    found = []
    for one in calls:
        usd = {
            "input_uncached_cost_usd": Decimal(one["input_uncached_tokens"]) * Decimal(listed["input"]) / 10**6,
            "cache_read_cost_usd": Decimal(one.get("cache_read_tokens", 0))
            * Decimal(listed.get("cache_read", 0))
            / 10**6,
            "output_text_cost_usd": Decimal(one.get("output_text_tokens", 0))
            * Decimal(listed.get("output", 0))
            / 10**6,
        }
        usd = {name: value * Decimal(factor) for name, value in usd.items()}
        found.append(
            {
                "request_key": one["request_key"],
                "started_at": one["started_at"],
                "cost_status": "priced",
                "price_ids": ids,
                "effective_cost_usd": sum(usd.values()),
            }
            | usd
        )
    return found


def candidates(
    run: Run,
    calls: list[Row],
    prices_of_book: list[Row],
    *,
    factor: str = "1",
    features: list[Row] | None = None,
    costs: list[Row] | None = None,
    listed: Mapping[str, str] = SYNC,
) -> list[Row]:
    ids = [
        row["price_id"] for row in prices_of_book if row["processing"] == "sync" and row["service_tier"] == "standard"
    ]
    costs = costs_of(calls, listed, factor, ids) if costs is None else costs
    whole = sum((row["effective_cost_usd"] or 0) for row in costs)
    return run(
        "mart_batch_candidates_weekly",
        ledger_requests=calls,
        ledger_costs=costs,
        ref_features=FEATURES if features is None else features,
        ref_price_book=prices_of_book,
        ref_reporting=[{"reporting_time_zone": "UTC"}],
        ledger_clock=[{"now_at": NOON + timedelta(days=30)}],
        stat_usage_cells_weekly=[{"week_start_date": MONDAY, "effective_cost_usd": whole}],
    )


def test_half_price_on_two_fifths_of_the_work_saves_a_fifth(run: Run) -> None:
    """$400 of $1,000 is async at half price: 20 % of the bill, not 50 %. Here $4.00 of $10.00."""
    calls = [
        call(1, input_uncached_tokens=1_600_000),
        call(2, "chat", input_uncached_tokens=2_400_000),
    ]

    [found] = candidates(run, calls, book(SYNC, HALF))

    assert (found["feature"], found["effective_cost_usd"], found["week_cost_usd"]) == ("reports", 4, 10)
    assert (found["batch_cost_usd"], found["batch_saving_usd"], found["best_saving_usd"]) == (2, 2, 2)
    assert (found["batch_saving_ratio"], found["best_saving_ratio"]) == (0.5, 0.2)
    assert (found["batch_status"], found["batch_reason"]) == ("ok", None)
    assert found["must_be_true"].startswith("Answers may come up to 24 hours later")
    assert found["sentence"] == "Nobody waits for these calls: as a batch they would have cost $2.00 in place of $4.00."


def test_without_a_price_of_the_book_the_saving_is_unknown_and_says_why(run: Run) -> None:
    [found] = candidates(run, [call(1)], book(SYNC))

    assert (found["batch_status"], found["batch_reason"]) == ("no_price", "no_batch_price")
    assert (found["flex_status"], found["flex_reason"]) == ("no_price", "no_flex_price")
    assert (found["batch_cost_usd"], found["best_saving_usd"], found["must_be_true"]) == (None, None, None)
    assert "has no batch or flex price of gpt-4o" in found["sentence"]


def test_a_class_without_a_price_leaves_its_calls_out(run: Run) -> None:
    """A batch price of input alone: the call with output cannot be compared, the other one can."""
    calls = [call(1), call(2, output_text_tokens=100_000, started_at=NOON + timedelta(days=1))]

    [found] = candidates(run, calls, book(SYNC, prices(input="1.25")))

    assert (found["batch_status"], found["batch_reason"]) == ("partly", "no_batch_price")
    assert (found["batch_replaced_cost_usd"], found["batch_cost_usd"]) == (Decimal("2.50"), Decimal("1.25"))
    assert (found["effective_cost_usd"], found["batch_saving_usd"]) == (Decimal("6.00"), Decimal("1.25"))


def test_cached_reads_that_a_batch_has_no_price_for_are_taken_as_input(run: Run) -> None:
    """2 M cached at $1.25 are $2.50; as input of a batch at $1.25 they are no cheaper. Where the book lists them, that counts."""
    calls = [call(1, cache_read_tokens=2_000_000)]

    [assumed] = candidates(run, calls, book(SYNC, HALF))
    [listed] = candidates(run, calls, book(SYNC, HALF | prices(cache_read="0.25")))

    assert (assumed["effective_cost_usd"], assumed["batch_cost_usd"]) == (5, Decimal("3.75"))
    assert (assumed["is_batch_cache_assumed"], listed["is_batch_cache_assumed"]) == (True, False)
    assert listed["batch_cost_usd"] == Decimal("1.75")
    assert "as much is read from the prompt cache there" in listed["must_be_true"]


def test_a_batch_can_be_dearer_than_the_cache(run: Run) -> None:
    """10 M cached at $0.10 are $1; a batch that reads no cache asks $1.25 a million: $12.50, and nothing is saved."""
    sync = prices(input="2.50", output="10", cache_read="0.10")
    calls = [call(1, input_uncached_tokens=0, cache_read_tokens=10_000_000)]

    [found] = candidates(run, calls, book(sync, HALF), listed=sync)

    assert (found["batch_cost_usd"], found["batch_saving_usd"]) == (Decimal("12.5"), Decimal("-11.5"))
    assert (found["best_saving_usd"], found["must_be_true"]) == (0, None)
    assert found["sentence"] == "Batch and flex would save nothing."


def test_the_better_of_batch_and_flex_is_named(run: Run) -> None:
    [found] = candidates(run, [call(1)], book(SYNC, prices(input="2"), prices(input="1")))

    assert (found["batch_saving_usd"], found["flex_saving_usd"]) == (Decimal("0.5"), Decimal("1.5"))
    assert found["best_saving_usd"] == Decimal("1.5")
    assert found["must_be_true"].startswith("Answers may take longer, and a call may be refused")


def test_a_contract_is_taken_to_hold_for_a_batch(run: Run) -> None:
    """10 % off $2.50 is $2.25; a batch at half the price with 10 % off $1.125."""
    [found] = candidates(run, [call(1)], book(SYNC, HALF), factor="0.9")

    assert (found["effective_cost_usd"], found["batch_cost_usd"]) == (Decimal("2.25"), Decimal("1.125"))


@pytest.mark.parametrize(
    "already",
    [
        {"is_batch": True},
        {"service_tier": "batch"},
        {"service_tier": "flex"},
        {"service_tier": "priority"},
        {"speed": "fast"},
        {"feature": "chat"},
        {"feature": "unknown"},
        {"gateway_cache_hit": True},
    ],
    ids=lambda one: "-".join(map(str, *one.items())),
)
def test_what_is_no_candidate_is_left_out(run: Run, already: Row) -> None:
    assert candidates(run, [call(1) | already], book(SYNC, HALF)) == []


def test_a_feature_counts_from_the_day_on_that_it_is_async(run: Run) -> None:
    features = [{"feature": "reports", "workload": "async", "valid_from_date": date(2026, 10, 8)}]
    calls = [call(1), call(2, started_at=NOON + timedelta(days=1))]

    [found] = candidates(run, calls, book(SYNC, HALF), features=features)

    assert found["requests"] == 1


def test_the_price_is_that_of_the_day(run: Run) -> None:
    """A batch price from 8 October on: the call of the day before has none."""
    offer = book(SYNC, HALF)
    for row in offer:
        if row["processing"] == "batch":
            row["effective_from"] = datetime(2026, 10, 8, tzinfo=UTC)
    calls = [call(1), call(2, started_at=NOON + timedelta(days=1))]

    [found] = candidates(run, calls, offer)

    assert (found["batch_status"], found["batch_replaced_cost_usd"]) == ("partly", Decimal("2.50"))


def test_the_price_is_that_of_the_region_and_length(run: Run) -> None:
    """The call was priced by the range above 200,000 tokens; the batch price below it says nothing about it."""
    offer = book(SYNC, HALF)
    for row in offer:
        if row["processing"] == "sync":
            row["ctx_min_tokens"] = 200_001
        else:
            row["ctx_max_tokens"] = 200_001

    [found] = candidates(run, [call(1)], offer)

    assert found["batch_status"] == "no_price"


def test_calls_without_a_price_or_a_split_are_counted_and_not_compared(run: Run) -> None:
    calls = [call(1), call(2, started_at=NOON + timedelta(hours=1))]
    unpriced = [
        {
            "request_key": str(n),
            "started_at": c["started_at"],
            "cost_status": "unknown_model",
            "effective_cost_usd": None,
        }
        for n, c in enumerate(calls, 1)
    ]
    stated = [
        row | {"effective_cost_usd": Decimal(1), "cost_status": "priced", "cost_reason": "provider_stated"}
        for row in unpriced
    ]

    [of_unpriced] = candidates(run, calls, book(SYNC, HALF), costs=unpriced)
    [of_stated] = candidates(run, calls, book(SYNC, HALF), costs=stated)

    assert (of_unpriced["unpriced_requests"], of_unpriced["effective_cost_usd"]) == (2, None)
    assert (of_unpriced["batch_reason"], of_unpriced["sentence"]) == ("unpriced", "What the calls cost is not known.")
    assert (of_stated["batch_reason"], of_stated["effective_cost_usd"], of_stated["batch_cost_usd"]) == (
        "no_split",
        2,
        None,
    )


def test_what_a_seat_or_reserved_throughput_paid_for_is_no_candidate(run: Run) -> None:
    free = [{"request_key": "1", "started_at": NOON, "cost_status": "priced", "effective_cost_usd": Decimal(0)}]

    assert candidates(run, [call(1)], book(SYNC, HALF), costs=free) == []
