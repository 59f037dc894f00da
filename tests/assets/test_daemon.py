"""Dagster's daemon at work on a data root, with nobody at the keyboard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb

from assets.instance import environment
from pipelines import books
from pipelines.paths import DataRoot
from pipelines.periods import start_of
from tests.assets.conftest import call, land_calls

_AT_MOST_S = 300


@contextmanager
def daemon(root: DataRoot, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "assets.definitions"]
    with (
        log.open("wb") as said,
        subprocess.Popen(
            command, env={**os.environ, **environment(root)}, stdout=said, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _AT_MOST_S
    while not happened():
        assert process.poll() is None, log.read_text(encoding="utf-8")[-4000:]
        assert time.monotonic() < end, log.read_text(encoding="utf-8")[-4000:]
        time.sleep(1)


def asked(instance: dg.DagsterInstance, tag: str, name: str) -> bool:
    return bool(instance.get_run_records(dg.RunsFilter(tags={tag: name}), limit=1))


def succeeded(instance: dg.DagsterInstance, tag: str, name: str) -> bool:
    wanted = dg.RunsFilter(tags={tag: name}, statuses=[dg.DagsterRunStatus.SUCCESS])
    return bool(instance.get_run_records(wanted, limit=1))


def calls_published(export: Path) -> int:
    """Calls of a week as its export has them; a manifest is written last."""
    if not (export / "manifest.json").is_file():
        return 0
    json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    file = str(export / "showback.parquet")
    return int(duckdb.sql(f"select coalesce(sum(requests), 0) from read_parquet('{file}')").fetchall()[0][0])


def test_files_dropped_into_landing_are_booked_and_the_week_is_published_with_nobody_there(
    root: DataRoot, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The weekly schedule is set to every minute, so that its turn comes while the test waits.

    Two calls were booked by a run whose export was then lost; a third lands while the run that the schedule asked for waits or
    works. The sensor books it, the tables follow, and the week just ended is published: three calls. The schedule's turn is
    over by then: runs queue, and its own was first.
    """
    log = tmp_path / "daemon.log"
    last_week = start_of("week", datetime.now(UTC).date()) - timedelta(days=7)
    day = f"{last_week + timedelta(days=2)}T10:00:00Z"
    land_calls(root, "a.jsonl", call(1, day), call(2, day))
    root.settings.write_text('weekly_schedule = "* * * * *"\n', encoding="utf-8")
    books.run(root)
    export = root.showback_export(last_week)
    assert calls_published(export) == 2
    for path in export.iterdir():
        path.unlink()

    with daemon(root, log) as process:
        wait_for(lambda: asked(instance, "dagster/schedule_name", "weekly"), process, log)
        land_calls(root, "b.jsonl", call(3, day))
        wait_for(lambda: calls_published(export) == 3, process, log)
        wait_for(lambda: succeeded(instance, "dagster/sensor_name", "rebuild"), process, log)

    assert succeeded(instance, "dagster/schedule_name", "weekly")
    assert succeeded(instance, "dagster/sensor_name", "landing")
