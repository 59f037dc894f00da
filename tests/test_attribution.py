"""How much of the spend is known, by what evidence, and which rule rows would tell the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pipelines.reference.tables import TABLES

Rows = list[dict[str, Any]]
Run = Callable[..., Rows]
MONDAY = date(2026, 11, 2)
LIMITS = [
    {
        "limit_name": name,
        "scope_kind": "",
        "scope_value": "",
        "threshold": number,
        "threshold_number": Decimal(number),
        "valid_from_date": date(1, 1, 1),
        "valid_to_date": date(9999, 12, 31),
    }
    for name, number in (
        ("unattributed_warn_share", "0.10"),
        ("unattributed_fail_share", "0.20"),
        ("untagged_callers", "2"),
    )
]


def borne(feature: str, direct: str, allocated: str, **more: Any) -> dict[str, Any]:
    row = {
        "week_start_date": MONDAY,
        "billing_month": "2026-11",
        "month_start_date": date(2026, 11, 1),
        "feature": feature,
        "direct_cost_usd": Decimal(direct),
        "allocated_untraced_usd": Decimal(allocated),
        "discount_usd": Decimal(-50),
        "tax_fee_usd": Decimal(190),
    }
    return row | more


def attributed(run: Run, showback: Rows, days: Rows) -> dict[str, dict[str, Any]]:
    rows = run(
        "mart_attribution_weekly", mart_showback_weekly=showback, ledger_attribution_days=days, ref_limits=LIMITS
    )
    return {row["dimension"]: row for row in rows}


def call(number: int, usd: str | None, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    key, at = f"k{number}", datetime(2026, 11, 3, 12, tzinfo=UTC)
    cost = {"request_key": key, "started_at": at, "effective_cost_usd": usd and Decimal(usd)}
    return {"request_key": key, "started_at": at, **more}, cost


def days_of(run: Run, calls: list[tuple[dict[str, Any], dict[str, Any]]], **tables: Rows) -> Rows:
    return run(
        "ledger_attribution_days",
        ledger_requests=[request for request, _ in calls],
        ledger_costs=[cost for _, cost in calls],
        **tables,
    )


def test_the_index_counts_evidence_and_not_apportionment(run: Run) -> None:
    """METHODS G4.1: invoice 1,000, traced 960 of which 870 have a feature, 40 spread 36.25 : 3.75: index 0.870, unallocated 0.09375."""
    showback = [borne("search", "870", "36.25"), borne("unattributed", "90", "3.75")]

    row = attributed(run, showback, [])["feature"]

    assert row["allocation_accuracy_index"] == Decimal("0.870")
    assert row["percent_costs_unallocated"] == Decimal("0.09375")
    assert (row["attributed_direct_usd"], row["attributed_allocated_usd"], row["unattributed_usd"]) == (
        Decimal("870"),
        Decimal("36.25"),
        Decimal("93.75"),
    )
    assert row["verdict"] == "warn"


def test_ninety_percent_is_ok_and_less_than_eighty_fails(run: Run) -> None:
    found = {
        known: attributed(run, [borne("a", known, "0"), borne("unattributed", str(100 - int(known)), "0")], [])
        for known in ("90", "80", "79")
    }

    assert [found[known]["feature"]["verdict"] for known in ("90", "80", "79")] == ["ok", "warn", "fail"]


def test_each_origin_of_a_value_has_its_share(run: Run) -> None:
    """Of $10, $4 name their feature, $3 have it from the trace, $2 by rule, $1 has none; a call without a price is counted apart."""
    calls = [
        call(1, "4", feature="a"),
        call(2, "3", feature="a", attribution_source={"feature": "root"}),
        call(3, "2", feature="a", attribution_source={"feature": "rule"}),
        call(4, "1"),
        call(5, None, user_id="u"),
    ]

    rows = attributed(run, [], days_of(run, calls))

    row = rows["feature"]
    assert [row[f"{name}_cost_usd"] for name in ("own", "root", "rule", "known")] == [4, 3, 2, 9]
    assert row["known_share"] == Decimal("0.9")
    assert (row["requests"], row["known_requests"], row["unpriced_requests"]) == (5, 3, 1)
    assert (rows["user_id"]["known_requests"], rows["user_id"]["known_cost_usd"]) == (1, 0)
    assert (row["gross_cost_usd"], row["verdict"]) == (None, None)


def test_a_model_tier_is_known_by_its_row(run: Run) -> None:
    calls = [call(1, "3", model_canonical="big"), call(2, "1", model_canonical="new")]
    tiers = [{"provider": "openai", "model_id": "big", "model_tier": "frontier"}]

    row = attributed(run, [], days_of(run, calls, ref_model_tiers=tiers))["model_tier"]

    assert (row["reference_cost_usd"], row["known_share"]) == (Decimal("3"), Decimal("0.75"))


def test_the_dearest_untagged_callers_come_with_the_row_that_tags_them(run: Run) -> None:
    """By key where there is one, else by account; the third is beyond the limit of two."""
    calls = [
        call(1, "1", api_key_name="lab"),
        call(2, "5", source_account="batch"),
        call(3, "1", api_key_name="lab"),
        call(4, "0.5", api_key_name="toy"),
        call(5, "9", feature="a", api_key_name="tagged"),
    ]

    rows = run("mart_untagged_callers_weekly", ledger_attribution_days=days_of(run, calls), ref_limits=LIMITS)

    found = [row for row in rows if row["dimension"] == "feature"]
    assert [(row["place"], row["requests"], row["effective_cost_usd"]) for row in found] == [(1, 1, 5), (2, 2, 2)]
    assert [row["rule_row"] for row in found] == [
        "100,app_log,source_account,exact,batch,feature,<feature>,2026-11-02,,",
        "100,app_log,api_key_name,exact,lab,feature,<feature>,2026-11-02,,",
    ]
    columns = [field.name for field in TABLES["attribution_rules"].fields]
    assert len(found[0]["rule_row"].split(",")) == len([*columns, "why"])
