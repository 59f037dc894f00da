"""The rows that a run prints for calls without a price, followed to the letter."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from pipelines.paths import DataRoot
from pipelines.reference.tables import TABLES
from pipelines.reference.templates import header
from pipelines.remedies import unpriced_models
from tests.prices.pricing import Pricing, book_of, request, usd

WORDS = header(TABLES["prices"])
NAMES = header(TABLES["model_aliases"])
ARN = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123def456"


class Case(NamedTuple):
    """A call, the prices that are filled in (by unit, or by '=' the model that a name means), and what it costs then."""

    call: dict[str, Any]
    filled: dict[str, str]
    sum_in_millionths: str
    said: tuple[str, ...]


def case(model: str, filled: dict[str, str], arithmetic: str, *said: str, **given: Any) -> Case:
    provider, _, name = model.partition(":")
    call = {"provider": provider, "model_served": name, "started_at": "2026-11-20T12:00:00Z"} | given
    return Case(call, filled, arithmetic, said)


# What is printed: the conditions of each row, 'unit tier processing region lengths time' where not blank.
CASES = {
    # A pro model has no discount for cached input (defog#304): as dear as input.
    "cached input of a pro model": case(
        *("openai:gpt-5.5-pro", {"cache_read": "30"}, "10000*30 + 200000*30 + 5000*180", "cache_read"),
        input_uncached_tokens=10_000, cache_read_tokens=200_000, output_text_tokens=5_000,
        context_test_tokens=210_000,
    ),
    "a fast mode": case(
        "anthropic:claude-opus-4-6",
        {"input": "30", "output": "150", "cache_read": "3", "cache_write_5m": "37.5"},
        "10000*30 + 50000*3 + 4000*37.5 + 3000*150",
        *("cache_read fast", "cache_write_5m fast", "input fast", "output fast"),
        input_uncached_tokens=10_000, cache_read_tokens=50_000, cache_write_5m_tokens=4_000,
        output_text_tokens=3_000, speed="fast", started_at="2026-05-01T12:00:00Z",
    ),
    "a profile of one's own": case(
        *(f"bedrock:{ARN}", {"=": "anthropic.claude-sonnet-4-5-20250929-v1:0"}, "10000*3.3 + 1000*16.5"),
        *(f"= {ARN}",),
        input_uncached_tokens=10_000, output_text_tokens=1_000,
    ),
    "a deployment": case(
        *("azure:chat-prod", {"=": "gpt-4o"}, "1000*2.5 + 100*10", "= chat-prod"),
        input_uncached_tokens=1_000, output_text_tokens=100,
    ),
    "seconds of speech": case(
        *("openai:own-ear-1", {"seconds": "0.0001"}, "27*100", "seconds"), extra_units={"seconds": Decimal(27)}
    ),
    "requests": case(
        *("openai:gpt-4o", {"requests": "0.005"}, "1000*2.5 + 2*5000", "requests"),
        input_uncached_tokens=1_000,
        extra_units={"requests": Decimal(2)},
    ),
    "cached input that its seller bills in full": case(
        *("together:deepseek-ai/DeepSeek-V3.1", {"cache_read": "0.6"}, "100000*0.6 + 500000*0.6 + 10000*1.7", "cache_read"),
        input_uncached_tokens=100_000, cache_read_tokens=500_000, output_text_tokens=10_000,
    ),
    "batch": case(
        *("cohere:command-r", {"input": "0.075", "output": "0.3"}, "1000*0.075 + 100*0.3"),
        *("input batch", "output batch"),
        input_uncached_tokens=1_000, output_text_tokens=100, is_batch=True,
    ),
    "a long prompt in a tier": case(
        *("openai:gpt-5.4", {"input": "10", "output": "45"}, "300000*10 + 1000*45"),
        *("input priority 272001-", "output priority 272001-"),
        input_uncached_tokens=300_000, output_text_tokens=1_000, service_tier="priority",
        context_test_tokens=300_000,
    ),
    "another region": case(
        *("openai:gpt-4o", {"input": "2.75", "output": "11"}, "1000*2.75 + 100*11", "input eu", "output eu"),
        input_uncached_tokens=1_000, output_text_tokens=100, region="eu",
    ),
    "a model of Bedrock without a prefix": case(
        *("bedrock:acme.storm-v1:0", {"input": "1", "output": "2"}, "1000*1 + 100*2", "input regional", "output regional"),
        input_uncached_tokens=1_000, output_text_tokens=100,
    ),
    "a model of Bedrock with a prefix": case(
        *("bedrock:eu.acme.calm-v1:0", {"input": "1", "output": "2"}, "1000*1 + 100*2", "input eu", "output eu"),
        input_uncached_tokens=1_000, output_reasoning_tokens=60, output_text_tokens=40,
    ),
    "GovCloud": case(
        *("bedrock:us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", {"input": "3.6", "output": "18"}, "1000*3.6 + 100*18"),
        *("input gov", "output gov"),
        input_uncached_tokens=1_000, output_text_tokens=100,
    ),
    "speech in": case(
        *("openai:gpt-4o-mini", {"audio_in": "10"}, "1000*0.15 + 500*10", "audio_in"),
        input_uncached_tokens=1_000, input_audio_tokens=500,
    ),
    "pictures out": case(
        *("openai:gpt-4o-mini", {"image_out": "40", "audio_in": "10"}, "1000*0.15 + 500*40", "image_out"),
        input_uncached_tokens=1_000, output_image_tokens=500, started_at="2026-11-19T12:00:00Z",
    ),
    "writes for an hour": case(
        *("openai:gpt-5-mini", {"cache_write_1h": "0.5"}, "1000*0.25 + 4000*0.5", "cache_write_1h"),
        input_uncached_tokens=1_000, cache_write_1h_tokens=4_000,
    ),
    "a tier": case(
        *("openai:gpt-4o-mini", {"input": "0.075", "output": "0.3"}, "1000*0.075 + 100*0.3", "input flex", "output flex"),
        input_uncached_tokens=1_000, output_text_tokens=100, service_tier="flex",
    ),
    "before the day in the name": case(
        *("openai:gpt-4o-2024-05-13", {"input": "6"}, "1000*6", "input to 2024-05-13"),
        input_uncached_tokens=1_000, started_at="2024-05-01T12:00:00Z",
    ),
    "a model that nobody knows": case(
        *("openai:gpt-7", {"input": "4", "output": "8"}, "1000*4 + 100*8", "input", "output"),
        input_uncached_tokens=1_000, output_text_tokens=40, output_reasoning_tokens=60,
    ),
}  # fmt: skip
# What had a price before, of the same models.
PRICED = [
    {"model_served": "gpt-5.5-pro", "input_uncached_tokens": 300_000, "context_test_tokens": 300_000},
    {"provider": "anthropic", "model_served": "claude-opus-4-6", "input_uncached_tokens": 1_000, "cache_write_5m_tokens": 9},
    {"provider": "bedrock", "model_served": "anthropic.claude-sonnet-4-5-20250929-v1:0", "input_uncached_tokens": 1_000},
    {"provider": "bedrock", "model_served": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "input_uncached_tokens": 1_000},
    {"provider": "together", "model_served": "deepseek-ai/DeepSeek-V3.1", "input_uncached_tokens": 1_000},
    {"provider": "cohere", "model_served": "command-r", "input_uncached_tokens": 1_000, "output_text_tokens": 9},
    {"model_served": "gpt-5.4", "service_tier": "priority", "input_uncached_tokens": 1_000, "context_test_tokens": 1_000},
    {"model_served": "gpt-5.4", "input_uncached_tokens": 300_000, "context_test_tokens": 300_000},
    {"model_served": "gpt-4o", "input_uncached_tokens": 1_000, "output_text_tokens": 9},
    {"model_served": "gpt-4o", "is_batch": True, "input_uncached_tokens": 1_000},
    {"model_served": "gpt-4o-mini", "input_uncached_tokens": 1_000, "output_text_tokens": 9},
    {"model_served": "gpt-5-mini", "input_uncached_tokens": 1_000},
    {"model_served": "gpt-4o-2024-05-13", "input_uncached_tokens": 1_000},
]  # fmt: skip


def _said(row: dict[str, str]) -> str:
    if "pattern" in row:
        return f"= {row['pattern']}"
    lengths = f"{row['ctx_min_tokens']}-{row['ctx_max_tokens']}".removeprefix("-")
    end = f"to {row['effective_to']}" if row["effective_to"] else ""
    assert row["effective_from"] == ""
    said = (row["unit"], row["service_tier"], row["processing"], row["region_class"], lengths, end)
    return " ".join(word for word in said if word)


def _model(row: dict[str, str]) -> str:
    return f"{row['provider']}:{row.get('pattern') or row['model_id']}"


def _called(one: Case) -> str:
    """As the book has the name: the prefix of GovCloud is a region."""
    return f"{one.call['provider']}:{one.call['model_served'].removeprefix('us-gov.')}"


@pytest.fixture(scope="module")
def repriced(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, str]], list[Any], list[Any]]:
    """The rows as printed, and the costs before and after they were added."""
    pricing = Pricing()
    calls = [request(request_key=name, **one.call) for name, one in CASES.items()]
    calls += [
        request(request_key=f"priced {number:02}", **{"started_at": "2026-11-20T12:00:00Z"} | call)
        for number, call in enumerate(PRICED)
    ]
    before = pricing.costs(calls, book_of())
    printed = [
        dict(zip(WORDS if one["table"] == "prices.csv" else NAMES, next(csv.reader([one["row"]])), strict=True))
        for one in unpriced_models(pricing.con, Decimal("0.000001"), DataRoot(tmp_path_factory.mktemp("root")))
    ]
    prices, aliases = [], []
    for row in printed:
        filled = {
            unit: value
            for one in CASES.values()
            if _called(one) == _model(row) and _said(row) in one.said
            for unit, value in one.filled.items()
        }
        if "pattern" in row:
            aliases.append({key: value or None for key, value in row.items()} | {"model_id": filled.get("=", "?")})
        else:
            prices.append(
                {key: value or None for key, value in row.items()} | {"unit_price": filled.get(row["unit"], "999")}
            )
    after = pricing.costs(calls, book_of(prices, aliases))
    pricing.close()
    return printed, before, after


@pytest.mark.parametrize("name", CASES)
def test_the_printed_rows_price_the_call(repriced: Any, name: str) -> None:
    """No price before, the arithmetic of the case after."""
    _, before, after = repriced
    [was], [now] = ([row for row in costs if row["request_key"] == name] for costs in (before, after))
    expected = sum(
        usd(left) * usd(right) for left, _, right in (part.partition("*") for part in CASES[name].sum_in_millionths.split(" + "))
    )  # fmt: skip

    assert was["list_cost_usd"] is None
    assert (now["cost_status"], now["list_cost_usd"]) in ((s, expected / 1_000_000) for s in ("priced", "assumed"))


def test_each_printed_row_is_as_narrow_as_what_is_missing(repriced: Any) -> None:
    """Unit, tier, processing, region, lengths and time, no row more and none less."""
    printed, _, _ = repriced

    wanted = [f"{_called(one)} {said}" for one in CASES.values() for said in one.said]
    assert sorted(f"{_model(row)} {_said(row)}" for row in printed) == sorted(wanted)


def test_no_other_call_costs_otherwise(repriced: Any) -> None:
    _, before, after = repriced
    same = [
        [
            (row["request_key"], row["cost_status"], row["list_cost_usd"])
            for row in costs
            if "priced" in row["request_key"]
        ]
        for costs in (before, after)
    ]

    assert len(same[0]) == len(PRICED)
    assert all(cost is not None for _, _, cost in same[0])
    assert same[0] == same[1]
