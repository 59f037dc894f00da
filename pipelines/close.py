"""Closes the books of a month: a set of hard links that nothing writes to again, its record, and a line in the audit log.

``closed/<month>/lake`` holds the month's partitions, ``closed/<month>/exports`` the weeks, FOCUS and statements that are
published for ever from now on, ``record.json`` the hash of each file. The set is put together beside its place and gets
its name in one step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from pipelines import __version__, audit, exports, published, report
from pipelines.books import Books
from pipelines.checks import CheckResult
from pipelines.engine import one_row
from pipelines.lake import CLOSED, CLOSED_MONTHS, Part, months_closed, sha256_of
from pipelines.models import Model
from pipelines.paths import DataRoot
from pipelines.periods import Span, end_of, start_of
from pipelines.planner import CLOCK
from pipelines.relations import create_model_view
from pipelines.results import TABLE as RESULTS
from pipelines.unmet import strangers
from pipelines.words import listed, things

SHOWBACK = "mart_showback_weekly"
RECONCILIATION = "mart_reconciliation_monthly"
INVOICES = "ledger_invoices"
REQUESTS = "ledger_requests"
CORRECTIONS = "mart_corrections_weekly"
STATEMENTS = "mart_statements_monthly"
_BOOK_TABLE = "ref_price_book"
# Subjects whose tables of days and months say what a month cost and whether it can be trusted.
_SUBJECTS = ("showback", "trust", "exports")
_WEEK = timedelta(days=7)


class CloseRefused(RuntimeError):
    """A month that cannot be closed at all: closed already, or not its turn."""


@dataclass(frozen=True)
class Hindrance:
    """Why a month should not be closed. One that is not ``acceptable`` has to be mended."""

    text: str
    acceptable: bool


@dataclass(frozen=True)
class Closed:
    """What a close did."""

    month: date
    invoiced_cost_usd: str
    files: int
    exceptions: tuple[str, ...]


def hindrances(books: Books, month: date, *, in_turn: bool = True) -> list[Hindrance]:
    """What speaks against closing a month, worst first. Raises CloseRefused where it cannot be closed at all.

    Without ``in_turn`` whether its turn has come is not asked.
    """
    if in_turn:
        _hold_turn(books, month)
    found = [Hindrance(text, False) for text in (*_out_of_date(books), *_not_over(books, month))]
    for result in books.results.missed:
        # Of any month: what is published is that of the last good run, and the set would hold it.
        if result.severity == "critical":
            found.append(Hindrance(f"check failed: {result.table} ({result.partition}): {result.message}", False))
    return found + [Hindrance(text, True) for text in unreconciled(books, month)]


def close(books: Books, month: date, *, accept: str = "") -> Closed | list[Hindrance]:
    """Close a month; what hinders it comes back where something does that is not accepted, and nothing is done.

    ``accept`` is the reason for closing in spite of hindrances that may be accepted. The tables that look at closed
    months are brought up to date and what is published is written. Raises CloseRefused as ``hindrances`` does.
    """
    found = hindrances(books, month)
    if any(not one.acceptable for one in found) or (found and not accept.strip()):
        return found
    root = books.root
    kept = root.set_under_way
    for part, place in {part.path: (part, place) for part, place in _kept_files(books, month)}.values():
        target = kept / "lake" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        published.link(books.lake.absolute(part), target)
    _write_month(books, month, kept / "lake" / CLOSED_MONTHS.removeprefix(CLOSED) / "part.parquet")
    _freeze_weeks(books, month, kept / "exports")
    for export in exports.MONTHLY:
        folder = root.monthly_export(export.name, export.version, month).relative_to(root.exports)
        exports.write_month(books.con, books.lake, export, month, kept / "exports" / folder, closing=month)
    record = _record(books, month, kept, [one.text for one in found], accept.strip())
    text = json.dumps(record, indent=2) + "\n"
    (kept / audit.RECORD).write_text(text, encoding="utf-8")
    for path in sorted(path for path in kept.rglob("*") if path.is_file()):
        path.chmod(0o444)
    # From here on the month is closed. A process that dies now leaves the line of the log to the next one.
    kept.rename(root.closed_month(month))
    audit.append(root, audit.events_of(text.encode()))
    books.lake.forget_closed()
    for table in books.models:
        books.build(table)
    books.publish([])
    return Closed(month, record["invoiced_cost_usd"], len(record["files"]), tuple(record["accepted_exceptions"]))


def verify(root: DataRoot) -> list[str]:
    """What is broken of the audit log and the closed months: file by file and line by line, nothing where all is whole."""
    found = audit.faults(root)
    logged = {e.get("month"): e for e in audit.entries(root) if e.get("event") == "close"}
    months = {f"{month:%Y-%m}": root.closed_month(month) for month in months_closed(root)}
    found += [
        f"closed/{month}: the log says that it was closed, and it is not there"
        for month in logged
        if month not in months
    ]
    for month, folder in months.items():
        try:
            text = (folder / audit.RECORD).read_bytes()
            record = json.loads(text)
            files = {name: str(said["sha256"]) for name, said in record["files"].items()}
        except (OSError, ValueError, KeyError, TypeError):
            found.append(f"closed/{month}/{audit.RECORD}: it is missing or cannot be read")
            continue
        if month not in logged:
            found.append(f"closed/{month}: the log has no line for its close")
        elif logged[month].get("record_sha256") != hashlib.sha256(text).hexdigest():
            found.append(f"closed/{month}/{audit.RECORD}: it is not the record that was logged")
        there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for name in sorted(files.keys() | there.keys() - {audit.RECORD}):
            if name not in there:
                found.append(f"closed/{month}/{name}: it is missing")
            elif name not in files:
                found.append(f"closed/{month}/{name}: it was not there at the close")
            elif sha256_of(there[name]) != files[name]:
                found.append(f"closed/{month}/{name}: its bytes are not those of the close")
    return found


# ---- may it be closed
def _hold_turn(books: Books, month: date) -> None:
    closed = months_closed(books.root)
    if month in closed:
        raise CloseRefused(
            f"{month:%Y-%m} is closed already. What came later is booked in the first open month: tokenbooks corrections."
        )
    first_open = first_open_month(books)
    if first_open is None:
        raise CloseRefused("There is no showback yet, so there is nothing to close. Run 'tokenbooks run' first.")
    if month > first_open:
        raise CloseRefused(f"{first_open:%Y-%m} is still open. Months are closed one after the other: close it first.")
    if month < first_open:
        first = closed[0] if closed else first_open
        raise CloseRefused(f"{month:%Y-%m} lies before {first:%Y-%m}, the first month of these books.")


def first_open_month(books: Books) -> date | None:
    """The month whose turn it is to be closed; None before there is a showback."""
    begun = [start_of("month", part.start) for part in books.lake.parts(SHOWBACK) if part.start and part.rows]
    closed = months_closed(books.root)
    return (end_of("month", closed[-1]) if closed else min(begun)) if begun else None


def _out_of_date(books: Books) -> Iterator[str]:
    if books.stale_references():
        yield "reference tables or prices have changed, or have a fault: run 'tokenbooks run' first"
    if news := books.news():
        verb = "is" if len(news) == 1 else "are"
        yield f"{things(len(news), 'file')} of landing/ {verb} not read yet ({listed(news, 3)}): run 'tokenbooks run' first"
    stale = [name for name, plan in books.outlook().items() if plan.stale or plan.gone]
    if stale:
        yield f"tables are out of date ({', '.join(stale[:3])}): run 'tokenbooks run' first"


def now_of(books: Books) -> datetime | None:
    """The books' own clock: the newest booked instant."""
    part = books.lake.part(CLOCK, None)
    found: datetime | None = pl.read_parquet(books.lake.absolute(part))["now_at"].to_list()[0] if part else None
    return found


