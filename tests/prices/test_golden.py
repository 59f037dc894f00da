"""The worked books: every call of the example company costs what was worked out by hand."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import Any

from tests.prices.pricing import GOLDEN, Pricing, book_of, csv_rows, request

CLASSES = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning")


def test_every_call_costs_what_was_worked_out_by_hand(pricing: Pricing) -> None:
    """ledger_costs.csv, class by class, with dated prices, a dated contract of 0.90 and no package price."""
    with (GOLDEN / "expected" / "ledger_requests.csv").open(encoding="utf-8", newline="") as file:
        calls = [_call(row) for row in csv.DictReader(file)]
    book = book_of(csv_rows(GOLDEN / "reference" / "prices.csv"), csv_rows(GOLDEN / "reference" / "model_aliases.csv"))
    overrides = csv_rows(GOLDEN / "reference" / "price_overrides.csv")

    found = {row["request_key"]: row for row in pricing.costs(calls, book, overrides)}

    with (GOLDEN / "expected" / "ledger_costs.csv").open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    assert len(expected) == len(found)
    for row in expected:
        cost = found[f"{row['source_account']}/{row['source_row_id']}"]
        assert cost["cost_status"] == row["cost_status"]
        for name in (
            *("list_cost_usd", "contracted_cost_usd", "effective_cost_usd"),
            *(f"{c}_list_cost_usd" for c in CLASSES),
            *(f"{c}_cost_usd" for c in CLASSES),
        ):
            assert cost[name] == (Decimal(row[name]) if row[name] else None), (row["source_row_id"], name)


def _call(row: dict[str, str]) -> dict[str, Any]:
    same = ("source", "source_account", "source_row_id", "started_at", "provider", "billing_account_id")
    given: dict[str, Any] = {name: row[name] or None for name in (*same, "model_served", "feature", "customer_id")}
    for name in CLASSES:
        text = row[f"{name}_tokens"]
        given[f"{name}_tokens"] = int(text) if text else None
    given["request_key"] = f"{row['source_account']}/{row['source_row_id']}"
    return request(**given)
