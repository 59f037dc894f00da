"""The price book: layers, conditions, defects of the package, stability."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from pipelines.prices.book_tables import Book
from pipelines.prices.lookup import rates_at
from pipelines.prices.rates import OPEN_END
from pipelines.prices.version import source_version
from tests.prices.pricing import GOLDEN, REPOSITORY, at, book_of, usd


def price(**given: Any) -> dict[str, Any]:
    return {
        "provider": "openai",
        "model_id": "larch",
        "unit": "input",
        "per_units": 1_000_000,
        "unit_price": "2",
        "effective_from": "2026-01-01",
    } | given


def own(book: Book, model_id: str = "larch") -> list[dict[str, Any]]:
    return book.tables["ref_price_book"].filter(pl.col("model_id") == model_id).to_dicts()


def test_no_two_rates_of_a_key_hold_at_once(book: Book) -> None:
    """Check 1 of section 4.3 over every row: time, context, window and weekday never overlap in a key."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in book.tables["ref_price_book"].filter(pl.col("superseded_at") == OPEN_END).to_dicts():
        names = ("provider", "model_id", "unit", "service_tier", "processing", "region_class")
        groups[tuple(row[name] for name in names)].append(row)

    for key, rows in groups.items():
        for place, left in enumerate(rows):
            for right in rows[place + 1 :]:
                meet = all(
                    left[low] < right[high] and right[low] < left[high]
                    for low, high in (
                        ("effective_from", "effective_to"),
                        ("ctx_min_tokens", "ctx_max_tokens"),
                        ("window_from_s", "window_to_s"),
                    )
                )
                assert not (meet and left["weekday_mask"] & right["weekday_mask"]), key


def test_the_same_input_gives_the_same_book() -> None:
    rows = [price(), price(unit="output", unit_price="8")]

    first, second = book_of(rows), book_of(rows)

    assert first.version == second.version
    assert first.tables["ref_price_book"].equals(second.tables["ref_price_book"])
    assert first.tables["ref_model_names"].equals(second.tables["ref_model_names"])
    assert first.version != book_of([price(unit_price="3")]).version


def test_a_price_id_survives_the_end_of_its_price_and_a_cut() -> None:
    """A price that gets an end, or that another one interrupts, is the same statement: its days must keep their bytes."""
    [open_ended] = own(book_of([price()]))
    [ended] = own(book_of([price(effective_to="2027-01-01")]))
    user = price(known_at="2026-01-01", reference_file="reference/prices.csv")
    offer = user | {"unit_price": "1", "effective_from": "2026-03-01", "effective_to": "2026-04-01"}
    ours = price(known_at="2026-01-01", reference_file="data/shipped/prices.csv")
    before, during, after = (
        next(row for row in own(book_of([ours, offer])) if row["effective_from"] == at(f"{day}T00:00:00Z"))
        for day in ("2026-01-01", "2026-03-01", "2026-04-01")
    )

    assert open_ended["price_id"] == ended["price_id"] == before["price_id"] == after["price_id"] != during["price_id"]


def test_a_row_is_known_by_its_id_its_box_and_when_it_was_believed(book: Book) -> None:
    names = [
        "price_id",
        "effective_from",
        "ctx_min_tokens",
        "window_from_s",
        "weekday_mask",
        "known_at",
        "superseded_at",
    ]

    assert book.tables["ref_price_book"].select(names).is_duplicated().sum() == 0


def test_no_condition_is_null(book: Book) -> None:
    conditions = ["service_tier", "processing", "ctx_min_tokens", "ctx_max_tokens", "region_class", "window_from_s"]
    table = book.tables["ref_price_book"].select(*conditions, "window_to_s", "weekday_mask", "effective_from")

    assert sum(table.null_count().row(0)) == 0


def test_a_user_row_takes_its_box_and_leaves_the_rest() -> None:
    """gpt-4o costs 2.50; a contract list of 2026-12 alone says 2.00."""
    book = book_of(
        [price(model_id="gpt-4o", unit_price="2.00", effective_from="2026-12-01", effective_to="2027-01-01")]
    )

    found = [
        rates_at(book, "openai", "gpt-4o", at(instant)).filter(pl.col("unit") == "input")["unit_price"].to_list()
        for instant in ("2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")
    ]

    assert found == [[usd("2.5")], [usd("2")], [usd("2.5")]]
    assert any("gpt-4o" in problem and "user rows win" in problem for problem in book.problems)


