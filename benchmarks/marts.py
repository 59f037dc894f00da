"""What the tables about units, drivers, changes, levers and alerts cost beside the ledger that they stand on.

The sample company at five times its size (1,000,000 calls of 14 weeks) is read and built in one run. The processor seconds of each table
are those of planning it, building it and counting its checks. Then a file of 1,000 calls of one past
day is put beside the others, and the tables that it wakes are printed with their seconds.
"""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipelines import books, sample
from pipelines.books import Books
from pipelines.models import models
from pipelines.paths import DataRoot
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
        whole = _seconds(root)
        ledger = sum(whole.get(table, 0) for table in LEDGER)
        ours = {table: whole[table] for table in _tables() if table in whole}
        times = sum(ours.values()) / ledger
        print(f"\n{requests:,} calls of 14 weeks, processor seconds")
        print(f"{ledger:8.1f}  {' + '.join(LEDGER)}")
        print(
            f"{sum(ours.values()):8.1f}  {len(ours)} tables about units, drivers, changes, levers and alerts ({times:.2f} times)"
        )
        for table, seconds in sorted(ours.items(), key=lambda one: -one[1]):
            print(f"{seconds:8.2f}    {table}")
        nothing = _seconds(root)
        _land_late(root)
        late = _seconds(root)
        theirs = sum(late.get(table, 0) for table in ours)
        print(f"A run with nothing new {sum(nothing.values()):.1f}")
        print(
            f"A late file of {LATE_CALLS:,} calls of {LATE_DAY}: {sum(late.values()):.1f}, of which these tables {theirs:.1f}"
        )
        for table in ours:
            if late.get(table, 0) > 0.05:
                print(f"{late[table]:8.2f}    {table}")


def _tables() -> list[str]:
    """Every table above the ledger that these questions brought, and what only they read."""
    return [
        name
        for name, model in models().items()
        if model.layer == "statistics" or model.subject in SUBJECTS or name == "ledger_sessions"
    ]


def _seconds(root: DataRoot) -> Mapping[str, float]:
    """Processor seconds of a run by table: planning, building, counting its checks."""
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
    return spent


def _land_late(root: DataRoot) -> None:
    """Calls of a day again, under other ids: a file that was forgotten."""
    [path] = sorted((root.landing / "app_log").rglob(f"*{LATE_DAY}*"))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line for line, _ in zip(file, range(LATE_CALLS), strict=False)]
    late = "".join(lines)
    for name in IDS:
        late = late.replace(name, f"{name}late-")
    path.with_name("late.jsonl").write_text(late, encoding="utf-8")
