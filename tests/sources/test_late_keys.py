"""A key that a tool begins to write late counts as one that stands in the first record: it is read, or named."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.landed import land, read, tokens
from tests.sources.together import Place, together

HELICONE = {
    "request_created_at": "2026-11-18 10:00:01.000",
    "response_status": 200,
    "provider": "OPENAI",
    "request_model": "gpt-4o-2024-08-06",
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
    "cost": 0.00035,
}
LITELLM = {
    "call_type": "acompletion",
    "spend": 0.01,
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
    "startTime": "2026-11-18 09:00:00.250000+00:00",
    "endTime": "2026-11-18 09:00:02.750000+00:00",
    "model": "gpt-5.4",
    "custom_llm_provider": "openai",
    "status": "success",
}
LANGSMITH = {
    "name": "gen",
    "run_type": "llm",
    "start_time": "2026-11-18T12:00:00.000000",
    "end_time": "2026-11-18T12:00:02.000000",
    "status": "success",
    "trace_id": "1efa0000-0000-6000-8000-6b3131666c78",
    "extra": '{"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-5.4"}}',
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
}
APP_LOG = {
    "timestamp": "2026-11-18T12:00:00Z",
    "provider": "openai",
    "model": "gpt-5.4",
    "api": "openai.chat",
    "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
}
RECORDS = {
    "helicone": ("request_id", HELICONE),
    "litellm": ("request_id", LITELLM),
    "langsmith": ("id", LANGSMITH),
    "app_log": ("id", APP_LOG),
}
# What a tool may begin to write, and what is read of it: a class of tokens, a unit, or a count that is named.
LATE = {"cacheWriteTokens": 20, "web_search_calls": 3, "blue_tokens": 700}


def records(source: str, late_at: int, count: int = 120) -> list[dict[str, Any]]:
    key, plain = RECORDS[source]
    return [
        {key: f"r{place:03d}", **plain, **({"late": "x", **LATE} if place == late_at else {})} for place in range(count)
    ]


def laid(root: DataRoot, source: str, form: str, given: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(record) + "\n" for record in given)
    match form:
        case "lines":
            land(root, f"{source}/{form}/calls.jsonl", text)
        case "gzip":
            land(root, f"{source}/{form}/calls.jsonl.gz", gzip.compress(text.encode()))
        case "array":
            land(root, f"{source}/{form}/calls.json", json.dumps(given, indent=1))
        case "small files":
            for place, line in enumerate(text.splitlines()):
                land(root, f"{source}/{form}/{place}.jsonl", line + "\n")


FORMS = [(source, form) for source in RECORDS for form in ("lines", "gzip", "array", "small files")]
FORMS.remove(("app_log", "array"))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Account, which is the form and whether the keys come late -> the call that has them, and the one before it."""
    root = DataRoot(tmp_path_factory.mktemp("late") / "books")
    for source, form in FORMS:
        laid(root, source, form, records(source, 110))
        first = "".join(json.dumps(record) + "\n" for record in records(source, 0, 2))
        land(root, f"{source}/first/calls.jsonl", first)
    landed = read(root)
    found = landed.rows("staged_requests")
    assert landed.is_conserved()
    return {f"{row['source']} {row['source_account']} {row['source_row_id']}": row for row in found}


@pytest.mark.parametrize(("source", "form"), FORMS)
def test_a_key_that_comes_late_is_read_like_one_that_comes_first(
    told: dict[str, dict[str, Any]], source: str, form: str
) -> None:
    """Of 100 tokens 20 were written to the cache (whether beside them or among them the source decides); 3 searches; 700 are named."""
    late, first = told[f"{source} {form} r110"], told[f"{source} first r000"]

    assert tokens(late) == tokens(first)
    assert late["cache_write_tokens"] == 20
    assert late["extra_units"] == first["extra_units"] == {"web_search": 3}
    assert late["unread_usage"] == first["unread_usage"] == {"blue_tokens": 700}
    assert told[f"{source} {form} r109"]["unread_usage"] is None


@pytest.mark.parametrize("source", ["helicone", "litellm", "langsmith"])
@pytest.mark.parametrize("form", ["list", "list.gz", "page"])
@together("")
def test_half_an_emoji_in_a_list_costs_itself_and_not_the_list(place: Place, source: str, form: str) -> Any:
    """Three records, the second with half an emoji and beside it a whole one and a text that only looks like a half."""
    if source == "langsmith" and form == "page":
        pytest.skip("its pages are refused")
    given = records(source, -1, 3)
    given[1]["model_group" if source == "litellm" else "note"] = "HALF \U0001f600 \\ud83d"
    for one in given:
        # Read with the calls of the other tests, and none of theirs.
        one[RECORDS[source][0]] = f"{place.folder}-{one[RECORDS[source][0]]}"
    text = json.dumps({"data": given} if form == "page" else given).replace("HALF", "\\ud83d")
    is_packed = form == "list.gz"
    place.land(f"{source}/calls.json{'.gz' if is_packed else ''}", gzip.compress(text.encode()) if is_packed else text)
    yield

    assert place.fates() == [(3, 3, 0, 0, 0)]
    assert {row["input_uncached_tokens"] for row in place.rows("staged_requests")} == {100}


PORTKEY = {
    "created_at": "2026-11-18T12:00:00Z",
    "ai_org": "openai",
    "ai_model": "gpt-5.4",
    "req_units": 100,
    "res_units": 10,
    "total_units": 110,
    "response_status_code": 200,
}


def test_portkeys_late_counts_and_counts_of_strange_columns_of_tables_are_named(tmp_path: Any) -> None:
    """Portkey's fields of the first records are all known, or the file is refused: of later ones the counts are read or named."""
    calls = [{"id": f"p{place:03d}", "trace_id": f"t{place}", **PORTKEY} for place in range(80)]
    calls[75]["blue_tokens"] = 7
    table = "source_row_id,started_at,provider,model_served,input_uncached_tokens,output_text_tokens,input_total_tokens,input_blue_tokens"
    rows = "r1,2026-11-18T12:00:00Z,openai,gpt-5.4,100,10,100,55\nr2,2026-11-18T12:00:01Z,openai,gpt-5.4,100,10,120,\n"
    files = {
        "portkey/a/calls.jsonl": "".join(json.dumps(one) + "\n" for one in calls),
        "requests/a/calls.csv": f"{table}\n{rows}",
    }

    found = read(DataRoot(tmp_path / "books"), files).calls()

    assert found["p075"]["unread_usage"] == {"blue_tokens": 7}
    assert found["p074"]["unread_usage"] is None
    assert found["r1"]["unread_usage"] == {"input_blue_tokens": 55}
    assert found["r2"]["unread_usage"] == {"input_total_tokens": 20}
