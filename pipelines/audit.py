"""``closed/audit_log.jsonl``: what was done to the books, line by line, each with the hash of the line before it.

A line is one JSON object. ``sha256`` is the hash of the line without that key; ``previous_sha256`` that of the line before.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pipelines.lake import Lake, digest, months_closed, replace_text
from pipelines.paths import DataRoot
from pipelines.settings import Settings

RECORD = "record.json"
FIRST = "0" * 64
# Tables whose change is a change of the price book, and those that decide when books may be closed.
_PRICES = ("ref_price_book", "ref_model_names", "ref_price_overrides", "ref_fx_rates")
_SETTINGS = ("ref_thresholds",)
# The share of the machine decides no figure.
_NOT_LOGGED = ("memory_limit", "threads", "pseudonym_key")

Event = Mapping[str, Any]


def user() -> str:
    """Who is at work."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def entries(root: DataRoot) -> list[dict[str, Any]]:
    """The lines of the log. A line that cannot be read is an empty entry: ``faults`` says so."""
    return [_read(line) for line in _lines(root)]


def append(root: DataRoot, events: Sequence[Event]) -> None:
    """Add lines, whole or not at all."""
    if not events:
        return
    lines = _lines(root)
    previous = str(_read(lines[-1]).get("sha256", FIRST)) if lines else FIRST
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    for event in events:
        said = {"sequence": len(lines) + 1, "logged_at": at, "logged_by": user(), **event, "previous_sha256": previous}
        previous = _hash_of(said)
        lines.append(_text_of({**said, "sha256": previous}))
    root.closed.mkdir(parents=True, exist_ok=True)
    replace_text(root.audit_log, "\n".join(lines) + "\n")


def faults(root: DataRoot) -> list[str]:
    """What is wrong with the chain, line by line."""
    found = []
    previous = FIRST
    name = root.relative(root.audit_log)
    for number, line in enumerate(_lines(root), 1):
        entry = _read(line)
        said = {key: value for key, value in entry.items() if key != "sha256"}
        if not entry or line != _text_of(entry) or _hash_of(said) != entry.get("sha256"):
            found.append(f"{name}, line {number}: it is not as it was written")
        if entry and entry.get("previous_sha256") != previous:
            found.append(f"{name}, line {number}: it does not follow the line before it (a line is missing or changed)")
        if entry and entry.get("sequence") != number:
            found.append(f"{name}, line {number}: it says that it is line {entry.get('sequence')}")
        previous = str(entry.get("sha256", ""))
    return found


def complete(root: DataRoot) -> None:
    """Log the newest close where it is not logged yet: a process may have died between the two."""
    months = months_closed(root)
    if months:
        name = f"{months[-1]:%Y-%m}"
        if not any(entry.get("event") == "close" and entry.get("month") == name for entry in entries(root)):
            append(root, events_of((root.closed_month(months[-1]) / RECORD).read_bytes()))


def events_of(record: bytes) -> list[Event]:
    """The lines of a close, from the record of its set: the close itself, and each exception that was accepted."""
    content = json.loads(record)
    close = {
        "event": "close",
        "month": content["month"],
        "record_sha256": hashlib.sha256(record).hexdigest(),
        "invoiced_cost_usd": content["invoiced_cost_usd"],
        "files": len(content["files"]),
        "book_version": content["book_version"],
    }
    accepted = [
        {
            "event": "accepted_exception",
            "month": content["month"],
            "exception": text,
            "reason": content["accepted_because"],
        }
        for text in content["accepted_exceptions"]
    ]
    return [close, *accepted]


def note_changes(root: DataRoot, lake: Lake, settings: Settings) -> None:
    """Log what of price book and settings is other than the log says."""
    last: dict[str, str] = {}
    for entry in entries(root):
        if entry.get("event") in ("price_book_change", "settings_change"):
            last[str(entry.get("of"))] = str(entry.get("content_hash"))
    shown = {key: value for key, value in asdict(settings).items() if key not in _NOT_LOGGED}
    now = {"settings.toml": digest([json.dumps(shown, sort_keys=True, default=str), settings.reading_version])}
    for table in (*_PRICES, *_SETTINGS):
        if (part := lake.part(table, None)) is not None:
            now[table] = part.content_hash
    events: list[Event] = []
    for name, content_hash in now.items():
        if last.get(name) != content_hash:
            event: dict[str, Any] = {
                "event": "price_book_change" if name in _PRICES else "settings_change",
                "of": name,
                "content_hash": content_hash,
                "content_hash_before": last.get(name),
            }
            if name == "settings.toml":
                event["settings"] = json.loads(json.dumps(shown, default=str))
            events.append(event)
    append(root, events)


def note_corrections(root: DataRoot, rows: Sequence[Mapping[str, Any]]) -> None:
    """Log corrections that are new or other than the log says; one that is no more is logged as 0."""
    last: dict[str, dict[str, Any]] = {}
    for entry in entries(root):
        if entry.get("event") == "correction":
            last[json.dumps(entry["key"])] = entry
    events: list[Event] = []
    there = set()
    for row in rows:
        key = {name: str(row[name]) for name in _CORRECTION_KEY}
        said = {name: None if row[name] is None else str(row[name]) for name in _CORRECTION_FIGURES}
        there.add(json.dumps(key))
        known = last.get(json.dumps(key), {})
        if {name: known.get(name) for name in said} != said:
            events.append({"event": "correction", "key": key, **said})
    for text, entry in last.items():
        if text not in there and entry.get("delta_usd") != "0.00":
            gone = dict.fromkeys(_CORRECTION_FIGURES) | {"delta_usd": "0.00", "reason": "taken back"}
            events.append({"event": "correction", "key": entry["key"], **gone})
    append(root, events)


_CORRECTION_KEY = """
booked_week_start_date week_start_date billing_month cost_centre team feature customer_tier environment provider billing_account_id
model_canonical model_tier billing_currency
""".split()
_CORRECTION_FIGURES = ("reason", "caused_by", "delta_usd", "delta_billing_currency", "delta_successes")


def _lines(root: DataRoot) -> list[str]:
    if not root.audit_log.is_file():
        return []
    return root.audit_log.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")


def _read(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _text_of(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False)


def _hash_of(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text_of(entry).encode()).hexdigest()
