"""Since when answers drift, and what came on that day: the worked example, and each word in its turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

MONDAY = date(2026, 10, 5)
START = datetime(2026, 10, 5, 12, tzinfo=UTC)
USERS = [f"u{number:02}" for number in range(12)]
Served = Callable[[int, int], Mapping[str, Any]]


def days_of(levels: list[float], requests: int = 125, feature: str = "chat") -> list[dict[str, Any]]:
    """Days up to the judged week's end with so many calls each, and how far they lie from usual."""
    first = MONDAY + timedelta(days=7 - len(levels))
    return [
        {
            "week_start_date": MONDAY, "feature": feature, "workflow_step": "(unnamed)", "prompt_name": "(unnamed)",
            "dimension": "release", "dimension_value": "(none)", "usage_date": first + timedelta(days=place),
            "logged_requests": requests, "input_total_tokens": 1_000 * requests, "log_rest": level * requests,
        }
        for place, level in enumerate(levels)
    ]  # fmt: skip


def drifting(served: Served, since: int = 1, users: tuple[str, ...] = tuple(USERS)) -> list[dict[str, Any]]:
    """Six weeks of 3 calls a user and day. From a day of the judged week on (0 is its Monday) answers are half as long again.

    ``served`` says by day (negative before the judged week) and user what the call was served by.
    """
    return [
        {
            "started_at": START + timedelta(days=day, minutes=call),
            "user_id": user,
            "input_total_tokens": 1_000,
            "output_total_tokens": (150 if day >= since else 100) + day % 2,
        }
        | dict(served(day, call))
        for day in range(-35, 7)
        for user in users
        for call in range(3)
    ]


def drift(books: Any) -> dict[str, Any]:
    return books.row("mart_output_ratio_drift_weekly", week_start_date=MONDAY, feature="chat")


def onsets(weeks_of: Any, levels: list[float]) -> list[dict[str, Any]]:
    books = weeks_of([{"started_at": START}], stat_drift_cells_weekly=days_of(levels))
    rows: list[dict[str, Any]] = books.rows("stat_drift_onset_weekly")
    return rows


def test_eight_days_of_the_example_turn_on_the_fifth(weeks_of):
    """Days 0, .02, -.02, 0, .20, .22, .18, .20 of 125 calls: w = 1 / (1/125 + .002) = 100.

    Gains from day 2: 1.1429, 2.16, 4.8, 8.0, 4.8, 2.16, 1.1429; s^2 = .16 / 6 = .026667; 8 - 6 x .026667 = 7.84: day 5 alone.
    """
    [found] = onsets(weeks_of, [0, 0.02, -0.02, 0, 0.20, 0.22, 0.18, 0.20])

    fifth = MONDAY + timedelta(days=3)
    assert found["onset_date"] == fifth
    assert round(found["onset_gain"], 4) == 8.0
    assert round(found["onset_variance"], 6) == 0.026667
    assert (found["onset_lo_date"], found["onset_hi_date"], found["days"]) == (fifth, fifth, 8)
    assert found["coinciding_cause"] == "no_config_change"


def test_a_weaker_step_has_a_wider_set(weeks_of):
    """The same days with a step of .04: gain at day 5 is 100 x 2 x .04^2 = .32, at day 4 .192, and .32 - 6 x .026667 = .16."""
    [found] = onsets(weeks_of, [0, 0.02, -0.02, 0, 0.04, 0.06, 0.02, 0.04])

    assert found["onset_date"] == MONDAY + timedelta(days=3)
    assert round(found["onset_gain"], 4) == 0.32
    assert found["onset_lo_date"] < found["onset_date"] <= found["onset_hi_date"]
    assert "starts 8 October (" in found["onset_words"]


def test_fewer_days_than_two_levels_need_are_not_dated(weeks_of):
    assert onsets(weeks_of, [0, 0, 0, 0.2, 0.2, 0.2, 0.2]) == []


def test_the_prompt_that_took_all_traffic_on_the_day_is_named(weeks_of):
    """Version 2 from Tuesday on, and answers half as long again from then."""
    books = weeks_of(drifting(lambda day, _: {"prompt_version": "2" if day >= 1 else "1"}))

    found = drift(books)

    tuesday = MONDAY + timedelta(days=1)
    assert (found["verdict"], found["cause"], found["cause_value"]) == ("drift", "prompt_version", "2")
    assert (found["onset_date"], found["cause_date"], found["tied_causes"]) == (tuesday, tuesday, ["prompt_version"])
    assert (found["onset_lo_date"], found["onset_hi_date"]) == (tuesday, tuesday)
    assert "; starts 6 October, the day prompt version 2 took all traffic; $" in found["sentence"]
    assert (found["concurrent_days"], found["concurrent_change"]) == (0, None)
    for table in ("mart_output_ratio_drift_weekly", "stat_drift_onset_weekly", "stat_drift_cells_weekly"):
        assert books.broken(table) == []


