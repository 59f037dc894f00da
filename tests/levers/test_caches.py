"""What caches are worth, in tokens and dollars: the worked examples, drops of the hit rate, and what is not known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from pipelines import contract, paths
from pipelines.contract import token_classes_of
from pipelines.models import load

MONDAY = date(2026, 10, 5)
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
SONNET = {"provider": "anthropic", "model_canonical": "claude-sonnet-4-6"}
M = 1_000_000


def call(read: int | None, total: int, **more: Any) -> dict[str, Any]:
    return {"started_at": NOON, "input_total_tokens": total, "cache_read_tokens": read, "output_total_tokens": 0} | more


def test_a_cache_saves_what_its_reads_save_less_what_its_writes_cost(weeks_of):
    """$3, write $3.75, read $0.30; 0.5 M uncached, 2 M written, 8 M read: $11.40 in place of $31.50: 21.60 less 1.50 is $20.10."""
    row = weeks_of([call(8 * M, 10_500_000, cache_write_5m_tokens=2 * M, **SONNET)], by_the_book=True).row(
        "mart_cache_economics_weekly"
    )

    assert (row["input_cost_usd"], row["uncached_input_cost_usd"]) == (Decimal("11.40"), Decimal("31.50"))
    assert (row["read_saving_usd"], row["write_premium_usd"]) == (Decimal("21.60"), Decimal("1.50"))
    assert (row["cache_write_5m_premium_usd"], row["cache_write_1h_premium_usd"]) == (Decimal("1.50"), 0)
    assert row["net_saving_usd"] == Decimal("20.10")
    assert row["cache_roi_ratio"] == pytest.approx(13.4)
    assert round(row["cache_hit_rate"], 4) == Decimal("0.7619")
    assert round(row["break_even_reads"], 4) == 0.2778
    assert row["rated_cache_tokens"] == row["cached_tokens"] == 10 * M
    assert row["sentence"] == "Caching saved $20.10 for $1.50 of write premium."


def test_writes_for_an_hour_must_be_read_more_often(weeks_of):
    """At $6 a million a written token pays for itself when it is read 3 / 2.70 = 1.1111 times."""
    row = weeks_of([call(0, M, cache_write_1h_tokens=M, **SONNET)], by_the_book=True).row("mart_cache_economics_weekly")

    assert round(row["break_even_reads"], 4) == 1.1111
    assert (row["cache_write_1h_premium_usd"], row["net_saving_usd"]) == (3, -3)
    assert row["sentence"] == "Caching lost $3.00 for $3.00 of write premium."


@pytest.mark.parametrize(("discount", "usd"), [("0.5", "0.025"), ("0.1", "0.005")])
def test_a_prefix_is_ten_times_cheaper_only_at_ninety_percent_off(weeks_of, discount, usd):
    """20,000 tokens at $2.50 cost $0.05; read at 50 % off $0.025, at 90 % off $0.005: by what a contract says of cache reads."""
    price = {"kind": "absolute", "unit": "cache_read", "value": Decimal("2.5") * Decimal(discount), "sequence": 1}

    row = weeks_of(
        [call(20_000, 20_000)], by_the_book=True, ref_price_overrides=[price | {"scope": "feature=chat"}]
    ).row("mart_cache_economics_weekly")

    assert (row["input_cost_usd"], row["uncached_input_cost_usd"]) == (Decimal(usd), Decimal("0.05"))


def test_a_contract_makes_the_saving_smaller(weeks_of):
    """Half off everything: 1 M read saves 1.35 in place of 2.70, as uncached input would have cost half too."""
    half = {"kind": "multiplier", "value": Decimal("0.5"), "provider": "anthropic", "sequence": 1}

    row = weeks_of([call(M, M, **SONNET)], by_the_book=True, ref_price_overrides=[half]).row(
        "mart_cache_economics_weekly"
    )

    assert row["read_saving_usd"] == Decimal("1.35")


def test_cached_speech_is_compared_with_speech(weeks_of):
    """gpt-4o-realtime: 1 M of cached audio at $0.40 in place of $32, not of text at $4."""
    rows = [call(None, M, model_canonical="gpt-realtime", cache_read_audio_tokens=M)]

    row = weeks_of(rows, by_the_book=True).row("mart_cache_economics_weekly")

    assert row["read_saving_usd"] == Decimal("31.60")


def weeks(now: int, before: int, calls: int = 25, users: int = 24) -> pl.DataFrame:
    """Users' calls of 1,000 tokens: of each so many were read from the cache, in the week and in the four before."""
    rows = [
        {"started_at": NOON - timedelta(weeks=week), "user_id": f"u{user}", **SONNET,
         "cache_read_tokens": read + user % 3 * (1 + (week == 0))}
        for week in range(5)
        for user in range(users)
        for read in [now if week == 0 else before]
        for _ in range(calls)
    ]  # fmt: skip
    return pl.DataFrame(rows).with_columns(input_total_tokens=pl.lit(1_000), output_total_tokens=pl.lit(10))


