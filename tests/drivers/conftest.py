"""Calls of some weeks through the real SQL files: cells, statistics and marts, each made once, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines import reference
from pipelines.engine import connect, named_rows
from pipelines.lake import Lake
from pipelines.models import Model, models
from pipelines.paths import DataRoot
from pipelines.settings import Settings

# Prices of a million tokens in the tests: input, output.
INPUT_USD, OUTPUT_USD = "2.50", "10.00"
_TYPES = {
    "request_key": "bigint",
    "started_at": "timestamptz",
    "feature": "varchar",
    "workflow": "varchar",
    "step": "varchar",
    "prompt_name": "varchar",
    "provider": "varchar",
    "model_canonical": "varchar",
    "user_id": "varchar",
    "customer_id": "varchar",
    "session_id": "varchar",
    "status": "varchar",
    "input_total_tokens": "bigint",
    "output_total_tokens": "bigint",
    "is_priced": "boolean",
    "cost_usd": "decimal(38, 15)",
}
_DEFAULTS = {
    "feature": "'chat'",
    "provider": "'openai'",
    "model_canonical": "'gpt-4o'",
    "status": "'ok'",
    "input_total_tokens": "1000",
    "output_total_tokens": "100",
    "is_priced": "true",
}


class Weeks:
    """The tables of statistics and marts over calls; each is made when it is first asked for."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        self._made: set[str] = set()

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
        if table in self._made or not table.startswith(("stat_", "mart_")):
            return
        model = models()[table]
        for name in sorted(model.inputs - {table}):
            self.make(name)
        self._made.add(table)
        if table not in model.inputs:
            self.con.execute(f"create table {table} as {model.query}")
            return
        # A table that reads itself is built week by week, as a run builds it.
        self.con.execute(f"create table {table} ({', '.join(f'{n} {t}' for n, t in model.types.items())})")
        weeks = self.con.execute("select distinct week_start_date from stat_usage_cells_weekly order by all").fetchall()
        for (week,) in weeks:
            self.con.execute(f"insert into {table} from ({model.query}) where week_start_date = ?", [week])

    def broken(self, table: str) -> list[str]:
        """The checks of a table's header that its rows break."""
        self.make(table)
        return [check.text for check in models()[table].checks if self._violations(models()[table], check)]

    def _violations(self, model: Model, check: Any) -> int:
        if check.kind == "unique":
            query = f"select count(*) from (select 1 from {model.name} group by {', '.join(check.columns)} having count(*) > 1)"
        elif check.query:
            query = f"select count(*) from ({check.query})"
        else:
            query = f"select count(*) from {model.name} where ({check.condition}) is not true"
        return int(self.con.execute(query).fetchall()[0][0])


Calls = Sequence[Mapping[str, Any]] | pl.DataFrame


@pytest.fixture
def weeks_of(tmp_path: Path) -> Iterator[Callable[..., Weeks]]:
    """``weeks_of(calls)``: rows with the columns of ``_TYPES``, any of them; ``now`` is after all weeks unless given."""
    with ExitStack() as stack:
        number = 0

        def make(
            calls: Calls, *, now: datetime | None = None, zone: str = "UTC", thresholds: str = "", threads: int = 2
        ) -> Weeks:
            nonlocal number
            number += 1
            root = DataRoot(tmp_path / f"books-{number}")
            if thresholds:
                root.reference.mkdir(parents=True)
                (root.reference / "thresholds.csv").write_text(thresholds, encoding="utf-8")
            con = stack.enter_context(connect(Settings(threads=threads), root.scratch))
            lake = Lake(root)
            assert reference.refresh(con, root, lake) == []
            part = lake.part("ref_thresholds", None)
            assert part is not None
            con.execute(f"create table ref_thresholds as from '{lake.absolute(part)}'")
            con.execute(f"create table ref_limits as {models()['ref_limits'].query}")
            con.execute("create table ref_reporting as select ? as reporting_time_zone", [zone])
            now = now or datetime(2099, 1, 1, tzinfo=UTC)
            con.execute("create table ledger_clock as select 'books' as clock, ?::timestamptz as now_at", [now])
            _create_ledger(con, calls)
            return Weeks(con)

        yield make


def _create_ledger(con: duckdb.DuckDBPyConnection, calls: Calls) -> None:
    frame = calls if isinstance(calls, pl.DataFrame) else pl.DataFrame(list(calls), infer_schema_length=None)
    assert not set(frame.columns) - set(_TYPES), set(frame.columns) - set(_TYPES)
    con.register("given", frame.to_arrow())
    columns = []
    for name, type_ in _TYPES.items():
        default = _DEFAULTS.get(name, f"cast(null as {type_})")
        if name == "request_key":
            default = "row_number() over ()"
        told = f"coalesce({name}, {default})" if name in _DEFAULTS else name
        columns.append(f"cast({told if name in frame.columns else default} as {type_}) as {name}")
    con.execute(f"create table calls as select {', '.join(columns)} from given")
    con.unregister("given")
    con.execute(
        "create table ledger_requests as select *, true as is_billable_leaf, "
        "coalesce(input_total_tokens, 0) + coalesce(output_total_tokens, 0) as total_tokens from calls"
    )
    con.execute(
        f"""create table ledger_costs as select request_key, started_at,
            case when cost_usd is not null then cost_usd when is_priced then cast(
                coalesce(input_total_tokens, 0) * {INPUT_USD} * 0.000001 + coalesce(output_total_tokens, 0) * {OUTPUT_USD} * 0.000001
                as decimal(38, 15)) end as effective_cost_usd,
            case when is_priced then cast(coalesce(output_total_tokens, 0) * {OUTPUT_USD} * 0.000001 as decimal(38, 15)) end
                as output_text_cost_usd,
            cast(null as decimal(38, 15)) as output_reasoning_cost_usd,
            cast(null as decimal(38, 15)) as output_audio_cost_usd,
            cast(null as decimal(38, 15)) as output_image_cost_usd
        from calls"""
    )
