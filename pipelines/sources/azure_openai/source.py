"""Azure OpenAI and Foundry: lines of Cost Management exports (actual and amortised cost), and diagnostic logs of calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipelines.records import create_records
from pipelines.records.documents import array_elements, elements_of
from pipelines.records.files import Readable, Unreadable, head_of, layout_of
from pipelines.sources import Recognised, Source
from pipelines.sources.bills import columns_in, create_rows, short_list

_FOLDER = Path(__file__).parent
_BILL_RECORDS = (_FOLDER / "bill_records.sql").read_text(encoding="utf-8")
_WANTED = (
    "a Cost Management export (Date, MeterName, Quantity, CostInBillingCurrency or Cost, BillingCurrencyCode or BillingCurrency) "
    "or a diagnostic log (category RequestResponse or AzureOpenAIRequestUsage)"
)
_COLUMNS = """
InvoiceId InvoiceSectionName SubscriptionId SubscriptionName ResourceGroup ResourceLocation Date ProductName MeterCategory
MeterSubCategory MeterId MeterName MeterRegion UnitOfMeasure Quantity EffectivePrice CostInBillingCurrency CostCenter
ConsumedService ResourceId Tags ReservationId UnitPrice PublisherType PublisherName ChargeType PricingModel BillingAccountId
BillingCurrencyCode BillingPeriodStartDate BillingPeriodEndDate PayGPrice ServiceFamily PricingCurrencyCode
CostInPricingCurrency PaygCostInBillingCurrency
""".split()
# Enterprise agreements of other years and customer agreements; the case of names is not minded.
_RENAMED = {
    "InvoiceSection": "InvoiceSectionName",
    "Product": "ProductName",
    "Cost": "CostInBillingCurrency",
    "BillingCurrency": "BillingCurrencyCode",
    "PricingCurrency": "PricingCurrencyCode",
    "InstanceId": "ResourceId",
    "SubscriptionGuid": "SubscriptionId",
}
_LOG_COLUMNS = {
    **dict.fromkeys(
        "time category event correlationId operationName resourceId resultSignature location durationMs".split(),
        "VARCHAR",
    ),
    "properties": "JSON",
}


def recognise(name: str, head: bytes) -> Recognised:
    """An export's header, or log records. Raises Unreadable for anything else."""
    if not head.strip() or head.removeprefix(b"\xef\xbb\xbf").strip() == b"[]":
        return Recognised("empty", "jsonl" if not head.strip() else "array")
    layout = layout_of(head)
    found = {column.lower() for column in columns_in(head, _known())}
    if layout in ("json", "jsonl"):
        if found & {"category", "records"} and (found & {"correlationid", "records"}):
            return Recognised("diagnostic_log", "array" if layout == "json" or "records" in found else "jsonl")
        raise Unreadable(f"JSON of the fields {short_list(found)}, expected {_WANTED}")
    if "billedcost" in found:
        raise Unreadable("a FOCUS file, expected below landing/focus/")
    wanted = (
        ("date",),
        ("metername",),
        ("quantity",),
        ("costinbillingcurrency", "cost"),
        ("billingcurrencycode", "billingcurrency"),
    )
    if missing := [" or ".join(names) for names in wanted if not found & set(names)]:
        raise Unreadable(f"a header without {', '.join(missing)} ({short_list(found)}), expected {_WANTED}")
    version = "cost_mca" if found & {"costinpricingcurrency", "previousinvoiceid"} else "cost_ea"
    return Recognised(version, layout)


def _known() -> list[str]:
    names = [*_COLUMNS, *_RENAMED, *_LOG_COLUMNS, "records", "BilledCost", "previousInvoiceId"]
    return [*names, *(name[0].lower() + name[1:] for name in names)]


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str], careful: bool) -> None:
    """``bill_records``: one row a charge; ``log_records``: one row a log record; ``records``: both, without their fields."""
    logs = [file for file in files if file.layout in ("jsonl", "array")]
    create_rows(con, [file for file in files if file not in logs], _COLUMNS, keep, careful=careful, renamed=_RENAMED)
    con.execute(f"create or replace temp view bill_records as {_BILL_RECORDS}")
    nothing = ", ".join(f'cast(null as {type_}) as "{name}"' for name, type_ in _LOG_COLUMNS.items())
    selects = [
        "select cast(null as integer) as file_no, cast(null as bigint) as source_row, cast(null as varchar) as problem, "
        f"{nothing} where false"
    ]
    names = ", ".join(["file_no", "source_row", "problem", *(f'"{name}"' for name in _LOG_COLUMNS)])
    wrapped = [file for file in logs if file.layout == "array" and b'"records"' in head_of(file.path)]
    plain = [file for file in logs if file not in wrapped]
    if plain:
        create_records(con, plain, _LOG_COLUMNS, (), [], careful=careful, view="plain_log_records")
        selects.append(f"select {names} from plain_log_records")
    for file in wrapped:
        # Event hubs deliver {"records": [...]}.
        elements = (
            "select unnest(from_json(json_extract(element, '$.records'), '[\"JSON\"]')) as element, row_number() over () as place "
            f"from ({array_elements(file)})"
        )
        numbered = f"select element, row_number() over () as place from ({elements})"
        selects.append(f"select {names} from ({elements_of(file, numbered, _LOG_COLUMNS, ())})")
    con.execute(f"create or replace temp view log_records as {' union all by name '.join(selects)}")
    con.execute(
        "create or replace temp view records as "
        "select file_no, source_row from bill_records union all select file_no, source_row from log_records"
    )


SOURCE = Source(
    name="azure_openai",
    folder=_FOLDER,
    about="Azure OpenAI and Foundry: lines of cost exports, and diagnostic logs of calls.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    maps_dimensions=True,
)
