"""Cost of calls, tasks and successes by feature, at what the invoice says, and the margin on revenue."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

MONDAY = date(2026, 11, 2)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
OUTCOMES = ("success", "failure", None)
TABLE = "mart_feature_economics_weekly"


def tasks(successes: int, failures: int, unknown: int, cost_usd: str = "0.12", **more: Any) -> list[dict[str, Any]]:
    """One call a task."""
    outcomes = [
        outcome for outcome, count in zip(OUTCOMES, (successes, failures, unknown), strict=True) for _ in range(count)
    ]
    return [
        {"started_at": NOON, "task_id": f"t{number}", "outcome": outcome, "cost_usd": Decimal(cost_usd), **more}
        for number, outcome in enumerate(outcomes)
    ]


def revenue(amount: str, **more: Any) -> dict[str, Any]:
    """Revenue of the week of the calls, and of nothing else."""
    return {
        "period_start_date": MONDAY,
        "period_end_date": MONDAY + timedelta(days=7),
        "revenue_amount": Decimal(amount),
        "currency": "USD",
        "revenue_kind": "recognised",
        **more,
    }


# ---- cost of a success


def test_unknown_outcomes_make_bounds_and_no_figure(economics_of):
    """G7.1: 10 tasks at 0.12, 6 succeeded, 2 failed, 2 unknown: 1.20 / 8 = 0.15 to 1.20 / 6 = 0.20, coverage 8 / 10.

    The cost of the six alone, 0.72 / 6 = 0.12, is no cost of a success.
    """
    row = economics_of(tasks(6, 2, 2)).row(TABLE)

    assert (row["tasks"], row["successes"], row["failures"], row["unknown_outcomes"]) == (10, 6, 2, 2)
    assert row["tasks_cost_usd"] == Decimal("1.20")
    assert row["cost_per_successful_task_low_usd"] == Decimal("0.15")
    assert row["cost_per_successful_task_high_usd"] == Decimal("0.20")
    assert row["outcome_coverage"] == Decimal("0.8")
    assert row["cost_per_successful_task_usd"] is None
    assert row["task_verdict"] == "insufficient"


@pytest.mark.parametrize(
    ("counts", "verdict", "figure"),
    [
        ((24, 3, 3), "ok", Decimal("0.15")),
        ((24, 2, 4), "bounds_only", None),
        ((0, 30, 0), "no_success", None),
        ((20, 6, 3), "insufficient", None),
    ],
)
def test_a_single_figure_wants_tasks_outcomes_and_a_success(economics_of, counts, verdict, figure):
    """27 of 30 outcomes are 0.90: 30 x 0.12 / 24 = 0.15, which never flatters. 26 of 30 are not; 29 tasks are too few."""
    row = economics_of(tasks(*counts)).row(TABLE)

    assert (row["task_verdict"], row["cost_per_successful_task_usd"]) == (verdict, figure)
    assert (row["cost_per_successful_task_high_usd"] is None) == (counts[0] == 0)


def test_a_task_costs_its_attempts_and_hidden_calls_too(economics_of):
    """A task of three calls, one failed and one repeat, 0.10 each, and a call without a task: 0.30 a task, 0.40 / 4 a call."""
    calls = [
        {"started_at": NOON, "task_id": "t", "status": "error", "cost_usd": Decimal("0.10")},
        {"started_at": NOON + timedelta(minutes=1), "task_id": "t", "is_retry": True, "cost_usd": Decimal("0.10")},
        {"started_at": NOON + timedelta(minutes=2), "task_id": "t", "cost_usd": Decimal("0.10")},
        {"started_at": NOON, "cost_usd": Decimal("0.10")},
    ]

    row = economics_of(calls).row(TABLE)

    assert (row["requests"], row["cost_per_request_usd"]) == (4, Decimal("0.10"))
    assert (row["tasks"], row["task_requests"], row["task_failed_requests"], row["task_retried_requests"]) == (
        1,
        3,
        1,
        1,
    )
    assert (row["cost_per_task_usd"], row["tokens_per_task"]) == (Decimal("0.30"), 3_300)
    assert row["task_coverage"] == Decimal("0.75")


def test_figures_of_tasks_that_leave_out_a_tenth_of_the_cost_are_incomplete(economics_of):
    """30 tasks for 3.60 of 4.00 are 0.90 and enough; of 4.01 they are not."""
    enough = economics_of([*tasks(30, 0, 0), {"started_at": NOON, "cost_usd": Decimal("0.40")}]).row(TABLE)
    too_few = economics_of([*tasks(30, 0, 0), {"started_at": NOON, "cost_usd": Decimal("0.41")}]).row(TABLE)

    assert (enough["task_verdict"], too_few["task_verdict"]) == ("ok", "incomplete")


def test_tokens_without_a_price_make_figures_incomplete_and_never_zero(economics_of):
    """Of 31 calls with 1,100 tokens one has no price: 3.2 % of the tokens, more than one in a hundred."""
    books = economics_of([*tasks(30, 0, 0), {"started_at": NOON, "task_id": "t0", "is_priced": False}])

    row = books.row(TABLE)

    assert (row["requests"], row["unpriced_requests"], row["unpriced_tokens"], row["is_incomplete"]) == (
        31,
        1,
        1_100,
        True,
    )
    assert (row["task_verdict"], row["cost_per_successful_task_usd"]) == ("incomplete", None)
    assert books.broken(TABLE) == []


def test_a_feature_without_any_price_has_no_effective_cost(economics_of):
    row = economics_of([{"started_at": NOON, "is_priced": False}]).row(TABLE)

    assert (row["effective_cost_usd"], row["cost_per_task_usd"], row["task_verdict"]) == (None, None, "no_tasks")


def test_output_over_input_is_the_ratio_of_the_sums(weeks_of):
    """G1.1: (10 in, 20 out) and (990 in, 80 out) are 100 / 1,000 = 0.1; the mean of both ratios would be 1.0404."""
    tokens = [(10, 20), (990, 80)]
    calls = [
        {"started_at": NOON, "input_total_tokens": read, "output_total_tokens": written} for read, written in tokens
    ]

    assert weeks_of(calls).row("mart_output_ratio_drift_weekly")["output_token_ratio"] == pytest.approx(0.1)


@pytest.mark.parametrize(("queries", "saved"), [(2_000_000, 24_000), (10_000_000, 120_000)])
def test_a_cost_per_call_keeps_its_digits(economics_of, queries, saved):
    """G1.3: from $0.015 to $0.003 a query saves $24,000 on 2 million and $120,000 on 10 million."""
    calls = [
        {"started_at": NOON, "feature": feature, "cost_usd": Decimal(cost)}
        for feature, cost in (("before", "0.015"), ("after", "0.003"))
        for _ in range(1_000)
    ]

    per_call = {row["feature"]: row["cost_per_request_usd"] for row in economics_of(calls).rows(TABLE)}

    assert (per_call["before"] - per_call["after"]) * queries == saved


# ---- at what the invoice says


def test_a_task_bears_the_invoice_of_the_models_that_it_called(economics_of):
    """The invoice is 1.5 times the calls of one model and 1.0 times those of the other: 2.00 x 1.5 + 1.00 of chat, 4.00 x 1.5 of mail."""
    calls = [
        {"started_at": NOON, "task_id": "a", "cost_usd": Decimal("2.00")},
        {"started_at": NOON, "task_id": "a", "cost_usd": Decimal("1.00"), "model_canonical": "gpt-4o-mini"},
        {"started_at": NOON, "task_id": "b", "feature": "mail", "cost_usd": Decimal("4.00")},
    ]

    books = economics_of(calls, times={"gpt-4o": 1.5})

    costs = {row["feature"]: (row["invoiced_cost_usd"], row["tasks_cost_usd"]) for row in books.rows(TABLE)}
    assert costs == {"chat": (Decimal("4.00"), Decimal("4.00")), "mail": (Decimal("6.00"), Decimal("6.00"))}


def test_a_task_is_counted_in_the_week_it_began_and_costs_its_calls_of_the_next(economics_of):
    """0.10 on Sunday and 0.30 on Monday: the week of Sunday has the task and 0.40, that of Monday its calls' 0.30."""
    sunday = NOON + timedelta(days=6)
    calls = [
        {"started_at": sunday, "task_id": "t", "cost_usd": Decimal("0.10")},
        {"started_at": sunday + timedelta(days=1), "task_id": "t", "cost_usd": Decimal("0.30")},
    ]

    books = economics_of(calls)
    first, second = books.rows(TABLE)

    assert (first["tasks"], first["tasks_cost_usd"], first["invoiced_cost_usd"]) == (
        1,
        Decimal("0.40"),
        Decimal("0.10"),
    )
    assert (second["tasks"], second["tasks_cost_usd"], second["invoiced_cost_usd"]) == (0, 0, Decimal("0.30"))
    assert second["cost_with_task_usd"] == Decimal("0.30")
    assert (second["cost_per_task_usd"], second["task_verdict"]) == (None, "no_tasks")