@pytest.mark.parametrize(
    ("now", "before", "verdict"),
    [(480, 800, "red"), (620, 740, "amber"), (700, 740, "stable"), (480, 600, "amber"), (900, 500, "stable")],
)
def test_a_fall_of_the_hit_rate_is_red_or_amber(weeks_of, now, before, verdict):
    """Red from 75 % or more to below 50 %; amber down by ten points that are not chance; else it is stable."""
    row = weeks_of(weeks(now, before), by_the_book=True).row("mart_cache_economics_weekly", week_start_date=MONDAY)

    assert (row["verdict"], row["verdict_reason"]) == (verdict, None)
    assert ("The hit rate fell" in row["sentence"]) == (verdict != "stable")


def test_a_fall_that_one_user_made_is_no_amber(weeks_of):
    """600 calls of 24 users stay at 74 %; one more reads nothing of 12 times as much: 50 %, and without that user no fall."""
    one = {"started_at": NOON, "user_id": "new", "cache_read_tokens": 0, "input_total_tokens": 300_000, **SONNET}
    steady = weeks(740, 740)

    row = weeks_of(pl.concat([steady, pl.DataFrame([one])], how="diagonal_relaxed"), by_the_book=True).row(
        "mart_cache_economics_weekly", week_start_date=MONDAY
    )

    assert row["base_cache_hit_rate"] - row["cache_hit_rate"] > Decimal("0.2")
    assert row["p_value"] > 0.01
    assert row["verdict"] == "stable"


def test_a_fall_costs_what_is_no_longer_read(weeks_of):
    """10 M input, .75 to .45: 3 M tokens at 3.00 less 0.30 a million: $8.10."""
    rows = [
        {"started_at": NOON - timedelta(weeks=week), "cache_read_tokens": 7_500 if week else 4_500, "input_total_tokens": 10_000,
         "user_id": f"u{number % 20}", **SONNET}
        for week in (0, 1) for number in range(1_000)
    ]  # fmt: skip

    row = weeks_of(rows, by_the_book=True).row("mart_cache_economics_weekly", week_start_date=MONDAY)

    assert (row["cache_hit_rate"], row["base_cache_hit_rate"]) == (Decimal("0.45"), Decimal("0.75"))
    assert (row["verdict"], row["cost_impact_usd"]) == ("red", Decimal("8.10"))
    assert row["sentence"].endswith("The hit rate fell from 75 to 45 % of the input: $8.10 in the week.")


@pytest.mark.parametrize(
    ("frame", "more", "reason"),
    [
        (weeks(480, 800, calls=20), {}, "few_requests"),
        (weeks(480, 800).filter(pl.col("started_at") >= NOON - timedelta(days=1)), {}, "few_base_requests"),
        (weeks(480, 800), {"now": NOON + timedelta(days=3)}, "week_not_over"),
    ],
)
def test_too_little_is_said_and_not_judged(weeks_of, frame, more, reason):
    """480 calls where 500 are needed, no weeks before, a week under way: the rates stand, there is no verdict."""
    row = weeks_of(frame, by_the_book=True, **more).row("mart_cache_economics_weekly", week_start_date=MONDAY)

    assert (row["verdict"], row["verdict_reason"]) == ("insufficient", reason)
    assert row["cache_hit_rate"] > 0


def test_calls_that_do_not_tell_are_left_out_of_both_sides(weeks_of):
    """Of 3,000 input tokens 1,000 are of a call that says nothing: 500 of 2,000 were read, one of two calls read anything."""
    row = weeks_of([call(500, 1_000), call(0, 1_000), call(None, 1_000)], by_the_book=True).row(
        "mart_cache_economics_weekly"
    )

    assert (row["cache_hit_rate"], row["cache_hit_request_rate"]) == (Decimal("0.25"), Decimal("0.5"))
    assert (row["cache_known_requests"], round(row["cache_known_share"], 3)) == (2, Decimal("0.667"))


def test_what_nobody_tells_is_unknown_and_not_nothing(weeks_of):
    row = weeks_of([call(None, 1_000)], by_the_book=True).row("mart_cache_economics_weekly")

    unknown = ("cache_hit_rate", "read_saving_usd", "write_premium_usd", "net_saving_usd", "cache_roi_ratio")
    assert {row[name] for name in unknown} == {None}
    assert row["sentence"] == "What the prompt cache did is not told by these calls."


