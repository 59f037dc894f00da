"""The worked examples of the pricing specification, section 3, exact to the last digit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.prices.pricing import usd

Cost = Callable[..., dict[str, Any]]


def test_cache_writes_are_priced_beside_uncached_input(cost: Cost) -> None:
    """Example 1: 6 x 5 + 159217 x 6.25 + 2745 x 25 = 1063761.25 (bifrost#3451; trap 3)."""
    row = cost(
        provider="anthropic",
        model_served="claude-opus-4-7",
        input_uncached_tokens=6,
        cache_write_5m_tokens=159_217,
        output_text_tokens=2_745,
    )

    assert row["list_cost_usd"] == usd("1.06376125")


def test_gemini_cached_tokens_are_not_counted_twice(cost: Cost) -> None:
    """Example 2: 3914 x 0.5 + 16298 x 0.05 + 931 x 3 = 5564.9 (pi#2148)."""
    row = cost(
        provider="google",
        model_served="gemini-3-flash-preview",
        input_uncached_tokens=3_914,
        cache_read_tokens=16_298,
        output_text_tokens=931,
    )

    assert row["list_cost_usd"] == usd("0.0055649")


def test_cached_tokens_cost_the_cached_rate_only(cost: Cost) -> None:
    """Example 3: 86 x 2.5 + 1920 x 1.25 + 300 x 10 = 5615, not 10415 (litellm#6215; trap 1)."""
    row = cost(input_uncached_tokens=86, cache_read_tokens=1_920, output_text_tokens=300)

    assert row["list_cost_usd"] == usd("0.005615")


def test_reasoning_inside_output_is_priced_once(cost: Cost) -> None:
    """Example 4: 538 x 0.25 + 2208 x 0.025 + (133 + 64) x 2 = 583.7 (logfire#1316)."""
    row = cost(
        model_served="gpt-5-mini",
        input_uncached_tokens=538,
        cache_read_tokens=2_208,
        output_text_tokens=133,
        output_reasoning_tokens=64,
    )

    assert row["list_cost_usd"] == usd("0.0005837")
    assert row["output_reasoning_list_cost_usd"] == usd("0.000128")


def test_a_bedrock_geography_costs_a_tenth_more(cost: Cost) -> None:
    """Example 5: 3 x 3.3 + 25 x 4.125 + 13216 x 0.33 + 12 x 16.5 = 4672.305 (phoenix#10036)."""
    row = cost(
        provider="bedrock",
        model_served="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        input_uncached_tokens=3,
        cache_write_5m_tokens=25,
        cache_read_tokens=13_216,
        output_text_tokens=12,
    )

    assert row["list_cost_usd"] == usd("0.004672305")


def test_bedrock_global_costs_the_base_price(cost: Cost) -> None:
    """Example 11: 4299 x 3 + 35574 x 0.3 + 17787 x 3.75 + 631 x 15 = 99735.45 (phoenix#13379; trap 9)."""
    row = cost(
        provider="bedrock",
        model_served="global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        input_uncached_tokens=4_299,
        cache_read_tokens=35_574,
        cache_write_5m_tokens=17_787,
        output_text_tokens=631,
    )

    assert row["list_cost_usd"] == usd("0.09973545")


def test_an_openrouter_name_is_priced(cost: Cost) -> None:
    """Example 6: 5156 x 0.15 + 21 x 0.6 = 786 (PostHog#32295; trap 30)."""
    row = cost(
        provider="openrouter",
        model_served="openai/gpt-4o-mini",
        input_uncached_tokens=5_156,
        output_text_tokens=21,
    )

    assert row["list_cost_usd"] == usd("0.000786")


def test_the_served_priority_tier_is_priced(cost: Cost) -> None:
    """Example 7: 9 x 4.25 + 1 x 17 = 55.25 (litellm#37046; trap 23)."""
    row = cost(service_tier="priority", input_uncached_tokens=9, output_text_tokens=1)

    assert (row["cost_status"], row["list_cost_usd"]) == ("priced", usd("0.00005525"))


def test_gemini_thoughts_are_output(cost: Cost) -> None:
    """Example 8: 1500 x 1.25 + 10000 x 0.125 + 11000 x 10 = 113125 (Google developer forum 107349)."""
    row = cost(
        provider="google",
        model_served="gemini-2.5-pro",
        input_uncached_tokens=1_500,
        cache_read_tokens=10_000,
        output_text_tokens=1_000,
        output_reasoning_tokens=10_000,
    )

    assert row["list_cost_usd"] == usd("0.113125")


@pytest.mark.parametrize(
    ("started_at", "expected"),
    [("2026-08-20T23:59:59.999999Z", "0.019613"), ("2026-08-21T00:00:00Z", "0.0154504")],
)
def test_the_price_of_the_instant_counts(cost: Cost, started_at: str, expected: str) -> None:
    """Examples 9 and 10: 849 x 5 + 27136 x 0.5 + 60 x 30 = 19613; from 08-21 849 x 4 + 27136 x 0.4 + 60 x 20 = 15450.4 (ccusage#1636)."""
    row = cost(
        model_served="gpt-5.6-sol",
        started_at=started_at,
        input_uncached_tokens=849,
        cache_read_tokens=27_136,
        output_text_tokens=60,
    )

    assert row["list_cost_usd"] == usd(expected)


def test_above_the_threshold_every_token_costs_the_upper_price(cost: Cost) -> None:
    """Example 12: 300000 x 6 + 1000 x 22.5 = 1822500, output too (claude-sonnet-4 in the 1M beta)."""
    row = cost(
        provider="anthropic",
        model_served="claude-sonnet-4-20250514",
        started_at="2025-12-01T00:00:00Z",
        input_uncached_tokens=300_000,
        output_text_tokens=1_000,
    )

    assert row["list_cost_usd"] == usd("1.8225")


def test_every_worked_example_of_the_specification_is_here() -> None:
    said = re.findall(r'"""Examples? (\d+)(?: and (\d+))?:', Path(__file__).read_text(encoding="utf-8"))

    assert sorted(int(number) for pair in said for number in pair if number) == list(range(1, 13))
