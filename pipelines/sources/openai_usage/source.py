"""OpenAI's organisation usage and costs: pages of the API, CSV files of the dashboard, and batches with their output."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.engine import quoted
from pipelines.records import create_records
from pipelines.records.documents import CONTINUED, array_elements, create_continued, create_pages, elements_of
from pipelines.records.files import Readable, Unreadable, first_json_of, header_of, layout_of
from pipelines.sources import Recognised, Source

_ENDPOINT = re.compile(r"organization\.(usage\.[a-z_]+|costs)\.result")
_FOLDER = Path(__file__).parent
_RECORDS = (_FOLDER / "records.sql").read_text(encoding="utf-8")
_DASHBOARD = (_FOLDER / "dashboard.sql").read_text(encoding="utf-8")
_BATCHES = (_FOLDER / "batches.sql").read_text(encoding="utf-8")

_TIMES = "start_time end_time start_time_iso end_time_iso".split()
_OWNERS = """
user_id api_key_id project_id organization_id project_name organization_name user_email api_source api_key_name model batch service_tier
""".split()
_COSTS = "amount_value amount_currency quantity quantity_unit line_item".split()
_COUNTS = """
num_model_requests input_tokens input_cached_tokens input_cache_write_tokens input_cache_write_30m_tokens input_cache_write_12h_tokens
input_uncached_tokens input_text_tokens input_audio_tokens input_image_tokens input_cached_text_tokens input_cached_audio_tokens
input_cached_image_tokens output_tokens output_text_tokens output_audio_tokens output_image_tokens
""".split()
DASHBOARD_COLUMNS = dict.fromkeys([*_TIMES, *_OWNERS, *_COSTS, *_COUNTS], "VARCHAR")

# What is read of a batch's output line. What was asked and answered is not among it.
_BODY = (
    "STRUCT(id VARCHAR, object VARCHAR, created VARCHAR, created_at VARCHAR, model VARCHAR, service_tier VARCHAR, usage JSON, "
    "error STRUCT(code VARCHAR, type VARCHAR))"
)
LINE_COLUMNS = {
    "id": "VARCHAR",
    "custom_id": "VARCHAR",
    "response": f"STRUCT(status_code VARCHAR, request_id VARCHAR, body {_BODY})",
    "error": "STRUCT(code VARCHAR)",
}
BATCH_COLUMNS = {**dict.fromkeys("id object model created_at".split(), "VARCHAR"), "usage": "JSON", "metadata": "JSON"}
# What is looked at of a file; a longer one is not whole.
_HEAD_BYTES = 1 << 16
_EXPECTED = (
    "expected pages of /v1/organization/usage/... or /v1/organization/costs as the API gives them, a CSV file of the dashboard, "
    "a batch or its output"
)


def recognise(name: str, head: bytes) -> Recognised:
    """Pages, a file of the dashboard, a batch or its output. Raises Unreadable for anything else, an error answer included."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if text.strip() in ("", "[]"):
        return Recognised("empty", "pages")
    if layout_of(head) == "csv":
        return Recognised(_dashboard_version(text), "csv")
    if re.search(r'"custom_id"\s*:', text):
        if re.search(r'"(response|error)"\s*:', text):
            return Recognised("batch_output", "jsonl")
        raise Unreadable("the input of a batch, expected its output")
    if re.search(r'"object"\s*:\s*"batch"', text):
        if len(head) < _HEAD_BYTES:
            _refuse_torn(text)
        return Recognised("batch", "batches")
    if not re.search(r'"data"\s*:\s*\[', text):
        if re.search(r'"error"\s*:\s*\{', text):
            raise Unreadable("an error answer of the API, expected a page with data; pull it again")
        raise Unreadable(f'no "data" list, {_EXPECTED}')
    if not _ENDPOINT.search(text) and not re.search(r'"object"\s*:\s*"(page|bucket)"', text):
        raise Unreadable(
            "no bucket of a usage or costs page, expected results named organization.usage.*.result or organization.costs.result"
        )
    return Recognised("admin_api_2026", "pages")


def _refuse_torn(text: str) -> None:
    """The engine reads JSON with commas too many, as in the published example of a batch; what else is wrong in it is not known."""
    place = 0
    while place < len(text):
        try:
            _, place = first_json_of(text, place)
        except ValueError as error:
            raise Unreadable(f"not JSON ({error}), expected a batch as the API gives it") from error
        place += len(text[place:]) - len(text[place:].lstrip())


