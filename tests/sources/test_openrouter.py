"""What becomes of the exports of OpenRouter, Together and Groq: the cases of readers before us."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.paths import DataRoot
from pipelines.sources.openrouter.source import GENERATIONS
from pipelines.usage import classes
from tests.sources.landed import FATES, Landed, read

EXAMPLES = Path("../shared/formats/examples/openrouter")
DAILY = "Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens\n"
HEADER = ",".join(GENERATIONS) + "\n"


def activity(*rows: Any) -> str:
    return json.dumps({"data": list(rows)})


def row(date: Any = "2026-11-18", **fields: Any) -> dict[str, Any]:
    plain = {
        "model": "openai/gpt-4.1",
        "model_permaslug": "openai/gpt-4.1-2025-04-14",
        "provider_name": "OpenAI",
        "endpoint_id": "e",
    }
    counts = {"requests": 2, "prompt_tokens": 100, "completion_tokens": 50, "reasoning_tokens": 10}
    return {"date": date, **plain, "usage": 0.5, "byok_usage_inference": 0, **counts, **fields}


def generation(number: int, **cells: str) -> str:
    plain = {
        "generation_id": f"gen-{number}",
        "created_at": "2026-11-18 23:59:59",
        "cost_total": "0.25",
        "model_permaslug": "openai/gpt-5",
    }
    counts = {
        "tokens_prompt": "100",
        "tokens_completion": "20",
        "tokens_reasoning": "5",
        "tokens_cached": "40",
        "byok_usage_inference": "0",
    }
    filled = {
        **plain,
        **counts,
        "cost_cache": "0.1",
        "cost_web_search": "0.05",
        "cancelled": "false",
        "variant": "standard",
        **cells,
    }
    return ",".join(filled.get(name, "") for name in GENERATIONS) + "\n"


def daily(date: str, usage: str = "1", byok: str = "0", prompt: str = "5", slug: str = "openai/gpt-5") -> str:
    return f'"{date}",{slug},"{usage}","{byok}","1","{prompt}","2","0"\n'


GROQ = {
    "organization_id": "o", "n_context_tokens_total": 10, "n_non_cached_context_tokens_total": 4, "n_generated_tokens_total": 3,
    "model": "m", "timestamp": 1794960000, "num_requests": 1, "cost": 0.1,
}  # fmt: skip

FILES: dict[str, str | bytes] = {
    "replayed/a.json": activity(row(cached_tokens=170), row(cached_tokens=30, reasoning_tokens=60)),
    "byok/a.json": activity(row(byok_usage_inference=0.012)),
    "dates/a.json": activity(
        row("2026-11-18"), row("2026-11-18T00:00:00Z"), row("2026-11-18 00:00:00"), row("11/18/26"), row("18.11.2026"), row(None)
    ),
    "marks/a.csv": ("\ufeff" + DAILY + daily("2026-11-18", "$1.50", "NULL", "3.0", '"a, ""b"""') + daily("2026-11-18", '1.234"",""56')
    + daily("2026-11-18", "5e-3") + daily("2026-11-18", "5e-3") + daily("2026-11-18", "1", "0", "3.5")).replace("\n", "\r\n"),
    "grains/a.pulled-20261120T000000Z.csv": DAILY + daily("2026-11-18", "0.75"),
    "grains/b.pulled-20261119T000000Z.json": activity(row(usage=0.75)),
    "generations/a.pulled-20261120T000000Z.csv": DAILY + daily("2026-11-18", "0.5"),
    "generations/b.pulled-20261119T000000Z.csv": HEADER + generation(1) + generation(2, cancelled="true"),
    "again/a.csv": HEADER + generation(11) + generation(11),
    "unknown/a.csv": "Date,Model,Usage\n2026-11-18,x,1\n",
    "latin/a.csv": (DAILY + daily("2026-11-18", slug="caf\xe9") + daily("2026-11-18")).encode("latin-1"),
    "short/a.csv": DAILY + '"2026-11-18","x"\n' + daily("2026-11-18"),
    "error/a.json": json.dumps({"error": {"code": 401, "message": "no"}}),
    "mixed/a.json": activity(row()) + json.dumps({"error": {"code": 429}}),
    "empty/a.json": activity(),
    "cut/a.json": activity(row())[:-30],
    "odd/a.json": activity(row(), 5),
    "groq/a.json": json.dumps([GROQ, {**GROQ, "n_non_cached_context_tokens_total": 11}]),
    "groq_new/a.json": json.dumps([{**GROQ, "n_thought_tokens_total": 9}]),
}  # fmt: skip


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    files = {f"openrouter/{name}": content for name, content in FILES.items()}
    landed = read(DataRoot(tmp_path_factory.mktemp("data")), files, FATES)
    assert landed.is_conserved()
    return landed


