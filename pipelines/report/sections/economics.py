"""Unit economics: costs and margins of features by customer tier, users against what they pay, customers served at a loss."""

from __future__ import annotations

from typing import Any

from pipelines.report import charts, wording
from pipelines.report.reading import Ask

SECTION = "economics"
LOSSES_AT_MOST = 10
_FEATURES = """
select feature, customer_tier, requests, invoiced_cost_usd, cost_per_request_usd, tasks, cost_per_task_usd,
    cost_per_successful_task_low_usd, cost_per_successful_task_high_usd, cost_per_successful_task_usd, task_verdict,
    revenue_usd, inference_margin, inference_margin_reason
from mart_feature_economics_weekly where week_start_date = $week $features
order by feature = 'unattributed', sum(invoiced_cost_usd) over (partition by feature) desc nulls last, feature,
    invoiced_cost_usd desc nulls last, customer_tier
"""
_MONTH = """(
    select coalesce(max(month_start_date) filter (where is_month_over), max(month_start_date))
    from {table} where month_start_date <= $week + 6)"""
_USERS = f"""
select month_start_date, is_month_over, customer_tier, active_users, cost_per_active_user_usd, cost_per_active_user_low_usd,
    cost_per_active_user_high_usd, arpu_usd, arpu_ratio, arpu_ratio_low, arpu_ratio_high, arpu_status, status_confidence,
    revenue_usd, invoiced_cost_usd, cogs_revenue_ratio
from mart_user_economics_monthly
where month_start_date = {_MONTH.format(table="mart_user_economics_monthly")}
order by customer_tier = 'unattributed', invoiced_cost_usd desc nulls last, customer_tier
"""
_LOSSES = f"""
select month_start_date, customer_id, customer_tier, cogs_usd, revenue_usd, margin_usd
from mart_customer_margin_monthly
where is_served_at_loss and month_start_date = {_MONTH.format(table="mart_customer_margin_monthly")}
order by margin_usd, customer_id
"""
_JUDGED = f"""
select month_start_date, sum(judged_customers)::bigint as judged_customers, sum(loss_customers)::bigint as loss_customers,
    sum(losses_usd) as losses_usd
from mart_tier_margin_monthly
where month_start_date = {_MONTH.format(table="mart_tier_margin_monthly")} group by month_start_date
"""


def figures(ask: Ask) -> dict[str, Any]:
    limits = ask.limits
    margin, red = limits.get("inference_margin_red_rate"), limits.get("arpu_share_red")
    rows = ask.rows(SECTION, "Features by customer tier", _FEATURES)
    ask.asked_as(SECTION, "Features by customer tier").link(rows, "feature", "customer_tier")
    for row in rows:
        row["success_words"] = _success(row)
        row["margin_bar"] = _margin_bar(row, margin)
        row["is_below"] = (
            margin is not None and row["inference_margin"] is not None and row["inference_margin"] < margin
        )
    known = [row for row in rows if row["inference_margin"] is not None]
    users, losses, judged = [], [], None
    if ask.team is None:
        users = [row for row in ask.rows(SECTION, "Users against what they pay", _USERS) if row["active_users"]]
        if all(row["arpu_usd"] is None for row in users):
            users = []
        judged = ask.row(SECTION, "Customers judged", _JUDGED)
        losses = ask.rows(SECTION, "Customers served at a loss", _LOSSES)
        ask.asked_as(SECTION, "Users against what they pay").link(users, "customer_tier")
        ask.asked_as(SECTION, "Customers served at a loss").link(
            losses[:LOSSES_AT_MOST], "customer_id", "customer_tier"
        )
    for row in users:
        row["bar"] = _arpu_bar(row, red)
    reasons = sorted({wording.words(row["inference_margin_reason"]) for row in rows if row["inference_margin_reason"]})
    return {
        "rows": rows,
        "has_tiers": any(row["customer_tier"] != "unattributed" for row in rows),
        "has_tasks": any(row["tasks"] for row in rows),
        "has_margin": bool(known),
        "no_margin": wording.joined(reasons),
        "margin_limit": margin,
        "users": users,
        "arpu_limit": red,
        "judged": judged if judged and judged["judged_customers"] else None,
        "losses": losses[:LOSSES_AT_MOST],
        "losses_left": len(losses[LOSSES_AT_MOST:]),
        "title": _title(known, margin, rows),
    }


def _title(known: list[dict[str, Any]], margin: float | None, rows: list[dict[str, Any]]) -> str:
    if known and margin is not None:
        below = [row for row in known if row["inference_margin"] < margin]
        number = f"{len(known)} known margin{'s' * (len(known) != 1)}"
        limit = wording.share(margin)
        if not below:
            return f"{'All' if len(known) > 1 else 'The'} {number} at or above {limit}"
        named = [
            f"{row['feature']}, {row['customer_tier']} ({wording.share(row['inference_margin'])})" for row in below[:3]
        ]
        return f"{len(below)} of {number} {'are' if len(below) > 1 else 'is'} below {limit}: {wording.joined(named)}"
    tasks = [row for row in rows if row["cost_per_successful_task_usd"] is not None]
    if tasks:
        dear = max(tasks, key=lambda row: row["cost_per_successful_task_usd"])
        tier = "" if dear["customer_tier"] == "unattributed" else f", {dear['customer_tier']}"
        return f"A successful task costs up to {wording.unit_cost(dear['cost_per_successful_task_usd'])} ({dear['feature']}{tier})"
    return "What a call and a task cost"


def _success(row: dict[str, Any]) -> str:
    """One figure, a range where too many outcomes are missing, or why there is none."""
    if row["cost_per_successful_task_usd"] is not None:
        return wording.unit_cost(row["cost_per_successful_task_usd"])
    low, high = row["cost_per_successful_task_low_usd"], row["cost_per_successful_task_high_usd"]
    if low is not None and high is not None and row["task_verdict"] in ("bounds_only", "incomplete"):
        return f"{wording.unit_cost(low)} to {wording.unit_cost(high)}"
    # As a verdict of tasks it is about their number.
    return "too few tasks" if row["task_verdict"] == "insufficient" else wording.words(row["task_verdict"])


def _margin_bar(row: dict[str, Any], limit: float | None) -> Any:
    if row["inference_margin"] is None:
        return ""
    value = float(row["inference_margin"])
    low = min(value, 0.0)
    wide = 1.0 - low
    kind = "warning" if limit is not None and value < limit else "spend"
    if low < 0:
        return charts.floating((value - low) / wide, -low / wide, kind, -low / wide)
    return charts.bar(value, limit, kind)


def _arpu_bar(row: dict[str, Any], limit: float | None) -> Any:
    if row["arpu_ratio"] is None:
        return ""
    ends = [
        float(row[name]) if row[name] is not None else None
        for name in ("arpu_ratio_low", "arpu_ratio", "arpu_ratio_high")
    ]
    whole = max(*(end for end in ends if end is not None), 2 * (limit or 0.25)) * 1.02
    low, middle, high = (None if end is None else end / whole for end in ends)
    kind = "warning" if limit is not None and float(row["arpu_ratio"]) > limit else "spend"
    return charts.bar(middle or 0.0, None if limit is None else limit / whole, kind, low=low, high=high)
