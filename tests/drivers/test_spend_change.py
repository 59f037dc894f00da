"""The change of spend against the week before, split into effects that sum to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BEFORE, WEEK = date(2026, 10, 5), date(2026, 10, 12)
EFFECTS = (
    *(
        "volume_usd",
        "feature_mix_usd",
        "tier_mix_usd",
        "model_mix_usd",
        "input_usd",
        "cache_usd",
        "output_usd",
        "output_mix_usd",
    ),
    *("price_usd", "other_usd", "launch_usd", "retired_usd"),
)
MILLION = 1_000_000
Row = Mapping[str, Any]


def cell(
    monday: date,
    requests: int,
    *,
    tokens: Mapping[str, int] | None = None,
    usd: Mapping[str, str] | None = None,
    other_usd: str = "0",
    **more: Any,
) -> dict[str, Any]:
    """A day's calls with tokens of classes a call and USD per million of each; ``other_usd`` has no class."""
    tokens, usd = tokens or {}, usd or {}
    totals = {name: requests * count for name, count in tokens.items()}
    costs = {name: Decimal(total) * Decimal(usd[name]) / MILLION for name, total in totals.items()}
    row = {
        "usage_date": monday + timedelta(days=2),
        "feature": "chat",
        "model_canonical": "gpt-4o",
        "requests": requests,
        "unpriced_requests": 0,
        "unpriced_tokens": 0,
        "total_tokens": sum(totals.values()),
        "effective_cost_usd": sum(costs.values()) + Decimal(other_usd),
        "unsplit_cost_usd": Decimal(other_usd),
        **{f"{name}_priced_tokens": total for name, total in totals.items()},
        **{f"{name}_cost_usd": cost for name, cost in costs.items()},
    }
    return row | more


def change_of(run, cells, *, now: datetime = datetime(2026, 12, 1, tzinfo=UTC), showback=()) -> list[dict[str, Any]]:
    rows = run(
        "mart_spend_change_weekly",
        stat_cost_cells_daily=cells,
        mart_showback_weekly=showback,
        ledger_clock=[{"clock": "books", "now_at": now}],
        ref_reporting=[{"reporting_time_zone": "UTC"}],
    )
    for row in rows:
        if row["delta_usd"] is not None:
            assert sum(row[effect] for effect in EFFECTS) == row["delta_usd"]
            assert abs(row["rounding_plug_usd"]) <= Decimal("0.00001")
    return rows


def effects(row: Row) -> dict[str, Decimal]:
    """What is not 0, in dollars and cents."""
    return {name.removesuffix("_usd"): round(row[name], 2) for name in EFFECTS if row[name]}


PLAIN = {"input_uncached": "2", "output_text": "10"}


def test_longer_answers_and_a_lower_price_stand_apart(run):
    """100,000 to 120,000 calls of 1,000 in, 200 to 250 out, $10 to $8: $400 to $480.

    Volume 20,000 x (.0040 + .0040)/2 = 80; output 110,000 x 50 x 9/M = 49.50; price 110,000 x 225 x -2/M = -49.50.
    """
    [row] = change_of(
        run,
        [
            cell(BEFORE, 100_000, tokens={"input_uncached": 1_000, "output_text": 200}, usd=PLAIN),
            cell(
                WEEK, 120_000, tokens={"input_uncached": 1_000, "output_text": 250}, usd={**PLAIN, "output_text": "8"}
            ),
        ],
    )

    assert (row["previous_cost_usd"], row["effective_cost_usd"], row["delta_usd"]) == (400, 480, 80)
    assert effects(row) == {"volume": Decimal("80.00"), "output": Decimal("49.50"), "price": Decimal("-49.50")}


