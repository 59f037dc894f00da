"""Look up a price for showing it to a person: which model a name means, and its rates."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Collection
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from pipelines.contract import shapes
from pipelines.engine import connect
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.prices.book_kept import book_of
from pipelines.prices.book_tables import Book
from pipelines.prices.rates import CONTEXT_END, DAY_END_S, EVERY_DAY, OPEN_END
from pipelines.reference.files import Problem, current_frame
from pipelines.reference.tables import TABLES
from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.paths import DataRoot

TOKEN_UNITS = 1_000_000


def current_book(root: DataRoot) -> tuple[Book, list[Problem]]:
    """The book as the files of a data root say it now, also before the first run, with the faults of these files."""
    prices, wrong = current_frame(root, "prices")
    names, wrong_names = current_frame(root, "model_aliases")
    pools, wrong_pools = current_frame(root, "gpu_pools")
    return book_of(prices, names, pools), [*wrong, *wrong_names, *wrong_pools]


def first_fx_dates(root: DataRoot) -> dict[str, date]:
    """The day from which on each currency has a rate to USD."""
    rates, _ = current_frame(root, "fx_rates")
    return dict(rates.group_by("currency").agg(pl.col("rate_date").min()).rows())


def hourly(root: DataRoot, provider: str, model: str, at: datetime | None) -> list[dict[str, object]]:
    """Prices of own GPUs as ``shown`` has rates: of the last hour with calls up to an instant, or of all hours."""
    lake = Lake(root)
    files = sorted({lake.absolute(part) for part in lake.parts("ledger_gpu_rates") if part.rows})
    if not files:
        return []
    rates = (
        pl.scan_parquet(files)
        .filter(
            (pl.col("provider") == provider)
            & (pl.col("model_canonical") == model)
            & pl.col("full_usd_per_mtok").is_not_null()
            & (pl.col("hour_from_at") <= at if at is not None else True)
        )
        .sort("hour_from_at", "unit")
        .collect()
    )
    if at is not None:
        rates = rates.filter(pl.col("hour_from_at") == pl.col("hour_from_at").max())
    return [
        {
            "provider": provider,
            "model_id": model,
            "tier": "standard",
            "region": "global",
            "unit": row["unit"],
            "price": row["full_usd_per_mtok"].normalize(),
            "currency": "USD",
            "per": TOKEN_UNITS,
            "conditions": f"marginal {row['marginal_usd_per_mtok'].normalize():f}",
            "from": row["hour_from_at"],
            "to": row["hour_to_at"],
            "confidence": "derived",
            "source": "reference/gpu_pools.csv and the calls of the hour",
            "price_id": row["price_id"],
        }
        for row in rates.to_dicts()
    ]


def models_of(book: Book, name: str, at: datetime, providers: Collection[str] = ()) -> pl.DataFrame:
    """What a name means to each seller at an instant: ``provider``, ``model_canonical``, ``region_class``, ``resolved_by``.

    Asked of ledger_models itself, so that it is what a call would mean.
    """
    sellers = sorted(providers or set(book.tables["ref_model_names"]["provider"].unique()) - {""})
    with tempfile.TemporaryDirectory() as folder, connect(Settings(), Path(folder)) as con:
        for shape in ("requests", "usage", "bills"):
            columns = ", ".join(f"{column} {type_}" for column, type_ in shapes()[shape].types.items())
            con.execute(f"create table staged_{shape} ({columns})")
        con.execute(
            "insert into staged_requests by name select unnest(?::varchar[]) as provider, ? as model_served, ?::timestamptz as started_at",
            [sellers, name, at],
        )
        con.register("names", book.tables["ref_model_names"].to_arrow())
        con.execute("create table ref_model_names as from names")
        con.unregister("names")
        aliases = ", ".join(
            f"{of.name} {'date' if of.kind == 'date' else 'varchar'}" for of in TABLES["seller_aliases"].fields
        )
        con.execute(f"create table ref_seller_aliases ({aliases})")
        query = f"""select provider, model_canonical, region_class, resolved_by
            from ({models()["ledger_models"].query}) where model_canonical is not null order by provider"""
        found: pl.DataFrame = con.sql(query).pl()
        return found


def tiers_of(rates: pl.DataFrame) -> str:
    """The tiers of some rates as ``prices show`` asks for them, with the regions that have them."""
    regions: dict[str, set[str]] = {}
    for tier, processing, region in rates.select("service_tier", "processing", "region_class").unique().iter_rows():
        is_batch = processing == "batch" and tier == "standard"
        regions.setdefault(region, set()).add("batch" if is_batch else tier)
    alike: dict[str, list[str]] = {}
    for region, tiers in sorted(regions.items()):
        alike.setdefault(", ".join(sorted(tiers)), []).append(region)
    return " and ".join(f"{tiers} ({', '.join(places)})" for tiers, places in alike.items())


def similar_names(book: Book, name: str, providers: Collection[str] = ()) -> list[str]:
    """Names of the book that look like a name that means nothing, the nearest first."""
    names = book.tables["ref_model_names"].filter(pl.col("pattern_kind") == "exact")
    if providers:
        names = names.filter(pl.col("provider").is_in(list(providers)))
    return difflib.get_close_matches(name.lower(), names["pattern"].unique().sort().to_list(), n=3, cutoff=0.5)


def advice_for(book: Book, name: str, providers: Collection[str] = ()) -> str:
    """What to do about a name that means nothing, to be put behind the sentence that says so."""
    similar = similar_names(book, name, providers)
    near = f" Nearest known: {', '.join(repr(one) for one in similar)}." if similar else ""
    return f"{near} Add rows to reference/prices.csv, or an alias to reference/model_aliases.csv if it goes by another name."


def named_exactly(book: Book, name: str, at: datetime) -> pl.DataFrame:
    """The rows of the book's exact names for a name at an instant, what counts first ahead."""
    return (
        book.tables["ref_model_names"]
        .filter(
            (pl.col("pattern_kind") == "exact")
            & (pl.col("pattern") == name.lower())
            & (pl.col("valid_from_date").is_null() | (pl.col("valid_from_date") <= at.date()))
            & (pl.col("valid_to_date").is_null() | (pl.col("valid_to_date") > at.date()))
        )
        .sort("priority", maintain_order=True)
    )


