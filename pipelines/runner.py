"""Builds tables: views of what a model reads, its query once over all stale periods, each period held to the header.

What is stored together is written once. The rows of a period are those of the query whose date lies in it, so a model is
right for any set of periods at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from pipelines import checks
from pipelines.engine import (
    CHOICE_OF_SIDES,
    FOR_MANY_ROWS,
    batches_of,
    materialised,
    planned_without,
    relation_of,
    typed_table,
)
from pipelines.lake import STORED_BY, Lake, Part, home
from pipelines.models import Dated, Model, ModelError, inputs
from pipelines.parquet import ROW_GROUP_ROWS, ROW_HASH, PeriodRows
from pipelines.planner import CLOCK, Plan, Planner, Stale, keeps_calls
from pipelines.relations import create_model_view, create_view, dated_as, rows_sql, within

# Periods built by one execution of a query hold at most about this many input rows, so that memory stays bounded; of a
# table with a row a call, at most about this many values. A single period of more is sorted by the engine, on disk where
# need be.
ROWS_AT_ONCE = 1_000_000
VALUES_AT_ONCE = 12_000_000
# Up to so many input rows a query is run at once, and its columns are those of the result: to ask for them before would plan
# it twice, which costs more than the rows. Marts are of few rows whatever they read.
FEW_ROWS = 50_000
# Where it reads no more than these, neighbours included, it is planned without what is for many rows.
LITTLE_ROWS = 5_000
# Where many rows are read and nearly all are of the wanted periods, what else comes out is left behind afterwards: a condition on
# the result goes down to each call, where the week of its instant is worked out once more for it.
NEARLY_ALL = 0.85
_EPOCH = date(1970, 1, 1).toordinal()
# By the type of a column as it is written, the type that the engine reads from the file.
_read_back: dict[str, str] = {}


@dataclass
class Built:
    """What building a table did."""

    model: Model
    partitions: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    rows: int = 0


def build(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    planner: Planner,
    plan: Plan,
    progress: Callable[[str], None] = lambda text: None,
) -> Built:
    """Build the stale periods of a table, oldest first, and hold them to the header.

    Each file is set in place as soon as it is whole. Raises ModelError where the query and the header disagree.
    """
    model = plan.model
    built = Built(model)
    busy = frozenset(planner.busy_months()) if keeps_calls(model) else frozenset()
    gone = {part.start for part in plan.gone if part.start is not None}
    if gone:
        built.removed += [label(start) for start in sorted(gone)]
        _store(lake, model, [], gone, None, busy)
    for batch in _in_turn(lake, planner, plan) if model.reads_itself else _batches(planner, plan):
        for start, rows, changed in _build_batch(con, lake, planner, model, batch, busy):
            built.partitions.append(label(start))
            built.rows += rows
            if changed:
                built.changed.append(label(start))
    if keeps_calls(model):
        _reform(lake, model, busy, progress)
    if plan.stale or plan.gone:
        planner.settle(plan)
    return built


def label(start: date | None) -> str:
    """A period as it is written in messages and in the table of check results."""
    return start.isoformat() if start else "all"


def _in_turn(lake: Lake, planner: Planner, plan: Plan) -> Iterator[list[Stale]]:
    """The stale periods of a table that reads itself, one by one: what one reads is known once those before it are built."""
    planned = {stale.start: stale for stale in plan.stale}
    for start in sorted({*planned, *plan.later}, key=lambda day: day or date.min):
        fingerprint = planner.fingerprint(plan.model, start)
        part = lake.part(plan.model.name, start)
        if start in planned or part is None or part.fingerprint != fingerprint:
            yield [Stale(start, fingerprint, planned[start].why if start in planned else "what it reads has changed")]


def _batches(planner: Planner, plan: Plan) -> list[list[Stale]]:
    """Stale periods that are built by one execution: up to ``_rows_at_once`` input rows of their own."""
    batches: list[list[Stale]] = []
    rows_so_far, at_once = 0, _rows_at_once(plan.model)
    if plan.model.partition == "day" and plan.model.reads_around:
        # Each execution reads the days around it too, so that few of many days are lighter than many of few.
        at_once = 2 * ROWS_AT_ONCE
    for stale in plan.stale:
        rows = _rows_in(planner, plan.model, stale.start)
        if batches and rows_so_far + rows <= at_once:
            batches[-1].append(stale)
            rows_so_far += rows
        else:
            batches.append([stale])
            rows_so_far = rows
    return batches


def _rows_at_once(model: Model) -> int:
    return min(ROWS_AT_ONCE, VALUES_AT_ONCE // len(model.columns)) if keeps_calls(model) else ROWS_AT_ONCE


def _rows_in(planner: Planner, model: Model, start: date | None) -> int:
    """Rows of the largest input in the dates of a period."""
    return max(
        (
            sum(part.rows for part in planner.files(table, planner.own_span(model, start)))
            for table in model.inputs
            if not table.startswith("ref_")
        ),
        default=0,
    )


def _build_batch(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    planner: Planner,
    model: Model,
    batch: Sequence[Stale],
    busy: frozenset[date],
) -> list[tuple[date | None, int, bool]]:
    """Build some periods by one execution; of each come back its start, its rows, and whether they differ from before."""
    starts = [stale.start for stale in batch]
    rows_read = create_input_views(con, lake, planner, model, starts)
    before = {start: part.content_hash if (part := lake.part(model.name, start)) else None for start in starts}
    held: list[Path] = []

    def hold(written: Path) -> None:
        # One of them says what all are.
        if not held:
            _hold_to_header(con, model, written, schema)
            held.append(written)

    try:
        with planned_without(con, _left_out(model, rows_read)):
            schema, found = _run(con, planner, model, batch)
            if model.dated is None:
                [stale] = batch
                target = lake.root.whole(model.name)
                tables = (table.drop_columns(ROW_HASH) for _, pieces in found for table in pieces)
                written = lake.write(tables, target, stale.fingerprint, model.version)
                hold(written)
                lake.put(written, target, model.name)
            else:
                built = [PeriodRows(s.start, s.fingerprint, pieces) for s, pieces in found if s.start is not None]
                _store(lake, model, built, (), schema, busy, hold)
    except duckdb.Error as error:
        raise ModelError(f"{_where(model)}: the query fails for {label(starts[0])}: {error}") from error
    done = []
    for start in starts:
        part = lake.part(model.name, start)
        assert part is not None
        done.append((start, part.rows, part.content_hash != before[start]))
    return done


def _left_out(model: Model, rows_read: int) -> list[str]:
    """The steps of the engine's planning that a model is built without."""
    sides = [CHOICE_OF_SIDES] if model.joins_as_written else []
    return [*sides, *FOR_MANY_ROWS] if rows_read <= LITTLE_ROWS else sides


