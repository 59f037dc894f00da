"""Days on which a feature spends far more than its own last weeks lead to expect."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

MONDAY = date(2026, 8, 3)
MONTHLY = [{"scope_kind": "feature", "scope_value": "chat", "budget_usd": Decimal(2000)}]


def spend(dollars: Iterable[float], *, first: date = MONDAY, **more: Any) -> list[dict[str, Any]]:
    """A row of the day's cells for each day that has a cost."""
    return [
        {
            "usage_date": first + timedelta(days=number),
            "feature": "chat",
            "team": "care",
            "model_canonical": "gpt-4o",
            "requests": 10,
            "total_tokens": 1000,
            "unpriced_requests": 0,
            "unpriced_tokens": 0,
            "effective_cost_usd": Decimal(str(round(usd, 6))),
        }
        | more
        for number, usd in enumerate(dollars)
        if usd
    ]


def anomalies(
    weeks_of, cells: Sequence[Mapping[str, Any]], *, now: datetime | None = None, **more: Any
) -> list[dict[str, Any]]:
    """The rows of the table, by day; the books' now is the end of the last day unless given."""
    last = max(cell["usage_date"] for cell in cells)
    books = weeks_of(
        [],
        now=now or datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1),
        stat_cost_cells_daily=cells,
        **more,
    )
    rows = books.rows("mart_spend_anomalies_daily")
    assert books.broken("mart_spend_anomalies_daily") == []
    return rows


def test_three_times_the_usual_spend_is_an_anomaly_of_the_rest(weeks_of):
    """$100 on each of 56 days, then $300: the scale is its least, .10, the score ln 3 / .1 = 10.986, the excess $200."""
    *_, day = anomalies(weeks_of, spend([100] * 56 + [300]))

    assert (day["state"], day["log_scale"], round(day["score"], 3)) == ("anomaly", 0.1, 10.986)
    assert (day["expected_cost_usd"], day["excess_usd"], day["history_days"]) == (100, 200, 56)
    assert day["sentence"] == "chat spent $300.00 on Monday, $200.00 above what its own last weeks lead to expect."
    assert day["team"] == "care"


def test_a_month_that_is_spent_in_days_is_flagged_on_the_first(weeks_of):
    """$2,000 a month, $66.67 a day, then $8,000 in a week: $1,142.86 is 17.14 times what is expected, ln 17.14 / .1 = 28.4."""
    rows = anomalies(weeks_of, spend([2000 / 30] * 56 + [8000 / 7] * 7), ref_budgets=MONTHLY)

    first = rows[56]
    assert [row["state"] for row in rows[56:]] == ["anomaly"] * 7
    assert (round(first["times_expected"], 2), round(first["score"], 1)) == (17.14, 28.4)
    # A hundredth of the budget is more than $10.
    assert (first["budget_usd"], first["floor_usd"]) == (2000, 20)
    assert {row["expected_cost_usd"] for row in rows[56:]} == {first["expected_cost_usd"]}


def test_ten_flagged_days_in_a_row_are_the_new_level(weeks_of):
    """$100 to $200 for good: nine anomalies, a level shift, and normal days at $200 behind it, over the end of a month."""
    rows = anomalies(weeks_of, spend([100] * 50 + [200] * 30))

    states = [row["state"] for row in rows]
    assert states[50:] == ["anomaly"] * 9 + ["level_shift"] + ["normal"] * 20
    assert rows[59]["sentence"].endswith(" So many days in a row are its new level.")
    assert rows[50]["usage_date"] < date(2026, 10, 1) <= rows[59]["usage_date"]


def test_nothing_is_flagged_before_three_weeks_are_known(weeks_of):
    rows = anomalies(weeks_of, spend([100] * 20 + [5000, 100, 5000]))

    assert [row["state"] for row in rows[19:]] == ["learning", "learning", "normal", "anomaly"]
    assert (rows[20]["expected_cost_usd"], rows[20]["excess_usd"]) == (None, None)


def test_a_weekday_is_compared_with_its_own_kind(weeks_of):
    """$100 on weekdays and $20 at weekends: a Saturday of $100 is five times what is expected."""
    week = [100] * 5 + [20] * 2
    rows = anomalies(weeks_of, spend([*week * 8, *[100] * 6]))

    assert [row["state"] for row in rows[21:]] == ["normal"] * 40 + ["anomaly"]
    assert rows[-1]["usage_date"].weekday() == 5
    assert rows[-1]["expected_cost_usd"] == pytest.approx(Decimal(20), rel=Decimal("0.01"))


def test_a_small_excess_is_not_worth_a_look(weeks_of):
    """$2 to $11 is $9 beyond what is expected; the floor is $10."""
    assert anomalies(weeks_of, spend([2] * 30 + [11]))[-1]["state"] == "normal"
    assert anomalies(weeks_of, spend([2] * 30 + [12.5]))[-1]["state"] == "anomaly"


