"""Rows that a person can append to a table that people edit."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from pipelines.paths import DataRoot
from pipelines.reference import templates
from pipelines.reference.tables import TABLES


def row_to_add(root: DataRoot, table: str, values: Mapping[str, object]) -> str:
    """A row for the data root's file of a table, which may lack columns or have them in another order."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([values.get(name, "") for name in _header(root, table)])
    return line.getvalue()


def _header(root: DataRoot, table: str) -> list[str]:
    path = root.reference / f"{table}.csv"
    text = path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else ""
    for row in csv.reader(io.StringIO(text, newline="")):
        if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#"):
            return [name.strip() for name in row]
    return templates.header(TABLES[table])
