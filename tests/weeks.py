"""Calls of some weeks through the real SQL files: cells, statistics and marts, each made once, in order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl

from pipelines import reference
from pipelines.checks import count_violations
from pipelines.contract import TOKEN_CLASSES
from pipelines.engine import named_rows
from pipelines.lake import Lake
from pipelines.models import models
from pipelines.paths import DataRoot
from tests.connections import fresh
from tests.prices.pricing import shipped_book
from tests.tables import create, empty, types_of

# Prices of a million tokens in the tests: uncached input, cache reads, cache writes, output.
INPUT_USD, CACHE_READ_USD, CACHE_WRITE_USD, OUTPUT_USD = "2.50", "0.25", "3.125", "10.00"
_USD = {"input": INPUT_USD, "cache_read": CACHE_READ_USD, "cache_write": CACHE_WRITE_USD, "output": OUTPUT_USD}
# What a call's totals have on top of the classes that it names is uncached text and text.
_REST = {"input_uncached": "input_total_tokens", "output_text": "output_total_tokens"}
_DEFAULTS = {
    **dict.fromkeys(("feature", "team", "cost_centre", "customer_tier", "environment"), "'unattributed'"),
    "feature": "'chat'",
    "source": "'app_log'",
    "source_account": "'default'",
    "row_kind": "'llm_call'",
    "is_billable_leaf": "true",
    "provider": "'openai'",
    "model_canonical": "'gpt-4o'",
    "status": "'ok'",
    "input_total_tokens": "1000",
    "output_total_tokens": "100",
    "is_priced": "true",
}
# Of a call, what its cost is: priced by the prices above unless it says otherwise.
_COSTS = {"is_priced": "boolean", "cost_usd": "decimal(38, 15)"}
# Made from the rows that a test gives, or empty; every other table is made by its own SQL file when it is first asked for.
_GIVEN = ("ledger_requests", "ledger_costs")


class Weeks:
    """The tables of statistics and marts over calls; each is made when it is first asked for."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, given: Iterable[str]) -> None:
        self.con = con
        self._lake = lake
        self._made: set[str] = set(given)

    def rows(self, table: str, **equal: Any) -> list[dict[str, Any]]:
        """The rows of a table, in its order, where columns equal some values."""
        self.make(table)
        where = " and ".join(f"{name} = ?" for name in equal) or "true"
        order = ", ".join(models()[table].sort_columns)
        query = f"select * from {table} where {where} order by {order}"
        return named_rows(self.con, query, list(equal.values()))

    def row(self, table: str, **equal: Any) -> dict[str, Any]:
        """The only row."""
        [row] = self.rows(table, **equal)
        return row

    def make(self, table: str) -> None:
        """The table by its SQL file, its inputs before it. A table of the ledger that a test does not give is made as well."""
        if table in self._made:
            return
        if table not in models():
            self._made.add(table)
            part = self._lake.part(table, None)
            self.con.execute(
                f"create table {table} as from '{self._lake.absolute(part)}'" if part else empty(table, types_of(table))
            )
            return
        model = models()[table]
        for name in sorted(model.inputs - {table}):
            self.make(name)
        self._made.add(table)
        if table not in model.inputs:
            self.con.execute(f"create table {table} as {model.query}")
            return
        # A table that reads itself is built period by period, as a run builds it.
        self.con.execute(f"create table {table} ({', '.join(f'{n} {t}' for n, t in model.types.items())})")
        days = "week_start_date from stat_usage_cells_weekly"
        if model.partition != "week":
            days = f"cast(date_trunc('{model.partition}', usage_date) as date) as start_date from stat_cost_cells_daily"
        for (start,) in self.con.execute(f"select distinct {days} order by all").fetchall():
            period = f"date_trunc('{model.partition}', {model.partition_column}) = ?"
            self.con.execute(f"insert into {table} from ({model.query}) where {period}", [start])

    def broken(self, table: str) -> list[str]:
        """The checks of a table's header that its rows break."""
        self.make(table)
        # As a run counts them, but of all periods at once.
        model = replace(models()[table], partition=None, partition_column=None)
        [counted] = count_violations(self.con, model, ["all"], None).to_dicts()
        return [check.text for check in model.checks if counted[check.id] != 0]


Calls = Sequence[Mapping[str, Any]] | pl.DataFrame


