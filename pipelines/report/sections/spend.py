"""The week in figures: what was spent and how firm that is, and the six figures with their thirteen weeks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from pipelines.report import charts, wording
from pipelines.report.reading import TREND_WEEKS, WEEK, Ask

SECTION = "spend"
_WEEKS = """
select week_start_date, sum(invoiced_cost_usd) as invoiced_cost_usd, count(*) - count(invoiced_cost_usd) as unknown_rows,
    sum(requests)::bigint as requests, sum(unpriced_requests)::bigint as unpriced_requests,
    sum(unpriced_tokens)::bigint as unpriced_tokens, sum(input_total_tokens + output_total_tokens)::bigint as total_tokens,
    sum(invoiced_cost_usd) filter (where state = 'provisional') as provisional_cost_usd,
    count(*) filter (where state = 'provisional') as provisional_rows, count(*) filter (where state <> 'closed') as open_rows,
    sum(direct_cost_usd + allocated_untraced_usd) as usage_cost_usd,
    sum(direct_cost_usd) filter (where feature <> 'unattributed') as attributed_cost_usd,
    sum(direct_cost_usd) as direct_cost_usd,
    sum(direct_cost_usd) filter (where allocation_basis = 'invoice') as reconciled_cost_usd,
    sum(allocated_untraced_usd) filter (where allocation_basis = 'invoice') as untraced_usd
from published_showback_weekly
where week_start_date > $week - 91 and week_start_date <= $week $mine
group by week_start_date order by week_start_date
"""
_TASKS = """
select week_start_date, sum(tasks_cost_usd) as tasks_cost_usd, sum(tasks)::bigint as tasks, sum(successes)::bigint as successes,
    sum(unknown_outcomes)::bigint as unknown_outcomes,
    sum(tasks_cost_usd) / nullif(sum(successes + unknown_outcomes), 0) as cost_per_successful_task_low_usd,
    sum(tasks_cost_usd) / nullif(sum(successes), 0) as cost_per_successful_task_high_usd
from mart_feature_economics_weekly
where week_start_date > $week - 91 and week_start_date <= $week and tasks > 0 $features
group by week_start_date order by week_start_date
"""
_CACHE = """
select week_start_date,
    (sum(cache_hit_rate * cache_known_input_tokens) / nullif(sum(cache_known_input_tokens), 0))::double as cache_hit_rate
from mart_cache_economics_weekly
where week_start_date > $week - 91 and week_start_date <= $week $features
group by week_start_date order by week_start_date
"""
_REVENUE = """
select week_start_date, max(revenue_usd) as revenue_usd
from mart_vendor_exposure_weekly where week_start_date > $week - 91 and week_start_date <= $week
group by week_start_date order by week_start_date
"""
_MISSING = """
select strftime(month_start_date, '%Y-%m') as billing_month, provider, verdict
from mart_reconciliation_monthly
where state = 'provisional' and month_start_date <= $week + 6 and month_start_date >= date_trunc('month', $week)
    and provider in (select provider from published_showback_weekly where week_start_date = $week $mine)