def test_longer_prompts_and_fewer_cache_reads_stand_apart(run):
    """The same with 1,000 to 1,200 in, half to a quarter of it cached at $1: $350 to $492.

    Input 110,000 x 200 x (.625 x 2 + .375 x 1)/M = 35.75; cache 110,000 x 1,100 x -.25 x (1 - 2)/M = 30.25.
    """
    usd = {**PLAIN, "cache_read": "1"}
    [row] = change_of(
        run,
        [
            cell(BEFORE, 100_000, tokens={"input_uncached": 500, "cache_read": 500, "output_text": 200}, usd=usd),
            cell(
                WEEK,
                120_000,
                tokens={"input_uncached": 900, "cache_read": 300, "output_text": 250},
                usd={**usd, "output_text": "8"},
            ),
        ],
    )

    assert (row["previous_cost_usd"], row["effective_cost_usd"]) == (350, 492)
    assert {name: str(usd) for name, usd in effects(row).items()} == {
        "volume": "76.00",
        "input": "35.75",
        "cache": "30.25",
        "output": "49.50",
        "price": "-49.50",
    }


def _moved_to_the_dearer_model() -> list[Row]:
    """100 calls a week; the share of A ($.01 a call) from .8 to .5, of B ($.10) from .2 to .5."""
    return [
        cell(monday, requests, tokens={"output_text": 1_000}, usd={"output_text": usd}, model_canonical=model)
        for monday, model, requests, usd in (
            (BEFORE, "a", 80, "10"),
            (BEFORE, "b", 20, "100"),
            (WEEK, "a", 50, "10"),
            (WEEK, "b", 50, "100"),
        )
    ]


def test_a_move_to_a_dearer_model_is_model_mix_alone(run):
    """$2.80 to $5.50: A loses 30 calls x .01, B gains 30 x .10. Centred by the mean call, .65 x .01 + .35 x .10 = .0415."""
    a, b = change_of(run, _moved_to_the_dearer_model())

    assert [effects(row) for row in (a, b)] == [{"model_mix": Decimal("-0.30")}, {"model_mix": Decimal("3.00")}]
    assert [row["model_mix_centred_usd"] for row in (a, b)] == [Decimal("0.945"), Decimal("1.755")]


def test_a_new_feature_leaves_every_other_effect_as_it_is(run):
    """10 calls at $.02 are +$0.20 of launch."""
    new = cell(
        WEEK, 10, tokens={"output_text": 2_000}, usd={"output_text": "10"}, feature="report", model_canonical="a"
    )

    *others, launched = change_of(run, [*_moved_to_the_dearer_model(), new])

    assert others == change_of(run, _moved_to_the_dearer_model())
    assert effects(launched) == {"launch": Decimal("0.20")}


def test_a_feature_without_a_call_any_more_is_retired(run):
    old = cell(BEFORE, 10, tokens={"output_text": 2_000}, usd={"output_text": "10"}, feature="report")

    rows = change_of(run, [*_moved_to_the_dearer_model(), old])

    assert effects(rows[-1]) == {"retired": Decimal("-0.20")}
    assert sum(row["delta_usd"] for row in rows) == Decimal("2.50")


def test_a_model_that_is_new_in_its_feature_has_no_effect_of_rates(run):
    """100 calls of A at $.01, then 50 of A and 50 of B at $.10: all of it is the mix, nothing is longer or dearer."""
    rows = change_of(
        run, [row for row in _moved_to_the_dearer_model() if row["usage_date"] > WEEK or row["model_canonical"] == "a"]
    )

    assert {name for row in rows for name in effects(row)} == {"volume", "model_mix"}
    assert sum(row["delta_usd"] for row in rows) == Decimal("4.70")


def test_the_same_model_of_another_seller_is_a_move_and_no_change_of_price(run):
    """100 calls from OpenAI at $.01 to Azure at $.02: 100 x (.02 - .01) of mix."""
    rows = change_of(
        run,
        [
            cell(BEFORE, 100, tokens={"output_text": 1_000}, usd={"output_text": "10"}),
            cell(WEEK, 100, tokens={"output_text": 1_000}, usd={"output_text": "20"}, provider="azure"),
        ],
    )

    assert sum(row["model_mix_usd"] for row in rows) == sum(row["delta_usd"] for row in rows) == Decimal("1.00")


