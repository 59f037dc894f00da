"""The 41 traps of the pricing specification, section 16, from the provider's own usage object to the dollars.

Each line is a mistake that a tool really made. All calls are read and priced in one go; a test is one of them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from math import prod
from pathlib import Path
from typing import Any

import pytest

from pipelines import usage
from pipelines.contract import TOKEN_CLASS_NAMES
from pipelines.prices.lookup import rates_at
from tests.prices.pricing import Pricing, at, book_of, request, usd

Row = dict[str, Any]
GEMINI_TEXT = [{"modality": "TEXT", "tokenCount": 100}]
SONNET_ON_BEDROCK = "anthropic.claude-sonnet-4-5-20250929-v1:0"


@dataclass(frozen=True)
class Call:
    """A call and what it costs: ``millionths`` is the arithmetic in USD x 1e-6, None where the cost is unknown."""

    name: str
    provider: str
    api: str | None
    model: str
    usage: Any
    millionths: str | None
    status: str = "priced"
    reason: str | None = None
    flags: tuple[str, ...] = ()
    given: Row = field(default_factory=dict)

    @property
    def cost(self) -> Decimal | None:
        if self.millionths is None:
            return None
        terms = (term.split("*") for term in self.millionths.split("+"))
        return sum((prod(Decimal(factor) for factor in term) for term in terms), Decimal(0)) * Decimal("0.000001")


def chat(prompt: int, completion: int, total: int | None = None, **details: int) -> Row:
    """An OpenAI chat usage object; ``details`` are parts of the prompt, ``reasoning_tokens`` is one of the completion."""
    said: Row = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total or prompt + completion}
    if "reasoning_tokens" in details:
        said["completion_tokens_details"] = {"reasoning_tokens": details.pop("reasoning_tokens")}
    return said | ({"prompt_tokens_details": details} if details else {})


def messages(given: int, output: int, read: int = 0, written: int = 0, split: tuple[int, int] | None = None) -> Row:
    """An Anthropic usage object; ``split`` are the writes of 5 minutes and of an hour."""
    said = {
        "input_tokens": given,
        "output_tokens": output,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }
    names = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    return said | ({"cache_creation": dict(zip(names, split, strict=True))} if split is not None else {})


def openai(name: str, model: str, said: Any, millionths: str | None, *rest: Any, **given: Any) -> Call:
    return Call(name, "openai", "openai.chat", model, said, millionths, *rest, given=given)


def anthropic(name: str, model: str, said: Any, millionths: str | None, *rest: Any, **given: Any) -> Call:
    return Call(name, "anthropic", "anthropic.messages", model, said, millionths, *rest, given=given)


def gemini(name: str, model: str, said: Any, millionths: str | None, *rest: Any, **given: Any) -> Call:
    return Call(name, "google", "gemini.generateContent", model, said, millionths, *rest, given=given)


def prompt(tokens: int, cached: int | None = None, output: int = 0, **more: Any) -> Row:
    """A Gemini usage object."""
    said = {"promptTokenCount": tokens, "candidatesTokenCount": output, **more}
    return said | ({"cachedContentTokenCount": cached} if cached is not None else {})


CALLS = [
    # litellm#6215; not 10415, which is 2006 uncached
    openai("1 cached at its own rate only", "gpt-4o", chat(2006, 300, cached_tokens=1920), "86*2.5+1920*1.25+300*10"),
    # pi#2588; not 155657
    gemini("2 Gemini's cached part once", "gemini-3.1-pro-preview", prompt(70_838, 69_905), "933*2+69905*0.2"),
    # bifrost#3451
    anthropic(
        "3 a write is not in the input", "claude-opus-4-7", messages(6, 2_745, 0, 159_217), "6*5+159217*6.25+2745*25"
    ),
    # litellm#29145, tokenjam#620
    anthropic("4 a write has a price", "claude-sonnet-4-5", messages(0, 0, 0, 1_000), "1000*3.75"),
    # litellm#29432; not 60212.5
    anthropic("5 an hour's write", "claude-opus-4-8", messages(0, 0, 0, 9_634, (0, 9_634)), "9634*10"),
    # 2 x 0.5 = 1 times the base input
    anthropic(
        "6 an hour's write in batch", "claude-opus-4-8", messages(0, 0, 0, 1_000, (0, 1_000)), "1000*5", is_batch=True
    ),
    anthropic(
        "7 a zeroed split",
        "claude-sonnet-4-5",
        messages(0, 0, 0, 1_000, (0, 0)),
        "1000*3.75",
        "priced",
        None,
        ("split_mismatch",),
    ),
    anthropic(
        "8 a split of 800 of 1000",
        "claude-sonnet-4-5",
        messages(0, 0, 0, 1_000, (400, 400)),
        "400*3.75+400*6+200*3.75",
        "priced",
        None,
        ("split_mismatch",),
    ),
    # phoenix#13379: totalTokens holds the cache, so what it leaves is no output
    Call(
        "9 Bedrock's total holds the cache",
        "bedrock",
        "bedrock.converse",
        f"global.{SONNET_ON_BEDROCK}",
        {
            "inputTokens": 4_299,
            "outputTokens": 631,
            "cacheReadInputTokens": 35_574,
            "cacheWriteInputTokens": 17_787,
            "totalTokens": 4_299 + 631 + 35_574 + 17_787,
        },
        "4299*3+35574*0.3+17787*3.75+631*15",
    ),
    # PostHog#39901: the same tokens as the provider says them and as a framework that has added them up
    anthropic(
        "10 the provider's shape", "claude-sonnet-4-5", messages(100, 20, 400, 50), "100*3+400*0.3+50*3.75+20*15"
    ),
    Call(
        "10 a framework's shape",
        "anthropic",
        "openai.chat",
        "claude-sonnet-4-5",
        chat(550, 20, cached_tokens=400, cache_write_tokens=50),
        "100*3+400*0.3+50*3.75+20*15",
    ),
    Call(
        "10 a shape that cannot be told",
        "anthropic",
        None,
        "claude-sonnet-4-5",
        {"input_tokens": 550, "output_tokens": 20, "cached_tokens": 400},
        None,
        "no_usage",
        "usage_missing",
        ("ambiguous_shape",),
    ),
    # latitude#4051
    openai("11 reasoning is output", "gpt-5", chat(0, 1_000, reasoning_tokens=750), "1000*10"),
    # langfuse#16321: 151 + 382 = 533 output tokens
    gemini(
        "12 thoughts beside the candidates",
        "gemini-2.5-flash",
        prompt(20, output=151, thoughtsTokenCount=382, totalTokenCount=553),
        "20*0.3+533*2.5",
    ),
    Call(
        "13 xAI reasoning outside",
        "xai",
        "xai.chat",
        "grok-4.3",
        chat(100, 50, 180, reasoning_tokens=30),
        "100*1.25+80*2.5",
    ),
    Call(
        "13 xAI reasoning inside",
        "xai",
        "xai.chat",
        "grok-4.3",
        chat(100, 50, 150, reasoning_tokens=30),
        "100*1.25+50*2.5",
    ),
    gemini(
        "14 tool prompts are input",
        "gemini-2.5-flash",
        prompt(100, output=10, toolUsePromptTokenCount=40, totalTokenCount=150),
        "140*0.3+10*2.5",
    ),
    gemini(
        "14 also with modalities",
        "gemini-2.5-flash",
        prompt(100, output=10, toolUsePromptTokenCount=40, totalTokenCount=150, promptTokensDetails=GEMINI_TEXT),
        "140*0.3+10*2.5",
    ),
    # litellm#5632
    openai("15 a stream without usage", "gpt-4o", None, None, "no_usage", "usage_missing", ("missing_usage",)),
    # opik#6969
    Call(
        "17 details of the responses API",
        "openai",
        "openai.responses",
        "gpt-5-mini",
        {
            "input_tokens": 2_746,
            "input_tokens_details": {"cached_tokens": 2_208},
            "output_tokens": 197,
            "output_tokens_details": {"reasoning_tokens": 64},
            "total_tokens": 2_943,
        },
        "538*0.25+2208*0.025+197*2",
    ),
    # opik#6976
    gemini("18 Gemini's cached rate", "gemini-2.5-flash", prompt(1_000, 1_000), "1000*0.03"),
    # opik#6982: for every token, and Google's threshold is exclusive
    gemini("19 at Google's threshold", "gemini-2.5-pro", prompt(200_000), "200000*1.25"),
    gemini("19 above Google's threshold", "gemini-2.5-pro", prompt(200_001, output=10), "200001*2.5+10*15"),
    # litellm#39861: the longer range in batch is half of the longer range
    gemini("19 above it in batch", "gemini-2.5-pro", prompt(200_001), "200001*1.25", is_batch=True),
    openai("19 at OpenAI's threshold", "gpt-5.4", chat(272_000, 1), "272000*2.5+1*15"),
    openai("19 above OpenAI's threshold", "gpt-5.4", chat(272_001, 1), "272001*5+1*22.5"),
    # xAI's threshold is inclusive
    Call("20 below xAI's threshold", "xai", "xai.chat", "grok-4.3", chat(199_999, 1), "199999*1.25+1*2.5"),
    Call("20 at xAI's threshold", "xai", "xai.chat", "grok-4.3", chat(200_000, 1), "200000*2.5+1*5"),
    # litellm#9077, #37077, #38341; dust#23702
    openai("21 OpenAI batch", "gpt-5-mini", chat(1_000, 1_000), "1000*0.125+1000*1", is_batch=True),
    openai(
        "21 OpenAI batch, cached",
        "gpt-5-mini",
        chat(1_000, 0, cached_tokens=400),
        "600*0.125+400*0.0125",
        is_batch=True,
    ),
    anthropic("21 Anthropic batch", "claude-sonnet-4-5", messages(1_000, 1_000), "1000*1.5+1000*7.5", is_batch=True),
    anthropic("21 Anthropic batch, cached", "claude-sonnet-4-5", messages(0, 0, 1_000), "1000*0.15", is_batch=True),
    gemini("21 Gemini batch", "gemini-2.5-flash", prompt(1_000, output=1_000), "1000*0.15+1000*1.25", is_batch=True),
    gemini(
        "21 Gemini batch, cached in full", "gemini-2.5-flash", prompt(1_000, 400), "600*0.15+400*0.03", is_batch=True
    ),
    Call(
        "21 Mistral batch",
        "mistral",
        "mistral.chat",
        "mistral-large-4",
        chat(1_000, 1_000),
        "1000*0.35+1000*1.05",
        given={"is_batch": True},
    ),
    Call(
        "21 Mistral batch, cached",
        "mistral",
        "mistral.chat",
        "mistral-large-4",
        chat(1_000, 0, cached_tokens=400),
        "600*0.35+400*0.035",
        given={"is_batch": True},
    ),
    Call(
        "21 Groq batch",
        "groq",
        "groq.chat",
        "openai/gpt-oss-120b",
        chat(1_000, 1_000),
        "1000*0.075+1000*0.3",
        given={"is_batch": True},
    ),
    openai(
        "21 a batch price that nobody lists",
        "o3",
        chat(1_000, 0, cached_tokens=400),
        None,
        "unknown_tier",
        "no_row_for_a_class",
        is_batch=True,
    ),
    # measured: a family's fallback made these 0.0
    openai("22 gpt-7", "gpt-7", chat(1_000, 10), None, "unknown_model", "name_not_mapped"),
    anthropic("22 claude-opus-9", "claude-opus-9", messages(1_000, 10), None, "unknown_model", "name_not_mapped"),
    gemini("22 gemini-9-pro", "gemini-9-pro", prompt(1_000), None, "unknown_model", "name_not_mapped"),
    openai("22 in batch", "gpt-7", chat(1_000, 10), None, "unknown_model", "name_not_mapped", is_batch=True),
    # litellm#37046, #31837: what was served counts, not what was asked for
    openai("23 served priority", "gpt-4o", chat(9, 1), "9*4.25+1*17", service_tier="priority"),
    openai("23 asked priority, served default", "gpt-4o", chat(9, 1) | {"service_tier": "default"}, "9*2.5+1*10"),
    openai("23 served flex", "gpt-5", chat(1_000, 0), "1000*0.625", service_tier="flex"),
    openai(
        "23 a tier without a price",
        "gpt-5-nano",
        chat(1_000, 0),
        None,
        "unknown_tier",
        "no_row_for priority/sync/global",
        service_tier="priority",
    ),
    openai(
        "24 a dated alias has its family's tiers",
        "gpt-4o-2024-08-06",
        chat(9, 1),
        "9*4.25+1*17",
        service_tier="priority",
    ),
    openai("25 a snapshot has its own price", "gpt-4o-2024-05-13", chat(1_000, 1_000), "1000*5+1000*15"),
    # genai-prices#173
    gemini(
        "26 a preview is its own model",
        "gemini-2.5-flash-preview-09-2025",
        prompt(1_000, output=1_000),
        "1000*0.3+1000*2.5",
    ),
    Call(
        "26 a longer name is another model",
        "groq",
        "groq.chat",
        "openai/gpt-oss-120b-next",
        chat(10, 1),
        None,
        "unknown_model",
        "name_not_mapped",
    ),
    # litellm#18258: the geography costs a tenth more
    Call(
        "27 a system profile's ARN",
        "bedrock",
        "bedrock.converse",
        f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.{SONNET_ON_BEDROCK}",
        {"inputTokens": 1_000, "outputTokens": 0, "totalTokens": 1_000},
        "1000*3.3",
    ),
    Call(
        "27 an application profile",
        "bedrock",
        "bedrock.converse",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/ab12cd34",
        {"inputTokens": 1_000, "outputTokens": 0, "totalTokens": 1_000},
        None,
        "unknown_model",
        "name_not_mapped",
    ),
    # litellm#1810, #7004
    Call(
        "28 a deployment",
        "azure",
        "azure.chat",
        "our-deployment",
        chat(1_000, 0),
        None,
        "unknown_model",
        "name_not_mapped",
    ),
    Call(
        "28 gpt-4 answered for turbo",
        "azure",
        "azure.chat",
        "gpt-4",
        chat(1_000, 0),
        None,
        "unknown_model",
        "name_not_mapped",
    ),
    Call("28 a deployment with an alias", "azure", "azure.chat", "chat-prod", chat(1_000, 0), "1000*2.5"),
    # litellm#24567
    Call(
        "29 Vertex by date",
        "vertex",
        "vertex.anthropic",
        "claude-haiku-4-5@20251001",
        messages(1_000, 100),
        "1000*1+100*5",
    ),
    Call(
        "29 Vertex by default",
        "vertex",
        "vertex.anthropic",
        "claude-haiku-4-5@default",
        messages(1_000, 100),
        "1000*1+100*5",
    ),
    # PostHog#32295
    Call("30 OpenRouter", "openrouter", "openrouter.chat", "openai/gpt-4o-mini", chat(5_156, 21), "5156*0.15+21*0.6"),
    # litellm#8867: a million of these are 2.85, as floats 2.8499999999986962
    Call("33 no float", "self", "openai.chat", "float", chat(1, 0), "1*2.85"),
    # langfuse#2112
    openai("34 a hit of the gateway's cache", "gpt-4o", chat(0, 0), "0*0", "free", "cache_hit", gateway_cache_hit=True),
    # langfuse: a stated cost would replace ours
    openai(
        "35 a stated cost stands beside ours",
        "gpt-4o",
        chat(1_000, 0),
        "1000*2.5",
        cost_reported_usd="0.003",
        cost_reported_basis="provider_charge",
    ),
    Call(
        "35 a stated cost where the book has no row",
        "openrouter",
        "openrouter.chat",
        "maker/of-tomorrow",
        chat(1_000, 0),
        "1000*3",
        "priced",
        "provider_stated",
        given={"cost_reported_usd": "0.003", "cost_reported_basis": "provider_charge"},
    ),
    # langfuse sums every key that has a price
    openai(
        "36 keys that overlap",
        "gpt-4o",
        {**chat(1_000, 0, cached_tokens=600), "cached_tokens": 600},
        "400*2.5+600*1.25",
    ),
    openai(
        "39 a failed call is priced by its usage", "gpt-4o", chat(1_000, 0), "1000*2.5", status="error", http_status=500
    ),
    openai("39 so is its repetition", "gpt-4o", chat(1_000, 0), "1000*2.5", is_retry=True, attempt=2),
    # the package's own calculator lets the peak of 2026-08-17 win at all dates: 1.32
    Call(
        "40 a window holds from its own date on",
        "deepseek",
        "deepseek.chat",
        "deepseek-v4-pro",
        chat(1_000, 0),
        "1000*0.435",
        given={"started_at": "2026-07-01T02:00:00Z"},
    ),
    # tools disagree on 10 or 25 per 1,000
    openai("41 a web search", "gpt-4o", chat(0, 0), "3*10000", extra_units={"web_search": Decimal(3)}),
    openai(
        "41 of a version nobody prices",
        "gpt-4o",
        chat(0, 0),
        None,
        "unknown_tier",
        "no_row_for_unit_version",
        extra_units={"web_search_20991231": Decimal(3)},
    ),
]
# Every edge of the peak windows of deepseek-v4-pro, 01:00 to 04:00 and 06:00 to 10:00 UTC on a Monday: ends are exclusive.
CALLS += [
    Call(
        f"40 at {clock}",
        "deepseek",
        "deepseek.chat",
        "deepseek-v4-pro",
        chat(1_000, 0),
        f"1000*{rate}",
        given={"started_at": f"2026-08-17T{clock}Z"},
    )
    for clock, rate in (
        ("00:59:59", "0.66"),
        ("01:00:00", "1.32"),
        ("03:59:59", "1.32"),
        ("04:00:00", "0.66"),
        ("05:59:59", "0.66"),
        ("06:00:00", "1.32"),
        ("09:59:59", "1.32"),
        ("10:00:00", "0.66"),
    )
]
OWN_PRICES = [
    {"provider": "self", "model_id": "float", "unit": "input", "per_units": 1_000_000, "unit_price": "2.85"},
]
OWN_NAMES = [
    {
        "provider": "azure",
        "pattern_kind": "exact",
        "pattern": "chat-prod",
        "model_id": "gpt-4o",
        "priority": 10,
        "source_ref": "operations",
    }
]
KEPT = (
    *TOKEN_CLASS_NAMES,
    "context_test_tokens",
    "provider_total_tokens",
    "usage_flags",
    "usage_basis",
    "usage_quality",
)


def read(pricing: Pricing, calls: list[Call]) -> list[Row]:
    """The calls as rows of ledger_requests, their usage objects read by the project's own shapes."""
    usage.register(pricing.con)
    found = pricing.con.execute(
        f"""
        with records as (
            select unnest(range(len($apis))) as place, unnest($apis::varchar[]) as api, unnest($said::json[]) as said
        ), {usage.usage_steps("records", api="api", usage="said")}
        select classed from usage_classed order by place
        """,
        {
            "apis": [call.api for call in calls],
            "said": [None if call.usage is None else json.dumps(call.usage) for call in calls],
        },
    ).fetchall()
    rows = []
    for call, (classed,) in zip(calls, found, strict=True):
        assert classed["problem"] is None, call.name
        kept = {name: classed[name] for name in KEPT}
        modes = {"service_tier": classed["service_tier"], "speed": classed["speed"], "region": classed["inference_geo"]}
        units = {"extra_units": classed["extra_units"] or {}}
        named = {"request_key": call.name, "provider": call.provider, "model_served": call.model}
        rows.append(request(**{**kept, **modes, **units, **named, **call.given}))
    return rows


