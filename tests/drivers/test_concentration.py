"""Spend drivers and how concentrated spend is: worked examples, classes that do not flap, and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

MONDAY = datetime(2026, 10, 5, 12, tzinfo=UTC)
THIS_WEEK = date(2026, 10, 5)
TEN = (50, 25, 8, 5, 4, 3, 2, 1, 1, 1)


def week_of(costs: Mapping[str, Any] | Sequence[Any], weeks_before: int = 0, **more: Any) -> list[dict[str, Any]]:
    """One call a type with its cost, in dollars; types are called a, b, c ... unless named."""
    named = costs if isinstance(costs, Mapping) else dict(zip("abcdefghijklmnopqrstuvwxyz", costs, strict=False))
    return [
        {
            "started_at": MONDAY - timedelta(weeks=weeks_before),
            "feature": name,
            "user_id": "u",
            "cost_usd": None if cost is None else Decimal(str(cost)),
            "is_priced": cost is not None,
            **more,
        }
        for name, cost in named.items()
    ]


def concentration(books: Any, monday: date = THIS_WEEK, time_window: str = "1w", cut: str = "request_type") -> Any:
    return books.row("mart_spend_concentration_weekly", week_start_date=monday, time_window=time_window, cut=cut)


def classes(books: Any, monday: date, time_window: str = "1w") -> dict[str, str]:
    rows = books.rows("mart_spend_drivers_weekly", week_start_date=monday, time_window=time_window, cut="request_type")
    return {row["feature"]: row["abc_class"] for row in rows}


def test_ten_types_of_the_example_are_measured_as_printed(weeks_of):
    """Costs 50, 25, 8, 5, 4, 3, 2, 1, 1, 1."""
    found = concentration(weeks_of(week_of(TEN)))

    assert (found["top10_share"], found["top20_share"]) == (Decimal("0.5"), Decimal("0.75"))
    assert (found["types_for_60"], found["types_for_80"]) == (2, 3)
    assert (found["types_a"], found["types_b"], found["types_c"]) == (3, 3, 4)
    assert round(found["gini"], 3) == 0.654
    assert round(found["hhi"], 4) == 0.3246
    assert round(found["effective_types"], 4) == 3.0807
    assert found["effective_cost_usd"] == 100
    assert found["verdict"] == "holds"
    assert found["sentence"] == (
        "3 of 10 request types (30 %) make 83 % of the spend. The dearest fifth makes 75 % (75-75 %): "
        "that 10-20 % of types make 60-80 % of spend holds; the interval is rough with 1 users."
    )


def test_the_list_has_rank_share_and_class(weeks_of):
    """Shares of the example, and what the first so many make together."""
    rows = weeks_of(week_of(TEN)).rows("mart_spend_drivers_weekly", time_window="1w", cut="request_type")

    assert [float(row["share"]) for row in rows] == [0.5, 0.25, 0.08, 0.05, 0.04, 0.03, 0.02, 0.01, 0.01, 0.01]
    assert [float(row["cumulative_share"]) for row in rows] == [0.5, 0.75, 0.83, 0.88, 0.92, 0.95, 0.97, 0.98, 0.99, 1]
    assert [row["rank"] for row in rows] == list(range(1, 11))
    assert "".join(row["abc_class"] for row in rows) == "AAABBBCCCC"
    # Of equal cost: by name.
    assert [row["feature"] for row in rows[-3:]] == ["h", "i", "j"]
    assert rows[0]["driver"] == "a | (unnamed) | (unnamed)"
    assert {row["rank_previous"] for row in rows} == {None}


def test_class_a_before_and_now_is_compared_by_names(weeks_of):
    """A was a, b, c and is b, c, d: two in both, four in either: 0.5."""
    before = {"a": 40, "b": 25, "c": 20, "d": 10, "e": 5}
    now = {"b": 40, "c": 25, "d": 22, "a": 8, "e": 5}

    books = weeks_of([*week_of(before, 1), *week_of(now)])

    found = concentration(books)
    assert classes(books, THIS_WEEK - timedelta(weeks=1)) == dict(zip("abcde", "AAABC", strict=True))
    assert found["jaccard_previous"] == Decimal("0.5")
    assert (found["entered_a"], found["left_a"]) == (
        ["d | (unnamed) | (unnamed)"],
        ["a | (unnamed) | (unnamed)"],
    )
    assert "the same as in the week before except d (new), a (gone)." in (found["sentence"])
    ranks = books.rows("mart_spend_drivers_weekly", week_start_date=THIS_WEEK, time_window="1w", cut="request_type")
    assert {row["feature"]: (row["rank"], row["rank_previous"]) for row in ranks} == {
        "b": (1, 2), "c": (2, 3), "d": (3, 4), "a": (4, 1), "e": (5, 5),
    }  # fmt: skip


def test_a_type_of_class_a_stays_until_those_before_it_make_more_than_85_percent(weeks_of):
    """c begins at 75 % (an A), at 84 % and 85 % (stays), at 86 % (leaves), and at 84 % again (does not come back)."""
    starts = (75, 84, 85, 86, 84)
    rows = []
    for number, start in enumerate(starts):
        rest = Decimal(100 - start - 8) / 4
        rows += week_of({"a": start - 25, "b": 25, "c": 8, "d": rest, "e": rest, "f": rest, "g": rest}, 4 - number)

    books = weeks_of(rows)

    mondays = [THIS_WEEK - timedelta(weeks=4 - number) for number in range(5)]
    assert [classes(books, monday)["c"] for monday in mondays] == ["A", "A", "A", "B", "B"]


def test_four_weeks_are_compared_with_the_four_before_them(weeks_of):
    """Eight weeks: a leads the first four, b the last four. Within them one week's order changes nothing."""
    rows = []
    for back in range(8):
        rows += week_of({"a": 90, "b": 10} if back >= 4 else {"a": 10, "b": 90}, back)

    books = weeks_of(rows)

    found = concentration(books, time_window="4w")
    assert (found["effective_cost_usd"], found["weeks"]) == (400, 4)
    assert found["jaccard_previous"] == 0
    [first, second] = books.rows(
        "mart_spend_drivers_weekly", week_start_date=THIS_WEEK, time_window="4w", cut="request_type"
    )
    assert (first["feature"], first["rank_previous"], second["feature"], second["rank_previous"]) == ("b", 2, "a", 1)
    # The fifth week's four weeks are the first four and itself: there is no window before it.
    early = concentration(books, THIS_WEEK - timedelta(weeks=4), "4w")
    assert early["jaccard_previous"] is None
    assert early["entered_a"] is None


