"""What a user types, from a fresh process: the first run, a run with nothing new, the sample company, a large log, a late file.

Each figure stands beside its measure: importing the packages, or the bare engine, in the same session. With ``--base`` the
commands of another checkout, installed in its own ``.venv``, are measured beside ours.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks import app_log
from benchmarks.processes import Cost, measure

THREE = "import duckdb, polars, pyarrow"
FIVE = f"{THREE}, great_expectations, dagster"
CALLS = 1_000
# The last day of the log that app_log writes: a late file is of one in its middle.
LATE_DAY = date(2026, 9, 7)


@dataclass(frozen=True)
class Line:
    """One measure: what was run, what it took, beside what it is judged, and how many times that it may be."""

    what: str
    cost: Cost
    beside: Cost | None = None
    at_most: float | None = None
    base: Cost | None = None
    note: str = ""

    def as_markdown(self) -> str:
        """A row of a table: CPU seconds, wall seconds, peak, ratio and measure, the base's CPU seconds, a note."""
        ratio = self.cost.cpu_s / self.beside.cpu_s if self.beside else None
        judged = f"{ratio:.2f}" + (f" (at most {self.at_most:g})" if self.at_most else "") if ratio else ""
        base = f"{self.base.cpu_s:.1f}" if self.base else ""
        return (
            f"| {self.what} | {self.cost.cpu_s:.2f} | {self.cost.wall_s:.1f} | {self.cost.peak_mib:,.0f} | {judged} | {base} | "
            f"{self.note} |"
        )


HEADING = "| work | CPU s | wall s | peak MiB | times its measure | base, CPU s | |\n|---|---:|---:|---:|---|---:|---|"


class Commands:
    """``tokenbooks`` of a checkout, as installed there."""

    def __init__(self, checkout: Path | None) -> None:
        self._program = (checkout / ".venv" / "bin" if checkout else Path(sys.executable).parent) / "tokenbooks"

    def __call__(self, *arguments: str | Path) -> Cost:
        return measure([self._program, *arguments])

    def median(self, *arguments: str | Path) -> Cost:
        """The median of five, for what takes a second or two."""
        return sorted((self(*arguments) for _ in range(5)), key=lambda cost: cost.cpu_s)[2]


