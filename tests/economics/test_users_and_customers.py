"""What active users cost against what they pay, what a free tier burns, and who is served at a loss."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MONTH = date(2026, 11, 1)
USERS = "mart_user_economics_monthly"
CUSTOMERS = "mart_customer_margin_monthly"
TIERS = "mart_tier_margin_monthly"


def users(costs: Sequence[Any], tier: str = "pro", **more: Any) -> list[dict[str, Any]]:
    """A call for each cost, each of a user of its own."""
    return [
        {
            "started_at": NOON,
            "customer_tier": tier,
            "user_id": f"{tier}{number:04}",
            "cost_usd": Decimal(str(cost)),
            **more,
        }
        for number, cost in enumerate(costs)
    ]


def revenue(amount: Any, kind: str = "recognised", **more: Any) -> dict[str, Any]:
    """Of November."""
    return {
        "period_start_date": MONTH,
        "period_end_date": date(2026, 12, 1),
        "revenue_amount": Decimal(str(amount)),
        "currency": "USD",
        "revenue_kind": kind,
        **more,
    }


FOUR_AND_SIX = [4] * 100 + [6] * 100


# ---- cost per active user


def test_an_active_user_against_what_one_pays(economics_of):
    """G8.1: 100 active, cost 1,800, revenue 3,000: $18, ARPU $30, 0.60 of it: red."""
    books = economics_of(users([18] * 100), ref_revenue=[revenue(3_000, customer_tier="pro")])

    row = books.row(USERS)

    assert (row["active_users"], row["cost_per_active_user_usd"]) == (100, 18)
    assert (row["arpu_usd"], row["arpu_source"], row["arpu_ratio"]) == (30, "revenue", Decimal("0.6"))
    assert (row["arpu_status"], row["status_confidence"]) == ("red", "confirmed")
    assert books.broken(USERS) == []


def test_seats_that_nobody_uses_pay_too(economics_of):
    """G8.2: 100 seats at $30, 60 active, cost 1,080: share of the given ARPU 18 / 30 = 0.60, of revenue 1,080 / 3,000 = 0.36."""
    rows = [revenue(3_000, customer_tier="pro"), revenue(30, "arpu_month", customer_tier="pro")]

    row = economics_of(users([18] * 60), ref_revenue=rows).row(USERS)

    assert (row["arpu_source"], row["arpu_ratio"], row["cogs_revenue_ratio"]) == (
        "given",
        Decimal("0.6"),
        Decimal("0.36"),
    )


def test_the_interval_of_two_hundred_users_is_students(economics_of):
    """G2.4: 100 at $4 and 100 at $6: mean 5, se 0.0708881, t 1.9719565: [4.8602, 5.1398]."""
    row = economics_of(users(FOUR_AND_SIX)).row(USERS)

    assert row["cost_per_active_user_usd"] == 5
    assert float(row["cost_per_active_user_low_usd"]) == pytest.approx(4.8602, abs=0.00005)
    assert float(row["cost_per_active_user_high_usd"]) == pytest.approx(5.1398, abs=0.00005)
    assert (row["clusters"], row["cluster_unit"], row["interval_label"]) == (200, "user", "ok")


@pytest.mark.parametrize(
    ("arpu", "status", "confidence"),
    [
        ("18", "red", "confirmed"),
        ("19.7", "red", "possible"),
        ("24", "amber", "confirmed"),
        ("24.9", "amber", "possible"),
        ("25", "green", None),
    ],
)
def test_a_limit_is_crossed_for_sure_where_the_interval_is_beyond_it(economics_of, arpu, status, confidence):
    """G8.3: at ARPU $18 the limit is 4.50, below 4.8602: confirmed. At 19.7 it is 4.925 (possible), amber's at 24 4.80, at 24.9 4.98."""
    books = economics_of(users(FOUR_AND_SIX), ref_revenue=[revenue(arpu, "arpu_month", customer_tier="pro")])

    row = books.row(USERS)

    assert (row["arpu_status"], row["status_confidence"]) == (status, confidence)


