"""Opportunities: the worked examples, that nothing is promised twice, that a week says what a what-if says, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines import paths
from pipelines.reference.files import read
from pipelines.reference.tables import TABLES
from pipelines.whatif.answer import answer
from pipelines.whatif.scenarios import scenarios_of

MONDAY = date(2026, 11, 2)
MORNING = datetime(2026, 11, 2, 9, tzinfo=UTC)
SCENARIOS = [
    {name: value for name, value in row.items() if name != "reference_line"}
    for row in read(TABLES["scenarios"], paths.SHIPPED_DATA / "scenarios.csv", "scenarios.csv")[0]
]


def call(number: int = 0, **more: Any) -> dict[str, Any]:
    """A call of gpt-4o ($2.50 in, $10 out), a minute after the one before."""
    return {
        "started_at": MORNING + timedelta(minutes=number),
        "input_total_tokens": 0,
        "output_total_tokens": 0,
        "input_uncached_tokens": more.get("input_total_tokens", 0),
        "output_text_tokens": more.get("output_total_tokens", 0),
        **more,
    }


def settings(**named: object) -> list[dict[str, Any]]:
    """scenarios.csv with some settings set, as ``routing__share=1``; all else saves nothing and costs nothing."""
    nothing = {
        "context_trim__trim_share": 0, "response_cache__repeat_share": 0, "response_cache__lookup_usd": 0, "routing__share": 0,
        "routing__failure_rate": 0, "routing__cold_share": 0, "routing__output_ratio": 1, "batch__share": 0,
    }  # fmt: skip
    values = {name: str(value) for name, value in (nothing | named).items()}
    rows = []
    for row in SCENARIOS:
        key = f"{row['scenario']}__{row['parameter']}"
        rows.append({**row, "setting": values.get(key, row["setting"])})
    return rows


@pytest.fixture
def saved(weeks_of: Any) -> Any:
    """``saved(calls, ref_scenarios=settings(...))``: the rows of a lever mart by lever."""

    def build(calls: Sequence[Mapping[str, Any]], table: str = "mart_lever_savings_weekly", **more: Any) -> Any:
        now = datetime(2026, 11, 9, 12, tzinfo=UTC)
        weeks = weeks_of(calls, by_the_book=True, now=now, **more)
        return {row["lever"]: row for row in weeks.rows(table)}, weeks

    return build


def test_ten_fifty_and_twenty_per_cent_of_a_hundred_dollars_save_sixty_four(saved):
    """Prompts of 40 M tokens cost $100. A tenth less of them: 10. A batch at half price for all of the rest of 90: 45. Then a cache
    of answers that spares a fifth: what it gets is 9. Each alone: 10, 50, 20, which is 80; all together leave $36.

    The cache of answers stands before the batch, so it gets 18 and the batch 36 of what is left: 64 as well, however it is shared.
    """
    calls = [call(number, input_total_tokens=1_000_000, feature="reports") for number in range(40)]
    chosen = settings(
        context_trim__trim_share="0.1",
        batch__share="1",
        response_cache__repeat_share="0.2",
        response_cache__wrong_share="0",
    )

    rows, _ = saved(calls, ref_scenarios=chosen, ref_features=[{"feature": "reports", "workload": "async"}])

    assert {lever: rows[lever]["alone_mid_usd"] for lever in ("context_trim", "batch", "response_cache")} == {
        "context_trim": 10, "batch": 50, "response_cache": 20,
    }  # fmt: skip
    assert [rows[lever]["saved_mid_usd"] for lever in ("context_trim", "response_cache", "batch")] == [10, 18, 36]
    assert sum(row["saved_mid_usd"] for row in rows.values()) == 64


def test_trim_route_and_batch_in_their_order_get_ten_forty_five_and_nine(saved):
    """$100 of gpt-4o ($2.50): a tenth is trimmed (10). gpt-5 ($1.25) takes the rest of 90 (45). Two fifths of that work wait for a
    batch at half price (9): $36 are left, saved is 64 and not 80.
    """
    calls = [call(number, input_total_tokens=1_000_000, feature="reports") for number in range(40)]
    chosen = settings(
        context_trim__trim_share="0.1",
        routing__share="1",
        routing__to_model="openai/gpt-5",
        routing__from_tier="",
        batch__share="0.4",
    )

    rows, weeks = saved(calls, ref_scenarios=chosen, ref_features=[{"feature": "reports", "workload": "async"}])

    assert [rows[lever]["saved_mid_usd"] for lever in ("context_trim", "routing", "batch")] == [10, 45, 9]
    assert [rows[lever]["alone_mid_usd"] for lever in ("context_trim", "routing", "batch")] == [10, 50, 20]
    assert sum(row["saved_mid_usd"] for row in rows.values()) == 64
    assert weeks.broken("mart_lever_savings_weekly") == []


def mixed() -> list[dict[str, Any]]:
    """Calls of two features and models: long and short, failed, of a conversation, with a prefix, with hashes, some without a price."""
    found = []
    for number in range(1_200):
        is_long = number % 7 == 0
        found.append(
            call(
                number,
                feature=("reports", "chat")[number % 2],
                model_canonical=("gpt-4o", "gpt-4o-mini", "gpt-5")[number % 3],
                input_total_tokens=9_000 + number if is_long else 1_500 + number,
                output_total_tokens=4_000 if number % 101 == 0 else 100 + number % 50,
                static_prompt_tokens=1_200 if number % 2 else None,
                prompt_hash=f"p{number % 400}" if number % 2 else None,
                session_id=f"s{number % 20}",
                user_id=f"u{number % 9}",
                status="error" if number % 50 == 0 else "ok",
            )
        )
    return found


def test_a_lever_alone_saves_what_the_what_if_says(saved):
    """Each over the same week, by feature: low, mid and high, to the last digit."""
    features = [{"feature": "reports", "workload": "async"}]

    _, weeks = saved(mixed(), ref_scenarios=SCENARIOS, ref_features=features)
    weeks.make("ref_model_tiers")

    for scenario in ("context_trim", "output_cap", "prompt_cache", "routing", "response_cache", "batch"):
        told = answer(weeks.con, SCENARIOS, scenarios_of(SCENARIOS, scenario), MONDAY, date(2026, 11, 9))
        found = {row["feature"]: row for row in weeks.rows("mart_lever_savings_weekly", lever=scenario)}
        for one in told.by(["feature"]):
            row = found[one["feature"]]
            for case in ("low", "mid", "high"):
                assert row[f"alone_{case}_usd"] == one[f"saving_{case}_usd"], (scenario, case)
            assert (row["covered_requests"], row["covered_cost_usd"]) == (one["covered_requests"], one["covered_usd"])


def test_all_levers_together_save_what_their_steps_add_up_to(saved):
    """Against the what-if of all at once. Failed calls are no what-if and calls that move come to a cache that a what-if looks at
    afterwards, so nothing is saved by these two.
    """
    _rows, weeks = saved(
        mixed(),
        ref_features=[{"feature": "reports", "workload": "async"}],
        ref_scenarios=[
            {**row, "setting": "0"} if (row["scenario"], row["parameter"]) == ("routing", "share") else row
            for row in SCENARIOS
        ],
        thresholds="name,threshold\nretry_avoided_share_low,0\nretry_avoided_share_mid,0\nretry_avoided_share_high,0\n",
    )
    weeks.make("ref_model_tiers")
    asked = "context_trim+output_cap+prompt_cache+response_cache+batch"
    told = answer(weeks.con, SCENARIOS, scenarios_of(SCENARIOS, asked), MONDAY, date(2026, 11, 9))

    steps = sum(row["saved_mid_usd"] for row in weeks.rows("mart_lever_savings_weekly"))
    assert steps == told.total["saving_mid_usd"]


# ---- the table


def test_four_weeks_become_a_month_and_what_may_save_nothing_comes_last(saved):
    """Four weeks of $100 each whose work can wait: a batch saves $200 of $400, $217.41 a month (x 30.4375 / 28), low .8 of it $173.93."""
    calls = [
        call(number, input_total_tokens=1_000_000, feature="reports", started_at=MORNING - timedelta(weeks=number % 4))
        for number in range(160)
    ]

    _rows, weeks = saved(
        calls, "mart_opportunities_weekly", ref_scenarios=settings(batch__share="1/1/0.8", response_cache__lookup_usd="1"),
        ref_features=[{"feature": "reports", "workload": "async", "owner_team": "ops"}],
    )  # fmt: skip
    row = weeks.row("mart_opportunities_weekly", week_start_date=MONDAY, lever="batch")

    assert [round(row[f"saving_{case}_month_usd"], 2) for case in ("low", "mid", "high")] == [
        Decimal("173.93"), Decimal("217.41"), Decimal("217.41"),
    ]  # fmt: skip
    assert (row["weeks"], row["owner"], row["verdict"], row["coverage_share"]) == (4, "ops", "opportunity", 1)
    assert (row["opportunity_rank"], row["feature_rank"]) == (1, 1)
    cache = weeks.row("mart_opportunities_weekly", week_start_date=MONDAY, lever="response_cache")
    assert (cache["verdict"], cache["saving_mid_month_usd"] < 0) == ("no_saving", True)
    assert (cache["opportunity_rank"] > 1, cache["feature_rank"]) == (True, None)
    assert weeks.broken("mart_opportunities_weekly") == []


def test_what_is_not_known_has_no_figure_and_says_why(saved):
    """A feature that nobody owns, with a call of no price beside one that has one, none of it async, no hash of a prompt."""
    calls = [call(input_total_tokens=100_000), call(1, input_total_tokens=1_000, model_canonical="no-such-model")]

    rows, _weeks = saved(calls, "mart_opportunities_weekly")

    assert (rows["batch"]["verdict"], rows["batch"]["verdict_reason"]) == ("insufficient", "nothing_to_change")
    assert (rows["self_host"]["verdict_reason"], rows["self_host"]["saving_mid_month_usd"]) == (
        "needs_own_figures",
        None,
    )
    assert (rows["response_cache"]["verdict"], rows["response_cache"]["verdict_reason"]) == (
        "range_only",
        "no_prompt_hash",
    )
    assert {(row["owner"], row["requests"], row["unpriced_requests"]) for row in rows.values()} == {
        ("unattributed", 2, 1)
    }
    assert rows["response_cache"]["sentence"].endswith("; nobody owns the feature.")


def test_a_setting_that_cannot_be_read_leaves_no_figure(saved):
    """And not the whole cost as a saving."""
    rows, _ = saved(
        [call(input_total_tokens=9_000)],
        "mart_opportunities_weekly",
        ref_scenarios=settings(context_trim__trim_share="much"),
    )

    assert (rows["context_trim"]["verdict_reason"], rows["context_trim"]["saving_mid_month_usd"]) == (
        "no_setting",
        None,
    )


def test_what_was_acted_on_is_held_against_what_was_promised(saved):
    """A week of 40 M tokens at $2.50 could wait for a batch at half price: $50, $217.41 a month. The week after it does: 80 M tokens
    in a batch cost $100 and would have cost $200: $434.82 a month. The lever acted on last has no week yet.
    """
    calls = [
        call(number, input_total_tokens=1_000_000, feature="reports", started_at=MORNING - timedelta(weeks=1))
        for number in range(40)
    ]
    calls += [call(number, input_total_tokens=1_000_000, feature="reports", is_batch=True) for number in range(80)]
    acted = [
        {"feature": "reports", "lever": "batch", "since_date": MONDAY},
        {"feature": "reports", "lever": "routing", "since_date": MONDAY},
        {"feature": "reports", "lever": "output_cap", "since_date": MONDAY + timedelta(days=3)},
    ]

    rows, weeks = saved(
        calls, "mart_levers_acted_weekly", ref_scenarios=settings(batch__share="1"),
        ref_features=[{"feature": "reports", "workload": "async"}], ref_levers_acted=acted,
    )  # fmt: skip

    batch = rows["batch"]
    assert [round(batch[f"{name}_month_usd"], 2) for name in ("promised_mid", "realised")] == [
        Decimal("217.41"),
        Decimal("434.82"),
    ]
    assert (batch["follow_up"], batch["weeks"], batch["realised_ratio"]) == ("few_weeks", 1, 2.0)
    assert batch["realised_by"] == "replay"
    # The same work of the weeks before; all of it moved to a batch, which halves what a call costs.
    routing = rows["routing"]
    assert (routing["follow_up"], routing["realised_by"], routing["like_for_like_share"]) == (
        "few_weeks",
        "before_after",
        1,
    )
    assert round(routing["realised_month_usd"], 2) == Decimal("434.82")
    assert routing["realised_low_month_usd"] is None
    assert "of too few users to tell from chance" in routing["sentence"]
    assert (rows["output_cap"]["follow_up"], rows["output_cap"]["follow_up_reason"]) == ("acted", "no_week_yet")
    assert weeks.broken("mart_levers_acted_weekly") == []