def _run(
    con: duckdb.DuckDBPyConnection, planner: Planner, model: Model, batch: Sequence[Stale]
) -> tuple[pa.Schema, list[tuple[Stale, Iterable[pa.Table]]]]:
    """The rows of each period, in order, with a hash each; and what the columns are without it."""
    columns = ", ".join(f'"{column.name}"' for column in model.columns)
    query = f"select *, hash({columns}) as {ROW_HASH} from ({model.query}) as result"
    starts = [stale.start for stale in batch]
    rows_in = sum(_rows_in(planner, model, start) for start in starts)
    is_in_turn = rows_in > 2 * _rows_at_once(model) and len(batch) == 1 and model.layer != "marts"
    if model.dated is not None and (is_in_turn or not _is_nearly_all(planner, model, starts, rows_in)):
        query += f" where {within(model.dated, [start for start in starts if start])}"
    is_small = rows_in <= FEW_ROWS or model.layer == "marts"
    try:
        relation = (materialised if is_small else relation_of)(con, query)
    except duckdb.BinderException:
        _compare(model, {row[0]: row[1] for row in con.execute(f"describe {model.query}").fetchall()})
        raise
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    del types[ROW_HASH]
    _compare(model, types)
    if is_in_turn:
        order = ", ".join(f'"{name}"' for name in model.sort_columns)
        tables = batches_of(con, f"{query} order by {order}", ROW_GROUP_ROWS)
        first = next(tables)
        return _without_hash(first.schema), [(batch[0], _chained(first, tables))]
    held = [typed_table(relation)]
    return _without_hash(held[0].schema), _split(held, model, batch)


