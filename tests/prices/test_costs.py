"""Traps of the pricing specification, section 16, and the rules of ledger_costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import TOKEN_CLASS_NAMES
from tests.prices.pricing import Pricing, book_of, request, usd
from tests.prices.together import Cost, Costs, priced_together

CLASSES = [*(name.removesuffix("_tokens") for name in TOKEN_CLASS_NAMES), "units"]


@priced_together
def test_gemini_input_side(cost: Cost) -> Costs:
    """Trap 2: 933 x 2 + 69905 x 0.2 = 15847, not 155657."""
    row = yield cost(
        provider="google",
        model_served="gemini-3.1-pro-preview",
        input_uncached_tokens=933,
        cache_read_tokens=69_905,
        output_text_tokens=0,
    )

    assert row["list_cost_usd"] == usd("0.015847")


@priced_together
def test_a_cache_write_is_not_free(cost: Cost) -> Costs:
    """Trap 4: 1000 x 3.75 = 3750; a write of unstated lifetime costs the 5-minute price."""
    for name in ("cache_write_5m_tokens", "cache_write_tokens"):
        row = yield cost(provider="anthropic", model_served="claude-sonnet-4-5", **{name: 1_000})
        assert row["list_cost_usd"] == usd("0.00375")


@priced_together
def test_a_one_hour_write_costs_twice_the_input(cost: Cost) -> Costs:
    """Trap 5: 9634 x 10 = 96340, not the 5-minute 60212.5."""
    row = yield cost(provider="anthropic", model_served="claude-opus-4-8", cache_write_1h_tokens=9_634)

    assert row["list_cost_usd"] == usd("0.09634")


@priced_together
def test_a_one_hour_write_in_batch_costs_the_base_input(cost: Cost) -> Costs:
    """Trap 6: 2 x 0.5 = 1 times 5 per million: 1000 x 5 = 5000."""
    row = yield cost(provider="anthropic", model_served="claude-opus-4-8", is_batch=True, cache_write_1h_tokens=1_000)

    assert row["list_cost_usd"] == usd("0.005")


@priced_together
def test_reasoning_is_output_and_billed_once(cost: Cost) -> Costs:
    """Trap 11: 250 text and 750 reasoning tokens of gpt-5 are 1000 x 10 = 10000."""
    row = yield cost(model_served="gpt-5", output_text_tokens=250, output_reasoning_tokens=750)

    assert row["list_cost_usd"] == usd("0.01")


@pytest.mark.parametrize(("uncached", "expected"), [(200_000, "0.25"), (200_001, "0.5000025")])
@priced_together
def test_the_threshold_is_exclusive_for_google(cost: Cost, uncached: int, expected: str) -> Costs:
    """Trap 19: 200000 x 1.25 = 250000; 200001 x 2.50 = 500002.5, for every token."""
    row = yield cost(provider="google", model_served="gemini-2.5-pro", input_uncached_tokens=uncached)

    assert row["list_cost_usd"] == usd(expected)


@priced_together
def test_cached_tokens_count_against_the_threshold(cost: Cost) -> Costs:
    """Trap 19: 1 + 200000 tokens are above it: 1 x 2.5 + 200000 x 0.25 = 50002.5."""
    row = yield cost(
        provider="google", model_served="gemini-2.5-pro", input_uncached_tokens=1, cache_read_tokens=200_000
    )

    assert row["list_cost_usd"] == usd("0.0500025")


@priced_together
def test_the_threshold_is_inclusive_for_xai(cost: Cost) -> Costs:
    """Trap 20: 199999 tokens are in the lower range, 200000 in the upper, at twice the price."""
    below = yield cost(provider="xai", model_served="grok-4.3", input_uncached_tokens=199_999)
    at = yield cost(provider="xai", model_served="grok-4.3", input_uncached_tokens=200_000)

    assert below["list_cost_usd"] is not None
    assert at["list_cost_usd"] * 199_999 == below["list_cost_usd"] * 2 * 200_000


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-5-mini", "0.001125"),
        ("anthropic", "claude-sonnet-4-5", "0.009"),
        ("google", "gemini-2.5-flash", "0.0014"),
        ("mistral", "mistral-large-4", "0.0014"),
    ],
)
@priced_together
def test_batch_costs_half(cost: Cost, provider: str, model: str, expected: str) -> Costs:
    """Trap 21: 1000 in, 1000 out at half price: (0.25 + 2) / 2, (3 + 15) / 2, (0.3 + 2.5) / 2, (0.7 + 2.1) / 2."""
    row = yield cost(
        provider=provider, model_served=model, is_batch=True, input_uncached_tokens=1_000, output_text_tokens=1_000
    )

    assert row["list_cost_usd"] == usd(expected)


@priced_together
def test_cached_tokens_of_gemini_are_not_halved_in_batch(cost: Cost) -> Costs:
    """Trap 21: 1000 x 0.15 + 1000 x 0.03 = 180."""
    row = yield cost(
        provider="google",
        model_served="gemini-2.5-flash",
        is_batch=True,
        input_uncached_tokens=1_000,
        cache_read_tokens=1_000,
    )

    assert row["list_cost_usd"] == usd("0.00018")


@priced_together
def test_cached_tokens_in_a_batch_without_a_listed_price_are_not_guessed(cost: Cost) -> Costs:
    """Trap 21: o3 has no cached price in batch: unknown_tier; the part with a price (1000 x 1) is the estimate."""
    row = yield cost(model_served="o3", is_batch=True, input_uncached_tokens=1_000, cache_read_tokens=1_000)

    assert (row["cost_status"], row["cost_reason"], row["list_cost_usd"]) == (
        "unknown_tier",
        "no_row_for_a_class",
        None,
    )
    assert row["cost_estimate_usd"] == usd("0.001")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-7"),
        ("anthropic", "claude-opus-9"),
        ("google", "gemini-9-pro"),
        ("openai", "gpt-4o-2031-01-01"),
        ("groq", "openai/gpt-oss-120b-next"),
        ("azure", "our-deployment"),
        ("azure", "gpt-4"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12cd34"),
    ],
)
@priced_together
def test_an_unknown_model_costs_null_and_never_zero(cost: Cost, provider: str, model: str) -> Costs:
    """Traps 22, 26, 27, 28: a family prefix never prices a new member; deployments need the user's own table."""
    row = yield cost(provider=provider, model_served=model, input_uncached_tokens=1_000)

    assert (row["cost_status"], row["list_cost_usd"], row["effective_cost_usd"]) == ("unknown_model", None, None)


