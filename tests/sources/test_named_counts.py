"""Counts under keys that a source did not know: what a provider's log, a realtime answer or a sub-agent counts beside the rest."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import FATES, land, lines, read, tokens
from tests.sources.test_cloud_bills import diagnostic


def azure(call: str, **counts: Any) -> dict[str, Any]:
    named = {"modelName": "gpt-5.4", "modelVersion": "2026-03-05", "modelDeploymentName": "chat"}
    return diagnostic(call, **named, **counts)


REALTIME = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 70,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 6},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
APP = {"timestamp": "2026-11-18T12:00:00Z", "provider": "openai", "model": "gpt-realtime", "usage": REALTIME}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = DataRoot(tmp_path_factory.mktemp("named") / "books")
    land(
        root,
        "app_log/a/calls.jsonl",
        lines(*({**APP, "id": api, "api": api} for api in ("openai.responses", "openai.chat", "openai.realtime"))),
    )
    gateway = {
        "call_type": "aimage_generation",
        "spend": 0.1668,
        "startTime": "2026-11-18 09:00:00.250000+00:00",
        "endTime": "2026-11-18 09:00:02.750000+00:00",
        "model": "gpt-image-1.5",
        "custom_llm_provider": "openai",
        "status": "success",
    }
    pictures = {
        "input_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens": 4160,
        "total_tokens": 4210,
    }
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    land(
        root,
        "litellm/a/spend.jsonl",
        lines(
            *(
                {**gateway, **(zeros if "beside" in name else {}), "request_id": name, "metadata": {"usage_object": of}}
                for name, of in {
                    "pictures": pictures,
                    "pictures beside zeros": {**pictures, **zeros, "total_tokens": 4210},
                    "pictures beside all zeros": {**pictures, **zeros},
                }.items()
            )
        ),
    )
    run = {
        "name": "gen",
        "run_type": "llm",
        "start_time": "2026-11-18T12:00:00.000000",
        "end_time": "2026-11-18T12:00:02.000000",
        "status": "success",
        "extra": json.dumps({"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-5.4"}}),
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
    }
    fees = {
        "prompt_cost_details": json.dumps({"cache_read": 0.001, "web_search": "0.02"}),
        "completion_cost_details": {"reasoning": 0.1, "tool_calls": 0.005},
    }
    land(
        root,
        "langsmith/a/runs.jsonl",
        lines({**run, "id": "fees", "trace_id": "t1", **fees}, {**run, "id": "none", "trace_id": "t2"}),
    )
    plain = {"promptTokens": 100, "completionTokens": 10, "cachedTokens": 40}
    land(
        root,
        "azure_openai/logs/log.json",
        lines(
            azure("plain", **plain),
            azure("new", **plain, blueTokens=7, cacheWriteTokens=20, maxTokens=4096),
            azure("lists", promptTokens=[100], completionTokens=[10], cachedTokens=[40], blueTokens=[7], totalTokens=[110]),
            azure("total", **plain, totalTokens=500),
        ),
    )  # fmt: skip
    return read(root, tables=FATES).calls()


@pytest.mark.parametrize("api", ["openai.responses", "openai.chat", "openai.realtime"])
def test_a_realtime_answer_is_one_whatever_api_is_named(told: dict[str, dict[str, Any]], api: str) -> None:
    """132 in: 119 - 64 = 55 text, 13 - 6 = 7 audio, 64 cached text, 6 cached audio; 121 out: 30 text, 91 audio."""
    assert tokens(told[api]) == {
        "input_uncached": 55,
        "input_audio": 7,
        "cache_read": 64,
        "cache_read_audio": 6,
        "output_text": 30,
        "output_audio": 91,
    }


def test_counts_of_azures_log_are_read_or_named(told: dict[str, dict[str, Any]]) -> None:
    """Of 100 tokens 40 were read from the cache and 20 written to it; a limit counts nothing; of a total of 500, 390 are in no class."""
    assert tokens(told["plain"]) == {"input_uncached": 60, "cache_read": 40, "output_text": 10}
    assert tokens(told["new"]) == {"input_uncached": 40, "cache_read": 40, "cache_write": 20, "output_text": 10}
    assert told["new"]["unread_usage"] == told["lists"]["unread_usage"] == {"blueTokens": 7}
    assert told["total"]["provider_total_tokens"] == 500
    assert told["plain"]["unread_usage"] is None


@pytest.mark.parametrize("name", ["pictures", "pictures beside zeros", "pictures beside all zeros"])
def test_litellms_pictures_have_the_tokens_of_their_object(told: dict[str, dict[str, Any]], name: str) -> None:
    """10 of text and 40 of a picture in, a picture of 4,160 out."""
    assert tokens(told[name]) == {"input_uncached": 10, "input_image": 40, "output_image": 4160}
    assert told[name]["unread_usage"] is None


def test_what_tools_cost_in_langsmiths_details_is_a_fee_of_the_call(told: dict[str, dict[str, Any]]) -> None:
    """0.02 + 0.005 dollars; what cached and thought tokens cost is no fee."""
    assert told["fees"]["extra_units"] == {"tool_fee_usd": Decimal("0.025")}
    assert told["none"]["extra_units"] == {}
