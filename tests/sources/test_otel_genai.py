"""OpenTelemetry as OTLP JSON: its layouts, the dialects of usage, and what becomes of spans.

What spans mean for each other is in test_traces.py.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import SHARED, land, lines, read, rows, tokens
from tests.sources.together import Place, together

EXAMPLES = SHARED / "formats" / "examples"
TRACE = "5b8efff798038103d269b633813fc60c"
START = 1_795_003_200_000_000_000  # 2026-11-18T12:00:00Z in nanoseconds


def value(found: Any) -> dict[str, Any]:
    """A value as the exporters write it: whole numbers as text."""
    match found:
        case bool():
            return {"boolValue": found}
        case int():
            return {"intValue": str(found)}
        case float():
            return {"doubleValue": found}
        case list():
            return {"arrayValue": {"values": [value(one) for one in found]}}
    return {"stringValue": found}


def attributes(named: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value(found)} for name, found in named.items()]


def span(name: str, number: int, above: int | None = None, /, more: Any = None, **named: Any) -> dict[str, Any]:
    """A span; names of attributes are written with two underscores for a dot."""
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{above:016x}" if above else "",
        "name": name,
        "startTimeUnixNano": str(START + number * 1_000_000_000),
        "endTimeUnixNano": str(START + number * 1_000_000_000 + 2_500_000_000),
        "attributes": attributes({key.replace("__", "."): found for key, found in named.items()}),
        "status": {},
    } | (more or {})


def request(*spans: Mapping[str, Any], resource: Mapping[str, Any] | None = None) -> dict[str, Any]:
    held = {"service.name": "bot", "host.name": "srv-7", "process.owner": "ada"} | dict(resource or {})
    scoped = [{"scope": {"name": "demo"}, "spans": list(spans)}]
    return {"resourceSpans": [{"resource": {"attributes": attributes(held)}, "scopeSpans": scoped}]}


ANTHROPIC = {
    "anthropic": {
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 1000,
            "cache_read_input_tokens": 4000,
            "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
            "output_tokens": 90,
        }
    }
}
CALL = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}
CASES: dict[str, dict[str, Any]] = {
    "new": {
        **CALL,
        "gen_ai.usage.input_tokens": 10200,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.cache_read.input_tokens": 9000,
        "gen_ai.usage.reasoning.output_tokens": 128,
    },
    "written": {
        **CALL,
        "gen_ai.usage.input_tokens": 11700,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 9000,
        "gen_ai.usage.cache_creation.input_tokens": 1500,
    },
    "old": {
        "gen_ai.system": "az.ai.openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 20,
    },
    "disjoint": {
        **CALL,
        "gen_ai.provider.name": "anthropic",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 90,
        "gen_ai.usage.cache_read.input_tokens": 4000,
    },
    "disjoint_by_total": {
        "llm.request.type": "chat",
        "gen_ai.system": "Anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 5000,
        "gen_ai.usage.output_tokens": 90,
        "gen_ai.usage.cache_read_input_tokens": 4000,
        "llm.usage.total_tokens": 9090,
    },
    "openllmetry": {
        "llm.request.type": "chat",
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.reasoning_tokens": 8,
        "llm.usage.total_tokens": 120,
        "traceloop.association.properties.tenant_id": "acme",
        "traceloop.workflow.name": "answer",
        "traceloop.prompt.key": "greeting",
        "traceloop.prompt.version": 3,
    },
    "openinference": {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.model_name": "gpt-4o-audio",
        "llm.token_count.prompt": 2006,
        "llm.token_count.completion": 300,
        "llm.token_count.total": 2306,
        "llm.token_count.prompt_details.cache_read": 1920,
        "llm.token_count.prompt_details.audio": 16,
        "llm.token_count.completion_details.reasoning": 100,
        "llm.token_count.completion_details.audio": 50,
        "llm.cost.total": 0.005615,
        "llm.invocation_parameters": '{"max_tokens": 512, "stop": "' + "x" * 2000 + '"}',
        "metadata": '{"team": "cx", "note": "' + "y" * 2000 + '"}',
        "tag.tags": ["feature:answers", "beta"],
    },
    "thinking_on_top": {
        "openinference.span.kind": "LLM",
        "llm.system": "vertexai",
        "llm.model_name": "gemini-2.5-flash",
        "llm.token_count.prompt": 9,
        "llm.token_count.completion": 13,
        "llm.token_count.completion_details.reasoning": 207,
        "llm.token_count.total": 229,
    },
    "two_dialects": {
        **CALL,
        "gen_ai.usage.input_tokens": 2006,
        "gen_ai.usage.output_tokens": 300,
        "llm.token_count.prompt": 2006,
        "llm.token_count.completion": 300,
        "llm.token_count.prompt_details.cache_read": 1920,
    },
    "ai_sdk": {
        "ai.operationId": "ai.streamText.doStream",
        "ai.model.id": "gpt-5",
        "ai.model.provider": "openai.responses",
        "ai.response.id": "resp-ai-1",
        "ai.response.msToFirstChunk": 250.5,
        "ai.settings.maxOutputTokens": 900,
        "ai.telemetry.metadata.customer_id": "globex",
        "ai.usage.inputTokens": 5000,
        "ai.usage.outputTokens": 400,
        "ai.usage.totalTokens": 5400,
        "ai.usage.reasoningTokens": 320,
        "ai.usage.inputTokenDetails.noCacheTokens": 200,
        "ai.usage.inputTokenDetails.cacheReadTokens": 4800,
        "ai.usage.inputTokenDetails.cacheWriteTokens": 0,
        "gen_ai.usage.input_tokens": 5000,
        "gen_ai.usage.output_tokens": 400,
    },
    "ai_sdk_of_before": {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "gpt-4o",
        "ai.model.provider": "openai.chat",
        "ai.usage.promptTokens": 62,
        "ai.usage.completionTokens": 85,
    },
    "ai_sdk_and_anthropic": {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "claude-sonnet-4-5",
        "ai.model.provider": "anthropic.messages",
        "ai.usage.inputTokens": 12,
        "ai.usage.outputTokens": 90,
        "ai.usage.cachedInputTokens": 4000,
        "ai.response.providerMetadata": json.dumps(ANTHROPIC | {"note": "z" * 1500}),
    },
    "mlflow": {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.llm.model": '"gpt-4o"',
        "mlflow.llm.provider": '"openai"',
        "mlflow.chat.tokenUsage": '{"input_tokens": 100, "output_tokens": 20, "total_tokens": 120, "cache_read_input_tokens": 60}',
        "mlflow.llm.cost": '{"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003}',
        "mlflow.trace.session": '"s-m"',
    },
    "embedding": {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.usage.input_tokens": 9,
    },
    "more_cached_than_given": {
        **CALL,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 1,
    },
    "failed": {**CALL, "error.type": "RateLimitError", "http.response.status_code": 429},
    "without_usage": CALL,
    "http": {"http.request.method": "POST", "url.full": "https://api.openai.com/v1/chat/completions"},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every case as one staged row, by the name of its span."""
    root = DataRoot(tmp_path_factory.mktemp("data"))
    root.path.mkdir(exist_ok=True)
    (root.path / "settings.toml").write_text('keep_attributes = ["team", "beta"]\n')
    spans = []
    for number, (name, named) in enumerate(CASES.items(), 1):
        spans.append(span(name, number) | {"attributes": attributes(named)})
    land(root, "otel_genai/prod/a.jsonl", lines(request(*spans)))
    assert read(root).report.warnings == []
    return {row["step"]: row for row in rows(root, "staged_requests")}


