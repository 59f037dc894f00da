"""The sample company as data: what it sells, to whom, with which models. Nothing here comes from a real company.

Fernhill Desk sells a help desk with six features that call language models. To change the sample, change this page and its
neighbour ``workloads``, the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from math import isqrt
from typing import Literal

from pipelines.sample.forms import BEGINNING, Correction, Customer, Failure
from pipelines.sample.workloads import GPT_4O

SEED = 20_261_116
# The first day after the sample; a Monday.
END = date(2026, 11, 16)
# On that morning everything is pulled: by then the last week is over.
PULLED_AT = datetime(2026, 11, 16, 6, 15, tzinfo=UTC)
LOSS_CUSTOMER_ID = "cu-202"
# Which tool sees the calls of a feature. No call is in two of them.
Source = Literal["app_log", "langfuse"]
SOURCES: Mapping[str, Source] = {"support-chat": "langfuse", "workflow-agent": "langfuse"}


def _customers(
    tier: str, first_number: int, first_rank: int, names: str, users: tuple[int, ...], monthly_usd: int
) -> tuple[Customer, ...]:
    """Customers of a tier by size. The weight falls with the rank among all, so that the first tenth makes most of the calls."""
    return tuple(
        Customer(
            f"cu-{first_number + place}",
            name,
            ((BEGINNING, tier),),
            users[min(place, len(users) - 1)],
            _weight(first_rank + place),
            ((BEGINNING, monthly_usd * 100),) if monthly_usd else (),
        )
        for place, name in enumerate(names.split(", "))
    )


def _weight(rank: int) -> int:
    return 10_000_000 // isqrt(rank**3)


CUSTOMERS: tuple[Customer, ...] = (
    Customer(
        "cu-101", "Northgate Rail", ((BEGINNING, "enterprise"),), 420, _weight(1), ((BEGINNING, 190_000),),
    ),
    Customer(
        "cu-102", "Ostrava Glass", ((BEGINNING, "enterprise"),), 260, _weight(2), ((BEGINNING, 120_000),),
    ),
    # Bought a larger plan during the sample: one customer, two tiers.
    Customer(
        "cu-201", "Pinebrook Outfitters", ((BEGINNING, "pro"), (date(2026, 10, 26), "enterprise")), 90, _weight(3),
        ((BEGINNING, 4_900), (date(2026, 10, 26), 64_000)),
    ),
    # Pays as little as the others on its plan, and lets the agent do its work.
    Customer(
        LOSS_CUSTOMER_ID, "Lindqvist Dental", ((BEGINNING, "pro"),), 60, _weight(4), ((BEGINNING, 4_900),),
        appetite={"workflow-agent": 8_000},
    ),
    *_customers("enterprise", 103, 6, "Halden Insurance, Blue Heron Hotels, Sato Freight", (110, 80, 60), 450),
    *_customers(
        "pro", 203, 9,
        "Copper Kettle Coffee, Varga Auto Parts, Meadow Lane Books, Tidewater Kayaks, Ibarra Textiles, Quill and Anchor, "
        "Summit Cycle Works, Osei Pharmacy, Lakeshore Vets, Bright Spoke, Delft Ceramics, Juniper Rugs, Polder Pumps",
        (32, 24, 20, 16, 14, 12, 10, 8, 6, 5, 4), 49,
    ),
    *_customers(
        "free", 301, 14,
        "Anna's Bakery, Tiny Robots Club, Marsh Street Choir, Weekend Woodwork, Paws and Relax, Corner Bike Repair, "
        "Hillside Honey, Stella Lamps, Old Mill Yoga, Fern and Moss, Papercut Zines, Night Owl Tutoring, Rivet Studio, "
        "Saltbox Candles, Green Thumb Rentals, Kite Day, Little Press, Thistle Tea, Amber Alley, Tin Can Radio",
        (6, 5, 4, 3, 3, 2, 2, 1), 0,
    ),
)  # fmt: skip
LANGUAGES: Mapping[str, int] = {"en": 56, "de": 22, "fr": 13, "es": 9}
RELEASES: tuple[tuple[date, str], ...] = (
    (BEGINNING, "2026.15"),
    (date(2026, 8, 18), "2026.16"),
    (date(2026, 9, 1), "2026.17"),
    (date(2026, 9, 15), "2026.18"),
    (date(2026, 9, 29), "2026.19"),
    (date(2026, 10, 13), "2026.20"),
    (date(2026, 10, 27), "2026.21"),
    (date(2026, 11, 10), "2026.22"),
)
# Weights of the days from Monday on, and of the hours from 0 UTC on.
DAY_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "interactive": (20, 21, 21, 20, 18, 7, 6),
    "async": (18, 17, 17, 17, 16, 10, 9),
}
HOUR_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "interactive": (2, 2, 1, 1, 2, 4, 8, 14, 20, 23, 22, 19, 17, 20, 22, 21, 18, 14, 11, 9, 7, 5, 4, 3),
    "async": (11, 12, 13, 13, 12, 11, 11, 12, 13, 14, 14, 13, 12, 13, 14, 14, 13, 12, 12, 11, 11, 10, 10, 10),
}
WEEKLY_GROWTH_PER_MILLE = 25
# Of 1,000 calls so many take a second and so many a third attempt; of the latter some end without an answer.
SECOND_ATTEMPT_PER_MILLE = 22
THIRD_ATTEMPT_PER_MILLE = 6
GIVEN_UP_PER_MILLE = 250
FAILURES: tuple[Failure, ...] = (
    Failure("rate_limited", 429, has_usage=False, duration_ms=190, weight=45),
    Failure("server_error", 500, has_usage=False, duration_ms=1_150, weight=20),
    Failure("timeout", None, has_usage=False, duration_ms=60_000, weight=15),
    Failure("invalid_output", 200, has_usage=True, duration_ms=None, weight=20),
)
# The list that is shipped holds it for the middle of the market; here nothing dearer is in use.
MODEL_TIERS: tuple[Mapping[str, str], ...] = (
    {
        "provider": "openai",
        "model_id": "gpt-4o",
        "model_tier": "frontier",
        "why": "The dearest model that Fernhill Desk uses",
    },
)
OPENAI_ACCOUNT = "org-main"
ACCOUNTS: tuple[Mapping[str, str], ...] = (
    {"provider": "openai", "account_id": OPENAI_ACCOUNT, "account_name": "Fernhill Desk", "environment": "production"},
    {"provider": "anthropic", "account_id": "ws-production", "account_name": "Production", "environment": "production"},
    {"provider": "google", "account_id": "fernhill-prod", "account_name": "fernhill-prod", "environment": "production"},
)
# Langfuse's scores as outcomes of tasks.
OUTCOME_LABELS: tuple[Mapping[str, str], ...] = (
    {"score_name": "resolved", "label": "True", "outcome": "success", "why": "Customer care marks every ticket"},
    {"score_name": "resolved", "label": "False", "outcome": "failure", "why": "Customer care marks every ticket"},
)
# Langfuse's own project, and the day from which its weekly export is Parquet in place of JSON Lines.
LANGFUSE_PROJECT = "fernhill-desk"
LANGFUSE_PARQUET_FROM = date(2026, 10, 19)
# At the full size; a smaller sample earns less in proportion to its calls a week, so that margins are alike.
FULL_WEEKS, FULL_REQUESTS = 14, 200_000
# Reports are sold beside the plans, a month and plan; too cheap for those who write many.
REPORTS_FEATURE = "report-writer"
REPORTS_MONTHLY_USD: Mapping[str, int] = {"pro": 60, "enterprise": 150}
# What finance takes a user of a plan to bring in a month, seats that nobody used included.
ARPU_USD: Mapping[str, str] = {"pro": "2.25", "enterprise": "4.60"}
CORRECTION = Correction(date(2026, 10, 21), GPT_4O.served, "credit for the incident of 2026-10-21")
CONTRACTS: tuple[Mapping[str, str], ...] = (
    {
        "provider": "anthropic",
        "model_id": "claude-sonnet-4-6",
        "scope": "billing_account_id=ws-production",
        "kind": "multiplier",
        "value": "0.92",
        "sequence": "10",
        "effective_from": "2026-09-01",
        "why": "Order form of 2026-08-27: 8 % off all tokens for a year",
    },
)
FX_RATES: tuple[tuple[str, date, str], ...] = (
    ("EUR", date(2026, 8, 1), "1.0940"),
    ("EUR", date(2026, 9, 1), "1.1015"),
    ("EUR", date(2026, 10, 1), "1.0975"),
    ("EUR", date(2026, 11, 1), "1.1030"),
)
# What was done to save, and since when.
LEVERS_ACTED: tuple[Mapping[str, str], ...] = (
    {
        "feature": "workflow-agent",
        "lever": "prompt_cache",
        "since_date": "2026-09-21",
        "why": "Release 2026.18 wrote the time before the instructions; mended on that day",
    },
    {
        "feature": "support-chat",
        "lever": "routing",
        "since_date": "2026-11-02",
        "why": "The router may send short tickets to the smaller model",
    },
)
# What teams may spend in a month, and what is worth a look in a company of this size.
BUDGETS: tuple[Mapping[str, str], ...] = (
    {
        "scope_kind": "team",
        "scope_value": "automation",
        "budget_usd": "220",
        "why": "Set in July, before report-writer",
    },
    {"scope_kind": "team", "scope_value": "care", "budget_usd": "260", "why": "Set in July"},
    {"scope_kind": "feature", "scope_value": "knowledge-search", "budget_usd": "20", "why": "Set in July"},
)
THRESHOLDS: tuple[Mapping[str, str], ...] = (
    {"name": "anomaly_floor_usd", "threshold": "2", "why": "A whole day of all features costs about $16"},
    {
        "name": "reconciliation_warn_share",
        "threshold": "0.02",
        "owner": "finance",
        "why": "Ours as it is; finance looks at bills that do not meet",
    },
)
