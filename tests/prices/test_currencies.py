"""Prices that are not stated in USD: converted by the rate of the day, and unknown without one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.paths import DataRoot
from pipelines.summary import unpriced_models
from tests.prices.pricing import Pricing, book_of, request, usd

Cost = Callable[..., dict[str, Any]]
CNY = [
    {"currency": "CNY", "rate_date": "2026-11-01", "fx_rate_to_usd": "0.14"},
    {"currency": "CNY", "rate_date": "2026-11-15", "fx_rate_to_usd": "0.13"},
]


def price(model: str, unit: str, amount: str, currency: str = "CNY", **given: Any) -> dict[str, Any]:
    row = {"provider": "deepseek", "model_id": model, "unit": unit, "per_units": 1_000_000, "unit_price": amount}
    return row | {"currency": currency, "effective_from": "2026-10-01", "source_ref": "price list"} | given


LIST = book_of(
    [
        price("oak", "input", "2"),
        price("oak", "output", "8"),
        price("oak", "web_search", "0.05", per_units=1),
        price("elm", "input", "3"),
        price("elm", "output", "5", "USD"),
    ]
)


def oak(started_at: str, **given: Any) -> dict[str, Any]:
    named = {"request_key": started_at, "provider": "deepseek", "model_served": "oak", "started_at": started_at}
    return request(**named | {"input_uncached_tokens": 1_000_000, "output_text_tokens": 500_000} | given)


def test_trap_38_a_price_in_yuan_costs_dollars_at_the_rate_of_the_day(pricing: Pricing) -> None:
    """Trap 38: 1 M x 2 + 0.5 M x 8 = 6 yuan; x 0.14 = 0.84 on the 14th, x 0.13 = 0.78 from midnight of the 15th."""
    calls = [oak("2026-11-14T23:59:59.999999Z"), oak("2026-11-15T00:00:00Z")]

    before, after = pricing.costs(calls, LIST, fx_rates=CNY)

    said = ("list_cost_usd", "list_cost_native", "price_currency", "fx_rate_to_usd", "fx_rate_date", "cost_status")
    assert [before[name] for name in said] == [
        usd("0.84"),
        Decimal(6),
        "CNY",
        Decimal("0.14"),
        date(2026, 11, 1),
        "priced",
    ]
    assert [after[name] for name in said] == [
        usd("0.78"),
        Decimal(6),
        "CNY",
        Decimal("0.13"),
        date(2026, 11, 15),
        "priced",
    ]


@pytest.mark.parametrize("rates", [[], CNY[1:], [CNY[0] | {"currency": "EUR"}]])
def test_without_a_rate_of_its_day_a_price_is_unknown_and_never_0(pricing: Pricing, rates: list[Any]) -> None:
    """No rate at all, the first one a day later, one of another currency."""
    [row] = pricing.costs([oak("2026-11-14T12:00:00Z")], LIST, fx_rates=rates)

    assert (row["cost_status"], row["cost_reason"]) == ("no_price_at_time", "no_fx_rate")
    assert (row["list_cost_usd"], row["effective_cost_usd"], row["list_cost_native"]) == (None, None, None)


def test_a_unit_that_is_no_token_is_converted_too(pricing: Pricing) -> None:
    """Three searches at 0.05 yuan: 0.15 yuan; x 0.14 = 0.021 dollars."""
    call = request(
        provider="deepseek",
        model_served="oak",
        started_at="2026-11-14T12:00:00Z",
        extra_units={"web_search": Decimal(3)},
    )

    [row] = pricing.costs([call], LIST, fx_rates=CNY)

    assert (row["units_list_cost_usd"], row["list_cost_native"]) == (usd("0.021"), Decimal("0.15"))


def test_a_price_becomes_dollars_once_and_to_nine_places(pricing: Pricing) -> None:
    """2 x 0.137741047 = 0.275482094 a million; 8 x 0.137741047 = 1.101928376; 0.275482094 + 0.550964188 = 0.826446282."""
    rate = [{"currency": "CNY", "rate_date": "2026-11-01", "fx_rate_to_usd": "0.137741047"}]

    [row] = pricing.costs([oak("2026-11-14T12:00:00Z")], LIST, fx_rates=rate)

    assert row["list_cost_usd"] == usd("0.826446282")


def test_classes_in_two_currencies_add_up_in_dollars(pricing: Pricing) -> None:
    """1 M x 3 yuan x 0.14 + 0.5 M x 5 dollars = 0.42 + 2.50; there is no one amount in either currency."""
    [row] = pricing.costs([oak("2026-11-14T12:00:00Z", model_served="elm")], LIST, fx_rates=CNY)

    assert row["list_cost_usd"] == usd("2.92")
    assert (row["price_currency"], row["fx_rate_to_usd"], row["list_cost_native"]) == ("CNY,USD", None, None)


def test_a_price_in_dollars_needs_no_rate(cost: Cost) -> None:
    row = cost(input_uncached_tokens=1_000)

    assert (row["price_currency"], row["fx_rate_to_usd"], row["list_cost_native"]) == ("USD", None, None)


def test_a_contract_may_state_its_price_in_another_currency(cost: Cost) -> None:
    """2.00 euro a million at 1.10: 2.20 dollars, then 10 % off: 1.98; the list stays 2.50."""
    contract = {"provider": "openai", "sequence": 1, "reference_row": 1}
    rows = [
        contract | {"kind": "absolute", "unit": "input", "value": "2.00", "currency": "EUR"},
        contract | {"kind": "multiplier", "value": "0.9"},
    ]
    rate = [{"currency": "EUR", "rate_date": "2026-11-01", "fx_rate_to_usd": "1.1"}]

    row = cost(overrides=rows, fx_rates=rate, input_uncached_tokens=1_000_000)

    assert (row["list_cost_usd"], row["contracted_cost_usd"]) == (usd("2.5"), usd("1.98"))


def test_a_contract_in_a_currency_without_a_rate_leaves_the_cost_unknown(cost: Cost) -> None:
    """The list price would be too much: what was agreed is not known."""
    contract = {"provider": "openai", "kind": "absolute", "unit": "input", "value": "2.00", "currency": "EUR"}

    row = cost(overrides=[contract | {"reference_row": 1}], input_uncached_tokens=1_000_000)

    assert (row["cost_status"], row["cost_reason"]) == ("no_price_at_time", "no_fx_rate")
    assert row["contracted_cost_usd"] is None


def test_what_is_to_be_added_is_the_rate_and_not_the_price(pricing: Pricing, tmp_path: Path) -> None:
    """Two calls of 1.5 M tokens; the model without any price is still to have one."""
    calls = [oak("2026-11-14T12:00:00Z"), oak("2026-11-15T12:00:00Z"), request(model_served="gpt-7", total_tokens=10)]
    pricing.costs(calls, LIST)

    rate, price = unpriced_models(pricing.con, Decimal(0), DataRoot(tmp_path))

    assert (rate["table"], rate["row"]) == ("fx_rates.csv", "CNY,2026-11-14,<USD for one CNY>,")
    assert rate["why"] == "no price: 2 calls, 3,000,000 tokens since 2026-11-14"
    assert (price["table"], price["row"]) == ("prices.csv", "openai,gpt-7,input,1000000,<price>,USD" + "," * 16)
