"""Helicone: the rows of its request query, as its API, its command line and its dashboard give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipelines.records import create_records
from pipelines.records.files import Readable
from pipelines.sources import Recognised, Source, further_counts, recognise_versions

if TYPE_CHECKING:
    from pipelines.landing import FileVersion

# Of the bodies the provider's id alone is taken.
_TEXT = """
request_id response_id request_created_at response_created_at updated_at response_status request_user_id provider
request_model response_model model_override model target_url time_to_first_token prompt_tokens completion_tokens total_tokens
prompt_cache_read_tokens prompt_cache_write_tokens prompt_audio_tokens completion_audio_tokens reasoning_tokens cost costUSD
cache_reference_id country_code prompt_id prompt_version feedback_rating feedback_created_at
""".split()
_OBJECTS = "request_properties properties scores".split()
COLUMNS = {
    **dict.fromkeys(_TEXT, "VARCHAR"),
    **dict.fromkeys(_OBJECTS, "JSON"),
    "response_body": "STRUCT(id VARCHAR)",
}
VERSIONS = {
    "query": ("request_id", "request_created_at"),
    "csv": ("response_id", "request_created_at", "request_properties", "latency"),
}


def recognise(name: str, head: bytes) -> Recognised:
    """Rows of the request query, or the poorer ones of the CSV writer. Raises Unreadable for others."""
    return recognise_versions(head, VERSIONS, "requests exported from Helicone")


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: the fields of either version, as text, and ``further``: others that count tokens or calls."""
    create_records(con, files, COLUMNS, (), further_counts(con, files, COLUMNS))


def remarks(versions: Sequence[FileVersion], data_root: Path) -> list[str]:
    """What the CSV lacks, for each file of that kind."""
    return [
        f"{version.path}: Helicone's CSV has no request id, model, provider or cached tokens, so none of its {version.records} calls "
        "is billed; they stand there with their owner and time alone. Export JSON Lines, or query the API, for their cost."
        for version in versions
        if version.schema_version == "csv" and version.state == "current" and version.records
    ]


SOURCE = Source(
    name="helicone",
    folder=Path(__file__).parent,
    about="Calls through Helicone: the rows of its request query.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
    remarks=remarks,
)