@pytest.fixture(scope="module")
def priced() -> dict[str, Row]:
    pricing = Pricing()
    rows = pricing.costs(read(pricing, CALLS), book_of(OWN_PRICES, OWN_NAMES))
    flags = {row["request_key"]: row["usage_flags"] for row in pricing.rows("ledger_requests", "request_key")}
    pricing.close()
    return {row["request_key"]: row | {"usage_flags": flags[row["request_key"]]} for row in rows}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name.replace(" ", "-"))
def test_trap(priced: dict[str, Row], call: Call) -> None:
    """The call's arithmetic, to the last digit; where the cost is unknown it is null and never 0."""
    row = priced[call.name]

    assert (row["cost_status"], row["cost_reason"]) == (call.status, call.reason)
    assert row["list_cost_usd"] == row["effective_cost_usd"] == call.cost
    assert tuple(row["usage_flags"]) == call.flags


def test_trap_10_both_shapes_give_the_same_classes(priced: dict[str, Row]) -> None:
    provider, framework = priced["10 the provider's shape"], priced["10 a framework's shape"]

    assert [
        provider[f"{name}_list_cost_usd"] for name in ("input_uncached", "cache_read", "cache_write", "output_text")
    ] == [framework[f"{name}_list_cost_usd"] for name in ("input_uncached", "cache_read", "cache_write", "output_text")]