def test_what_no_call_is_behind_stands_on_its_line_and_on_no_task(economics_of):
    """The unattributed line of an invoice: 7.77 without a call."""
    line = {
        "week_start_date": MONDAY,
        "month_start_date": date(2026, 11, 1),
        "billing_month": "2026-11",
        "billing_account_id": "acct",
        "model_canonical": "unattributed",
        "model_tier": "unattributed",
        "state": "provisional",
        "requests": 0,
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
        "input_total_tokens": 0,
        "output_total_tokens": 0,
        "effective_cost_usd": 0,
        "invoiced_cost_usd": Decimal("7.77"),
    }

    books = economics_of(tasks(1, 0, 0), beside=[line])

    row = books.row(TABLE, feature="unattributed")
    assert (row["invoiced_cost_usd"], row["cost_per_request_usd"], row["cost_with_task_usd"]) == (
        Decimal("7.77"),
        None,
        0,
    )
    assert (row["state"], books.row(TABLE, feature="chat")["state"]) == ("provisional", "final")
    assert books.broken(TABLE) == []


def test_a_missing_rate_to_usd_makes_costs_unknown_and_not_small(economics_of):
    calls = tasks(30, 0, 0, customer_tier="pro")
    books = economics_of(calls, ref_revenue=[revenue("100", feature="chat", customer_tier="pro")])
    books.con.execute("update mart_showback_weekly set invoiced_cost_usd = null")

    row = books.row(TABLE)

    assert (row["invoiced_cost_usd"], row["tasks_cost_usd"], row["cost_per_request_usd"]) == (None, None, None)
    assert (row["inference_margin"], row["inference_margin_reason"]) == (None, "no_rate")


