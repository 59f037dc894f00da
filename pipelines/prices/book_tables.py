"""The price book as it is handed on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import polars as pl


@dataclass(frozen=True)
class Book:
    """The book as tables for the queries.

    ``version`` is the hash of their content, ``problems`` are conflicts and doubts, for people to read.
    """

    tables: dict[str, pl.DataFrame]
    problems: tuple[str, ...]

    @cached_property
    def version(self) -> str:
        said = hashlib.sha256()
        for table in self.tables.values():
            said.update(table.write_csv().encode())
        return said.hexdigest()
