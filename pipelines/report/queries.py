"""What stands behind the figures of a page: the query of each, down to its row, and what the heads of columns mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from markupsafe import Markup

from pipelines.engine import quoted
from pipelines.models import models


class Place:
    """Where on a page the query of a row stands. Its figures all lead there; the first of them can be reached by the Tab key."""

    def __init__(self, anchor: str) -> None:
        self.anchor, self._is_named = anchor, False

    @property
    def address(self) -> Markup:
        """The attributes of one more link to it."""
        first, self._is_named = not self._is_named, True
        return Markup('href="#{}"{}').format(self.anchor, Markup("") if first else Markup(' tabindex="-1"'))


@dataclass
class Asked:
    """A question of a page, and its answers of one row that figures lead to: the place of each, what it is, its query."""

    section: str
    number: int
    title: str
    query: str
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return f"q-{self.section}-{self.number}"

    def place(self, where: Mapping[str, Any] | None = None, sums: Sequence[str] = ()) -> Place:
        """Of the rows with these values, their sums where ``sums`` names columns; of all without values."""
        if not where and not sums:
            return Place(self.anchor)
        shown = ", ".join(f"sum({name}) as {name}" for name in sums) or "*"
        condition = " and ".join(f"{name} {_is(value)}" for name, value in (where or {}).items())
        text = f"select {shown} from (\n{self.query}\n)" + f"\nwhere {condition}" * bool(condition)
        anchor = f"{self.anchor}-{len(self.rows) + 1}"
        self.rows.append((anchor, ", ".join(map(str, (where or {}).values())) or "All of it", text))
        return Place(anchor)

    def link(self, rows: Iterable[dict[str, Any]], *by: str) -> None:
        """Have rows of the answer lead to themselves, told apart by these columns: ``at`` of each is its place."""
        for row in rows:
            row["at"] = self.place({name: row[name] for name in by})


def _is(value: Any) -> str:
    if value is None:
        return "is null"
    if isinstance(value, date):
        return f"= date '{value}'"
    return f"= {quoted(value)}" if isinstance(value, str) else f"= {value}"


class Heads:
    """The heads of a page's columns and figures, by section, each with its meaning: of the column of a table, or in words."""

    def __init__(self) -> None:
        self._found: dict[str, dict[tuple[str, str], str]] = {}

    def add(self, section: str, text: str, of: str) -> str:
        """Note a head; where its meaning stands comes back, nothing where none is given. ``of``: ``table.column``, or a sentence."""
        if not of:
            return ""
        known = self._found.setdefault(section, {})
        known.setdefault((text, of), meaning(of))
        return f"m-{section}-{list(known).index((text, of)) + 1}"

    def of(self, section: str) -> list[tuple[str, str, str]]:
        """Anchor, head and meaning of what the section has."""
        known = self._found.get(section, {})
        return [(f"m-{section}-{place}", text, said) for place, ((text, _), said) in enumerate(known.items(), 1)]


def meaning(of: str) -> str:
    """A sentence as it is; of ``table.column`` what the header of the table says of it."""
    table, _, name = of.partition(".")
    if table not in models():
        return of
    [said] = [column.meaning for column in models()[table].columns if column.name == name]
    return said[:1].upper() + said[1:] + "."
