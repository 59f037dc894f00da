"""Where Dagster keeps what was done: its own SQLite files, written many events at once.

Left to itself it opens three connections an event, each with an engine of its own and a wait for the disk: a backfill of a
year tells of some 6,000 events, twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

if TYPE_CHECKING:
    from dagster._core.events.log import EventLogEntry
    from sqlalchemy import Connection

# So many events of a run or a step are handed over together.
_AT_ONCE = "500"


class EventLog(SqliteEventLogStorage):
    """Dagster's events, of which many can be kept in one transaction."""

    _kept = threading.local()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """One connection to each file, and one transaction, for all events that this thread keeps within."""
        if getattr(self._kept, "connections", None) is not None:
            yield
            return
        with ExitStack() as stack:
            self._kept.connections, self._kept.stack = {}, stack
            stack.callback(self._forget)
            yield

    def _forget(self) -> None:
        self._kept.connections = self._kept.stack = None

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        kept: dict[str, Connection] | None = getattr(self._kept, "connections", None)
        if kept is None:
            with super()._connect(shard) as connection:
                yield connection
            return
        if shard not in kept:
            # Once as it does it, which makes the file where there is none.
            with super()._connect(shard) as connection:
                engine = connection.engine
            kept[shard] = self._kept.stack.enter_context(engine.begin())
        yield kept[shard]

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        with self.at_once():
            for event in events:
                self.store_event(event)


class Storage(DagsterSqliteStorage):
    """Runs, events and schedules of an instance; the files are those of Dagster's own storage."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", _AT_ONCE)
        self._event_log_storage = EventLog(str(Path(base_dir) / "history" / "runs"))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Storage:
        return cls.from_local(inst_data=inst_data, **config_value)