def test_trap_16_of_the_snapshots_of_a_stream_the_last_counts(run: Callable[..., list[Row]], pricing: Pricing) -> None:
    """ccusage#835: one id with 10, 150 and 300 tokens of output, in any order: 1000 x 3 + 300 x 15 = 7500, not 11400."""
    snapshots = [
        {
            "request_key": "msg-1",
            "source_row_id": "msg-1",
            "source_row": row,
            "source_row_version": f"2026-11-15T12:00:0{second}.000000Z",
            "provider": "anthropic",
            "model_served": "claude-sonnet-4-5",
            "started_at": at("2026-11-15T12:00:00Z"),
            "input_uncached_tokens": 1_000,
            "output_text_tokens": output,
            "extra_units": {},
            "attributes": {},
        }
        for row, (second, output) in enumerate([(2, 150), (3, 300), (1, 10)], 1)
    ]
    beaten = run("ledger_superseded_requests", staged_requests=snapshots)

    [booked] = run("ledger_requests", staged_requests=snapshots, ledger_superseded_requests=beaten)
    kept = ("request_key", "provider", "model_served", "started_at", "input_uncached_tokens", "output_text_tokens")
    [row] = pricing.costs([request(**{name: booked[name] for name in kept})])

    assert row["effective_cost_usd"] == usd("0.0075")


