"""Langfuse as it is exported: every exit, the traps of its formats, and which files count.

What spans mean for each other is in test_traces.py.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from pipelines import paths
from pipelines.books import open_books, run
from pipelines.paths import DataRoot
from tests.conftest import upstream
from tests.sources.landed import FATES, NOW, SHARED, land, lines, read, rows, tokens
from tests.sources.together import Place, together


def observation(name: str, **more: Any) -> dict[str, Any]:
    """A generation as the blob export of observations_v2 writes it."""
    return {
        "id": name,
        "trace_id": "trace-1",
        "start_time": "2026-11-18 09:30:01.000001",
        "end_time": "2026-11-18 09:30:05.250001",
        "project_id": "proj1",
        "parent_observation_id": "",
        "type": "GENERATION",
        "name": name,
        "level": "DEFAULT",
        "status_message": "",
        "environment": "default",
        "user_id": "",
        "session_id": "",
        "is_root_observation": True,
        "completion_start_time": None,
        "created_at": "2026-11-18 09:30:10.000000",
        "updated_at": "2026-11-18 09:30:10.000000",
        "metadata": {},
        "provided_model_name": "gpt-4o-2024-08-06",
        "model_parameters": "",
        "usage_details": {"input": 100, "output": 10, "total": 110},
        "cost_details": {},
        "total_cost": 0,
        "usage_pricing_tier_name": None,
        "prompt_name": "",
        "prompt_version": None,
        "tags": [],
        "release": "",
        "trace_name": "",
        "input": "never read",
        "output": "never read",
        "latency": 4.25,
    } | more


def used(**usage: Any) -> dict[str, Any]:
    return {"usage_details": usage}


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "priced_by_total": {"total_cost": 0.012675, "cost_details": {"input": 0.01, "total": 0.5}},
    "priced_by_one_key": {"cost_details": {"input": "0.0025", "total": "9"}},
    "told_in_exponents": {"total_cost": 3.645e-05},
    "repeated_metadata": {"metadata": "REPEATED"},
    "flattened": {"metadata": {"attributes.gen_ai.response.id": "resp-1", "resourceAttributes.service.version": "v7"}},
    "nested": {
        "metadata": {"attributes": '{"gen_ai.response.id":"resp-2"}', "resourceAttributes": {"service.version": "v8"}}
    },
    "counted_in_texts": used(input="2006", output="300", total="2306"),
    "inclusive": used(input=17903, output=33, input_cached_tokens=17817, total=17936),
    "creation_left_in": used(input=1500, input_cache_read=9000, input_cache_creation=500, output=300, total=10800),
    "cached_and_reasoning_in": used(input=2006, input_cached_tokens=1920, output=300, output_reasoning=120, total=2306),
    "reasoning_in": {
        "usage_details": {"total": 2061, "input": 6, "completion_details.reasoning": 1104, "output": 2055}
    },
    "disjoint": used(input=1200, output=300, input_cached_tokens=9000, input_cache_creation=500, total=11000),
    "undecidable": used(input=1200, output=300, input_cached_tokens=1024, output_reasoning_tokens=128, total=2652),
    "thinking_beside": used(input=324, output=1364, output_reasoning=495, total=2183),
    "output_is_total": used(output=414, total=414),
    "by_lifetime": used(input=10, output=5, input_cache_creation_5m=100, input_cache_creation_1h=30, total=145),
    "lifetimes_and_their_sum": used(
        input=10, output=5, input_cache_creation=130, input_cache_creation_5m=100, input_cache_creation_1h=30
    ),
    "two_spellings": used(input=324, promptTokenCount=324, output=10, candidatesTokenCount=10, total=334),
    "free_key": used(input=100, output=10, emotion_tokens=5, cost=1, total=115),
    "searched": used(input=100, output=10, web_search_requests=2, total=110),
    "failed": {"level": "ERROR", "usage_details": {}, "provided_model_name": "gpt-unknown", "end_time": None},
    "answered_by_a_cache": {"metadata": {"cache_hit": "True"}},
    "agent": {"type": "AGENT", "metadata": {"attributes.gen_ai.operation.name": "invoke_agent"}},
    "typed_agent": {"metadata": {"attributes.gen_ai.operation.name": "invoke_agent"}},
    "tool": {"type": "TOOL", "usage_details": {}, "provided_model_name": ""},
    "span": {"type": "SPAN", "usage_details": {}, "provided_model_name": "", "session_id": "s-1"},
    "embedding": {"type": "EMBEDDING", "provided_model_name": "text-embedding-3-small", "usage_details": {"input": 9}},
    "tagged": {"tags": ["Feature:support", "tier:enterprise", "beta"], "metadata": {"TENANT_ID": "acme", "Team": "cx"}},
    "on_azure": {
        "metadata": {"attributes.server.address": "eu.openai.azure.com", "attributes.gen_ai.system": "openai"}
    },
    "on_bedrock": {"provided_model_name": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"},
    "through_a_gateway": {"id": "time-09-30-01-000001_chatcmpl-9", "metadata": {"litellm_call_id": "call-9"}},
    "flexible": {"usage_pricing_tier_name": "Flex", "model_parameters": '{"max_tokens": 512}'},
}


def own(place: Place, name: str, content: bytes) -> bytes:
    """The traces of a test are its own."""
    return content.replace(b"t-1", b"t-%d" % place.number).replace(b"trace-1", b"trace-%d" % place.number)


def lines_of(cases: dict[str, dict[str, Any]]) -> str:
    text = lines(*(observation(name) | more for name, more in cases.items()))
    return text.replace('"REPEATED"', '{"feature":"dup","tenant_id":"acme","feature":"\\"support\\""}')


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every case as one staged row, by its name."""
    root = DataRoot(tmp_path_factory.mktemp("data"))
    (root.path / "settings.toml").write_text('keep_attributes = ["team", "beta"]\n')
    land(root, "langfuse/prod/observations_v2/2026-11-18T10-00-00.jsonl", lines_of(CASES))
    read(root)
    found = {row["step"]: row for row in rows(root, "staged_requests")}
    assert set(found) == set(CASES)
    return found


