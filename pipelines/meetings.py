"""What of the days around decides a day: the rows there that meet one of its own.

A table that looks some days around (a task, a trace or the versions of a row may lie on several) is out of date where a call of a
task or trace of its own day is new, and not because some call of another day is. Its header says so by ``meets``: a query
of ``day``, ``link`` and ``content``, a row for each row of its inputs and what it hangs together by. What decides a day is then
what it holds itself, and of the days around the content of links that it has too.

Most links lie on one day, and ``meets`` reads much that says nothing of days: ``lies_on`` in a header is a query of ``day`` and ``link``
alone, which gives every link that has rows of ``meets`` on days within reach of each other more than one day too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

import duckdb

from pipelines.engine import CHOICE_OF_SIDES, planned_without
from pipelines.lake import Lake, Part
from pipelines.models import Dated, Model
from pipelines.relations import rows_sql

# Up to so many links that lie on several days, rows are picked out by name, before anything else of them is read.
_LINKS_NAMED = 1_000


def create_views(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    model: Model,
    inputs: Mapping[str, tuple[Sequence[Part], Mapping[str, str], Dated | None]],
) -> None:
    """Views of what the ``meets`` of a model reads, with those columns alone that it or the query names.

    A row as a whole, by its name in the query, is then all that the query may see of it. ``inputs``: of each table its
    periods, its types, and what says to which period a row belongs.
    """
    said = set(re.findall(r"\w+", f"{model.query} {model.meets}"))
    for table, (parts, types, dated) in inputs.items():
        columns = ", ".join(f'"{name}"' for name in types if name in said)
        con.execute(
            f'create or replace temp view "{table}" as select {columns} from ({rows_sql(lake, parts, types, dated)})'
        )


def met_around(con: duckdb.DuckDBPyConnection, model: Model) -> dict[date, str]:
    """Of each day a hash of what it meets within ``reads_around``; a day that meets nothing is not among them.

    Reads the views of ``create_views``. Most links lie on one day: of those nothing but the link is read.
    """
    # Joins as written are written for many rows: what ``meets`` gives of a few links is joined as the engine sees fit.
    with planned_without(con, [CHOICE_OF_SIDES] if model.lies_on and model.joins_as_written else []):
        links = con.execute(
            f"select link from ({model.lies_on or model.meets}) where link is not null group by link having min(day) <> max(day)"
        ).fetchnumpy()["link"]
    if not len(links):
        return {}
    named = f" where link in ({', '.join(map(str, links))})" if len(links) <= _LINKS_NAMED else ""
    around = model.reads_around.days
    found = con.execute(
        f"""with held as materialized (
            select day, link, hash(link, day, sum(content)) as content from ({model.meets}){named} group by day, link
        )
        select own.day, sum(other.content)
        from held as own
        inner join held as other
            on own.link = other.link and own.day <> other.day and other.day between own.day - {around} and own.day + {around}
        group by own.day"""
    ).fetchall()
    return {day: f"{content:x}" for day, content in found}
