"""An application's own log: one record a provider call, with the provider's usage object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.records.files import Readable
from pipelines.sources import Recognised, RowFormat, Source, recognise_rows
from pipelines.sources.beside import create_beside, names_beside

_TEXT = """
id timestamp provider api model model_requested service_tier batch region response_id status http_status error_class attempt
is_retry ended_at first_token_at logged_at feature team environment customer_id customer_tier user_id session_id task_id trace_id
span_id parent_span_id workflow step step_index prompt_name prompt_version release api_key_name max_output_tokens
static_prompt_tokens prompt_hash prompt_prefix_hash cost_usd outcome host_provider
web_search_calls num_web_search_calls web_search_requests web_searches num_web_searches x_search_calls file_search_calls
num_file_search_calls code_interpreter_calls
""".split()

FORMAT = RowFormat(
    columns={**dict.fromkeys(_TEXT, "VARCHAR"), "usage": "JSON", "metadata": "JSON"},
    required=("id", "timestamp", "provider", "model"),
    nullable=("usage",),
)


def recognise(name: str, head: bytes) -> Recognised:
    """Records that name a provider and a model. Raises Unreadable for a file of another tool."""
    return Recognised("1", recognise_rows(head, FORMAT, "an app_log"))


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: the known fields, and ``further``: those kept by name, and others that count or state dollars by theirs."""
    names = names_beside(con, files, FORMAT.columns)
    FORMAT.read(con, files, [*keep, *names])
    create_beside(con, names, metadata=True)


SOURCE = Source(
    name="app_log",
    folder=Path(__file__).parent,
    about="One JSON object per provider call, written by the application.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    is_known_by_little=True,
)