# ---- tokens


@pytest.mark.parametrize("case", ["inclusive"])
def test_input_that_holds_the_cached_tokens_is_seen_by_its_total(told, case):
    """A1, A2: total 17,936 = 17,903 + 33 leaves out the 17,817 cached ones, so 17,903 - 17,817 = 86 are not cached."""
    assert tokens(told[case]) == {"input_uncached": 86, "cache_read": 17817, "output_text": 33}
    assert (told[case]["usage_basis"], told[case]["usage_flags"]) == ("inclusive", [])
    assert told[case]["context_test_tokens"] == 17903


def test_cache_creation_that_a_callback_left_in_the_input_is_taken_out(told):
    """A5, trap 22: 1,500 + 9,000 + 500 + 300 - 10,800 = 500, the cache creation."""
    row = told["creation_left_in"]

    assert tokens(row) == {"input_uncached": 1000, "cache_read": 9000, "cache_write": 500, "output_text": 300}
    assert (row["usage_basis"], row["provider_total_tokens"]) == ("inclusive", 10800)


def test_cached_and_reasoning_tokens_can_both_be_inside(told):
    """2,006 + 1,920 + 300 + 120 - 2,306 = 2,040 = 1,920 + 120; and reasoning alone: 6 + 2,055 + 1,104 - 2,061 = 1,104."""
    assert tokens(told["cached_and_reasoning_in"]) == {
        "input_uncached": 86,
        "cache_read": 1920,
        "output_text": 180,
        "output_reasoning": 120,
    }
    assert tokens(told["reasoning_in"]) == {"input_uncached": 6, "output_text": 951, "output_reasoning": 1104}


def test_less_input_than_cached_tokens_is_certainly_disjoint(told):
    """G12: 1,200 < 9,500."""
    row = told["disjoint"]

    assert tokens(row) == {"input_uncached": 1200, "cache_read": 9000, "cache_write": 500, "output_text": 300}
    assert (row["usage_basis"], row["provider_total_tokens"], row["context_test_tokens"]) == ("disjoint", 11000, 10700)


def test_a_total_that_is_the_plain_sum_proves_nothing(told):
    """G13: 1,200 + 300 + 1,024 + 128 = 2,652. The row waits for its group, with what it states."""
    row = told["undecidable"]

    assert (row["usage_basis"], row["provider_total_tokens"]) == ("ambiguous", None)
    assert row["usage_group"] == "|gpt-4o-2024-08-06"


def test_thinking_has_its_own_class(told):
    """A17: 324 + 1,364 + 495 = 2,183."""
    assert tokens(told["thinking_beside"]) == {"input_uncached": 324, "output_text": 1364, "output_reasoning": 495}
    assert told["thinking_beside"]["provider_total_tokens"] == 2183