def test_details_are_parts_of_input_and_output(told):
    """Trap 6, G9, A23: 10,200 - 9,000 = 1,200 and 300 - 128 = 172; 11,700 - 9,000 - 1,500 = 1,200."""
    assert tokens(told["new"]) == {
        "input_uncached": 1200,
        "cache_read": 9000,
        "output_text": 172,
        "output_reasoning": 128,
    }
    assert tokens(told["written"]) == {
        "input_uncached": 1200,
        "cache_read": 9000,
        "cache_write": 1500,
        "output_text": 5,
    }
    assert (told["new"]["usage_basis"], told["new"]["context_test_tokens"]) == ("inclusive", 10200)


def test_old_names_are_read(told):
    """Trap 5."""
    row = told["old"]

    assert tokens(row) == {"input_uncached": 100, "output_text": 20}
    assert (row["provider"], row["model_served"], row["row_kind"]) == ("azure", "gpt-4o", "llm_call")


def test_input_that_cannot_hold_the_cached_tokens_leaves_them_out(told):
    """Trap 6, A23: 12 < 4,000; and 5,000 + 90 + 4,000 = 9,090, the total. The basis says so, and a flag."""
    assert tokens(told["disjoint"]) == {"input_uncached": 12, "cache_read": 4000, "output_text": 90}
    assert (told["disjoint"]["usage_basis"], told["disjoint"]["usage_flags"]) == ("disjoint", ["disjoint_input"])
    assert told["disjoint"]["context_test_tokens"] == 4012
    assert tokens(told["disjoint_by_total"]) == {"input_uncached": 5000, "cache_read": 4000, "output_text": 90}
    assert told["disjoint_by_total"]["usage_basis"] == "disjoint"


