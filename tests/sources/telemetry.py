"""Telemetry since autumn 2026: logs of coding agents, spans of the AI SDK and of OpenLLMetry, built attribute by attribute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.sources.agent_logs import PLAIN, Record, at, count, meta, said, turn

START = 1_795_003_200_000_000_000  # 2026-11-18T12:00:00Z in nanoseconds


def attributes(named: Mapping[str, Any]) -> list[Record]:
    """Numbers as the exporters write them; Claude Code writes its counts as text."""
    return [
        {"key": name, "value": {"intValue": str(found)} if isinstance(found, int) else {"stringValue": found}}
        for name, found in named.items()
    ]


def logs(*records: Record, service: str = "claude-code") -> Record:
    held = {"attributes": attributes({"service.name": service})}
    return {
        "resourceLogs": [{"resource": held, "scopeLogs": [{"scope": {"name": "events"}, "logRecords": list(records)}]}]
    }


def log(body: str, second: int = 0, /, more: Any = None, **named: Any) -> Record:
    """A log record; names of attributes are written with two underscores for a dot."""
    given = attributes({key.replace("__", "."): found for key, found in named.items()})
    return {"timeUnixNano": str(START + second * 10**9), "body": {"stringValue": body}, "attributes": given} | (
        more or {}
    )


def api_request(session: str, name: str | None = None, second: int = 0, **more: Any) -> Record:
    """A call of Claude Code."""
    named = {
        "event__name": "api_request",
        "model": "claude-sonnet-4-6",
        "input_tokens": "1000",
        "output_tokens": "2000",
    }
    named |= {
        "cache_read_tokens": "100000",
        "cache_creation_tokens": "10000",
        "cost_usd": "0.1005",
        "duration_ms": "4200",
    }
    named |= {"request_id": name} if name else {}
    stamp = {"event__timestamp": at("12:00:00"), "session__id": session, "event__sequence": second}
    return log("claude_code.api_request", second, **(named | stamp | more))


def codex_event(thread: str, second: int, given: int, cached: int, out: int, **more: Any) -> Record:
    named = {
        "event__name": "codex.sse_event",
        "event__kind": "response.completed",
        "conversation__id": thread,
        "model": "gpt-5.4",
    }
    counted = {
        "input_token_count": given,
        "cached_token_count": cached,
        "output_token_count": out,
        "reasoning_token_count": 0,
    }
    return log("", second, **(named | counted | more))


def span(scope: str, version: str, number: int, /, name: str = "call", **named: Any) -> Record:
    """A request with one span."""
    held = {"attributes": attributes({"service.name": "app"})}
    made = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": name,
        "startTimeUnixNano": str(START + number * 10**9),
        "endTimeUnixNano": str(START + number * 10**9 + 10**9),
        "attributes": attributes({key.replace("__", "."): found for key, found in named.items()}),
        "status": {},
    }
    return {
        "resourceSpans": [
            {"resource": held, "scopeSpans": [{"scope": {"name": scope, "version": version}, "spans": [made]}]}
        ]
    }


def ai_sdk(
    number: int, session: str, given: int, out: int, metadata: Any, version: str = "5.0.9", **more: Any
) -> Record:
    """A streamed call of the AI SDK. Its metadata is what the provider said."""
    named: Record = {
        "ai__operationId": "ai.streamText.doStream",
        "ai__model__provider": "anthropic.messages",
        "ai__response__model": "claude-haiku-4-5-20251001",
        "ai__usage__inputTokens": given,
        "ai__usage__outputTokens": out,
        "ai__usage__totalTokens": given + out,
        "gen_ai__usage__input_tokens": given,
        "gen_ai__usage__output_tokens": out,
        "ai__response__providerMetadata": json.dumps(metadata),
        "session__id": session,
    }
    return span("ai", version, number, **{key: found for key, found in (named | more).items() if found is not None})


def bedrock(
    number: int, session: str, given: int, out: int, read: int, written: int = 0, version: str = "0.62.3", **more: Any
) -> Record:
    """A call of OpenLLMetry on Bedrock."""
    named: Record = {
        "gen_ai__operation__name": "chat",
        "gen_ai__provider__name": "aws.bedrock",
        "gen_ai__response__model": "us.anthropic.claude-sonnet-4-6",
        "gen_ai__usage__input_tokens": given,
        "gen_ai__usage__output_tokens": out,
        "gen_ai__usage__total_tokens": given + out,
        "gen_ai__usage__cache_read__input_tokens": read,
        "gen_ai__usage__cache_creation__input_tokens": written,
        "session__id": session,
    }
    return span(more.pop("scope", "opentelemetry.instrumentation.bedrock"), version, number, **(named | more))


STARTED = {
    "input_tokens": 4, "output_tokens": 1, "cache_creation_input_tokens": 2183, "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 2183, "ephemeral_1h_input_tokens": 0}, "service_tier": "standard",
}  # fmt: skip
GEMINI = {
    "promptTokenCount": 26,
    "candidatesTokenCount": 103,
    "toolUsePromptTokenCount": 12504,
    "totalTokenCount": 12633,
}
THINKING = {
    "promptTokenCount": 5000, "cachedContentTokenCount": 4000, "candidatesTokenCount": 10, "thoughtsTokenCount": 200,
    "toolUsePromptTokenCount": 100, "totalTokenCount": 5310,
}  # fmt: skip


def gemini(
    number: int, session: str, metadata: Any, given: int, out: int, provider: str = "google.generative-ai", **more: Any
) -> Record:
    named = {"ai__model__provider": provider, "ai__response__model": "gemini-2.5-flash"}
    named |= {"ai__operationId": "ai.generateText.doGenerate", "ai__usage__totalTokens": None}
    return ai_sdk(number, session, given, out, metadata, version="5.0.80", **(named | more))


def openai_of_before(number: int, session: str, provider: str, model: str, metadata: Any) -> Record:
    """Version 4 of the AI SDK, which says of the prompt and the completion nothing but their length."""
    before = {"ai__usage__promptTokens": 5000, "ai__usage__completionTokens": 300, "ai__model__provider": provider}
    nothing = dict.fromkeys(("ai__usage__inputTokens", "ai__usage__outputTokens", "ai__usage__totalTokens"))
    return ai_sdk(
        number, session, 5000, 300, metadata, version="4.3.19", **(before | nothing | {"ai__response__model": model})
    )


def telemetry() -> dict[str, list[Any]]:
    """Path below otel_genai -> lines."""
    trace = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "00000000000000a1"}
    ended = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "claude_code.token.usage", "sum": {}}]}]}]}
    session_metric = json.loads(json.dumps(ended).replace("token.usage", "session.count"))
    metadata = {"anthropic": {"usage": STARTED}}
    return {
        "claude_code/logs": [
            logs(
                api_request("s-k60", "req_k60"),
                log("claude_code.user_prompt", 1, event__name="user_prompt", prompt_length="20", session__id="s-k60"),
                log("claude_code.compaction", 2, event__name="compaction", pre_tokens=170000, session__id="s-k60"),
            ),
            # Two calls of a session whose file is here too: one known by its request, one by its session and counts alone.
            logs(api_request("s-both", "req_both", 10), api_request("s-both", None, 20, input_tokens="7", duration_ms="10")),
            # A background call that no session file has; one that failed; one on Bedrock, fast.
            logs(
                api_request("s-both", "req_background", 30, input_tokens="500", model="claude-haiku-4-5-20251001"),
                log(
                    "claude_code.api_error", 40, event__name="api_error", model="claude-sonnet-4-6", error="overloaded",
                    status_code="529", attempt="2", duration_ms="900", session__id="s-failed",
                ),
                api_request("s-profile", "0f-aws", 50, model="us.anthropic.claude-sonnet-4-6"),
                api_request("s-strange", "req_strange", 55, vexu_tokens="70"),
            ),
            span(
                "com.anthropic.claude_code.tracing", "1", 900, "claude_code.llm_request", input_tokens=1000, output_tokens=2000,
                cache_read_tokens=100000, cache_creation_tokens=10000, request_id="req_k60", model="claude-sonnet-4-6", session__id="s-k60",
                gen_ai__request__model="claude-sonnet-4-6", gen_ai__system="anthropic", ttft_ms=700,
            ),
            span(
                "com.anthropic.claude_code.tracing", "1", 901, "claude_code.llm_request", input_tokens=10, output_tokens=20,
                cache_read_tokens=0, cache_creation_tokens=0, request_id="req_traced", session__id="s-traced",
                gen_ai__request__model="claude-sonnet-4-6", gen_ai__system="anthropic",
            ),
            ended,
        ],
        "claude_code/again": [logs(api_request("s-k60", "req_k60"))],
        "claude_code/metrics": [ended, session_metric],
        "codex/logs": [
            logs(
                codex_event("t-both", 10, 40000, 10000, 1000),
                codex_event("t-alone", 20, 60000, 2000, 1000, cache_write_token_count=57000, model="gpt-5.6-terra"),
                log("", 21, event__name="codex.sse_event", event__kind="response.output_item.done", conversation__id="t-alone"),
                log("", 22, event__name="codex.turn_cost", total_tokens=61000, conversation__id="t-alone"),
                service="codex_cli_rs",
            ),
            # A call that the trace has as well.
            logs(codex_event("t-traced", 1000, 3000, 1000, 100) | trace | {"traceId": f"{1000:032x}"}, service="codex_exec"),
            json.loads(json.dumps(span(
                "codex", "1", 1000, "stream_request", gen_ai__usage__input_tokens=3000, gen_ai__usage__cache_read__input_tokens=1000,
                gen_ai__usage__output_tokens=100, gen_ai__request__model="gpt-5.4", session__id="t-traced",
            )).replace('"app"', '"codex_exec"')),
        ],
        "gemini/logs": [
            logs(
                log(
                    "API response from gemini-2.5-flash", 10, event__name="gemini_cli.api_response", model="gemini-2.5-flash",
                    input_token_count=5000, cached_content_token_count=4000, output_token_count=10, thoughts_token_count=200,
                    tool_token_count=100, total_token_count=5310, duration_ms=1500, session__id="s-gemini", prompt_id="p",
                    auth_type="gemini-api-key",
                ),
                log(
                    "", 10, {"eventName": "gen_ai.client.inference.operation.details"}, gen_ai__usage__input_tokens=5000,
                    gen_ai__usage__output_tokens=210, gen_ai__response__model="gemini-2.5-flash", session__id="s-gemini",
                ),
                service="gemini-cli",
            ),
            logs(
                log(
                    "", 20, {"eventName": "gen_ai.client.inference.operation.details"} | trace, gen_ai__usage__input_tokens=5000,
                    gen_ai__usage__output_tokens=210, gen_ai__response__model="gemini-2.5-flash", session__id="s-details",
                ),
                service="app",
            ),
            logs(log("", 30, event__name="acme.llm_done", prompt_tokens=12, session__id="s-acme"), service="acme"),
            logs(log("", 30, event__name="acme.started", max_tokens=12, access_token="x"), service="acme"),
        ],
        "cases/k": [
            ai_sdk(1, "f8", 4, 1404, metadata),
            ai_sdk(2, "f8-whole", 4, 1404, {"anthropic": {"usage": STARTED | {"output_tokens": 1500}}}),
            ai_sdk(3, "f8-before", 4, 1404, {"anthropic": {"cacheCreationInputTokens": 2183, "cacheReadInputTokens": 50000}}),
            ai_sdk(4, "f8-above", 40, 9000, metadata, ai__operationId="ai.streamText"),
            ai_sdk(
                5, "f8-bedrock", 4, 1404, {"bedrock": {"usage": {"cacheWriteInputTokens": 2183}}}, ai__model__provider="amazon-bedrock",
                ai__response__model="us.anthropic.claude-haiku-4-5-20251001-v1:0", ai__usage__cachedInputTokens=50000,
            ),
            ai_sdk(6, "f8-id", 4, 1404, metadata, ai__response__id="msg_vrtx_1"),
            gemini(10, "f15", {"google": {"usageMetadata": GEMINI}}, 26, 103),
            gemini(11, "f15-vertex", {"vertex": {"usageMetadata": THINKING}}, 5000, 10, "google.vertex.chat"),
            gemini(12, "f15-late", {"google": {"usageMetadata": THINKING | {"totalTokenCount": 5600}}}, 5000, 500),
            openai_of_before(
                20, "v4-openai", "openai.chat", "gpt-5.4", {"openai": {"cachedPromptTokens": 4000, "reasoningTokens": 100, "serviceTier": "priority"}}
            ),
            openai_of_before(21, "v4-deepseek", "deepseek.chat", "deepseek-chat", {"deepseek": {"promptCacheHitTokens": 4000, "promptCacheMissTokens": 1000}}),
            openai_of_before(
                22, "v4-openrouter", "openrouter.chat", "openai/gpt-5.4",
                {"openrouter": {"usage": {"promptTokensDetails": {"cachedTokens": 4000}, "cost": 0.0125}}},
            ),
            bedrock(30, "f9", 50000, 400, 40000, 5000),
            bedrock(31, "f9-sure", 12, 400, 1000),
            # Another version: nothing is sure of it.
            bedrock(32, "f9-doubt", 50000, 400, 40000, version="0.62.4"),
            # Another package, of which the convention holds; and one of which a span shows that it does not.
            bedrock(33, "f9-convention", 50000, 400, 40000, scope="acme.tracing"),
            bedrock(34, "f9-other", 50000, 400, 40000, scope="beta.tracing", gen_ai__usage__reasoning_tokens=100),
            bedrock(35, "f9-other-sure", 12, 400, 1000, scope="beta.tracing"),
        ],
    }  # fmt: skip


def session_files() -> dict[str, list[Record]]:
    """Sessions that are in telemetry too, by path below coding_agents."""
    written = PLAIN | {"input_tokens": 7}
    return {
        "ada/claude": [
            said("s-both", "msg_both_of", PLAIN, timestamp=at("12:00:10"), requestId="req_both"),
            said("s-both", "msg_both_by_counts", written, timestamp=at("12:00:20")),
        ],
        "ada/codex": [meta("12:00:00", "t-both"), turn("12:00:01"), count("12:00:10", (40000, 10000, 1000, 0))],
    }