def test_an_output_that_equals_the_total_is_doubted(told):
    """A18."""
    assert told["output_is_total"]["usage_basis"] == "ambiguous"
    assert told["output_is_total"]["usage_flags"] == ["output_is_total"]


def test_keys_are_classified_one_by_one(told):
    """A3, traps 14 and 15: details are not added to their sum, two spellings count once, total is no class, others are flagged."""
    assert tokens(told["by_lifetime"]) == {
        "input_uncached": 10,
        "output_text": 5,
        "cache_write_5m": 100,
        "cache_write_1h": 30,
    }
    assert tokens(told["lifetimes_and_their_sum"]) == tokens(told["by_lifetime"])
    assert tokens(told["two_spellings"]) == {"input_uncached": 324, "output_text": 10}
    assert (tokens(told["free_key"]), told["free_key"]["usage_flags"]) == (
        {"input_uncached": 100, "output_text": 10},
        ["split_mismatch", "unclassified_key"],
    )
    assert dict(told["searched"]["extra_units"]) == {"web_search": Decimal(2)}
    assert json.loads(told["free_key"]["usage_raw"])["emotion_tokens"] == 5


def test_counts_may_be_texts(told):
    """Trap 13."""
    assert tokens(told["counted_in_texts"]) == {"input_uncached": 2006, "output_text": 300}


# ---- money, time, names


def test_a_cost_of_0_is_no_cost(told):
    """Trap 7, C7, C8: the total unless it is 0, else the parts without theirs; from text, to the last of 12 places."""
    assert told["plain"]["cost_reported_usd"] is None
    assert told["plain"]["cost_reported_basis"] == "none"
    assert told["priced_by_total"]["cost_reported_usd"] == Decimal("0.012675")
    assert told["priced_by_one_key"]["cost_reported_usd"] == Decimal("0.0025")
    assert told["told_in_exponents"]["cost_reported_usd"] == Decimal("0.00003645")


def test_an_empty_text_is_nothing(told):
    """Trap 6, and an environment that Langfuse calls default is none."""
    empty = ("parent_span_id", "session_id", "user_id", "prompt_name", "release", "environment", "workflow")

    assert {name: told["plain"][name] for name in empty} == dict.fromkeys(empty)


def test_times_come_from_the_instants(told):
    """Trap 12, E8: 4.25 s, whatever unit latency has."""
    assert (told["plain"]["duration_ms"], told["plain"]["ttft_ms"]) == (4250, None)


def test_the_last_of_equal_metadata_keys_wins(told):
    """Trap 9, F11, G12: and a text that is written as JSON in a text is unwrapped."""
    assert told["repeated_metadata"]["feature"] == "support"
    assert told["repeated_metadata"]["customer_id"] == "acme"


def test_both_spellings_of_a_key_are_found(told):
    """Trap 10."""
    assert (told["flattened"]["provider_response_id"], told["flattened"]["release"]) == ("resp-1", "v7")
    assert (told["nested"]["provider_response_id"], told["nested"]["release"]) == ("resp-2", "v8")
    assert told["through_a_gateway"]["provider_response_id"] == "chatcmpl-9"
    assert told["through_a_gateway"]["gateway_call_id"] == "call-9"


def test_tags_and_metadata_name_owners_whatever_their_case(told):
    """Canonical 10.2 and 10.3; of the rest only what a setting names is kept (BOOKS 3)."""
    row = told["tagged"]

    assert (row["feature"], row["customer_tier"], row["customer_id"], row["team"]) == (
        "support",
        "enterprise",
        "acme",
        "cx",
    )
    assert (row["request_tags"], dict(row["attributes"])) == (["beta"], {"team": "cx"})


def test_the_seller_is_told_by_address_then_sdk_then_model(told):
    assert {case: told[case]["provider"] for case in ("plain", "on_azure", "on_bedrock", "failed", "span")} == {
        "plain": "openai",
        "on_azure": "azure",
        "on_bedrock": "bedrock",
        "failed": "openai",
        "span": "unknown",
    }