def test_openllmetry_names_tenant_workflow_and_prompt(told):
    row = told["openllmetry"]

    assert tokens(row) == {"input_uncached": 100, "output_text": 12, "output_reasoning": 8}
    assert (row["provider"], row["customer_id"], row["workflow"]) == ("openai", "acme", "answer")
    assert (row["prompt_name"], row["prompt_version"], row["provider_total_tokens"]) == ("greeting", "3", 120)


def test_openinference_counts_details_costs_and_metadata(told):
    """2,006 - 1,920 - 16 = 70 and 300 - 100 - 50 = 150. Trap 8: who says the cost. Only tags kept by name are."""
    row = told["openinference"]

    assert tokens(row) == {
        "input_uncached": 70,
        "input_audio": 16,
        "cache_read": 1920,
        "output_text": 150,
        "output_reasoning": 100,
        "output_audio": 50,
    }
    assert (row["cost_reported_usd"], row["cost_reported_basis"]) == (Decimal("0.005615"), "user_supplied")
    assert (row["feature"], row["team"], row["max_output_tokens"]) == ("answers", "cx", 512)
    assert (row["request_tags"], dict(row["attributes"])) == (["beta"], {"team": "cx"})


def test_reasoning_that_the_total_has_on_top_is_not_inside_the_output(told):
    """A20: 9 + 13 + 207 = 229."""
    assert tokens(told["thinking_on_top"]) == {"input_uncached": 9, "output_text": 13, "output_reasoning": 207}
    assert told["thinking_on_top"]["provider"] == "vertex"


def test_of_two_dialects_the_one_that_says_most_is_read(told):
    """Trap 7: never their sum."""
    assert told["two_dialects"]["usage_shape"] == "otel.openinference"
    assert tokens(told["two_dialects"]) == {"input_uncached": 86, "cache_read": 1920, "output_text": 300}


def test_the_ai_sdk_in_three_versions(told):
    """Trap 13: 200 + 4,800 + 0 = 5,000; the provider's own object wins where it is passed on."""
    row = told["ai_sdk"]

    assert tokens(row) == {
        "input_uncached": 200,
        "cache_read": 4800,
        "cache_write": 0,
        "output_text": 80,
        "output_reasoning": 320,
    }
    assert (row["provider"], row["customer_id"], row["provider_response_id"]) == ("openai", "globex", "resp-ai-1")
    assert (row["ttft_ms"], row["max_output_tokens"]) == (250, 900)
    assert tokens(told["ai_sdk_of_before"]) == {"input_uncached": 62, "output_text": 85}
    assert told["ai_sdk_and_anthropic"]["usage_shape"] == "anthropic.messages"
    assert tokens(told["ai_sdk_and_anthropic"]) == {
        "input_uncached": 12,
        "cache_read": 4000,
        "cache_write_5m": 400,
        "cache_write_1h": 600,
        "output_text": 90,
    }


def test_mlflow_spans_write_their_values_as_json(told):
    """Trap 10, B5: the span's own values."""
    row = told["mlflow"]

    assert tokens(row) == {"input_uncached": 40, "cache_read": 60, "output_text": 20}
    assert (row["provider"], row["model_served"], row["session_id"]) == ("openai", "gpt-4o", "s-m")
    assert row["cost_reported_usd"] == Decimal("0.003")


def test_an_embedding_has_no_output(told):
    row = told["embedding"]

    assert (row["row_kind"], tokens(row), row["usage_quality"]) == ("embedding", {"input_uncached": 9}, "reported")


def test_no_count_is_negative_and_a_doubt_is_flagged(told):
    """100 - 100 - 1 would be -1, so the input leaves the cached tokens out."""
    row = told["more_cached_than_given"]

    assert tokens(row) == {
        "input_uncached": 100,
        "cache_read": 100,
        "cache_write": 1,
        "output_text": 10,
        "output_reasoning": 10,
    }
    assert row["usage_flags"] == ["disjoint_input"]


