"""The weekly page: one self-contained HTML file a week, written from the marts, for a person with two minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from pipelines import cost_faults, published
from pipelines.checks import CheckResult
from pipelines.engine import named_rows
from pipelines.lake import Lake, Part, digest, replace_text
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.periods import start_of
from pipelines.relations import create_model_view
from pipelines.unread import UNREAD_AT_MOST, in_words, unread_keys

SHOWBACK = "mart_showback_weekly"
QUALITY = "mart_data_quality_daily"
CORRECTIONS = "mart_corrections_weekly"
# Tables of a partition a week, of which a page reads its own.
WEEKLY = ("mart_spend_concentration_weekly", "mart_spend_drivers_weekly", "mart_output_ratio_drift_weekly")
ALERTS = "mart_alert_states"
WEEK = timedelta(days=7)
TO_DO_AT_MOST = 3
DRIVERS_AT_MOST = 20
# What a line of the owners' table adds up from.
_COMPONENTS = ("direct_cost_usd", "allocated_untraced_usd", "credit_usd", "tax_fee_usd")
_MARK = "<!-- made from "

_OWNERS = """
select team, feature, sum(direct_cost_usd) as direct_cost_usd, sum(allocated_untraced_usd) as allocated_untraced_usd,
    sum(discount_usd + credit_usd) as credit_usd, sum(tax_fee_usd) as tax_fee_usd, sum(invoiced_cost_usd) as invoiced_cost_usd,
    sum(requests) as requests, count(*) - count(invoiced_cost_usd) as unknown_rows
from mart_showback_weekly where week_start_date = ? group by team, feature
"""
_TOTAL = """
select sum(invoiced_cost_usd) as invoiced_cost_usd, sum(requests) as requests,
    sum(invoiced_cost_usd) filter (where state = 'provisional') as provisional_cost_usd,
    sum(direct_cost_usd + allocated_untraced_usd) as usage_cost_usd,
    sum(direct_cost_usd) filter (where feature <> 'unattributed') as attributed_cost_usd,
    sum(allocated_untraced_usd) filter (where allocation_basis = 'invoice') as allocated_untraced_usd,
    sum(unpriced_requests) as unpriced_requests, sum(unpriced_tokens) as unpriced_tokens,
    sum(input_total_tokens + output_total_tokens) as total_tokens,
    count(*) filter (where state = 'provisional') as provisional_rows,
    count(*) filter (where state <> 'closed') as open_rows
from mart_showback_weekly where week_start_date = ?
"""
_CONCENTRATION = """
select * from mart_spend_concentration_weekly
where week_start_date = ? and cut = 'request_type' order by time_window desc limit 1
"""
# Summed up over the class alone: one that is an A still may stand behind a dearer B.
_DRIVERS = """
select driver, requests, effective_cost_usd, share,
    cast(sum(effective_cost_usd) over (order by rank) as double) / cast(cost_of_all as double) as share_so_far
from (
    select *, sum(effective_cost_usd) over () as cost_of_all from mart_spend_drivers_weekly
    where week_start_date = ? and cut = 'request_type' and time_window = ?
) as ranked
where abc_class = 'A' order by rank
"""
_DRIFT = (
    "select * from mart_output_ratio_drift_weekly where week_start_date = ? order by verdict = 'insufficient', feature"
)
# What was beyond its limit in a period that ended with the week or in it; of several days of one thing the newest.
_TO_DO = """
select severity, is_possible, owner, cost_impact_usd, sentence, remedy, evidence_query
from mart_alert_states
where state = 'breach' and period_end_date > ? and period_end_date <= ?
qualify row_number() over (partition by rule, entity_type, entity_id, dimension order by period_end_date desc) = 1
order by cost_impact_usd desc nulls last, case severity when 'critical' then 0 when 'warning' then 1 else 2 end, rule, entity_id, dimension
"""
_QUALITY = """
select source, sum(records)::bigint as records, sum(booked)::bigint as booked, sum(duplicate)::bigint as duplicate,
    sum(not_billable)::bigint as not_billable, sum(quarantined)::bigint as quarantined,
    sum(unpriced_tokens)::bigint as unpriced_tokens, sum(total_tokens)::bigint as total_tokens,
    sum(list_cost_usd) as list_cost_usd, sum(assumed_list_cost_usd) as assumed_list_cost_usd,
    sum(unread_tokens)::bigint as unread_tokens
