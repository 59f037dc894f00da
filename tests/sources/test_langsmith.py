"""Runs of LangSmith: the bulk export in Parquet, lines and lists of the API, and the traps of its fields."""

from __future__ import annotations

import io
import json
import os
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import land, lines, read, rows, tokens
from tests.sources.together import Place, together

EXPORT = "prod/export_id=1/tenant_id=2/session_id=proj/runs/year=2026/month=11/day=18"
NONE = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"))
MODEL = {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-2024-08-06"}}


def run_of(number: int, above: int | None = None, **more: Any) -> dict[str, Any]:
    """A run as the export has it: what is nested is a text."""
    plain = {
        "id": f"00000000-0000-0000-0000-{number:012}",
        "name": f"run {number}",
        "run_type": "llm",
        "start_time": f"2026-11-18T12:00:{number:02}.000001",
        "end_time": f"2026-11-18T12:00:{number + 2:02}.000001",
        "status": "success",
        "error": None,
        "trace_id": f"00000000-0000-0000-0000-{1:012}",
        "parent_run_id": f"00000000-0000-0000-0000-{above:012}" if above else None,
        "extra": json.dumps(MODEL),
        "tags": "[]",
        "inputs": '{"q": "never read"}',
        "outputs": "{}",
        "feedback_stats": None,
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_token_details": None,
        "completion_token_details": None,
        "total_cost": None,
    } | more
    return {name: json.dumps(found) if isinstance(found, (dict, list)) else found for name, found in plain.items()}


def own(place: Place, name: str, content: bytes) -> bytes:
    """The runs of a test have ids of their own."""
    return content.replace(b"00000000-0000-0000-0000-", b"%08d-0000-0000-0000-" % place.number)


def parquet(*runs: dict[str, Any]) -> bytes:
    text = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(runs)), text, compression="zstd")
    return text.getvalue()


def export(place: Place, name: str, *runs: dict[str, Any], at: int = 0) -> None:
    """A file of a bulk export. What it holds is packed, so its ids are made the test's own before."""
    found = json.loads(own(place, name, json.dumps(runs).encode()))
    path = place.land(f"langsmith/{name}", parquet(*found))
    if at:
        os.utime(path, (at, at))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Runs of a Parquet export as staged rows, by name."""
    root = DataRoot(tmp_path_factory.mktemp("data"))
    details = {
        "cache_read": 1000,
        "cache_creation": 0,
        "ephemeral_5m_input_tokens": 400,
        "ephemeral_1h_input_tokens": 100,
    }
    cases = {
        "cached": {"prompt_token_details": {"cache_read": 1920}, "completion_token_details": {"reasoning": 120}},
        "by_lifetime": {"prompt_token_details": details},
        "written": {"prompt_token_details": {"cache_read": 0, "cache_creation": 500}},
        "apart": {"prompt_tokens": 12, "total_tokens": 312, "prompt_token_details": {"cache_read": 4000}},
        "cost_as_text": {"total_cost": "0.0000364"},
        "cost_of_nothing": {"total_cost": "0"},
        "no_counts": NONE,
        "failed": {"status": "error", "error": "RateLimitError: 429 never read"},
        "lc_id": {"outputs": {"generations": [[{"message": {"kwargs": {"id": "run-1"}}}]]}},
        "own_id": {"outputs": {"id": "chatcmpl-7", "choices": [{"message": {"content": "never read"}}]}},
        "azure": {"extra": {"metadata": {"ls_provider": "azure", "ls_model_name": "gpt-4o", "thread_id": "t-1", "user_id": "undefined"}}},
    }  # fmt: skip
    runs = (run_of(n, name=name, **more) for n, (name, more) in enumerate(cases.items(), 1))
    land(root, f"langsmith/{EXPORT}/a.parquet", parquet(*runs))
    assert read(root).report.warnings == []
    return {row["step"]: row for row in rows(root, "staged_requests")}


def test_details_are_parts_of_prompt_and_completion(told):
    """2,006 - 1,920 = 86; 2,006 - 1,000 - 400 - 100 = 506; trap 4: details are texts of objects."""
    assert tokens(told["cached"]) == {
        "input_uncached": 86,
        "cache_read": 1920,
        "output_text": 180,
        "output_reasoning": 120,
    }
    assert tokens(told["by_lifetime"]) == {
        "input_uncached": 506,
        "cache_read": 1000,
        "cache_write_5m": 400,
        "cache_write_1h": 100,
        "output_text": 300,
    }
    assert tokens(told["written"]) == {"input_uncached": 1506, "cache_read": 0, "cache_write": 500, "output_text": 300}


def test_a_prompt_that_cannot_hold_the_cached_tokens_leaves_them_out(told):
    assert tokens(told["apart"]) == {"input_uncached": 12, "cache_read": 4000, "output_text": 300}
    assert told["apart"]["usage_basis"] == "disjoint"


def test_costs_are_texts_or_numbers_and_0_is_none(told):
    """Trap 7, F13, C14."""
    assert told["cost_as_text"]["cost_reported_usd"] == Decimal("0.0000364")
    assert told["cost_of_nothing"]["cost_reported_usd"] is None
    assert told["cached"]["cost_reported_usd"] is None


def test_no_counts_are_unknown_and_not_0(told):
    """Trap 6."""
    assert tokens(told["no_counts"]) == {}
    assert told["no_counts"]["usage_quality"] == "missing"


def test_the_folder_of_the_project_is_no_session(told):
    """Traps 3, 5 and 8, E7."""
    assert {(row["source_account"], row["session_id"]) for row in told.values()} == {("prod", None), ("prod", "t-1")}
    assert (told["azure"]["provider"], told["azure"]["user_id"]) == ("azure", None)


def test_only_the_providers_id_tells_a_call(told):
    assert (told["lc_id"]["provider_response_id"], told["own_id"]["provider_response_id"]) == (None, "chatcmpl-7")


def test_of_an_error_only_its_name_is_kept(told):
    assert (told["failed"]["status"], told["failed"]["error_class"]) == ("error", "RateLimitError")
    assert "never read" not in str(told)


@together("fine")
def test_chains_that_sum_up_are_no_calls(place):
    """B3, trap 2."""
    export(
        place, f"{EXPORT}/a.parquet", run_of(1, run_type="chain"), run_of(2, 1), run_of(3, 1, run_type="tool", **NONE)
    )

    yield

    assert place.warnings == []
    leaves = {row["step"]: row["is_billable_leaf"] for row in place.rows("ledger_requests")}
    assert {name for name, is_leaf in leaves.items() if is_leaf} == {"run 2"}


@together("fine")
def test_a_second_export_replaces_the_first(place):
    """F17, trap 1: wherever its folder sorts; the newest file's row counts, equal ones once."""
    export(place, "prod/export_id=9/runs/a.parquet", run_of(1, total_cost=None), run_of(2), at=1_795_100_000)
    export(place, "prod/export_id=1/runs/a.parquet", run_of(1, total_cost="0.5"), run_of(2), at=1_795_200_000)

    yield

    assert place.warnings == []
    calls = place.rows("ledger_requests", "started_at")
    assert [(call["step"], call["cost_reported_usd"]) for call in calls] == [("run 1", Decimal("0.5")), ("run 2", None)]
    files = {row["path"].split("/")[5]: (row["booked"], row["duplicate"]) for row in place.rows("ledger_files")}
    assert files == {"export_id=9": (0, 2), "export_id=1": (2, 0)}


