"""One cost from the provider's usage object to dollars: classes, rates, where they come from, owner and invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb

from pipelines.contract import TOKEN_CLASSES, TOKEN_UNITS
from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.prices.rate_of_call import NARROWEST_FIRST, RATE_OF_CALL
from pipelines.unread import remedy_of
from pipelines.views import open_views

DIMENSIONS = ("feature", "team", "cost_centre", "customer_tier", "environment", "billing_account_id")
# Columns of ledger_requests by which a person may name a call.
NAMES = ("request_key", "source_row_id", "provider_response_id", "entity_key", "gateway_call_id", "span_id")
MOST_FOUND = 5


class NotOneRequest(LookupError):
    """A text that names no call, or several; the message says which."""


def explain(root: DataRoot, request: str) -> dict[str, Any]:
    """All that led to the cost of one call. ``request`` is its key, or an id that its source or provider gave it.

    Raises NotOneRequest where no call or more than one goes by that name, FileNotFoundError before the first run.
    """
    with open_views(root) as con:
        call = _call(con, request)
        key = call["request_key"]
        day = call["started_at"].date()
        [cost] = named_rows(con, "select * from ledger_costs where request_key = ?", [key]) or [{}]
        [staged, *_] = named_rows(
            con,
            """select source_file, source_row, usage_raw from staged_requests
            where request_key = ? order by source_row_version desc nulls last, source_file, source_row""",
            [key],
        ) or [{}]
        [name, *_] = named_rows(
            con,
            """select resolved_by, resolution_confidence from ledger_models
            where usage_date = ? and provider = ? and model_raw = ?""",
            [day, call["provider"], call["model_served"]],
        ) or [{}]
        rate = _rate(con, call, cost) if cost else {}
        prices = named_rows(
            con,
            """select price_id, unit, unit_price, per_units, currency, service_tier, processing, region_class, ctx_min_tokens,
                effective_from, effective_to, confidence, source_ref
            from ref_price_book
            where list_contains($ids::varchar[], price_id) and effective_from <= $at and effective_to > $at
                and superseded_at = timestamptz '9999-12-31 00:00:00+00'
            union all
            select price_id, unit, full_usd_per_mtok, 1000000, 'USD', 'standard', 'sync', 'global', 0, hour_from_at, hour_to_at,
                'derived', 'reference/gpu_pools.csv and the calls of the hour (ledger_gpu_rates)'
            from ledger_gpu_rates
            where list_contains($ids::varchar[], price_id) and hour_from_at <= $at and hour_to_at > $at
            order by unit""",
            {"ids": cost.get("price_ids") or [], "at": call["started_at"]},
        )
        return {
            "request_key": key,
            "source": call["source"],
            "source_account": call["source_account"],
            "source_row_id": call["source_row_id"],
            "file": staged.get("source_file"),
            "line": staged.get("source_row"),
            "started_at": call["started_at"],
            "status": call["status"],
            "is_billable": call["is_billable_leaf"],
            "row_kind": call["row_kind"],
            "provider": call["provider"],
            "model_served": call["model_served"],
            "model_canonical": call["model_canonical"],
            "resolved_by": name.get("resolved_by"),
            "conditions": {
                name: rate.get(name) for name in ("price_tier", "price_processing", "price_region_class") if rate
            },
            "usage_shape": call["usage_shape"],
            "usage_flags": call["usage_flags"],
            "unread": _unread(call),
            "usage_raw": staged.get("usage_raw"),
            "context_test_tokens": call["context_test_tokens"],
            "classes": (classes := _classes(call, cost, rate)),
            "prices": _used(call, rate, prices),
            "cost_status": cost.get("cost_status"),
            "cost_reason": cost.get("cost_reason"),
            "classes_without_rate": [
                row["class"]
                for row in classes
                if cost.get("cost_reason") in ("no_row_for_a_class", "no_row_for_unit_version")
                and row["list_usd_per_mtok"] is None
                and row["class"] != "tool_fee_usd"
            ],
            "list_cost_usd": cost.get("list_cost_usd"),
            "contracted_cost_usd": cost.get("contracted_cost_usd"),
            "effective_cost_usd": cost.get("effective_cost_usd"),
            "cost_estimate_usd": cost.get("cost_estimate_usd"),
            **{
                name: cost.get(name)
                for name in ("price_currency", "fx_rate_to_usd", "fx_rate_date", "list_cost_native")
            },
            "cost_reported_usd": call["cost_reported_usd"],
            "book_version": cost.get("book_version"),
            "attribution": [
                {"dimension": name, "value": call[name], "source": (call["attribution_source"] or {}).get(name)}
                for name in DIMENSIONS
            ],
            "invoice": _invoice(con, call, cost),
        }


def _call(con: duckdb.DuckDBPyConnection, request: str) -> dict[str, Any]:
    for name in NAMES:
        found = named_rows(con, f"select * from ledger_requests where {name} = ? limit {MOST_FOUND}", [request])
        if len(found) == 1:
            return found[0]
        if found:
            keys = ", ".join(f"{row['request_key']} ({row['source']}, {row['started_at']:%Y-%m-%d})" for row in found)
            raise NotOneRequest(f"{request!r} is the {name} of several calls: {keys}. Name one by its request_key.")
    raise NotOneRequest(
        f"No call goes by {request!r}: asked were {', '.join(NAMES)} of ledger_requests. "
        "A call that was refused is in 'tokenbooks sql \"from ledger_record_fates\"'."
    )


def _rate(con: duckdb.DuckDBPyConnection, call: dict[str, Any], cost: dict[str, Any]) -> dict[str, Any]:
    """The row of ledger_rates that priced the call; nothing where none did."""
    found = named_rows(
        con,
        f"""select r.*
        from ledger_requests as q
        inner join ledger_rates as r
            on {RATE_OF_CALL}
        where q.request_key = ?
        order by {NARROWEST_FIRST}
        limit 1""",
        [call["request_key"]],
    )
    return found[0] if found else {}


def _used(call: dict[str, Any], rate: dict[str, Any], prices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the prices that hold for a call, those that it was priced by: each class by its first unit that has one."""
    priced = {price["unit"] for price in prices}
    used = {next((unit for unit in one.units if unit in priced), "") for one in TOKEN_CLASSES if call[one.tokens]}
    listed = rate.get("unit_list_usd_per_million") or {}
    rates = [listed.get(word) for word, quantity in (call["extra_units"] or {}).items() if quantity]
    # Other units have several words; one without a rate of its own (minutes) is priced by another that the list has.
    return [
        price
        for price in prices
        if price["unit"] in used
        or (
            price["unit"] not in TOKEN_UNITS
            and rates
            and (None in rates or price["unit_price"] * 1_000_000 / price["per_units"] in rates)
        )
    ]


