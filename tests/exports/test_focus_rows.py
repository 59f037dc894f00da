"""The FOCUS tables on rows worked out by hand: what is split sums to what it was split from."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.models import models
from tests.test_showback import invoice, line, rule, spend, tables_of

Run = Callable[..., list[dict[str, Any]]]
FOCUS = ("focus_origin_charges", "focus_cost_and_usage")


def focus(run: Run, calls: list[dict[str, Any]], lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The tables from the lines of an invoice to FOCUS."""
    tables = tables_of(run, calls, lines, **more) | {"ledger_bills": more.get("bills", [])}
    for name in FOCUS:
        tables[name] = run(name, **{table: rows for table, rows in tables.items() if table in models()[name].inputs})
    return tables


def sums(rows: list[dict[str, Any]], by: str, of: str) -> dict[Any, Decimal]:
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for row in rows:
        found[row[by]] += row[of] or 0
    return dict(found)


def class_of(token_type: str, usd: str, tokens: int, **more: Any) -> dict[str, Any]:
    return line(usd, tokens, token_type=token_type, cost_key=f"{token_type} {more.get('usage_date')}", **more)


def test_the_caching_example_of_the_specification_costs_11_40_and_not_31_50(run: Run) -> None:
    """0.5 M uncached at $3, 2 M written at $3.75 and 8 M read at $0.30 are 1.50 + 7.50 + 2.40 = 11.40; 10.5 M at $3 would be 31.50."""
    calls = [
        spend(
            "chat",
            "11.40",
            0,
            input_total_tokens=10_500_000,
            cache_read_total_tokens=8_000_000,
            cache_write_total_tokens=2_000_000,
            input_cost_usd=Decimal("1.50"),
            cache_read_cost_usd=Decimal("2.40"),
            cache_write_cost_usd=Decimal("7.50"),
            output_cost_usd=Decimal(0),
        )
    ]
    lines = [
        class_of("input", "1.50", 500_000),
        class_of("cache_write", "7.50", 2_000_000),
        class_of("cache_read", "2.40", 8_000_000),
    ]

    rows = focus(run, calls, lines)["focus_cost_and_usage"]

    prices = {row["SkuMeter"]: (row["ListUnitPrice"], row["PricingQuantity"], row["PricingUnit"]) for row in rows}
    assert prices == {
        "Input Tokens": (Decimal(3), Decimal("0.5"), "1000000 Tokens"),
        "Cache Write Tokens": (Decimal("3.75"), Decimal(2), "1000000 Tokens"),
        "Cache Read Tokens": (Decimal("0.30"), Decimal(8), "1000000 Tokens"),
    }
    assert sum(row["BilledCost"] for row in rows) == sum(row["ListCost"] for row in rows) == Decimal("11.40")
    assert sum(row["PricingQuantity"] for row in rows) * prices["Input Tokens"][0] == Decimal("31.50")
    assert sum(row["ConsumedQuantity"] for row in rows) == 10_500_000
    assert {json.loads(row["SkuPriceDetails"])["x_TokenCacheAction"] for row in rows} == {"Uncached", "Write", "Read"}


def test_a_charge_is_split_as_the_showback_splits_it(run: Run) -> None:
    """10.00 over 3 : 1 is 7.50 and 2.50, 40 % of it on Monday; a tax of 0.01 falls on the larger."""
    calls = [spend("a", "7.5", 750), spend("b", "2.5", 250)]
    lines = [
        line("4.00", 400),
        line("6.00", 600, usage_date=date(2026, 11, 3)),
        line("0.01", None, charge_category="Tax", model_canonical=None, token_type=None),
    ]

    tables = focus(run, calls, lines)
    rows = tables["focus_cost_and_usage"]

    usage = {
        (row["ChargePeriodStart"].day, row["AllocatedResourceId"]): (row["BilledCost"], row["ConsumedQuantity"])
        for row in rows
        if row["ChargeCategory"] == "Usage"
    }
    assert usage == {
        (2, "a"): (Decimal("3.00"), 300),
        (2, "b"): (Decimal("1.00"), 100),
        (3, "a"): (Decimal("4.50"), 450),
        (3, "b"): (Decimal("1.50"), 150),
    }
    assert sums(rows, "x_Feature", "BilledCost") == {
        row["feature"]: row["invoiced_cost_usd"]
        for row in tables["mart_showback_weekly"]
        if row["feature"] != "unattributed"
    }
    [details] = {
        json.loads(row["AllocatedMethodDetails"])["Elements"][0]["AllocatedRatio"]
        for row in rows
        if row["x_Feature"] == "a" and row["ChargeCategory"] == "Usage"
    }
    assert details == 0.75


def test_what_nothing_explains_is_the_unallocated_part(run: Run) -> None:
    """Traced below the limit, 1.00 of 10.00 is nobody's: no resource, no tags, and a ratio all the same."""
    rows = focus(run, [spend("a", "9", 900)], [line("10.00", 1_000)])["focus_cost_and_usage"]

    lost, known = sorted(rows, key=lambda row: row["BilledCost"])
    assert (lost["BilledCost"], lost["AllocatedResourceId"], lost["AllocatedTags"]) == (Decimal(1), None, None)
    assert lost["AllocatedMethodId"] == known["AllocatedMethodId"] == "showback-v1"
    assert json.loads(known["AllocatedTags"]) == {"team": "team of a", "feature": "a"}


