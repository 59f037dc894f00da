"""What the help desk says came of the work: one record a task, some hours or days after its last call.

Where Langfuse sees the calls, the outcome is a score on the trace in place of a record here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl

from pipelines.sample import company
from pipelines.sample.app_log import json_lines
from pipelines.sample.chance import Chance, Grid
from pipelines.sample.workloads import WORKLOADS

_MINUTES_LATER = Grid((2, 5, 12, 20, 90, 400, 1_300, 2_600, 3_300, 4_200, 5_600))


def month_files(calls: pl.DataFrame, seed: int) -> Iterator[tuple[date, bytes]]:
    """The text of each month's file. What is told later than the pull is not known yet."""
    units = {workload.name: workload.outcomes.unit for workload in WORKLOADS}
    told = calls.filter(pl.col("is_last"), pl.col("outcome").is_not_null(), told_by="system")
    told = told.with_columns(
        pl.col("workload").replace_strict(units).alias("unit"),
        pl.Series("minutes_later", Chance(seed, "outcomes").quantities(len(told), _MINUTES_LATER)),
    ).with_columns(recorded_at=(pl.col("ended_at") + pl.duration(minutes="minutes_later")).dt.truncate("1s"))
    told = told.filter(pl.col("recorded_at") < company.PULLED_AT).sort("recorded_at", "task_id")
    for (month,), rows in told.group_by(pl.col("recorded_at").dt.date().dt.month_start(), maintain_order=True):
        yield month, json_lines(rows.select(_line()))


def _line() -> pl.Expr:
    unit = pl.when(outcome="success").then(pl.concat_str(pl.lit(',"unit":"'), "unit", pl.lit('","quantity":1')))
    return pl.concat_str(
        pl.lit('{"task_id":"'),
        "task_id",
        pl.lit('","outcome":"'),
        "outcome",
        pl.lit('","recorded_at":"'),
        pl.col("recorded_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        pl.lit('"'),
        unit.fill_null(""),
        pl.lit("}"),
    )
