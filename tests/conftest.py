"""What the tests share: the real SQL over rows written in the test, and whole runs over a data root in a temporary folder."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from pipelines import books, paths, reference
from pipelines.contract import TOKEN_CLASS_NAMES, shapes
from pipelines.engine import connect, named_rows
from pipelines.lake import CLOSED, CLOSED_MONTHS, CLOSED_MONTHS_TYPES, Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.prices.book import BOOK_SCHEMA
from pipelines.reference import files
from pipelines.reference.tables import TABLES, ReferenceTable
from pipelines.settings import Settings
from tests.sources.together import Place, lay

Rows = Sequence[Mapping[str, Any]]
GOLDEN = Path(__file__).parent / "golden" / "books"

# Values that a row of a table has where a test does not say otherwise.
DEFAULTS: Mapping[str, Any] = {
    "source": "app_log",
    "source_account": "default",
    "source_schema_version": "1",
    "source_file": "landing/app_log/a.jsonl",
    "source_file_sha256": "a",
    "source_row": 1,
    "row_kind": "llm_call",
    "is_billable_leaf": True,
    "started_at": datetime(2026, 11, 2, 12, tzinfo=UTC),
    "provider": "openai",
    "usage_flags": [],
    "request_tags": [],
    "status": "ok",
    "gateway_cache_hit": False,
    "feature": "unattributed",
    "team": "unattributed",
    "cost_centre": "unattributed",
    "customer_tier": "unattributed",
    "environment": "unattributed",
}


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


@pytest.fixture(scope="session")
def golden_books(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """The books of the golden company, made once for all workers. To be read only: a test that changes them takes a copy."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    made = DataRoot(shared / "golden")
    with (shared / "golden.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.path.is_dir():
            root = DataRoot(shared / "golden.making")
            shutil.copytree(GOLDEN / "landing", root.landing)
            shutil.copytree(GOLDEN / "reference", root.reference)
            report = books.run(root)
            assert not report.is_blocked, report.failed
            root.path.rename(made.path)
    return made


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
        with connect(Settings(threads=2), shipped.root.scratch) as con:
            for table in sorted(model.inputs):
                types = _types(table)
                if table in tables:
                    _create(con, table, types, tables[table])
                elif table.startswith("ref_"):
                    part = shipped.part(table, None)
                    con.execute(
                        f"create table {table} as select * from read_parquet('{shipped.absolute(part)}')"
                        if part
                        else _empty(table, types)
                    )
                else:
                    con.execute(_empty(table, types))
            return named_rows(con, f"select * from ({model.query}) order by {', '.join(model.sort_columns)}")

    return run_model


@cache
def _types(table: str) -> dict[str, str]:
    if table == CLOSED_MONTHS:
        return dict(CLOSED_MONTHS_TYPES)
    table = table.removeprefix(CLOSED)
    if table in models():
        return models()[table].types
    for shape in shapes().values():
        if table == shape.table:
            return shape.types
    if table == reference.REPORTING:
        return {"reporting_time_zone": "varchar"}
    if table == "ref_price_book":
        book = duckdb.from_arrow(pl.DataFrame(schema=BOOK_SCHEMA).to_arrow())
        return dict(zip(book.columns, map(str, book.types), strict=True))
    found = TABLES.get(table.removeprefix("ref_"))
    if found is None:
        return {}
    kinds = {
        "text": "varchar",
        "date": "date",
        "instant": "timestamptz",
        "whole": "bigint",
        **dict.fromkeys(("amount", "price", "rate"), "decimal(38, 15)"),
        **dict.fromkeys(("currency", "scope"), "varchar"),
    }
    types = {field.name: kinds[field.kind] for field in found.fields}
    return types | {"why": "varchar", "source_ref": "varchar", "reference_file": "varchar", "reference_row": "bigint"}


def _empty(table: str, types: Mapping[str, str]) -> str:
    return f"create table {table} ({', '.join(f'{name} {type_}' for name, type_ in types.items())})"


def _create(con: Any, table: str, types: Mapping[str, str], rows: Rows) -> None:
    con.execute(_empty(table, types))
    filled = []
    for number, row in enumerate(rows, 1):
        assert not set(row) - set(types), f"{table} has no {sorted(set(row) - set(types))}"
        known = (
            {name: value for name, value in DEFAULTS.items() if name in types} if not table.startswith("ref_") else {}
        )
        values = {**known, **({"reference_row": number} if "reference_row" in types else {}), **row}
        if "total_tokens" in types and not {"total_tokens", "input_total_tokens"} & set(row):
            values |= _totals(values)
        filled.append(values)
    if len(filled) > 500:
        con.register("many_rows", pa.Table.from_pylist(filled))
        names = ", ".join(filled[0])
        con.execute(f"insert into {table} ({names}) select {names} from many_rows")
        return
    for values in filled:
        con.execute(
            f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})", list(values.values())
        )


def _totals(row: Mapping[str, Any]) -> dict[str, int]:
    stated = {name: row[name] for name in TOKEN_CLASS_NAMES if row.get(name) is not None}
    output = sum(value for name, value in stated.items() if name.startswith("output_"))
    return {
        "input_total_tokens": sum(stated.values()) - output,
        "output_total_tokens": output,
        "total_tokens": sum(stated.values()),
    }


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
