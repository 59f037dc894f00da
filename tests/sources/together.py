"""Tests of a module that lay files down and look at what became of them share one reading, for a reading costs a second.

A test that is marked ``together`` has two halves, parted by a ``yield``. The first halves of all such tests of a module lay
their files into one data root, each below a folder of its own; then all is read once; then each test goes on with what became
of its own files. What could stand in for each other in one account is made distinct by ``own`` of the module.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import reference
from pipelines.books import open_books
from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.runner import build
from tests.sources.landed import FATES, NOW, land

# A table -> what is built for it, in order; a staged table is there.
BUILT: Mapping[str, tuple[str, ...]] = {
    "ledger_files": FATES,
    "ledger_requests": (*FATES, "ledger_requests"),
    "ledger_bills": ("ledger_pulls", "ledger_models", "ledger_bills"),
}
Halves = Callable[..., Generator[None, None, None]]
Own = Callable[["Place", str, bytes], bytes]


@dataclass
class Reading:
    """A data root, read when the first test looks."""

    root: DataRoot
    warnings: list[str] | None = None
    remarks: list[str] = field(default_factory=list)
    _con: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    _built: set[str] = field(default_factory=set)
    _tables: set[str] = field(default_factory=set)

    def said(self) -> list[str]:
        if self.warnings is None:
            with open_books(self.root) as books:
                reference.refresh(books.con, self.root, books.lake)
                self.warnings = books.read_landing(now=NOW).warnings
                self.remarks = books.remarks()
        return self.warnings

    def rows(self, table: str, order: str, where: str) -> list[dict[str, Any]]:
        return named_rows(self._con, f"select * from {table} where {where} order by {order}") if self.has(table) else []

    def has(self, table: str) -> bool:
        """Whether there is such a table; it is read once."""
        self.said()
        if table not in self._tables:
            self._build([name for name in BUILT.get(table, ()) if name not in self._built])
            if not list(self.root.table(table).rglob("*.parquet")):
                return False
            self._con.execute("set TimeZone = 'UTC'")
            files = f"read_parquet('{self.root.table(table)}/**/*.parquet', hive_partitioning = false)"
            self._con.execute(f"create table {table} as select * from {files}")
            self._tables.add(table)
        return True

    def _build(self, names: list[str]) -> None:
        if names:
            with open_books(self.root) as books:
                if "ledger_models" in names:
                    # It names models as the price book does.
                    books.refresh_references()
                for name in names:
                    build(books.con, books.lake, books.planner, books.plan(name))
            self._built.update(names)


@dataclass
class Place:
    """A test's own folder of a shared data root, in an account that it shares with others or one of its own."""

    number: int
    account: str
    reading: Reading
    own: Own
    halves: Generator[None, None, None] | None = None
    fault: BaseException | None = None

    @property
    def folder(self) -> str:
        return f"t{self.number:03d}"

    def land(self, name: str, content: str | bytes) -> Path:
        """Lays a file down whose name is ``source/name``."""
        source, _, rest = name.partition("/")
        written = content if isinstance(content, bytes) else content.encode()
        return land(self.reading.root, self.path(source, rest), self.own(self, rest, written))

    def path(self, source: str, name: str) -> str:
        return f"{source}/{self.account or self.folder}/{self.folder}/{name}"

    @property
    def warnings(self) -> list[str]:
        return [said for said in self.reading.said() if f"/{self.folder}/" in said]

    @property
    def remarks(self) -> list[str]:
        self.reading.said()
        return [said for said in self.reading.remarks if f"/{self.folder}" in said]

    def rows(self, table: str, order: str = "all") -> list[dict[str, Any]]:
        where = f"contains({'path' if table == 'ledger_files' else 'source_file'}, '/{self.folder}/')"
        if table == "ledger_requests":
            # It says of which record a call is, and not of which file.
            assert self.reading.has("staged_requests")
            where = f"request_key in (select request_key from staged_requests where {where})"
        return self.reading.rows(table, order, where)

    def files(self) -> list[dict[str, Any]]:
        return self.rows("ledger_files", "path")

    def fates(self) -> list[tuple[int, ...]]:
        """(records, booked, duplicate, not billable, quarantined) of each file by path."""
        names = ("records", "booked", "duplicate", "not_billable", "quarantined")
        return [tuple(row[name] for name in names) for row in self.files()]

    def look(self) -> None:
        """The second half of the test."""
        if self.fault is not None:
            raise self.fault
        assert self.halves is not None
        for _ in self.halves:
            raise AssertionError("a test that is read together has one yield")


def together(account: str, settings: str = "") -> Callable[[Halves], Callable[..., None]]:
    """A test in two halves, of files of an account of that name; of one of their own each where it is empty."""

    def mark(halves: Halves) -> Callable[..., None]:
        @functools.wraps(halves)
        def look(place: Place, **_: Any) -> None:
            place.look()

        look.halves, look.account, look.settings = halves, account, settings  # type: ignore[attr-defined]
        return look

    return mark


def lay(request: pytest.FixtureRequest, mktemp: Callable[[str], Path]) -> dict[str, Place]:
    """The first halves of all tests of the module that are to run: test -> its place."""
    readings: dict[str, Reading] = {}
    places: dict[str, Place] = {}
    own: Own = getattr(request.module, "own", lambda place, name, content: content)
    for item in request.session.items:
        test = getattr(item, "function", None)
        if getattr(item, "module", None) is not request.module or not hasattr(test, "halves"):
            continue
        if test.settings not in readings:
            readings[test.settings] = Reading(DataRoot(mktemp("together")))
            readings[test.settings].root.path.joinpath("settings.toml").write_text(test.settings)
        place = Place(len(places) + 1, test.account, readings[test.settings], own)
        places[item.nodeid] = place
        given = item.callspec.params if hasattr(item, "callspec") else {}
        place.halves = test.halves(place=place, **given)
        try:
            next(place.halves)
        except (Exception, pytest.skip.Exception) as error:
            # It is what becomes of that test, and not of all.
            place.fault = error
    return places
