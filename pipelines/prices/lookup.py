"""Look up a price at an instant, for showing it to a person."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from pipelines.prices.book import Book
from pipelines.prices.rates import OPEN_END


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
    names = book.tables["ref_model_names"].filter(
        pl.col("provider").is_in([provider, ""])
        & (pl.col("pattern_kind") == "exact")
        & (pl.col("pattern") == model.lower())
        & (pl.col("valid_from_date").is_null() | (pl.col("valid_from_date") <= at.date()))
        & (pl.col("valid_to_date").is_null() | (pl.col("valid_to_date") > at.date()))
    )
    model_id = names.sort("priority", maintain_order=True)["model_id"][0] if len(names) else model
    second = at.hour * 3600 + at.minute * 60 + at.second
    found = book.tables["ref_price_book"].filter(
        (pl.col("provider") == provider)
        & (pl.col("model_id") == model_id)
        & (pl.col("service_tier") == service_tier)
        & (pl.col("processing") == processing)
        & (pl.col("effective_from") <= at)
        & (pl.col("effective_to") > at)
        & (pl.col("superseded_at") == OPEN_END)
        & (pl.col("window_from_s") <= second)
        & (pl.col("window_to_s") > second)
        & (pl.col("weekday_mask").cast(pl.Int64) & (1 << at.weekday()) != 0)
    )
    if region_class is not None:
        found = found.filter(pl.col("region_class") == region_class)
    if context_test_tokens is not None:
        found = found.filter(
            (pl.col("ctx_min_tokens") <= context_test_tokens) & (pl.col("ctx_max_tokens") > context_test_tokens)
        )
    return found
