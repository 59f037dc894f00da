"""What each API shape's usage object becomes. Numbers of cases: design of prices (16.x) and of formats (A.x)."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import usage
from pipelines.contract import INPUT_CLASSES, OUTPUT_CLASSES, TOKEN_CLASS_NAMES
from pipelines.usage.shapes import usage_shapes

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "books"


def classed(api: str | None, given: Any) -> dict[str, Any]:
    return usage.classes(api, json.dumps(given) if given is not None else None)


def tokens(found: Mapping[str, Any]) -> dict[str, int]:
    """The classes that are not null, without ``_tokens``."""
    return {name.removesuffix("_tokens"): found[name] for name in TOKEN_CLASS_NAMES if found[name] is not None}


def total(found: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return sum(found[name] or 0 for name in names)


def chat(prompt: Any = 10, completion: Any = 5, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


# --- OpenAI -----------------------------------------------------------------------------------------------------------


def test_openai_cached_tokens_are_taken_out_of_the_prompt() -> None:
    """16.1: 2,006 - 1,920 = 86 uncached; at 2.5 / 1.25 / 10 that is 0.005615, with 2,006 uncached 0.010415."""
    found = classed("openai.chat", chat(2006, 300, total_tokens=2306, prompt_tokens_details={"cached_tokens": 1920}))

    assert tokens(found) == {"input_uncached": 86, "cache_read": 1920, "output_text": 300}
    assert 86 * 2.5 + 1920 * 1.25 + 300 * 10 == 5615
    assert (found["context_test_tokens"], found["provider_total_tokens"]) == (2006, 2306)
    assert (found["usage_flags"], found["usage_quality"], found["usage_basis"]) == ([], "reported", "inclusive")


def test_reasoning_is_inside_the_completion() -> None:
    """16.11: 1,000 output of which 750 reasoning = 250 text + 750 reasoning, 1,000 in all."""
    found = classed("openai.chat", chat(0, 1000, completion_tokens_details={"reasoning_tokens": 750}))

    assert tokens(found) == {"input_uncached": 0, "output_text": 250, "output_reasoning": 750}


def test_responses_details_are_read() -> None:
    """16.17, logfire#1316: 2,746 - 2,208 = 538; 197 - 64 = 133."""
    found = classed(
        "openai.responses",
        {
            "input_tokens": 2746,
            "input_tokens_details": {"cached_tokens": 2208},
            "output_tokens": 197,
            "output_tokens_details": {"reasoning_tokens": 64},
            "total_tokens": 2943,
        },
    )

    assert tokens(found) == {"input_uncached": 538, "cache_read": 2208, "output_text": 133, "output_reasoning": 64}
    assert found["usage_flags"] == []


def test_details_that_are_absent_are_null_and_those_that_are_zero_are_zero() -> None:
    """Without details all output is text and nothing is said of the cache."""
    details = {"prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0}}

    assert tokens(classed("openai.chat", chat())) == {"input_uncached": 10, "output_text": 5}
    assert tokens(classed("openai.chat", chat(**details))) == {
        "input_uncached": 10,
        "cache_read": 0,
        "output_text": 5,
        "output_reasoning": 0,
    }


def test_openai_cache_writes_are_in_the_prompt_and_their_lifetime_is_unknown() -> None:
    """4,020 - 4,012 = 8. A16: 17,000 read + 102 written of 17,111 leave 9."""
    written = classed(
        "openai.chat", chat(4020, 4, prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 4012})
    )
    both = classed(
        "openai.chat", chat(17111, 4, prompt_tokens_details={"cached_tokens": 17000, "cache_write_tokens": 102})
    )

    assert tokens(written) == {"input_uncached": 8, "cache_read": 0, "cache_write": 4012, "output_text": 4}
    assert tokens(both) == {"input_uncached": 9, "cache_read": 17000, "cache_write": 102, "output_text": 4}


def test_audio_is_taken_out_on_both_sides() -> None:
    """64 - 44 = 20 text in; 109 - 100 = 9 text out."""
    found = classed(
        "openai.chat",
        chat(64, 109, prompt_tokens_details={"audio_tokens": 44}, completion_tokens_details={"audio_tokens": 100}),
    )

    assert tokens(found) == {"input_uncached": 20, "input_audio": 44, "output_text": 9, "output_audio": 100}