def test_a_later_known_equal_row_supersedes_the_earlier() -> None:
    """BOOKS 7: 89.00 was a slip, 82.50 is known from 2026-10-06; both stay readable."""
    rows = [price(unit_price="89"), price(unit_price="82.50", known_at="2026-10-06")]

    slip, corrected = sorted(own(book_of(rows)), key=lambda row: row["known_at"])

    assert (slip["unit_price"], slip["superseded_at"]) == (usd("89"), at("2026-10-06T00:00:00Z"))
    assert (corrected["unit_price"], corrected["superseded_at"]) == (usd("82.5"), OPEN_END)


def test_two_rows_that_contradict_each_other_are_reported() -> None:
    book = book_of([price(), price(unit_price="3", effective_from="2026-06-01")])

    assert any("two user rows hold at the same time" in problem for problem in book.problems)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"unit_price": "0.0000000001"}, "more than nine decimals"),
        ({"effective_to": "2026-01-01"}, "not after effective_from"),
        ({"currency": "euro"}, "code of three capitals"),
        ({"unit": None}, "no unit"),
    ],
)
def test_a_row_that_cannot_be_used_stops_the_build(broken: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        book_of([price(**broken)])


def test_typing_errors_of_ten_times_are_reported() -> None:
    """Trap 32: cached dearer than uncached; a jump of more than five times."""
    book = book_of(
        [
            price(effective_to="2026-06-01"),
            price(unit_price="20", effective_from="2026-06-01"),
            price(unit="cache_read", unit_price="3"),
        ]
    )

    assert any("jumps from 2 to 20" in problem for problem in book.problems)
    assert any("a cached token's read costs more" in problem for problem in book.problems)


def test_float_artefacts_of_the_package_are_rounded_and_listed(book: Book) -> None:
    """Section 11: 0.18000000000000002 is 0.18; none of the 28 slips through."""
    [listed] = [problem for problem in book.problems if "float artefacts" in problem]

    assert "28 float artefacts" in listed
    assert "0.18000000000000002 -> 0.18" in listed


@pytest.mark.parametrize(
    ("provider", "model", "boundary"),
    [("google", "gemini-2.5-pro", 200_001), ("xai", "grok-4.3", 200_000), ("openai", "gpt-5.4", 272_001)],
)
def test_context_ranges_begin_where_the_provider_says(book: Book, provider: str, model: str, boundary: int) -> None:
    """Traps 19 and 20: Google and OpenAI above their threshold, xAI at it."""
    found = rates_at(book, provider, model, at("2026-11-15T00:00:00Z"), region_class="global")

    assert sorted(set(found.filter(pl.col("unit") == "input")["ctx_min_tokens"])) == [0, boundary]


def test_shipped_rows_have_a_source() -> None:
    for name in ("prices.csv", "model_aliases.csv", "model_tiers.csv"):
        with (REPOSITORY / "data" / "shipped" / name).open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                assert row["source_ref"], f"{name}, line {number}"


def test_the_tiers_name_models_that_have_a_price(book: Book) -> None:
    known = set(book.tables["ref_price_book"].select("provider", "model_id").iter_rows())
    with (REPOSITORY / "data" / "shipped" / "model_tiers.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert (row["provider"], row["model_id"]) in known
            assert row["model_tier"] in ("budget", "mid", "frontier")


def test_the_source_version_is_stable() -> None:
    assert source_version() == source_version()
    assert len(source_version()) == 64


@pytest.mark.parametrize(
    ("model", "unit", "instant", "expected"),
    [
        ("o3", "cache_read", "2025-06-09T23:59:59Z", "2.5"),
        ("o3", "cache_read", "2025-06-10T00:00:00Z", "0.5"),
        ("gpt-5.6-sol", "output", "2026-08-20T00:00:00Z", "30"),
        ("gpt-5.6-sol", "output", "2026-08-21T00:00:00Z", "20"),
        ("gpt-4.1", "web_search_preview", "2026-11-15T00:00:00Z", "25"),
        ("text-embedding-3-small", "input", "2026-11-15T00:00:00Z", "0.02"),
    ],
)
def test_prices_of_the_past_are_what_they_were(book: Book, model: str, unit: str, instant: str, expected: str) -> None:
    """Section 14, the curated history."""
    found = rates_at(book, "openai", model, at(instant), region_class="global", context_test_tokens=0)
    found = found.filter(pl.col("unit") == unit)

    assert found["unit_price"].to_list() == [Decimal(expected)]


@pytest.mark.parametrize(
    ("provider", "model", "region", "context", "instant", "expected"),
    [
        ("google", "gemini-1.5-pro", "global", 1, "2024-09-30T23:59:59Z", "3.5"),
        ("google", "gemini-1.5-pro", "global", 1, "2024-10-01T00:00:00Z", "1.25"),
        ("google", "gemini-1.5-pro", "global", 128_001, "2024-09-30T23:59:59Z", "7"),
        ("google", "gemini-pro", "global", 1, "2024-06-01T00:00:00Z", "0.35"),
        ("anthropic", "claude-sonnet-4-0", "global", 200_001, "2025-12-01T00:00:00Z", "6"),
        ("anthropic", "claude-sonnet-4-5", "global", 200_001, "2026-10-20T00:00:00Z", "6"),
        ("anthropic", "claude-sonnet-4-5", "global", 200_001, "2026-10-21T00:00:00Z", "3"),
        ("azure", "claude-sonnet-4-5", "global", 200_001, "2026-10-21T00:00:00Z", "3"),
        ("vertex", "claude-sonnet-4-5", "global", 200_001, "2026-11-15T00:00:00Z", "6"),
        ("vertex", "claude-sonnet-4-5", "regional", 200_001, "2026-11-15T00:00:00Z", "6.6"),
        ("anthropic", "claude-3-5-haiku-latest", "global", 1, "2024-12-02T23:59:59Z", "1"),
        ("anthropic", "claude-3-5-haiku-latest", "global", 1, "2024-12-03T00:00:00Z", "0.8"),
        ("mistral", "mistral-large-4", "global", 1, "2026-10-29T00:00:00Z", "0.7"),
        ("openai", "gpt-5.4", "us", 1, "2026-11-15T00:00:00Z", "2.75"),
        ("anthropic", "claude-opus-4-8", "us", 1, "2026-11-15T00:00:00Z", "5.5"),
        ("vertex", "claude-opus-4-8", "regional", 1, "2026-11-15T00:00:00Z", "5.5"),
        ("bedrock", "anthropic.claude-opus-4-8", "us", 1, "2026-11-15T00:00:00Z", "5.5"),
        ("bedrock", "anthropic.claude-opus-4-8", "global", 1, "2026-11-15T00:00:00Z", "5"),
    ],
)
def test_prices_of_dates_ranges_and_regions(
    book: Book, provider: str, model: str, region: str, context: int, instant: str, expected: str
) -> None:
    """Section 14, and the uplifts of 2.5: a tenth more where a maker or a cloud says so."""
    found = rates_at(book, provider, model, at(instant), region_class=region, context_test_tokens=context)

    assert found.filter(pl.col("unit") == "input")["unit_price"].to_list() == [Decimal(expected)]


@pytest.mark.parametrize(
    ("provider", "model", "tier", "processing", "expected"),
    [
        ("google", "gemini-2.5-flash", "flex", "sync", "0.15"),
        ("google", "gemini-2.5-flash", "priority", "sync", "0.54"),
        ("openai", "text-embedding-3-small", "standard", "batch", "0.01"),
    ],
)
def test_tiers_that_the_package_lacks_come_from_a_second_source(
    book: Book, provider: str, model: str, tier: str, processing: str, expected: str
) -> None:
    """Section 14: derived until a provider's own list is found."""
    found = rates_at(book, provider, model, at("2026-11-15T00:00:00Z"), service_tier=tier, processing=processing)
    [row] = found.filter((pl.col("unit") == "input") & (pl.col("region_class") == "global")).to_dicts()

    assert (row["unit_price"], row["confidence"]) == (Decimal(expected), "derived")


def test_the_books_example_of_the_specification_resolves() -> None:
    """The invented prices of the worked books build without a conflict."""
    with (GOLDEN / "reference" / "prices.csv").open(encoding="utf-8", newline="") as file:
        rows = [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]

    book = book_of(rows)

    assert not [problem for problem in book.problems if "larch" in problem or "heron" in problem], json.dumps(
        book.problems
    )


def test_the_end_of_xais_live_search_is_assumed(book: Book) -> None:
    """25 dollars for 1,000 sources by its page, which states no end: announced for 2025-12-15, first refusals on 2026-01-27."""
    rows = book.tables["ref_price_book"].filter(
        (pl.col("provider") == "xai") & (pl.col("unit") == "search_sources") & (pl.col("service_tier") == "standard")
    )
    found = {
        (row["effective_from"].date().isoformat(), row["unit_price"], row["confidence"] == "assumed")
        for row in rows.filter(pl.col("effective_from") >= pl.datetime(2025, 12, 15, time_zone="UTC")).to_dicts()
    }
    assert {("2025-12-15", Decimal(25), True), ("2026-01-12", Decimal(0), True)} <= found
    doubtful = rows.filter(pl.col("effective_to") == pl.datetime(2026, 1, 12, time_zone="UTC"))
    assert set(doubtful["source_ref"]) == {"docs.x.ai/docs/guides/live-search, which states no end"}
