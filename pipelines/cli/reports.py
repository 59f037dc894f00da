"""What a run and ``status`` say of the books: the figures, the checks that did not pass, the corrections."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from pipelines.cli.printing import exact, money, percent
from pipelines.paths import DataRoot
from pipelines.words import listed, things, whose


def print_report(data: DataRoot, report: dict[str, Any]) -> None:
    from pipelines.summary import Summary

    for warning in report["warnings"]:
        print(warning)
    for problem in report["problems"]:
        print(
            f"{problem}{'.' * (not problem.endswith('.'))} The table keeps what it last held. Mend the file, then run again."
        )
    files = report["files_read"]
    print(
        f"Read {files} new or changed file{'s' * (files != 1)}, rebuilt {report['partitions']} partitions of {report['tables']} tables."
        if files or report["partitions"]
        else "Nothing new: every table is up to date."
    )
    summary = Summary(**report["summary"]) if report["summary"] else None
    if summary:
        print_summary(summary)
    if report["checks"]:
        warned, failed = len(report["warned"]), len(report["failed"])
        print(
            f"Checks       {report['checks'] - warned - failed:,} passed, {things(warned, 'warning')}, {failed} failed"
        )
    for line in broken_checks(report["warned"]):
        print(f"Warning {line}")
    for result in report["failed"]:
        print(
            f"FAILED {result['table']} ({result['partition']}): {result['text']}"
            + (
                f": {things(result['violations'], 'row')} break{'s' * (result['violations'] == 1)} it"
                if result["violations"]
                else f": {result['message']}"
            )
        )
    if summary:
        print_alerts(summary)
        _print_opportunity(summary.opportunity)
    if report["is_blocked"]:
        print(f"Nothing was published (exit code 3; the exports are those of the last good run): {report['cause']}.")
    elif report["published"]:
        print(f"Published {len(report['published'])} files below {data.exports}.")


def next_step(data: DataRoot, report: dict[str, Any]) -> str:
    """The one thing to do next: what blocks publishing first, then what lacks, then what there is to read."""
    if report["is_blocked"]:
        return f"{report['cause']}."
    summary = report["summary"]
    if not summary or (not summary["requests"] and summary["invoiced_cost_usd"] is None):
        if summary and summary["refused_records"]:
            return "'tokenbooks quarantine list' says what was refused and why: mend it, then run again."
        return f"put exports into {data.landing}/<source>/, then run again. docs/your_data.md says how to get them."
    if summary["to_add"]:
        files = listed(list(dict.fromkeys(row["table"] for row in summary["to_add"])))
        return f"fill in what stands in <>, append the rows above to {files} of {data.reference}/, then run again."
    if summary["refused_records"]:
        return "'tokenbooks quarantine list' says what was refused and why."
    if pages := sorted(data.report(date.min).parent.glob("????-??-??.html")):
        return f"read {pages[-1]}."
    return "'tokenbooks sql' asks the books."


def print_summary(summary: Any) -> None:
    if summary.refused_records:
        print(
            f"Refused      {things(summary.refused_records, 'record')} of {things(summary.refused_files, 'file')}: "
            "see 'tokenbooks quarantine list'"
        )
    if not summary.requests and summary.invoiced_cost_usd is None:
        print("No calls and no bills yet: put files into landing/<source>/.")
        return
    if summary.requests:
        print(f"Calls        {summary.requests:,} from {summary.first_date} to {summary.last_date} (UTC)")
    print(f"Spend        {money(summary.effective_cost_usd)} by price book (list {money(summary.list_cost_usd)})")
    print(
        f"Invoiced     {money(summary.invoiced_cost_usd)}, and {money(summary.accrued_cost_usd)} accrued where no bill is in"
    )
    if summary.corrections:
        print(
            f"Corrections  {corrections_in_words(summary.corrections, summary.corrected_usd, summary.unknown_corrections)}: "
            "see 'tokenbooks corrections'"
        )
    print(
        f"Priced       {percent(summary.priced_share)} of tokens ({things(summary.unpriced_requests, 'call')} without a price, "
        f"{summary.no_usage_requests:,} of them because their provider sent no usage)"
    )
    if summary.assumed_share is not None:
        print(
            f"Assumed      {percent(summary.assumed_share)} of list spend stands on an assumed price or on doubtful counts"
        )
    _print_unread(summary)
    print(
        f"Attributed   {percent(summary.attributed_share)} of the invoiced usage is tied to a feature by a traced call"
    )
    print(
        "Untraced     unknown: no invoice yet"
        if summary.untraced_usd is None
        else f"Untraced     {money(summary.untraced_usd)} of the invoices has no call behind it"
    )
    if summary.unmet:
        print("Bills and calls that do not meet, and bills that are not all there:")
        for row in summary.unmet:
            print(f"  {row['text']}")
    if summary.drivers:
        print(f"Drivers      {summary.drivers}")
    if summary.drift:
        from pipelines.report.wording import words as in_words

        verdicts = Counter(row["verdict"] for row in summary.drift)
        words = ", ".join(f"{number} {in_words(verdict)}" for verdict, number in sorted(verdicts.items()))
        print(f"Answers      week of {summary.drift[0]['week_start_date']}: {words}")
        for row in summary.drift:
            if row["verdict"] in ("drift", "one_user", "mix_shift"):
                print(f"  {in_words(row['verdict']):<10} {row['feature']}: {row['sentence']}")
    if summary.cost_faults:
        print("Stated costs that are not ours, the dearest first (mart_cost_faults_daily):")
        for row in summary.cost_faults:
            ours = "no price here" if row["ours_usd"] is None else f"{exact(row['ours_usd'])} by price book"
            print(
                f"  {row['source']}, {row['provider']} {row['model']}: {things(row['requests'], 'call')}, "
                f"{exact(row['stated_usd'])} stated, {ours}: {row['words']}; {row['remedy']}"
            )
    _print_to_add(summary.to_add)


def _print_to_add(rows: Sequence[dict[str, Any]]) -> None:
    """Rows to paste, below what they mend: those of one model or caller stand together."""
    if not rows:
        return
    print("To add to reference/, the dearest first; what stands in <> is yours to fill in:")
    before = None
    for row in rows:
        about = "about " * (row["is_estimate"] and row["cost_usd"] is not None)
        what = f"  {row['table']}: {row['why']}, {about}{money(row['cost_usd'])}"
        if what != before:
            print(what)
        print(f"    {row['row']}")
        before = what


def print_alerts(summary: Any) -> None:
    """The open alerts that the most dollars hang on, each with who owns it and what to do."""
    if not summary.open_alerts:
        return
    more = summary.open_alerts - len(summary.alerts)
    print(
        f"Alerts       {summary.open_alerts} open"
        + (f", the dearest {len(summary.alerts)} (all of them: mart_alerts):" if more else ", the dearest first:")
    )
    for row in summary.alerts:
        possible = "possible, " if row["is_possible"] else ""
        about = f"{money(row['dollars_at_stake_usd'])}, {possible}{row['severity']}, {whose(row['owner'])}"
        about += f", known since {row['last_opened_date']}"
        print(f"  {about}: {row['sentence']}\n    {row['remedy']}")


def _print_opportunity(row: dict[str, Any] | None) -> None:
    """What would save most: how much, whose it is, and where to look at it."""
    if row is None:
        return
    print(
        f"Opportunity  {row['feature']}, {whose(row['owner'])}: {row['sentence']}\n"
        f"    {row['must_be_true']} To look at it alone: {_looks_at(row)}"
    )


def _looks_at(row: dict[str, Any]) -> str:
    """The command that replays a lever where there is a scenario of it, else that which asks what it rests on."""
    # A setting is a list of words, so that a name of several cannot be set.
    if row["is_scenario"] and len(row["feature"].split()) == 1:
        return f"tokenbooks whatif {row['lever']} --set {shlex.quote('feature=' + row['feature'])}"
    return f"tokenbooks sql {shlex.quote(row['evidence_query'])}"


def _print_unread(summary: Any) -> None:
    from pipelines.unread import UNREAD_AT_MOST, in_words

    if not summary.unread:
        return
    print(
        f"Unread       {things(summary.unread_tokens, 'token')} of usage objects are in no class, the dearest keys first:"
    )
    for row in summary.unread[:UNREAD_AT_MOST]:
        print(
            f"  {row['source']}: {in_words(row)}: {things(row['requests'], 'call')}, {things(row['unread_tokens'], 'token')}, "
            f"about {money(row['stake_usd'])}; {row['remedy']}"
        )
    if len(summary.unread) > UNREAD_AT_MOST:
        print(f"  {len(summary.unread) - UNREAD_AT_MOST:,} more: unread_keys of mart_data_quality_daily")


def corrections_in_words(number: int, usd: Decimal | None, unknown: int) -> str:
    """Corrections of closed months in words; dollars that are not known are said, not counted as 0."""
    known = "" if usd is None else f", {'-' if usd < 0 else '+'}${abs(usd):,.2f}"
    return f"{things(number, 'correction')} of closed months{known}" + f", {unknown:,} of unknown dollars" * bool(
        unknown
    )


def broken_checks(results: Sequence[dict[str, Any]]) -> list[str]:
    """Checks that did not pass, a line each with the partitions; the text of a check says what should be so."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        found.setdefault((result["table"], result["check"]), []).append(result)
    lines = []
    for (table, _), broken in found.items():
        labels = [result["partition"] for result in broken]
        where = ", ".join(labels[:3]) + f" and {len(labels) - 3:,} more" * (len(labels) > 3)
        rows = sum(result["violations"] or 0 for result in broken)
        said = f"{things(rows, 'row')} for which it is not so that {broken[0]['text']}"
        lines.append(f"{table}, {where}: {said if rows else broken[0]['message']}")
    return lines
