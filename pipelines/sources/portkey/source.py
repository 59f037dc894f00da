"""Portkey: its export of logs, and the metric record that a gateway hosted by its user writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipelines.records import create_records
from pipelines.records.files import Readable, Unreadable
from pipelines.sources import Recognised, Source, first_fields, further_counts, recognise_versions

if TYPE_CHECKING:
    from pipelines.landing import FileVersion

# Of the response the provider's id alone is taken, of the request nothing.
_TEXT = """
id trace_id created_at is_success ai_org ai_provider ai_model req_units request_tokens res_units response_tokens total_units
total_tokens cost cost_currency request_url response_status_code response_time cache_status retry_success_count mode virtual_key
prompt_slug prompt_version_id span_id parent_span_id span_name workspace_slug _environment _user organisation_id
""".split()
COLUMNS = {**dict.fromkeys(_TEXT, "VARCHAR"), "metadata": "JSON", "response": "STRUCT(id VARCHAR)"}
# Everything that Portkey's pages and samples name. The fields of an export are chosen anew each time: any may be absent, but one
# that is not among these may mean what we do not know.
KNOWN = {
    *COLUMNS,
    *"""
request portkeyHeaders request_method cache_type stream_mode config config_id config_version_id prompt_id organisation_name
user_id ai_org_auth_hash is_proxy_call _organisation _prompt extra_key extra_value source runtime runtime_version sdk_version
internal_trace_id last_used_option_index api_key_id license_id request_parsing_time ttlt ttft upstream_response_time
response_parsing_time cache_processing_time pre_processing_time gateway_processing_time gateway_version
""".split(),
}
VERSIONS = {
    "metric_record": ("id", "created_at", "gateway_version"),
    "logs_export": ("id", "created_at"),
}
# An export job gives no more lines than this.
_LARGEST_EXPORT = 50_000


def recognise(name: str, head: bytes) -> Recognised:
    """Logs of Portkey with no field that is not known. Raises Unreadable for others."""
    recognised = recognise_versions(head, VERSIONS, "logs exported from Portkey")
    if recognised.schema_version == "empty":
        return recognised
    found = first_fields(head, recognised.layout)
    if not any(
        {"ai_org", "ai_provider", "ai_model", "req_units", "request_tokens", "cost"} & fields for fields in found
    ):
        raise Unreadable(f"records with {', '.join(sorted(found[0])[:12])[:200]}, expected logs exported from Portkey")
    # Of a record that is longer than what is looked at, names within its request would be among those found.
    unknown = sorted(set().union(*found) - KNOWN) if len(head) < (1 << 16) or b"\n" in head else []
    if unknown:
        raise Unreadable(
            f"fields that are not known: {', '.join(unknown)[:200]}; expected those of Portkey's logs export "
            f"({', '.join(sorted(KNOWN - {'request', 'response'}))})"
        )
    return recognised


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: the known fields, as text, and ``further``: counts that begin below the first records, which are looked at above."""
    create_records(con, files, COLUMNS, (), further_counts(con, files, KNOWN))


def remarks(versions: Sequence[FileVersion], data_root: Path) -> list[str]:
    """Exports that Portkey may have cut."""
    return [
        f"{version.path}: it has exactly {_LARGEST_EXPORT:,} records, the most that one export of Portkey gives; it may be cut. "
        "Export shorter spans of time."
        for version in versions
        if version.state == "current" and version.records == _LARGEST_EXPORT
    ]


SOURCE = Source(
    name="portkey",
    folder=Path(__file__).parent,
    about="Calls through Portkey: its export of logs.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
    remarks=remarks,
)
