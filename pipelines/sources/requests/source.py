"""Rows that are already canonical: a warehouse table, or any tool with a five-line query in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.contract import LINEAGE_NAMES, shapes
from pipelines.records.files import Readable
from pipelines.sources import Recognised, RowFormat, Source, recognise_rows
from pipelines.sources.beside import create_beside, names_beside

_DERIVED = {*LINEAGE_NAMES, "request_key", "entity_key", "duration_ms", "ttft_ms"}
_COLUMNS = [column for column in shapes()["requests"].columns if column.name not in _DERIVED]

FORMAT = RowFormat(
    columns={
        **{column.name: "JSON" if column.type == "JSON" else "VARCHAR" for column in _COLUMNS},
        **dict.fromkeys(("input_total_tokens", "output_total_tokens", "cost_centre"), "VARCHAR"),
    },
    required=("source_row_id", "started_at", "provider", "model_served"),
)


def recognise(name: str, head: bytes) -> Recognised:
    """Rows with canonical column names. Raises Unreadable for others."""
    return Recognised("1", recognise_rows(head, FORMAT, "canonical requests"))


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: the canonical columns, and ``further``: those kept by name, and others that count by theirs."""
    names = names_beside(con, files, FORMAT.columns)
    FORMAT.read(con, files, [*keep, *names])
    create_beside(con, names, metadata=False)


SOURCE = Source(
    name="requests",
    folder=Path(__file__).parent,
    about="Rows with the canonical columns of a request.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    is_known_by_little=True,
)
