"""A company of a few calls, and runs of the jobs over its data root."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy

from assets.instance import environment, instance_of
from pipelines import books
from pipelines.paths import DataRoot
from tests.conftest import made_once

# 2026-11-18: files of the company were written then, so that no path and no clock of a test enters a table.
WRITTEN_AT_S = 1_795_003_200
# Beside the folders of a data root: what its run reported.
REPORT = "report_of_the_run.json"


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def _do_not_wait_for_the_disk(connection: Any, _: object) -> None:
    """Dagster's instance of a test need not outlive a power failure: each of its events would wait for the disk."""
    connection.execute("pragma synchronous = off")


def call(number: int, at: str, **given: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1_000 * number, "completion_tokens": 10, "total_tokens": 1_000 * number + 10}
    return {
        "id": f"call-{number}",
        "timestamp": at,
        "provider": "openai",
        "api": "openai.chat",
        "model": "gpt-4o",
        "usage": usage,
        "feature": "search",
    } | given


def land_calls(root: DataRoot, name: str, *calls: dict[str, Any]) -> Path:
    path = root.landing / "app_log" / "web" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one) + "\n" for one in calls), encoding="utf-8")
    os.utime(path, (WRITTEN_AT_S, WRITTEN_AT_S))
    return path


def land_company(root: DataRoot) -> None:
    """Two weeks apart, over a month's end, one record that cannot be read."""
    land_calls(root, "a.jsonl", call(1, "2026-09-28T10:00:00Z"), call(2, "2026-09-30T10:00:00Z", team="core"))
    land_calls(root, "b.jsonl", call(3, "2026-10-13T10:00:00Z"), call(4, "yesterday"))


@pytest.fixture(scope="session")
def direct(tmp_path_factory: pytest.TempPathFactory) -> tuple[DataRoot, dict[str, Any]]:
    """The company after a run without Dagster, and what that run reported: made once for all workers. Read only."""

    def make(root: DataRoot) -> None:
        land_company(root)
        (root.path / REPORT).write_text(json.dumps(books.run(root).as_dict()), encoding="utf-8")

    made = made_once(tmp_path_factory, "company", make)
    return made, json.loads((made.path / REPORT).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def books_of() -> Iterator[Callable[[DataRoot], DataRoot]]:
    """``books_of(root)`` makes a data root the one that Dagster works on."""
    with pytest.MonkeyPatch.context() as patch:

        def choose(root: DataRoot) -> DataRoot:
            for name, value in environment(root).items():
                patch.setenv(name, value)
            return root

        yield choose


@pytest.fixture
def instance(root: DataRoot, books_of: Callable[[DataRoot], DataRoot]) -> Iterator[dg.DagsterInstance]:
    """The instance of an empty data root, which is the one that Dagster works on."""
    books_of(root)
    with instance_of(root) as found:
        yield found
