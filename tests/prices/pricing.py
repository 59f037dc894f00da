"""Runs the pricing models over rows written in a test, with the book of the installed package and our own rows."""

from __future__ import annotations

import atexit
import csv
import json
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines import checks, contract, models, paths
from pipelines.engine import named_rows
from pipelines.prices.book import build_book
from pipelines.prices.book_tables import Book

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "books"
# Real records of others, see the README there.
DATA = REPOSITORY / "tests" / "data"
TOTALS = (
    "cache_read_total_tokens",
    "cache_write_total_tokens",
    "input_total_tokens",
    "output_total_tokens",
    "total_tokens",
)
CONDITIONS = {
    "ctx_min_tokens": "BIGINT",
    "ctx_max_tokens": "BIGINT",
    "region_class": "VARCHAR",
    "window_from_s": "INTEGER",
    "window_to_s": "INTEGER",
    "weekday_mask": "SMALLINT",
}
OVERRIDE_TYPES = {
    "provider": "VARCHAR",
    "model_id": "VARCHAR",
    "unit": "VARCHAR",
    "service_tier": "VARCHAR",
    "processing": "VARCHAR",
    **CONDITIONS,
    "scope": "VARCHAR",
    "kind": "VARCHAR",
    "value": "DECIMAL(18,9)",
    "currency": "VARCHAR",
    "sequence": "BIGINT",
    "effective_from": "TIMESTAMP WITH TIME ZONE",
    "effective_to": "TIMESTAMP WITH TIME ZONE",
    "known_at": "TIMESTAMP WITH TIME ZONE",
    "source_ref": "VARCHAR",
    "reference_row": "BIGINT",
    "reference_file": "VARCHAR",
}
FX_TYPES = {"currency": "VARCHAR", "rate_date": "DATE", "fx_rate_to_usd": "DECIMAL(38,15)"}
POOL_TYPES = {
    "pool_id": "VARCHAR",
    "provider": "VARCHAR",
    "model_id": "VARCHAR",
    "valid_from_date": "DATE",
    "valid_to_date": "DATE",
    **dict.fromkeys(
        (
            "gpu_count",
            "gpu_hour_usd",
            "capex_usd",
            "amortisation_months",
            "power_kw",
            "pue_ratio",
            "electricity_usd_per_kwh",
            "ops_usd_per_month",
            "utilisation_share",
            "input_tokens_per_s",
            "cache_read_tokens_per_s",
            "output_tokens_per_s",
        ),
        "DECIMAL(38,15)",
    ),
}
ACCOUNT_TYPES = dict.fromkeys(
    ("provider", "account_id", "account_name", "team", "cost_centre", "environment", "paid_by"), "VARCHAR"
)
ALIAS_TYPES = {
    **dict.fromkeys(("source", "provider", "billing_account_id", "seller", "seller_account_id"), "VARCHAR"),
    **dict.fromkeys(("valid_from_date", "valid_to_date"), "DATE"),
}
NAME_TYPES = {
    "provider": "VARCHAR",
    "pattern_kind": "VARCHAR",
    "pattern": "VARCHAR",
    "model_id": "VARCHAR",
    "priority": "BIGINT",
    "valid_from_date": "DATE",
    "valid_to_date": "DATE",
    "region_class": "VARCHAR",
    "source_ref": "VARCHAR",
    "reference_row": "BIGINT",
    "reference_file": "VARCHAR",
}
LINEAGE_NOT_IN_LEDGER = ("source_schema_version", "source_file", "source_file_sha256", "source_row")
REQUEST_TYPES = {
    **{name: type_ for name, type_ in contract.shapes()["requests"].types.items() if name not in LINEAGE_NOT_IN_LEDGER},
    "model_canonical": "VARCHAR",
    "region_class": "VARCHAR",
    **dict.fromkeys(TOTALS, "BIGINT"),
}


