"""The checks that headers of SQL files promise, and how their YAML is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ModelError(ValueError):
    """A SQL file breaks the law; the message names the file and what to change."""


@dataclass(frozen=True)
class Check:
    """A promise of a header. ``violations`` counts the rows of a partition that break it.

    kind: ``unique``, ``not_null``, ``between``, ``one_of``, ``rule`` (a condition that holds in every row) or ``no_rows``
    (a query that must give no row). A null passes ``between`` and ``one_of``; in a ``rule`` only where the header says so.
    """

    id: str
    kind: str
    text: str
    severity: str
    columns: tuple[str, ...] = ()
    condition: str = ""
    query: str = ""


def read_yaml(text: str) -> Any:
    """A header as values. Raises ValueError where it is no YAML."""
    # Imported where it is needed: a run that has the headers of an earlier one does without.
    import yaml

    # The parser in C, where the package was built with it, is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def checks_of(where: str, entries: list[dict[str, Any]], grain: tuple[str, ...], names: list[str]) -> tuple[Check, ...]:
    """The checks of a header. Every table is unique over its grain, said or not."""
    if not any("unique" in entry and tuple(entry["unique"]) == grain for entry in entries):
        entries = [{"unique": list(grain)}, *entries]
    found = []
    for number, entry in enumerate(entries, 1):
        entry = dict(entry)
        severity = entry.pop("severity", "critical")
        text = entry.pop("text", "")
        null_passes = entry.pop("null_passes", False)
        if severity not in ("critical", "warning", "info"):
            raise ModelError(f"{where}: check {number} has severity {severity!r}; expected critical, warning or info.")
        if len(entry) != 1:
            raise ModelError(
                f"{where}: check {number} is not one of unique, not_null, between, one_of, rule, no_rows: {entry}"
            )
        [(kind, value)] = entry.items()
        columns: tuple[str, ...] = ()
        condition = query = ""
        match kind:
            case "unique":
                columns, text = tuple(value), text or f"one row per {', '.join(value)}"
            case "not_null":
                columns, text = tuple(value), text or f"{', '.join(value)} always has a value"
                condition = " and ".join(f"{name} is not null" for name in value)
            case "between":
                name, low, high = value
                columns = (name,)
                if low is None and high is None:
                    raise ModelError(f"{where}: check {number} is between nothing and nothing.")
                sides = [f"{name} >= {low}"] * (low is not None) + [f"{name} <= {high}"] * (high is not None)
                condition = f"({name} is null or ({' and '.join(sides)}))"
                text = text or f"{name} lies between {_open(low)} and {_open(high)}"
            case "one_of":
                name, *allowed = value
                columns = (name,)
                listed = ", ".join("'" + str(word).replace("'", "''") + "'" for word in allowed)
                condition = f"({name} is null or {name} in ({listed}))"
                text = text or f"{name} is one of {', '.join(map(str, allowed))}"
            case "rule":
                condition, text = (f"coalesce({value}, true)" if null_passes else str(value)), text or str(value)
            case "no_rows":
                query, text = str(value).strip(), text or "a query of exceptions gives no row"
            case _:
                raise ModelError(f"{where}: check {number} is of unknown kind {kind!r}.")
        if strange := [name for name in columns if name not in names]:
            raise ModelError(f"{where}: check {number} names {', '.join(strange)}, which is not among the columns.")
        found.append(Check(f"check_{number}", kind, text, severity, columns, condition, query))
    return tuple(found)


def _open(bound: object) -> str:
    return "any" if bound is None else str(bound)
