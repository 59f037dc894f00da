"""What a row says in dollars, and fees beside the tokens: kept, priced and compared, in every source, in one run."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pipelines import cost_faults
from pipelines.books import run
from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.views import open_views
from tests.conftest import upstream

AT = "2026-11-18T15:00:00Z"
DAY = "2026-11-18"


def call(
    name: str, provider: str, model: str, usage: dict[str, Any], api: str | None = None, **more: Any
) -> dict[str, Any]:
    """A record of app_log."""
    return {"id": name, "timestamp": AT, "provider": provider, "api": api, "model": model, "usage": usage, **more}


def responses(read: int, written: int, cached: int = 0, **more: Any) -> dict[str, Any]:
    details = {"input_tokens_details": {"cached_tokens": cached}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written, **details, **more}


def chat(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion, **more}


def spend(
    name: str, model: str, seller: str, usage: dict[str, Any], dollars: float, breakdown: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A row of LiteLLM's spend logs."""
    return {
        "request_id": name,
        "litellm_call_id": name,
        "call_type": "acompletion",
        "spend": dollars,
        "prompt_tokens": usage.get("prompt_tokens", 0),
        "completion_tokens": usage.get("completion_tokens", 0),
        "total_tokens": usage.get("total_tokens", 0),
        "startTime": f"{DAY} 09:00:00+00:00",
        "endTime": f"{DAY} 09:00:02+00:00",
        "model": model,
        "custom_llm_provider": seller,
        "cache_hit": "None",
        "request_tags": "[]",
        "status": "success",
        "metadata": json.dumps({"usage_object": usage} | ({"cost_breakdown": breakdown} if breakdown else {})),
    }


def observation(
    name: str, model: str, seller: str, usage: dict[str, Any], costs: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """An observation of Langfuse."""
    return {
        "id": name,
        "trace_id": f"trace-{name}",
        "start_time": f"{DAY} 09:30:00.000000",
        "end_time": f"{DAY} 09:30:05.000000",
        "project_id": "p",
        "parent_observation_id": "",
        "type": "GENERATION",
        "name": "gen",
        "level": "DEFAULT",
        "environment": "production",
        "created_at": f"{DAY} 09:30:10.000000",
        "updated_at": f"{DAY} 09:30:10.000000",
        "metadata": {"ls_provider": seller, **metadata},
        "provided_model_name": model,
        "model_parameters": "{}",
        "usage_details": usage,
        "cost_details": costs or {},
        "total_cost": (costs or {}).get("total", 0),
        "tags": [],
        "trace_name": f"t-{name}",
    }


def span(number: int, **attributes: Any) -> dict[str, Any]:
    """A span of a collector."""
    return {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "scope": {"name": "agent"},
                        "spans": [
                            {
                                "traceId": f"{number:032x}",
                                "spanId": f"{number:016x}",
                                "name": "chat",
                                "startTimeUnixNano": "1795003200000000000",
                                "endTimeUnixNano": "1795003200900000000",
                                "attributes": [
                                    {"key": key.replace("__", "."), "value": {"stringValue": str(value)}}
                                    for key, value in attributes.items()
                                ],
                            }
                        ],
                    }
                ]
            }
        ]
    }


def run_of(number: int, **more: Any) -> dict[str, Any]:
    """A run of LangSmith."""
    identity = f"1efa0000-0000-6000-8000-{number:012x}"
    return {
        "id": identity,
        "name": "answer",
        "run_type": "llm",
        "start_time": f"{DAY}T12:00:00.000000",
        "end_time": f"{DAY}T12:00:02.000000",
        "status": "success",
        "trace_id": identity,
        "parent_run_id": None,
        "is_root": True,
        "tags": "[]",
        **more,
    }


def helicone(name: str, **counts: Any) -> dict[str, Any]:
    """A row of Helicone's request query with 1,000 tokens in and 100 out."""
    return {
        "request_id": name,
        "request_created_at": f"{DAY} 10:00:01.000",
        "response_status": 200,
        "provider": "ANTHROPIC",
        "request_model": "claude-sonnet-4-6",
        "prompt_tokens": 1_000,
        "completion_tokens": 100,
        "total_tokens": 1_100,
        "target_url": "https://api.anthropic.com/v1/messages",
        **counts,
    }