def csv_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a reference CSV with null for blank."""
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {key: value or None for key, value in row.items()} | {"reference_row": number, "reference_file": str(path)}
            for number, row in enumerate(csv.DictReader(file), 1)
        ]


def shipped(name: str) -> list[dict[str, Any]]:
    return csv_rows(paths.SHIPPED_DATA / name)


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in names}, strict=False)


def book_of(prices: list[dict[str, Any]] | None = None, aliases: list[dict[str, Any]] | None = None) -> Book:
    """The book with our shipped rows and, above them, the rows of a test."""
    rows = shipped("prices.csv") + (prices or [])
    names = _typed("names", shipped("model_aliases.csv") + (aliases or []), NAME_TYPES)
    return build_book(frame([row | {"reference_row": n} for n, row in enumerate(rows)]), names)


@cache
def shipped_book() -> Book:
    return book_of()


def _typed(name: str, rows: list[dict[str, Any]], types: dict[str, str]) -> pl.DataFrame:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        _table(con, name, rows, types)
        return con.sql(f"select * from {name}").pl()


def _table(con: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]], types: dict[str, str]) -> None:
    con.execute(f"create or replace table {name} ({', '.join(f'{column} {type_}' for column, type_ in types.items())})")
    if rows:
        # As text, in one statement: row by row, a thousand calls take longer to hand over than to price.
        structure = json.dumps([{column: "VARCHAR" if type_ == "JSON" else type_ for column, type_ in types.items()}])
        said = json.dumps([{column: row[column] for column in types if column in row} for row in rows], default=str)
        con.execute(f"insert into {name} select unnest(from_json(?, ?), max_depth := 2)", [said, structure])


def request(**given: Any) -> dict[str, Any]:
    """A call of ledger_requests; totals follow from the classes as canonical section 2 has it."""
    row: dict[str, Any] = {
        "request_key": "r-1",
        "started_at": "2026-11-15T12:00:00Z",
        "provider": "openai",
        "model_served": "gpt-4o",
        "row_kind": "llm_call",
        "is_billable_leaf": True,
        "extra_units": {},
        "usage_flags": [],
        "usage_basis": "disjoint",
        "usage_quality": "reported",
        "cost_reported_basis": "none",
        "gateway_cache_hit": False,
        "status": "ok",
    } | given
    groups = {
        "cache_read_total_tokens": [n for n in contract.INPUT_CLASSES if n.startswith("cache_read")],
        "cache_write_total_tokens": [n for n in contract.INPUT_CLASSES if n.startswith("cache_write")],
        "input_total_tokens": contract.INPUT_CLASSES,
        "output_total_tokens": contract.OUTPUT_CLASSES,
        "total_tokens": contract.TOKEN_CLASS_NAMES,
    }
    for total, classes in groups.items():
        parts = [row[name] for name in classes if row.get(name) is not None]
        row.setdefault(total, sum(parts) if parts else None)
    return row


@cache
def _priced() -> dict[str, models.Model]:
    return {
        name: models.parse(paths.SQL / "ledger" / f"{name}.sql", paths.SQL)
        for name in ("ledger_models", "ledger_gpu_rates", "ledger_rates", "ledger_costs")
    }


# Connections that a test has given back, each with the book whose tables it holds: to lay them anew takes longer than a test.
_idle: list[tuple[duckdb.DuckDBPyConnection, Book | None]] = []


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop()[0].close()


class Pricing:
    """The four pricing models in a row, over the rows of a test. Nothing of an earlier test is there but the tables of the book."""

    def __init__(self) -> None:
        if _idle:
            self.con, self._book = _idle.pop()
        else:
            self.con, self._book = duckdb.connect(config={"threads": 2}), None
            self.con.execute("set TimeZone = 'UTC'")
        self.models = _priced()

    def close(self) -> None:
        for (name,) in self.con.execute("select table_name from duckdb_tables()").fetchall():
            if self._book is None or name not in self._book.tables:
                self.con.execute(f"drop table {name}")
        _idle.append((self.con, self._book))

    def load(
        self,
        requests: list[dict[str, Any]],
        book: Book,
        overrides: list[dict[str, Any]] | None = None,
        fx_rates: list[dict[str, Any]] | None = None,
        gpu_pools: list[dict[str, Any]] | None = None,
        accounts: list[dict[str, Any]] | None = None,
    ) -> None:
        con = self.con
        for name, table in book.tables.items() if book is not self._book else ():
            con.register(f"{name}_frame", table.to_arrow())
            con.execute(f"create or replace table {name} as select * from {name}_frame")
            con.unregister(f"{name}_frame")
        self._book = book
        _table(con, "ref_price_overrides", overrides or [], OVERRIDE_TYPES)
        _table(con, "ref_fx_rates", fx_rates or [], FX_TYPES)
        _table(con, "ref_gpu_pools", gpu_pools or [], POOL_TYPES)
        _table(con, "ref_seller_aliases", [], ALIAS_TYPES)
        _table(con, "ref_accounts", accounts or [], ACCOUNT_TYPES)
        for shape in ("requests", "usage", "bills"):
            types = contract.shapes()[shape].types
            _table(con, f"staged_{shape}", requests if shape == "requests" else [], types)
        self._build("ledger_models")
        _table(con, "unresolved_requests", requests, REQUEST_TYPES)
        con.execute(
            """create or replace table ledger_requests as
            select q.* replace (
                coalesce(q.model_canonical, m.model_canonical) as model_canonical,
                coalesce(q.region_class, m.region_class) as region_class
            )
            from unresolved_requests as q
            left join ledger_models as m on m.usage_date = cast(q.started_at as date)
                and m.provider = q.provider and m.model_raw = q.model_served"""
        )

    def _build(self, name: str) -> None:
        model = self.models[name]
        self.con.execute(f"create or replace table {name} as {model.query}")
        found = {row[0]: row[1] for row in self.con.execute(f"describe {name}").fetchall()}
        assert found == model.types
        counts = checks.count_violations(self.con, model, ["all"], None).drop("partition").row(0, named=True)
        assert {check.text: counts[check.id] for check in model.checks if counts[check.id] != 0} == {}, name

    def rows(self, table: str, order: str) -> list[dict[str, Any]]:
        return named_rows(self.con, f"select * from {table} order by {order}")

    def costs(
        self,
        requests: list[dict[str, Any]],
        book: Book | None = None,
        overrides: list[dict[str, Any]] | None = None,
        fx_rates: list[dict[str, Any]] | None = None,
        gpu_pools: list[dict[str, Any]] | None = None,
    ) -> list[dict[str, Any]]:
        self.load(requests, book or shipped_book(), overrides, fx_rates, gpu_pools)
        self._build("ledger_gpu_rates")
        self._build("ledger_rates")
        self._build("ledger_costs")
        return self.rows("ledger_costs", "request_key")


def usd(text: str) -> Decimal:
    return Decimal(text)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