order by billing_month, provider
"""
_DATA_UNTIL = """
select max(usage_date) as usage_date from mart_data_quality_daily
where usage_date >= $week and usage_date < $week + 7 and requests > 0
"""
_BUDGETS = """
select month_start_date, sum(budget_usd) as budget_usd, list(scope_value) as teams, day(last_day(month_start_date)) as days
from mart_budgets_weekly
where scope_kind = 'team' and week_start_date = $week $scope
group by month_start_date
order by month_start_date desc limit 1
"""
# What each figure of the strip means, and the question that it comes from.
_BEHIND = {
    "Invoiced cost": ("mart_showback_weekly.invoiced_cost_usd", "Spend of thirteen weeks"),
    "Cost per successful task": (
        "Cost of all tasks that began in the week, retries and failures included, over those that succeeded; "
        "a range where outcomes are missing.",
        "Cost per successful task",
    ),
    "Inference margin": ("mart_feature_economics_weekly.inference_margin", "Revenue of the weeks"),
    "Cache hit rate, tokens": ("mart_cache_economics_weekly.cache_hit_rate", "Cache hit rate by tokens"),
    "Share attributed": ("Direct cost with a feature over all usage cost of the week.", "Spend of thirteen weeks"),
    "Share reconciled": (
        "Direct cost that an invoice confirms over all usage cost of the week.",
        "Spend of thirteen weeks",
    ),
    "Share direct": ("Cost that traced calls explain over all usage cost of the week.", "Spend of thirteen weeks"),
}


def figures(ask: Ask) -> dict[str, Any]:
    weeks = ask.rows(SECTION, "Spend of thirteen weeks", _WEEKS)
    [now] = [row for row in weeks if row["week_start_date"] == ask.week] or [_nothing(weeks)]
    before = next((row for row in weeks if row["week_start_date"] == ask.week - WEEK), None)
    missing = ask.rows(SECTION, "Bills that are awaited", _MISSING)
    until = ask.row(SECTION, "Newest day with calls", _DATA_UNTIL)
    # Sums of all costs say nothing where no call of the week has a price.
    is_unknown = now["requests"] and now["requests"] == now["unpriced_requests"] and not now["usage_cost_usd"]
    strip = _strip(ask, weeks, now, is_unknown=bool(is_unknown))
    firsts = [place for figure in strip for place, one in enumerate(figure["trend"]) if one is not None]
    return {
        "trend_weeks": TREND_WEEKS + 1 - min(firsts, default=TREND_WEEKS),
        "week": ask.week,
        "last_day": ask.last_day,
        "now": now,
        "before": before,
        "invoiced_cost_usd": None if is_unknown else now["invoiced_cost_usd"],
        "change_usd": None
        if is_unknown
        else less(now["invoiced_cost_usd"], before["invoiced_cost_usd"] if before else None),
        "missing": _missing_in_words(missing),
        "data_until": until and until["usage_date"],
        "strip": strip,
        "weeks": _weeks_before(ask),
    }


def less(now: Decimal | None, before: Decimal | None) -> Decimal | None:
    return None if now is None or before is None else now - before


def _nothing(weeks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return dict.fromkeys(weeks[0] if weeks else ("invoiced_cost_usd",), None) | dict.fromkeys(
        ("requests", "unpriced_requests", "unpriced_tokens", "provisional_rows", "open_rows", "total_tokens"), 0
    )


def _missing_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    by_verdict: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        by_verdict.setdefault((row["verdict"], row["billing_month"]), [])
        if row["provider"] not in by_verdict[row["verdict"], row["billing_month"]]:
            by_verdict[row["verdict"], row["billing_month"]].append(row["provider"])
    said = []
    for (verdict, month), providers in by_verdict.items():
        reason = {"no_bill": "no bill yet", "fail": "bill and calls do not agree"}.get(verdict, "bill not complete")
        said.append(f"{wording.joined(providers)} for {month}: {reason}")
    return "; ".join(said)


def _weeks_before(ask: Ask) -> list[Any]:
    return [ask.week - number * WEEK for number in range(TREND_WEEKS, -1, -1)]


def _strip(
    ask: Ask, weeks: Sequence[Mapping[str, Any]], now: Mapping[str, Any], *, is_unknown: bool
) -> list[dict[str, Any]]:
    limits = ask.limits
    spent = {row["week_start_date"]: row for row in weeks}
    tasks = {row["week_start_date"]: row for row in ask.rows(SECTION, "Cost per successful task", _TASKS)}
    caches = {row["week_start_date"]: row for row in ask.rows(SECTION, "Cache hit rate by tokens", _CACHE)}
    days = _weeks_before(ask)

    def series(rows: Mapping[Any, Mapping[str, Any]], value: Any) -> list[float | None]:
        return [_float(value(rows[one])) if one in rows else None for one in days]

    invoiced = series(spent, lambda row: row["invoiced_cost_usd"])
    budget = _weekly_budget(ask, now)
    strip = [
        _figure(
            "Invoiced cost",
            "unknown" if is_unknown else wording.usd(now["invoiced_cost_usd"]),
            "no call of the week has a price" if is_unknown else _rates_missing(now),
            invoiced,
            budget,
            f"budget {wording.usd(Decimal(budget))} a week" if budget is not None else "",
            _relative,
            wording.usd,
        )
    ]
    strip.append(_task_figure(tasks, ask, series, limits))
    if ask.team is None:
        revenue = {row["week_start_date"]: row for row in ask.rows(SECTION, "Revenue of the weeks", _REVENUE)}
        margins = [
            1 - cost / float(revenue[one]["revenue_usd"])
            if one in revenue and revenue[one]["revenue_usd"] and cost is not None
            else None
            for one, cost in zip(days, invoiced, strict=True)
        ]
        why = "no revenue is known: revenue.csv" if ask.week in revenue else "known when the week is over"
        strip.append(
            _share_figure("Inference margin", margins, limits.get("inference_margin_red_rate"), "at least", why)
        )
    hit = series(caches, lambda row: row["cache_hit_rate"])
    strip.append(
        _share_figure(
            "Cache hit rate, tokens",
            hit,
            limits.get("cache_hit_red_rate"),
            "at least",
            "no call tells what it read from a cache",
        )
    )
    if ask.team is None:
        attributed = series(spent, lambda row: _over(row["attributed_cost_usd"] or 0, row["usage_cost_usd"]))
        limit = 1 - limits["unattributed_warn_share"] if "unattributed_warn_share" in limits else None
        strip.append(_share_figure("Share attributed", attributed, limit, "at least", "no call has a price"))
        reconciled = series(
            spent,
            lambda row: (
                None if row["reconciled_cost_usd"] is None else _over(row["reconciled_cost_usd"], row["usage_cost_usd"])
            ),
        )
        strip.append(
            _share_figure(
                "Share reconciled", reconciled, limits.get("coverage_warn"), "at least", "no invoice of the week is in"
            )
        )
    else:
        direct = series(spent, lambda row: _over(row["direct_cost_usd"], row["usage_cost_usd"]))
        strip.append(
            _share_figure("Share direct", direct, limits.get("coverage_warn"), "at least", "no call has a price")
        )
    for figure in strip:
        figure["of"], title = _BEHIND[figure["name"]]
        asked = ask.asked_as(SECTION, title)
        figure["at"], figure["trend_at"] = asked.place({"week_start_date": ask.week}), asked.place()
    return strip


def _rates_missing(now: Mapping[str, Any]) -> str:
    return "without rows that lack a rate to USD" if now.get("unknown_rows") else ""


def _weekly_budget(ask: Ask, now: Mapping[str, Any]) -> float | None:
    """A week's part of the month's budgets, where every team that spent has one."""
    found = ask.row(SECTION, "Budgets of the month", _BUDGETS)
    if found is None or not found["budget_usd"]:
        return None
    if ask.team is None:
        rows = ask.con.execute(
            ask.filled(
                "select distinct team from published_showback_weekly where week_start_date = $week and invoiced_cost_usd > 0"
            )
        ).fetchall()
        if {team for (team,) in rows} - {"unattributed"} - set(found["teams"]):
            return None
    return float(found["budget_usd"]) * 7 / int(found["days"])


def _task_figure(
    tasks: Mapping[Any, Mapping[str, Any]], ask: Ask, series: Any, limits: Mapping[str, float]
) -> dict[str, Any]:
    row = tasks.get(ask.week)
    trend = series(tasks, lambda one: one["cost_per_successful_task_high_usd"])
    value, why = "unknown", "no call names a task"
    if row is not None:
        low, high = row["cost_per_successful_task_low_usd"], row["cost_per_successful_task_high_usd"]
        known = 1 - row["unknown_outcomes"] / row["tasks"]
        if high is None:
            why = "no task is known to have succeeded"
        elif known >= limits.get("outcome_coverage_point", 0.9):
            value, why = wording.unit_cost(high), f"{wording.share(known)} of outcomes known"
        else:
            value = f"{wording.unit_cost(low)} to {wording.unit_cost(high)}"
            why = f"{wording.share(known)} of outcomes known"
    return _figure("Cost per successful task", value, why, trend, None, "", _relative, wording.unit_cost)


def _share_figure(name: str, trend: Sequence[float | None], limit: float | None, side: str, why: str) -> dict[str, Any]:
    now = trend[-1]
    said = f"limit: {side} {wording.share(limit)}" if limit is not None else ""
    figure = _figure(
        name, wording.share(now), "" if now is not None else why, trend, limit, said, _points, wording.share
    )
    if now is not None and limit is not None and now < limit:
        figure["state"] = "below the limit"
    return figure


def _figure(
    name: str,
    value: str,
    note: str,
    trend: Sequence[float | None],
    limit: float | None,
    limit_text: str,
    difference: Any,
    form: Any,
) -> dict[str, Any]:
    now, before = trend[-1], trend[-2]
    known = [one for one in trend if one is not None]
    label = f"{name}, {len(known)} weeks: from {form(Decimal(known[0]))} to {form(Decimal(known[-1]))}" if known else ""
    return {
        "name": name,
        "value": value,
        "note": note,
        "change": difference(now, before) if now is not None and before is not None else "",
        "spark": charts.sparkline(trend, limit, label=label) if now is not None else Markup(""),
        "limit": limit_text,
        "state": "",
        "trend": [None if one is None else form(Decimal(one)) for one in trend],
    }


def _relative(now: float, before: float) -> str:
    return f"{wording.growth(now / before - 1)} on the week before" if before else ""


def _points(now: float, before: float) -> str:
    moved = round((now - before) * 100)
    return f"{moved:+d} point{'s' * (abs(moved) != 1)} on the week before" if moved else "as the week before"


def _over(part: Any, whole: Any) -> float | None:
    return None if not whole or part is None else float(part) / float(whole)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