def write_calls(root: Path, calls: int, days: int) -> None:
    """A log of ``calls`` calls evenly over ``days`` days, by ten features and three teams."""
    path = root / "landing" / "app_log" / "calls.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    first = datetime(2025, 9, 1, 8, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as lines:
        for number in range(calls):
            at = first + timedelta(days=number * days // calls, minutes=number % 600)
            line = {
                "id": f"call-{number}",
                "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "provider": "openai",
                "api": "openai.chat",
                "model": ("gpt-4o-2024-08-06", "gpt-5-mini")[number % 2],
                "usage": {
                    "prompt_tokens": 900 + number % 700,
                    "completion_tokens": 100,
                    "total_tokens": 1000 + number % 700,
                },
                "feature": f"feature-{number % 10}",
                "team": f"team-{number % 3}",
            }
            lines.write(json.dumps(line) + "\n")


def start_up(ours: Commands, base: Commands | None) -> Iterator[Line]:
    """The first run of ten calls, and what is typed most often afterwards."""
    three, five = (_imports(text) for text in (THREE, FIVE))
    yield Line("importing duckdb, polars, pyarrow", three)
    yield Line("and great_expectations, dagster", five)
    yield Line("`tokenbooks --help`", ours.median("--help"), three, 0.4, base.median("--help") if base else None)
    with _root(lambda root: write_calls(root, 10, 2)) as (root, other):
        yield Line("ten calls, `run --direct`", ours("run", "--direct", "--root", root))
        shutil.rmtree(root / "lake")
        shutil.rmtree(root / "exports")
        (root / "tokenbooks.duckdb").unlink()
        yield Line(
            "ten calls, `run`", ours("run", "--root", root), five, 2, base("run", "--root", other) if base else None
        )
        for what, arguments in (
            ("nothing new, `run`", ("run",)),
            ("`status`", ("status",)),
            ("`sql 'select 1'`", ("sql", "select 1")),
        ):
            ran = ours.median(*arguments, "--root", root)
            yield Line(what, ran, three, 2, base.median(*arguments, "--root", other) if base else None)


def sample_company(ours: Commands, base: Commands | None) -> Iterator[Line]:
    """200,000 calls, 98 days, bills, traces and spans."""
    from pipelines import sample
    from pipelines.paths import DataRoot

    five = _imports(FIVE)
    with _root(lambda root: sample.write(DataRoot(root))) as (root, other):
        direct = ours("run", "--direct", "--root", root)
        files = len(list((root / "lake").rglob("*.parquet")))
        before = base("run", "--direct", "--root", other) if base else None
        yield Line(
            "sample company, `run --direct`", direct, five, 6, before, f"{files} files in the lake (at most 400)"
        )
    with _root(lambda root: sample.write(DataRoot(root))) as (root, _):
        yield Line("sample company, `run`", ours("run", "--root", root), direct, 1.3)


def large_log(ours: Commands, base: Commands | None, rows: int) -> Iterator[Line]:
    """Lines of app_log over 14 days, then 1,000 more for one of them."""
    from pipelines.models import models

    ledger = [name for name in models() if name in _upstream("ledger_costs")]
    with _root(lambda root: app_log.write_lines(root / "landing" / "app_log" / "calls.jsonl", rows)) as (root, other):
        lines = root / "landing" / "app_log" / "calls.jsonl"
        bare = measure([sys.executable, "-c", app_log.bare_engine(lines, root / "bare.parquet")])
        yield Line(f"{rows:,} lines, bare read_json to Parquet", bare)
        selected = [part for name in ledger for part in ("--select", name)]
        yield Line(
            f"{rows:,} lines, to the priced ledger", ours("run", "--direct", "--root", root, *selected), bare, 3.5
        )
        shutil.rmtree(root / "lake")
        before = base("run", "--direct", "--root", other) if base else None
        whole = ours("run", "--direct", "--root", root)
        size = sum(
            path.stat().st_size
            for table in ("ledger_requests", "ledger_costs")
            for path in (root / "lake" / table).rglob("*.parquet")
        )
        yield Line(
            f"{rows:,} lines, whole run", whole, bare, 6, before, f"{size / rows:.0f} B a row of ledger (at most 80)"
        )
        nothing = ours.median("run", "--root", root)
        yield Line(f"{rows:,} lines, nothing new", nothing)
        app_log.write_late(root / "landing" / "app_log" / "late.jsonl", CALLS, LATE_DAY)
        app_log.write_late(other / "landing" / "app_log" / "late.jsonl", CALLS, LATE_DAY)
        late = ours("run", "--direct", "--root", root)
        before = base("run", "--direct", "--root", other) if base else None
        yield Line(f"a late file of {CALLS:,} lines for one day", late, nothing, 3, before)


def over_a_year(ours: Commands, base: Commands | None) -> Iterator[Line]:
    """The same number of calls on one day, on each day of a year, and over ten years."""
    with _root(lambda root: write_calls(root, CALLS, 1)) as (root, _):
        day = ours("run", "--direct", "--root", root)
        yield Line(f"{CALLS:,} calls on one day, `run --direct`", day)
    with _root(lambda root: write_calls(root, CALLS, 365)) as (root, other):
        before = base("run", "--direct", "--root", other) if base else None
        year = ours("run", "--direct", "--root", root)
        yield Line(f"{CALLS:,} calls over a year, `run --direct`", year, day, 2, before)
    with _root(lambda root: write_calls(root, CALLS, 365)) as (root, _):
        told = ours("run", "--root", root)
        yield Line(
            f"{CALLS:,} calls over a year, `run`",
            told,
            year,
            None,
            None,
            f"{told.cpu_s - year.cpu_s:.1f} CPU s more (at most 5)",
        )
    with _root(lambda root: write_calls(root, CALLS, 3650)) as (root, _):
        yield Line(f"{CALLS:,} calls over ten years, `run --direct`", ours("run", "--direct", "--root", root))


def busy_day(ours: Commands, rows: int) -> Iterator[Line]:
    """Every call on one day: what a period costs that no memory holds."""
    with _root(lambda root: app_log.write_lines(root / "landing" / "app_log" / "calls.jsonl", rows, days=1)) as (
        root,
        _,
    ):
        yield Line(f"{rows:,} lines on one day, whole run", ours("run", "--direct", "--root", root))


PARTS = ("start_up", "sample_company", "over_a_year", "large_log", "busy_day")


def run(rows: int, base: Path | None = None, busy_rows: int = 0, part: str = "") -> None:
    """Measure and print, line by line; ``part`` is one of PARTS, all of them without it."""
    ours, before = Commands(None), Commands(base) if base else None
    parts: dict[str, Callable[[], Iterator[Line]]] = {
        "start_up": lambda: start_up(ours, before),
        "sample_company": lambda: sample_company(ours, before),
        "over_a_year": lambda: over_a_year(ours, before),
        "large_log": lambda: large_log(ours, before, rows),
        "busy_day": lambda: busy_day(ours, busy_rows),
    }
    print(HEADING, flush=True)
    for name in PARTS:
        if part == name or not (part or (name == "busy_day" and not busy_rows)):
            for line in parts[name]():
                print(line.as_markdown(), flush=True)


def _imports(text: str) -> Cost:
    return sorted((measure([sys.executable, "-c", text]) for _ in range(3)), key=lambda cost: cost.cpu_s)[1]


@contextmanager
def _root(fill: Callable[[Path], None]) -> Iterator[tuple[Path, Path]]:
    """A filled data root, and a copy of it for the base."""
    with tempfile.TemporaryDirectory() as folder:
        root, other = Path(folder) / "books", Path(folder) / "base"
        root.mkdir()
        fill(root)
        shutil.copytree(root, other)
        yield root, other


def _upstream(table: str) -> set[str]:
    from pipelines.models import models

    found, open_ = {table}, [table]
    while open_:
        new = {name for name in models()[open_.pop()].inputs if name in models()} - found
        found |= new
        open_ += new
    return found