@pytest.mark.parametrize("seed", range(3))
def test_costs_of_tasks_and_of_calls_meet_the_showback(economics_of, seed):
    """Any calls of three weeks, features, tiers and models, a third without a task: nothing is lost below the showback's grain."""
    calls = [
        {
            "started_at": NOON + timedelta(hours=(number * 37 + seed * 11) % 400),
            "feature": f"f{number % 3}",
            "customer_tier": ("free", "pro")[number % 2],
            "model_canonical": ("gpt-4o", "gpt-4o-mini")[number * (seed + 2) % 5 % 2],
            "task_id": f"t{number // 4}" if number % 3 else None,
            "input_total_tokens": 10_000 + number * 997,
        }
        for number in range(120)
    ]

    books = economics_of(calls, times={"gpt-4o": "1.043", "gpt-4o-mini": "0.91"})
    books.make(TABLE)

    assert books.broken(TABLE) == books.broken("stat_owner_costs_weekly") == []
    sums = "select sum(cost_with_task_usd), sum(tasks_cost_usd), sum(tasks) from mart_feature_economics_weekly"
    [(of_calls, of_tasks, number)] = books.con.execute(sums).fetchall()
    assert abs(of_calls - of_tasks) < Decimal("0.000001")
    assert books.con.execute("select count(*) from ledger_tasks").fetchall() == [(number,)]


# ---- margin


@pytest.mark.parametrize(("amount", "cost", "margin"), [("1.10", "0.23", "0.790909091"), ("30", "18", "0.4")])
def test_what_is_left_of_revenue(economics_of, amount, cost, margin):
    """G7.2: (1.10 - 0.23) / 1.10 = 79.1 %; (30 - 18) / 30 = 40.0 %."""
    books = economics_of(
        [{"started_at": NOON, "customer_tier": "pro", "cost_usd": Decimal(cost)}],
        ref_revenue=[revenue(amount, feature="chat", customer_tier="pro")],
    )

    row = books.row(TABLE)

    assert row["inference_margin"] == Decimal(margin)
    assert (row["revenue_usd"], row["inference_margin_usd"]) == (Decimal(amount), Decimal(amount) - Decimal(cost))
    assert row["inference_margin_reason"] is None


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "no_revenue"),
        ([revenue("0", feature="chat", customer_tier="pro")], "no_revenue"),
        ([revenue("100", customer_tier="pro")], "revenue_at_tier_only"),
        ([revenue("100", customer_tier="free")], "no_revenue"),
        ([revenue("30", customer_tier="pro", revenue_kind="arpu_month")], "revenue_at_tier_only"),
        ([revenue("100", feature="chat")], "revenue_at_feature_only"),
        ([revenue("100", feature="chat", customer_tier="pro", currency="EUR")], "no_rate"),
    ],
)
def test_revenue_that_is_not_the_features_is_not_spread_over_it(economics_of, rows, reason):
    """By cost least of all: every feature would have the same margin."""
    books = economics_of([{"started_at": NOON, "customer_tier": "pro"}], ref_revenue=rows)

    row = books.row(TABLE, customer_tier="pro")

    assert (row["inference_margin"], row["inference_margin_usd"], row["inference_margin_reason"]) == (
        None,
        None,
        reason,
    )
    assert books.broken(TABLE) == []