@priced_together
def test_the_served_tier_counts_not_the_requested(cost: Cost) -> Costs:
    """Trap 23: served 'default' is the standard price, 9 x 2.5 + 1 x 10 = 32.5."""
    row = yield cost(service_tier="default", input_uncached_tokens=9, output_text_tokens=1)

    assert row["list_cost_usd"] == usd("0.0000325")


@priced_together
def test_a_tier_without_a_price_is_an_estimate_at_most(cost: Cost) -> Costs:
    """Trap 23: gpt-5-nano has no priority price: unknown_tier, estimate at standard 1000 x 0.05 = 50, no total."""
    row = yield cost(model_served="gpt-5-nano", service_tier="priority", input_uncached_tokens=1_000)

    assert (row["cost_status"], row["list_cost_usd"]) == ("unknown_tier", None)
    assert row["cost_estimate_usd"] == usd("0.00005")


@priced_together
def test_a_dated_alias_has_the_tiers_of_its_family(cost: Cost) -> Costs:
    """Trap 24: gpt-4o-2024-08-06 in priority costs what gpt-4o does, 55.25."""
    row = yield cost(
        model_served="gpt-4o-2024-08-06", service_tier="priority", input_uncached_tokens=9, output_text_tokens=1
    )

    assert row["list_cost_usd"] == usd("0.00005525")