@contextmanager
def books_of_weeks(
    root: DataRoot,
    calls: Calls,
    *,
    now: datetime | None = None,
    zone: str = "UTC",
    thresholds: str = "",
    threads: int = 2,
    by_the_book: bool = False,
    begun: DataRoot | None = None,
    **tables: Sequence[Mapping[str, Any]],
) -> Iterator[Weeks]:
    """Rows with any columns of ledger_requests and of ``_COSTS``; ``now`` is after all weeks unless given.

    ``begun``: a root whose reference tables have been read already and are as these would be, but for ``thresholds``.
    ``by_the_book``: costs are those that ledger_costs works out of the shipped prices, not of the few prices above.
    ``tables``: rows of other tables, such as ``ref_features`` or ``ledger_tasks``. A table of the ledger that is not given is
    made by its SQL file; a staged or reference table that is not given is empty but for what we ship.
    """
    if begun is not None:
        shutil.copytree(
            begun.lake, root.lake, copy_function=os.link, ignore=shutil.ignore_patterns(".lock", ".scratch")
        )
    if thresholds:
        root.reference.mkdir(parents=True)
        (root.reference / "thresholds.csv").write_text(thresholds, encoding="utf-8")
    with fresh(root.scratch, threads) as con:
        lake = Lake(root)
        assert reference.refresh(con, root, lake) == []
        con.execute("create table ref_reporting as select ? as reporting_time_zone", [zone])
        now = now or datetime(2099, 1, 1, tzinfo=UTC)
        con.execute("create table ledger_clock as select 'books' as clock, ?::timestamptz as now_at", [now])
        _create_ledger(con, calls)
        given = {*_GIVEN, "ledger_clock", reference.REPORTING, *tables}
        if by_the_book:
            con.execute("drop view ledger_costs")
            con.register("ref_price_book", shipped_book().tables["ref_price_book"].to_arrow())
            given = given - {"ledger_costs"} | {"ref_price_book"}
        for name, rows in tables.items():
            create(con, name, types_of(name), rows)
        yield Weeks(con, lake, given)


def _create_ledger(con: duckdb.DuckDBPyConnection, calls: Calls) -> None:
    """The calls as a table of what they tell, and both ledger tables as views of it: what is not told costs nothing."""
    frame = calls if isinstance(calls, pl.DataFrame) else pl.DataFrame(list(calls), infer_schema_length=None)
    if not frame.width:
        frame = pl.DataFrame(schema={"started_at": pl.Datetime("us", "UTC")})
    types = {**models()["ledger_requests"].types, **_COSTS}
    assert not set(frame.columns) - set(types), set(frame.columns) - set(types)
    con.register("given", frame.to_arrow())
    told = {name: f"cast({name} as {types[name]})" for name in frame.columns}
    told |= {name: f"coalesce({told.get(name, 'null')}, {default})" for name, default in _DEFAULTS.items()}
    told.setdefault("request_key", "cast(row_number() over () as varchar)")
    con.execute(f"create table calls as select {_listed(told)} from given")
    con.unregister("given")

    classes = {one.name: one.tokens if one.tokens in told else "null" for one in TOKEN_CLASSES}
    for name, total in _REST.items():
        side = "output" if name.startswith("output") else "input"
        others = [
            known
            for other, known in classes.items()
            if other.startswith("output") == (side == "output") and other != name
        ]
        if classes[name] == "null":
            classes[name] = " - ".join([total, *(f"coalesce({known}, 0)" for known in others if known != "null")])
    made = {one.tokens: classes[one.name] for one in TOKEN_CLASSES}
    for kind in ("cache_read", "cache_write"):
        known = [classes[one.name] for one in TOKEN_CLASSES if one.type == kind and classes[one.name] != "null"]
        total = " + ".join(f"coalesce({one}, 0)" for one in known)
        made[f"{kind}_total_tokens"] = (
            f"case when coalesce({', '.join(known)}) is not null then {total} end" if known else "null"
        )
    made["total_tokens"] = "coalesce(input_total_tokens, 0) + coalesce(output_total_tokens, 0)"
    requests = models()["ledger_requests"].types
    columns = {name: _told_or_made(name, told, made, type_) for name, type_ in requests.items()}
    con.execute(f"create view ledger_requests as select {_listed(columns)} from calls")

    prices = {
        one.name: f"cast(coalesce({classes[one.name]}, 0) * {_USD[one.type]} * 0.000001 as decimal(38, 15))"
        for one in TOKEN_CLASSES
    }
    stated = "cost_usd" if "cost_usd" in told else "null"
    split = {name: f"case when is_priced and {stated} is null then {price} end" for name, price in prices.items()}
    whole = f"case when {stated} is not null then {stated} when is_priced then {' + '.join(prices.values())} end"
    costs = {
        "request_key": "request_key",
        "started_at": "started_at",
        "cost_reason": f"case when {stated} is not null then 'provider_stated' end",
        "cost_status": f"case when is_priced or {stated} is not null then 'priced' else 'unknown_model' end",
        **dict.fromkeys(("list_cost_usd", "contracted_cost_usd", "effective_cost_usd"), whole),
        **{f"{name}_{kind}cost_usd": price for name, price in split.items() for kind in ("", "list_")},
    }
    columns = {
        name: f"cast({costs.get(name, 'null')} as {type_})" for name, type_ in models()["ledger_costs"].types.items()
    }
    con.execute(f"create view ledger_costs as select {_listed(columns)} from calls where is_billable_leaf")


def _told_or_made(name: str, told: Mapping[str, str], made: Mapping[str, str], type_: str) -> str:
    return name if name in told else f"cast({made.get(name, 'null')} as {type_})"


def _listed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} as {name}" for name, sql in columns.items())
