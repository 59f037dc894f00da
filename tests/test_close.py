"""The close: a company worked out by hand is closed, late files come, and what was closed stays as it was."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines import audit, books, close
from pipelines.lake import months_closed
from pipelines.paths import DataRoot
from pipelines.views import ask, open_views

GOLDEN = Path(__file__).parent / "golden" / "books"
AUGUST, SEPTEMBER, OCTOBER = date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)
KEY = """
week_start_date billing_month cost_centre team feature customer_tier environment provider billing_account_id model_canonical model_tier
""".split()


def rows(root: DataRoot, query: str) -> list[dict[str, Any]]:
    with open_views(root) as con:
        result = ask(con, query)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def expected(name: str) -> Iterator[dict[str, str]]:
    with (GOLDEN / "expected" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def close_month(root: DataRoot, month: date, accept: str = "") -> close.Closed | list[close.Hindrance]:
    with books.open_books(root) as opened:
        return close.close(opened, month, accept=accept)
