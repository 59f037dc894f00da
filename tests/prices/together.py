"""Calls of many tests are priced by one build of the pricing models, for a build costs more than the calls.

A test that is marked ``priced_together`` yields the calls that it asks the cost of, one after the other, and gets the row of each
back. The first calls of all such tests of a module stand in one ledger, then the second ones, and so on; calls under a book, an
override or a rate of their own stand in one with those of the same. A call is priced as it is alone: no model looks at others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.prices.book_tables import Book
from tests.prices.pricing import Pricing, request, shipped_book

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """A call, and what it is priced by."""

    row: dict[str, Any]
    book: Book
    overrides: Rows
    fx_rates: Rows


Costs = Generator[Call, dict[str, Any], None]
Cost = Callable[..., Call]


def call(book: Book | None = None, overrides: Rows | None = None, fx_rates: Rows | None = None, **given: Any) -> Call:
    return Call(request(**given), book or shipped_book(), overrides or [], fx_rates or [])


def priced_together(costs: Callable[..., Costs]) -> Callable[..., None]:
    """A test that yields calls, each of which it gets back with its cost."""

    @functools.wraps(costs)
    def look(cost: BaseException | None, **_: Any) -> None:
        if cost is not None:
            raise cost

    look.costs = costs  # type: ignore[attr-defined]
    return look


def price(module: pytest.FixtureRequest) -> dict[str, BaseException | None]:
    """All marked tests of the module that are to run: test -> what became of it."""
    ended: dict[str, BaseException | None] = {}
    asked: dict[str, tuple[Costs, Call]] = {}

    def go_on(name: str, costs: Costs, row: dict[str, Any] | None) -> None:
        try:
            asked[name] = (costs, next(costs) if row is None else costs.send(row))
        except StopIteration:
            ended[name] = None
        except (Exception, pytest.skip.Exception) as error:
            # It is what becomes of that test, and not of all.
            ended[name] = error

    for item in module.session.items:
        test = getattr(item, "function", None)
        if getattr(item, "module", None) is module.module and hasattr(test, "costs"):
            given = item.callspec.params if hasattr(item, "callspec") else {}
            go_on(item.nodeid, test.costs(cost=call, **given), None)
    while asked:
        _, first = next(iter(asked.values()))
        alike = {name: of for name, of in asked.items() if _terms(of[1]) == _terms(first)}
        keys = {f"call-{number}": name for number, name in enumerate(alike)}
        calls = [alike[name][1].row | {"request_key": key} for key, name in keys.items()]
        pricing = Pricing()
        rows = {row["request_key"]: row for row in pricing.costs(calls, first.book, first.overrides, first.fx_rates)}
        pricing.close()
        assert rows.keys() == keys.keys()
        for key, name in keys.items():
            costs, asked_call = asked.pop(name)
            go_on(name, costs, rows[key] | {"request_key": asked_call.row["request_key"]})
    return ended


def _terms(of: Call) -> tuple[int, str]:
    return id(of.book), repr((of.overrides, of.fx_rates))