@pytest.mark.parametrize(
    "cached",
    [
        {"prompt_tokens_details": {"cached_tokens": 4}},
        {"prompt_token_details": {"cached_tokens": 4}},
        {"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6},
        {"num_cached_tokens": 4},
        {"cached_tokens": 4},
        {"prompt_cache_hit_tokens": 4, "prompt_tokens_details": {"cached_tokens": 4}},
    ],
)
@pytest.mark.parametrize(
    "api", ["openai.chat", "deepseek.chat", "mistral.chat", "together.chat", "groq.chat", "azure.chat"]
)
def test_cached_tokens_by_any_name_count_once(api: str, cached: dict[str, Any]) -> None:
    """10 - 4 = 6, also where two names are given."""
    assert tokens(classed(api, chat(**cached))) == {"input_uncached": 6, "cache_read": 4, "output_text": 5}


def test_cached_above_the_prompt_is_flagged_and_never_clamped() -> None:
    """10 - 20 = -10: no uncached class, neither 0 nor negative."""
    found = classed("openai.chat", chat(10, 5, prompt_tokens_details={"cached_tokens": 20}))

    assert tokens(found) == {"cache_read": 20, "output_text": 5}
    assert (found["usage_flags"], found["usage_quality"], found["problem"]) == (["negative_remainder"], "partial", None)


def test_a_total_that_the_parts_do_not_make_is_flagged() -> None:
    """35 + 12 = 47, not 109: thoughts that the object hides."""
    found = classed("openai.chat", chat(35, 12, total_tokens=109))

    assert (found["usage_flags"], found["usage_quality"]) == (["split_mismatch"], "reported")


def test_embeddings_have_no_output() -> None:
    found = classed("openai.embeddings", {"prompt_tokens": 8, "total_tokens": 8})

    assert (tokens(found), found["usage_flags"], found["usage_quality"]) == ({"input_uncached": 8}, [], "reported")


# --- xAI --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stated", "text", "reasoning"), [(160, 50, 10), (150, 40, 10)])
def test_xai_reasoning_is_outside_only_where_the_total_says_so(stated: int, text: int, reasoning: int) -> None:
    """16.13: 100 + 50 + 10 = 160: outside, 60 out. 100 + 50 = 150: inside, 50 out."""
    found = classed("xai.chat", chat(100, 50, total_tokens=stated, completion_tokens_details={"reasoning_tokens": 10}))

    assert tokens(found) == {"input_uncached": 100, "output_text": text, "output_reasoning": reasoning}
    assert found["usage_flags"] == []


# --- Anthropic --------------------------------------------------------------------------------------------------------


def messages(**more: Any) -> dict[str, Any]:
    return {
        "input_tokens": 6,
        "output_tokens": 2745,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        **more,
    }


def test_anthropic_cache_classes_are_beside_the_input() -> None:
    """16.3: 6 uncached, 159,217 written once: 6 x 5 + 159,217 x 6.25 + 2,745 x 25 = 1,063,761.25 per million."""
    split = {"ephemeral_5m_input_tokens": 159217, "ephemeral_1h_input_tokens": 0}
    found = classed("anthropic.messages", messages(cache_creation_input_tokens=159217, cache_creation=split))

    assert tokens(found) == {
        "input_uncached": 6,
        "cache_read": 0,
        "cache_write_5m": 159217,
        "cache_write_1h": 0,
        "output_text": 2745,
    }
    assert 6 * 5 + 159217 * 6.25 + 2745 * 25 == 1063761.25
    assert (found["context_test_tokens"], found["usage_basis"], found["usage_flags"]) == (159223, "disjoint", [])


@pytest.mark.parametrize(
    ("written", "split", "expected", "flags"),
    [
        (1000, None, {"cache_write": 1000}, []),
        (1000, (0, 0), {"cache_write_5m": 0, "cache_write_1h": 0, "cache_write": 1000}, ["split_mismatch"]),
        (1000, (400, 400), {"cache_write_5m": 400, "cache_write_1h": 400, "cache_write": 200}, ["split_mismatch"]),
        (184457, (31490, 0), {"cache_write_5m": 31490, "cache_write_1h": 0, "cache_write": 152967}, ["split_mismatch"]),
        (1000, (0, 1000), {"cache_write_5m": 0, "cache_write_1h": 1000}, []),
        (0, (0, 0), {"cache_write_5m": 0, "cache_write_1h": 0}, []),
        (0, None, {"cache_write": 0}, []),
    ],
    ids=[
        "A14 no split",
        "16.7 zeroed split",
        "16.8 partial split",
        "A10",
        "all 1h",
        "nothing, split",
        "nothing, no split",
    ],
)
def test_writes_that_the_split_does_not_hold_have_no_stated_lifetime(
    written: int, split: tuple[int, int] | None, expected: dict[str, int], flags: list[str]
) -> None:
    """16.8: 1,000 - 400 - 400 = 200. A10: 184,457 - 31,490 = 152,967."""
    given = messages(cache_creation_input_tokens=written)
    if split is not None:
        given["cache_creation"] = dict(
            zip(("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"), split, strict=True)
        )

    found = classed("anthropic.messages", given)

    assert {name: count for name, count in tokens(found).items() if name.startswith("cache_write")} == expected
    assert found["usage_flags"] == flags
    assert total(found, INPUT_CLASSES) == 6 + written


def test_a_split_above_the_writes_is_flagged() -> None:
    """100 - 80 - 80 = -60: contradictory, so no remainder is given."""
    split = {"ephemeral_5m_input_tokens": 80, "ephemeral_1h_input_tokens": 80}
    found = classed("anthropic.messages", messages(cache_creation_input_tokens=100, cache_creation=split))

    assert found["usage_flags"] == ["negative_remainder", "split_mismatch"]
    assert (found["cache_write_tokens"], found["usage_quality"]) == (None, "partial")


def test_web_searches_are_units_and_modes_are_kept() -> None:
    found = classed(
        "anthropic.messages",
        messages(
            server_tool_use={"web_search_requests": 2, "web_fetch_requests": 1},
            service_tier="priority",
            speed="fast",
            inference_geo="us",
        ),
    )

    assert dict(found["extra_units"]) == {"web_search": 2}
    assert (found["service_tier"], found["speed"], found["inference_geo"]) == ("priority", "fast", "us")
    assert classed("anthropic.messages", messages())["extra_units"] is None


def test_thinking_is_inside_the_output() -> None:
    """2,745 - 745 = 2,000; where it is not split, nothing is said of it."""
    found = classed("anthropic.messages", messages(output_tokens_details={"thinking_tokens": 745}))

    assert (found["output_text_tokens"], found["output_reasoning_tokens"]) == (2000, 745)
    assert classed("anthropic.messages", messages())["output_reasoning_tokens"] is None


def test_work_that_the_top_level_leaves_out_is_flagged() -> None:
    """D9: a step beside the messages is in the iterations alone."""
    step = {"input_tokens": 2518, "output_tokens": 22}

    advised = classed(
        "anthropic.messages", messages(iterations=[{"type": "message", **step}, {"type": "advisor_message", **step}])
    )
    plain = classed("anthropic.messages", messages(iterations=[{"type": "message", **step}]))

    assert (advised["usage_flags"], plain["usage_flags"]) == (["iterations_outside_total"], [])


# --- Gemini -----------------------------------------------------------------------------------------------------------


def test_gemini_cached_content_is_inside_the_prompt() -> None:
    """16.2: 70,838 - 69,905 = 933: 933 x 2 + 69,905 x 0.2 = 15,847 per million. A8: 262,960 - 257,955 = 5,005."""
    found = classed(
        "gemini.generateContent",
        {"promptTokenCount": 70838, "cachedContentTokenCount": 69905, "candidatesTokenCount": 1},
    )
    a8 = classed(
        "gemini.generateContent",
        {"promptTokenCount": 262960, "cachedContentTokenCount": 257955, "candidatesTokenCount": 1744},
    )

    assert tokens(found) == {"input_uncached": 933, "cache_read": 69905, "output_text": 1}
    assert 933 * 20 + 69905 * 2 == 158470
    assert tokens(a8) == {"input_uncached": 5005, "cache_read": 257955, "output_text": 1744}


def test_gemini_thoughts_are_beside_the_candidates() -> None:
    """16.12, A20: 151 + 382 = 533 output; 20 + 533 = 553. A13: nothing is said of the cache."""
    found = classed(
        "gemini.generateContent",
        {"promptTokenCount": 20, "candidatesTokenCount": 151, "thoughtsTokenCount": 382, "totalTokenCount": 553},
    )

    assert tokens(found) == {"input_uncached": 20, "output_text": 151, "output_reasoning": 382}
    assert (total(found, OUTPUT_CLASSES), found["usage_flags"], found["cache_read_tokens"]) == (533, [], None)


def test_gemini_thoughts_are_inside_where_the_total_says_so() -> None:
    """20 + 533 = 553 without the 382: they are part of the 533."""
    found = classed(
        "gemini.generateContent",
        {"promptTokenCount": 20, "candidatesTokenCount": 533, "thoughtsTokenCount": 382, "totalTokenCount": 553},
    )

    assert tokens(found) == {"input_uncached": 20, "output_text": 151, "output_reasoning": 382}
    assert found["usage_flags"] == []


@pytest.mark.parametrize("details", [{}, {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 95}]}])
def test_gemini_tool_prompts_come_on_top(details: dict[str, Any]) -> None:
    """16.14: 95 + 439 = 534 input, with modality details and without; 534 + 66 + 132 = 732."""
    found = classed(
        "gemini.generateContent",
        {
            "promptTokenCount": 95,
            "toolUsePromptTokenCount": 439,
            "candidatesTokenCount": 66,
            "thoughtsTokenCount": 132,
            "totalTokenCount": 732,
            **details,
        },
    )

    assert tokens(found) == {"input_uncached": 95, "input_other": 439, "output_text": 66, "output_reasoning": 132}
    assert found["usage_flags"] == []


