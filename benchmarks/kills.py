"""``python -m benchmarks.kills [--kills N] [--seed N]``: runs that are killed at random instants, and what they leave.

Half of the runs are the first one over the company's files, half read a late file into books that were up to date. Each is
killed (SIGKILL) at an instant of an undisturbed run. Afterwards every file that the lake counts, and every view, must be
readable, and the next run must end with the books of the undisturbed one, row for row. Ends with 1 where anything does not.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from benchmarks.light import write_calls
from benchmarks.same_books import compare
from pipelines.lake import Lake
from pipelines.paths import DataRoot
from pipelines.views import open_views

TOKENBOOKS = Path(sys.executable).parent / "tokenbooks"
CALLS, DAYS = 2_000, 40


def faults(root: DataRoot) -> list[str]:
    """What a reader cannot read: files that count, their rows, and the views of the last run that ended."""
    found = []
    lake = Lake(root)
    for table in lake.tables():
        rows: dict[str, int] = {}
        for part in lake.parts(table):
            rows[part.path] = rows.get(part.path, 0) + part.rows
        for path, counted in rows.items():
            try:
                there = pl.scan_parquet(root.path / path, hive_partitioning=False).select(pl.len()).collect().item()
            except (OSError, pl.exceptions.PolarsError) as error:
                found.append(f"{path}: {error}")
            else:
                if there != counted:
                    found.append(f"{path}: {there} rows, its periods say {counted}")
    if root.views.is_file():
        with open_views(root) as con:
            for (view,) in con.execute("select view_name from duckdb_views() where not internal").fetchall():
                try:
                    con.execute(f'select * from "{view}"').fetchall()
                except duckdb.Error as error:
                    found.append(f"view {view}: {error}")
    return found


def run_killed(root: Path, after_s: float) -> bool:
    """Start a run and kill it; whether it was still at work."""
    with subprocess.Popen(
        [TOKENBOOKS, "run", "--root", root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def run_whole(root: Path) -> float:
    """A run to its end; its seconds."""
    began = time.monotonic()
    subprocess.run([TOKENBOOKS, "run", "--root", root], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def land_late(root: Path) -> None:
    """Calls of days that the books have already, in a file of their own."""
    other = root / "late"
    write_calls(other, CALLS // 10, DAYS)
    (other / "landing" / "app_log" / "calls.jsonl").replace(root / "landing" / "app_log" / "late.jsonl")
    text = (root / "landing" / "app_log" / "late.jsonl").read_text(encoding="utf-8")
    (root / "landing" / "app_log" / "late.jsonl").write_text(text.replace('"call-', '"late-'), encoding="utf-8")
    shutil.rmtree(other)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill, look, run again, compare."""
    parser = argparse.ArgumentParser(prog="benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    chance = random.Random(given.seed)
    broken = 0
    with tempfile.TemporaryDirectory() as folder:
        empty, books, late = Path(folder) / "empty", Path(folder) / "books", Path(folder) / "late"
        write_calls(empty, CALLS, DAYS)
        shutil.copytree(empty, books)
        first_s = run_whole(books)
        shutil.copytree(books, late)
        land_late(late)
        after_late = Path(folder) / "after_late"
        shutil.copytree(late, after_late)
        late_s = run_whole(after_late)
        for number in range(given.kills):
            is_first = number % 2 == 0
            start, wanted, takes_s = (empty, books, first_s) if is_first else (late, after_late, late_s)
            root = DataRoot(Path(folder) / "killed")
            shutil.copytree(start, root.path)
            after_s = chance.uniform(0.05, 1) * takes_s
            was_at_work = run_killed(root.path, after_s)
            found = faults(root)
            run_whole(root.path)
            found += [line for one in compare(root, DataRoot(wanted)) if not one.is_equal for line in one.lines()]
            broken += bool(found)
            what = "first run" if is_first else "late file"
            said = "readable, and the next run ends equal" if not found else "; ".join(found)
            print(f"{what}, {'killed' if was_at_work else 'over'} after {after_s:5.2f} s: {said}", flush=True)
            shutil.rmtree(root.path)
    print(f"{given.kills} kills, {broken} that left something broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
