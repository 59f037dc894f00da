"""The files of a new data root: who fills in a table and when, the columns that must be filled, and an example row as a comment."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from pipelines.reference.tables import ReferenceTable
from pipelines.words import listed

# Of each table: who fills it in and when, and a row as an example.
_EXAMPLES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "features": (
        "Product and finance, one row per feature, as soon as calls name features.",
        {
            "feature": "contract-review",
            "owner_team": "legal",
            "cost_centre": "CC-310",
            "description": "Reads a contract and lists the risks",
            "workload": "interactive",
            "max_output_tokens": 2000,
            "unit_of_value": "contracts",
        },
    ),
    "attribution_rules": (
        "Whoever knows the callers, where calls name no feature or team. A run proposes rows.",
        {
            "priority": 10,
            "source": "litellm",
            "match_field": "api_key_name",
            "match_kind": "prefix",
            "match_value": "prod-support-",
            "dimension": "feature",
            "dimension_value": "support-chat",
        },
    ),
    "accounts": (
        "Finance, one row per billing account or seat plan.",
        {
            "provider": "openai",
            "account_id": "org-eu",
            "account_name": "Production EU",
            "team": "platform",
            "cost_centre": "CC-100",
            "environment": "production",
            "paid_by": "usage",
        },
    ),
    "customers": (
        "Sales or billing, one row per customer and plan.",
        {
            "customer_id": "acme",
            "customer_name": "Acme Ltd",
            "customer_tier": "enterprise",
            "valid_from_date": "2026-01-01",
        },
    ),
    "revenue": (
        "Finance, monthly, for margins. The end of a period is the first day after it.",
        {
            "period_start_date": "2026-10-01",
            "period_end_date": "2026-11-01",
            "customer_id": "acme",
            "revenue_amount": "1200.00",
            "currency": "USD",
            "revenue_kind": "recognised",
        },
    ),
    "business_outcomes": (
        "Product, where units of value are counted elsewhere.",
        {
            "outcome_date": "2026-11-02",
            "feature": "contract-review",
            "customer_id": "acme",
            "unit": "contracts",
            "quantity": 12,
        },
    ),
    "model_aliases": (
        "Platform, where calls name a model by a name of your own. A run proposes rows.",
        {"provider": "openai", "pattern_kind": "prefix", "pattern": "our-gpt4o-", "model_id": "gpt-4o"},
    ),
    "model_tiers": (
        "Platform, for models that we do not know or that you see differently.",
        {"provider": "self", "model_id": "acme-8b", "model_tier": "budget"},
    ),
    "prices": (
        "Platform and finance, for models that only you have. A run proposes rows. List prices come with the installation.",
        {
            "provider": "self",
            "model_id": "acme-8b",
            "unit": "input",
            "per_units": 1000000,
            "unit_price": "0.20",
            "currency": "USD",
            "effective_from": "2026-01-01",
        },
    ),
    "price_overrides": (
        "Finance, one row per term of a contract. The example takes ten per cent off.",
        {"provider": "openai", "kind": "multiplier", "value": "0.90", "effective_from": "2026-11-01"},
    ),
    "period_charges": (
        "Finance, for invoices and credits that no export lists.",
        {
            "charge_id": "commit-2026-10",
            "provider": "openai",
            "billing_account_id": "org-eu",
            "kind": "commitment",
            "period_start_date": "2026-10-01",
            "period_end_date": "2026-11-01",
            "amount_usd": "500.00",
        },
    ),
    "gpu_pools": (
        "Platform, where you run models yourself.",
        {
            "pool_id": "a100-eu",
            "provider": "self",
            "model_id": "acme-8b",
            "valid_from_date": "2026-01-01",
            "gpu_count": 4,
            "gpu_hour_usd": "2.10",
            "utilisation_share": "0.6",
            "input_tokens_per_s": 12000,
            "output_tokens_per_s": 2500,
        },
    ),
    "fx_rates": (
        "Finance, monthly, where a bill or a price is not in USD.",
        {"currency": "EUR", "rate_date": "2026-11-01", "fx_rate_to_usd": "1.08"},
    ),
    "bill_sources": (
        "Finance, where two exports hold the bill of one account.",
        {"provider": "openai", "billing_account_id": "org-eu", "source": "openai_usage"},
    ),
    "outcome_labels": (
        "Product, where scores say whether a task succeeded.",
        {"feature": "contract-review", "score_name": "correctness", "threshold": "0.7", "outcome": "success"},
    ),
    "allocation_rules": (
        "Finance, for charges that several owners share.",
        {
            "charge_match_field": "charge_id",
            "charge_match_value": "commit-2026-10",
            "method": "proportional",
            "basis": "effective_cost_usd",
        },
    ),
    "sellers": (
        "Finance, for sellers that we do not know.",
        {"provider": "acme-ai", "seller_name": "Acme AI", "service_name": "Acme AI API"},
    ),
    "seller_aliases": (
        "Platform, where calls and bills call one account by two names. A run proposes rows.",
        {
            "source": "litellm",
            "provider": "openai",
            "billing_account_id": "default",
            "seller": "azure",
            "seller_account_id": "sub-1234",
        },
    ),
    "ledger_accounts": (
        "Finance, to post statements to the general ledger.",
        {"line_kind": "expense", "provider": "openai", "ledger_account": "6410"},
    ),
    "budgets": (
        "Finance, one row per team or feature and month. Without a month it holds for each.",
        {"scope_kind": "team", "scope_value": "legal", "month": "2026-11", "budget_usd": "400"},
    ),
    "thresholds": (
        "Finance, to change one of ours. The example warns from 5 % of tokens without a price on.",
        {"name": "unpriced_warn_share", "threshold": "0.05", "unit": "share", "severity": "warning"},
    ),
    "alert_channels": (
        "Whoever runs tokenbooks, to have alerts sent. The address stands in a variable of the environment.",
        {
            "channel": "costs",
            "kind": "slack",
            "address_env": "TOKENBOOKS_SLACK_URL",
            "least_severity": "warning",
            "owners": "legal",
        },
    ),
    "dimensions": (
        "Platform, to name metadata keys and tags that tell a feature, a team or a dimension of your own.",
        {"dimension": "feature", "attribute": "product_area", "description": "Our tag for the feature"},
    ),
    "span_pairs": (
        "Platform, where a library of your own wraps each call in a second span.",
        {"outer_step": "^acme[.]generate$", "inner_step": "^acme[.]generate[.]call$"},
    ),
    "repeatable_steps": (
        "Product, for agents and for steps taken several times on purpose.",
        {"feature": "contract-review", "step": "read-section"},
    ),
    "levers_acted": (
        "Whoever did what mart_opportunities_weekly proposes, on the day from which it holds.",
        {"feature": "contract-review", "lever": "batch", "since_date": "2026-11-02"},
    ),
    "scenarios": (
        "Anyone who asks 'what if': see 'tokenbooks whatif'.",
        {
            "scenario": "routing-mini",
            "lever": "route",
            "parameter": "to_model",
            "setting": "gpt-5-mini",
            "unit": "model",
        },
    ),
}


def header(table: ReferenceTable) -> list[str]:
    """The columns of a file of a table: those of the table, and why a row is as it is."""
    return [*(field.name for field in table.fields), "why"]


def example(table: ReferenceTable) -> str:
    """A row as an example, without the mark of a comment."""
    values = _EXAMPLES[table.name][1]
    return _line([values.get(name, "") for name in header(table)])


def template(table: ReferenceTable) -> str:
    """The file of a table without rows: comments that explain it, and its header. Rows go below."""
    needed = [field.name for field in table.fields if field.required]
    return (
        f"# {table.about}\n"
        f"# Who fills it in: {_EXAMPLES[table.name][0]}\n"
        f"# Must be filled: {listed(needed, len(needed))}. Other cells may be blank. A line that begins with # is not read.\n"
        f"# Example: {example(table)}\n"
        f"{_line(header(table))}\n"
    )


def _line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
