"""Books of calls with the showback that they give, so that a test states calls, an invoice and revenue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.weeks import INPUT_USD, OUTPUT_USD, Weeks

Call = Mapping[str, Any]
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
_OWNER = ("cost_centre", "team", "feature", "customer_tier", "environment")
_DEFAULT = {"feature": "chat", "provider": "openai", "model_canonical": "gpt-4o"}


def cost_of(call: Call) -> Decimal | None:
    """What tests/weeks.py makes the call cost."""
    if call.get("cost_usd") is not None:
        return Decimal(call["cost_usd"])
    if not call.get("is_priced", True):
        return None
    millions = Decimal("0.000001")
    tokens = call.get("input_total_tokens", 1_000), call.get("output_total_tokens", 100)
    return tokens[0] * Decimal(INPUT_USD) * millions + tokens[1] * Decimal(OUTPUT_USD) * millions


def showback_of(calls: Sequence[Call], times: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """A row of the showback for each key among the calls: its effective cost times what its model's invoice is of it, in cents."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    costs: dict[tuple[Any, ...], list[Decimal | None]] = defaultdict(list)
    for call in calls:
        day = call.get("started_at", NOON).date()
        known = {**dict.fromkeys(_OWNER, "unattributed"), **_DEFAULT, **call}
        row = {
            "week_start_date": day - timedelta(days=day.weekday()),
            "month_start_date": day.replace(day=1),
            **{name: known[name] for name in _OWNER},
            "provider": known["provider"],
            "billing_account_id": known.get("billing_account_id") or "unattributed",
            "model_canonical": known["model_canonical"],
            "model_tier": "unknown_tier",
        }
        key = tuple(row.values())
        costs[key].append(cost_of(call))
        found = rows.setdefault(
            key, {**row, "state": "final", "requests": 0, "unpriced_requests": 0, "unpriced_tokens": 0}
        )
        tokens = known.get("input_total_tokens", 1_000), known.get("output_total_tokens", 100)
        found["requests"] += 1
        found["input_total_tokens"] = found.get("input_total_tokens", 0) + tokens[0]
        found["output_total_tokens"] = found.get("output_total_tokens", 0) + tokens[1]
        if costs[key][-1] is None:
            found["unpriced_requests"] += 1
            found["unpriced_tokens"] += sum(tokens)
    for key, row in rows.items():
        priced = [cost for cost in costs[key] if cost is not None]
        row["effective_cost_usd"] = sum(priced) if priced else None
        row["invoiced_cost_usd"] = round(sum(priced, Decimal()) * times.get(row["model_canonical"], Decimal(1)), 2)
        row["billing_month"] = f"{row['month_start_date']:%Y-%m}"
    return list(rows.values())


@pytest.fixture
def economics_of(weeks_of: Callable[..., Weeks]) -> Callable[..., Weeks]:
    """``economics_of(calls, times={model: 1.1}, beside=[rows of the showback], **tables)``."""

    def make(
        calls: Sequence[Call],
        *,
        times: Mapping[str, Any] | None = None,
        beside: Sequence[Mapping[str, Any]] = (),
        **more: Any,
    ) -> Weeks:
        factors = {model: Decimal(str(factor)) for model, factor in (times or {}).items()}
        more.setdefault("ref_model_tiers", [])
        return weeks_of(calls, mart_showback_weekly=[*showback_of(calls, factors), *beside], **more)

    return make
