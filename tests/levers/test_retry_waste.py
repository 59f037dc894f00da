"""Retry waste: each call in one class, the classes make the cost, and repeating on purpose is no waste."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
Row = dict[str, Any]


def call(second: int, task: str | None, step: str | None, cost: str | None, **more: Any) -> Row:
    priced = {"cost_usd": Decimal(cost)} if cost else {"is_priced": False}
    return {"started_at": NOON + timedelta(seconds=second), "task_id": task, "step": step} | priced | more


EXAMPLE = [
    call(0, "t1", "s1", "0.02", status="error"),
    call(1, "t1", "s1", "0.05"),
    call(2, "t1", "s2", "0.03", outcome="success"),
    call(3, "t2", "s1", "0.05"),
    call(4, "t2", "s1", "0.05", outcome="success"),
    call(5, "t3", "s1", "0.05", outcome="failure"),
    call(6, "t3", "s2", "0.01", status="error"),
]


def week(books: Any, **equal: Any) -> Row:
    assert books.broken("mart_retry_waste_weekly") == []
    return books.row("mart_retry_waste_weekly", **equal)


def test_half_of_the_example_is_waste(weeks_of):
    """t1 (success): s1 error .02, s1 ok .05, s2 ok .03. t2 (success): s1 ok .05, s1 ok .05. t3 (failed): s1 ok .05, s2 error
    .01. Failed .03, superseded .05, abandoned .05, productive .13, sum .26; waste 50 %; error rate 2/7.
    """
    found = week(weeks_of(EXAMPLE))

    assert (found["failed_call_cost_usd"], found["superseded_cost_usd"]) == (Decimal("0.03"), Decimal("0.05"))
    assert (found["abandoned_task_cost_usd"], found["productive_cost_usd"]) == (Decimal("0.05"), Decimal("0.13"))
    assert (found["effective_cost_usd"], found["waste_cost_usd"]) == (Decimal("0.26"), Decimal("0.13"))
    assert found["waste_share"] == Decimal("0.5")
    assert (found["failed_requests"], found["requests"]) == (2, 7)
    assert found["llm_error_rate"] == Decimal("0.285714286")
    assert (found["task_coverage"], found["tasks"], found["outcome_coverage"]) == (1, 3, 1)
    assert found["top_superseded_step"] == "s1"
    assert found["sentence"] == (
        "Calls that failed, tasks that failed and answers that were replaced made 50 % of the cost."
    )


@pytest.mark.parametrize("step", ["s1", None])
def test_a_step_that_is_repeated_on_purpose_replaces_nothing(weeks_of, step):
    """The step, or every step of the feature; the failed call and the failed task stay what they are."""
    rows = [{"feature": "chat", "step": step, "why": "an agent's tool"}]

    found = week(weeks_of(EXAMPLE, ref_repeatable_steps=rows))

    assert (found["superseded_cost_usd"], found["productive_cost_usd"]) == (0, Decimal("0.18"))
    assert (found["failed_call_cost_usd"], found["abandoned_task_cost_usd"]) == (Decimal("0.03"), Decimal("0.05"))


def test_another_feature_or_step_that_repeats_says_nothing_of_this_one(weeks_of):
    rows = [{"feature": "search", "step": "s1"}, {"feature": "chat", "step": "s2"}]

    assert week(weeks_of(EXAMPLE, ref_repeatable_steps=rows))["superseded_cost_usd"] == Decimal("0.05")


def test_of_a_repeatable_step_a_call_is_replaced_where_the_next_one_says_it_is_a_retry(weeks_of):
    """Three good calls on purpose; the second is asked again: only the second is replaced."""
    calls = [
        call(0, "t", "act", "0.01"),
        call(1, "t", "act", "0.02"),
        call(2, "t", "act", "0.04", is_retry=True),
    ]

    found = week(weeks_of(calls, ref_repeatable_steps=[{"feature": "chat", "step": "act"}]))

    assert (found["superseded_cost_usd"], found["superseded_retry_cost_usd"]) == (Decimal("0.02"), Decimal("0.02"))
    assert (found["retried_requests"], found["top_superseded_step"]) == (1, None)


def test_calls_that_name_no_step_replace_each_other_only_as_retries(weeks_of):
    calls = [call(0, "t", None, "0.01"), call(1, "t", None, "0.02"), call(2, "t", None, "0.04", is_retry=True)]

    found = week(weeks_of(calls))

    assert (found["superseded_requests"], found["superseded_cost_usd"]) == (1, Decimal("0.02"))


def test_a_retry_after_a_failure_replaces_no_good_answer(weeks_of):
    """The failed call is waste by itself, the retry is the answer."""
    found = week(weeks_of([call(0, "t", "s", "0.02", status="error"), call(1, "t", "s", "0.05", is_retry=True)]))

    assert (found["failed_call_cost_usd"], found["superseded_cost_usd"]) == (Decimal("0.02"), 0)
    assert found["productive_cost_usd"] == Decimal("0.05")


def test_a_good_answer_before_a_failed_one_is_not_replaced(weeks_of):
    found = week(weeks_of([call(0, "t", "s", "0.05"), call(1, "t", "s", "0.02", status="error")]))

    assert (found["superseded_cost_usd"], found["productive_cost_usd"]) == (0, Decimal("0.05"))


def test_without_a_task_only_failed_calls_are_known(weeks_of):
    """$.05 of $.25 has a task; of the other calls one failed, and equal steps say nothing."""
    calls = [
        call(0, "t", "s", "0.05"),
        call(1, None, "s", "0.05"),
        call(2, None, "s", "0.05"),
        call(3, None, "s", "0.10", status="error"),
    ]

    found = week(weeks_of(calls))

    assert (found["superseded_cost_usd"], found["failed_call_cost_usd"]) == (0, Decimal("0.10"))
    assert (found["task_cost_usd"], found["task_coverage"]) == (Decimal("0.05"), Decimal("0.2"))
    assert found["sentence"].endswith("Of 80 % of the cost, whose calls name no task, only failed calls can be told.")


def test_a_failed_call_without_usage_is_counted_and_costs_nothing_known(weeks_of):
    """Null where no failed call has a cost, the known part where one has; never 0 for what is not known."""
    silent = week(weeks_of([call(0, "t", "s", None, status="error"), call(1, "t", "s", "0.05")]))
    both = week(weeks_of([call(0, "t", "s", None, status="error"), call(1, "t", "s", "0.05", status="error")]))

    assert (silent["failed_call_cost_usd"], silent["failed_unpriced_requests"]) == (None, 1)
    assert (silent["waste_cost_usd"], silent["failed_requests"]) == (0, 1)
    assert (both["failed_call_cost_usd"], both["failed_unpriced_requests"]) == (Decimal("0.05"), 1)


def test_where_nothing_is_priced_there_is_no_share(weeks_of):
    found = week(weeks_of([call(0, "t", "s", None), call(1, "t", "s", None)]))

    assert (found["waste_cost_usd"], found["waste_share"], found["task_coverage"]) == (None, None, None)
    assert (found["superseded_requests"], found["superseded_cost_usd"]) == (1, None)
    assert (found["is_incomplete"], found["sentence"]) == (True, "What the calls cost is not known.")


def test_a_task_whose_outcome_nobody_knows_is_not_called_waste(weeks_of):
    found = week(weeks_of([call(0, "t", "s", "0.05"), call(1, "u", "s", "0.05", outcome="failure")]))

    assert (found["abandoned_task_cost_usd"], found["outcome_coverage"]) == (Decimal("0.05"), Decimal("0.5"))


def test_calls_of_a_failed_task_are_waste_in_the_week_in_which_they_were_made(weeks_of):
    """It begins on Sunday and fails on Monday: each week has its call."""
    calls = [
        call(0, "t", "s1", "0.03") | {"started_at": NOON - timedelta(days=1)},
        call(0, "t", "s2", "0.05", outcome="failure"),
    ]

    books = weeks_of(calls)

    found = {row["week_start_date"]: row for row in books.rows("mart_retry_waste_weekly")}
    assert found[date(2026, 9, 28)]["abandoned_task_cost_usd"] == Decimal("0.03")
    assert found[date(2026, 10, 5)]["abandoned_task_cost_usd"] == Decimal("0.05")
    assert (found[date(2026, 9, 28)]["tasks"], found[date(2026, 10, 5)]["tasks"]) == (1, 0)
    assert found[date(2026, 10, 5)]["outcome_coverage"] is None


def test_the_classes_make_the_cost_whatever_the_calls(weeks_of):
    """2,000 calls of any status, step, task, outcome and price: the checks of the header hold in every week and feature."""
    chance = random.Random(15)
    calls = [
        call(
            chance.randrange(30 * 86_400),
            chance.choice([None, *(f"t{number}" for number in range(60))]),
            chance.choice([None, "a", "b"]),
            chance.choice([None, "0.01", "0.000000000000001", "3"]),
            status=chance.choice(["ok", "ok", "ok", "error", "cancelled"]),
            feature=chance.choice(["chat", "search"]),
            is_retry=chance.choice([None, False, True]),
            outcome=chance.choice([None, None, "success", "failure"]),
        )
        for _ in range(2_000)
    ]

    books = weeks_of(calls, ref_repeatable_steps=[{"feature": "search", "step": "a"}])

    assert books.broken("mart_retry_waste_weekly") == []
    rows = books.rows("mart_retry_waste_weekly")
    assert sum(row["requests"] for row in rows) == 2_000
    assert all(sum(row[f"{name}_requests"] for row in rows) for name in ("failed", "abandoned_task", "superseded"))