def test_a_span_failed_where_its_status_or_an_error_says_so(told):
    """Trap 9."""
    assert (told["failed"]["status"], told["failed"]["error_class"], told["failed"]["http_status"]) == (
        "error",
        "RateLimitError",
        429,
    )
    assert (told["new"]["status"], told["new"]["usage_quality"]) == ("ok", "reported")
    assert (told["without_usage"]["row_kind"], told["without_usage"]["usage_quality"]) == ("llm_call", "missing")
    assert told["without_usage"]["cost_reported_usd"] is None


def test_nanoseconds_stay_whole(told):
    """Trap 1, E9: 2026-11-18T12:00:01Z, to the microsecond; a double would be off by up to 128 ns."""
    assert told["new"]["started_at"] == datetime(2026, 11, 18, 12, 0, 1, tzinfo=UTC)
    assert told["new"]["ended_at"] - told["new"]["started_at"] == timedelta(seconds=2.5)


def test_other_spans_carry_context_alone(told):
    assert (told["http"]["row_kind"], told["http"]["is_billable_leaf"]) == ("context", False)


def test_who_ran_the_process_is_not_stored(told):
    """Trap 11: service.name and what is asked for by name."""
    kept = "\n".join(str(row) for row in told.values())

    assert told["new"]["fallback_feature"] == "bot"
    assert "srv-7" not in kept
    assert "ada" not in kept


USED = {"gen_ai__usage__input_tokens": 10200, "gen_ai__usage__output_tokens": 300}
AGENT = span("invoke_agent support", 1, gen_ai__operation__name="invoke_agent", gen_ai__conversation__id="s-1", **USED)
CHAT = span("chat gpt-4o", 2, 1, gen_ai__operation__name="chat", gen_ai__request__model="gpt-4o", **USED)


def own(place: Place, name: str, content: bytes) -> bytes:
    """The spans of a test are of a trace of its own."""
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(own(place, name, gzip.decompress(content)), mtime=0)
    return content.replace(TRACE.encode(), trace_of(place).encode())


def trace_of(place: Place) -> str:
    return f"{place.number:08x}{TRACE[8:]}"


def booked(place: Place) -> dict[str, tuple[str, bool]]:
    return {row["step"]: (row["row_kind"], row["is_billable_leaf"]) for row in place.rows("ledger_requests")}


@pytest.mark.parametrize("order", ["children first", "parents first", "one line", "two files"])
@together("fine")
def test_only_the_call_below_an_agent_counts_wherever_its_line_is(place, order):
    """B1, B3, traps 2 and 3: the agent repeats the usage of its chat; its session is the chat's."""
    match order:
        case "children first":
            place.land("otel_genai/a.jsonl", lines(request(CHAT), request(AGENT)))
        case "parents first":
            place.land("otel_genai/a.jsonl", lines(request(AGENT), request(CHAT)))
        case "one line":
            place.land("otel_genai/a.jsonl", lines(request(AGENT, CHAT)))
        case _:
            place.land("otel_genai/a.jsonl", lines(request(AGENT)))
            place.land("otel_genai/b.jsonl", lines(request(CHAT)))

    yield

    assert booked(place) == {"invoke_agent support": ("aggregate_span", False), "chat gpt-4o": ("llm_call", True)}
    [chat] = [row for row in place.rows("ledger_requests") if row["is_billable_leaf"]]
    assert (chat["session_id"], chat["attribution_source"]["session_id"]) == ("s-1", "root")


@together("fine")
def test_an_agent_without_usage_below_it_is_kept(place):
    """B4, trap 4."""
    place.land("otel_genai/a.jsonl", lines(request(AGENT, span("chat", 2, 1, gen_ai__operation__name="chat"))))

    yield

    assert booked(place)["invoke_agent support"] == ("aggregate_only", True)


@together("fine")
def test_the_outer_span_of_the_ai_sdk_is_no_call(place):
    """B10: 57 tokens above 147."""
    outer = span("ai.generateText", 1, ai__usage__promptTokens=14, ai__usage__completionTokens=43)
    inner = span("ai.generateText.doGenerate", 2, 1, ai__usage__promptTokens=62, ai__usage__completionTokens=85)
    place.land("otel_genai/a.jsonl", lines(request(outer, inner)))

    yield

    assert booked(place) == {
        "ai.generateText": ("aggregate_span", False),
        "ai.generateText.doGenerate": ("llm_call", True),
    }


