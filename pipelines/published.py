"""What is published: a closed month as it was when it was closed, the others as the books have them now.

Whatever goes out (exports, pages, summaries) reads a table through here. The books themselves know no closed month.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb

from pipelines.lake import CLOSED, Lake, Part, months_closed
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.periods import start_of
from pipelines.relations import rows_sql


def parts(lake: Lake, table: str, closing: date | None = None) -> list[tuple[Part, bool]]:
    """The files of a table of days or months as they are published, oldest first, each with whether it is closed.

    ``closing``: a month that is just being closed; its live files are what its set will hold.
    """
    closed = set(months_closed(lake.root))
    found = [(part, True) for part in lake.parts(f"{CLOSED}{table}") if part.start]
    for part in lake.parts(table):
        month = start_of("month", part.start) if part.start else None
        if month not in closed:
            found.append((part, month is not None and month == closing))
    return sorted(found, key=lambda entry: (entry[0].start or date.min, entry[0].path))


def create_published_view(
    con: duckdb.DuckDBPyConnection, lake: Lake, table: str, wanted: Sequence[tuple[Part, bool]]
) -> None:
    """A view of published files of a table (see ``parts``). The rows of closed months say so in their ``state``."""
    model = models()[table]
    types = model.types
    columns = ", ".join(types)
    queries = []
    for is_closed in (True, False):
        rows = rows_sql(lake, [part for part, closed in wanted if closed is is_closed], types, model.dated)
        state = next((name for name in ("state", "x_State") if name in types), None)
        said = f"* replace ('closed' as {state})" if is_closed and state else "*"
        queries.append(f"select {columns} from (select {said} from ({rows}) as files) as published")
    con.execute(f'create or replace temp view "{table}" as {" union all ".join(queries)}')


def frozen_weeks(root: DataRoot) -> set[date]:
    """The weeks that are published for ever: all their months are closed."""
    return {
        date.fromisoformat(folder.name.removeprefix("week="))
        for month in months_closed(root)
        for folder in (root.closed_month(month) / "exports" / "showback" / "v1").glob("week=*")
    }


def restore(root: DataRoot) -> list[str]:
    """Put what is published for ever into exports/ where it is missing or other; paths below the data root come back."""
    written = []
    for month in months_closed(root):
        kept = root.closed_month(month) / "exports"
        for path in sorted(path for path in kept.rglob("*") if path.is_file()):
            target = root.exports / path.relative_to(kept)
            if not _is_same(path, target):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = target.with_name(f".{target.name}.tmp")
                link(path, temporary)
                temporary.replace(target)
                written.append(root.relative(target))
    return written


def link(source: Path, target: Path) -> None:
    """A second name of a file; a copy of it where names of one file cannot be had."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _is_same(one: Path, other: Path) -> bool:
    if not other.is_file():
        return False
    return one.samefile(other) or one.read_bytes() == other.read_bytes()
