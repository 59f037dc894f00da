"""Which tier of models answers, and whether more of the same work reaches the dearest: worked examples, verdicts, cascades."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

MONDAY = date(2026, 10, 5)
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
CHEAP, MIDDLE, DEAR = "gpt-4o-mini", "gpt-4o", "gpt-5.2"


def weeks(
    now: Mapping[str, tuple[int, int]], before: Mapping[str, tuple[int, int]], users: int = 40
) -> list[dict[str, Any]]:
    """Of each prompt so many calls and so many of them of a frontier model, in the week and in the one before, over the users."""
    rows = []
    for week, prompts in ((0, now), (1, before)):
        for prompt, (calls, dear) in prompts.items():
            for number in range(calls):
                rows.append(
                    {"started_at": NOON - timedelta(weeks=week), "prompt_name": prompt, "user_id": f"u{number % users}",
                     "model_canonical": DEAR if number < dear else CHEAP,
                     "cost_usd": Decimal("0.10") if number < dear else Decimal("0.01")}
                )  # fmt: skip
    return rows


def tiers(books: Any) -> dict[str, Any]:
    return books.row("mart_model_tiers_weekly", week_start_date=MONDAY)


def test_more_of_the_same_work_reaches_frontier_models_though_the_blend_falls(weeks_of):
    """a: 60 of 600 calls, then 104 of 800; b: 200 of 400, then 130 of 200: within +6.6 points, mix -9.2, the blend -2.6."""
    row = tiers(weeks_of(weeks({"a": (800, 104), "b": (200, 130)}, {"a": (600, 60), "b": (400, 200)})))

    assert row["within_delta"] == pytest.approx(0.066, abs=1e-12)
    assert row["mix_delta"] == pytest.approx(-0.092, abs=1e-12)
    assert row["frontier_delta"] == pytest.approx(-0.026, abs=1e-12)
    assert (row["base_frontier_share"], row["frontier_requests_share"]) == (Decimal("0.26"), Decimal("0.234"))
    assert row["within_p_value"] < 0.01
    assert row["verdict"] == "routing_regression"
    # a: 104 in place of 80; b: 130 in place of 100: 54 calls at 9 cents more.
    assert (row["extra_frontier_calls"], row["cost_impact_usd"]) == (54, Decimal("4.86"))
    assert row["sentence"] == (
        "Within the same work, 6.6 points more calls reach frontier models than in the four weeks before: $4.86 in the week."
    )


def test_a_rise_that_hangs_on_one_user_is_no_regression(weeks_of):
    """39 users stay as they were; one of them alone sends 100 calls more to a frontier model."""
    rows = weeks({"a": (800, 80)}, {"a": (800, 80)})
    rows += [rows[0] | {"user_id": "u1", "model_canonical": DEAR}] * 100

    row = tiers(weeks_of(rows))

    assert row["within_delta"] > 0.05
    assert row["within_p_value"] > 0.01
    assert row["verdict"] == "stable"


def test_all_at_once_is_no_chance_either(weeks_of):
    """No call of a frontier model before, all of them now: every user alike, so there is no error, and no doubt."""
    row = tiers(weeks_of(weeks({"a": (400, 400)}, {"a": (400, 0)})))

    assert (row["verdict"], row["within_p_value"]) == ("routing_regression", 0)
    # No other model answers any more: the calls of the week before say what it cost.
    assert row["cost_impact_usd"] == 36


def test_more_of_the_work_that_frontier_models_do_is_a_mix_shift(weeks_of):
    """b, which is theirs, grows from 40 % to 60 % of the calls; nothing else changes."""
    rows = weeks({"a": (400, 0), "b": (600, 600)}, {"a": (600, 0), "b": (400, 400)})

    row = tiers(weeks_of([*rows, *(rows[0] | {"user_id": f"u{number}"} for number in range(9))]))

    assert (row["verdict"], round(row["within_delta"], 9)) == ("mix_shift", 0)
    assert row["sentence"].startswith("Work that frontier models do has grown: 19.5 points more calls")
    assert row["cost_impact_usd"] == 0


@pytest.mark.parametrize(
    ("rows", "more", "reason"),
    [
        (weeks({"a": (199, 150)}, {"a": (400, 40)}), {}, "few_requests"),
        (weeks({"a": (400, 300)}, {"a": (199, 20)}), {}, "few_base_requests"),
        (weeks({"a": (400, 300)}, {"a": (400, 40)}, users=9), {}, "few_users"),
        (weeks({"a": (400, 300)}, {"a": (400, 40)}), {"now": NOON + timedelta(days=2)}, "week_not_over"),
    ],
)
def test_too_little_is_said_and_not_judged(weeks_of, rows, more, reason):
    """The limits of thresholds.csv: 10 users, 200 calls in either period. The share rises by 65 points each time."""
    row = tiers(weeks_of(rows, **more))

    assert (row["verdict"], row["verdict_reason"]) == ("insufficient", reason)
    assert row["sentence"].startswith("Not enough to judge: ")
    assert row["frontier_requests"] > 0


def test_shares_are_of_calls_tokens_and_cost_and_a_model_without_a_tier_is_shown(weeks_of):
    rows = [
        {
            "started_at": NOON,
            "model_canonical": model,
            "input_total_tokens": size,
            "output_total_tokens": 0,
            "cost_usd": usd,
        }
        for model, size, usd in (
            (CHEAP, 1_000, "0.1"),
            (MIDDLE, 2_000, "0.3"),
            (DEAR, 4_000, "0.6"),
            ("own-7b", 3_000, "1"),
        )
    ]

    row = tiers(weeks_of(rows))

    shares = {
        tier: [row[f"{tier}_{of}_share"] for of in ("requests", "tokens", "cost")]
        for tier in ("budget", "mid", "frontier")
    }
    assert shares == {
        "budget": [Decimal("0.25"), Decimal("0.1"), Decimal("0.05")],
        "mid": [Decimal("0.25"), Decimal("0.2"), Decimal("0.15")],
        "frontier": [Decimal("0.25"), Decimal("0.4"), Decimal("0.3")],
    }
    assert (row["unknown_tier_requests"], row["unknown_tier_cost_usd"], row["unknown_tier_cost_share"]) == (
        1,
        1,
        Decimal("0.5"),
    )


def test_a_call_without_a_price_counts_as_a_call_and_makes_the_dollars_incomplete(weeks_of):
    rows = [
        {"started_at": NOON, "model_canonical": DEAR, "is_priced": False},
        {"started_at": NOON, "model_canonical": CHEAP},
    ]

    row = tiers(weeks_of(rows))

    assert (row["frontier_requests_share"], row["frontier_cost_usd"], row["is_incomplete"]) == (Decimal("0.5"), 0, True)
    nothing = tiers(weeks_of([rows[0]]))
    assert (nothing["effective_cost_usd"], nothing["frontier_cost_usd"], nothing["frontier_cost_share"]) == (
        None,
        None,
        None,
    )


def test_the_tier_is_that_of_the_week(weeks_of):
    """A model that leaves the frontier on a day: before it counts, afterwards it does not."""
    own = [
        {"provider": "openai", "model_id": "m", "model_tier": "frontier", "valid_to_date": MONDAY},
        {"provider": "openai", "model_id": "m", "model_tier": "mid", "valid_from_date": MONDAY},
    ]
    rows = [{"started_at": NOON - timedelta(weeks=week), "model_canonical": "m"} for week in (0, 1)]

    before, now = weeks_of(rows, ref_model_tiers=own).rows("mart_model_tiers_weekly")

    assert (before["frontier_requests"], now["frontier_requests"], now["mid_requests"]) == (1, 0, 1)


def test_a_cheap_call_that_a_dearer_model_repeats_is_an_escalation(weeks_of):
    """Of three tasks one escalates: a third of the calls, 4,000 of 6,000 tokens, and its step costs the cheap call as well."""
    rows = [
        {"task_id": task, "step": "answer", "model_canonical": model, "started_at": NOON + timedelta(minutes=minute),
         "input_total_tokens": size, "output_total_tokens": 0, "cost_usd": usd}
        for task, model, minute, size, usd in (
            ("t1", CHEAP, 0, 1_000, "0.01"), ("t2", CHEAP, 0, 1_000, "0.01"),
            ("t3", CHEAP, 0, 4_000, "0.04"), ("t3", DEAR, 1, 4_000, "1.00"),
        )
    ]  # fmt: skip

    row = tiers(weeks_of(rows))

    assert (row["escalable_requests"], row["escalated_requests"], row["escalated_steps"]) == (3, 1, 1)
    assert round(row["escalation_request_rate"], 3) == Decimal("0.333")
    assert round(row["escalation_token_rate"], 3) == Decimal("0.667")
    assert (row["escalated_cost_usd"], row["cost_per_escalated_step_usd"]) == (Decimal("0.04"), Decimal("1.04"))


@pytest.mark.parametrize(
    "dearer",
    [
        {"task_id": "t2"},
        {"step": "check"},
        {"model_canonical": CHEAP},
        {"started_at": NOON - timedelta(minutes=1)},
        {"started_at": NOON + timedelta(hours=25)},
    ],
    ids=["another task", "another step", "no dearer model", "before it", "days later"],
)
def test_what_is_no_escalation(weeks_of, dearer):
    first = {"task_id": "t1", "step": "answer", "model_canonical": CHEAP, "started_at": NOON}

    books = weeks_of([first, first | {"model_canonical": DEAR, "started_at": NOON + timedelta(minutes=1)} | dearer])

    assert tiers(books)["escalated_requests"] == 0


def test_two_cheap_attempts_before_the_dearer_one_are_one_step(weeks_of):
    """Budget, mid, frontier: two calls are followed by a dearer one, in one step that costs all three."""
    rows = [
        {
            "task_id": "t",
            "step": "s",
            "model_canonical": model,
            "started_at": NOON + timedelta(minutes=minute),
            "cost_usd": usd,
        }
        for minute, (model, usd) in enumerate(((CHEAP, "0.01"), (MIDDLE, "0.10"), (DEAR, "1.00")))
    ]

    row = tiers(weeks_of(rows))

    assert (row["escalated_requests"], row["escalated_steps"], row["escalated_steps_cost_usd"]) == (
        2,
        1,
        Decimal("1.11"),
    )


@pytest.mark.parametrize(("routed", "saving"), [(70, "0.658"), (90, "0.846")])
def test_routing_to_a_model_17_times_cheaper_saves_two_thirds(weeks_of, routed, saving):
    """$2.50 against $0.15: of 70 % saves .70 x .94 = 65.8 %, not 73 %; of 90 %, 84.6 %, not 86 %."""
    call = {"started_at": NOON, "input_total_tokens": 1_000, "output_total_tokens": 0}

    dear = tiers(weeks_of([call] * 100, by_the_book=True))
    mixed = tiers(
        weeks_of([call | {"model_canonical": CHEAP if n < routed else MIDDLE} for n in range(100)], by_the_book=True)
    )

    assert 1 - mixed["effective_cost_usd"] / dear["effective_cost_usd"] == Decimal(saving)


def test_the_identities_hold_for_any_calls(weeks_of):
    """Of several models, prompts and kinds of cost: what the headers check."""
    rows = [
        {"started_at": NOON - timedelta(days=n % 40), "user_id": f"u{n % 13}", "prompt_name": f"p{n % 5}", "feature": f"f{n % 2}",
         "model_canonical": (CHEAP, MIDDLE, DEAR, "x")[n * n % 4], "is_priced": n % 11 > 0, "task_id": f"t{n % 60}",
         "input_total_tokens": 100 + n}
        for n in range(600)
    ]  # fmt: skip

    books = weeks_of(rows)

    for table in ("stat_escalations_weekly", "stat_bennet_weekly", "stat_jackknife_weekly", "mart_model_tiers_weekly"):
        assert books.broken(table) == [], table
