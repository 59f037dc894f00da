"""The ledger's own decisions: versions, pulls, owners, thresholds by date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

Run = Callable[..., list[dict[str, Any]]]


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def staged(key: str, row: int, **more: Any) -> dict[str, Any]:
    return {"request_key": key, "source_row_id": key, "source_row": row, "entity_key": key, "model_served": "m"} | more


def test_the_newest_version_counts_wherever_it_stands(run: Run) -> None:
    """Row 2 is logged before row 1: the older version stands after the newer one."""
    rows = [staged("k", 1, source_row_version="2026-11-02T11"), staged("k", 2, source_row_version="2026-11-02T10")]

    [beaten] = run("ledger_superseded_requests", staged_requests=rows)

    assert (beaten["source_row"], beaten["reason"]) == (2, "older version")


def test_of_equal_versions_one_counts_the_one_with_the_greatest_content(run: Run) -> None:
    rows = [staged("k", 1, source_row_version="1", feature="a"), staged("k", 2, source_row_version="1", feature="b")]
    turned = [rows[1] | {"source_row": 1}, rows[0] | {"source_row": 2}]

    [beaten], [beaten_turned] = (run("ledger_superseded_requests", staged_requests=given) for given in (rows, turned))

    assert beaten["reason"] == beaten_turned["reason"] == "same version"
    assert {1: "a", 2: "b"}[beaten["source_row"]] == {1: "b", 2: "a"}[beaten_turned["source_row"]]


def test_versions_on_other_days_are_found_within_a_week_and_not_beyond(run: Run) -> None:
    near = [
        staged("k", 1, started_at=at(2), source_row_version="1"),
        staged("k", 2, started_at=at(9), source_row_version="2"),
    ]
    far = [
        staged("k", 1, started_at=at(2), source_row_version="1"),
        staged("k", 2, started_at=at(10), source_row_version="2"),
    ]

    assert [row["source_row"] for row in run("ledger_superseded_requests", staged_requests=near)] == [1]
    assert run("ledger_superseded_requests", staged_requests=far) == []


def window(
    name: str, pulled: int, *, grain: tuple[str, ...] = ("model",), endpoint: str = "usage.completions", day: int = 2
) -> dict[str, Any]:
    return {
        "source": "openai_usage",
        "source_account": "org",
        "source_file_sha256": name,
        "endpoint": endpoint,
        "pulled_at": at(pulled),
        "pull_grain": list(grain),
        "window_start_at": at(day, 0),
        "window_end_at": at(day + 1, 0),
    }


def counting(rows: list[dict[str, Any]]) -> list[str]:
    return [row["source_file_sha256"] for row in rows if row["counts"]]


def test_the_newest_pull_of_a_window_counts_as_a_whole(run: Run) -> None:
    assert counting(run("ledger_pulls", staged_windows=[window("old", 4), window("new", 9)])) == ["new"]


def test_of_usage_pulls_the_one_with_the_most_dimensions_counts_even_if_older(run: Run) -> None:
    pulls = [window("rough", 9, grain=()), window("fine", 4, grain=("api_key_id", "model"))]

    assert counting(run("ledger_pulls", staged_windows=pulls)) == ["fine"]


def test_of_bill_pulls_the_one_by_line_item_counts_even_if_older(run: Run) -> None:
    pulls = [
        window("by project", 9, grain=("project_id",), endpoint="costs"),
        window("by line", 4, grain=("line_item",), endpoint="costs"),
    ]

    assert counting(run("ledger_pulls", staged_windows=pulls)) == ["by line"]


def test_a_newer_pull_that_is_empty_throughout_takes_the_older_one_out(run: Run) -> None:
    """What it was grouped by cannot be seen, so it stands back for no finer pull."""
    for endpoint, grain in (("costs", ("line_item",)), ("usage.completions", ("api_key_id", "model"))):
        empty = window("empty", 9, endpoint=endpoint) | {"pull_grain": None}
        assert counting(
            run("ledger_pulls", staged_windows=[window("full", 4, grain=grain, endpoint=endpoint), empty])
        ) == ["empty"]


def test_reports_and_accounts_do_not_supersede_each_other(run: Run) -> None:
    pulls = [window("a", 4), window("b", 9, endpoint="costs"), window("c", 9) | {"source_account": "other"}]

    assert sorted(counting(run("ledger_pulls", staged_windows=pulls))) == ["a", "b", "c"]


def owner(run: Run, call: dict[str, Any], **tables: Any) -> dict[str, Any]:
    [row] = run(
        "ledger_requests",
        staged_requests=[
            staged("k", 1, feature=None, team=None, customer_tier=None, environment=None) | {"cost_centre": None} | call
        ],
        **tables,
    )
    return row


FEATURES = [
    {
        "feature": "search",
        "owner_team": "growth",
        "cost_centre": "CC-2",
        "valid_from_date": None,
        "valid_to_date": date(2026, 11, 10),
    },
    {
        "feature": "search",
        "owner_team": "cx",
        "cost_centre": "CC-1",
        "valid_from_date": date(2026, 11, 10),
        "valid_to_date": None,
    },
]


def rule(
    dimension: str,
    value: str,
    *,
    field: str = "api_key_name",
    kind: str = "exact",
    match: str = "key",
    priority: int = 10,
) -> dict[str, Any]:
    return {
        "priority": priority,
        "match_field": field,
        "match_kind": kind,
        "match_value": match,
        "dimension": dimension,
        "dimension_value": value,
    }


def test_own_wins_over_rule_and_rule_over_reference(run: Run) -> None:
    rules = [rule("team", "by rule"), rule("feature", "search")]

    own = owner(
        run,
        {"api_key_name": "key", "feature": "chat", "team": "own"},
        ref_attribution_rules=rules,
        ref_features=FEATURES,
    )
    ruled = owner(run, {"api_key_name": "key"}, ref_attribution_rules=rules, ref_features=FEATURES)

    assert (own["feature"], own["team"], own["cost_centre"]) == ("chat", "own", "unattributed")
    assert own["attribution_source"] == {"feature": "own", "team": "own"}
    assert (ruled["feature"], ruled["team"], ruled["cost_centre"]) == ("search", "by rule", "CC-2")
    assert ruled["attribution_source"] == {"feature": "rule", "team": "rule", "cost_centre": "reference"}


def test_the_lower_priority_wins_then_the_earlier_row(run: Run) -> None:
    first = [rule("feature", "late", priority=20), rule("feature", "a"), rule("feature", "b")]

    assert owner(run, {"api_key_name": "key"}, ref_attribution_rules=first)["feature"] == "a"


def test_rules_match_exactly_by_prefix_glob_and_regular_expression(run: Run) -> None:
    for kind, match, hit, miss in (
        ("prefix", "main-", "main-x", "x-main-"),
        ("glob", "m*-x", "main-x", "main-y"),
        ("regex", "^m.+x$", "main-x", "amain-x"),
    ):
        rules = [rule("feature", "hit", kind=kind, match=match)]
        assert owner(run, {"api_key_name": hit}, ref_attribution_rules=rules)["feature"] == "hit", kind
        assert owner(run, {"api_key_name": miss}, ref_attribution_rules=rules)["feature"] == "unattributed", kind


def test_the_owner_is_the_one_of_the_day(run: Run) -> None:
    before, after = (owner(run, {"feature": "search", "started_at": at(day)}, ref_features=FEATURES) for day in (9, 10))

    assert (before["team"], after["team"]) == ("growth", "cx")


ACCOUNTS = [
    {
        "provider": "openai",
        "account_id": "org-1",
        "account_name": "Main",
        "team": "platform",
        "environment": "production",
    },
    {"provider": "openai", "account_id": "org-2", "account_name": "Second"},
]


def test_the_account_is_own_then_by_rule_then_by_name_then_the_only_one(run: Run) -> None:
    rules = [rule("billing_account_id", "org-2")]

    def account(call: dict[str, Any], accounts: Any = ACCOUNTS, **more: Any) -> Any:
        return owner(run, call, ref_accounts=accounts, **more)["billing_account_id"]

    assert account({"billing_account_id": "own", "api_key_name": "key"}, ref_attribution_rules=rules) == "own"
    assert account({"api_key_name": "key"}, ref_attribution_rules=rules) == "org-2"
    assert account({"source_account": "Main"}) == "org-1"
    assert account({}) is None
    assert account({}, ACCOUNTS[:1]) == "org-1"
    billed = [{"month_start_date": date(2026, 11, 1), "provider": "openai", "billing_account_id": "org-9"}]
    assert account({}, [], ledger_billing_accounts=billed) == "org-9"
    assert account({}, ACCOUNTS[:1], ledger_billing_accounts=billed) is None


def test_what_the_account_says_fills_what_nobody_else_said(run: Run) -> None:
    row = owner(run, {"source_account": "Main", "feature": "chat"}, ref_accounts=ACCOUNTS)

    assert (row["team"], row["environment"]) == ("platform", "production")
    assert row["attribution_source"] == {
        "feature": "own",
        "billing_account_id": "account",
        "team": "account",
        "environment": "account",
    }


def test_a_task_belongs_to_the_day_of_its_first_call_and_takes_the_newest_outcome(run: Run) -> None:
    """Two calls over midnight cost 0.02 + 0.03; the call says failure, the newer recorded outcome says success."""
    calls = [
        {"request_key": "a", "task_id": "t", "started_at": at(2, 23), "outcome": None},
        {"request_key": "b", "task_id": "t", "started_at": at(3, 0), "outcome": "failure", "status": "error"},
    ]
    costs = [
        {"request_key": key, "started_at": started_at, "effective_cost_usd": Decimal(usd)}
        for key, started_at, usd in (("a", at(2, 23), "0.02"), ("b", at(3, 0), "0.03"))
    ]
    outcomes = [
        {
            "source": "outcomes",
            "score_key": name,
            "target_kind": "task",
            "target_id": "t",
            "name": "outcome",
            "value_text": word,
            "scored_at": at(day),
        }
        for name, word, day in (("1", "failure", 4), ("2", "success", 5))
    ]
    limits = [
        {
            "limit_name": "task_close_hours",
            "scope_kind": "",
            "scope_value": "",
            "threshold": "24",
            "threshold_number": Decimal(24),
            "valid_from_date": date(1, 1, 1),
            "valid_to_date": date(9999, 12, 31),
        }
    ]

    [task] = run("ledger_tasks", ledger_requests=calls, ledger_costs=costs, ledger_scores=outcomes, ref_limits=limits)

    assert (task["started_at"], task["first_request_key"], task["requests"], task["failed_requests"]) == (
        at(2, 23),
        "a",
        2,
        1,
    )
    assert task["effective_cost_usd"] == Decimal("0.05")
    assert (task["outcome"], task["outcome_source"], task["is_closed"]) == ("success", "outcomes", False)


def test_a_limit_holds_from_its_date_until_the_next_and_theirs_wins_on_one_date(run: Run) -> None:
    rows = [
        {"name": "coverage_ok", "threshold": "0.98", "reference_file": "data/shipped/thresholds.csv"},
        {
            "name": "coverage_ok",
            "threshold": "0.90",
            "valid_from_date": date(2026, 9, 1),
            "reference_file": "data/shipped/thresholds.csv",
        },
        {
            "name": "coverage_ok",
            "threshold": "0.80",
            "valid_from_date": date(2026, 9, 1),
            "reference_file": "reference/thresholds.csv",
        },
    ]

    found = run("ref_limits", ref_thresholds=rows)

    assert [(row["threshold_number"], row["valid_from_date"], row["valid_to_date"]) for row in found] == [
        (Decimal("0.98"), date(1, 1, 1), date(2026, 9, 1)),
        (Decimal("0.80"), date(2026, 9, 1), date(9999, 12, 31)),
    ]


def test_a_line_of_several_days_is_spread_to_the_last_decimal(run: Run) -> None:
    """0.10 over three days: 0.0333333333 twice, the last day takes 0.0333333334."""
    line = {
        "cost_key": "c",
        "month_start_date": date(2026, 11, 1),
        "source": "openai_usage",
        "provider": "openai",
        "billing_account_id": "org",
        "charge_start_at": at(2, 0),
        "charge_end_at": at(5, 0),
        "charge_category": "Tax",
        "currency": "USD",
        "billed_amount": Decimal("0.10"),
        "billed_usd": Decimal("0.10"),
        "is_the_bill": True,
    }

    days = run("ledger_bill_days", ledger_bills=[line])

    assert [row["billed_usd"] for row in days] == [
        Decimal("0.0333333333"),
        Decimal("0.0333333333"),
        Decimal("0.0333333334"),
    ]
    assert [row["usage_date"].day for row in days] == [2, 3, 4]