def test_gemini_modalities_are_disjoint() -> None:
    """Prompt 17,713 of which 17,379 cached. Audio 1,917 - 1,881 = 36, video 15,780 - 15,483 = 297, text 16 - 15 = 1."""
    found = classed(
        "gemini.generateContent",
        {
            "promptTokenCount": 17713,
            "cachedContentTokenCount": 17379,
            "candidatesTokenCount": 68,
            "thoughtsTokenCount": 821,
            "totalTokenCount": 18602,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 16},
                {"modality": "VIDEO", "tokenCount": 15780},
                {"modality": "AUDIO", "tokenCount": 1917},
            ],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 1881},
                {"modality": "TEXT", "tokenCount": 15},
                {"modality": "VIDEO", "tokenCount": 15483},
            ],
        },
    )

    assert tokens(found) == {
        "input_uncached": 1,
        "input_audio": 36,
        "input_other": 297,
        "cache_read": 15498,
        "cache_read_audio": 1881,
        "output_text": 68,
        "output_reasoning": 821,
    }
    assert total(found, INPUT_CLASSES) == 17713


def test_gemini_leaves_zero_out() -> None:
    """10 of 10 tokens are prompt: the output is 0. Without a total nothing is known of it."""
    confirmed = classed("gemini.generateContent", {"promptTokenCount": 10, "totalTokenCount": 10})
    unknown = classed("gemini.generateContent", {"promptTokenCount": 10})

    assert (tokens(confirmed), confirmed["usage_quality"]) == ({"input_uncached": 10, "output_text": 0}, "reported")
    assert (tokens(unknown), unknown["usage_quality"]) == ({"input_uncached": 10}, "partial")


