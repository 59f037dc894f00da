"""Helicone's rows: their traps, case by case (numbers of the acceptance cases), and the same call in an application's log."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import FATES, SHARED, lines, read, tokens
from tests.sources.together import together

NO_HIT = "00000000-0000-0000-0000-000000000000"


def row(name: str, **more: Any) -> dict[str, Any]:
    """A row of the request query without bodies."""
    plain = {
        "request_id": name,
        "response_id": f"response-{name}",
        "request_created_at": "2026-11-18 10:00:01.000",
        "response_created_at": "2026-11-18 10:00:05.250",
        "updated_at": "2026-11-18 10:00:06.000",
        "response_status": 200,
        "request_user_id": "",
        "request_properties": {},
        "provider": "OPENAI",
        "request_model": "gpt-4o-2024-08-06",
        "target_url": "https://api.openai.com/v1/chat/completions",
        "time_to_first_token": 700,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "total_tokens": 110,
        "prompt_cache_read_tokens": 0,
        "prompt_cache_write_tokens": 0,
        "cost": 0.00035,
        "cache_reference_id": NO_HIT,
        "scores": {},
    }
    return plain | more


ROWS = [
    row("cached", prompt_tokens=1200, completion_tokens=300, total_tokens=1500, prompt_cache_read_tokens=9000, prompt_cache_write_tokens=500),
    row("thinking", request_model="o3-2025-04-16"),
    row("thinking told", request_model="o3-2025-04-16", reasoning_tokens=40),
    row("not thinking", request_model="gpt-5-chat-latest"),
    row("not priced", cost=0),
    row("older", request_model=None, response_model="gpt-4o-2024-08-06", cost=None, costUSD=0.5),
    row("hit", cache_reference_id="0d7e8f00-0000-4000-8000-000000000001", prompt_tokens=0, completion_tokens=0, total_tokens=0, cost=0),
    row("pending", response_status=-2),
    row("cancelled", response_status=-3),
    row("refused", response_status=429),
    row("nobody", request_user_id="undefined"),
    row("nobody either", request_user_id="null"),
    row("owned", request_properties={"FEATURE": "support", "Plan": "pro", "UserId": "u-1", "helicone-session-id": "s-1", "Helicone-Session-Path": "/a/b"}),
    row("bodied", response_body={"id": "chatcmpl-b", "choices": [{"message": {"content": "never read"}}]}),
    row("bodied in text", response_body="never read"),
    row("on vertex", provider="GOOGLE", request_model="gemini-2.0-flash", target_url="https://europe-west1-aiplatform.googleapis.com/v1/x"),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    landed = read(DataRoot(tmp_path_factory.mktemp("data")), {"helicone/org/rows.jsonl": lines(*ROWS)})
    assert landed.report.warnings == []
    return landed.calls()


def test_cached_tokens_are_beside_the_input(told):
    """G14, A23: 1,200 + 9,000 + 500 + 300 = 11,000; the lifetime of writes is not stated."""
    found = told["cached"]

    assert tokens(found) == {"input_uncached": 1200, "cache_read": 9000, "cache_write": 500, "output_text": 300}
    assert (found["usage_basis"], found["provider_total_tokens"], found["context_test_tokens"]) == (
        "disjoint",
        11_000,
        10_700,
    )


def test_the_output_of_a_model_that_thinks_is_too_low_and_says_so(told):
    """A22."""
    quality = {
        name: (told[name]["usage_quality"], told[name]["usage_flags"])
        for name in ("thinking", "thinking told", "not thinking")
    }

    assert quality["thinking"] == ("partial", ["reasoning_not_exported"])
    assert quality["thinking told"][0] == quality["not thinking"][0] == "reported"
    assert tokens(told["thinking told"])["output_reasoning"] == 40


def test_a_cost_of_zero_is_unknown_but_for_a_cache_hit(told):
    """C7, trap 4; older exports name it otherwise."""
    assert (told["not priced"]["cost_reported_usd"], told["not priced"]["cost_reported_basis"]) == (None, "none")
    assert (told["older"]["cost_reported_usd"], told["older"]["model_served"]) == (Decimal("0.5"), "gpt-4o-2024-08-06")
    assert told["hit"]["cost_reported_usd"] == 0


def test_an_answer_out_of_helicones_cache_is_not_billed(told):
    """C5, trap 5."""
    found = told["hit"]

    assert (found["row_kind"], found["is_billable_leaf"], found["gateway_cache_hit"]) == (
        "gateway_cache_hit",
        False,
        True,
    )
    assert not any(told[name]["gateway_cache_hit"] for name in told if name != "hit")


def test_only_200_to_299_is_ok(told):
    """Trap 13."""
    found = {
        name: (told[name]["status"], told[name]["http_status"])
        for name in ("cached", "pending", "cancelled", "refused")
    }

    assert found == {
        "cached": ("ok", 200),
        "pending": ("partial", None),
        "cancelled": ("cancelled", None),
        "refused": ("error", 429),
    }


def test_texts_for_nobody_are_no_user(told):
    """E7."""
    assert told["nobody"]["user_id"] is told["nobody either"]["user_id"] is None


def test_properties_are_found_in_any_case(told):
    """Trap 11."""
    found = told["owned"]

    assert [found[name] for name in ("feature", "customer_tier", "session_id", "step")] == [
        "support",
        "pro",
        "s-1",
        "/a/b",
    ]
    assert found["user_id"].startswith("u-")


def test_the_providers_id_is_taken_from_a_body_and_nothing_else(told):
    assert told["bodied"]["provider_response_id"] == "chatcmpl-b"
    assert told["bodied in text"]["provider_response_id"] is None
    assert told["on vertex"]["provider"] == "vertex"


@together("fine")
def test_the_newest_row_of_an_id_counts(place):
    """Trap 12: an id that is sent again on a retry, and rows that a page repeats."""
    rows = [row("a", updated_at="2026-11-18 10:00:07"), row("a"), row("b"), row("b")]
    place.land("helicone/rows.jsonl", lines(*rows))

    yield

    assert place.fates() == [(4, 2, 2, 0, 0)]


@together("faulty")
def test_scores_are_records_of_their_own(place):
    rows = [row("c", scores={"resolved-hcone-bool": 0, "quality": 87, "odd": "many"}), row("d", feedback_rating=True)]
    place.land("helicone/rows.jsonl", lines(*rows))

    yield

    found = [
        (one["target_id"], one["name"], one["value_num"], one["value_text"])
        for one in place.rows("staged_scores", "target_id, name")
    ]
    assert found == [
        ("c", "quality", 87.0, None),
        ("c", "resolved", 0.0, "False"),
        ("d", "feedback_rating", 1.0, "True"),
    ]
    assert place.fates() == [(6, 5, 0, 0, 1)]
    file = place.path("helicone", "rows.jsonl")
    assert place.warnings[0].startswith(f"landing/{file}, line 1: score odd is many, expected a number")


HEADER = (
    "response_id,response_created_at,response_status,request_created_at,request_body,request_properties,request_user_id,model,"
    "prompt_tokens,completion_tokens,latency,cost\n"
)


def test_the_csv_is_no_cost_and_its_broken_objects_are_mended(tmp_path):
    """F1, traps 1 and 2: quotes are doubled once more than a cell needs; what it lacks is said."""
    cell = '"{""""feature"""":""""support"""",""""note"""":""""say \\""""hi\\""""""""}"'
    times = "2026-11-18 10:00:05.250,200,2026-11-18 10:00:01.000"
    text = HEADER + f"r-1,{times},{{}},{cell},user-1,,1200,300,,0.012675\nr-2,{times},{{}},{{}},undefined,,0,0,,0\n"

    landed = read(DataRoot(tmp_path), {"helicone/export.csv": text}, FATES)

    first, second = landed.rows("staged_requests", "source_row")
    assert (first["feature"], first["cost_reported_usd"], first["is_billable_leaf"], first["model_served"]) == (
        "support",
        None,
        False,
        None,
    )
    assert (second["user_id"], second["usage_quality"]) == (None, "partial")
    assert landed.fates() == {"helicone/export.csv": (2, 0, 0, 2, 0)}
    [remark] = landed.remarks
    assert "no request id, model, provider or cached tokens, so none of its 2 calls is billed" in remark


@together("faulty")
def test_json_that_was_resumed_after_an_error_is_refused_whole(place):
    """F14, trap 3."""
    torn = "[\n" + json.dumps(row("e")) + "\n]\n,{" + json.dumps(row("f"))[1:] + "\n]"
    place.land("helicone/torn.json", torn)
    place.land("helicone/fine.json", json.dumps([row("g")], indent=1))

    yield

    assert place.fates() == [(1, 1, 0, 0, 0), (1, 0, 0, 0, 1)]
    [_, refused] = place.files()
    assert "not JSON at byte" in refused["reasons"]


def test_a_call_in_an_app_log_and_helicone_has_the_tokens_of_one_and_the_owner_of_the_other(tmp_path):
    """B9: by the response's id. A cache hit bears no id; a call without one stays as it is."""
    used = {"prompt_tokens": 90, "completion_tokens": 9}
    plain = {"timestamp": "2026-11-18T10:00:00Z", "provider": "openai", "model": "gpt-4o-2024-08-06", "usage": used}
    app = [
        {**plain, "id": "mine", "response_id": "chatcmpl-1", "feature": "search", "team": "web"},
        {**plain, "id": "other"},
    ]
    gateway = [
        row("wired", response_body={"id": "chatcmpl-1"}, request_properties={"Team": "by header", "Plan": "pro"}),
        row("hit", response_body={"id": "chatcmpl-1"}, cache_reference_id="1", cost=0),
        row("alone"),
    ]

    landed = read(
        DataRoot(tmp_path), {"app_log/web/calls.jsonl": lines(*app), "helicone/org/rows.jsonl": lines(*gateway)}, FATES
    )

    [counted, other] = landed.rows("ledger_same_calls", "is_counted desc")
    assert (counted["is_counted"], other["is_counted"], counted["counted_source"]) == (True, False, "helicone")
    assert counted["request_key"] == landed.calls()["wired"]["request_key"]
    assert [counted[name] for name in ("feature", "team", "customer_tier")] == ["search", "web", "pro"]
    assert landed.fates() == {"app_log/web/calls.jsonl": (2, 1, 1, 0, 0), "helicone/org/rows.jsonl": (3, 2, 0, 1, 0)}


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real files beside the checkout")
def test_the_real_files_are_read_whole(tmp_path):
    """G14: two calls and their two scores; the same two in the CSV."""
    folder = SHARED / "formats" / "examples" / "helicone"
    files = {f"helicone/{path.name}": path.read_bytes() for path in folder.glob("helicone*")}

    landed = read(DataRoot(tmp_path), files, FATES)

    assert landed.report.warnings == []
    assert landed.fates() == {
        "helicone/helicone_export_constructed.csv": (2, 0, 0, 2, 0),
        "helicone/helicone_export_constructed.jsonl": (4, 3, 0, 1, 0),
    }
    call, hit = (landed.calls()[f"0d7e8f00-0000-4000-8000-00000000000{n}"] for n in (1, 2))
    assert tokens(call) == {"input_uncached": 1200, "cache_read": 9000, "cache_write": 500, "output_text": 300}
    assert (call["cost_reported_usd"], hit["gateway_cache_hit"], hit["user_id"]) == (Decimal("0.012675"), True, None)
