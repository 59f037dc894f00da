"""Where a month is heading, with what certainty, and on which day it passes its budget."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

SEPTEMBER = date(2026, 9, 1)
BUDGET = [{"scope_kind": "team", "scope_value": "care", "budget_usd": Decimal(1000)}]


def forecast(month: date, day: int, **more: Any) -> dict[str, Any]:
    row = {
        "month_start_date": month,
        "scope_kind": "team",
        "scope_value": "care",
        "usage_date": month + timedelta(days=day - 1),
        "days_left": 30 - day,
        "is_learned": True,
    }
    return row | more


HALFWAY = forecast(
    SEPTEMBER,
    15,
    spent_usd=Decimal(600),
    projection_usd=Decimal(1200),
    budget_usd=Decimal(1000),
    breach_date=date(2026, 9, 26),
)


def halfway_with_errors_of(run, rms: float, months: int = 4, kind: str = "team") -> dict[str, Any]:
    past = [
        forecast(
            date(2026, 8 - back, 1),
            15,
            log_error=rms * (-1) ** back,
            projection_usd=Decimal(900),
            scope_kind=kind,
            scope_value="care" if kind == "team" else "chat",
        )
        for back in range(months)
    ]
    [row] = run("mart_budgets_monthly", stat_budget_forecasts_monthly=[HALFWAY, *past])
    return row


def test_the_interval_has_the_size_of_past_errors(run):
    """1,200 x exp(+-1.64 x 1.25 x .10) = 977.58 to 1,473.03: likely, as the lower end is within the budget of 1,000."""
    row = halfway_with_errors_of(run, 0.10)

    assert (round(row["projection_low_usd"], 2), round(row["projection_high_usd"], 2)) == (
        Decimal("977.58"),
        Decimal("1473.03"),
    )
    assert (row["forecast_state"], row["interval_basis"], row["past_forecasts"]) == ("likely", "own", 4)
    assert (row["budget_state"], row["breach_date"]) == ("amber", date(2026, 9, 26))
    assert row["sentence"] == "Heading for $1,200.00 of $1,000.00; likely over on the 26th."


def test_a_breach_is_near_certain_where_the_lower_end_is_above_the_budget(run):
    """RMS .08: 1,018.49 to 1,413.86."""
    row = halfway_with_errors_of(run, 0.08)

    assert (round(row["projection_low_usd"], 2), round(row["projection_high_usd"], 2)) == (
        Decimal("1018.49"),
        Decimal("1413.86"),
    )
    assert row["forecast_state"] == "near_certain"


def test_few_past_forecasts_take_the_error_of_all_features(run):
    """Three of its own say nothing; the middle of the features' errors stands in. Without any there is no interval, and no 0."""
    assert halfway_with_errors_of(run, 0.10, months=3)["interval_basis"] is None
    assert halfway_with_errors_of(run, 0.10, months=3)["projection_low_usd"] is None
    row = halfway_with_errors_of(run, 0.08, months=3, kind="feature")

    assert (row["interval_basis"], round(row["rms_log_error"], 9), row["forecast_state"]) == (
        "portfolio",
        0.08,
        "near_certain",
    )


def test_the_forecast_of_day_ten_is_held_to_what_came(run):
    """1,200 forecast, 1,140 came: accuracy 1 - 60 / 1,200 = .95, drift +.05."""
    month = {"month_cost_usd": Decimal(1140), "budget_usd": Decimal(1500)}
    tenth = forecast(SEPTEMBER, 10, projection_usd=Decimal(1200), spent_usd=Decimal(390), **month)
    last = forecast(SEPTEMBER, 30, projection_usd=Decimal(1140), spent_usd=Decimal(1140), **month)
    showback = [
        {"month_start_date": SEPTEMBER, "team": "care", "feature": "chat", "invoiced_cost_usd": Decimal(usd)}
        for usd in ("900.10", "289.90")
    ]

    [row] = run("mart_budgets_monthly", stat_budget_forecasts_monthly=[tenth, last], mart_showback_weekly=showback)

    assert (round(row["forecast_accuracy"], 9), round(row["forecast_drift"], 9)) == (0.95, 0.05)
    # What was invoiced is what counts against the budget.
    assert (row["is_month_over"], row["spent_usd"], row["spent_basis"], row["budget_state"]) == (
        True,
        1190,
        "invoiced",
        "amber",
    )
    assert (row["projection_usd"], row["forecast_reason"], row["forecast_state"]) == (None, "month_over", None)


def spend(dollars: list[float], first: date, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "usage_date": first + timedelta(days=number),
            "feature": "chat",
            "team": "care",
            "requests": 1,
            "unpriced_requests": 0,
            "effective_cost_usd": Decimal(str(usd)),
        }
        | more
        for number, usd in enumerate(dollars)
    ]


def budgets(weeks_of, cells, now: datetime, **more: Any):
    more = {"ref_budgets": BUDGET, "mart_showback_weekly": [], **more}
    books = weeks_of([], now=now, stat_cost_cells_daily=cells, **more)
    rows = books.rows("mart_budgets_monthly")
    assert books.broken("mart_budgets_monthly") == books.broken("stat_budget_forecasts_monthly") == []
    return rows


def test_a_month_goes_on_as_its_last_days(weeks_of):
    """$40 a day; on the 15th $600 is spent and 15 days are left: 1,200, over $1,000 on the 26th, when it is 1,040."""
    *_, row = budgets(weeks_of, spend([40] * 70, date(2026, 7, 8)), datetime(2026, 9, 16, tzinfo=UTC))

    assert (row["usage_date"], row["spent_usd"], row["projection_usd"]) == (date(2026, 9, 15), 600, 1200)
    assert (row["breach_date"], row["budget_state"], row["spent_ratio"]) == (date(2026, 9, 26), "amber", 0.6)
    # July and August went on as forecast: errors of 0, of the features too.
    assert (row["interval_basis"], row["rms_log_error"], row["forecast_state"]) == ("portfolio", 0, "near_certain")