@pytest.mark.parametrize(
    ("costs", "verdict", "words"),
    [
        (TEN[:9], "too_few_types", "Too few to ask whether"),
        ([10] * 10, "does_not_hold", "does not hold, it takes 8 types (80 %) for 80 %"),
        ([45, 30, 4, 4, 4, 4, 4, 3, 1, 1], "holds", "60-80 % of spend holds"),
    ],
)
def test_the_verdict_is_said_in_words(weeks_of, costs, verdict, words):
    """One user: no draw differs from the whole. Ten equal types: the dearest two make 20 %."""
    found = concentration(weeks_of(week_of(costs)))

    assert found["verdict"] == verdict
    assert words in found["sentence"]
    assert (found["top20_share_low"] is None) == (verdict == "too_few_types")


def test_an_interval_around_60_percent_leaves_the_claim_open(weeks_of):
    """Ten types, 100 users, 62 of them on the two large ones: 62 %, give or take 5."""
    rows = []
    for user in range(100):
        kind = f"large-{user % 2}" if user < 62 else f"small-{user % 8}"
        rows += week_of({kind: 1}, user_id=f"u{user}")

    found = concentration(weeks_of(rows))

    assert found["verdict"] == "partly"
    assert found["top20_share_low"] < Decimal("0.6") < found["top20_share_high"]
    assert found["sentence"].endswith("may hold or not.")


def test_calls_without_a_price_are_left_out_and_said(weeks_of):
    """Of 11 calls one of 1,100 tokens has no price: 9.1 % of the tokens, its type is no driver, no alert may follow."""
    books = weeks_of([*week_of(TEN), *week_of({"z": None})])

    found = concentration(books)
    assert (found["types"], found["requests"], found["unpriced_requests"], found["unpriced_tokens"]) == (
        10,
        11,
        1,
        1100,
    )
    assert found["is_incomplete"]
    assert found["sentence"].endswith("9.1 % of the tokens have no price and are left out.")
    assert "z" not in classes(books, THIS_WEEK)


def test_spend_that_is_not_known_at_all_is_not_zero(weeks_of):
    found = concentration(weeks_of(week_of({"z": None})))

    assert found["effective_cost_usd"] is None
    assert found["top20_share"] is None
    assert (found["types"], found["verdict"]) == (0, "too_few_types")
    assert found["sentence"].startswith("No request type has a cost.")


