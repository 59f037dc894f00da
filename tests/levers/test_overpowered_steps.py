"""Over-powered steps: calls of dear models that are as short as what the feature's budget model handles, and no sure saving."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

NOON = datetime(2026, 10, 7, 12, tzinfo=UTC)
MONDAY = date(2026, 10, 5)
# USD a million tokens: input, cached input, output.
USD = {"dear": (10, 1, 40), "cheap": (1, None, 4), "other": (2, 1, 8)}
TIERS = [
    {"provider": "openai", "model_id": "dear", "model_tier": "frontier"},
    {"provider": "openai", "model_id": "cheap", "model_tier": "budget"},
    {"provider": "openai", "model_id": "other", "model_tier": "budget"},
]
Row = dict[str, Any]
Run = Callable[..., list[Row]]


def calls(
    number: int, model: str, tokens_in: int = 1_000, tokens_out: int = 100, cached: int = 0, **more: Any
) -> list[Row]:
    return [
        {
            "started_at": NOON,
            "feature": "chat",
            "model_canonical": model,
            "input_uncached_tokens": tokens_in - cached,
            "cache_read_tokens": cached,
            "output_text_tokens": tokens_out,
        }
        | more
        for _ in range(number)
    ]


def judged(run: Run, rows: list[Row], *, priced: bool = True, days_later: int = 30, least: int = 10) -> Row:
    costs = []
    for number, row in enumerate(rows):
        row["request_key"] = str(number)
        million = [Decimal(price or 0) / 10**6 for price in USD[row["model_canonical"]]]
        counts = [row[f"{name}_tokens"] for name in ("input_uncached", "cache_read", "output_text")]
        usd = [count * price for count, price in zip(counts, million, strict=True)]
        split = dict(zip(("input_uncached_cost_usd", "cache_read_cost_usd", "output_text_cost_usd"), usd, strict=True))
        split["effective_cost_usd"] = sum(usd)
        costs.append(
            {"request_key": str(number), "started_at": row["started_at"], "cost_status": "priced"}
            | (split if priced or row["model_canonical"] != "dear" else {})
        )
    limit = {"limit_name": "overpowered_min_calls", "scope_kind": "", "threshold_number": least}
    [found] = run(
        "mart_overpowered_steps_weekly",
        ledger_requests=rows,
        ledger_costs=costs,
        ref_model_tiers=TIERS,
        ref_reporting=[{"reporting_time_zone": "UTC"}],
        ref_limits=[limit | {"valid_from_date": date.min, "valid_to_date": date.max}],
        ledger_clock=[{"now_at": NOON + timedelta(days=days_later)}],
        stat_usage_cells_weekly=[{"week_start_date": MONDAY}],
    )
    return found


def test_calls_as_short_as_the_budget_models_would_cost_its_price(run: Run) -> None:
    """15 calls of 1,000 in and 100 out at $10 and $40 are $0.21; at $1 and $4 $0.021. Five longer ones are left alone."""
    rows = calls(15, "dear") + calls(5, "dear", tokens_in=9_000) + calls(12, "cheap", tokens_in=1_500, tokens_out=150)

    found = judged(run, rows)

    assert (found["verdict"], found["model_tier"], found["budget_model"]) == ("candidate", "frontier", "cheap")
    assert (found["requests"], found["alike_requests"], found["budget_requests"]) == (20, 15, 12)
    assert (found["budget_input_p95_tokens"], found["budget_output_p95_tokens"]) == (1_500, 150)
    assert found["alike_cost_usd"] == Decimal("0.21")
    assert round(found["alike_budget_cost_usd"], 9) == Decimal("0.021")
    assert round(found["saving_at_most_usd"], 9) == Decimal("0.189")
    # Five calls of 9,000 in cost $0.47 more.
    assert found["saving_ratio"] == pytest.approx(0.189 / 0.680)
    assert found["must_be_true"].startswith("Answers of cheap are good enough for these calls")
    assert found["sentence"] == (
        "15 of 20 calls of frontier models are as short as those of cheap: there they would cost $0.02 in place of $0.21, "
        "if its answers are good enough."
    )


@pytest.mark.parametrize(
    ("dear", "cheap", "reason"), [(20, 9, "few_budget_calls"), (9, 20, "few_calls"), (20, 0, "few_budget_calls")]
)
def test_few_calls_on_either_side_say_nothing(run: Run, dear: int, cheap: int, reason: str) -> None:
    found = judged(run, calls(dear, "dear") + calls(cheap, "cheap"))

    assert (found["verdict"], found["verdict_reason"]) == ("insufficient", reason)
    assert (found["saving_at_most_usd"], found["must_be_true"]) == (None, None)


def test_budget_calls_of_another_feature_are_no_measure(run: Run) -> None:
    found = judged(run, calls(20, "dear") + calls(20, "cheap", feature="search"))

    assert (found["verdict_reason"], found["alike_requests"]) == ("few_budget_calls", None)


def test_a_long_answer_is_not_alike_however_short_its_question(run: Run) -> None:
    found = judged(run, calls(20, "dear", tokens_out=5_000) + calls(20, "cheap"))

    assert (found["alike_requests"], found["verdict_reason"]) == (0, "few_calls")


def test_five_in_a_hundred_long_budget_calls_do_not_widen_the_measure(run: Run) -> None:
    """19 of 20 budget calls have 1,000 tokens of input, one 90,000."""
    rows = calls(20, "dear", tokens_in=5_000) + calls(19, "cheap") + calls(1, "cheap", tokens_in=90_000)

    assert judged(run, rows)["budget_input_p95_tokens"] == 1_000


def test_the_budget_model_that_is_used_most_gives_the_price(run: Run) -> None:
    assert judged(run, calls(10, "dear") + calls(6, "other") + calls(7, "cheap"))["budget_model"] == "cheap"


def test_cached_input_takes_the_budget_models_own_price_of_it_else_that_of_input(run: Run) -> None:
    """Ten calls of 1,000 in, 800 of them cached, 100 out. other: 200 x 2 + 800 x 1 + 100 x 8; cheap has none of them: 1,000 x 1 + 400."""
    of_other = judged(run, calls(10, "dear", cached=800) + calls(10, "other", cached=500))
    of_cheap = judged(run, calls(10, "dear", cached=800) + calls(10, "cheap"))

    assert round(of_other["alike_budget_cost_usd"], 9) == Decimal("0.020")
    assert round(of_cheap["alike_budget_cost_usd"], 9) == Decimal("0.014")


def test_a_dear_model_that_reads_its_cache_may_cost_less(run: Run) -> None:
    """1,000 cached at $1 a million and no answer; cheap asks the same for input: nothing is saved."""
    found = judged(run, calls(10, "dear", cached=1_000, tokens_out=0) + calls(10, "cheap"))

    assert (found["verdict"], found["saving_at_most_usd"], found["must_be_true"]) == ("no_saving", 0, None)


def test_a_week_in_progress_is_not_judged(run: Run) -> None:
    found = judged(run, calls(20, "dear") + calls(20, "cheap"), days_later=1)

    assert (found["is_closed"], found["verdict_reason"]) == (False, "week_not_over")


def test_failed_and_unpriced_calls_are_left_out(run: Run) -> None:
    rows = calls(20, "dear") + calls(3, "dear", status="error") + calls(20, "cheap")

    found = judged(run, rows, priced=False)

    assert (found["requests"], found["unpriced_requests"], found["alike_cost_usd"]) == (0, 20, None)
    assert found["verdict_reason"] == "few_calls"