@priced_together
def test_a_snapshot_with_its_own_price_is_not_its_family(cost: Cost) -> Costs:
    """Trap 25: gpt-4o-2024-05-13 is 5 / 15, gpt-4o 2.5 / 10."""
    old = yield cost(model_served="gpt-4o-2024-05-13", input_uncached_tokens=1_000, output_text_tokens=1_000)
    new = yield cost(model_served="gpt-4o", input_uncached_tokens=1_000, output_text_tokens=1_000)

    assert (old["list_cost_usd"], new["list_cost_usd"]) == (usd("0.02"), usd("0.0125"))


@priced_together
def test_a_preview_is_priced_as_its_own_name(cost: Cost) -> Costs:
    """Trap 26: gemini-2.5-flash-preview-09-2025 is 0.3 / 2.5, the older previews 0.15 / 0.6."""
    row = yield cost(
        provider="google",
        model_served="gemini-2.5-flash-preview-09-2025",
        input_uncached_tokens=1_000,
        output_text_tokens=1_000,
    )

    assert row["list_cost_usd"] == usd("0.0028")


@priced_together
def test_many_small_costs_add_up_exactly(cost: Cost) -> Costs:
    """Trap 33: a million times 1 token at 2.85 per million is 2.85, not 2.8499999999986962."""
    price = {"provider": "self", "model_id": "m", "unit": "input", "per_units": 1_000_000, "unit_price": "2.85"}
    row = yield cost(book=book_of([price]), provider="self", model_served="m", input_uncached_tokens=1)

    assert row["list_cost_usd"] * 1_000_000 == usd("2.85")


@priced_together
def test_a_gateway_cache_hit_is_free(cost: Cost) -> Costs:
    """Trap 34: a hit of the gateway's own cache costs exactly 0 and says why, even where old usage is repeated."""
    for tokens in (0, 1_000):
        row = yield cost(gateway_cache_hit=True, input_uncached_tokens=tokens, output_text_tokens=0)
        assert (row["cost_status"], row["cost_reason"]) == ("free", "cache_hit")
        assert (row["list_cost_usd"], row["effective_cost_usd"]) == (0, 0)


@priced_together
def test_a_stated_cost_stands_beside_ours(cost: Cost) -> Costs:
    """Trap 35, A6, A7, C4, C6: 1000 x 2.5 = 2500 is booked whatever a gateway stated, and what it stated is kept."""
    for stated in ("0.003", "0.000292", "0.025"):
        row = yield cost(input_uncached_tokens=1_000, cost_reported_usd=stated, cost_reported_basis="provider_charge")

        assert (row["cost_status"], row["cost_reason"], row["list_cost_usd"]) == ("priced", None, usd("0.0025"))
        assert row["cost_reported_usd"] == usd(stated)


@priced_together
def test_a_stated_cost_is_booked_where_the_book_has_no_row(cost: Cost) -> Costs:
    """BOOKS 8: a model of tomorrow through OpenRouter is booked at OpenRouter's own 0.003, without a split by class."""
    row = yield cost(
        provider="openrouter",
        model_served="maker/of-tomorrow",
        input_uncached_tokens=1_000,
        cost_reported_usd="0.003",
        cost_reported_basis="provider_charge",
    )

    assert (row["cost_status"], row["cost_reason"]) == ("priced", "provider_stated")
    assert (row["list_cost_usd"], row["effective_cost_usd"]) == (usd("0.003"), usd("0.003"))
    assert row["input_uncached_list_cost_usd"] is None
    assert row["cost_estimate_usd"] is None


@priced_together
def test_a_list_price_of_zero_from_a_gateway_is_no_price(cost: Cost) -> Costs:
    """Traps 22 and 35: gateways write 0 for models they do not know."""
    row = yield cost(
        model_served="gpt-7", input_uncached_tokens=1_000, cost_reported_usd="0", cost_reported_basis="gateway_list"
    )

    assert (row["cost_status"], row["list_cost_usd"]) == ("unknown_model", None)


@priced_together
def test_missing_usage_costs_null(cost: Cost) -> Costs:
    """Trap 15: a stream without usage is not free."""
    row = yield cost(usage_quality="missing")

    assert (row["cost_status"], row["list_cost_usd"], row["cost_estimate_usd"]) == ("no_usage", None, None)