def test_models_and_lengths_of_input_are_further_cuts(weeks_of):
    """Two models share one type; calls of 1,000 and of 200,000 tokens (2^9 and 2^17) cost 1 and 9."""
    rows = week_of({"a": 1}, model_canonical="small", input_total_tokens=1_000)
    rows += week_of({"a": 9}, model_canonical="large", input_total_tokens=200_000)

    books = weeks_of(rows)

    drivers = books.rows("mart_spend_drivers_weekly", time_window="1w")
    assert [(row["cut"], row["driver"], float(row["share"]), float(row["requests_share"])) for row in drivers] == [
        ("input_size", "131072-262143 tokens", 0.9, 0.5),
        ("input_size", "512-1023 tokens", 0.1, 0.5),
        ("model", "openai | large", 0.9, 0.5),
        ("model", "openai | small", 0.1, 0.5),
        ("request_type", "a | (unnamed) | (unnamed)", 1, 1),
    ]


def test_the_dearest_hundredth_of_the_calls_is_found_over_weeks(weeks_of):
    """300 calls in three weeks; the three dearest cost 97, 50 and 53 of 200 + 297 dollars, wherever they stand."""
    rows = []
    for back, dear in ((0, [97, 50]), (1, [53]), (2, [])):
        rows += [one for cost in dear for one in week_of({"a": cost}, back)]
        rows += week_of({"a": 1}, back) * (100 - len(dear))

    books = weeks_of(rows)

    assert float(concentration(books, time_window="4w")["dearest_hundredth_share"]) == pytest.approx(200 / 497)
    assert float(concentration(books)["dearest_hundredth_share"]) == pytest.approx(97 / 245)


def test_a_week_under_way_is_listed_and_not_yet_part_of_four_weeks(weeks_of):
    """The books' now is Friday: the week has its list and says that it is not over; a moment after its end it is."""
    rows = [*week_of(TEN, 1), *week_of(TEN)]

    friday = weeks_of(rows, now=datetime(2026, 10, 9, tzinfo=UTC))
    after = weeks_of(rows, now=datetime(2026, 10, 12, tzinfo=UTC))

    assert concentration(friday)["sentence"].startswith("The week is not over. 3 of 10")
    assert not concentration(friday)["is_closed"]
    assert friday.rows("mart_spend_concentration_weekly", week_start_date=THIS_WEEK, time_window="4w") == []
    assert concentration(after, time_window="4w")["is_closed"]
    assert not concentration(weeks_of(rows, now=datetime(2026, 10, 12, tzinfo=UTC), zone="America/New_York"))[
        "is_closed"
    ]


def test_a_request_type_has_an_owner_and_what_to_look_at_first(weeks_of):
    """chat passes from care to bots on the Monday. 1,000 in at $2.50 and 100 out at $10 a million: $.0025 and $.0010.

    With 900 read at $.25: $.000475 of $.001475 is input, so output comes first; of 900 read and 10 out input does, and it is cached.
    """
    kinds = {
        "long answers": {"output_total_tokens": 1_000},
        "not cached": {"cache_read_tokens": 0},
        "cached": {"cache_read_tokens": 900, "output_total_tokens": 10},
    }
    rows = [
        {"started_at": MONDAY, "user_id": "u", "prompt_name": name, "feature": "chat"} | said
        for name, said in kinds.items()
    ]
    rows.append({"started_at": MONDAY, "user_id": "u", "feature": "whole", "cost_usd": Decimal(1)})
    features = [
        {"feature": "chat", "owner_team": "care", "valid_to_date": THIS_WEEK},
        {"feature": "chat", "owner_team": "bots", "valid_from_date": THIS_WEEK},
    ]

    books = weeks_of(rows, ref_features=features)

    found = books.rows("mart_spend_drivers_weekly", time_window="1w", cut="request_type")
    assert {row["prompt_name"]: (row["owner_team"], row["cost_hangs_on"]) for row in found} == {
        "long answers": ("bots", "output"),
        "not cached": ("bots", "cache"),
        "cached": ("bots", "context"),
        "(unnamed)": ("unattributed", None),
    }
    others = [row for row in books.rows("mart_spend_drivers_weekly") if row["cut"] != "request_type"]
    assert {(row["owner_team"], row["cost_hangs_on"]) for row in others} == {(None, None)}
    assert books.broken("mart_spend_drivers_weekly") == []
