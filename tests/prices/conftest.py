"""Fixtures of the tests of prices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipelines.prices.book_tables import Book
from tests.prices import together
from tests.prices.pricing import Pricing, shipped_book
from tests.prices.pricing import request as call


@pytest.fixture(scope="session")
def book() -> Book:
    return shipped_book()


@pytest.fixture
def pricing() -> Iterator[Pricing]:
    found = Pricing()
    yield found
    found.close()


@pytest.fixture(scope="module")
def priced(request: pytest.FixtureRequest) -> dict[str, BaseException | None]:
    """What became of the tests of a module whose calls are priced together (tests/prices/together.py)."""
    return together.price(request)


@pytest.fixture
def cost(request: pytest.FixtureRequest) -> Any:
    """Cost row of one call; of a test whose calls are priced together what became of it."""
    if hasattr(request.function, "costs"):
        return request.getfixturevalue("priced")[request.node.nodeid]
    return cost_of(request.getfixturevalue("pricing"))


def cost_of(pricing: Pricing) -> Callable[..., dict[str, Any]]:

    def run(
        book: Book | None = None,
        overrides: list[dict[str, Any]] | None = None,
        fx_rates: list[dict[str, Any]] | None = None,
        **given: Any,
    ) -> dict[str, Any]:
        [row] = pricing.costs([call(**given)], book, overrides, fx_rates)
        return row

    return run