def test_no_token_is_negative_where_an_answer_was_replayed(books):
    """A19: 170 cached of 100 prompted: nothing is subtracted. Else 100 - 30 = 70. Reasoning of 60 is no part of 50."""
    replayed, other = sorted(books.staged("usage", "replayed"), key=lambda found: found["source_row"])

    assert (replayed["input_uncached_tokens"], replayed["cache_read_tokens"]) == (100, 170)
    assert (replayed["output_text_tokens"], replayed["output_reasoning_tokens"]) == (40, 10)
    assert (other["input_uncached_tokens"], other["output_text_tokens"], other["output_reasoning_tokens"]) == (
        70,
        50,
        60,
    )


def test_cost_on_ones_own_key_is_no_part_of_the_bill(books):
    lines = books.staged("bills", "byok")

    assert sum(line["billed_amount"] for line in lines) == Decimal("0.5")
    [own] = [line for line in lines if line["invoice_issuer"]]
    assert (own["invoice_issuer"], own["list_amount"]) == ("OpenAI", Decimal("0.012"))
    assert books.fates()["openrouter/byok/a.json"] == (1, 1, 0, 0, 0)


def test_every_form_of_an_instant_is_the_same_day(books):
    """E3, E10: without a zone it is UTC."""
    assert [found["bucket_start_at"] for found in books.staged("usage", "dates")] == [
        datetime(2026, 11, 18, tzinfo=UTC)
    ] * 4
    assert books.fates()["openrouter/dates/a.json"] == (6, 4, 0, 0, 2)


def test_marks_of_spreadsheets_are_no_part_of_a_cell(books):
    """F8, F7, F15: 1.5 + 0.005 + 0.005; 1.234,56 and 3.5 tokens are refused."""
    lines = books.staged("bills", "marks")

    assert sum(line["billed_amount"] for line in lines) == Decimal("1.51")
    assert len({line["cost_key"] for line in lines}) == 3
    assert lines[0]["model_raw"] == 'a, "b"'
    assert books.fates()["openrouter/marks/a.csv"] == (5, 3, 0, 0, 2)


def test_of_several_exports_of_a_day_one_counts(books):
    """The API says more than the daily file, generations more than both, though they are older."""
    assert books.fates()["openrouter/grains/a.pulled-20261120T000000Z.csv"] == (1, 0, 1, 0, 0)
    assert books.fates()["openrouter/grains/b.pulled-20261119T000000Z.json"] == (1, 1, 0, 0, 0)
    assert books.fates()["openrouter/generations/a.pulled-20261120T000000Z.csv"] == (1, 0, 1, 0, 0)


