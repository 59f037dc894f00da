"""Claude Code's sub-agents: their tokens stand in their own lines, and once more in the result of the tool that started them."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.paths import DataRoot
from tests.sources.agent_logs import said
from tests.sources.landed import FATES, Landed, lines, read, tokens

AT = "2026-11-18T09:00:{:02d}.000Z"
LAST = {"input_tokens": 5, "output_tokens": 40, "cache_read_input_tokens": 900}


def answer(name: str, second: int, session: str, usage: dict[str, int], **more: Any) -> dict[str, Any]:
    return said(session, f"msg_{name}", usage, timestamp=AT.format(second), **more)


def result(session: str, agent: str | None, second: int = 30) -> dict[str, Any]:
    """What a Task returns: the counts of the sub-agent's last call, and in newer versions its id."""
    said = {"totalTokens": 945, "totalToolUseCount": 2, "usage": LAST} | ({"agentId": agent} if agent else {})
    content = [{"type": "tool_result", "content": "never read"}]
    return {
        "type": "user",
        "uuid": f"uu-{session}-result",
        "sessionId": session,
        "timestamp": AT.format(second),
        "message": {"role": "user", "content": content},
        "toolUseResult": said,
    }


def session(name: str, agent: str | None) -> list[dict[str, Any]]:
    return [answer(f"{name}-1", 1, name, {"input_tokens": 10, "output_tokens": 20}), result(name, agent)]


def own(name: str, agent: str | None) -> list[dict[str, Any]]:
    side = {"isSidechain": True} | ({"agentId": agent} if agent else {})
    return [
        answer(f"{name}-a", 10, name, {"input_tokens": 7, "output_tokens": 30}, **side),
        answer(f"{name}-b", 20, name, LAST, **side),
    ]


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    files = {
        "apart/main.jsonl": session("apart", "a1"),
        "apart/agent-a1.jsonl": own("apart", "a1"),
        "together/main.jsonl": [*session("together", None)[:1], *own("together", None), result("together", None)],
        "alone/main.jsonl": session("alone", "a9"),
        "strange/main.jsonl": [
            *session("strange", "a8")[:1],
            {"type": "summary", "sessionId": "strange", "timestamp": AT.format(5), "usage": {"input_tokens": 3, "output_tokens": 4}},
        ],
        # A result that is a text, as of a tool that failed, and one without counts.
        "texts/main.jsonl": [
            *session("texts", None)[:1],
            {"type": "user", "sessionId": "texts", "timestamp": AT.format(6), "toolUseResult": "Error: no such file"},
            {"type": "user", "sessionId": "texts", "timestamp": AT.format(7), "toolUseResult": {"stdout": "never read"}},
        ],
    }  # fmt: skip
    laid = {f"coding_agents/{name}": lines(*records) for name, records in files.items()}
    root = DataRoot(tmp_path_factory.mktemp("agents") / "books")
    return read(root, laid, [*FATES, "ledger_requests"])


@pytest.fixture(scope="module")
def calls(landed: Landed) -> dict[str, list[dict[str, Any]]]:
    """Session -> the calls that enter money."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in landed.rows("ledger_requests", "started_at, source_row_id", "is_billable_leaf"):
        found.setdefault(row["session_id"], []).append(row)
    return found


@pytest.mark.parametrize("name", ["apart", "together"])
def test_a_sub_agents_tokens_count_once(calls: dict[str, list[dict[str, Any]]], name: str) -> None:
    """Three answers, in one file or in two: what the tool's result repeats is no fourth one."""
    assert [row["output_text_tokens"] for row in calls[name]] == [20, 30, 40]


def test_what_nobody_else_has_is_booked_in_part_and_marked(calls: dict[str, list[dict[str, Any]]]) -> None:
    """The sub-agent's own file is not there: its last call, 5 + 900 in and 40 out, is all that is known of it."""
    _, part = calls["alone"]
    assert (part["row_kind"], part["usage_quality"], part["step"]) == ("aggregate_only", "partial", "sub_agent")
    assert tokens(part) == {"input_uncached": 5, "cache_read": 900, "output_text": 40}
    assert part["model_served"] == "claude-sonnet-4-6"


def test_counts_of_no_known_kind_are_refused_by_name_and_results_without_counts_are_context(landed: Landed) -> None:
    fates = landed.fates()
    assert fates["coding_agents/strange/main.jsonl"] == (2, 1, 0, 0, 1)
    assert "the record summary counts tokens" in landed.files()["coding_agents/strange/main.jsonl"]["reasons"]
    assert fates["coding_agents/texts/main.jsonl"] == (3, 1, 0, 2, 0)
    assert fates["coding_agents/together/main.jsonl"] == (4, 3, 0, 1, 0)
    assert "total of a sub-agent" in landed.files()["coding_agents/together/main.jsonl"]["reasons"]
    assert landed.is_conserved()