# --- Bedrock, Cohere --------------------------------------------------------------------------------------------------


def converse(details: list[dict[str, Any]] | None) -> dict[str, Any]:
    given = {"inputTokens": 4299, "outputTokens": 631, "cacheReadInputTokens": 35574, "cacheWriteInputTokens": 17787}
    return {**given, "totalTokens": 58291} | ({"cacheDetails": details} if details else {})


def test_bedrock_totals_include_the_cache_and_the_input_does_not() -> None:
    """16.9: 4,299 + 35,574 + 17,787 + 631 = 58,291: nothing remains to be billed as output."""
    found = classed("bedrock.converse", converse(None))

    assert tokens(found) == {"input_uncached": 4299, "cache_read": 35574, "cache_write": 17787, "output_text": 631}
    assert (found["usage_flags"], found["context_test_tokens"]) == ([], 57660)


def test_bedrock_lifetimes_are_used_only_where_they_sum_to_the_writes() -> None:
    """17,000 + 787 = 17,787; 17,000 alone is not."""
    five, hour = {"ttl": "5m", "inputTokens": 17000}, {"ttl": "1h", "inputTokens": 787}
    whole = classed("bedrock.converse", converse([five, hour]))
    part = classed("bedrock.converse", converse([five]))

    assert tokens(whole) == {
        "input_uncached": 4299,
        "cache_read": 35574,
        "cache_write_5m": 17000,
        "cache_write_1h": 787,
        "output_text": 631,
    }
    assert tokens(part) == {"input_uncached": 4299, "cache_read": 35574, "cache_write": 17787, "output_text": 631}
    assert (whole["usage_flags"], part["usage_flags"]) == ([], ["split_mismatch"])


