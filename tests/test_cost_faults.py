"""Stated costs that cannot be right: each fault is found, with its dollars, and an honest cost is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

Run = Callable[..., list[dict[str, Any]]]
AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
LIMITS = [
    {
        "limit_name": name,
        "scope_kind": "",
        "scope_value": "",
        "threshold": number,
        "threshold_number": Decimal(number),
        "valid_from_date": date(2026, 1, 1),
        "valid_to_date": date(9999, 12, 31),
    }
    for name, number in (
        ("implausible_usd_per_mtok", "5000"),
        ("stated_cost_tolerance", "0.005"),
        ("stated_cost_min_usd", "0"),
    )
]
RATES = [{"currency": "CNY", "rate_date": date(2026, 1, 1), "fx_rate_to_usd": Decimal("0.14")}]


def faults(run: Run, *calls: dict[str, Any]) -> list[dict[str, Any]]:
    """Calls with ``tokens``, ``stated`` and ``listed``."""
    requests, costs = [], []
    for number, call in enumerate(calls):
        key = f"r-{number}"
        requests.append(
            {
                "request_key": key,
                "started_at": AT,
                "model_served": call.get("model", "gpt-4o"),
                "total_tokens": call["tokens"],
                "input_total_tokens": call["tokens"],
                "gateway_cache_hit": call.get("hit", False),
                "cost_reported_basis": call.get("basis", "gateway_list"),
                "extra_units": {},
            }
        )
        costs.append(
            {
                "request_key": key,
                "started_at": AT,
                "cost_status": "priced",
                "cost_reason": call.get("reason"),
                "cost_reported_usd": call["stated"],
                "list_cost_usd": call["listed"],
                "contracted_cost_usd": call.get("contracted", call["listed"]),
            }
        )
    return run(
        "mart_cost_faults_daily", ledger_requests=requests, ledger_costs=costs, ref_limits=LIMITS, ref_fx_rates=RATES
    )


@pytest.mark.parametrize(
    ("call", "fault", "dollars"),
    [
        ({"tokens": 1_000, "stated": Decimal(999), "listed": Decimal("0.0025")}, "implausible_price", "998.9975"),
        ({"tokens": 1_000, "stated": Decimal(999), "listed": None}, "implausible_price", "999"),
        ({"tokens": 0, "stated": Decimal("0.02"), "listed": None}, "cost_without_tokens", "0.02"),
        ({"tokens": 1_000, "stated": Decimal(0), "listed": Decimal("0.0025")}, "zero_cost", "0.0025"),
        ({"tokens": 1_000, "stated": Decimal("2.5"), "listed": Decimal("0.0025")}, "wrong_scale", "2.4975"),
        ({"tokens": 1_000, "stated": Decimal("0.0000025"), "listed": Decimal("0.0025")}, "wrong_scale", "0.0024975"),
        ({"tokens": 1_000, "stated": Decimal("0.0178571"), "listed": Decimal("0.0025")}, "wrong_currency", "0.0153571"),
        ({"tokens": 1_000, "stated": Decimal("0.00035"), "listed": Decimal("0.0025")}, "wrong_currency", "0.00215"),
        ({"tokens": 1_000, "stated": Decimal("0.0030"), "listed": Decimal("0.0025")}, "differs", "0.0005"),
        ({"tokens": 1_000, "stated": Decimal("0.025"), "listed": Decimal("0.0025")}, "differs", "0.0225"),
        ({"tokens": 1_000, "stated": Decimal("0.00025"), "listed": Decimal("0.0025")}, "differs", "0.00225"),
        ({"tokens": 1, "stated": Decimal("0.00000001"), "listed": Decimal("0.0000001")}, "differs", "0.00000009"),
    ],
)
def test_a_stated_cost_that_cannot_be_right_is_found_with_its_dollars(
    run: Run, call: dict[str, Any], fault: str, dollars: str
) -> None:
    """gpt-4o, 1,000 tokens cost 0.0025: 999 is a placeholder, 2.5 per thousand, 0.0178571 = 0.0025 / 0.14 in yuan, 0.025 tenfold."""
    [row] = faults(run, call)

    assert (row["fault"], row["faulty_requests"], row["fault_usd"]) == (fault, 1, Decimal(dollars))


@pytest.mark.parametrize(
    "call",
    [
        {"tokens": 1_000, "stated": Decimal("0.0025"), "listed": Decimal("0.0025")},
        {"tokens": 1_000, "stated": Decimal("0.0030"), "listed": Decimal("0.0025"), "basis": "with_margin"},
        {"tokens": 1_000, "stated": Decimal("0.0020"), "listed": Decimal("0.0025"), "contracted": Decimal("0.0020")},
        {"tokens": 1_000, "stated": Decimal("0.000012"), "listed": Decimal("0.0000124")},
        {"tokens": 1_000, "stated": Decimal(0), "listed": Decimal(0)},
        {"tokens": 1_000, "stated": Decimal(0), "listed": Decimal("0.0025"), "hit": True},
        {"tokens": 1_000, "stated": Decimal("0.003"), "listed": Decimal("0.003"), "reason": "provider_stated"},
        {"tokens": 1_000, "stated": Decimal(0), "listed": None},
    ],
)
def test_an_honest_cost_is_no_fault(run: Run, call: dict[str, Any]) -> None:
    """A stated margin of 20 %, a contract, rounding, a free model, a hit of the gateway's cache, a cost that is the only one there is."""
    assert faults(run, call) == []