def test_speech_in_place_of_text_is_no_longer_answer(run):
    """1,000 calls of 100 tokens, all text at $10, then half of it speech at $80: 1,000 x 100 x .5 x (80 - 10)/M = 3.50."""
    usd = {"output_text": "10", "output_audio": "80"}
    [row] = change_of(
        run,
        [
            cell(BEFORE, 1_000, tokens={"output_text": 100}, usd=usd),
            cell(WEEK, 1_000, tokens={"output_text": 50, "output_audio": 50}, usd=usd),
        ],
    )

    assert effects(row) == {"output_mix": Decimal("3.50")}


def test_costs_without_a_split_count_by_the_call(run):
    """100 calls with $1 of searches, then 100 with $3."""
    rows = [
        cell(monday, 100, tokens={"output_text": 10}, usd=PLAIN, other_usd=usd)
        for monday, usd in ((BEFORE, "1"), (WEEK, "3"))
    ]

    [row] = change_of(run, rows)

    assert effects(row) == {"other": Decimal("2.00")}


def test_calls_without_a_price_are_no_change_and_say_so(run):
    """80 of 180 calls lack a price: the 100 others are what is compared."""
    before = cell(BEFORE, 100, tokens={"output_text": 1_000}, usd=PLAIN)
    after = cell(WEEK, 100, tokens={"output_text": 1_000}, usd=PLAIN) | {
        "requests": 180,
        "unpriced_requests": 80,
        "unpriced_tokens": 80_000,
        "total_tokens": 180_000,
    }
    unpriced = {
        "effective_cost_usd": None,
        "requests": 5,
        "unpriced_requests": 5,
        "unpriced_tokens": 500,
        "total_tokens": 500,
    }
    trial = [cell(monday, 0, model_canonical="trial") | unpriced for monday in (BEFORE, WEEK)]

    chat, unknown = change_of(run, [before, after, *trial])

    assert (chat["delta_usd"], effects(chat)) == (0, {})
    assert (chat["unpriced_requests"], chat["is_incomplete"]) == (80, True)
    # What has no cost in either week has no change, not one of 0.
    assert unknown["delta_usd"] is None
    assert {unknown[effect] for effect in EFFECTS} == {None}


def test_a_week_in_which_no_feature_that_stays_has_a_price_is_volume_alone(weeks_of):
    """$0.0035 before; then its calls have no price, and another feature begins: the mixes are 0, centred or not."""
    at = datetime(2026, 10, 7, tzinfo=UTC)
    books = weeks_of(
        [
            {"started_at": at, "feature": "old"},
            {"started_at": at + timedelta(weeks=1), "feature": "old", "is_priced": False},
            {"started_at": at + timedelta(weeks=1), "feature": "new"},
        ],
        mart_showback_weekly=[],
    )

    old = books.row("mart_spend_change_weekly", feature="old")
    assert (old["volume_usd"], old["feature_mix_usd"], old["feature_mix_centred_usd"]) == (Decimal("-0.0035"), 0, 0)
    assert books.broken("mart_spend_change_weekly") == []


def test_a_week_that_is_not_over_and_a_first_week_are_not_compared(run):
    cells = [cell(monday, 10, tokens={"output_text": 10}, usd=PLAIN) for monday in (BEFORE, WEEK)]

    assert change_of(run, cells, now=datetime(2026, 10, 18, 23, tzinfo=UTC)) == []
    assert [row["week_start_date"] for row in change_of(run, cells)] == [WEEK]