@pytest.mark.parametrize("layout", ["lines", "list", "CRLF and BOM"])
@together("fine")
def test_runs_of_the_api_are_read_too(place, layout):
    runs = [
        run_of(1) | {"tags": ["feature:x"], "extra": MODEL, "feedback_stats": {"ok": {"n": 1, "avg": 1.0}}},
        run_of(2, 1),
    ]
    text = lines(*runs) if layout != "list" else json.dumps(runs, indent=1)
    place.land("langsmith/a.json", "\ufeff" + text.replace("\n", "\r\n") if layout == "CRLF and BOM" else text)

    yield

    assert place.warnings == []
    assert next(row["feature"] for row in place.rows("ledger_requests", "started_at")) == "x"
    assert [(row["name"], row["value_num"], row["target_kind"]) for row in place.rows("staged_scores")] == [
        ("ok", 1.0, "trace")
    ]


@pytest.mark.parametrize(
    ("content", "records", "reason"),
    [
        (json.dumps(run_of(1)) + "\n" + json.dumps(run_of(2))[:99], 2, "not JSON"),
        (json.dumps(run_of(1)) + "\n" + json.dumps(run_of(2)).replace("never read", "\\q"), 2, "not JSON"),
        (json.dumps(run_of(1)) + "\n" + json.dumps(run_of(2, id="")), 2, "missing id"),
        (json.dumps(run_of(1)) + "\n" + json.dumps(run_of(2, prompt_tokens="2,006")), 2, "expected a whole number"),
        (json.dumps(run_of(1)) + "\n" + json.dumps(run_of(2, total_cost="1.234,56")), 2, "expected an amount in USD"),
        ('{"runs": [], "cursors": {}}', 1, "write the list of runs itself"),
        ('{"detail": "Forbidden"}', 1, "an answer of the API"),
        ('{"id": "1", "startTime": "2026-11-18"}\n', 1, "expected runs of LangSmith"),
    ],
)
@together("faulty")
def test_what_is_wrong_is_refused(place, content, records, reason):
    """F7 and bad input: the other run is booked."""
    place.land("langsmith/a.jsonl", content)

    yield

    [warning] = place.warnings

    assert reason in warning
    [file] = place.rows("ledger_files")
    assert (file["records"], file["booked"], file["quarantined"]) == (records, records - 1, 1)