def test_embeddings_and_rerank_have_one_side() -> None:
    """All of it is input; a rerank has no tokens at all, and is not missing."""
    assert tokens(classed("voyage.embeddings", {"total_tokens": 3})) == {"input_uncached": 3}
    assert tokens(classed("cohere.embed", {"billed_units": {"input_tokens": 9}})) == {"input_uncached": 9}
    found = classed("cohere.rerank", {"billed_units": {"search_units": 2}})
    assert (tokens(found), found["extra_units"], found["usage_quality"]) == ({}, {"search_units": 2}, "reported")


def test_a_gemini_cache_made_by_hand_is_written_input() -> None:
    assert tokens(classed("gemini.cachedContents", {"totalTokenCount": 3512})) == {"cache_write": 3512}


def test_gemini_interactions_have_thoughts_and_tool_prompts_on_top() -> None:
    """9 + 258 = 267 in; 267 + 3 + 57 = 327."""
    given = {
        "total_tokens": 327,
        "total_input_tokens": 267,
        "input_tokens_by_modality": [{"modality": "text", "tokens": 9}, {"modality": "image", "tokens": 258}],
        "total_cached_tokens": 0,
        "total_output_tokens": 3,
        "total_tool_use_tokens": 0,
        "total_thought_tokens": 57,
    }

    found = classed(None, given)

    assert (found["usage_shape"], found["usage_flags"]) == ("gemini.interactions", [])
    assert tokens(found) == {
        "input_uncached": 9,
        "input_image": 258,
        "input_other": 0,
        "cache_read": 0,
        "output_text": 3,
        "output_reasoning": 57,
    }


def test_guardrails_are_units_by_policy() -> None:
    found = classed(
        None,
        {
            "topicPolicyUnits": 1,
            "contentPolicyUnits": 2,
            "wordPolicyUnits": 3,
            "sensitiveInformationPolicyFreeUnits": 4,
        },
    )

    assert found["extra_units"] == {"guardrail_topic": 1, "guardrail_content": 2}
    assert (tokens(found), found["usage_quality"], found["usage_flags"]) == ({}, "reported", [])


def test_invoke_model_counts_by_the_model_or_by_the_metrics() -> None:
    for counted in (
        {"inputTextTokenCount": 10, "results": [{"tokenCount": 3}, {"tokenCount": 4}]},
        {"prompt_token_count": 10, "generation_token_count": 7},
        {"inputTokenCount": 10, "outputTokenCount": 7},
    ):
        assert tokens(classed("bedrock.invokeModel", counted)) == {"input_uncached": 10, "output_text": 7}


def test_realtime_splits_audio_out_of_input_cache_and_output() -> None:
    """127 = 27 text + 100 audio; of 64 cached ones 40 are audio: 127 - 64 - 60 = 3."""
    given = {
        "input_tokens": 127,
        "output_tokens": 50,
        "total_tokens": 177,
        "input_token_details": {
            "text_tokens": 27,
            "audio_tokens": 100,
            "cached_tokens": 64,
            "cached_tokens_details": {"text_tokens": 24, "audio_tokens": 40},
        },
        "output_token_details": {"text_tokens": 20, "audio_tokens": 30},
    }

    found = classed("openai.realtime", given)

    assert tokens(found) == {
        "input_uncached": 3,
        "input_audio": 60,
        "cache_read": 24,
        "cache_read_audio": 40,
        "output_text": 20,
        "output_audio": 30,
    }
    assert found["usage_flags"] == []


def test_transcription_by_time_is_seconds() -> None:
    found = classed("openai.audio", {"type": "duration", "seconds": 9.5})

    assert (found["extra_units"], tokens(found), found["usage_quality"]) == (
        {"seconds": Decimal("9.5")},
        {},
        "reported",
    )


def test_a_picture_is_image_output() -> None:
    given = {
        "input_tokens": 50,
        "output_tokens": 4160,
        "total_tokens": 4210,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    }

    assert tokens(classed("openai.images", given)) == {"input_uncached": 10, "input_image": 40, "output_image": 4160}