def test_the_days_quality_counts_them_and_warns(run: Run) -> None:
    """Two faults of 998.9975 and 0.0025 dollars."""
    fate = {
        "usage_date": date(2026, 11, 2),
        "source": "app_log",
        "source_account": "default",
        "shape": "requests",
        "fate": "booked",
        "reason": "",
        "records": 2,
        "first_source_row": 1,
    }
    fault = {
        "usage_date": date(2026, 11, 2),
        "source": "app_log",
        "provider": "openai",
        "model_served": "gpt-4o",
        "faulty_requests": 1,
        "total_tokens": 1_000,
    }
    rows = [
        fault | {"fault": "implausible_price", "fault_usd": Decimal("998.9975")},
        fault | {"fault": "zero_cost", "fault_usd": Decimal("0.0025")},
    ]

    [day] = run("mart_data_quality_daily", ledger_record_fates=[fate], mart_cost_faults_daily=rows)

    assert (day["faulty_cost_requests"], day["faulty_cost_usd"], day["verdict"]) == (2, Decimal("999"), "warn")


def test_what_a_source_does_not_give_is_named(run: Run) -> None:
    """Two calls of a tool that knows tokens and owners, and a bill of the same day."""
    day = {"usage_date": date(2026, 11, 2), "source_account": "default", "fate": "booked", "reason": "", "records": 1}
    fates = [
        day | {"source": "app_log", "shape": "requests", "source_file_sha256": "a", "first_source_row": 1},
        day | {"source": "focus", "shape": "bills", "source_file_sha256": "b", "first_source_row": 1},
    ]
    call = {"started_at": AT, "source": "app_log", "total_tokens": 10, "extra_units": {}}
    calls = [
        call | {"request_key": "r-1", "cache_read_tokens": 0, "task_id": "t-1", "feature": "search", "trace_id": "x"},
        call | {"request_key": "r-2", "user_id": "u-1"},
    ]
    costs = [{"request_key": one["request_key"], "started_at": AT, "cost_status": "priced"} for one in calls]

    rows = run(
        "mart_data_quality_daily",
        ledger_record_fates=fates,
        ledger_requests=calls,
        ledger_costs=costs,
        ref_limits=LIMITS,
    )

    assert {row["source"]: row["not_given"] for row in rows} == {
        "app_log": "output_reasoning_tokens, provider_response_id, duration_ms, ttft_ms, session_id, team",
        "focus": "calls",
    }
