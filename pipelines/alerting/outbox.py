"""What is to be sent and what was: one SQLite file, so that a message and what it tells are kept in one step.

A message stays ``pending`` until the other side has taken it. A process that dies after that and before the mark sends it
again, under the same key: at least once, never lost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pipelines.alerting.changes import OPEN_KINDS, Change, Seen, Told, stretch_of
from pipelines.lake import LakeError, exclusive
from pipelines.paths import DataRoot

_TABLES = """
create table if not exists channels (channel text primary key, first_asked_at text not null);
create table if not exists messages (
    key text primary key, channel text not null, created_at text not null, content text not null,
    state text not null check (state in ('pending', 'sent', 'dropped')),
    tries integer not null default 0, tried_at text, sent_at text, problem text
);
create table if not exists told (
    channel text not null, dedupe_key text not null, is_open integer not null, severity text not null, owner text not null,
    rule text not null, entity text not null, primary key (channel, dedupe_key)
);
create table if not exists seen (
    channel text not null, dedupe_key text not null, opened_date text not null, resolved_date text,
    unique (channel, dedupe_key, opened_date, resolved_date)
);
"""


@dataclass(frozen=True)
class Kept:
    """A message as it lies in the outbox."""

    key: str
    channel: str
    created_at: datetime
    content: dict[str, Any]


class Outbox:
    """The messages of a data root, open under its lock. Get one from ``open_outbox``."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    def is_known(self, channel: str) -> bool:
        return bool(self._rows("select 1 from channels where channel = ?", channel))

    def number_of_messages(self, channel: str) -> int:
        [(number,)] = self._rows("select count(*) from messages where channel = ?", channel)
        return int(number)

    def told(self, channel: str) -> dict[str, Told]:
        query = "select dedupe_key, is_open, severity, owner, rule, entity from told where channel = ?"
        return {key: Told(bool(is_open), *rest) for key, is_open, *rest in self._rows(query, channel)}

    def seen(self, channel: str) -> dict[str, list[Seen]] | None:
        """The stretches of days looked at before; None where the channel is new."""
        if not self.is_known(channel):
            return None
        found: dict[str, list[Seen]] = {}
        query = "select dedupe_key, opened_date, resolved_date from seen where channel = ?"
        for key, opened, resolved in self._rows(query, channel):
            found.setdefault(key, []).append(
                Seen(date.fromisoformat(opened), date.fromisoformat(resolved) if resolved else None)
            )
        return found

    def keep(
        self,
        channel: str,
        messages: Sequence[tuple[Kept, Sequence[Change]]],
        alerts: Sequence[Any],
        now: datetime,
    ) -> None:
        """Messages of a channel, what they tell, and all that was looked at: in one step."""
        with self._con:
            self._con.execute("insert or ignore into channels values (?, ?)", (channel, _text(now)))
            for message, told in messages:
                self._con.execute(
                    "insert into messages (key, channel, created_at, content, state) values (?, ?, ?, ?, 'pending')",
                    (message.key, channel, _text(message.created_at), json.dumps(message.content)),
                )
                self._con.executemany(
                    "insert or replace into told values (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            channel,
                            one.dedupe_key,
                            one.kind in OPEN_KINDS,
                            one.severity,
                            one.owner,
                            one.rule,
                            one.entity,
                        )
                        for one in told
                    ],
                )
            # What is open has no end yet: it is looked at anew each time.
            self._con.execute("delete from seen where channel = ? and resolved_date is null", (channel,))
            stretches = [(channel, alert["dedupe_key"], stretch_of(alert)) for alert in alerts]
            self._con.executemany(
                "insert or ignore into seen values (?, ?, ?, ?)",
                [
                    (name, key, str(one.opened_date), str(one.resolved_date) if one.resolved_date else None)
                    for name, key, one in stretches
                ],
            )

    def pending(self) -> list[Kept]:
        """What waits, the oldest first."""
        query = (
            "select key, channel, created_at, content from messages where state = 'pending' order by created_at, rowid"
        )
        return [
            Kept(key, channel, datetime.fromisoformat(created), json.loads(content))
            for key, channel, created, content in self._rows(query)
        ]

    def mark_sent(self, key: str, now: datetime) -> None:
        with self._con:
            self._con.execute(
                "update messages set state = 'sent', sent_at = ?, tries = tries + 1, tried_at = ?, problem = null where key = ?",
                (_text(now), _text(now), key),
            )

    def mark_failed(self, key: str, problem: str, now: datetime) -> None:
        with self._con:
            self._con.execute(
                "update messages set tries = tries + 1, tried_at = ?, problem = ? where key = ?",
                (_text(now), problem, key),
            )

    def drop(self, key: str, problem: str) -> None:
        """A message that has nowhere to go any more."""
        with self._con:
            self._con.execute("update messages set state = 'dropped', problem = ? where key = ?", (problem, key))

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._con.execute(query, values).fetchall()


@contextmanager
def open_outbox(root: DataRoot) -> Iterator[Outbox]:
    """The outbox, for one process at a time. Raises LakeError where another one sends, or the file is none."""
    root.outbox.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(root.outbox.with_name(".lock"), f"Alerts of {root.path} are being sent just now", "send again"):
        con = sqlite3.connect(root.outbox)
        try:
            # What is marked as sent is on the disk before the next message goes out.
            con.execute("pragma synchronous = full")
            con.executescript(_TABLES)
            yield Outbox(con)
        except sqlite3.DatabaseError as error:
            raise LakeError(
                f"{root.relative(root.outbox)} cannot be used ({error}). Move it away, then send again: "
                "a new one begins with a message of what is open."
            ) from error
        finally:
            con.close()


@contextmanager
def looked_at(root: DataRoot) -> Iterator[Outbox]:
    """A copy of the outbox in memory: whatever is done to it is forgotten."""
    con = sqlite3.connect(":memory:")
    try:
        if root.outbox.is_file():
            source = sqlite3.connect(f"file:{root.outbox}?mode=ro", uri=True)
            try:
                source.backup(con)
            except sqlite3.DatabaseError as error:
                raise LakeError(f"{root.relative(root.outbox)} cannot be read ({error}).") from error
            finally:
                source.close()
        con.executescript(_TABLES)
        yield Outbox(con)
    finally:
        con.close()


def oldest_waiting(root: DataRoot) -> datetime | None:
    """Since when a message waits that was tried before, or has yet to be tried."""
    found: datetime | None = None
    if root.outbox.is_file():
        with suppress(LakeError, sqlite3.Error), looked_at(root) as outbox:
            found = min((message.created_at for message in outbox.pending()), default=None)
    return found


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="seconds")
