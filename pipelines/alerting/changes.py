"""What is to be told of alerts: what the books say now, held against what a channel was told before.

The books may change their mind about the past (late files, another limit), so nothing hangs on the number of an alert:
what a channel was told last about a thing decides, and the stretch of days in which it was beyond its limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pipelines.alerting.channels import GRADES, Channel

# What happened to an alert, in words that follow a number, in the order of a message.
KINDS: Mapping[str, str] = {
    "opened": "new",
    "reopened": "back",
    "escalated": "graver",
    "resolved": "over",
    "passed": "came and is over",
    "withdrawn": "no longer one",
    "moved": "with another owner",
}
# Those after which it is open.
OPEN_KINDS = ("opened", "reopened", "escalated")
_ORDER = {kind: place for place, kind in enumerate(KINDS)}
_SAID = {
    "withdrawn": "The books as they are now no longer find it: late files, a mended price or another limit changed what is known.",
    "moved": "Another team owns it now: {owner}.",
}


@dataclass(frozen=True)
class Told:
    """What a channel was told last about a thing."""

    is_open: bool
    severity: str
    owner: str
    rule: str
    entity: str


@dataclass(frozen=True)
class Seen:
    """A stretch of days in which something was beyond its limit; ``resolved_date`` is None while it is."""

    opened_date: date
    resolved_date: date | None

    def meets(self, other: Seen) -> bool:
        return self.opened_date <= (other.resolved_date or date.max) and other.opened_date <= (
            self.resolved_date or date.max
        )


@dataclass(frozen=True)
class Change:
    """One thing to tell. ``alert`` is the row of mart_alerts; None where the books have none any more."""

    kind: str
    dedupe_key: str
    owner: str
    severity: str
    rule: str
    entity: str
    sentence: str
    alert: Mapping[str, Any] | None

    @property
    def dollars(self) -> Decimal | None:
        return self.alert["dollars_at_stake_usd"] if self.alert else None

    def as_dict(self) -> dict[str, Any]:
        """As a message holds it: texts only, dollars exactly."""
        alert = self.alert or {}
        told = {
            "change": self.kind,
            "dedupe_key": self.dedupe_key,
            "severity": self.severity,
            "owner": self.owner,
            "rule": self.rule,
            "entity": self.entity,
            "is_possible": bool(alert.get("is_possible")),
            "sentence": self.sentence,
            "remedy": alert.get("remedy"),
            "evidence_query": alert.get("evidence_query"),
        }
        for name in ("dollars_at_stake_usd", "breached_usd"):
            usd = alert.get(name)
            told[name] = None if usd is None else f"{usd.normalize():f}"
        for name in ("last_opened_date", "resolved_date"):
            told[name] = str(alert[name]) if alert.get(name) else None
        return told


def entity_of(alert: Mapping[str, Any]) -> str:
    """What an alert is about, for people: ``feature support-chat, gpt-4o``."""
    kind, name = alert["entity_type"], alert["entity_id"]
    about = name if kind in ("all", "budget") else f"{kind} {name}"
    return f"{about}, {alert['dimension']}" if alert["dimension"] else about


def stretch_of(alert: Mapping[str, Any]) -> Seen:
    return Seen(alert["last_opened_date"], alert["resolved_date"])


def changes(
    channel: Channel,
    alerts: Sequence[Mapping[str, Any]],
    told: Mapping[str, Told],
    seen: Mapping[str, Sequence[Seen]] | None,
) -> list[Change]:
    """What a channel is to be told now, by owner, the dearest first. ``seen`` is None the first time: then only of what is open."""
    about: dict[str, list[Mapping[str, Any]]] = {}
    for alert in sorted(alerts, key=lambda row: row["last_opened_date"]):
        about.setdefault(alert["dedupe_key"], []).append(alert)
    found: list[Change] = []
    for key, rows in about.items():
        *earlier, newest = rows
        known = told.get(key)
        found += [_change("passed", row) for row in earlier if _is_passed(channel, row, seen)]
        if kind := _kind(channel, newest, known, seen):
            change = _change(kind, newest)
            if kind == "moved" and known:
                said = _SAID["moved"].format(owner=newest["owner"])
                change = Change(kind, key, known.owner, known.severity, known.rule, known.entity, said, newest)
            found.append(change)
    for key, known in told.items():
        if known.is_open and key not in about:
            found.append(
                Change(
                    "withdrawn", key, known.owner, known.severity, known.rule, known.entity, _SAID["withdrawn"], None
                )
            )
    return sorted(found, key=_place)


def _kind(
    channel: Channel, newest: Mapping[str, Any], known: Told | None, seen: Mapping[str, Sequence[Seen]] | None
) -> str:
    is_told_open = known is not None and known.is_open
    if newest["alert_state"] == "resolved":
        if is_told_open:
            return "resolved"
        return "passed" if _is_passed(channel, newest, seen) else ""
    if channel.wants(newest["severity"], newest["owner"]):
        if known is None or not known.is_open:
            return "reopened" if known is not None and newest["reopened_count"] else "opened"
        return "escalated" if GRADES[newest["severity"]] > GRADES[known.severity] else ""
    if not is_told_open:
        return ""
    return "moved" if channel.owners and newest["owner"] not in channel.owners else "resolved"


def _is_passed(channel: Channel, alert: Mapping[str, Any], seen: Mapping[str, Sequence[Seen]] | None) -> bool:
    """Whether it began and ended between two messages: no stretch of days that was looked at before meets its own."""
    if seen is None or not channel.wants(alert["severity"], alert["owner"]) or alert["resolved_date"] is None:
        return False
    stretch = stretch_of(alert)
    return not any(stretch.meets(other) for other in seen.get(alert["dedupe_key"], ()))


def _change(kind: str, alert: Mapping[str, Any]) -> Change:
    return Change(
        kind,
        alert["dedupe_key"],
        alert["owner"],
        alert["severity"],
        alert["rule"],
        entity_of(alert),
        alert["sentence"],
        alert,
    )


def _place(change: Change) -> tuple[Any, ...]:
    dollars = change.dollars
    return (change.owner, _ORDER[change.kind], dollars is None, -(dollars or 0), change.rule, change.entity)


def by_owner(found: Iterable[Change]) -> dict[str, list[Change]]:
    groups: dict[str, list[Change]] = {}
    for change in found:
        groups.setdefault(change.owner, []).append(change)
    return groups
