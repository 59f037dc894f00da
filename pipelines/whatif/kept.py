"""The answers that a person kept (``whatif SCENARIO --export``), as the views and the pages read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from pipelines.engine import listed
from pipelines.lake import sha256_of
from pipelines.models import whatif_answers
from pipelines.paths import DataRoot

# A page has the answers about calls up to its week or up to one of the three before it.
PAGE_DAYS = timedelta(days=28)


@dataclass(frozen=True)
class KeptAnswer:
    path: Path
    sha256: str
    # The day on which the window is over; None of a file that cannot be read.
    end: date | None

    def is_of(self, week: date) -> bool:
        """Whether the page of a week has it."""
        week_end = week + timedelta(days=7)
        return self.end is not None and week_end - PAGE_DAYS < self.end <= week_end


def files(root: DataRoot) -> list[Path]:
    return sorted(path for path in root.whatif_answers.glob("*.parquet") if path.name[0] != ".")


def state(root: DataRoot) -> list[str]:
    """What changes when an answer is kept, asked anew or deleted."""
    return [f"{path.name} {sha256_of(path)}" for path in files(root)]


def answers(con: duckdb.DuckDBPyConnection, root: DataRoot) -> list[KeptAnswer]:
    found = []
    for path in files(root):
        try:
            row = con.execute("select max(end_date) from read_parquet(?)", [str(path)]).fetchone()
        except duckdb.Error:
            row = None
        found.append(KeptAnswer(path, sha256_of(path), row[0] if row else None))
    return found


def rows_sql(place: str | None) -> str:
    """The rows of files in the types of the header; what a file of an earlier version does not have is null.

    ``place`` is an SQL expression of one path or a list of them; None where no answer is kept.
    """
    types = whatif_answers().types
    none = "select " + ", ".join(f"cast(null as {type_}) as {name}" for name, type_ in types.items()) + " where false"
    if place is None:
        return none
    read = f"read_parquet({place}, union_by_name = true)"
    return f"select {', '.join(types)} from ({none} union all by name select * from {read})"


def rows_of(kept: Sequence[KeptAnswer]) -> str:
    """The same of some answers."""
    return rows_sql(listed([str(one.path) for one in kept]) if kept else None)