def test_an_account_without_a_bill_shows_its_calls(run: Run) -> None:
    """400 tokens for 0.0040 accrue one cent at most: 0.0040 and a rounding of -0.0040. A call without a price has no row."""
    calls = [
        spend("a", "0.004", 400, output_list_cost_usd=Decimal("0.005"), list_cost_usd=Decimal("0.005")),
        spend("b", "0", 70, requests=1, unpriced_requests=1),
    ]

    rows = focus(run, calls, [])["focus_cost_and_usage"]

    assert [(row["x_AllocationBasis"], row["BilledCost"], row["ListCost"]) for row in rows] == [
        ("rounding", Decimal("-0.004"), Decimal("-0.004")),
        ("effective_cost", Decimal("0.004"), Decimal("0.005")),
    ]
    assert {row["InvoiceId"] for row in rows} == {row["AllocatedMethodId"] for row in rows} == {None}
    assert {row["Tags"] for row in rows} == {'{"team": "team of a", "feature": "a"}'}


def test_what_nobody_counted_is_priced_by_its_amount(run: Run) -> None:
    """Image generation without a meter: 3.00 USD at 1; a refund of 1.00 has a quantity of -1.00."""
    lines = [
        line("3.00", None, model_canonical="m", token_type="other"),
        line("-1.00", None, model_canonical="n", token_type="other"),
    ]

    rows = focus(run, [spend("a", "1", 10)], lines)["focus_origin_charges"]

    assert {(row["pricing_quantity"], row["list_unit_price"], row["is_quantity_known"]) for row in rows} == {
        (Decimal(3), Decimal(1), False),
        (Decimal(-1), Decimal(1), False),
    }


def test_a_correction_of_the_bill_is_one_and_the_invoice_it_names_is_the_invoice(run: Run) -> None:
    bills = [
        {"cost_key": "c1", "month_start_date": date(2026, 11, 1), "invoice_id": "INV-7", "is_correction": True},
        {"cost_key": "c2", "month_start_date": date(2026, 11, 1), "invoice_id": "INV-7", "invoice_issuer": "Reseller"},
    ]
    lines = [line("-1.00", -100, cost_key="c1"), line("5.00", 500, cost_key="c2")]

    rows = focus(run, [spend("a", "4", 400)], lines, bills=bills)["focus_cost_and_usage"]

    assert {row["InvoiceId"] for row in rows} == {"INV-7"}
    assert sums(rows, "ChargeClass", "BilledCost") == {"Correction": Decimal(-1), None: Decimal(5)}
    assert {row["InvoiceIssuerName"] for row in rows} == {"Reseller"}


money = st.integers(min_value=1, max_value=10**9).map(lambda n: Decimal(n) / 10_000)
a_day = st.integers(min_value=1, max_value=28).map(lambda n: date(2026, 11, n))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(st.tuples(st.sampled_from("abc"), money, st.integers(0, 5_000), a_day), min_size=1, max_size=8),
    lines=st.lists(
        st.tuples(money, st.one_of(st.none(), st.integers(0, 5_000)), a_day, st.decimals(0, 1, places=3)),
        min_size=1,
        max_size=6,
    ),
    credit=st.one_of(st.none(), money),
    is_ruled=st.booleans(),
)
def test_of_any_company_the_parts_sum_to_the_charge_the_invoice_and_the_showback(
    run: Run, calls: Any, lines: Any, credit: Any, is_ruled: bool
) -> None:
    """Billed below list, days without calls, credits beyond use, rules: rule 1 of split cost allocation holds for every metric."""
    spent = {(f, day): spend(f, str(usd), tokens, usage_date=day) for f, usd, tokens, day in calls}
    billed = [
        line(
            str(usd),
            tokens,
            usage_date=day,
            cost_key=str(n),
            billed_amount=(usd * (1 - off)).quantize(Decimal("0.0000000001")),
            billed_usd=(usd * (1 - off)).quantize(Decimal("0.0000000001")),
        )
        for n, (usd, tokens, day, off) in enumerate(lines)
    ]
    if credit:
        billed.append(line(str(-credit), None, charge_category="Credit", model_canonical=None, token_type=None))
    rules = (
        [rule("fixed", "team=new", charge_match_field="component", charge_match_value="untraced", share=Decimal("0.4"))]
        if is_ruled
        else []
    )

    tables = focus(run, list(spent.values()), billed, rules=rules)
    rows = tables["focus_cost_and_usage"]

    total = sum((row["billed_amount"] for row in billed), Decimal(0))
    assert sum(row["BilledCost"] for row in rows) == invoice(str(total))["invoiced_cost_usd"]
    for origin in tables["focus_origin_charges"]:
        parts = [row for row in rows if row["x_OriginChargeId"] == origin["origin_id"]]
        assert sum(row["BilledCost"] for row in parts) == origin["billed_amount"]
        if origin["pricing_quantity"] is not None:
            assert sum(row["ListCost"] for row in parts) == origin["list_amount"]
            assert sum(row["PricingQuantity"] for row in parts) == origin["pricing_quantity"]
        ratios = [
            Decimal(
                str(json.loads(row["AllocatedMethodDetails"], parse_float=Decimal)["Elements"][0]["AllocatedRatio"])
            )
            for row in parts
        ]
        assert sum(ratios) == 1
    keys = ("x_WeekStartDate", "x_Team", "x_Feature", "x_ModelId")
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for row in rows:
        found[tuple(row[name] for name in keys)] += row["BilledCost"]
    for row in tables["mart_showback_weekly"]:
        key = (row["week_start_date"], row["team"], row["feature"], row["model_canonical"])
        assert found.get(key, Decimal(0)) == row["invoiced_cost_usd"]
    rounding = [row["BilledCost"] for row in rows if row["x_AllocationBasis"] == "rounding"]
    assert all(abs(amount) < Decimal("0.02") for amount in rounding)