from mart_data_quality_daily where usage_date >= ? and usage_date < ? group by source order by source
"""

_CORRECTIONS = """
select billing_month, team, feature, reason, caused_by, sum(delta_usd) as delta_usd
from mart_corrections_weekly where booked_week_start_date = ? group by all order by all
"""


def publish(
    con: duckdb.DuckDBPyConnection, root: DataRoot, lake: Lake, results: Sequence[CheckResult], *, weeks: Sequence[date]
) -> list[str]:
    """Write the pages whose figures have changed and remove those of weeks that are no more; paths below the data root.

    ``weeks`` are the weeks that have a showback.
    """
    written = []
    frozen = published.frozen_weeks(root)
    by_partition = _by_partition(results)
    for week in weeks:
        path, own = root.report(week), _of_week(by_partition, week)
        # A week whose months are all closed keeps its page (published.restore).
        if week not in frozen and not _begins_with(path, _mark(lake, week, own)):
            text = _page(con, lake, week, own)
            # A month may have changed in another of its weeks.
            is_new = (
                not path.is_file() or path.read_text(encoding="utf-8").partition("\n")[2] != text.partition("\n")[2]
            )
            replace_text(path, text)
            written += [root.relative(path)] * is_new
    for path in sorted(root.report(date.min).parent.glob("*.html")):
        if path.stem not in {week.isoformat() for week in weeks}:
            path.unlink()
            written.append(f"{root.relative(path)} (removed)")
    return written


def page(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    week: date,
    results: Sequence[CheckResult],
    closing: date | None = None,
) -> str:
    """The page of a week. ``closing``: a month that is just being closed."""
    return _page(con, lake, week, _of_week(_by_partition(results), week), closing)


def _page(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    week: date,
    own: Sequence[CheckResult],
    closing: date | None = None,
) -> str:
    return f"{_mark(lake, week, own)}\n{render(figures(con, lake, week, own, closing))}"


def figures(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    week: date,
    results: Sequence[CheckResult],
    closing: date | None = None,
) -> dict[str, Any]:
    """What a page says, in plain values: money as Decimal, shares 0 to 1, None where it is not known."""
    published.create_published_view(con, lake, SHOWBACK, _showback_parts(lake, week, closing))
    for table in (QUALITY, cost_faults.TABLE, CORRECTIONS, ALERTS, *WEEKLY):
        create_model_view(con, lake, models()[table], _parts_of(lake, table, week))
    [total], [before] = named_rows(con, _TOTAL, [week]), named_rows(con, _TOTAL, [week - WEEK])
    owners = named_rows(con, _OWNERS, [week])
    earlier = {
        (row["team"], row["feature"]): row["invoiced_cost_usd"] for row in named_rows(con, _OWNERS, [week - WEEK])
    }
    for row in owners:
        row["change_usd"] = _less(row["invoiced_cost_usd"], earlier.get((row["team"], row["feature"])))
    drivers = []
    concentration = next(iter(named_rows(con, _CONCENTRATION, [week])), None)
    if concentration:
        drivers = named_rows(con, _DRIVERS, [week, concentration["time_window"]])
    to_do = named_rows(con, _TO_DO, [week, week + WEEK])
    failed = [result for result in results if result.status != "passed"]
    corrections = named_rows(con, _CORRECTIONS, [week])
    quality = named_rows(con, _QUALITY, [week, week + WEEK])
    listed, assumed = (sum((row[name] or 0) for row in quality) for name in ("list_cost_usd", "assumed_list_cost_usd"))
    unread = unread_keys(con, "usage_date >= ? and usage_date < ? and unread_keys is not null", [week, week + WEEK])
    return {
        "week": week,
        "last_day": week + WEEK - timedelta(days=1),
        "total": total,
        "before": before if before["invoiced_cost_usd"] is not None else None,
        "change_usd": _less(total["invoiced_cost_usd"], before["invoiced_cost_usd"]),
        "to_do": to_do[:TO_DO_AT_MOST],
        "to_do_left": len(to_do[TO_DO_AT_MOST:]),
        "teams": _teams(owners),
        "all_teams": _summed(owners),
        "concentration": concentration,
        "drivers": drivers[:DRIVERS_AT_MOST],
        "drivers_left": drivers[DRIVERS_AT_MOST:],
        "drift": named_rows(con, _DRIFT, [week]),
        "quality": quality,
        "assumed_share": assumed / listed if listed else None,
        "unread_tokens": sum(row["unread_tokens"] or 0 for row in quality),
        "unread": [{**row, "words": in_words(row)} for row in unread[:UNREAD_AT_MOST]],
        "unread_left": len(unread[UNREAD_AT_MOST:]),
        "cost_faults": cost_faults.largest(con, "usage_date >= ? and usage_date < ?", [week, week + WEEK]),
        "failed": failed,
        "corrections": corrections,
        "corrected_usd": _sum(row["delta_usd"] for row in corrections),
    }


@cache
def source_text() -> str:
    """What decides how a page looks: it is written again where that changes."""
    written = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".py", ".j2"))
    return "".join(path.read_text(encoding="utf-8") for path in written)


def render(content: Mapping[str, Any]) -> str:
    """The page as HTML: no script, nothing from anywhere else."""
    return str(_template().render(content))


@cache
def _template() -> Any:
    """The template, compiled once for all pages of a run."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"usd": usd, "cents": cents, "change": change, "share": share, "count": count}
    return environment.get_template("week.html.j2")


def usd(amount: Decimal | None) -> str:
    """An amount as on the page: cents only below $10,000."""
    if amount is None or abs(amount) < 10_000:
        return cents(amount)
    return f"{'-' * (amount < 0)}${abs(amount):,.0f}"


