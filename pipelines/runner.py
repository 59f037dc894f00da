"""Builds tables: views of what a model reads, its query, one file a partition, checked against its header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import checks
from pipelines.checks import CheckResult
from pipelines.engine import batches_of, one_row, quoted, rows_of
from pipelines.lake import ROW_GROUP_ROWS, Lake, Part
from pipelines.models import Model, ModelError, inputs
from pipelines.periods import end_of
from pipelines.planner import CLOCK, EVER, Plan, Planner, Span, Stale

# Partitions built by one execution of a query hold at most about this many input rows, so that memory stays bounded.
ROWS_AT_ONCE = 200_000


@dataclass
class Built:
    """What building a table did."""

    model: Model
    partitions: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    rows: int = 0


def build(con: duckdb.DuckDBPyConnection, lake: Lake, planner: Planner, plan: Plan) -> Built:
    """Build the stale partitions of a table, oldest first, and hold them to the header.

    Each partition is set in place as soon as it is whole. Raises ModelError where the query and the header disagree.
    """
    model = plan.model
    built = Built(model)
    for part in plan.gone:
        lake.remove(model.name, part)
        built.removed.append(label(part.start))
    for batch in _in_turn(lake, planner, plan) if model.reads_itself else _batches(planner, plan):
        for part, changed in _build_batch(con, lake, planner, model, batch):
            built.partitions.append(label(part.start))
            built.rows += part.rows
            if changed:
                built.changed.append(label(part.start))
    return built


def label(start: date | None) -> str:
    """A partition as it is written in messages and in the table of check results."""
    return start.isoformat() if start else "all"


def create_view(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: str, parts: Sequence[Part], types: Mapping[str, str]
) -> None:
    """A view with the rows of some files of a table; a typed empty one where there is no file."""
    con.execute(f'create or replace temp view "{table}" as {rows_sql(lake, parts, types)}')


def rows_sql(lake: Lake, parts: Sequence[Part], types: Mapping[str, str]) -> str:
    """A query for the rows of some files of a table."""
    if parts:
        files = ", ".join(quoted(str(lake.absolute(part))) for part in parts)
        if not any(part.path.startswith("closed/") for part in parts):
            return f"select * from read_parquet([{files}], hive_partitioning = false)"
        # A month closed long ago may lack columns that its table has by now.
        rows = f"select * from read_parquet([{files}], hive_partitioning = false, union_by_name = true)"
        return f"{_no_rows_of(types)} union all by name {rows}"
    return _no_rows_of(types)


def _no_rows_of(types: Mapping[str, str]) -> str:
    columns = ", ".join(f'cast(null as {type_}) as "{name}"' for name, type_ in types.items())
    return f"select {columns} where false"


def _in_turn(lake: Lake, planner: Planner, plan: Plan) -> Iterator[list[Stale]]:
    """The stale partitions of a table that reads itself, one by one: what one reads is known once those before it are built."""
    planned = {stale.start: stale for stale in plan.stale}
    for start in sorted({*planned, *plan.later}, key=lambda day: day or date.min):
        fingerprint = planner.fingerprint(plan.model, start)
        part = lake.part(plan.model.name, start)
        if start in planned or part is None or part.fingerprint != fingerprint:
            yield [Stale(start, fingerprint, planned[start].why if start in planned else "what it reads has changed")]


def _batches(planner: Planner, plan: Plan) -> list[list[Stale]]:
    """Stale partitions that are built by one execution: neighbours in time, up to ROWS_AT_ONCE input rows.

    Where a partition reads days around it, as many rows of its own are allowed as are read around: else most of the work
    would be reading the same days again.
    """
    model = plan.model
    if not model.builds_together:
        return [[stale] for stale in plan.stale]
    batches: list[list[Stale]] = []
    rows_so_far = limit = 0
    for stale in plan.stale:
        rows = _rows_in(planner, model, stale.start, around=False)
        near = batches and stale.start and batches[-1][-1].start and (stale.start - batches[-1][-1].start).days <= 31
        if near and rows_so_far + rows <= limit:
            batches[-1].append(stale)
            rows_so_far += rows
        else:
            batches.append([stale])
            rows_so_far, limit = rows, max(ROWS_AT_ONCE, _rows_in(planner, model, stale.start, around=True))
    return batches


def _rows_in(planner: Planner, model: Model, start: date | None, *, around: bool) -> int:
    """Rows of the largest input that a partition reads, with or without those of the days around it."""
    own = Span(start, end_of(model.partition or "day", start)) if start else EVER
    return max(
        (
            sum(part.rows for part in planner.files(table, planner.span(model, table, start, start) if around else own))
            for table in model.inputs
            if not table.startswith("ref_")
        ),
        default=0,
    )


def _build_batch(
    con: duckdb.DuckDBPyConnection, lake: Lake, planner: Planner, model: Model, batch: Sequence[Stale]
) -> list[tuple[Part, bool]]:
    first, last = batch[0].start, batch[-1].start
    create_input_views(con, lake, planner, model, first, last)
    columns = ", ".join(f'"{column.name}"' for column in model.columns)
    query = f"select {columns} from ({model.query}) as result{_within(model, first, last)}"
    threads = one_row(con, "select current_setting('threads')")[0]
    if model.threads is not None:
        con.execute(f"set threads = {model.threads}")
    done = []
    try:
        _compare(model, {row[0]: row[1] for row in con.execute(f"describe {model.query}").fetchall()})
        # A partition too large to be held whole is sorted by the engine, on disk where need be.
        is_large = len(batch) == 1 and _rows_in(planner, model, first, around=False) > ROWS_AT_ONCE
        if is_large:
            order = ", ".join(f'"{name}"' for name in model.sort_columns)
            contents: Iterable[Iterable[pa.Table]] = [batches_of(con, f"{query} order by {order}", ROW_GROUP_ROWS)]
        else:
            contents = ([rows] for rows in _split(rows_of(con, query), model, batch))
        for number, (stale, tables) in enumerate(zip(batch, contents, strict=True)):
            target = lake.root.partition(model.name, model.partition, stale.start)
            temporary = lake.write(tables, target, stale.fingerprint, model.version)
            if number == 0:
                _hold_to_header(con, model, str(temporary))
            before = lake.part(model.name, stale.start)
            part = lake.put(temporary, target, model.name, stale.start)
            done.append((part, before is None or before.content_hash != part.content_hash))
    except duckdb.Error as error:
        raise ModelError(f"{_where(model)}: the query fails for {label(first)}: {error}") from error
    finally:
        if model.threads is not None:
            con.execute(f"set threads = {threads}")
    return done


def _split(rows: pa.Table, model: Model, batch: Sequence[Stale]) -> Iterator[pa.Table]:
    """The rows of each partition in the order of the header, nulls last.

    Only the columns that say where a row belongs go through a sort; whole rows are gathered by place, once, and not even
    that where they stand in order.
    """
    rows = rows.combine_chunks()
    places = pc.sort_indices(rows, [(name, "ascending") for name in model.sort_columns]).to_numpy()
    for stale in batch:
        own = places
        if model.partition is not None and stale.start is not None and len(batch) > 1:
            column = rows.column(str(model.partition_column))
            first, end = (_bound(day, column.type) for day in (stale.start, end_of(model.partition, stale.start)))
            is_own = pc.and_(pc.greater_equal(column, first), pc.less(column, end))
            own = places[is_own.to_numpy()[places]]
        in_order = len(own) == 0 or np.array_equal(own, np.arange(own[0], own[0] + len(own)))
        yield rows.slice(own[0] if len(own) else 0, len(own)) if in_order else rows.take(pa.array(own))


def _bound(day: date, type_: pa.DataType) -> pa.Scalar:
    return pa.scalar(day if pa.types.is_date(type_) else datetime(day.year, day.month, day.day, tzinfo=UTC), type_)


def create_input_views(
    con: duckdb.DuckDBPyConnection, lake: Lake, planner: Planner, model: Model, first: date | None, last: date | None
) -> None:
    """Views of what a model reads to build the partitions from ``first`` to ``last``."""
    for table in sorted(model.inputs):
        parts = planner.files(table, planner.span(model, table, first, last))
        rows = rows_sql(lake, parts, planner.types(table, con))
        if table == CLOCK and (end := planner.clock_end(model, last)) is not None:
            rows = f"select * replace (least(now_at, timestamptz '{end.isoformat()}') as now_at) from ({rows})"
        con.execute(f'create or replace temp view "{table}" as {rows}')


def _within(model: Model, first: date | None, last: date | None) -> str:
    if model.partition is None or first is None or last is None:
        return ""
    column, end = model.partition_column, end_of(model.partition, last)
    if model.types[str(column)] == "DATE":
        return f" where \"{column}\" >= date '{first}' and \"{column}\" < date '{end}'"
    return (
        f" where \"{column}\" >= timestamptz '{first} 00:00:00+00' and \"{column}\" < timestamptz '{end} 00:00:00+00'"
    )


def _hold_to_header(con: duckdb.DuckDBPyConnection, model: Model, file: str) -> None:
    """Compare the types of the written file with the header: a sum may be one type in the query and another in Parquet."""
    found = {
        row[0]: row[1]
        for row in con.execute(
            f"describe select * from read_parquet({quoted(file)}, hive_partitioning = false)"
        ).fetchall()
    }
    _compare(model, found)


def _compare(model: Model, found: dict[str, str]) -> None:
    wanted = model.types
    if found == wanted and list(found) == list(wanted):
        return
    lines = [
        f"  {name}: header {wanted.get(name, '-')}, query {found.get(name, '-')}"
        for name in [*wanted, *(name for name in found if name not in wanted)]
        if wanted.get(name) != found.get(name)
    ]
    if not lines:
        lines = [f"  columns stand in another order: header {', '.join(wanted)}; query {', '.join(found)}"]
    raise ModelError(
        f"{_where(model)}: the query and its header disagree.\n"
        + "\n".join(lines)
        + "\nThe header is what readers see: change the one that is wrong."
    )


def _where(model: Model) -> str:
    with suppress(ValueError):
        return "sql/" + model.path.as_posix().split("/sql/", 1)[1]
    return model.path.name


def check_partitions(
    con: duckdb.DuckDBPyConnection, lake: Lake, planner: Planner, model: Model, starts: Sequence[date | None]
) -> list[CheckResult]:
    """Count and judge the checks of the partitions just built."""
    reads = frozenset().union(*(inputs(check.query) for check in model.checks if check.query))
    for table in sorted(reads - {model.name}):
        # Only what the checked partitions read: a partition between two of them is not looked at.
        files = {
            part.path: part
            for start in starts
            for part in planner.files(table, planner.span(model, table, start, start))
        }
        create_view(con, lake, table, [files[path] for path in sorted(files)], planner.types(table, con))
    wanted = set(starts)
    parts = [part for part in lake.parts(model.name) if part.start in wanted]
    create_view(con, lake, model.name, parts, model.types)
    partition_sql = None
    if model.partition:
        partition_sql = f"cast(date_trunc('{model.partition}', {model.partition_column}) as date)"
    return checks.check(con, model, [label(start) for start in starts], partition_sql)
