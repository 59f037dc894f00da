"""Anthropic's usage and cost reports: pages of the Admin and Analytics APIs, and the CSV files of the Console."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.records import create_records
from pipelines.records.documents import CONTINUED, create_continued, create_pages
from pipelines.records.files import Readable, Unreadable, header_of, layout_of
from pipelines.sources import Recognised, Source

_FOLDER = Path(__file__).parent
_PAGES = (_FOLDER / "pages.sql").read_text(encoding="utf-8")
_CONSOLE = (_FOLDER / "console.sql").read_text(encoding="utf-8")
_RECORDS = (_FOLDER / "records.sql").read_text(encoding="utf-8")

# The Console's cost file, as it grew.
_COST_2024 = "usage_date_utc model workspace api_key usage_type token_type cost_usd".split()
_COST_2025 = [*_COST_2024, "context_window", "cost_type"]
_COST_2026_03 = [*_COST_2025, "list_price_usd", "inference_geo", "speed"]
_COST_2026_08 = [*_COST_2026_03, "api_key_id", "api_key_status"]
COST_HEADERS = {
    "console_cost_2024": _COST_2024,
    "console_cost_2025": _COST_2025,
    "console_cost_2026_03": _COST_2026_03,
    "console_cost_2026_08": _COST_2026_08,
}
# Of its token file there are variants with some of the counts only.
_COUNTS = """
usage_input_tokens_no_cache usage_input_tokens_cache_write usage_input_tokens_cache_write_5m usage_input_tokens_cache_write_1h
usage_input_tokens_cache_read usage_output_tokens web_search_count
""".split()
_OF_TOKENS = ["usage_date_utc", "model_version"]
_MAYBE_OF_TOKENS = "api_key workspace usage_type context_window inference_geo speed".split()
COLUMNS = dict.fromkeys([*_COST_2026_08, *_OF_TOKENS, *_MAYBE_OF_TOKENS, *_COUNTS], "VARCHAR")
_EXPECTED = (
    "expected pages of /v1/organizations/usage_report/messages, cost_report, usage_report/claude_code, "
    "analytics/usage or analytics/cost, or a CSV file of the Console"
)


def recognise(name: str, head: bytes) -> Recognised:
    """Pages of a report, or a CSV file of the Console by its header. Raises Unreadable for anything else."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if text.strip() in ("", "[]"):
        return Recognised("empty", "pages")
    if layout_of(head) == "csv":
        return Recognised(_version_of(header_of(text)), "csv")
    if not re.search(r'"data"\s*:\s*\[', text):
        if re.search(r'"error"\s*:\s*\{', text):
            raise Unreadable("an error answer of the API, expected a page with data; pull it again")
        raise Unreadable(f'no "data" list, {_EXPECTED}')
    if '"model_breakdown"' in text:
        return Recognised("claude_code", "pages")
    if re.search(r'"group"\s*:\s*[{n]', text) or '"data_refreshed_at"' in text:
        return Recognised("analytics_api_2026_08", "pages")
    if '"starting_at"' in text or re.search(r'"data"\s*:\s*\[\s*\]', text):
        return Recognised("admin_api", "pages")
    raise Unreadable(f"rows without starting_at, {_EXPECTED}")


def _version_of(header: list[str]) -> str:
    """Raises Unreadable for a header that is not known, naming those that are."""
    names = {name for name in header if name}
    for version, known in COST_HEADERS.items():
        if names == set(known):
            return version
    if names >= set(_OF_TOKENS) and names & set(_COUNTS) and names <= {*_OF_TOKENS, *_MAYBE_OF_TOKENS, *_COUNTS}:
        return "console_tokens" if "usage_input_tokens_cache_write" not in names else "console_tokens_without_ttl"
    known_headers = "; ".join(
        [
            *(f"{version}: {','.join(known)}" for version, known in COST_HEADERS.items()),
            f"console_tokens (some of the counts): {','.join([*_OF_TOKENS, *_COUNTS])}",
        ]
    )
    raise Unreadable(f"a header of {', '.join(header)[:200]}, which is none of the known ones ({known_headers})")


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row a result, a row or a line, and one for each bucket without results."""
    if files[0].layout == "csv":
        create_records(con, files, COLUMNS, list(COLUMNS), view="console_rows")
        create_pages(con, (), {"data": "JSON", **CONTINUED})
        lines = _CONSOLE
    else:
        create_pages(con, files, {"data": "JSON", "data_refreshed_at": "VARCHAR", **CONTINUED})
        names = ", ".join(f"({file.number}, '{_endpoint_in(file.path.name)}')" for file in files)
        con.execute(
            f"create or replace temp table page_files as select * from (values {names}) as named (file_no, endpoint_of_name)"
        )
        lines = _PAGES
    create_continued(con)
    con.execute(f"create or replace temp table anthropic_lines as {lines}")
    con.execute(f"create or replace temp table anthropic_records as {_RECORDS}")
    con.execute("create or replace temp view records as select * from anthropic_records")


def _endpoint_in(name: str) -> str:
    """The report that a file's name tells, for pages all of whose buckets are empty."""
    return "claude_code" if "claude_code" in name else "costs" if "cost" in name else "usage"


SOURCE = Source(
    name="anthropic_usage",
    folder=_FOLDER,
    about="Usage and cost reports of Anthropic's Admin and Analytics APIs, and CSV files of its Console.",
    recognise=recognise,
    read=read,
)
