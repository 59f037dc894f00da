"""The first allocation: every invoice split over its rows, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Run = Callable[..., list[dict[str, Any]]]
LIMITS = [
    {
        "limit_name": "spread_min_coverage",
        "scope_kind": "",
        "scope_value": "",
        "threshold": "0.95",
        "threshold_number": Decimal("0.95"),
        "valid_from_date": date(1, 1, 1),
        "valid_to_date": date(9999, 12, 31),
    }
]
FIRST = date(2026, 11, 2)


def spend(feature: str, effective: str, tokens: int = 1_000, **more: Any) -> dict[str, Any]:
    """Calls of a day and feature, all of it output of one model."""
    row = {
        "usage_date": FIRST,
        "feature": feature,
        "team": f"team of {feature}",
        "provider": "openai",
        "billing_account_id": "org",
        "model_canonical": "m",
        "model_tier": "mid",
        "requests": 1,
        "tasks": 0,
        "successes": 0,
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
        "input_total_tokens": 0,
        "output_total_tokens": tokens,
        "cache_read_total_tokens": 0,
        "cache_write_total_tokens": 0,
        "output_reasoning_tokens": 0,
        "list_cost_usd": Decimal(effective),
        "effective_cost_usd": Decimal(effective),
        "input_cost_usd": 0,
        "cache_read_cost_usd": 0,
        "cache_write_cost_usd": 0,
        "output_cost_usd": Decimal(effective),
    }
    return row | more


def line(billed: str, tokens: int | None, **more: Any) -> dict[str, Any]:
    row = {
        "cost_key": f"line {more.get('usage_date', FIRST)} {billed} {more.get('charge_category', 'Usage')}",
        "month_start_date": date(2026, 11, 1),
        "usage_date": FIRST,
        "charge_start_date": FIRST,
        "charge_end_date": date(2026, 11, 3),
        "source": "openai_usage",
        "provider": "openai",
        "billing_account_id": "org",
        "charge_category": "Usage",
        "model_canonical": "m",
        "token_type": "output",
        "metered_tokens": tokens,
        "billing_currency": "USD",
        "billed_usd": Decimal(billed),
        "list_usd": Decimal(billed),
        "billed_amount": Decimal(billed),
        "list_amount": Decimal(billed),
    }
    return row | more


def invoice(billed: str, **more: Any) -> dict[str, Any]:
    cents = Decimal(billed).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    row = {
        "month_start_date": date(2026, 11, 1),
        "provider": "openai",
        "billing_account_id": "org",
        "billing_currency": "USD",
        "bill_lines": 1,
        "billed_amount": Decimal(billed),
        "invoiced_cost_billing_currency": cents,
        "billed_usd": Decimal(billed),
        "invoiced_cost_usd": cents,
        "state": "final",
    }
    return row | more


def showback(
    run: Run, calls: list[dict[str, Any]], lines: list[dict[str, Any]], **more: Any
) -> dict[str, dict[str, Any]]:
    total = sum((row["billed_amount"] for row in lines), Decimal(0))
    invoices = [invoice(str(total))] if lines else []
    rows = run(
        "mart_showback_weekly",
        ledger_showback_days=calls,
        ledger_bill_days=lines,
        ledger_invoices=more.get("invoices", invoices),
        ref_limits=LIMITS,
    )
    return {
        row["feature"] + ("" if row["week_start_date"] == FIRST else f" {row['week_start_date']}"): row for row in rows
    }


def test_untraced_spend_is_spread_by_effective_cost_and_cents_by_largest_remainder(run: Run) -> None:
    """Billed $10.00 for 1,000 tokens of which 960 are traced: direct 9.60 over 3:1 is 7.20 and 2.40, untraced 0.40 is 0.30 and 0.10."""
    rows = showback(run, [spend("a", "7.2", 720), spend("b", "2.4", 240)], [line("10.00", 1_000)])

    assert [(rows[f]["direct_cost_usd"], rows[f]["allocated_untraced_usd"]) for f in "ab"] == [
        (Decimal("7.2"), Decimal("0.3")),
        (Decimal("2.4"), Decimal("0.1")),
    ]
    assert [rows[f]["invoiced_cost_usd"] for f in ("a", "b", "unattributed")] == [
        Decimal("7.50"),
        Decimal("2.50"),
        Decimal("0.00"),
    ]


def test_a_cent_that_does_not_divide_goes_to_the_first_key(run: Run) -> None:
    """METHODS G6.1: $100.00 over three equal rows is 33.34, 33.33, 33.33."""
    rows = showback(run, [spend(f, "33", 1_000) for f in "abc"], [line("100.00", 3_000)])

    assert [rows[f]["invoiced_cost_usd"] for f in "abc"] == [Decimal("33.34"), Decimal("33.33"), Decimal("33.33")]


def test_a_model_traced_below_the_limit_keeps_its_untraced_money_apart(run: Run) -> None:
    """900 of 1,000 tokens are traced: 90 % is below 95 %, so $1.00 stays unattributed and does not tax who tags."""
    rows = showback(run, [spend("a", "9", 900)], [line("10.00", 1_000)])

    assert rows["a"]["invoiced_cost_usd"] == Decimal("9.00")
    assert rows["unattributed"]["allocated_untraced_usd"] == Decimal("1.0")


def test_a_credit_is_shared_by_list_cost_and_negative(run: Run) -> None:
    """METHODS G6.3: -$10.00 over 2 : 1 is -6.67 and -3.33."""
    lines = [
        line("30.00", 3_000),
        line("-10.00", None, charge_category="Credit", model_canonical=None, token_type=None),
    ]
    rows = showback(run, [spend("a", "20", 2_000), spend("b", "10", 1_000)], lines)

    assert [rows[f]["credit_usd"].quantize(Decimal("0.01")) for f in "ab"] == [Decimal("-6.67"), Decimal("-3.33")]
    assert [rows[f]["invoiced_cost_usd"] for f in "ab"] == [Decimal("13.33"), Decimal("6.67")]


def test_a_line_that_maps_to_no_model_stays_unattributed(run: Run) -> None:
    lines = [line("10.00", 1_000), line("0.83", None, model_canonical=None, token_type=None)]
    rows = showback(run, [spend("a", "10", 1_000)], lines)

    assert rows["a"]["invoiced_cost_usd"] == Decimal("10.00")
    assert rows["unattributed"]["invoiced_cost_usd"] == Decimal("0.83")


def test_a_bill_that_names_no_model_is_matched_as_a_whole(run: Run) -> None:
    """$12 billed on one line, $10 traced: 10 direct, 2 untraced over 7 : 3."""
    rows = showback(
        run, [spend("a", "7"), spend("b", "3")], [line("12.00", None, model_canonical=None, token_type=None)]
    )

    assert [(rows[f]["direct_cost_usd"], rows[f]["invoiced_cost_usd"]) for f in "ab"] == [
        (Decimal("7"), Decimal("8.40")),
        (Decimal("3"), Decimal("3.60")),
    ]


def test_without_a_bill_the_calls_are_an_accrual(run: Run) -> None:
    rows = showback(run, [spend("a", "1.006")], [])

    assert rows["a"]["invoiced_cost_usd"] == Decimal("1.01")
    assert (rows["a"]["state"], rows["a"]["allocation_basis"], rows["a"]["billing_currency"]) == (
        "provisional",
        "effective_cost",
        None,
    )


def test_calls_without_a_price_have_no_cost_and_bear_no_zero(run: Run) -> None:
    rows = showback(run, [spend("a", "0", unpriced_requests=1, unpriced_tokens=1_000)], [line("5.00", 1_000)])

    assert rows["a"]["list_cost_usd"] is None
    assert rows["unattributed"]["invoiced_cost_usd"] == Decimal("5.00")


def test_a_missing_rate_leaves_the_dollars_unknown_and_splits_the_currency(run: Run) -> None:
    lines = [line("9.00", 1_000, billing_currency="EUR", billed_usd=None, list_usd=None)]
    invoices = [invoice("9.00", billing_currency="EUR", billed_usd=None, invoiced_cost_usd=None)]
    rows = showback(run, [spend("a", "10", 1_000)], lines, invoices=invoices)

    assert rows["a"]["invoiced_cost_usd"] is None
    assert rows["a"]["invoiced_cost_billing_currency"] == Decimal("9.00")


money = st.integers(min_value=1, max_value=10**9).map(lambda n: Decimal(n) / 10_000)
a_day = st.integers(min_value=1, max_value=28).map(lambda n: date(2026, 11, n))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(st.tuples(st.sampled_from("abcde"), money, st.integers(0, 5_000), a_day), min_size=1, max_size=12),
    lines=st.lists(st.tuples(money, st.integers(0, 5_000), a_day), min_size=1, max_size=8),
    credit=st.one_of(st.none(), money),
    tax=st.one_of(st.none(), money),
)
def test_the_rows_of_any_company_sum_to_the_invoice(run: Run, calls: Any, lines: Any, credit: Any, tax: Any) -> None:
    """Identities 4 and 5 of the books: to the cent, with credits larger than the use, tax, and lines that no call explains."""
    spent: dict[tuple[str, date], dict[str, Any]] = {}
    for feature, usd, tokens, day in calls:
        spent[feature, day] = spend(feature, str(usd), tokens, usage_date=day)
    billed = [line(str(usd), tokens, usage_date=day, cost_key=str(n)) for n, (usd, tokens, day) in enumerate(lines)]
    for category, amount in (("Credit", credit and -credit), ("Tax", tax)):
        if amount:
            billed.append(
                line(
                    str(amount),
                    None,
                    charge_category=category,
                    model_canonical=None,
                    token_type=None,
                    cost_key=category,
                )
            )
    total = sum((row["billed_amount"] for row in billed), Decimal(0))

    rows = list(showback(run, list(spent.values()), billed).values())

    assert sum(row["invoiced_cost_usd"] for row in rows) == invoice(str(total))["invoiced_cost_usd"]
    assert sum(row["invoiced_cost_billing_currency"] for row in rows) == invoice(str(total))["invoiced_cost_usd"]
    for row in rows:
        parts = (
            "direct_cost_usd",
            "allocated_untraced_usd",
            "discount_usd",
            "credit_usd",
            "tax_fee_usd",
            "rounding_usd",
        )
        assert row["invoiced_cost_usd"] == sum(row[name] for name in parts)
    assert sum(row["requests"] for row in rows) == len(spent)
