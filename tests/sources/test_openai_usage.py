"""What becomes of OpenAI's reports, the dashboard's files and batches: the cases of readers before us."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import FATES, Landed, read

EXAMPLES = Path("../shared/formats/examples/openai_usage")
DAY = int(datetime(2026, 11, 18, tzinfo=UTC).timestamp())
TIMES = "start_time,end_time,start_time_iso,end_time_iso"
COST = f"{TIMES},amount_value,amount_currency,quantity,quantity_unit,line_item,project_id,user_email"
STAMPS = f"{DAY},{DAY + 86_400},,"


def page(*results: Any, start: int = DAY) -> str:
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results)}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None})


def result(endpoint: str, **fields: Any) -> dict[str, Any]:
    return {"object": f"organization.usage.{endpoint}.result", "project_id": "p", "model": "gpt-4o", **fields}


def used(**fields: Any) -> dict[str, Any]:
    return result("completions", **fields)


def line(number: int, custom_id: str = "", **body: Any) -> str:
    plain = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": DAY + number, "model": "gpt-4o"}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    response = {"status_code": 200, "request_id": "r", "body": {**plain, "usage": usage, **body}}
    answer = {"id": f"batch_req_{number}", "custom_id": custom_id or f"c-{number}", "response": response, "error": None}
    return json.dumps(answer) + "\n"


BATCH = {
    "id": "batch_a1",
    "object": "batch",
    "created_at": DAY,
    "model": "gpt-4o",
    "usage": {"input_tokens": 20, "output_tokens": 4, "total_tokens": 24, "input_tokens_details": {"cached_tokens": 0}},
    "metadata": {"team": "evals", "note": "a secret note"},
}
EMBEDDINGS = {
    "object": "list",
    "created": None,
    "data": [{"embedding": [0.1]}],
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}

FILES: dict[str, str | bytes] = {
    "parts/usage.json": page(
        used(input_tokens=100, input_cached_tokens=40, input_cached_audio_tokens=10, input_audio_tokens=5,
             output_tokens=9, output_audio_tokens=4),
        used(input_tokens=100, input_text_tokens=60, input_cached_tokens=30, output_tokens=9),
        used(input_tokens=100, input_text_tokens=90, input_cached_tokens=30, output_tokens=9),
        used(input_tokens=100, output_tokens=9, output_text_tokens=12),
        used(input_tokens=100, input_cache_write_tokens=30, input_cache_write_30m_tokens=20, output_tokens=1),
    ),
    "empty/completions_usage_2026-11-18_2026-11-19.csv": f"{TIMES}\n{STAMPS}\n",
    "unknown/usage.csv": f"{TIMES},tokens\n{STAMPS},5\n",
    "bom/cost_a.csv": ("\ufeff" + f'{COST}\n{STAMPS},$0.10,usd,,,"a, ""b""",p,dev@example.com\n').replace("\n", "\r\n"),
    "cost/cost_a.csv": f'{COST}\n{STAMPS},1e-7,usd,3.0,1000_tokens,"gpt-4o, input",p,\n{STAMPS},,,,,,,\n{STAMPS},"1,5",usd,,,x,p,\n',
    "both/costs.pulled-20261119T000000Z.json": page(
        {"object": "organization.costs.result", "amount": {"value": 0.5, "currency": "usd"}, "line_item": "gpt-4o, input"}
    ),
    "both/cost_a.pulled-20261120T000000Z.csv": f'{COST}\n{STAMPS},0.6,usd,,,"gpt-4o, input",,\n',
    "torn/usage.csv": f"{TIMES},input_tokens,output_tokens\n{STAMPS},5,1\n{DAY},5\n{STAMPS},3.0,1\n",
    "latin/cost_a.csv": f"{COST}\n{STAMPS},1,usd,,,caf\xe9,p,\n{STAMPS},2,usd,,,x,p,\n".encode("latin-1"),
    "batch/batch_a1.json": json.dumps(BATCH, indent=1),
    "batch/batch_a1_output.jsonl": line(1) + line(2),
    "lists/batches.json": json.dumps({"object": "list", "data": [BATCH, {**BATCH, "id": "batch_a2", "usage": None}]}),
    "input/batch.jsonl": json.dumps({"custom_id": "c", "method": "POST", "url": "/v1/chat/completions", "body": {}}) + "\n",
    "embeddings/batch_e.pulled-20261118T120000Z.jsonl": line(31, **EMBEDDINGS),
    "faults/batch_f.jsonl": line(11) + line(12).replace('"gpt-4o"', r'"a \x escape"')
    + line(13, usage={"prompt_tokens": "many", "completion_tokens": 1})
    + line(14, usage={"prompt_tokens": 3.0, "completion_tokens": 1}) + line(15, choices=[{"message": "x" * 20_000_000}]) + line(16)[:50],
    "again/batch_g.jsonl": line(21) + line(21),
}  # fmt: skip


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    files = {f"openai_usage/{name}": content for name, content in FILES.items()}
    landed = read(DataRoot(tmp_path_factory.mktemp("data")), files, FATES)
    assert landed.is_conserved()
    return landed


