"""Coding agents as they log since autumn 2026: branches of sessions, tiers, compaction, advisors, clouds, and their telemetry.

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
from tests.sources.landed import NOW, land, lines, rows

Record = dict[str, Any]
SELECT = upstream("ledger_costs", "ledger_files")
CALLS = upstream("ledger_requests")
# Cumulative counts of the parent in most of the stories: input, cached, output, reasoning.
FIRST, SECOND, THIRD = (40000, 10000, 1000, 200), (90000, 50000, 2500, 600), (150000, 100000, 4000, 900)
OWN = (160000, 105000, 4500, 1000)


def at(clock: str, day: int = 18) -> str:
    """An instant of November: ``10:03:00.010``."""
    return f"2026-11-{day}T{clock}{'' if '.' in clock else '.000'}Z"


def usage(given: int, cached: int, out: int, thought: int, written: int | None = None) -> Record:
    found = {"input_tokens": given, "cached_input_tokens": cached, "output_tokens": out}
    found |= {"reasoning_output_tokens": thought, "total_tokens": given + out}
    return found if written is None else found | {"cache_write_input_tokens": written}


def count(clock: str, total: Sequence[int], last: Sequence[int] | None = None, day: int = 18) -> Record:
    """A count of Codex. ``last`` is left out where the difference says it."""
    info = {"total_token_usage": usage(*total), "last_token_usage": usage(*(last or total))}
    return {"timestamp": at(clock, day), "type": "event_msg", "payload": {"type": "token_count", "info": info}}


def meta(clock: str, thread: str, day: int = 18, **more: Any) -> Record:
    payload = {"id": thread, "cwd": "/srv/w/shop", "cli_version": "0.153.3", "model_provider": "openai"} | more
    return {"timestamp": at(clock, day), "type": "session_meta", "payload": payload}


def spawned(parent: str) -> Record:
    return {"source": {"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}}}


def turn(clock: str, model: str = "gpt-5.4", day: int = 18) -> Record:
    return {"timestamp": at(clock, day), "type": "turn_context", "payload": {"model": model, "cwd": "/srv/w/shop"}}


def tier(clock: str, **settings: Any) -> Record:
    payload = {"type": "thread_settings_applied", "thread_settings": {"model": "gpt-5.6-sol"} | settings}
    return {"timestamp": at(clock), "type": "event_msg", "payload": payload}


def response(clock: str, name: str, used: Record) -> Record:
    payload = {"thread_id": "a4", "turn_id": "t1", "response_id": name, "usage": used}
    return {"timestamp": at(clock), "type": "token_usage_record", "payload": payload}


def compacted(clock: str, name: str) -> Record:
    payload = {"message": "", "compaction_response_id": name}
    return {"timestamp": at(clock), "type": "compacted", "payload": payload}


def parent(thread: str, hour: int = 10, day: int = 18) -> list[Record]:
    """A session of three calls, one a minute."""
    counted = [count(f"{hour}:0{n}:05", total, day=day) for n, total in enumerate((FIRST, SECOND, THIRD))]
    return [meta(f"{hour}:00:00", thread, day), turn(f"{hour}:00:01", day=day), *counted]


def copy(clock: str, *totals: Sequence[int], apart_ms: int = 10, day: int = 18) -> list[Record]:
    """Counts that were copied, stamped anew from ``clock`` (hour, minute) on."""
    stamps = [apart_ms * (n + 1) for n in range(len(totals))]
    return [
        count(f"{clock}:{ms // 1000:02}.{ms % 1000:03}", total, day=day)
        for ms, total in zip(stamps, totals, strict=True)
    ]


def child(
    thread: str, of: str, clock: str, *totals: Sequence[int], own: Sequence[Record], **given: Any
) -> list[Record]:
    header = meta(f"{clock}:00", thread, forked_from_id=of, **spawned(of))
    return [header, meta(f"{clock}:00.001", of), turn(f"{clock}:00.002"), *copy(clock, *totals, **given), *own]


def forked(number: int) -> str:
    return f"a1000000-0000-7000-8000-0000000000{number:02}"


def codex() -> dict[str, list[Record]]:
    """Path below coding_agents -> lines."""
    used = usage(240000, 200000, 6000, 0, written=0)
    compaction = [response("13:01:00", "resp_k04_compact", used), compacted("13:01:00.100", "resp_k04_compact")]
    first, last = (200000, 150000, 2000, 500), (230000, 150000, 3000, 600)
    return {
        "k01/rollout-parent": parent(forked(1)),
        "k01/rollout-child": child(
            forked(2), forked(1), "10:03", FIRST, SECOND, THIRD, own=[turn("10:03:01"), count("10:03:20", OWN)]
        ),
        # A branch of the branch, whose name stands before theirs; and a second branch, of the first two calls alone.
        "k01/rollout-a-grandchild": child(
            forked(3), forked(2), "10:05", FIRST, SECOND, THIRD, OWN, own=[count("10:05:30", (170000, 110000, 5000, 1100))]
        ),
        "k01/rollout-sibling": child(
            forked(4), forked(1), "10:06", FIRST, SECOND, own=[count("10:06:09", (95000, 52000, 2600, 610))]
        ),
        # The session before it lies elsewhere, in none of the files.
        "k01/rollout-orphan": child(
            forked(5), forked(90), "10:10", FIRST, SECOND, THIRD, own=[count("10:10:20", OWN), count("10:10:40", (161000, 105000, 4600, 1000))]
        ),
        "k01/rollout-orphan-of-one": child(forked(6), forked(91), "10:11", FIRST, own=[count("10:11:20", SECOND)]),
        # Sub-agents that begin with nothing: by themselves, and below a session that is here.
        "k01/rollout-fresh": [
            meta("10:12:00", forked(7), **spawned(forked(92))), turn("10:12:00.100"),
            count("10:12:06", (3000, 0, 100, 0)), count("10:12:12", (7000, 3000, 150, 0)),
        ],
        "k01/rollout-fresh-below": [
            meta("10:13:00", forked(8), **spawned(forked(1))), turn("10:13:00.100"), count("10:13:06", (3000, 0, 100, 0)),
        ],
        # The session before it is here, so a call half a second after the copy is its own.
        "k01/rollout-quick": child(
            forked(9), forked(1), "10:14", FIRST, SECOND, THIRD, own=[count("10:14:00.530", OWN)]
        ),
        # The session before it is of another day and another developer.
        "k01/rollout-next-day": child(
            forked(11), forked(10), "10:15", FIRST, SECOND, THIRD, own=[count("10:15:20", OWN)], apart_ms=1500
        ),
        "grace/rollout-day-before": parent(forked(10), day=16),
        # The session before it lands later.
        "k01/rollout-early": child(
            forked(13), forked(12), "10:16", FIRST, SECOND, THIRD, own=[count("10:16:20", OWN)], apart_ms=2500
        ),
        "k02/rollout": [
            meta("11:00:00", "k02"), turn("11:00:01", "gpt-5.6-terra"),
            count("11:00:05", (60000, 2000, 1000, 200, 57000)),
            count("11:00:15", (70000, 10000, 1500, 200, 58000)),
        ],
        "k03/rollout": [
            meta("12:00:00", "k03"), turn("12:00:01", "gpt-5.6-sol"), tier("12:00:02", service_tier="default"),
            count("12:00:05", (20000, 0, 1000, 0)), tier("12:00:06", service_tier="priority"),
            count("12:00:15", (40000, 0, 2000, 0)), tier("12:00:16"), count("12:00:25", (60000, 0, 3000, 0)),
            tier("12:00:26", service_tier="flex"), count("12:00:35", (80000, 0, 4000, 0)),
            tier("12:00:36", service_tier="fast"), count("12:00:45", (100000, 0, 5000, 0)),
        ],
        "k04/rollout": [
            meta("13:00:00", "k04"), turn("13:00:01", "gpt-5.6-sol"),
            response("13:00:04.900", "resp_k04_1", usage(*first, written=0)), count("13:00:05", first),
            *compaction, count("13:01:00.200", first), count("13:02:00.100", last),
        ],
        # Its branch copies the compaction as well; the other one that is copied from is not here.
        "k04/rollout-branch": [
            meta("13:03:00", "k04-branch", forked_from_id="k04"), turn("13:03:00.001", "gpt-5.6-sol"),
            *copy("13:03", first), *compaction, *copy("13:03", last, apart_ms=20), count("13:03:30", (240000, 160000, 3100, 600)),
        ],
        "k04/rollout-orphan": [
            meta("13:04:00", "k04-orphan", forked_from_id="k04-absent"), turn("13:04:00.001", "gpt-5.6-sol"),
            *copy("13:04", first), response("13:04:00.012", "resp_absent", used), compacted("13:04:00.013", "resp_absent"),
            *copy("13:04", last, apart_ms=20), count("13:04:30", (240000, 160000, 3100, 600)),
        ],
    }  # fmt: skip


ADVISED = {
    "input_tokens": 2, "output_tokens": 491, "cache_read_input_tokens": 226584, "cache_creation_input_tokens": 7853,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 7853}, "service_tier": "standard",
    "iterations": [
        {"type": "message", "input_tokens": 1, "output_tokens": 45, "cache_read_input_tokens": 109696, "cache_creation_input_tokens": 7192},
        {
            "type": "advisor_message", "model": "claude-opus-4-7", "input_tokens": 160000, "output_tokens": 8000,
            "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
        },
        {"type": "message", "input_tokens": 1, "output_tokens": 446, "cache_read_input_tokens": 116888, "cache_creation_input_tokens": 661},
    ],
}  # fmt: skip
PLAIN = {
    "input_tokens": 1000, "output_tokens": 2000, "cache_read_input_tokens": 100000, "cache_creation_input_tokens": 10000,
    "cache_creation": {"ephemeral_5m_input_tokens": 10000, "ephemeral_1h_input_tokens": 0},
}  # fmt: skip


def said(session: str, name: str, used: Record, model: str = "claude-sonnet-4-6", **more: Any) -> Record:
    """A line of Claude Code."""
    message = {"model": model, "id": name, "type": "message", "role": "assistant", "content": [], "usage": used}
    line = {
        "isSidechain": False,
        "message": message,
        "requestId": f"req_{name}",
        "type": "assistant",
        "uuid": f"uu-{name}",
    }
    return line | {"timestamp": at("09:00:05"), "sessionId": session, "version": "2.1.234"} | more


def with_iterations(*iterations: Record) -> Record:
    return ADVISED | {"iterations": list(iterations)}


def claude() -> dict[str, list[Record]]:
    """Path below coding_agents -> lines."""
    message, advisor, second = ADVISED["iterations"]
    other = advisor | {"model": "claude-opus-4-8", "type": "review_message", "cache_read_input_tokens": 1000}
    whole = {name: message[name] + second[name] for name in message if name != "type"}
    inside = [
        message | {"model": "claude-sonnet-4-6"},
        second | {"model": "claude-haiku-4-5", "type": "fallback_message"},
    ]
    compaction = advisor | {"type": "compaction", "model": None}
    return {
        "k05/session": [said("k05", "msg_k05_advisor", ADVISED, advisorModel="claude-opus-4-7")],
        # The same line again, as a resumed session has it.
        "k05/resumed": [said("k05", "msg_k05_advisor", ADVISED, uuid="uu-again", timestamp=at("09:00:06"))],
        # Two that advise, of which one is of the model itself; and iterations that the top holds, whoever worked in them.
        "k05/two": [
            said("k05-two", "msg_two", with_iterations(message, advisor, second, other)),
            said("k05-own", "msg_own", with_iterations(message, second, advisor | {"model": "claude-sonnet-4-6"})),
            said("k05-inside", "msg_inside", with_iterations(*inside) | whole),
            said("k05-both", "msg_both", with_iterations(message, second, advisor, compaction)),
        ],
        "k06/clouds": [
            said("k06-bedrock", "msg_bdrk_k06_plain", PLAIN, "claude-opus-4-7"),
            said("k06-vertex", "msg_vrtx_k06_plain", PLAIN, "claude-opus-4-7"),
            said("k06-profile", "msg_bdrk_k06_eu", PLAIN, "eu.anthropic.claude-opus-4-7"),
            said("k06-maker", "msg_01k06", PLAIN, "claude-opus-4-7"),
            said("k06-advised", "msg_bdrk_k06_advised", ADVISED, "claude-sonnet-4-6"),
        ],
    }


def app_log() -> list[Record]:
    """The same answers as an application logs them, with the API named and not."""
    line = {
        "timestamp": at("15:00:00"),
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "usage": ADVISED,
        "span_id": "aa",
    }
    return [
        line | {"id": "k05-log", "session_id": "log", "api": "anthropic.messages", "response_id": "msg_log"},
        line | {"id": "k05-log-keys", "session_id": "log-keys", "cost_usd": "1.1224642"},
    ]


LATE = {"k01/rollout-late-parent": parent(forked(12), hour=9)}


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
    lay(root, codex())
    lay(root, claude())
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
        books.root, columns, "source = 'coding_agents' and usage_shape = 'codex.token_count'"
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