def test_weekends_are_forecast_as_weekends(weeks_of):
    """$50 on weekdays and $10 at weekends. September 2026 has 22 weekdays and 4 weekends: 22 x 50 + 8 x 10 = 1,180."""
    days = [date(2026, 7, 6) + timedelta(days=number) for number in range(66)]
    cells = spend([10 if day.weekday() > 4 else 50 for day in days], days[0])

    *_, row = budgets(weeks_of, cells, datetime(2026, 9, 10, tzinfo=UTC))

    assert row["projection_usd"] == pytest.approx(Decimal(1180), abs=Decimal("0.01"))


def test_too_early_and_too_new_have_no_forecast(weeks_of):
    cells = spend([40] * 59, date(2026, 7, 8))
    assert budgets(weeks_of, cells, datetime(2026, 9, 5, tzinfo=UTC))[-1]["forecast_reason"] == "too_early"
    assert budgets(weeks_of, cells, datetime(2026, 9, 6, tzinfo=UTC))[-1]["forecast_reason"] is None
    row = budgets(weeks_of, spend([40] * 15, SEPTEMBER), datetime(2026, 9, 16, tzinfo=UTC))[-1]

    assert (row["forecast_reason"], row["projection_usd"], row["spent_usd"]) == ("learning", None, 600)
    assert row["sentence"] == "Spent $600.00 of $1,000.00; too little is known for a forecast."


def test_a_budget_of_the_month_goes_before_one_of_every_month(weeks_of):
    """Of 0 there is no share and no state; a team that has spent nothing yet stands with $0."""
    rows = [
        *BUDGET,
        {"scope_kind": "team", "scope_value": "care", "month": "2026-09", "budget_usd": Decimal(500)},
        {"scope_kind": "feature", "scope_value": "chat", "budget_usd": Decimal(0)},
        {"scope_kind": "team", "scope_value": "idle", "budget_usd": Decimal(70)},
    ]
    found = budgets(weeks_of, spend([40] * 70, date(2026, 7, 8)), datetime(2026, 9, 16, tzinfo=UTC), ref_budgets=rows)
    by_scope = {row["scope_value"]: row for row in found if row["month_start_date"] == SEPTEMBER}

    assert (by_scope["care"]["budget_usd"], by_scope["care"]["budget_state"]) == (500, "red")
    assert by_scope["care"]["breach_date"] == date(2026, 9, 13)
    assert by_scope["care"]["sentence"] == "Spent $600.00 of $500.00, over the budget since the 13th."
    assert (by_scope["chat"]["budget_state"], by_scope["chat"]["spent_ratio"], by_scope["chat"]["forecast_state"]) == (
        None,
    ) * 3
    assert (by_scope["idle"]["spent_usd"], by_scope["idle"]["budget_state"]) == (0, "below")
    august = next(row for row in found if row["month_start_date"] == date(2026, 8, 1) and row["scope_value"] == "care")
    assert (august["budget_usd"], august["is_month_over"]) == (1000, True)


def test_a_past_week_has_its_budgets_as_they_stood_when_it_ended(run):
    """600 by Sunday the 13th, 1,000 by the 20th: the week of the 7th knows nothing of the later, nor of the month's cost."""
    days = [
        forecast(
            SEPTEMBER,
            day,
            spent_usd=Decimal(usd),
            projection_usd=Decimal(heads),
            budget_usd=Decimal(1000),
            month_cost_usd=Decimal(1900),
        )
        for day, usd, heads in ((12, 550, 1350), (13, 600, 1300), (20, 1001, 1500), (30, 1900, 1900))
    ]

    weeks = {row["week_start_date"].day: row for row in run("mart_budgets_weekly", stat_budget_forecasts_monthly=days)}

    assert sorted(weeks) == [7, 14, 28]
    assert [
        (weeks[one]["usage_date"].day, weeks[one]["spent_usd"], weeks[one]["budget_state"]) for one in (7, 14, 28)
    ] == [
        (13, 600, "amber"),
        (20, 1001, "red"),
        (30, 1900, "red"),
    ]
    assert [weeks[one]["is_month_over"] for one in (7, 14, 28)] == [False, False, True]
    assert [weeks[one]["month_cost_usd"] for one in (7, 14, 28)] == [None, None, 1900]


def test_a_week_over_two_months_has_the_budgets_of_both(run):
    """28 September to 4 October: the month that ends and the one that begins."""
    days = [
        HALFWAY | {"usage_date": date(2026, 9, 30), "days_left": 0},
        HALFWAY | {"month_start_date": date(2026, 10, 1), "usage_date": date(2026, 10, 4), "days_left": 27},
    ]

    rows = run("mart_budgets_weekly", stat_budget_forecasts_monthly=days)

    assert {(row["week_start_date"], row["month_start_date"].month, row["usage_date"]) for row in rows} == {
        (date(2026, 9, 28), 9, date(2026, 9, 30)),
        (date(2026, 9, 28), 10, date(2026, 10, 4)),
    }


def test_the_newest_week_stands_as_the_month_does(run):
    [month], [week] = (
        run(f"mart_budgets_{grain}ly", stat_budget_forecasts_monthly=[HALFWAY]) for grain in ("month", "week")
    )

    assert {name: value for name, value in week.items() if name != "week_start_date"} == month