def _dashboard_version(text: str) -> str:
    """Raises Unreadable for a header that is not known, naming those that are."""
    header = header_of(text)
    names = {name for name in header if name}
    if names == set(_TIMES):
        return "dashboard_empty"
    if names >= {"start_time", "end_time", "amount_value", "amount_currency", "line_item"} and names <= {
        *_TIMES,
        *_OWNERS,
        *_COSTS,
    }:
        return "dashboard_cost"
    if names >= {"start_time", "end_time", "input_tokens"} and names <= {*_TIMES, *_OWNERS, *_COUNTS}:
        return "dashboard_completions_usage"
    raise Unreadable(
        f"a header of {', '.join(header)[:200]}, which is none of the known ones (dashboard_cost: {','.join([*_TIMES, *_COSTS])} "
        f"and owners; dashboard_completions_usage: {','.join([*_TIMES, *_COUNTS[:2]])} and further counts and owners; "
        f"an empty export: {','.join(_TIMES)})"
    )


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row a result, and one for each bucket without results; ``batch_records``: one a line or a batch."""
    layout = files[0].layout

    def of(wanted: str) -> Sequence[Readable]:
        return files if layout == wanted else ()

    create_pages(con, of("pages"), {"data": "JSON", **CONTINUED})
    create_continued(con)
    _create_rows(con, of("csv"), DASHBOARD_COLUMNS, view="dashboard_rows")
    _create_rows(con, of("jsonl"), LINE_COLUMNS, view="batch_rows")
    objects = [elements_of(file, _batches_in(file), BATCH_COLUMNS, ()) for file in of("batches")]
    con.execute(
        f"create or replace temp view batch_objects as {' union all '.join(objects) or _no_rows(BATCH_COLUMNS)}"
    )
    names = ", ".join(f"({file.number}, '{_endpoint_in(file.path.name)}')" for file in files)
    con.execute(
        f"create or replace temp table page_files as select * from (values {names}) as named (file_no, endpoint_of_name)"
    )
    batches = ", ".join(f"({file.number}, {_batch_in(con, file)})" for file in files)
    con.execute(
        f"create or replace temp table batch_files as select * from (values {batches}) as named (file_no, batch_of_name)"
    )
    con.execute(f"create or replace temp view dashboard_results as {_DASHBOARD}")
    con.execute(f"create or replace temp table batch_records as {_BATCHES}")
    con.execute(f"create or replace temp table page_records as {_RECORDS}")
    con.execute("create or replace temp view records as select * from page_records")


def _create_rows(
    con: duckdb.DuckDBPyConnection, files: Sequence[Readable], columns: dict[str, str], *, view: str
) -> None:
    nullable = ("amount_value", "input_tokens", "num_model_requests") if view == "dashboard_rows" else ()
    if files:
        create_records(con, files, columns, nullable, view=view)
    else:
        has = "".join(f", false as has_{name}" for name in nullable)
        con.execute(f"create or replace temp view {view} as select *{has} from ({_no_rows(columns)})")


def _no_rows(columns: dict[str, str]) -> str:
    fields = ", ".join(f'cast(null as {type_}) as "{name}"' for name, type_ in columns.items())
    return (
        "select cast(null as integer) as file_no, cast(null as bigint) as source_row, cast(null as varchar) as problem, "
        f"{fields} where false"
    )


def _batches_in(file: Readable) -> str:
    """Batches one after the other, in a list, or on pages of the API."""
    return f"""
        select element, row_number() over (order by document_no, batch_no) as place
        from (
            select document_no, unnest(batches) as element, generate_subscripts(batches, 1) as batch_no
            from (
                select
                    place as document_no,
                    case
                        when json_type(element, '$.data') = 'ARRAY' then from_json(json_extract(element, '$.data'), '["JSON"]')
                        else [element]
                    end as batches,
                from ({array_elements(file)})
            )
        )"""


def _endpoint_in(name: str) -> str:
    """The endpoint that a file's name tells, for pages and exports all of whose buckets are empty."""
    if name.startswith("completions_usage"):
        return "usage.completions"
    found = re.match(r"(?:organization[._])?(?:usage[._](?P<usage>[a-z_]+?)|(?P<costs>costs?))(?:[._-]|$)", name)
    if not found:
        return ""
    return "costs" if found["costs"] else "usage." + found["usage"].rstrip("_")


def _batch_in(con: duckdb.DuckDBPyConnection, file: Readable) -> str:
    """The batch that an output file is of: its name begins with it, as the dashboard and the API name it."""
    rows = con.execute("select source_file from landing_files where file_no = ?", [file.number]).fetchall()
    found = re.search(r"batch_[0-9A-Za-z]+", Path(rows[0][0]).name) if rows else None
    return quoted(found[0]) if found else "cast(null as varchar)"


SOURCE = Source(
    name="openai_usage",
    folder=_FOLDER,
    about="OpenAI's organisation usage and costs, by API or dashboard, and batches.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
)
