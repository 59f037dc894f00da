"""What a release or prompt version does to cost: the worked examples, the same rates for both, the same days where both serve."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

MONDAY = date(2026, 10, 5)
START = datetime(2026, 10, 5, 12, tzinfo=UTC)
USERS = [f"u{number:02}" for number in range(20)]
# More than the users' habits: they pay up to a tenth more or less, alike with both versions, and a little by chance.
HABITS = [Decimal(90 + number) / 100 for number in range(20)]


def calls(version: str, usd: str, number: int, day: int = 0, kind: str = "a", **more: Any) -> list[dict[str, Any]]:
    """So many calls of a version, user after user, on a day of the judged week (before it where negative)."""
    return [
        {
            "started_at": START + timedelta(days=day, seconds=place),
            "user_id": USERS[place % 20],
            "prompt_name": kind,
            "release": version,
            "cost_usd": Decimal(usd) * more.get("habit", 1),
        }
        | {name: value for name, value in more.items() if name != "habit"}
        for place in range(number)
    ]


def of_users(rows: Iterable[Mapping[str, Any]], noise: int = 3) -> list[dict[str, Any]]:
    """The same rows with users that differ for good, and by up to so many percent by chance."""
    found = []
    for place, row in enumerate(rows):
        habit = HABITS[int(str(row["user_id"])[1:])] * Decimal(100 + (place * 7 % (2 * noise + 1)) - noise) / 100
        found.append(dict(row) | {"cost_usd": row["cost_usd"] * habit})
    return found


def released(books: Any, version: str = "4.2", **more: Any) -> dict[str, Any]:
    return books.row(
        "mart_release_costs_weekly", week_start_date=MONDAY, version=version, **{"dimension": "release"} | more
    )


def test_a_request_that_costs_30_percent_more_is_a_regression(weeks_of):
    """1,000 requests for $8.00, then 500 for $5.20: $0.0080 to $0.0104, +30 %; 500 x .0024 = $1.20."""
    rows = [*calls("4.1", "0.008", 1_000, day=-7), *calls("4.2", "0.0104", 500)]

    books = weeks_of(rows)

    found = released(books)
    assert (found["effective_cost_usd"], found["base_repriced_cost_usd"]) == (Decimal("5.2"), 8)
    assert (found["cost_per_request_usd"], found["base_cost_per_request_usd"]) == (Decimal("0.0104"), Decimal("0.008"))
    assert (round(found["raw_request_change"], 9), round(found["mix_free_request_change"], 9)) == (0.3, 0.3)
    assert (found["verdict"], found["regressed_unit"], found["previous_version"]) == ("regression", "request", "4.1")
    assert (found["release_date"], found["is_concurrent"], found["cost_impact_usd"]) == (MONDAY, False, Decimal("1.2"))
    assert found["sentence"] == (
        "With release 4.2 a request is 30 % dearer for the same work than with 4.1 before; $1.20 a week."
    )
    for table in ("stat_release_cells_weekly", "stat_release_change_weekly", "mart_release_costs_weekly"):
        assert books.broken(table) == []


def test_a_change_of_traffic_is_no_regression(weeks_of):
    """Types a and b: 800 and 200 requests at $.006 and $.016, then 300 and 200 at $.006 and $.020.

    Raw 8.00 / 1,000 to 5.80 / 500, +45 %; mix-free 200 x .004 over 300 x .006 + 200 x .016: .8 / 5.0, +16 %.
    """
    rows = [
        *calls("4.1", "0.006", 800, day=-7),
        *calls("4.1", "0.016", 200, day=-7, kind="b"),
        *calls("4.2", "0.006", 300),
        *calls("4.2", "0.020", 200, kind="b"),
    ]

    found = released(weeks_of(rows))

    assert (found["cost_per_request_usd"], found["base_cost_per_request_usd"]) == (Decimal("0.0116"), Decimal("0.008"))
    assert round(found["raw_request_change"], 9) == 0.45
    assert round(found["mix_free_request_change"], 9) == 0.16
    assert found["request_p_value"] < 0.05
    assert found["verdict"] == "no_change"
    assert found["sentence"] == (
        "With release 4.2 a request is 16 % dearer for the same work than with 4.1 before, which is below the limits or within chance; "
        "the other 29 points are a change of traffic."
    )


def test_cheaper_work_is_an_improvement(weeks_of):
    found = released(weeks_of(of_users([*calls("4.1", "0.008", 1_000, day=-7), *calls("4.2", "0.006", 500)])))

    assert (found["verdict"], found["regressed_unit"]) == ("improvement", "request")
    assert found["mix_free_request_change"] == pytest.approx(-0.25, abs=0.01)
    assert "25 % cheaper for the same work" in found["sentence"]
    assert found["sentence"].endswith("a week less.")


def test_a_price_that_rose_meanwhile_is_no_regression(weeks_of):
    """The rates of gpt-4o rise by half on the Monday: the calls before are taken to the new rates, and nothing is left."""
    rates = [
        {
            "usage_date": MONDAY + timedelta(days=day), "provider": "openai", "model_canonical": "gpt-4o", "service_tier": "",
            "is_batch": False, "speed": "", "region": "", "region_class": "", "billing_account_scope": "", "project_scope": "",
            "feature_scope": "", "customer_scope": "", "ctx_min_tokens": 0, "rate_status": "ok",
            "input_uncached_usd_per_mtok": Decimal("2.50") * factor, "output_text_usd_per_mtok": Decimal("10") * factor,
        }
        for day, factor in ((-7, Decimal(1)), (0, Decimal("1.5")))
    ]  # fmt: skip
    # 1,000 in at $2.50 and 100 out at $10 a million: $.0035.
    before, after = calls("4.1", "0", 1_000, day=-7), calls("4.2", "0.00525", 500)
    before = [{name: value for name, value in row.items() if name != "cost_usd"} for row in before]

    books = weeks_of([*before, *after], ledger_rates=rates)

    [index] = books.rows("stat_price_index_weekly")
    assert (index["base_week_date"], round(index["rate_index"], 12)) == (MONDAY - timedelta(weeks=1), 1.5)
    found = released(books)
    assert found["base_repriced_cost_usd"] == Decimal("5.25")
    assert round(found["mix_free_request_change"], 9) == 0
    assert found["verdict"] == "no_change"
    assert "a request is as dear for the same work as with 4.1 before" in found["sentence"]


def test_both_versions_in_the_same_days_are_compared_on_those_days(weeks_of):
    """From Tuesday to Friday both serve, at $.010 and $.014; on Monday, before, calls of 4.1 cost $.020."""
    rows = calls("4.1", "0.020", 1_000, day=0)
    for day in (1, 2, 3, 4):
        rows += [*calls("4.1", "0.010", 200, day=day), *calls("4.2", "0.014", 100, day=day)]

    found = released(weeks_of(of_users(rows)))

    assert (found["is_concurrent"], found["concurrent_days"]) == (True, 4)
    assert (found["requests"], found["base_requests"]) == (400, 800)
    assert found["mix_free_request_change"] == pytest.approx(0.4, abs=0.01)
    assert found["verdict"] == "regression"
    assert "dearer for the same work than with 4.1 on the same days" in found["sentence"]


def test_one_day_of_a_changeover_is_no_comparison_of_the_same_days(weeks_of):
    """4.2 takes over at noon on Monday: the week is held against the time before, not the afternoon against the morning."""
    rows = [*calls("4.1", "0.008", 1_000, day=-7), *calls("4.1", "0.008", 500, day=0), *calls("4.2", "0.008", 500)]
    rows += calls("4.2", "0.008", 500, day=3)

    found = released(weeks_of(of_users(rows)))

    assert (found["is_concurrent"], found["concurrent_days"], found["requests"]) == (False, 1, 1_000)
    assert (found["base_requests"], found["verdict"]) == (1_000, "no_change")


def tasks_of(rows: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    """So many calls in a row of one user make a task."""
    found: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        for number in range(size):
            name = f"{row['release']}-{row['started_at']:%d}-{place}"
            found.append(row | {"task_id": name, "started_at": row["started_at"] + timedelta(minutes=10 * number)})
    return found


def test_cheaper_calls_of_which_a_task_needs_more_are_a_regression_of_the_task(weeks_of):
    """Two calls at $.010 a task, then four at $.008: a call is 20 % cheaper, a task ($.020 to $.032) 60 % dearer."""
    rows = tasks_of(calls("4.1", "0.010", 600, day=-7), 2) + tasks_of(calls("4.2", "0.008", 300), 4)

    found = released(weeks_of(of_users(rows, noise=2)))

    assert (found["tasks"], found["base_tasks"], found["requests"]) == (300, 600, 1_200)
    assert found["mix_free_request_change"] == pytest.approx(-0.2, abs=0.01)
    assert found["mix_free_task_change"] == pytest.approx(0.6, abs=0.01)
    assert (found["verdict"], found["regressed_unit"]) == ("regression", "task")
    assert found["sentence"].startswith("With release 4.2 a task is 60 % dearer for the same work than with 4.1 before")


def test_versions_of_two_prompts_are_not_mixed_up(weeks_of):
    """Version 2 of prompt a is new and dearer; b has had a version 2 for long."""
    rows = [
        row | {"release": None, "prompt_version": version}
        for version, made in (
            ("1", calls("", "0.008", 1_000, day=-7)),
            ("2", calls("", "0.012", 500)),
            ("2", calls("", "0.001", 1_000, day=-7, kind="b")),
            ("2", calls("", "0.001", 1_000, kind="b")),
        )
        for row in made
    ]

    books = weeks_of(of_users(rows))

    [found] = books.rows("mart_release_costs_weekly", week_start_date=MONDAY)
    assert (found["dimension"], found["scope_name"], found["version"]) == ("prompt_version", "a", "2")
    assert (found["verdict"], found["requests"]) == ("regression", 500)
    assert found["sentence"].startswith("With version 2 of prompt a a request is 50 % dearer")


def test_a_version_is_new_for_its_week_and_four_more_and_the_first_is_never(weeks_of):
    """4.1 from the start, 4.2 five weeks later: held against 4.1 in the weeks 5 to 9 and in no other."""
    rows = []
    for week in range(12):
        rows += calls("4.2" if week >= 5 else "4.1", "0.008", 400, day=-7 * (11 - week))

    found = weeks_of(of_users(rows)).rows("mart_release_costs_weekly")

    weeks = [MONDAY - timedelta(weeks=11 - week) for week in range(5, 10)]
    assert [(row["week_start_date"], row["version"], row["previous_version"]) for row in found] == [
        (week, "4.2", "4.1") for week in weeks
    ]
    assert {row["base_requests"] for row in found} == {1_600}
    assert {row["verdict"] for row in found} == {"no_change"}


def test_calls_before_the_first_day_alone_are_held_against_it(weeks_of):
    """4.1 came back for a day after 4.2: those calls are not from before."""
    rows = [*calls("4.1", "0.008", 1_000, day=-7), *calls("4.2", "0.008", 400, day=0), *calls("4.1", "0.1", 300, day=3)]

    assert released(weeks_of(of_users(rows)))["base_cost_per_request_usd"] < Decimal("0.01")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [(1_000, 150, "few_units"), (390, 300, "few_base_units"), (1_000, 9, "few_users")],
)
def test_too_little_is_said_and_not_judged(weeks_of, before, after, reason):
    """200 and 400 calls and 10 users are asked for; the cost doubles each time."""
    found = released(weeks_of(of_users([*calls("4.1", "0.008", before, day=-7), *calls("4.2", "0.016", after)])))

    assert (found["verdict"], found["verdict_reason"], found["request_p_value"]) == ("insufficient", reason, None)
    assert found["sentence"].startswith("Too little to judge")


def test_users_of_one_version_only_are_no_pairs(weeks_of):
    rows = [
        *calls("4.1", "0.008", 1_000, day=-7),
        *(row | {"user_id": row["user_id"] + "-new"} for row in calls("4.2", "0.016", 500)),
    ]

    found = released(weeks_of(rows))

    assert (found["verdict"], found["verdict_reason"]) == ("insufficient", "no_pairs")
    assert round(found["mix_free_request_change"], 9) == 1


def test_unpriced_calls_are_left_out_and_said(weeks_of):
    """Of 500 calls 50 have no price: the mean is that of 450, and no alert may follow."""
    rows = [*calls("4.1", "0.008", 1_000, day=-7), *calls("4.2", "0.008", 450)]
    rows += [row | {"cost_usd": None, "is_priced": False} for row in calls("4.2", "0", 50)]

    found = released(weeks_of(rows))

    assert (found["requests"], found["unpriced_requests"], found["is_incomplete"]) == (500, 50, True)
    assert (found["cost_per_request_usd"], found["effective_cost_usd"]) == (Decimal("0.008"), Decimal("3.6"))


def test_without_any_price_nothing_is_judged_and_nothing_is_0(weeks_of):
    rows = [*calls("4.1", "0", 1_000, day=-7), *calls("4.2", "0", 450)]
    rows = [row | {"cost_usd": None, "is_priced": False} for row in rows]

    found = released(weeks_of(rows))

    assert (found["verdict"], found["effective_cost_usd"], found["cost_per_request_usd"]) == (
        "insufficient",
        None,
        None,
    )
    assert (found["mix_free_request_change"], found["cost_impact_usd"]) == (None, None)


def test_a_week_under_way_is_not_judged(weeks_of):
    rows = of_users([*calls("4.1", "0.008", 1_000, day=-7), *calls("4.2", "0.016", 500)])

    friday = released(weeks_of(rows, now=datetime(2026, 10, 9, tzinfo=UTC)))

    assert (friday["is_closed"], friday["verdict"], friday["verdict_reason"]) == (
        False,
        "insufficient",
        "week_not_over",
    )
    assert released(weeks_of(rows, now=datetime(2026, 10, 12, tzinfo=UTC)))["verdict"] == "regression"


def test_calls_without_a_version_have_no_row(weeks_of):
    assert weeks_of([{"started_at": START, "user_id": "u"}]).rows("mart_release_costs_weekly") == []


@pytest.mark.parametrize("seed", range(3))
def test_cells_of_versions_sum_to_the_calls_that_tell_one(weeks_of, seed):
    """Whatever the days, users, types and versions: each call that tells a release or prompt version stands in one cell."""
    chance = random.Random(seed)
    rows = [
        {
            "started_at": START + timedelta(hours=chance.randrange(-500, 150)),
            "user_id": chance.choice([*USERS, None]),
            "prompt_name": chance.choice(["a", "b", None]),
            "release": chance.choice(["1", "2", "3", None]),
            "prompt_version": chance.choice(["1", "2", None]),
            "model_canonical": chance.choice(["gpt-4o", "gpt-4o-mini"]),
            "status": chance.choice(["ok", "ok", "error"]),
            "is_priced": chance.random() < 0.9,
        }
        for _ in range(400)
    ]

    books = weeks_of(rows)

    cells = books.rows("stat_release_cells_weekly")
    told = [row for row in rows if row["release"] or row["prompt_version"]]
    assert sum(cell["requests"] for cell in cells) == len(told)
    assert sum(cell["priced_requests"] for cell in cells) == sum(row["is_priced"] for row in told)
    # 1,000 in at $2.50 and 100 out at $10 a million.
    assert sum(cell["requests_effective_cost_usd"] or 0 for cell in cells) == Decimal("0.0035") * sum(
        row["is_priced"] for row in told
    )
    for table in ("stat_release_cells_weekly", "stat_release_change_weekly", "mart_release_costs_weekly"):
        assert books.broken(table) == []
