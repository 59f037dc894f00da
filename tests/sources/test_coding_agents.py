"""Sessions of Claude Code and Codex: copies of a response, counts that go up, and logs read in pieces."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.sources import landed
from tests.sources.landed import SHARED
from tests.sources.together import Place, together

USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 90, "output_tokens": 5}


def said(number: int, second: int = 0, usage: Any = USAGE, **more: Any) -> dict[str, Any]:
    """A line of Claude Code."""
    message = {"id": f"msg_{number}", "role": "assistant", "model": "claude-sonnet-4-5", "usage": usage}
    return {
        "type": "assistant",
        "sessionId": "s-1",
        "uuid": f"{number}-{second}",
        "requestId": f"req_{number}",
        "timestamp": f"2026-11-18T09:{number:02}:{second:02}.000Z",
        "message": message | {"content": [{"type": "text", "text": "never read"}]},
    } | more


def counts(given: int, cached: int, out: int, thought: int, total: int | None = None) -> dict[str, int]:
    plain = {"input_tokens": given, "cached_input_tokens": cached, "output_tokens": out}
    plain["reasoning_output_tokens"] = thought
    return plain if total is None else plain | {"total_tokens": total}


def event(second: int, total: Any, last: Any = None) -> dict[str, Any]:
    """A count of Codex."""
    info = {name: found for name, found in (("total_token_usage", total), ("last_token_usage", last)) if found}
    payload = {"type": "token_count", "info": info or None}
    return {"timestamp": f"2026-11-18T10:00:{second:02}.000Z", "type": "event_msg", "payload": payload}


def turn(model: str) -> dict[str, Any]:
    return {"timestamp": "2026-11-18T10:00:00.000Z", "type": "turn_context", "payload": {"model": model}}


META = {
    "timestamp": "2026-11-18T10:00:00.000Z",
    "type": "session_meta",
    "payload": {"id": "c-1", "model_provider": "openai"},
}


def own(place: Place, name: str, content: bytes) -> bytes:
    """The sessions of a test and their responses have ids of their own, and counts of Codex a minute."""
    number = place.number
    for named in (b'"msg_', b'"req_', b'"s-', b'"c-'):
        content = content.replace(named, named + b"%d-" % number)
    return content.replace(b"2026-11-18T10:00:", b"2026-11-18T%02d:%02d:" % divmod(600 + number, 60))


def land(place: Place, name: str, *records: Any) -> None:
    place.land(f"coding_agents/{name}", landed.lines(*records))


def tokens(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("input_uncached_tokens", "cache_read_tokens", "output_text_tokens", "output_reasoning_tokens")
    return tuple(row[name] for name in names)


def calls(place: Place) -> list[tuple[Any, ...]]:
    return [tokens(row) for row in place.rows("ledger_requests", "started_at, source_row_id")]


@together("fine")
def test_a_response_on_several_lines_counts_once_with_its_most_tokens(place):
    """B15, trap 1: also where a resumed session repeats it in another file."""
    more = USAGE | {"output_tokens": 50}
    land(place, "ada/a.jsonl", said(1, 1), said(1, 2, more), said(2))
    land(place, "ada/b.jsonl", said(1, 3, more), said(3))

    yield

    assert place.warnings == []
    assert calls(place) == [(10, 90, 50, None), (10, 90, 5, None), (10, 90, 5, None)]
    assert sum(row["duplicate"] for row in place.rows("ledger_files")) == 2


@together("fine")
def test_a_side_chain_that_replays_a_response_is_no_new_call(place):
    """B15, trap 2: by another request id, and though it has more tokens. A response of its own counts, also below subagents/."""
    replay = said(1, 3, USAGE | {"output_tokens": 70}, isSidechain=True, requestId="req_9")
    land(place, "ada/s.jsonl", replay, said(1, 1))
    land(place, "ada/s/subagents/x.jsonl", said(2, isSidechain=True))

    yield

    assert place.warnings == []
    assert [(row["step"], *tokens(row)) for row in place.rows("ledger_requests", "started_at")] == [
        (None, 10, 90, 5, None),
        ("sidechain", 10, 90, 5, None),
    ]


@together("fine")
def test_of_equal_copies_the_one_with_its_speed_counts(place):
    land(place, "ada/s.jsonl", said(1, 1), said(1, 2, USAGE | {"speed": "fast"}), said(1, 3))

    yield

    assert place.warnings == []
    assert [row["speed"] for row in place.rows("ledger_requests")] == ["fast"]


@together("fine")
def test_what_a_session_costs_is_what_the_tool_says_or_unknown(place):
    """Traps 4, 5 and 13."""
    land(place, "ada/s.jsonl", said(1, costUSD=0.12), said(2, usage=USAGE | {"cache_creation_input_tokens": 7}))

    yield

    assert place.warnings == []
    [old, new] = place.rows("ledger_requests", "started_at")
    assert (str(old["cost_reported_usd"]), old["cost_reported_basis"]) == ("0.120000000000", "user_supplied")
    assert (new["cost_reported_usd"], new["cache_write_tokens"], new["cache_write_5m_tokens"]) == (None, 7, None)


@together("fine")
def test_answers_that_the_tool_makes_up_are_no_calls(place):
    made_up = said(1, usage={"input_tokens": 0, "output_tokens": 0})
    made_up["message"]["model"] = "<synthetic>"
    land(place, "ada/s.jsonl", made_up, {"type": "user", "sessionId": "s-1", "message": {"content": "never read"}})

    yield

    assert place.warnings == []
    [file] = place.rows("ledger_files")
    assert (file["records"], file["not_billable"]) == (2, 2)


@together("fine", 'keep_attributes = ["gitBranch"]\n')
def test_folders_branches_and_texts_are_kept_only_by_name(place):
    """Traps 11 and 12."""
    land(place, "ada/s.jsonl", said(1, cwd="/srv/ada", gitBranch="feature-x"))

    yield

    assert place.warnings == []
    [row] = place.rows("ledger_requests")
    assert dict(row["attributes"]) == {"gitBranch": "feature-x"}
    assert "/srv/ada" not in str(row)


@together("fine")
def test_counts_that_go_up_are_differenced(place):
    """B16, G15, traps 6 and 8: 5,000 - 2,000 = 3,000 of which 1,000 cached; 2,500 - 1,000 = 1,500 of which 400 reasoning."""
    first, second = counts(2000, 0, 1000, 300), counts(5000, 1000, 2500, 700)
    land(
        place, "ada/r.jsonl", META, turn("gpt-5.4"), event(1, None), event(2, first), event(3, second), event(4, second)
    )

    yield

    assert place.warnings == []
    assert calls(place) == [(2000, 0, 700, 300), (2000, 1000, 1100, 400)]
    [file] = place.rows("ledger_files")
    assert (file["records"], file["booked"], file["not_billable"]) == (6, 2, 4)
    assert "repeated_count" in file["reasons"]


@together("fine")
def test_a_count_that_falls_begins_anew(place):
    """Trap 7."""
    land(
        place,
        "ada/r.jsonl",
        event(1, counts(2000, 0, 1000, 300)),
        event(2, counts(100, 50, 10, 0)),
        event(3, counts(150, 90, 12, 0)),
    )

    yield

    assert place.warnings == []
    assert calls(place) == [(2000, 0, 700, 300), (50, 50, 10, 0), (10, 40, 2, 0)]


@together("fine")
def test_a_file_that_goes_on_from_another_counts_its_own_call_first(place):
    """The first cumulative count holds the calls of the file before."""
    land(
        place,
        "ada/r.jsonl",
        event(1, counts(9000, 0, 1000, 0), counts(500, 400, 20, 0)),
        event(2, counts(9600, 500, 1010, 0)),
    )

    yield

    assert place.warnings == []
    assert calls(place) == [(100, 400, 20, 0), (100, 500, 10, 0)]


@together("fine")
def test_lines_that_a_branch_copies_count_once(place):
    history = [event(1, counts(100, 0, 10, 0)), event(2, counts(300, 100, 30, 0))]
    land(place, "ada/a.jsonl", META, *history, event(3, counts(400, 200, 40, 0)))
    land(place, "ada/b.jsonl", META | {"payload": {"id": "c-2"}}, META, *history, event(4, counts(700, 300, 60, 0)))

    yield

    assert place.warnings == []
    assert calls(place) == [(100, 0, 10, 0), (100, 100, 20, 0), (0, 100, 10, 0), (200, 200, 30, 0)]
    assert [row["session_id"] for row in place.rows("ledger_requests", "started_at")][-1] == f"c-{place.number}-2"


@together("fine")
def test_the_total_says_whether_reasoning_is_inside(place):
    """Trap 10: 1,000 + 125 + 75 = 1,200, and 1,000 + 125 = 1,125; without a total it is inside."""
    land(place, "ada/a.jsonl", event(1, None, counts(1000, 250, 125, 75, 1200)))
    land(place, "ada/b.jsonl", event(2, None, counts(1000, 250, 125, 75, 1125)))
    land(place, "ada/c.jsonl", event(3, None, counts(1000, 250, 125, 75)))

    yield

    assert place.warnings == []
    assert calls(place) == [(750, 250, 125, 75), (750, 250, 50, 75), (750, 250, 50, 75)]
    assert [row["usage_flags"] for row in place.rows("ledger_requests", "started_at")] == [["reasoning_on_top"], [], []]


@together("fine")
def test_the_model_is_that_of_the_turn_or_unknown(place):
    """Trap 9."""
    land(
        place,
        "ada/r.jsonl",
        event(1, counts(1, 0, 1, 0)),
        turn("gpt-5.4"),
        event(2, counts(2, 0, 2, 0)),
        turn("gpt-5.5"),
        event(3, counts(3, 0, 3, 0)),
    )

    yield

    assert place.warnings == []
    assert [row["model_served"] for row in place.rows("staged_requests", "started_at")] == [None, "gpt-5.4", "gpt-5.5"]


@pytest.mark.parametrize(("size", "calls"), [(200, 12), (1000, 30), (5000, 60)])
@pytest.mark.parametrize("fault", [False, True])
def test_a_session_in_pieces_counts_as_a_whole(root, monkeypatch, size, calls, fault):
    """Each piece knows what the one before it said last; also where a line makes it be read carefully.

    A count is longer than 200 bytes; 1,000 hold a few.
    """
    events = [event(n, counts(100 * n, 10 * n, 7 * n, n)) for n in range(1, calls)]
    made = [META, turn("gpt-5.4"), *events[: calls * 2 // 3]]
    made += ['{"type": "event_msg", "payload": {'] if fault else []
    made += events[calls * 2 // 3 :]
    for module in ("pipelines.landing", "pipelines.records.files"):
        monkeypatch.setattr(f"{module}.PIECE_BYTES", size)
        monkeypatch.setattr(f"{module}._BLOCK_BYTES", size)
    landed.land(root, "coding_agents/ada/r.jsonl", landed.lines(*made))

    warnings = landed.read(root).report.warnings

    pieces = {path.stem for path in root.lake.rglob("staged_requests/**/*.parquet")}
    assert len(pieces) > 1
    assert len(warnings) == fault
    found = landed.rows(root, "staged_requests", "started_at")
    assert [tokens(row) for row in found] == [(90, 10, 6, 1)] * (calls - 1)
    assert {(row["session_id"], row["model_served"]) for row in found} == {("c-1", "gpt-5.4")}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (json.dumps(said(2))[:70], "not JSON"),
        (json.dumps(said(2)).replace("never", "\\q"), "not JSON"),
        (json.dumps(said(2, timestamp=None)), "missing timestamp"),
        (json.dumps(said(2, timestamp="noon")), "timestamp is noon, expected an instant"),
        (
            json.dumps(said(2, usage=USAGE | {"output_tokens": 1.5})),
            "usage.output_tokens is 1.5, expected a whole number",
        ),
        (json.dumps(said(2, usage=USAGE | {"output_tokens": -1})), "expected a count of 0 or more"),
        (json.dumps(said(2, costUSD="free")), "costUSD is free, expected an amount"),
        (json.dumps(event(1, counts(-5, 0, 1, 0))), "expected a count of 0 or more"),
    ],
)
@together("faulty")
def test_what_is_wrong_is_refused_alone(place, line, reason):
    land(place, "ada/s.jsonl", said(1, usage={"input_tokens": 3.0, "output_tokens": "5"}), line)

    yield

    [warning] = place.warnings

    assert "line 2: " in warning
    assert reason in warning
    [file] = place.rows("ledger_files")
    assert (file["records"], file["booked"], file["quarantined"]) == (2, 1, 1)


@pytest.mark.parametrize(
    "content", ['{"error": "denied"}', "id,name\n1,a", "# a session\n===== record 0001 =====\n{\n}\n"]
)
@together("fine")
def test_a_file_of_another_tool_is_refused_whole(place, content):
    land(place, "ada/s.jsonl", content)

    yield

    [warning] = place.warnings

    assert "expected a session log of Claude Code" in warning


@pytest.mark.skipif(not SHARED.exists(), reason="the examples are not here")
@together("")
def test_real_sessions_count_each_response_once(place):
    """TraceLab's sessions as their logs were: 25 lines of 10 responses; the last cumulative count is 95,819 in and 1,912 out."""
    for tool in ("claude", "codex"):
        text = (SHARED / "data" / "tracelab" / "example_sessions" / tool / "trace.json").read_text()
        land(place, f"lab/{tool}.jsonl", *(json.loads(one) for one in re.split(r"===== record \d+ =====\n", text)[1:]))

    yield

    assert place.warnings == []
    files = {
        row["path"].split("/")[-1]: (row["records"], row["booked"], row["duplicate"])
        for row in place.rows("ledger_files")
    }
    assert files == {"claude.jsonl": (64, 10, 15), "codex.jsonl": (72, 9, 0)}
    codex = [row for row in place.rows("ledger_requests") if row["provider"] == "openai"]
    assert sum(row["input_total_tokens"] for row in codex) == 95_819
    assert sum(row["output_total_tokens"] for row in codex) == 1_912
    assert sum(row["output_reasoning_tokens"] for row in codex) == 581


@pytest.mark.skipif(not SHARED.exists(), reason="the examples are not here")
@together("")
def test_every_example_is_booked_or_refused_with_a_reason(place):
    """G15: the Codex lines of the mixed file have no instant; 5 + 1 + 2 calls are booked."""
    for path in sorted((SHARED / "formats" / "examples" / "coding_agents").glob("*.jsonl")):
        land(place, f"examples/{path.name}", *path.read_text().splitlines())

    yield

    warnings = place.warnings

    assert ["missing timestamp" in warning for warning in warnings] == [True]
    files = place.rows("ledger_files", "path")
    assert [(row["records"], row["booked"], row["not_billable"], row["quarantined"]) for row in files] == [
        (4, 1, 1, 2),
        (3, 3, 0, 0),
        (2, 2, 0, 0),
        (3, 2, 1, 0),
    ]