def test_a_generation_is_one_call_and_one_charge(books):
    """100 - 40 = 60, 20 - 5 = 15; the parts of the cost are never added; a cancelled one keeps its cost."""
    calls = books.staged("requests", "generations")
    charges = [
        line
        for line in books.staged("bills", "generations")
        if line["source_file"].endswith("b.pulled-20261119T000000Z.csv")
    ]

    assert [(call["input_uncached_tokens"], call["output_text_tokens"]) for call in calls] == [(60, 15)] * 2
    assert [call["status"] for call in calls] == ["ok", "cancelled"]
    assert (
        [charge["billed_amount"] for charge in charges]
        == [call["cost_reported_usd"] for call in calls]
        == [Decimal("0.25")] * 2
    )
    assert calls[0]["started_at"] == datetime(2026, 11, 18, 23, 59, 59, tzinfo=UTC)
    assert books.fates()["openrouter/generations/b.pulled-20261119T000000Z.csv"] == (2, 2, 0, 0, 0)
    assert books.fates()["openrouter/again/a.csv"] == (2, 1, 1, 0, 0)
    assert [charge["billed_amount"] for charge in books.staged("bills", "again")] == [Decimal("0.25")]


def test_a_source_without_documentation_is_read_only_as_it_was_seen(books):
    """Groq: 10 - 4 = 6 cached; more uncached than all is refused, and so is a field that was never seen."""
    [found] = books.staged("usage", "groq")

    assert (found["provider"], found["input_uncached_tokens"], found["cache_read_tokens"]) == ("groq", 4, 6)
    assert books.fates()["openrouter/groq/a.json"] == (2, 1, 0, 0, 1)
    assert "the unknown fields n_thought_tokens_total" in books.files()["openrouter/groq_new/a.json"]["reasons"]


def test_audio_of_mistral_is_counted_in_seconds():
    """Its export is the usage object of a call: 40 prompt tokens and 12 seconds."""
    found = classes(
        "mistral.chat",
        json.dumps({"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42, "prompt_audio_seconds": 12}),
    )

    assert (found["input_uncached_tokens"], found["extra_units"]) == (40, {"audio_seconds": Decimal(12)})


@pytest.mark.parametrize(
    ("name", "fates", "reason"),
    [
        (
            "unknown/a.csv",
            (1, 0, 0, 0, 1),
            "a header of Date, Model, Usage, which is none of the known ones (activity_daily",
        ),
        ("latin/a.csv", (2, 1, 0, 0, 1), "not UTF-8 (byte 0xe9)"),
        ("short/a.csv", (2, 1, 0, 0, 1), "2 cells, expected 8"),
        (
            "error/a.json",
            (1, 0, 0, 0, 1),
            "an error answer of the API, expected a page with data; pull it again",
        ),
        ("mixed/a.json", (2, 1, 0, 0, 1), "page 2 has no list of data; pull it again"),
        ("empty/a.json", (0, 0, 0, 0, 0), ""),
        ("cut/a.json", (1, 0, 0, 0, 1), "not JSON at byte"),
        ("odd/a.json", (2, 1, 0, 0, 1), "expected an object"),
    ],
)
def test_of_a_file_with_a_fault_the_rest_is_booked(books, name, fates, reason):
    """F5 among them."""
    assert books.fates()[f"openrouter/{name}"] == fates
    assert reason in books.files()[f"openrouter/{name}"]["reasons"]


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the shared examples")
def test_the_examples_give_what_their_readers_found(tmp_path):
    """G7: 430.07 + 505.87 = 935.94 USD. The API's row: 125 - 25 = 100 text."""
    books = read(
        DataRoot(tmp_path),
        {f"openrouter/{path.stem}/{path.name}": path.read_bytes() for path in EXAMPLES.glob("activity*")},
        FATES,
    )

    [found] = books.staged("usage", "activity_api")

    assert sum(line["billed_amount"] for line in books.staged("bills", "activity_daily")) == Decimal("935.94")
    assert (found["input_uncached_tokens"], found["output_text_tokens"], found["output_reasoning_tokens"]) == (
        50,
        100,
        25,
    )
    assert books.fates()["openrouter/activity_generations.header/activity_generations.header.csv"] == (0, 0, 0, 0, 0)
