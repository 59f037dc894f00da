"""Periods of tables as queries: whole files where all that they hold is wanted, else their rows of the periods wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import duckdb

from pipelines.engine import quoted
from pipelines.lake import CLOSED, Lake, Part
from pipelines.models import Dated, Model
from pipelines.periods import end_of

# More pieces of time than this are named by their periods, which is as quick and shorter.
_RANGES_AT_MOST = 24


def create_view(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: str,
    parts: Sequence[Part],
    types: Mapping[str, str],
    dated: Dated | None = None,
) -> None:
    """A view with the rows of some periods of a table; a typed empty one where there are none."""
    con.execute(f'create or replace temp view "{table}" as {rows_sql(lake, parts, types, dated)}')


def create_model_view(con: duckdb.DuckDBPyConnection, lake: Lake, model: Model, parts: Sequence[Part]) -> None:
    """A view with the rows of some periods of the table of a model, under its name."""
    create_view(con, lake, model.name, parts, model.types, model.dated)


def rows_sql(lake: Lake, parts: Sequence[Part], types: Mapping[str, str], dated: Dated | None = None) -> str:
    """A query for the rows of some periods of a table."""
    if not parts:
        return _no_rows_of(types)
    wanted: dict[str, int] = {}
    for part in parts:
        wanted[part.path] = wanted.get(part.path, 0) + 1
    together = {part.path: part.together for part in parts}
    files = ", ".join(quoted(str(lake.root.path / path)) for path in wanted)
    where = ""
    if dated is not None and any(together[path] > count for path, count in wanted.items()):
        where = f" where {within(dated, [part.start for part in parts if part.start])}"
    if not any(path.startswith("closed/") for path in wanted):
        return f"select * from read_parquet([{files}], hive_partitioning = false){where}"
    # A month closed long ago may lack columns that its table has by now.
    rows = f"select * from read_parquet([{files}], hive_partitioning = false, union_by_name = true){where}"
    return f"{_no_rows_of(types)} union all by name {rows}"


def within(dated: Dated, starts: Iterable[date]) -> str:
    """The condition that a row belongs to one of some periods."""
    ranges: list[list[date]] = []
    ordered = sorted(set(starts))
    for start in ordered:
        if ranges and ranges[-1][1] == start:
            ranges[-1][1] = end_of(dated.grain, start)
        else:
            ranges.append([start, end_of(dated.grain, start)])
    column = f'"{dated.column}"'
    if len(ranges) <= _RANGES_AT_MOST:
        return (
            "("
            + " or ".join(
                f"({column} >= {_bound(dated, first)} and {column} < {_bound(dated, end)})" for first, end in ranges
            )
            + ")"
        )
    # The whole stretch as well: by it a reader skips what lies outside.
    named = ", ".join(f"date '{start}'" for start in ordered)
    day = column if dated.type == "DATE" else f"cast({column} as date)"
    first = day if dated.grain == "day" else f"cast(date_trunc('{dated.grain}', {day}) as date)"
    return f"({column} >= {_bound(dated, ordered[0])} and {column} < {_bound(dated, ranges[-1][1])} and {first} in ({named}))"


def dated_as(table: str, models: Mapping[str, Model]) -> Dated | None:
    """What says to which period a row of any table belongs, a closed one included."""
    from pipelines.contract import shapes

    if (model := models.get(table.removeprefix(CLOSED))) is not None:
        return model.dated
    for shape in shapes().values():
        if shape.table == table:
            return Dated(shape.day_of, "TIMESTAMP WITH TIME ZONE", "day")
    return None


def _bound(dated: Dated, day: date) -> str:
    return f"date '{day}'" if dated.type == "DATE" else f"timestamptz '{day} 00:00:00+00'"


def _no_rows_of(types: Mapping[str, str]) -> str:
    columns = ", ".join(f'cast(null as {type_}) as "{name}"' for name, type_ in types.items())
    return f"select {columns} where false"
