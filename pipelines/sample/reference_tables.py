"""The tables that the people of the sample company keep, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from pipelines import reference
from pipelines.sample import company

Row = Mapping[str, object]


def files() -> Iterator[tuple[str, str]]:
    """Name and text of each table that has rows."""
    tables: Mapping[str, Sequence[Row]] = {
        "features": _features(),
        "accounts": company.ACCOUNTS,
        "customers": _customers(),
        "attribution_rules": _attribution_rules(),
        "price_overrides": company.CONTRACTS,
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
        text = io.StringIO()
        columns = [field.name for field in reference.TABLES[name].fields]
        table = csv.DictWriter(text, [*columns, "why"], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        yield name, text.getvalue()


def _features() -> list[Row]:
    return [
        {
            "feature": workload.name,
            "owner_team": workload.team,
            "cost_centre": workload.cost_centre,
            "description": workload.description,
            "workload": workload.workload,
            "max_output_tokens": max(step.max_output_tokens for step in workload.steps),
            "unit_of_value": workload.outcomes.unit,
            "valid_from_date": "" if workload.launched == company.BEGINNING else workload.launched,
        }
        for workload in company.WORKLOADS
        if workload.tagged_by != "nothing"
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


def _attribution_rules() -> list[Row]:
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
        for workload in company.WORKLOADS
        if workload.tagged_by == "api_key"
    ]
