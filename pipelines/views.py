"""``tokenbooks.duckdb``: a view on every table, for ad-hoc queries. It holds no data.

It knows its data root by the macro ``data_root``, so any tool may open it from any folder. Where it was moved or is mounted elsewhere,
``set variable data_root = '...'`` says so until the next run writes it anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from pipelines import kept
from pipelines.contract import shapes
from pipelines.engine import listed, one_row, quoted
from pipelines.exports import MONTHLY, ROW_KEY
from pipelines.lake import CLOSED, CLOSED_MONTHS, CLOSED_MONTHS_TYPES, Lake, digest, replace_text
from pipelines.models import Model, models, star, whatif_answers
from pipelines.paths import DataRoot
from pipelines.whatif import kept as kept_answers

SHOWBACK = "mart_showback_weekly"
PUBLISHED_SHOWBACK = "published_showback_weekly"
_KEPT_AS = "views"
_EXPLAIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*explain\b(?:\s*analyze\b)?(?:\s*\([^)]*\))?", re.IGNORECASE | re.DOTALL
)


class QueryRefused(ValueError):
    """A statement that is no question."""


def refresh(root: DataRoot, lake: Lake, models: Mapping[str, Model]) -> bool:
    """Write the file of views anew where the tables or their columns have changed; a reader keeps the old one."""
    statements, version = _written_out(root, lake, models)
    if root.views.is_file() and _version(root) == _placed(version, root):
        return False
    temporary = root.views.with_name(f".{root.views.name}.tmp")
    temporary.unlink(missing_ok=True)
    if (files := kept.read(_KEPT_AS, version)) is not None:
        temporary.write_bytes(files[_KEPT_AS])
    else:
        _write(temporary, root, statements, version)
        kept.keep(_KEPT_AS, version, {_KEPT_AS: temporary.read_bytes()})
    with duckdb.connect(str(temporary)) as con:
        con.execute(_data_root(str(root.path)))
    temporary.replace(root.views)
    _note_version(root, _placed(version, root))
    return True


def _data_root(path: str) -> str:
    return f"create or replace macro data_root() as coalesce(getvariable('data_root'), {quoted(path)})"


def _placed(version: str, root: DataRoot) -> str:
    return f"{version} {root.path}"


def _write(path: Path, root: DataRoot, statements: Iterable[str], version: str) -> None:
    """A file of views. It names no place of its own yet, so that it is right for every data root with these tables."""
    with duckdb.connect(str(path)) as con:
        con.execute(f"set variable data_root = {quoted(str(root.path))}")
        con.execute("begin transaction")
        con.execute(_data_root(""))
        for statement in statements:
            con.execute(statement)
        con.execute("commit")
        con.execute(f"create macro views_version() as {quoted(version)}")


def must_be_there(root: DataRoot) -> None:
    """Raises FileNotFoundError before the first run."""
    if not root.views.is_file():
        raise FileNotFoundError(f"{root.views} does not exist yet. Run 'tokenbooks run' first.")


def are_of_another_version(root: DataRoot) -> bool:
    """Whether the file of views is not the one that a run of this version would write, wherever the data root lies."""
    _, version = _written_out(root, Lake(root), models())
    return _version(root).split(" ")[0] != version


@contextmanager
def open_views(root: DataRoot) -> Iterator[duckdb.DuckDBPyConnection]:
    """The views, read-only and locked: nothing outside the lake can be read, no setting changed, no extension loaded.

    Raises FileNotFoundError before the first run.
    """
    must_be_there(root)
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": "",
    }
    with duckdb.connect(str(root.views), read_only=True, config=config) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"set variable data_root = {quoted(str(root.path))}")
        con.execute(
            f"set allowed_directories = {listed([f'{root.lake}/', f'{root.closed}/', f'{root.whatif_answers}/'])}"
        )
        con.execute("set enable_external_access = false")
        con.execute("set lock_configuration = true")
        yield con


def questions(con: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    """The queries of a text, one by one. Raises QueryRefused where one is no question: it could write below the lake."""
    found = con.extract_statements(text)
    for statement in found:
        kind = statement.type
        # 'explain analyze copy' would write as 'copy' does: what counts is what is explained.
        if kind == duckdb.StatementType.EXPLAIN:
            [kind] = {one.type for one in con.extract_statements(_EXPLAIN.sub("", statement.query, count=1))}
        if kind != duckdb.StatementType.SELECT:
            word = str(kind).rpartition(".")[2].lower()
            raise QueryRefused(
                f"a {word} statement: only queries are answered here (select, from, with, describe, show, explain)"
            )
    return [statement.query for statement in found]


def _statements(lake: Lake, models: Mapping[str, Model]) -> Iterator[str]:
    for table in sorted(
        {
            *models,
            *(name for name in lake.tables() if lake.parts(name) and not name.startswith(CLOSED)),
            *(s.table for s in shapes().values()),
        }
    ):
        model = models.get(table)
        shape = shapes().get(table.removeprefix("staged_"))
        columns = model.columns if model else shape.columns if shape and shape.table == table else ()
        parts = lake.parts(table)
        if parts:
            inside = "*.parquet" if parts[0].start is None else "*/*.parquet"
            # Names and types are those of the header: every file was held to it.
            yield f"create view {table} as select * from read_parquet(data_root() || '/lake/{table}/{inside}', hive_partitioning = false)"
        elif columns:
            typed = ", ".join(f"cast(null as {column.type}) as {column.name}" for column in columns)
            yield f"create view {table} as select {typed} where false"
        else:
            continue
        if model:
            yield f"comment on view {table} is {quoted(model.about)}"
        elif shape and columns:
            yield f"comment on view {table} is {quoted(shape.about)}"
        # A comment costs as much as a view, so the columns of a table without rows have none yet.
        for column in columns if parts else ():
            yield f"comment on column {table}.{column.name} is {quoted(column.meaning)}"

    yield from _closed_views(lake, models)
    yield from _star_views(models)


def _written_out(root: DataRoot, lake: Lake, models: Mapping[str, Model]) -> tuple[list[str], str]:
    """What the file of views is made with, and the version that says so."""
    statements = [*_statements(lake, models), *_kept_answers(root)]
    return statements, digest([duckdb.__version__, *statements])


def _kept_answers(root: DataRoot) -> Iterator[str]:
    """What was asked and kept: no run makes it, but whoever asks the books can ask it too."""
    place = f"data_root() || {quoted('/' + root.relative(root.whatif_answers) + '/*.parquet')}"
    model = whatif_answers()
    yield f"create view {model.name} as {kept_answers.rows_sql(place if kept_answers.files(root) else None)}"
    yield f"comment on view {model.name} is {quoted(model.about)}"


def _star_views(models: Mapping[str, Model]) -> Iterator[str]:
    """The facts and dimensions that BI tools read, as exports/star has them."""
    there = {*models, *([PUBLISHED_SHOWBACK] if SHOWBACK in models else [])}
    for name, model in star().items():
        if not model.inputs <= there:
            continue
        there.add(name)
        yield f"create view {name} as {model.query}"
        yield f"comment on view {name} is {quoted(model.about)}"
        for column in model.columns:
            yield f"comment on column {name}.{column.name} is {quoted(column.meaning)}"


def _closed_views(lake: Lake, models: Mapping[str, Model]) -> Iterator[str]:
    """What goes out as it is published, and what that is made of: closed months as they were closed, the others as they are."""
    yield _closed_view(lake, CLOSED_MONTHS, CLOSED_MONTHS_TYPES)
    for table in (SHOWBACK, *(table for export in MONTHLY for table in export.tables.values())):
        model = models.get(table)
        if model is None:
            continue
        yield _closed_view(lake, f"{CLOSED}{table}", model.types)
        view, columns, month = (
            f"published_{table.removeprefix('mart_')}",
            ", ".join(model.types),
            str(model.partition_column),
        )
        if model.types[month] != "DATE":
            month = f"{month} at time zone 'UTC'"
        key = f", {ROW_KEY} as row_key" if view == PUBLISHED_SHOWBACK else ""
        state = next((name for name in ("state", "x_State") if name in model.types), None)
        said = f"* replace ('closed' as {state})" if state else "*"
        yield (
            f"create view {view} as select *{key} from (select {columns} from (select {said} from {CLOSED}{table}) union all "
            f"select {columns} from {table} where cast({month} as date) not in (select month_start_date from {CLOSED_MONTHS}))"
        )
        about = f"{table} as it is published: a closed month as it was closed, the others as the books have them now."
        yield f"comment on view {view} is {quoted(about)}"


def _closed_view(lake: Lake, table: str, types: Mapping[str, str]) -> str:
    rows = "select " + ", ".join(f"cast(null as {type_}) as {name}" for name, type_ in types.items()) + " where false"
    if lake.parts(table):
        files = f"/closed/[0-9][0-9][0-9][0-9]-[0-9][0-9]/lake/{table.removeprefix(CLOSED)}/**/*.parquet"
        read = f"read_parquet(data_root() || '{files}', hive_partitioning = false, union_by_name = true)"
        rows = f"select {', '.join(types)} from ({rows} union all by name select * from {read})"
    return f"create view {table} as {rows}"


def _version(root: DataRoot) -> str:
    """Of the file of views as it lies there. To open it takes longer than to plan a run, so it is noted beside the lake."""
    with suppress(OSError, TypeError, ValueError):
        version, *seen = json.loads(root.views_version.read_text(encoding="utf-8"))
        if seen == _seen(root):
            return str(version)
    try:
        with duckdb.connect(str(root.views), read_only=True) as con:
            version = str(one_row(con, "select views_version() || ' ' || data_root()")[0])
    except duckdb.Error:
        return ""
    _note_version(root, version)
    return version


def _note_version(root: DataRoot, version: str) -> None:
    replace_text(root.views_version, json.dumps([version, *_seen(root)]))


def _seen(root: DataRoot) -> list[int]:
    status = root.views.stat()
    return [status.st_size, status.st_mtime_ns]