def test_trap_23_the_standard_price_of_an_unknown_tier_is_an_estimate(priced: dict[str, Row]) -> None:
    """1,000 x 0.05 = 50, in no total."""
    assert priced["23 a tier without a price"]["cost_estimate_usd"] == usd("0.00005")


def test_trap_31_a_price_of_today_leaves_the_past_as_it_was() -> None:
    """ccusage#1636, C11: a new price has a start; the day before keeps its rate, and the row that priced it keeps its id."""
    new = {"provider": "openai", "model_id": "gpt-4o", "unit": "input", "per_units": 1_000_000, "unit_price": "2"}
    before, after = book_of(), book_of([new | {"effective_from": "2026-11-20"}])

    def rate(book: Any, instant: str) -> list[tuple[str, Decimal]]:
        found = rates_at(book, "openai", "gpt-4o", at(instant))
        return [(row["price_id"], row["unit_price"]) for row in found.to_dicts() if row["unit"] == "input"]

    assert rate(before, "2026-11-19T23:59:59Z") == rate(after, "2026-11-19T23:59:59Z")
    assert [price for _, price in rate(after, "2026-11-20T00:00:00Z")] == [usd("2")]


def test_trap_33_a_million_of_them_are_exact(priced: dict[str, Row]) -> None:
    assert priced["33 no float"]["list_cost_usd"] * 1_000_000 == usd("2.85")


