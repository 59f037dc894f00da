"""Money ahead: budgets with where they are heading, how much hangs on each seller, and prices that will change."""

from __future__ import annotations

from typing import Any

from pipelines.report import charts, wording
from pipelines.report.reading import Ask

SECTION = "ahead"
PRICES_AT_MOST = 10
_BUDGETS = """
select month_start_date, scope_kind, scope_value, usage_date, is_month_over, budget_usd, spent_usd, spent_basis, budget_state,
    projection_usd, projection_low_usd, projection_high_usd, forecast_state, forecast_reason, breach_date
from mart_budgets_weekly
where week_start_date = $week $own
qualify month_start_date = max(month_start_date) over ()
order by scope_kind desc, budget_usd desc, scope_value
"""
_VENDORS = """
select provider, effective_cost_usd, spend_share, price_effect_usd, price_weeks, contract_cost_usd, shock_share, shock_usd
from mart_vendor_exposure_weekly where week_start_date = $week and cut = 'provider'
order by spend_share desc nulls last, provider
"""
_PRICES = """
with in_use as (
    select provider, model_canonical from mart_vendor_exposure_weekly where week_start_date = $week and cut = 'model'
)
select p.provider, p.model_id, p.unit, p.per_units, p.unit_price, p.currency, cast(p.effective_from as date) as from_date,
    max(o.unit_price) as old_unit_price
from ref_price_book as p
inner join in_use as u on p.provider = u.provider and p.model_id = u.model_canonical
left join ref_price_book as o
    on o.provider = p.provider and o.model_id = p.model_id and o.unit = p.unit and o.per_units = p.per_units
    and o.superseded_at is null and o.service_tier is not distinct from p.service_tier
    and o.processing is not distinct from p.processing and o.ctx_min_tokens is not distinct from p.ctx_min_tokens
    and o.region_class is not distinct from p.region_class
    and (o.effective_from is null or o.effective_from < $week + 7) and o.effective_to >= p.effective_from
where p.effective_from >= $week + 7 and p.superseded_at is null and p.processing is null and p.service_tier is null
group by all order by from_date, p.provider, p.model_id, p.unit
"""


def figures(ask: Ask) -> dict[str, Any]:
    own = ""
    if ask.team is not None:
        own = "and (scope_kind = 'team' $scope or scope_kind = 'feature' $features)".replace(
            "feature in", "scope_value in"
        )
    query = ask.filled(_BUDGETS.replace("$own", own)).replace("and feature in", "and scope_value in")
    budgets = ask.rows(SECTION, "Budgets", query)
    ask.asked_as(SECTION, "Budgets").link(budgets, "scope_kind", "scope_value")
    for row in budgets:
        row["bar"] = _bar(row)
        row["state_words"] = _state(row)
    vendors, prices = [], []
    if ask.team is None:
        vendors = ask.rows(SECTION, "Sellers", _VENDORS)
        prices = ask.rows(SECTION, "Prices that change after the week", _PRICES)
        ask.asked_as(SECTION, "Sellers").link(vendors, "provider")
        ask.asked_as(SECTION, "Prices that change after the week").link(
            prices[:PRICES_AT_MOST], "provider", "model_id", "unit", "from_date"
        )
    for row in vendors:
        row["bar"] = charts.bar(float(row["spend_share"] or 0))
    return {
        "budgets": budgets,
        "title": _title(budgets),
        "vendors": vendors,
        "vendor_title": _vendor_title(vendors),
        "prices": prices[:PRICES_AT_MOST],
        "prices_left": len(prices[PRICES_AT_MOST:]),
    }


def _bar(row: dict[str, Any]) -> Any:
    ends = [row[name] for name in ("projection_low_usd", "projection_usd", "projection_high_usd")]
    whole = float(max(end for end in [row["budget_usd"], row["spent_usd"], *ends] if end is not None)) * 1.02
    if not whole:
        return ""
    low, middle, high = (None if end is None else float(end) / whole for end in ends)
    return charts.projection(float(row["spent_usd"] or 0) / whole, low, middle, high, float(row["budget_usd"]) / whole)


def _state(row: dict[str, Any]) -> str:
    if row["is_month_over"]:
        over = row["spent_usd"] is not None and row["spent_usd"] > row["budget_usd"]
        return f"over by {wording.usd(row['spent_usd'] - row['budget_usd'])}" if over else "kept"
    if row["forecast_reason"]:
        return f"no projection: {wording.words(row['forecast_reason'])}"
    said = {
        "none": "within the budget",
        "possible": "may go over",
        "likely": "heads over",
        "near_certain": "almost certainly over",
    }.get(row["forecast_state"] or "", "")
    return f"{said} on {wording.day(row['breach_date'])}" if row["breach_date"] and said else said


def _title(budgets: list[dict[str, Any]]) -> str:
    if not budgets:
        return "No budget is set for the month: reference/budgets.csv"
    over = [
        row
        for row in budgets
        if row["forecast_state"] in ("likely", "near_certain")
        or (row["is_month_over"] and row["spent_usd"] is not None and row["spent_usd"] > row["budget_usd"])
    ]
    if not over:
        return (
            f"{wording.things(len(budgets), 'budget')}, none heading over"
            if not budgets[0]["is_month_over"]
            else f"{wording.things(len(budgets), 'budget')}, all kept"
        )
    named = [f"{row['scope_kind']} {row['scope_value']}" for row in over]
    heads = "went" if over[0]["is_month_over"] else "heads" if len(over) == 1 else "head"
    return f"{len(over)} of {wording.things(len(budgets), 'budget')} {heads} over: {wording.joined(named)}"


def _vendor_title(vendors: list[dict[str, Any]]) -> str:
    known = [row for row in vendors if row["shock_usd"] is not None]
    if not known:
        return ""
    first = known[0]
    return (
        f"{first['provider']} is {wording.share(first['spend_share'])} of spend; "
        f"{wording.share(first['shock_share'])} on its prices would add {wording.usd(first['shock_usd'])} a week"
    )
