"""``exports/star/v1``: facts and dimensions for BI tools, a Parquet file each and a manifest, over what is published.

The queries are those of ``sql/star/``, and ``tokenbooks.duckdb`` has a view of each: files and views say the same.
"""

from __future__ import annotations

import duckdb

from pipelines import exports, published
from pipelines.engine import one_row
from pipelines.export_contract import additive
from pipelines.lake import Lake, digest
from pipelines.models import Model, star
from pipelines.paths import DataRoot

VERSION = "v1"
_SHOWBACK = "published_showback_weekly"


def publish(con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake) -> list[str]:
    """Write the star where anything of it has changed; the files written as paths below the data root."""
    _create_views(con, lake)
    written = exports.write_files(
        con,
        root.star_export,
        {
            name: f"from {name} order by {', '.join(f'{key} nulls last' for key in m.sort_columns)}"
            for name, m in star().items()
        },
        {
            "dataset": "star",
            "schema_version": VERSION.removeprefix("v"),
            "tables": {name: _said_of(con, model) for name, model in star().items()},
        },
        digest([f"{name} {model.version}" for name, model in star().items()] + _states(lake))[:16],
        csv=None,
    )
    return [root.relative(path) for path in written]


def _inputs() -> list[str]:
    return sorted({table for model in star().values() for table in model.inputs} - set(star()) - {_SHOWBACK})


def _states(lake: Lake) -> list[str]:
    return [f"{table} {lake.state(table)}" for table in (exports.TABLE, *_inputs())]


def _create_views(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    exports.create_showback_view(con, lake)
    con.execute(
        f"create or replace temp view {_SHOWBACK} as select *, {exports.ROW_KEY} as row_key from {exports.TABLE}"
    )
    for table in _inputs():
        published.create_published_view(con, lake, table, [(part, False) for part in lake.parts(table)])
    for name, model in star().items():
        con.execute(f"create or replace temp view {name} as {model.query}")


def _said_of(con: duckdb.DuckDBPyConnection, model: Model) -> dict[str, object]:
    """Rows of a table, and of a fact the sums that a load can be held to."""
    summed = [column.name for column in model.columns if additive(model.name, column) == "yes"]
    rows, *sums = one_row(
        con, f"select {', '.join(['count(*)', *(f'sum({name})' for name in summed)])} from {model.name}"
    )
    said = {name: exports.summed(total) for name, total in zip(summed, sums, strict=True)}
    return {"rows": rows, **({"sums": said} if said else {})}
