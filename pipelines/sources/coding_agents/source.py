"""Coding agents: the session logs that Claude Code and Codex keep on a developer's machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from pipelines.records import create_records
from pipelines.records.files import Readable, Unreadable, json_of, layout_of
from pipelines.sources import Recognised, Source

_FOLDER = Path(__file__).parent
_RECORDS = (_FOLDER / "records.sql").read_text(encoding="utf-8")
_TEXT = """
type timestamp sessionId uuid requestId isSidechain isApiErrorMessage costUSD version entrypoint cwd gitBranch agentId
""".split()
# Of message, payload and results only counts, names and ids are taken: the rest of them is source code and prompts.
COLUMNS = {
    **dict.fromkeys(_TEXT, "VARCHAR"),
    **dict.fromkeys(("message", "payload", "usage", "toolUseResult"), "JSON"),
}
_CODEX = {
    "session_meta",
    "turn_context",
    "event_msg",
    "response_item",
    "compacted",
    "token_usage_record",
    "world_state",
}
_KEY = re.compile(r'"(\w+)"\s*:')
_EXPECTED = (
    "expected a session log of Claude Code (lines with sessionId and message) or of Codex (lines with type and payload)"
)


def recognise(name: str, head: bytes) -> Recognised:
    """A session of either tool, by its first records. Raises Unreadable for a file of another tool."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    if not text.strip():
        return Recognised("empty", "jsonl")
    # A first line longer than what is there still shows its keys.
    for line in text.split("\n")[:200]:
        with suppress(ValueError):
            record = json_of(line)
            if isinstance(record, dict) and (found := _tool_of(record)):
                return Recognised(found, "jsonl")
    keys = set(_KEY.findall(text))
    if layout_of(head) == "jsonl" and {"sessionId", "type"} <= keys:
        return Recognised("claude_code", "jsonl")
    if layout_of(head) == "jsonl" and {"payload", "type"} <= keys:
        return Recognised("codex", "jsonl")
    raise Unreadable(f"a file with {', '.join(sorted(keys)[:12])[:200] or 'no fields'}, {_EXPECTED}, one record a line")


def _tool_of(record: dict[str, object]) -> str:
    if isinstance(record.get("payload"), dict) and record.get("type") in _CODEX:
        return "codex"
    message = record.get("message")
    if "sessionId" in record or (isinstance(message, dict) and "usage" in message and "role" in message):
        return "claude_code"
    return ""


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row a line. Counts of Codex go up through a session, so each line knows what the lines before it said.

    Of a large file each piece hands on what its lines said last, in ``agent_carried``, to the piece that begins where it ends.
    """
    create_records(con, files, COLUMNS, (), view="agent_lines")
    before = files[0].lines_before if len(files) == 1 else 0
    until = before + (files[0].lines or 0) if len(files) == 1 else 0
    if before == 0:
        con.execute("create or replace temp table agent_carried (until bigint, carried_row bigint, record json)")
    con.execute(f"create or replace temp macro agent_begins_at() as cast({before} as bigint)")
    con.execute(f"create or replace temp table agent_records as {_RECORDS}")
    con.execute(f"delete from agent_carried where until = {until}")
    if until:
        con.execute(
            f"""insert into agent_carried
            select {until}, row_number() over (order by source_row), record
            from (
                select source_row, {{'codex': codex, 'timestamp': timestamp, 'type': type}} as record, kind
                from agent_records where kind in ('meta', 'turn', 'tier', 'count', 'response', 'compacted')
                -- A session that goes on from another one repeats its header: the first is its own.
                qualify row_number() over (
                    partition by kind order by case when kind = 'meta' then source_row else -source_row end
                ) = 1
            )"""
        )
    con.execute(
        "create or replace temp view records as select * from agent_records where source_row > agent_begins_at()"
    )


SOURCE = Source(
    name="coding_agents",
    folder=_FOLDER,
    about="Session logs of Claude Code and Codex.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
)
