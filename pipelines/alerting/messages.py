"""A message in each form: plain JSON, blocks for Slack, a card for Teams, text and HTML for e-mail."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from pipelines.alerting.changes import KINDS, OPEN_KINDS, Change
from pipelines.alerting.channels import Channel
from pipelines.lake import digest
from pipelines.words import listed, things

SCHEMA = "tokenbooks.alerts.v1"
# Slack takes 50 blocks and Teams 28 KB; e-mail and webhooks get all.
_SHOWN_AT_MOST = 12
# Slack refuses a section of more than 3,000 characters.
_LONGEST = 2_800
_MANY_CHARACTERS = 700
_FIRST = "This is the first message of this channel: it tells what is open now. What was over before is not told."
_COLOURS = {"critical": "#b00020", "warning": "#8a5a00", "info": "#3a5a80"}


def message(channel: Channel, owner: str, told: Sequence[Change], number: int, *, is_first: bool) -> dict[str, Any]:
    """What a message says: all forms are made of it. The same content has the same key."""
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "channel": channel.name,
        "owner": owner,
        "is_first": is_first,
        "alerts": [one.as_dict() for one in told],
    }
    key = digest([channel.name, str(number), json.dumps(content, sort_keys=True)])[:32]
    return {"key": key, "subject": _subject(owner, told, is_first=is_first), **content}


def usd_text(usd: str | None) -> str:
    """Dollars to the cent; what is not known is said."""
    from decimal import Decimal

    return "dollars unknown" if usd is None else f"${Decimal(usd):,.2f}"


def _owner_text(owner: str) -> str:
    return "no owner" if owner == "unattributed" else owner


def _subject(owner: str, told: Sequence[Change], *, is_first: bool) -> str:
    numbers = {kind: sum(1 for one in told if one.kind == kind) for kind in KINDS}
    if is_first:
        said = f"{things(len(told), 'alert')} open"
    else:
        [first, *more] = [(number, KINDS[kind]) for kind, number in numbers.items() if number]
        parts = [f"{first[0]:,} {'alerts' if first[0] != 1 else 'alert'} {first[1]}"]
        said = listed([*parts, *(f"{number:,} {word}" for number, word in more)])
    dearest = max((one.dollars for one in told if one.kind in OPEN_KINDS and one.dollars is not None), default=None)
    about = "" if dearest is None else f", {'the dearest ' * (len(told) > 1)}${dearest:,.2f}"
    return f"tokenbooks, {_owner_text(owner)}: {said}{about}"


def line_of(content: Mapping[str, Any], alert: Mapping[str, Any]) -> str:
    """What happened to an alert, who owns it and the dollars: ``New: critical, $1.53, owner care, since 2026-11-09``."""
    kind = alert["change"]
    word = "open" if content["is_first"] else KINDS[kind]
    parts = [("possible, " if alert["is_possible"] and kind in OPEN_KINDS else "") + alert["severity"]]
    if kind in OPEN_KINDS:
        parts.append(usd_text(alert["dollars_at_stake_usd"]))
    elif alert["breached_usd"] is not None and kind in ("resolved", "passed"):
        parts.append(f"{usd_text(alert['breached_usd'])} in all")
    parts.append("no owner" if alert["owner"] == "unattributed" else f"owner {alert['owner']}")
    if kind in OPEN_KINDS and alert["last_opened_date"]:
        parts.append(f"since {alert['last_opened_date']}")
    if kind in ("resolved", "passed") and alert["resolved_date"]:
        parts.append(f"from {alert['last_opened_date']} to {alert['resolved_date']}")
    return f"{word[0].upper()}{word[1:]}: {', '.join(parts)}"


def sentence_of(alert: Mapping[str, Any]) -> str:
    return f"It was: {alert['sentence']}" if alert["change"] in ("resolved", "passed") else str(alert["sentence"])


def title_of(alert: Mapping[str, Any]) -> str:
    return f"{alert['rule'].replace('_', ' ')}: {alert['entity']}"


def _hints(alert: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to do and what to ask; of what is over there is nothing to do."""
    if alert["change"] not in OPEN_KINDS:
        return []
    return [
        (name, alert[column]) for name, column in (("To do", "remedy"), ("Query", "evidence_query")) if alert[column]
    ]


def _foot(content: Mapping[str, Any]) -> str:
    return f"Message {content['key']}. It may come twice; then it has the same number. All alerts: tokenbooks alerts"


def _cut(content: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str]:
    alerts = content["alerts"]
    more = len(alerts) - _SHOWN_AT_MOST
    return alerts[:_SHOWN_AT_MOST], f"{things(more, 'more alert')}: tokenbooks alerts" if more > 0 else ""


def _shortened(text: str, longest: int = _MANY_CHARACTERS) -> str:
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."


def plain_text(content: Mapping[str, Any]) -> str:
    lines = [content["subject"], ""]
    if content["is_first"]:
        lines += [_FIRST, ""]
    for alert in content["alerts"]:
        lines += [title_of(alert), f"  {line_of(content, alert)}", f"  {sentence_of(alert)}"]
        lines += [f"  {name}: {text}" for name, text in _hints(alert)]
        lines.append("")
    return "\n".join([*lines, _foot(content), ""])


