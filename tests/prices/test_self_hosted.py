"""Prices of own GPUs: the cost of an hour over what it served, full and marginal, PRICING section 9."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from pipelines.prices.book import build_book
from pipelines.prices.book_tables import Book
from tests.prices.pricing import Pricing, book_of, frame, request, shipped, usd

HOUR = datetime(2026, 11, 10, 9, tzinfo=UTC)
RENTED = {
    "pool_id": "pool-1",
    "model_id": "acme-8b",
    "gpu_count": 1,
    "gpu_hour_usd": "2.5",
    "input_tokens_per_s": 15_000,
    "cache_read_tokens_per_s": 150_000,
    "output_tokens_per_s": 1_500,
}
BOOK = build_book(pl.DataFrame(), pl.DataFrame(), frame([{"provider": None, "model_id": "acme-8b"}]), package_rates=())


def call(key: str, clock: str = "09:30:00", **given: Any) -> dict[str, Any]:
    named = {"request_key": key, "provider": "self", "model_served": "acme-8b", "started_at": f"2026-11-10T{clock}Z"}
    return request(**named | given)


@pytest.fixture
def hours(pricing: Pricing) -> Callable[..., Any]:
    """``hours(calls, pools)``: the costs of the calls and the rates by hour and unit."""

    def run(calls: list[Any], pools: list[Any], book: Book = BOOK) -> tuple[list[Any], dict[tuple[int, str], Any]]:
        costs = pricing.costs(calls, book, gpu_pools=pools)
        rates = pricing.rows("ledger_gpu_rates", "hour_from_at, model_canonical, unit")
        return costs, {(row["hour_from_at"].hour, row["unit"]): row for row in rates}

    return run


def test_the_price_is_the_hours_cost_over_its_tokens(hours: Any) -> None:
    """2.5 / (1500 x 3600 x 0.4) x 1e6 = 1.157407407 per million; busy 40 % of the hour, x 0.4 = 0.462962963."""
    [cost], rates = hours([call("a", output_text_tokens=2_160_000)], [RENTED])

    rate = rates[9, "output"]
    assert (rate["full_usd_per_mtok"], rate["marginal_usd_per_mtok"]) == (
        Decimal("1.157407407"),
        Decimal("0.462962963"),
    )
    assert rate["utilisation_share"] == Decimal("0.4")
    # 2,160,000 x 1.157407407 millionths
    assert cost["effective_cost_usd"] == cost["output_text_list_cost_usd"] == usd("2.49999999912")
    assert (cost["cost_status"], cost["price_ids"]) == ("priced", sorted(rates[9, unit]["price_id"] for unit in UNITS))


UNITS = ("input", "cache_read", "output")


def test_classes_share_the_hour_by_what_they_take_of_it(hours: Any) -> None:
    """900 s of input, 60 s of cached input, 240 s of output are 1,200 s, a third of the hour: 2.5 splits 1.875, 0.125, 0.5.

    Tokens: 900 x 15,000 = 13.5 M, 60 x 150,000 = 9 M, 240 x 1,500 = 0.36 M, half of each in either call.
    Full per million: 1.875 / 13.5 = 0.138888889, 0.125 / 9 = 0.013888889, 0.5 / 0.36 = 1.388888889; marginal is a third.
    """
    half = {"input_uncached_tokens": 6_750_000, "cache_read_tokens": 4_500_000, "output_text_tokens": 180_000}

    costs, rates = hours([call("a", **half), call("b", "09:59:59", **half)], [RENTED])

    assert [rates[9, unit]["full_usd_per_mtok"] for unit in UNITS] == [
        Decimal("0.138888889"),
        Decimal("0.013888889"),
        Decimal("1.388888889"),
    ]
    assert [rates[9, unit]["marginal_usd_per_mtok"] for unit in UNITS] == [
        Decimal("0.046296296"),
        Decimal("0.00462963"),
        Decimal("0.462962963"),
    ]
    assert sum(cost["list_cost_usd"] for cost in costs) == sum(rates[9, unit]["full_cost_usd"] for unit in UNITS)
    assert abs(sum(cost["list_cost_usd"] for cost in costs) - Decimal("2.5")) < Decimal("0.00000001")


def test_each_hour_has_its_own_price_and_an_idle_one_its_cost(hours: Any) -> None:
    """5.4 M output tokens fill the hour from 10 to 11: 2.5 / 5.4 = 0.462962963, full and marginal alike; 22 hours are idle: 55."""
    calls = [call("a", output_text_tokens=2_160_000), call("b", "10:00:00", output_text_tokens=5_400_000)]

    _, rates = hours(calls, [RENTED])

    assert (
        rates[10, "output"]["full_usd_per_mtok"]
        == rates[10, "output"]["marginal_usd_per_mtok"]
        == Decimal("0.462962963")
    )
    idle = [row for (_, unit), row in rates.items() if unit == "idle"]
    assert (len(idle), sum(row["full_cost_usd"] for row in idle)) == (22, Decimal(55))
    assert {row["marginal_cost_usd"] for row in idle} == {0}


def test_own_gpus_cost_their_purchase_power_and_work(hours: Any) -> None:
    """November has 720 h: 36,000 / (25 x 720) = 2.00; 3 kW x 1.2 x 0.25 = 0.90; 720 / 720 = 1.00 a month's work: 3.90 an hour."""
    owned = {name: value for name, value in RENTED.items() if name != "gpu_hour_usd"} | {
        "capex_usd": 36_000,
        "amortisation_months": 25,
        "power_kw": 3,
        "pue_ratio": "1.2",
        "electricity_usd_per_kwh": "0.25",
        "ops_usd_per_month": 720,
    }

    _, rates = hours([call("a", output_text_tokens=3_000_000)], [owned])

    assert rates[8, "idle"]["full_cost_usd"] == Decimal("3.9")
    assert rates[9, "output"]["full_usd_per_mtok"] == Decimal("1.3")


