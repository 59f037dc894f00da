"""Pricing calls: the project's own queries over a ledger of requests, against a bare copy of the cost table that they write.

Both run in one process over the same Parquet files, so the ratio says what the pricing adds to the writing.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.processes import measure_work
from pipelines.contract import TOKEN_CLASS_NAMES
from pipelines.models import models
from pipelines.paths import DataRoot
from pipelines.prices.book import build_book
from pipelines.reference.files import current_frame

MODELS = (
    ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
    ("openai", "gpt-5-mini", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro", "gemini-2.5-pro"),
)
GIVEN = {
    "input_uncached_tokens": "(900 + h % 4000)::bigint",
    "cache_read_tokens": "(h % 900)::bigint",
    "output_text_tokens": "(5 + h % 600)::bigint",
    "output_reasoning_tokens": "(h % 300)::bigint",
    "input_total_tokens": "(900 + h % 4000 + h % 900)::bigint",
    "total_tokens": "(905 + h % 4000 + h % 900 + h % 600 + h % 300)::bigint",
    "context_test_tokens": "(900 + h % 4000 + h % 900)::bigint",
    "is_billable_leaf": "true",
    "usage_quality": "'reported'",
    "usage_basis": "'disjoint'",
    "cost_reported_basis": "'none'",
    "usage_flags": "[]::varchar[]",
    "extra_units": "map {}::map(varchar, decimal(38, 9))",
    "gateway_cache_hit": "false",
    "feature": "'feature-' || h % 20",
    "customer_id": "'c-' || h % 400",
}


def run(rows: int = 10_000_000, days: int = 14) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": 2}) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set preserve_insertion_order = false")
        con.execute("set enable_progress_bar = false")
        built = time.process_time()
        began = time.monotonic()
        frames = (current_frame(DataRoot(Path(folder)), name)[0] for name in ("prices", "model_aliases"))
        book = build_book(*frames)
        print(
            f"price book: {len(book.tables['ref_price_book']):,} rates, {time.process_time() - built:.2f} CPU s, "
            f"{time.monotonic() - began:.2f} s"
        )
        con.register("book", book.tables["ref_price_book"].to_arrow())
        con.execute("create table ref_price_book as from book")
        _write_requests(con, Path(folder), rows, days)
        queries = {name: models()[name].query for name in ("ledger_rates", "ledger_costs")}
        costs, copy = Path(folder) / "costs.parquet", Path(folder) / "copy.parquet"
        parquet = "(format parquet, compression zstd)"
        rates = measure_work(lambda: con.execute(f"create table ledger_rates as {queries['ledger_rates']}"))
        priced = measure_work(lambda: con.execute(f"copy ({queries['ledger_costs']}) to '{costs}' {parquet}"))
        copied = measure_work(lambda: con.execute(f"copy (from '{costs}') to '{copy}' {parquet}"))
        print(f"{rows:,} calls of {days} days, {costs.stat().st_size / 1e6:,.0f} MB of costs")
        for what, cost in (
            ("rates of the days", rates),
            ("pricing to Parquet", priced),
            ("bare copy of the same columns", copied),
        ):
            print(
                f"  {what:32s} {cost.cpu_s:8.1f} CPU s ({cost.cpu_s / rows * 1e6:5.2f} us a call) {cost.wall_s:8.1f} s"
            )
        in_cpu = (rates.cpu_s + priced.cpu_s) / copied.cpu_s
        print(f"pricing: {in_cpu:.1f} times the copy in processor time, {priced.wall_s / copied.wall_s:.1f} in time")


def _write_requests(con: duckdb.DuckDBPyConnection, folder: Path, rows: int, days: int) -> None:
    """Parquet with every column of ledger_requests that the two queries read, and empty override tables."""
    types = models()["ledger_requests"].types
    given = {name: GIVEN.get(name, f"null::{type_}") for name, type_ in types.items() if name in _read_columns()}
    seller, served, meant = (
        f"[{', '.join(repr(m[place]) for m in MODELS)}][1 + h % {len(MODELS)}]" for place in range(3)
    )
    given |= {
        "request_key": "md5(i::varchar)",
        "started_at": f"timestamptz '2026-11-01 00:00:00+00' + to_microseconds((i * ({days} * 86400e6 / {rows}))::bigint)",
        "provider": seller,
        "model_served": served,
        "model_canonical": meant,
    }
    columns = ", ".join(f"{text} as {name}" for name, text in given.items())
    target = folder / "requests.parquet"
    con.execute(
        f"copy (select {columns} from (select range as i, (range * 2654435761) % 1000003 as h from range({rows}))) "
        f"to '{target}' (format parquet, compression zstd)"
    )
    con.execute(f"create view ledger_requests as from '{target}'")
    con.execute(
        f"create table ledger_gpu_rates ({', '.join(f'{n} {t}' for n, t in models()['ledger_gpu_rates'].types.items())})"
    )
    for name in ("price_overrides", "fx_rates"):
        con.register("frame", current_frame(DataRoot(folder), name)[0].to_arrow())
        con.execute(f"create table ref_{name} as from frame")
        con.unregister("frame")


def _read_columns() -> set[str]:
    text = models()["ledger_rates"].query + models()["ledger_costs"].query
    wanted = {*TOKEN_CLASS_NAMES, "request_key", "started_at"}
    return {name for name in models()["ledger_requests"].types if f"q.{name}" in text} | wanted


if __name__ == "__main__":
    run()
