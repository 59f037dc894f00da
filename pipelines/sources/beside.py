"""Counts and dollars that stand beside the usage object of a record, at its top or in its metadata, told by their names.

What the object says itself counts. A count that its shape knows by the words of its key is read, another one is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

import duckdb

from pipelines.engine import quoted
from pipelines.records.files import Readable
from pipelines.sources import further_names
from pipelines.usage.keys import counts_beside
from pipelines.usage.stated import states_dollars

_METADATA = "case when json_type(metadata) = 'VARCHAR' then try_cast(metadata ->> '$' as json) else metadata end"


def names_beside(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], known: Collection[str]) -> list[str]:
    """The fields of the records that are not known and say by their name that they count or state dollars."""
    return further_names(con, files, known, _says_something)


def create_beside(con: duckdb.DuckDBPyConnection, names: Sequence[str], *, metadata: bool) -> None:
    """``counted_beside(object)`` is an object of its counts, ``dollars_beside(object)`` the dollars that it states; null without any.

    ``names`` are those of the fields; with ``metadata`` also those that occur in the metadata of ``records``.
    """
    found = set(names)
    if metadata:
        keys = con.execute(f"select distinct json_keys({_METADATA}) from records where metadata is not null").fetchall()
        found.update(name for (of,) in keys for name in of or () if _says_something(name))
    counts, dollars = _chosen(found, counts_beside), _chosen(found, states_dollars)
    counted = f"numbers_in(object, {_pattern(counts)})" if counts else "cast(null as json)"
    con.execute(
        f"create or replace temp macro counted_beside(object) as case when object is not null then {counted} end"
    )
    said = "cast(null as decimal(18, 12))"
    if dollars:
        paths = ", ".join(quoted(f'$."{name}"') for name in dollars)
        said = (
            "coalesce(usage_dollars(object), list_filter(list_transform("
            f"json_extract_string(object, [{paths}]), lambda said_usd: try_cast(said_usd as decimal(18, 12))), "
            "lambda said_usd: said_usd >= 0)[1])"
        )
    con.execute(
        f"create or replace temp macro dollars_beside(object) as case when json_type(object) = 'OBJECT' then {said} end"
    )


def _says_something(name: str) -> bool:
    return re.fullmatch(r"[\w.-]{1,100}", name) is not None and (counts_beside(name) or states_dollars(name))


def _chosen(names: Collection[str], of: Callable[[str], bool]) -> list[str]:
    # A total goes before a part of it.
    return sorted((name for name in names if of(name)), key=lambda name: ("total" not in name.lower(), name))


def _pattern(names: Sequence[str]) -> str:
    return quoted("^(" + "|".join(re.escape(name) for name in names) + ")$")
