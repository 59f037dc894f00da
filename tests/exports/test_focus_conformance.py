"""The rules of FOCUS: on files that are known to keep or to break them, and on what we write."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import exports
from pipelines.models import models
from tests.exports.focus_rules import MANDATORY, OFFICIAL, broken
from tests.exports.test_focus_rows import focus
from tests.test_showback import invoice, line, spend

Run = Callable[..., list[dict[str, Any]]]
EXAMPLES = Path(os.environ.get("TOKENBOOKS_SHARED", Path(__file__).parents[3] / "shared")) / "formats/examples/focus"
TYPES = {"Decimal": "DECIMAL(", "String": "VARCHAR", "JSON": "VARCHAR", "DateTime": "TIMESTAMP WITH TIME ZONE"}
FILES = {
    "1.4": "focus_cost_and_usage",
    "1.2": "focus_cost_and_usage_1_2",
    "invoice_detail": "focus_invoice_detail",
    "billing_period": "focus_billing_period",
}


@pytest.mark.parametrize("kind", FILES)
def test_our_columns_are_the_official_ones_in_name_and_type_and_our_own_stand_last(kind: str) -> None:
    """All mandatory columns, no unknown one, in alphabetical order, then x_ columns."""
    columns = {column.name: column.type for column in models()[FILES[kind]].columns}
    official = [name for name in columns if not name.startswith("x_")]

    assert set(MANDATORY[kind]) <= set(official) <= set(OFFICIAL[kind])
    assert list(columns) == [*sorted(official), *sorted(set(columns) - set(official), key=list(columns).index)]
    for name in official:
        assert columns[name].startswith(TYPES[OFFICIAL[kind][name][0]]), name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ok_float.csv", set()),
        ("bom.csv", set()),
        (
            "bad.csv",
            {
                "ChargePeriodStart is no instant",
                "ChargeCategory",
                "ChargeClass",
                "ChargeFrequency",
                "BillingCurrency",
                "ServiceCategory",
                "ConsumedQuantity only on Usage",
                "ListCost",
                "Tags is no flat object",
            },
        ),
        (
            "semantic_bad.csv",
            {
                "charge period",
                "billing period",
                "ChargeCategory",
                "ConsumedQuantity only on Usage",
                "ListCost",
                "ContractedCost",
                *(f"column {name} is unknown" for name in ("Provider", "Publisher", "InvoiceIssuer", "ChargeType")),
            },
        ),
        ("offset_dt.csv", {"ChargePeriodStart is no instant"}),
        ("int_costs.csv", {"ListCost", "ContractedCost"}),
    ],
)
def test_the_rules_find_what_is_wrong_and_nothing_in_what_is_right(name: str, wanted: set[str]) -> None:
    """Files of the specification's facts: those that pass break no rule that is not about a column they lack."""
    if not (EXAMPLES / name).is_file():
        pytest.skip("the examples are not here")
    with duckdb.connect() as con:
        found = broken(con, EXAMPLES / name, "1.2")

    assert wanted <= found, wanted - found
    if not wanted:
        assert found == set()


def test_a_company_with_every_kind_of_charge_breaks_no_rule(run: Run, tmp_path: Path) -> None:
    """Usage counted and not, discounts, a purchase over days, tax, credit, a correction, EUR, calls without a bill."""
    eu = {"billing_account_id": "eu", "billing_currency": "EUR"}
    calls = [
        spend('a "quoted" \\ name', "7.5", 750),
        spend("b", "2.5", 250),
        spend("c", "1", 90, billing_account_id="eu"),
        spend("d", "0.3", 30, provider="anthropic", billing_account_id="nobody"),
    ]
    plain = {"model_canonical": None, "token_type": None}
    lines = [
        line("9.00", 1_000, list_usd=Decimal(10), list_amount=Decimal(10)),
        line("0.0000012345", 7, token_type="input"),
        line("3.00", None, model_canonical="image", token_type="other"),
        line("-1.00", None, model_canonical="refund", token_type="other"),
        line("0.00", 12, model_canonical="free"),
        line("-0.50", -50, cost_key="corrected"),
        line("29.90", None, charge_category="Purchase", charge_end_date=date(2026, 12, 1), **plain),
        line("1.90", None, charge_category="Tax", **plain),
        line("-4.00", None, charge_category="Credit", **plain),
        line("-2.00", None, charge_category="Adjustment", **plain),
        line("4.444", 90, **eu),
    ]
    corrected = {
        "cost_key": "corrected",
        "month_start_date": date(2026, 11, 1),
        "is_correction": True,
        "tags": {"team": "x"},
    }
    total = sum(row["billed_amount"] for row in lines if row["billing_account_id"] == "org")
    invoices = [invoice(str(total)), invoice("4.444", **eu, state="provisional")]

    tables = focus(run, calls, lines, bills=[corrected], invoices=invoices)

    for kind, table in FILES.items():
        model = models()[table]
        rows = (
            tables[table]
            if table in tables
            else run(table, **{name: found for name, found in tables.items() if name in model.inputs})
        )
        tables[table] = rows
        file = tmp_path / f"{table}.csv"
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            con.execute(f"create table f ({', '.join(f'{c.name} {c.type}' for c in model.columns)})")
            con.executemany(
                f"insert into f values ({', '.join('?' * len(model.columns))})", [list(r.values()) for r in rows]
            )
            con.execute(f"copy f to '{file}' ({exports._CSV}, {exports._CSV_INSTANTS})")
            assert rows
            assert broken(con, file, kind) == set(), kind
    assert {row["BillingPeriodStatus"] for row in tables["focus_billing_period"]} == {"Open"}
    assert sum(row["BilledCost"] for row in tables["focus_invoice_detail"]) == sum(
        row["invoiced_cost_billing_currency"] for row in invoices
    )
