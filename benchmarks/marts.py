"""What the tables about units, drivers, changes, levers and alerts cost beside the ledger that they stand on.

The sample company at five times its size (1,000,000 calls of 14 weeks) is read and built in one run. The processor seconds of each table
are those of planning it, building it and counting its checks. Then a file of 1,000 calls of one past
day is put beside the others: every table that it wakes is printed with the periods that were built again, of how many, and its seconds.
"""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipelines import books, sample
from pipelines.books import Books
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.periods import end_of
from pipelines.runner import Built
from pipelines.sample.workloads import WORKLOADS

LEDGER = ("ledger_requests", "ledger_costs")
SUBJECTS = ("economics", "drivers", "levers", "alerts")
REST = "reading, publishing and the rest"
LATE_DAY = date(2026, 9, 23)
LATE_CALLS = 1_000
IDS = ('"id":"', '"response_id":"')


def run(requests: int) -> None:
    """Print processor seconds table by table, and what a late file wakes."""
    with tempfile.TemporaryDirectory() as folder:
        root = DataRoot(Path(folder))
        sample.write(root, requests=requests, sources={one.name: "app_log" for one in WORKLOADS})
        whole = _run(root).seconds
        ledger = sum(whole.get(table, 0) for table in LEDGER)
        ours = {table: whole[table] for table in _tables() if table in whole}
        times = sum(ours.values()) / ledger
        print(f"\n{requests:,} calls of 14 weeks, processor seconds")
        print(f"{ledger:8.1f}  {' + '.join(LEDGER)}")
        print(
            f"{sum(ours.values()):8.1f}  {len(ours)} tables about units, drivers, changes, levers and alerts "
            f"({times:.2f} times; aimed at: 1)"
        )
        for table, seconds in sorted(ours.items(), key=lambda one: -one[1]):
            print(f"{seconds:8.2f}    {table}")
        _late(root, ours)


def _late(root: DataRoot, ours: Collection[str]) -> None:
    """Print what a late file of one day wakes, beside a run with nothing new."""
    nothing = _run(root)
    _land_late(root)
    late = _run(root)
    theirs = sum(late.seconds.get(table, 0) for table in ours)
    print(f"\nA run with nothing new: {sum(nothing.seconds.values()):.1f}, {len(nothing.built)} tables built")
    print(
        f"A late file of {LATE_CALLS:,} calls of {LATE_DAY}: {sum(late.seconds.values()):.1f}, {len(late.built)} tables built; "
        f"those about units, drivers, changes, levers and alerts {theirs:.1f}"
    )
    print("Aimed at: its day, its week, its month, and the periods that read these back. Built again, and seconds:")
    lake = Lake(root)
    for one in late.built:
        periods = _said_of(one.partitions, one.model.partition)
        of_all = len(lake.parts(one.model.name))
        print(
            f"{late.seconds[one.model.name]:8.2f}    {one.model.name:34s} {len(one.partitions):3d} of {of_all:3d}  {periods}"
        )


def _said_of(labels: Sequence[str], grain: str | None) -> str:
    """Periods as a person reads them: those that follow each other as the first and the last of them."""
    if grain is None:
        return "all"
    stretches: list[list[date]] = []
    for day in sorted(map(date.fromisoformat, labels)):
        if stretches and end_of(grain, stretches[-1][-1]) == day:
            stretches[-1].append(day)
        else:
            stretches.append([day])
    return f"{grain} " + ", ".join(str(one[0]) if len(one) == 1 else f"{one[0]} to {one[-1]}" for one in stretches)


def _tables() -> list[str]:
    """Every table above the ledger that these questions brought, and what only they read."""
    return [
        name
        for name, model in models().items()
        if model.layer == "statistics" or model.subject in SUBJECTS or name == "ledger_sessions"
    ]


@dataclass(frozen=True)
class _Ran:
    """A run: processor seconds by table, and what was built."""

    seconds: Mapping[str, float]
    built: Sequence[Built]


def _run(root: DataRoot) -> _Ran:
    """Run and take the processor seconds by table: planning, building, counting its checks."""
    spent: dict[str, float] = {}
    build = Books.build

    def timed(self: Books, table: str, **more: Any) -> Built:
        began = time.process_time()
        built = build(self, table, **more)
        spent[table] = time.process_time() - began
        return built

    began = time.process_time()
    with patch.object(Books, "build", timed):
        report = books.run(root)
    spent[REST] = time.process_time() - began - sum(spent.values())
    assert not report.is_blocked, report.failed
    return _Ran(spent, report.built)


def _land_late(root: DataRoot) -> None:
    """Calls of a day again, under other ids: a file that was forgotten."""
    [path] = sorted((root.landing / "app_log").rglob(f"*{LATE_DAY}*"))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line for line, _ in zip(file, range(LATE_CALLS), strict=False)]
    late = "".join(lines)
    for name in IDS:
        late = late.replace(name, f"{name}late-")
    path.with_name("late.jsonl").write_text(late, encoding="utf-8")
