"""The first allocation: every invoice split over its rows, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.models import models

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
        "input_list_cost_usd": 0,
        "cache_read_list_cost_usd": 0,
        "cache_write_list_cost_usd": 0,
        "output_list_cost_usd": Decimal(effective),
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


def tables_of(
    run: Run, calls: list[dict[str, Any]], lines: list[dict[str, Any]], **more: Any
) -> dict[str, list[dict[str, Any]]]:
    """The tables from the lines of an invoice to the showback."""
    total = sum((row["billed_amount"] for row in lines), Decimal(0))
    tables: dict[str, list[dict[str, Any]]] = {
        "ledger_showback_days": calls,
        "ledger_bill_days": lines,
        "ledger_billed_tokens": run("ledger_billed_tokens", ledger_bill_days=lines),
        "ledger_invoices": more.get("invoices", [invoice(str(total))] if lines else []),
        "mart_reconciliation_monthly": more.get("verdicts", []),
        "ref_allocation_rules": more.get("rules", []),
        "ref_limits": LIMITS,
    }
    for name in ("ledger_bill_pools", "ledger_allocations", "mart_showback_weekly"):
        tables[name] = run(name, **{table: rows for table, rows in tables.items() if table in models()[name].inputs})
    return tables


def showback(
    run: Run, calls: list[dict[str, Any]], lines: list[dict[str, Any]], **more: Any
) -> dict[str, dict[str, Any]]:
    rows = tables_of(run, calls, lines, **more)["mart_showback_weekly"]
    named = {}
    for row in rows:
        name = row["feature"] if row["feature"] != "unattributed" else row["team"]
        name += "" if row["billing_account_id"] == "org" else f" of {row['billing_account_id']}"
        named[name + ("" if row["week_start_date"] == FIRST else f" {row['week_start_date']}")] = row
    assert len(named) == len(rows)
    return named


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


def rule(method: str, target: str = "", **more: Any) -> dict[str, Any]:
    """A row of allocation_rules.csv for the charge fee-1; ``target`` is kind=value."""
    kind, _, value = target.partition("=")
    row = {
        "charge_match_field": "charge_id",
        "charge_match_value": "fee-1",
        "method": method,
        "target_kind": kind or None,
        "target_value": value or None,
    }
    return row | more


def fee(billed: str, **more: Any) -> dict[str, Any]:
    row = {
        "cost_key": "period_charge|fee-1",
        "charge_id": "fee-1",
        "charge_category": "Purchase",
        "model_canonical": None,
        "token_type": None,
    }
    return line(billed, None, **row | more)


def test_a_fixed_rule_gives_each_target_its_share(run: Run) -> None:
    """65 % and 35 % of $10.01, whatever was used: 6.5065 and 3.5035."""
    calls = [spend("a", "1", 100), spend("b", "9", 900)]
    rules = [rule("fixed", "feature=a", share=Decimal("0.65")), rule("fixed", "feature=b", share=Decimal("0.35"))]
    rows = showback(run, calls, [line("10", 1_000), fee("10.01")], rules=rules)

    assert [rows[f]["tax_fee_usd"] for f in "ab"] == [Decimal("6.5065"), Decimal("3.5035")]
    assert "fixed by rule charge_id|fee-1" in rows["a"]["allocation_method"]


def test_fixed_shares_below_one_leave_the_rest_unattributed(run: Run) -> None:
    rules = [rule("fixed", "feature=a", share=Decimal("0.25"))]
    rows = showback(run, [spend("a", "10")], [line("10", 1_000), fee("4")], rules=rules)

    assert (rows["a"]["tax_fee_usd"], rows["unattributed"]["tax_fee_usd"]) == (Decimal("1"), Decimal("3"))


def test_a_target_without_a_call_bears_its_share_all_the_same(run: Run) -> None:
    """A platform team pays the support fee and calls nothing."""
    rules = [rule("fixed", "team=platform", share=Decimal("1"))]
    rows = showback(run, [spend("a", "10")], [line("10", 1_000), fee("4")], rules=rules)

    assert rows["a"]["invoiced_cost_usd"] == Decimal("10.00")
    borne = rows["platform"]
    assert (borne["invoiced_cost_usd"], borne["feature"], borne["requests"]) == (4, "unattributed", 0)


def test_an_even_rule_without_a_target_is_even_over_all_there_are(run: Run) -> None:
    """$1.00 over three teams: 0.34, 0.33, 0.33; within a team by list cost."""
    calls = [spend("a", "1", 100), spend("b", "2", 200), spend("c", "3", 300)]
    rows = showback(run, calls, [fee("1")], rules=[rule("even", "team=")])

    assert [rows[f]["invoiced_cost_usd"] for f in "abc"] == [Decimal("0.34"), Decimal("0.33"), Decimal("0.33")]


def test_a_proportional_rule_shares_by_its_basis_among_its_targets(run: Run) -> None:
    """$9 by requests, 2 : 1, between two of three features."""
    calls = [spend("a", "1", requests=2), spend("b", "1", requests=1), spend("c", "1", requests=7)]
    rules = [rule("proportional", f"feature={name}", basis="requests") for name in "ab"]
    rows = showback(run, calls, [fee("9")], rules=rules)

    assert [rows[f]["tax_fee_usd"] for f in "abc"] == [Decimal("6"), Decimal("3"), 0]


def test_a_rule_may_take_what_no_call_explains(run: Run) -> None:
    """Half of $10 is untraced and 0.83 maps to no model: all of it to feature b."""
    rules = [
        rule("fixed", "feature=b", share=Decimal("1"), charge_match_field="component", charge_match_value=word)
        for word in ("untraced", "unexplained")
    ]
    lines = [line("10", 1_000), line("0.83", None, model_canonical=None, token_type=None)]
    rows = showback(run, [spend("a", "4", 400), spend("b", "1", 100)], lines, rules=rules)

    assert (rows["a"]["invoiced_cost_usd"], rows["b"]["invoiced_cost_usd"]) == (Decimal("4.00"), Decimal("6.83"))


def test_the_closest_rule_of_a_charge_counts_and_only_in_its_dates(run: Run) -> None:
    """The rule of the charge's id comes before the one of its kind; one that begins later does not count."""
    rules = [
        rule(
            "fixed",
            "feature=b",
            share=Decimal("1"),
            charge_match_field="charge_category",
            charge_match_value="Purchase",
        ),
        rule("fixed", "feature=a", share=Decimal("1")),
        rule("fixed", "feature=b", share=Decimal("1"), valid_from_date=date(2026, 12, 1)),
    ]
    rows = showback(run, [spend("a", "1"), spend("b", "1")], [fee("2")], rules=rules)

    assert (rows["a"]["tax_fee_usd"], rows["b"]["tax_fee_usd"]) == (Decimal("2"), 0)