def html_text(content: Mapping[str, Any]) -> str:
    """HTML that mail programs show: one column, styles in the tags, no image and no address."""
    parts = [f"<h2 style='font-size:18px'>{html.escape(content['subject'])}</h2>"]
    if content["is_first"]:
        parts.append(f"<p>{_FIRST}</p>")
    for alert in content["alerts"]:
        colour = _COLOURS[alert["severity"]] if alert["change"] in OPEN_KINDS else "#555555"
        parts.append(
            f"<div style='border-left:4px solid {colour};padding:0 0 0 12px;margin:0 0 20px'>"
            f"<h3 style='font-size:15px;margin:0'>{html.escape(title_of(alert))}</h3>"
            f"<p style='margin:4px 0;color:{colour}'><b>{html.escape(line_of(content, alert))}</b></p>"
            f"<p style='margin:4px 0'>{html.escape(sentence_of(alert))}</p>"
        )
        for name, text in _hints(alert):
            shown = f"<code style='font-size:12px'>{html.escape(text)}</code>" if name == "Query" else html.escape(text)
            parts.append(f"<p style='margin:4px 0'><b>{name}:</b> {shown}</p>")
        parts.append("</div>")
    parts.append(f"<p style='font-size:12px;color:#555555'>{html.escape(_foot(content))}</p>")
    body = "\n".join(parts)
    return (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Alerts</title></head>"
        f"<body style='font-family:Arial,sans-serif;font-size:14px;color:#1a1a1a;max-width:640px'>\n{body}\n</body></html>\n"
    )


def email(channel: Channel, content: Mapping[str, Any], created_at: datetime) -> EmailMessage:
    """A mail whose Message-ID is the key: mail programs and archives show a second copy as the same."""
    mail = EmailMessage()
    mail["Subject"] = _one_line(content["subject"])
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.recipients)
    mail["Date"] = format_datetime(created_at)
    mail["Message-ID"] = f"<{content['key']}@{channel.sender.rpartition('@')[2].strip('> ') or 'tokenbooks'}>"
    # Programs that answer by themselves leave it alone.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(plain_text(content), cte="quoted-printable")
    mail.add_alternative(html_text(content), subtype="html", cte="quoted-printable")
    # So that the same message has the same bytes.
    mail.set_boundary(f"tokenbooks-{content['key']}")
    return mail


def slack(content: Mapping[str, Any]) -> dict[str, Any]:
    shown, more = _cut(content)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _shortened(content["subject"], 150)}}
    ]
    if content["is_first"]:
        blocks.append(_section(_FIRST))
    for alert in shown:
        lines = [
            f"*{_escaped(title_of(alert))}*",
            f"*{_escaped(line_of(content, alert))}*",
            _escaped(sentence_of(alert)),
        ]
        lines += [
            f"_Query:_ `{_escaped(_shortened(text.replace('`', ' ')))}`"
            if name == "Query"
            else f"_{name}:_ {_escaped(text)}"
            for name, text in _hints(alert)
        ]
        blocks += [_section("\n".join(_shortened(line, _LONGEST // 4) for line in lines)), {"type": "divider"}]
    if more:
        blocks.append(_section(_escaped(more)))
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _escaped(_foot(content))}]})
    return {"text": content["subject"], "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _escaped(text: str) -> str:
    """Slack reads these three as marks of its own: a name could call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams(content: Mapping[str, Any]) -> dict[str, Any]:
    """An adaptive card, as webhooks of Teams' workflows take it."""
    shown, more = _cut(content)
    body: list[dict[str, Any]] = [_line(content["subject"], size="Large", weight="Bolder")]
    if content["is_first"]:
        body.append(_line(_FIRST))
    for alert in shown:
        colour = {"critical": "Attention", "warning": "Warning"}.get(alert["severity"], "Default")
        body.append(_line(title_of(alert), weight="Bolder", separator=True, spacing="Medium"))
        body.append(_line(line_of(content, alert), color=colour if alert["change"] in OPEN_KINDS else "Default"))
        body.append(_line(sentence_of(alert)))
        body += [
            _line(f"{name}: {text}", **({"fontType": "Monospace", "size": "Small"} if name == "Query" else {}))
            for name, text in _hints(alert)
        ]
    if more:
        body.append(_line(more))
    body.append(_line(_foot(content), size="Small", isSubtle=True))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _line(text: str, **more: Any) -> dict[str, Any]:
    # Cards read a little markdown: what a name holds of it stays as it is.
    shown = _shortened(text)
    for mark in ("\\", "*", "_", "[", "]"):
        shown = shown.replace(mark, f"\\{mark}") if more.get("fontType") != "Monospace" else shown
    return {"type": "TextBlock", "text": shown, "wrap": True, **more}


def body_of(channel: Channel, content: Mapping[str, Any]) -> dict[str, Any]:
    """What is posted to a channel that speaks HTTP."""
    return {"slack": slack, "teams": teams, "webhook": dict}[channel.kind](content)  # type: ignore[operator, no-any-return]


def _one_line(text: str) -> str:
    return " ".join(text.split())