def test_perplexity_has_reasoning_and_citations_outside() -> None:
    """PRICING 2.2: 33 + 7163 is the total, 193,944 reasoning and 20,016 citation tokens come on top."""
    given = {
        "prompt_tokens": 33,
        "completion_tokens": 7163,
        "total_tokens": 7196,
        "reasoning_tokens": 193944,
        "citation_tokens": 20016,
        "num_search_queries": 18,
        "search_context_size": "low",
    }

    found = classed(None, given)

    assert tokens(found) == {
        "input_uncached": 33,
        "input_other": 20016,
        "output_text": 7163,
        "output_reasoning": 193944,
    }
    assert (found["usage_shape"], found["usage_flags"]) == ("perplexity.chat", [])
    assert found["extra_units"] == {"search_queries": 18, "request_search_low": 1}


def test_cohere_bills_its_billed_units() -> None:
    """542 tokens went in, 13 are billed."""
    given = {
        "billed_units": {"input_tokens": 13, "output_tokens": 61},
        "tokens": {"input_tokens": 542, "output_tokens": 63},
    }

    assert tokens(classed("cohere.chat", given)) == {"input_uncached": 13, "output_text": 61}


# --- no usage, no shape -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, "null"])
def test_usage_null_is_missing_and_nothing_is_zero(given: str | None) -> None:
    """16.15."""
    found = usage.classes("openai.chat", given)

    assert (found["usage_shape"], tokens(found), found["problem"]) == (None, {}, None)
    assert (found["usage_quality"], found["usage_flags"]) == ("missing", ["missing_usage"])


def test_an_empty_object_is_missing_usage() -> None:
    found = classed("openai.chat", {})

    assert (tokens(found), found["usage_quality"], found["usage_flags"]) == ({}, "missing", ["missing_usage"])


def test_a_side_that_is_absent_makes_the_usage_partial() -> None:
    found = classed("anthropic.messages", {"output_tokens": 108})

    assert (tokens(found), found["usage_quality"]) == ({"output_text": 108}, "partial")


@pytest.mark.parametrize(
    ("api", "given", "shape"),
    [
        (None, chat(), "openai.chat"),
        (None, chat(num_sources_used=0), "xai.chat"),
        (None, {"prompt_tokens": 8, "total_tokens": 8}, "openai.embeddings"),
        (None, {"input_tokens": 1, "output_tokens": 1, "input_tokens_details": {}}, "openai.responses"),
        (None, messages(), "anthropic.messages"),
        (None, {"promptTokenCount": 1}, "gemini.generateContent"),
        (None, {"input_tokens": 1, "output_tokens": 1}, "ambiguous"),
        (
            None,
            {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "input_token_details": {"cache_read": 1}},
            "ambiguous",
        ),
        (None, chat(cache_read_input_tokens=3), "ambiguous"),
        (None, {"tokens": 3}, "ambiguous"),
        ("acme.chat", chat(), "unknown"),
    ],
)
def test_the_shape_is_known_by_its_api_or_by_keys_that_fit_one_shape_only(
    api: str | None, given: Any, shape: str
) -> None:
    """16.10: what a framework may have normalised is not guessed at."""
    found = classed(api, given)

    assert found["usage_shape"] == shape
    if shape in ("ambiguous", "unknown"):
        assert (tokens(found), found["usage_flags"], found["usage_quality"]) == ({}, ["ambiguous_shape"], "partial")
        assert (found["usage_basis"], found["problem"]) == ("ambiguous", None)


def test_inclusive_and_exclusive_providers_are_alike_after_reading() -> None:
    """A23, 16.10: 1,000 input of which 600 read from the cache, said in three ways."""
    said = [
        ("openai.chat", chat(1000, 5, prompt_tokens_details={"cached_tokens": 600})),
        ("anthropic.messages", {"input_tokens": 400, "cache_read_input_tokens": 600, "output_tokens": 5}),
        (
            "gemini.generateContent",
            {"promptTokenCount": 1000, "cachedContentTokenCount": 600, "candidatesTokenCount": 5},
        ),
    ]

    assert [tokens(classed(api, given)) for api, given in said] == [
        {"input_uncached": 400, "cache_read": 600, "output_text": 5}
    ] * 3