def rates_at(
    book: Book,
    provider: str,
    model: str,
    at: datetime,
    *,
    service_tier: str = "standard",
    processing: str = "sync",
    region_class: str | None = None,
    context_test_tokens: int | None = None,
) -> pl.DataFrame:
    """Rates of a model in force at an instant, one row a unit and context range, in the book's columns.

    ``model`` is a name as the book's exact names have it, or a canonical id. All regions where ``region_class`` is
    None. Empty where nothing is known.
    """
    names = named_exactly(book, model, at).filter(pl.col("provider").is_in([provider, ""]))
    model_id = names["model_id"][0] if len(names) else model
    found = in_force(book.tables["ref_price_book"], at).filter(
        (pl.col("provider") == provider)
        & (pl.col("model_id") == model_id)
        & (pl.col("service_tier") == service_tier)
        & (pl.col("processing") == processing)
    )
    if region_class is not None:
        found = found.filter(pl.col("region_class") == region_class)
    if context_test_tokens is not None:
        found = found.filter(
            (pl.col("ctx_min_tokens") <= context_test_tokens) & (pl.col("ctx_max_tokens") > context_test_tokens)
        )
    return found


def in_force(prices: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """Rows that hold at an instant: its date, its time of the day and its weekday."""
    second = at.hour * 3600 + at.minute * 60 + at.second
    return prices.filter(
        (pl.col("effective_from") <= at)
        & (pl.col("effective_to") > at)
        & (pl.col("superseded_at") == OPEN_END)
        & (pl.col("window_from_s") <= second)
        & (pl.col("window_to_s") > second)
        & (pl.col("weekday_mask").cast(pl.Int64) & (1 << at.weekday()) != 0)
    )


def shown(rates: pl.DataFrame) -> list[dict[str, object]]:
    """Rates as a person reads them: the price of a million tokens or of one unit, and the conditions where there are any."""
    rows = []
    for row in rates.sort(
        "provider", "model_id", "service_tier", "processing", "region_class", "unit", "ctx_min_tokens", "effective_from"
    ).to_dicts():
        conditions = []
        if row["ctx_min_tokens"] or row["ctx_max_tokens"] != CONTEXT_END:
            top = "" if row["ctx_max_tokens"] == CONTEXT_END else f" to {row['ctx_max_tokens'] - 1}"
            conditions.append(
                f"{row['ctx_min_tokens']}{top} tokens" if top else f"from {row['ctx_min_tokens']} tokens on"
            )
        if (row["window_from_s"], row["window_to_s"]) != (0, DAY_END_S):
            conditions.append(f"{_clock(row['window_from_s'])}-{_clock(row['window_to_s'])} UTC")
        if row["weekday_mask"] != EVERY_DAY:
            days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
            conditions.append(" ".join(day for bit, day in enumerate(days) if row["weekday_mask"] & (1 << bit)))
        rows.append(
            {
                "provider": row["provider"],
                "model_id": row["model_id"],
                "tier": row["service_tier"] if row["processing"] == "sync" else f"{row['service_tier']} batch",
                "region": row["region_class"],
                "unit": row["unit"],
                "price": row["unit_price"].normalize(),
                "currency": row["currency"],
                "per": row["per_units"],
                "conditions": ", ".join(conditions),
                "from": None if row["effective_from"].year == 1970 else row["effective_from"],
                "to": None if row["effective_to"] == OPEN_END else row["effective_to"],
                "confidence": row["confidence"],
                "source": row["source_ref"],
                "price_id": row["price_id"],
            }
        )
    return rows


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second % 3600 // 60:02}"
