"""Connections that tests use one after the other: to open one with our functions and macros takes longer than many a test."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb

from pipelines.engine import connect
from pipelines.settings import Settings

_opened = ExitStack()
_idle: dict[int, list[duckdb.DuckDBPyConnection]] = {}
_numbers = iter(range(1_000_000))


@atexit.register
def _close_all() -> None:
    _idle.clear()
    _opened.close()


@contextmanager
def fresh(scratch: Path, threads: int = 2) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection as a run has it, on an empty database. Of an earlier test nothing is there but our functions and macros.

    ``scratch`` is where it lays temporary files, if it is a new one.
    """
    idle = _idle.setdefault(threads, [])
    con = idle.pop() if idle else _opened.enter_context(connect(Settings(threads=threads), scratch))
    database = f"fresh_{next(_numbers)}"
    con.execute(f"attach ':memory:' as {database}")
    con.execute(f"use {database}")
    # A test that fails within a statement may leave the connection as it should not be: it is not used again.
    yield con
    for kind in ("view", "table"):
        for (name,) in con.execute(
            f"select {kind}_name from duckdb_{kind}s() where temporary and not internal"
        ).fetchall():
            con.execute(f'drop {kind} temp.main."{name}"')
    con.execute(f"set threads = {threads}")
    con.execute("set TimeZone = 'UTC'")
    con.execute("use memory")
    con.execute(f"detach {database}")
    idle.append(con)
