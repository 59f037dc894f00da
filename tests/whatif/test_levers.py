"""Each lever replayed on rows of the test: the examples of the methods, worked by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines import paths
from pipelines.paths import DataRoot
from pipelines.reference.files import read
from pipelines.reference.tables import TABLES
from pipelines.whatif import replay
from pipelines.whatif.answer import Answer, answer, breakeven_calls, other_book_of, payback_months
from pipelines.whatif.replay import inputs
from pipelines.whatif.scenarios import ScenarioError, scenarios_of

FIRST = datetime(2026, 11, 2, 9, tzinfo=UTC)
SCENARIOS, _ = read(TABLES["scenarios"], paths.SHIPPED_DATA / "scenarios.csv", "scenarios.csv")
Ask = Callable[..., Answer]


def call(number: int = 0, **more: Any) -> dict[str, Any]:
    """A call of gpt-4o ($2.50 in, $1.25 cached, $10 out), a minute after the one before."""
    return {
        "started_at": FIRST + timedelta(minutes=number),
        "input_total_tokens": 0,
        "output_total_tokens": 0,
        "input_uncached_tokens": more.get("input_total_tokens", 0) - more.get("cache_read_tokens", 0),
        "output_text_tokens": more.get("output_total_tokens", 0),
        **more,
    }


@pytest.fixture
def ask(weeks_of: Any) -> Ask:
    """``ask(calls, "routing", "share=0.5", **tables)``."""

    def replayed(calls: Sequence[Mapping[str, Any]], name: str, *given: str, **tables: Any) -> Answer:
        weeks = weeks_of(calls, by_the_book=True, **tables)
        for table in inputs():
            weeks.make(table)
        return answer(weeks.con, SCENARIOS, scenarios_of(SCENARIOS, name, given), date(2026, 11, 2), date(2026, 11, 9))

    return replayed


def dollars(found: Answer, *names: str) -> list[Decimal]:
    return [found.total[f"{name}_usd"].normalize() for name in names]


SURE = ("output_ratio=1", "failure_rate=0", "cold_share=0", "to_model=openai/gpt-4o-mini")


# ---- routing


def test_the_saving_of_seventy_per_cent_routing_is_not_seventy_three_per_cent(ask):
    """Ten calls of $2.50, but for a token more each; the seven shortest at $0.15: .70 x .94 = 65.8 %."""
    calls = [call(n, input_total_tokens=1_000_000 + n) for n in range(10)]

    found = ask(calls, "routing", *SURE)

    assert found.total["changed_requests"] == 7
    share = found.total["saving_mid_usd"] / found.total["actual_usd"]
    assert round(share, 3) == Decimal("0.658")


def test_routing_the_short_call_of_two_saves_nine_per_cent_not_half(ask):
    """$1 and $9 at $2.50 a million, the short one at $0.15: .94 of 10. Averages would say .5 x .94 = 47 %."""
    found = ask(
        [call(0, input_total_tokens=400_000), call(1, input_total_tokens=3_600_000)], "routing", *SURE, "share=0.5"
    )

    assert dollars(found, "actual", "saving_low", "saving_mid", "saving_high") == [10, *[Decimal("0.94")] * 3]


def test_a_failed_first_try_costs_both_calls(ask):
    """1 M input: dear 2.50, cheap .15; 10 % fail: .15 + .25 = .40."""
    found = ask([call(input_total_tokens=1_000_000)], "routing", *SURE, "share=1", "failure_rate=0.1")

    assert dollars(found, "cost_mid") == [Decimal("0.4")]
    assert found.total["requests"] == 1


def test_a_warm_context_on_a_cheaper_model_costs_more(ask):
    """100,000 tokens read at $.30 are $.03, with 1,000 fresh at $3 and 100 out at $15: .0345.

    claude-haiku-4-5 has nothing cached: 100,000 written at $1.25 are .125, 1,000 at $1 and 100 at $5: .1265. Warm it would be .0115.
    """
    warm = call(
        provider="anthropic",
        model_canonical="claude-sonnet-4-6",
        input_total_tokens=101_000,
        cache_read_tokens=100_000,
        output_total_tokens=100,
    )

    found = ask(
        [warm],
        "routing",
        "to_model=anthropic/claude-haiku-4-5",
        "share=1",
        "output_ratio=1",
        "failure_rate=0",
        "cold_share=0/0.5/1",
    )

    assert dollars(found, "actual", "cost_low", "cost_high") == [
        Decimal("0.0345"),
        Decimal("0.0115"),
        Decimal("0.1265"),
    ]
    assert found.total["saving_low_usd"] < 0


def test_the_target_is_the_most_used_budget_model_of_the_seller(ask):
    calls = [call(0, input_total_tokens=1000), call(1, input_total_tokens=1000, model_canonical="gpt-4o-mini")]

    [move] = ask(calls, "routing", "share=1").replayed.targets

    assert (move["from_model"], move["to_model"]) == ("gpt-4o", "gpt-4o-mini")


def test_a_call_of_nobodys_price_stays_and_is_counted(ask):
    """A model without a price costs NULL in the ledger and NULL in the replay: it is left out and counted."""
    calls = [call(0, input_total_tokens=1_000_000), call(1, input_total_tokens=1_000_000, model_canonical="made-up")]

    total = ask(calls, "routing", *SURE, "share=1").total

    assert (total["unpriced_requests"], total["actual_usd"], total["cost_mid_usd"]) == (
        1,
        Decimal("2.5"),
        Decimal("0.15"),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("feature=chat", "set it as seller/model"),
        ("to_model=gpt-4o-mini", "set it as seller/model"),
        ("to_model=openai/gpt-nobody", "no price of openai/gpt-nobody"),
    ],
)
def test_a_model_that_cannot_be_priced_is_refused_and_not_left_without_effect(ask, given, said):
    with pytest.raises(ScenarioError, match=said):
        ask([call(0, input_total_tokens=1000)], "vendor", given)


# ---- cascade


def test_a_cascade_whose_long_calls_escalate_saves_four_per_cent_not_forty_four(ask):
    """$1 and $9, cheap 6 % of dear, the long one escalates: .06 x 10 + 9 = 9.60. With e = .5 of averages: 44 %."""
    found = ask(
        [call(0, input_total_tokens=400_000), call(1, input_total_tokens=3_600_000)],
        "cascade",
        "to_model=openai/gpt-4o-mini",
        "escalation_by_tenth=0 0 0 0 0 1 1 1 1 1",
        "failure_rate=1",
        "output_ratio=1",
        "cold_share=0",
    )

    assert dollars(found, "actual", "cost_mid", "saving_mid") == [10, Decimal("9.6"), Decimal("0.4")]


# ---- batch


def test_half_price_on_two_fifths_of_the_work_saves_a_fifth(ask):
    """$400 of $1,000 is async; batch is half: $200, not $500."""
    calls = [
        call(0, feature="reports", input_total_tokens=160_000_000),
        call(1, feature="chat", input_total_tokens=240_000_000),
    ]

    found = ask(calls, "batch", "share=1", ref_features=[{"feature": "reports", "workload": "async"}])

    assert dollars(found, "actual", "covered", "saving_mid") == [1000, 400, 200]
    assert not found.replayed.is_by_call


def test_what_cannot_wait_stays_at_its_price(ask):
    """$400 of async work of which .8 waits: .8 x 200 = 160."""
    found = ask(
        [call(feature="reports", input_total_tokens=160_000_000)],
        "batch",
        "share=0.8",
        ref_features=[{"feature": "reports", "workload": "async"}],
    )

    assert dollars(found, "cost_mid") == [240]


def test_flex_is_half_price_where_the_seller_offers_it(ask):
    """gpt-5-mini in flex costs $.125 in and $1 out in place of .25 and 2. 4 M in and 1 M out are $3, in flex 1.50. In the dear case .7
    of it can wait: 3 - .7 x 1.50 = 1.95, in the middle .9: 1.65. gpt-4o has no flex price and stays."""
    calls = [
        call(
            0,
            model_canonical="gpt-5-mini",
            feature="reports",
            input_total_tokens=4_000_000,
            output_total_tokens=1_000_000,
        ),
        call(1, feature="reports", input_total_tokens=400_000),
    ]

    found = ask(calls, "flex", ref_features=[{"feature": "reports", "workload": "async"}])

    assert dollars(found, "actual", "covered") == [4, 3]
    assert dollars(found, "cost_low", "cost_mid", "cost_high") == [Decimal("2.5"), Decimal("2.65"), Decimal("2.95")]


# ---- output cap


def test_a_cap_is_replayed_on_every_call_and_pays_for_cut_answers(ask):
    """98 answers of 100 and two of 1,000, cap 300: 1,400 tokens x $10 = .0140; both calls cost .0225 (500 in, 1,000 out each)."""
    calls = [call(n, input_total_tokens=500, output_total_tokens=1000 if n < 2 else 100) for n in range(100)]

    found = ask(calls, "output_cap", "cap_tokens=300")

    assert dollars(found, "saving_high", "saving_mid", "saving_low") == [
        Decimal("0.014"),
        Decimal("0.00275"),
        Decimal("-0.0085"),
    ]
    assert found.total["changed_requests"] == 2


def test_too_few_calls_have_no_proposed_cap(ask):
    calls = [call(n, output_total_tokens=100 + n) for n in range(20)]

    assert dollars(ask(calls, "output_cap"), "saving_mid", "covered") == [0, 0]


# ---- another vendor, other prices


def test_another_vendor_is_a_range_by_its_tokenizer_and_its_answers(ask):
    """10 M in and 2 M out of gpt-4o are 45; claude-haiku-4-5 takes $1 and $5: .9 x 10 + .8 x 10 = 17, 20, 1.1 x 10 + 1.3 x 10 = 24."""
    calls = [call(n, input_total_tokens=100_000, output_total_tokens=20_000) for n in range(100)]

    found = ask(calls, "vendor", "to_model=anthropic/claude-haiku-4-5")

    assert dollars(found, "actual", "cost_low", "cost_mid", "cost_high") == [45, 17, 20, 24]


def test_ten_per_cent_of_one_vendor_is_ten_per_cent_of_its_tokens(ask):
    """$45 of openai and $30 of anthropic; openai takes a tenth more, not less: 4.50."""
    calls = [call(0, input_total_tokens=10_000_000, output_total_tokens=2_000_000)]
    calls += [call(1, provider="anthropic", model_canonical="claude-sonnet-4-6", input_total_tokens=10_000_000)]

    found = ask(calls, "price_change", "provider=openai")

    assert dollars(found, "actual", "covered", "saving_mid") == [75, 45, Decimal("-4.5")]


def test_a_rate_card_is_priced_by_its_own_rows(weeks_of, tmp_path):
    """A card with gpt-4o at $2 in and $9 out: 10 M and 2 M are 20 + 18 = 38 in place of 45. What is not on the card stays."""
    card = tmp_path / "offer.csv"
    card.write_text(
        "provider,model_id,unit,per_units,unit_price,currency,effective_from\n"
        "openai,gpt-4o,input,1000000,2,USD,2020-01-01\n"
        "openai,gpt-4o,output,1000000,9,USD,2020-01-01\n",
        encoding="utf-8",
    )
    calls = [call(0, input_total_tokens=10_000_000, output_total_tokens=2_000_000)]
    calls += [call(1, model_canonical="gpt-4o-mini", input_total_tokens=10_000_000)]

    weeks = weeks_of(calls, by_the_book=True)
    for table in inputs():
        weeks.make(table)
    asked = scenarios_of(SCENARIOS, "rate_card", [f"rate_card={card}"])
    book = other_book_of(weeks.con, DataRoot(tmp_path), asked)

    found = answer(weeks.con, SCENARIOS, asked, date(2026, 11, 2), date(2026, 11, 9), other_book=book)

    assert dollars(found, "actual", "cost_mid") == [Decimal("46.5"), Decimal("39.5")]


# ---- another model for a customer


def test_a_customers_own_model_is_a_range_by_its_tokenizer(ask):
    """10 M in and 2 M out at $3 and $15: .9 x 30 + .8 x 30 = 51, 60, 1.1 x 30 + 1.3 x 30 = 72."""
    calls = [call(n, customer_id="acme", input_total_tokens=100_000, output_total_tokens=20_000) for n in range(100)]

    found = ask(calls, "byom", "to_model=anthropic/claude-sonnet-4-6", "customer_id=acme", "cold_share=0")

    assert dollars(found, "cost_low", "cost_mid", "cost_high") == [51, 60, 72]


# ---- caches


def test_a_prefix_is_read_within_its_lifetime_else_written(ask):
    """2,000 constant of 3,000 tokens at $3; write $3.75, read $.30; calls at 0, 4 and 14 minutes: write, read, write.

    Before 3 x .009 = .027. The constant part: .0075 + .0006 + .0075, the rest 3 x .003: .0246.
    """
    calls = [
        call(
            minute,
            provider="anthropic",
            model_canonical="claude-sonnet-4-6",
            input_total_tokens=3000,
            static_prompt_tokens=2000,
            prompt_prefix_hash="p",
        )
        for minute in (0, 4, 14)
    ]

    found = ask(calls, "prompt_cache", "hit_share=1")

    assert dollars(found, "actual", "cost_mid") == [Decimal("0.027"), Decimal("0.0246")]


def test_a_conversation_reads_what_the_call_before_it_has_read(ask):
    """Inputs 2,000 and 3,000 of one session at $3: before .015. Write 2,000, then read 2,000 and write 1,000: .0075 + .0006 + .00375."""
    calls = [
        call(n, provider="anthropic", model_canonical="claude-sonnet-4-6", session_id="s", input_total_tokens=size)
        for n, size in enumerate((2000, 3000))
    ]

    found = ask(calls, "prompt_cache", "hit_share=1", "min_prefix_tokens=1000")

    assert dollars(found, "cost_mid") == [Decimal("0.01185")]


def test_work_that_uses_the_cache_already_is_left_as_it_is(ask):
    calls = [call(0, input_total_tokens=3000, static_prompt_tokens=2000, cache_read_tokens=1000)]

    assert dollars(ask(calls, "prompt_cache"), "saving_mid", "covered") == [0, 0]


def test_a_repeated_prompt_costs_a_look_up_and_its_wrong_answers(ask):
    """Two calls of $1 with one prompt: the second is a hit, wrong in 5 %: 1 + .05 + 2 x .00002."""
    calls = [call(n, prompt_hash="h", input_total_tokens=400_000) for n in range(2)]

    found = ask(calls, "response_cache")

    assert dollars(found, "cost_low", "cost_high") == [Decimal("1.00004"), Decimal("1.05004")]


def test_without_hashes_a_response_cache_is_a_stated_range(ask):
    """Half of $1 repeats for sure in the cheapest case, none in the dearest: .50002 and 1.00002."""
    found = ask([call(input_total_tokens=400_000)], "response_cache", "repeat_share=0.5/0.2/0", "wrong_share=0")

    assert dollars(found, "cost_low", "cost_mid", "cost_high") == [
        Decimal("0.50002"),
        Decimal("0.80002"),
        Decimal("1.00002"),
    ]


# ---- prompts


def test_trimming_takes_a_share_of_long_prompts_only(ask):
    """10,000 tokens lose 20 %: .025 - .005; 1,000 tokens are left."""
    found = ask([call(0, input_total_tokens=10_000), call(1, input_total_tokens=1000)], "context_trim")

    assert dollars(found, "actual", "cost_mid") == [Decimal("0.0275"), Decimal("0.0225")]


def test_trimming_below_a_threshold_changes_the_price_of_the_whole_call(ask):
    """gemini-2.5-pro: 210,000 in at $2.50 are .525; 200,000 at $1.25 are .25."""
    long = call(provider="google", model_canonical="gemini-2.5-pro", input_total_tokens=210_000)

    found = ask([long], "context_trim", "max_input_tokens=200000", "trim_share=0")

    assert dollars(found, "actual", "cost_mid") == [Decimal("0.525"), Decimal("0.25")]


def test_small_calls_sent_as_one_pay_their_constant_part_once(ask):
    """Three calls of 1,000 with 600 constant within ten seconds: 3,000 - 2 x 600 tokens at $2.50."""
    calls = [
        {**call(0, input_total_tokens=1000, static_prompt_tokens=600), "started_at": FIRST + timedelta(seconds=n)}
        for n in range(3)
    ]

    assert dollars(ask(calls, "micro_batch"), "cost_mid") == [Decimal("0.0045")]


def test_a_limit_drops_the_calls_of_a_user_above_it(ask):
    """Three calls of $1 of a free user, limit two: the third is made in 0, 20 or 50 % of the cases. Others have no limit."""
    calls = [call(n, customer_tier="free", user_id="u", input_total_tokens=400_000) for n in range(3)]
    calls += [call(9, customer_tier="pro", user_id="v", input_total_tokens=400_000)]

    found = ask(calls, "free_tier_limit", "calls_per_month=2")

    assert dollars(found, "cost_low", "cost_mid", "cost_high") == [3, Decimal("3.2"), Decimal("3.5")]


# ---- fixed costs


def test_a_one_off_is_paid_back_by_what_is_left_of_the_saving():
    """$100 by 100,000 x $.001 a month: 1.0 months; with $20 a month: 1.25; never, where nothing is left."""
    saving = 100_000 * Decimal("0.001")

    assert payback_months(Decimal(100), saving) == 1
    assert payback_months(Decimal(100), saving - 20) == Decimal("1.25")
    assert payback_months(Decimal(100), Decimal(0)) is None


def test_training_is_paid_back_within_a_year_from_a_volume_on():
    """$1,200 within 12 months and $20 a month are $120, at $.001 a call 120,000 calls; a call that saves nothing never."""
    assert breakeven_calls(Decimal(1200), Decimal(20), Decimal(12), Decimal("0.001")) == 120_000
    # Hosting alone: from 20,000 calls on; a call less does not do.
    assert breakeven_calls(Decimal(0), Decimal(20), Decimal(12), Decimal("0.001")) == 20_000
    assert breakeven_calls(Decimal(1), Decimal(20), Decimal(12), Decimal("0.001")) == 20_084
    assert breakeven_calls(Decimal(1200), Decimal(20), Decimal(12), Decimal(0)) is None


def test_the_break_even_volume_stands_beside_the_volume_that_there_is(ask):
    """A call of $2.50 at $.15 saves 2.35. Training of $100 in 12 months is 8.33 a month, 3.55 calls: 4. Two in 7 days are 8.7."""
    calls = [call(n, input_total_tokens=1_000_000) for n in range(2)]
    saving = 2 * Decimal("2.35") * Decimal("30.4375") / 7

    found = ask(calls, "fine_tune", *SURE, "one_off_usd=100", "monthly_usd=0", "paid_back_months=12")
    middle = found.paybacks[1]
    volume = middle.breakeven_calls_per_month
    assert volume == 4  # 100 / 12 / 2.35 = 3.55
    assert round(middle.calls_per_month, 3) == Decimal("8.696")
    assert middle.months == pytest.approx(Decimal(100) / saving)
    # So many calls a month save in a year what training costs, one less does not.
    assert 12 * Decimal("2.35") * (volume - 1) < 100 <= 12 * Decimal("2.35") * volume


def test_a_tuned_model_needs_no_examples_where_it_answers(ask):
    """1 M in, half of 400,000 constant are examples: 800,000 at $.15 = .12 in place of 2.50; the call of gpt-4o-mini stays."""
    calls = [
        call(0, input_total_tokens=1_000_000, static_prompt_tokens=400_000),
        call(1, input_total_tokens=1_000_000, static_prompt_tokens=400_000, model_canonical="gpt-4o-mini"),
    ]

    found = ask(calls, "fine_tune", *SURE)

    assert dollars(found, "actual", "cost_mid") == [Decimal("2.65"), Decimal("0.27")]
    assert [one.case for one in found.paybacks] == ["low", "mid", "high"]


# ---- prices, and what changes nothing


def test_a_turn_costs_all_of_its_steps(ask):
    """Eleven calls of one turn at $1 each, ten per cent dearer: 12.10, where a planner of one call a turn says 1.10."""
    calls = [call(n, session_id="s", input_total_tokens=400_000) for n in range(11)]

    assert dollars(ask(calls, "price_change"), "actual", "cost_mid") == [11, Decimal("12.1")]


NOTHING = {
    "price_change": ("change=0",),
    "routing": ("share=0",),
    "output_cap": ("cap_tokens=1000000",),
    "context_trim": ("trim_share=0",),
    "response_cache": ("repeat_share=0", "lookup_usd=0"),
    "prompt_cache": ("min_prefix_tokens=1000000",),
    "micro_batch": ("group_calls=1",),
    "free_tier_limit": ("calls_per_month=1000000",),
    "batch": ("share=0",),
    "flex": ("share=0",),
    "fine_tune": ("share=0", "example_share=0"),
    "cascade": ("to_model=openai/gpt-4o-mini", "customer_id=nobody"),
    "byom": ("to_model=openai/gpt-4o-mini", "customer_id=nobody"),
    "vendor": ("to_model=openai/gpt-4o-mini", "customer_id=nobody"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_changes_nothing_costs_the_same_to_the_last_digit(ask, name):
    calls = [
        call(
            n,
            input_total_tokens=1237 * n + 1,
            output_total_tokens=331 * n,
            static_prompt_tokens=100,
            user_id="u",
            feature="f",
        )
        for n in range(30)
    ]

    total = ask(calls, name, *NOTHING[name], ref_features=[{"feature": "f", "workload": "async"}]).total

    assert total["cost_low_usd"] == total["cost_mid_usd"] == total["cost_high_usd"] == total["actual_usd"] > 0


@pytest.mark.parametrize(
    "name", ["routing+output_cap+batch", "response_cache", "prompt_cache", "context_trim", "fine_tune"]
)
def test_what_the_settings_leave_as_it_is_need_not_tell_rows_apart(ask, monkeypatch, name):
    """The same to the last digit as where rows are told apart by everything that a lever could change."""
    calls = [
        call(
            n,
            input_total_tokens=1237 * n + 4001,
            output_total_tokens=331 * n + 1,
            static_prompt_tokens=2000,
            prompt_hash=f"h{n % 7}",
            session_id=f"s{n % 3}",
            feature="f",
            model_canonical=("gpt-4o", "gpt-4o-mini")[n % 2],
        )
        for n in range(40)
    ]
    given = [text for text in ("output_cap.cap_tokens=900",) if "output_cap" in name]
    more: dict[str, Any] = {"ref_features": [{"feature": "f", "workload": "async"}]}

    told = ask(calls, name, *given, **more)
    monkeypatch.setattr(replay, "_changes", lambda lever, factor: factor in lever.kind.factors)
    whole = ask(calls, name, *given, **more)

    assert told.total == whole.total
    assert told.total["changed_requests"] > 0


# ---- several levers


def test_levers_in_sequence_save_less_than_their_sum(ask):
    """$100: a cap of 10 % leaves 90, a model of half the price 45, a batch of half the price for 40 % of it (20 %) 36.

    In this order 10, 45 and 9, sum 64; each alone 10, 50 and 20, which would be 80.
    """
    calls = [call(n, output_total_tokens=1_000_000) for n in range(10)]

    found = ask(
        calls,
        "batch+output_cap+routing",
        "cap_tokens=900000",
        "retry_share=0",
        "to_model=anthropic/claude-haiku-4-5",
        "routing.share=1",
        "output_ratio=1",
        "failure_rate=0",
        "batch.share=0.4",
        "feature=chat",
    )

    assert found.name == "output_cap+routing+batch"
    assert dollars(found, "actual", "cost_mid", "saving_mid") == [100, 36, 64]
    assert [int(step["saving_mid_usd"]) for step in found.steps] == [10, 45, 9]
    assert [int(step["alone_mid_usd"]) for step in found.steps] == [10, 50, 20]
    # Last: without the cap 60 are saved, without the model 28, without the batch 55.
    assert [int(step["last_mid_usd"]) for step in found.steps] == [4, 36, 9]


def test_of_four_levers_each_is_told_first_in_order_and_last(ask):
    """$100 of output as above and $10 of long prompts, half of which is trimmed: $5 as the first. As the last it is 2 M tokens at the $1
    of haiku, of which .8 is paid for two fifths in a batch: 1.60."""
    calls = [call(n, input_total_tokens=400_000, output_total_tokens=1_000_000) for n in range(10)]

    found = ask(
        calls,
        "batch+output_cap+routing+context_trim",
        "cap_tokens=900000",
        "retry_share=0",
        "trim_share=0.5",
        "to_model=anthropic/claude-haiku-4-5",
        "routing.share=1",
        "output_ratio=1",
        "failure_rate=0",
        "batch.share=0.4",
        "feature=chat",
    )

    trim = next(step for step in found.steps if step["scenario"] == "context_trim")
    assert [trim[f"{kind}_mid_usd"].normalize() for kind in ("alone", "saving", "last")] == [5, 5, Decimal("1.6")]
    assert sum(step["saving_mid_usd"] for step in found.steps) == found.total["saving_mid_usd"]
    # 110 - 5 trimmed - 10 capped; 2 M at $1 and 9 M at $5 are 47, of which .8 is paid: 37.60.
    assert dollars(found, "actual", "cost_mid") == [110, Decimal("37.6")]


def test_the_savings_of_features_add_up_to_that_of_all(ask):
    calls = [
        call(n, feature=f"f{n % 3}", input_total_tokens=997 * n + 5, output_total_tokens=77 * n) for n in range(40)
    ]

    found = ask(calls, "routing+output_cap", "min_calls=5", "to_model=openai/gpt-4o-mini")

    for case in ("low", "mid", "high"):
        name = f"saving_{case}_usd"
        assert sum(row[name] for row in found.by(["feature"])) == found.total[name]
        assert sum(step[name] for step in found.steps) == found.total[name]


# ---- what chance separates


def test_where_every_user_saves_the_same_share_chance_separates_nothing(ask):
    """Forty users with a call of $2.50 each, all routed to $0.15: .94 in every draw."""
    calls = [call(n, user_id=f"u{n}", input_total_tokens=1_000_000) for n in range(40)]

    one = ask(calls, "routing", *SURE, "share=1").interval

    assert (one.verdict, one.clusters, one.cluster_units) == ("ok", 40, ("user",))
    assert one.share_low == one.share_high == Decimal("0.94")
    assert one.saving_low_usd == one.saving_high_usd == 94


def test_the_interval_is_of_users_and_not_of_calls(ask):
    """Half of forty users save .94 of their spend, half nothing: .47. The share of one user in two varies by .47 / sqrt(40) = .074 over
    draws, so 95 % lie within about .15 on either side; a hundred calls a user more or less make no difference."""
    one, many = (
        ask(
            [
                call(n, user_id=f"u{user}", feature="short" if user % 2 else "long", input_total_tokens=1_000_000)
                for n in range(calls)
                for user in range(40)
            ],
            "routing",
            *SURE,
            "share=1",
            "feature=short",
        ).interval
        for calls in (1, 10)
    )

    assert one.share_low is not None
    assert one.share_high is not None
    assert (one.share_low, one.share_high) == (many.share_low, many.share_high)
    assert one.share_low == pytest.approx(Decimal("0.47") - Decimal("0.15"), abs=Decimal("0.05"))
    assert one.share_high == pytest.approx(Decimal("0.47") + Decimal("0.15"), abs=Decimal("0.05"))


def test_cells_and_calls_have_the_same_interval_where_users_differ_in_cost_alone(ask):
    """Batch of an async feature is told from cells: a user's saving is his cost there times what the feature saves."""
    calls = [
        call(n, user_id=f"u{n}", feature="reports" if n % 2 else "chat", input_total_tokens=1_000_000)
        for n in range(40)
    ]

    found = ask(calls, "batch", "share=1", ref_features=[{"feature": "reports", "workload": "async"}])

    assert found.interval.clusters == 40
    assert found.interval.share_low is not None
    assert Decimal("0.15") < found.interval.share_low < Decimal("0.25")
    [reports] = [one for one in found.intervals if one.feature == "reports"]
    assert (reports.verdict, reports.clusters, reports.share_low) == ("insufficient", 20, None)


