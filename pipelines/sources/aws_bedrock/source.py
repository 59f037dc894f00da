"""Amazon Bedrock: lines of a Cost and Usage Report (CUR, CUR 2.0) and the log of model invocations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.engine import quoted
from pipelines.records import create_records
from pipelines.records.files import Readable, Unreadable, first_bytes_of, layout_of
from pipelines.sources import Recognised, Source
from pipelines.sources.bills import columns_in, create_rows, short_list
from pipelines.sources.manifests import create_manifests, is_manifest, remarks, withheld

_FOLDER = Path(__file__).parent
_BILL_RECORDS = (_FOLDER / "bill_records.sql").read_text(encoding="utf-8")
_WANTED = "a Cost and Usage Report (columns line_item_usage_type or lineItem/UsageType) or a model invocation log (modelId, requestId)"
# CUR 2.0 and Parquet -> CSV of the older reports. The case of the older names follows no rule.
_COLUMNS = {
    "identity_line_item_id": "identity/LineItemId",
    "identity_time_interval": "identity/TimeInterval",
    "bill_invoice_id": "bill/InvoiceId",
    "bill_invoicing_entity": "bill/InvoicingEntity",
    "bill_billing_entity": "bill/BillingEntity",
    "bill_payer_account_id": "bill/PayerAccountId",
    "bill_billing_period_start_date": "bill/BillingPeriodStartDate",
    "bill_billing_period_end_date": "bill/BillingPeriodEndDate",
    "line_item_usage_account_id": "lineItem/UsageAccountId",
    "line_item_usage_account_name": "lineItem/UsageAccountName",
    "line_item_line_item_type": "lineItem/LineItemType",
    "line_item_usage_start_date": "lineItem/UsageStartDate",
    "line_item_usage_end_date": "lineItem/UsageEndDate",
    "line_item_product_code": "lineItem/ProductCode",
    "line_item_usage_type": "lineItem/UsageType",
    "line_item_operation": "lineItem/Operation",
    "line_item_usage_amount": "lineItem/UsageAmount",
    "line_item_currency_code": "lineItem/CurrencyCode",
    "line_item_unblended_cost": "lineItem/UnblendedCost",
    "line_item_net_unblended_cost": "lineItem/NetUnblendedCost",
    "line_item_line_item_description": "lineItem/LineItemDescription",
    "line_item_resource_id": "lineItem/ResourceId",
    "line_item_iam_principal": "lineItem/IamPrincipal",
    "product_product_name": "product/ProductName",
    "product_region_code": "product/regionCode",
    "pricing_unit": "pricing/unit",
    "pricing_public_on_demand_cost": "pricing/publicOnDemandCost",
    "product": "",
    "resource_tags": "",
    "tags": "",
    "cost_category": "",
}
_RENAMED = {older: name for name, older in _COLUMNS.items() if older}
_LOG_TEXTS = "timestamp accountId region inferenceRegion requestId operation modelId errorCode".split()
_LOG_COLUMNS = {
    **dict.fromkeys(_LOG_TEXTS, "VARCHAR"),
    **dict.fromkeys(("identity", "requestMetadata", "input", "output"), "JSON"),
}
_REQUIRED = (
    "line_item_usage_type",
    "line_item_usage_start_date",
    "line_item_unblended_cost",
    "line_item_currency_code",
)


def recognise(name: str, head: bytes) -> Recognised:
    """Rows of a report, or invocations. Raises Unreadable for anything else."""
    if not head.strip() or head.removeprefix(b"\xef\xbb\xbf").strip() == b"[]":
        return Recognised("empty", "jsonl" if not head.strip() else "array")
    if is_manifest(name, head):
        return Recognised("manifest", "manifest")
    layout = layout_of(head)
    found = columns_in(head, [*_COLUMNS, *_RENAMED, *_LOG_COLUMNS, "schemaType"])
    if "modelId" in found and found & {"requestId", "schemaType"}:
        if layout not in ("json", "jsonl"):
            raise Unreadable("a model invocation log that is not JSON, expected it as Bedrock delivers it")
        stands_on_end = re.search(rb'\}[ \t]*\{[ \t]*"', head.split(b"\n", 1)[0]) is not None
        return Recognised("invocation_log_1.0", "array" if layout == "json" or stands_on_end else "jsonl")
    names = {_RENAMED.get(column, column) for column in found}
    if "BilledCost" in found:
        raise Unreadable("a FOCUS file, expected below landing/focus/")
    if missing := [column for column in _REQUIRED if column not in names]:
        raise Unreadable(f"a header without {', '.join(missing)} ({short_list(found)}), expected {_WANTED}")
    version = "cur_csv" if "lineItem/UsageType" in found else "cur_2.0"
    return Recognised(version, "array" if layout == "json" else layout)


def _is_log(file: Readable) -> bool:
    return b'"modelId"' in first_bytes_of(file.path) and file.layout in ("jsonl", "array")


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``bill_records``: one row a line item; ``log_records``: one row an invocation; ``records``: both, without their fields."""
    files = create_manifests(con, files)
    logs = [file for file in files if _is_log(file)]
    bills = [file for file in files if file not in logs]
    # The older reports give each tag a column.
    tags = {key: (f"resourceTags/user:{key}", f"resource_tags_user_{key}") for key in keep}
    create_rows(con, bills, [*_COLUMNS], [name for of in tags.values() for name in of], renamed=_RENAMED)
    entries = []
    for key, of in tags.items():
        found = ", ".join("further ->> " + quoted(f'$."{name}"') for name in of)
        entries.append(f"{quoted(key)}, coalesce({found})")
    con.execute(
        "create or replace temp view tagged_rows as select *, "
        f"json_object({', '.join(entries)}) as column_tags from bill_rows"
    )
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
    name="aws_bedrock",
    folder=_FOLDER,
    about="Amazon Bedrock: lines of Cost and Usage Reports, and the log of model invocations.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    withheld=withheld,
    remarks=remarks,
    maps_dimensions=True,
)
