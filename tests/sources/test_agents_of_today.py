"""Coding agents and telemetry as they are since autumn 2026: branches of sessions, tiers, compaction, advisors, clouds, streams.

All files are read and priced in one run, but for those of sessions that land late; a second root reads everything at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from pipelines.books import run
from pipelines.paths import DataRoot
from tests.conftest import upstream
from tests.sources.agent_logs import LATE, Record, app_log, claude, codex, forked
from tests.sources.landed import NOW, land, lines, rows, tokens
from tests.sources.telemetry import session_files, telemetry

SELECT = upstream("ledger_costs", "ledger_files")
CALLS = upstream("ledger_requests")


@dataclass(frozen=True)
class Books:
    root: DataRoot

    def calls(self, session: str) -> list[Record]:
        """The calls of a session by time, with their cost."""
        found = rows(
            self.root, "ledger_requests", "started_at, source_row_id", f"session_id = '{session}' and is_billable_leaf"
        )
        return [one | self.cost(one["request_key"]) for one in found]

    def cost(self, key: str) -> Record:
        [found] = rows(self.root, "ledger_costs", where=f"request_key = '{key}'")
        return {name: found[name] for name in ("cost_status", "cost_reason", "list_cost_usd")}

    def usd(self, session: str) -> list[Decimal]:
        return [one["list_cost_usd"].normalize() for one in self.calls(session)]

    def fates(self, path: str) -> tuple[int, ...]:
        [file] = rows(self.root, "ledger_files", where=f"path = 'landing/{path}'")
        return tuple(file[name] for name in ("records", "booked", "duplicate", "not_billable", "quarantined"))


def lay(root: DataRoot, files: dict[str, list[Record]], stem: str = "") -> None:
    for name, written in files.items():
        account, _, file = name.partition("/")
        land(root, f"coding_agents/{account}/{stem}{file}.jsonl", lines(*written))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """Everything but what lands late."""
    root = DataRoot(tmp_path_factory.mktemp("before"))
    lay(root, codex() | claude() | session_files())
    for name, written in telemetry().items():
        land(root, f"otel_genai/{name}.jsonl", lines(*written))
    land(root, "app_log/k.jsonl", lines(*app_log()))
    run(root, now=NOW, select=CALLS)
    return Books(root)


@pytest.fixture(scope="module")
def early(before: Books) -> int:
    """Calls of the branch whose parent lands late, before that."""
    return len(rows(before.root, "ledger_requests", where=f"session_id = '{forked(13)}'"))


@pytest.fixture(scope="module")
def books(before: Books, early: int) -> Books:
    """What landed late is there too."""
    lay(before.root, LATE)
    run(before.root, now=NOW, select=SELECT)
    return before


def total(given: int, cached: int, out: int) -> Decimal:
    """What these cost with gpt-5.4: 2.5, 0.25 and 15 USD per million."""
    return ((given - cached) * Decimal("2.5") + cached * Decimal("0.25") + out * 15) / 1_000_000


def test_a_branch_pays_for_its_own_calls_alone(books):
    """F1: the child's cumulative 160,000 / 105,000 / 4,500 is the whole: 55,000 x 2.5 + 105,000 x 0.25 + 4,500 x 15 = $0.23125."""
    assert len(books.calls(forked(1))) == 3
    assert books.usd(forked(2)) == [total(10000, 5000, 500)]
    assert sum(books.usd(forked(1)) + books.usd(forked(2))) == total(160000, 105000, 4500) == Decimal("0.23125")
    assert books.fates("coding_agents/k01/rollout-child.jsonl") == (8, 1, 3, 4, 0)


def test_branches_of_branches_and_of_one_session(books):
    assert books.usd(forked(3)) == [total(10000, 5000, 500)]
    assert books.usd(forked(4)) == [total(5000, 2000, 100)]