def test_a_day_without_the_usual_cost_is_silent_and_a_usual_pause_is_not(weeks_of):
    """$100 on weekdays alone. A Monday without a cost is a gap, Saturdays and Sundays are none; ten days on it is the new level."""
    week = [100] * 5 + [0] * 2
    now = datetime(2026, 10, 19, tzinfo=UTC)

    rows = anomalies(weeks_of, [*spend(week * 8), *spend([1] * 70, feature="search")], now=now)

    silent = [row for row in rows if row["state"] == "silent"]
    assert [row["usage_date"].isoformat() for row in silent] == [
        f"2026-{day}" for day in ("09-28", "09-29", "09-30", "10-01", "10-02", "10-05")
    ]
    assert silent[0]["sentence"] == (
        "chat spent nothing on Monday, where its own last weeks lead to expect $100.00: probably calls that have not arrived."
    )
    assert (silent[0]["effective_cost_usd"], silent[0]["score"], silent[0]["team"]) == (0, None, "care")


def test_calls_without_a_price_are_no_silence_and_no_cost_of_0(weeks_of):
    unpriced = {"effective_cost_usd": None, "unpriced_requests": 10, "unpriced_tokens": 1000}

    rows = anomalies(weeks_of, spend([100] * 30) + spend([1], first=MONDAY + timedelta(days=30), **unpriced))

    assert (len(rows), {row["state"] for row in rows[21:]}) == (30, {"normal"})


def test_a_day_that_is_not_over_is_not_judged(weeks_of):
    """By the books' own now: at ten in the evening the day still grows."""
    cells = spend([100] * 30 + [3000])
    evening = datetime(2026, 9, 2, 22, tzinfo=UTC)

    assert anomalies(weeks_of, cells, now=evening)[-1]["usage_date"] == date(2026, 9, 1)
    assert anomalies(weeks_of, cells, now=evening + timedelta(hours=2))[-1]["state"] == "anomaly"


def test_limits_of_a_feature_are_its_own(weeks_of):
    thresholds = (
        "name,scope_kind,scope_value,threshold,why\nanomaly_floor_usd,feature,chat,500,large swings are usual\n"
    )

    assert anomalies(weeks_of, spend([100] * 30 + [300]), thresholds=thresholds)[-1]["state"] == "normal"


# ---- against the method day by day


def by_the_method(costs: Sequence[float]) -> list[str]:
    """States of days from the first on, one after the other as METHODS has them; a day of 0 has none."""
    flagged: dict[int, int | None] = {}
    states: list[str] = []
    for day, cost in enumerate(costs):
        known = [
            j
            for j in range(max(0, day - 56), day)
            if costs[j] > 0 and (j not in flagged or (flagged[j] is not None and flagged[j] < day))
        ]
        if not cost:
            states.append("")
            continue
        logs = {j: math.log(costs[j]) for j in known}
        apart = {j: logs[j] - statistics.median(logs[i] for i in known if abs(i - j) <= 3) for j in known}
        index = {w: statistics.median([apart[j] for j in known if j % 7 == w] or [0]) for w in range(7)}
        z = {j: logs[j] - index[j % 7] for j in known}
        steps = [
            z[j] - statistics.median(z[i] for i in known[max(0, place - 14) : place])
            for place, j in enumerate(known)
            if place >= 7
        ]
        if not known or day - known[0] < 21 or len(known) < 14:
            states.append("learning")
            continue
        level = statistics.median(z[j] for j in known[-14:])
        growth = (statistics.median(z[j] for j in known[-7:]) - statistics.median(z[j] for j in known[-14:-7])) / 7
        usual = statistics.median(steps)
        scale = max(1.4826 * statistics.median(abs(step - usual) for step in steps), 0.10)
        log_expected = level + 7.5 * max(-0.02, min(0.02, growth)) + index[day % 7]
        expected = math.exp(log_expected)
        if (math.log(cost) - log_expected) / scale > 4 and cost > 1.25 * expected and cost - expected >= 10:
            flagged[day] = None
            run = [j for j in range(day + 1) if costs[j] > 0]
            length = next((n for n, j in enumerate(reversed(run)) if j not in flagged), len(run))
            shifts = length % 10 == 0
            if shifts:
                flagged.update(dict.fromkeys(run[-10:], day))
            states.append("level_shift" if shifts else "anomaly")
        else:
            states.append("normal")
    return states


def test_settled_looks_give_what_day_after_day_gives(weeks_of):
    """Series of noise with weekdays, spikes, ramps, new levels and pauses; each day by the flags of the days before it."""
    drawn = random.Random(12)
    series = []
    for number in range(16):
        costs = [50 * math.exp(drawn.gauss(0, 0.12)) * (0.4 if day % 7 > 4 else 1) for day in range(110)]
        at = drawn.randrange(30, 95)
        for day in range(at, 110):
            if number % 4 == 0 and day == at:
                costs[day] *= 3
            elif number % 4 == 1 and day < at + 7:
                costs[day] *= 17
            elif number % 4 == 2:
                costs[day] *= 2.2
            elif number % 4 == 3 and day < at + 9:
                costs[day] *= 1.25 ** (day - at + 1)
        for day in range(0, 110, drawn.randrange(6, 40)):
            costs[day] = 0
        series.append([round(cost, 6) for cost in costs])
    cells = [row for number, costs in enumerate(series) for row in spend(costs, feature=f"f{number:02}")]

    rows = anomalies(weeks_of, cells)

    for number, costs in enumerate(series):
        found = {
            row["usage_date"]: row["state"]
            for row in rows
            if row["feature"] == f"f{number:02}" and row["state"] != "silent"
        }
        first = next(day for day, cost in enumerate(costs) if cost)
        expected = by_the_method(costs)
        wanted = {MONDAY + timedelta(days=day): expected[day] for day in range(first, 110) if expected[day]}
        assert found == wanted, number
