"""Statements of cost centres and their postings: what they say sums to the invoice, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from tests.test_showback import line, spend, tables_of

Run = Callable[..., list[dict[str, Any]]]
NOVEMBER = date(2026, 11, 1)


def shown(cost_centre: str, invoiced: str, **more: Any) -> dict[str, Any]:
    """A row of the showback, all of it direct."""
    row = {
        "week_start_date": date(2026, 11, 2),
        "billing_month": "2026-11",
        "month_start_date": NOVEMBER,
        "cost_centre": cost_centre,
        "team": "a",
        "feature": "a",
        "provider": "openai",
        "billing_account_id": "org",
        "model_canonical": "m",
        "model_tier": "mid",
        "state": "final",
        "requests": 1,
        "direct_cost_usd": Decimal(invoiced),
        "allocated_untraced_usd": 0,
        "discount_usd": 0,
        "credit_usd": 0,
        "tax_fee_usd": 0,
        "rounding_usd": 0,
        "invoiced_cost_usd": Decimal(invoiced),
        "billing_currency": "USD",
        "invoiced_cost_billing_currency": Decimal(invoiced),
        "allocation_basis": "invoice",
        "allocation_method": "direct: tokens of the model and class",
        "bill_snapshot_id": "b1",
    }
    return row | more


def test_a_statement_adds_up_its_rows_and_stands_beside_the_month_before(run: Run) -> None:
    """CC-1 bore 5.00 in October. In November: 9.604 direct + 0.40 shared - 1 discount - 2 credit + 0.70 tax - 0.004 = 7.70."""
    rows = run(
        "mart_statements_monthly",
        mart_showback_weekly=[
            shown("CC-1", "5.00", month_start_date=date(2026, 10, 1), billing_month="2026-10"),
            shown("CC-2", "1.00", month_start_date=date(2026, 10, 1), billing_month="2026-10"),
            shown("CC-1", "7.00", direct_cost_usd=Decimal("6.6"), allocated_untraced_usd=Decimal("0.4")),
            shown(
                "CC-1",
                "0.70",
                feature="b",
                direct_cost_usd=Decimal("3.004"),
                discount_usd=Decimal(-1),
                credit_usd=Decimal(-2),
                tax_fee_usd=Decimal("0.7"),
                rounding_usd=Decimal("-0.004"),
                allocation_method="direct: tokens of the model and class; tax_fee: direct and allocated cost",
                state="provisional",
            ),
        ],
    )

    october, before, november, nothing = rows
    assert [row["cost_centre"] for row in rows] == ["CC-1", "CC-2", "CC-1", "CC-2"]
    assert (october["invoiced_cost_usd"], before["prior_invoiced_cost_usd"]) == (Decimal(5), Decimal(0))
    parts = [
        november[n]
        for n in (
            "direct_cost_usd",
            "allocated_untraced_usd",
            "discount_usd",
            "credit_usd",
            "tax_fee_usd",
            "rounding_usd",
        )
    ]
    assert parts == [Decimal(p) for p in ("9.604", "0.4", "-1", "-2", "0.7", "-0.004")]
    assert november["invoiced_cost_usd"] == sum(parts) == Decimal("7.70")
    assert november["prior_invoiced_cost_usd"] == Decimal("5.00")
    assert november["state"] == "provisional"
    assert november["allocation_method"] == "direct: tokens of the model and class; tax_fee: direct and allocated cost"
    assert (nothing["invoiced_cost_usd"], nothing["prior_invoiced_cost_usd"]) == (Decimal(0), Decimal(1))


def test_a_statement_is_in_the_currency_of_its_invoice_and_unknown_in_dollars_without_a_rate(run: Run) -> None:
    [row] = run(
        "mart_statements_monthly",
        mart_showback_weekly=[
            shown("CC-1", "7.00", billing_currency="EUR", invoiced_cost_usd=None, rounding_usd=None),
            shown("CC-1", "2.00", feature="b", billing_currency="EUR"),
        ],
    )

    assert (row["billing_currency"], row["invoiced_cost_billing_currency"]) == ("EUR", Decimal("9.00"))
    assert row["invoiced_cost_usd"] is None


def test_postings_balance_and_a_credit_turns_the_sides(run: Run) -> None:
    """10.00 and -2.50: a debit, a credit, and 7.50 on the credit side of clearing; EUR has an entry of its own; nothing has no line."""
    statements = run(
        "mart_statements_monthly",
        mart_showback_weekly=[
            shown("CC-1", "10.00"),
            shown("CC-2", "-2.50"),
            shown("CC-3", "0.00"),
            shown("CC-1", "-1.00", billing_account_id="eu", billing_currency="EUR", invoiced_cost_usd=Decimal("-1.09")),
        ],
    )
    accounts = [
        {"line_kind": "expense", "ledger_account": "6815"},
        {"line_kind": "clearing", "ledger_account": "1590"},
        {"line_kind": "clearing", "provider": "openai", "ledger_account": "1591"},
    ]

    rows = run("mart_postings_monthly", mart_statements_monthly=statements, ref_ledger_accounts=accounts)

    lines = {
        (row["billing_currency"], row["line_kind"], row["cost_centre"]): (
            row["ledger_account"],
            row["debit_amount"],
            row["credit_amount"],
        )
        for row in rows
    }
    assert lines == {
        ("USD", "expense", "CC-1"): ("6815", Decimal("10.00"), 0),
        ("USD", "expense", "CC-2"): ("6815", 0, Decimal("2.50")),
        ("USD", "clearing", "clearing"): ("1591", 0, Decimal("7.50")),
        ("EUR", "expense", "CC-1"): ("6815", 0, Decimal("1.00")),
        ("EUR", "clearing", "clearing"): ("1591", Decimal("1.00"), 0),
    }
    assert {row["posting_date"] for row in rows} == {date(2026, 11, 30)}
    assert sum(row["debited_usd"] for row in rows) == sum(row["credited_usd"] for row in rows)


def test_one_cent_and_a_credit_over_ten_thousand_cost_centres_sum_to_the_cent(run: Run) -> None:
    """0.01 billed is one statement of a cent; 99.99 less a credit of 120.00 is -20.01 over 10,000 cost centres."""
    calls = [spend(f"{n:05}", "1", 1, cost_centre=f"CC-{n:05}") for n in range(10_000)]
    credit = line("-120.00", None, charge_category="Credit", model_canonical=None, token_type=None, metered_tokens=None)
    for lines in ([line("0.01", 10_000)], [line("99.99", 10_000), credit]):
        total = sum(row["billed_amount"] for row in lines)

        statements = run(
            "mart_statements_monthly", mart_showback_weekly=tables_of(run, calls, lines)["mart_showback_weekly"]
        )

        assert len(statements) == 10_001
        assert sum(row["invoiced_cost_billing_currency"] for row in statements) == total
        postings = run("mart_postings_monthly", mart_statements_monthly=statements)
        assert sum(row["debit_amount"] - row["credit_amount"] for row in postings) == 0
        assert [row["credit_amount"] - row["debit_amount"] for row in postings if row["line_kind"] == "clearing"] == [
            total
        ]
