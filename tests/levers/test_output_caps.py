"""Output caps: the worked example, quantiles and caps that are exact, and what is not known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

MONDAY = date(2026, 10, 5)
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


def answers(lengths: list[int], week: int = 0, **more: Any) -> pl.DataFrame:
    rows = {"output_total_tokens": lengths, "input_total_tokens": [500] * len(lengths)}
    return pl.DataFrame(rows).with_columns(
        started_at=pl.lit(NOON - timedelta(weeks=week)), **{name: pl.lit(value) for name, value in more.items()}
    )


def limits(**named: object) -> str:
    return "name,threshold\n" + "".join(f"{name},{limit}\n" for name, limit in named.items())


# A cap of 300 in the example: the 98th of 100 calls has 100 tokens, which is rounded up to a multiple of 300.
EXAMPLE = limits(cap_quantile="0.98", cap_round_tokens=300, min_cap_calls=100)


def test_a_cap_saves_the_tail_less_what_is_asked_again(weeks_of):
    """98 calls of 100 tokens, 2 of 1,000, 500 in each, $2.50 and $10, cap 300: 1,400 of 11,800 tokens (11.9 %), gross $0.01400;
    the two cost $0.02250, half of that is 0.01125: mid $0.00275.
    """
    row = weeks_of(answers([100] * 98 + [1_000] * 2), thresholds=EXAMPLE, by_the_book=True).row(
        "mart_output_caps_weekly"
    )

    assert (row["proposed_cap_tokens"], row["above_cap_tokens"], row["output_total_tokens"]) == (300, 1_400, 11_800)
    assert round(row["above_cap_share"], 3) == Decimal("0.119")
    assert (row["gross_saving_usd"], row["truncated_share"]) == (Decimal("0.014"), Decimal("0.02"))
    assert row["truncated_cost_usd"] == Decimal("0.0225")
    assert [row[f"saving_{name}_usd"] for name in ("low", "mid", "high")] == [
        Decimal("-0.0085"), Decimal("0.00275"), Decimal("0.014"),
    ]  # fmt: skip
    assert row["verdict"] == "candidate"


def test_the_cap_is_the_99th_of_a_hundred_over_four_weeks_rounded_up(weeks_of):
    """1 to 2,000 tokens once in each of two weeks: the 99th hundredth is 1,980, rounded up 2,000; its neighbour 1,951 as well."""
    lengths = list(range(1, 2_001))
    frame = pl.concat([answers(lengths), answers(lengths, week=3), answers([9_000] * 100, week=4)])

    row = weeks_of(frame).row("mart_output_caps_weekly", week_start_date=MONDAY)

    assert (row["recent_requests"], row["proposed_cap_tokens"]) == (4_000, 2_000)
    assert [row[f"output_{name}_tokens"] for name in ("p50", "p95", "p99", "max")] == [1_000, 1_900, 1_980, 2_000]
    assert (row["truncated_calls"], row["gross_saving_usd"], row["verdict"]) == (0, 0, "no_saving")
    assert row["sentence"] == "No answer of the week was longer than 2000 tokens."


def quantile(lengths: Any, share: float) -> int:
    return int(np.quantile(lengths, share, method="inverted_cdf"))


@pytest.mark.parametrize("seed", range(3))
def test_quantiles_and_cap_are_those_of_the_calls_one_by_one(weeks_of, seed):
    """Against numpy, over lengths of which many are equal."""
    chance = np.random.default_rng(seed)
    weeks = [np.exp(chance.normal(5, 1, 300)).astype(int) + 1 for _ in range(4)]

    frame = pl.concat([answers(lengths.tolist(), week=week) for week, lengths in enumerate(weeks)])
    row = weeks_of(frame).row("mart_output_caps_weekly", week_start_date=MONDAY)

    assert [row[f"output_{name}_tokens"] for name in ("p50", "p95", "p99")] == [
        quantile(weeks[0], share) for share in (0.5, 0.95, 0.99)
    ]
    cap = -(-quantile(np.concatenate(weeks), 0.99) // 50) * 50
    assert row["proposed_cap_tokens"] == cap
    assert row["above_cap_tokens"] == np.maximum(weeks[0] - cap, 0).sum()


def test_the_cap_in_force_is_the_calls_own_else_the_features(weeks_of):
    """Of five calls one sends 200, three have the feature's 400, one of another feature has none."""
    frame = pl.concat(
        [
            answers([200], max_output_tokens=200),
            answers([100, 400, 401]),
            answers([100], feature="poems"),
        ],
        how="diagonal",
    )

    books = weeks_of(frame, ref_features=[{"feature": "chat", "max_output_tokens": 400}])

    chat, poems = books.rows("mart_output_caps_weekly")
    assert (chat["smallest_cap_tokens"], chat["largest_cap_tokens"]) == (200, 400)
    assert (chat["calls_without_cap"], chat["capped_calls"]) == (0, 3)
    assert (poems["largest_cap_tokens"], poems["calls_without_cap"], poems["capped_calls"]) == (None, 1, 0)


