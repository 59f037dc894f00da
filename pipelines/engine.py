"""DuckDB as every part of the project opens it: UTC, offline, bounded, with our functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines import usage
from pipelines.functions import register_functions
from pipelines.settings import Settings


@contextmanager
def connect(settings: Settings, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in memory whose temporary files go to ``scratch``.

    A context manager, because a connection with Python functions must be closed before the interpreter ends.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": str(scratch / "spill"),
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
    }
    with duckdb.connect(":memory:", config=config) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set enable_progress_bar = false")
        # With it, a column is written as REQUIRED where the plan happens to prove that it has no null: equal rows would
        # give unequal files, depending on what else was built with them.
        con.execute("set disabled_optimizers = 'statistics_propagation'")
        register_functions(con)
        usage.register(con)
        yield con


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def listed(texts: Sequence[str]) -> str:
    """Texts as an SQL list of literals."""
    return "[" + ", ".join(quoted(text) for text in texts) + "]"


def one_row(con: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
    """The only row of a query. Fetched whole: a result that is half read keeps the connection from other work."""
    [row] = con.execute(query, list(values)).fetchall()
    return tuple(row)