def _classes(call: dict[str, Any], cost: dict[str, Any], rate: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a token class that the call has, and one for each unit that is no token."""
    rows = []
    for name in (one.name for one in TOKEN_CLASSES):
        if call[f"{name}_tokens"]:
            rows.append(
                {
                    "class": name,
                    "quantity": Decimal(call[f"{name}_tokens"]),
                    "list_usd_per_mtok": rate.get(f"{name}_list_usd_per_mtok"),
                    "list_cost_usd": cost.get(f"{name}_list_cost_usd"),
                    "usd_per_mtok": rate.get(f"{name}_usd_per_mtok"),
                    "cost_usd": cost.get(f"{name}_cost_usd"),
                }
            )
    for unit, quantity in sorted((call["extra_units"] or {}).items()):
        listed, owed = (
            (rate.get(name) or {}).get(unit) for name in ("unit_list_usd_per_million", "unit_usd_per_million")
        )
        rows.append(
            {
                "class": unit,
                "quantity": quantity,
                "list_usd_per_mtok": listed,
                "list_cost_usd": None if listed is None else quantity * listed / 1_000_000,
                "usd_per_mtok": owed,
                "cost_usd": None if owed is None else quantity * owed / 1_000_000,
            }
        )
    return rows


def _unread(call: dict[str, Any]) -> list[dict[str, Any]]:
    """What the usage of the call states and no class has, by key."""
    counts = dict(call["unread_usage"] or {})
    left = (call["provider_total_tokens"] or 0) - (call["total_tokens"] or 0)
    if not counts and left > 0:
        counts = {"total": left}
    return [
        {"usage_key": key, "unread_tokens": count, "remedy": remedy_of(key)} for key, count in sorted(counts.items())
    ]


def _invoice(con: duckdb.DuckDBPyConnection, call: dict[str, Any], cost: dict[str, Any]) -> dict[str, Any] | None:
    """What the call bears of the invoice: its effective cost times invoiced over effective of its showback row."""
    same = " and ".join(f"s.{name} = ?" for name in ("feature", "team", "cost_centre", "customer_tier", "environment"))
    found = named_rows(
        con,
        f"""select s.week_start_date, s.billing_month, s.billing_account_id, s.state, s.allocation_basis, s.effective_cost_usd,
            s.invoiced_cost_usd
        from mart_showback_weekly as s
        where s.week_start_date = date_trunc('week', ?::timestamptz)::date
            and s.billing_month = strftime(?::timestamptz, '%Y-%m')
            and s.provider = ? and s.model_canonical = ? and s.billing_account_id = ? and {same}""",
        [
            call["started_at"],
            call["started_at"],
            call["provider"],
            call["model_canonical"] or "unknown_model",
            call["billing_account_id"] or "unattributed",
            *(call[name] for name in ("feature", "team", "cost_centre", "customer_tier", "environment")),
        ],
    )
    if len(found) != 1:
        return None
    [row] = found
    own = cost.get("effective_cost_usd")
    if own is not None and row["effective_cost_usd"] and row["invoiced_cost_usd"] is not None:
        # A share of a sum of cents: the ten places of other shares, so that no digit is claimed that none has.
        share = own * row["invoiced_cost_usd"] / row["effective_cost_usd"]
        row["call_invoiced_usd"] = share.quantize(Decimal("1e-10"))
    return row