@together("fine")
def test_an_embedding_above_an_embedding_counts_once(place):
    """B2."""
    named = {"gen_ai__operation__name": "embeddings", "gen_ai__usage__input_tokens": 7}
    place.land("otel_genai/a.jsonl", lines(request(span("operation", 1, **named), span("call", 2, 1, **named))))

    yield

    assert booked(place) == {"operation": ("aggregate_span", False), "call": ("embedding", True)}


@together("fine")
def test_a_span_that_was_exported_twice_counts_once(place):
    """Trap 12: the later end wins; a file that repeats it changes nothing."""
    early = CHAT | {"endTimeUnixNano": str(START + 2_100_000_000), "attributes": attributes({**CALL})}
    place.land("otel_genai/a.jsonl", lines(request(early), request(CHAT)))
    place.land("otel_genai/b.jsonl", lines(request(CHAT, CHAT)))

    yield

    assert booked(place) == {"chat gpt-4o": ("llm_call", True)}
    [call] = place.rows("ledger_requests")
    assert call["input_uncached_tokens"] == 10200
    assert sum(row["duplicate"] for row in place.rows("ledger_files")) == 3


@pytest.mark.parametrize(
    "content",
    [
        lines(request(AGENT, CHAT)),
        "\n\n" + lines(request(AGENT, CHAT)).replace("\n", "\r\n"),
        "\ufeff" + lines(request(AGENT, CHAT)),
        json.dumps(request(AGENT, CHAT), indent=2),
        json.dumps([request(AGENT), request(CHAT)]),
        gzip.compress(lines(request(AGENT), request(CHAT)).encode()),
        lines(request(AGENT, CHAT)).replace("scopeS", "instrumentationLibraryS").replace('"scope"', '"instrumentationLibrary"'),
        lines({"resourceMetrics": []}, request(AGENT, CHAT), {"resourceSpans": []}),
    ],
    ids=["lines", "CRLF", "BOM", "document", "array", "gzip", "old scopes", "other signals"],
)  # fmt: skip
@together("layouts")
def test_every_layout_gives_the_same_spans(place, content):
    place.land("otel_genai/any name", content)

    yield

    assert place.warnings == []
    found = {row["span_id"]: (row["row_kind"], tokens(row)) for row in place.rows("staged_requests") if row["span_id"]}
    used = {"input_uncached": 10200, "output_text": 300}
    assert found == {f"{1:016x}": ("aggregate_only", used), f"{2:016x}": ("llm_call", used)}


@together("fine")
def test_numbers_may_be_numbers(place):
    """The protocol asks for text; some exporters write numbers, and some counts as 3.0."""
    bare = json.loads(json.dumps(CHAT).replace('"10200"', "10200.0"))
    bare |= {"startTimeUnixNano": START, "endTimeUnixNano": START + 10_000}
    place.land("otel_genai/a.jsonl", lines(request(bare)))

    yield

    assert place.warnings == []
    [row] = place.rows("staged_requests")
    assert (row["input_uncached_tokens"], row["started_at"]) == (10200, datetime(2026, 11, 18, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (lines(request(CHAT)) + json.dumps(request(AGENT))[:200], 2, "not JSON"),
        (lines(request(CHAT)) + '{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\q"}]}]}]}\n', 2, "not JSON"),
        (lines(request(CHAT)).encode() + b'{"resourceSpans": "\xff"}\n', 2, "not UTF-8"),
        (lines(request(CHAT), {"error": {"message": "denied"}}), 2, "no resourceSpans, expected an export request"),
        (lines(request(CHAT), {"resourceSpans": "none"}), 2, "resourceSpans is a JSON varchar, expected a list"),
        (lines(request(CHAT, AGENT | {"spanId": ""})), 1, "missing spanId"),
        (lines(request(CHAT, AGENT | {"traceId": "W47/95gDgQPSabYzgT/GDA=="})), 1, "expected hexadecimal digits"),
        (lines(request(CHAT, AGENT | {"startTimeUnixNano": "2026-11-18"})), 1, "startTimeUnixNano is 2026-11-18, expected nanoseconds"),
        (lines(request(CHAT, AGENT | {"startTimeUnixNano": "0"})), 1, "missing started_at"),
        (lines(request(CHAT, span("x", 3, gen_ai__usage__input_tokens=1.5))), 1, "usage.input_tokens is "),
        (lines(request(CHAT, span("x", 3, gen_ai__usage__input_tokens=-1))), 1, "expected a count of 0 or more"),
        (lines(request(CHAT, span("x", 3, llm__cost__total="free"))), 1, "cost is free, expected an amount in USD"),
    ],
)  # fmt: skip
@together("faulty")
def test_what_is_wrong_is_refused_alone(place, content, line, reason):
    """By line and reason; the span beside it is booked."""
    place.land("otel_genai/a.jsonl", content)

    yield

    warnings = place.warnings

    assert len(warnings) == 1
    assert warnings[0].startswith(f"landing/{place.path('otel_genai', 'a.jsonl')}, line {line}: ")
    assert reason in warnings[0]
    [file] = place.rows("ledger_files")
    assert (file["records"], file["booked"], file["quarantined"]) == (2, 1, 1)
    assert f"line {line}: " in file["reasons"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"error": {"message": "unauthorised"}}', "records with the fields error, message, expected OTLP JSON"),
        ("id,name\n1,a\n", "a CSV file, expected OTLP JSON"),
        ('{"data": [{"traceID": "1", "spans": []}]}', "records with the fields data, traceID, spans, expected OTLP JSON"),
    ],
)  # fmt: skip
@together("fine")
def test_a_file_of_another_tool_is_refused_whole(place, content, reason):
    """F5: and the other file is read."""
    place.land("otel_genai/a.json", content)
    place.land("otel_genai/b.jsonl", lines(request(CHAT)))

    yield

    [warning] = place.warnings

    assert reason in warning
    assert [(row["booked"], row["quarantined"]) for row in place.rows("ledger_files", "path")] == [(0, 1), (1, 0)]


