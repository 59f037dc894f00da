"""How much hangs on each seller, and what a rise of its prices would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

WEEK = date(2026, 10, 12)
REVENUE = [
    {
        "period_start_date": WEEK,
        "period_end_date": WEEK + timedelta(days=7),
        "revenue_amount": Decimal(200),
        "currency": "USD",
        "revenue_kind": "recognised",
    }
]


def cell(provider: str, usd: str | None, **more: Any) -> dict[str, Any]:
    cost = Decimal(usd) if usd else None
    row = {
        "usage_date": WEEK,
        "feature": "chat",
        "provider": provider,
        "model_canonical": f"{provider}-1",
        "requests": 10,
        "total_tokens": 1_000,
        "unpriced_requests": 0 if usd else 10,
        "unpriced_tokens": 0 if usd else 1_000,
        "effective_cost_usd": cost,
        "output_text_cost_usd": cost,
    }
    return row | more


def exposure(run, cells: Sequence[Mapping[str, Any]], **tables: Any) -> dict[tuple[str, str], dict[str, Any]]:
    rows = run(
        "mart_vendor_exposure_weekly",
        **{
            "stat_cost_cells_daily": cells,
            "ledger_clock": [{"clock": "books", "now_at": datetime(2026, 12, 1, tzinfo=UTC)}],
            "ref_reporting": [{"reporting_time_zone": "UTC"}],
            "ref_revenue": REVENUE,
            **tables,
        },
    )
    return {(row["provider"], row["model_canonical"]): row for row in rows if row["week_start_date"] == WEEK}


SHARES = [cell("a", "70"), cell("b", "20"), cell("c", "10")]


def test_a_rise_of_one_sellers_prices_is_a_tenth_of_its_cost(run):
    """70/20/10 of $100: HHI .49 + .04 + .01 = .54, 1.85 effective sellers. +10 % on the first: +$7; of $200 revenue 50.0 to 46.5 %."""
    rows = exposure(run, SHARES)
    row = rows["a", "(all)"]

    assert (row["spend_share"], row["week_cost_usd"], row["revenue_usd"]) == (Decimal("0.7"), 100, 200)
    assert (round(row["concentration_index"], 9), round(row["effective_vendors"], 2)) == (0.54, 1.85)
    assert (row["shock_usd"], row["margin_before_shock"], row["margin_after_shock"]) == (
        7,
        Decimal("0.5"),
        Decimal("0.465"),
    )
    assert rows["a", "a-1"]["shock_usd"] == 7
    assert sum(row["spend_share"] for (_, model), row in rows.items() if model == "(all)") == 1


def test_what_a_contract_fixes_is_left_out_until_it_ends(run):
    """A fixed price of output covers all of A's $70 until the contract's end, and nothing in a week behind it."""
    contract = {"provider": "a", "unit": "output", "kind": "absolute", "value": Decimal(10)}
    in_force = contract | {"effective_to": datetime(2026, 11, 1, tzinfo=UTC)}
    over = contract | {"effective_to": datetime(2026, 10, 15, tzinfo=UTC)}
    discount = contract | {"kind": "multiplier", "value": Decimal("0.9")}
    of_input = contract | {"unit": "input"}
    of_feature = contract | {"scope": "feature=search"}

    def shock_of(*rows):
        found = exposure(run, SHARES, ref_price_overrides=rows)["a", "(all)"]
        return found["contract_cost_usd"], found["shock_usd"]

    assert shock_of(in_force) == (70, 0)
    # A discount on the list rises with the list.
    assert [shock_of(one) for one in (over, discount, of_input, of_feature)] == [(0, 7)] * 4
    assert shock_of(of_feature | {"scope": "feature=chat"}) == (70, 0)


def test_price_changes_so_far_are_those_of_thirteen_weeks(run):
    """-$5 each in this week and twelve before; what is older does not count."""
    bridge = [
        {
            "week_start_date": WEEK - timedelta(weeks=back),
            "feature": "chat",
            "provider": "a",
            "model_canonical": "a-1",
            "price_usd": Decimal(-5),
        }
        for back in range(15)
    ]

    rows = exposure(run, SHARES, mart_spend_change_weekly=bridge)

    assert (rows["a", "(all)"]["price_effect_usd"], rows["a", "(all)"]["price_weeks"]) == (-65, 13)
    assert rows["b", "(all)"]["price_effect_usd"] == 0
    # Before any week is compared nothing is known, not 0.
    assert exposure(run, SHARES)["a", "(all)"]["price_effect_usd"] is None


def test_without_revenue_there_is_no_margin_and_without_a_price_no_share(run):
    rows = exposure(run, [*SHARES, cell("d", None)], ref_revenue=[])
    unpriced = rows["d", "(all)"]

    assert (rows["a", "(all)"]["margin_before_shock"], rows["a", "(all)"]["margin_after_shock"]) == (None, None)
    assert (unpriced["effective_cost_usd"], unpriced["spend_share"], unpriced["shock_usd"]) == (None, None, None)
    assert {row["is_incomplete"] for row in rows.values()} == {True}
