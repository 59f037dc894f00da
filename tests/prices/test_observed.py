"""What versions of the price package said on their days, and what follows for the price of a day."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from pipelines.prices import history, observed
from pipelines.prices.book_tables import Book
from pipelines.prices.history import rows_of
from pipelines.prices.package import blank_rate
from pipelines.prices.rates import OPEN_END, Rate

DAYS = {
    "1": date(2026, 1, 1),
    "2": date(2026, 2, 1),
    "3": date(2026, 3, 1),
    "4": date(2026, 4, 1),
}


def said(model: str, price: str, *, unit: str = "input", low: int = 0, high: int = 2**62, start: str = "") -> Rate:
    """A price of a list, with a start or, marked assumed, without one."""
    return blank_rate("acme", model)._replace(
        unit=unit,
        per_units=1_000_000,
        unit_price=Decimal(price),
        ctx_min_tokens=low,
        ctx_max_tokens=high,
        confidence="published" if start else "assumed",
        **({"effective_from": at(start)} if start else {}),
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_versions_say_since_when_a_price_has_stood() -> None:
    """One price a version, oldest first, '-' where the list has none. The rows: (smallest length, since, until, price)."""
    long = {"low": 200_001}
    listed = {
        "1": [said("same", "2"), said("cut", "3"), said("twice", "4"), said("gap", "1"), said("ranged", "1")],
        "2": [said("same", "2"), said("cut", "3"), said("twice", "3"), said("ranged", "1")],
        "3": [
            *(said("same", "2"), said("cut", "2"), said("twice", "3"), said("gap", "1"), said("dated", "9")),
            *(said("ranged", "1", high=200_000), said("ranged", "2", low=200_000)),
        ],
        "4": [
            *(said("same", "2"), said("cut", "2"), said("twice", "2"), said("gap", "1"), said("new", "5")),
            *(said("dated", "9", start="2026-01-15"), said("ranged", "1", high=200_001), said("ranged", "2", **long)),
        ],
    }

    found: dict[str, list[tuple[int, str, str, str]]] = {}
    for row in rows_of(listed, DAYS):
        found.setdefault(row.model, []).append((row.ctx_min_tokens, row.since_version, row.until_version, row.price))

    assert found == {
        "same": [(0, "1", "", "2")],
        # It changed between the days of 2 and 3: the older holds until the newer one's day.
        "cut": [(0, "1", "3", "3"), (0, "3", "", "2")],
        "twice": [(0, "1", "2", "4"), (0, "2", "4", "3"), (0, "4", "", "2")],
        # A version that is silent ends the row of versions.
        "gap": [(0, "3", "", "1")],
        "new": [(0, "4", "", "5")],
        # A flat price says nothing of a range that came later; a threshold that moves by one token is the same.
        "ranged": [(0, "1", "", "1"), (200_001, "3", "", "2")],
    }


def test_a_price_that_a_version_put_right_was_never_in_force() -> None:
    """Azure's Phi-4 stood at 0.07 until 0.2.0, another seller's price; at Mistral nobody is known to have made that slip."""
    listed = {
        name: [said("phi-4", price)._replace(provider=seller) for seller in ("azure", "mistral")]
        for name, price in (("1", "0.07"), ("2", "0.125"))
    }

    found = [(row.listed_by, row.since_version, row.price) for row in rows_of(listed, DAYS)]

    assert found == [("azure", "2", "0.125"), ("mistral", "1", "0.07"), ("mistral", "2", "0.125")]


@pytest.mark.parametrize(
    ("provider", "model", "unit", "low", "expected"),
    [
        ("openai", "gpt-4o-mini", "input", 0, [("", "0.15", "assumed"), ("2025-07-12", "0.15", "observed")]),
        ("openai", "gpt-5-mini", "output", 0, [("", "2", "assumed"), ("2025-08-09", "2", "observed")]),
        # Seven versions of the package have the flat price only; then the range came, with its threshold off by one.
        ("openai", "gpt-5.5", "input", 0, [("", "5", "assumed"), ("2026-05-07", "5", "observed")]),
        ("openai", "gpt-5.5", "input", 272_001, [("", "10", "assumed"), ("2026-08-31", "10", "observed")]),
        # Cut between two versions; litellm's maps of the months around agree.
        (
            *("groq", "openai/gpt-oss-20b", "input", 0),
            [("", "0.1", "assumed"), ("2025-08-07", "0.1", "observed"), ("2025-11-13", "0.075", "observed")],
        ),
        (
            *("google", "gemini-3.6-flash", "output", 0),
            [("", "7.5", "assumed"), ("2026-07-22", "7.5", "observed"), ("2026-08-14", "3.75", "observed")],
        ),
        # Put right, not cut.
        ("azure", "phi-4", "input", 0, [("", "0.125", "assumed"), ("2026-10-29", "0.125", "observed")]),
        # A start that the list states.
        ("openai", "gpt-5.6-sol", "input", 0, [("", "5", "assumed"), ("2026-07-09", "5", "observed"), ("2026-08-21", "4", "published")]),
        # What is worked out from an observed price is no more than derived.
        ("azure", "gpt-4o", "cache_read", 0, [("", "1.25", "assumed"), ("2025-07-12", "1.25", "derived")]),
    ],
)  # fmt: skip
def test_the_book_has_prices_from_the_day_on_which_they_were_observed(
    book: Book, provider: str, model: str, unit: str, low: int, expected: list[tuple[str, str, str]]
) -> None:
    """Start, price and confidence, of the standard price in all regions alike."""
    rows = book.tables["ref_price_book"].filter(
        (pl.col("provider") == provider)
        & (pl.col("model_id") == model)
        & (pl.col("unit") == unit)
        & (pl.col("ctx_min_tokens") == low)
        & (pl.col("service_tier") == "standard")
        & (pl.col("processing") == "sync")
        & (pl.col("region_class") == "global")
        & (pl.col("superseded_at") == OPEN_END)
        & (pl.col("effective_from") < at("2026-11-20"))
    )

    found = []
    for row in rows.sort("effective_from").to_dicts():
        start = "" if row["effective_from"].year == 1970 else f"{row['effective_from']:%Y-%m-%d}"
        found.append((start, f"{row['unit_price'].normalize():f}", row["confidence"]))
    assert found == expected


def test_a_newer_list_holds_from_its_day_and_not_before() -> None:
    """gpt-4o at 2.50 since 2025-07-12. A list of 2027-01-05 that says 2.00, without a start, is believed from that day on."""
    cheaper = blank_rate("openai", "gpt-4o")._replace(unit="input", per_units=1_000_000, unit_price=Decimal(2))

    pieces = list(observed.marked(cheaper, ("openai", "gpt-4o"), at("2027-01-05")))

    assert [(f"{p.effective_from:%Y-%m-%d}", str(p.unit_price), p.confidence) for p in pieces] == [
        ("1970-01-01", "2.5", "assumed"),
        ("2025-07-12", "2.5", "observed"),
        ("2027-01-05", "2", "published"),
    ]


def test_every_version_that_was_read_has_its_day_and_days_go_on() -> None:
    """The installed one is the last; each row of the past names versions that are there."""
    days = observed.versions()

    assert list(days.values()) == sorted(days.values())
    assert list(days) == sorted(days, key=history._order)
    assert len(observed.statements()) > 5_000
    assert all(one.since < one.until for stated in observed.statements().values() for one in stated)