@priced_together
def test_a_negative_remainder_costs_null(cost: Cost) -> Costs:
    """Section 1.2: more cached tokens than prompt tokens is contradictory usage, never clamped."""
    row = yield cost(input_uncached_tokens=0, cache_read_tokens=20, usage_flags=["negative_remainder"])

    assert (row["cost_status"], row["list_cost_usd"]) == ("no_usage", None)


@priced_together
def test_a_failed_call_is_priced_by_its_usage(cost: Cost) -> Costs:
    """Trap 39: 1000 x 2.5 = 2500 whatever the status."""
    row = yield cost(status="error", http_status=500, input_uncached_tokens=1_000)

    assert row["list_cost_usd"] == usd("0.0025")


@pytest.mark.parametrize(
    ("started_at", "expected"),
    [
        ("2026-07-01T02:00:00Z", "0.000435"),
        ("2026-08-17T00:59:59.999999Z", "0.00066"),
        ("2026-08-17T01:00:00Z", "0.00132"),
        ("2026-08-17T03:59:59.999999Z", "0.00132"),
        ("2026-08-17T04:00:00Z", "0.00066"),
        ("2026-08-17T05:59:59.999999Z", "0.00066"),
        ("2026-08-17T06:00:00Z", "0.00132"),
        ("2026-08-17T09:59:59.999999Z", "0.00132"),
        ("2026-08-17T10:00:00Z", "0.00066"),
    ],
)
@priced_together
def test_a_window_of_the_day_holds_from_its_own_date_on(cost: Cost, started_at: str, expected: str) -> Costs:
    """Trap 40: deepseek-v4-pro, 1000 tokens at 0.435 before 2026-08-17, then 0.66, at peak 1.32; ends are exclusive."""
    row = yield cost(
        provider="deepseek", model_served="deepseek-v4-pro", started_at=started_at, input_uncached_tokens=1_000
    )

    assert row["list_cost_usd"] == usd(expected)


@priced_together
def test_a_peak_price_on_a_weekend_is_marked_assumed(cost: Cost) -> Costs:
    """Section 17: one source says weekends are off-peak. 2026-11-14 is a Saturday, 2026-11-13 a Friday."""
    night = {"provider": "deepseek", "model_served": "deepseek-v4-pro", "input_uncached_tokens": 1_000}
    friday = yield cost(started_at="2026-11-13T02:00:00Z", **night)
    saturday = yield cost(started_at="2026-11-14T02:00:00Z", **night)

    assert (friday["cost_status"], saturday["cost_status"]) == ("priced", "assumed")


@priced_together
def test_a_price_without_a_start_is_assumed_before_the_first_version_of_the_package_that_has_it(cost: Cost) -> Costs:
    """BOOKS 8: gpt-4o has no start in the package, whose first version, of 2025-07-12, has it at today's 2.50."""
    before = yield cost(started_at="2025-07-11T23:59:59Z", input_uncached_tokens=1_000)
    after = yield cost(started_at="2025-07-12T00:00:00Z", input_uncached_tokens=1_000)

    assert (before["cost_status"], before["cost_reason"]) == ("assumed", "assumed_price")
    assert (after["cost_status"], after["cost_reason"]) == ("priced", None)
    assert before["list_cost_usd"] == after["list_cost_usd"] == usd("0.0025")


@priced_together
def test_before_the_date_in_its_name_a_model_has_no_price(cost: Cost) -> Costs:
    """13.2.2: gpt-4o-2024-05-13 on 2024-05-12."""
    row = yield cost(model_served="gpt-4o-2024-05-13", started_at="2024-05-12T23:59:59Z", input_uncached_tokens=1_000)

    assert (row["cost_status"], row["list_cost_usd"]) == ("no_price_at_time", None)


@priced_together
def test_a_tier_before_the_day_it_was_listed_is_never_the_standard_price(cost: Cost) -> Costs:
    """13.2.3: o3 flex on 2026-10-01 costs 1000 x 1, assumed, not the standard 1000 x 2."""
    row = yield cost(
        model_served="o3", service_tier="flex", started_at="2026-10-01T00:00:00Z", input_uncached_tokens=1_000
    )

    assert (row["cost_status"], row["list_cost_usd"]) == ("assumed", usd("0.001"))