def cents(amount: Decimal | None) -> str:
    """An amount to the cent, for lines that add up."""
    if amount is None:
        return "unknown"
    rounded = round(amount, 2)
    return f"{'-' * (rounded < 0)}${abs(rounded):,.2f}"


def change(amount: Decimal | None) -> str:
    return "new" if amount is None else "+" * (amount >= 0) + usd(amount)


def share(part: float | Decimal | None) -> str:
    """A share without decimals unless it is under 10 %, or would seem to be nothing or all without them."""
    if part is None:
        return "unknown"
    least = 1 if abs(float(part)) < 0.1 else 0
    for digits in range(least, 12):
        text = f"{part:.{digits}%}"
        if part in (0, 1, -1) or abs(float(text[:-1])) not in (0, 100):
            break
    return text.replace("%", " %")


def count(number: int | None) -> str:
    """A number of things; millions as 12.4 M."""
    if number is None:
        return "unknown"
    return f"{number:,}" if abs(number) < 1_000_000 else f"{number / 1_000_000:,.1f} M"


def _teams(owners: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Owners by team, the dearest first, what nobody owns last."""
    teams: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(owners, key=lambda row: (-(row["invoiced_cost_usd"] or 0), row["feature"])):
        teams.setdefault(row["team"], []).append(row | {"rounding_usd": _rounding(row)})
    found = [{"team": team, "features": rows, **_summed(rows)} for team, rows in teams.items()]
    return sorted(found, key=lambda row: (row["team"] == "unattributed", -row["invoiced_cost_usd"], row["team"]))


def _summed(owners: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Owners as one line."""
    columns = (*_COMPONENTS, "invoiced_cost_usd", "requests", "unknown_rows")
    line: dict[str, Any] = {name: sum((row[name] or 0) for row in owners) for name in columns}
    return line | {"rounding_usd": _rounding(line)}


def _rounding(line: Mapping[str, Any]) -> Decimal | None:
    """What a line needs so that its cents as printed add up: the rounding of the books and that of the page."""
    if line["unknown_rows"]:
        return None
    return Decimal(line["invoiced_cost_usd"]) - sum(round(Decimal(line[name] or 0), 2) for name in _COMPONENTS)


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    known = list(amounts)
    return None if None in known else sum((amount for amount in known if amount is not None), Decimal(0))


def _less(now: Decimal | None, before: Decimal | None) -> Decimal | None:
    return None if now is None or before is None else now - before


def _showback_parts(lake: Lake, week: date, closing: date | None = None) -> list[tuple[Part, bool]]:
    """The months of the showback that a page of a week reads, as they are published."""
    first, last = week - WEEK, week + WEEK - timedelta(days=1)
    return [
        (part, closed)
        for part, closed in published.parts(lake, SHOWBACK, closing)
        if part.start is not None and start_of("month", first) <= part.start <= last
    ]


def _parts_of(lake: Lake, table: str, week: date) -> list[Part]:
    """The files of a table that a page of a week reads: the week's own, its days' and those of the week before, or the only one."""
    first, last = week - WEEK, week + WEEK - timedelta(days=1)
    wanted = {week} if table in WEEKLY else None
    if table == ALERTS:
        wanted = {start_of("month", week), start_of("month", last)}
    return [
        part
        for part in lake.parts(table)
        if part.start is None or (part.start in wanted if wanted is not None else first <= part.start <= last)
    ]


def _by_partition(results: Sequence[CheckResult]) -> dict[str, list[tuple[int, CheckResult]]]:
    """Results by partition, each with its place among all: of a year of days there are tens of thousands."""
    found: dict[str, list[tuple[int, CheckResult]]] = {}
    for place, result in enumerate(results):
        found.setdefault(result.partition, []).append((place, result))
    return found


def _of_week(by_partition: Mapping[str, Sequence[tuple[int, CheckResult]]], week: date) -> list[CheckResult]:
    """The results of what holds rows of a week: a day of it, the week, its months, or all there is."""
    days = [week + timedelta(days=number) for number in range(7)]
    labels = {"all", *map(str, days), *(str(start_of("month", day)) for day in days)}
    found = [entry for label in labels for entry in by_partition.get(label, ())]
    return [result for _, result in sorted(found, key=lambda entry: entry[0])]


def _mark(lake: Lake, week: date, results: Sequence[CheckResult]) -> str:
    """The first line of a page: what it was made from."""
    return f"{_MARK}{_made_from(lake, week, results)} -->"


def _made_from(lake: Lake, week: date, results: Sequence[CheckResult]) -> str:
    lines = [f"{part.content_hash} {closed}" for part, closed in _showback_parts(lake, week)]
    lines += [
        part.content_hash
        for table in (QUALITY, cost_faults.TABLE, ALERTS, *WEEKLY)
        for part in _parts_of(lake, table, week)
    ]
    lines += [part.content_hash for part in lake.parts(CORRECTIONS) if part.rows]
    lines += sorted(f"{r.table}|{r.partition}|{r.check}" for r in results if r.status != "passed")
    return digest([*lines, source_text()])


def _begins_with(path: Path, mark: str) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().strip() == mark
    except OSError:
        return False
