"""What was acted on, held against the same request types before: worked by hand, with its interval, and what cannot be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

SINCE = date(2026, 11, 2)
NOW = datetime(2026, 11, 9, 12, tzinfo=UTC)
BEFORE, AFTER = datetime(2026, 10, 26, 9, tzinfo=UTC), datetime(2026, 11, 2, 9, tzinfo=UTC)
Call = Mapping[str, Any]


def call(user: int, at: datetime, usd: str, **more: Any) -> Call:
    return {"started_at": at, "user_id": f"u{user}", "prompt_name": "answer", "cost_usd": Decimal(usd)} | more


@pytest.fixture
def changed(weeks_of: Any) -> Any:
    """``changed(calls, "routing")``: the one row of the change since the lever was pulled; None where there is none."""

    def build(calls: Sequence[Call], lever: str, since: date = SINCE) -> Any:
        acted = [{"feature": "chat", "lever": lever, "since_date": since}]
        weeks = weeks_of(calls, now=NOW, ref_levers_acted=acted)
        rows = weeks.rows("stat_lever_change_weekly", week_start_date=SINCE)
        assert weeks.broken("stat_lever_change_weekly") == []
        return next(iter(rows), None)

    return build


def test_traffic_that_grows_and_a_mix_that_changes_are_no_saving(changed):
    """Before 40 calls of $1, since 80 of $.40: 80 x (1 - .4) = 48. A new type at $32 in all is half of the cost since, and in neither."""
    calls = [call(user, BEFORE, "1") for user in range(40)]
    calls += [call(user, AFTER + timedelta(hours=n), "0.4") for user in range(40) for n in range(2)]
    calls += [call(user, AFTER, "0.8", prompt_name="new") for user in range(40)]

    row = changed(calls, "routing")

    assert (row["realised_usd"], row["before_requests"], row["since_requests"]) == (48, 40, 80)
    assert row["like_for_like_share"] == Decimal("0.5")
    # All users save the same share: chance separates nothing.
    assert (row["clusters"], row["realised_low_usd"], row["realised_high_usd"]) == (40, 48, 48)


def test_types_are_held_against_themselves(changed):
    """Dear work of $10 halves, cheap work of $1 stays; nine in ten calls are now dear. 36 x (10 - 5) + 4 x 0 = 180."""
    calls = [
        call(user, BEFORE, usd, prompt_name=name)
        for user in range(20)
        for name, usd in (("dear", "10"), ("cheap", "1"))
    ]
    calls += [call(user, AFTER, "5", prompt_name="dear") for user in range(36)]
    calls += [call(user, AFTER, "1", prompt_name="cheap") for user in range(4)]

    assert changed(calls, "routing")["realised_usd"] == 180


def test_the_interval_is_of_users(changed):
    """Before all pay 1, since half .4 and half .8: .4 a call, 12 in all. The error of a mean of 30 is .2 / sqrt(29) = .037139,
    t at 29 degrees 2.045230: 30 x .037139 x 2.045230 = 2.2787 to either side."""
    calls = [call(user, BEFORE, "1") for user in range(30)]
    calls += [call(user, AFTER, "0.4" if user < 15 else "0.8") for user in range(30)]

    row = changed(calls, "routing")

    assert row["realised_usd"] == 12
    assert float(row["realised_low_usd"]) == pytest.approx(12 - 2.2787, abs=1e-4)
    assert float(row["realised_high_usd"]) == pytest.approx(12 + 2.2787, abs=1e-4)
    assert changed([one for one in calls if one["user_id"] != "u0"], "routing")["realised_low_usd"] is None


def work(at: datetime, outputs: int, inputs: int, failed: int) -> list[Call]:
    """Ten good calls, and failed ones that tell 3,000 tokens in. $2.50 in and $10 out a million."""
    each = {"started_at": at, "prompt_name": "answer"}
    good = {"input_total_tokens": inputs, "output_total_tokens": outputs}
    bad = {"status": "error", "input_total_tokens": 3000, "output_total_tokens": 0}
    return [each | good | {"user_id": f"u{n}"} for n in range(10)] + [
        each | bad | {"user_id": f"u{n}"} for n in range(failed)
    ]


@pytest.mark.parametrize(
    ("lever", "usd"), [("output_cap", "0.02"), ("context_trim", "0.01"), ("routing", "0.03"), ("fine_tune", "0.03")]
)
def test_each_lever_is_held_against_its_part_of_the_cost(changed, lever, usd):
    """Ten calls: from 1,000 tokens out to 800 (10 x .002 = .02), from 1,000 in to 600 (10 x .001 = .01)."""
    row = changed([*work(BEFORE, 1000, 1000, 0), *work(AFTER, 800, 600, 0)], lever)

    assert row["realised_usd"] == Decimal(usd)


def test_of_retries_it_is_the_cost_of_failed_calls(changed):
    """Four of 14 calls failed before, $.0075 each; since one of 11: 11 x .03 / 14 - .0075. That answers grew is not in it."""
    row = changed([*work(BEFORE, 1000, 1000, 4), *work(AFTER, 9000, 1000, 1)], "retry_waste")

    assert float(row["realised_usd"]) == pytest.approx(11 * 0.03 / 14 - 0.0075, abs=1e-12)


def test_what_has_no_week_before_has_no_row(changed):
    """The only calls before are of the week in which the lever was pulled, or of more than four weeks ago."""
    since = [call(user, AFTER, "0.4") for user in range(40)]

    assert changed(since, "routing") is None
    assert changed([*since, *(call(user, AFTER - timedelta(weeks=5), "1") for user in range(40))], "routing") is None
    assert (
        changed([*since, *(call(user, AFTER - timedelta(weeks=4), "1") for user in range(40))], "routing") is not None
    )