def test_a_branch_of_a_session_that_is_not_here_leaves_out_its_first_burst(books):
    """Copies follow each other by 10 ms; calls take seconds."""
    assert books.usd(forked(5)) == [total(10000, 5000, 500), total(1000, 0, 100)]
    assert books.usd(forked(6)) == [total(50000, 40000, 1500)]


def test_a_sub_agent_that_begins_with_nothing_pays_for_all(books):
    assert books.usd(forked(7)) == [total(3000, 0, 100), total(4000, 3000, 50)]
    assert books.usd(forked(8)) == [total(3000, 0, 100)]


def test_what_the_session_before_did_not_count_is_the_branch_s_own_however_soon(books):
    assert books.usd(forked(9)) == [total(10000, 5000, 500)]


def test_the_session_before_may_be_of_another_day_and_folder_and_land_later(books, early):
    """Copies 1.5 and 2.5 s apart are no burst: what is known of the session before them tells."""
    assert books.usd(forked(11)) == [total(10000, 5000, 500)]
    assert early == 4
    assert books.usd(forked(13)) == [total(10000, 5000, 500)]


def test_the_order_of_files_decides_nothing(books, tmp_path_factory):
    """Read at once, under names that turn the order round."""
    root = DataRoot(tmp_path_factory.mktemp("at_once"))
    turned = list(reversed((codex() | LATE).items()))
    for number, (name, written) in enumerate(turned):
        account, _, file = name.partition("/")
        land(root, f"coding_agents/{account}/{number:02}-{file}.jsonl", lines(*written))
    run(root, now=NOW, select=CALLS)

    columns = ("request_key", "session_id", "total_tokens", "started_at", "service_tier")
    assert _of(root, columns) == _of(
        books.root, columns, "source = 'coding_agents' and usage_shape = 'codex.token_count' and session_id <> 't-both'"
    )


def _of(root: DataRoot, columns: Sequence[str], where: str = "true") -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in rows(root, "ledger_requests", "request_key", where)]


def test_cache_writes_of_codex_are_a_part_of_the_input(books):
    """F4: 60,000 = 1,000 + 2,000 + 57,000: 1,000 x 2 + 2,000 x 0.2 + 57,000 x 2.5 + 1,000 x 12 = $0.1569. Then 10,000 more, of which
    8,000 are read and 1,000 written, with 500 of output: 2,000 + 1,600 + 2,500 + 6,000 = $0.0121."""
    [first, second] = books.calls("k02")
    assert (first["input_uncached_tokens"], first["cache_read_tokens"], first["cache_write_tokens"]) == (
        1000,
        2000,
        57000,
    )
    assert first["list_cost_usd"] == Decimal("0.1569")
    assert (second["input_uncached_tokens"], second["cache_read_tokens"], second["cache_write_tokens"]) == (
        1000,
        8000,
        1000,
    )
    assert second["list_cost_usd"] == Decimal("0.0121")


def test_keys_and_records_that_nobody_knows_are_named(books):
    """Of 10,000 and of 11,000 more: a strange key is unread, one of 0 says nothing. A record that counts tokens is refused by name."""
    first, second = books.calls("k02-new")
    assert (first["cost_status"], first["unread_usage"]) == ("assumed", {"vexu_tokens": 300})
    assert (second["cost_status"], second["list_cost_usd"]) == ("priced", total(11000, 5000, 400))
    assert books.fates("coding_agents/k02/rollout-new.jsonl") == (5, 2, 0, 2, 1)
    [strange] = books.calls("s-strange")
    assert (strange["cost_status"], strange["unread_usage"]) == ("assumed", {"vexu_tokens": 70})


def test_the_tier_of_a_turn_holds_until_the_next(books):
    """F5: 20,000 x 4 + 1,000 x 20 = $0.10; at priority 20,000 x 8 + 1,000 x 40 = $0.20, also after an event that names none."""
    assert [(one["service_tier"], one["list_cost_usd"].normalize()) for one in books.calls("k03")] == [
        ("default", Decimal("0.1")),
        ("priority", Decimal("0.2")),
        ("priority", Decimal("0.2")),
        ("flex", Decimal("0.05")),
        ("priority", Decimal("0.2")),
    ]


