"""Can I trust this: bill against calls, what became of every record, what has no price, corrections, checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines import cost_faults
from pipelines.checks import CheckResult
from pipelines.report import wording
from pipelines.report.reading import Ask, total
from pipelines.unread import UNREAD_AT_MOST, in_words, unread_keys

SECTION = "trust"
UNPRICED_AT_MOST = 10
FAILED_AT_MOST = 5
_RECONCILIATION = """
select strftime(month_start_date, '%Y-%m') as billing_month, provider, sum(billed_usd) as billed_usd,
    sum(traced_list_cost_usd) as traced_list_cost_usd, sum(untraced_usd) as untraced_usd, sum(day_cut_usd) as day_cut_usd,
    sum(price_mismatch_usd) as price_mismatch_usd, sum(discount_usd + credit_usd) as credit_usd, sum(tax_fee_usd) as tax_fee_usd,
    sum(rounding_usd) as rounding_usd, sum(unexplained_usd) as unexplained_usd, min(provider_verdict) as verdict
from mart_reconciliation_monthly
where month_start_date >= date_trunc('month', $week) and month_start_date <= $week + 6
group by billing_month, provider order by billing_month, provider
"""
# The parts of what lies between bill and calls, and the heads of their columns.
CAUSES = (
    ("untraced_usd", "No call"),
    ("day_cut_usd", "Other day"),
    ("price_mismatch_usd", "Other price"),
    ("credit_usd", "Discounts, credits"),
    ("tax_fee_usd", "Tax, fees"),
    ("rounding_usd", "Rounding"),
    ("unexplained_usd", "Unexplained"),
)
_QUALITY = """
select source, sum(records)::bigint as records, sum(booked)::bigint as booked, sum(duplicate)::bigint as duplicate,
    sum(not_billable)::bigint as not_billable, sum(quarantined)::bigint as quarantined,
    sum(unpriced_tokens)::bigint as unpriced_tokens, sum(total_tokens)::bigint as total_tokens,
    sum(list_cost_usd) as list_cost_usd, sum(assumed_list_cost_usd) as assumed_list_cost_usd,
    sum(unread_tokens)::bigint as unread_tokens
from mart_data_quality_daily where usage_date >= $week and usage_date < $week + 7 group by source order by source
"""
_UNPRICED = """
select provider, model_canonical, sum(unpriced_requests)::bigint as unpriced_requests, sum(unpriced_tokens)::bigint as unpriced_tokens
from published_showback_weekly where week_start_date = $week
group by provider, model_canonical having sum(unpriced_requests) > 0
order by unpriced_tokens desc, unpriced_requests desc, provider, model_canonical
"""
_CORRECTIONS = """
select billing_month, team, feature, reason, caused_by, sum(delta_usd) as delta_usd
from mart_corrections_weekly where booked_week_start_date = $week group by all order by all
"""
_FAULTS = """
select source, provider, model_served as model, fault, sum(faulty_requests)::bigint as requests, sum(stated_cost_usd) as stated_usd,
    sum(list_cost_usd) as ours_usd, sum(fault_usd) as fault_usd
from mart_cost_faults_daily where usage_date >= $week and usage_date < $week + 7 group by all order by fault_usd desc
"""
_BOOK = """
select string_agg(distinct book_version, ', ' order by book_version) as book_version from ref_price_book
where effective_from is null or effective_from < $week + 7
"""


def figures(ask: Ask, results: Sequence[CheckResult]) -> dict[str, Any]:
    quality = ask.rows(SECTION, "What became of every record", _QUALITY)
    reconciliation = ask.rows(SECTION, "Bill against calls", _RECONCILIATION)
    for row in reconciliation:
        row["residual_usd"] = None if row["billed_usd"] is None else row["billed_usd"] - row["traced_list_cost_usd"]
    listed, assumed = total(quality, "list_cost_usd"), total(quality, "assumed_list_cost_usd")
    days = [ask.week, ask.week.fromordinal(ask.week.toordinal() + 7)]
    unread = unread_keys(ask.con, "usage_date >= ? and usage_date < ? and unread_keys is not null", days)
    corrections = ask.rows(SECTION, "Corrections of closed months", _CORRECTIONS)
    unpriced = ask.rows(SECTION, "Models without a price", _UNPRICED)
    for title, rows, by in (
        ("What became of every record", quality, ("source",)),
        ("Bill against calls", reconciliation, ("provider", "billing_month")),
        ("Corrections of closed months", corrections, ("billing_month", "team", "feature", "reason", "caused_by")),
        ("Models without a price", unpriced[:UNPRICED_AT_MOST], ("provider", "model_canonical")),
    ):
        ask.asked_as(SECTION, title).link(rows, *by)
    faults = cost_faults.largest(ask.con, "usage_date >= ? and usage_date < ?", days)
    if faults:
        ask.noted(SECTION, "Stated costs that are not ours", _FAULTS).link(
            faults, "source", "provider", "model", "fault"
        )
    failed = [result for result in results if result.status != "passed"]
    unknown = [row for row in corrections if row["delta_usd"] is None]
    return {
        "title": _title(quality, reconciliation, failed),
        "reconciliation": reconciliation,
        "causes": [(name, head) for name, head in CAUSES if any(round(row[name] or 0, 2) for row in reconciliation)],
        "quality": quality,
        "quality_fates": [
            name for name in ("duplicate", "not_billable", "quarantined") if any(row[name] for row in quality)
        ],
        "has_unpriced": any(row["unpriced_tokens"] for row in quality),
        "assumed_share": (assumed or 0) / listed if listed else None,
        "unpriced": unpriced[:UNPRICED_AT_MOST],
        "unpriced_left": len(unpriced[UNPRICED_AT_MOST:]),
        "unread_tokens": total(quality, "unread_tokens") or 0,
        "unread": [{**row, "words": in_words(row)} for row in unread[:UNREAD_AT_MOST]],
        "unread_left": len(unread[UNREAD_AT_MOST:]),
        "cost_faults": faults,
        "checks": len(results),
        "failed": failed[:FAILED_AT_MOST],
        "failed_number": len(failed),
        "corrections": corrections,
        "corrections_at": ask.asked_as(SECTION, "Corrections of closed months").place({}, ("delta_usd",))
        if corrections
        else None,
        "corrected_usd": None if unknown else total(corrections, "delta_usd"),
        "book": ask.row(SECTION, "Price book", _BOOK),
    }


def _title(
    quality: Sequence[dict[str, Any]], reconciliation: Sequence[dict[str, Any]], failed: Sequence[CheckResult]
) -> str:
    records, refused = total(quality, "records") or 0, total(quality, "quarantined") or 0
    said = [f"{wording.count(refused)} of {wording.things(records, 'record')} refused"]
    billed = [row for row in reconciliation if row["billed_usd"] is not None]
    agreed = [row for row in billed if row["verdict"] == "ok"]
    said.append(
        f"{len(agreed)} of {wording.things(len(billed), 'bill')} agree{'s' * (len(billed) == 1)}"
        if billed
        else "no bill to compare with"
    )
    said.append(f"{wording.things(len(failed), 'check')} failed" if failed else "no check failed")
    return "; ".join(said)
