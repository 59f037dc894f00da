"""LiteLLM: rows of its table SpendLogs, and the payload that it logs to object storage and callbacks, one call each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb

from pipelines.records import create_records
from pipelines.records.files import Readable
from pipelines.sources import Recognised, Source, further_counts, recognise_versions

# What is read of either. Messages, responses and the request as it came are not among them.
_TEXT = """
request_id id litellm_call_id call_type cache_hit startTime endTime completionStartTime updated_at model model_group
custom_llm_provider api_base team_id organization_id end_user session_id trace_id agent_id status spend response_cost
saved_cache_cost prompt_tokens completion_tokens total_tokens
""".split()
_OBJECTS = "metadata request_tags cost_breakdown error_information model_parameters model_map_information".split()
COLUMNS = {**dict.fromkeys(_TEXT, "VARCHAR"), **dict.fromkeys(_OBJECTS, "JSON")}
VERSIONS = {
    "spend_logs": ("request_id", "startTime", "spend"),
    "standard_logging_payload": ("id", "startTime", "response_cost"),
}


def recognise(name: str, head: bytes) -> Recognised:
    """Calls of either version. Raises Unreadable for others, such as the totals of a day."""
    return recognise_versions(head, VERSIONS, "LiteLLM's log of single calls")


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: the fields of either version, as text, and ``further``: others that count tokens or calls."""
    create_records(con, files, COLUMNS, (), further_counts(con, files, COLUMNS))


def withheld(files: Sequence[Path], settled: Collection[Path]) -> Mapping[Path, str]:
    """Single lines of batches: the total of each batch is logged as a call, and is what counts."""
    return {
        path: "lines of a batch, whose total is a record of its own"
        for path in files
        if "batch_line_items" in path.parts
    }


SOURCE = Source(
    name="litellm",
    folder=Path(__file__).parent,
    about="Calls through LiteLLM: SpendLogs rows and logged payloads.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
    withheld=withheld,
)
