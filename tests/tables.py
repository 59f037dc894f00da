"""Tables of the models' own types in a connection, with the rows that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from pipelines import reference
from pipelines.contract import TOKEN_CLASS_NAMES, shapes
from pipelines.dictionary import reference_types
from pipelines.lake import CLOSED, CLOSED_MONTHS, CLOSED_MONTHS_TYPES
from pipelines.models import models
from pipelines.prices.book import BOOK_SCHEMA
from pipelines.reference.tables import TABLES

Rows = Sequence[Mapping[str, Any]]

# Values that a row of a table has where a test does not say otherwise.
DEFAULTS: Mapping[str, Any] = {
    "source": "app_log",
    "source_account": "default",
    "source_schema_version": "1",
    "source_file": "landing/app_log/a.jsonl",
    "source_file_sha256": "a",
    "source_row": 1,
    "row_kind": "llm_call",
    "is_billable_leaf": True,
    "started_at": datetime(2026, 11, 2, 12, tzinfo=UTC),
    "provider": "openai",
    "usage_flags": [],
    "request_tags": [],
    "status": "ok",
    "gateway_cache_hit": False,
    "feature": "unattributed",
    "team": "unattributed",
    "cost_centre": "unattributed",
    "customer_tier": "unattributed",
    "environment": "unattributed",
}


@cache
def types_of(table: str) -> dict[str, str]:
    if table == CLOSED_MONTHS:
        return dict(CLOSED_MONTHS_TYPES)
    table = table.removeprefix(CLOSED)
    if table in models():
        return models()[table].types
    for shape in shapes().values():
        if table == shape.table:
            return shape.types
    if table == reference.REPORTING:
        return {"reporting_time_zone": "varchar"}
    if table == "ref_price_book":
        book = duckdb.from_arrow(pl.DataFrame(schema=BOOK_SCHEMA).to_arrow())
        return dict(zip(book.columns, map(str, book.types), strict=True))
    found = TABLES.get(table.removeprefix("ref_"))
    if found is None:
        return {}
    return reference_types(found)


def empty(table: str, types: Mapping[str, str]) -> str:
    return f"create table {table} ({', '.join(f'{name} {type_}' for name, type_ in types.items())})"


def create(con: Any, table: str, types: Mapping[str, str], rows: Rows) -> None:
    con.execute(empty(table, types))
    filled = []
    for number, row in enumerate(rows, 1):
        assert not set(row) - set(types), f"{table} has no {sorted(set(row) - set(types))}"
        known = (
            {name: value for name, value in DEFAULTS.items() if name in types} if not table.startswith("ref_") else {}
        )
        values = {**known, **({"reference_row": number} if "reference_row" in types else {}), **row}
        if "total_tokens" in types and not {"total_tokens", "input_total_tokens"} & set(row):
            values |= {name: total for name, total in _totals(values).items() if name in types}
        filled.append(values)
    if len(filled) > 500:
        con.register("many_rows", pa.Table.from_pylist(filled))
        names = ", ".join(filled[0])
        con.execute(f"insert into {table} ({names}) select {names} from many_rows")
        return
    for values in filled:
        con.execute(
            f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})", list(values.values())
        )


def _totals(row: Mapping[str, Any]) -> dict[str, int]:
    stated = {name: row[name] for name in TOKEN_CLASS_NAMES if row.get(name) is not None}
    output = sum(value for name, value in stated.items() if name.startswith("output_"))
    return {
        "input_total_tokens": sum(stated.values()) - output,
        "output_total_tokens": output,
        "total_tokens": sum(stated.values()),
    }
