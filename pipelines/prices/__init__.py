"""The price book: which rate held for which model, when and on which conditions, and which names mean it."""

from pipelines.prices.book import Book, build_book, source_version
from pipelines.prices.lookup import rates_at

__all__ = ["Book", "build_book", "rates_at", "source_version"]