def test_a_cap_of_a_feature_holds_from_its_day(weeks_of):
    feature = {"feature": "chat", "max_output_tokens": 400, "valid_from_date": MONDAY}

    before, now = weeks_of(pl.concat([answers([1]), answers([1], week=1)]), ref_features=[feature]).rows(
        "mart_output_caps_weekly"
    )

    assert (before["calls_without_cap"], now["calls_without_cap"]) == (1, 0)


def test_reasoning_counts_as_a_cap_cuts_it_too(weeks_of):
    frame = answers([900], output_reasoning_tokens=800)

    assert weeks_of(frame).row("mart_output_caps_weekly")["output_max_tokens"] == 900


def test_answers_that_failed_or_have_no_usage_are_left_out(weeks_of):
    frame = pl.concat([answers([100, 200]), answers([9_000], status="error")], how="diagonal")

    row = weeks_of(frame).row("mart_output_caps_weekly")

    assert (row["answered_requests"], row["output_max_tokens"]) == (2, 200)


@pytest.mark.parametrize(
    ("frame", "more", "reason"),
    [
        (answers([100] * 499), {}, "few_calls"),
        (answers([100] * 500), {"now": NOON + timedelta(days=1)}, "week_not_over"),
        (answers([100] * 497 + [900] * 3, is_priced=False), {"thresholds": limits(cap_quantile="0.9")}, "no_price"),
    ],
)
def test_too_little_is_said_and_not_judged(weeks_of, frame, more, reason):
    """499 calls where 500 are needed, a week under way, and cut answers without a price: their saving is unknown, not 0."""
    row = weeks_of(frame, **more).row("mart_output_caps_weekly")

    assert (row["verdict"], row["verdict_reason"]) == ("insufficient", reason)
    if reason == "few_calls":
        assert (row["proposed_cap_tokens"], row["saving_mid_usd"], row["output_p50_tokens"]) == (None, None, 100)
    if reason == "no_price":
        assert (row["unpriced_truncated_calls"], row["gross_saving_usd"], row["saving_high_usd"]) == (3, None, None)


def test_a_cap_on_equal_answers_saves_nothing(weeks_of):
    row = weeks_of(answers([100] * 600)).row("mart_output_caps_weekly")

    assert (row["verdict"], row["proposed_cap_tokens"], row["saving_mid_usd"]) == ("no_saving", 100, 0)


def test_the_identities_hold_for_any_calls(weeks_of):
    chance = np.random.default_rng(5)
    frame = answers(np.exp(chance.normal(5, 1.5, 900)).astype(int).tolist()).with_columns(
        prompt_name=pl.Series(chance.choice(["a", "b", None], 900).tolist()),
        is_priced=pl.Series(chance.random(900) < 0.9),
        max_output_tokens=pl.Series(chance.choice([None, 500, 4_000], 900).tolist(), dtype=pl.Int64),
        started_at=pl.Series([NOON - timedelta(days=int(d)) for d in chance.integers(0, 30, 900)]),
    )

    books = weeks_of(frame, thresholds=limits(min_cap_calls=50, cap_quantile="0.9"))

    for table in ("stat_output_lengths_weekly", "mart_output_caps_weekly"):
        assert books.broken(table) == [], table
