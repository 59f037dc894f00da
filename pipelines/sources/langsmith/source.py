"""LangSmith: runs as the bulk export (Parquet) or the API writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.records.files import Readable, Unreadable, layout_of
from pipelines.sources import Recognised, RowFormat, Source, further_counts, recognise_rows

# Of outputs the response's id alone is taken, of extra names and models; inputs, events and messages are not read.
_TEXT = """
id name run_type start_time end_time status error trace_id parent_run_id prompt_tokens completion_tokens total_tokens total_cost prompt_cost
completion_cost first_token_time
""".split()
_OBJECTS = """
extra tags outputs feedback_stats prompt_token_details completion_token_details prompt_cost_details completion_cost_details parent_run_ids
""".split()

FORMAT = RowFormat(
    columns={**dict.fromkeys(_TEXT, "VARCHAR"), **dict.fromkeys(_OBJECTS, "JSON")},
    required=("run_type", "start_time", "trace_id"),
)
_EXPECTED = "expected runs of LangSmith with id, run_type, start_time and trace_id"


def recognise(name: str, head: bytes) -> Recognised:
    """Runs, by their fields. Raises Unreadable for a file of another tool."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"[") and layout_of(head) == "json":
        if text.strip() != b"[]" and b'"run_type"' not in text:
            raise Unreadable(f"a list without run_type, {_EXPECTED}")
        return Recognised("runs", "array")
    if re.match(rb'\{\s*"(runs|detail|error)"\s*:', text):
        raise Unreadable(f"an answer of the API around its runs, {_EXPECTED}: write the list of runs itself")
    layout = recognise_rows(head, FORMAT, "runs of LangSmith")
    if layout == "parquet" and not all(field.encode() in head for field in FORMAT.required):
        raise Unreadable(f"a Parquet file without run_type, start_time or trace_id, {_EXPECTED}")
    return Recognised("bulk_export_v2" if layout == "parquet" else "runs", layout)


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row a run. Of fields that no column names counts alone are kept: others may hold a prompt."""
    FORMAT.read(con, files, further_counts(con, files, FORMAT.columns))


SOURCE = Source(
    name="langsmith",
    folder=Path(__file__).parent,
    about="Runs of LangSmith: bulk export in Parquet, or JSON Lines of the API.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
    is_known_by_little=True,
)