def test_classes_are_disjoint_and_meet_the_stated_total(books):
    """G1's algebra. Row 1: 100 - 40 - 5 = 55 text, 40 - 10 = 30 cached text, 9 - 4 = 5 text output. Row 2: 100 - 60 - 30 = 10 tokens of no
    class. Rows 3 and 4: 90 + 30 > 100, 12 > 9. Row 5: 30 writes, of them 20 for 30 minutes. A21: reasoning is null."""
    first, second, fifth = books.staged("usage", "parts")

    assert (first["input_uncached_tokens"], first["cache_read_tokens"], first["output_text_tokens"]) == (55, 30, 5)
    assert (first["input_other_tokens"], second["input_other_tokens"]) == (None, 10)
    assert (fifth["input_uncached_tokens"], fifth["cache_write_30m_tokens"], fifth["cache_write_tokens"]) == (
        70,
        20,
        10,
    )
    assert first["output_reasoning_tokens"] is None
    assert books.fates()["openai_usage/parts/usage.json"] == (5, 3, 0, 0, 2)
    assert "the parts of input_tokens are more than 100" in books.files()["openai_usage/parts/usage.json"]["reasons"]


def test_an_export_without_columns_is_empty(books):
    """F9: 4 columns of times: a window, no usage, no error."""
    assert books.fates()["openai_usage/empty/completions_usage_2026-11-18_2026-11-19.csv"] == (1, 0, 0, 1, 0)
    [window] = books.rows("staged_windows", where="source_account = 'empty'")
    assert window["endpoint"] == "usage.completions"


def test_an_unknown_header_names_the_known_ones(books):
    """F5."""
    assert (
        "a header of start_time, end_time, start_time_iso, end_time_iso, tokens, which is none of"
        in books.files()["openai_usage/unknown/usage.csv"]["reasons"]
    )


def test_the_dashboards_money_is_exact(books):
    """F8: byte order mark, CRLF, quotes, a dollar sign. 1e-7 is 0.0000001, no amount is no charge, and 1,5 is refused (F7)."""
    [marked], [small] = books.staged("bills", "bom"), books.staged("bills", "cost")

    assert (marked["billed_amount"], marked["line_item_raw"]) == (Decimal("0.1"), 'a, "b"')
    assert "example.com" not in marked["raw"]
    assert (small["billed_amount"], small["metered_tokens"]) == (Decimal("0.0000001"), 3000)
    assert books.fates()["openai_usage/cost/cost_a.csv"] == (3, 1, 0, 1, 1)


def test_of_the_api_and_the_dashboard_one_counts(books):
    """F16, B12: the newer file takes the place of the other."""
    assert books.fates()["openai_usage/both/costs.pulled-20261119T000000Z.json"] == (1, 0, 1, 0, 0)
    assert books.fates()["openai_usage/both/cost_a.pulled-20261120T000000Z.csv"] == (1, 1, 0, 0, 0)