def test_too_few_users_have_no_interval(ask):
    """29 of the 30 that thresholds.csv asks for; a thousand calls of them make no sample."""
    calls = [call(n, user_id=f"u{n % 29}", input_total_tokens=1_000_000) for n in range(1000)]

    one = ask(calls, "routing", *SURE).interval

    assert (one.verdict, one.clusters, one.saving_low_usd) == ("insufficient", 29, None)


@pytest.mark.parametrize("order", ["started_at, request_key", "request_key desc"])
def test_costs_are_found_by_key_whatever_the_order_of_the_tables(weeks_of, order):
    """Two calls of $1 and $9 at one instant; the short one routed: .94. Side by side in another order they would swap their costs."""
    calls = [call(0, feature=name, input_total_tokens=tokens) for name, tokens in (("a", 400_000), ("b", 3_600_000))]
    weeks = weeks_of(calls, by_the_book=True)
    for table in inputs():
        weeks.make(table)
    weeks.con.execute(f"create table again as from ledger_costs order by {order}")
    weeks.con.execute("drop table ledger_costs")
    weeks.con.execute("alter table again rename to ledger_costs")
    asked = scenarios_of(SCENARIOS, "routing", [*SURE, "share=1", "feature=a"])

    found = answer(weeks.con, SCENARIOS, asked, date(2026, 11, 2), date(2026, 11, 9))

    assert {row["feature"]: row["actual_usd"] for row in found.by(["feature"])} == {"a": 1, "b": 9}
    assert dollars(found, "saving_mid") == [Decimal("0.94")]