def test_one_user_in_a_hundred_that_carries_a_fifth_makes_an_interval_rough(economics_of):
    """Two of 200 users: 2 x 25 of 50 + 198 is 0.2016; 2 x 24 of 246 is 0.195."""
    rough = economics_of(users([25] * 2 + [1] * 198)).row(USERS)
    fine = economics_of(users([24] * 2 + [1] * 198)).row(USERS)

    assert (rough["interval_label"], fine["interval_label"]) == ("approximate", "ok")


def test_an_interval_of_fewer_users_leans_to_the_side_of_the_whales(economics_of):
    """40 users, one of them dear: the bootstrap-t reaches further up than down, and is the same however calls are ordered."""
    calls = users([1 + number % 5 for number in range(39)] + [30])

    row = economics_of(calls).row(USERS)
    again = economics_of(calls[::-1]).row(USERS)

    low, mean, high = (row[f"cost_per_active_user_{end}usd"] for end in ("low_", "", "high_"))
    assert row["interval_label"] == "approximate"
    assert low < mean < high
    assert high - mean > mean - low
    assert (again["cost_per_active_user_low_usd"], again["cost_per_active_user_high_usd"]) == (low, high)


def test_too_few_users_have_a_level_and_no_interval_and_no_status(economics_of):
    row = economics_of(users([18] * 29), ref_revenue=[revenue(30, "arpu_month", customer_tier="pro")]).row(USERS)

    assert (row["cost_per_active_user_usd"], row["arpu_ratio"]) == (18, Decimal("0.6"))
    assert (row["cost_per_active_user_low_usd"], row["interval_label"]) == (None, "too_few_users")
    assert (row["arpu_status"], row["status_confidence"]) == ("insufficient", None)


def test_users_of_one_customer_are_not_independent(economics_of):
    """300 users of three customers are three."""
    calls = [{**call, "customer_id": f"c{number % 3}"} for number, call in enumerate(users([5] * 300))]

    row = economics_of(calls).row(USERS)

    assert (row["active_users"], row["clusters"], row["cluster_unit"]) == (300, 3, "customer")
    assert row["interval_label"] == "too_few_users"


def test_who_only_met_errors_is_not_active_and_costs_all_the_same(economics_of):
    """Two users, 3 dollars and 1 that failed: 4 / 1."""
    calls = [
        *users([3]),
        {"started_at": NOON, "customer_tier": "pro", "user_id": "x", "status": "error", "cost_usd": Decimal(1)},
    ]

    row = economics_of(calls).row(USERS)

    assert (row["users"], row["active_users"], row["cost_per_active_user_usd"]) == (2, 1, 4)


def test_cost_without_a_user_is_a_column_of_its_own_and_not_spread(economics_of):
    """10 of users and 5 of nobody: cost per active user 10 / 2, share of revenue 15 / 60."""
    calls = [*users([4, 6]), {"started_at": NOON, "customer_tier": "pro", "cost_usd": Decimal(5)}]

    row = economics_of(calls, ref_revenue=[revenue(60, customer_tier="pro")]).row(USERS)

    assert (row["invoiced_cost_usd"], row["user_cost_usd"], row["no_user_cost_usd"]) == (15, 10, 5)
    assert (row["cost_per_active_user_usd"], row["cogs_revenue_ratio"]) == (5, Decimal("0.25"))


def test_free_and_unknown_are_not_the_same(economics_of):
    """A tier whose revenue is 0 is free; one that has none in the table has an unknown one. The tier called free needs no row."""
    calls = [call for tier in ("free", "trial", "pro") for call in users([1] * 40, tier)]

    books = economics_of(calls, ref_revenue=[revenue(0, customer_tier="trial")])

    found = {
        row["customer_tier"]: (row["is_free_tier"], row["arpu_status"], row["arpu_ratio"]) for row in books.rows(USERS)
    }
    assert found == {"free": (True, "free", None), "trial": (True, "free", None), "pro": (False, "no_revenue", None)}


