"""OpenAI's organisation usage and costs, as pages of the API saved to files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.records import Readable, create_pages, layout_of
from pipelines.sources import Recognised, Source, Unreadable

_ENDPOINT = re.compile(r"organization\.(usage\.[a-z_]+|costs)\.result")
_RECORDS = (Path(__file__).parent / "records.sql").read_text(encoding="utf-8")


def recognise(name: str, head: bytes) -> Recognised:
    """A page, a list of pages, or pages one after the other. Raises Unreadable for anything else, an error answer included."""
    text = head.decode("utf-8", "replace")
    if text.removeprefix("\ufeff").strip() in ("", "[]"):
        return Recognised("empty", "json")
    if layout_of(head) not in ("json", "jsonl"):
        raise Unreadable(
            "not JSON; expected pages of /v1/organization/usage/... or /v1/organization/costs as the API gives them"
        )
    if not re.search(r'"data"\s*:\s*\[', text):
        if re.search(r'"error"\s*:\s*\{', text):
            raise Unreadable("an error answer of the API, expected a page with data; pull it again")
        raise Unreadable('no "data" list, expected pages of /v1/organization/usage/... or /v1/organization/costs')
    found = _ENDPOINT.search(text)
    if not found and not re.search(r'"object"\s*:\s*"(page|bucket)"', text):
        raise Unreadable(
            "no bucket of a usage or costs page, expected results named organization.usage.*.result or organization.costs.result"
        )
    return Recognised("admin_api_2026", "json")


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str], careful: bool) -> None:
    """``records``: one row a result, and one for each bucket without results."""
    create_pages(con, files, {"data": "JSON"})
    names = ", ".join(f"({file.number}, '{_endpoint_in(file.path.name)}')" for file in files)
    con.execute(
        f"create or replace temp table page_files as select * from (values {names}) as named (file_no, endpoint_of_name)"
    )
    con.execute(f"create or replace temp table page_records as {_RECORDS}")
    con.execute("create or replace temp view records as select * from page_records")


def _endpoint_in(name: str) -> str:
    """The endpoint that a file's name tells, for pages all of whose buckets are empty."""
    found = re.match(r"(?:organization[._])?(?:usage[._](?P<usage>[a-z_]+?)|(?P<costs>costs))(?:[._-]|$)", name)
    if not found:
        return ""
    return "costs" if found["costs"] else "usage." + found["usage"].rstrip("_")


SOURCE = Source(
    name="openai_usage",
    folder=Path(__file__).parent,
    about="Pages of OpenAI's organisation usage and costs API.",
    recognise=recognise,
    read=read,
)