def test_of_a_batch_the_lines_are_booked_and_not_the_total(books):
    """B14: 2 x 12 tokens, once. The batch says whose they are; of its metadata only what is named is kept."""
    [header, *lines] = books.staged("requests", "batch")

    assert books.fates()["openai_usage/batch/batch_a1.json"] == (1, 0, 0, 1, 0)
    assert books.files()["openai_usage/batch/batch_a1.json"]["reasons"].endswith("batch_total")
    assert [one["provider_total_tokens"] for one in lines if one["is_billable_leaf"]] == [12, 12]
    assert all(one["is_batch"] for one in lines)
    assert (header["team"], header["attributes"]) == ("evals", {})
    owners = books.rows("ledger_span_owners")
    assert {one["team"] for one in owners if one["request_key"] in {line["request_key"] for line in lines}} == {"evals"}
    assert books.fates()["openai_usage/lists/batches.json"] == (2, 0, 0, 2, 0)
    assert "the input of a batch, expected its output" in books.files()["openai_usage/input/batch.jsonl"]["reasons"]


def test_lines_without_an_instant_take_that_of_the_pull(books):
    [embedding] = books.staged("requests", "embeddings")

    assert (embedding["usage_shape"], embedding["input_uncached_tokens"]) == ("openai.embeddings", 5)
    assert embedding["started_at"] == datetime(2026, 11, 18, 12, tzinfo=UTC)


def test_a_fault_in_a_line_is_that_lines_own(books):
    """A bad escape, a count in words and a torn end are refused each; a line of 20 MB and a count of 3.0 are read."""
    assert [one["source_row"] for one in books.staged("requests", "faults")] == [1, 4, 5]
    assert books.fates()["openai_usage/faults/batch_f.jsonl"] == (6, 3, 0, 0, 3)
    assert books.fates()["openai_usage/again/batch_g.jsonl"] == (2, 1, 1, 0, 0)


def test_rows_of_a_table_with_a_fault_are_refused_alone(books):
    assert books.fates()["openai_usage/torn/usage.csv"] == (3, 2, 0, 0, 1)
    assert books.fates()["openai_usage/latin/cost_a.csv"] == (2, 1, 0, 0, 1)


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="needs the shared examples")
def test_the_examples_of_the_specification_give_what_their_readers_found(tmp_path):
    """G1: 400 + 50 + 50 uncached, 300 + 50 + 50 read, 100 written: 1000; output 400 + 50 + 50. G2: 0.06 USD on 2024-11-01.
    F14: the published batch is not JSON. F6: every dimension is null."""
    files = {
        f"openai_usage/{path.name.split('.')[0]}/{path.name}": path.read_bytes()
        for path in EXAMPLES.iterdir()
        if path.name.startswith(("organization_", "dashboard_")) or path.name == "schema_Batch.example.invalid.json"
    }
    books = read(DataRoot(tmp_path), files, FATES)

    [tokens] = books.staged("usage", "organization_usage_completions")
    [charge] = books.staged("bills", "organization_costs")

    names = "input_uncached input_audio input_image cache_read cache_read_audio cache_read_image cache_write".split()
    assert [tokens[f"{name}_tokens"] for name in names] == [400, 50, 50, 300, 50, 50, 100]
    assert [tokens[f"output_{name}_tokens"] for name in ("text", "audio", "image", "reasoning")] == [400, 50, 50, None]
    assert (tokens["requests"], tokens["input_other_tokens"]) == (5, None)
    assert (charge["billed_amount"], charge["currency"]) == (Decimal("0.06"), "USD")
    assert charge["charge_start_at"] == datetime(2024, 11, 1, tzinfo=UTC)
    assert "not JSON" in books.files()["openai_usage/schema_Batch/schema_Batch.example.invalid.json"]["reasons"]
    meters = {
        one["operation"]: (one["quantity"], one["quantity_unit"])
        for one in books.rows("staged_usage")
        if one["quantity"] is not None
    }
    assert meters == {
        "tts": (45, "characters"), "stt": (20, "seconds"), "code_interpreter": (1, "sessions"), "file_search": (2, "calls"),
        "image": (2, "images"), "vector_store": (1024, "bytes"), "web_search": (2, "calls"),
    }  # fmt: skip
    assert books.is_conserved()
    assert set(books.fates()) == set(files)
    assert sum(booked for _, booked, *_ in books.fates().values()) == 11
