"""The price book as the installation keeps it: to build it takes half a second, and most data roots have the same."""

from __future__ import annotations

import hashlib
import io
import json
from functools import cache
from pathlib import Path

import polars as pl

from pipelines import kept
from pipelines.prices.book_tables import Book
from pipelines.prices.version import source_version

_KEPT_AS = "book"
_PROBLEMS = "problems"


def book_of(prices: pl.DataFrame, model_aliases: pl.DataFrame, gpu_pools: pl.DataFrame | None = None) -> Book:
    """The book that ``build_book`` makes of the installed package and these rows; made once for all data roots."""
    frames = [prices, model_aliases, *([gpu_pools] if gpu_pools is not None else [])]
    key = "\n".join([source_version(), _code(), *(f"{frame.schema}\n{frame.write_csv()}" for frame in frames)])
    if (files := kept.read(_KEPT_AS, key)) is not None:
        problems = json.loads(files.pop(_PROBLEMS))
        return Book({name: pl.read_parquet(io.BytesIO(file)) for name, file in files.items()}, tuple(problems))
    # It imports the package of prices, which is large.
    from pipelines.prices.book import build_book

    book = build_book(*frames)
    files = {_PROBLEMS: json.dumps(book.problems).encode()}
    for name, table in book.tables.items():
        table.write_parquet(file := io.BytesIO())
        files[name] = file.getvalue()
    kept.keep(_KEPT_AS, key, files)
    return book


@cache
def _code() -> str:
    """Hash of the code that makes a book, and of the library that holds it."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join([pl.__version__.encode(), *(file.read_bytes() for file in files)])).hexdigest()
