"""Agent sessions: steps in their order, the growing context, the budget, outcomes, and what cannot be told."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
MONDAY = date(2026, 10, 5)
Row = dict[str, Any]


def run_of(steps: Sequence[Row], *, session: str = "s", at: datetime = NOON, **more: Any) -> list[Row]:
    """The calls of a session, a second apart."""
    return [
        {"started_at": at + timedelta(seconds=number), "session_id": session, "step": "act"} | more | step
        for number, step in enumerate(steps)
    ]


def growing(steps: int, first: int, more: int, **told: Any) -> list[Row]:
    return [{"input_total_tokens": first + more * number, "output_total_tokens": 200} | told for number in range(steps)]


def task(name: str, outcome: str | None, at: datetime = NOON) -> Row:
    return {
        "task_id": name,
        "started_at": at,
        "last_call_at": at,
        "first_request_key": name,
        "requests": 1,
        "feature": "chat",
        "customer_tier": "pro",
        "outcome": outcome,
    }


def test_ten_steps_read_their_context_five_and_a_half_times(weeks_of):
    """Input 1,000 x step, output 200 each: input 55,000 over 10,000 is 5.5, growth 1,000; 57,000 of 1,200 tokens: 47.5."""
    books = weeks_of(run_of(growing(10, 1_000, 1_000)))

    found = books.row("ledger_sessions")

    assert (found["steps"], found["input_total_tokens"], found["largest_input_tokens"]) == (10, 55_000, 10_000)
    assert found["reread_multiplier"] == Decimal("5.5")
    assert found["context_growth"] == 1_000
    assert (found["first_step_tokens"], found["total_tokens"]) == (1_200, 57_000)
    assert found["single_call_multiplier"] == Decimal("47.5")
    week = books.row("mart_agent_sessions_weekly")
    assert (week["reread_multiplier"], week["single_call_multiplier"]) == (Decimal("5.5"), Decimal("47.5"))
    assert (week["context_growth"], week["median_steps"]) == (1_000, 10)
    # 55,000 x 2.50 and 2,000 x 10 a million, over ten steps.
    assert week["effective_cost_usd"] == Decimal("0.1575")
    assert week["cost_per_agent_cycle_usd"] == Decimal("0.01575")
    assert books.broken("ledger_sessions") == books.broken("mart_agent_sessions_weekly") == []


def test_fifty_steps_that_grow_read_thirteen_times_what_fifty_alike_would(weeks_of):
    """50 steps from 2,000 growing by 1,000: 50 x 2,000 + 1,000 x 1,225 = 1,325,000 input tokens, 13.25 times 100,000."""
    found = weeks_of(run_of(growing(50, 2_000, 1_000))).row("ledger_sessions")

    assert found["input_total_tokens"] == 1_325_000
    assert found["input_total_tokens"] / (50 * 2_000) == 13.25
    assert found["context_growth"] == 1_000


def test_the_budget_is_passed_at_the_step_that_brings_the_sum_above_it(weeks_of):
    """$.10, .15, .20, .25 against $.50: .45 after three steps, .70 after four; over by $.20."""
    costs = [{"cost_usd": Decimal(cost)} for cost in ("0.10", "0.15", "0.20", "0.25")]

    books = weeks_of(run_of(costs))

    found = books.row("ledger_sessions")
    assert (found["session_budget_usd"], found["breach_step"]) == (Decimal("0.5"), 4)
    assert found["over_budget_usd"] == Decimal("0.20")
    week = books.row("mart_agent_sessions_weekly")
    assert (week["over_budget_sessions"], week["over_budget_share"], week["over_budget_usd"]) == (1, 1, Decimal("0.20"))


def test_a_session_that_costs_its_budget_is_within_it(weeks_of):
    found = weeks_of(run_of([{"cost_usd": Decimal("0.25")}] * 2)).row("ledger_sessions")

    assert (found["breach_step"], found["over_budget_usd"]) == (None, 0)


def test_a_feature_has_a_budget_of_its_own_from_its_day_on(weeks_of):
    """$2 for research from 5 October on: its session of $1 is within, that of the Sunday before and one of chat are not."""
    limits = (
        "name,scope_kind,scope_value,threshold,valid_from_date,why\n"
        "session_budget_usd,feature,research,2,2026-10-05,long work\n"
    )
    steps = [{"cost_usd": Decimal("0.5")}] * 2
    books = weeks_of(
        [
            *run_of(steps, session="a", feature="research"),
            *run_of(steps, session="b", feature="research", at=NOON - timedelta(days=1)),
            *run_of(steps, session="c"),
        ],
        thresholds=limits,
    )

    over = {row["session_id"]: row["over_budget_usd"] for row in books.rows("ledger_sessions")}
    assert over == {"a": 0, "b": Decimal("0.5"), "c": Decimal("0.5")}


def test_steps_are_counted_in_the_order_of_their_instants(weeks_of):
    """The dear step comes last in time, though it stands first in the log."""
    steps = run_of([{"cost_usd": Decimal("0.1")}] * 3 + [{"cost_usd": Decimal("0.6")}])

    found = weeks_of(steps[::-1]).row("ledger_sessions")

    assert found["breach_step"] == 4
    assert (found["started_at"], found["last_call_at"]) == (NOON, NOON + timedelta(seconds=3))


def test_a_trace_of_several_calls_stands_for_a_session_and_one_call_does_not(weeks_of):
    """A session that is named may have a single call; calls without any id are in none."""
    calls = [
        {"started_at": NOON, "trace_id": "t1"},
        {"started_at": NOON + timedelta(seconds=1), "trace_id": "t1"},
        {"started_at": NOON, "trace_id": "t2"},
        {"started_at": NOON, "trace_id": "t3", "session_id": "s"},
        {"started_at": NOON},
    ]

    books = weeks_of(calls)

    found = [(row["session_unit"], row["session_id"], row["steps"]) for row in books.rows("ledger_sessions")]
    assert sorted(found) == [("session", "s", 1), ("trace", "t1", 2)]
    # Of one call there is nothing to say about an agent.
    assert books.row("mart_agent_sessions_weekly")["sessions"] == 1


def test_a_session_goes_on_for_seven_days_and_begins_anew_after_a_pause(weeks_of):
    """Calls on days 0, 7 and 20: the first two hang together, the third is more than seven days from them."""
    calls = [{"started_at": NOON + timedelta(days=day), "session_id": "s"} for day in (0, 7, 20)]

    found = weeks_of(calls).rows("ledger_sessions")

    assert [(row["started_at"], row["steps"]) for row in found] == [(NOON, 2), (NOON + timedelta(days=20), 1)]


def test_equal_names_in_two_accounts_or_kinds_are_not_one_session(weeks_of):
    calls = [
        {"started_at": NOON, "session_id": "x", "source_account": "a"},
        {"started_at": NOON, "session_id": "x", "source_account": "b"},
        {"started_at": NOON, "trace_id": "x", "source_account": "a"},
        {"started_at": NOON + timedelta(seconds=1), "trace_id": "x", "source_account": "a"},
    ]

    found = [
        (row["source_account"], row["session_unit"], row["steps"]) for row in weeks_of(calls).rows("ledger_sessions")
    ]

    assert sorted(found) == [("a", "session", 1), ("a", "trace", 2), ("b", "session", 1)]


def test_an_outcome_is_that_of_its_tasks_else_of_its_last_call_else_unknown(weeks_of):
    """One of two tasks succeeded: success. All failed: failure. No task: what the last call says. Nobody said: unknown."""
    two = [{}, {}]
    calls = [
        *run_of([{"task_id": "t1"}, {"task_id": "t2"}], session="mixed"),
        *run_of([{"task_id": "t2"}, {"task_id": "t2"}], session="failed"),
        *run_of([{"outcome": "failure"}, {"outcome": "success"}], session="told"),
        *run_of([{"task_id": "t3"}, {"task_id": "t3"}], session="unknown"),
        *run_of(two, session="silent"),
    ]
    tasks = [task("t1", "success"), task("t2", "failure"), task("t3", None)]

    books = weeks_of(calls, ledger_tasks=tasks)

    found = {row["session_id"]: row for row in books.rows("ledger_sessions")}
    assert {name: row["outcome"] for name, row in found.items()} == {
        "mixed": "success",
        "failed": "failure",
        "told": "success",
        "unknown": None,
        "silent": None,
    }
    assert (found["mixed"]["succeeded_tasks"], found["mixed"]["failed_tasks"]) == (1, 1)
    week = books.row("mart_agent_sessions_weekly")
    assert (week["succeeded_sessions"], week["failed_sessions"], week["unknown_sessions"]) == (2, 1, 2)
    assert week["outcome_coverage"] == Decimal("0.6")
    # Two calls of $.0035 each of ten.
    assert week["failed_cost_share"] == Decimal("0.2")


def test_a_task_of_the_same_name_weeks_ago_is_another_one(weeks_of):
    old = task("t", "failure", NOON - timedelta(days=20))

    found = weeks_of(run_of([{"task_id": "t"}] * 2, session="s"), ledger_tasks=[old, task("t", "success")]).row(
        "ledger_sessions"
    )

    assert (found["outcome"], found["failed_tasks"]) == ("success", 0)


def test_the_most_repeated_step_is_counted_over_all_steps(weeks_of):
    """Three of five steps search, one has no name of its own but that of its prompt, one has none."""
    steps = [{"step": "search"}] * 3 + [{"step": None, "prompt_name": "plan"}, {"step": None}]

    found = weeks_of(run_of(steps)).row("ledger_sessions")

    assert (found["top_step"], found["top_step_share"]) == ("search", Decimal("0.6"))


def test_sessions_whose_steps_have_no_name_are_counted_as_such(weeks_of):
    books = weeks_of(run_of([{"step": None}] * 80))

    assert (books.row("ledger_sessions")["top_step"], books.row("ledger_sessions")["top_step_share"]) == (None, None)
    week = books.row("mart_agent_sessions_weekly")
    assert (week["unnamed_sessions"], week["runaway_sessions"], week["runaway_suspected_sessions"]) == (1, 0, 0)
    assert week["sentence"].startswith("No call names its step, so it cannot be told whether sessions ran away.")
    assert books.rows("mart_runaway_sessions") == []


def test_steps_without_a_price_are_counted_and_cost_nothing_known(weeks_of):
    """A session of unpriced calls has no cost and no breach; beside a priced one the week is incomplete."""
    calls = [*run_of([{"is_priced": False}] * 2, session="a"), *run_of([{"cost_usd": Decimal("0.4")}] * 2, session="b")]

    books = weeks_of(calls)

    unpriced = books.row("ledger_sessions", session_id="a")
    assert (unpriced["effective_cost_usd"], unpriced["over_budget_usd"], unpriced["breach_step"]) == (None, None, None)
    assert (unpriced["unpriced_requests"], unpriced["unpriced_tokens"]) == (2, 2_200)
    week = books.row("mart_agent_sessions_weekly")
    assert (week["effective_cost_usd"], week["unpriced_requests"], week["is_incomplete"]) == (Decimal("0.8"), 2, True)
    assert books.broken("ledger_sessions") == books.broken("mart_agent_sessions_weekly") == []


def test_a_week_without_any_price_has_no_cost_and_no_share(weeks_of):
    books = weeks_of(run_of([{"is_priced": False}] * 3))

    week = books.row("mart_agent_sessions_weekly")

    assert (week["effective_cost_usd"], week["cost_per_agent_cycle_usd"], week["failed_cost_share"]) == (
        None,
        None,
        None,
    )
    assert (week["over_budget_usd"], week["over_budget_sessions"], week["superlinearity"]) == (None, 0, None)
    assert books.broken("mart_agent_sessions_weekly") == []


def test_calls_without_usage_have_no_part_in_the_growth(run):
    """Steps 1, 2 and 4 tell 1,000, 2,000 and 4,000 tokens, the third failed before it was counted: 1,000 a step."""
    steps = [
        {
            "request_key": str(number),
            "session_id": "s",
            "started_at": NOON + timedelta(seconds=number),
            "input_total_tokens": size,
            "total_tokens": size,
            "status": "ok" if size else "error",
        }
        for number, size in enumerate((1_000, 2_000, None, 4_000))
    ]

    limits = [
        {
            "limit_name": name,
            "scope_kind": "",
            "threshold_number": number,
            "valid_from_date": date.min,
            "valid_to_date": date.max,
        }
        for name, number in (("session_budget_usd", Decimal("0.5")), ("task_close_hours", 24))
    ]

    costs = [{"request_key": step["request_key"], "started_at": step["started_at"]} for step in steps]

    [found] = run(
        "ledger_sessions", ledger_requests=steps, ledger_costs=costs, ledger_clock=[{"now_at": NOON}], ref_limits=limits
    )

    assert (found["context_growth"], found["input_total_tokens"]) == (1_000, 7_000)
    assert (found["steps"], found["failed_steps"], found["unpriced_requests"]) == (4, 1, 4)


@pytest.mark.parametrize(("hours", "is_closed"), [(23, False), (24, True)])
def test_a_session_is_closed_a_day_after_its_last_call(weeks_of, hours, is_closed):
    books = weeks_of(run_of([{}, {}]), now=NOON + timedelta(seconds=1, hours=hours))

    assert books.row("ledger_sessions")["is_closed"] is is_closed
    week = books.row("mart_agent_sessions_weekly")
    assert (week["open_sessions"], week["is_closed"]) == (0 if is_closed else 1, False)


def test_cost_that_grows_with_the_square_of_the_steps_is_told_from_cost_in_proportion(weeks_of):
    """30 sessions of 3 to 32 steps that cost their steps squared: slope 2; 29 of them are too few for a slope."""
    calls = []
    for steps in range(3, 33):
        costs = [{"cost_usd": Decimal(steps)}] * steps
        calls += run_of(costs, session=f"s{steps}", feature="square")
        calls += run_of([{"cost_usd": Decimal(1)}] * steps, session=f"p{steps}", feature="even")
        if steps > 3:
            calls += run_of(costs, session=f"f{steps}", feature="few")

    books = weeks_of(calls)

    found = {row["feature"]: row for row in books.rows("mart_agent_sessions_weekly")}
    assert found["square"]["superlinearity"] == pytest.approx(2, abs=1e-9)
    assert found["even"]["superlinearity"] == pytest.approx(1, abs=1e-9)
    assert found["square"]["superlinearity_low"] == pytest.approx(2, abs=1e-4)
    assert (found["few"]["superlinearity"], found["few"]["superlinearity_sessions"]) == (None, 29)
    assert found["few"]["superlinearity_status"] == "insufficient"


def test_sessions_of_equal_steps_have_no_slope(weeks_of):
    calls = [call for number in range(40) for call in run_of([{}] * 3, session=f"s{number}")]

    week = weeks_of(calls).row("mart_agent_sessions_weekly")

    assert (week["superlinearity_sessions"], week["superlinearity"]) == (40, None)
    assert week["superlinearity_status"] == "insufficient"


def test_a_session_belongs_to_the_week_in_which_it_began_where_reports_are_read(weeks_of):
    """Sunday 23:30 UTC is Monday in Berlin."""
    late = datetime(2026, 10, 4, 23, 30, tzinfo=UTC)

    found = weeks_of(run_of([{}, {}], at=late), zone="Europe/Berlin").row("mart_agent_sessions_weekly")

    assert found["week_start_date"] == MONDAY


def test_every_call_with_an_id_is_a_step_of_one_session(weeks_of):
    """400 calls of five days: those that name a session, and those of traces of several calls, with all their tokens and dollars."""
    chance = random.Random(17)
    calls = [
        {
            "started_at": NOON + timedelta(seconds=chance.randrange(5 * 86_400)),
            "source_account": chance.choice("ab"),
            "session_id": chance.choice([None, None, *(f"s{number}" for number in range(30))]),
            "trace_id": chance.choice([None, *(f"t{number}" for number in range(20))]),
            "cost_usd": chance.choice([None, Decimal("0.01"), Decimal("0.3")]),
            "step": chance.choice([None, "a", "b"]),
        }
        for _ in range(400)
    ]
    traces = Counter((call["source_account"], call["trace_id"]) for call in calls if not call["session_id"])
    held = [
        call
        for call in calls
        if call["session_id"] or (call["trace_id"] and traces[call["source_account"], call["trace_id"]] > 1)
    ]

    books = weeks_of([call | {"is_priced": call["cost_usd"] is not None} for call in calls])

    rows = books.rows("ledger_sessions")
    assert sum(row["steps"] for row in rows) == len(held)
    assert sum(row["total_tokens"] for row in rows) == 1_100 * len(held)
    assert sum(row["effective_cost_usd"] or 0 for row in rows) == sum(call["cost_usd"] or 0 for call in held)
    assert books.broken("ledger_sessions") == books.broken("mart_agent_sessions_weekly") == []