def test_a_period_charge_is_shared_by_its_basis_in_its_scope(run: Run) -> None:
    """Provisioned throughput for team t, by tokens 3 : 1; a tax follows all that is borne."""
    calls = [
        spend("a", "1", 300, team="t"),
        spend("b", "1", 100, team="t"),
        spend("c", "2", 200),
    ]
    lines = [line("4", 600), fee("8", scope="team=t", charge_basis="output_total_tokens")]
    rows = showback(run, calls, lines)

    assert [rows[f]["tax_fee_usd"] for f in "abc"] == [Decimal("6"), Decimal("2"), 0]


def test_a_failed_reconciliation_keeps_a_month_provisional(run: Run) -> None:
    verdict = {
        "month_start_date": date(2026, 11, 1),
        "provider": "openai",
        "billing_account_id": "org",
        "billing_currency": "USD",
        "verdict": "fail",
    }
    rows = showback(run, [spend("a", "10")], [line("10", 1_000)], verdicts=[verdict])

    assert rows["a"]["state"] == "provisional"


def test_calls_of_no_known_account_are_not_charged_a_second_time(run: Run) -> None:
    """The provider's bill of $10 has them already: the books sum to $10."""
    rows = showback(
        run, [spend("a", "6", 600), spend("b", "4", 400, billing_account_id="unattributed")], [line("10", 1_000)]
    )

    assert sum(row["invoiced_cost_usd"] for row in rows.values()) == 10


def test_a_bill_in_euros_without_tokens_is_explained_by_its_dollars(run: Run) -> None:
    """EUR 10 are $11; $5.50 are traced, so half of the euros is direct and the rest is shared likewise."""
    lines = [line("10", None, billing_currency="EUR", billed_usd=Decimal(11), list_usd=Decimal(11))]
    invoices = [invoice("10", billing_currency="EUR", billed_usd=Decimal(11), invoiced_cost_usd=Decimal(11))]
    rows = showback(run, [spend("a", "5.5")], lines, invoices=invoices)

    assert rows["a"]["direct_cost_usd"] == Decimal("5.5")
    assert rows["a"]["invoiced_cost_billing_currency"] == Decimal("10.00")


def test_one_cent_over_ten_thousand_cost_centres_stays_one_cent(run: Run) -> None:
    """And 99.99 dollars become 9,999 rows of a cent."""
    calls = [spend(f"{n:05}", "1", 1, cost_centre=f"CC-{n:05}") for n in range(10_000)]
    for billed in ("0.01", "99.99"):
        rows = showback(run, calls, [line(billed, 10_000)])

        assert sum(row["invoiced_cost_usd"] for row in rows.values()) == Decimal(billed)
        assert {row["invoiced_cost_usd"] for row in rows.values()} <= {0, Decimal("0.01")}


money = st.integers(min_value=1, max_value=10**9).map(lambda n: Decimal(n) / 10_000)
a_day = st.integers(min_value=1, max_value=28).map(lambda n: date(2026, 11, n))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(st.tuples(st.sampled_from("abcde"), money, st.integers(0, 5_000), a_day), min_size=1, max_size=12),
    lines=st.lists(st.tuples(money, st.integers(0, 5_000), a_day), min_size=1, max_size=8),
    credit=st.one_of(st.none(), money),
    tax=st.one_of(st.none(), money),
    rules=st.lists(
        st.tuples(
            st.sampled_from(["fixed", "even", "proportional"]),
            st.sampled_from(["feature=a", "feature=b", "team=new", "team=", ""]),
            st.sampled_from([("charge_category", "Tax"), ("charge_category", "Credit"), ("component", "untraced")]),
            st.decimals(min_value=0, max_value=2, places=2),
            st.sampled_from([None, "requests", "output_total_tokens"]),
        ),
        max_size=4,
        unique_by=lambda r: (r[1], r[2]),
    ),
)
def test_the_rows_of_any_company_sum_to_the_invoice(
    run: Run, calls: Any, lines: Any, credit: Any, tax: Any, rules: Any
) -> None:
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

    written = [
        rule(method, target, charge_match_field=field, charge_match_value=value, share=share, basis=basis)
        for method, target, (field, value), share, basis in rules
    ]

    rows = list(showback(run, list(spent.values()), billed, rules=written).values())

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