def is_over(month: date, now: datetime | None) -> bool:
    """Whether no day of a month is still to come by the books' own clock."""
    return now is not None and now >= datetime.combine(end_of("month", month), time(), UTC)


def _not_over(books: Books, month: date) -> Iterator[str]:
    now = now_of(books)
    if not is_over(month, now):
        yield (
            f"the month is not over: the newest record of the books is of {now:%Y-%m-%dT%H:%MZ}"
            if now
            else "no record yet"
        )


def _concerns(books: Books, result: CheckResult, month: date) -> bool:
    """Whether the result of a check is about rows of a month, or about a table that has no dates."""
    model = books.models[result.table]
    if model.partition is None or result.partition == "all":
        return True
    start = date.fromisoformat(result.partition)
    return Span(month, end_of("month", month)).overlaps(start, end_of(model.partition, start))


def unreconciled(books: Books, month: date) -> list[str]:
    """Accounts whose bill is absent, incomplete, beyond tolerance or without calls; the last two are paired where there is one of each."""
    create_model_view(books.con, books.lake, books.models[RECONCILIATION], parts_of_month(books, RECONCILIATION, month))
    rows = books.con.execute(
        f"""select provider, coalesce(billing_account_id, 'unattributed'), verdict, state, unexplained_usd, token_coverage, open_items,
            oldest_open_date, traced_effective_cost_usd, unpriced_tokens
        from {RECONCILIATION} order by provider, billing_account_id, billing_currency"""
    ).fetchall()
    create_model_view(books.con, books.lake, books.models[INVOICES], parts_of_month(books, INVOICES, month))
    incomplete = {
        (provider, account): f"{provider} {account}: the bill is not all there: {missing}"
        for provider, account, missing in books.con.execute(
            f"select distinct provider, billing_account_id, missing_pull from {INVOICES} where missing_pull is not null order by all"
        ).fetchall()
    }
    found = list(incomplete.values())
    for provider, account, verdict, state, unexplained, coverage, items, oldest, effective, unpriced in rows:
        name = f"{provider} {account}"
        if verdict == "no_bill":
            # Nothing is owed for calls that cost nothing.
            if effective or unpriced:
                found.append(f"{name}: no invoice; its calls come to ${effective:,.2f}, an accrual")
        elif verdict == "fail":
            of_tokens = "" if coverage is None else f"; {coverage:.3f} of the tokens traced"
            open_items = f", {items} open items since {oldest}" if items else ""
            found.append(
                f"{name}: bill and calls differ beyond tolerance: ${unexplained or 0:,.2f} unexplained{open_items}{of_tokens}"
            )
        elif verdict == "no_rate":
            found.append(f"{name}: a rate to USD is missing in reference/fx_rates.csv, so its dollars are unknown")
        elif verdict == "no_trace":
            found.append(f"{name}: the invoice has no call behind it")
        elif state != "final" and (provider, account) not in incomplete:
            found.append(f"{name}: the invoice is not complete yet (its last lines may still be restated)")
    calls = books.planner.files(REQUESTS, Span(month, end_of("month", month)))
    create_model_view(books.con, books.lake, books.models[REQUESTS], calls)
    return found + [one.text for one in strangers(books.con, books.root) if one.kind == "pair"]