def test_with_the_allocation_the_lines_make_the_change_of_the_invoice(run):
    """Chat $1 to $2, invoiced $1.10 to $2.50: .40 more allocated. A fee of $5 without a call is allocation alone."""
    cells = [
        cell(monday, calls, tokens={"output_text": 1_000}, usd=PLAIN) for monday, calls in ((BEFORE, 100), (WEEK, 200))
    ]
    key = {"feature": "chat", "customer_tier": "unattributed", "provider": "openai", "model_canonical": "gpt-4o"}
    fee = {**dict.fromkeys(("feature", "customer_tier", "model_canonical"), "unattributed"), "provider": "openai"}
    showback = [
        {"week_start_date": BEFORE, "invoiced_cost_usd": Decimal("1.10"), **key},
        {"week_start_date": WEEK, "invoiced_cost_usd": Decimal("2.00"), **key},
        {"week_start_date": WEEK, "invoiced_cost_usd": Decimal("0.50"), "team": "care", **key},
        {"week_start_date": WEEK, "invoiced_cost_usd": Decimal(5), **fee},
    ]

    chat, unattributed = change_of(run, cells, showback=showback)

    assert (chat["delta_usd"], chat["allocation_usd"], chat["invoiced_delta_usd"]) == (
        1,
        Decimal("0.40"),
        Decimal("1.40"),
    )
    assert (unattributed["requests"], unattributed["delta_usd"], unattributed["allocation_usd"]) == (0, 0, 5)


def test_the_table_keeps_its_promises_over_calls(weeks_of):
    """Two weeks of calls with a cache, through the ledger's own columns."""
    calls = [
        {"started_at": datetime(2026, 10, day, 12, tzinfo=UTC), "cache_read_tokens": read, "output_total_tokens": out}
        for day, read, out in ((6, 600, 100), (7, 0, 120), (13, 100, 200), (14, 0, 250), (15, 0, 10))
    ]
    books = weeks_of(calls, mart_showback_weekly=[])

    row = books.row("mart_spend_change_weekly")

    assert row["delta_usd"] == round(row["effective_cost_usd"] - row["previous_cost_usd"], 6)
    assert effects(row).keys() == {"volume", "cache", "output"}
    assert books.broken("mart_spend_change_weekly") == []


_counts = st.integers(0, 10_000_000)
_cells = st.builds(
    lambda monday, feature, tier, model, requests, tokens, usd, other: cell(
        monday,
        requests,
        tokens=tokens,
        usd=usd,
        other_usd=str(other),
        feature=feature,
        customer_tier=tier,
        model_canonical=model,
    ),
    st.sampled_from([BEFORE, WEEK, WEEK + timedelta(days=7)]),
    st.sampled_from("fgh"),
    st.sampled_from(["free", "pro"]),
    st.sampled_from("abc"),
    st.integers(1, 1_000_000),
    st.dictionaries(
        st.sampled_from(["input_uncached", "cache_read", "cache_write_1h", "output_text", "output_reasoning"]),
        st.integers(0, 100_000),
    ),
    st.fixed_dictionaries(
        {
            name: st.decimals("0", "600", places=3).map(str)
            for name in ("input_uncached", "cache_read", "cache_write_1h", "output_text", "output_reasoning")
        }
    ),
    st.decimals("0", "100", places=4),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(_cells, min_size=1, max_size=40))
def test_effects_sum_to_the_change_of_any_cells(run, cells):
    """The change is worked out from the rows apart; the check of each row is in change_of."""
    spent: dict[date, Decimal] = {}
    for row in cells:
        monday = row["usage_date"] - timedelta(days=2)
        spent[monday] = spent.get(monday, Decimal(0)) + row["effective_cost_usd"]

    found = change_of(run, cells)

    for monday in {row["week_start_date"] for row in found}:
        rows = [row for row in found if row["week_start_date"] == monday]
        change = spent.get(monday, Decimal(0)) - spent[monday - timedelta(days=7)]
        assert abs(sum(row["delta_usd"] for row in rows) - change) <= Decimal("0.000001") * len(rows)
        for mix in ("feature_mix", "tier_mix", "model_mix"):
            both = [sum(row[f"{mix}{kind}_usd"] for row in rows) for kind in ("", "_centred")]
            assert abs(both[0] - both[1]) <= Decimal("0.00001") * len(rows)
