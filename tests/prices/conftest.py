"""Fixtures of the tests of prices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipelines.prices.book_tables import Book
from tests.prices.pricing import Pricing, request, shipped_book


@pytest.fixture(scope="session")
def book() -> Book:
    return shipped_book()


@pytest.fixture
def pricing() -> Iterator[Pricing]:
    found = Pricing()
    yield found
    found.close()


@pytest.fixture
def cost(pricing: Pricing) -> Callable[..., dict[str, Any]]:
    """Cost row of one call."""

    def run(
        book: Book | None = None,
        overrides: list[dict[str, Any]] | None = None,
        fx_rates: list[dict[str, Any]] | None = None,
        **given: Any,
    ) -> dict[str, Any]:
        [row] = pricing.costs([request(**given)], book, overrides, fx_rates)
        return row

    return run
