"""Own GPUs and prices for use: the examples of the methods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from pipelines.whatif.alone import all_plans, answer_alone, cases_of, kept_rows
from pipelines.whatif.replay import inputs
from pipelines.whatif.scenarios import CASES, ScenarioError, scenarios_of
from pipelines.whatif.self_host import pool, pools_of
from tests.whatif.test_levers import SCENARIOS, call

ONE_GPU = {
    "output_tokens_per_s": Decimal(1500),
    "input_tokens_per_s": Decimal(20_000),
    "cache_read_tokens_per_s": Decimal(200_000),
    "gpu_hour_usd": Decimal("2.5"),
    "power_kw": Decimal(0),
    "electricity_usd_per_kwh": Decimal(0),
    "ops_usd_per_month": Decimal(2000),
    "peak_share": Decimal(1),
    "redundant_gpus": Decimal(0),
}


def test_one_gpu_is_cheaper_than_the_api_from_half_use_on():
    """730 x 2.50 + 2,000 = 3,825; 1,500 x 3,600 x 730 = 3,942 M tokens, at $2 worth 7,884: 48.5 %, or 1,912.5 M tokens."""
    tokens = Decimal(1_000_000_000)

    found = pool("mid", 1, ONE_GPU, tokens, tokens * 2 / 1_000_000, tokens / 1500)

    assert found.monthly_usd == 3825
    assert round(found.capacity_tokens) == 3_942_000_000
    assert found.breakeven_utilisation is not None
    assert round(found.breakeven_utilisation, 3) == Decimal("0.485")
    assert found.breakeven_tokens == Decimal("1912500000")
    # At 40 % use: 3,825 / 1,576.8 M, which the API would do for 3,153.60.
    assert [round(point.utilisation, 3) for point in found.curve] == [
        Decimal(at) for at in ("0.2", "0.4", "0.485", "0.6", "0.8", "1")
    ]
    at_40, crossing = found.curve[1:3]
    assert (round(at_40.usd_per_mtok, 4), at_40.api_usd_per_mtok) == (Decimal("2.4258"), 2)
    assert round(at_40.saving_usd, 2) == Decimal("-671.40")
    # The curve crosses the API's price at the break-even: dearer before it, cheaper after it.
    assert (round(crossing.usd_per_mtok, 12), round(crossing.saving_usd, 12)) == (2, 0)
    assert [round(point.saving_usd, 9) > 0 for point in found.curve] == [False, False, False, True, True, True]


def test_a_full_pool_dearer_than_the_api_never_pays():
    """At $.50 a million the capacity is worth 1,971, less than 3,825."""
    tokens = Decimal(1_000_000_000)

    found = pool("mid", 1, ONE_GPU, tokens, tokens / 2_000_000, tokens / 1500)

    assert found.breakeven_utilisation is None
    assert found.breakeven_tokens is None


def test_gpus_are_counted_on_the_peak_hour_not_on_the_mean():
    """8.1 M tokens in one hour at 1,500 a second take 1.5 GPU-hours: two, though the other 29 days are empty."""
    hour = {
        "hour_at": datetime(2026, 11, 2, 9, tzinfo=UTC),
        "output_tokens": 8_100_000,
        "fresh_input_tokens": 0,
        "cache_read_tokens": 0,
        "cost_usd": Decimal(81),
    }

    [low, mid, high] = pools_of([hour], {name: (value,) * 3 for name, value in ONE_GPU.items()}, 30)

    assert low.gpus == mid.gpus == high.gpus == 2
    assert mid.used_utilisation is not None
    assert mid.used_utilisation < Decimal("0.002")


def usage(weeks_of, *given):
    """Users of 50, 100 and 400 calls at $.08."""
    calls = [
        call(n, user_id=user, input_total_tokens=32_000)
        for user, units in (("a", 50), ("b", 100), ("c", 400))
        for n in range(units)
    ]
    weeks = weeks_of(calls, by_the_book=True)
    for table in inputs():
        weeks.make(table)
    [scenario] = scenarios_of(SCENARIOS, "usage_pricing", ["months=1", *given])
    return answer_alone(weeks.con, SCENARIOS, scenario, date(2026, 11, 2), date(2026, 11, 9))


def test_a_price_for_use_ends_the_subsidy_of_heavy_users(weeks_of):
    """Base $20, allowance 100, $.10 above. Flat: 60 - 44, 26.7 %, and 12 of the heavy user on the 28 that the others leave.

    Metered, demand above the allowance as it is / a fifth / half less: revenue 90 / 84 / 75, cost 44 / 39.20 / 32,
    margin 51.1 / 53.3 / 57.3 %.
    """
    [plan] = usage(weeks_of).plans

    lines = cases_of(plan)
    assert [line["revenue_usd"] for line in lines] == [60, 90, 84, 75]
    assert [line["cost_usd"] for line in lines] == [44, 44, Decimal("39.2"), 32]
    assert [round(line["margin_rate"] * 100, 1) for line in lines] == [
        Decimal("26.7"),
        Decimal("51.1"),
        Decimal("53.3"),
        Decimal("57.3"),
    ]
    assert [line["margin_usd"] for line in lines[1:]] == [46, Decimal("44.8"), 43]
    assert (plan["flat_subsidy_usd"], plan["flat_surplus_usd"], plan["users_over_allowance"]) == (12, 28, 1)
    assert all_plans([plan])["users"] == 3


def test_a_price_for_use_is_kept_by_tier_with_its_revenue_beside_its_cost(weeks_of):
    """As above: the most demand lost costs the least, 32 of 44, and brings 75; the least lost costs 44 and brings 90."""
    [row] = kept_rows(usage(weeks_of))

    assert [row[f"cost_{case}_usd"] for case in CASES] == [32, Decimal("39.2"), 44]
    assert [row[f"saving_{case}_usd"] for case in CASES] == [0, Decimal("4.8"), 12]
    assert [row[name] for name in ("revenue_usd", *(f"revenue_{case}_usd" for case in CASES))] == [60, 75, 84, 90]
    assert (row["requests"], row["covered_requests"], row["unpriced_requests"]) == (550, 550, 0)


def test_a_question_of_its_own_is_not_asked_together_with_levers():
    with pytest.raises(ScenarioError, match="ask it without the others"):
        scenarios_of(SCENARIOS, "self_host+batch")


def test_hours_without_a_meant_call_have_no_answer(weeks_of):
    weeks = weeks_of(
        [{**call(0, input_total_tokens=1000), "started_at": datetime(2026, 11, 2, tzinfo=UTC)}], by_the_book=True
    )
    for table in inputs():
        weeks.make(table)
    [scenario] = scenarios_of(SCENARIOS, "self_host", ["feature=nobody"])

    with pytest.raises(ScenarioError, match="no call with a cost"):
        answer_alone(weeks.con, SCENARIOS, scenario, date(2026, 11, 2), date(2026, 11, 2) + timedelta(days=7))
