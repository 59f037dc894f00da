"""The tables that people edit: CSV files, theirs over ours, held to a form and kept in the lake as ``ref_<name>``.

A fault is reported with file, line and column. The table then keeps what it last held, so that one slip of the pen changes
no number, and nothing is published until it is mended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import duckdb
import polars as pl

from pipelines import settings
from pipelines.engine import quoted_name, rows_of
from pipelines.lake import Lake, digest
from pipelines.paths import DataRoot
from pipelines.reference.files import Problem, current_frame, files_of
from pipelines.reference.tables import TABLES, ReferenceTable
from pipelines.words import meant

# What settings.toml says that decides tables: they read it as they read the files that people edit.
REPORTING = "ref_reporting"
REPORTING_SCHEMA: Mapping[str, pl.DataType] = {"reporting_time_zone": pl.String()}
# Raised when the tables made of the same files change.
REFERENCE_VERSION = "1"


def refresh(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake) -> list[Problem]:
    """Bring every ``ref_<name>`` up to date with its files; what is wrong with them comes back."""
    problems = _wrong_names(root)
    for table in TABLES.values():
        problems += _refresh(con, root, lake, table)
    _refresh_reporting(con, root, lake)
    return problems


def faults(root: DataRoot) -> list[Problem]:
    """What is wrong with the files now; nothing is kept."""
    return [*_wrong_names(root), *(problem for name in TABLES for problem in current_frame(root, name)[1])]


def _wrong_names(root: DataRoot) -> list[Problem]:
    found = []
    for path in _strangers(root):
        if path.is_dir():
            text = "a folder, expected a file. Move it away, or put the table in its place"
        else:
            text = f"no such table. Known are {', '.join(sorted(TABLES))}.{meant(path.stem.lower(), TABLES)}".rstrip(
                "."
            )
        found.append(Problem(root.relative(path), None, "", text))
    return found


def _strangers(root: DataRoot) -> list[Path]:
    """What is named like a CSV file, however the ending is written, and is the file of no table: a folder is none of any."""
    if not root.reference.is_dir():
        return []
    known = {f"{name}.csv" for name in TABLES}
    return sorted(
        path
        for path in root.reference.iterdir()
        if path.suffix.lower() == ".csv" and (path.name not in known or path.is_dir())
    )


def is_stale(root: DataRoot, lake: Lake) -> bool:
    """Whether a table differs from its files, or a file has a fault (then its table is never up to date)."""
    parts = {table.name: lake.part(table.table, None) for table in TABLES.values()}
    reporting = lake.part(REPORTING, None)
    return (
        bool(_strangers(root))
        or any(part is None or part.fingerprint != _fingerprint(root, TABLES[name]) for name, part in parts.items())
        or reporting is None
        or reporting.fingerprint != _reporting_fingerprint(root)
    )


def _reporting_fingerprint(root: DataRoot) -> str:
    return digest([REFERENCE_VERSION, duckdb.__version__, settings.load(root.settings).reporting_time_zone])


def _refresh_reporting(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake) -> None:
    fingerprint = _reporting_fingerprint(root)
    part = lake.part(REPORTING, None)
    if part is None or part.fingerprint != fingerprint:
        zone = settings.load(root.settings).reporting_time_zone
        write_frame(con, root, lake, REPORTING, pl.DataFrame([[zone]], REPORTING_SCHEMA, orient="row"), fingerprint)


def _fingerprint(root: DataRoot, table: ReferenceTable) -> str:
    contents = [
        hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in files_of(root, table)
    ]
    return digest([REFERENCE_VERSION, duckdb.__version__, repr(table), *contents])


def _refresh(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, table: ReferenceTable) -> list[Problem]:
    fingerprint = _fingerprint(root, table)
    part = lake.part(table.table, None)
    if part is not None and part.fingerprint == fingerprint:
        return []
    frame, problems = current_frame(root, table.name)
    if problems and part is not None:
        return problems
    write_frame(con, root, lake, table.table, frame, "faulty" if problems else fingerprint)
    return problems


def write_frame(
    con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, table: str, frame: pl.DataFrame, fingerprint: str
) -> None:
    """Keep a frame in the lake as an unpartitioned table, its rows in the order given."""
    con.register("frame_rows", frame.to_arrow())
    target = root.whole(table)
    try:
        types = con.execute("describe select * from frame_rows").fetchall()
        names = ", ".join(f"cast({quoted_name(row[0])} as {row[1]}) as {quoted_name(row[0])}" for row in types)
        rows = rows_of(con, f"select {names} from frame_rows")
    finally:
        con.unregister("frame_rows")
    lake.put(lake.write([rows], target, fingerprint, REFERENCE_VERSION), target, table)


def frame_of(lake: Lake, table: str) -> pl.DataFrame:
    """A reference table as a frame."""
    part = lake.part(table, None)
    if part is None:
        raise KeyError(table)
    return pl.read_parquet(lake.absolute(part))