def test_what_a_row_is(told):
    """C5: what a cache answered is not billable. Agents with usage wait for what stands below them."""
    kinds = {case: (told[case]["row_kind"], told[case]["is_billable_leaf"]) for case in CASES}

    assert kinds["plain"] == kinds["failed"] == ("llm_call", True)
    assert kinds["embedding"] == ("embedding", True)
    assert kinds["answered_by_a_cache"] == ("gateway_cache_hit", False)
    assert kinds["agent"] == kinds["typed_agent"] == ("aggregate_only", True)
    assert (kinds["tool"], kinds["span"]) == (("tool", False), ("context", False))
    assert (told["failed"]["status"], told["failed"]["usage_quality"], told["span"]["usage_flags"]) == (
        "error",
        "missing",
        [],
    )
    assert (told["flexible"]["service_tier"], told["flexible"]["max_output_tokens"]) == ("flex", 512)


# ---- exits


def test_every_format_gives_the_same_rows(tmp_path, monkeypatch):
    """Traps 8, 14, 17, E5: JSON Lines, an array, CSV with JSON in its cells and Parquet with maps, plain or packed, in Tokyo."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    root = DataRoot(tmp_path)
    cases = {
        name: CASES[name] for name in ("plain", "repeated_metadata", "inclusive", "tagged", "priced_by_one_key", "span")
    }
    text = lines_of(cases)
    land(root, "langfuse/a/observations_v2/1.jsonl", text)
    land(
        root,
        "langfuse/b/observations_v2/1.json.gz",
        gzip.compress(("[" + ",\n".join(text.splitlines()) + "]").encode()),
    )
    cells = [{name: _cell(value) for name, value in json.loads(line).items()} for line in text.splitlines()]
    repeated = next(row for row in cells if row["id"] == "repeated_metadata")
    repeated["metadata"] = '{"feature":"dup","tenant_id":"acme","feature":"\\"support\\""}'
    table = io.StringIO()
    writer = csv.DictWriter(table, list(cells[0]))
    writer.writeheader()
    writer.writerows(cells)
    land(root, "langfuse/c/observations_v2/1.csv", table.getvalue())
    path = land(root, "langfuse/d/observations_v2/1.parquet", b"")
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(
            f"""copy (select * exclude (metadata) replace (
                    start_time::timestamptz as start_time, end_time::timestamptz as end_time, updated_at::timestamptz as updated_at),
                    map(json_keys(metadata), list_transform(json_extract(metadata, '$.*'), lambda v: v ->> '$')) as metadata
                from read_json('{root.landing}/langfuse/a/observations_v2/1.jsonl', format = 'newline_delimited', columns = {{
                    id: 'VARCHAR', trace_id: 'VARCHAR', start_time: 'VARCHAR', end_time: 'VARCHAR', updated_at: 'VARCHAR',
                    parent_observation_id: 'VARCHAR', type: 'VARCHAR', name: 'VARCHAR', level: 'VARCHAR', environment: 'VARCHAR',
                    session_id: 'VARCHAR', is_root_observation: 'BOOLEAN', provided_model_name: 'VARCHAR', tags: 'VARCHAR[]',
                    total_cost: 'DECIMAL(18,12)', usage_details: 'MAP(VARCHAR, UBIGINT)', cost_details: 'MAP(VARCHAR, DECIMAL(18,12))',
                    metadata: 'JSON'}}) where id <> 'repeated_metadata') to '{path}' (format parquet)"""
        )

    read(root)
    time.tzset()

    found: dict[str, list[dict[str, Any]]] = {}
    own = {
        "request_key",
        "entity_key",
        "source_account",
        "source_file",
        "source_file_sha256",
        "source_row",
        "cost_raw",
        "usage_raw",
    }
    for row in rows(root, "staged_requests", "source_account, source_row_id"):
        found.setdefault(row["source_account"], []).append({key: value for key, value in row.items() if key not in own})
    assert found["a"] == found["b"] == found["c"]
    assert [row for row in found["a"] if row["step"] != "repeated_metadata"] == found["d"]
    assert found["a"][0]["started_at"] == datetime(2026, 11, 18, 9, 30, 1, 1, tzinfo=UTC)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


@together("")
def test_score_columns_of_a_ui_export_do_not_stand_in_for_its_fields(place):
    """Trap 20: scores called user_id, usage_details, and one with the name of a field of its own."""
    header = "id,traceId,traceName,type,name,startTime,endTime,userId,providedModelName,usageDetails,totalCost,tags"
    place.land(
        "langfuse/1763458200-lf-observations-export-proj1.csv",
        header
        + ",user_id,usage_details,name"
        + "\no-1,t-1,answer,GENERATION,chat,2026-11-18T09:30:00.000Z,2026-11-18T09:30:01.500Z,user-1,gpt-4o-2024-08-06,"
        + '"{""input"":100,""output"":10,""total"":110}",0.00035,"[""feature:support""]","[0.5]","[1]","[""good""]"\n',
    )

    yield

    [row] = place.rows("staged_requests")
    assert (row["step"], row["feature"], row["duration_ms"]) == ("chat", "support", 1500)
    assert tokens(row) == {"input_uncached": 100, "output_text": 10}
    assert row["user_id"].startswith("u-")
    assert (row["source_schema_version"], row["cost_reported_usd"]) == ("ui", Decimal("0.00035"))


@together("")
def test_a_download_gives_its_trace_its_observations_and_its_scores(place):
    """Metadata is a JSON text there; what the trace repeats of its observations is read once."""
    inner = {
        "id": "o-1",
        "traceId": "t-1",
        "type": "GENERATION",
        "name": "chat",
        "startTime": "2026-11-18T09:30:00.000Z",
    }
    inner |= {
        "model": "gpt-4o-2024-08-06",
        "usageDetails": {"input": 100, "output": 10},
        "providedCostDetails": {"total": 1},
    }
    inner |= {"totalCost": 1, "input": "never read"}
    score = {
        "id": "s-1",
        "name": "good",
        "dataType": "BOOLEAN",
        "value": 1,
        "traceId": "t-1",
        "timestamp": "2026-11-18T09:40:00.000Z",
    }
    trace = {
        "id": "t-1",
        "projectId": "p",
        "name": "answer",
        "timestamp": "2026-11-18T09:29:59.000Z",
        "userId": "u",
        "tags": [],
    }
    trace |= {"metadata": '{"feature":"support"}', "scores": [score], "observations": [inner]}
    place.land("langfuse/t-1.json", json.dumps({"trace": trace, "observations": [inner]}, indent=1))
    place.land("langfuse/page.json", json.dumps({"data": [inner | {"id": "o-2"}], "meta": {"page": 1}}))

    yield

    header, call, paged = place.rows("staged_requests", f"source_row_id <> 'trace:t-{place.number}', source_row_id")
    assert (header["row_kind"], header["feature"], header["span_id"]) == ("context", "support", None)
    assert (call["source_row"], call["cost_reported_basis"], paged["source_row_id"]) == (2, "user_supplied", "o-2")
    assert [row["target_id"] for row in place.rows("staged_scores")] == [f"t{place.number}"]
    # The page, then the download.
    assert place.fates() == [(1, 1, 0, 0, 0), (3, 2, 0, 1, 0)]


# ---- which files count


def manifest(*names: str) -> str:
    files = [{"key": f"exports/proj1/{name}", "table": name.split("/")[0]} for name in names]
    return json.dumps({"version": 1, "projectId": "proj1", "exportSource": "EVENTS", "files": files})


def test_only_files_that_a_manifest_names_count(tmp_path):
    """Traps 1 and 5, D6: a failed attempt leaves a file; once a manifest names it, it counts."""
    root = DataRoot(tmp_path)
    land(root, "langfuse/prod/observations_v2/2026-11-18T10-00-00.jsonl", lines_of({"plain": {}}))
    land(root, "langfuse/prod/observations_v2/2026-11-18T11-00-00.jsonl", lines_of({"disjoint": {}, "tagged": {}}))
    land(
        root, "langfuse/prod/manifests/2026-11-18T10-00-00.json", manifest("observations_v2/2026-11-18T10-00-00.jsonl")
    )
    land(root, "langfuse/prod/DEPRECATION_NOTICE.txt", "Legacy exports, end soon.\nRead more.\n")

    landed = read(root, tables=FATES)
    assert landed.fates() == {
        "langfuse/prod/DEPRECATION_NOTICE.txt": (0, 0, 0, 0, 0),
        "langfuse/prod/manifests/2026-11-18T10-00-00.json": (1, 0, 0, 1, 0),
        "langfuse/prod/observations_v2/2026-11-18T10-00-00.jsonl": (1, 1, 0, 0, 0),
        "langfuse/prod/observations_v2/2026-11-18T11-00-00.jsonl": (2, 0, 0, 2, 0),
    }
    reasons = {row["path"]: row["reasons"] for row in rows(root, "ledger_files")}
    assert reasons["landing/langfuse/prod/observations_v2/2026-11-18T11-00-00.jsonl"] == "no manifest names it"

    land(
        root, "langfuse/prod/manifests/2026-11-18T11-00-00.json", manifest("observations_v2/2026-11-18T11-00-00.jsonl")
    )
    landed = read(root, tables=FATES)
    assert landed.fates()["langfuse/prod/observations_v2/2026-11-18T11-00-00.jsonl"] == (2, 2, 0, 0, 0)


def test_files_that_counted_without_manifests_stop_counting_with_the_first(tmp_path):
    root = DataRoot(tmp_path)
    for hour in (10, 11):
        land(root, f"langfuse/prod/observations_v2/2026-11-18T{hour}-00-00.jsonl", lines_of({f"call-{hour}": {}}))
    landed = read(root, tables=FATES)
    assert [len(landed.remarks), "no manifests/" in landed.remarks[0]] == [1, True]

    land(
        root, "langfuse/prod/manifests/2026-11-18T10-00-00.json", manifest("observations_v2/2026-11-18T10-00-00.jsonl")
    )
    landed = read(root, tables=FATES)
    assert landed.remarks == []
    assert landed.fates()["langfuse/prod/observations_v2/2026-11-18T11-00-00.jsonl"] == (1, 0, 0, 1, 0)
    assert [row["step"] for row in rows(root, "staged_requests")] == ["call-10"]
    with open_books(root) as books:
        assert books.news() == []


@together("")
def test_a_row_in_two_windows_counts_once_and_the_newest_version_wins(place):
    """Traps 2 and 3, D1, F17: a row at a bound, an export sent again, and a late update from a page of the API."""
    place.land("langfuse/observations_v2/2026-11-18T10-00-00.jsonl", lines_of({"a": {}, "bound": {}}))
    place.land("langfuse/observations_v2/2026-11-18T11-00-00.jsonl", lines_of({"bound": {}, "b": {}}))
    page = {
        "id": "a",
        "traceId": "trace-1",
        "type": "GENERATION",
        "name": "a",
        "startTime": "2026-11-18T09:30:01.000001Z",
    }
    page |= {
        "updatedAt": "2026-11-18T12:00:00.000Z",
        "model": "gpt-4o-2024-08-06",
        "usageDetails": {"input": 999, "output": 1},
    }
    place.land("langfuse/api.json", json.dumps({"data": [page, page | {"id": "late", "name": "late"}], "meta": {}}))

    yield

    # An older version, and one of two equal rows: 6 records are 4 calls.
    assert [sum(counts) for counts in zip(*place.fates(), strict=True)] == [6, 4, 2, 0, 0]
    booked = {row["source_row_id"]: row["input_uncached_tokens"] for row in place.rows("ledger_requests")}
    assert booked == {"a": 999, "b": 100, "bound": 100, "late": 999}


@together("")
def test_a_hole_between_windows_and_a_file_that_is_cut_are_told(place):
    """D1, D2: 10:00 to 11:00 and 12:00 to 13:00 leave an hour; 2 records where the manifest says 3."""
    for hour, cases in ((11, {"a": {}, "b": {}}), (13, {"c": {}})):
        place.land(f"langfuse/observations_v2/2026-11-18T{hour}-00-00.jsonl", lines_of(cases))
        content = json.loads(manifest(f"observations_v2/2026-11-18T{hour}-00-00.jsonl"))
        content["files"][0]["rowCount"] = 3 if hour == 11 else 1
        content["window"] = {
            "minTimestamp": f"2026-11-18T{hour - 1}:00:00.000Z",
            "maxTimestamp": f"2026-11-18T{hour}:00:00.000Z",
        }
        place.land(f"langfuse/manifests/2026-11-18T{hour}-00-00.json", json.dumps(content))

    yield

    hole, short = place.remarks

    assert "no manifest covers 2026-11-18T11:00:00.000Z to 2026-11-18T12:00:00.000Z" in hole
    assert short.startswith(
        f"landing/{place.path('langfuse', 'observations_v2/2026-11-18T11-00-00.jsonl')}: it holds 2 records"
    )


@together("")
def test_an_empty_window_is_read_and_a_hole_between_full_ones_is_told(place):
    """Traps 4 and 16, D2, F10: 0 bytes, [] and a header alone are no records; between two full windows that is a gap."""
    place.land("langfuse/observations_v2/2026-11-18T10-00-00.jsonl", lines_of({"a": {}}))
    place.land("langfuse/observations_v2/2026-11-18T10-20-00.jsonl", "")
    place.land("langfuse/observations_v2/2026-11-18T10-40-00.jsonl", lines_of({"b": {}}))
    place.land("langfuse/observations_v2/2026-11-18T11-00-00.csv", "")
    place.land("langfuse/observations_v2/2026-11-18T11-20-00.json", "[]")
    place.land("langfuse/scores/2026-11-18T10-00-00.csv", "id,timestamp,project_id,name,value,data_type\n")

    yield

    assert sum(counts[0] for counts in place.fates()) == 2
    assert [remark.split(":")[0] for remark in place.remarks if "holds no record" in remark] == [
        f"landing/{place.path('langfuse', 'observations_v2/2026-11-18T10-20-00.jsonl')}"
    ]


def test_the_readme_says_what_no_file_can_tell(tmp_path):
    """Traps 3, 11, 12, 18, 19 (canonical 11): shown, not guessed."""
    text = " ".join((paths.SOURCES / "langfuse" / "README.md").read_text(encoding="utf-8").split())

    for words in (
        "20 minutes late",
        "beyond 200 characters",
        "worked out from the instants",
        "estimated by its tokenizer",
        "never read",
    ):
        assert words in text, words


@pytest.mark.parametrize("name", ["app_log", "bedrock"])
@together("")
def test_a_file_of_another_tool_is_refused_whole(place, name):
    record = {"app_log": {"id": "1", "model": "m"}, "bedrock": {"timestamp": "2026-11-18T00:00:00Z", "accountId": "1"}}[
        name
    ]
    place.land("langfuse/x.jsonl", json.dumps(record) + "\n")

    yield

    [file] = place.rows("ledger_files")
    assert (file["state"], file["quarantined"]) == ("refused", 1)
    assert "expected a Langfuse export" in file["reasons"]


# ---- the real files


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real files beside the checkout")
def test_the_real_files_are_read_whole(tmp_path):
    """G12, G13, C1, C3: nine downloads, the blob export in both versions and forms. Every record has its fate."""
    root = DataRoot(tmp_path)
    examples = SHARED / "formats" / "examples" / "langfuse"
    for path in [*sorted((SHARED / "data" / "langfuse_seed").glob("*.json")), *sorted(examples.glob("*.trace.json"))]:
        land(root, f"langfuse/demo/{path.name}", path.read_bytes())
    for name in ("observations_v2", "scores"):
        land(root, f"langfuse/v2/{name}/2026-08-20T11-00-00.parquet", (examples / f"{name}.parquet").read_bytes())
        land(root, f"langfuse/v2/{name}/2026-08-20T12-00-00.jsonl", (examples / f"{name}.jsonl").read_bytes())
    for name in ("observations", "traces"):
        land(root, f"langfuse/legacy/{name}/2026-08-20T11-00-00.parquet", (examples / f"{name}.parquet").read_bytes())

    report = run(root, now=NOW, select=upstream("ledger_costs", "ledger_files"))

    assert not report.is_blocked
    assert report.read.warnings == []
    files = rows(root, "ledger_files")
    assert all(
        row["records"] == row["booked"] + row["duplicate"] + row["not_billable"] + row["quarantined"] for row in files
    )
    assert sum(row["quarantined"] for row in files) == 0
    # 71 observations, 9 traces and 11 scores of the downloads; 3 + 2 of either form of v2; an observation and a trace.
    assert sum(row["records"] for row in files) == 71 + 9 + 11 + 5 + 5 + 2
    calls = {row["source_row_id"]: row for row in rows(root, "ledger_requests") if row["is_billable_leaf"]}
    costs = {row["request_key"]: row for row in rows(root, "ledger_costs")}
    # Of 22 generations two are left out, wrappers of Agno; then 2 of v2, seen once, and 1 of the legacy export.
    assert len(calls) == 20 + 3
    call = calls["b7ad6b7169203331"]
    assert (call["feature"], call["customer_id"], call["cost_reported_usd"]) == ("support", "acme", Decimal("0.012675"))
    assert costs[call["request_key"]]["effective_cost_usd"] == Decimal("0.012675")
    assert costs[calls["c7ad6b7169203332"]["request_key"]]["effective_cost_usd"] is None
    assert calls["obs-1"]["usage_basis"] == "ambiguous"
    unpriced = [
        key for key, row in calls.items() if row["total_tokens"] and costs[row["request_key"]]["list_cost_usd"] is None
    ]
    assert unpriced == []
