"""What contracts save: list, contracted and effective cost, and the Effective Savings Rate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

Run = Callable[..., list[dict[str, Any]]]
MONDAY = datetime(2026, 11, 2, 12, tzinfo=UTC)


def savings(run: Run, *calls: dict[str, Any], zone: str = "UTC") -> list[dict[str, Any]]:
    """Calls with ``costs`` (list, contracted, effective) and what of the call is not as usual."""
    requests, costs = [], []
    for number, call in enumerate(calls):
        key, at = f"r-{number}", call.get("at", MONDAY)
        said = {"billing_account_id": "acc-1", "model_canonical": "gpt-4o"} | call.get("call", {})
        requests.append({"request_key": key, "started_at": at, **said})
        names = ("list_cost_usd", "contracted_cost_usd", "effective_cost_usd")
        amounts = dict(zip(names, (Decimal(amount) for amount in call.get("costs", ())), strict=False))
        costs.append({"request_key": key, "started_at": at, "cost_status": "priced", **amounts})
    return run(
        "mart_savings_weekly",
        ledger_requests=requests,
        ledger_costs=costs,
        ref_reporting=[{"reporting_time_zone": zone}],
    )


def test_the_effective_savings_rate_is_what_the_list_loses(run: Run) -> None:
    """Two calls of 600 and 400 at list, 520 and 350 under the contract: (1,000 - 870) / 1,000 = 0.13; one has no price."""
    [row] = savings(run, {"costs": (600, 520, 520)}, {"costs": (400, 350, 350)}, {})

    assert (row["requests"], row["unpriced_requests"]) == (3, 1)
    assert (row["list_cost_usd"], row["contracted_cost_usd"], row["effective_cost_usd"]) == (1000, 870, 870)
    assert (row["saved_usd"], row["effective_savings_rate"]) == (130, Decimal("0.13"))


def test_what_provisioned_throughput_paid_for_is_no_saving(run: Run) -> None:
    """500 at list are owed by a period charge: the rate is that of the other call, 10 / 100."""
    [row] = savings(run, {"costs": (500, 500, 0)}, {"costs": (100, 90, 90)})

    assert (row["provisioned_requests"], row["provisioned_list_cost_usd"]) == (1, 500)
    assert (row["list_cost_usd"], row["effective_savings_rate"]) == (100, Decimal("0.1"))


def test_a_contract_above_the_list_saves_less_than_nothing(run: Run) -> None:
    """Residency at +10 %: (100 - 110) / 100."""
    [row] = savings(run, {"costs": (100, 110, 110)})

    assert row["effective_savings_rate"] == Decimal("-0.1")


def test_without_a_list_cost_there_is_no_rate(run: Run) -> None:
    """A free model, and a model without a price."""
    free, unknown = savings(run, {"costs": (0, 0, 0)}, {"call": {"model_canonical": None}})

    assert (free["effective_savings_rate"], unknown["effective_savings_rate"]) == (None, None)
    assert (unknown["model_canonical"], unknown["list_cost_usd"], unknown["unpriced_requests"]) == (
        "unknown_model",
        None,
        1,
    )


def test_accounts_and_weeks_of_the_reporting_zone_stand_apart(run: Run) -> None:
    """Sunday 15:30 UTC is Monday in Tokyo."""
    sunday = datetime(2026, 11, 8, 15, 30, tzinfo=UTC)
    calls = ({"costs": (1, 1, 1)}, {"costs": (1, 1, 1), "at": sunday, "call": {"billing_account_id": None}})

    rows = savings(run, *calls, zone="Asia/Tokyo")

    assert [(row["week_start_date"], row["billing_account_id"]) for row in rows] == [
        (date(2026, 11, 2), "acc-1"),
        (date(2026, 11, 9), "unattributed"),
    ]