def test_two_pools_of_a_model_are_one(hours: Any) -> None:
    """2.5 + 2 x 1.5 = 5.5 an hour; 1,500 + 2,500 = 4,000 tokens/s: 1.44 M tokens in 360 s are a tenth of it: 5.5 / 1.44."""
    other = RENTED | {"pool_id": "pool-2", "gpu_count": 2, "gpu_hour_usd": "1.5", "output_tokens_per_s": 2_500}

    _, rates = hours([call("a", output_text_tokens=1_440_000)], [RENTED, other])

    assert rates[9, "output"]["full_usd_per_mtok"] == Decimal("3.819444444")
    assert rates[9, "output"]["marginal_usd_per_mtok"] == Decimal("0.381944444")


def test_a_stated_utilisation_stands_in_for_the_measured_one(hours: Any) -> None:
    """2.5 over 2.16 M tokens; a quarter of 1.157407407 is 0.289351852."""
    _, rates = hours([call("a", output_text_tokens=2_160_000)], [RENTED | {"utilisation_share": "0.25"}])

    assert rates[9, "output"]["marginal_usd_per_mtok"] == Decimal("0.289351852")


@pytest.mark.parametrize(
    ("lacking", "reason"), [("output_tokens_per_s", "no_throughput"), ("gpu_hour_usd", "no_gpu_cost")]
)
def test_what_is_not_measured_is_not_guessed(hours: Any, lacking: str, reason: str) -> None:
    """There is no weight of output against input that is right for every model; a GPU without a price is not free."""
    [cost], rates = hours([call("a", output_text_tokens=1_000, input_uncached_tokens=10)], [RENTED | {lacking: None}])

    assert (cost["cost_status"], cost["cost_reason"], cost["list_cost_usd"]) == ("no_price_at_time", reason, None)
    assert rates[9, "output"]["rate_reason"] == reason


def test_a_price_in_the_book_goes_before_the_derived_one(hours: Any) -> None:
    """The user's own 0.60 a million: 1,000 tokens cost 600 millionths."""
    own = {"provider": "self", "model_id": "acme-8b", "unit": "output", "per_units": 1_000_000, "unit_price": "0.60"}

    [cost], _ = hours([call("a", output_text_tokens=1_000)], [RENTED], book_of([own]))

    assert cost["list_cost_usd"] == usd("0.0006")


def test_a_pool_ends_with_its_dates_and_a_hit_of_the_gateways_cache_takes_no_time(hours: Any) -> None:
    """From the 11th there is no pool: no price; the hit is free and no token of it was served."""
    calls = [
        call("a", output_text_tokens=2_160_000),
        call("b", output_text_tokens=5_000_000, gateway_cache_hit=True),
        call("c", started_at="2026-11-11T09:00:00Z", output_text_tokens=10),
    ]

    [served, hit, later], rates = hours(calls, [RENTED | {"valid_to_date": "2026-11-11"}])

    assert rates[9, "output"]["served_tokens"] == 2_160_000
    assert (served["cost_status"], hit["cost_status"], later["cost_status"]) == ("priced", "free", "no_price_at_time")


def test_the_names_of_pools_are_known(pricing: Pricing) -> None:
    """And a name that an alias gives a pool's model means it."""
    alias = {"provider": "self", "pattern_kind": "exact", "pattern": "chat", "model_id": "acme-8b", "priority": 10}
    book = build_book(
        frame(shipped("prices.csv")), frame([alias]), frame([{"provider": "self", "model_id": "acme-8b"}])
    )

    [row] = pricing.costs([call("a", model_served="chat", output_text_tokens=2_160_000)], book, gpu_pools=[RENTED])

    assert row["list_cost_usd"] == usd("2.49999999912")
    assert not [text for text in book.problems if "acme-8b" in text]
