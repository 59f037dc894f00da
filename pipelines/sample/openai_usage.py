"""The bill that goes with the calls: pages of OpenAI's usage and costs API, priced at the book's list prices.

The pages hold what the traces hold and a little more on each day: calls that nobody traced.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache

import polars as pl

from pipelines import paths
from pipelines.prices.book_kept import book_of
from pipelines.prices.book_tables import Book
from pipelines.prices.lookup import rates_at
from pipelines.reference.files import read
from pipelines.reference.tables import TABLES
from pipelines.sample import company
from pipelines.sample.calls import first_date
from pipelines.sample.chance import Chance
from pipelines.sample.workloads import MODELS

# Token classes of the book, and how line items name them.
_LINE_ITEMS: Mapping[str, str] = {"input": "input", "cache_read": "cached input", "output": "output"}
_NOT_GROUPED = dict.fromkeys(("project_id", "user_id", "api_key_id"))


@dataclass(frozen=True)
class ModelDay:
    """What the provider counted of a model on a day: tokens by class, and of these the traced ones."""

    day: date
    model: str
    requests: int
    tokens: Mapping[str, int]
    traced: Mapping[str, int]
    usd: Mapping[str, Decimal]
    traced_usd: Decimal


@cache
def shipped_book() -> Book:
    """The price book as it is without the rows of a data root."""
    frames = []
    for name in ("prices", "model_aliases"):
        path = paths.SHIPPED_DATA / f"{name}.csv"
        rows, problems = read(TABLES[name], path, f"data/shipped/{name}.csv")
        if problems:
            raise ValueError(str(problems[0]))
        frames.append(pl.DataFrame(rows, infer_schema_length=None))
    return book_of(*frames)


def count_model_days(calls: pl.DataFrame, weeks: int, book: Book, seed: int) -> list[ModelDay]:
    """What OpenAI counted and charges, by day and model."""
    counted = (
        calls.filter(pl.col("has_usage"), provider="openai")
        .group_by(day=pl.col("started_at").dt.date(), model="model")
        .agg(
            requests=pl.len(),
            input=(pl.col("input_tokens") - pl.col("cache_read_tokens")).sum(),
            cache_read=pl.col("cache_read_tokens").sum(),
            output=pl.col("output_tokens").sum(),
        )
        .sort("day", "model")
    )
    first, days = first_date(weeks), weeks * 7
    untraced = {}
    for model in MODELS.values():
        low, high = model.untraced_per_mille
        drawn_days = Chance(seed, "untraced", model.served).below(days, high - low + 1)
        for number, drawn in enumerate(drawn_days.tolist()):
            untraced[first + timedelta(days=number), model.served] = low + drawn
    names = {name for model in MODELS.values() for name in (model.served, model.requested)}
    book = _about(book, names)
    found = []
    for row in counted.iter_rows(named=True):
        per_mille = untraced[row["day"], row["model"]]
        traced = {name: int(row[name]) for name in _LINE_ITEMS}
        tokens = {name: count + count * per_mille // 1_000 for name, count in traced.items()}
        prices = _prices(book, row["model"], row["day"])
        found.append(
            ModelDay(
                row["day"],
                row["model"],
                row["requests"] + max(1, row["requests"] * per_mille // 1_000),
                tokens,
                traced,
                {name: count * prices[name] for name, count in tokens.items()},
                sum((count * prices[name] for name, count in traced.items()), Decimal()),
            )
        )
    return found


def _about(book: Book, models: set[str]) -> Book:
    """The book without other models: it is looked into for every day."""
    by = {"ref_model_names": "pattern", "ref_price_book": "model_id"}
    tables = {
        name: table.filter(pl.col(by[name]).is_in(models)) if name in by else table
        for name, table in book.tables.items()
    }
    return replace(book, tables=tables)


def _prices(book: Book, model: str, day: date) -> dict[str, Decimal]:
    """List price of a token by class. Raises ValueError where the book does not have one price for each."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    rates = rates_at(book, "openai", model, noon, region_class="global").filter(pl.col("unit").is_in(list(_LINE_ITEMS)))
    found, expected = sorted(rates["unit"]), sorted(_LINE_ITEMS)
    if found != expected:
        raise ValueError(f"{model} on {day}: the book has prices for {found}, expected one each for {expected}")
    return {row["unit"]: row["unit_price"] / row["per_units"] for row in rates.iter_rows(named=True)}


