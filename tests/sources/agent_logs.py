"""Logs of coding agents as they are since autumn 2026: what the tests of them land, built line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]
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


def with_key(line: Record, key: str, tokens: int) -> Record:
    """The same count with a key of the call's own usage."""
    line["payload"]["info"]["last_token_usage"][key] = tokens
    return line


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
        # Keys and a kind of record that nobody knew when this was written.
        "k02/rollout-new": [
            meta("11:30:00", "k02-new"), turn("11:30:01", "gpt-5.4"),
            with_key(count("11:30:05", (10000, 4000, 500, 100)), "vexu_tokens", 300),
            with_key(count("11:30:15", (21000, 9000, 900, 200), (11000, 5000, 400, 100)), "cached_audio_tokens", 0),
            {"timestamp": at("11:30:20"), "type": "event_msg", "payload": {"type": "review_usage", "usage": usage(5000, 0, 100, 0)}},
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
