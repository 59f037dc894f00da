"""What the tests of sources share: files laid into ``landing/``, one reading of them, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from pipelines import reference
from pipelines.books import open_books
from pipelines.contract import TOKEN_CLASS_NAMES
from pipelines.engine import named_rows
from pipelines.paths import DataRoot
from pipelines.reading import ReadReport
from pipelines.runner import build
from pipelines.views import open_views

# After every instant of the files: a record later than its file's first sight is refused.
NOW = datetime(2026, 12, 1, tzinfo=UTC)
SHARED = Path(__file__).resolve().parents[3] / "shared"
# ledger_files and what it is made of.
FATES = (
    "ref_limits",
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
class Landed:
    """A data root after one reading."""

    root: DataRoot
    report: ReadReport
    remarks: Sequence[str]

    def rows(self, table: str, order: str = "all", where: str = "true") -> list[dict[str, Any]]:
        return rows(self.root, table, order, where)

    def calls(self) -> dict[str, dict[str, Any]]:
        """Staged requests by the source's own key."""
        return {row["source_row_id"]: row for row in self.rows("staged_requests", "source_file, source_row")}

    def staged(self, shape: str, account: str) -> list[dict[str, Any]]:
        """The rows of an account, in the order of its files and records."""
        more = {"usage": ", operation", "bills": ", provider"}.get(shape, "")
        return self.rows(f"staged_{shape}", f"source_file, source_row{more}", f"source_account = '{account}'")

    def files(self) -> dict[str, dict[str, Any]]:
        """Each file's own row, by its path below ``landing/``; of a file with several versions that of the newest."""
        found = self.rows("ledger_files", where="state <> 'replaced'")
        return {row["path"].removeprefix("landing/"): row for row in found}

    def fates(self) -> dict[str, tuple[int, ...]]:
        """Path -> records, booked, duplicate, not billable, quarantined."""
        kinds = ("records", "booked", "duplicate", "not_billable", "quarantined")
        return {path: tuple(row[kind] for kind in kinds) for path, row in self.files().items()}

    def is_conserved(self) -> bool:
        return all(records == sum(others) for records, *others in self.fates().values())


def land(root: DataRoot, name: str, content: str | bytes) -> Path:
    """Lays a file (its path is one below ``landing/``) there."""
    path = root.landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(root: DataRoot, files: Mapping[str, str | bytes] | None = None, tables: Sequence[str] = ()) -> Landed:
    """Lays files there, reads what has landed, without prices, and builds some tables."""
    for name, content in (files or {}).items():
        land(root, name, content)
    with open_books(root) as books:
        reference.refresh(books.con, root, books.lake)
        report = books.read_landing(now=NOW)
        for table in tables:
            build(books.con, books.lake, books.planner, books.plan(table))
        return Landed(root, report, books.remarks())


def rows(root: DataRoot, table: str, order: str = "all", where: str = "true") -> list[dict[str, Any]]:
    """Rows of a table as they lie in the lake."""
    if not list(root.table(table).rglob("*.parquet")):
        return []
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        files = f"read_parquet('{root.table(table)}/**/*.parquet', hive_partitioning = false)"
        return named_rows(con, f"select * from {files} where {where} order by {order}")


def queried(root: DataRoot, query: str) -> list[dict[str, Any]]:
    """What a query of the books gives."""
    with open_views(root) as con:
        return named_rows(con, query)


def lines(*records: Any, end: str = "\n") -> str:
    """Records, or texts as they are, one a line."""
    return "".join((one if isinstance(one, str) else json.dumps(one)) + end for one in records)


def tokens(row: Mapping[str, Any]) -> dict[str, int]:
    """The token classes that are known, without ``_tokens``."""
    return {name.removesuffix("_tokens"): row[name] for name in TOKEN_CLASS_NAMES if row[name] is not None}