@pytest.mark.parametrize("content", ["", "[]", "\n", '{"resourceSpans":[]}'])
@together("fine")
def test_an_empty_file_is_no_error(place, content):
    """F10."""
    place.land("otel_genai/a.jsonl", content)

    yield

    assert place.warnings == []
    assert place.rows("staged_requests") == []


@together("fine")
def test_an_evaluation_is_a_score_of_its_span(place):
    """As an event of the span, and as a log of its own."""
    named = attributes({"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.value": 0.25})
    event = {"name": "gen_ai.evaluation.result", "timeUnixNano": str(START), "attributes": named}
    label = attributes({"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "rude"})
    log = {"eventName": event["name"], "observedTimeUnixNano": str(START), "traceId": TRACE, "attributes": label}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [log, {"eventName": "other"}]}]}]}
    place.land("otel_genai/a.jsonl", lines(request(CHAT | {"events": [event, {"name": "other"}]}, AGENT), logs))

    yield

    assert place.warnings == []

    found = {row["name"]: row for row in place.rows("staged_scores")}
    assert (found["helpful"]["value_num"], found["helpful"]["target_kind"]) == (0.25, "request")
    assert found["helpful"]["target_id"] == f"{trace_of(place)}:{2:016x}"
    assert (found["tone"]["value_text"], found["tone"]["target_kind"], found["tone"]["target_id"]) == (
        "rude",
        "trace",
        trace_of(place),
    )
    [file] = place.rows("ledger_files")
    assert (file["records"], file["booked"], file["not_billable"]) == (4, 3, 1)


@together("fine")
def test_a_line_of_20_mb_is_read(place):
    """Its prompt is not kept."""
    long = span("long", 3, gen_ai__operation__name="chat", gen_ai__input__messages="prompt " * 3_000_000, **USED)
    place.land("otel_genai/a.jsonl", lines(request(CHAT), request(long)))

    yield

    assert place.warnings == []
    assert [row["input_uncached_tokens"] for row in place.rows("staged_requests")] == [10200, 10200]
    assert all(path.stat().st_size < 100_000 for path in place.reading.root.lake.rglob("*.parquet"))


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are not here")
@together("")
def test_the_exporters_own_file(place):
    """G9: one leaf of 1,200 / 9,000 / 172 / 128."""
    place.land("otel_genai/a.jsonl", (EXAMPLES / "otel_genai" / "otlp_file_exporter.jsonl").read_bytes())

    yield

    assert booked(place) == {
        "invoke_agent support": ("aggregate_span", False),
        "chat gpt-4o-mini": ("llm_call", True),
    }
    [call] = [row for row in place.rows("ledger_requests") if row["is_billable_leaf"]]
    assert call["input_uncached_tokens"] == 1200
    assert (call["cache_read_tokens"], call["output_text_tokens"], call["output_reasoning_tokens"]) == (9000, 172, 128)
