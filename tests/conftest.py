"""What the tests share: the real SQL over rows written in the test, and whole runs over a data root in a temporary folder."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipelines import books, paths, reference
from pipelines.engine import connect, named_rows
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.reference import files
from pipelines.reference.tables import ReferenceTable
from pipelines.settings import Settings
from tests.connections import fresh
from tests.sources.together import Place, lay
from tests.tables import Rows, create, empty, types_of
from tests.weeks import Weeks, books_of_weeks

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden" / "books"
# Files that take longest, or wait for a clock, longest first: begun last, one of them would keep a worker busy after the others are done.
LONGEST = (
    "assets/test_daemon.py",
    "test_sample_company.py",
    "test_reading.py",
    "assets/test_runs.py",
    "test_periods.py",
    "test_models.py",
    "test_close.py",
    "sources/test_same_books.py",
    "test_cli.py",
    "test_identities.py",
    "prices/test_commands.py",
    "sources/test_cloud_bills.py",
    "whatif/test_answers.py",
    "test_bad_input.py",
    "usage/test_usage_shapes.py",
    "test_unmet.py",
    "drivers/test_statistics.py",
    "sources/test_bad_files.py",
    "sources/test_late_keys.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which workers take files (``make test``): within a file the order stays."""
    places = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def upstream(*names: str) -> list[str]:
    """These tables and all that they are built from: a run of these is enough for a test that looks at no other."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in models() and name not in found:
            found.add(name)
            left += models()[name].inputs
    return sorted(found)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[DataRoot], None]) -> DataRoot:
    """A data root that is made once for all workers: by the first that asks, while the others wait."""
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    made = DataRoot(shared / name)
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.path.is_dir():
            root = DataRoot(shared / f"{name}.making")
            make(root)
            root.path.rename(made.path)
    return made


@pytest.fixture(scope="session")
def golden_books(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """The books of the golden company, made once for all workers. To be read only: a test that changes them takes a copy."""

    def make(root: DataRoot) -> None:
        shutil.copytree(GOLDEN / "landing", root.landing)
        shutil.copytree(GOLDEN / "reference", root.reference)
        report = books.run(root)
        assert not report.is_blocked, report.failed

    return made_once(tmp_path_factory, "golden", make)


@pytest.fixture(scope="session", autouse=True)
def _what_is_shipped_is_read_once() -> Iterator[None]:
    """Hundreds of tests make a data root of their own; the shipped rows are alike in all."""
    read = files.read
    read_already: dict[Any, Any] = {}

    def read_once(table: ReferenceTable, path: Path, shown_as: str) -> Any:
        if not path.is_relative_to(paths.SHIPPED_DATA):
            return read(table, path, shown_as)
        key = (table.name, path, path.stat().st_mtime_ns, shown_as)
        if key not in read_already:
            read_already[key] = read(table, path, shown_as)
        rows, problems = read_already[key]
        return [dict(row) for row in rows], list(problems)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "read", read_once)
        yield


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The reference tables of a data root without rows of its own, written once. To be read only."""
    root = DataRoot(tmp_path_factory.mktemp("shipped"))
    lake = Lake(root)
    with connect(Settings(threads=2), root.scratch) as con:
        reference.refresh(con, root, lake)
    return lake


@pytest.fixture
def run(shipped: Lake) -> Callable[..., list[dict[str, Any]]]:
    """``run(model, **tables)``: the rows that a model's real SQL file gives for rows of its inputs.

    Each input is a table of the model's own types; what a row leaves out has its default, else is null. Reference tables that
    are not given are empty but for what we ship.
    """

    def run_model(name: str, **tables: Rows) -> list[dict[str, Any]]:
        model = models()[name]
        with fresh(shipped.root.scratch) as con:
            for table in sorted(model.inputs):
                types = types_of(table)
                if table in tables:
                    create(con, table, types, tables[table])
                elif table == "ref_limits":
                    thresholds = shipped.absolute(shipped.part("ref_thresholds", None))
                    con.execute(f"create temp view ref_thresholds as from read_parquet('{thresholds}')")
                    con.execute(f"create table ref_limits as {models()[table].query}")
                elif table.startswith("ref_"):
                    part = shipped.part(table, None)
                    con.execute(
                        f"create table {table} as select * from read_parquet('{shipped.absolute(part)}')"
                        if part
                        else empty(table, types)
                    )
                else:
                    con.execute(empty(table, types))
            return named_rows(con, f"select * from ({model.query}) order by {', '.join(model.sort_columns)}")

    return run_model


@pytest.fixture
def weeks_of(tmp_path: Path, shipped: Lake) -> Iterator[Callable[..., Weeks]]:
    """``weeks_of(calls, **tables)``: the tables of statistics and marts over calls (tests/weeks.py)."""
    with ExitStack() as stack:
        number = 0

        def make(calls: Any, **more: Any) -> Weeks:
            nonlocal number
            number += 1
            root = DataRoot(tmp_path / f"books-{number}")
            return stack.enter_context(books_of_weeks(root, calls, begun=shipped.root, **more))

        yield make


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """An empty data root."""
    return DataRoot(tmp_path / "books")


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """The places of all tests of the module that are read together (tests/sources/together.py)."""
    return lay(request, tmp_path_factory.mktemp)


@pytest.fixture
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    """A test's own folder of the module's shared data root."""
    return places[request.node.nodeid]
