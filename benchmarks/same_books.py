"""``python -m benchmarks.same_books ONE OTHER``: every table of two data roots, row for row, whatever the layout of their files is.

Both hold the same rows where each row of one stands in the other as often. Ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipelines.engine import one_row, quoted
from pipelines.models import models
from pipelines.paths import DataRoot

PREFIXES = ("focus_", "ledger_", "mart_", "staged_", "stat_")
# What knows a clock, or how files were read rather than what is in them: two runs over the same files differ here.
NOT_COMPARED: Mapping[str, frozenset[str]] = {
    "ledger_files": frozenset({"first_seen_at"}),
    "staged_files": frozenset({"first_seen_at", "mtime_ns", "reading_version", "batch"}),
}
EXAMPLES = 3


@dataclass(frozen=True)
class Comparison:
    """How a table of two data roots compares: its rows, and rows or columns that only one of them has."""

    table: str
    rows: int
    only_one: int = 0
    only_other: int = 0
    columns: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        return not (self.only_one or self.only_other or self.columns)

    def lines(self) -> Iterator[str]:
        """As it is printed: a line for the table, below it what differs."""
        said = "equal" if self.is_equal else f"{self.only_one:,} only in ONE, {self.only_other:,} only in OTHER"
        yield f"{self.table:36s} {self.rows:10,} rows  {said}"
        yield from (f"    {text}" for text in (*self.columns, *self.examples))


def tables(root: DataRoot) -> set[str]:
    """The tables of a data root that are compared: those that have a file."""
    if not root.lake.is_dir():
        return set()
    return {
        folder.name
        for folder in root.lake.iterdir()
        if folder.name.startswith(PREFIXES) and next(_files(folder), None) is not None
    }


def compare(one: DataRoot, other: DataRoot, *, without: Collection[str] = (), views: bool = False) -> list[Comparison]:
    """Every table of either; one that is missing counts as empty. ``without`` has columns, as ``column`` or ``table.column``.

    With ``views`` the rows are those that a reader sees in tokenbooks.duckdb, where columns may be derived.
    """
    found = []
    for table in sorted(tables(one) | tables(other)):
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            types = [_load(con, name, root, table, views) for name, root in (("a", one), ("b", other))]
            found.append(_compare(con, table, types[0], types[1], without))
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.parquet") if not path.name.startswith("."))


def _load(con: duckdb.DuckDBPyConnection, name: str, root: DataRoot, table: str, views: bool) -> dict[str, str]:
    """A table of a data root as the view ``name``; its columns and their types, none where the root has no such table."""
    if views and table in tables(root):
        with duckdb.connect(str(root.views), read_only=True) as reader:
            reader.execute("set TimeZone = 'UTC'")
            reader.execute(f"set file_search_path = {quoted(str(root.path))}")
            rows = reader.sql(f'from "{table}"').to_arrow_table()
        con.register(name, rows)
    elif files := sorted(str(path) for path in _files(root.table(table))):
        listed = ", ".join(map(quoted, files))
        con.execute(f"create view {name} as select * from read_parquet([{listed}], hive_partitioning = false)")
    else:
        return {}
    return {row[0]: row[1] for row in con.execute(f"describe {name}").fetchall()}


def _compare(
    con: duckdb.DuckDBPyConnection,
    table: str,
    one: Mapping[str, str],
    other: Mapping[str, str],
    without: Collection[str],
) -> Comparison:
    counts = [_count(con, name) if types else 0 for name, types in (("a", one), ("b", other))]
    if not all(counts):
        # A table without rows is as one that is not there, with whatever columns.
        return Comparison(table, max(counts), *counts)
    left_out = NOT_COMPARED.get(table, frozenset()) | {
        name.removeprefix(f"{table}.") for name in without if "." not in name or name.startswith(f"{table}.")
    }
    names = [name for name in {**one, **other} if name not in left_out]
    columns = tuple(
        f"{name}: ONE {one.get(name, '-')}, OTHER {other.get(name, '-')}"
        for name in names
        if one.get(name) != other.get(name)
    )
    shared = [name for name in names if one.get(name) == other.get(name)]
    listed = ", ".join(f'"{name}"' for name in shared)
    for name, left, right in (("only_a", "a", "b"), ("only_b", "b", "a")):
        con.execute(f"create temp table {name} as select {listed} from {left} except all select {listed} from {right}")
    only_one, only_other = _count(con, "only_a"), _count(con, "only_b")
    key = [name for name in (models()[table].grain if table in models() else ()) if name in shared]
    examples = tuple(_examples(con, key)) if only_one or only_other else ()
    return Comparison(table, max(counts), only_one, only_other, columns, examples)


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    return int(one_row(con, f"select count(*) from {name}")[0])


def _examples(con: duckdb.DuckDBPyConnection, key: Sequence[str]) -> Iterator[str]:
    """Rows that only one side has; of two with the same key, which columns differ."""
    for name, side, opposite in (("only_a", "ONE", "only_b"), ("only_b", "OTHER", "only_a")):
        for row in _rows(con, f"select * from {name} order by all limit {EXAMPLES}", ()):
            same = " and ".join(f'"{column}" is not distinct from ?' for column in key)
            values = [row[column] for column in key]
            twins = _rows(con, f"select * from {opposite} where {same} limit 1", values) if key else []
            if not twins:
                yield f"only in {side}: {_said(row)}"
            elif side == "ONE":
                changed = {
                    column: f"{value} in ONE, {twins[0][column]} in OTHER"
                    for column, value in row.items()
                    if value != twins[0][column]
                }
                yield f"{_said({column: row[column] for column in key})}: {_said(changed)}"


def _rows(con: duckdb.DuckDBPyConnection, query: str, values: Sequence[object]) -> list[dict[str, Any]]:
    result = con.execute(query, list(values))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _said(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in row.items() if value is not None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two data roots and print a line a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.same_books", description=__doc__)
    parser.add_argument("one", type=Path, help="a data root")
    parser.add_argument("other", type=Path, help="another data root")
    parser.add_argument("--without", action="append", default=[], metavar="[TABLE.]COLUMN", help="leave out a column")
    parser.add_argument(
        "--views", action="store_true", help="read the views of tokenbooks.duckdb in place of the files"
    )
    given = parser.parse_args(arguments)
    roots = DataRoot(given.one.resolve()), DataRoot(given.other.resolve())
    for root in roots:
        if not tables(root):
            parser.error(f"{root.path} has no table below lake/: run 'tokenbooks run --root {root.path}' first")
    compared = compare(*roots, without=given.without, views=given.views)
    for line in (line for comparison in compared for line in comparison.lines()):
        print(line)
    left_out = ", ".join(f"{table}.{name}" for table, names in NOT_COMPARED.items() for name in sorted(names))
    print(f"Left out, for they know a clock or how files were read: {', '.join([left_out, *given.without])}")
    differing = [comparison.table for comparison in compared if not comparison.is_equal]
    print(f"{len(compared)} tables, {len(differing)} differ{': ' if differing else ''}{', '.join(differing)}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
