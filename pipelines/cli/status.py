"""``status``: what is read and what is fresh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.cli.arguments import AsJson, Root, books_root
from pipelines.cli.printing import print_json, print_table
from pipelines.cli.reports import broken_checks, print_alerts, print_summary
from pipelines.words import listed, things

if TYPE_CHECKING:
    from pipelines.books import Books


# Of each source: its records by fate, its newest day, the days without a record before it, and what its last file brought.
_SOURCES = """
with days as (
    select source, usage_date, lead(usage_date) over (partition by source order by usage_date) as next_date
    from (select distinct source, usage_date from ledger_record_fates where fate = 'booked')
),
holes as (
    select
        source,
        max(usage_date) as newest_day,
        coalesce(sum(next_date - usage_date - 1), 0)::bigint as days_without_records,
        coalesce(
            list({'from': usage_date + 1, 'to': next_date - 1} order by usage_date desc) filter (where next_date > usage_date + 1), []
        ) as gaps,
    from days group by source
),
booked_days as (
    select source, source_account, source_file_sha256, min(usage_date) as first_day, max(usage_date) as last_day
    from ledger_record_fates where fate = 'booked' group by all
),
newest as (
    select
        f.*, d.first_day, d.last_day,
        (select coalesce(sum(o.records), 0)::bigint from ledger_files as o where o.path = f.path and o.state = 'replaced') as replaced,
    from ledger_files as f
    left join booked_days as d
        on f.source = d.source and f.source_account = d.source_account and f.sha256 = d.source_file_sha256
    where f.state <> 'replaced'
    qualify row_number() over (partition by f.source order by f.first_seen_at desc, f.path desc) = 1
)
select
    f.source, count(*) filter (where f.state <> 'replaced') as files, sum(f.records)::bigint as records,
    sum(f.booked)::bigint as booked, sum(f.duplicate)::bigint as duplicate, sum(f.not_billable)::bigint as not_billable,
    sum(f.quarantined)::bigint as quarantined, any_value(h.newest_day) as newest_day,
    coalesce(any_value(h.days_without_records), 0) as days_without_records, coalesce(any_value(h.gaps), []) as gaps,
    any_value({
        'path': n.path, 'first_seen_at': n.first_seen_at, 'state': n.state, 'records': n.records, 'booked': n.booked,
        'quarantined': n.quarantined, 'first_day': n.first_day, 'last_day': n.last_day, 'records_of_replaced_versions': n.replaced
    }) as last_file,
from ledger_files as f
left join holes as h on f.source = h.source
left join newest as n on f.source = n.source
group by f.source
order by f.source
"""


def status(root: Root = None, as_json: AsJson = False) -> None:
    """What is read and what is fresh: sources, tables, and what is unpriced or unattributed."""
    from pipelines.books import reading_books
    from pipelines.summary import summarise

    data = books_root(root)
    with reading_books(data) as books:
        content = _status(books)
    content["summary"] = summarise(data).as_dict() if data.views.is_file() else None
    if as_json:
        print_json(content)
        return
    _print_status(content)


def _status(books: Books) -> dict[str, Any]:
    from pipelines.engine import named_rows
    from pipelines.lake import months_closed
    from pipelines.month_end import months_over
    from pipelines.relations import create_view

    sources: list[dict[str, Any]] = []
    files, fates = books.lake.parts("ledger_files"), books.lake.parts("ledger_record_fates")
    if files and fates:
        create_view(books.con, books.lake, "ledger_files", files, {})
        create_view(books.con, books.lake, "ledger_record_fates", fates, {})
        sources = named_rows(books.con, _SOURCES)
    tables = []
    for name, plan in books.outlook().items():
        built = books.lake.parts(name)
        tables.append(
            {
                "table": name,
                "partitions": len(built),
                "rows": sum(part.rows for part in built),
                "stale_partitions": len(plan.stale),
                "why": plan.stale[0].why if plan.stale else "",
            }
        )
    failed = books.results.missed
    look = books.look()
    return {
        "root": str(books.root.path),
        "sources": sources,
        "unread_files": look.news(),
        "warnings": look.strangers(),
        "remarks": books.remarks(),
        "tables": tables,
        "failed_checks": [result.__dict__ for result in failed],
        "closed_months": [f"{month:%Y-%m}" for month in months_closed(books.root)],
        "open_months_over": [f"{month:%Y-%m}" for month in months_over(books)],
    }


def _print_status(content: dict[str, Any]) -> None:
    print(f"Data root {content['root']}")
    sources = [
        {name: value for name, value in source.items() if name not in ("gaps", "last_file")}
        for source in content["sources"]
    ]
    print_table(sources, "No file has been read yet.")
    for source in content["sources"]:
        print(_sentence_of(source))
    if content["unread_files"]:
        print(
            f"{len(content['unread_files'])} files are new or changed and not read yet: {', '.join(content['unread_files'][:5])}"
        )
    for remark in (*content["warnings"], *content["remarks"]):
        print(remark)
    _print_tables(content["tables"])
    if content["closed_months"]:
        print(f"Closed       {', '.join(content['closed_months'])}")
    if months := content["open_months_over"]:
        verb = "is" if len(months) == 1 else "are"
        print(f"Month end    {listed(months)} {verb} over and not closed: see 'tokenbooks close --due'")
    for is_critical, word in ((True, "FAILED"), (False, "Warning")):
        for line in broken_checks(
            [one for one in content["failed_checks"] if (one["severity"] == "critical") is is_critical]
        ):
            print(f"{word} {line}")
    if content["summary"]:
        from pipelines.summary import Summary

        summary = Summary(**content["summary"])
        print_summary(summary)
        print_alerts(summary)


def _print_tables(tables: Sequence[dict[str, Any]]) -> None:
    """The tables that a run would build, and how many are as they should be: that needs no line each."""
    if not any(table["partitions"] for table in tables):
        print("Tables       none is built yet: see 'tokenbooks run'")
        return
    stale = [table for table in tables if table["stale_partitions"]]
    print_table(stale, "")
    fresh, rows = len(tables) - len(stale), sum(table["rows"] for table in tables)
    print(
        f"Tables       {fresh} of {len(tables)} are fresh; 'tokenbooks run' builds the others"
        if stale
        else f"Tables       all {fresh} are fresh, {things(rows, 'row')}"
    )


def _sentence_of(source: dict[str, Any]) -> str:
    """The last file of a source, what it brought, and the newest days without a record."""
    last = source["last_file"]
    days = " to ".join(dict.fromkeys(str(last[name]) for name in ("first_day", "last_day"))) if last["booked"] else ""
    text = f"{source['source']}: last file {last['path']}, {last['booked']:,} of {last['records']:,} records booked"
    text += f" ({days})" if days else ""
    if last["records_of_replaced_versions"]:
        text += f", in place of {last['records_of_replaced_versions']:,} of earlier versions"
    if source["gaps"]:
        gap = source["gaps"][0]
        where = " to ".join(dict.fromkeys((str(gap["from"]), str(gap["to"]))))
        text += f"; {source['days_without_records']} days without a record, the newest {where}"
    return text