def test_a_call_without_a_price_has_a_hit_rate_and_no_dollars(weeks_of):
    row = weeks_of([call(600, 1_000, model_canonical="gpt-99")], by_the_book=True).row("mart_cache_economics_weekly")

    assert (row["cache_hit_rate"], row["read_saving_usd"], row["net_saving_usd"]) == (Decimal("0.6"), None, None)
    assert (row["unpriced_requests"], row["is_incomplete"], row["rated_cache_tokens"]) == (1, True, 0)


def test_answers_of_a_gateways_own_cache_stand_apart(weeks_of):
    """A million lookups, 80 % hits, $.01 a call of the type, $.00002 a lookup: 8,000 less 20 is $7,980. Here a hundredth of it."""
    rows = pl.DataFrame({"number": range(10_000)}).select(
        started_at=pl.lit(NOON),
        prompt_name=pl.lit("faq"),
        gateway_cache_hit=pl.col("number") < 8_000,
        is_billable_leaf=pl.col("number") >= 8_000,
        input_total_tokens=pl.lit(4_000),
        output_total_tokens=pl.lit(0),
    )

    row = weeks_of(rows, by_the_book=True).row("mart_cache_economics_weekly")

    assert (row["requests"], row["response_cache_hits"], row["response_cache_lookups"]) == (2_000, 8_000, 10_000)
    assert row["response_cache_hit_rate"] == Decimal("0.8")
    assert row["response_cache_saving_usd"] == 80
    assert row["response_cache_net_usd"] == Decimal("79.80")
    # The prompt cache has nothing to do with it.
    assert (row["cache_hit_rate"], row["net_saving_usd"]) == (None, None)


def test_an_answer_from_the_cache_is_worth_a_call_of_its_own_type(weeks_of):
    """A hit of a dear type is worth 4,000 tokens, of a cheap one 400; of a type that nobody was charged for it is not known."""
    rows = [
        {"started_at": NOON, "prompt_name": name, "input_total_tokens": size, "output_total_tokens": 0}
        for name, size in (("dear", 4_000), ("cheap", 400))
    ]
    rows += [
        {"started_at": NOON, "prompt_name": name, "gateway_cache_hit": True, "is_billable_leaf": False}
        for name in ("dear", "cheap", "unseen")
    ]

    row = weeks_of(rows, by_the_book=True).row("mart_cache_economics_weekly")

    assert (row["response_cache_hits"], row["valued_response_cache_hits"]) == (3, 2)
    assert row["response_cache_saving_usd"] == Decimal("0.011")


def test_the_identities_hold_for_any_calls(weeks_of):
    """Of many models, lifetimes and kinds of cost: what the header checks."""
    rows = [
        call(number * 7 % 900, 1_000 + number, user_id=f"u{number % 9}", feature=f"f{number % 3}", is_batch=number % 5 == 0,
             started_at=NOON - timedelta(days=number % 40), **(SONNET if number % 2 else {}),
             **({"cache_write_5m_tokens": 50, "cache_write_1h_tokens": 20} if number % 2 else {}))
        for number in range(400)
    ]  # fmt: skip

    books = weeks_of(rows, by_the_book=True)

    for table in (
        "stat_rate_cells_weekly",
        "stat_bennet_weekly",
        "stat_jackknife_weekly",
        "mart_cache_economics_weekly",
    ):
        assert books.broken(table) == [], table
    assert sum(row["requests"] for row in books.rows("mart_cache_economics_weekly")) == 400


def test_a_new_class_of_tokens_has_its_saving_or_its_premium(monkeypatch):
    """A line in TOKEN_CLASSES is all that it needs: reads of a kind are compared with uncached input of that kind."""
    added = token_classes_of("""
        input_video: video_in; uncached video
        cache_read_video: video_cache_read; cached video
        cache_write_9d: cache_write_9d; written for nine days
    """)
    monkeypatch.setattr(contract, "TOKEN_CLASSES", (*contract.TOKEN_CLASSES, *added))

    found = load(paths.SQL)

    assert "cache_write_9d_premium_usd" in found["mart_cache_economics_weekly"].types
    query = " ".join(found["mart_cache_economics_weekly"].query.split())
    assert "c.cache_read_video_tokens * (c.input_video_usd_per_mtok - c.cache_read_video_usd_per_mtok)" in query
    assert "c.cache_write_9d_tokens * (c.cache_write_9d_usd_per_mtok - c.input_uncached_usd_per_mtok)" in query
    assert {"input_video_tokens", "cache_write_9d_usd_per_mtok"} <= set(found["stat_rate_cells_weekly"].types)
