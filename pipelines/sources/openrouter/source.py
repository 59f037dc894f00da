"""OpenRouter's activity (API, daily CSV, one line a generation), and the billing exports of Together and Groq."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from pipelines.records import create_records
from pipelines.records.documents import array_elements
from pipelines.records.files import Readable, Unreadable, first_json_of, header_of, layout_of
from pipelines.sources import Recognised, Source

_FOLDER = Path(__file__).parent
_PAGES = (_FOLDER / "pages.sql").read_text(encoding="utf-8")
_TABLES = (_FOLDER / "tables.sql").read_text(encoding="utf-8")
_RECORDS = (_FOLDER / "records.sql").read_text(encoding="utf-8")

DAILY = ["Date", "Slug", "Usage", "BYOK Usage", "Requests", "Prompt Tokens", "Completion Tokens", "Reasoning Tokens"]
GENERATIONS = """
generation_id created_at cost_total cost_web_search cost_cache cost_file_processing byok_usage_inference tokens_prompt
tokens_completion tokens_reasoning tokens_cached model_permaslug provider_name variant cancelled streamed user finish_reason_raw
finish_reason_normalized generation_time_ms time_to_first_token_ms api_key_disabled api_key_name app_name
""".split()
COLUMNS = dict.fromkeys([*DAILY, *GENERATIONS], "VARCHAR")
_GROQ = """
organization_id organization_name n_context_tokens_total n_non_cached_context_tokens_total n_generated_tokens_total project_id
api_key_id api_key_name api_key_redacted model timestamp user_id user num_requests num_seconds num_seconds_billed plan_id
subscription_id service_tier cost
""".split()
_EXPECTED = "expected activity of OpenRouter (API, daily CSV or CSV of generations), a billing usage report of Together or activity of Groq"


def recognise(name: str, head: bytes) -> Recognised:
    """The fields of the first row tell the export. Raises Unreadable for anything else, an error answer included."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if text.strip() in ("", "[]"):
        return Recognised("empty", "pages")
    if layout_of(head) == "csv":
        header = header_of(text)
        for version, known in (("activity_daily", DAILY), ("activity_generations", GENERATIONS)):
            if {cell for cell in header if cell} == set(known):
                return Recognised(version, "csv")
        raise Unreadable(
            f"a header of {', '.join(header)[:200]}, which is none of the known ones (activity_daily: {','.join(DAILY)}; "
            f"activity_generations: {','.join(GENERATIONS)})"
        )
    if re.search(r'"line_items"\s*:', text) or re.search(r'"billing_period"\s*:', text):
        return Recognised("together_billing_usage", "pages")
    if re.search(r'"n_context_tokens_total"\s*:', text):
        _refuse_unknown_keys(text)
        return Recognised("groq_activity", "pages")
    if re.search(r'"(model_permaslug|byok_usage_inference)"\s*:', text) or re.search(r'"data"\s*:\s*\[\s*\]', text):
        return Recognised("activity_api", "pages")
    if re.search(r'"error"\s*:\s*\{', text):
        raise Unreadable("an error answer of the API, expected a page with data; pull it again")
    raise Unreadable(f"rows of no known export, {_EXPECTED}")


def _refuse_unknown_keys(text: str) -> None:
    """Groq's endpoint is not documented: a row with a field that was never seen may count in another way."""
    row: dict[str, object] = {}
    start = text.find("{", text.find("[") + 1)
    with suppress(ValueError):
        row, _ = first_json_of(text, start)
    if strange := sorted(set(row) - set(_GROQ)):
        raise Unreadable(
            f"rows of Groq with the unknown fields {', '.join(strange)[:200]}; known are {', '.join(_GROQ)}"
        )


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row a row of the export."""
    if files[0].layout == "csv":
        create_records(con, files, COLUMNS, ("Slug", "generation_id"), view="activity_rows")
        lines = _TABLES
    else:
        documents = " union all ".join(
            f"select {file.number} as file_no, place, element from ({array_elements(file)})" for file in files
        )
        con.execute(f"create or replace temp table documents as {documents}")
        lines = _PAGES
    con.execute(f"create or replace temp table activity_lines as {lines}")
    con.execute(f"create or replace temp table activity_records as {_RECORDS}")
    con.execute("create or replace temp view records as select * from activity_records")


SOURCE = Source(
    name="openrouter",
    folder=_FOLDER,
    about="Activity of OpenRouter by day or generation; billing exports of Together and Groq.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
)
