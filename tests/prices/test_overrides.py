"""Negotiated prices, multipliers and uplifts: PRICING section 7."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.prices.pricing import Pricing, request, usd

Cost = Callable[..., dict[str, Any]]


def override(**given: Any) -> dict[str, Any]:
    return {"provider": "openai", "kind": "multiplier", "value": "0.9", "sequence": 10, "reference_row": 1} | given


def test_a_multiplier_lowers_what_is_owed_and_not_the_list(cost: Cost) -> None:
    """1000 x 2.5 = 2500 at list, x 0.9 = 2250 owed."""
    row = cost(overrides=[override()], input_uncached_tokens=1_000)

    assert (row["list_cost_usd"], row["contracted_cost_usd"]) == (usd("0.0025"), usd("0.00225"))
    assert row["effective_cost_usd"] == row["input_uncached_cost_usd"] == usd("0.00225")
    assert row["input_uncached_list_cost_usd"] == usd("0.0025")


def test_absolute_comes_before_multipliers_whatever_its_sequence(cost: Cost) -> None:
    """Negotiated 2.0, then x 0.9, then +10 %: 2.0 x 0.9 x 1.1 = 1.98; 1000 tokens cost 1980."""
    rows = [
        override(sequence=1),
        override(kind="uplift", value="0.10", sequence=2),
        override(kind="absolute", unit="input", value="2.0", sequence=99),
    ]

    row = cost(overrides=rows, input_uncached_tokens=1_000)

    assert (row["list_cost_usd"], row["contracted_cost_usd"]) == (usd("0.0025"), usd("0.00198"))


def test_the_price_is_rounded_once_to_nine_places(cost: Cost) -> None:
    """2.5 x 0.33333333 x 0.33333333 = 0.27777777222222225, cast once to 0.277777772."""
    rows = [override(value="0.33333333", sequence=n, reference_row=n) for n in (1, 2)]

    row = cost(overrides=rows, input_uncached_tokens=1_000_000)

    assert row["contracted_cost_usd"] == usd("0.277777772")


def test_a_unit_that_is_not_named_keeps_its_price(cost: Cost) -> None:
    """Residency of 1.1 on input only: 1000 x 2.75 + 1000 x 10 = 12750."""
    row = cost(
        overrides=[override(kind="uplift", value="0.1", unit="input")],
        input_uncached_tokens=1_000,
        output_text_tokens=1_000,
    )

    assert row["contracted_cost_usd"] == usd("0.01275")


@pytest.mark.parametrize(
    ("scope", "matching"),
    [
        ("billing_account_id=acc-1", {"billing_account_id": "acc-1"}),
        ("project_id=p-1", {"attributes": {"project_id": "p-1"}}),
        ("feature=search", {"feature": "search"}),
        ("customer_id=c-1", {"customer_id": "c-1"}),
    ],
)
def test_a_scope_limits_an_override(pricing: Pricing, scope: str, matching: dict[str, Any]) -> None:
    """Of two calls of 1000 x 2.5 only the one in scope costs 2250."""
    calls = [
        request(request_key="in", input_uncached_tokens=1_000, **matching),
        request(request_key="out", input_uncached_tokens=1_000),
    ]

    inside, outside = pricing.costs(calls, overrides=[override(scope=scope)])

    assert (inside["effective_cost_usd"], outside["effective_cost_usd"]) == (usd("0.00225"), usd("0.0025"))


def test_an_override_starts_and_ends_at_its_instants(pricing: Pricing) -> None:
    """0.9 from 06:00 to 07:00 of a day."""
    window = override(effective_from="2026-11-15T06:00:00Z", effective_to="2026-11-15T07:00:00Z")
    calls = [
        request(request_key=clock, started_at=f"2026-11-15T{clock}Z", input_uncached_tokens=1_000)
        for clock in ("05:59:59.999999", "06:00:00", "06:59:59.999999", "07:00:00")
    ]

    found = [row["effective_cost_usd"] for row in pricing.costs(calls, overrides=[window])]

    assert found == [usd("0.0025"), usd("0.00225"), usd("0.00225"), usd("0.0025")]


def test_a_negotiated_price_stands_in_for_a_missing_list_price(cost: Cost) -> None:
    """gpt-4o has no 1-hour cache write; a contract says 4.00 per million: 1000 x 4 = 4000."""
    rows = [override(kind="absolute", unit="cache_write_1h", value="4")]

    row = cost(overrides=rows, cache_write_1h_tokens=1_000)

    assert (row["cost_status"], row["list_cost_usd"]) == ("priced", usd("0.004"))


def test_an_override_of_a_tier_leaves_the_standard_price(pricing: Pricing) -> None:
    """Batch at 0.5 of its list price: 1000 x 1.25 x 0.5 = 625; synchronous stays 2500."""
    calls = [
        request(request_key="batch", is_batch=True, input_uncached_tokens=1_000),
        request(request_key="sync", input_uncached_tokens=1_000),
    ]

    batch, sync = pricing.costs(calls, overrides=[override(processing="batch", value="0.5")])

    assert (batch["effective_cost_usd"], sync["effective_cost_usd"]) == (usd("0.000625"), usd("0.0025"))