@priced_together
def test_a_priority_call_above_the_context_threshold_is_not_guessed(cost: Cost) -> Costs:
    """Section 17: no list states gpt-5.4 priority above 272000 tokens; estimate at the standard 272001 x 5."""
    row = yield cost(model_served="gpt-5.4", service_tier="priority", input_uncached_tokens=272_001)

    assert (row["cost_status"], row["cost_reason"]) == ("unknown_tier", "no_row_for_context_length")
    assert row["cost_estimate_usd"] == usd("1.360005")


@priced_together
def test_audio_is_never_priced_as_text(cost: Cost) -> Costs:
    """13.2.6: gpt-4o-mini-audio-preview has no audio price; 100 x 0.15 = 15 is an estimate of the text part only."""
    row = yield cost(model_served="gpt-4o-mini-audio-preview", input_uncached_tokens=100, input_audio_tokens=50)

    assert (row["cost_status"], row["list_cost_usd"]) == ("no_price_at_time", None)
    assert row["cost_estimate_usd"] == usd("0.000015")


@priced_together
def test_a_sum_of_calls_is_priced_at_the_lower_range_and_marked(cost: Cost) -> Costs:
    """Section 6: 300000 tokens of an unknown number of calls: 300000 x 1.25 = 375000, assumed."""
    row = yield cost(
        provider="google",
        model_served="gemini-2.5-pro",
        input_uncached_tokens=300_000,
        usage_flags=["context_tier_unknown"],
    )

    assert (row["cost_status"], row["cost_reason"]) == ("assumed", "context_tier_unknown")
    assert row["list_cost_usd"] == usd("0.375")


@priced_together
def test_a_class_that_is_not_split_out_has_no_cost_and_an_empty_one_costs_zero(cost: Cost) -> Costs:
    """Null tokens give a null class cost, 0 tokens give 0, also where the book has no price (audio of gpt-4o)."""
    row = yield cost(input_uncached_tokens=1_000, input_audio_tokens=0)

    assert row["input_audio_list_cost_usd"] == 0
    assert row["output_text_list_cost_usd"] is None
    assert row["cost_status"] == "priced"


@priced_together
def test_web_searches_are_priced_beside_tokens(cost: Cost) -> Costs:
    """1000 x 2.5 + 3 x 10 / 1000 searches = 0.0025 + 0.03."""
    row = yield cost(input_uncached_tokens=1_000, extra_units={"web_search": Decimal(3)})

    assert (row["units_list_cost_usd"], row["list_cost_usd"]) == (usd("0.03"), usd("0.0325"))


@priced_together
def test_a_unit_without_a_price_makes_the_cost_unknown(cost: Cost) -> Costs:
    """Section 10: a quantity without a rate is never 0; the tokens are the estimate."""
    row = yield cost(input_uncached_tokens=1_000, extra_units={"teleports": Decimal(1)})

    assert (row["cost_status"], row["list_cost_usd"]) == ("no_price_at_time", None)
    assert row["cost_estimate_usd"] == usd("0.0025")


@priced_together
def test_a_model_with_a_zero_price_is_free(cost: Cost) -> Costs:
    """Section 10: 0 comes only from an explicit zero."""
    price = {"provider": "self", "model_id": "m", "unit": "input", "per_units": 1_000_000, "unit_price": "0"}
    row = yield cost(book=book_of([price]), provider="self", model_served="m", input_uncached_tokens=10)

    assert (row["cost_status"], row["cost_reason"], row["list_cost_usd"]) == ("free", "zero_price", 0)