def parts_of_month(books: Books, table: str, month: date) -> list[Part]:
    """The part of a table of months that holds a month, if it is there."""
    part = books.lake.part(table, month)
    return [part] if part is not None else []


# ---- the set
def _kept_files(books: Books, month: date) -> Iterator[tuple[Part, str]]:
    """The partitions that say what a month cost and why, with their places in the set."""
    tables = [name for name, model in books.models.items() if _is_kept(model)]
    tables += [name for name in books.lake.tables() if name.startswith("ref_") and name not in books.models]
    span = Span(month, end_of("month", month))
    for table in [*tables, RESULTS]:
        grain = books.models[table].partition if table in books.models else None
        for part in books.lake.parts(table):
            if part.start is None or (grain and span.overlaps(part.start, end_of(grain, part.start))):
                yield part, Path(part.path).relative_to("lake").as_posix()


def _is_kept(model: Model) -> bool:
    if model.name in (CORRECTIONS, STATEMENTS):
        return True
    looks_back = any(table.startswith(CLOSED) for table in model.inputs)
    is_of_month = model.partition in (None, "day", "month")
    return is_of_month and not looks_back and (model.layer in ("ledger", "reference") or model.subject in _SUBJECTS)


def _write_month(books: Books, month: date, target: Path) -> None:
    rows = books.con.sql(f"select date '{month}' as month_start_date").to_arrow_table()
    books.lake.write([rows], target, "closed", "1").replace(target)


def _freeze_weeks(books: Books, month: date, folder: Path) -> None:
    """Write the showback and the page of the weeks that end in the month: all of their days are closed from now on."""
    root = books.root
    weeks = exports.create_showback_view(books.con, books.lake, closing=month)
    done = published.frozen_weeks(root)
    for week in weeks:
        if start_of("month", week + _WEEK - timedelta(days=1)) == month and week not in done:
            exports.write_week(
                books.con, books.lake, week, folder / root.showback_export(week).relative_to(root.exports)
            )
            pages = report.documents(books.con, books.lake, week, list(books.results), closing=month)
            for place, text in pages.items():
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")


def _record(books: Books, month: date, kept: Path, exceptions: list[str], because: str) -> dict[str, Any]:
    create_model_view(books.con, books.lake, books.models[SHOWBACK], parts_of_month(books, SHOWBACK, month))
    total, rows, requests = one_row(
        books.con,
        f"select coalesce(sum(invoiced_cost_usd), 0.00), count(*), coalesce(sum(requests), 0) from {SHOWBACK}",
    )
    accounts = books.con.execute(
        f"""select provider, billing_account_id, billing_currency, cast(sum(invoiced_cost_usd) as varchar),
            cast(sum(invoiced_cost_billing_currency) as varchar) from {SHOWBACK} group by all order by all"""
    ).fetchall()
    of_month = [result for result in books.results if _concerns(books, result, month)]
    book = books.lake.part(_BOOK_TABLE, None)
    tables: dict[str, int] = {}
    files: dict[str, dict[str, object]] = {}
    for path in sorted(path for path in kept.rglob("*") if path.is_file()):
        name = path.relative_to(kept).as_posix()
        files[name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    for part, place in _kept_files(books, month):
        table = place.split("/")[0]
        tables[table] = tables.get(table, 0) + part.rows
    return {
        "month": f"{month:%Y-%m}",
        "closed_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "closed_by": audit.user(),
        "tokenbooks_version": __version__,
        "book_version": book.content_hash if book else None,
        "invoiced_cost_usd": f"{total:f}",
        "showback_rows": rows,
        "requests": int(requests),
        "accounts": [
            dict(
                zip(
                    (
                        "provider",
                        "billing_account_id",
                        "billing_currency",
                        "invoiced_cost_usd",
                        "invoiced_cost_billing_currency",
                    ),
                    row,
                    strict=True,
                )
            )
            for row in accounts
        ],
        "checks_passed": sum(result.status == "passed" for result in of_month),
        "checks_not_passed": [
            {"table": r.table, "partition": r.partition, "severity": r.severity, "message": r.message}
            for r in of_month
            if r.status != "passed"
        ],
        "accepted_exceptions": exceptions,
        "accepted_because": because if exceptions else None,
        "rows": dict(sorted(tables.items())),
        "files": files,
    }
