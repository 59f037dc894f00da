"""Showback and reconciliation over a ledger of calls and a bill, against the bare engine summing the same columns by day.

The ledger is written as a run leaves it, a file a day. The project's own planner and runner then build the tables from it to the
marts; one day is changed, and they build what follows from that.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks.processes import measure_work
from pipelines.books import Books, open_books
from pipelines.engine import rows_of, with_row_hashes
from pipelines.lake import home
from pipelines.models import models
from pipelines.parquet import PeriodRows
from pipelines.paths import DataRoot
from pipelines.runner import build

FIRST, DAYS = date(2026, 9, 1), 30
TABLES = (
    "ref_limits",
    "ledger_clock",
    "ledger_bill_days",
    "ledger_billed_tokens",
    "ledger_invoices",
    "ledger_traced_days",
    "ledger_restated_days",
    "ledger_showback_days",
    "mart_reconciliation_daily",
    "mart_reconciliation_monthly",
    "ledger_bill_pools",
    "ledger_allocations",
    "mart_showback_weekly",
)
_PRICES = {"input_uncached": "0.0000025", "cache_read": "0.00000125", "output_text": "0.00001"}
_COSTS = {
    f"{name}_{kind}": f"cast({tokens} * {_PRICES[name]} as decimal(38, 15))"
    for name, tokens in (("input_uncached", "i"), ("cache_read", "c"), ("output_text", "o"))
    for kind in ("list_cost_usd", "cost_usd")
}
_SUM = " + ".join(text for name, text in _COSTS.items() if name.endswith("list_cost_usd"))
REQUESTS = {
    "request_key": "md5('{day}' || n)",
    "started_at": "timestamptz '{day} 00:00:00+00' + to_microseconds(n * 86400000000 // {rows})",
    "provider": "'openai'",
    "billing_account_id": "'org-main'",
    "model_canonical": "['gpt-4o', 'gpt-5-mini'][1 + h % 2]",
    "feature": "'feature-' || h % 20",
    "team": "'team-' || h % 5",
    "cost_centre": "'CC-' || h % 5",
    "customer_tier": "['free', 'pro', 'enterprise'][1 + h % 3]",
    "environment": "'production'",
    "is_billable_leaf": "true",
    "is_batch": "false",
    "input_uncached_tokens": "i",
    "cache_read_tokens": "c",
    "output_text_tokens": "o",
    "input_total_tokens": "i + c",
    "output_total_tokens": "o",
    "cache_read_total_tokens": "c",
    "total_tokens": "i + c + o",
}
COSTS = {
    "request_key": REQUESTS["request_key"],
    "started_at": REQUESTS["started_at"],
    "cost_status": "'priced'",
    **_COSTS,
    **dict.fromkeys(("list_cost_usd", "contracted_cost_usd", "effective_cost_usd"), _SUM),
}
BILL = {
    "cost_key": "md5(usage_date || model || class || line)",
    "source": "'openai_usage'",
    "month_start_date": f"date '{FIRST}'",
    "billing_account_id": "'org-main'",
    "provider": "'openai'",
    "pulled_at": "timestamptz '2026-10-03 00:00:00+00'",
    "is_final": "true",
    "charge_start_at": "cast(usage_date as timestamptz)",
    "charge_end_at": "cast(usage_date + 1 as timestamptz)",
    "charge_category": "'Usage'",
    "is_correction": "false",
    "currency": "'USD'",
    "fx_rate_to_usd": "1",
    "model_canonical": "model",
    "token_type": "class",
    "quantity": "quantity",
    "quantity_unit": "'tokens'",
    "metered_tokens": "quantity",
    **dict.fromkeys(("billed_amount", "list_amount", "billed_usd", "list_usd"), "quantity * price"),
    "is_the_bill": "true",
}


def run(rows: int = 10_000_000, lines: int = 100_000) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, open_books(DataRoot(Path(folder))) as opened:
        opened.refresh_references()
        opened.read_landing(now=datetime(2026, 11, 1, tzinfo=UTC))
        for number in range(DAYS):
            _write_day(opened, FIRST + timedelta(number), rows // DAYS, seed=number)
        _write_bill(opened, lines)
        bare = measure_work(lambda: _bare_engine(opened))
        first = measure_work(lambda: _build(opened))
        _write_day(opened, FIRST + timedelta(11), rows // DAYS, seed=99)
        changed = measure_work(lambda: _build(opened))
        nothing = measure_work(lambda: _build(opened))
    print(f"showback and reconciliation of {rows:,} calls of {DAYS} days and {lines:,} lines of a bill")
    for what, cost in (
        ("bare engine: sums by day", bare),
        ("all tables to the marts", first),
        ("after one day has changed", changed),
        ("nothing new", nothing),
    ):
        print(f"  {what:32s} {cost.cpu_s:8.1f} CPU s ({cost.cpu_s / rows * 1e6:5.2f} us a call) {cost.wall_s:8.1f} s")
    print(
        f"books: {first.cpu_s / bare.cpu_s:.1f} times the bare engine; one day {changed.cpu_s / first.cpu_s:.2f} of all"
    )


def _write_day(opened: Books, day: date, rows: int, seed: int) -> None:
    numbers = f"""(select range as n, h, 900 + h % 4000 as i, h % 900 as c, 5 + h % 600 as o
        from (select range, ((range + {seed}) * 2654435761) % 1000003 as h from range({rows})))"""
    for name, given in (("ledger_requests", REQUESTS), ("ledger_costs", COSTS)):
        texts = {column: text.format(day=day, rows=rows) for column, text in given.items()}
        _write(opened, name, "day", day, texts, f"{numbers} order by n")


def _write_bill(opened: Books, lines: int) -> None:
    """What the calls of a day used and four percent more, in so many lines of equal size."""
    each = max(1, lines // (DAYS * 2 * 3))
    classes = ", ".join(
        f"('{kind}', '{name}', {price})"
        for kind, (name, price) in zip(("input", "cache_read", "output"), _PRICES.items(), strict=True)
    )
    sums = ", ".join(f"sum({name}_tokens) as {name}" for name in _PRICES)
    used = " ".join(f"when name = '{name}' then {name}" for name in _PRICES)
    _write(
        opened,
        "ledger_bills",
        "month",
        FIRST,
        BILL,
        f"""(
            select
                usage_date, model, class, line, cast(price as decimal(18, 12)) as price,
                cast(round((case {used} end) * 1.04 / {each}) as decimal(18, 0)) as quantity
            from (
                select cast(started_at as date) as usage_date, model_canonical as model, {sums}
                from read_parquet('{opened.root.table("ledger_requests")}/*/*.parquet', hive_partitioning = false)
                group by all
            )
            cross join (values {classes}) as classes(class, name, price)
            cross join (select range as line from range({each}))
        ) order by usage_date, model, class, line""",
    )


def _write(opened: Books, table: str, grain: str, start: date, given: dict[str, str], rest: str) -> None:
    types = models()[table].types
    columns = ", ".join(f"cast({given.get(name, 'null')} as {type_}) as {name}" for name, type_ in types.items())
    rows = rows_of(opened.con, f"select {columns} from {rest}")
    period = PeriodRows(start, "benchmark", [with_row_hashes(opened.con, rows)])
    opened.lake.store(table, home(opened.root, table, grain, start), [period], (), "", rows.schema, by_day=False)


def _build(opened: Books) -> None:
    for name in TABLES:
        build(opened.con, opened.lake, opened.planner, opened.plan(name))


def _bare_engine(opened: Books) -> None:
    """One scan of the columns that the days need, in a connection of its own with as many threads."""
    requests, costs = (
        f"read_parquet('{opened.root.table(name)}/*/*.parquet', hive_partitioning = false)"
        for name in ("ledger_requests", "ledger_costs")
    )
    tokens = ", ".join(f"sum({name}_tokens)" for name in _PRICES)
    dollars = ", ".join(f"sum({name})" for name in (*_COSTS, "effective_cost_usd"))
    keys = "cast(started_at as date), provider, billing_account_id, model_canonical, feature, team, customer_tier"
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"select {keys}, {tokens} from {requests} group by all").fetchall()
        con.execute(f"select cast(started_at as date), {dollars} from {costs} group by all").fetchall()


if __name__ == "__main__":
    run()
