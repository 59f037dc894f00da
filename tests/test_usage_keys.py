"""Keys of usage objects: those that say a class, a tier or a unit are read in every source, those that say nothing are named.

All rows are read in one run.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipelines import books
from pipelines.cli.reports import print_summary
from pipelines.contract import SERVICE_TIERS, TOKEN_CLASSES
from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.prices.explain import explain
from pipelines.summary import summarise
from pipelines.usage.keys import default_class, reading_of
from pipelines.views import open_views

Row = dict[str, Any]
NOW = datetime(2026, 11, 29, tzinfo=UTC)
AT = "2026-11-18T09:30:00.000000"
# Rows that are made up, always the same ones.
DICE = random.Random(20261118)
TIERS = (None, "flex", "priority")
STATED_IN, STATED_OUT = 1_000_000, 500_000


# ---- rows of each source, with a usage object


def langfuse(name: str, model: str, usage: Row, **more: Any) -> Row:
    return {
        "id": name,
        "trace_id": name.encode().hex().ljust(32, "0")[:32],
        "start_time": AT.replace("T", " "),
        "end_time": AT.replace("T", " "),
        "project_id": "p",
        "type": "GENERATION",
        "name": "gen",
        "level": "DEFAULT",
        "is_root_observation": True,
        "updated_at": AT.replace("T", " "),
        "metadata": {"ls_provider": "openai"},
        "provided_model_name": model,
        "usage_details": usage,
        "trace_name": name,
        **more,
    }


def langsmith(name: str, model: str, usage: Row, **more: Any) -> Row:
    said = {"metadata": {"ls_provider": "openai", "ls_model_name": model, **more}}
    details = ("prompt_token_details", "completion_token_details")
    return {
        "id": name,
        "name": name,
        "run_type": "llm",
        "start_time": AT,
        "end_time": AT,
        "status": "success",
        "trace_id": name.encode().hex(),
        "parent_run_id": None,
        "is_root": True,
        "extra": json.dumps(said),
        "tags": "[]",
        **usage,
        **{key: json.dumps(usage[key]) for key in details if key in usage},
    }


def litellm(name: str, model: str, usage: Row, **more: Any) -> Row:
    return {
        "request_id": name,
        "call_type": "acompletion",
        "api_key": "88dc",
        "spend": 0.0027,
        "total_tokens": usage["total_tokens"],
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "startTime": AT + "+00:00",
        "endTime": AT + "+00:00",
        "model": model,
        "custom_llm_provider": "openai",
        "cache_hit": "None",
        "request_tags": "[]",
        "status": "success",
        "litellm_call_id": name,
        "metadata": json.dumps({"usage_object": usage}),
        **more,
    }


def app_log(name: str, model: str, usage: Row, **more: Any) -> Row:
    return {
        "id": name,
        "timestamp": AT + "Z",
        "provider": "openai",
        "api": "openai.chat",
        "model": model,
        "usage": usage,
        "feature": "cases",
        **more,
    }


def span(name: str, model: str, usage: Row) -> Row:
    said = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": model}
    attributes = [{"key": key, "value": {"stringValue": text}} for key, text in said.items()]
    attributes += [{"key": f"gen_ai.usage.{key}", "value": {"intValue": str(count)}} for key, count in usage.items()]
    own = {
        "traceId": hashlib.md5(name.encode()).hexdigest(),
        "spanId": hashlib.md5(name.encode()).hexdigest()[:16],
        "name": name,
        "startTimeUnixNano": "1794994200000000000",
        "endTimeUnixNano": "1794994201000000000",
        "attributes": attributes,
    }
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "own"}, "spans": [own]}]}]}


def of_details(details: Row, total: int = STATED_IN + STATED_OUT) -> Row:
    """A usage object in the form of OpenAI, with keys among the details of its prompt."""
    return {
        "prompt_tokens": STATED_IN,
        "completion_tokens": STATED_OUT,
        "total_tokens": total,
        "prompt_tokens_details": details,
    }


# Of each source: where its rows lie, and a row with a key that stands beside the others or among the details.
SOURCES: dict[str, tuple[str, Callable[[str, str, int], Row]]] = {
    "langfuse": (
        "langfuse/cases/observations_v2/2026-11-18T10-00-00.jsonl",
        lambda name, key, count: langfuse(
            name,
            "gpt-5.4",
            {"input": STATED_IN, "output": STATED_OUT, key: count, "total": STATED_IN + STATED_OUT + count},
        ),
    ),
    "langsmith": (
        "langsmith/cases/runs.jsonl",
        lambda name, key, count: langsmith(
            name,
            "gpt-5.4",
            {
                "prompt_tokens": STATED_IN,
                "completion_tokens": STATED_OUT,
                "total_tokens": STATED_IN + STATED_OUT,
                f"{'completion' if 'out' in key.lower() else 'prompt'}_token_details": {key: count},
            },
        ),
    ),
    "litellm": (
        "litellm/cases/spend_logs.jsonl",
        lambda name, key, count: litellm(name, "gpt-5.4", of_details({}) | {key: count}),
    ),
    "app_log": (
        "app_log/cases.jsonl",
        lambda name, key, count: app_log(name, "gpt-5.4", of_details({}) | {key: count}),
    ),
    "otel_genai": (
        "otel_genai/cases/spans.jsonl",
        lambda name, key, count: span(
            name,
            "gpt-5.4",
            {
                "input_tokens": STATED_IN,
                "output_tokens": STATED_OUT,
                "total_tokens": STATED_IN + STATED_OUT,
                key: count,
            },
        ),
    ),
}


# ---- the cases


def priority_of(tier: str) -> Row:
    return {
        "input": 0,
        "input_audio": 0,
        f"input_{tier}_cache_read": 4000,
        f"input_{tier}": 6000,
        "output": 0,
        "output_audio": 0,
        f"output_{tier}_reasoning": 200,
        f"output_{tier}": 800,
        "total": 11000,
    }


GOOGLE = {"metadata": {"ls_provider": "google_genai"}}
CASES: dict[str, tuple[str, Row, str]] = {
    # name: source, row, cost in millionths of a dollar
    "k10-priority": (
        "langfuse",
        langfuse("k10-priority", "gpt-5.4", priority_of("priority")),
        "6000*5+4000*0.5+1000*30",
    ),
    "k10-flex": ("langfuse", langfuse("k10-flex", "gpt-5.4", priority_of("flex")), "6000*1.25+4000*0.13+1000*7.5"),
    "k10-text": (
        "langfuse",
        langfuse(
            "k10-text",
            "gemini-2.5-flash",
            {
                "input": 0,
                "input_text": 11125,
                "input_cache_read": 7441,
                "output": 0,
                "output_text": 20,
                "output_reasoning": 409,
                "total": 11554,
            },
            **GOOGLE,
        ),
        "3684*0.3+7441*0.03+429*2.5",
    ),
    "k09-gemini": (
        "langfuse",
        langfuse(
            "k09-gemini",
            "gemini-3.1-pro-preview",
            {"input": 10000, "output": 1000, "webSearchQueries": 2, "total": 11000},
            **GOOGLE,
        ),
        "10000*2+1000*12+2*14000",
    ),
    "k08-prio-meta": (
        "langfuse",
        langfuse(
            "k08-prio-meta",
            "gpt-5.6-sol",
            {"input": 20000, "output": 1000, "total": 21000},
            metadata={"ls_provider": "openai", "service_tier": "priority"},
        ),
        "20000*8+1000*40",
    ),
    "codex-tier": (
        "langfuse",
        langfuse(
            "codex-tier",
            "gpt-5.6-sol",
            {"input": 20000, "output": 1000, "total": 21000},
            metadata={"ls_provider": "openai", "attributes": {"codex.service_tier": "priority"}},
        ),
        "20000*8+1000*40",
    ),
    "auto-tier": (
        "langfuse",
        langfuse("auto-tier", "gpt-5.4", priority_of("flex"), model_parameters='{"service_tier":"auto"}'),
        "6000*1.25+4000*0.13+1000*7.5",
    ),
    "overlap": (
        "langfuse",
        langfuse(
            "overlap",
            "gpt-5.6-terra",
            {"input": 0, "input_text": 2048, "input_cache_creation": 1024, "output": 1000, "total": 3048},
        ),
        "1024*2+1024*2.5+1000*12",
    ),
    "k11flx": (
        "langsmith",
        langsmith(
            "k11flx",
            "gpt-5.4",
            {
                "prompt_tokens": 10000,
                "completion_tokens": 1000,
                "total_tokens": 11000,
                "prompt_token_details": {"flex": 6000, "flex_cache_read": 4000},
                "completion_token_details": {"flex": 800, "flex_reasoning": 200},
            },
        ),
        "6000*1.25+4000*0.13+1000*7.5",
    ),
    "k11over": (
        "langsmith",
        langsmith(
            "k11over",
            "gpt-5.6-sol",
            {
                "prompt_tokens": 2048,
                "completion_tokens": 100,
                "total_tokens": 2148,
                "prompt_token_details": {"priority": 2048, "cache_creation": 1024},
            },
        ),
        "1024*8+1024*10+100*40",
    ),
}


def a_word() -> str:
    """A word of no language: no tier, modality, direction or class is in it."""
    return "".join(DICE.choice("bgjkqvwxz") + DICE.choice("uy") for _ in range(DICE.randint(2, 4)))


def spelled(words: list[str]) -> str:
    """The words as a key: snake or camel case, with the word tokens behind or without."""
    words = [*words, *DICE.choice(([], ["tokens"], ["token", "count"]))]
    if DICE.random() < 0.5:
        return "_".join(words)
    return words[0] + "".join(word.capitalize() for word in words[1:])


def a_key_of(name: str, type_: str, tier: str | None) -> str:
    """A key that says a class and a tier, in a way that comes out by chance."""
    words = name.split("_")
    if type_ == "cache_write" and DICE.random() < 0.5:
        words[1] = "creation"
    elif type_ == "cache_read" and DICE.random() < 0.5:
        words[:2] = ["cached"]
    elif name == "input_other":
        words[1] = DICE.choice(("video", "document", "other"))
    if type_ in ("cache_read", "cache_write"):
        words = [DICE.choice(("input", "prompt")), *words]
    elif type_ == "input":
        words[0] = DICE.choice(("input", "prompt"))
    if tier:
        words.insert(DICE.choice((1, len(words))), tier)
    return spelled(words)


# The text classes are what the stated sums are made of.
TOLD = [of for of in TOKEN_CLASSES if of.name not in (default_class("input"), default_class("output"))]
KNOWN = {
    f"known-{source}-{of.name}-{tier or 'plain'}": (source, a_key_of(of.name, of.type, tier), of, tier)
    for source in SOURCES
    for of in TOLD
    for tier in TIERS
}
UNKNOWN = {
    f"unknown-{source}-{number}": (
        source,
        spelled([a_word() for _ in range(DICE.randint(1, 3))]),
        DICE.randint(1, 10**6),
    )
    for source in SOURCES
    for number in range(12)
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    made = DataRoot(tmp_path_factory.mktemp("keys") / "books")
    rows: dict[str, list[Row]] = {source: [] for source in SOURCES}
    for source, row, _ in CASES.values():
        rows[source].append(row)
    for name, (source, key, _, _) in KNOWN.items():
        rows[source].append(SOURCES[source][1](name, key, 777))
    for name, (source, key, count) in UNKNOWN.items():
        rows[source].append(SOURCES[source][1](name, key, count))
    rows["langfuse"] += [
        langfuse("against", "gpt-5.4", priority_of("flex"), model_parameters='{"service_tier":"default"}'),
        langfuse("nothing", "gpt-5.4", {"input": 0, "output": 0, "total": 0}),
    ]
    none = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    rows["litellm"] += [
        litellm("whisper", "whisper-1", none, call_type="atranscription"),
        litellm("hit", "gpt-5.4", none, cache_hit="True"),
        litellm("nested", "gpt-5.4", of_details({"flex_cache_read": 4000, "flex": 900_000})),
    ]
    rows["app_log"] += [
        app_log("left-over", "gpt-5.4", {"prompt_tokens": 26, "completion_tokens": 103, "total_tokens": 18_114}),
        app_log("part-of-it", "gpt-5.4", of_details({"zibu_vexu": 5})),
        app_log(
            "of-no-count",
            "gpt-5.4",
            of_details({}) | {"queue_time": 3, "tokens_per_second": 90, "vuzy": 0, "zuby": "7x"},
        ),
    ]
    for source, (path, _) in SOURCES.items():
        file = made.landing / path
        file.parent.mkdir(parents=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows[source]), encoding="utf-8")
    report = books.run(made, now=NOW)
    assert not report.is_blocked, report.failed
    return made


@pytest.fixture(scope="module")
def calls(root: DataRoot) -> dict[str, Row]:
    """Each call with its cost, by the name that it has in its source."""
    with open_views(root) as con:
        rows = named_rows(
            con,
            """select r.*, c.cost_status, c.cost_reason, c.list_cost_usd, s.name from ledger_requests as r
            inner join ledger_costs as c on r.request_key = c.request_key
            inner join (select request_key, coalesce(case when source = 'otel_genai' then step end, source_row_id) as name
                from ledger_requests) as s on r.request_key = s.request_key""",
        )
    return {row["name"]: row for row in rows}


def dollars(millionths: str) -> Decimal:
    """``6000*5+4000*0.5`` in millionths of a dollar, exactly."""
    products = [term.split("*") for term in millionths.split("+")]
    return sum((Decimal(count) * Decimal(price) for count, price in products), Decimal(0)) / 1_000_000


@pytest.mark.parametrize("name", CASES)
def test_a_key_with_a_tier_a_modality_or_another_spelling_is_read_as_what_it_says(
    calls: dict[str, Row], name: str
) -> None:
    call = calls[name]

    assert (call["list_cost_usd"], call["cost_status"]) == (dollars(CASES[name][2]), "priced")
    assert "unclassified_key" not in call["usage_flags"]


def test_every_class_at_every_tier_is_read_in_every_source(calls: dict[str, Row]) -> None:
    """777 tokens under a key that says class and tier, in a spelling that came out by chance."""
    wrong = {
        name: (key, calls[name][of.tokens], calls[name]["service_tier"], calls[name]["unread_usage"])
        for name, (_, key, of, tier) in KNOWN.items()
        if (calls[name][of.tokens], calls[name]["service_tier"], calls[name]["unread_usage"]) != (777, tier, None)
    }

    assert wrong == {}


def test_a_count_under_an_unknown_key_is_never_priced_and_its_key_is_kept(calls: dict[str, Row]) -> None:
    for name, (_, key, count) in UNKNOWN.items():
        call = calls[name]
        assert reading_of((key,)).kind == "unknown", key
        assert (call["cost_status"], call["cost_reason"]) == ("assumed", "unread_tokens"), (name, key)
        [(kept, tokens)] = call["unread_usage"].items()
        assert (kept.split(".")[-1], tokens) == (key, count)


def test_tokens_of_a_total_that_no_class_has_are_not_priced(calls: dict[str, Row]) -> None:
    """18,114 - 129 = 17,985 tokens are in no class. A part of the prompt that no rule knows may have a price of its own."""
    assert (calls["left-over"]["cost_status"], calls["left-over"]["unread_usage"]) == ("assumed", None)
    assert calls["left-over"]["cost_reason"] == "unread_tokens"
    assert calls["part-of-it"]["cost_status"] == "assumed"
    assert dict(calls["part-of-it"]["unread_usage"]) == {"prompt_tokens_details.zibu_vexu": 5}


def test_times_texts_and_zeros_are_no_counts(calls: dict[str, Row]) -> None:
    assert (calls["of-no-count"]["cost_status"], calls["of-no-count"]["usage_flags"]) == ("priced", [])


def test_a_tier_among_details_is_the_calls(calls: dict[str, Row]) -> None:
    """900,000 at the tier are part of the million of the prompt, 4,000 of them were read from the cache."""
    call = calls["nested"]

    assert (call["service_tier"], call["cache_read_tokens"], call["input_total_tokens"]) == ("flex", 4000, STATED_IN)


def test_a_tier_that_is_stated_otherwise_is_in_doubt(calls: dict[str, Row]) -> None:
    call = calls["against"]

    assert (call["service_tier"], call["cost_status"], call["cost_reason"]) == ("default", "assumed", "inferred_tier")


def test_zero_tokens_are_no_usage_and_an_answer_out_of_a_cache_is_free(calls: dict[str, Row]) -> None:
    for name in ("nothing", "whisper"):
        assert (calls[name]["cost_status"], calls[name]["list_cost_usd"]) == ("no_usage", None), name
    # It never enters money.
    assert "hit" not in calls


def test_run_status_explain_and_the_page_name_the_keys(root: DataRoot, capsys: pytest.CaptureFixture[str]) -> None:
    """Of app_log 12 keys by chance, one among the details, and a total above its parts: 17,985 tokens at 2.5 of gpt-5.4: $0.04."""
    summary = summarise(root)
    print_summary(summary)
    said = capsys.readouterr().out
    [left] = [row for row in summary.unread if (row["source"], row["usage_key"]) == ("app_log", "total")]

    assert (left["requests"], left["unread_tokens"]) == (1, 17_985)
    assert left["stake_usd"] == pytest.approx(Decimal("0.0449625"))
    assert summary.unread_tokens == 17_985 + 5 + sum(count for _, _, count in UNKNOWN.values())
    assert (summary.priced_share or 1) < 1
    assert "tokens of usage objects are in no class" in said
    dearest = summary.unread[0]
    assert f"  {dearest['source']}: {dearest['usage_key']}: 1 call, " in said
    assert dearest["remedy"] in said

    name, (_, key, count) = next(iter(UNKNOWN.items()))
    assert explain(root, name)["unread"] == [{"usage_key": key, "unread_tokens": count, "remedy": dearest["remedy"]}]
    page = root.report(date(2026, 11, 16))
    assert f"<code>{dearest['usage_key']}</code>" in page.read_text(encoding="utf-8")


def test_the_words_of_tiers_are_those_of_keys() -> None:
    """A word that the price of a call knows as a tier is one in a key too."""
    for tier, words in SERVICE_TIERS.items():
        for word in filter(None, words):
            assert reading_of((f"input_{word}_tokens",)).tier == tier, word