def test_what_changed_on_one_day_with_another_is_a_tie(weeks_of):
    found = drift(
        weeks_of(
            drifting(lambda day, _: {"prompt_version": "2" if day >= 1 else "1", "release": "b" if day >= 1 else "a"})
        )
    )

    assert (found["cause"], found["cause_value"], found["cause_date"]) == ("tied", None, None)
    assert found["tied_causes"] == ["prompt_version", "release"]
    assert "starts 6 October, which coincides with prompt version 2 and release b" in found["sentence"]


def test_what_changed_long_before_or_not_at_all_is_no_cause(weeks_of):
    """A release two weeks before the step, and a model that serves all the time."""
    served = {"model_canonical": "gpt-4o"}

    found = drift(weeks_of(drifting(lambda day, _: served | {"release": "b" if day >= -14 else "a"})))

    assert (found["cause"], found["tied_causes"]) == ("no_config_change", [])
    assert "no change of model, prompt version, release, service tier or region coincides with it" in found["sentence"]


def test_a_small_part_of_the_traffic_is_no_cause(weeks_of):
    """From Tuesday on one call in 36 runs in another region: a distance of .02, where .2 is asked for."""
    served: Served = lambda day, call: {"region": "eu"}  # noqa: E731
    calls = drifting(served)
    for place, row in enumerate(calls):
        if row["started_at"] >= START + timedelta(days=1) and place % 36 == 0:
            row["region"] = "us"

    assert drift(weeks_of(calls))["cause"] == "no_config_change"


def test_an_old_version_that_still_answers_is_compared_on_the_same_days(weeks_of):
    """Two of three calls go to version 2 from Tuesday on; its answers are 180 tokens long, those of version 1 still 100."""
    calls = drifting(lambda day, call: {"prompt_version": "2" if day >= 1 and call else "1"})
    for row in calls:
        row["output_total_tokens"] = 180 if row["prompt_version"] == "2" else 100

    found = drift(weeks_of(calls))

    assert (found["cause"], found["cause_value"], found["concurrent_days"]) == ("prompt_version", "2", 6)
    assert round(found["concurrent_change"], 6) == 0.8
    assert (
        "the day prompt version 2 took most of the traffic; on days with both, its answers are 80 % longer"
        in (found["sentence"])
    )


def test_a_mix_of_types_is_no_change_of_what_serves_them(weeks_of):
    """Type b has a model of its own and takes most traffic from Tuesday on: within each type nothing moved."""
    calls = drifting(lambda day, call: {"prompt_name": "b" if call > (1 if day < 1 else 0) else "a"})
    for row in calls:
        row["model_canonical"] = "large" if row["prompt_name"] == "b" else "small"

    found = drift(weeks_of(calls))

    assert (found["verdict"], found["cause"]) == ("drift", "no_config_change")


def test_creep_and_quiet_weeks_have_no_onset(weeks_of):
    """Only features that drifted against the four weeks before have cells at all."""
    quiet = weeks_of(drifting(lambda *_: {}, since=99))

    assert drift(quiet)["verdict"] == "stable"
    assert drift(quiet)["onset_date"] is None
    assert quiet.rows("stat_drift_cells_weekly") == []

    out = [round(1_000 * 1.04 ** (8 - week)) for week in range(9)]
    creeping = [
        {
            "started_at": START - timedelta(weeks=week),
            "user_id": user,
            "input_total_tokens": 1_000,
            "output_total_tokens": out[week],
        }
        for week in range(9)
        for user in USERS
        for _ in range(25)
    ]
    found = drift(weeks_of(creeping, thresholds="name,threshold\ndrift_min_change,0.20\n"))
    assert (found["cause"], found["onset_date"], found["tied_causes"]) == ("creep", None, None)


def test_users_that_differ_do_not_move_the_day(weeks_of):
    """Users of answers 30 times as long come in on Mondays and Saturdays only: each is held against their own usual length."""
    calls = drifting(lambda day, _: {"prompt_version": "2" if day >= 1 else "1"})
    calls = [
        row | {"output_total_tokens": row["output_total_tokens"] * 30} if row["user_id"] < "u06" else row
        for row in calls * 2
        if row["user_id"] >= "u06" or row["started_at"].weekday() in (0, 5)
    ]

    found = drift(weeks_of(calls))

    assert found["onset_date"] == MONDAY + timedelta(days=1)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_days_are_those_of_the_reporting_time_zone(weeks_of, zone):
    """Noon UTC plus 9 hours is the same day in Tokyo; 20:00 UTC is the next."""
    calls = drifting(lambda *_: {}, since=1)
    calls = [row | {"started_at": row["started_at"] + timedelta(hours=8)} for row in calls]

    rows = weeks_of(calls, zone=zone).rows("stat_drift_onset_weekly", week_start_date=MONDAY)

    assert [row["onset_date"] for row in rows] == [MONDAY + timedelta(days=2 if zone == "Asia/Tokyo" else 1)]