def _is_nearly_all(planner: Planner, model: Model, starts: Sequence[date | None], rows_in: int) -> bool:
    """Whether many rows are read to build some periods, and few of them lie outside these."""
    return rows_in > FEW_ROWS and rows_in >= NEARLY_ALL * max(
        sum(part.rows for part in planner.read_by(model, table, starts))
        for table in model.inputs
        if not table.startswith("ref_")
    )


def _without_hash(schema: pa.Schema) -> pa.Schema:
    return schema.remove(schema.get_field_index(ROW_HASH))


def _chained(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


def _split(held: list[pa.Table], model: Model, batch: Sequence[Stale]) -> list[tuple[Stale, Iterable[pa.Table]]]:
    """The rows of each period in the order of the header, nulls last. The table is taken out of ``held``: only so is it let go.

    Only the columns that say where a row belongs go through a sort; whole rows are gathered by place, once, and not even
    that where they stand in order.
    """
    import pyarrow.compute as pc

    if model.dated is not None and held[0].column(model.dated.column).null_count:
        # Of no period.
        held.append(held.pop().filter(pc.is_valid(pc.field(model.dated.column))))
    places = pc.sort_indices(held[0], [(name, "ascending") for name in model.sort_columns]).to_numpy()
    if model.dated is None:
        return [(batch[0], [_taken(held, places)])]
    owners = _owners(held[0], model.dated)[places]
    if (owners[1:] < owners[:-1]).any():
        by_owner = np.argsort(owners, kind="stable")
        places, owners = places[by_owner], owners[by_owner]
    rows = _taken(held, places)
    found: list[tuple[Stale, Iterable[pa.Table]]] = []
    for stale in batch:
        assert stale.start is not None
        day = stale.start.toordinal() - _EPOCH
        begin, end = np.searchsorted(owners, day), np.searchsorted(owners, day, side="right")
        found.append((stale, [rows.slice(begin, end - begin)]))
    return found


def _owners(rows: pa.Table, dated: Dated) -> Any:
    """The first day, as days since 1970, of the period that each row belongs to."""
    days = rows.column(dated.column).cast(pa.date32()).cast(pa.int32()).to_numpy()
    if dated.grain == "week":
        # 1970-01-01 was a Thursday.
        return days - (days + 3) % 7
    if dated.grain == "month":
        return days.astype("datetime64[D]").astype("datetime64[M]").astype("datetime64[D]").astype("int64")
    return days


def _taken(held: list[pa.Table], places: Any) -> pa.Table:
    """The rows at some places, gathered by the column: two copies of one column are held, and not of all."""
    rows = held.pop()
    if np.array_equal(places, np.arange(len(places))):
        return rows
    columns, wanted, schema = [], pa.array(places), rows.schema
    while rows.num_columns:
        # In one piece first: rows are gathered from many pieces at several times the price.
        columns.append(rows.column(0).combine_chunks().take(wanted))
        rows = rows.remove_column(0)
    return pa.Table.from_arrays(columns, schema=schema)


def _store(
    lake: Lake,
    model: Model,
    built: Sequence[PeriodRows],
    gone: Iterable[date],
    schema: pa.Schema | None,
    busy: frozenset[date],
    hold: Callable[[Path], None] = lambda path: None,
) -> None:
    """Write periods into the folders that hold them, each folder once."""
    grain = str(model.partition)
    folders: dict[Path, tuple[list[PeriodRows], set[date]]] = {}
    for period in built:
        folders.setdefault(home(lake.root, model.name, grain, period.start), ([], set()))[0].append(period)
    for start in gone:
        folders.setdefault(home(lake.root, model.name, grain, start), ([], set()))[1].add(start)
    for folder, (periods, starts) in folders.items():
        first = periods[0].start if periods else min(starts)
        by_day = first.replace(day=1) in busy
        lake.store(model.name, folder, periods, starts, model.version, schema, by_day=by_day, hold=hold)


def _reform(lake: Lake, model: Model, busy: frozenset[date], progress: Callable[[str], None]) -> None:
    """Bring the months whose number of calls has grown beyond one file, or shrunk to it, into the other form."""
    months = {part.start.replace(day=1) for part in lake.parts(model.name) if part.start}
    for month in sorted(months):
        folder, by_day = lake.root.stored(model.name, STORED_BY["day"], month), month in busy
        if not lake.has_form(model.name, folder, by_day=by_day):
            progress(f"{model.name}: {month:%Y-%m} is kept in {'a file a day' if by_day else 'one file'} from now on")
            lake.store(model.name, folder, [], (), model.version, None, by_day=by_day)


def create_input_views(
    con: duckdb.DuckDBPyConnection, lake: Lake, planner: Planner, model: Model, starts: Sequence[date | None]
) -> int:
    """Views of what a model reads to build some periods, oldest first. How many rows they have, reference tables apart."""
    rows_read = 0
    for table in sorted(model.inputs):
        parts = planner.read_by(model, table, starts)
        rows_read += 0 if table.startswith("ref_") else sum(part.rows for part in parts)
        rows = rows_sql(lake, parts, planner.types(table, con), dated_as(table, planner.models))
        if table == CLOCK and (end := planner.clock_end(model, starts[-1])) is not None:
            rows = f"select * replace (least(now_at, timestamptz '{end.isoformat()}') as now_at) from ({rows})"
        con.execute(f'create or replace temp view "{table}" as {rows}')
    return rows_read


def _hold_to_header(con: duckdb.DuckDBPyConnection, model: Model, written: Path, schema: pa.Schema) -> None:
    """Compare the types of a written file with the header: a sum may be one type in the query and another in Parquet.

    How a column is read back depends on its type alone, so that a file is looked at only where it has a type not seen yet.
    """
    if any(str(column.type) not in _read_back for column in schema):
        found = con.execute(
            "describe select * from read_parquet(?, hive_partitioning = false)", [str(written)]
        ).fetchall()
        _read_back.update((str(column.type), row[1]) for column, row in zip(schema, found, strict=True))
    _compare(model, {column.name: _read_back[str(column.type)] for column in schema})


def _compare(model: Model, found: Mapping[str, str]) -> None:
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


def count_checks(
    con: duckdb.DuckDBPyConnection, lake: Lake, planner: Planner, model: Model, parts: Sequence[Part]
) -> pl.DataFrame:
    """How many rows of some periods break each check, and what each period was built from."""
    starts = [part.start for part in parts]
    reads = frozenset().union(*(inputs(check.query) for check in model.checks if check.query))
    for table in sorted(reads - {model.name}):
        # Only what the checked periods read: one between two of them is not looked at.
        found = planner.read_by(model, table, starts)
        create_view(con, lake, table, found, planner.types(table, con), dated_as(table, planner.models))
    create_model_view(con, lake, model, parts)
    partition_sql = None
    if model.partition:
        partition_sql = f"cast(date_trunc('{model.partition}', {model.partition_column}) as date)"
    counts = checks.count_violations(con, model, [label(start) for start in starts], partition_sql)
    return counts.with_columns(pl.Series("fingerprint", [part.fingerprint for part in parts], pl.String))
