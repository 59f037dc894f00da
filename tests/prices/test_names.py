"""Model names: what must resolve, what must not, and what a name says about the region."""

from __future__ import annotations

from typing import Any

import pytest

from tests.prices.pricing import Pricing, book_of, request, shipped_book


def resolve(pricing: Pricing, provider: str, model: str, **given: Any) -> dict[str, Any]:
    aliases = given.pop("aliases", None)
    book = book_of(aliases=aliases) if aliases else shipped_book()
    pricing.load([request(provider=provider, model_served=model, **given)], book)
    [row] = pricing.rows("ledger_models", "model_raw")
    return row


@pytest.mark.parametrize(
    ("provider", "name", "model", "region"),
    [
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro", None),
        ("google", "gemini/gemini-2.5-flash", "gemini-2.5-flash", None),
        ("vertex", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro", None),
        (
            "vertex",
            "projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro",
            "gemini-2.5-pro",
            None,
        ),
        ("vertex", "claude-haiku-4-5@20251001", "claude-haiku-4-5", None),
        ("vertex", "claude-haiku-4-5@default", "claude-haiku-4-5", None),
        (
            "bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us",
        ),
        (
            "bedrock",
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "global",
        ),
        (
            "bedrock",
            "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "gov",
        ),
        (
            "bedrock",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            None,
        ),
        (
            "bedrock",
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "eu",
        ),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "amazon.nova-lite-v1:0",
            None,
        ),
        ("openrouter", "openai/gpt-4o-mini", "openai/gpt-4o-mini", None),
        ("openrouter", "openrouter/anthropic/claude-3.5-sonnet", "anthropic/claude-3.5-sonnet", None),
        ("openai", "ft:gpt-4o-2024-08-06:our-org::abc123", "ft:gpt-4o", None),
        ("openai", "openai/gpt-4o", "gpt-4o", None),
        ("openai", "GPT-4o", "gpt-4o", None),
        ("openai", "gpt-5.6-sol-20260701", "gpt-5.6-sol", None),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5", None),
        ("anthropic", "claude-3-5-haiku-20241022", "claude-3-5-haiku-latest", None),
    ],
)
def test_a_name_of_the_field_resolves(
    pricing: Pricing, provider: str, name: str, model: str, region: str | None
) -> None:
    """Section 5; traps 27, 29 and 30."""
    row = resolve(pricing, provider, name)

    assert (row["model_canonical"], row["region_class"]) == (model, region)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("google", "gemini-2.5-flash-ultra"),
        ("google", "gemini-1.5-flash-8b"),
        ("google", "gemini-2.5-pro-tts"),
        ("anthropic", "claude-opus-4-55"),
        ("openai", "gpt-4o-mini-super"),
        ("groq", "openai/gpt-oss-120b-safeguard"),
        ("azure", "my-gpt4o-deployment"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x1y2z3"),
    ],
)
def test_a_prefix_never_prices_a_new_member(pricing: Pricing, provider: str, name: str) -> None:
    """Traps 22, 26, 27, 28."""
    row = resolve(pricing, provider, name)

    assert row["model_canonical"] is None or row["model_canonical"].startswith(name)


def test_an_alias_of_the_user_wins_and_is_dated(pricing: Pricing) -> None:
    """A deployment that moved from gpt-4o to gpt-4.1 on 2026-11-15."""
    aliases = [
        {
            "provider": "azure",
            "pattern_kind": "exact",
            "pattern": "chat-prod",
            "model_id": model,
            "priority": 10,
            "valid_from_date": start,
            "valid_to_date": end,
            "source_ref": "operations",
        }
        for model, start, end in (("gpt-4o", None, "2026-11-15"), ("gpt-4.1", "2026-11-15", None))
    ]
    calls = [
        request(request_key=day, provider="azure", model_served="chat-prod", started_at=f"{day}T12:00:00Z")
        for day in ("2026-11-14", "2026-11-15")
    ]
    pricing.load(calls, book_of(aliases=aliases))

    assert [row["model_canonical"] for row in pricing.rows("ledger_models", "usage_date")] == ["gpt-4o", "gpt-4.1"]


def test_exact_before_prefix_before_regex_then_priority(pricing: Pricing) -> None:
    """Section 5: the kind decides before the priority number."""

    def alias(kind: str, pattern: str, model: str, priority: int) -> dict[str, Any]:
        return {
            "provider": "openai",
            "pattern_kind": kind,
            "pattern": pattern,
            "model_id": model,
            "priority": priority,
            "source_ref": "test",
        }

    aliases = [
        alias("regex", "^house-.*$", "gpt-5", 1),
        alias("prefix", "house-", "gpt-4.1", 20),
        alias("prefix", "house-s", "gpt-4o-mini", 10),
        alias("exact", "house-x", "gpt-4o", 90),
    ]
    names = {"house-x": "gpt-4o", "house-y": "gpt-4.1", "house-small": "gpt-4o-mini"}
    pricing.load([request(request_key=name, model_served=name) for name in names], book_of(aliases=aliases))

    found = {row["model_raw"]: row["model_canonical"] for row in pricing.rows("ledger_models", "model_raw")}
    assert found == names


def test_one_row_a_day_seller_and_name(pricing: Pricing) -> None:
    """Three calls with one name on two days are two rows."""
    days = ("2026-11-14T01:00:00Z", "2026-11-14T02:00:00Z", "2026-11-15T01:00:00Z")
    pricing.load([request(request_key=day, started_at=day) for day in days], book_of())

    assert len(pricing.rows("ledger_models", "usage_date")) == 2