# --- what is no count -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (chat(-5), "usage.prompt_tokens is -5, expected a count of 0 or more"),
        (chat(10, "many"), 'usage.completion_tokens is "many", expected a whole number'),
        (chat(1.9), "usage.prompt_tokens is 1.9, expected a whole number"),
        (chat("1.9"), 'usage.prompt_tokens is "1.9", expected a whole number'),
        (chat(True), "usage.prompt_tokens is true, expected a whole number"),
        (chat("nan"), 'usage.prompt_tokens is "nan", expected a whole number'),
        (chat(""), 'usage.prompt_tokens is "", expected a whole number'),
        (chat([1]), "usage.prompt_tokens is [1], expected a whole number"),
        (chat(2**53 + 2), f"usage.prompt_tokens is {2**53 + 2}, expected a count of at most {2**53}"),
        (
            chat(prompt_tokens_details={"cached_tokens": "x"}),
            'usage.prompt_tokens_details.cached_tokens is "x", expected a whole number',
        ),
        (
            chat(prompt_tokens_details={"cached_tokens": -1}),
            "usage.prompt_tokens_details.cached_tokens is -1, expected a count of 0 or more",
        ),
        (chat(prompt_tokens_details=[1]), "usage.prompt_tokens_details is [1], expected an object"),
        ([1], "usage is [1], expected an object"),
        ("text", 'usage is "text", expected an object'),
        (5, "usage is 5, expected an object"),
    ],
)
def test_what_is_no_count_is_a_problem_and_not_a_null(given: Any, problem: str) -> None:
    found = classed("openai.chat", given)

    assert (found["problem"], tokens(found)) == (problem, {})


def test_a_modality_that_is_no_count_is_a_problem() -> None:
    found = classed(
        "gemini.generateContent",
        {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": "x"}]},
    )

    assert found["problem"] == 'usage.promptTokensDetails[].tokenCount is "x", expected a whole number'


@pytest.mark.parametrize("written", [3, 3.0, "3", "3.0", "3e0"])
def test_a_count_may_be_written_as_decimal_or_text(written: Any) -> None:
    assert tokens(classed("openai.chat", chat(written, 0))) == {"input_uncached": 3, "output_text": 0}


def test_unknown_keys_and_json_nulls_are_no_problem() -> None:
    """Groq gives seconds, Writer gives null for details; neither is a count that we read."""
    found = classed(
        "groq.chat",
        chat(queue_time=0.02, prompt_tokens_details=None, completion_tokens_details={"reasoning_tokens": None}),
    )

    assert (found["problem"], tokens(found)) == (None, {"input_uncached": 10, "output_text": 5})


# --- laws -------------------------------------------------------------------------------------------------------------


def test_columns_of_the_source_do_not_get_in_the_way() -> None:
    """A log has columns of the names that the shapes use."""
    with duckdb.connect() as connection:
        usage.register(connection)
        steps = usage.usage_steps("records", api="api", usage="usage")
        row = connection.execute(
            f"""
            with records as (
                select 'anthropic.messages' as api, 'draft' as step, 'batch' as service_tier, 1 as parts, 2 as found,
                    json('{{"input_tokens": 1, "output_tokens": 2, "iterations": [{{"type": "compaction"}}]}}') as usage
            ), {steps}
            select step, service_tier, classed.input_uncached_tokens, classed.usage_flags from usage_classed
            """
        ).fetchone()

    assert row == ("draft", "batch", 1, ["iterations_outside_total"])


def test_a_shape_that_was_not_asked_for_is_a_problem() -> None:
    """A caller that looked wrongly gets no row with classes left out."""
    with duckdb.connect() as connection:
        usage.register(connection)
        connection.execute(
            "create table records as select 'openai.chat' as api, json($given) as usage", {"given": json.dumps(chat())}
        )
        for only, problem in (
            (["openai.chat"], None),
            (["xai.chat"], "usage is of shape openai.chat, which was not asked for"),
            ([], None),
        ):
            steps = usage.usage_steps("records", api="api", usage="usage", only=only)
            rows = connection.execute(f"with {steps} select classed.problem from usage_classed").fetchall()
            assert rows == [(problem,)]


def test_every_api_is_read_by_one_shape() -> None:
    apis = [api for shape in usage_shapes().values() for api in shape.apis]

    assert len(apis) == len(set(apis))
    assert all(name in shape.apis for name, shape in usage_shapes().items())


COUNT = st.one_of(st.none(), st.integers(0, 2**40))


# What an example costs is its query, not its objects: few examples of many.
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    objects=st.lists(
        st.tuples(COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, st.integers(0, 3)),
        min_size=100,
        max_size=200,
    )
)
def test_classes_are_never_negative_and_make_up_the_stated_input(objects: list[tuple[Any, ...]]) -> None:
    """Input classes sum to the provider's input, output classes to its output, or the row is flagged."""
    given = [_object(*numbers) for numbers in objects]
    rows = _classed_rows([(api, said) for api, said, _, _ in given], {api for api, *_ in given})
    for (_, _, stated_input, stated_output), found in zip(given, rows, strict=True):
        assert all(found[name] is None or found[name] >= 0 for name in TOKEN_CLASS_NAMES)
        if "negative_remainder" in found["usage_flags"]:
            assert found["usage_quality"] == "partial"
        elif found["usage_quality"] == "reported":
            assert (total(found, INPUT_CLASSES), total(found, OUTPUT_CLASSES)) == (stated_input, stated_output)


