"""DuckDB as every part of the project opens it: UTC, offline, bounded, with our functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipelines.functions import register_functions
from pipelines.settings import Settings


@contextmanager
def connect(settings: Settings, scratch: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in memory whose temporary files go to ``scratch``; without one it writes none.

    A context manager, because a connection with Python functions must be closed before the interpreter ends.
    """
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": "" if scratch is None else str(scratch / "spill"),
        "memory_limit": settings.memory_limit,
        "threads": settings.threads,
    }
    with duckdb.connect(":memory:", config=config) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set enable_progress_bar = false")
        register_functions(con)
        yield con


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """The name of a column or table as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def listed(texts: Sequence[str]) -> str:
    """Texts as an SQL list of literals."""
    return "[" + ", ".join(quoted(text) for text in texts) + "]"


def one_row(con: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
    """The only row of a query. Fetched whole: a result that is half read keeps the connection from other work."""
    [row] = con.execute(query, list(values)).fetchall()
    return tuple(row)


def named_rows(
    con: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] | Mapping[str, object] | None = None
) -> list[dict[str, Any]]:
    """The rows of a query, each by the names of its columns."""
    result = con.execute(query, values)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def relation_of(con: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """A query that is known by its columns and not run yet."""
    return con.sql(query)


# Steps of the engine's planning that spare work of each row. Of a query over few rows they are a sixth of all that it costs.
FOR_MANY_ROWS = (
    "common_subexpressions",
    "projection_pullup",
    "statistics_propagation",
    "cte_filter_pusher",
    "partial_aggregate_pushdown",
    "projection_placement",
    "duplicate_groups",
    "compressed_materialization",
    "common_subplan",
    "join_filter_pushdown",
)

# What has the engine hold the side of a join that it takes for the smaller one. It takes any filter for a fifth of the rows, and so
# holds wide calls where their narrow costs would do; a model whose header says ``joins: as_written`` has its right sides held.
CHOICE_OF_SIDES = "build_side_probe_side"


@contextmanager
def planned_without(con: duckdb.DuckDBPyConnection, steps: Sequence[str]) -> Iterator[None]:
    """Queries are planned without some of the engine's steps, by their names."""
    if steps:
        con.execute(f"set disabled_optimizers = {quoted(','.join(steps))}")
    try:
        yield
    finally:
        if steps:
            con.execute("reset disabled_optimizers")


def materialised(con: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """A query that has been run, for results that are small; they hold until the next one."""
    con.execute(f"create or replace temp table materialised_rows as {query}")
    return con.sql("select * from materialised_rows")


def rows_of(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """The rows of a query as an Arrow table of the types that a file of the lake has."""
    return typed_table(con.sql(query))


def typed_table(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    """The rows of a relation as an Arrow table of the types that a file of the lake has."""
    return _typed(relation.to_arrow_table(), _json_columns(relation))


def batches_of(con: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.Table]:
    """The rows of a query in tables of about ``rows``, at least one, for results that are not to be held whole."""
    relation = con.sql(query)
    reader = relation.to_arrow_reader(rows)
    yield _typed(reader.schema.empty_table(), _json_columns(relation))
    for batch in reader:
        yield _typed(pa.Table.from_batches([batch]), _json_columns(relation))


def with_row_hashes(con: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Table:
    """Rows with a hash of each, of which the content hash of a period is made."""
    con.register("rows_to_hash", rows)
    names = ", ".join(f'"{name}"' for name in rows.column_names)
    hashes = con.sql(f"select hash({names}) as row_hash from rows_to_hash").to_arrow_table()
    con.unregister("rows_to_hash")
    return rows.append_column("row_hash", hashes["row_hash"])


def _json_columns(relation: duckdb.DuckDBPyRelation) -> list[str]:
    return [name for name, type_ in zip(relation.columns, relation.types, strict=True) if str(type_) == "JSON"]


def _typed(table: pa.Table, json_columns: Sequence[str]) -> pa.Table:
    """JSON as such: the engine gives it as text."""
    for name in json_columns:
        place = table.schema.get_field_index(name)
        values = table.column(place)
        typed = pa.chunked_array([pa.ExtensionArray.from_storage(pa.json_(), c) for c in values.chunks], pa.json_())
        table = table.set_column(place, name, typed)
    return table