def correction_usd(model_days: list[ModelDay]) -> Decimal:
    """The credit for the incident, negative; 0 where it is outside of the sample."""
    correction = company.CORRECTION
    found = [one for one in model_days if (one.day, one.model) == (correction.incident_date, correction.model)]
    return -sum((usd for one in found for usd in one.usd.values()), Decimal())


def page_files(model_days: list[ModelDay], weeks: int) -> Iterator[tuple[str, datetime, str]]:
    """Name, pull and text of the pages of each month: daily buckets, those without any use as well."""
    last = company.END - timedelta(days=1)
    month = first_date(weeks).replace(day=1)
    while month <= last:
        month_end = month + timedelta(days=calendar.monthrange(month.year, month.month)[1])
        # A month is pulled when it has settled, the open one on the day after the sample.
        settled_on = month_end + timedelta(days=2)
        pulled_at = min(datetime.combine(settled_on, company.PULLED_AT.timetz()), company.PULLED_AT)
        days = [month + timedelta(days=number) for number in range((min(month_end, company.END) - month).days)]
        for kind in ("usage_completions", "costs"):
            results = _usage_results if kind == "usage_completions" else _cost_results
            buckets = [_bucket(day, results(day, model_days)) for day in days]
            page = {"object": "page", "data": buckets, "has_more": False, "next_page": None}
            name = f"{kind}.{month:%Y-%m}.pulled-{pulled_at:%Y%m%dT%H%M%SZ}.json"
            yield name, pulled_at, json.dumps(page, indent=1) + "\n"
        month = month_end


def _bucket(day: date, results: list[dict[str, object]]) -> dict[str, object]:
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": results}


def _usage_results(day: date, model_days: list[ModelDay]) -> list[dict[str, object]]:
    return [
        {
            "object": "organization.usage.completions.result",
            "input_tokens": one.tokens["input"] + one.tokens["cache_read"],
            "input_cached_tokens": one.tokens["cache_read"],
            "input_cache_write_tokens": 0,
            "input_uncached_tokens": one.tokens["input"],
            "output_tokens": one.tokens["output"],
            "input_text_tokens": one.tokens["input"],
            "output_text_tokens": one.tokens["output"],
            "input_cached_text_tokens": one.tokens["cache_read"],
            "input_audio_tokens": 0,
            "input_cached_audio_tokens": 0,
            "output_audio_tokens": 0,
            "input_image_tokens": 0,
            "input_cached_image_tokens": 0,
            "output_image_tokens": 0,
            "num_model_requests": one.requests,
            **_NOT_GROUPED,
            "model": one.model,
            "batch": None,
            "service_tier": None,
        }
        for one in model_days
        if one.day == day
    ]


def _cost_results(day: date, model_days: list[ModelDay]) -> list[dict[str, object]]:
    charges: list[tuple[str, Decimal, int | None]] = [
        (f"{one.model}, {item}", one.usd[name], one.tokens[name])
        for one in model_days
        if one.day == day
        for name, item in _LINE_ITEMS.items()
        if one.tokens[name]
    ]
    given_back = correction_usd(model_days)
    if day == company.CORRECTION.incident_date + timedelta(days=1) and given_back:
        charges.append((company.CORRECTION.line_item, given_back, None))
    return [
        {
            "object": "organization.costs.result",
            # Dollars of the sample have fewer than 15 digits, which a float keeps.
            "amount": {"value": float(usd), "currency": "usd"},
            "line_item": item,
            **_NOT_GROUPED,
            "quantity": None if quantity is None else float(quantity),
            "quantity_unit": None if quantity is None else "tokens",
        }
        for item, usd, quantity in charges
    ]
