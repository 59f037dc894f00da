"""What a FOCUS file must be, from the facts of the specification (1.2 and 1.4), one query a rule over the file as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

# Column: type, and ? where it may be null.
_COMMON = """
BilledCost Decimal|BillingAccountId String|BillingAccountName String?|BillingCurrency String|BillingPeriodEnd DateTime
BillingPeriodStart DateTime|ChargeCategory String|ChargeClass String?|ChargeDescription String?|ChargePeriodEnd DateTime
ChargePeriodStart DateTime|ContractedCost Decimal|EffectiveCost Decimal|InvoiceIssuerName String|ListCost Decimal
PricingQuantity Decimal?|PricingUnit String?|ServiceCategory String|ServiceName String
"""
_CONDITIONAL = """
AvailabilityZone String?|BillingAccountType String?|CapacityReservationId String?|CapacityReservationStatus String?
ChargeFrequency String|CommitmentDiscountCategory String?|CommitmentDiscountId String?|CommitmentDiscountName String?
CommitmentDiscountQuantity Decimal?|CommitmentDiscountStatus String?|CommitmentDiscountType String?|CommitmentDiscountUnit String?
ConsumedQuantity Decimal?|ConsumedUnit String?|ContractedUnitPrice Decimal?|InvoiceId String?|ListUnitPrice Decimal?
PricingCategory String?|PricingCurrency String?|PricingCurrencyContractedUnitPrice Decimal?
PricingCurrencyEffectiveCost Decimal?|PricingCurrencyListUnitPrice Decimal?|RegionId String?|RegionName String?
ResourceId String?|ResourceName String?|ResourceType String?|ServiceSubcategory String|SkuId String?|SkuMeter String?
SkuPriceDetails JSON?|SkuPriceId String?|SubAccountId String?|SubAccountName String?|SubAccountType String?|Tags JSON?
"""
_SPLIT = """
AllocatedMethodDetails JSON?|AllocatedMethodId String?|AllocatedResourceId String?|AllocatedResourceName String?
AllocatedTags JSON?|InvoiceDetailId String?|ContractApplied JSON?
"""
_INVOICE_DETAIL = """
BilledCost Decimal|BillingAccountId String|BillingCurrency String|BillingPeriodEnd DateTime|BillingPeriodStart DateTime
ChargeCategory String|InvoiceDetailCreated DateTime|InvoiceDetailDescription String?|InvoiceDetailGrain JSON?
InvoiceDetailId String|InvoiceDetailLastUpdated DateTime|InvoiceId String|InvoiceIssueDate DateTime?
InvoiceIssueStatus String|InvoiceIssuerName String|PaymentCurrency String|PaymentDueDate DateTime?|PaymentTerms String
ReferenceInvoiceId String
"""
_BILLING_PERIOD = """
BillingPeriodCreated DateTime|BillingPeriodEnd DateTime|BillingPeriodLastUpdated DateTime|BillingPeriodStart DateTime
BillingPeriodStatus String|InvoiceIssuerName String
"""


def _columns(*texts: str) -> dict[str, tuple[str, bool]]:
    found = {}
    for text in texts:
        for entry in text.replace("\n", "|").split("|"):
            if entry:
                name, type_ = entry.split()
                found[name] = (type_.rstrip("?"), type_.endswith("?"))
    return found


MANDATORY: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "1.2": _columns(_COMMON, "ProviderName String|PublisherName String"),
    "1.4": _columns(_COMMON, "ServiceProviderName String|HostProviderName String"),
    "invoice_detail": _columns(_INVOICE_DETAIL),
    "billing_period": _columns(_BILLING_PERIOD),
}
OFFICIAL: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "1.2": {**MANDATORY["1.2"], **_columns(_CONDITIONAL)},
    "1.4": {**MANDATORY["1.4"], **_columns(_CONDITIONAL, _SPLIT)},
    "invoice_detail": MANDATORY["invoice_detail"],
    "billing_period": MANDATORY["billing_period"],
}
CATEGORIES = "('Usage', 'Purchase', 'Tax', 'Credit', 'Adjustment')"
SERVICE_CATEGORIES = """('AI and Machine Learning', 'Analytics', 'Business Applications', 'Compute', 'Databases', 'Developer Tools',
    'Multicloud', 'Identity', 'Integration', 'Internet of Things', 'Management and Governance', 'Media', 'Migration', 'Mobile',
    'Networking', 'Security', 'Storage', 'Web', 'Other')"""
PRICED = "ChargeCategory in ('Usage', 'Purchase') and ChargeClass is distinct from 'Correction'"

# Rule: a condition that no row may meet. It is asked where the file has the columns that it names.
ROW_RULES: Mapping[str, str] = {
    "ChargeCategory": f"ChargeCategory not in {CATEGORIES}",
    "ChargeClass": "ChargeClass <> 'Correction'",
    "ChargeFrequency": "ChargeFrequency not in ('One-Time', 'Recurring', 'Usage-Based')",
    "a purchase is not usage-based": "ChargeCategory = 'Purchase' and ChargeFrequency = 'Usage-Based'",
    "BillingCurrency": "not regexp_matches(BillingCurrency, '^[A-Z]{3}$')",
    "ServiceCategory": f"ServiceCategory not in {SERVICE_CATEGORIES}",
    "PricingCategory": "PricingCategory not in ('Standard', 'Dynamic', 'Committed', 'Other')",
    "charge period": "try_cast(ChargePeriodStart as timestamptz) >= try_cast(ChargePeriodEnd as timestamptz)",
    "billing period": "try_cast(BillingPeriodStart as timestamptz) >= try_cast(BillingPeriodEnd as timestamptz)",
    "ConsumedQuantity only on Usage": "ConsumedQuantity is not null and ChargeCategory <> 'Usage'",
    "ConsumedQuantity on Usage": "ConsumedQuantity is null and ChargeCategory = 'Usage' and ChargeClass is distinct from 'Correction'",
    "PricingQuantity where priced": f"{PRICED} and PricingQuantity is null",
    "ListUnitPrice where priced": f"{PRICED} and ListUnitPrice is null",
    "ContractedUnitPrice where priced": f"{PRICED} and ContractedUnitPrice is null",
    "SkuId where priced": f"{PRICED} and SkuId is null",
    "SkuPriceId where priced": f"{PRICED} and SkuPriceId is null",
    "PricingCategory where priced": f"{PRICED} and PricingCategory is null",
    "no unit price on tax": "ChargeCategory = 'Tax' and coalesce(ListUnitPrice, PricingQuantity, SkuPriceId, PricingCategory) is not null",
    "unit prices are not negative": "try_cast(ListUnitPrice as double) < 0 or try_cast(ContractedUnitPrice as double) < 0",
    "a credit costs what it is billed": """ChargeCategory = 'Credit' and ListUnitPrice is null
        and try_cast(ListCost as decimal(38, 12)) <> try_cast(BilledCost as decimal(38, 12))""",
    "ListCost": """ChargeClass is distinct from 'Correction' and abs(try_cast(ListUnitPrice as double) * try_cast(PricingQuantity as double)
        - try_cast(ListCost as double)) > 1e-9 * abs(try_cast(ListCost as double))""",
    "ContractedCost": """ChargeClass is distinct from 'Correction' and abs(try_cast(ContractedUnitPrice as double)
        * try_cast(PricingQuantity as double) - try_cast(ContractedCost as double)) > 1e-9 * abs(try_cast(ContractedCost as double))""",
    "PricingUnit": "(PricingUnit is null) <> (PricingQuantity is null)",
    "ConsumedUnit": "(ConsumedUnit is null) <> (ConsumedQuantity is null)",
    "RegionName": "RegionName is not null and RegionId is null",
    "SubAccountName": "SubAccountName is not null and SubAccountId is null",
    "SkuPriceDetails": "SkuPriceDetails is not null and SkuPriceId is null",
    "CommitmentDiscountStatus": "CommitmentDiscountStatus is not null and CommitmentDiscountId is null",
    "one SKU of a price": "SkuPriceId is not null and count(distinct SkuId) over (partition by SkuPriceId) > 1",
    "allocated to something": "AllocatedResourceId is not null and (AllocatedMethodId is null or AllocatedResourceName is null)",
    "AllocatedMethodDetails": "(AllocatedMethodDetails is null) <> (AllocatedMethodId is null)",
    "AllocatedTags": "AllocatedTags is not null and AllocatedMethodId is null",
    "InvoiceDetailId": "(InvoiceDetailId is null) <> (InvoiceId is null)",
    "InvoiceIssueStatus": "InvoiceIssueStatus not in ('Open', 'Issued', 'Voided')",
    "BillingPeriodStatus": "BillingPeriodStatus not in ('Open', 'Closed')",
    "InvoiceDetailCreated": "InvoiceDetailCreated > InvoiceDetailLastUpdated",
    "BillingPeriodCreated": "BillingPeriodCreated > BillingPeriodLastUpdated",
}
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?$"
_INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"


def broken(con: duckdb.DuckDBPyConnection, file: Path, kind: str) -> set[str]:
    """The rules that a CSV file breaks; ``kind`` is 1.2, 1.4, invoice_detail or billing_period."""
    # A cell without quotes is missing; the words NULL and N/A are no way to say so.
    options = "all_varchar = true, header = true, nullstr = '', hive_partitioning = false"
    con.execute(f"create or replace temp table rows as from read_csv('{file}', {options})")
    names = [row[0] for row in con.execute("describe rows").fetchall()]
    official, mandatory = OFFICIAL[kind], MANDATORY[kind]
    found = {f"column {name} is missing" for name in mandatory if name not in names}
    found |= {f"column {name} is unknown" for name in names if name not in official and not name.startswith("x_")}
    if any(name.startswith("x_") for name in names[: sum(not name.startswith("x_") for name in names)]):
        found.add("own columns stand last")
    conditions = {rule: text for rule, text in ROW_RULES.items() if _columns_in(text) <= set(names)}
    for name in names:
        type_, is_nullable = official.get(name, ("", True))
        conditions[f"{name} says nothing"] = f"upper(\"{name}\") in ('NULL', 'N/A', 'NAN') or trim(\"{name}\") = ''"
        if not is_nullable:
            conditions[f"{name} is null"] = f'"{name}" is null'
        if type_ == "Decimal":
            conditions[f"{name} is no number"] = f"not regexp_matches(\"{name}\", '{_NUMBER}')"
        if type_ == "DateTime":
            conditions[f"{name} is no instant"] = f"not regexp_matches(\"{name}\", '{_INSTANT}')"
        if name in ("Tags", "AllocatedTags", "SkuPriceDetails", "InvoiceDetailGrain"):
            conditions[f"{name} is no flat object"] = (
                f"\"{name}\" is not null and (coalesce(json_type(try_cast(\"{name}\" as json)), '') <> 'OBJECT' "
                f"or regexp_matches(\"{name}\"[2:], '[{{\\[]'))"
            )
    for rule, condition in conditions.items():
        if con.execute(
            f"select true from (select {condition} as is_broken from rows) where is_broken limit 1"
        ).fetchall():
            found.add(rule)
    return found


def _columns_in(condition: str) -> set[str]:
    names = {name for columns in OFFICIAL.values() for name in columns}
    words = set("".join(char if char.isalnum() else " " for char in condition).split())
    return {name for name in names if name in words} - {"Usage"}
