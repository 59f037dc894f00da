"""What the pages read: the marts as they are published, loaded once for all pages of a run, and of which files a page is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import duckdb

from pipelines import published
from pipelines.engine import listed, named_rows, quoted
from pipelines.lake import Lake, Part
from pipelines.models import models
from pipelines.periods import start_of
from pipelines.relations import rows_sql
from pipelines.report.queries import Asked
from pipelines.whatif import kept as kept_answers

WEEK = timedelta(days=7)
# A sparkline's weeks before that of the page.
TREND_WEEKS = 12
SHOWBACK = "mart_showback_weekly"
CORRECTIONS = "mart_corrections_weekly"
OPPORTUNITIES = "mart_opportunities_weekly"
LEVERS_ACTED = "mart_levers_acted_weekly"
ANSWERS = "whatif_answers"
# How many weeks before its own a page reads of each table.
_WEEKS_BACK = {
    SHOWBACK: TREND_WEEKS,
    "mart_spend_drivers_weekly": TREND_WEEKS,
    "mart_feature_economics_weekly": TREND_WEEKS,
    "mart_cache_economics_weekly": TREND_WEEKS,
    "mart_model_tiers_weekly": TREND_WEEKS,
    "mart_retry_waste_weekly": TREND_WEEKS,
    "mart_vendor_exposure_weekly": TREND_WEEKS,
    "mart_user_economics_monthly": 5,
    "mart_tier_margin_monthly": 5,
    "mart_customer_margin_monthly": 5,
    "mart_spend_change_weekly": 0,
    "mart_spend_concentration_weekly": 0,
    "mart_output_ratio_drift_weekly": 0,
    "mart_agent_sessions_weekly": 0,
    "mart_runaway_sessions": 0,
    "mart_output_caps_weekly": 0,
    "mart_batch_candidates_weekly": 0,
    "mart_untagged_callers_weekly": 0,
    "mart_budgets_weekly": 0,
    "mart_reconciliation_monthly": 0,
    "mart_data_quality_daily": 0,
    "mart_cost_faults_daily": 0,
    "mart_alert_states": 0,
    "ledger_sessions": 0,
    CORRECTIONS: 0,
    OPPORTUNITIES: 0,
    LEVERS_ACTED: 0,
}
# What a page asks of a table that has a row for every session.
_COLUMNS = {"ledger_sessions": "started_at, feature, steps, effective_cost_usd"}
_FIRST_TABLE = re.compile(r"\bfrom (\w+)")
_REFERENCES = ("ref_thresholds", "ref_price_book")


def tables() -> list[str]:
    """The tables that a page is made of."""
    return sorted([*(name for name in _WEEKS_BACK if name in models()), *_REFERENCES])


def parts_of(lake: Lake, table: str, week: date, closing: date | None = None) -> list[tuple[Part, bool]]:
    """The files of a table that the page of a week reads, each with whether its month is closed."""
    first, last = _reach(table, week)
    found = (
        published.parts(lake, SHOWBACK, closing) if table == SHOWBACK else [(part, False) for part in lake.parts(table)]
    )
    return [(part, closed) for part, closed in found if part.start is None or first <= part.start <= last]


def _reach(table: str, week: date) -> tuple[date, date]:
    """The first and the last day on which a period begins that the page of a week reads of a table."""
    first = week - _WEEKS_BACK.get(table, 0) * WEEK
    if table in models() and models()[table].partition == "month":
        first = start_of("month", first)
    return first, week + WEEK - timedelta(days=1)


@dataclass(frozen=True)
class Marts:
    """The tables, and the first days of their periods that have rows; None of a table without periods."""

    con: duckdb.DuckDBPyConnection
    starts: Mapping[str, set[date | None]]

    def has_rows(self, table: str, week: date) -> bool:
        """Whether a page can find anything in a table: a question costs more than its answer where there is none."""
        if table not in self.starts:
            return True
        first, last = _reach(table, week)
        return any(start is None or first <= start <= last for start in self.starts[table])


@contextmanager
def loaded(
    con: duckdb.DuckDBPyConnection, lake: Lake, weeks: Sequence[date], closing: date | None = None
) -> Iterator[Marts]:
    """A connection of its own with the tables that the pages of some weeks read, under the names that a reader asks by."""
    with con.cursor() as own:
        own.execute("set TimeZone = 'UTC'")
        starts: dict[str, set[date | None]] = {}
        for table in tables():
            parts = list(dict.fromkeys(part for week in weeks for part in parts_of(lake, table, week, closing)))
            if table == SHOWBACK:
                published.create_published_view(own, lake, SHOWBACK, parts)
                own.execute(f"create temp table published_showback_weekly as from {SHOWBACK}")
            elif table in models():
                model = models()[table]
                starts[table] = {part.start for part, _ in parts if part.rows}
                rows = rows_sql(lake, [part for part, _ in parts], model.types, model.dated)
                columns = _COLUMNS.get(table, "*")
                own.execute(f"create temp table {table} as select {columns} from ({rows})")
            else:
                files = listed([str(lake.absolute(part)) for part, _ in parts])
                # Views: a page asks for little of the price book, which is large.
                own.execute(f"create temp view {table} as from read_parquet({files}, hive_partitioning = false)")
        kept = [one for one in kept_answers.answers(own, lake.root) if any(one.is_of(week) for week in weeks)]
        own.execute(f"create temp table {ANSWERS} as {kept_answers.rows_of(kept)}")
        yield Marts(own, starts)


@dataclass
class Ask:
    """Questions of one page. What was asked stands on the page, so that every number can be asked again.

    ``team``: the page is of this team alone; ``features`` are those that it bears most of.
    """

    marts: Marts
    week: date
    team: str | None = None
    features: Sequence[str] = ()
    asked: dict[str, list[Asked]] = field(default_factory=dict)

    def rows(self, section: str, title: str, query: str) -> list[dict[str, Any]]:
        """The rows of a question. ``$week`` is the week; ``$mine``, ``$scope`` and ``$features`` leave of a table what is a team's."""
        text = self.noted(section, title, query).query
        table = _FIRST_TABLE.search(query)
        if table is not None and not self.marts.has_rows(table[1], self.week):
            return []
        return named_rows(self.con, text)

    def noted(self, section: str, title: str, query: str) -> Asked:
        """A question whose answer is known by other means, for the figures that lead to it."""
        so_far = self.asked.setdefault(section, [])
        so_far.append(Asked(section, len(so_far) + 1, title, self.filled(query)))
        return so_far[-1]

    @property
    def con(self) -> duckdb.DuckDBPyConnection:
        return self.marts.con

    def row(self, section: str, title: str, query: str) -> dict[str, Any] | None:
        return next(iter(self.rows(section, title, query)), None)

    def asked_as(self, section: str, title: str) -> Asked:
        """What was asked under a title, for the figures that lead to it."""
        [found] = [one for one in self.asked[section] if one.title == title]
        return found

    def filled(self, query: str) -> str:
        mine = features = scope = ""
        if self.team is not None:
            mine, scope = f"and team = {quoted(self.team)}", f"and scope_value = {quoted(self.team)}"
            features = f"and feature in ({', '.join(map(quoted, self.features)) or 'null'})"
        text = query.replace("$week", f"date '{self.week}'").replace("$mine", mine).replace("$features", features)
        text = text.replace("$scope", scope)
        return "\n".join(line.rstrip() for line in text.strip().splitlines() if line.strip())

    @property
    def last_day(self) -> date:
        return self.week + WEEK - timedelta(days=1)

    @cached_property
    def limits(self) -> dict[str, float]:
        """The thresholds that hold in the week, by name; those of a scope are not among them."""
        rows = named_rows(
            self.con,
            """select name, try_cast(threshold as double) as limit_value from ref_thresholds
            where scope_kind is null and (valid_from_date is null or valid_from_date <= ?)
            qualify row_number() over (partition by name order by valid_from_date desc nulls last) = 1""",
            [self.last_day],
        )
        return {row["name"]: row["limit_value"] for row in rows if row["limit_value"] is not None}


def total(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    """The sum of what is known; None where nothing is."""
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) if known else None
