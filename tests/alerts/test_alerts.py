"""Alerts: each is told once when it begins, once when it gets graver, once when it is over, and does not flap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MONDAY = date(2026, 6, 1)
SEVERITY = {"amber": "warning", "red": "critical", "info": "info"}


def states(words: Sequence[str], *, days: int = 7, to_resolve: int = 2, **more: Any) -> list[dict[str, Any]]:
    """A row a period: ok, insufficient, or a severity by its colour. A period that is skipped is an empty word."""
    rows = []
    for number, word in enumerate(words):
        start = MONDAY + timedelta(days=days * number)
        state = {"ok": "ok", "insufficient": "unknown"}.get(word, "breach")
        if word:
            rows.append(
                {
                    "rule": "cache_drop", "entity_type": "feature", "entity_id": "chat", "dimension": "",
                    "period_start_date": start, "period_end_date": start + timedelta(days=days), "state": state,
                    "severity": SEVERITY.get(word), "is_possible": False, "cost_impact_usd": Decimal(number + 1),
                    "owner": "care", "sentence": word, "remedy": "look", "evidence_query": "select 1",
                    "periods_to_resolve": to_resolve,
                }
                | more
            )  # fmt: skip
    return rows


def sent(run: Any, rows: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Number of the week (from 1), and what was sent."""
    events = run("mart_alert_events", mart_alert_states=rows)
    return sorted(((event["period_start_date"] - MONDAY).days // 7 + 1, event["transition"]) for event in events)


def test_an_alert_is_sent_when_it_opens_gets_graver_and_is_over_and_at_no_other_time(run):
    """Amber, red, red, amber, ok, insufficient, ok, ok: opened in week 1, escalated in 2, resolved in 7."""
    rows = states(["amber", "red", "red", "amber", "ok", "insufficient", "ok", "ok"])

    assert sent(run, rows) == [(1, "opened"), (2, "escalated"), (7, "resolved")]

    [alert] = run("mart_alerts", mart_alert_states=rows)
    assert (alert["alert_state"], alert["severity"], alert["breaches"]) == ("resolved", "critical", 4)
    # The newest breach was that of week 4; all four make 1 + 2 + 3 + 4 dollars.
    assert (alert["dollars_at_stake_usd"], alert["breached_usd"]) == (4, 10)
    assert alert["first_breach_date"] == MONDAY
    assert alert["opened_date"] == MONDAY + timedelta(days=7)
    assert alert["resolved_date"] == MONDAY + timedelta(days=49)


def test_a_breach_soon_after_the_end_is_the_same_alert_and_later_a_new_one(run):
    """Over at the end of week 3; a breach that is known 14 days later reopens it, one that is known 21 days later does not."""
    soon = run("mart_alerts", mart_alert_states=states(["red", "ok", "ok", "ok", "amber"]))
    later = run("mart_alerts", mart_alert_states=states(["red", "ok", "ok", "ok", "ok", "amber"]))

    assert [(one["alert_state"], one["severity"], one["reopened_count"]) for one in soon] == [("open", "warning", 1)]
    assert [(one["alert_state"], one["severity"], one["reopened_count"]) for one in later] == [
        ("resolved", "critical", 0),
        ("open", "warning", 0),
    ]
    assert len({one["alert_id"] for one in later}) == 2
    assert len({one["dedupe_key"] for one in later}) == 1


def test_one_good_week_between_bad_ones_ends_nothing(run):
    assert sent(run, states(["amber", "ok", "amber", "ok", "amber"])) == [(1, "opened")]


def test_weeks_that_are_not_there_count_as_neither(run):
    assert sent(run, states(["amber", "ok", "", "", "ok"])) == [(1, "opened"), (5, "resolved")]


def test_what_never_was_beyond_its_limit_is_no_alert(run):
    assert run("mart_alerts", mart_alert_states=states(["ok", "insufficient", "ok", "ok"])) == []


def test_daily_rules_end_after_the_days_that_they_say(run):
    rows = states(["amber", "ok", "ok", "amber", "ok", "ok", "ok", "ok"], days=1, to_resolve=3)

    events = run("mart_alert_events", mart_alert_states=rows)

    assert [
        (event["period_start_date"].day, event["transition"]) for event in sorted(events, key=lambda e: e["event_date"])
    ] == [
        (1, "opened"),
        (7, "resolved"),
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=st.lists(st.sampled_from(["ok", "amber", "red", "info", "insufficient", ""]), max_size=25))
def test_what_is_sent_is_what_a_person_would_have_written_down_week_by_week(run, words):
    """The same by a walk over the weeks, in Python."""
    grades = {"info": 1, "amber": 2, "red": 3}
    expected, worst, good = [], None, 0
    for week, word in enumerate(words, 1):
        if word in grades:
            good = 0
            if worst is None:
                expected.append((week, "opened"))
            elif grades[word] > worst:
                expected.append((week, "escalated"))
            worst = max(worst or 0, grades[word])
        elif word == "ok" and worst is not None:
            good += 1
            if good == 2:
                expected.append((week, "resolved"))
                worst, good = None, 0

    assert sent(run, states(words)) == expected


def test_an_alert_of_months_names_the_first_of_them_beside_the_newest(run):
    """August and September too were beyond the limit: known since 2026-09-01, told of October."""
    starts = [date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)]
    rows = [
        states(["amber"])[0]
        | {
            "period_start_date": first,
            "period_end_date": end,
            "sentence": f"The bill for {first:%Y-%m} does not agree.",
        }
        for first, end in pairwise(starts)
    ]

    [alert] = run("mart_alerts", mart_alert_states=rows)

    assert alert["last_opened_date"] == date(2026, 9, 1)
    assert alert["sentence"] == (
        "The bill for 2026-10 does not agree. It was so in 2 months before too, first in 2026-08."
    )
    [first] = run("mart_alerts", mart_alert_states=rows[:1])
    assert first["sentence"] == "The bill for 2026-08 does not agree."


def test_an_alert_of_weeks_names_the_first_of_them_and_one_of_days_has_its_day(run):
    [weeks] = run("mart_alerts", mart_alert_states=states(["amber", "amber"]))
    [days] = run("mart_alerts", mart_alert_states=states(["amber", "amber"], days=1))

    assert weeks["sentence"] == "amber It was so in 1 week before too, first in the week of 2026-06-01."
    assert days["sentence"] == "amber"
