"""Vertex AI and the Gemini API: rows of the Cloud Billing export, and of the table of logged requests and responses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.records import create_records
from pipelines.records.files import Readable, Unreadable, first_bytes_of, layout_of
from pipelines.sources import Recognised, Source
from pipelines.sources.bills import columns_in, create_rows, short_list

_FOLDER = Path(__file__).parent
_BILL_RECORDS = (_FOLDER / "bill_records.sql").read_text(encoding="utf-8")
_COLUMNS = """
billing_account_id service sku usage_start_time usage_end_time project labels tags location resource cost cost_at_list currency
usage credits invoice cost_type export_time seller_name transaction_type
""".split()
_LOG_TEXTS = "endpoint deployed_model_id logging_time request_id model model_version api_method".split()
_LOG_COLUMNS = {
    **dict.fromkeys(_LOG_TEXTS, "VARCHAR"),
    **dict.fromkeys(("full_request", "full_response", "response_payload", "metadata"), "JSON"),
}
_BILL_REQUIRED = ("billing_account_id", "service", "sku", "usage_start_time", "usage_end_time", "cost", "currency")
_LOG_REQUIRED = ("logging_time", "request_id", "model")
_WANTED = (
    "rows of the billing export (billing_account_id, service, sku, usage_start_time, usage_end_time, cost, currency) or of the "
    "request-response log (logging_time, request_id, model)"
)


def recognise(name: str, head: bytes) -> Recognised:
    """Rows of one of the two tables. Raises Unreadable for anything else."""
    if not head.strip() or head.removeprefix(b"\xef\xbb\xbf").strip() == b"[]":
        return Recognised("empty", "jsonl" if not head.strip() else "array")
    layout = layout_of(head)
    found = columns_in(head, [*_COLUMNS, *_LOG_COLUMNS, "BilledCost"])
    if "BilledCost" in found:
        raise Unreadable("a FOCUS file, expected below landing/focus/")
    for version, required in (("billing_export_v1", _BILL_REQUIRED), ("request_response_log", _LOG_REQUIRED)):
        if all(column in found for column in required):
            return Recognised(version, "array" if layout == "json" else layout)
    missing = [column for column in _BILL_REQUIRED if column not in found]
    raise Unreadable(f"rows without {', '.join(missing)} ({short_list(found)}), expected {_WANTED}")


def _is_log(file: Readable) -> bool:
    head = first_bytes_of(file.path)
    return b"logging_time" in head and b"usage_start_time" not in head


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``bill_records``: one row a charge or credit; ``log_records``: one row a call; ``records``: both, without their fields."""
    logs = [file for file in files if _is_log(file)]
    create_rows(con, [file for file in files if file not in logs], _COLUMNS, keep)
    con.execute(f"create or replace temp view bill_records as {_BILL_RECORDS}")
    if logs:
        create_records(con, logs, _LOG_COLUMNS, (), [], view="log_records")
    else:
        nothing = ", ".join(f'cast(null as {type_}) as "{name}"' for name, type_ in _LOG_COLUMNS.items())
        con.execute(
            "create or replace temp view log_records as select cast(null as integer) as file_no, "
            f"cast(null as bigint) as source_row, cast(null as varchar) as problem, {nothing} where false"
        )
    con.execute(
        "create or replace temp view records as "
        "select file_no, source_row from bill_records union all select file_no, source_row from log_records"
    )


SOURCE = Source(
    name="google_vertex",
    folder=_FOLDER,
    about="Vertex AI and the Gemini API: rows of the billing export, and logged requests and responses.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
)
