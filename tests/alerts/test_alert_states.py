"""What each rule of alerts says of a period: beyond its limit, within it, or not known."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from pipelines.models import models
from tests.test_docs import commands

MONDAY = date(2026, 10, 5)
NOW = [{"clock": "books", "now_at": datetime(2026, 12, 1, tzinfo=UTC)}]
ZONE = [{"reporting_time_zone": "UTC"}]


@pytest.fixture
def state_of(run):
    """``state_of(rule, table=rows ...)``: the only row of a rule."""

    def one(rule: str, **tables: list[dict[str, Any]]) -> dict[str, Any]:
        given = {"ledger_clock": NOW, "ref_reporting": ZONE, **tables}
        [row] = [row for row in run("mart_alert_states", **given) if row["rule"] == rule]
        return row

    return one


def test_a_drift_belongs_to_the_team_of_its_feature_with_its_dollars(state_of):
    row = state_of(
        "output_ratio_drift",
        mart_output_ratio_drift_weekly=[
            {
                "week_start_date": MONDAY, "feature": "chat's", "is_closed": True, "verdict": "drift", "is_incomplete": False,
                "sentence": "Answers are longer.", "cost_impact_usd": Decimal("12.5"),
            }
        ],
        ref_features=[{"feature": "chat's", "owner_team": "care"}],
    )  # fmt: skip

    assert (row["state"], row["severity"], row["owner"], row["cost_impact_usd"]) == (
        "breach",
        "warning",
        "care",
        Decimal("12.5"),
    )
    # A name with a quote in it does not break the query that shows the figures.
    assert row["evidence_query"] == (
        "select * from mart_output_ratio_drift_weekly where week_start_date = date '2026-10-05' and feature = 'chat''s'"
    )


@pytest.mark.parametrize(
    ("verdict", "closed", "incomplete", "impact", "state"),
    [
        ("stable", True, False, None, "ok"),
        ("one_user", True, False, 5, "ok"),
        ("mix_shift", True, False, 5, "ok"),
        ("insufficient", True, False, None, "unknown"),
        ("drift", True, True, 5, "unknown"),
        ("drift", False, False, 5, "unknown"),
        # Answers that got shorter.
        ("drift", True, False, -5, "ok"),
    ],
)
def test_only_a_drift_of_a_whole_week_that_is_priced_and_costs_money_is_an_alert(
    state_of, verdict, closed, incomplete, impact, state
):
    row = state_of(
        "output_ratio_drift",
        mart_output_ratio_drift_weekly=[
            {
                "week_start_date": MONDAY, "feature": "chat", "is_closed": closed, "verdict": verdict, "is_incomplete": incomplete,
                "sentence": "", "cost_impact_usd": impact,
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["severity"]) == (state, None)


@pytest.mark.parametrize(
    ("unattributed", "state", "severity"), [(10, "ok", None), (11, "breach", "warning"), (21, "breach", "critical")]
)
def test_spend_of_nobody_is_an_alert_above_a_tenth_and_a_grave_one_above_a_fifth(
    state_of, unattributed, state, severity
):
    """Of $100 of a week over two months."""
    parts = [
        {"week_start_date": MONDAY, "dimension": "feature", "gross_cost_usd": 40, "unattributed_usd": unattributed - 2},
        {"week_start_date": MONDAY, "dimension": "feature", "gross_cost_usd": 60, "unattributed_usd": 2},
        {"week_start_date": MONDAY, "dimension": "team", "gross_cost_usd": 100, "unattributed_usd": 100},
    ]

    row = state_of("unattributed_share", mart_attribution_weekly=parts)

    assert (row["state"], row["severity"]) == (state, severity)
    assert row["cost_impact_usd"] == unattributed


def test_tokens_without_a_price_are_summed_over_a_week(state_of):
    """1,500 of 100,000 and 0 of 100,000 are 0.75 % of the week, though one day has 1.5 %; unread tokens count on both sides."""
    days = [
        {
            "usage_date": MONDAY,
            "source": "app_log",
            "requests": 1,
            "total_tokens": 100_000,
            "unpriced_tokens": 1_500,
            "unread_tokens": 0,
        },
        {
            "usage_date": date(2026, 10, 7),
            "source": "app_log",
            "requests": 1,
            "total_tokens": 100_000,
            "unpriced_tokens": 0,
            "unread_tokens": 0,
        },
    ]
    within = state_of("unpriced_share", mart_data_quality_daily=days)
    beyond = state_of("unpriced_share", mart_data_quality_daily=[days[0], {**days[1], "unread_tokens": 12_000}])

    assert within["state"] == "ok"
    # 13,500 of 212,000 are 6.4 %.
    assert (beyond["state"], beyond["severity"], "6.4 %" in beyond["sentence"]) == ("breach", "critical", True)
    assert "usage_date >= date '2026-10-05' and usage_date < date '2026-10-12'" in beyond["evidence_query"]


@pytest.mark.parametrize(
    ("verdict", "state", "severity"),
    [("ok", "ok", None), ("warn", "breach", "warning"), ("fail", "breach", "critical"), ("no_bill", "unknown", None)],
)
def test_a_month_whose_bill_and_calls_do_not_agree_is_an_alert_and_one_without_a_bill_is_none(
    state_of, verdict, state, severity
):
    row = state_of(
        "reconciliation",
        mart_reconciliation_monthly=[
            {
                "month_start_date": date(2026, 10, 1), "provider": "openai", "billing_account_id": "org", "billing_currency": "USD",
                "verdict": verdict, "billed_usd": 100, "untraced_usd": Decimal("-7.5"), "unexplained_usd": 2,
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["severity"], row["cost_impact_usd"]) == (state, severity, Decimal("7.5"))


def test_a_month_that_is_not_over_is_not_judged(state_of):
    row = state_of(
        "reconciliation",
        mart_reconciliation_monthly=[{"month_start_date": date(2026, 12, 1), "provider": "openai", "verdict": "fail"}],
    )

    assert row["state"] == "unknown"


def test_a_margin_below_its_limit_is_an_alert_with_what_lacks_to_it(state_of):
    """$70 of cost on $100 leave 30 %; 40 % would allow $60: $10 lack."""
    row = state_of(
        "inference_margin",
        mart_feature_economics_weekly=[
            {
                "week_start_date": MONDAY, "feature": "chat", "customer_tier": "pro", "is_week_over": True, "is_incomplete": False,
                "invoiced_cost_usd": 70, "revenue_usd": 100, "inference_margin": Decimal("0.3"),
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["severity"], row["dimension"], row["cost_impact_usd"]) == (
        "breach",
        "critical",
        "pro",
        10,
    )
    assert "30.0 %" in row["sentence"]


@pytest.mark.parametrize(("cost", "state"), [(60, "ok"), (61, "breach"), (None, "unknown")])
def test_a_margin_of_just_forty_percent_is_none(state_of, cost, state):
    """Revenue $30, cost $18 is 40.0 %: not below the limit (here of a tier and a month, $100 and $60)."""
    row = state_of(
        "inference_margin",
        mart_user_economics_monthly=[
            {
                "month_start_date": date(2026, 10, 1), "customer_tier": "pro", "is_month_over": True, "is_incomplete": False,
                "invoiced_cost_usd": cost, "revenue_usd": 100, "cogs_revenue_ratio": cost and Decimal(cost) / 100,
            }
        ],
    )  # fmt: skip

    assert row["state"] == state


@pytest.mark.parametrize(
    ("status", "confidence", "state", "severity"),
    [
        ("red", "confirmed", "breach", "critical"), ("red", "possible", "breach", "warning"), ("amber", "possible", "breach", "info"),
        ("green", None, "ok", None), ("insufficient", None, "unknown", None), ("free", None, "unknown", None),
    ],
)  # fmt: skip
def test_a_user_who_costs_too_much_of_what_one_pays_is_graver_where_the_interval_says_so_too(
    state_of, status, confidence, state, severity
):
    """$5 of $18 for each of 200 users: beyond a fifth of $18 ($3.60) by $1.40, $280 in all."""
    row = state_of(
        "arpu_share",
        mart_user_economics_monthly=[
            {
                "month_start_date": date(2026, 10, 1), "customer_tier": "pro", "is_month_over": True, "arpu_status": status,
                "status_confidence": confidence, "cost_per_active_user_usd": 5, "arpu_usd": 18, "active_users": 200,
                "arpu_ratio": Decimal("0.277777778"),
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["severity"], row["cost_impact_usd"]) == (state, severity, 280)


def test_features_of_a_team_that_stand_out_on_one_day_are_one_alert(state_of):
    """$200 and $50 beyond what was expected; the third is as usual."""
    rows = [
        {"feature": feature, "state": state, "excess_usd": excess, "sentence": f"{feature}!", "is_incomplete": False}
        for feature, state, excess in (("a", "anomaly", 50), ("b", "anomaly", 200), ("c", "normal", 0))
    ]
    row = state_of(
        "spend_anomaly", mart_spend_anomalies_daily=[{"usage_date": MONDAY, "team": "care"} | row for row in rows]
    )

    assert (row["state"], row["entity_id"], row["owner"], row["cost_impact_usd"]) == ("breach", "care", "care", 250)
    assert row["sentence"] == "b! a!"
    assert row["period_end_date"] == date(2026, 10, 6)
    # One good day is enough.
    assert row["periods_to_resolve"] == 1


@pytest.mark.parametrize(("states", "state"), [(["learning"], "unknown"), (["learning", "normal"], "ok")])
def test_days_without_a_judgement_are_not_good_days(state_of, states, state):
    rows = [
        {
            "usage_date": MONDAY,
            "team": "care",
            "feature": f"f{n}",
            "state": word,
            "excess_usd": None,
            "is_incomplete": False,
        }
        for n, word in enumerate(states)
    ]

    assert state_of("spend_anomaly", mart_spend_anomalies_daily=rows)["state"] == state


def test_a_release_that_makes_calls_dearer_is_an_alert_until_one_does_not(state_of):
    common = {
        "week_start_date": MONDAY,
        "feature": "chat",
        "dimension": "release",
        "scope_name": "(all)",
        "is_incomplete": False,
    }
    dearer = common | {
        "version": "4.2",
        "verdict": "regression",
        "cost_impact_usd": 16,
        "sentence": "Release 4.2 is 40 % dearer.",
    }
    fine = common | {"version": "4.3", "verdict": "no_change", "cost_impact_usd": -1, "sentence": ""}
    few = common | {"version": "4.4", "verdict": "insufficient"}

    breach = state_of("release_cost", mart_release_costs_weekly=[dearer, fine, few])
    assert (breach["state"], breach["severity"], breach["cost_impact_usd"]) == ("breach", "warning", 16)
    assert breach["sentence"] == "chat: Release 4.2 is 40 % dearer."
    assert state_of("release_cost", mart_release_costs_weekly=[fine, few])["state"] == "ok"
    assert state_of("release_cost", mart_release_costs_weekly=[few])["state"] == "unknown"
    assert state_of("release_cost", mart_release_costs_weekly=[dearer | {"is_incomplete": True}])["state"] == "unknown"


@pytest.mark.parametrize(
    ("sure", "suspected", "state", "severity"),
    [(2, 0, "breach", "critical"), (0, 3, "breach", "warning"), (0, 0, "ok", None)],
)
def test_runaways_of_a_known_end_are_graver_than_suspected_ones(state_of, sure, suspected, state, severity):
    row = state_of(
        "runaway_sessions",
        mart_agent_sessions_weekly=[
            {
                "week_start_date": MONDAY, "feature": "agent", "is_closed": True, "is_incomplete": False, "sessions": 100,
                "over_budget_sessions": 0, "runaway_sessions": sure, "runaway_suspected_sessions": suspected,
                "runaway_cost_share": Decimal("0.3"), "excess_cost_usd": 12,
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["severity"], row["cost_impact_usd"]) == (state, severity, 12)


@pytest.mark.parametrize(
    ("verdict", "state", "severity"),
    [
        ("red", "breach", "critical"),
        ("amber", "breach", "warning"),
        ("stable", "ok", None),
        ("insufficient", "unknown", None),
    ],
)
def test_a_fall_of_the_cache_is_an_alert_of_its_feature_and_model(state_of, verdict, state, severity):
    row = state_of(
        "cache_drop",
        mart_cache_economics_weekly=[
            {
                "week_start_date": MONDAY, "feature": "agent", "provider": "anthropic", "model_canonical": "claude-sonnet-4-6",
                "verdict": verdict, "sentence": "Caching saved $1.00.", "cost_impact_usd": Decimal("37.42"),
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["severity"], row["dimension"]) == (state, severity, "anthropic | claude-sonnet-4-6")
    assert row["sentence"] == "agent (claude-sonnet-4-6): Caching saved $1.00."


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("routing_regression", "breach"), ("mix_shift", "ok"), ("stable", "ok"), ("insufficient", "unknown")],
)
def test_only_the_same_work_at_dearer_models_is_an_alert(state_of, verdict, state):
    row = state_of(
        "routing_regression",
        mart_model_tiers_weekly=[
            {
                "week_start_date": MONDAY, "feature": "mail", "verdict": verdict, "sentence": "More calls.",
                "cost_impact_usd": Decimal("4.44"),
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["cost_impact_usd"]) == (state, Decimal("4.44"))


@pytest.mark.parametrize(
    ("spent", "projection", "state", "severity", "impact"),
    [
        (400, 900, "ok", None, None),
        (500, 900, "breach", "info", None),
        (800, 900, "breach", "warning", None),
        # Heading for $1,200 of $1,000.
        (400, 1_200, "breach", "warning", 200),
        (1_050, 1_300, "breach", "critical", 300),
    ],
)
def test_a_budget_has_three_states_and_a_forecast(state_of, spent, projection, state, severity, impact):
    row = state_of(
        "budget",
        stat_budget_forecasts_monthly=[
            {
                "month_start_date": date(2026, 10, 1), "scope_kind": "team", "scope_value": "care",
                "usage_date": date(2026, 10, 15), "breach_date": date(2026, 10, 26), "is_learned": True,
                "spent_usd": spent, "projection_usd": projection, "budget_usd": 1_000,
            }
        ],
    )  # fmt: skip

    assert (row["state"], row["severity"], row["cost_impact_usd"], row["owner"]) == (state, severity, impact, "care")


def test_a_budget_that_was_passed_stays_so_until_the_month_is_over(run):
    """Likely over on the 20th, no longer so on the 21st: told once, over on the first of the next month."""
    days = [(date(2026, 10, 20), 700, 1_100), (date(2026, 10, 21), 700, 950), (date(2026, 11, 1), 20, None)]
    rows = [
        {
            "month_start_date": day.replace(day=1), "scope_kind": "feature", "scope_value": "chat", "usage_date": day,
            "spent_usd": spent, "projection_usd": projection, "budget_usd": 1_000, "is_learned": projection is not None,
        }
        for day, spent, projection in days
    ]  # fmt: skip
    states = run(
        "mart_alert_states", ledger_clock=NOW, ref_reporting=ZONE, stat_budget_forecasts_monthly=rows,
        ref_features=[{"feature": "chat", "owner_team": "care"}],
    )  # fmt: skip

    events = run("mart_alert_events", mart_alert_states=states)

    assert [(event["event_date"], event["transition"], event["owner"]) for event in events] == [
        (date(2026, 10, 21), "opened", "care"),
        (date(2026, 11, 2), "resolved", "care"),
    ]


@pytest.mark.parametrize(
    ("uncalled", "account", "says", "asks"),
    [
        (9, "org-main", "$3.00 of calls that name none, $9.00 billed without a call", "Land the calls of openai org-main: "),
        (2, "org-main", "$2.00 billed without a call, most of it openai org-main.", "Give the callers a feature"),
        (0, "org-main", "$12.00 of $100.00 (12.0 %) has no feature.", "Give the callers a feature"),
        (9, "unattributed", "most of it openai.", "Land the calls of openai: "),
    ],
)  # fmt: skip
def test_spend_of_nobody_says_where_it_is_and_asks_for_calls_only_where_there_are_none(
    state_of, uncalled, account, says, asks
):
    """$12 of $100; what is billed without a call is the untraced part of the rows without a feature."""
    parts = [{"week_start_date": MONDAY, "dimension": "feature", "gross_cost_usd": 100, "unattributed_usd": 12}]
    showback = [
        {"week_start_date": MONDAY, "month_start_date": date(2026, 10, 1), "feature": feature, "provider": provider,
         "billing_account_id": account, "allocated_untraced_usd": usd}
        for feature, provider, usd in (("unattributed", "openai", uncalled), ("unattributed", "azure", 0), ("chat", "google", 50))
    ]  # fmt: skip

    row = state_of("unattributed_share", mart_attribution_weekly=parts, mart_showback_weekly=showback)

    assert says in row["sentence"]
    assert row["remedy"].startswith(asks)


def test_every_remedy_begins_with_what_to_do_and_the_commands_and_tables_that_it_names_are_there():
    """Of the query as it is written out: no remedy sends a reader to a table without the command that shows it."""
    query = models()["mart_alert_states"].query
    remedies = re.findall(r"as resolve_limit, '((?:[^']|'')*)' as remedy", query)
    known = {*commands(), "alerts", "prices", "quarantine", "export"}

    assert len(remedies) > 10
    for remedy in (text.replace("''", "'") for text in remedies):
        assert not re.match(r"(See|Look at) (the )?(mart|ledger|causes)", remedy), remedy
        assert set(re.findall(r"tokenbooks (\w+)", remedy)) <= known, remedy
        for table in re.findall(r"\b(?:mart|ledger)_\w+", remedy):
            assert table in models(), remedy
            assert re.search(rf'tokenbooks sql "from {table}\b', remedy), remedy
