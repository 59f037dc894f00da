"""The tables that the people of the sample company keep, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import polars as pl

from pipelines.reference.tables import TABLES
from pipelines.sample import company
from pipelines.sample.calls import first_date
from pipelines.sample.chance import always
from pipelines.sample.forms import BEGINNING, Workload
from pipelines.sample.workloads import LAUNCH_DATE, WORKLOADS

Row = Mapping[str, object]


def files(
    weeks: int, requests: int, workloads: Sequence[Workload], sources: Mapping[str, company.Source]
) -> Iterator[tuple[str, str]]:
    """Name and text of each table that has rows."""
    tables: Mapping[str, Sequence[Row]] = {
        "features": _features(workloads),
        "accounts": company.ACCOUNTS,
        "customers": _customers(),
        "revenue": _revenue(weeks, requests),
        "outcome_labels": company.OUTCOME_LABELS if "langfuse" in sources.values() else (),
        "model_tiers": company.MODEL_TIERS,
        "attribution_rules": _attribution_rules(workloads),
        "repeatable_steps": _repeatable_steps(workloads),
        "price_overrides": company.CONTRACTS,
        "budgets": company.BUDGETS,
        "levers_acted": company.LEVERS_ACTED,
        "thresholds": company.THRESHOLDS,
        "fx_rates": [
            {"currency": currency, "rate_date": day, "fx_rate_to_usd": rate, "why": "Treasury's rate of the month"}
            for currency, day, rate in company.FX_RATES
        ],
        "dimensions": [
            {"dimension": "language", "attribute": "language", "description": "Language of the end user"},
            {"dimension": "framework", "attribute": "framework", "description": "Library that makes the call"},
        ],
    }
    for name, rows in tables.items():
        if rows:
            yield name, _text(name, rows)


def _text(name: str, rows: Sequence[Row]) -> str:
    text = io.StringIO()
    columns = [field.name for field in TABLES[name].fields]
    table = csv.DictWriter(text, [*columns, "why"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _features(workloads: Sequence[Workload]) -> list[Row]:
    return [
        {
            "feature": workload.name,
            "owner_team": workload.team,
            "cost_centre": workload.cost_centre,
            "description": workload.description,
            "workload": workload.workload,
            "max_output_tokens": max(step.max_output_tokens for step in workload.steps),
            "unit_of_value": workload.outcomes.unit,
            "valid_from_date": "" if workload.launched == BEGINNING else workload.launched,
        }
        for workload in workloads
        if workload.tagged_by != "nothing"
    ]


def _repeatable_steps(workloads: Sequence[Workload]) -> list[Row]:
    """Steps that a task takes several times: a call is named after its tool, so of an agent they are all of the feature's."""
    return [
        {
            "feature": workload.name,
            "step": "" if step.tools else step.name,
            "why": "An agent calls its tools as often as it needs" if step.tools else "A call for each section",
        }
        for workload in workloads
        for step in workload.steps
        if step.calls != always(1)
    ]


def _customers() -> list[Row]:
    rows: list[Row] = []
    for customer in company.CUSTOMERS:
        ends: list[date | str] = [*(since for since, _ in customer.tiers[1:]), ""]
        for (since, tier), end in zip(customer.tiers, ends, strict=True):
            rows.append(
                {
                    "customer_id": customer.customer_id,
                    "customer_name": customer.name,
                    "customer_tier": tier,
                    "valid_from_date": since,
                    "valid_to_date": end,
                }
            )
    return rows


def _revenue(weeks: int, requests: int) -> list[Row]:
    """What each paying customer pays for each month, in parts where its plan changed within the month."""
    size = Decimal(requests * company.FULL_WEEKS) / (weeks * company.FULL_REQUESTS)
    rows: list[Row] = []
    for customer in company.CUSTOMERS:
        month = first_date(weeks).replace(day=1)
        while month < company.END:
            month_end = (month + timedelta(days=31)).replace(day=1)
            starts = [month, *(since for since, _ in customer.monthly_cents if month < since < month_end)]
            for start, end in zip(starts, [*starts[1:], month_end], strict=True):
                paid = [cents for since, cents in customer.monthly_cents if since <= start]
                if paid:
                    amount = Decimal(paid[-1]) / 100 * (end - start).days / (month_end - month).days * size
                    rows.append(
                        {
                            "period_start_date": start,
                            "period_end_date": end,
                            "customer_id": customer.customer_id,
                            "revenue_amount": amount.quantize(Decimal("0.01")),
                            "currency": "USD",
                            "revenue_kind": "recognised",
                            "why": "Subscription of the month",
                        }
                    )
            month = month_end
    return [*rows, *_tier_revenue(weeks, size)]


def _tier_revenue(weeks: int, size: Decimal) -> Iterator[Row]:
    """What is known of plans alone: that one is free, what reports earn since they were sold, and revenue of a user by plan."""
    month = first_date(weeks).replace(day=1)
    while month < company.END:
        month_end = (month + timedelta(days=31)).replace(day=1)
        days = {"period_start_date": month, "period_end_date": month_end, "currency": "USD"}
        recognised = {**days, "revenue_kind": "recognised"}
        yield {**recognised, "customer_tier": "free", "revenue_amount": 0, "why": "The free plan has no price"}
        for tier, usd in company.ARPU_USD.items():
            yield {
                **days,
                "customer_tier": tier,
                "revenue_amount": (Decimal(usd) * size).quantize(Decimal("0.0001")),
                "revenue_kind": "arpu_month",
                "why": "Plan price over its seats",
            }
        if month_end > LAUNCH_DATE:
            start = max(month, LAUNCH_DATE)
            for tier, monthly in company.REPORTS_MONTHLY_USD.items():
                amount = Decimal(monthly * (month_end - start).days) / (month_end - month).days * size
                yield {
                    **recognised,
                    "period_start_date": start,
                    "customer_tier": tier,
                    "feature": company.REPORTS_FEATURE,
                    "revenue_amount": amount.quantize(Decimal("0.01")),
                    "why": "Reports, sold beside the plan",
                }
        month = month_end


def business_outcomes(calls: pl.DataFrame) -> str:
    """Tickets that the help desk counts each day: successful tasks of its features, by the end of their last call."""
    units = {workload.name: workload.outcomes.unit for workload in WORKLOADS if workload.outcomes.unit}
    done = calls.filter(pl.col("is_last"), pl.col("workload").is_in(list(units)), outcome="success")
    counted = done.group_by(
        pl.col("ended_at").dt.date().alias("outcome_date"), pl.col("workload").alias("feature")
    ).len("quantity")
    return _text(
        "business_outcomes",
        [
            {**row, "unit": units[str(row["feature"])], "why": "The help desk's count of the day"}
            for row in counted.sort("outcome_date", "feature").iter_rows(named=True)
        ],
    )


def _attribution_rules(workloads: Sequence[Workload]) -> list[Row]:
    return [
        {
            "priority": 10,
            "source": "app_log",
            "match_field": "api_key_name",
            "match_kind": "exact",
            "match_value": workload.api_key_name,
            "dimension": "feature",
            "dimension_value": workload.name,
            "why": f"The key is used by {workload.name} alone, whose records name no feature",
        }
        for workload in workloads
        if workload.tagged_by == "api_key"
    ]
