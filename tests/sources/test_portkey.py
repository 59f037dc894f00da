"""Portkey's logs: their traps, case by case (numbers of the acceptance cases)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import FATES, SHARED, lines, read, tokens


def row(name: str, **more: Any) -> dict[str, Any]:
    plain = {
        "id": name,
        "trace_id": "t-1",
        "created_at": "2026-11-18T11:00:00.000Z",
        "is_success": 1,
        "ai_org": "openai",
        "ai_model": "gpt-4o-2024-08-06",
        "req_units": 1000,
        "res_units": 50,
        "total_units": 1050,
        "cost": 0.3,
        "cost_currency": "USD",
        "request_url": "https://api.openai.com/v1/chat/completions",
        "response_status_code": 200,
        "response_time": 1250,
        "cache_status": "MISS",
        "metadata": {},
    }
    return plain | more


ROWS = [
    row("plain"),
    row("decimals", req_units=1000.0, res_units="50.0", is_success=1.0, response_status_code=200.0, response_time=1250.0),
    row("tiny", cost=1.5e-05),
    row("not priced", cost=0),
    row("in euro", cost_currency="EUR"),
    row("hit", cache_status="HIT", cost=0),
    row("semantic", cache_status="semantic hit"),
    row("disabled", cache_status="DISABLED"),
    row("an object", metadata={"_user": "u-1", "Feature": "search"}),
    row("a text", metadata=json.dumps({"_user": "u-1", "Feature": "search"})),
    row("two lists", metadata={"key": ["_user", "Feature"], "value": ["u-1", "search"]}),
    row("failed", is_success=0, response_status_code=500),
    row("retried", retry_success_count="2"),
    row("gave up", retry_success_count=-1),
    row("by other names", ai_org=None, ai_provider="mistral-ai", req_units=None, request_tokens=7, res_units=None, response_tokens=3, request_url=None),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    landed = read(DataRoot(tmp_path_factory.mktemp("data")), {"portkey/rows.jsonl": lines(*ROWS)})
    assert landed.report.warnings == []
    return landed.calls()


def test_cost_is_in_cents(told):
    """C12: 0.3 cents are $0.003, 1.5e-05 are $0.00000015; of another currency nothing is said in USD."""
    assert told["plain"]["cost_reported_usd"] == Decimal("0.003")
    assert told["tiny"]["cost_reported_usd"] == Decimal("0.00000015")
    assert told["in euro"]["cost_reported_usd"] is None
    assert json.loads(told["in euro"]["cost_raw"]) == {"cost": "0.3", "cost_currency": "EUR"}


def test_a_cost_of_zero_is_unknown_but_for_a_cache_hit(told):
    """C7, trap 5."""
    assert (told["not priced"]["cost_reported_usd"], told["hit"]["cost_reported_usd"]) == (None, 0)


def test_a_hit_of_the_gateways_cache_is_not_billed(told):
    """C5, trap 6, in any case."""
    hits = {name for name, found in told.items() if found["gateway_cache_hit"]}

    assert hits == {"hit", "semantic"} == {name for name, found in told.items() if not found["is_billable_leaf"]}
    assert {told[name]["row_kind"] for name in hits} == {"gateway_cache_hit"}


def test_units_may_be_read_in_two_ways(told):
    """Trap 7, and numbers written as decimals or texts."""
    assert tokens(told["plain"]) == tokens(told["decimals"]) == {"input_uncached": 1000, "output_text": 50}
    assert told["plain"]["usage_basis"] == "ambiguous"
    assert (told["decimals"]["http_status"], told["decimals"]["duration_ms"], told["decimals"]["status"]) == (
        200,
        1250,
        "ok",
    )


def test_metadata_may_be_an_object_a_text_or_two_lists(told):
    """Trap 4."""
    found = [(told[name]["feature"], told[name]["user_id"]) for name in ("an object", "a text", "two lists")]

    assert found == [found[0]] * 3
    assert found[0][0] == "search"
    assert found[0][1].startswith("u-")


def test_failures_and_retries_are_told(told):
    assert (told["failed"]["status"], told["failed"]["http_status"]) == ("error", 500)
    assert (told["retried"]["attempt"], told["retried"]["is_retry"], told["gave up"]["attempt"]) == (3, True, None)


def test_fields_may_be_absent_or_have_other_names(told):
    assert (told["by other names"]["provider"], tokens(told["by other names"])) == (
        "mistral",
        {"input_uncached": 7, "output_text": 3},
    )


def test_a_field_that_is_not_known_refuses_the_file(tmp_path):
    """Trap 2, F5: it is named, and so are those that are known."""
    files = {
        "portkey/odd.jsonl": lines(row("a", cost_unit="dollars")),
        "portkey/few.jsonl": lines({"id": "b", "created_at": "2026-11-18T11:00:00Z", "ai_model": "gpt-4o"}),
    }

    landed = read(DataRoot(tmp_path), files, FATES)

    assert landed.fates() == {"portkey/odd.jsonl": (1, 0, 0, 0, 1), "portkey/few.jsonl": (1, 1, 0, 0, 0)}
    assert (
        "fields that are not known: cost_unit; expected those of Portkey's logs export"
        in landed.files()["portkey/odd.jsonl"]["reasons"]
    )


def test_overlapping_exports_count_once_and_one_that_may_be_cut_is_named(tmp_path):
    """D10, trap 3, trap 8, F17: 50,000 records are what one export gives at most."""
    many = "".join(
        f'{{"id":"r-{n}","created_at":"2026-11-18T11:00:00Z","ai_model":"gpt-4o","cost":0}}\n' for n in range(50_000)
    )
    first = many.index("\n") + 1

    landed = read(DataRoot(tmp_path), {"portkey/a.jsonl": many, "portkey/b.jsonl": many[:first]}, FATES)

    assert [sum(counts) for counts in zip(*landed.fates().values(), strict=True)] == [50_001, 50_000, 1, 0, 0]
    [remark] = landed.remarks
    assert remark.startswith("landing/portkey/a.jsonl: it has exactly 50,000 records")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real files beside the checkout")
def test_the_documented_metric_record_is_read(tmp_path):
    """150 + 200 = 350; the unit of its cost is not documented, so nothing is said in USD."""
    path = SHARED / "formats" / "examples" / "portkey" / "gateway_metric_record.json"

    landed = read(DataRoot(tmp_path), {"portkey/record.json": path.read_bytes()}, FATES)

    [found] = landed.calls().values()
    assert (tokens(found), found["provider_total_tokens"]) == ({"input_uncached": 150, "output_text": 200}, 350)
    assert (found["cost_reported_usd"], found["environment"], found["session_id"]) == (
        None,
        "production",
        "sess_stu901",
    )
    assert landed.fates() == {"portkey/record.json": (1, 1, 0, 0, 0)}