def _object(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, which: int) -> tuple[str, dict[str, Any], int, int]:
    """An object of some shape with its stated input and output."""
    n = [value or 0 for value in (a, b, c, d, e, f)]
    if which == 0:
        details = {
            "prompt_tokens_details": {"cached_tokens": c, "audio_tokens": d},
            "completion_tokens_details": {"reasoning_tokens": e},
        }
        return "openai.chat", chat(a, b, **details), n[0], n[1]
    if which == 1:
        inner = {
            "input_tokens_details": {"cached_tokens": c, "cache_write_tokens": d},
            "output_tokens_details": {"reasoning_tokens": e},
        }
        return "openai.responses", {"input_tokens": a, "output_tokens": b, **inner}, n[0], n[1]
    if which == 2:
        split = {"ephemeral_5m_input_tokens": e, "ephemeral_1h_input_tokens": f}
        said = {"input_tokens": a, "output_tokens": b, "cache_read_input_tokens": c, "cache_creation_input_tokens": d}
        written = n[3] if d is not None else n[4] + n[5]
        return "anthropic.messages", {**said, "cache_creation": split}, n[0] + n[2] + written, n[1]
    said = {"promptTokenCount": a, "candidatesTokenCount": b, "cachedContentTokenCount": c, "thoughtsTokenCount": d}
    return "gemini.generateContent", {**said, "toolUsePromptTokenCount": e}, n[0] + n[4], n[1] + n[3]


def _classed_rows(records: list[tuple[str | None, Any]], only: Collection[str] | None = None) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        usage.register(connection)
        connection.execute("create table records (place bigint, api varchar, usage json)")
        connection.execute(
            "insert into records select unnest(range(len($api))), unnest($api::varchar[]), unnest($usage::json[])",
            {
                "api": [api for api, _ in records],
                "usage": [None if said is None else json.dumps(said) for _, said in records],
            },
        )
        steps = usage.usage_steps("records", api="api", usage="usage", only=only)
        return [
            row[0]
            for row in connection.execute(f"with {steps} select classed from usage_classed order by place").fetchall()
        ]


@pytest.mark.skipif(not GOLDEN.exists(), reason="the worked books are not here")
def test_the_worked_books_are_equal_to_the_last_null() -> None:
    """Each request of the worked books: 0 where the provider said 0, empty where it said nothing."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted((GOLDEN / "landing" / "app_log").glob("*/*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            key = (path.parent.name, record["id"])
            if key not in newest or record.get("logged_at", record["timestamp"]) > newest[key].get(
                "logged_at", newest[key]["timestamp"]
            ):
                newest[key] = record
    with (GOLDEN / "expected" / "ledger_requests.csv").open(encoding="utf-8", newline="") as file:
        expected = [row for row in csv.DictReader(file) if row["source"] == "app_log"]
    names = [name for name in expected[0] if name in TOKEN_CLASS_NAMES]
    records = [newest[row["source_account"], row["source_row_id"]] for row in expected]

    found = _classed_rows([(record.get("api"), record["usage"]) for record in records])

    assert len(expected) > 100
    assert [[row[name] for name in names] for row in found] == [
        [int(row[name]) if row[name] else None for name in names] for row in expected
    ]
    assert not [row["problem"] for row in found if row["problem"]]