def invocation(name: str, given: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    """A line of Bedrock's log with 1,000 tokens in and 100 out."""
    counted = {"inputTokens": 1_000, "outputTokens": 100, **usage}
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": f"{DAY}T12:00:00Z",
        "accountId": "012345678901",
        "region": "us-east-1",
        "requestId": name,
        "operation": "Converse",
        "modelId": "global.anthropic.claude-sonnet-4-6",
        "input": {"inputTokenCount": 1_000, "inputBodyJson": {"messages": []}, **given},
        "output": {"outputTokenCount": 100, "outputBodyJson": {"usage": counted}},
    }


# Columns of Helicone that stand beside those that it has had so far.
BESIDE: dict[str, dict[str, Any]] = {
    "beside-hours": {"prompt_cache_write_1h": 2_000},
    "beside-split": {
        "prompt_cache_write_tokens": 2_000,
        "prompt_cache_write_5m": 1_500,
        "prompt_cache_write_1h": 500,
    },
    "beside-unknown": {"prompt_zibu_tokens": 700},
    "beside-nothing": {"access_token": "sk-abc", "max_tokens": 5, "tokens_per_second": 90, "zuby_tokens": None},
}
SEARCHED = responses(20_000, 1_000)
BY_KEY = {"cost": 0.0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.029208}}
GROUNDED = chat(10_000, 1_000, prompt_tokens_details={"text_tokens": 10_000, "web_search_requests": 4})
XAI = responses(
    3_834,
    467,
    1_000,
    num_sources_used=0,
    num_server_side_tools_used=2,
    cost_in_usd_ticks=189_700_000,
    server_side_tool_usage_details={"web_search_calls": 0, "x_search_calls": 2, "code_interpreter_calls": 0},
)
LANDED: dict[str, list[dict[str, Any]]] = {
    "app_log/a.jsonl": [
        call("xai", "xai", "grok-4.7", XAI, "xai.responses"),
        call(
            "xai-chat",
            "xai",
            "grok-4.7",
            chat(2_834, 467, num_sources_used=0, cost_in_usd_ticks=134_700_000)
            | {"server_side_tool_usage_details": {"web_search_calls": 1, "file_search_calls": 2, "mcp_calls": 3}},
            "xai.chat",
        ),
        call(
            "xai-untold",
            "xai",
            "grok-4.7",
            responses(1_000, 0, num_server_side_tools_used=2, costInUsdTicks="120000000"),
            "xai.responses",
        ),
        call(
            "xai-new",
            "xai",
            "grok-4.7",
            responses(1_000, 0, server_side_tool_usage_details={"web_search_calls": 1, "zibu_calls": 2}),
            "xai.responses",
        ),
        call("nano", "openai", "gpt-5-mini", SEARCHED | {"cost_in_nano_usd": 7_000_000}, "openai.responses"),
        call("search-beside", "openai", "gpt-5-mini", SEARCHED, "openai.responses", web_search_calls=4, cost_usd=0.047),
        call("search-within", "openai", "gpt-5-mini", SEARCHED | {"num_web_search_calls": 4}, "openai.responses"),
        call("search-silent", "openai", "gpt-5-mini", SEARCHED, "openai.responses", cost_usd=0.047),
        call("files", "openai", "gpt-5-mini", SEARCHED, "openai.responses", num_file_search_calls=2, cost_usd=0.12),
        call(
            "g2",
            "google",
            "gemini-2.5-flash",
            {"promptTokenCount": 10_000, "candidatesTokenCount": 1_000, "totalTokenCount": 11_000},
            "gemini.generateContent",
            web_search_calls=3,
        ),
        call(
            "g3",
            "google",
            "gemini-3.1-pro-preview",
            {"promptTokenCount": 10_000, "candidatesTokenCount": 1_000, "totalTokenCount": 11_000},
            "gemini.generateContent",
            web_search_calls=3,
        ),
        *(
            call(
                f"bedrock-{version}-{tokens}",
                "bedrock",
                f"openai.gpt-{version}",
                responses(tokens, 1_000),
                "bedrock.responses",
                region=region,
            )
            for version, tokens, region in (
                ("5.5", 301_016, "us-east-1"),
                ("5.4", 301_016, "eu-central-1"),
                ("5.5", 272_000, "us-east-1"),
            )
        ),
        call("or-own", "openrouter", "anthropic/claude-sonnet-4.6", chat(9_171, 113, **BY_KEY), "openrouter.chat"),
        call(
            "or-host",
            "openrouter",
            "anthropic/claude-sonnet-4.6",
            chat(9_171, 113, **BY_KEY),
            "openrouter.chat",
            host_provider="Amazon Bedrock",
        ),
        call(
            "or-paid",
            "openrouter",
            "anthropic/claude-sonnet-4.6",
            chat(9_171, 113, cost=0.025, is_byok=False),
            "openrouter.chat",
        ),
        call(
            "perplexity",
            "perplexity",
            "sonar",
            chat(10, 20, search_context_size="low", cost={"total_cost": 0.00503}),
            "perplexity.chat",
        ),
        call("whisper", "openai", "whisper-1", {"type": "duration", "seconds": 27}, "openai.audio"),
        call("minutes", "openai", "whisper-1", {"type": "duration", "minutes": 1.5}, "openai.audio"),
        call("third", "groq", "whisper-large-v3", {"type": "duration", "seconds": 28}, "openai.audio"),
        call("short", "groq", "whisper-large-v3", {"type": "duration", "seconds": 4}, "openai.audio"),
        call("untold-api", "openai", "whisper-1", {"type": "duration", "seconds": 27}),
        call("tenfold", "openai", "gpt-5-mini", SEARCHED, "openai.responses", cost_usd=0.07),
        call("rounded", "openai", "gpt-5-mini", SEARCHED, "openai.responses", cost_usd=0.0070000001),
    ],
    "litellm/spend_logs.jsonl": [
        spend("lite-g2", "gemini-2.5-flash", "vertex_ai", GROUNDED, 0.0405),
        spend("lite-g3", "gemini-3.1-pro-preview", "gemini", GROUNDED, 0.088),
        spend(
            "lite-fee",
            "gpt-5-mini",
            "openai",
            chat(20_000, 1_000),
            0.047,
            {
                "input_cost": 0.005,
                "output_cost": 0.002,
                "tool_usage_cost": 0.04,
                "total_cost": 0.047,
                "original_cost": 0.047,
            },
        ),
        spend(
            "lite-counted",
            "gpt-5-mini",
            "openai",
            chat(20_000, 1_000, prompt_tokens_details={"web_search_requests": 4}),
            0.047,
            {"tool_usage_cost": 0.04, "total_cost": 0.047, "original_cost": 0.047},
        ),
        spend("lite-own", "openrouter/anthropic/claude-sonnet-4.6", "openrouter", chat(9_171, 113, **BY_KEY), 0.0),
        spend(
            "lite-router",
            "gpt-5-mini",
            "openai",
            chat(20_000, 1_000, prompt_tokens_details={"web_search_requests": 4}),
            0.0471,
            {"tool_usage_cost": 0.04, "additional_costs": {"router_flat_cost": 0.0001}, "original_cost": 0.0471},
        ),
        spend("lite-beside", "gpt-5-mini", "openai", chat(20_000, 1_000), 0.007) | {"vexu_tokens": 400},
        spend("lite-audio", "whisper-1", "openai", chat(0, 0, type="duration", seconds=27), 0.0027),
    ],
    "langfuse/p/observations_v2/2026-11-18T10-00-00.jsonl": [
        observation(
            "lf-g2",
            "gemini-2.5-flash",
            "google_genai",
            {"input": 10_000, "output": 1_000, "grounding_queries": 4, "total": 11_000},
        ),
        observation(
            "lf-g3",
            "gemini-3.1-pro-preview",
            "google_genai",
            {"input": 10_000, "output": 1_000, "web_search_queries": 2, "total": 11_000},
        ),
        observation(
            "lf-cost",
            "gpt-5-mini",
            "openai",
            {"input": 20_000, "output": 1_000, "total": 21_000},
            {"input": 0.005, "output": 0.002, "web_search": 0.04, "total": 0.047},
        ),
        observation(
            "lf-own",
            "anthropic/claude-sonnet-4.6",
            "openrouter",
            {"input": 9_171, "output": 113, "total": 9_284},
            token_usage=BY_KEY,
        ),
        observation("lf-audio", "whisper-1", "openai", {"audio_seconds": 27}),
    ],
    "google_vertex/acct/calls.jsonl": [
        {
            "endpoint": "projects/1/locations/global/endpoints/9",
            "logging_time": AT,
            "request_id": "vertex-g2",
            "model": "publishers/google/models/gemini-2.5-flash",
            "full_response": {
                "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b", "c"]}}],
                "modelVersion": "gemini-2.5-flash",
                "usageMetadata": {"promptTokenCount": 10_000, "candidatesTokenCount": 1_000, "totalTokenCount": 11_000},
            },
        }
    ],
    "helicone/requests.jsonl": [
        {
            "request_id": "helicone",
            "response_id": "r",
            "request_created_at": f"{DAY} 10:00:01.000",
            "response_created_at": f"{DAY} 10:00:05.250",
            "response_status": 200,
            "provider": "OPENAI",
            "request_model": "gpt-4o-2024-08-06",
            "prompt_tokens": 1_000,
            "completion_tokens": 100,
            "total_tokens": 1_100,
            "target_url": "https://api.openai.com/v1/chat/completions",
            "cost": 0.035,
        },
        *(helicone(name, **counts) for name, counts in BESIDE.items()),
    ],
    "portkey/logs.jsonl": [
        {
            "id": "portkey",
            "trace_id": "t-1",
            "created_at": f"{DAY}T11:00:00.000Z",
            "is_success": 1.0,
            "ai_org": "openai",
            "ai_model": "gpt-4o-2024-08-06",
            "req_units": 1_000.0,
            "res_units": 100.0,
            "total_units": 1_100.0,
            "cost": 0.35,
            "cost_currency": "USD",
            "request_url": "https://api.openai.com/v1/chat/completions",
            "response_status_code": 200,
            "cache_status": "MISS",
        }
    ],
    "langsmith/runs.jsonl": [
        run_of(
            1,
            extra=json.dumps({"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-2024-08-06"}}),
            prompt_tokens=1_000,
            completion_tokens=100,
            total_tokens=1_100,
            total_cost="0.0035",
        ),
        run_of(
            2,
            extra=json.dumps(
                {"metadata": {"ls_provider": "openrouter", "ls_model_name": "anthropic/claude-sonnet-4.6"}}
            ),
            outputs=json.dumps({"llm_output": {"token_usage": BY_KEY}}),
            prompt_tokens=9_171,
            completion_tokens=113,
            total_tokens=9_284,
            total_cost=None,
        ),
        run_of(
            3,
            extra=json.dumps({"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-2024-08-06"}}),
            prompt_tokens=1_000,
            completion_tokens=100,
            total_tokens=1_100,
            cache_read_tokens=400,
            prompt_cost="0.002",
            completion_cost="0.001",
        ),
    ],
    "aws_bedrock/payer/invocations.jsonl": [
        invocation("bedrock-beside", {"vexuTokenCount": 300}, {}),
        invocation("bedrock-within", {}, {"vexuTokens": 300}),
        invocation("bedrock-known", {"cacheReadInputTokenCount": 4_000}, {"cacheReadInputTokens": 4_000}),
    ],
    "otel_genai/spans.jsonl": [
        span(
            1,
            gen_ai__provider__name="openai",
            gen_ai__response__model="gpt-4o-2024-08-06",
            gen_ai__operation__name="chat",
            gen_ai__usage__input_tokens=1_000,
            gen_ai__usage__output_tokens=100,
            gen_ai__usage__cost=0.0035,
        ),
        span(
            2,
            gen_ai__provider__name="openrouter",
            gen_ai__response__model="anthropic/claude-sonnet-4.6",
            gen_ai__operation__name="chat",
            gen_ai__usage__input_tokens=9_171,
            gen_ai__usage__output_tokens=113,
            ai__response__providerMetadata=json.dumps(
                {"openrouter": {"usage": {"cost": 0, "costDetails": {"upstreamInferenceCost": 0.029208}}}}
            ),
        ),
        span(
            3,
            gen_ai__provider__name="xai",
            gen_ai__response__model="grok-4.7",
            gen_ai__operation__name="chat",
            gen_ai__usage__input_tokens=1_000,
            gen_ai__usage__output_tokens=0,
            ai__response__providerMetadata=json.dumps({"xai": {"costInUsdTicks": 20_000_000}}),
        ),
    ],
    "requests/r.jsonl": [
        {
            "source_row_id": "requests",
            "started_at": AT,
            "provider": "openai",
            "model_served": "gpt-4o-2024-08-06",
            "input_uncached_tokens": 1_000,
            "output_text_tokens": 100,
            "cost_reported_usd": 0.0035,
        }
    ],
    "coding_agents/dev/claude.jsonl": [
        {
            "type": "assistant",
            "uuid": "u-1",
            "timestamp": AT,
            "sessionId": "s-1",
            "requestId": "req-1",
            "costUSD": 0.0105,
            "message": {
                "id": "msg_1",
                "role": "assistant",
                "model": "claude-sonnet-4-6",
                "usage": {"input_tokens": 1_000, "output_tokens": 500},
            },
        }
    ],
}
# The id that a source makes of another one.
IDS = {
    "langsmith": "1efa0000-0000-6000-8000-000000000001",
    "langsmith-sides": "1efa0000-0000-6000-8000-000000000003",
    "bedrock-beside": "012345678901/us-east-1/bedrock-beside",
    "bedrock-within": "012345678901/us-east-1/bedrock-within",
    "bedrock-known": "012345678901/us-east-1/bedrock-known",
    "langsmith-own": "1efa0000-0000-6000-8000-000000000002",
    "otel": f"{1:032x}:{1:016x}",
    "otel-own": f"{2:032x}:{2:016x}",
    "otel-xai": f"{3:032x}:{3:016x}",
    "vertex-g2": "projects/1/locations/global/endpoints/9/vertex-g2",
    "coding_agents": "msg_1",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    made = DataRoot(tmp_path_factory.mktemp("stated"))
    for name, records in LANDED.items():
        path = made.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    report = run(made, select=upstream("mart_cost_faults_daily"))
    assert (report.failed, report.read.warnings) == ([], [])
    return made


@pytest.fixture(scope="module")
def booked(root: DataRoot) -> dict[str, dict[str, Any]]:
    """Calls with their cost, by the id of the row."""
    with open_views(root) as con:
        found = named_rows(
            con,
            """select r.*, c.* exclude (request_key, started_at, cost_reported_usd)
            from ledger_requests as r left join ledger_costs as c using (request_key)""",
        )
    names = {identity: name for name, identity in IDS.items()}
    return {names.get(row["source_row_id"], row["source_row_id"]): row for row in found}


@pytest.mark.parametrize(
    ("name", "list_cost", "status"),
    [
        ("xai", "0.01897", "priced"),
        ("xai-chat", "0.01847", "priced"),
        ("xai-untold", "0.012", "priced"),
        ("search-beside", "0.047", "priced"),
        ("search-within", "0.047", "priced"),
        ("search-silent", "0.007", "priced"),
        ("files", "0.012", "priced"),
        ("g2", "0.0405", "priced"),
        ("g3", "0.074", "priced"),
        ("bedrock-5.5-301016", "3.360676", "assumed"),
        ("bedrock-5.4-301016", "1.680338", "assumed"),
        ("bedrock-5.5-272000", "1.529", "priced"),
        ("or-own", "0.029208", "priced"),
        ("or-host", "0.029208", "priced"),
        ("whisper", "0.0027", "priced"),
        ("minutes", "0.009", "priced"),
        ("third", "0.000863333333333", "priced"),
        ("short", "0.000308333333333", "priced"),
        ("untold-api", "0.0027", "assumed"),
        ("lite-g2", "0.0405", "priced"),
        ("lite-g3", "0.088", "priced"),
        ("lite-fee", "0.047", "priced"),
        ("lite-counted", "0.047", "priced"),
        ("lite-own", "0.029208", "priced"),
        ("lite-audio", "0.0027", "priced"),
        ("lf-g2", "0.0405", "priced"),
        ("lf-g3", "0.06", "priced"),
        ("lf-cost", "0.047", "priced"),
        ("lf-own", "0.029208", "priced"),
        ("lf-audio", "0.0027", "priced"),
        ("vertex-g2", "0.0405", "priced"),
        ("langsmith-own", "0.029208", "priced"),
        ("otel-own", "0.029208", "priced"),
    ],
)
def test_a_fee_that_the_row_names_is_part_of_its_cost(
    booked: dict[str, dict[str, Any]], name: str, list_cost: str, status: str
) -> None:
    """xai: 2,834 x 2 + 1,000 x 0.5 + 467 x 6 = 0.00897 and two searches at 5 a thousand; in chat 2,834 x 2 + 467 x 6 = 0.00847, a search
    (0.005) and two looks into files at 2.50 (0.005). Calls of tools that nobody breaks down have no price: what xAI charged stands.
    gpt-5-mini: 20,000 x 0.25 + 1,000 x 2 = 0.007 and four searches at 10 (0.04), two of files at 2.50 (0.005).
    Gemini 2.5 Flash: 10,000 x 0.3 + 1,000 x 2.5 = 0.0055 and one prompt at 35; Gemini 3.1 Pro 0.032 and each search at 14.
    Bedrock above 272k: 301,016 x 11 + 1,000 x 49.5, and half of it; up to there 272,000 x 5.5 + 1,000 x 33.
    Sonnet: 9,171 x 3 + 113 x 15.
    Time: 27 s and 90 s of 0.36 an hour; 28 s and (at least ten for four) 10 s of 0.111.
    """
    row = booked[name]

    assert (row["list_cost_usd"], row["effective_cost_usd"], row["cost_status"]) == (
        Decimal(list_cost),
        Decimal(list_cost),
        status,
    )


@pytest.mark.parametrize(
    ("name", "stated", "basis"),
    [
        ("xai", "0.01897", "provider_charge"),
        ("xai-chat", "0.01347", "provider_charge"),
        ("xai-untold", "0.012", "provider_charge"),
        ("nano", "0.007", "provider_charge"),
        ("search-beside", "0.047", "user_supplied"),
        ("or-own", "0.029208", "own_key"),
        ("or-paid", "0.025", "provider_charge"),
        ("perplexity", "0.00503", "provider_charge"),
        ("tenfold", "0.07", "user_supplied"),
        ("lite-g2", "0.0405", "gateway_list"),
        ("lite-own", "0.029208", "own_key"),
        ("lf-cost", "0.047", "gateway_list"),
        ("lf-own", "0.029208", "own_key"),
        ("helicone", "0.035", "gateway_list"),
        ("portkey", "0.0035", "gateway_list"),
        ("langsmith", "0.0035", "gateway_list"),
        ("langsmith-own", "0.029208", "own_key"),
        ("otel", "0.0035", "user_supplied"),
        ("otel-own", "0.029208", "own_key"),
        ("otel-xai", "0.002", "provider_charge"),
        ("requests", "0.0035", "user_supplied"),
        ("coding_agents", "0.0105", "user_supplied"),
    ],
)
def test_what_a_row_states_in_dollars_is_kept(
    booked: dict[str, dict[str, Any]], name: str, stated: str, basis: str
) -> None:
    """A tick is 1e-10 dollars, Portkey counts cents; of the sources that state dollars each has a row here."""
    assert (booked[name]["cost_reported_usd"], booked[name]["cost_reported_basis"]) == (Decimal(stated), basis)


def test_what_an_own_key_paid_is_owed_to_its_provider(booked: dict[str, dict[str, Any]]) -> None:
    """OpenRouter charges nothing for such a call; without an own key it is paid."""
    own = ("or-own", "or-host", "lite-own", "lf-own", "langsmith-own", "otel-own", "or-paid")

    assert [booked[name]["provider"] for name in own] == ["anthropic", "bedrock", *["anthropic"] * 4, "openrouter"]


def test_a_difference_beyond_rounding_is_a_fault_with_its_dollars(root: DataRoot) -> None:
    """0.047 for 0.007 and 0.07 for 0.007 (0.04 + 0.063), 0.12 for 0.012 (0.108), Helicone's 0.035 for 0.0035."""
    with open_views(root) as con:
        found = named_rows(
            con,
            """select source, model_served, faulty_requests, fault_usd from mart_cost_faults_daily
            where fault = 'differs' and provider = 'openai' order by source""",
        )

    assert [(row["source"], row["faulty_requests"], row["fault_usd"]) for row in found] == [
        ("app_log", 3, Decimal("0.211")),
        ("helicone", 1, Decimal("0.0315")),
    ]


def test_the_largest_differences_are_named_with_what_to_do(root: DataRoot) -> None:
    """gpt-5-mini's 0.211 in the application's log is the dearest: 0.047, 0.07 and 0.12 for 0.007, 0.007 and 0.012."""
    with open_views(root) as con:
        first, *_ = cost_faults.largest(con)

    assert (first["source"], first["model"], first["requests"], first["fault_usd"]) == (
        "app_log",
        "gpt-5-mini",
        3,
        Decimal("0.211"),
    )
    assert (first["stated_usd"], first["ours_usd"]) == (Decimal("0.237"), Decimal("0.026"))
    assert f"tokenbooks explain {first['example']}" in first["remedy"]


def test_counts_that_stand_beside_what_a_source_reads_are_read_or_named(booked: dict[str, dict[str, Any]]) -> None:
    """Sonnet 4.6: 1,000 x 3 + 100 x 15 = $0.0045, with 2,000 written for an hour at 6 $0.0165, with 1,500 at 3.75 and 500 at 6
    $0.013125, with 4,000 read at 0.3 $0.0057. gpt-4o: 600 x 2.5 + 400 x 1.25 + 100 x 10 = $0.003. gpt-5-mini: $0.007."""
    names = (*BESIDE, "langsmith-sides", "bedrock-known", "bedrock-beside", "bedrock-within", "lite-beside")
    found = {
        name: (booked[name]["list_cost_usd"].normalize(), booked[name]["cost_status"], booked[name]["unread_usage"])
        for name in names
    }

    assert found == {
        "beside-hours": (Decimal("0.0165"), "priced", None),
        "beside-split": (Decimal("0.013125"), "priced", None),
        "beside-unknown": (Decimal("0.0045"), "assumed", {"prompt_zibu_tokens": 700}),
        "beside-nothing": (Decimal("0.0045"), "priced", None),
        "langsmith-sides": (Decimal("0.003"), "priced", None),
        "bedrock-known": (Decimal("0.0057"), "priced", None),
        "bedrock-beside": (Decimal("0.0045"), "assumed", {"vexuTokenCount": 300}),
        "bedrock-within": (Decimal("0.0045"), "assumed", {"vexuTokens": 300}),
        "lite-beside": (Decimal("0.007"), "assumed", {"vexu_tokens": 400}),
    }
    assert "sk-abc" not in str(booked["beside-nothing"])
    assert booked["langsmith-sides"]["cost_reported_usd"] == Decimal("0.003")


def test_a_tool_and_a_fee_that_no_price_knows_are_not_left_out(booked: dict[str, dict[str, Any]]) -> None:
    """0.007 of tokens, 4 searches at 0.01 and 0.0001 that LiteLLM names. A tool of xAI without a price leaves the call without one."""
    assert booked["lite-router"]["list_cost_usd"] == Decimal("0.0471")
    assert (booked["xai-new"]["cost_status"], booked["xai-new"]["list_cost_usd"]) == ("no_price_at_time", None)
    assert booked["xai-new"]["extra_units"]["zibu"] == 2