def test_a_compaction_is_a_call_of_its_own(books):
    """F6: 40,000 x 4 + 200,000 x 0.4 + 6,000 x 20 = $0.36, between 50,000 x 4 + 150,000 x 0.4 + 2,000 x 20 = $0.30 and
    30,000 x 4 + 1,000 x 20 = $0.14. The response that no compaction names is in the totals."""
    found = books.calls("k04")
    assert [one["list_cost_usd"].normalize() for one in found] == [Decimal("0.3"), Decimal("0.36"), Decimal("0.14")]
    assert [one["step"] for one in found] == [None, "compaction", None]
    assert found[1]["provider_response_id"] == "resp_k04_compact"
    assert str(found[1]["started_at"])[:19] == "2026-11-18 13:01:00"


def test_a_compaction_that_a_branch_copied_is_not_paid_again(books):
    """10,000 of which 10,000 cached, and 100: 10,000 x 0.4 + 100 x 20."""
    for branch in ("k04-branch", "k04-orphan"):
        assert books.usd(branch) == [Decimal("0.006")], branch


def parts(found: Sequence[Record]) -> list[tuple[Any, ...]]:
    return [(one["provider"], one["model_served"], one["step"], one["list_cost_usd"].normalize()) for one in found]


def test_an_advisor_s_tokens_are_booked_with_its_own_model(books):
    """F7: 2 x 3 + 491 x 15 + 226,584 x 0.3 + 7,853 x 6 = $0.1224642, and the advisor's 160,000 x 5 + 8,000 x 25 = $1."""
    found = books.calls("k05")
    assert parts(found) == [
        ("anthropic", "claude-sonnet-4-6", None, Decimal("0.1224642")),
        ("anthropic", "claude-opus-4-7", "advisor_message", Decimal(1)),
    ]
    assert [one["usage_flags"] for one in found] == [[], []]
    assert [one["cost_status"] for one in found] == ["priced", "priced"]
    assert books.fates("coding_agents/k05/session.jsonl")[0] == 2


def test_any_model_that_worked_within_a_response_counts_where_the_top_leaves_it_out(books):
    """A second of Opus 4.8 has 1,000 cached on top: $1 + 1,000 x 0.5. Sonnet advising itself: 160,000 x 3 + 8,000 x 15 = $0.6."""
    answer = ("anthropic", "claude-sonnet-4-6", None, Decimal("0.1224642"))
    opus = ("anthropic", "claude-opus-4-7", "advisor_message", Decimal(1))
    assert parts(books.calls("k05-two")) == [
        answer,
        opus,
        ("anthropic", "claude-opus-4-8", "review_message", Decimal("1.0005")),
    ]
    assert parts(books.calls("k05-own")) == [
        answer,
        ("anthropic", "claude-sonnet-4-6", "advisor_message", Decimal("0.6")),
    ]
    assert len(books.calls("k05-inside")) == 1
    # What names no model can only be flagged.
    [main, advisor] = books.calls("k05-both")
    assert (main["usage_flags"], advisor["usage_flags"]) == (["iterations_outside_total"], [])


def test_an_answer_s_id_says_which_cloud_sold_it(books):
    """F17: 1,000 x 5 + 2,000 x 25 + 100,000 x 0.5 + 10,000 x 6.25 = $0.1675 on the global endpoint, which the id does not say: it is
    assumed. A profile of the EU says it: x 1.1."""
    found = {name: books.calls(f"k06-{name}")[0] for name in ("bedrock", "vertex", "profile", "maker")}
    told = {
        name: (one["provider"], one["list_cost_usd"].normalize(), one["cost_status"]) for name, one in found.items()
    }
    assert told == {
        "bedrock": ("bedrock", Decimal("0.1675"), "assumed"),
        "vertex": ("vertex", Decimal("0.1675"), "assumed"),
        "profile": ("bedrock", Decimal("0.18425"), "priced"),
        "maker": ("anthropic", Decimal("0.1675"), "priced"),
    }
    assert found["bedrock"]["cost_reason"] == "assumed_endpoint"
    assert [one["provider"] for one in books.calls("k06-advised")] == ["bedrock", "bedrock"]