def test_trap_35_the_stated_cost_is_kept(priced: dict[str, Row]) -> None:
    assert priced["35 a stated cost stands beside ours"]["cost_reported_usd"] == usd("0.003")


@pytest.mark.parametrize(
    ("provider", "model", "instant"),
    [
        ("openai", "gpt-4-0613", "2025-03-01T00:00:00Z"),
        ("openai", "o1-preview", "2025-03-01T00:00:00Z"),
        ("anthropic", "claude-3-5-sonnet-20240620", "2025-03-01T00:00:00Z"),
        ("anthropic", "claude-2.1", "2025-03-01T00:00:00Z"),
        ("google", "gemini-2.5-pro-preview-05-06", "2025-05-20T00:00:00Z"),
        ("vertex", "claude-3-sonnet@20240229", "2025-03-01T00:00:00Z"),
        ("bedrock", "anthropic.claude-v2:1", "2025-03-01T00:00:00Z"),
        ("mistral", "mistral-large-2402", "2025-03-01T00:00:00Z"),
        ("openai", "gpt-4o-realtime-preview-2024-12-17", "2025-03-01T00:00:00Z"),
        ("google", "gemini-1.5-pro-002", "2025-03-01T00:00:00Z"),
    ],
)
def test_trap_37_retired_models_keep_their_prices(
    cost: Callable[..., Row], provider: str, model: str, instant: str
) -> None:
    """Other lists delete a model when it is retired; calls of 2025 keep their price."""
    row = cost(provider=provider, model_served=model, started_at=instant, input_uncached_tokens=1_000)

    assert row["list_cost_usd"] > 0


def _numbers() -> Iterator[int]:
    """Trap numbers of the calls above, and of the docstrings and names of the tests of prices."""
    for call in CALLS:
        yield int(call.name.split()[0])
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = re.findall(r"[Tt]raps? ((?:\d+(?:, | and )?)+)", ast.get_docstring(node) or "")
                named = re.findall(r"^test_trap_(\d+)_", node.name)
                yield from (int(number) for text in [*said, *named] for number in re.findall(r"\d+", text))


def test_every_trap_of_the_specification_has_a_test() -> None:
    assert sorted(set(_numbers())) == list(range(1, 42))