@priced_together
def test_provisioned_throughput_costs_nothing_per_call_and_keeps_its_list_price(cost: Cost) -> Costs:
    """Section 8: 1000 x 1.25 = 1250 is the basis of allocation, the effective cost exactly 0."""
    row = yield cost(
        provider="google",
        model_served="gemini-2.5-pro",
        service_tier="PROVISIONED_THROUGHPUT",
        input_uncached_tokens=1_000,
    )

    assert (row["cost_status"], row["cost_reason"]) == ("free", "provisioned_throughput")
    assert (row["list_cost_usd"], row["contracted_cost_usd"]) == (usd("0.00125"), usd("0.00125"))
    assert (row["effective_cost_usd"], row["input_uncached_cost_usd"]) == (0, 0)


def test_only_billable_rows_are_priced(pricing: Pricing) -> None:
    """One row per billable call; a span that repeats its children has none."""
    rows = pricing.costs(
        [
            request(request_key="leaf", input_uncached_tokens=1_000),
            request(request_key="span", input_uncached_tokens=1_000, is_billable_leaf=False),
        ]
    )

    assert [row["request_key"] for row in rows] == ["leaf"]


def test_an_irrelevant_price_changes_nothing(pricing: Pricing) -> None:
    """A new price of another model, or one of next year, leaves the day's rows as they are, versions included."""
    calls = [request(input_uncached_tokens=1_000)]
    other = {"provider": "self", "model_id": "m", "unit": "input", "per_units": 1_000_000, "unit_price": "1"}
    later = other | {"provider": "openai", "model_id": "gpt-4o", "unit_price": "2", "effective_from": "2027-01-01"}

    assert pricing.costs(calls) == pricing.costs(calls, book_of([other, later]))


def test_a_relevant_price_changes_cost_and_version(pricing: Pricing) -> None:
    """1000 x 2 instead of 1000 x 2.5."""
    calls = [request(input_uncached_tokens=1_000)]
    price = {"provider": "openai", "model_id": "gpt-4o", "unit": "input", "per_units": 1_000_000, "unit_price": "2"}
    [before] = pricing.costs(calls)
    [after] = pricing.costs(calls, book_of([price]))

    assert (before["list_cost_usd"], after["list_cost_usd"]) == (usd("0.0025"), usd("0.002"))
    assert before["book_version"] != after["book_version"]


counts = st.one_of(st.none(), st.integers(0, 3_000_000))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.tuples(counts, counts, counts, counts, counts), min_size=1, max_size=40))
def test_a_cost_is_the_sum_of_its_classes(pricing: Pricing, calls: list[tuple[int | None, ...]]) -> None:
    """Section 2.1, for list and for effective cost, under a discount; the header's own checks run as well."""
    names = (
        "input_uncached_tokens",
        "cache_read_tokens",
        "cache_write_5m_tokens",
        "output_text_tokens",
        "output_reasoning_tokens",
    )
    requests = [
        request(
            request_key=f"r-{number}",
            provider="anthropic",
            model_served="claude-sonnet-4-5",
            **dict(zip(names, tokens, strict=True)),
        )
        for number, tokens in enumerate(calls)
    ]
    discount = {"provider": "anthropic", "kind": "multiplier", "value": "0.87", "sequence": 1}

    for row in pricing.costs(requests, overrides=[discount]):
        if row["list_cost_usd"] is not None:
            assert row["list_cost_usd"] == sum(row[f"{name}_list_cost_usd"] or 0 for name in CLASSES)
            assert row["effective_cost_usd"] == sum(row[f"{name}_cost_usd"] or 0 for name in CLASSES)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 10**9), second=st.integers(0, 10**9))
def test_splitting_a_call_does_not_change_the_total(pricing: Pricing, first: int, second: int) -> None:
    """Prices are linear: the cost of two parts is the cost of the whole, to the last digit. No tokens have no cost."""
    parts = [request(request_key=f"r-{n}", output_text_tokens=n_tokens) for n, n_tokens in enumerate((first, second))]
    whole = request(request_key="whole", output_text_tokens=first + second)

    *split, together = pricing.costs([*parts, whole])

    assert [row["list_cost_usd"] is None for row in split] == [first == 0, second == 0]
    assert sum(row["list_cost_usd"] or 0 for row in split) == (together["list_cost_usd"] or 0)
