"""What the help desk says came of the work: one record a task, some hours or days after its last call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

import polars as pl

from pipelines.sample import company
from pipelines.sample.chance import Chance, Grid

_MINUTES_LATER = Grid((2, 5, 12, 20, 90, 400, 1_300, 2_600, 3_300, 4_200, 5_600))


def month_files(calls: pl.DataFrame) -> Iterator[tuple[date, str]]:
    """The text of each month's file. What would be told after the sample's end is not known yet."""
    units = {workload.name: workload.outcomes.unit for workload in company.WORKLOADS}
    told = calls.filter(pl.col("is_last"), pl.col("outcome").is_not_null(), told_by="system")
    told = told.with_columns(
        pl.col("workload").replace_strict(units).alias("unit"),
        pl.Series("minutes_later", Chance(company.SEED, "outcomes").quantities(len(told), _MINUTES_LATER)),
    ).with_columns(recorded_at=(pl.col("ended_at") + pl.duration(minutes="minutes_later")).dt.truncate("1s"))
    end = datetime(company.END.year, company.END.month, company.END.day, tzinfo=UTC)
    told = told.filter(pl.col("recorded_at") < end).sort("recorded_at", "task_id")
    for (month,), rows in told.group_by(pl.col("recorded_at").dt.date().dt.month_start(), maintain_order=True):
        yield month, "".join(_line(row) for row in rows.iter_rows(named=True))


def _line(row: dict[str, object]) -> str:
    recorded_at = row["recorded_at"]
    assert isinstance(recorded_at, datetime)
    record = {"task_id": row["task_id"], "outcome": row["outcome"], "recorded_at": f"{recorded_at:%Y-%m-%dT%H:%M:%SZ}"}
    if row["outcome"] == "success":
        record |= {"unit": row["unit"], "quantity": 1}
    return json.dumps(record, separators=(",", ":")) + "\n"
