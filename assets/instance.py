"""Dagster's instance of a data root, and how it is told of what was done without a run of its own."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipelines import kept
from pipelines.lake import replace_text
from pipelines.paths import DataRoot

if TYPE_CHECKING:
    import dagster as dg

    from assets.runs import Materialized

_INSTANCE = """\
# Written by tokenbooks. What Dagster keeps lies beside this file.
telemetry:
  enabled: false
nux:
  enabled: false
storage:
  custom:
    module: assets.storage
    class: Storage
    config:
      base_dir: {env: TOKENBOOKS_DAGSTER}
"""
_KEPT_AS = "dagster"
# As Dagster's storage in SQLite lays them out; the one without a name is of what was done without a run.
_DATABASES = ("history/runs.db", "history/runs/index.db", "history/runs/.db", "schedules/schedules.db")
# Rows of one INSERT: SQLite takes 32,766 values in a statement, and an event is 7.
_AT_ONCE = 500


def environment(root: DataRoot) -> Mapping[str, str]:
    """The variables that a process of Dagster needs to work on a data root; what it writes stays below that."""
    root.dagster.mkdir(parents=True, exist_ok=True)
    home = Path(__file__).resolve().parent.parent
    if not (home / "dagster.yaml").is_file():
        # Installed without the checkout.
        home = root.dagster
        if not (home / "dagster.yaml").is_file():
            replace_text(home / "dagster.yaml", _INSTANCE)
    return {
        "TOKENBOOKS_DATA": str(root.path),
        "TOKENBOOKS_DAGSTER": str(root.dagster),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


@contextmanager
def instance_of(root: DataRoot) -> Iterator[dg.DagsterInstance]:
    """The instance of a data root. Its empty databases take half a second to make, so the installation keeps them."""
    os.environ.update(environment(root))
    _lay_out(root)
    # Dagster reads the environment when it is imported.
    import dagster as dg
    from dagster._core.instance.utils import RUNLESS_RUN_ID
    from dagster._core.storage.event_log import SqliteEventLogStorage

    is_new = not _is_laid_out(root)
    with dg.DagsterInstance.get() as instance:
        if is_new and isinstance(instance.event_log_storage, SqliteEventLogStorage):
            with instance.event_log_storage.run_connection(RUNLESS_RUN_ID):
                pass
            kept.keep(_KEPT_AS, _layout(), {name: _content(root.dagster / name) for name in _DATABASES})
        yield instance


def _lay_out(root: DataRoot) -> None:
    """Give a new instance its empty databases, whole or not at all."""
    if _is_laid_out(root) or (files := kept.read(_KEPT_AS, _layout())) is None:
        return
    with TemporaryDirectory(prefix=".", dir=root.dagster) as made:
        for name, content in files.items():
            (Path(made) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(made) / name).write_bytes(content)
        # Where another process was faster, its own are there.
        with suppress(OSError):
            for folder in sorted(Path(made).iterdir(), reverse=True):
                folder.rename(root.dagster / folder.name)


def _is_laid_out(root: DataRoot) -> bool:
    return any((root.dagster / name).exists() for name in _DATABASES)


def _layout() -> str:
    return f"dagster {version('dagster')}, SQLite {sqlite3.sqlite_version}"


def _content(database: Path) -> bytes:
    with closing(sqlite3.connect(database)) as con:
        return con.serialize()


def tell(root: DataRoot, results: Iterable[tuple[Materialized, Mapping[str, Mapping[str, int | float]]]]) -> None:
    """Keep results of steps in the instance of a data root, each in its Dagster partitions (none: it has no partitions).

    A partition comes with what is said of it alone.
    """
    with instance_of(root) as instance:
        import dagster as dg

        earlier: list[dg.AssetMaterialization] = []
        last: list[dg.AssetMaterialization] = []
        verdicts: list[dg.AssetCheckEvaluation] = []
        for result, weeks in results:
            key = dg.AssetKey.from_coercible(result.asset_key or [])
            said = result.metadata or {}
            events = [
                dg.AssetMaterialization(key, metadata={**said, **figures}, partition=week)
                for week, figures in weeks.items()
            ] or [dg.AssetMaterialization(key, metadata=said)]
            earlier += events[:-1]
            last.append(events[-1])
            verdicts += [_evaluation(key, verdict) for verdict in result.check_results or ()]
        with at_once(instance):
            _keep_earlier(instance, earlier)
            for event in last:
                instance.report_runless_asset_event(event)
            for evaluation in verdicts:
                instance.report_runless_asset_event(evaluation)


def at_once(instance: dg.DagsterInstance) -> AbstractContextManager[None]:
    """One transaction for all events that are kept within, where the instance's storage knows how."""
    from assets.storage import EventLog

    storage = instance.event_log_storage
    return storage.at_once() if isinstance(storage, EventLog) else nullcontext()


def _evaluation(key: dg.AssetKey, result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    import dagster as dg

    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=str(result.check_name),
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
    )


def _keep_earlier(instance: dg.DagsterInstance, events: Sequence[dg.AssetMaterialization]) -> None:
    """Keep events that a later one of the same asset follows, many at once.

    What the instance keeps of an asset besides its events is that of the last one alone.
    """
    from dagster._core.events import DagsterEvent, DagsterEventType, StepMaterializationData
    from dagster._core.events.log import EventLogEntry
    from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
    from dagster._core.storage.event_log import SqlEventLogStorage

    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        for event in events:
            instance.report_runless_asset_event(event)
        return
    entries = [
        EventLogEntry(  # type: ignore[no-untyped-call]
            error_info=None,
            level="INFO",
            user_message="",
            run_id=RUNLESS_RUN_ID,
            timestamp=time.time(),
            job_name=RUNLESS_JOB_NAME,
            dagster_event=DagsterEvent(
                DagsterEventType.ASSET_MATERIALIZATION.value,
                RUNLESS_JOB_NAME,
                event_specific_data=StepMaterializationData(event),
            ),
        )
        for event in events
    ]
    for start in range(0, len(entries), _AT_ONCE):
        insert = storage.prepare_insert_event_batch(entries[start : start + _AT_ONCE])
        with storage.run_connection(RUNLESS_RUN_ID) as connection:
            connection.execute(insert)
        if storage.is_run_sharded:
            with storage.index_connection() as connection:
                connection.execute(insert)
