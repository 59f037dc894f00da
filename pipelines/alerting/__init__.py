"""Sends alerts to people: what is new and what is over, once, grouped by owner, through an outbox that loses nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.alerting import messages, sending
from pipelines.alerting.changes import Change, by_owner, changes
from pipelines.alerting.channels import Channel, ChannelFault, address_of, read_channels
from pipelines.alerting.outbox import Kept, Outbox, looked_at, open_outbox
from pipelines.books import Books, RunReport, open_books
from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.relations import create_model_view

ALERTS = "mart_alerts"
NO_CHANNELS = "No channel is configured: add rows to reference/alert_channels.csv (docs/alerts_out.md says how). Nothing was sent."


@dataclass
class Sent:
    """What a send did: messages taken by the other side, messages that wait, and everything that went wrong."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Why nothing new was told, where a critical check has failed.
    held_back: str | None = None
    channels: int = 0

    @property
    def is_well(self) -> bool:
        return not self.problems and self.held_back is None

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def open_alerts(books: Books) -> list[dict[str, Any]]:
    """The rows of mart_alerts as the books have them."""
    create_model_view(books.con, books.lake, books.models[ALERTS], books.lake.parts(ALERTS))
    return named_rows(books.con, f"select * from {ALERTS}")


def _plan(
    channels: Sequence[Channel], alerts: Sequence[Mapping[str, Any]], outbox: Outbox, now: datetime
) -> Iterator[tuple[Channel, list[tuple[Kept, list[Change]]]]]:
    """The new messages of each channel, with what each tells."""
    for channel in channels:
        seen = outbox.seen(channel.name)
        number = outbox.number_of_messages(channel.name)
        found: list[tuple[Kept, list[Change]]] = []
        for owner, told in by_owner(changes(channel, alerts, outbox.told(channel.name), seen)).items():
            content = messages.message(channel, owner, told, number + len(found), is_first=seen is None)
            found.append((Kept(content["key"], channel.name, now, content), told))
        yield channel, found


def _look(root: DataRoot, result: Sent) -> list[dict[str, Any]] | None:
    """All alerts; None where the books cannot be relied on just now, with the reason kept."""
    with open_books(root) as books:
        books.judge()
        if cause := RunReport(results=books.results).cause:
            result.held_back = cause
            return None
        return open_alerts(books)


def send(
    root: DataRoot,
    *,
    only: str | None = None,
    now: datetime | None = None,
    pauses_s: Sequence[float] = sending.PAUSES_S,
    environment: Mapping[str, str] = os.environ,
    progress: Callable[[str], None] = lambda text: None,
) -> Sent:
    """Put what is new into the outbox, then send all that waits. One channel that fails does not hold up the others.

    Raises LakeError where a run is at work or another process sends.
    """
    now = now or datetime.now(UTC)
    result = Sent()
    with open_outbox(root) as outbox:
        channels, result.problems = _channels(root, now, only)
        result.channels = len(channels)
        if not channels and not outbox.pending():
            return result
        alerts = _look(root, result)
        if alerts is not None:
            for channel, found in _plan(channels, alerts, outbox, now):
                outbox.keep(channel.name, found, alerts, now)
        _send_pending(root, outbox, channels, result, only, pauses_s, environment, progress)
    return result


def _channels(root: DataRoot, now: datetime, only: str | None) -> tuple[list[Channel], list[str]]:
    channels, faults = read_channels(root, now.date())
    return [channel for channel in channels if only in (None, channel.name)], faults


def _send_pending(
    root: DataRoot,
    outbox: Outbox,
    channels: Sequence[Channel],
    result: Sent,
    only: str | None,
    pauses_s: Sequence[float],
    environment: Mapping[str, str],
    progress: Callable[[str], None],
) -> None:
    known = {channel.name: channel for channel in channels}
    failed: dict[str, str] = {}
    for message in outbox.pending():
        channel = known.get(message.channel)
        if channel is None:
            if only is None and not result.problems:
                outbox.drop(message.key, "its channel is gone")
                result.dropped.append(_said(message))
            continue
        if message.channel not in failed:
            progress(f"sending to {channel.name}")
            try:
                address = address_of(channel, environment)
                remark = sending.deliver(channel, address, message, pauses_s)
            except (ChannelFault, sending.Undelivered) as error:
                failed[channel.name] = str(error)
                outbox.mark_failed(message.key, str(error), datetime.now(UTC))
                result.problems.append(f"Channel {channel.name} ({channel.kind}): {error}.")
            else:
                outbox.mark_sent(message.key, datetime.now(UTC))
                result.sent.append(_said(message))
                if remark:
                    result.problems.append(f"Channel {channel.name} ({channel.kind}): {remark}.")
                continue
        # Its host is down or it is configured wrong: the rest of its messages would fare no better.
        result.waiting.append(_said(message))


def _said(message: Kept) -> dict[str, Any]:
    return {
        "channel": message.channel,
        "owner": message.content["owner"],
        "subject": message.content["subject"],
        "alerts": len(message.content["alerts"]),
        "key": message.key,
    }


@dataclass(frozen=True)
class Preview:
    """A message exactly as it would be sent: where to, its headers and its body."""

    channel: str
    where: str
    headers: Mapping[str, str]
    body: str


def preview(
    root: DataRoot,
    *,
    only: str | None = None,
    now: datetime | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[list[Preview], Sent]:
    """What a send would send now, the oldest first, and what would go wrong. Nothing is sent and nothing is written."""
    now = now or datetime.now(UTC)
    result = Sent()
    channels, result.problems = _channels(root, now, only)
    result.channels = len(channels)
    found: list[Preview] = []
    with looked_at(root) as outbox:
        alerts = _look(root, result) if channels else None
        if alerts is not None:
            for channel, new in _plan(channels, alerts, outbox, now):
                outbox.keep(channel.name, new, alerts, now)
        known = {channel.name: channel for channel in channels}
        for message in outbox.pending():
            if message.channel in known:
                found.append(_preview(known[message.channel], message, result, environment))
    return found, result


def _preview(channel: Channel, message: Kept, result: Sent, environment: Mapping[str, str]) -> Preview:
    try:
        where = address_of(channel, environment).shown
    except ChannelFault as error:
        where = "nowhere"
        if (problem := f"Channel {channel.name} ({channel.kind}): {error}.") not in result.problems:
            result.problems.append(problem)
    if channel.kind == "email":
        mail = messages.email(channel, message.content, message.created_at)
        return Preview(channel.name, where, {}, mail.as_string())
    headers, body = sending.request_of(channel, message)
    if channel.token_env:
        headers = {**headers, "Authorization": f"Bearer ${channel.token_env}"}
    return Preview(channel.name, where, headers, body.decode())
