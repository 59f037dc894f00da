"""Charge lines of FOCUS, the FinOps Open Cost and Usage Specification, 1.0 to 1.4, as CSV or Parquet, of any vendor."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb

from pipelines.records.files import Readable, Unreadable, layout_of
from pipelines.sources import Recognised, Source
from pipelines.sources.bills import columns_in, create_rows, short_list
from pipelines.sources.manifests import create_manifests, is_manifest, remarks, withheld

_RECORDS = (Path(__file__).parent / "records.sql").read_text(encoding="utf-8")
_REQUIRED = (
    "BilledCost",
    "BillingCurrency",
    "BillingAccountId",
    "ChargeCategory",
    "ChargePeriodStart",
    "ChargePeriodEnd",
)
# What a version brought; the newest of which a file has a column is its version.
_SINCE = {
    "1.2": ("InvoiceId", "BillingAccountType", "SubAccountType", "PricingCurrency", "PricingCurrencyEffectiveCost"),
    "1.1": ("SkuMeter", "SkuPriceDetails", "ServiceSubcategory", "CommitmentDiscountQuantity", "CapacityReservationId"),
}
_COLUMNS = """
BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodEnd BillingPeriodStart ChargeCategory ChargeClass
ChargeDescription ChargeFrequency ChargePeriodEnd ChargePeriodStart ConsumedQuantity ConsumedUnit ContractedCost
ContractedUnitPrice EffectiveCost HostProviderName InvoiceDetailId InvoiceId InvoiceIssuerName ListCost ListUnitPrice
PricingCategory PricingCurrency PricingCurrencyEffectiveCost PricingQuantity PricingUnit ProviderName PublisherName RegionId
ResourceId ServiceCategory ServiceName ServiceProviderName ServiceSubcategory SkuId SkuMeter SkuPriceDetails SkuPriceId
SubAccountId SubAccountName Tags AllocatedMethodId AllocatedResourceId AllocatedTags x_UsageType x_ServiceCode x_SkuMeterName
x_SkuMeterSubcategory x_SkuMeterCategory x_SkuMeterId x_SkuDescription x_Credits
""".split()


def recognise(name: str, head: bytes) -> Recognised:
    """A header of FOCUS. Raises Unreadable for any other."""
    if not head.strip():
        return Recognised("empty", "jsonl")
    if is_manifest(name, head):
        return Recognised("manifest", "manifest")
    layout = layout_of(head)
    if layout not in ("csv", "parquet"):
        raise Unreadable("neither CSV nor Parquet, expected a FOCUS file of 1.0, 1.1, 1.2, 1.3 or 1.4")
    found = columns_in(head, [*_COLUMNS, *(column for of in _SINCE.values() for column in of)])
    missing = [column for column in _REQUIRED if column not in found]
    if not found & {"ProviderName", "ServiceProviderName"}:
        missing.append("ProviderName or ServiceProviderName")
    if missing:
        raise Unreadable(
            f"a header without {', '.join(missing)} ({short_list(found)}), expected a FOCUS file of 1.0, 1.1, 1.2, 1.3 or 1.4"
        )
    return Recognised(f"focus_{_version(found)}", layout)


def _version(found: Collection[str]) -> str:
    if "ServiceProviderName" in found or "HostProviderName" in found:
        return "1.3" if "ProviderName" in found else "1.4"
    return next((version for version, columns in _SINCE.items() if any(column in found for column in columns)), "1.0")


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Readable], keep: Sequence[str]) -> None:
    """``records``: one row a charge, its texts, its instants and the seller."""
    create_rows(con, create_manifests(con, files), _COLUMNS, keep)
    con.execute(f"create or replace temp view records as {_RECORDS}")


SOURCE = Source(
    name="focus",
    folder=Path(__file__).parent,
    about="Charge lines of FOCUS files, 1.0 to 1.4, of any vendor.",
    recognise=recognise,
    read=read,
    keeps_attributes=True,
    withheld=withheld,
    remarks=remarks,
)
