"""What holds for every gateway: bad files lose only what is bad in them, and a call that another tool logged too is booked once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_helicone import row as helicone_row
from test_litellm import payload, usage
from test_litellm import row as litellm_row
from test_portkey import row as portkey_row

from pipelines.books import run
from pipelines.paths import DataRoot
from tests.conftest import upstream
from tests.sources.landed import FATES, NOW, Landed, lines, read, tokens

SECRET = "the text of a prompt"


def litellm(name: str, **more: Any) -> dict[str, Any]:
    return litellm_row(name, usage(3, 2), **{"messages": SECRET, **more})


def logged(name: str, **more: Any) -> dict[str, Any]:
    more = {"response_cost" if key == "spend" else key: value for key, value in more.items()}
    return payload(name, usage(3, 2), **{"messages": [{"content": SECRET}], **more})


def helicone(name: str, **more: Any) -> dict[str, Any]:
    more = {"cost" if key == "spend" else key: value for key, value in more.items()}
    return helicone_row(name, prompt_tokens=3.0, completion_tokens="2.0", total_tokens=5, request_body=SECRET, **more)


def portkey(name: str, **more: Any) -> dict[str, Any]:
    more = {"cost" if key == "spend" else key: value * 100 if key == "spend" else value for key, value in more.items()}
    return portkey_row(name, req_units=3.0, res_units="2.0", total_units=5, request={"body": SECRET}, **more)


Make = Callable[..., dict[str, Any]]
GATEWAYS: dict[str, tuple[str, Make]] = {
    "litellm": ("litellm", litellm),
    "litellm_payload": ("litellm", logged),
    "helicone": ("helicone", helicone),
    "portkey": ("portkey", portkey),
}


def owned(make: Make, name: str, feature: str) -> dict[str, Any]:
    """A call whose feature has any letters."""
    record = make(name)
    key = next(key for key in ("request_tags", "request_properties", "metadata") if key in record)
    tag = [f"feature:{feature}"]
    text = {"request_tags": json.dumps(tag, ensure_ascii=False) if isinstance(record.get("request_tags"), str) else tag}
    return record | {key: text.get(key, {"feature": feature})}


def files_of(source: str, make: Make) -> dict[str, str | bytes]:
    """Claim -> a file with something odd in it. They are read together; each has ids of its own."""

    def one(claim: str, number: int, **more: Any) -> str:
        return json.dumps(make(f"{claim}-{number}", **more))

    def two(claim: str, **more: Any) -> str:
        return lines(one(claim, 1), one(claim, 2, **more))

    def torn(claim: str) -> str:
        second = one(claim, 2)
        return lines(one(claim, 1)) + second[: len(second) // 2]

    latin = json.dumps(owned(make, "latin-2", "caf\u00e9"), ensure_ascii=False).encode("latin-1")
    many = [make("many-1"), make("many-2")]
    texts: dict[str, str | bytes] = {
        "torn": torn("torn"),
        "latin": lines(one("latin", 1)).encode() + latin + b"\n",
        "escape": two("escape").replace(SECRET, r"a\x", 2).replace(r"a\x", SECRET, 1) + lines(one("escape", 3)),
        "marked": "\ufeff" + two("marked"),
        "windows": two("windows").replace("\n", "\r\n"),
        "long": lines(one("long", 1), one("long", 2).replace(SECRET, "x" * 20_000_000)),
        "one": one("one", 1),
        "pretty": json.dumps(make("pretty-1"), indent=1),
        "packed": gzip.compress(json.dumps([make("packed-1"), make("packed-2")]).encode()),
        "named": lines(owned(make, "named-1", 'a, "b"; \u00e9')),
        "tiny": lines(make("tiny-1", spend=1.5e-05)),
        "costly": lines(
            one("costly", 1),
            make("costly-2")
            | {COST[source]: "many"}
            | ({"response_cost": "many"} if "response_cost" in make("x") else {}),
        ),
        "error": json.dumps({"error": {"message": "rate limit"}}),
        "page": json.dumps({"data": many, "error": None}),
        "empty_page": json.dumps({"data": [], "error": None}),
        "empty_list": "[]",
        "nothing": "",
    }
    return {f"{source}/all/{claim}.json": text for claim, text in texts.items()}


COST = {"litellm": "spend", "helicone": "cost", "portkey": "cost"}
# Records, and those that are refused.
WANTED = {
    "torn": (2, 1), "latin": (2, 1), "escape": (3, 1), "marked": (2, 0), "windows": (2, 0), "long": (2, 0), "one": (1, 0), "pretty": (1, 0),
    "packed": (2, 0), "named": (1, 0), "tiny": (1, 0), "costly": (2, 1), "error": (1, 1), "page": (2, 0), "empty_page": (0, 0),
    "empty_list": (0, 0), "nothing": (0, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Landed]:
    found = {}
    for gateway, (source, make) in GATEWAYS.items():
        root = DataRoot(tmp_path_factory.mktemp(gateway))
        found[gateway] = read(root, files_of(source, make), FATES)
    return found


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_of_a_bad_file_only_the_bad_record_is_lost(books, gateway):
    """F5, F8, F10, and every record has a fate."""
    landed = books[gateway]

    found = {
        path.split("/")[-1].removesuffix(".json"): (counts[0], counts[4]) for path, counts in landed.fates().items()
    }

    assert found == WANTED
    assert landed.is_conserved()


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_what_is_refused_is_said_by_line_and_without_the_prompt(books, gateway):
    landed = books[gateway]
    said = "\n".join(landed.report.warnings)

    assert "all/torn.json, line 2: not JSON" in said
    assert "all/latin.json, line 2: not UTF-8 (byte 0xe9" in said
    assert "all/escape.json, line 2: not JSON" in said
    assert "all/costly.json, line 2: " in said
    assert "all/error.json: an error answer of the API, expected a page with data; pull it again" in said
    assert SECRET not in said
    for path in landed.root.lake.rglob("*.parquet"):
        assert SECRET.encode() not in path.read_bytes()


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_odd_but_right_values_are_read(books, gateway):
    """3.0 tokens, exponents in money, names with commas, quotes and accents."""
    rows = {row["source_row_id"]: row for row in books[gateway].rows("staged_requests")}

    assert all(tokens(row) | {"cache_read": 0, "cache_write": 0} == {"input_uncached": 3, "output_text": 2, "cache_read": 0, "cache_write": 0}
               for row in rows.values())  # fmt: skip
    assert rows["tiny-1"]["cost_reported_usd"] == Decimal("0.000015")
    assert rows["named-1"]["feature"] == 'a, "b"; \u00e9'


def test_one_call_in_two_tools_is_priced_once(tmp_path: Path) -> None:
    """B9, G16, whole run: gpt-4o at 2.5 and 10 a million. LiteLLM and Helicone saw 1,000 + 100 tokens on the wire: $0.0035 each.

    Langfuse and the application's log counted something else, and know the owners.
    """
    root = DataRoot(tmp_path)
    span = {"id": "span", "trace_id": "t-1", "type": "GENERATION", "name": "chat", "start_time": "2026-11-18 09:00:00", "tags": ["feature:support"],
            "project_id": "p", "provided_model_name": "gpt-4o-2024-08-06", "usage_details": {"input": 1, "output": 1}, "is_root_observation": True,
            "metadata": {"litellm_call_id": "call"}}  # fmt: skip
    app = {"id": "app", "timestamp": "2026-11-18T10:00:00Z", "provider": "openai", "model": "gpt-4o-2024-08-06", "response_id": "chatcmpl-1",
           "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "feature": "search"}  # fmt: skip
    wire = helicone_row(
        "wire", prompt_tokens=1000, completion_tokens=100, total_tokens=1100, response_body={"id": "chatcmpl-1"}
    )
    files = {
        "langfuse/p/spans.jsonl": lines(span),
        "litellm/prod/rows.jsonl": lines(
            litellm_row("call", usage(1000, 100)), litellm_row("hit", usage(9, 9), cache_hit="True")
        ),
        "app_log/web/calls.jsonl": lines(app),
        "helicone/org/rows.jsonl": lines(wire),
    }
    for name, content in files.items():
        (root.landing / name).parent.mkdir(parents=True, exist_ok=True)
        (root.landing / name).write_text(content)

    report = run(root, now=NOW, select=upstream("ledger_costs", "ledger_files"))

    assert not report.failed
    landed = Landed(root, report.read, [])
    costs = {row["request_key"]: row["effective_cost_usd"] for row in landed.rows("ledger_costs")}
    calls = {row["source_row_id"]: row for row in landed.rows("ledger_requests")}
    found = {
        name: (row["source"], row["feature"], row["total_tokens"])
        for name, row in calls.items()
        if row["is_billable_leaf"]
    }
    assert found == {"call": ("litellm", "support", 1100), "wire": ("helicone", "search", 1100)}
    assert [costs[calls[name]["request_key"]] for name in found] == [Decimal("0.0035")] * 2
    assert sum(cost for key, cost in costs.items() if key != calls["hit"]["request_key"]) == Decimal("0.007")
    assert landed.fates() == {
        "langfuse/p/spans.jsonl": (1, 0, 1, 0, 0),
        "litellm/prod/rows.jsonl": (2, 1, 0, 1, 0),
        "app_log/web/calls.jsonl": (1, 0, 1, 0, 0),
        "helicone/org/rows.jsonl": (1, 1, 0, 0, 0),
    }
