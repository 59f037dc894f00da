"""Costs that a tool really computed in 2024, against ours."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.prices.pricing import DATA, Pricing, book_of, request

LOG = DATA / "message_send.jsonl.gz"
SELLERS = {
    "gemini": "google",
    "fireworks_ai": "fireworks",
    **{name: name for name in ("deepseek", "openrouter", "anthropic", "openai", "bedrock", "mistral")},
}
# Costs that the tool took from a list that was out of date: the provider had cut the price before the call. The cut of
# Claude 3.5 Haiku is on Anthropic's page of 2024-12-04 (LibreChat#4851), that of Gemini 1.5 Pro was announced for
# 2024-10-01 (litellm#5874). The public list that the tool read had the first in March 2025 (the map of litellm 1.62.1; that
# of 1.61.11 not yet) and the second never. What the tool logged is what the call would have cost on the day given here.
OLD_LIST = {
    "claude-3-5-haiku-20241022": ("2024-11-20T00:00:00Z", 12),
    "openrouter/anthropic/claude-3-5-haiku-20241022": ("2024-11-20T00:00:00Z", 2),
    "bedrock/us.anthropic.claude-3-5-haiku-20241022-v1:0": ("2024-11-20T00:00:00Z", 1),
    "gemini/gemini-1.5-pro": ("2024-09-30T00:00:00Z", 2),
    "gemini/gemini-1.5-pro-001": ("2024-09-30T00:00:00Z", 2),
    "gemini/gemini-1.5-pro-002": ("2024-09-30T00:00:00Z", 2),
}
# The tool's list had the output of this name ten times too low, 1.05 for 10.50 (litellm maps 1.53.1 to 1.81.10).
WRONG_LIST = {"gemini/gemini-1.5-pro-latest": (Decimal("3.5"), Decimal("1.05"), 6)}
# The log counts cached tokens as prompt tokens. Prices of a read and of a write, and of the other classes.
HIDDEN_CACHE = {
    "claude-3-5-sonnet-20241022": (Decimal("0.30"), Decimal("3.75"), Decimal(3), Decimal(15), 20),
    "claude-3-5-haiku-20241022": (Decimal("0.10"), Decimal("1.25"), Decimal(1), Decimal(5), 1),
}


def _calls() -> tuple[list[dict[str, Any]], dict[str, tuple[str, Decimal]]]:
    calls, logged = [], {}
    with gzip.open(LOG, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file):
            record = json.loads(line, parse_float=Decimal)
            said = record["properties"]
            name = said.get("main_model")
            if name in (None, "None") or "REDACTED" in name:
                continue
            route = name.split("/")[0] if "/" in name else None
            by_name = "anthropic" if name.startswith("claude") else "google" if name.startswith("gemini") else "openai"
            calls.append(
                request(
                    request_key=f"call-{number:05}",
                    started_at=datetime.fromtimestamp(record["time"], UTC).isoformat(),
                    provider=SELLERS.get(route, route) if route else by_name,
                    model_served=name,
                    input_uncached_tokens=said["prompt_tokens"],
                    output_text_tokens=said["completion_tokens"],
                )
            )
            logged[f"call-{number:05}"] = (name, Decimal(said["cost"]))
    return calls, logged


def _equal(ours: Decimal | None, logged: Decimal) -> bool:
    return ours is not None and abs(ours - logged) <= logged * Decimal("1e-9")


def _hidden(call: dict[str, Any], name: str, logged: Decimal) -> bool:
    """Whether whole numbers of the prompt's tokens, read from and written to the cache, make the logged cost."""
    if name not in HIDDEN_CACHE:
        return False
    read, write, uncached, output, _ = HIDDEN_CACHE[name]
    prompt = call["input_uncached_tokens"]
    excess = round(logged * 1_000_000, 6) - prompt * uncached - call["output_text_tokens"] * output
    return any(
        (excess + reads * (uncached - read)) % (write - uncached) == 0
        and 0 <= (excess + reads * (uncached - read)) / (write - uncached) <= prompt - reads
        for reads in range(prompt + 1)
    )


def test_calls_of_2024_cost_what_was_logged(pricing: Pricing) -> None:
    """1,725 calls with a model name, all priced but one that was logged without a token and without a cost; 1,676 cost what was logged,
    and each of the other 48 has its reason.

    97.2 % at the prices in force. As the public list stood on the day of the call, cuts not yet in it and one misprint of
    its own, 1,703 (98.8 % of those with tokens); the other 21 with the cached tokens that the log hides.
    """
    calls, logged = _calls()
    by_key = {call["request_key"]: call for call in calls}

    rows = pricing.costs(calls, book_of())
    empty = {row["request_key"] for row in rows if row["cost_status"] == "no_usage"}
    costs = {row["request_key"]: row["list_cost_usd"] for row in rows if row["request_key"] not in empty}
    differing = {key for key, ours in costs.items() if not _equal(ours, logged[key][1])}
    earlier = [
        by_key[key] | {"started_at": OLD_LIST[logged[key][0]][0]} for key in differing if logged[key][0] in OLD_LIST
    ]
    at_old_list = {
        row["request_key"]
        for row in pricing.costs(earlier)
        if _equal(row["list_cost_usd"], logged[row["request_key"]][1])
    }

    hidden = {key for key in differing - at_old_list if _hidden(by_key[key], *logged[key])}
    misprinted = {
        key
        for key in differing - at_old_list - hidden
        if (name := logged[key][0]) in WRONG_LIST
        and _equal(
            (
                by_key[key]["input_uncached_tokens"] * WRONG_LIST[name][0]
                + by_key[key]["output_text_tokens"] * WRONG_LIST[name][1]
            )
            / 1_000_000,
            logged[key][1],
        )
    }

    assert [
        (by_key[key]["input_uncached_tokens"], by_key[key]["output_text_tokens"], logged[key][1]) for key in empty
    ] == [(0, 0, 0)]
    assert sum(cost is not None for cost in costs.values()) == len(calls) - 1 == 1724
    assert Counter(logged[key][0] for key in at_old_list) == {name: count for name, (_, count) in OLD_LIST.items()}
    assert Counter(logged[key][0] for key in hidden) == {name: said[-1] for name, said in HIDDEN_CACHE.items()}
    assert Counter(logged[key][0] for key in misprinted) == {name: said[-1] for name, said in WRONG_LIST.items()}
    assert differing == at_old_list | hidden | misprinted
    assert (len(costs) - len(differing - at_old_list - misprinted)) / len(costs) > 0.985