def test_what_a_free_tier_burns(economics_of):
    """G8.4: paid revenue 3,000, paid cost 1,800, free cost 600: share of cost 0.25, of what the paying leave 600 / 1,200 = 0.50."""
    calls = [*users([18] * 100), *users([6] * 100, "free")]

    books = economics_of(calls, ref_revenue=[revenue(3_000, customer_tier="pro")])

    free, paid = books.rows(USERS)
    assert (free["cost_share"], free["paid_margin_consumed"]) == (Decimal("0.25"), Decimal("0.5"))
    assert (free["paid_margin_usd"], free["cost_per_active_user_usd"], free["cogs_revenue_ratio"]) == (1_200, 6, None)
    assert (paid["is_free_tier"], paid["paid_margin_consumed"]) == (False, None)


def test_a_month_in_progress_has_no_status(economics_of):
    books = economics_of(
        users([18] * 100),
        ref_revenue=[revenue(3_000, customer_tier="pro")],
        now=datetime(2026, 11, 15, 20, tzinfo=UTC),
    )

    row = books.row(USERS)

    assert (row["is_month_over"], row["revenue_usd"], row["arpu_status"]) == (False, 1_500, "month_not_over")


def test_an_arpu_that_changes_within_the_month_counts_by_its_days(economics_of):
    """$20 for ten days and $35 for twenty: 30."""
    rows = [
        revenue(20, "arpu_month", customer_tier="pro", period_end_date=date(2026, 11, 11)),
        revenue(
            35,
            "arpu_month",
            customer_tier="pro",
            period_start_date=date(2026, 11, 11),
            period_end_date=date(2027, 3, 1),
        ),
    ]

    assert economics_of(users([1]), ref_revenue=rows).row(USERS)["arpu_usd"] == 30


# ---- customers


def customers(costs: Sequence[Any], tier: str = "pro") -> list[dict[str, Any]]:
    return [
        {
            "started_at": NOON,
            "customer_tier": tier,
            "customer_id": f"c{number:03}",
            "user_id": "u",
            "cost_usd": Decimal(str(cost)),
        }
        for number, cost in enumerate(costs)
    ]


def paid(number: int, amount: Any = 10) -> list[dict[str, Any]]:
    return [revenue(amount, customer_id=f"c{one:03}") for one in range(number)]


def test_one_customer_in_four_eats_what_the_others_earn(economics_of):
    """G8.5: revenue 10 each, cost 2, 4, 6, 18: margins 8, 6, 4, -8; subsidy 8 / 18, loss share 1 / 4, margin 10 / 40."""
    books = economics_of(customers([2, 4, 6, 18]), ref_revenue=paid(4))

    rows, tier = books.rows(CUSTOMERS), books.row(TIERS)

    assert [row["margin_usd"] for row in rows] == [8, 6, 4, -8]
    assert [row["is_served_at_loss"] for row in rows] == [False, False, False, True]
    assert [float(row["cost_percentile"]) for row in rows] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert float(tier["heavy_user_subsidy"]) == pytest.approx(0.4444, abs=0.00005)
    assert (tier["loss_customer_share"], tier["inference_margin"]) == (Decimal("0.25"), Decimal("0.25"))
    assert (tier["break_even_quantile"], tier["customer_tier"]) == (Decimal("0.75"), "pro")
    assert (tier["top1_cost_share"], tier["top10_cost_share"]) == (Decimal("0.6"), Decimal("0.6"))
    assert tier["verdict"] == "insufficient"
    assert books.broken(CUSTOMERS) == books.broken(TIERS) == []


def test_thirty_customers_are_enough_for_a_ratio(economics_of):
    """The dearest tenth of 30 are three: 3 x 7 of 3 x 7 + 27 is 21 / 48."""
    tier = economics_of(customers([7] * 3 + [1] * 27), ref_revenue=paid(30)).row(TIERS)

    assert (tier["verdict"], tier["judged_customers"], tier["top10_cost_share"]) == ("ok", 30, Decimal("0.4375"))


