"""Runaway sessions: all three signs together, limits from what succeeds, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

# Wednesday of the judged week; the weeks before are its baseline.
NOW = datetime(2026, 10, 7, 12, tzinfo=UTC)
Row = dict[str, Any]


def session(
    name: str,
    steps: int,
    outcome: str | None,
    *,
    alike: int | None = None,
    weeks: int = 0,
    cost: str = "0.01",
    **more: Any,
) -> list[Row]:
    """Calls of a session; ``alike`` of them call one tool, the others each another. The last call tells the outcome."""
    at = NOW - timedelta(weeks=weeks)
    alike = steps if alike is None else alike
    return [
        {
            "started_at": at + timedelta(seconds=number),
            "session_id": name,
            "step": "refund" if number < alike else f"tool-{number}",
            "cost_usd": Decimal(cost),
            "outcome": outcome if number == steps - 1 else None,
        }
        | more
        for number, _ in enumerate(range(steps))
    ]


def good(steps: Iterable[int], weeks: int = 1, **more: Any) -> list[Row]:
    """Sessions that succeed."""
    return [
        call
        for number, count in enumerate(steps)
        for call in session(f"good-{weeks}-{number}", count, "success", weeks=weeks, **more)
    ]


# 100 successful sessions with a median of 6 and a 99th percentile of 20.
BASE = [6] * 97 + [20] * 3


def test_a_long_failed_session_of_equal_steps_ran_away_and_a_successful_one_did_not(weeks_of):
    """Median 6, p99 20: the limit is max(18, 20) = 20. 25 steps, top share .72, failed: runaway; the same but successful: no."""
    calls = good(BASE) + session("lost", 25, "failure", alike=18) + session("found", 25, "success", alike=18)

    books = weeks_of(calls)

    [found] = books.rows("mart_runaway_sessions")
    assert (found["session_id"], found["verdict"], found["limit_basis"]) == ("lost", "runaway", "successful_sessions")
    assert (found["base_median_steps"], found["base_p99_steps"], found["step_limit"]) == (6, 20, 20)
    assert (found["top_step"], found["top_step_share"], found["base_sessions"]) == ("refund", Decimal("0.72"), 100)
    # 25 steps of a cent less the six of a session in the middle that succeeds.
    assert (found["effective_cost_usd"], found["excess_cost_usd"]) == (Decimal("0.25"), Decimal("0.19"))
    assert books.broken("mart_runaway_sessions") == []


@pytest.mark.parametrize(
    ("steps", "alike", "outcome", "verdict"),
    [
        (21, 13, "failure", "runaway"),
        (20, 20, "failure", None),
        (25, 15, "failure", None),
        (21, 13, None, "runaway_suspected"),
        (300, 300, "success", None),
    ],
)
def test_each_sign_is_needed(weeks_of, steps, alike, outcome, verdict):
    """Beyond 20 steps, more than .60 of them alike (15 of 25 are .60 and no more), no success."""
    books = weeks_of(good(BASE) + session("judged", steps, outcome, alike=alike))

    assert [row["verdict"] for row in books.rows("mart_runaway_sessions")] == ([verdict] if verdict else [])


def test_three_times_the_median_counts_where_it_is_more_than_the_percentile(weeks_of):
    """All successful sessions take 10 steps: the limit is 30, not 10."""
    calls = good([10] * 60) + session("a", 30, "failure") + session("b", 31, "failure")

    [found] = weeks_of(calls).rows("mart_runaway_sessions")

    assert (found["session_id"], found["step_limit"]) == ("b", 30)


def test_where_few_sessions_succeeded_fixed_limits_hold(weeks_of):
    """49 successful ones are too few: beyond 50 steps or $0.50, still alike and not successful."""
    calls = [
        *good([6] * 49),
        *session("long", 51, "failure", cost="0.001"),
        *session("dear", 10, "failure", cost="0.06"),
        *session("varied", 10, "failure", cost="0.06", alike=2),
        *session("within", 50, "failure", cost="0.01"),
        *session("useful", 90, "success", cost="0.06"),
    ]

    books = weeks_of(calls)

    found = {row["session_id"]: row for row in books.rows("mart_runaway_sessions")}
    assert found.keys() == {"long", "dear"}
    assert {row["limit_basis"] for row in found.values()} == {"fixed"}
    assert (found["long"]["is_over_steps"], found["dear"]["is_over_steps"]) == (True, False)
    # Beyond the budget of $0.50.
    assert (found["long"]["excess_cost_usd"], found["dear"]["excess_cost_usd"]) == (0, Decimal("0.10"))
    assert books.broken("mart_runaway_sessions") == []


def test_limits_come_from_the_four_weeks_before_and_from_the_feature_alone(weeks_of):
    """Neither long successes of five weeks ago, nor of the judged week, nor of another feature count."""
    calls = [
        *good(BASE, weeks=4),
        *good([90] * 60, weeks=5),
        *good([90] * 60, weeks=0),
        *good([90] * 60, weeks=2, feature="research"),
        *session("lost", 25, "failure"),
    ]

    [found] = weeks_of(calls).rows("mart_runaway_sessions", feature="chat")

    assert (found["session_id"], found["step_limit"], found["base_sessions"]) == ("lost", 20, 100)


def test_a_single_step_is_no_agent_run_however_dear(weeks_of):
    assert weeks_of(session("one", 1, "failure", cost="9")).rows("mart_runaway_sessions") == []


def test_a_runaway_without_a_price_is_found_and_its_cost_is_unknown(weeks_of):
    calls = good(BASE) + session("lost", 25, "failure", cost_usd=None, is_priced=False)

    books = weeks_of(calls)

    [found] = books.rows("mart_runaway_sessions")
    assert (found["effective_cost_usd"], found["excess_cost_usd"], found["unpriced_requests"]) == (None, None, 25)
    week = books.row("mart_agent_sessions_weekly", week_start_date=found["week_start_date"])
    assert (week["runaway_sessions"], week["runaway_cost_usd"]) == (1, None)
    assert books.broken("mart_agent_sessions_weekly") == []


def test_the_week_says_how_many_ran_away_and_what_they_cost(weeks_of):
    """2 of 10 sessions ran away with $.50 of $.98; one of them has no outcome. Excess: 50 cents less two medians of 6."""
    calls = [
        *good(BASE),
        *good([6] * 8, weeks=0),
        *session("lost", 25, "failure"),
        *session("silent", 25, None),
    ]

    books = weeks_of(calls)

    [week] = [row for row in books.rows("mart_agent_sessions_weekly") if row["runaway_sessions"]]
    assert (week["sessions"], week["runaway_sessions"], week["runaway_suspected_sessions"]) == (10, 1, 1)
    assert (week["runaway_cost_usd"], week["effective_cost_usd"]) == (Decimal("0.50"), Decimal("0.98"))
    assert week["excess_cost_usd"] == Decimal("0.38")
    assert week["sentence"] == (
        "2 sessions ran away (how 1 of them ended is not known): 20 % of sessions, 51 % of the agent's cost. "
        "Sessions that failed made 26 % of the cost."
    )


def test_a_limit_can_be_set_for_one_feature(weeks_of):
    limits = (
        "name,scope_kind,scope_value,threshold,valid_from_date,why\n"
        "runaway_top_step_share,feature,poller,0.95,,it asks one tool over and over for good reasons\n"
    )
    calls = [
        *good(BASE, feature="poller"),
        *session("waits", 25, "failure", alike=20, feature="poller"),
        *session("stuck", 25, "failure", alike=25, feature="poller"),
    ]

    assert [row["session_id"] for row in weeks_of(calls, thresholds=limits).rows("mart_runaway_sessions")] == ["stuck"]
