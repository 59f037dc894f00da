"""Counts, dollars and a tier that stand beside the usage object of an application's log: at the top of a record or in its metadata."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import FATES, lines, read, tokens

OPENAI = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 400},
}
ANTHROPIC = {"input_tokens": 600, "output_tokens": 100, "cache_read_input_tokens": 400}
SAME = {
    "prompt_tokens": 1000,
    "input_tokens": 1000,
    "completion_tokens": 100,
    "output_tokens": 100,
    "total_tokens": 1100,
    "cached_tokens": 400,
    "inputTokens": 1000,
    "outputTokens": 100,
    "tokens": 1100,
    "tokens_in": 1000,
    "tokens_out": 100,
}


def call(name: str, usage: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    plain = {
        "id": name,
        "timestamp": "2026-11-18T12:00:00Z",
        "provider": "openai",
        "api": "openai.chat",
        "model": "gpt-5.4",
        "usage": OPENAI if usage is None else usage,
    }
    return plain | more


CLAUDE = {"provider": "anthropic", "api": "anthropic.messages", "model": "claude-sonnet-4-6"}
# Dollars of a call by the name and place in which they are stated.
DOLLARS: dict[str, dict[str, Any]] = {
    "total_cost": {"total_cost": 0.0125},
    "costUSD": {"costUSD": "0.0125"},
    "cost": {"cost": 0.0125},
    "response_cost": {"response_cost": 0.0125},
    "spend": {"spend": 0.0125},
    "spend_usd": {"spend_usd": 0.0125},
    "ticks": {"cost_in_usd_ticks": 125_000_000},
    "cents": {"cost_cents": 1.25},
    "micro": {"cost_microusd": 12_500},
    "nested": {"cost": {"total": 0.0125}},
    "metadata": {"metadata": {"total_cost": 0.0125, "cost_centre": 4711}},
    "metadata as text": {"metadata": '{"llm_cost_usd": 0.0125}'},
}
RECORDS = [
    call("plain"),
    call("same", **SAME),
    call("same in metadata", metadata=SAME),
    call("same anthropic", ANTHROPIC, **CLAUDE, input_tokens=600, output_tokens=100, cached_tokens=400, total_tokens=700),
    call("plain anthropic", ANTHROPIC, **CLAUDE),
    call("no api", api=None, input_tokens=1000),
    call("written", cache_write_tokens=50),
    call("written in metadata", metadata={"cache_creation_tokens": "50"}),
    call("thought", metadata={"reasoning_tokens": 30}),
    call("named", blue_tokens=7, metadata={"green_tokens": 9, "team": "x"}),
    call("searched", metadata={"num_web_searches": 2}),
    call("no count", max_tokens=4096, estimated_tokens=900, tokens_per_second=80, context_window_tokens=200_000, metadata={"token_budget": 5000}),
    call("text", metadata={"secret_token": "sk-123", "tokens": "NaN", "prompt_tokens": "many", "total_cost": "free"}),
    call("total", {"prompt_tokens": 80, "completion_tokens": 23}, total_tokens=18_114),
    {**call("null"), "usage": None, "prompt_tokens": 10, "completion_tokens": 5},
    call("tier", metadata={"service_tier": "priority"}),
    call("own tier", service_tier="flex", metadata={"service_tier": "priority"}),
    call("answered tier", {**OPENAI, "service_tier": "default"}, service_tier="auto", metadata={"service_tier": "priority"}),
    call("left to it", service_tier="auto", metadata={"serviceTier": "flex"}),
    call("both", cost_usd=0.5, total_cost=0.7),
    call("limits", cost_limit=5, input_cost=0.004, cost_center=12, daily_cost=88.0, cost_eur=0.01),
    *(call(f"usd {name}", **of) for name, of in DOLLARS.items()),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = DataRoot(tmp_path_factory.mktemp("beside") / "books")
    landed = read(root, {"app_log/a/calls.jsonl": lines(*RECORDS)}, FATES)
    assert landed.files()["app_log/a/calls.jsonl"]["quarantined"] == 0
    return landed.calls()


@pytest.mark.parametrize(
    ("name", "plain"), [("same", "plain"), ("same in metadata", "plain"), ("same anthropic", "plain anthropic"), ("no api", "plain"), ("no count", "plain")]
)  # fmt: skip
def test_what_is_said_twice_counts_once(told: dict[str, dict[str, Any]], name: str, plain: str) -> None:
    """400 of 1,000 are cached, 100 come out: however often and by whatever names it is said."""
    assert tokens(told[name]) == tokens(told[plain])
    assert told[name]["unread_usage"] is None
    assert told[name]["usage_shape"] == told[plain]["usage_shape"]


def test_what_the_object_lacks_is_read(told: dict[str, dict[str, Any]]) -> None:
    """50 tokens were written to the cache, of those that the object counts as input: 1,000 = 550 + 400 + 50."""
    for name in ("written", "written in metadata"):
        assert tokens(told[name]) | {"output_text": 100} == {
            "input_uncached": 550,
            "cache_read": 400,
            "cache_write": 50,
            "output_text": 100,
        }
    assert tokens(told["thought"])["output_reasoning"] == 30
    assert tokens(told["thought"])["output_text"] == 70
    assert told["searched"]["extra_units"] == {"web_search": 2}
    assert tokens(told["null"]) == {"input_uncached": 10, "output_text": 5}


def test_what_no_rule_reads_is_named(told: dict[str, dict[str, Any]]) -> None:
    """Counts by their names; 18,114 - 103 = 18,011 tokens of a total that no class has."""
    assert told["named"]["unread_usage"] == {"blue_tokens": 7, "green_tokens": 9}
    assert told["total"]["provider_total_tokens"] == 18_114
    assert told["text"]["unread_usage"] is None


def test_the_tier_of_the_metadata_is_that_of_a_record_without_one(told: dict[str, dict[str, Any]]) -> None:
    names = ("tier", "own tier", "answered tier", "left to it", "plain")
    assert [told[name]["service_tier"] for name in names] == ["priority", "flex", "default", "flex", None]


@pytest.mark.parametrize("name", DOLLARS)
def test_dollars_beside_the_object_are_kept(told: dict[str, dict[str, Any]], name: str) -> None:
    row = told[f"usd {name}"]
    assert (row["cost_reported_usd"], row["cost_reported_basis"]) == (Decimal("0.0125"), "user_supplied")


def test_a_limit_or_a_part_is_no_cost_of_the_call(told: dict[str, dict[str, Any]]) -> None:
    """And the column that the format has goes before others."""
    assert told["limits"]["cost_reported_usd"] is None
    assert told["both"]["cost_reported_usd"] == Decimal("0.5")
    assert told["text"]["cost_reported_usd"] is None
