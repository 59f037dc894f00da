"""How long a scenario takes over a year of one million requests a month, beside a bare scan of what it reads.

The ledger of the sample company is written again as so many calls: each call as several of other users at the same instant but for
some microseconds, and its fourteen weeks as four times fourteen. Costs, rates and cells go with them, so that the replay finds what
a run would have made. Every scenario is asked over all of it, on two threads and in the memory that a run has; processor seconds,
seconds, and how many times a scan of the columns that a call is priced by.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from pipelines import books, paths, sample
from pipelines.contract import TOKEN_CLASSES
from pipelines.engine import connect, one_row
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.periods import EVER
from pipelines.planner import Planner
from pipelines.reference.files import read
from pipelines.reference.tables import TABLES
from pipelines.settings import Settings
from pipelines.whatif.answer import answer
from pipelines.whatif.replay import inputs
from pipelines.whatif.scenarios import ALONE, scenarios_of

_GROWN = ("ledger_requests", "ledger_costs", "ledger_rates", "stat_rate_cells_weekly", "stat_usage_cells_weekly")
SAMPLE = 200_000
DAYS = 98
BLOCKS = 4
# What a call is priced by, but for its tokens.
_READ = "started_at, feature, customer_tier, user_id, provider, model_canonical"


def run(rows: int) -> None:
    """Print what each scenario takes over about ``rows`` calls."""
    with tempfile.TemporaryDirectory() as folder:
        root = DataRoot(Path(folder) / "books")
        sample.write(root, requests=SAMPLE)
        books.run(root)
        measure(root, Path(folder) / "grown", rows)


def measure(root: DataRoot, folder: Path, rows: int) -> None:
    """The same for books that stand."""
    folder.mkdir(exist_ok=True)
    with connect(Settings(threads=2), root.scratch) as con:
        planner = Planner(Lake(root), models())
        for name in inputs():
            planner.create_view(con, name, EVER)
        first = one_row(con, "select min(cast(started_at as date)) from ledger_requests where is_billable_leaf")[0]
        copies = max(rows // BLOCKS // SAMPLE, 1)
        for name in _GROWN:
            if not list(folder.glob(f"{name}-*")):
                _grow(con, name, folder, first, copies)
            con.execute(f"create or replace temp view {name} as from read_parquet('{folder}/{name}-*.parquet')")
        end = first + timedelta(days=DAYS * BLOCKS)
        calls = one_row(con, "select count(*) from ledger_requests where is_billable_leaf")[0]
        tokens = ", ".join(f"sum({one.tokens})" for one in TOKEN_CLASSES)
        scan, _ = _timed(
            lambda: con.execute(
                f"select {tokens}, {', '.join(f'max({name})' for name in _READ.split(', '))} from ledger_requests where is_billable_leaf"
            ).fetchall()
        )
        print(
            f"\n{calls:,} calls of {(end - first).days} days; a bare scan of what prices them: {scan:.1f} processor seconds"
        )
        scenarios, _ = read(TABLES["scenarios"], paths.SHIPPED_DATA / "scenarios.csv", "scenarios.csv")
        for name in dict.fromkeys(str(row["scenario"]) for row in scenarios):
            given = ["to_model=openai/gpt-4o-mini"] if name in ("vendor", "byom") else []
            asked = scenarios_of(scenarios, name, given)
            if any(lever.name in ALONE for one in asked for lever in one.levers):
                continue
            spent, wall = _timed(lambda asked=asked: answer(con, scenarios, asked, first, end))  # type: ignore[misc]
            print(
                f"{name:16s} {spent:7.1f} processor seconds {wall:7.1f} seconds {spent / scan:6.1f} scans", flush=True
            )


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    began, clock = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    work()
    ended = resource.getrusage(resource.RUSAGE_SELF)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime, time.monotonic() - clock


def _grow(con: duckdb.DuckDBPyConnection, name: str, folder: Path, first: date, copies: int) -> None:
    """A table again for each block of weeks, in files of two weeks, ordered as the lake keeps them."""
    model = models()[name]
    types = model.types
    days = {column: f"{column} + {DAYS} * block" for column, type_ in types.items() if type_ == "DATE"}
    moved = {
        **{column: f"cast({text} as date)" for column, text in days.items()},
        **{
            column: f"case when year({column}) > 9000 then {column} else {column} + to_days(cast({DAYS} * block as integer)) end"
            for column, type_ in types.items()
            if type_ == "TIMESTAMP WITH TIME ZONE"
        },
    }
    by_call, by_user = name in ("ledger_requests", "ledger_costs"), name == "stat_usage_cells_weekly"
    if by_call:
        moved["started_at"] = f"started_at + to_microseconds(61 * twin) + to_days(cast({DAYS} * block as integer))"
        moved["request_key"] = "md5(concat_ws('|', request_key, block, twin))"
    elif name == "stat_rate_cells_weekly":
        moved |= {
            column: f"cast({column} * {copies} as {type_})"
            for column, type_ in types.items()
            if column == "requests"
            or (column.endswith(("_tokens", "_requests", "_cost_usd")) and column != "ctx_min_tokens")
        }
    if by_call or by_user:
        moved |= {
            column: f"{column} || '-' || twin"
            for column in ("user_id", "session_id", "prompt_hash", "cluster_id")
            if column in types
        }
    chosen = ", ".join(f"{text} as {column}" for column, text in moved.items())
    order = ", ".join(model.sort_columns)
    ours, twins = "block", ""
    if by_call or by_user:
        ours, twins = "block, twin", f"cross join (select unnest(range({copies})) as twin)"
    for block in range(BLOCKS):
        for start in range(0, DAYS + 7, 14) if by_call else [0]:
            within = (
                f"where started_at >= timestamptz '{first + timedelta(days=start)} 00:00:00+00' "
                f"and started_at < timestamptz '{first + timedelta(days=start + 14)} 00:00:00+00'"
                if by_call
                else ""
            )
            con.execute(
                f"copy (select * exclude ({ours}) replace ({chosen}) from (select *, {block} as block from {name} {within}) "
                f"{twins} order by {order}) to '{folder}/{name}-{block}-{start:03}.parquet' (format parquet, compression zstd)"
            )