def test_an_advisor_counts_in_an_application_s_log_too(books):
    for session in ("log", "log-keys"):
        assert parts(books.calls(session)) == [
            ("anthropic", "claude-sonnet-4-6", None, Decimal("0.1224642")),
            ("anthropic", "claude-opus-4-7", "advisor_message", Decimal(1)),
        ]
    assert [one["source_row_id"] for one in books.calls("log")] == ["k05-log", "k05-log:1"]
    assert [one["cost_reported_usd"] for one in books.calls("log-keys")] == [Decimal("1.1224642"), None]


def test_a_call_of_claude_code_s_telemetry_counts_once(books):
    """F19: 1,000 x 3 + 2,000 x 15 + 100,000 x 0.3 + 10,000 x 3.75 = $0.1005, though it stands in two files and a span."""
    [call] = books.calls("s-k60")
    assert (call["provider"], call["model_served"], call["feature"]) == (
        "anthropic",
        "claude-sonnet-4-6",
        "claude_code",
    )
    assert (call["list_cost_usd"], call["cost_status"]) == (Decimal("0.1005"), "priced")
    assert (call["cost_reported_usd"], call["cost_reported_basis"]) == (Decimal("0.1005"), "user_supplied")
    assert (call["cache_write_tokens"], call["usage_basis"], call["duration_ms"]) == (10000, "disjoint", 4200)
    assert [tokens(one) for one in books.calls("s-traced")] == [
        {"input_uncached": 10, "cache_read": 0, "cache_write": 0, "output_text": 20}
    ]
    assert [one["provider"] for one in books.calls("s-profile")] == ["bedrock"]


def test_a_call_that_a_session_s_file_has_too_counts_once(books):
    """The file's rows count, since they know the lifetime of a write; the call of the background stands in the telemetry alone."""
    found = books.calls("s-both")
    assert [(one["source"], one["input_uncached_tokens"]) for one in found] == [
        ("coding_agents", 1000),
        ("coding_agents", 7),
        ("otel_genai", 500),
    ]
    assert [one["source"] for one in books.calls("t-both")] == ["coding_agents"]


def test_a_call_that_failed_is_one_without_usage(books):
    [call] = books.calls("s-failed")
    assert (call["status"], call["http_status"], call["attempt"], call["cost_status"]) == ("error", 529, 2, "no_usage")


def test_logs_of_other_agents_are_read(books):
    """Codex: as its session file (F4), $0.1569. Gemini CLI: (1,000 + 100) x 0.3 + 4,000 x 0.03 + 210 x 2.5 = $0.000975."""
    assert books.usd("t-alone") == [Decimal("0.1569")]
    assert books.usd("t-traced") == [total(3000, 1000, 100)]
    [gemini] = books.calls("s-gemini")
    assert (gemini["provider"], gemini["feature"]) == ("google", "gemini_cli")
    assert tokens(gemini)["input_other"] == 100
    assert gemini["list_cost_usd"] == Decimal("0.000975")
    assert [one["total_tokens"] for one in books.calls("s-details")] == [5210]


def test_no_tokens_are_passed_over_without_a_word(books):
    """What only counts again is not billable by name; what no one knows, and sums without calls, are refused."""
    reasons = {row["path"]: row["reasons"] for row in rows(books.root, "ledger_files") if row["source"] == "otel_genai"}
    assert "restated_usage" in reasons["landing/otel_genai/codex/logs.jsonl"]
    assert "token_metric" in reasons["landing/otel_genai/claude_code/logs.jsonl"]
    assert "the metric claude_code.token.usage sums tokens" in reasons["landing/otel_genai/claude_code/metrics.jsonl"]
    assert "the log acme.llm_done counts tokens" in reasons["landing/otel_genai/gemini/logs.jsonl"]
    assert books.fates("otel_genai/claude_code/metrics.jsonl") == (2, 0, 0, 1, 1)
    assert books.fates("otel_genai/gemini/logs.jsonl") == (5, 2, 0, 2, 1)


