"""Files of a source read into books of their own, for tests of what becomes of their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from pipelines import reference
from pipelines.books import open_books
from pipelines.paths import DataRoot
from pipelines.reading import ReadReport
from pipelines.runner import build

# After every instant of the files: a record later than its file's first sight is refused.
NOW = datetime(2026, 12, 1, tzinfo=UTC)
FATES = ("records", "booked", "duplicate", "not_billable", "quarantined")
# What ledger_files is made of.
_TABLES = (
    "ledger_pulls",
    "ledger_superseded_requests",
    "ledger_superseded_scores",
    "ledger_span_roles",
    "ledger_span_owners",
    "ledger_same_calls",
    "ledger_record_fates",
    "ledger_files",
)


@dataclass(frozen=True)
class ReadBooks:
    """What one run over some files of a source gave."""

    root: DataRoot
    source: str
    report: ReadReport

    def rows(self, table: str, where: str = "true", order: str = "all") -> list[dict[str, Any]]:
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            if not list(self.root.table(table).rglob("*.parquet")):
                return []
            found = con.execute(
                f"from read_parquet('{self.root.table(table)}/**/*.parquet', hive_partitioning = false) "
                f"where {where} order by {order}"
            )
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def staged(self, shape: str, account: str) -> list[dict[str, Any]]:
        """The rows of an account, in the order of its files and records."""
        parts = {"usage": ", operation", "bills": ", provider"}.get(shape, "")
        return self.rows(f"staged_{shape}", f"source_account = '{account}'", f"source_file, source_row{parts}")

    def fates(self, name: str) -> dict[str, int]:
        """The records of a file by fate. They add up, or the test fails."""
        [row] = self.rows("ledger_files", f"path = 'landing/{self.source}/{name}'")
        fates = {fate: row[fate] for fate in FATES}
        assert fates["records"] == sum(fates[fate] for fate in FATES[1:]), name
        return {fate: number for fate, number in fates.items() if number}

    def reasons(self, name: str) -> str:
        [row] = self.rows("ledger_files", f"path = 'landing/{self.source}/{name}'")
        reasons: str = row["reasons"]
        return reasons


def read_files(folder: Path, source: str, files: Mapping[str, str | bytes]) -> ReadBooks:
    """Lay files into ``landing/<source>/``, read them and decide the fates of their records."""
    root = DataRoot(folder)
    for name, content in files.items():
        path = root.landing / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_books(root) as books:
        reference.refresh(books.con, root, books.lake)
        report = books.read_landing(now=NOW)
        for name in _TABLES:
            build(books.con, books.lake, books.planner, books.plan(name))
    return ReadBooks(root, source, report)