def test_revenue_of_a_month_is_spread_evenly_over_its_days_and_tiers_of_its_customer(economics_of):
    """300 of November, 10 a day: 70 for the week; from Thursday the 5th the customer is enterprise: 30 pro and 40 enterprise."""
    calls = [{"started_at": NOON, "customer_tier": tier, "cost_usd": Decimal("5")} for tier in ("pro", "enterprise")]
    month = {"period_start_date": date(2026, 11, 1), "period_end_date": date(2026, 12, 1)}

    books = economics_of(
        calls,
        ref_revenue=[revenue("300", feature="chat", customer_id="c", **month)],
        ref_customers=[
            {"customer_id": "c", "customer_tier": "pro", "valid_to_date": date(2026, 11, 5)},
            {"customer_id": "c", "customer_tier": "enterprise", "valid_from_date": date(2026, 11, 5)},
        ],
    )

    assert {row["customer_tier"]: row["revenue_usd"] for row in books.rows(TABLE)} == {"pro": 30, "enterprise": 40}


def test_revenue_in_another_currency_is_converted_once_at_its_first_day(economics_of):
    """50 EUR at 1.10 are 55 USD; the rate of a later day does not count."""
    books = economics_of(
        [{"started_at": NOON, "customer_tier": "pro"}],
        ref_revenue=[revenue("50", feature="chat", customer_tier="pro", currency="EUR")],
        ref_fx_rates=[
            {"currency": "EUR", "rate_date": date(2026, 10, 1), "fx_rate_to_usd": Decimal("1.10")},
            {"currency": "EUR", "rate_date": date(2026, 11, 4), "fx_rate_to_usd": Decimal("2")},
        ],
    )

    assert books.row(TABLE)["revenue_usd"] == 55


def test_a_week_in_progress_has_the_revenue_of_its_days_so_far(economics_of):
    """On Wednesday three of seven days: 70 x 3 / 7 = 30."""
    books = economics_of(
        [{"started_at": NOON, "customer_tier": "pro"}],
        ref_revenue=[revenue("70", feature="chat", customer_tier="pro")],
        now=datetime(2026, 11, 4, 9, tzinfo=UTC),
    )

    row = books.row(TABLE)

    assert (row["is_week_over"], row["revenue_usd"]) == (False, 30)


# ---- business outcomes


def outcome(quantity: str, unit: str = "tickets_resolved", feature: str = "chat", day: date = MONDAY) -> dict[str, Any]:
    return {"outcome_date": day, "feature": feature, "unit": unit, "quantity": Decimal(quantity)}


def test_a_business_outcome_costs_all_that_its_feature_cost_in_the_week(economics_of):
    """3.60 for 12 and 6 tickets of two days: 0.20 each; for 4 refunds, a unit of its own, 0.90 each."""
    books = economics_of(
        tasks(30, 0, 0),
        ref_business_outcomes=[
            outcome("12"),
            outcome("6", day=MONDAY + timedelta(days=6)),
            outcome("9", day=MONDAY - timedelta(days=1)),
            outcome("4", "refunds"),
        ],
    )

    costs = {
        row["outcome_unit"]: (row["outcomes"], row["cost_per_outcome_usd"])
        for row in books.rows("mart_outcome_costs_weekly")
    }
    assert costs == {"tickets_resolved": (18, Decimal("0.20")), "refunds": (4, Decimal("0.90"))}


def test_an_outcome_has_no_cost_where_that_is_unknown(economics_of):
    books = economics_of(
        [*tasks(2, 0, 0), {"started_at": NOON, "feature": "trial", "is_priced": False}],
        ref_business_outcomes=[outcome("0"), outcome("3", feature="mail"), outcome("5", feature="trial")],
    )

    reasons = {
        row["feature"]: (row["cost_per_outcome_usd"], row["cost_reason"])
        for row in books.rows("mart_outcome_costs_weekly")
    }
    assert reasons == {"chat": (None, "no_outcomes"), "mail": (None, "no_calls"), "trial": (None, "incomplete")}
    assert books.broken("mart_outcome_costs_weekly") == []
