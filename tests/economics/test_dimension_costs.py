"""Costs by any dimension: sums always, and of a mean and quantiles what the numbers carry."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
TABLE = "mart_dimension_costs_weekly"
LANGUAGE = [{"dimension": "language", "attribute": "language"}]


def calls(costs: Iterable[Any], **more: Any) -> list[dict[str, Any]]:
    """A call for each cost, each of a user of its own."""
    return [
        {"started_at": NOON, "user_id": f"u{number}", "cost_usd": Decimal(str(cost)), **more}
        for number, cost in enumerate(costs)
    ]


def of_release(books: Any, unit: str = "request") -> dict[str, dict[str, Any]]:
    return {row["dimension_value"]: row for row in books.rows(TABLE, dimension="release", cost_unit=unit)}


def test_mean_and_quantiles_are_of_costs_that_occurred(weeks_of):
    """G22.1: costs 1 to 100: mean 50.5, p50 50, p95 95 (95.05 would be no cost of a call)."""
    row = of_release(weeks_of(calls(range(1, 101), release="r1")))["r1"]

    assert (row["units"], row["effective_cost_usd"], row["sample_status"]) == (100, 5_050, "full")
    assert (row["mean_cost_usd"], row["p50_cost_usd"], row["p95_cost_usd"]) == (Decimal("50.5"), 50, 95)
    assert row["mean_cost_low_usd"] < Decimal("50.5") < row["mean_cost_high_usd"]


@pytest.mark.parametrize(
    ("number", "status", "shown"),
    [
        (19, "small", set()),
        (20, "median", {"p50"}),
        (30, "mean", {"p50", "mean"}),
        (99, "mean", {"p50", "mean"}),
        (100, "full", {"p50", "mean", "p95"}),
    ],
)
def test_what_is_quoted_depends_on_how_many_there_are(weeks_of, number, status, shown):
    row = of_release(weeks_of(calls([1] * number, release="r1")))["r1"]

    assert (row["units"], row["effective_cost_usd"], row["sample_status"]) == (number, number, status)
    assert {name for name in ("mean", "p50", "p95") if row[f"{name}_cost_usd"] is not None} == shown


def test_the_interval_is_of_users_and_not_of_calls(weeks_of):
    """200 calls of ten users: no interval. G2.4 with a user each: [4.8602, 5.1398]."""
    costs = [4] * 100 + [6] * 100
    few = [{**call, "user_id": f"u{number % 10}"} for number, call in enumerate(calls(costs, release="r1"))]

    few_users = of_release(weeks_of(few))["r1"]
    many_users = of_release(weeks_of(calls(costs, release="r1")))["r1"]

    assert (few_users["mean_cost_usd"], few_users["interval_label"], few_users["mean_cost_low_usd"]) == (
        5,
        "too_few_users",
        None,
    )
    assert (many_users["clusters"], many_users["interval_label"]) == (200, "ok")
    assert float(many_users["mean_cost_low_usd"]) == pytest.approx(4.8602, abs=0.00005)
    assert float(many_users["mean_cost_high_usd"]) == pytest.approx(5.1398, abs=0.00005)


def test_a_task_costs_all_its_calls_by_what_the_first_tells(weeks_of):
    """0.10 under release r1 and 0.30 under r2 are a task of 0.40 of r1; calls stay with their own release."""
    books = weeks_of(
        [
            {"started_at": NOON, "task_id": "t", "release": "r1", "cost_usd": Decimal("0.10")},
            {"started_at": NOON + timedelta(hours=1), "task_id": "t", "release": "r2", "cost_usd": Decimal("0.30")},
        ]
    )

    assert {value: row["effective_cost_usd"] for value, row in of_release(books, "task").items()} == {
        "r1": Decimal("0.40")
    }
    assert {value: row["units"] for value, row in of_release(books).items()} == {"r1": 1, "r2": 1}


def test_spellings_are_brought_together_and_missing_values_named(weeks_of):
    attributes = ("{language='Java '}", "{language=java}", "{language=' '}", None)
    books = weeks_of(
        [{"started_at": NOON, "cost_usd": Decimal(1), "attributes": one} for one in attributes], ref_dimensions=LANGUAGE
    )

    found = {
        row["dimension_value"]: row["units"] for row in books.rows(TABLE, dimension="language", cost_unit="request")
    }
    assert found == {"java": 2, "(none)": 2}


def test_attributes_that_read_alike_stay_apart(weeks_of):
    """One attribute of the value "go, team=x", and two of "go" and "x"; no value at all, and the word NULL: four calls, four values."""
    attributes = ("{language='go, team=x'}", "{language=go, team=x}", "{language=NULL}", "{language='NULL'}")
    books = weeks_of(
        [{"started_at": NOON, "cost_usd": Decimal(1), "attributes": one} for one in attributes], ref_dimensions=LANGUAGE
    )

    found = {
        row["dimension_value"]: row["units"] for row in books.rows(TABLE, dimension="language", cost_unit="request")
    }
    assert found == {"go, team=x": 1, "go": 1, "(none)": 1, "null": 1}


def test_a_dimension_of_several_names_counts_a_call_once(weeks_of):
    """lang goes before language, by name: a call that has both is of the first."""
    named = [{"dimension": "language", "attribute": "language"}, {"dimension": "language", "attribute": "lang"}]
    books = weeks_of(
        [
            {"started_at": NOON, "cost_usd": Decimal(1), "attributes": "{lang=go, language=rust}"},
            {"started_at": NOON, "cost_usd": Decimal(2), "attributes": "{language=rust}"},
        ],
        ref_dimensions=named,
    )

    found = {row["dimension_value"]: row["effective_cost_usd"] for row in books.rows(TABLE, dimension="language")}
    assert found == {"go": 1, "rust": 2}


def test_names_of_columns_that_every_call_has_are_no_dimensions_of_their_own(weeks_of):
    books = weeks_of(calls([1]))

    assert {row["dimension"] for row in books.rows(TABLE)} == {"prompt_version", "release", "region", "environment"}


def test_a_version_follows_its_prompt(weeks_of):
    """Version 2 of two prompts are two things."""
    books = weeks_of(
        [
            {"started_at": NOON, "prompt_name": "answer", "prompt_version": "2"},
            {"started_at": NOON, "prompt_name": "sort", "prompt_version": "2"},
            {"started_at": NOON, "prompt_name": "sort"},
        ]
    )

    found = {row["dimension_value"] for row in books.rows(TABLE, dimension="prompt_version")}
    assert found == {"answer@2", "sort@2", "(none)"}


def test_beyond_the_dearest_fifty_values_sums_go_to_other(weeks_of):
    """55 releases, the cheapest five cost 1 to 5 dollars: (other) 15. Calls without a release are never among them."""
    told = [call for number in range(1, 56) for call in calls([number], release=f"r{number:02}")]

    books = weeks_of([*told, *calls(["0.001"])])

    rows = of_release(books)
    assert len(rows) == 52
    assert (rows["(other)"]["units"], rows["(other)"]["effective_cost_usd"], rows["(other)"]["sample_status"]) == (
        5,
        15,
        "other",
    )
    assert rows["(none)"]["effective_cost_usd"] == Decimal("0.001")
    assert rows["(other)"]["p50_cost_usd"] is None
    assert books.broken(TABLE) == []


def test_calls_without_a_price_are_counted_and_are_in_no_mean(weeks_of):
    """30 calls at 2 dollars and 10 without a price: mean 60 / 30."""
    books = weeks_of(
        [*calls([2] * 30, release="r1"), *[{"started_at": NOON, "release": "r1", "is_priced": False}] * 10]
    )

    row = of_release(books)["r1"]

    assert (row["units"], row["unpriced_units"], row["mean_cost_usd"], row["p50_cost_usd"]) == (40, 10, 2, 2)
    assert books.broken(TABLE) == []


def test_a_value_without_any_price_has_no_cost(weeks_of):
    row = of_release(weeks_of([{"started_at": NOON, "release": "r1", "is_priced": False}]))["r1"]

    assert (row["effective_cost_usd"], row["cost_share"], row["sample_status"]) == (None, None, "small")


def test_weeks_are_those_of_the_reporting_time_zone(weeks_of):
    """Sunday 23:30 UTC is Monday in Berlin."""
    books = weeks_of([{"started_at": datetime(2026, 11, 1, 23, 30, tzinfo=UTC), "release": "r1"}], zone="Europe/Berlin")

    assert of_release(books)["r1"]["week_start_date"] == date(2026, 11, 2)


def test_values_of_each_dimension_make_all_calls_of_the_week(weeks_of):
    """Any calls of two weeks: units and cost of each dimension are those of the cells."""
    told = [
        {
            "started_at": NOON + timedelta(hours=number * 3),
            "user_id": f"u{number % 7}",
            "release": f"r{number % 3}" if number % 4 else None,
            "region": ("eu", "us", None)[number % 3],
            "task_id": f"t{number // 2}",
            "input_total_tokens": 1_000 + 13 * number,
            "is_priced": number % 11 > 0,
        }
        for number in range(100)
    ]

    books = weeks_of(told, ref_dimensions=LANGUAGE)
    books.make(TABLE)

    assert books.broken(TABLE) == []
    sums = "select distinct sum(units), sum(effective_cost_usd) from mart_dimension_costs_weekly where cost_unit = {} group by dimension"
    assert len(books.con.execute(sums.format("'request'")).fetchall()) == 1
    tasks = books.con.execute("select count(*), sum(effective_cost_usd) from ledger_tasks").fetchall()
    assert books.con.execute(sums.format("'task'")).fetchall() == tasks