def test_a_customer_without_revenue_has_no_margin_and_is_not_at_a_loss(economics_of):
    books = economics_of(customers([2, 4, 6]), ref_revenue=[*paid(1), revenue(0, customer_id="c001")])

    rows = books.rows(CUSTOMERS)

    assert [(row["margin_usd"], row["inference_margin_reason"]) for row in rows] == [
        (8, None),
        (-4, "no_revenue"),
        (None, "no_revenue"),
    ]
    tier = books.row(TIERS)
    assert (tier["customers"], tier["judged_customers"], tier["loss_customers"]) == (3, 1, 0)


def test_revenue_of_a_tier_is_not_divided_among_its_customers(economics_of):
    row = economics_of(customers([2]), ref_revenue=[revenue(100, customer_tier="pro")]).row(CUSTOMERS)

    assert (row["margin_usd"], row["inference_margin_reason"]) == (None, "revenue_at_tier_only")


def test_a_customer_who_called_nothing_and_paid_is_all_gain(economics_of):
    books = economics_of(
        customers([2]),
        ref_revenue=[revenue(10, customer_id="quiet")],
        ref_customers=[{"customer_id": "quiet", "customer_tier": "pro"}],
    )

    row = books.row(CUSTOMERS, customer_id="quiet")

    assert (row["requests"], row["cogs_usd"], row["margin_usd"], row["customer_tier"]) == (0, 0, 10, "pro")


def test_a_customer_of_two_plans_is_of_the_one_at_the_end_of_the_month(economics_of):
    calls = [*customers([9], "pro"), *customers([1], "enterprise")]
    plans = [
        {"customer_id": "c000", "customer_tier": "pro", "valid_to_date": date(2026, 11, 20)},
        {"customer_id": "c000", "customer_tier": "enterprise", "valid_from_date": date(2026, 11, 20)},
    ]

    told = economics_of(calls, ref_customers=plans).row(CUSTOMERS)
    guessed = economics_of(calls).row(CUSTOMERS)

    assert (told["customer_tier"], guessed["customer_tier"]) == ("enterprise", "pro")


def test_customers_and_the_line_without_one_make_the_invoice(economics_of):
    """The invoice is 1.5 times the calls: 3 and 6, and 1.5 of a call without a customer."""
    calls = [*customers([2, 4]), {"started_at": NOON, "customer_tier": "pro", "cost_usd": Decimal(1)}]

    books = economics_of(calls, times={"gpt-4o": 1.5})

    found = {row["customer_id"]: (row["cogs_usd"], row["inference_margin_reason"]) for row in books.rows(CUSTOMERS)}
    assert found == {
        "c000": (3, "no_revenue"), "c001": (6, "no_revenue"), "unattributed": (Decimal("1.5"), "no_customer"),
    }  # fmt: skip
    assert books.broken(CUSTOMERS) == []


def test_calls_that_a_fee_pays_for_share_it_by_their_list_cost(economics_of):
    """Provisioned throughput: calls of 1 and 2 dollars at list are owed 0, and 30 dollars of the fee stand in their row: 10 and 20."""
    books = economics_of(customers([1, 2]))
    books.make("stat_owner_costs_weekly")
    books.con.execute("update stat_owner_costs_weekly set effective_cost_usd = 0")
    books.con.execute("update mart_showback_weekly set effective_cost_usd = 0, invoiced_cost_usd = 30")

    assert [row["cogs_usd"] for row in books.rows(CUSTOMERS)] == [10, 20]


def test_calls_without_any_cost_share_what_their_row_bears_by_their_number(economics_of):
    """Three calls without a price, two of one customer: 6 dollars of a bill are 4 and 2."""
    calls = [{**call, "is_priced": False, "cost_usd": None} for call in [*customers([1, 1]), *customers([1])]]
    books = economics_of(calls)
    books.con.execute("update mart_showback_weekly set invoiced_cost_usd = 6")

    assert [row["cogs_usd"] for row in books.rows(CUSTOMERS)] == [4, 2]