def test_of_a_streamed_answer_the_larger_output_is_final(books):
    """F8: 4 x 1 + 2,183 x 1.25 + 1,404 x 5 = $0.00975275; an object that was final says 1,500. Before version 5 the cache stood beside it."""
    assert books.usd("f8") == [Decimal("0.00975275")]
    assert books.usd("f8-whole") == [Decimal("0.01023275")]
    assert books.usd("f8-before") == [Decimal("0.01475275")]
    [bedrock] = books.calls("f8-bedrock")
    assert tokens(bedrock) == {"input_uncached": 4, "cache_read": 50000, "cache_write": 2183, "output_text": 1404}
    assert (bedrock["provider"], bedrock["usage_basis"]) == ("bedrock", "disjoint")
    # Above several calls stands the object of the last.
    assert [tokens(one) for one in books.calls("f8-above")] == [{"input_uncached": 40, "output_text": 9000}]
    assert [one["provider"] for one in books.calls("f8-id")] == ["vertex"]


def test_google_s_own_object_has_tools_thoughts_and_cache(books):
    """F15: (26 + 12,504) x 0.3 + 103 x 2.5 = $0.0040165. With thoughts: 1,100 x 0.3 + 4,000 x 0.03 + 210 x 2.5 = $0.000975."""
    assert books.usd("f15") == [Decimal("0.0040165")]
    [vertex] = books.calls("f15-vertex")
    assert (vertex["provider"], vertex["list_cost_usd"]) == ("vertex", Decimal("0.000975"))
    # A stream that ended later: 500 of output, thoughts among them.
    assert tokens(books.calls("f15-late")[0])["output_text"] == 300


def test_what_version_4_of_the_ai_sdk_says_in_the_provider_s_words(books):
    """5,000 of which 4,000 cached, 300 of which 100 thought."""
    [call] = books.calls("v4-openai")
    assert tokens(call) == {"input_uncached": 1000, "cache_read": 4000, "output_text": 200, "output_reasoning": 100}
    assert call["service_tier"] == "priority"
    assert tokens(books.calls("v4-deepseek")[0])["cache_read"] == 4000
    [routed] = books.calls("v4-openrouter")
    assert (tokens(routed)["cache_read"], routed["cost_reported_usd"]) == (4000, Decimal("0.0125"))
    assert routed["provider"] == "openrouter"


def test_spans_of_a_scope_and_version_tell_of_each_other(books):
    """F9: 50,000 x 3.3 + 40,000 x 0.33 + 5,000 x 4.125 + 400 x 16.5 = $0.205425: a span of 12 that read 1,000 shows that input leaves
    the cache out. Of another version nothing does."""
    [call] = books.calls("f9")
    assert (call["list_cost_usd"], call["cost_status"], call["usage_basis"]) == (
        Decimal("0.205425"),
        "priced",
        "disjoint",
    )
    [doubt] = books.calls("f9-doubt")
    assert (doubt["usage_basis"], doubt["cost_status"], doubt["cost_reason"]) == (
        "ambiguous",
        "assumed",
        "ambiguous_usage",
    )
    [held] = books.calls("f9-convention")
    assert (held["usage_basis"], tokens(held)["input_uncached"], held["context_test_tokens"]) == (
        "inclusive",
        10000,
        50000,
    )
    [other] = books.calls("f9-other")
    assert (other["usage_basis"], tokens(other)["input_uncached"]) == ("disjoint", 50000)
    assert (tokens(other)["output_text"], tokens(other)["output_reasoning"]) == (300, 100)
