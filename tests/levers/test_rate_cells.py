"""Calls by all that decides their rates, with the rates: what other prices would make of them is worked out of these cells."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pipelines.contract import TOKEN_CLASSES

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
SONNET = {"started_at": NOON, "provider": "anthropic", "model_canonical": "claude-sonnet-4-6"}
# A model whose prices rise above 200,000 tokens of input, for the whole call.
PRO = {"started_at": NOON, "provider": "google", "model_canonical": "gemini-2.5-pro"}


def test_calls_of_one_box_of_rates_are_one_cell_with_its_rates(weeks_of):
    """1,000 in at $2.50 (600 of one call read at $1.25) and 100 out at $10, a million each: 0.0035 + 0.00275."""
    rows = [{"started_at": NOON}, {"started_at": NOON.replace(hour=23), "cache_read_tokens": 600}]

    cell = weeks_of(rows, by_the_book=True).row("stat_rate_cells_weekly")

    assert (cell["requests"], cell["usage_date"], cell["cost_basis"]) == (2, date(2026, 10, 5), "rates")
    assert (cell["input_uncached_tokens"], cell["cache_read_tokens"], cell["output_text_tokens"]) == (1_400, 600, 200)
    assert (cell["cache_known_requests"], cell["cache_hit_requests"], cell["cache_known_input_tokens"]) == (1, 1, 1_000)
    assert (cell["input_uncached_usd_per_mtok"], cell["cache_read_usd_per_mtok"]) == (Decimal("2.50"), Decimal("1.25"))
    assert cell["effective_cost_usd"] == cell["base_range_cost_usd"] == Decimal("0.00625")


def test_what_differs_in_its_rates_is_a_cell_of_its_own(weeks_of):
    """Batch costs half; a contract of one customer takes a tenth off; a day later is another day."""
    rows = [
        {"started_at": NOON},
        {"started_at": NOON, "is_batch": True},
        {"started_at": NOON, "customer_id": "c1"},
        {"started_at": NOON.replace(day=6)},
    ]
    contract = {"kind": "multiplier", "value": Decimal("0.9"), "scope": "customer_id=c1", "sequence": 1}

    books = weeks_of(rows, by_the_book=True, ref_price_overrides=[contract])

    cells = books.rows("stat_rate_cells_weekly")
    found = {(c["usage_date"].day, c["is_batch"], c["customer_scope"]): c["input_uncached_usd_per_mtok"] for c in cells}
    assert found == {
        (5, False, ""): Decimal("2.50"),
        (5, True, ""): Decimal("1.25"),
        (5, False, "c1"): Decimal("2.25"),
        (6, False, ""): Decimal("2.50"),
    }
    assert books.broken("stat_rate_cells_weekly") == []


def test_a_call_beyond_the_threshold_is_priced_at_the_shorter_range_as_well(weeks_of):
    """Gemini 2.5 Pro: 300,000 in and 1,000 out at $2.50 and $15 are 0.765; at $1.25 and $10 they would be 0.385."""
    rows = [PRO | {"input_total_tokens": size, "output_total_tokens": 1_000} for size in (100_000, 210_000, 300_000)]

    books = weeks_of(rows, by_the_book=True)

    short, far, near = books.rows("stat_rate_cells_weekly")
    assert [c["is_near_threshold"] for c in (short, near, far)] == [False, True, False]
    assert [c["ctx_min_tokens"] for c in (short, near, far)] == [0, 200_001, 200_001]
    assert (far["effective_cost_usd"], far["base_range_cost_usd"]) == (Decimal("0.765"), Decimal("0.385"))
    # 200,000 at $1.25 and the answer at $10.
    assert (near["trimmed_cost_usd"], far["trimmed_cost_usd"]) == (Decimal("0.26"), None)
    assert short["base_range_cost_usd"] == short["effective_cost_usd"]
    assert books.broken("stat_rate_cells_weekly") == []


def test_sums_of_many_calls_are_in_the_shortest_range(weeks_of):
    """A million tokens of who knows how many calls: priced at the lower rate, as ledger_costs does."""
    rows = [PRO | {"input_total_tokens": 1_000_000, "usage_flags": ["context_tier_unknown"]}]

    cell = weeks_of(rows, by_the_book=True).row("stat_rate_cells_weekly")

    assert (cell["ctx_min_tokens"], cell["is_near_threshold"]) == (0, False)


def test_a_cost_without_rates_is_told_apart(weeks_of):
    """Stated as a whole, paid by throughput that is rented, answered by a gateway's own cache, or unknown: no rate is of them."""
    rows = [
        {"started_at": NOON, "model_canonical": "gpt-98", "cost_reported_usd": Decimal("0.5"), "cost_reported_basis": "provider_charge"},
        {"started_at": NOON, "service_tier": "provisioned"},
        {"started_at": NOON, "gateway_cache_hit": True},
        {"started_at": NOON, "model_canonical": "gpt-99"},
    ]  # fmt: skip

    books = weeks_of(rows, by_the_book=True)

    cells = {cell["cost_basis"]: cell for cell in books.rows("stat_rate_cells_weekly")}
    assert {name: cell["effective_cost_usd"] for name, cell in cells.items()} == {
        "stated": Decimal("0.5"), "paid_otherwise": 0, "gateway_cache": 0, "unpriced": None,
    }  # fmt: skip
    assert {cell["input_uncached_usd_per_mtok"] for cell in cells.values()} == {None}
    assert {cell["base_range_cost_usd"] for cell in cells.values()} == {None}
    assert books.broken("stat_rate_cells_weekly") == []


@pytest.mark.parametrize("one", TOKEN_CLASSES, ids=lambda one: one.name)
def test_every_class_of_tokens_has_its_tokens_and_its_rate(run, one):
    """A row of each class: 1,000,000 tokens at $7 cost $7. A class that is new is in the list, and so it is here."""
    key = {"request_key": "a", "started_at": NOON, "provider": "p", "model_canonical": "m"}
    price = {f"{one.name}_usd_per_mtok": Decimal(7)}
    box = {
        "usage_date": NOON.date(), "provider": "p", "model_canonical": "m", "is_batch": False, "ctx_min_tokens": 0,
        "ctx_max_tokens": 10**12, "rate_from_at": NOON.replace(hour=0), "rate_to_at": NOON.replace(day=6, hour=0),
        **dict.fromkeys(("service_tier", "speed", "region", "region_class"), ""),
        **{f"{name}_scope": "" for name in ("billing_account", "project", "feature", "customer")},
    }  # fmt: skip

    [cell] = run(
        "stat_rate_cells_weekly",
        ledger_requests=[key | {one.tokens: 1_000_000, "total_tokens": 1_000_000}],
        ledger_costs=[key_of(key) | dict.fromkeys(("effective_cost_usd", "contracted_cost_usd"), Decimal(7))],
        ledger_rates=[box | price],
        ref_reporting=[{"reporting_time_zone": "UTC"}],
        ref_limits=[],
    )

    assert (cell[one.tokens], cell[f"{one.name}_cost_usd"], cell["base_range_cost_usd"]) == (1_000_000, 7, 7)


def key_of(row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name in ("request_key", "started_at")}
